//! Who can make an output leave: two reviewers, neither the author, on the very bytes that leave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{Asked, Snapshot, Stage, release_key, submission, table, table_of};
use kekkai_policy_api::{Action, Event};
use kekkai_review_api::OutputState;
use kekkai_service::CallError;
use kekkai_types::{Digest, Lang, OutputId};

fn refused(error: CallError) -> String {
    match error {
        CallError::Refused(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn two_reviewers_release_exactly_the_approved_bytes() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    let digest = stage.submit(&submit).await.unwrap();
    assert_eq!(digest, submit.content.digest().unwrap());
    let id = &submit.output;

    assert_eq!(stage.vote("mori", id, "accept", "").await.status, 303);
    assert_eq!(stage.state_of(id).await, OutputState::HalfVoted);
    assert_eq!(
        stage
            .vote("ueda", id, "accept", "fine%1B%5B2J%0D%0Areally")
            .await
            .status,
        303
    );
    assert_eq!(stage.state_of(id).await, OutputState::Released);

    let page = stage
        .get("ito", Lang::Ja, &format!("/release/{id}/bundle"))
        .await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.headers["content-disposition"],
        format!("attachment; filename=\"{id}.kekkai-release.json\"")
    );
    let verified = kekkai_bundle::verify(&page.body, &release_key()).unwrap();
    assert_eq!(verified.csv(), table_of(&mut submit.clone()).released_csv());
    assert_eq!(verified.record.digest, digest);
    assert!(
        !page.text().contains("4321"),
        "contributor counts stay inside"
    );

    // The ledger heard of each step first, and named the very bundle.
    assert_eq!(
        stage.ledger(),
        [
            "output-submitted",
            "output-voted",
            "output-voted",
            "output-released",
            "bundle-fetched"
        ]
    );
    let world = stage.world.lock().unwrap();
    let (index, released) = world
        .events()
        .into_iter()
        .enumerate()
        .find(|(_, event)| matches!(event, Event::OutputReleased { .. }))
        .unwrap();
    let Event::OutputReleased {
        bundle,
        digest: named,
        reviewers,
        ..
    } = released
    else {
        unreachable!()
    };
    assert_eq!(bundle, verified.digest);
    assert_eq!(named, digest.0);
    assert_eq!(reviewers, verified.record.reviewers);
    assert_eq!(u64::try_from(index).unwrap(), verified.ledger_index);
}

#[tokio::test]
async fn every_effect_comes_after_its_entry() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    stage.vote("mori", &submit.output, "accept", "").await;
    stage.vote("ueda", &submit.output, "accept", "").await;
    let world = stage.world.lock().unwrap();
    assert_eq!(world.at("output-submitted"), Snapshot::default());
    let waiting = Snapshot {
        states: vec!["waiting".to_owned()],
        votes: 0,
        bundles: 0,
        ..Snapshot::default()
    };
    assert_eq!(world.at("output-voted"), waiting);
    let both = Snapshot {
        states: vec!["half-voted".to_owned()],
        votes: 2,
        bundles: 0,
        ..Snapshot::default()
    };
    assert_eq!(world.at("output-released"), both);
    drop(world);
    let released = Snapshot {
        states: vec!["released".to_owned()],
        votes: 2,
        bundles: 1,
        ..Snapshot::default()
    };
    assert_eq!(stage.snapshot(), released);
}

#[tokio::test]
async fn author_cannot_approve_own_output() {
    let stage = Stage::start().await;
    // Hara is a reviewer who also did research.
    let submit = submission("hara", table());
    let digest = stage.submit(&submit).await.unwrap();
    let form = format!("csrf=x&digest={}&round=1&vote=accept&comment=", digest.0);
    assert_eq!(
        stage
            .get(
                "hara",
                Lang::En,
                &format!("/review/output/{}", submit.output)
            )
            .await
            .status,
        403
    );
    assert_eq!(
        stage.post_vote("hara", &submit.output, &form).await.status,
        403
    );

    // A policy service that lets everything through changes nothing.
    stage.world.lock().unwrap().lenient = true;
    let page = stage
        .get(
            "hara",
            Lang::En,
            &format!("/review/output/{}", submit.output),
        )
        .await;
    assert_eq!(page.status, 200);
    assert!(!page.has_form());
    let page = stage.post_vote("hara", &submit.output, &form).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("Nobody votes on their own output"));
    let queue = stage.get("hara", Lang::En, "/review/").await.text();
    assert!(!queue.contains(&format!("/review/output/{}", submit.output)));

    assert_eq!(stage.snapshot().votes, 0);
    assert_eq!(
        stage.ledger(),
        ["output-submitted", "vote-refused", "vote-refused"]
    );
}

