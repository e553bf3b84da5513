//! Programs under the broker: what they print, read and submit; processes that misbehave; the cache of
//! compiled programs; processes that wait. Real processes in real jails; the processes are hostile ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kekkai_analysis::session::Session;
use kekkai_analysis_api::{Job, JobState, Program, RunErrorCode, SOURCE_MAX};
use kekkai_output::Content;
use kekkai_policy_api::{EndReason, Event};
use kekkai_sys::Spawner;
use kekkai_types::Digest;
use support::{LONG, Stage, keys, stage_with, terms, workers};

/// One scene at a time: they count the workers of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn play<F: Future<Output = ()>>(spares: usize, scene: impl FnOnce(Stage) -> F) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let spawner = Spawner::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { scene(stage_with(spawner, spares, |routes| routes).await).await });
}

fn script(name: &str) -> Program {
    Program::Python {
        name: name.to_owned(),
        source: "print(1)".to_owned(),
    }
}

/// Runs a script to its end.
async fn run(session: &Arc<Session>, name: &str) -> Job {
    let id = session.run(script(name), Vec::new()).await.unwrap();
    let deadline = Instant::now() + LONG;
    loop {
        let job = session.wait_job(&id, LONG, u64::MAX).await.unwrap();
        if !matches!(job.state, JobState::RunningProgram { .. }) {
            return session.wait_job(&id, LONG, 0).await.unwrap();
        }
        assert!(Instant::now() < deadline, "{job:?}");
    }
}

fn lines(job: &Job) -> Vec<&str> {
    job.log
        .lines
        .iter()
        .map(|line| line.text.as_str())
        .collect()
}

fn code(job: &Job) -> RunErrorCode {
    match &job.state {
        JobState::RunFailed { error, .. } => error.code,
        other => panic!("{other:?}"),
    }
}

fn killed(stage: &Stage) -> Vec<(String, String)> {
    let events = stage.script.events.lock().unwrap();
    let killed = events.iter().filter_map(|event| match event {
        Event::ProcessKilled {
            process, reason, ..
        } => Some((process.clone(), reason.clone())),
        _ => None,
    });
    killed.collect()
}

