//! Enrolment, quotes and unwrapping against real software TPMs, each on loopback with a state directory
//! of its own. Needs `swtpm`, `swtpm_localca` (swtpm-tools, gnutls-bin) and `setpriv` (util-linux).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use kekkai_attest::{
    ComponentKind, Enrolled, EnrolmentError, Measurement, PolicyKey, QuoteError, ReferenceValues,
    TpmTrust, begin_enrolment, verify_quote,
};
use kekkai_tpm::emulated::Emulated;
use kekkai_tpm::{Tpm, TpmError, extend_all, firmware};
use kekkai_types::{Digest, KeyText, Recipient, ServerId, Timestamp, WrappedKey};
use tempfile::TempDir;

struct Server {
    emulated: Emulated,
    tpm: Tpm,
    policy_key: PolicyKey,
    directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let emulated = Emulated::start(directory.path()).unwrap();
        let policy_key = PolicyKey::generate().unwrap();
        let tpm = Tpm::open(&emulated.connection(), &policy_key.public()).unwrap();
        Self {
            emulated,
            tpm,
            policy_key,
            directory,
        }
    }

    /// Off and on again: the PCRs begin at zero, the keys stay.
    fn restart(self) -> Self {
        let Self {
            emulated,
            tpm,
            policy_key,
            directory,
        } = self;
        drop(tpm);
        drop(emulated);
        let emulated = Emulated::start(directory.path()).unwrap();
        let tpm = Tpm::open(&emulated.connection(), &policy_key.public()).unwrap();
        Self {
            emulated,
            tpm,
            policy_key,
            directory,
        }
    }

    fn trust(&self) -> TpmTrust {
        let mut trust = TpmTrust::new();
        let pem = std::fs::read_to_string(self.emulated.authorities()).unwrap();
        trust.add_emulated(&pem).unwrap();
        trust
    }

    async fn enrol(&self) -> Enrolled {
        let request = self.tpm.enrolment_request(&id("a1")).await.unwrap();
        let pending = begin_enrolment(
            &self.trust(),
            &self.policy_key.public(),
            &request,
            Timestamp::now(),
        )
        .unwrap();
        let challenge = pending.challenge().clone();
        let credential = self
            .tpm
            .activate(&challenge.credential_blob, &challenge.secret)
            .await
            .unwrap();
        pending
            .finish(&BASE64_STANDARD.encode(&*credential))
            .unwrap()
    }

    async fn measure(&self, log: &[Measurement]) {
        for measurement in log {
            self.tpm.extend(measurement).await.unwrap();
        }
    }
}

fn id(text: &str) -> ServerId {
    ServerId::new(text).unwrap()
}

fn component(kind: ComponentKind, name: &str, bytes: &[u8]) -> Measurement {
    Measurement {
        kind,
        name: name.to_owned(),
        digest: Digest::of(bytes),
    }
}

fn good() -> Vec<Measurement> {
    vec![
        component(ComponentKind::Binary, "kekkai-analysis", b"binary"),
        component(
            ComponentKind::Configuration,
            "analysis.toml",
            b"configuration",
        ),
        component(ComponentKind::SessionImage, "kekkai-sql-worker", b"worker"),
    ]
}

/// Wraps as `query-engine/dataset` does: with the `hpke` crate, to the enrolled public key.
fn wrap(enrolled: &Enrolled, key: &[u8; 32]) -> WrappedKey {
    let dataset: kekkai_types::DatasetId = "hospital".parse().unwrap();
    let recipient = Recipient::Server(enrolled.server.clone());
    let public = BASE64_STANDARD.decode(&enrolled.unwrap_public).unwrap();
    let public = <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
    let aad = WrappedKey::aad(&dataset, 1, &recipient);
    let (enc, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &public,
        WrappedKey::INFO,
        key,
        aad.as_bytes(),
    )
    .unwrap();
    WrappedKey {
        dataset,
        version: 1,
        recipient,
        enc: BASE64_STANDARD.encode(enc.to_bytes()),
        ciphertext: BASE64_STANDARD.encode(ciphertext),
    }
}