#[tokio::test]
async fn one_vote_is_not_enough_and_counts_once() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let page = stage
        .get(
            "mori",
            Lang::En,
            &format!("/review/output/{}", submit.output),
        )
        .await;
    let form = stage.form(&page, "accept", "");
    assert_eq!(
        stage.post_vote("mori", &submit.output, &form).await.status,
        303
    );
    // The same request again, and another one by the same person.
    assert_eq!(
        stage.post_vote("mori", &submit.output, &form).await.status,
        409
    );
    let other = stage.form(&page, "refuse", "changed");
    assert_eq!(
        stage.post_vote("mori", &submit.output, &other).await.status,
        409
    );

    assert_eq!(stage.state_of(&submit.output).await, OutputState::HalfVoted);
    assert_eq!(
        stage.snapshot(),
        Snapshot {
            states: vec!["half-voted".to_owned()],
            votes: 1,
            bundles: 0,
            ..Snapshot::default()
        }
    );
    assert_eq!(
        stage
            .get(
                "ito",
                Lang::En,
                &format!("/release/{}/bundle", submit.output)
            )
            .await
            .status,
        404
    );
    assert_eq!(
        stage.ledger(),
        [
            "output-submitted",
            "output-voted",
            "vote-refused",
            "vote-refused"
        ]
    );
}

#[tokio::test]
async fn vote_on_other_bytes_or_another_round_has_no_effect() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    let digest = stage.submit(&submit).await.unwrap();
    let other = Digest::of(b"other");
    for (digest, round) in [(other, 1), (digest.0, 0), (digest.0, 2)] {
        let form = format!("csrf=x&digest={digest}&round={round}&vote=accept&comment=");
        assert_eq!(
            stage.post_vote("mori", &submit.output, &form).await.status,
            409
        );
    }
    assert_eq!(stage.snapshot().votes, 0);
    assert_eq!(stage.state_of(&submit.output).await, OutputState::Waiting);
    let reasons: Vec<String> = stage
        .world
        .lock()
        .unwrap()
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::VoteRefused { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["other-bytes", "other-round", "other-round"]);
}

#[tokio::test]
async fn vote_that_was_made_for_one_output_counts_for_no_other() {
    let stage = Stage::start().await;
    let first = submission("sato", table());
    let mut changed = table();
    changed.rows.pop();
    let second = submission("sato", changed);
    stage.submit(&first).await.unwrap();
    stage.submit(&second).await.unwrap();
    let page = stage
        .get(
            "mori",
            Lang::En,
            &format!("/review/output/{}", first.output),
        )
        .await;
    let form = stage.form(&page, "accept", "");
    assert_eq!(
        stage.post_vote("mori", &second.output, &form).await.status,
        409
    );
    assert_eq!(stage.snapshot().votes, 0);
}

#[tokio::test]
async fn votes_are_blind_until_both_are_in() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let path = format!("/review/output/{}", submit.output);
    stage
        .vote("mori", &submit.output, "refuse", "unmistakable-words")
        .await;
    // Neither the second reviewer, nor another one, nor the author reads it.
    for reviewer in ["ueda", "kato"] {
        let page = stage.get(reviewer, Lang::En, &path).await.text();
        assert!(
            !page.contains("unmistakable-words") && !page.contains("<strong>mori"),
            "{page}"
        );
        assert!(!page.contains(">mori<"));
    }
    let mine = stage.get("mori", Lang::En, &path).await;
    assert!(mine.text().contains("unmistakable-words"));
    assert!(!mine.has_form());
    assert!(stage.list("sato").await.unwrap()[0].comments.is_empty());

    stage.vote("ueda", &submit.output, "accept", "").await;
    assert_eq!(stage.state_of(&submit.output).await, OutputState::Returned);
    let page = stage.get("ueda", Lang::En, &path).await;
    assert!(page.text().contains("unmistakable-words") && !page.has_form());
    assert_eq!(
        stage.list("sato").await.unwrap()[0].comments,
        ["unmistakable-words"]
    );
    assert_eq!(stage.ledger().last().unwrap(), "output-returned");
    assert_eq!(stage.snapshot().bundles, 0);
}

