//! Every refusal, each beside a request that is taken.

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_review_api::{TOOL_NAMESPACE, ToolName, ToolRequest};
use kekkai_types::{AgreementId, Digest, PersonId};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::{ToolError, open, pack, parse};

fn sbom(component: &[u8]) -> String {
    let digest = Digest::of(component);
    format!(
        r#"{{"bomFormat": "CycloneDX", "specVersion": "1.5",
    "metadata": {{"component": {{"name": "riskratio", "version": "1.0.0",
        "hashes": [{{"alg": "SHA-1", "content": "00"}}, {{"alg": "SHA-256", "content": "{digest}"}}]}}}},
    "components": [{{"group": "wasi", "name": "libc", "version": "0.1", "purl": "pkg:generic/wasi-libc@0.1"}}]}}"#
    )
}

fn component(more: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component (import "wasi:io/poll@0.2.0" (instance)) {more}
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    ))
    .unwrap()
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new(
        KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])),
        "sato@vdi",
    )
    .unwrap()
}

fn signed(text: &str, namespace: &str) -> String {
    key(1)
        .sign(namespace, HashAlg::Sha512, text.as_bytes())
        .unwrap()
        .to_pem(LineEnding::LF)
        .unwrap()
}

fn packed(component: Vec<u8>, sbom: &str) -> Result<crate::Packed, ToolError> {
    pack(
        AgreementId::new("a1").unwrap(),
        PersonId::new("sato").unwrap(),
        ToolName::new("riskratio").unwrap(),
        "リスク比 (risk ratio)".to_owned(),
        component,
        sbom.as_bytes().to_vec(),
    )
}

fn request() -> ToolRequest {
    let packed = packed(component(""), &sbom(&component(""))).unwrap();
    let signature = signed(&packed.text(), TOOL_NAMESPACE);
    packed.sign(signature).unwrap()
}

fn code(request: &ToolRequest) -> &'static str {
    open(request).unwrap_err().code()
}

/// Signed anew, after a change: what an author who means it would do.
fn resigned(mut request: ToolRequest) -> ToolRequest {
    request.signature = signed(&request.manifest.signed_text(), TOOL_NAMESPACE);
    request
}

#[test]
fn request_opens_to_what_was_packed() {
    let request = request();
    let bytes = serde_json::to_vec(&request).unwrap();
    let opened = open(&parse(&bytes).unwrap()).unwrap();
    assert_eq!(opened.component(), component(""));
    assert_eq!(opened.imports(), ["wasi:io/poll@0.2.0"]);
    assert_eq!(opened.sbom().version, "1.0.0");
    assert_eq!(opened.sbom().parts[0].name, "wasi/libc");
    assert_eq!(
        opened.signer().key,
        key(1)
            .public_key()
            .to_openssh()
            .unwrap()
            .rsplit_once(' ')
            .unwrap()
            .0
    );
    assert!(opened.signer().fingerprint.starts_with("SHA256:"));
}

#[test]
fn one_changed_byte_is_refused() {
    let good = request();
    for (at, what) in [(0, "tool-altered"), (30, "tool-altered")] {
        let mut changed = good.clone();
        let mut bytes = component("");
        bytes[at] ^= 1;
        changed.component = STANDARD.encode(&bytes);
        assert_eq!(code(&changed), what);
    }
    let mut changed = good.clone();
    changed.sbom = STANDARD.encode(sbom(&component("")).replace("0.1", "0.2"));
    assert_eq!(code(&changed), "tool-altered");
    // With the digests put right, the signature is about something else.
    let mut changed = good.clone();
    let other = component("(core module)");
    changed.component = STANDARD.encode(&other);
    changed.manifest.component_sha256 = Digest::of(&other);
    changed.manifest.component_bytes = u64::try_from(other.len()).unwrap();
    assert_eq!(code(&changed), "tool-not-signed");
    // Signed anew, the bill is still another build's.
    assert_eq!(code(&resigned(changed.clone())), "tool-sbom");
    let bill = sbom(&other);
    changed.sbom = STANDARD.encode(&bill);
    changed.manifest.sbom_sha256 = Digest::of(bill.as_bytes());
    changed.manifest.sbom_bytes = u64::try_from(bill.len()).unwrap();
    assert!(open(&resigned(changed)).is_ok(), "the control");
    for change in [
        |r: &mut ToolRequest| r.manifest.author = PersonId::new("tanaka").unwrap(),
        |r: &mut ToolRequest| r.manifest.agreement = AgreementId::new("a2").unwrap(),
        |r: &mut ToolRequest| r.manifest.name = ToolName::new("other").unwrap(),
        |r: &mut ToolRequest| r.manifest.description.push('!'),
        |r: &mut ToolRequest| r.manifest.component_bytes += 1,
    ] {
        let mut changed = good.clone();
        change(&mut changed);
        assert_eq!(code(&changed), "tool-not-signed");
    }
}

#[test]
fn every_flipped_letter_of_the_signature_is_refused() {
    let good = request();
    let lines: Vec<usize> = good
        .signature
        .match_indices('\n')
        .map(|(at, _)| at)
        .collect();
    let (first, last) = (lines[0] + 1, lines[lines.len() - 2]);
    for at in (first..last).step_by(3) {
        let mut changed = good.clone();
        let mut bytes = changed.signature.into_bytes();
        if bytes[at] == b'\n' || bytes[at] == b'=' {
            continue;
        }
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        changed.signature = String::from_utf8(bytes).unwrap();
        if changed.signature != good.signature {
            let refused = code(&changed);
            assert!(
                ["tool-not-signed", "tool-signature"].contains(&refused),
                "{at}"
            );
        }
    }
}

