//! Running programs that must fail, and looking at what they said and left.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kekkai_e2e::said;

/// A program that should have refused to start is ended after this long.
const LIMIT_S: &str = "60";

/// A program of the build.
pub(crate) fn program(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    me.ancestors()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built"))
}

/// Runs a program of the build.
pub(crate) fn run<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Output {
    Command::new("timeout")
        .arg(LIMIT_S)
        .arg(program(name))
        .args(arguments)
        .output()
        .unwrap()
}

/// Line and column, from 1, where a text first stands.
pub(crate) fn place(text: &str, what: &str) -> (usize, usize) {
    let at = text.find(what).unwrap_or_else(|| panic!("no \"{what}\""));
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (line, column)
}

/// Fails unless a program failed by itself and said all of this.
pub(crate) fn refuses(what: &str, output: &Output, parts: &[&str]) -> String {
    let text = said(output);
    assert_eq!(output.status.code(), Some(1), "{what}: {text}");
    for part in parts {
        assert!(text.contains(part), "{what}: no \"{part}\" in\n{text}");
    }
    assert!(!text.contains("panicked"), "{what}: {text}");
    text
}

/// Regular files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
