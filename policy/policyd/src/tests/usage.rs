//! Rows by the minute and the day, and use that its past does not explain.

use kekkai_policy_api::{AddHandler, Event, OpenSession, Record, Recorded, RegisterAgreement};
use kekkai_types::{AgreementId, JobId, Peer, SessionId, Timestamp};

use super::bench::*;
use crate::Service;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn shown(session: &SessionId, job: &str, rows_max: u64) -> Event {
    Event::RowsShown {
        session: session.clone(),
        job: JobId::new(job).unwrap(),
        sql: "SELECT 1".to_owned(),
        rows_max,
    }
}

fn ended(session: &SessionId, job: &str, rows: u64) -> Event {
    Event::QueryEnded {
        session: session.clone(),
        job: JobId::new(job).unwrap(),
        outcome: "rows".to_owned(),
        rows,
        cells_suppressed: 0,
        groups_withheld: 0,
    }
}

fn record(service: &Service, event: Event, now: Timestamp) -> Result<Recorded, String> {
    let refused = |refusal: kekkai_types::Refusal| format!("{} {}", refusal.code, refusal.detail);
    service
        .record(&analysis(), Record { event }, now)
        .map_err(refused)
}

fn rows(service: &Service, event: Event, now: Timestamp) -> Result<Option<u64>, String> {
    record(service, event, now).map(|recorded| recorded.rows_max)
}

/// A session that has its keys.
fn released(bench: &Bench, service: &Service, agreement: Option<&str>) -> SessionId {
    let call = OpenSession {
        agreement: agreement.map(|id| AgreementId::new(id).unwrap()),
        ..open("sato", "t1")
    };
    let session = service
        .open_session(&Peer::Gateway, call, NOON)
        .unwrap()
        .session;
    bench.release(service, &session, NOON).unwrap();
    session
}

#[test]
fn rows_of_a_person_are_bounded_over_sessions_and_restarts() {
    let (_dir, bench, service) = full();
    let session = released(&bench, &service, Some("stroke-2026"));
    let granted = rows(&service, shown(&session, "1", 200_000), NOON);
    assert_eq!(granted, Ok(Some(50_000)));
    // Nothing is left of the minute, also for another session of the same person.
    let other = released(&bench, &service, Some("stroke-2026"));
    let half = NOON.plus_ms(MINUTE_MS / 2);
    assert_eq!(
        rows(&service, shown(&other, "1", 1), half),
        Err("rows-minute-used 30".to_owned())
    );
    // What was not shown is free again; it is free once.
    for _ in 0..2 {
        record(&service, ended(&session, "1", 10), half).unwrap();
        assert_eq!(
            rows(&service, shown(&other, "2", 200_000), half).map(|_| ()),
            Ok(())
        );
        record(&service, ended(&other, "2", 0), half).unwrap();
    }
    let granted = rows(&service, shown(&other, "3", 200_000), half);
    assert_eq!(granted, Ok(Some(49_990)));
    for minute in 1..4 {
        let now = NOON.plus_ms(minute * MINUTE_MS);
        let job = format!("{}", 10 + minute);
        assert_eq!(
            rows(&service, shown(&session, &job, 200_000), now),
            Ok(Some(50_000))
        );
    }
    let later = NOON.plus_ms(5 * MINUTE_MS);
    let used = Err("rows-day-used 200000".to_owned());
    assert_eq!(rows(&service, shown(&session, "20", 1), later), used);
    drop(service);

    // What was counted outlives the service, and the ledger says what was allowed.
    let service = bench.start().unwrap();
    let session = released(&bench, &service, Some("stroke-2026"));
    assert_eq!(rows(&service, shown(&session, "1", 1), later), used);
    let tomorrow = NOON.plus_ms(DAY_MS);
    assert_eq!(
        rows(&service, shown(&session, "2", 7), tomorrow),
        Ok(Some(7))
    );
    let allowed: Vec<u64> = bench
        .entries()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::RowsShown { rows_max, .. } => Some(*rows_max),
            _ => None,
        })
        .collect();
    assert_eq!(allowed.first(), Some(&50_000));
    assert_eq!(allowed.last(), Some(&7));
}

/// An agreement that lets people see rows without end, so that only the past bounds them.
fn wide() -> RegisterAgreement {
    let toml = AGREEMENT
        .replace("stroke-2026", "wide-2026")
        .replace("rows_per_minute = 50000", "rows_per_minute = 10000000")
        .replace("rows_per_day = 200000", "rows_per_day = 10000000");
    assert_eq!(toml.matches("10000000 ").count(), 2);
    assert!(toml.contains("wide-2026"));
    RegisterAgreement { toml }
}

#[test]
fn unusual_use_is_recorded_once_and_slowed() {
    let (_dir, bench, service) = full();
    service.register_agreement(&admin(), wide(), NOON).unwrap();
    let session = released(&bench, &service, Some("wide-2026"));
    let usual = record(&service, shown(&session, "1", 100_000), NOON).unwrap();
    assert_eq!((usual.rows_max, usual.wait_ms), (Some(100_000), 0));
    for job in ["2", "3"] {
        let more = record(&service, shown(&session, job, 1), NOON).unwrap();
        assert_eq!((more.rows_max, more.wait_ms), (Some(1), 2_000));
    }
    let told: Vec<_> = bench
        .entries()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::UseUnusual {
                person,
                measure,
                now,
                usual,
                ..
            } => Some((person, measure, now, usual)),
            _ => None,
        })
        .collect();
    let expected = (
        Some(person("sato")),
        "rows-per-day".to_owned(),
        100_001,
        20_000,
    );
    assert_eq!(told, [expected]);
    // Another day is not unusual, nor is another person's.
    let tomorrow = NOON.plus_ms(DAY_MS);
    let next = record(&service, shown(&session, "4", 1), tomorrow).unwrap();
    assert_eq!(next.wait_ms, 0);
}

#[test]
fn excessive_use_suspends_until_staff_lifts_it() {
    let (_dir, bench, service) = full();
    service.register_agreement(&admin(), wide(), NOON).unwrap();
    let session = released(&bench, &service, Some("wide-2026"));
    let refused = record(&service, shown(&session, "1", 400_001), NOON).map(|_| ());
    assert_eq!(refused, Err("use-suspended wide-2026".to_owned()));
    let events = bench.events();
    assert_eq!(events.last().map(String::as_str), Some("use-suspended"));
    // The entry comes before the effect, and nothing was shown.
    assert!(!events.contains(&"rows-shown".to_owned()));

    let again = OpenSession {
        agreement: Some(AgreementId::new("wide-2026").unwrap()),
        ..open("sato", "t1")
    };
    let opened = |service: &Service| {
        service
            .open_session(&Peer::Gateway, again.clone(), NOON)
            .map(|opened| opened.session)
    };
    assert!(opened(&service).is_err());
    drop(service);
    let service = bench.start().unwrap();
    assert!(opened(&service).is_err(), "a restart lifts nothing");
    // In the other agreement nothing was done.
    assert!(
        !released(&bench, &service, Some("stroke-2026"))
            .as_str()
            .is_empty()
    );

    let back = AddHandler {
        agreement: AgreementId::new("wide-2026").unwrap(),
        person: person("sato"),
    };
    service.add_handler(&admin(), back, NOON).unwrap();
    let session = opened(&service).unwrap();
    bench.release(&service, &session, NOON).unwrap();
    let slowed = record(&service, shown(&session, "1", 1), NOON).unwrap();
    assert_eq!((slowed.rows_max, slowed.wait_ms), (Some(1), 2_000));
}
