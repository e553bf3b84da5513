//! A process for programs that does what it must not, for the broker's tests. What it does is said by the
//! name of the script that it is given; started as the compiler, it copies its input. Not installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: a panic is a failed test"
)]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_output::{ProgramBody, Value};
use kekkai_sys::{JailSpec, ProcessKind, jail};
use kekkai_worker_api::{
    FromCompiler, FromProgram, Receiver, Sender, ToCompiler, ToProgram, worker_channel,
};

type To = Sender<FromProgram>;
type From = Receiver<ToProgram>;

fn main() {
    let name = std::env::args().next().unwrap();
    if name == "kekkai-wasm-compiler" {
        return compile();
    }
    let spec = JailSpec::from_args(ProcessKind::WasmWorker, std::env::args()).unwrap();
    let layers = jail::enter(&spec).unwrap().layers;
    let socket = jail::take_socket().unwrap();
    let (to, mut from) = worker_channel::<FromProgram, ToProgram>(socket);
    let greet = || FromProgram::Jailed {
        layers: layers.clone(),
    };
    to.send(&greet()).unwrap();
    let Some((ToProgram::Run(run), files)) = from.receive().unwrap() else {
        return;
    };
    // The artefact is what the compiler wrote.
    let artefact = whole(files);
    assert_eq!(artefact, b"python component");
    match run.script.as_ref().unwrap().0.as_str() {
        "second-greeting" => to.send(&greet()).unwrap(),
        "query-out-of-turn" => query(&to, 2, "rows", true),
        "two-queries" => {
            query(&to, 1, "slow-rows", true);
            query(&to, 2, "rows", true);
        }
        "submission-out-of-turn" => submit(&to, 7, 1),
        "flood" => (0..50_000).for_each(|_| {
            let _ = to.send(&FromProgram::Progress {
                permille: 1,
                note: String::new(),
            });
        }),
        "open" => {
            // No process of ours asks for this.
            let _ = nix::unistd::setsid();
        }
        "deaf" => std::thread::sleep(Duration::from_secs(3600)),
        "dies" => return,
        "prints" => {
            log(&to, &["before\u{1b}[2J"]);
            std::thread::sleep(Duration::from_millis(50));
            query(&to, 1, "rows", true);
            read(&mut from);
            log(&to, &["TANAKA HANAKO", "1999-01-01"]);
            progress(&to, "TANAKA HANAKO");
            let error = RunError {
                code: RunErrorCode::Failed,
                name: "TanakaHanako".to_owned(),
                line: 3,
            };
            to.send(&FromProgram::Ended {
                outcome: Err(error),
            })
            .unwrap();
        }
        "statistic" => {
            query(&to, 1, "rows", false);
            read(&mut from);
            log(&to, &["42 persons"]);
            ended(&to);
        }
        "no-such-table" => {
            query(&to, 1, "no-such-table", true);
            match from.receive().unwrap().unwrap().0 {
                ToProgram::Rows {
                    outcome: Err(error),
                    ..
                } => log(&to, &[&error.code.to_string()]),
                other => panic!("{other:?}"),
            }
            ended(&to);
        }
        "submits" => {
            query(&to, 1, "rows", true);
            read(&mut from);
            for n in 1..=3 {
                submit(&to, n, 1);
                answer(&to, &mut from);
            }
            submit(&to, 4, 100_000);
            answer(&to, &mut from);
            ended(&to);
        }
        "obeys" => {
            while !matches!(from.receive().unwrap(), Some((ToProgram::Cancel, _))) {}
            ended(&to);
        }
        other => panic!("{other}"),
    }
    // Waits to be killed.
    std::thread::sleep(Duration::from_secs(3600));
}

fn compile() {
    let spec = JailSpec::from_args(ProcessKind::WasmCompiler, std::env::args()).unwrap();
    let layers = jail::enter(&spec).unwrap().layers;
    let socket = jail::take_socket().unwrap();
    let (to, mut from) = worker_channel::<FromCompiler, ToCompiler>(socket);
    to.send(&FromCompiler::Jailed { layers }).unwrap();
    let Some((ToCompiler::Compile { .. }, files)) = from.receive().unwrap() else {
        return;
    };
    let [input, output]: [OwnedFd; 2] = files.try_into().unwrap();
    let mut bytes = Vec::new();
    std::fs::File::from(input).read_to_end(&mut bytes).unwrap();
    to.send(&FromCompiler::Progress { permille: 500 }).unwrap();
    if bytes == b"refused" {
        let error = RunError {
            code: RunErrorCode::ImportNotAllowed,
            name: "wasi:sockets".to_owned(),
            line: 0,
        };
        to.send(&FromCompiler::Refused { error }).unwrap();
        return;
    }
    std::fs::File::from(output).write_all(&bytes).unwrap();
    let bytes = u64::try_from(bytes.len()).unwrap();
    to.send(&FromCompiler::Compiled { bytes }).unwrap();
}

fn query(to: &To, query: u32, sql: &str, rows: bool) {
    to.send(&FromProgram::Query {
        query,
        sql: sql.to_owned(),
        parameters: vec![Value::Int(1)],
        rows,
    })
    .unwrap();
}

/// The rows of a query, to their end.
fn read(from: &mut From) -> Vec<u8> {
    let (message, files) = from.receive().unwrap().unwrap();
    assert!(matches!(
        message,
        ToProgram::Rows {
            outcome: Ok(()),
            ..
        }
    ));
    let bytes = whole(files);
    let (message, _) = from.receive().unwrap().unwrap();
    assert!(matches!(
        message,
        ToProgram::RowsEnd {
            outcome: Ok(()),
            ..
        }
    ));
    bytes
}

/// What one descriptor holds. Without asking for its length: the jail of programs knows no such call.
fn whole(files: Vec<OwnedFd>) -> Vec<u8> {
    let mut file = std::fs::File::from(files.into_iter().next().unwrap());
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match file.read(&mut piece).unwrap() {
            0 => return bytes,
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

fn log(to: &To, lines: &[&str]) {
    let lines = lines
        .iter()
        .map(|line| (false, (*line).to_owned()))
        .collect();
    to.send(&FromProgram::Log { lines, dropped: 0 }).unwrap();
}

fn progress(to: &To, note: &str) {
    to.send(&FromProgram::Progress {
        permille: 500,
        note: note.to_owned(),
    })
    .unwrap();
}

fn submit(to: &To, submission: u32, length: usize) {
    to.send(&FromProgram::Submit {
        submission,
        title: "a title".to_owned(),
        purpose: "a purpose".to_owned(),
        body: Box::new(ProgramBody::Text("x".repeat(length))),
    })
    .unwrap();
}

fn answer(to: &To, from: &mut From) {
    let Some((ToProgram::Submitted { outcome, .. }, _)) = from.receive().unwrap() else {
        panic!("no answer")
    };
    let line = match outcome {
        Ok(_) => "submitted".to_owned(),
        Err((code, name)) => format!("{code}: {name}"),
    };
    log(to, &[&line]);
}

fn ended(to: &To) {
    to.send(&FromProgram::Ended { outcome: Ok(()) }).unwrap();
}
