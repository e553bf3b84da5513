//! Key release: what a quote must be, and what is refused with which words.

use kekkai_attest::{Evidence, Measurement};
use kekkai_policy_api::{
    BeginEnrolment, CloseSession, EndReason, Event, FinishEnrolment, Nonce, ReleaseKeys,
    WithdrawReference,
};
use kekkai_types::{Digest, Peer, Recipient, SessionId};
use p256::ecdsa::SigningKey;

use super::bench::*;
use crate::NONCE_LIFE_S;

#[test]
fn server_with_one_component_changed_gets_no_keys_and_the_refusal_names_it() {
    let (_dir, bench, service) = full();
    for index in 0..3 {
        let session = opened(&service).session;
        let nonce = service.challenge(&analysis(), &spki(), NOON).unwrap();
        let mut log: Vec<Measurement> = measurements();
        log[index].digest = Digest::of(b"one byte else");
        let name = log[index].name.clone();
        let refusal = bench
            .release_with(&service, &session, &nonce, log, NOON)
            .unwrap_err();
        assert_eq!(refusal.code, "server-not-trusted");
        assert!(refusal.detail.contains(&name), "{refusal}");
        let last = bench.entries().pop().unwrap();
        match last.event {
            Event::KeysRefused {
                reason,
                session: named,
                ..
            } => {
                assert!(reason.contains(&name), "{reason}");
                assert_eq!(named, Some(session));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nonce_works_once_and_for_a_minute() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let nonce = service.challenge(&analysis(), &spki(), NOON).unwrap();
    let late = NOON.plus_ms(NONCE_LIFE_S * 1_000 + 1);
    let refused = bench.release_with(&service, &session, &nonce, measurements(), late);
    assert_eq!(refused.unwrap_err().code, "nonce-not-valid");
    // Spent by the attempt, though the attempt failed.
    let again = bench.release_with(&service, &session, &nonce, measurements(), NOON);
    assert_eq!(again.unwrap_err().code, "nonce-not-valid");
    let nonce = service.challenge(&analysis(), &spki(), NOON).unwrap();
    bench
        .release_with(&service, &session, &nonce, measurements(), NOON)
        .unwrap();
    let other = opened(&service).session;
    let again = bench.release_with(&service, &other, &nonce, measurements(), NOON);
    assert_eq!(again.unwrap_err().code, "nonce-not-valid");
}

#[test]
fn keys_of_a_session_go_out_once() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    bench.release(&service, &session, NOON).unwrap();
    assert_eq!(
        bench.release(&service, &session, NOON).unwrap_err().code,
        "keys-already-released"
    );
}

#[test]
fn quote_for_another_session_channel_or_by_another_key_releases_nothing() {
    let (_dir, bench, service) = full();
    let (session, other) = (opened(&service).session, opened(&service).session);
    let try_with = |evidence: &dyn Fn(&Nonce) -> Evidence, spki: &Digest| {
        let nonce = service.challenge(&analysis(), spki, NOON).unwrap();
        let evidence = evidence(&nonce);
        let call = ReleaseKeys {
            session: session.clone(),
            nonce,
            evidence,
        };
        service
            .release_keys(&analysis(), spki, &call, NOON)
            .unwrap_err()
    };
    let for_other = |nonce: &Nonce| bench.evidence(&extra(nonce, &other), measurements());
    assert_eq!(try_with(&for_other, &spki()).code, "server-not-trusted");
    let relayed = |nonce: &Nonce| bench.evidence(&extra(nonce, &session), measurements());
    assert_eq!(
        try_with(&relayed, &Digest::of(b"another channel")).code,
        "server-not-trusted"
    );
    let stranger = SigningKey::from_slice(&[9; 32]).unwrap();
    let forged = |nonce: &Nonce| evidence(&stranger, &extra(nonce, &session), measurements());
    assert_eq!(try_with(&forged, &spki()).code, "server-not-trusted");
    // A nonce that another channel asked for.
    let nonce = service
        .challenge(&analysis(), &Digest::of(b"another channel"), NOON)
        .unwrap();
    let refused = bench.release_with(&service, &session, &nonce, measurements(), NOON);
    assert_eq!(refused.unwrap_err().code, "nonce-not-valid");
    // All that failed left nothing behind: the right quote still works.
    bench.release(&service, &session, NOON).unwrap();
}

#[test]
fn session_that_is_over_or_was_never_opened_gets_no_keys() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let close = CloseSession {
        session: session.clone(),
        reason: EndReason::ClosedByUser,
    };
    service.close_session(&Peer::Gateway, close, NOON).unwrap();
    assert_eq!(
        bench.release(&service, &session, NOON).unwrap_err().code,
        "not-found"
    );
    let never = SessionId::new("s-never").unwrap();
    assert_eq!(
        bench.release(&service, &never, NOON).unwrap_err().code,
        "not-found"
    );
    // After hours, an open session still gets nothing.
    let session = opened(&service).session;
    let night = NOON.plus_ms(10 * 3_600_000);
    assert_eq!(
        bench.release(&service, &session, night).unwrap_err().code,
        "outside-hours"
    );
}

#[test]
fn withdrawn_reference_releases_nothing() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let reference = bench.reference("r1").digest();
    service
        .withdraw_reference(&admin(), &WithdrawReference { reference }, NOON)
        .unwrap();
    let refusal = bench.release(&service, &session, NOON).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "server-not-trusted: no reference values are in force"
    );
}