#[tokio::test]
async fn two_refusals_reject_and_no_vote_comes_after_the_end() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    let digest = stage.submit(&submit).await.unwrap();
    // A refusal says why, or is none.
    let page = stage.vote("mori", &submit.output, "refuse", "+%20+").await;
    assert_eq!(page.status, 422);
    assert_eq!(stage.ledger(), ["output-submitted"]);
    stage
        .vote("mori", &submit.output, "refuse", "too+fine")
        .await;
    stage
        .vote("ueda", &submit.output, "refuse", "too+fine+indeed")
        .await;
    assert_eq!(stage.state_of(&submit.output).await, OutputState::Rejected);
    let form = format!("csrf=x&digest={}&round=1&vote=accept&comment=", digest.0);
    assert_eq!(
        stage.post_vote("kato", &submit.output, &form).await.status,
        409
    );
    assert_eq!(
        stage.ledger(),
        [
            "output-submitted",
            "output-voted",
            "output-voted",
            "output-rejected",
            "vote-refused"
        ]
    );
    assert_eq!(
        stage
            .get(
                "ito",
                Lang::En,
                &format!("/release/{}/bundle", submit.output)
            )
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn output_that_fails_its_checks_never_comes_to_a_vote() {
    let stage = Stage::start().await;
    let mut small = table();
    small.rows[1][1] = common::cell(kekkai_output::Value::Int(9), 9);
    let submit = submission("sato", small);
    let digest = stage.submit(&submit).await.unwrap();
    assert_eq!(
        stage.state_of(&submit.output).await,
        OutputState::FailedChecks
    );
    for reviewer in ["mori", "ueda"] {
        let page = stage
            .get(
                reviewer,
                Lang::En,
                &format!("/review/output/{}", submit.output),
            )
            .await;
        assert!(!page.has_form());
        let form = format!("csrf=x&digest={}&round=1&vote=accept&comment=", digest.0);
        assert_eq!(
            stage
                .post_vote(reviewer, &submit.output, &form)
                .await
                .status,
            409
        );
    }
    assert_eq!(stage.ledger()[..2], ["output-submitted", "output-rejected"]);
    assert_eq!(
        stage.snapshot(),
        Snapshot {
            states: vec!["failed-checks".to_owned()],
            votes: 0,
            bundles: 0,
            ..Snapshot::default()
        }
    );
    // The author reads what to change, without a count.
    let comments = &stage.list("sato").await.unwrap()[0].comments;
    assert_eq!(comments, &["2行目 2列目: 寄与者が10名未満です。"]);
}

#[tokio::test]
async fn repeated_submission_submits_once_and_another_table_under_its_id_is_refused() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    let digest = stage.submit(&submit).await.unwrap();
    assert_eq!(stage.submit(&submit).await.unwrap(), digest);
    let mut other = submit.clone();
    table_of(&mut other).rows.pop();
    assert_eq!(
        refused(stage.submit(&other).await.unwrap_err()),
        "output-exists"
    );
    let mut other = submit.clone();
    other.author = kekkai_types::PersonId::new("hara").unwrap();
    assert_eq!(
        refused(stage.submit(&other).await.unwrap_err()),
        "output-exists"
    );
    // Another server may not take the id over either.
    let intruder = stage.client_of("kekkai://analysis/a2");
    assert_eq!(
        refused(intruder.call(&submit).await.unwrap_err()),
        "output-exists"
    );
    assert_eq!(stage.ledger(), ["output-submitted"]);
}

#[tokio::test]
async fn malformed_submissions_are_refused() {
    let stage = Stage::start().await;
    let mut ragged = submission("sato", table());
    table_of(&mut ragged).rows[0].pop();
    assert_eq!(
        refused(stage.submit(&ragged).await.unwrap_err()),
        "table-shape"
    );
    let mut lax = submission("sato", table());
    lax.sdc_profile = "lax".to_owned();
    assert_eq!(
        refused(stage.submit(&lax).await.unwrap_err()),
        "profile-unknown"
    );
    let mut untitled = submission("sato", table());
    untitled.title = " ".to_owned();
    assert_eq!(
        refused(stage.submit(&untitled).await.unwrap_err()),
        "title-length"
    );
    for title in ["two\nlines", "\u{1b}[2J", "bell\u{7}"] {
        let mut active = submission("sato", table());
        active.title = title.to_owned();
        assert_eq!(
            refused(stage.submit(&active).await.unwrap_err()),
            "control-characters"
        );
    }
    let mut wide = submission("sato", table());
    table_of(&mut wide).rows.clear();
    let column = table_of(&mut wide).columns[0].clone();
    table_of(&mut wide).columns = vec![column; 1_001];
    assert_eq!(
        refused(stage.submit(&wide).await.unwrap_err()),
        "table-columns"
    );
    // Only an analysis server submits.
    let gateway = stage.client_of("kekkai://gateway");
    let submit = submission("sato", table());
    assert_eq!(
        refused(gateway.call(&submit).await.unwrap_err()),
        "caller-not-allowed"
    );
    assert!(stage.ledger().is_empty());
}

