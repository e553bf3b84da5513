//! What the READMEs tell people to type works, as typed (issue 2, Shows 1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use kekkai_e2e::{repository, said};

/// The `kekkai …` lines of a README's code blocks, without their comments.
fn commands(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(file)).unwrap();
    let mut found = Vec::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for line in block.lines().filter(|line| line.starts_with("kekkai ")) {
            let line = line.split("  #").next().unwrap();
            found.push(line.split(" # ").next().unwrap().trim().to_owned());
        }
    }
    found
}

fn programs() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    me.ancestors()
        .find(|f| f.join("kekkai-policy").exists())
        .expect("a build")
        .to_owned()
}

fn shell(command: &str) -> Command {
    let path = format!(
        "{}:{}",
        programs().display(),
        std::env::var("PATH").unwrap()
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .env("PATH", path)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null());
    shell
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .args(["-INT", &self.0.id().to_string()])
            .status();
        let _ = self.0.wait();
    }
}

#[test]
fn the_commands_of_the_readme_run_as_typed() {
    let commands = commands("README.md");
    assert!(commands.len() >= 4, "the control: {commands:?}");
    let folder = tempfile::TempDir::with_prefix("kekkai-e2e-").unwrap();
    let dir = folder.path().join("demo").display().to_string();
    let (first, rest) = commands.split_first().unwrap();
    assert!(first.contains("--stay"), "{first}");
    // `exec`: the signal at the end must reach kekkai, not its shell.
    let mut demo = shell(&format!("exec {}", first.replace("DIR", &dir)))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let out = BufReader::new(demo.stdout.take().unwrap());
    let _demo = Running(demo);
    let mut told = String::new();
    for line in out.lines() {
        let line = line.unwrap();
        told.push_str(&line);
        told.push('\n');
        if line.starts_with("Running") {
            break;
        }
    }
    assert!(told.contains("Running"), "the demo ended early:\n{told}");
    for step in 1..=9 {
        assert!(
            told.contains(&format!("\n{step:>2}. ")),
            "no step {step}:\n{told}"
        );
    }
    for command in rest {
        let output = shell(&command.replace("DIR", &dir)).output().unwrap();
        assert!(output.status.success(), "{command}: {}", said(&output));
        assert!(!output.stdout.is_empty(), "{command}: said nothing");
    }
}

#[test]
fn both_readmes_show_the_same_commands() {
    assert_eq!(commands("README.md"), commands("README.ja.md"));
}
