//! Revocations end running sessions at their next renewal, whoever asks, and the ledger says why.

use kekkai_policy_api::{
    EndAgreement, EndReason, Event, LeaseState, RegisterAgreement, RemoveHandler, RenewLeases,
    RevokeTerminal, WithdrawReference,
};
use kekkai_types::{Peer, Role, SessionId, Timestamp};

use super::bench::*;
use crate::{HOLDER_SILENCE_MAX_S, Service};

fn renew(service: &Service, from: &Peer, session: &SessionId, now: Timestamp) -> LeaseState {
    let call = RenewLeases {
        sessions: vec![session.clone()],
    };
    service.renew_leases(from, call, now).unwrap()[session]
}

#[test]
fn revocation_ends_the_session_at_its_next_renewal() {
    type Revoke = fn(&Bench, &Service);
    let cases: [(&str, Revoke, EndReason); 6] = [
        (
            "agreement ended",
            |_, service| {
                let call = EndAgreement {
                    agreement: agreement(),
                    reason: "breach".to_owned(),
                };
                service.end_agreement(&admin(), call, NOON).unwrap();
            },
            EndReason::AgreementEnded,
        ),
        (
            "off the roster",
            |_, service| {
                let call = RemoveHandler {
                    agreement: agreement(),
                    person: person("sato"),
                };
                service.remove_handler(&admin(), call, NOON).unwrap();
            },
            EndReason::NotOnRoster,
        ),
        (
            "another text without the person",
            |_, service| {
                let toml = AGREEMENT.replacen("\"sato\", ", "", 1);
                service
                    .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
                    .unwrap();
            },
            EndReason::NotOnRoster,
        ),
        (
            "role taken",
            |_, service| {
                service
                    .add_person(&admin(), add_person("sato", Role::Auditor), NOON)
                    .unwrap();
            },
            EndReason::NotOnRoster,
        ),
        (
            "terminal revoked",
            |_, service| {
                let call = RevokeTerminal {
                    terminal: terminal("t1"),
                };
                service.revoke_terminal(&admin(), call, NOON).unwrap();
            },
            EndReason::TerminalNotAllowed,
        ),
        (
            "reference withdrawn",
            |bench, service| {
                let reference = bench.reference("r1").digest();
                service
                    .withdraw_reference(&admin(), &WithdrawReference { reference }, NOON)
                    .unwrap();
            },
            EndReason::ServerNotTrusted,
        ),
    ];
    for (what, revoke, expected) in cases {
        for holder in [Peer::Gateway, analysis()] {
            let (_dir, bench, service) = full();
            let session = opened(&service).session;
            bench.release(&service, &session, NOON).unwrap();
            assert_eq!(
                renew(&service, &holder, &session, NOON),
                LeaseState::Live,
                "{what}"
            );
            revoke(&bench, &service);
            let ended = LeaseState::Ended(expected);
            assert_eq!(renew(&service, &holder, &session, NOON), ended, "{what}");
            // It stays over, for the other holder too.
            for other in [Peer::Gateway, analysis()] {
                assert_eq!(renew(&service, &other, &session, NOON), ended, "{what}");
            }
            let last = bench.entries().pop().unwrap().event;
            assert_eq!(
                last,
                Event::SessionEnded {
                    session,
                    reason: expected
                },
                "{what}"
            );
        }
    }
}

#[test]
fn session_ends_with_its_hours_and_its_period() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    bench.release(&service, &session, NOON).unwrap();
    let night = NOON.plus_ms(10 * 3_600_000);
    assert_eq!(
        renew(&service, &Peer::Gateway, &session, night),
        LeaseState::Ended(EndReason::OutsideHours)
    );
}

#[test]
fn renewal_is_refused_to_those_who_do_not_hold_the_session() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    bench.release(&service, &session, NOON).unwrap();
    let other = Peer::Analysis(server("a2"));
    let unknown = SessionId::new("s-unknown").unwrap();
    // The same answer as for a session that never was, and nothing ends.
    assert_eq!(
        renew(&service, &other, &session, NOON),
        renew(&service, &other, &unknown, NOON)
    );
    assert_eq!(
        renew(&service, &analysis(), &session, NOON),
        LeaseState::Live
    );
}

#[test]
fn session_that_nobody_renews_is_over() {
    let (_dir, bench, service) = full();
    let (left, held) = (opened(&service).session, opened(&service).session);
    bench.release(&service, &left, NOON).unwrap();
    let later = NOON.plus_ms(HOLDER_SILENCE_MAX_S * 1_000 + 1);
    assert_eq!(
        renew(&service, &Peer::Gateway, &held, later),
        LeaseState::Live
    );
    service.sweep(later).unwrap();
    assert_eq!(
        renew(&service, &analysis(), &left, later),
        LeaseState::Ended(EndReason::Disconnected)
    );
    assert_eq!(
        renew(&service, &Peer::Gateway, &held, later),
        LeaseState::Live
    );
    // The gateway still asks, the server does not.
    bench.release(&service, &held, later).unwrap();
    let latest = later.plus_ms(HOLDER_SILENCE_MAX_S * 1_000 + 1);
    assert_eq!(
        renew(&service, &Peer::Gateway, &held, latest),
        LeaseState::Live
    );
    service.sweep(latest).unwrap();
    assert_eq!(
        renew(&service, &Peer::Gateway, &held, latest),
        LeaseState::Ended(EndReason::ServerLost)
    );
}
