//! Captures what a software TPM says, for the tests of `policy/attest`, which has no TPM:
//! `cargo run -p kekkai-tpm --example capture_vectors > policy/attest/tests/vectors/swtpm.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use kekkai_attest::{ComponentKind, Measurement, PolicyKey, ReferenceValues};
use kekkai_tpm::Tpm;
use kekkai_tpm::emulated::Emulated;
use kekkai_types::{Digest, ServerId, Timestamp};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let state = tempfile::tempdir().unwrap();
    let emulated = Emulated::start(state.path()).unwrap();
    let policy_key = PolicyKey::generate().unwrap();
    let tpm = Tpm::open(&emulated.connection(), &policy_key.public()).unwrap();

    let component = |kind, name: &str, bytes: &[u8]| Measurement {
        kind,
        name: name.to_owned(),
        digest: Digest::of(bytes),
    };
    let log = [
        component(ComponentKind::Binary, "kekkai-analysis", b"binary"),
        component(
            ComponentKind::Configuration,
            "analysis.toml",
            b"configuration",
        ),
        component(ComponentKind::SessionImage, "kekkai-sql-worker", b"worker"),
        component(ComponentKind::SessionImage, "python", b"python"),
    ];
    let request = tpm
        .enrolment_request(&ServerId::new("a1").unwrap())
        .await
        .unwrap();
    for measurement in &log {
        tpm.extend(measurement).await.unwrap();
    }
    let qualifying = Digest::of(b"nonce");
    let evidence = tpm.quote(qualifying, &log).await.unwrap();
    let reference = ReferenceValues::compute("captured", log.to_vec())
        .sign(&policy_key)
        .unwrap();
    let vectors = json!({
        "authorities": std::fs::read_to_string(emulated.authorities()).unwrap(),
        "policy_key": policy_key.public().to_vec(),
        "captured_at": Timestamp::now(),
        "request": request,
        "qualifying": qualifying,
        "evidence": evidence,
        "reference": reference,
    });
    println!("{}", serde_json::to_string_pretty(&vectors).unwrap());
}
