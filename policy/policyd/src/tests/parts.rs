//! Parts of a session on further servers: named by the session's own server, released to evidence of their own,
//! ended with the session or alone.

use kekkai_attest::{Enrolled, Evidence};
use kekkai_policy_api::{
    AdmitPart, CloseSession, EndReason, Event, LeaseState, Nonce, Record, ReleaseKeys, RenewLeases,
    SessionTerms, WithdrawReference,
};
use kekkai_types::{Digest, Peer, Recipient, Refusal, SessionId};
use p256::ecdsa::SigningKey;

use super::bench::*;
use crate::Service;
use crate::store::Store;

/// The second server's attestation key.
fn second_ak() -> SigningKey {
    SigningKey::from_slice(&[11; 32]).unwrap()
}

fn second() -> Peer {
    Peer::Analysis(server("a2"))
}

/// As [`full`], with a second server enrolled, and a session whose keys the first has.
fn begun() -> (tempfile::TempDir, Bench, Service, SessionId) {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::at(dir.path());
    let public = second_ak().verifying_key().to_sec1_point(false);
    let enrolled = Enrolled {
        server: server("a2"),
        ak_public: BASE64_STANDARD.encode(public.as_bytes()),
        ..bench.enrolled()
    };
    Store::open(dir.path())
        .unwrap()
        .enrol_server(&enrolled)
        .unwrap();
    let service = bench.start().unwrap();
    let mut dataset = dataset();
    let recipient = Recipient::Server(server("a2"));
    dataset.keys.push(wrapped(&dataset.catalog.id, recipient));
    bench.fill_with(&service, dataset);
    let session = opened(&service).session;
    bench.release(&service, &session, NOON).unwrap();
    (dir, bench, service, session)
}

fn admit(service: &Service, from: &Peer, session: &SessionId, to: &str) -> Result<(), Refusal> {
    let call = AdmitPart {
        session: session.clone(),
        server: server(to),
    };
    service.admit_part(from, &call, NOON)
}

fn release(
    service: &Service,
    session: &SessionId,
    evidence: impl FnOnce(&Nonce) -> Evidence,
) -> Result<SessionTerms, Refusal> {
    let nonce = service.challenge(&second(), &spki(), NOON).unwrap();
    let call = ReleaseKeys {
        session: session.clone(),
        evidence: evidence(&nonce),
        nonce,
    };
    service.release_keys(&second(), &spki(), &call, NOON)
}

fn good(session: &SessionId) -> impl FnOnce(&Nonce) -> Evidence {
    move |nonce| evidence(&second_ak(), &extra(nonce, session), measurements())
}

fn lease(service: &Service, from: &Peer, session: &SessionId) -> LeaseState {
    let sessions = vec![session.clone()];
    let answer = service.renew_leases(from, RenewLeases { sessions }, NOON);
    answer.unwrap()[session]
}

fn launched(session: &SessionId, of: &str) -> Record {
    Record {
        event: Event::PartLaunched {
            session: session.clone(),
            server: server(of),
            layers: Vec::new(),
            waived: Vec::new(),
        },
    }
}

#[test]
fn admitted_server_gets_keys_of_its_own_once_and_both_are_in_the_ledger() {
    let (_dir, bench, service, session) = begun();
    let refused = release(&service, &session, good(&session)).unwrap_err();
    assert_eq!(refused.code, "keys-already-released", "nobody admitted it");
    admit(&service, &analysis(), &session, "a2").unwrap();
    let terms = release(&service, &session, good(&session)).unwrap();
    let recipient = Recipient::Server(server("a2"));
    assert!(terms.datasets.iter().all(|d| d.key.recipient == recipient));
    let again = release(&service, &session, good(&session)).unwrap_err();
    assert_eq!(again.code, "keys-already-released");
    let events: Vec<_> = bench.entries().into_iter().map(|e| e.event).collect();
    let admitted = events.iter().position(|e| {
        *e == Event::PartAdmitted {
            session: session.clone(),
            server: server("a2"),
            leader: server("a1"),
        }
    });
    let released = events.iter().position(
        |e| matches!(e, Event::KeysReleased { server: s, session: of, .. } if *s == server("a2") && *of == session),
    );
    assert!(admitted.unwrap() < released.unwrap());
}

