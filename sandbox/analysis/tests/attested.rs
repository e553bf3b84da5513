//! A whole launch with a software TPM: enrolment, quote, key release, unwrapping, jail; and what
//! happens when a measured file changes on disk. Needs `swtpm`, `swtpm_localca` and `setpriv`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use kekkai_analysis::attester::Attester;
use kekkai_analysis::config::Config;
use kekkai_analysis::remeasure::Watch;
use kekkai_attest::{
    ComponentKind, Enrolled, Measurement, PendingEnrolment, PolicyKey, ReferenceValues, TpmTrust,
    begin_enrolment, verify_quote,
};
use kekkai_policy_api::{
    AttestChallenge, BeginEnrolment, EnrolmentChallenge, FinishEnrolment, Nonce, ReleaseKeys,
    SessionTerms,
};
use kekkai_service::Routes;
use kekkai_sys::Spawner;
use kekkai_tpm::emulated::Emulated;
use kekkai_tpm::{Tpm, extend_all};
use kekkai_types::{
    DatasetId, Digest, Recipient, Refusal, ServerId, SessionId, Timestamp, WrappedKey,
};
use support::{LONG, stage_with, terms, workers};

/// The policy service's part in attestation, by its own verifier.
struct Verifier {
    trust: TpmTrust,
    policy_key: PolicyKey,
    reference: ReferenceValues,
    spki: Option<Digest>,
    expected: bool,
    pending: Option<PendingEnrolment>,
    enrolled: Option<Enrolled>,
    nonces: Vec<Digest>,
    opened: Vec<SessionTerms>,
}

type Shared = Arc<Mutex<Verifier>>;

fn attestation(routes: Routes, shared: &Shared) -> Routes {
    let (a, b, c, d) = (
        shared.clone(),
        shared.clone(),
        shared.clone(),
        shared.clone(),
    );
    routes
        .call(move |from, _: AttestChallenge| {
            let mut verifier = a.lock().unwrap();
            verifier.spki = Some(from.spki);
            let answer = match verifier.enrolled {
                None => Err(Refusal::new("server-not-enrolled", "a1")),
                Some(_) => {
                    let nonce = Digest::of(&verifier.nonces.len().to_be_bytes());
                    verifier.nonces.push(nonce);
                    Ok(Nonce(nonce))
                }
            };
            async { answer }
        })
        .call(move |_, call: BeginEnrolment| {
            let mut verifier = b.lock().unwrap();
            let answer = if verifier.expected {
                let key = verifier.policy_key.public();
                let pending =
                    begin_enrolment(&verifier.trust, &key, &call.request, Timestamp::now())
                        .unwrap();
                let challenge = pending.challenge().clone();
                verifier.pending = Some(pending);
                Ok(EnrolmentChallenge {
                    credential_blob: challenge.credential_blob,
                    secret: challenge.secret,
                })
            } else {
                // The operator announces it only after the first try.
                verifier.expected = true;
                Err(Refusal::new("server-not-expected", "a1"))
            };
            async { answer }
        })
        .call(move |_, call: FinishEnrolment| {
            let mut verifier = c.lock().unwrap();
            let enrolled = verifier
                .pending
                .take()
                .unwrap()
                .finish(&call.credential)
                .unwrap();
            verifier.enrolled = Some(enrolled);
            async { Ok(()) }
        })
        .call(move |from, call: ReleaseKeys| {
            let answer = d.lock().unwrap().release(&from.spki, &call);
            async { answer }
        })
}

impl Verifier {
    fn release(&mut self, spki: &Digest, call: &ReleaseKeys) -> Result<SessionTerms, Refusal> {
        assert!(self.nonces.contains(&call.nonce.0));
        self.nonces.clear();
        let mut bytes = call.nonce.0.as_bytes().to_vec();
        bytes.extend_from_slice(call.session.as_str().as_bytes());
        bytes.extend_from_slice(spki.as_bytes());
        let qualifying = Digest::of(&bytes);
        let enrolled = self.enrolled.clone().unwrap();
        let references = [self.reference.clone()];
        verify_quote(&enrolled, &references, &qualifying, &call.evidence)
            .map_err(|error| Refusal::new("server-not-trusted", error.to_string()))?;
        let found = self
            .opened
            .iter()
            .find(|terms| terms.session == call.session);
        let mut terms = found
            .cloned()
            .ok_or_else(|| Refusal::not_found("session"))?;
        terms.reference = self.reference.clone();
        terms.datasets[0].key = wrap(&enrolled);
        Ok(terms)
    }
}

