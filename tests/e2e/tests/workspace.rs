//! The shape of the workspace: what ARCHITECTURE.md says is what cargo sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        // Crates of other platforms were never downloaded: don't ask for them.
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", env!("KEKKAI_TARGET")])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Our crates by package name: folder below the root and its direct dependencies on ours
/// (development ones left out: tests may reach further).
fn ours(metadata: &Value) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let root = root();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["source"].is_null())
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let folder = manifest.parent().unwrap().strip_prefix(&root).unwrap();
            let edges = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|d| d["source"].is_null() && d["kind"].as_str() != Some("dev"))
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .collect();
            (
                package["name"].as_str().unwrap().to_owned(),
                (folder.display().to_string(), edges),
            )
        })
        .collect()
}

/// The table of ARCHITECTURE.md: folder → allowed crate names without the prefix.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split("<!-- edges:begin -->").nth(1).unwrap();
    let table = table.split("<!-- edges:end -->").next().unwrap();
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let folder = cells[0].trim_matches('`').to_owned();
            let edges = cells
                .last()
                .unwrap()
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            (folder, edges)
        })
        .collect()
}

#[test]
fn every_dependency_edge_is_listed_in_the_architecture() {
    let allowed = allowed();
    let crates = ours(&metadata());
    let mut wrong = Vec::new();
    for (name, (folder, edges)) in &crates {
        let Some(list) = allowed.get(folder) else {
            wrong.push(format!("{name} ({folder}) has no row"));
            continue;
        };
        for edge in edges {
            let short = edge.strip_prefix("kekkai-").unwrap();
            if !list.contains(short) && !list.contains("*") {
                wrong.push(format!("{name} → {edge} is not listed"));
            }
        }
    }
    for folder in allowed.keys() {
        if !crates.values().any(|(f, _)| f == folder) {
            wrong.push(format!("{folder} has a row but is no crate"));
        }
    }
    assert!(
        wrong.is_empty(),
        "ARCHITECTURE.md and Cargo disagree:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_folder_is_named_as_its_crate() {
    for (name, (folder, _)) in ours(&metadata()) {
        let last = folder.rsplit('/').next().unwrap();
        assert_eq!(name, format!("kekkai-{last}"), "{folder}");
    }
}

/// Every crate that `start` reaches through normal and build edges, features as resolved.
fn reachable(metadata: &Value, start: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap()))
        .collect();
    let mut open: Vec<&str> = names
        .iter()
        .filter(|(_, name)| **name == start)
        .map(|(id, _)| *id)
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dep in nodes[id]["deps"].as_array().unwrap() {
            let built = dep["dep_kinds"].as_array().unwrap().iter();
            if built
                .clone()
                .any(|kind| kind["kind"].as_str() != Some("dev"))
            {
                open.push(dep["pkg"].as_str().unwrap());
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn the_gateway_reaches_neither_datafusion_nor_wasmtime_nor_a_tpm() {
    let metadata = metadata();
    for start in ["kekkai-gateway", "kekkai-policyd", "kekkai-review"] {
        let all = reachable(&metadata, start);
        assert!(
            all.len() > 20,
            "the control: {start} reaches {} crates",
            all.len()
        );
        for heavy in [
            "datafusion",
            "wasmtime",
            "parquet",
            "tss-esapi",
            "kekkai-dataset",
        ] {
            assert!(!all.contains(heavy), "{start} reaches {heavy}");
        }
    }
    // The control: the test can see such an edge where there is one.
    assert!(reachable(&metadata, "kekkai-sql-worker").contains("datafusion"));
}

#[test]
fn unsafe_code_is_allowed_in_two_crates_only() {
    // The jail's system calls; and compiled programs, which are code: nothing can make loading them safe.
    const UNSAFE: [&str; 2] = ["kekkai-sys", "kekkai-sys-wasm"];
    let root = root();
    for (name, (folder, _)) in ours(&metadata()) {
        let manifest = std::fs::read_to_string(root.join(&folder).join("Cargo.toml")).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert_eq!(inherits, !UNSAFE.contains(&name.as_str()), "{name}");
    }
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

#[test]
fn no_test_is_ignored_and_nothing_names_a_registry_host() {
    let root = root();
    let listed = Command::new("git")
        .args(["ls-files"])
        .current_dir(&root)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().count() > 50, "git lists the files");
    // Put together here so that this file does not hold what it looks for.
    let ignore = format!("#[{}", "ignore");
    let hosts = ["crates", "pypi", "npmjs", "debian"]
        .map(|h| format!("{h}.{}", if h == "npmjs" { "com" } else { "org" }));
    for path in listed
        .lines()
        .filter(|p| *p != "Cargo.lock" && *p != "LICENSE")
    {
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            continue;
        };
        assert!(!text.contains(&ignore), "{path} ignores a test");
        for host in &hosts {
            assert!(
                !text.contains(&format!("index.{host}"))
                    && !text.contains(&format!("registry.{host}")),
                "{path} names {host}"
            );
        }
    }
}

/// Every `.rs` file that git knows or would take.
fn sources() -> Vec<String> {
    let root = root();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
        ])
        .current_dir(&root)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed
        .lines()
        .filter_map(|path| std::fs::read_to_string(root.join(path)).ok())
        .collect()
}

#[test]
fn every_test_that_the_specification_names_exists() {
    let text = std::fs::read_to_string(root().join("SPECIFICATION.md")).unwrap();
    let sources = sources();
    let mut named = 0;
    for name in text.split('`').skip(1).step_by(2) {
        // Paths and programs have other characters.
        let is_test = name.matches('_').count() >= 2
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_test {
            named += 1;
            let definition = format!("fn {name}(");
            assert!(
                sources.iter().any(|source| source.contains(&definition)),
                "SPECIFICATION.md names a test that nobody wrote: {name}"
            );
        }
    }
    assert!(named > 50, "the control: only {named} names were found");
    for id in 1..=17 {
        assert!(text.contains(&format!("| R{id} ")), "R{id} has no row");
    }
}
