//! A hostile worker, a lost lease, a ledger that refuses: nothing is given out. Real processes in real
//! jails, real services on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kekkai_analysis::routes::submit;
use kekkai_analysis::session::{Session, Words};
use kekkai_analysis_api::{Job, JobState, SqlErrorCode, SubmitOutput};
use kekkai_policy_api::{EndReason, Event};
use kekkai_sys::Spawner;
use kekkai_types::{JobId, Lang};
use support::{LONG, Stage, keys, stage, terms, workers};

/// One scene at a time: they count the workers of this process.
static ALONE: Mutex<()> = Mutex::new(());

/// The spawner is forked first, as in `main`; its parent thread lives as long as the test.
fn play<F: Future<Output = ()>>(scene: impl FnOnce(Stage) -> F) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let spawner = Spawner::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { scene(stage(spawner).await).await });
}

async fn run(session: &std::sync::Arc<Session>, sql: &str) -> Result<Job, String> {
    let id = session
        .query(sql)
        .await
        .map_err(|refusal| refusal.to_string())?;
    session
        .wait_job(&id, LONG, 0)
        .await
        .map_err(|refusal| refusal.to_string())
}

fn words() -> Words {
    Words {
        title: "t".to_owned(),
        purpose: "p".to_owned(),
        ..Words::default()
    }
}

fn internal(job: &Job) -> bool {
    matches!(&job.state, JobState::Failed(error) if error.code == SqlErrorCode::Internal)
}

