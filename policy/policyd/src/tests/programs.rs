//! Who may record what programs and tools do.

use kekkai_policy_api::{CloseSession, EndReason, Event, Record};
use kekkai_types::{Digest, JobId, Peer, SessionId};

use super::bench::*;

#[test]
fn programs_are_recorded_by_the_server_that_runs_them_and_by_nobody_else() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let job = JobId::new("1").unwrap();
    let started = Event::RunStarted {
        session: session.clone(),
        job: job.clone(),
        program: "python study.py".to_owned(),
        digest: Digest::of(b"script"),
    };
    let queried = Event::RunQueried {
        session: session.clone(),
        job: job.clone(),
        query: 1,
        sql: Some("SELECT 1".to_owned()),
        sql_digest: Digest::of(b"SELECT 1"),
        parameters: None,
        rows: true,
    };
    let ended = Event::RunEnded {
        session: session.clone(),
        job,
        outcome: "ran".to_owned(),
        queries: 1,
        outputs: 0,
        log_bytes: 0,
        lines_withheld: 0,
    };
    let killed = |session: Option<&SessionId>| Event::ProcessKilled {
        session: session.cloned(),
        process: "kekkai-wasm-worker".to_owned(),
        reason: "sigsys".to_owned(),
    };
    let refused = |at: &str| Event::ArtefactRefused {
        server: server(at),
        digest: Digest::of(b"artefact"),
        reason: "hmac".to_owned(),
    };
    let record = |from: &Peer, event: &Event| {
        let call = Record {
            event: event.clone(),
        };
        service.record(from, call, NOON).map_err(|r| r.code)
    };
    let of_session = [&started, &queried, &ended, &killed(Some(&session))];
    for event in of_session {
        // Before this server has the session's keys, it runs nothing in it.
        assert_eq!(record(&analysis(), event), Err("not-found".to_owned()));
    }
    bench.release(&service, &session, NOON).unwrap();
    for event in of_session {
        assert!(record(&analysis(), event).is_ok(), "{event:?}");
        let other = Peer::Analysis(server("a2"));
        assert_eq!(record(&other, event), Err("not-found".to_owned()));
        for other in [Peer::Gateway, Peer::Review, admin()] {
            let answer = record(&other, event);
            assert_eq!(answer, Err("event-not-allowed".to_owned()), "{event:?}");
        }
    }
    // A process of the pool has no session yet.
    assert!(record(&analysis(), &killed(None)).is_ok());
    assert!(record(&analysis(), &refused("a1")).is_ok());
    assert_eq!(
        record(&analysis(), &refused("a2")),
        Err("event-not-allowed".to_owned())
    );
    let close = CloseSession {
        session: session.clone(),
        reason: EndReason::Idle,
    };
    service.close_session(&analysis(), close, NOON).unwrap();
    for event in [&started, &queried] {
        assert_eq!(record(&analysis(), event), Err("session-ended".to_owned()));
    }
    // What was running ends after its session.
    for event in [&ended, &killed(Some(&session))] {
        assert!(record(&analysis(), event).is_ok(), "{event:?}");
    }
}

#[test]
fn tools_are_recorded_by_review_and_admitted_by_two() {
    let (_dir, _bench, service) = full();
    let record = |from: &Peer, event: Event| {
        service
            .record(from, Record { event }, NOON)
            .map_err(|r| r.code)
    };
    let admitted = |reviewers: [&str; 2]| Event::ToolAdmitted {
        agreement: agreement(),
        tool: "riskratio".to_owned(),
        digest: Digest::of(b"tool"),
        reviewers: reviewers.map(person),
    };
    assert_eq!(
        record(&Peer::Review, admitted(["mori", "mori"])),
        Err("same-reviewer-twice".to_owned())
    );
    assert!(record(&Peer::Review, admitted(["mori", "kato"])).is_ok());
    for other in [Peer::Gateway, analysis(), admin()] {
        assert_eq!(
            record(&other, admitted(["mori", "kato"])),
            Err("event-not-allowed".to_owned())
        );
    }
}
