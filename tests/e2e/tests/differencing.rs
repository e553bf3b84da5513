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

/// A month or year of first visits, and a sex: a condition that holds for exactly one person, and one that holds for at
/// least as many as the threshold.
struct Conditions {
    one: String,
    many: String,
}

fn conditions(raw: &Path) -> Conditions {
    let mut reader = csv::Reader::from_path(raw.join("patients.csv")).unwrap();
    let column = |headers: &csv::StringRecord, name: &str| {
        headers.iter().position(|header| header == name).unwrap()
    };
    let headers = reader.headers().unwrap().clone();
    let (visit, sex) = (column(&headers, "初診日"), column(&headers, "性別"));
    let mut by_month: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut by_year: BTreeMap<(String, String), u32> = BTreeMap::new();
    for record in reader.records() {
        let record = record.unwrap();
        let (day, sex) = (&record[visit], record[sex].to_owned());
        *by_month
            .entry((day[..7].to_owned(), sex.clone()))
            .or_default() += 1;
        *by_year.entry((day[..4].to_owned(), sex)).or_default() += 1;
    }
    let ((month, of), _) = by_month
        .iter()
        .find(|(_, persons)| **persons == 1)
        .expect("a month in which one person came first");
    let ((year, many_of), _) = by_year
        .iter()
        .find(|(_, persons)| **persons >= 20)
        .expect("a year in which many came first");
    Conditions {
        one: format!("first_visit_month = DATE '{month}-01' AND sex = '{of}'"),
        many: format!("date_part('year', first_visit_month) = {year} AND sex = '{many_of}'"),
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