#[test]
fn signature_for_another_purpose_is_refused() {
    let mut other = request();
    other.signature = signed(&other.manifest.signed_text(), "file");
    assert_eq!(code(&other), "tool-signature");
    other.signature = "-----BEGIN PGP SIGNATURE-----".to_owned();
    assert_eq!(code(&other), "tool-signature");
    other.signature = "x".repeat(1_000_000);
    assert_eq!(code(&other), "tool-signature");
}

#[test]
fn component_that_may_not_run_is_refused_when_it_is_packed_and_when_it_is_opened() {
    for (more, expected) in [
        (
            r#"(import "wasi:http/outgoing-handler@0.2.0" (instance))"#,
            "tool-import",
        ),
        (
            r#"(import "kekkai:session/data@9.0.0" (instance))"#,
            "tool-import",
        ),
        ("(core module (memory 1 2 shared))", "tool-component"),
    ] {
        let bad = component(more);
        assert_eq!(
            packed(bad.clone(), &sbom(&bad)).unwrap_err().code(),
            expected
        );
        let mut request = request();
        request.component = STANDARD.encode(&bad);
        request.manifest.component_sha256 = Digest::of(&bad);
        request.manifest.component_bytes = u64::try_from(bad.len()).unwrap();
        assert_eq!(code(&resigned(request)), expected);
    }
    let language = wat::parse_str(
        r#"(component (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run-script") (canon lift (core func $i "run"))))"#,
    )
    .unwrap();
    assert_eq!(packed(language, "").unwrap_err().code(), "tool-component");
    assert_eq!(
        packed(b"#!/bin/sh".to_vec(), "").unwrap_err().code(),
        "tool-component"
    );
    let large = vec![0; 64 * 1024 * 1024 + 1];
    assert_eq!(packed(large, "").unwrap_err().code(), "tool-too-large");
}

#[test]
fn bill_of_materials_is_needed_and_names_its_parts() {
    let good = sbom(&component(""));
    for bad in [
        "",
        "{}",
        "[]",
        &good.replace("CycloneDX", "SPDX"),
        &good.replace("\"1.5\"", "\"2.0\""),
        &good.replace("riskratio", "other"),
        &good.replace("\"libc\"", "\"\""),
        &good.replace("\"0.1\"", "\" \""),
        &good.replace("\"components\"", "\"services\""),
        &good.replace("libc", &"x".repeat(201)),
        &good.replace("SHA-256", "SHA-512"),
        &sbom(b"another build"),
    ] {
        assert_eq!(
            packed(component(""), bad).unwrap_err().code(),
            "tool-sbom",
            "{bad}"
        );
    }
    assert!(packed(component(""), &good.replace("wasi", "")).is_ok());
}

#[test]
fn description_is_one_line() {
    let with = |description: &str| {
        let mut request = request();
        request.manifest.description = description.to_owned();
        open(&resigned(request))
            .map(|_| ())
            .map_err(|error| error.code())
    };
    assert_eq!(with("ok"), Ok(()));
    for bad in ["", "  ", "a\nname: other", "a\u{1b}[2J", &"x".repeat(501)] {
        assert_eq!(with(bad), Err("tool-description"), "{bad:?}");
    }
}

#[test]
fn other_formats_are_refused() {
    let mut request = request();
    request.format = "kekkai-tool/2".to_owned();
    assert_eq!(code(&request), "tool-format");
    for bytes in [&b""[..], b"PK\x03\x04", b"{\"format\": 1}"] {
        assert_eq!(parse(bytes).unwrap_err().code(), "tool-format");
    }
    let mut more = serde_json::to_value(&request).unwrap();
    more["extra"] = true.into();
    assert!(parse(more.to_string().as_bytes()).is_err());
}

/// The format is OpenSSH's own: what it signs opens here, and what is signed here it verifies.
#[test]
fn stock_ssh_keygen_signs_and_verifies_requests() {
    let dir = tempfile::tempdir().unwrap();
    let private = dir.path().join("id");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&private)
        .status()
        .unwrap();
    assert!(made.success());
    let packed = packed(component(""), &sbom(&component(""))).unwrap();
    let text = dir.path().join("manifest");
    std::fs::write(&text, packed.text()).unwrap();
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", TOOL_NAMESPACE, "-f"])
        .args([&private, &text])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(signed.success());
    let signature = std::fs::read_to_string(dir.path().join("manifest.sig")).unwrap();
    let request = packed.sign(signature).unwrap();
    let opened = open(&request).unwrap();
    let public = std::fs::read_to_string(dir.path().join("id.pub")).unwrap();
    assert!(public.starts_with(&opened.signer().key));

    let ours = dir.path().join("ours.sig");
    let pem = self::signed(&request.manifest.signed_text(), TOOL_NAMESPACE);
    std::fs::write(&ours, pem).unwrap();
    let allowed = dir.path().join("allowed");
    let line = format!("sato {}\n", key(1).public_key().to_openssh().unwrap());
    std::fs::write(&allowed, line).unwrap();
    let verified = Command::new("ssh-keygen")
        .args([
            "-q",
            "-Y",
            "verify",
            "-I",
            "sato",
            "-n",
            TOOL_NAMESPACE,
            "-f",
        ])
        .arg(&allowed)
        .arg("-s")
        .arg(&ours)
        .stdin(std::fs::File::open(&text).unwrap())
        .status()
        .unwrap();
    assert!(verified.success());
}