#[tokio::test]
async fn measured_server_enrols_quotes_and_unwraps_also_after_a_restart() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    assert!(enrolled.emulated, "a software TPM must be labelled");
    let reference = ReferenceValues::compute("test", good())
        .sign(&server.policy_key)
        .unwrap();
    reference
        .verify_signature(&server.policy_key.public())
        .unwrap();
    let wrapped = wrap(&enrolled, &[0x5a; 32]);

    let server = server.restart();
    server.measure(&good()).await;
    // More rounds than the TPM has room for: nothing leaks.
    for round in 0..6_u8 {
        let qualifying = Digest::of(&[round]);
        let evidence = server.tpm.quote(qualifying, &good()).await.unwrap();
        let met = verify_quote(
            &enrolled,
            std::slice::from_ref(&reference),
            &qualifying,
            &evidence,
        );
        assert_eq!(met, Ok(0));
        let key = server.tpm.unwrap(&wrapped, &reference).await.unwrap();
        assert_eq!(key.expose(), KeyText::new([0x5a; 32]).expose());
    }
    assert_eq!(
        server.enrol().await,
        enrolled,
        "the keys are the same after a restart"
    );
}

#[tokio::test]
async fn one_changed_byte_is_named_and_keeps_the_key_in_the_tpm() {
    let mut server = Server::start();
    let enrolled = server.enrol().await;
    let reference = ReferenceValues::compute("test", good())
        .sign(&server.policy_key)
        .unwrap();
    let wrapped = wrap(&enrolled, &[1; 32]);

    for changed in 0..good().len() {
        let mut log = good();
        log[changed].digest = Digest::of(b"one byte changed");
        server = server.restart();
        server.measure(&log).await;

        let qualifying = Digest::of(b"nonce");
        let evidence = server.tpm.quote(qualifying, &log).await.unwrap();
        let refused = verify_quote(
            &enrolled,
            std::slice::from_ref(&reference),
            &qualifying,
            &evidence,
        )
        .unwrap_err();
        let (kind, name) = (log[changed].kind, log[changed].name.clone());
        let said = format!(
            "the measurement of {} \"{name}\" differs from the reference values",
            kind.as_str()
        );
        assert_eq!(refused, QuoteError::Differs { kind, name });
        assert_eq!(refused.to_string(), said);

        // A log that lies is found out by the PCRs.
        let mut evidence = evidence;
        evidence.event_log = good();
        let refused = verify_quote(
            &enrolled,
            std::slice::from_ref(&reference),
            &qualifying,
            &evidence,
        );
        assert_eq!(refused, Err(QuoteError::EventLog(kind.pcr())));

        let kept = server.tpm.unwrap(&wrapped, &reference).await;
        assert!(
            matches!(kept, Err(TpmError::NotAsMeasured { .. })),
            "{kept:?}"
        );
    }
}

