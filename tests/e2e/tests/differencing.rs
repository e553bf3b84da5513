//! Two statistics that differ by one person: the second one is not shown, and reviewers hear of it (issue 5,
//! Shows 5).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::Path;

use kekkai_demo::sign_in;
use kekkai_e2e::{TestWorld, said, story, world};
use kekkai_policy_api::Event;

/// Of patients: a condition that holds for exactly one person, and one that holds for many.
struct Conditions {
    one: String,
    many: String,
}

/// What the sample's manifest makes of an address.
fn prefecture(address: &str) -> String {
    let letters: Vec<char> = address.chars().collect();
    let ends = "都道府県".contains(letters[2]);
    letters[..if ends { 3 } else { 4 }].iter().collect()
}

fn conditions(raw: &Path) -> Conditions {
    let mut reader = csv::Reader::from_path(raw.join("patients.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (visit, sex, address) = (column("初診日"), column("性別"), column("住所"));
    let mut fine: BTreeMap<String, u32> = BTreeMap::new();
    let mut coarse: BTreeMap<String, u32> = BTreeMap::new();
    for record in reader.records() {
        let record = record.unwrap();
        let (month, sex) = (&record[visit][..7], &record[sex]);
        let one = format!(
            "prefecture = '{}' AND first_visit_month = DATE '{month}-01' AND sex = '{sex}'",
            prefecture(&record[address])
        );
        *fine.entry(one).or_default() += 1;
        let many = format!("first_visit_month = DATE '{month}-01' AND sex = '{sex}'");
        *coarse.entry(many).or_default() += 1;
    }
    let of = |all: BTreeMap<String, u32>, fits: fn(u32) -> bool| {
        let found = all.into_iter().find(|(_, persons)| fits(*persons));
        found.expect("persons in the sample").0
    };
    Conditions {
        one: of(fine, |persons| persons == 1),
        many: of(coarse, |persons| persons >= 20),
    }
}

fn outcomes(world: &TestWorld) -> Vec<String> {
    let ended = |event| match event {
        Event::QueryEnded { outcome, .. } => Some(outcome),
        _ => None,
    };
    world.events().into_iter().filter_map(ended).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn second_of_two_statistics_that_differ_by_one_person_is_withheld_and_flagged() {
    let world = world(2, false).await;
    let conditions = conditions(&world.facts().raw.join("sample"));
    let without =
        |condition: &str| format!("sql SELECT count(*) AS n FROM patients WHERE NOT ({condition})");

    let first = world.connect("r1");
    let all = first.run("sql SELECT count(*) AS n FROM patients");
    assert!(all.status.success(), "{}", said(&all));
    // The control: many persons fewer are another statistic.
    let fewer = first.run(&without(&conditions.many));
    assert!(fewer.status.success(), "{}", said(&fewer));
    assert_eq!(outcomes(&world), ["done", "done"]);

    let second = first.run(&without(&conditions.one));
    assert!(!second.status.success(), "{}", said(&second));
    let text = said(&second);
    assert!(
        text.contains("too-close") && text.contains("job 1"),
        "{text}"
    );
    assert_eq!(outcomes(&world)[2], "withheld: too-close");
    // However it is written, and within one statement as well.
    for aggregate in ["count", "sum"] {
        let hidden = first.run(&format!(
            "sql SELECT {aggregate}(CASE WHEN NOT ({}) THEN 1 END), count(*) FROM patients",
            conditions.one
        ));
        assert!(said(&hidden).contains("too-close"), "{}", said(&hidden));
    }

    // It may be submitted unseen; reviewers read why it was not shown.
    let submitted = first.run("submit 3 --title \"Without one\" --purpose \"Sensitivity\"");
    assert!(submitted.status.success(), "{}", said(&submitted));
    let output = story::submitted(&world, "r1", 0).await;
    let info = world.facts();
    let mut reviewer = sign_in(&info, info.person("ito").unwrap()).await.unwrap();
    let page = reviewer
        .get(&format!("/review/output/{output}"))
        .await
        .unwrap()
        .text();
    assert!(page.contains("(job 1)"), "{page}");
    drop(first);

    // A colleague's session knows what the project has seen.
    let colleague = world.connect("r2");
    let again = colleague.run(&without(&conditions.one));
    assert!(said(&again).contains("too-close"), "{}", said(&again));
    assert!(said(&again).contains("r1 "), "{}", said(&again));
    let same = colleague.run("sql SELECT count(*) AS n FROM patients");
    assert!(same.status.success(), "{}", said(&same));
}