#[tokio::test]
async fn ended_agreement_takes_no_votes() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    stage.world.lock().unwrap().ended = true;
    let page = stage.vote("mori", &submit.output, "accept", "").await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("agreement has ended"));
    assert_eq!(stage.snapshot().votes, 0);
}

#[tokio::test]
async fn people_see_their_own_outputs_and_investigators_the_project() {
    let stage = Stage::start().await;
    stage.submit(&submission("sato", table())).await.unwrap();
    stage.submit(&submission("hara", table())).await.unwrap();
    assert_eq!(stage.list("sato").await.unwrap().len(), 1);
    assert_eq!(stage.list("ito").await.unwrap().len(), 2);
    assert_eq!(refused(stage.list("mori").await.unwrap_err()), "not-found");
    assert_eq!(
        refused(stage.list("nobody").await.unwrap_err()),
        "not-found"
    );
}

#[tokio::test]
async fn release_is_fetched_only_by_whom_the_policy_allows_and_each_time_recorded() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    stage.vote("mori", &submit.output, "accept", "").await;
    stage.vote("ueda", &submit.output, "accept", "").await;
    let path = format!("/release/{}/bundle", submit.output);
    for person in ["sato", "mori", "nobody"] {
        assert_eq!(
            stage.get(person, Lang::En, &path).await.status,
            403,
            "{person}"
        );
    }
    assert_eq!(stage.get("ito", Lang::En, &path).await.status, 200);
    assert_eq!(stage.get("ito", Lang::En, &path).await.status, 200);
    let fetched = stage
        .ledger()
        .iter()
        .filter(|kind| *kind == "bundle-fetched")
        .count();
    assert_eq!(fetched, 2);
    let world = stage.world.lock().unwrap();
    assert_eq!(
        common::deciders(&world, Action::FetchRelease)
            .into_iter()
            .collect::<Vec<_>>(),
        ["ito"]
    );
    // Asked, then recorded, then sent.
    let last = world.asked.len() - 1;
    assert!(matches!(
        &world.asked[last],
        Asked::Recorded(Event::BundleFetched { .. }, _)
    ));
    assert!(matches!(
        &world.asked[last - 1],
        Asked::Decided(_, Action::FetchRelease, _, true)
    ));
}

#[tokio::test]
async fn two_votes_at_the_same_moment_are_a_first_and_a_second() {
    let stage = Stage::start().await;
    let submit = submission("sato", table());
    stage.submit(&submit).await.unwrap();
    let (a, b) = tokio::join!(
        stage.vote("mori", &submit.output, "accept", ""),
        stage.vote("ueda", &submit.output, "accept", "")
    );
    assert_eq!((a.status, b.status), (303, 303));
    assert_eq!(stage.settled(&submit.output).await, OutputState::Released);
    let released = stage
        .ledger()
        .iter()
        .filter(|kind| *kind == "output-released")
        .count();
    assert_eq!(released, 1);
}

#[tokio::test]
async fn unknown_output_cannot_be_voted_on() {
    let stage = Stage::start().await;
    let id = OutputId::random().unwrap();
    let form = format!(
        "csrf=x&digest={}&round=1&vote=accept&comment=",
        Digest::of(b"")
    );
    assert_eq!(stage.post_vote("mori", &id, &form).await.status, 404);
    assert_eq!(stage.post_vote("mori", &id, "digest=x").await.status, 400);
    assert_eq!(stage.ledger(), ["vote-refused"]);
}

#[tokio::test]
async fn one_author_cannot_fill_the_queue() {
    let stage = Stage::start().await;
    for _ in 0..20 {
        stage.submit(&submission("sato", table())).await.unwrap();
    }
    let entries = stage.ledger().len();
    let refusal = stage
        .submit(&submission("sato", table()))
        .await
        .unwrap_err();
    assert_eq!(refused(refusal), "author-queue-full");
    assert_eq!(stage.ledger().len(), entries);
    stage.submit(&submission("hara", table())).await.unwrap();
}