fn wrap(enrolled: &Enrolled) -> WrappedKey {
    let dataset = DatasetId::new("d").unwrap();
    let recipient = Recipient::Server(enrolled.server.clone());
    let public = BASE64_STANDARD.decode(&enrolled.unwrap_public).unwrap();
    let public = <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
    let aad = WrappedKey::aad(&dataset, 1, &recipient);
    let (enc, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &public,
        WrappedKey::INFO,
        &[9; 32],
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

/// A configuration whose files lie in `dir`, and what `kekkai-measure` would have measured of them.
fn measured(dir: &Path) -> (Config, Vec<Measurement>) {
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/etc/kekkai-analysis.example.toml");
    let text = std::fs::read_to_string(example).unwrap();
    let mut config: Config = kekkai_service::config::parse(&text, Path::new("x")).unwrap();
    let mut log = Vec::new();
    for (kind, name) in [
        (ComponentKind::Binary, "kekkai-analysis"),
        (ComponentKind::Configuration, "analysis.toml"),
        (ComponentKind::SessionImage, "kekkai-sql-worker"),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, format!("the bytes of {name}")).unwrap();
        let digest = Digest::of(format!("the bytes of {name}").as_bytes());
        let name = name.to_owned();
        match kind {
            ComponentKind::Binary => config.measure.binary = path,
            ComponentKind::Configuration => config.configuration = path,
            ComponentKind::SessionImage => drop(config.images.insert(name.clone(), path)),
        }
        log.push(Measurement { kind, name, digest });
    }
    (config, log)
}

#[test]
fn session_is_launched_on_a_fresh_quote_and_a_changed_file_is_named() {
    let spawner = Spawner::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let emulated = Emulated::start(&dir.path().join("tpm")).unwrap();
    let policy_key = PolicyKey::generate().unwrap();
    let (config, log) = measured(dir.path());
    extend_all(&emulated.connection(), &log).unwrap();
    let mut trust = TpmTrust::new();
    let authorities = std::fs::read_to_string(emulated.authorities()).unwrap();
    trust.add_emulated(&authorities).unwrap();
    let reference = ReferenceValues::compute("test", log.clone())
        .sign(&policy_key)
        .unwrap();
    let tpm = Tpm::open(&emulated.connection(), &policy_key.public()).unwrap();
    let first = terms(200, 60);
    let second = terms(200, 60);
    let (one, two) = (first.session.clone(), second.session.clone());
    let shared: Shared = Arc::new(Mutex::new(Verifier {
        trust,
        policy_key,
        reference,
        spki: None,
        expected: false,
        pending: None,
        enrolled: None,
        nonces: Vec::new(),
        opened: vec![first, second],
    }));

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = stage_with(spawner, 0, |routes| attestation(routes, &shared)).await;
        let broker = &stage.broker;
        let watch = Watch::new(&config, log);
        let attester = Attester::new(ServerId::new("a1").unwrap(), stage.spki, tpm, watch);

        let refusal = broker.launch(&attester, &one).await.unwrap_err();
        assert_eq!(refusal.code, "server-not-enrolled");
        // Refused at first, then expected: it tries again by itself.
        attester.enrol(&stage.policy).await;
        assert!(attester.is_enrolled());
        assert_eq!(shared.lock().unwrap().spki, Some(stage.spki));

        let start = Instant::now();
        let launched = broker.launch(&attester, &one).await.unwrap();
        println!("launch with emulated TPM: {:?}", start.elapsed());
        assert!(launched.emulated && launched.waived.is_empty());
        let session = broker.session(&one).unwrap();
        let job = session.query("SELECT 1").await.unwrap();
        let job = session.wait_job(&job, LONG, 0).await.unwrap();
        assert!(
            matches!(job.state, kekkai_analysis_api::JobState::Done(Some(_))),
            "{job:?}"
        );
        let again = broker.launch(&attester, &one).await.unwrap_err();
        assert_eq!(again.code, "already-launched");
        let unknown = SessionId::random().unwrap();
        assert_eq!(
            broker.launch(&attester, &unknown).await.unwrap_err().code,
            "not-found"
        );

        for (path, name) in [
            (
                config.images["kekkai-sql-worker"].clone(),
                "kekkai-sql-worker",
            ),
            (config.measure.binary.clone(), "kekkai-analysis"),
        ] {
            let good = std::fs::read(&path).unwrap();
            std::fs::write(&path, "one byte more").unwrap();
            let refusal = broker.launch(&attester, &two).await.unwrap_err();
            assert_eq!(refusal.code, "server-not-trusted");
            println!("{refusal}");
            if name == "kekkai-sql-worker" {
                assert!(refusal.detail.contains(name), "{refusal}");
            }
            // Put back: this life of the server stays refused.
            std::fs::write(&path, good).unwrap();
            let refusal = broker.launch(&attester, &two).await.unwrap_err();
            assert_eq!(refusal.code, "server-not-trusted");
        }
        assert_eq!(workers(), 1, "only the session from before the change");
    });
}
