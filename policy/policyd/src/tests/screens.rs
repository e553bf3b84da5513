//! Who may record what screens show, and what a desktop is told.

use kekkai_policy_api::{CloseSession, EndReason, Event, OpenSession, Record, View};
use kekkai_types::{Digest, JobId, Lang, Peer};

use super::bench::*;

#[test]
fn screens_are_recorded_by_who_shows_them_and_by_nobody_else() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let attached = Event::ScreenAttached {
        session: session.clone(),
        terminal: terminal("t1"),
        address: "127.0.0.1".to_owned(),
        mark: None,
    };
    let watched = Event::SessionWatched {
        session: session.clone(),
        by: person("kato"),
        terminal: terminal("t1"),
    };
    let rows = Event::RowsShown {
        session: session.clone(),
        job: JobId::new("1").unwrap(),
        sql: "SELECT 1".to_owned(),
        rows_max: 10,
    };
    let began = Event::RecordingBegan {
        session: session.clone(),
        recording: "r".to_owned(),
        header: Digest::of(b"header"),
        recipient: Digest::of(b"key"),
        mark: "00000001".to_owned(),
    };
    let reached = Event::RecordingReached {
        session: session.clone(),
        recording: "r".to_owned(),
        chunks: 1,
        bytes: 1,
        head: Digest::of(b"head"),
        ended: true,
    };
    let record = |from: &Peer, event: &Event| {
        let call = Record {
            event: event.clone(),
        };
        service.record(from, call, NOON).map_err(|r| r.code)
    };
    let refused = |code: &str| Err(code.to_owned());
    for event in [&rows, &began, &reached] {
        assert_eq!(record(&analysis(), event), refused("not-found"));
    }
    bench.release(&service, &session, NOON).unwrap();
    for event in [&rows, &began, &reached] {
        assert!(record(&analysis(), event).is_ok(), "{event:?}");
        assert_eq!(record(&Peer::Gateway, event), refused("event-not-allowed"));
        assert_eq!(record(&Peer::Review, event), refused("event-not-allowed"));
    }
    for event in [&attached, &watched] {
        assert!(record(&Peer::Gateway, event).is_ok(), "{event:?}");
        assert_eq!(record(&analysis(), event), refused("event-not-allowed"));
    }
    let close = CloseSession {
        session: session.clone(),
        reason: EndReason::ClosedByUser,
    };
    service.close_session(&Peer::Gateway, close, NOON).unwrap();
    // What is over is shown to nobody; what was recorded until then is still said.
    for event in [&attached, &watched] {
        assert_eq!(record(&Peer::Gateway, event), refused("session-ended"));
    }
    for event in [&rows, &began] {
        assert_eq!(record(&analysis(), event), refused("session-ended"));
    }
    assert!(record(&analysis(), &reached).is_ok());
}

#[test]
fn desktop_is_told_when_it_closes_and_a_console_is_told_of_no_desktop() {
    let (_dir, bench, service) = full();
    let console = opened(&service);
    assert_eq!(console.desktop, None);
    let terms = bench.release(&service, &console.session, NOON).unwrap();
    assert_eq!(terms.desktop, None);

    let call = OpenSession {
        view: View::Desktop,
        ..open("sato", "t-browser")
    };
    let opened = service.open_session(&Peer::Gateway, call, NOON).unwrap();
    assert_eq!(opened.desktop.unwrap().lock_after_s, 300);
    let terms = bench.release(&service, &opened.session, NOON).unwrap();
    let desktop = terms.desktop.unwrap();
    assert!(desktop.closes.ms_since(NOON) > 0);
    assert_eq!((desktop.lang, desktop.typed_chars_max), (Lang::En, 100_000));
}