#[test]
fn reference_that_the_producer_did_not_sign_is_refused() {
    let (_dir, _bench, service) = full();
    let dir = tempfile::tempdir().unwrap();
    let reference = Bench::at(dir.path()).reference("r2");
    let call = kekkai_policy_api::AddReference { reference };
    assert_eq!(
        service
            .add_reference(&admin(), call, NOON)
            .unwrap_err()
            .code,
        "reference-not-valid"
    );
}

#[test]
fn dataset_needs_a_wrapped_key_for_an_enrolled_server_and_takes_no_plain_one() {
    let (_dir, _bench, service) = full();
    let register = |change: &dyn Fn(&mut kekkai_policy_api::RegisterDataset)| {
        let mut call = dataset();
        call.catalog.version = 2;
        call.keys.iter_mut().for_each(|key| key.version = 2);
        change(&mut call);
        service
            .register_dataset(&admin(), call, NOON)
            .map_err(|refusal| refusal.code)
    };
    let code = |text: &str| Err(text.to_owned());
    assert_eq!(
        register(&|call| call.keys.clear()),
        code("no-key-for-a-server")
    );
    assert_eq!(
        register(&|call| {
            call.keys.remove(0);
        }),
        code("no-key-for-a-server")
    );
    assert_eq!(
        register(&|call| call.keys[0].recipient = Recipient::Server(server("a9"))),
        code("server-not-enrolled")
    );
    // 32 bytes: a plain key in base64.
    assert_eq!(
        register(&|call| {
            call.keys[0].ciphertext = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=".to_owned();
        }),
        code("wrapped-key-malformed")
    );
    assert_eq!(
        register(&|call| call.keys[0].version = 1),
        code("wrapped-key-malformed")
    );
    assert_eq!(
        register(&|call| {
            call.catalog.tables[0].columns[1].role = kekkai_types::ColumnRole::DirectIdentifier;
        }),
        code("catalog-malformed")
    );
    assert_eq!(
        register(&|call| {
            call.catalog.version = 1;
            call.catalog.tables[0].rows = 7;
            call.keys.iter_mut().for_each(|key| key.version = 1);
        }),
        code("dataset-version-exists")
    );
    assert_eq!(register(&|_| ()), Ok(()));
}

#[test]
fn unexpected_server_can_not_enrol() {
    let (_dir, bench, service) = full();
    let request = kekkai_attest::EnrolmentRequest {
        server: server("a2"),
        ek_certificate: String::new(),
        ak_public: String::new(),
        unwrap_public: String::new(),
        unwrap_certify: String::new(),
        unwrap_signature: String::new(),
    };
    let a2 = Peer::Analysis(server("a2"));
    let begin = BeginEnrolment { request };
    let code = |from: &Peer| {
        service
            .begin_enrolment(from, &begin, NOON)
            .unwrap_err()
            .code
    };
    assert_eq!(code(&a2), "server-not-expected");
    let expect = kekkai_policy_api::ExpectServer {
        server: server("a2"),
    };
    service.expect_server(&admin(), expect, NOON).unwrap();
    assert_eq!(
        code(&analysis()),
        "server-not-expected",
        "another server's name"
    );
    assert_eq!(code(&a2), "enrolment-refused");
    let finish = FinishEnrolment {
        server: server("a2"),
        credential: String::new(),
    };
    assert_eq!(
        service
            .finish_enrolment(&a2, &finish, NOON)
            .unwrap_err()
            .code,
        "enrolment-not-begun"
    );
    let refused = bench
        .events()
        .iter()
        .filter(|name| *name == "enrolment-refused")
        .count();
    assert_eq!(refused, 4);
    assert_eq!(
        service.challenge(&a2, &spki(), NOON).unwrap_err().code,
        "server-not-enrolled"
    );
}

/// Invariant 2: there is nothing here that a plain key could be put into.
#[test]
fn no_source_of_this_crate_names_a_type_that_holds_a_plain_key() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = 0;
    for folder in [src.clone(), src.join("service")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains(concat!("Key", "Text")), "{path:?}");
                files += 1;
            }
        }
    }
    assert!(files > 10);
}
