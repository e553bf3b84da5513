//! Before and after a submission, at the author's own screen: what the checks would say, what came back,
//! and another attempt in its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{MARKUP, Snapshot, Stage, cell, submission, table, table_of};
use kekkai_output::{Content, ProgramBody, ProgramLineage, ProgramOutput, Seen, Value};
use kekkai_review::seal::Sealer;
use kekkai_review_api::{OutputDetail, OutputState, Preview, Said, SessionOutputs, Submit, Weight};
use kekkai_service::CallError;
use kekkai_types::{AgreementId, DatasetId, Digest, KeyText, Lang, OutputId, PersonId};
use rusqlite::params;

fn refused(error: CallError) -> String {
    match error {
        CallError::Refused(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

fn preview_of(submit: &Submit) -> Preview {
    Preview {
        author: submit.author.clone(),
        agreement: submit.agreement.clone(),
        sdc_profile: submit.sdc_profile.clone(),
        content: submit.content.clone(),
        seen: submit.seen.clone(),
    }
}

fn of_program(text: &str, persons: u64) -> Submit {
    let mut submit = submission("sato", table());
    submit.content = Content::Program(ProgramOutput {
        body: ProgramBody::Table {
            columns: vec![text.to_owned(), "n".to_owned()],
            rows: vec![vec![Value::Text("a".to_owned()), Value::Int(3)]],
        },
        lineage: ProgramLineage {
            program: "python study.py".to_owned(),
            digest: Digest::of(b"print(1)"),
            source: "print(1)".to_owned(),
            args: Vec::new(),
            reads: vec![kekkai_output::Read {
                sql: "SELECT * FROM visits".to_owned(),
                rows: Some(persons),
                persons: Some(persons),
            }],
            datasets: vec![(DatasetId::new("hospital").unwrap(), 1)],
            threshold: 10,
            policy: Digest::of(b"terms"),
        },
    });
    submit
}

async fn own(stage: &Stage, person: &str) -> Vec<OutputDetail> {
    let call = SessionOutputs {
        agreement: AgreementId::new("a-2026-1").unwrap(),
        author: PersonId::new(person).unwrap(),
    };
    stage.analysis.call(&call).await.unwrap()
}

#[tokio::test]
async fn statistic_that_is_close_to_an_earlier_one_is_flagged_and_stays_so() {
    let stage = Stage::start().await;
    let mut close = submission("sato", table());
    let clean = stage.analysis.call(&preview_of(&close)).await.unwrap();
    assert!(clean.iter().all(|said| said.rule != "differencing"));
    close.seen = Some(Seen {
        row: Some(0),
        column: Some(1),
        earlier: Some("job 3".to_owned()),
    });
    let said = stage.analysis.call(&preview_of(&close)).await.unwrap();
    let flagged = said
        .iter()
        .find(|said| said.rule == "differencing")
        .unwrap();
    assert_eq!(flagged.weight, Weight::Review);
    assert_eq!(flagged.place.en, "row 1, column 2");
    assert!(flagged.text.en.contains("(job 3)"), "{}", flagged.text.en);
    assert!(flagged.text.ja.contains("(job 3)"), "{}", flagged.text.ja);
    stage.submit(&close).await.unwrap();
    assert_eq!(own(&stage, "sato").await[0].findings, said);
}

/// Submits a table, and two reviewers send it back.
async fn returned(stage: &Stage) -> OutputId {
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let output = submit.output;
    stage.vote("mori", &output, "accept", "").await;
    stage
        .vote("ueda", &output, "refuse", "name+the+regions")
        .await;
    assert_eq!(stage.settled(&output).await, OutputState::Returned);
    output
}

#[tokio::test]
async fn preview_says_what_submission_would_find_and_stores_nothing() {
    let stage = Stage::start().await;
    let mut thin = submission("sato", table());
    table_of(&mut thin).rows[1][1] = cell(Value::Int(9), 9);
    let said = stage.analysis.call(&preview_of(&thin)).await.unwrap();
    assert_eq!(said[0].weight, Weight::Fail);
    assert_eq!(said[0].rule, "threshold");
    assert_eq!(said[0].place.en, "row 2, column 2");
    assert_eq!(said[0].place.ja, "2行目 2列目");
    assert_eq!(
        said[0].text.en,
        "Fewer than 10 contributors. Merge the group with a similar one, or leave the row out by a \
         condition."
    );
    assert!(
        said[0]
            .text
            .ja
            .starts_with("寄与者が10名未満です。近い群と")
    );
    assert_eq!(stage.ledger(), Vec::<String>::new());
    assert_eq!(stage.snapshot(), Snapshot::default());
    // The same as what is said once it is submitted.
    stage.submit(&thin).await.unwrap();
    assert_eq!(own(&stage, "sato").await[0].findings, said);
    let mut ragged = preview_of(&thin);
    if let Content::Table(table) = &mut ragged.content {
        table.rows[0].pop();
    }
    assert_eq!(
        refused(stage.analysis.call(&ragged).await.unwrap_err()),
        "table-shape"
    );
    let mut lax = preview_of(&thin);
    lax.sdc_profile = "lax".to_owned();
    assert_eq!(
        refused(stage.analysis.call(&lax).await.unwrap_err()),
        "profile-unknown"
    );
}

/// A program that has read rows could write them into column names and places of findings.
#[tokio::test]
async fn findings_of_a_program_say_neither_places_nor_its_words() {
    let stage = Stage::start().await;
    let mut submit = of_program("TANAKA HANAKO 1961-04-01", 9);
    submit.title = "TANAKA HANAKO".to_owned();
    submit.purpose = "1961-04-01".to_owned();
    let said = stage.analysis.call(&preview_of(&submit)).await.unwrap();
    let summary: Vec<(&str, Weight)> = said.iter().map(|s| (s.rule.as_str(), s.weight)).collect();
    assert_eq!(
        summary,
        [
            ("few-read", Weight::Fail),
            ("small-count", Weight::Fail),
            ("uncounted", Weight::Review)
        ]
    );
    stage.submit(&submit).await.unwrap();
    let details = own(&stage, "sato").await;
    assert_eq!(details[0].findings, said);
    assert_eq!(details[0].summary.title, submit.output.to_string());
    let wire = serde_json::to_string(&(said.clone(), details)).unwrap();
    for told in ["TANAKA", "1961", "row 1", "column"] {
        assert!(!wire.contains(told), "{told}: {wire}");
    }
    let is_placeless = |said: &Said| said.place.en.is_empty() || said.place.en == "as a whole";
    assert!(said.iter().all(is_placeless));
}

#[tokio::test]
async fn authors_read_their_own_outputs_only_with_what_they_wrote_and_what_came_back() {
    let stage = Stage::start().await;
    let mut submit = submission("sato", table());
    submit.method = "COUNT by region\nof 2024".to_owned();
    stage.submit(&submit).await.unwrap();
    stage.submit(&submission("hara", table())).await.unwrap();
    let details = own(&stage, "sato").await;
    assert_eq!(details.len(), 1);
    assert_eq!(details[0].summary.output, submit.output);
    assert_eq!(details[0].summary.title, submit.title);
    assert_eq!(details[0].purpose, submit.purpose);
    assert_eq!(details[0].method, submit.method);
    assert_eq!(details[0].summary.state, OutputState::Waiting);
    // Blind until both have voted, for the author too.
    stage.vote("mori", &submit.output, "refuse", "why").await;
    assert!(own(&stage, "sato").await[0].summary.comments.is_empty());
    stage.vote("ueda", &submit.output, "accept", "").await;
    let details = own(&stage, "sato").await;
    assert_eq!(details[0].summary.state, OutputState::Returned);
    assert_eq!(details[0].summary.comments, ["why"]);
    assert_eq!(own(&stage, "nobody").await, []);
}

#[tokio::test]
async fn returned_output_is_replaced_once_and_reviewers_see_what_was_said_before() {
    let stage = Stage::start().await;
    let first = returned(&stage).await;
    let mut second = submission("sato", table());
    second.title = "regions, named".to_owned();
    second.method = format!("as before, {MARKUP}");
    second.replaces = Some(first.clone());
    stage.submit(&second).await.unwrap();
    // Repeated, it is the same one.
    stage.submit(&second).await.unwrap();

    let details = own(&stage, "sato").await;
    let of = |output: &OutputId| {
        let found = details.iter().find(|d| d.summary.output == *output);
        found.unwrap().clone()
    };
    assert_eq!(of(&first).replaced_by, Some(second.output.clone()));
    assert_eq!(of(&second.output).replaces, Some(first.clone()));
    assert_eq!(of(&second.output).replaced_by, None);

    let path = format!("/review/output/{}", second.output);
    let page = stage.get("mori", Lang::En, &path).await.text();
    assert!(page.contains("In place of"), "{page}");
    assert!(page.contains(&format!("href=\"/review/output/{first}\"")));
    assert!(page.contains("name the regions"));
    assert!(page.contains("How it was made") && !page.contains(MARKUP));
    let page = stage
        .get("mori", Lang::Ja, &format!("/review/output/{first}"))
        .await
        .text();
    assert!(page.contains("差し替え後の成果物") && page.contains(second.output.as_str()));

    let mut third = submission("sato", table());
    third.replaces = Some(first);
    assert_eq!(
        refused(stage.submit(&third).await.unwrap_err()),
        "replaces-not-returned"
    );
    // What waits can't be replaced; once it came back, it is the next link of the chain.
    third.replaces = Some(second.output.clone());
    assert_eq!(
        refused(stage.submit(&third).await.unwrap_err()),
        "replaces-not-returned"
    );
    for reviewer in ["mori", "ueda"] {
        stage.vote(reviewer, &second.output, "refuse", "no").await;
    }
    assert_eq!(stage.settled(&second.output).await, OutputState::Rejected);
    stage.submit(&third).await.unwrap();
}

#[tokio::test]
async fn nobody_replaces_what_is_not_their_own_or_left_or_is_not_there() {
    let stage = Stage::start().await;
    let returned = returned(&stage).await;
    let mut released = submission("sato", table());
    released.output = OutputId::random().unwrap();
    stage.submit(&released).await.unwrap();
    for reviewer in ["mori", "ueda"] {
        stage.vote(reviewer, &released.output, "accept", "").await;
    }
    assert_eq!(stage.settled(&released.output).await, OutputState::Released);
    let before = stage.ledger();
    let anothers = Submit {
        replaces: Some(returned.clone()),
        ..submission("hara", table())
    };
    let elsewhere = Submit {
        replaces: Some(returned),
        agreement: AgreementId::new("a-2026-2").unwrap(),
        ..submission("sato", table())
    };
    let left = Submit {
        replaces: Some(released.output),
        ..submission("sato", table())
    };
    let invented = Submit {
        replaces: Some(OutputId::random().unwrap()),
        ..submission("sato", table())
    };
    let mut itself = submission("sato", table());
    itself.replaces = Some(itself.output.clone());
    for submit in [anothers, elsewhere, left, invented, itself] {
        assert_eq!(
            refused(stage.submit(&submit).await.unwrap_err()),
            "replaces-not-returned",
            "{submit:?}"
        );
    }
    assert_eq!(stage.ledger(), before, "a refusal leaves no entry");

    let mut thin = submission("sato", table());
    table_of(&mut thin).rows[1][1] = cell(Value::Int(9), 9);
    stage.submit(&thin).await.unwrap();
    let mut again = submission("sato", table());
    again.replaces = Some(thin.output);
    stage.submit(&again).await.unwrap();
}

#[tokio::test]
async fn method_is_bounded_and_holds_no_control_characters() {
    let stage = Stage::start().await;
    let mut long = submission("sato", table());
    long.method = "あ".repeat(2_001);
    assert_eq!(
        refused(stage.submit(&long).await.unwrap_err()),
        "method-length"
    );
    long.method = "\u{1b}[2J".to_owned();
    assert_eq!(
        refused(stage.submit(&long).await.unwrap_err()),
        "control-characters"
    );
    long.method = "あ".repeat(2_000);
    stage.submit(&long).await.unwrap();
}

#[tokio::test]
async fn only_analysis_servers_preview_and_ask_for_authors_outputs() {
    let stage = Stage::start().await;
    let preview = preview_of(&submission("sato", table()));
    let outputs = SessionOutputs {
        agreement: AgreementId::new("a-2026-1").unwrap(),
        author: PersonId::new("sato").unwrap(),
    };
    for uri in ["kekkai://gateway", "kekkai://policy", "kekkai://admin/endo"] {
        let client = stage.client_of(uri);
        assert_eq!(
            refused(client.call(&preview).await.unwrap_err()),
            "caller-not-allowed",
            "{uri}"
        );
        assert_eq!(
            refused(client.call(&outputs).await.unwrap_err()),
            "caller-not-allowed",
            "{uri}"
        );
    }
}

/// A database as version 2 wrote it: no columns to look things up by, no method, nothing replaced.
#[tokio::test]
async fn database_of_the_version_before_opens_and_its_outputs_can_be_replaced() {
    let mut stage = Stage::start().await;
    let output = returned(&stage).await;
    stage.kill();
    let sealer = Sealer::new(&KeyText::new([0x5a; 32]));
    {
        let db = stage.intruder();
        let place = format!("head/{output}");
        let sealed: Vec<u8> = db
            .query_row("SELECT head FROM outputs", [], |row| row.get(0))
            .unwrap();
        let opened = sealer.open(&place, &sealed).unwrap();
        let mut head: serde_json::Value = serde_json::from_slice(&opened).unwrap();
        for added in ["method", "replaces"] {
            assert!(head.as_object_mut().unwrap().remove(added).is_some());
        }
        let sealed = sealer.seal(&place, head.to_string().as_bytes()).unwrap();
        db.execute("UPDATE outputs SET head = ?1", params![sealed])
            .unwrap();
        db.execute_batch(
            "DROP INDEX outputs_of; DROP INDEX outputs_replaces;
             ALTER TABLE outputs DROP COLUMN agreement; ALTER TABLE outputs DROP COLUMN author;
             ALTER TABLE outputs DROP COLUMN replaces; PRAGMA user_version = 2;",
        )
        .unwrap();
    }
    stage.start_review().await;
    let details = own(&stage, "sato").await;
    assert_eq!(details[0].summary.output, output);
    assert_eq!(details[0].summary.comments, ["name the regions"]);
    assert_eq!(details[0].method, "");
    let mut again = submission("sato", table());
    again.replaces = Some(output);
    stage.submit(&again).await.unwrap();
    stage.kill();
    stage.start_review().await;
    assert_eq!(own(&stage, "sato").await.len(), 2);
}

/// The columns are an index; what counts is sealed.
#[tokio::test]
async fn links_and_owners_written_behind_the_services_back_show_nothing() {
    let stage = Stage::start().await;
    let output = returned(&stage).await;
    let other = submission("hara", table());
    stage.submit(&other).await.unwrap();
    stage
        .intruder()
        .execute(
            "UPDATE outputs SET author = 'sato', replaces = ?1 WHERE id = ?2",
            params![output.as_str(), other.output.as_str()],
        )
        .unwrap();
    let details = own(&stage, "sato").await;
    assert_eq!(details.len(), 1);
    assert_eq!(details[0].replaced_by, None);
    let page = stage
        .get("mori", Lang::En, &format!("/review/output/{output}"))
        .await;
    assert!(!page.text().contains(other.output.as_str()));
}