#[test]
fn nothing_printed_after_rows_is_shown_where_rows_are_not() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        let job = run(&session, "prints").await;
        // Printed before any row was there, and without what could move the cursor.
        assert_eq!(lines(&job), ["before[2J"]);
        assert!(job.log.withheld);
        // The error's name and line are the program's own choice: they could be anybody's.
        let JobState::RunFailed { error, .. } = &job.state else {
            panic!("{job:?}")
        };
        assert_eq!(
            (error.code, error.name.as_str(), error.line),
            (RunErrorCode::Failed, "", 0)
        );
        assert!(!format!("{job:?}").contains("TANAKA"));
        let events = format!("{:?}", stage.script.events.lock().unwrap());
        assert!(!events.contains("TANAKA") && !events.contains("Tanaka"));
        // What it did is in the ledger, in order, each before its effect.
        let kinds = stage.script.kinds();
        let run: Vec<_> = kinds
            .iter()
            .filter(|kind| kind.starts_with("run-"))
            .collect();
        assert_eq!(run, ["run-started", "run-queried", "run-ended"]);
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn statistics_withhold_nothing() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        let job = run(&session, "statistic").await;
        assert_eq!(lines(&job), ["42 persons"]);
        assert!(!job.log.withheld);
        assert_eq!(
            job.state,
            JobState::Ran {
                outputs: Vec::new()
            }
        );
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn refused_query_reaches_the_program_as_a_code() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        let job = run(&session, "no-such-table").await;
        assert!(job.log.withheld);
        assert!(matches!(job.state, JobState::Ran { .. }));
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn outputs_carry_what_the_engine_counted_and_keep_the_limits() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        let job = run(&session, "submits").await;
        let JobState::Ran { outputs } = &job.state else {
            panic!("{job:?}")
        };
        assert_eq!(outputs.len(), 2);
        let submitted = stage.script.submitted.lock().unwrap().clone();
        assert_eq!(submitted.len(), 2);
        let Content::Program(output) = &submitted[0].content else {
            panic!("{submitted:?}")
        };
        let lineage = &output.lineage;
        assert_eq!(lineage.digest, Digest::of(b"print(1)"));
        assert_eq!(lineage.source, "print(1)");
        let read = &lineage.reads[0];
        assert_eq!(
            (read.sql.as_str(), read.rows, read.persons),
            ("rows", Some(20), Some(12))
        );
        // The third was over the agreement's number, the fourth over its size as well.
        assert!(job.log.withheld);
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn process_that_misbehaves_is_killed_and_recorded_and_its_session_lives() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        let before = workers();
        for (name, reason) in [
            ("second-greeting", "a second greeting"),
            ("query-out-of-turn", "a query out of turn"),
            ("two-queries", "a query out of turn"),
            ("submission-out-of-turn", "a submission out of turn"),
            ("flood", "more messages than a program can cause"),
            ("open", "a forbidden system call"),
            ("dies", "it ended by itself: Code(0)"),
        ] {
            let job = run(&session, name).await;
            assert_eq!(code(&job), RunErrorCode::Internal, "{name}");
            let last = killed(&stage).pop().unwrap();
            assert_eq!(
                last,
                ("wasm-worker".to_owned(), reason.to_owned()),
                "{name}"
            );
            assert_eq!(workers(), before, "{name} left a process");
        }
        let job = run(&session, "statistic").await;
        assert!(matches!(job.state, JobState::Ran { .. }));
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn cancelled_program_is_gone_within_a_second_whether_it_obeys_or_not() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        let before = workers();
        for name in ["obeys", "deaf"] {
            let id = session.run(script(name), Vec::new()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let since = Instant::now();
            session.cancel(&id).await.unwrap();
            let job = session.wait_job(&id, LONG, 0).await.unwrap();
            assert_eq!(job.state, JobState::Cancelled { by_limit: false }, "{name}");
            assert!(since.elapsed() < Duration::from_secs(2), "{name}");
            assert_eq!(workers(), before, "{name} left a process");
        }
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn program_that_keeps_no_time_limit_is_stopped_by_the_broker() {
    play(0, |stage| async move {
        let session = stage.session(1).await;
        let job = run(&session, "deaf").await;
        assert_eq!(code(&job), RunErrorCode::TimeLimit);
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn ended_session_takes_its_programs_along() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        session.run(script("deaf"), Vec::new()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(workers() >= 2);
        session.end(EndReason::AgreementEnded).await;
        assert_eq!(workers(), 0);
    });
}

#[test]
fn what_can_t_be_recorded_is_neither_run_nor_read() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        *stage.script.refuse.lock().unwrap() = Some("run-started");
        let refusal = session
            .run(script("statistic"), Vec::new())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, "ledger-unavailable");
        *stage.script.refuse.lock().unwrap() = Some("run-queried");
        let job = run(&session, "statistic").await;
        assert_eq!(code(&job), RunErrorCode::Internal);
        assert!(job.log.lines.is_empty());
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn what_the_agreement_does_not_name_is_not_run() {
    play(0, |stage| async move {
        // Captured whole: its folder must live as long.
        let stage = stage;
        let refused = async |change: &dyn Fn(&mut kekkai_policy_api::SessionTerms), program| {
            let mut terms = terms(200, 20);
            change(&mut terms);
            let (session, _) = stage.broker.bring_up(&terms, keys()).await.unwrap();
            let refusal = session.run(program, Vec::new()).await.unwrap_err();
            session.end(EndReason::ClosedByUser).await;
            refusal.code
        };
        let none = refused(&|terms| terms.programs = None, script("statistic")).await;
        assert_eq!(none, "programs-not-agreed");
        let no_python = |terms: &mut kekkai_policy_api::SessionTerms| {
            terms.programs.as_mut().unwrap().python = false;
        };
        assert_eq!(
            refused(&no_python, script("statistic")).await,
            "python-not-agreed"
        );
        let tool = Program::Tool {
            name: "other".to_owned(),
        };
        assert_eq!(refused(&|_| (), tool).await, "tool-not-agreed");
        let long = Program::Python {
            name: "x".to_owned(),
            source: "#".repeat(SOURCE_MAX + 1),
        };
        assert_eq!(refused(&|_| (), long).await, "script-too-long");

        // Rows: the program hears of it, and the SQL worker doesn't.
        let mut terms = terms(200, 20);
        terms.programs.as_mut().unwrap().rows = false;
        let (session, _) = stage.broker.bring_up(&terms, keys()).await.unwrap();
        let job = run(&session, "no-such-table").await;
        assert_eq!(lines(&job), ["rows-not-allowed"]);
        assert!(!stage.script.kinds().contains(&"run-queried".to_owned()));
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn scripts_are_there_again_in_the_next_session() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        session
            .scripts()
            .unwrap()
            .put("statistic", "print(1)")
            .unwrap();
        session.end(EndReason::ClosedByUser).await;
        assert!(session.scripts().is_err());
        let session = stage.session(20).await;
        let kept = Program::Script {
            name: "statistic".to_owned(),
        };
        let id = session.run(kept, Vec::new()).await.unwrap();
        let job = session.wait_job(&id, LONG, u64::MAX).await.unwrap();
        assert!(matches!(job.state, JobState::Ran { .. }), "{job:?}");
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn forged_artefact_on_disk_is_refused_recorded_and_made_anew() {
    play(0, |stage| async move {
        let session = stage.session(20).await;
        run(&session, "statistic").await;
        let digest = Digest::of(b"python component");
        let path = stage.dir.path().join(format!("{digest}.language"));
        let good = std::fs::read(&path).unwrap();
        session.end(EndReason::ClosedByUser).await;
        drop(session);
        for at in [0, 31, 32, good.len() - 1] {
            let mut forged = good.clone();
            forged[at] ^= 1;
            std::fs::write(&path, forged).unwrap();
            // Another start of the server: nothing is in memory.
            let again = stage.again(0).await;
            let session = again.session(20).await;
            let job = run(&session, "statistic").await;
            assert!(matches!(job.state, JobState::Ran { .. }), "{at}: {job:?}");
            session.end(EndReason::ClosedByUser).await;
            let kinds = stage.script.kinds();
            let refused = kinds
                .iter()
                .filter(|kind| *kind == "artefact-refused")
                .count();
            assert_eq!(refused, 1, "{at}");
            stage.script.events.lock().unwrap().clear();
            assert_eq!(std::fs::read(&path).unwrap(), good, "{at}");
        }
        // The control: an authentic one is taken as it is.
        let again = stage.again(0).await;
        let session = again.session(20).await;
        run(&session, "statistic").await;
        assert!(
            !stage
                .script
                .kinds()
                .contains(&"artefact-refused".to_owned())
        );
        session.end(EndReason::ClosedByUser).await;
    });
}

#[test]
fn waiting_processes_know_nothing_and_are_replaced() {
    play(2, |stage| async move {
        let first = stage.session(20).await;
        // Two of each kind wait for the next session, beside the one that runs.
        wait_for(|| workers() == 5).await;
        let second = stage.session(20).await;
        wait_for(|| workers() == 6).await;
        let job = run(&second, "statistic").await;
        assert!(matches!(job.state, JobState::Ran { .. }));
        first.end(EndReason::ClosedByUser).await;
        second.end(EndReason::ClosedByUser).await;
        wait_for(|| workers() == 4).await;
        // A killed one is not given to anybody.
        for pid in waiting() {
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        wait_for(|| workers() == 0).await;
        let third = stage.session(20).await;
        let job = run(&third, "statistic").await;
        assert!(matches!(job.state, JobState::Ran { .. }));
        stage.broker.drain().await;
        assert_eq!(workers(), 0);
    });
}

async fn wait_for(holds: impl Fn() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never holds: {} workers", workers());
}

fn waiting() -> Vec<nix::unistd::Pid> {
    support::worker_pids()
        .into_iter()
        .map(nix::unistd::Pid::from_raw)
        .collect()
}