#[tokio::test]
async fn policy_signed_by_another_key_is_refused_by_the_tpm() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    server.measure(&good()).await;
    let wrapped = wrap(&enrolled, &[1; 32]);

    let other = PolicyKey::generate().unwrap();
    let forged = ReferenceValues::compute("test", good())
        .sign(&other)
        .unwrap();
    assert!(
        forged
            .verify_signature(&server.policy_key.public())
            .is_err()
    );
    let refused = server.tpm.unwrap(&wrapped, &forged).await;
    assert!(
        matches!(refused, Err(TpmError::NotApproved { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn server_that_obeys_another_policy_key_neither_enrols_nor_unwraps() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    server.measure(&good()).await;
    let wrapped = wrap(&enrolled, &[1; 32]);
    let Server {
        emulated,
        tpm,
        policy_key,
        directory,
    } = server;
    drop(tpm);

    let other = PolicyKey::generate().unwrap();
    let tpm = Tpm::open(&emulated.connection(), &other.public()).unwrap();
    let turned = Server {
        emulated,
        tpm,
        policy_key,
        directory,
    };
    let request = turned.tpm.enrolment_request(&id("a1")).await.unwrap();
    let refused = begin_enrolment(
        &turned.trust(),
        &turned.policy_key.public(),
        &request,
        Timestamp::now(),
    );
    assert_eq!(refused.err(), Some(EnrolmentError::UnwrapPolicy));
    let approved = ReferenceValues::compute("test", good())
        .sign(&other)
        .unwrap();
    let refused = turned.tpm.unwrap(&wrapped, &approved).await;
    assert!(matches!(refused, Err(TpmError::Unopened)), "{refused:?}");
}

#[tokio::test]
async fn quote_for_another_nonce_is_refused() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    server.measure(&good()).await;
    let reference = ReferenceValues::compute("test", good())
        .sign(&server.policy_key)
        .unwrap();
    let evidence = server
        .tpm
        .quote(Digest::of(b"first"), &good())
        .await
        .unwrap();
    let refused = verify_quote(&enrolled, &[reference], &Digest::of(b"second"), &evidence);
    assert_eq!(refused, Err(QuoteError::Qualifying));
}

#[tokio::test]
async fn key_of_another_tpm_is_refused_by_credential_activation() {
    let honest = Server::start();
    let other = Server::start();
    let now = Timestamp::now();

    // The EK certificate of one TPM with the AK and unwrapping key of another.
    let mut request = other.tpm.enrolment_request(&id("a1")).await.unwrap();
    // The other server obeys its own policy key, so that only the credential can tell.
    let policy_key = other.policy_key.public();
    request.ek_certificate = honest
        .tpm
        .enrolment_request(&id("a1"))
        .await
        .unwrap()
        .ek_certificate;
    let pending = begin_enrolment(&honest.trust(), &policy_key, &request, now).unwrap();
    let challenge = pending.challenge().clone();
    for tpm in [&other.tpm, &honest.tpm] {
        let refused = tpm
            .activate(&challenge.credential_blob, &challenge.secret)
            .await;
        assert!(
            matches!(refused, Err(TpmError::NotForThisTpm { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(pending.finish("AAAA"), Err(EnrolmentError::WrongCredential));

    // An authority that nobody trusts.
    let request = other.tpm.enrolment_request(&id("a1")).await.unwrap();
    let refused = begin_enrolment(&honest.trust(), &policy_key, &request, now);
    assert_eq!(refused.err(), Some(EnrolmentError::UntrustedTpm));
}

#[tokio::test]
async fn wrapped_key_that_was_moved_does_not_open() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    server.measure(&good()).await;
    let reference = ReferenceValues::compute("test", good())
        .sign(&server.policy_key)
        .unwrap();
    let wrapped = wrap(&enrolled, &[1; 32]);
    server.tpm.unwrap(&wrapped, &reference).await.unwrap();

    let moved = [
        WrappedKey {
            dataset: "other".parse().unwrap(),
            ..wrapped.clone()
        },
        WrappedKey {
            version: 2,
            ..wrapped.clone()
        },
        WrappedKey {
            recipient: Recipient::Server(id("a2")),
            ..wrapped.clone()
        },
        WrappedKey {
            recipient: Recipient::Recovery,
            ..wrapped.clone()
        },
    ];
    for moved in moved {
        let refused = server.tpm.unwrap(&moved, &reference).await;
        assert!(matches!(refused, Err(TpmError::Unopened)), "{refused:?}");
    }
    // A point off the curve is refused by the TPM, not computed with.
    let mut enc = BASE64_STANDARD.decode(&wrapped.enc).unwrap();
    enc[64] ^= 1;
    let off_curve = WrappedKey {
        enc: BASE64_STANDARD.encode(enc),
        ..wrapped
    };
    let refused = server.tpm.unwrap(&off_curve, &reference).await;
    assert!(
        matches!(refused, Err(TpmError::Command { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn emulated_tpm_dies_with_its_value_and_starts_again() {
    let server = Server::start();
    let kekkai_tpm::Connection::Emulated(port) = server.emulated.connection() else {
        panic!("emulated")
    };
    let server = server.restart();
    let _still_running = &server;
    let gone = std::net::TcpStream::connect(("127.0.0.1", port));
    let same = server.emulated.connection() == kekkai_tpm::Connection::Emulated(port);
    assert!(gone.is_err() || same, "the first process still listens");
}

#[tokio::test]
async fn start_that_was_killed_half_way_is_continued() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    let ca = server.directory.path().join("ca");
    // The certificate never reached the TPM as it stands on disk, and the next folder was half made.
    let other = Server::start();
    std::fs::copy(
        other.directory.path().join("ca/ek.cert"),
        ca.join("ek.cert"),
    )
    .unwrap();
    std::fs::create_dir(server.directory.path().join("ca.new")).unwrap();
    let server = server.restart();
    let stored = server
        .tpm
        .enrolment_request(&id("a1"))
        .await
        .unwrap()
        .ek_certificate;
    assert_eq!(
        stored,
        BASE64_STANDARD.encode(std::fs::read(ca.join("ek.cert")).unwrap())
    );

    // The authority's folder is lost: a new authority certifies the same EK.
    std::fs::remove_dir_all(&ca).unwrap();
    let server = server.restart();
    let again = server.enrol().await;
    assert_ne!(again.ek_certificate, enrolled.ek_certificate);
    assert_eq!(again.unwrap_public, enrolled.unwrap_public);
    let keys: Vec<_> = std::fs::read_dir(&ca)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("key"))
        .collect();
    assert!(keys.is_empty(), "the authority could sign again: {keys:?}");
}

#[tokio::test]
async fn second_start_on_the_same_power_up_measures_nothing_else() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    let Server {
        emulated,
        tpm,
        policy_key,
        directory,
    } = server;
    drop(tpm);
    // As `kekkai-measure` does on a hardware TPM when the service restarts without the machine.
    extend_all(&emulated.connection(), &good()).unwrap();
    extend_all(&emulated.connection(), &good()).unwrap();
    let mut upgraded = good();
    upgraded[2].digest = Digest::of(b"another worker");
    let refused = extend_all(&emulated.connection(), &upgraded);
    assert!(
        matches!(refused, Err(TpmError::AlreadyMeasured(13))),
        "{refused:?}"
    );

    // The TPM serves one client at a time, so before it is opened.
    let firmware = firmware(&emulated.connection()).unwrap();
    let tpm = Tpm::open(&emulated.connection(), &policy_key.public()).unwrap();
    let server = Server {
        emulated,
        tpm,
        policy_key,
        directory,
    };
    let mut reference = ReferenceValues::compute("test", good());
    assert_eq!(
        firmware.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
    reference.pcrs.extend(firmware);
    let evidence = server
        .tpm
        .quote(Digest::of(b"nonce"), &good())
        .await
        .unwrap();
    assert_eq!(
        verify_quote(&enrolled, &[reference], &Digest::of(b"nonce"), &evidence),
        Ok(0)
    );
}

#[tokio::test]
async fn upgrade_is_a_new_signature_not_new_keys() {
    let server = Server::start();
    let enrolled = server.enrol().await;
    let wrapped = wrap(&enrolled, &[9; 32]);
    let mut upgraded = good();
    upgraded[0].digest = Digest::of(b"next release");

    let server = server.restart();
    server.measure(&upgraded).await;
    let old = ReferenceValues::compute("r1", good())
        .sign(&server.policy_key)
        .unwrap();
    let refused = server.tpm.unwrap(&wrapped, &old).await;
    assert!(
        matches!(refused, Err(TpmError::NotAsMeasured { .. })),
        "{refused:?}"
    );
    let new = ReferenceValues::compute("r2", upgraded)
        .sign(&server.policy_key)
        .unwrap();
    let key = server.tpm.unwrap(&wrapped, &new).await.unwrap();
    assert_eq!(key.expose(), &[9; 32]);
}
