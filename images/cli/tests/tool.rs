//! `kekkai tool`: what an author and staff can do without a deployment, and what each mistake says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kekkai_types::Digest;

fn sbom(component: &[u8]) -> String {
    let digest = Digest::of(component);
    format!(
        r#"{{"bomFormat": "CycloneDX", "specVersion": "1.5",
    "metadata": {{"component": {{"name": "riskratio", "version": "1.0.0",
        "hashes": [{{"alg": "SHA-256", "content": "{digest}"}}]}}}},
    "components": [{{"name": "wasi-libc", "version": "0.1"}}]}}"#
    )
}

fn component(import: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component (import "{import}" (instance))
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    ))
    .unwrap()
}

/// An author's folder: a component, a bill of materials, a key.
struct Author {
    dir: tempfile::TempDir,
}

impl Author {
    fn new() -> Self {
        let author = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let tool = component("wasi:io/poll@0.2.0");
        std::fs::write(author.path("sbom.json"), sbom(&tool)).unwrap();
        std::fs::write(author.path("tool.wasm"), tool).unwrap();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(author.path("id"))
            .status()
            .unwrap();
        assert!(made.success());
        author
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pack(&self, change: impl FnOnce(&mut Vec<String>)) -> Output {
        let mut arguments: Vec<String> = [
            "--name",
            "riskratio",
            "--agreement",
            "a1",
            "--author",
            "sato",
            "--description",
            "risk ratio of two groups",
            "--component",
            "tool.wasm",
            "--sbom",
            "sbom.json",
            "--key",
            "id",
        ]
        .map(str::to_owned)
        .to_vec();
        change(&mut arguments);
        kekkai(self.dir.path(), "en", &["pack"], &arguments)
    }

    fn packed(&self) -> PathBuf {
        let output = self.pack(|_| {});
        assert!(output.status.success(), "{}", said(&output));
        self.path("riskratio.kekkai-tool")
    }
}

fn kekkai(dir: &Path, lang: &str, command: &[&str], arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kekkai"))
        .args(["--lang", lang, "tool"])
        .args(command)
        .args(arguments)
        .env_remove("KEKKAI_CONNECT")
        .current_dir(dir)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One argument's value replaced.
fn with(name: &'static str, value: &str) -> impl FnOnce(&mut Vec<String>) {
    let value = value.to_owned();
    move |arguments| {
        let at = arguments.iter().position(|word| word == name).unwrap();
        arguments[at + 1] = value;
    }
}

#[test]
fn packed_request_opens_and_shows_what_was_signed() {
    let author = Author::new();
    let file = author.packed();
    let shown = kekkai(
        author.dir.path(),
        "en",
        &["check"],
        &[file.display().to_string()],
    );
    assert!(shown.status.success(), "{}", said(&shown));
    let text = String::from_utf8(shown.stdout).unwrap();
    for part in [
        "kekkai-tool/1\nagreement: a1\nauthor: sato\nname: riskratio\n",
        "SHA256:",
        "wasi:io/poll@0.2.0",
        "wasi-libc\t0.1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let request = kekkai_tool::parse(&std::fs::read(&file).unwrap()).unwrap();
    assert!(kekkai_tool::open(&request).is_ok());
    // What may have been handed on is not written over.
    let again = author.pack(|_| {});
    assert!(!again.status.success());
    assert!(
        said(&again).contains("riskratio.kekkai-tool"),
        "{}",
        said(&again)
    );
}

#[test]
fn every_mistake_is_named_before_anything_is_written() {
    let author = Author::new();
    let http = component("wasi:http/outgoing-handler@0.2.0");
    std::fs::write(author.path("http.wasm"), http).unwrap();
    std::fs::write(author.path("empty.json"), "{}").unwrap();
    std::fs::write(author.path("not.wasm"), "#!/bin/sh").unwrap();
    let cases = [
        (
            "--component",
            "http.wasm",
            "wasi:http/outgoing-handler@0.2.0",
        ),
        ("--component", "not.wasm", "tool-component"),
        ("--component", "none.wasm", "\"none.wasm\" can't be read"),
        ("--sbom", "empty.json", "tool-sbom"),
        ("--sbom", "none.json", "\"none.json\" can't be read"),
        ("--key", "none", "\"none\" can't be read"),
        ("--name", "tableone", "\"tableone\""),
        ("--name", "Risk Ratio", "a-z"),
        ("--description", "two\nlines", "tool-description"),
        ("--author", "../x", "a-z"),
    ];
    for (name, value, expected) in cases {
        let output = author.pack(with(name, value));
        assert!(!output.status.success(), "{name} {value}");
        assert!(
            said(&output).contains(expected),
            "{name}: {}",
            said(&output)
        );
    }
    let written = std::fs::read_dir(author.dir.path())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".kekkai-tool")
        })
        .count();
    assert_eq!(written, 0);
}

#[test]
fn changed_request_is_not_handed_on() {
    let author = Author::new();
    let file = author.packed();
    let mut request = kekkai_tool::parse(&std::fs::read(&file).unwrap()).unwrap();
    // One letter of the component's base64: one changed byte.
    let last = request.component.trim_end_matches('=').len() - 2;
    let other = if request.component.as_bytes()[last] == b'A' {
        "B"
    } else {
        "A"
    };
    request.component.replace_range(last..=last, other);
    std::fs::write(&file, serde_json::to_vec(&request).unwrap()).unwrap();
    let connect = author.path("connect.toml");
    std::fs::write(&connect, "not read").unwrap();
    let path = file.display().to_string();
    for (lang, word) in [
        ("en", "the file was changed"),
        ("ja", "書き換えられています"),
    ] {
        let checked = kekkai(
            author.dir.path(),
            lang,
            &["check"],
            std::slice::from_ref(&path),
        );
        let submit = [
            "--connect".to_owned(),
            connect.display().to_string(),
            path.clone(),
        ];
        let submitted = kekkai(author.dir.path(), lang, &["submit"], &submit);
        for output in [checked, submitted] {
            assert!(!output.status.success());
            let said = said(&output);
            assert!(
                said.contains(word) && said.contains("tool-altered"),
                "{said}"
            );
        }
    }
}

#[test]
fn connection_without_a_review_service_says_what_to_add() {
    let author = Author::new();
    let file = author.packed();
    let connect = author.path("connect.toml");
    let text = "policy = \"127.0.0.1:1\"\ngateway = \"127.0.0.1:1\"\n[tls]\n\
                certificate = \"x\"\nkey = \"x\"\nauthority = \"x\"\n";
    std::fs::write(&connect, text).unwrap();
    let arguments = [
        "--connect".to_owned(),
        connect.display().to_string(),
        file.display().to_string(),
    ];
    let output = kekkai(author.dir.path(), "en", &["submit"], &arguments);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("add review = \"HOST:PORT\""),
        "{}",
        said(&output)
    );
}
