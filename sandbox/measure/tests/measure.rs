//! `kekkai-measure` with a software TPM, a stand-in for the analysis server (`examples/measured_probe.rs`)
//! and the verifier: what runs is what was measured, and one changed byte stops everything.
//! Needs `swtpm`, `swtpm_localca` and `setpriv`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use kekkai_attest::{
    Enrolled, EnrolmentRequest, Evidence, PolicyKey, QuoteError, ReferenceValues, TpmTrust,
    begin_enrolment, verify_quote,
};
use kekkai_types::{Digest, KeyText, Recipient, ServerId, Timestamp, WrappedKey};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A deployment in a temporary directory.
struct Deployment {
    directory: TempDir,
    policy_key: PolicyKey,
}

impl Deployment {
    fn new() -> Self {
        let deployment = Self {
            directory: tempfile::tempdir().unwrap(),
            policy_key: PolicyKey::generate().unwrap(),
        };
        fs::copy(probe(), deployment.path("kekkai-analysis")).unwrap();
        fs::write(deployment.path("worker"), "the worker's bytes").unwrap();
        fs::write(deployment.path("python"), "the runtime's bytes").unwrap();
        deployment.configure("");
        deployment
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, more: &str) {
        let at = |name| self.path(name).display().to_string();
        let key = BASE64_STANDARD.encode(self.policy_key.public());
        let text = format!(
            "server = \"a1\"\n{more}\n[measure]\nbinary = \"{}\"\n[images]\n\
             python = \"{}\"\nkekkai-sql-worker = \"{}\"\n[tpm]\nemulated = \"{}\"\n\
             policy_key = \"{key}\"\n",
            at("kekkai-analysis"),
            at("python"),
            at("worker"),
            at("tpm"),
        );
        fs::write(self.path("analysis.toml"), text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kekkai-measure"));
        command.arg("--config").arg(self.path("analysis.toml"));
        command
    }

    fn reference(&self) -> ReferenceValues {
        let output = self
            .command()
            .args(["--print-reference", "r1"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let unsigned: ReferenceValues = serde_json::from_slice(&output.stdout).unwrap();
        unsigned.sign(&self.policy_key).unwrap()
    }

    fn start(&self) -> Server {
        let mut process = self
            .command()
            .env("LD_LIBRARY_PATH_OF_AN_ATTACKER", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Server { process, answers }
    }

    fn enrol(&self, server: &mut Server) -> Enrolled {
        let request: EnrolmentRequest =
            serde_json::from_value(server.ask(json!({ "enrol": "a1" }))).unwrap();
        let mut trust = TpmTrust::new();
        let authorities = kekkai_tpm::emulated::authorities(&self.path("tpm"));
        trust
            .add_emulated(&fs::read_to_string(authorities).unwrap())
            .unwrap();
        let pending = begin_enrolment(
            &trust,
            &self.policy_key.public(),
            &request,
            Timestamp::now(),
        )
        .unwrap();
        let challenge = pending.challenge().clone();
        let credential: Vec<u8> = serde_json::from_value(server.ask(json!({ "activate": {
            "blob": challenge.credential_blob, "secret": challenge.secret,
        }})))
        .unwrap();
        pending.finish(&BASE64_STANDARD.encode(credential)).unwrap()
    }
}

/// The stand-in, executed by `kekkai-measure`. Killed when dropped, and its TPM with it.
struct Server {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn ask(&mut self, command: Value) -> Value {
        writeln!(self.process.stdin.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn quote(&mut self, qualifying: Digest) -> Evidence {
        serde_json::from_value(self.ask(json!({ "quote": qualifying }))).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn probe() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples")
        .join("measured_probe")
}

fn wrap(enrolled: &Enrolled) -> WrappedKey {
    let dataset: kekkai_types::DatasetId = "hospital".parse().unwrap();
    let recipient = Recipient::Server(ServerId::new("a1").unwrap());
    let public = BASE64_STANDARD.decode(&enrolled.unwrap_public).unwrap();
    let public = <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
    let aad = WrappedKey::aad(&dataset, 1, &recipient);
    let (enc, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &public,
        WrappedKey::INFO,
        &[7; 32],
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

#[test]
fn server_runs_what_was_measured_and_gets_its_keys() {
    let deployment = Deployment::new();
    let reference = deployment.reference();
    let mut server = deployment.start();
    let _it_runs = server.quote(Digest::of(b"first"));

    // The files are exchanged while it runs: nothing changes for it.
    fs::write(deployment.path("worker"), "other bytes").unwrap();
    let seen = server.ask(json!("show"));
    assert_eq!(seen["images"]["kekkai-sql-worker"], "the worker's bytes");
    assert_eq!(seen["images"]["python"], "the runtime's bytes");
    let text = fs::read_to_string(deployment.path("analysis.toml")).unwrap();
    assert_eq!(seen["configuration"], text);
    assert_eq!(seen["event_log"], json!(reference.components));
    assert_eq!(seen["emulated"], true);
    let name = fs::read_to_string(format!("/proc/{}/comm", server.process.id())).unwrap();
    assert_eq!(name.trim(), "kekkai-analysis");

    // Only its own descriptors on the measured memory, and none survives a worker's execve.
    let descriptors: Vec<(String, bool)> =
        serde_json::from_value(seen["descriptors"].clone()).unwrap();
    let memory: Vec<_> = descriptors
        .iter()
        .filter(|(name, _)| name.contains("memfd"))
        .collect();
    assert_eq!(memory.len(), 2, "{descriptors:?}");
    assert!(
        memory.iter().all(|(_, is_closed)| *is_closed),
        "{descriptors:?}"
    );
    let environment: Vec<String> = serde_json::from_value(seen["environment"].clone()).unwrap();
    assert!(
        !environment.iter().any(|name| name.contains("ATTACKER")),
        "{environment:?}"
    );

    let enrolled = deployment.enrol(&mut server);
    let evidence = server.quote(Digest::of(b"nonce"));
    let references = [reference.clone()];
    assert_eq!(
        verify_quote(&enrolled, &references, &Digest::of(b"nonce"), &evidence),
        Ok(0)
    );
    let key = server.ask(json!({ "unwrap": (wrap(&enrolled), reference) }));
    assert_eq!(key, json!(KeyText::new([7; 32])));
}

#[test]
fn one_changed_byte_of_any_component_is_named_and_opens_nothing() {
    let deployment = Deployment::new();
    let reference = deployment.reference();
    let mut server = deployment.start();
    let enrolled = deployment.enrol(&mut server);
    let wrapped = wrap(&enrolled);
    drop(server);

    let binary = fs::read(deployment.path("kekkai-analysis")).unwrap();
    type Change<'a> = (&'a str, &'a dyn Fn(), &'a dyn Fn());
    let changes: [Change<'_>; 4] = [
        (
            "binary \"kekkai-analysis\"",
            // After the last section: it still runs, but it isn't the same.
            &|| {
                fs::write(
                    deployment.path("kekkai-analysis"),
                    [&binary[..], b"x"].concat(),
                )
                .unwrap()
            },
            &|| fs::write(deployment.path("kekkai-analysis"), &binary).unwrap(),
        ),
        (
            "configuration \"analysis.toml\"",
            &|| deployment.configure("# a comment"),
            &|| deployment.configure(""),
        ),
        (
            "session-image \"kekkai-sql-worker\"",
            &|| fs::write(deployment.path("worker"), "the worker's byteS").unwrap(),
            &|| fs::write(deployment.path("worker"), "the worker's bytes").unwrap(),
        ),
        (
            "session-image \"python\"",
            &|| fs::write(deployment.path("python"), "the runtime's byteS").unwrap(),
            &|| fs::write(deployment.path("python"), "the runtime's bytes").unwrap(),
        ),
    ];
    for (name, change, restore) in changes {
        change();
        let mut server = deployment.start();
        let evidence = server.quote(Digest::of(b"nonce"));
        let references = [reference.clone()];
        let refused = verify_quote(&enrolled, &references, &Digest::of(b"nonce"), &evidence);
        let said = refused.unwrap_err().to_string();
        assert_eq!(
            said,
            format!("the measurement of {name} differs from the reference values")
        );
        let kept = server.ask(json!({ "unwrap": (&wrapped, &reference) }));
        assert_eq!(
            kept["error"],
            "the TPM's PCRs are not those of the reference values"
        );
        drop(server);
        restore();
    }

    // The control: restored, the same server gets its key.
    let mut server = deployment.start();
    let key = server.ask(json!({ "unwrap": (&wrapped, &reference) }));
    assert_eq!(key, json!(KeyText::new([7; 32])));
}

#[test]
fn session_image_that_nobody_approved_is_named() {
    let deployment = Deployment::new();
    let reference = deployment.reference();
    let mut server = deployment.start();
    let enrolled = deployment.enrol(&mut server);
    drop(server);

    let text = fs::read_to_string(deployment.path("analysis.toml")).unwrap();
    let extra = format!(
        "[images]\nbackdoor = \"{}\"",
        deployment.path("worker").display()
    );
    fs::write(
        deployment.path("analysis.toml"),
        text.replace("[images]", &extra),
    )
    .unwrap();
    let with_extra = {
        let mut approved = reference.clone();
        // The new configuration is approved, the new image is not.
        approved.components[1] = deployment.reference().components[1].clone();
        ReferenceValues::compute("r2", approved.components)
    };
    let mut server = deployment.start();
    let evidence = server.quote(Digest::of(b"nonce"));
    let refused = verify_quote(&enrolled, &[with_extra], &Digest::of(b"nonce"), &evidence);
    assert!(
        matches!(&refused, Err(QuoteError::Unknown { name, .. }) if name == "backdoor"),
        "{refused:?}"
    );
}

#[test]
fn server_not_started_by_measure_gets_nothing() {
    let output = Command::new(probe()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("not started by kekkai-measure"), "{said}");
}

#[test]
fn unsealed_file_in_the_handover_is_refused() {
    // As an attacker with an environment of its own would start the server.
    let deployment = Deployment::new();
    let worker = deployment.path("worker");
    let digest = Digest::of(&fs::read(&worker).unwrap());
    let handover = json!({
        "connection": { "emulated": 1 },
        "components": [[{ "kind": "session-image", "name": "worker", "digest": digest }, 9]],
    });
    let script = format!("exec 9<{}; exec {}", worker.display(), probe().display());
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("KEKKAI_MEASURED", handover.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("is not sealed") || said.contains("is not a memory file"),
        "{said}"
    );
}

#[test]
fn killed_server_leaves_no_tpm_behind() {
    let deployment = Deployment::new();
    let mut server = deployment.start();
    let port = server.ask(json!("show"))["connection"]["emulated"]
        .as_u64()
        .unwrap();
    // The control port: the command port serves its one client.
    let control = ("127.0.0.1", u16::try_from(port + 1).unwrap());
    TcpStream::connect(control).expect("the TPM runs while its server does");
    drop(server);
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(control).is_ok() {
        assert!(Instant::now() < deadline, "the TPM outlives its server");
        std::thread::sleep(Duration::from_millis(10));
    }

    // The next start is a power-up: the PCRs hold this start's measurements and no others.
    let mut server = deployment.start();
    let evidence = server.quote(Digest::of(b"nonce"));
    let pcr11 = evidence.pcrs.iter().find(|pcr| pcr.index == 11).unwrap();
    assert_eq!(pcr11.value, kekkai_attest::replay(&evidence.event_log)[&11]);
}

#[test]
fn emulated_tpm_offers_no_firmware_values() {
    let deployment = Deployment::new();
    let output = deployment
        .command()
        .args(["--print-reference", "r1", "--with-firmware"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("an emulated TPM measures no firmware"),
        "{said}"
    );
}

#[test]
fn missing_image_is_an_error_before_anything_runs() {
    let deployment = Deployment::new();
    fs::remove_file(deployment.path("python")).unwrap();
    let output = deployment.command().output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("python") && said.contains("can't be read"),
        "{said}"
    );
}
