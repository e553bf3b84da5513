//! Programs through the whole enclave: stock ssh, gateway, broker, jailed compiler, jailed worker, SQL
//! worker, review (issue 4). One world for each subject; Python is compiled once in each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod limits;
mod study;
mod tools;

use std::io::Write;
use std::process::{Output, Stdio};

use kekkai_e2e::{TestWorld, repository, world_with};

/// A world whose sessions may run programs.
async fn world(extra_researchers: u32, gibleed: bool) -> TestWorld {
    world_with(|options| {
        options.extra_researchers = extra_researchers;
        options.gibleed = gibleed.then(|| repository().join("tests/data/gibleed"));
        options.programs = true;
    })
    .await
}

/// Runs one console command by stock ssh, with what is typed into it.
fn typed(world: &TestWorld, login: &str, command: &str, text: &str) -> Output {
    let mut child = world
        .ssh_as(login)
        .arg("127.0.0.1")
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // An early end breaks the pipe: the output says why.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}
