//! When the rules change, what waits is checked anew and its votes are asked for again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{Stage, submission, table, table_of};
use kekkai_output::Content;
use kekkai_policy_api::Event;
use kekkai_review::model::{Head, Vote};
use kekkai_review::state::Step;
use kekkai_review::store::Store;
use kekkai_review_api::{OutputState, Submit};
use kekkai_types::{Digest, KeyText, PersonId, Timestamp};

/// Turns an output into one that an earlier version had checked, with one vote: what an upgrade
/// finds. Needs the storage key, as that version had it.
fn age(stage: &Stage, submit: &Submit) {
    let store = Store::open(&stage.dir.path().join("state"), &KeyText::new([0x5a; 32])).unwrap();
    let listed = store.find(&submit.output).unwrap().unwrap();
    let mut head: Head = listed.head.clone();
    head.report.profile_hash = Digest::of(b"rules of last year");
    head.report.findings.clear();
    head.report.verdict = kekkai_checks::Verdict::Pass;
    store
        .recheck(&listed, &head, Step::Rechecked, Timestamp(1))
        .unwrap();
    let vote = Vote {
        reviewer: PersonId::new("mori").unwrap(),
        accept: true,
        digest: head.digest,
        comment: String::new(),
        at: Timestamp(2),
    };
    store.vote(&submit.output, 2, &vote, true, None).unwrap();
}

#[tokio::test]
async fn votes_under_old_rules_are_annulled_and_given_again() {
    let mut stage = Stage::start().await;
    let submit = submission("sato", table());
    let digest = stage.submit(&submit).await.unwrap();
    stage.kill();
    age(&stage, &submit);
    stage.start_review().await;
    let annulled = |event: &Event| matches!(event, Event::VoteRefused { reason, .. } if reason == "rules-changed");
    let began = std::time::Instant::now();
    while !stage.world.lock().unwrap().events().iter().any(annulled) {
        assert!(began.elapsed() < common::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // A form of the old round has no effect.
    let form = format!("csrf=x&digest={}&round=2&vote=accept&comment=", digest.0);
    assert_eq!(
        stage.post_vote("ueda", &submit.output, &form).await.status,
        409
    );
    assert_eq!(
        stage
            .vote("ueda", &submit.output, "accept", "")
            .await
            .status,
        303
    );
    assert_eq!(stage.state_of(&submit.output).await, OutputState::HalfVoted);
    assert_eq!(
        stage
            .vote("mori", &submit.output, "accept", "")
            .await
            .status,
        303
    );
    assert_eq!(stage.state_of(&submit.output).await, OutputState::Released);
}

#[tokio::test]
async fn output_that_fails_the_new_rules_is_withdrawn_from_review() {
    let mut stage = Stage::start().await;
    let mut loose = submission("sato", table());
    table_of(&mut loose).rows[0][1] = common::cell(kekkai_output::Value::Int(9), 9);
    // The present rules refuse it, so it is brought in through the earlier version's door.
    let mut harmless = loose.clone();
    harmless.content = Content::Table(table());
    stage.submit(&harmless).await.unwrap();
    stage.kill();
    age(&stage, &harmless);
    {
        let store =
            Store::open(&stage.dir.path().join("state"), &KeyText::new([0x5a; 32])).unwrap();
        let mut head = store.find(&harmless.output).unwrap().unwrap().head;
        head.output = kekkai_types::OutputId::random().unwrap();
        head.digest = loose.content.digest().unwrap();
        loose.output = head.output.clone();
        store
            .insert(&head, &loose.content, Step::Submitted)
            .unwrap();
    }
    stage.start_review().await;
    assert_eq!(
        stage.settled(&loose.output).await,
        OutputState::FailedChecks
    );
    let rejected = stage.world.lock().unwrap().events().into_iter().any(
        |event| matches!(event, Event::OutputRejected { output, .. } if output == loose.output),
    );
    assert!(rejected);
}
