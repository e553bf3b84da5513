//! What cannot be written to the ledger does not happen.

use kekkai_policy_api::{LookUpPerson, RenewLeases};
use kekkai_types::{Peer, Role};

use super::bench::*;

#[test]
fn everything_refuses_while_the_ledger_can_not_be_written_and_goes_on_after() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let size = bench.entries().len();
    // The disk is gone from under the ledger.
    let (ledger, away) = (bench.ledger_dir(), bench.dir.join("away"));
    std::fs::rename(&ledger, &away).unwrap();
    std::fs::write(&ledger, b"not a directory").unwrap();

    let code = |result: Result<(), kekkai_types::Refusal>| result.unwrap_err().code;
    let add = |now| service.add_person(&admin(), add_person("new", Role::Researcher), now);
    assert_eq!(code(add(NOON)), "ledger-unavailable");
    assert_eq!(code(add(NOON)), "ledger-unavailable");
    let renew = RenewLeases {
        sessions: vec![session.clone()],
    };
    let renewed = service
        .renew_leases(&Peer::Gateway, renew, NOON)
        .map(|_| ());
    assert_eq!(code(renewed), "ledger-unavailable");
    let look = LookUpPerson {
        person: person("sato"),
    };
    assert_eq!(
        code(service.look_up_person(&look, NOON).map(|_| ())),
        "ledger-unavailable"
    );
    assert_eq!(
        code(
            service
                .open_session(&Peer::Gateway, open("sato", "t1"), NOON)
                .map(|_| ())
        ),
        "ledger-unavailable"
    );

    std::fs::remove_file(&ledger).unwrap();
    std::fs::rename(&away, &ledger).unwrap();
    let later = NOON.plus_ms(2_000);
    let new = LookUpPerson {
        person: person("new"),
    };
    assert_eq!(
        service.look_up_person(&new, later).unwrap(),
        None,
        "nothing happened meanwhile"
    );
    add(later).unwrap();
    assert!(service.look_up_person(&new, later).unwrap().is_some());
    assert_eq!(bench.entries().len(), size + 1);
}

#[test]
fn empty_ledger_in_the_place_of_the_old_one_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::at(dir.path());
    let journal = crate::Journal::open(
        bench.ledger_dir(),
        zeroize::Zeroizing::new(std::fs::read_to_string(dir.path().join("skey")).unwrap()),
        None,
    )
    .unwrap();
    let event = || kekkai_policy_api::Event::ServiceStopped;
    journal.record(&Peer::Policy, NOON, event()).unwrap();
    std::fs::rename(bench.ledger_dir(), dir.path().join("away")).unwrap();
    std::fs::write(bench.ledger_dir(), b"").unwrap();
    assert!(journal.record(&Peer::Policy, NOON, event()).is_err());
    std::fs::remove_file(bench.ledger_dir()).unwrap();
    for second in 1..4 {
        let later = NOON.plus_ms(second * 2_000);
        let refused = journal.record(&Peer::Policy, later, event()).unwrap_err();
        assert_eq!(refused.code, "ledger-unavailable");
    }
}