#[test]
fn honest_answer_is_recorded_before_it_is_given_out() {
    play(|stage| async move {
        let start = Instant::now();
        let session = stage.session(60).await;
        println!("launch without TPM: {:?}", start.elapsed());
        let job = run(&session, "SELECT count(*) FROM visits").await.unwrap();
        assert!(matches!(&job.state, JobState::Done(Some(table)) if table.rows.len() == 1));
        assert!(matches!(
            session.list().unwrap()[0].state,
            JobState::Done(None)
        ));
        assert_eq!(
            stage.script.kinds(),
            ["session-launched", "query-started", "query-ended"]
        );
        // The catalogue that is shown holds granted columns only.
        let columns = &session.terms().catalogs[0].tables[0].columns;
        assert_eq!(
            columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            ["kind"]
        );
        let layers = match &stage.script.events.lock().unwrap()[0] {
            Event::SessionLaunched { layers, waived, .. } => {
                assert!(waived.is_empty());
                layers.clone()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(layers.len(), 10, "{layers:?}");
    });
}

#[test]
fn tables_that_do_not_fit_their_job_are_not_given_out() {
    play(|stage| async move {
        let session = stage.session(60).await;
        for sql in [
            "few",
            "dominated",
            "other-sql",
            "other-threshold",
            "ragged",
            "no-populations",
        ] {
            let job = run(&session, sql).await.unwrap();
            assert!(internal(&job), "{sql}: {job:?}");
            assert_eq!(stage.script.last_outcome(), "failed: not-believed", "{sql}");
            let refusal = session
                .submit(job.job, words(), Lang::En)
                .await
                .unwrap_err();
            assert_eq!(refusal.code, "job-has-no-result");
        }
        // An honest answer still passes.
        assert!(matches!(
            run(&session, "x").await.unwrap().state,
            JobState::Done(Some(_))
        ));
    });
}

#[test]
fn worker_that_breaks_the_protocol_is_killed_with_its_session() {
    play(|stage| async move {
        for sql in [
            "oversized",
            "garbage",
            "descriptors",
            "unknown-job",
            "twice",
            "cancelled-unasked",
            "jailed-again",
            "die",
            "forbidden",
            "flood",
        ] {
            let session = stage.session(60).await;
            let result = run(&session, sql).await;
            // "twice" may be seen done once before the second answer arrives.
            let given_out =
                matches!(&result, Ok(job) if matches!(job.state, JobState::Done(Some(_))));
            assert!(!given_out || sql == "twice", "{sql}: {result:?}");
            let reason = tokio::time::timeout(LONG, session.wait_end())
                .await
                .unwrap();
            assert_eq!(reason, EndReason::ServerLost, "{sql}");
            assert_eq!(
                run(&session, "x").await.unwrap_err(),
                "session-ended: server-lost"
            );
        }
        let deadline = Instant::now() + LONG;
        while workers() > 0 || stage.script.closed.lock().unwrap().len() < 10 {
            assert!(Instant::now() < deadline, "{} workers are left", workers());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(stage.broker.running().is_empty());
    });
}

#[test]
fn worker_that_is_not_jailed_is_given_nothing() {
    play(|stage| async move {
        for (how, code) in [
            (101, "jail-unavailable"),
            (102, "jail-unavailable"),
            (103, "jail-unavailable"),
            (104, "jail-unavailable"),
        ] {
            let refusal = stage
                .broker
                .bring_up(&terms(how, 60), keys())
                .await
                .unwrap_err();
            assert_eq!(refusal.code, code, "{how}: {refusal}");
        }
        assert!(stage.script.kinds().is_empty(), "nothing was launched");
        let refusal = stage
            .broker
            .bring_up(&terms(105, 60), keys())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, "data-unavailable");
        assert!(!refusal.detail.contains('\u{7}') && refusal.detail.len() < 1000);
        assert_eq!(workers(), 0);
    });
}

#[test]
fn what_cannot_be_recorded_does_not_happen() {
    play(|stage| async move {
        *stage.script.refuse.lock().unwrap() = Some("session-launched");
        let refusal = stage
            .broker
            .bring_up(&terms(200, 60), keys())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, "ledger-unavailable");
        assert_eq!(workers(), 0);

        *stage.script.refuse.lock().unwrap() = Some("query-started");
        let session = stage.session(60).await;
        assert_eq!(
            run(&session, "die").await.unwrap_err(),
            "ledger-unavailable"
        );
        assert!(session.list().unwrap().is_empty());
        assert_eq!(session.end_reason(), None, "the statement was not sent");

        *stage.script.refuse.lock().unwrap() = Some("query-ended");
        let job = run(&session, "x").await.unwrap();
        assert!(internal(&job), "{job:?}");
    });
}

#[test]
fn lost_lease_kills_the_worker_within_5_s() {
    play(|stage| async move {
        let session = stage.session(60).await;
        let other = stage.session(60).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(workers(), 2);

        // No answer at all.
        stage.script.silent.store(true, Ordering::SeqCst);
        let start = Instant::now();
        while workers() > 0 {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "a worker outlived its lease"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("killed after {:?} of silence", start.elapsed());
        assert!(
            start.elapsed() > Duration::from_secs(2),
            "one slow answer is no silence"
        );
        assert_eq!(session.wait_end().await, EndReason::ServiceUnavailable);
        assert_eq!(other.wait_end().await, EndReason::ServiceUnavailable);
        stage.script.silent.store(false, Ordering::SeqCst);

        // Ended by the policy service.
        let session = stage.session(60).await;
        let waiting = session.query("slow").await.unwrap();
        *stage.script.lease.lock().unwrap() = Some(EndReason::AgreementEnded);
        let start = Instant::now();
        let refusal = session.wait_job(&waiting, LONG, 0).await.unwrap_err();
        assert_eq!(refusal.to_string(), "session-ended: agreement-ended");
        while workers() > 0 {
            assert!(start.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("killed {:?} after the revocation", start.elapsed());
        let refusal = loop {
            match stage.broker.session(session.id()) {
                Err(refusal) => break refusal,
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert_eq!(refusal.to_string(), "session-ended: agreement-ended");
    });
}

#[test]
fn cancelling_and_the_time_limit_stop_a_query_and_kill_a_deaf_worker() {
    play(|stage| async move {
        let session = stage.session(60).await;
        let id = session.query("slow").await.unwrap();
        session.cancel(&id).await.unwrap();
        let job = session
            .wait_job(&id, Duration::from_secs(1), 0)
            .await
            .unwrap();
        assert_eq!(job.state, JobState::Cancelled { by_limit: false });
        assert_eq!(stage.script.last_outcome(), "cancelled");
        let unknown = JobId::new("99").unwrap();
        assert_eq!(
            session.cancel(&unknown).await.unwrap_err().code,
            "not-found"
        );

        let limited = stage.session(1).await;
        let job = run(&limited, "slow").await.unwrap();
        assert_eq!(job.state, JobState::Cancelled { by_limit: true });
        assert_eq!(stage.script.last_outcome(), "time-limit");

        // A worker that doesn't stop: the person hears of the cancellation within about a second, the
        // worker dies.
        let start = Instant::now();
        let id = session.query("deaf").await.unwrap();
        session.cancel(&id).await.unwrap();
        let job = session.wait_job(&id, LONG, 0).await.unwrap();
        assert_eq!(job.state, JobState::Cancelled { by_limit: false });
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(session.wait_end().await, EndReason::ServerLost);
        assert!(start.elapsed() < Duration::from_secs(8));
    });
}

#[test]
fn output_is_submitted_once_though_the_answer_is_lost() {
    play(|stage| async move {
        let session = stage.session(60).await;
        let job = run(&session, "x").await.unwrap().job;
        let call = |title: &str| SubmitOutput {
            session: session.id().clone(),
            job: job.clone(),
            title: title.to_owned(),
            purpose: "for the paper".to_owned(),
            lang: Lang::En,
        };
        *stage.script.lose_answers.lock().unwrap() = 1;
        let output = submit(&stage.broker, call("Table 1")).await.unwrap();
        assert_eq!(
            submit(&stage.broker, call("Table 1")).await.unwrap(),
            output
        );
        {
            let stored = stage.script.submitted.lock().unwrap();
            assert_eq!(stored.len(), 1);
            assert_eq!(
                stored[0].author.as_str(),
                "sato",
                "from the terms, not from the caller"
            );
            assert_eq!(stored[0].sdc_profile, "strict");
        }
        for title in ["", "  ", &"x".repeat(201)] {
            let refusal = submit(&stage.broker, call(title)).await.unwrap_err();
            assert_eq!(refusal.code, "text-length");
        }
        session.end(EndReason::Idle).await;
        let refusal = submit(&stage.broker, call("Table 2")).await.unwrap_err();
        assert_eq!(refusal.to_string(), "session-ended: idle");
    });
}

#[test]
fn jobs_and_sessions_are_bounded() {
    play(|stage| async move {
        let session = stage.session(60).await;
        for _ in 0..4 {
            session.query("slow").await.unwrap();
        }
        assert_eq!(
            session.query("slow").await.unwrap_err().code,
            "too-many-active-jobs"
        );
        let long = "x".repeat(64 * 1024 + 1);
        assert_eq!(session.query(&long).await.unwrap_err().code, "sql-too-long");
    });
}

#[test]
fn draining_ends_sessions_and_says_so() {
    play(|stage| async move {
        let session = stage.session(60).await;
        stage.broker.drain().await;
        assert_eq!(session.end_reason(), Some(EndReason::ServerLost));
        assert_eq!(workers(), 0);
        let told = stage.script.closed.lock().unwrap().clone();
        assert_eq!(told, [(session.id().clone(), EndReason::ServerLost)]);
        let late = stage
            .broker
            .bring_up(&terms(200, 60), keys())
            .await
            .unwrap()
            .0;
        assert!(stage.broker.adopt(late.clone()).is_err());
        late.wait_end().await;
    });
}

#[test]
fn what_a_worker_writes_after_it_knows_data_is_not_logged() {
    play(|stage| async move {
        use std::io::Write;
        #[derive(Clone, Default)]
        struct Sink(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let session = stage.session_as(106, 60).await;
        session.end(EndReason::ClosedByUser).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("a worker wrote to its log"), "{log}");
        assert!(!log.contains("HANAKO"), "{log}");
    });
}