#[test]
fn admitted_server_without_good_evidence_gets_no_key_and_that_is_recorded() {
    let (_dir, bench, service, session) = begun();
    admit(&service, &analysis(), &session, "a2").unwrap();
    let mut changed = measurements();
    changed[0].digest = Digest::of(b"one byte else");
    let refused = release(&service, &session, |nonce| {
        evidence(&second_ak(), &extra(nonce, &session), changed)
    });
    assert_eq!(refused.unwrap_err().code, "server-not-trusted");
    // The session's own server can't quote in its place.
    let refused = release(&service, &session, |nonce| {
        bench.evidence(&extra(nonce, &session), measurements())
    });
    assert_eq!(refused.unwrap_err().code, "server-not-trusted");
    let refusals = bench
        .entries()
        .into_iter()
        .filter(|e| matches!(&e.event, Event::KeysRefused { server: s, .. } if *s == server("a2")));
    assert_eq!(refusals.count(), 2);
    assert_eq!(
        service
            .record(&second(), launched(&session, "a2"), NOON)
            .unwrap_err()
            .code,
        "event-not-allowed"
    );
    // The admission still stands for the evidence that it was given for.
    release(&service, &session, good(&session)).unwrap();
    service
        .record(&second(), launched(&session, "a2"), NOON)
        .unwrap();
}

#[test]
fn server_that_is_not_enrolled_is_no_part_and_gets_no_nonce() {
    let (_dir, bench, service, session) = begun();
    let refused = admit(&service, &analysis(), &session, "a4").unwrap_err();
    assert_eq!(refused.code, "server-not-enrolled");
    let last = bench.entries().pop().unwrap().event;
    assert!(
        matches!(&last, Event::PartRefused { server: s, session: of, .. } if *s == server("a4") && *of == session),
        "{last:?}"
    );
    let fourth = Peer::Analysis(server("a4"));
    let refused = service.challenge(&fourth, &spki(), NOON).unwrap_err();
    assert_eq!(refused.code, "server-not-enrolled");
}

#[test]
fn only_the_server_that_holds_a_session_admits_others() {
    let (_dir, bench, service, session) = begun();
    let before = bench.entries().len();
    let refused = admit(&service, &second(), &session, "a2").unwrap_err();
    assert_eq!(refused.code, Refusal::not_found("").code);
    let elsewhere = opened(&service).session;
    let refused = admit(&service, &analysis(), &elsewhere, "a2").unwrap_err();
    assert_eq!(refused.code, Refusal::not_found("").code);
    let said = bench.entries().into_iter().skip(before);
    let about_parts = said.filter(|e| {
        matches!(
            e.event,
            Event::PartAdmitted { .. } | Event::PartRefused { .. }
        )
    });
    assert_eq!(about_parts.count(), 0);
    let refused = admit(&service, &analysis(), &session, "a1").unwrap_err();
    assert_eq!(refused.code, "part-is-the-session");
    assert_eq!(bench.events().pop().unwrap(), "part-refused");
    assert_eq!(
        admit(&service, &Peer::Gateway, &session, "a2")
            .unwrap_err()
            .code,
        "caller-not-allowed"
    );
}

#[test]
fn part_ends_with_its_session_and_ends_no_session() {
    let (_dir, _bench, service, session) = begun();
    assert!(matches!(
        lease(&service, &second(), &session),
        LeaseState::Ended(_)
    ));
    admit(&service, &analysis(), &session, "a2").unwrap();
    release(&service, &session, good(&session)).unwrap();
    assert_eq!(lease(&service, &second(), &session), LeaseState::Live);
    // A part's server can't close the session.
    let close = |reason| CloseSession {
        session: session.clone(),
        reason,
    };
    let _ = service.close_session(&second(), close(EndReason::ServerLost), NOON);
    assert_eq!(lease(&service, &analysis(), &session), LeaseState::Live);
    service
        .close_session(&Peer::Gateway, close(EndReason::ClosedByUser), NOON)
        .unwrap();
    assert!(matches!(
        lease(&service, &second(), &session),
        LeaseState::Ended(_)
    ));
}

#[test]
fn withdrawn_reference_ends_parts() {
    let (_dir, bench, service, session) = begun();
    admit(&service, &analysis(), &session, "a2").unwrap();
    release(&service, &session, good(&session)).unwrap();
    let reference = bench.reference("r1").digest();
    service
        .withdraw_reference(&admin(), &WithdrawReference { reference }, NOON)
        .unwrap();
    assert_eq!(
        lease(&service, &second(), &session),
        LeaseState::Ended(EndReason::ServerNotTrusted)
    );
}
