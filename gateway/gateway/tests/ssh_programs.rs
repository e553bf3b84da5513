//! Programs over stock OpenSSH: what they print is followed, what they may not say is not shown.
//! Needs `ssh` and `ssh-keygen` (Debian: openssh-client).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use common::ssh::{Running, Terminal, text};
use common::{Stage, wait_for};
use kekkai_analysis_api::{Program, SOURCE_MAX};
use kekkai_policy_api::EndReason;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// Waiting for something that is shown takes at most this long.
const SHOWN_LIMIT: Duration = Duration::from_secs(20);

/// One sign-in for several commands.
struct Master {
    stage: Stage,
    terminal: Terminal,
    control: String,
    person: &'static str,
    _master: Running,
}

impl Master {
    async fn new(person: &'static str) -> Self {
        let stage = Stage::new().await;
        let mut enrolled = stage.enrol(person).await;
        let terminal = Terminal::new(&stage, "t1");
        let path = stage.path("control");
        let control = format!("ControlPath={}", path.display());
        let options = ["-o", "ControlMaster=yes", "-o", &control];
        let master = terminal
            .ssh_with(person, &options, &[], Stdio::piped())
            .sign_in(&stage, &mut enrolled)
            .await;
        wait_for(|| path.exists()).await;
        Self {
            stage,
            terminal,
            control,
            person,
            _master: master,
        }
    }

    fn start(&self, command: &str, stdin: Stdio) -> Running {
        let options = ["-o", &self.control];
        self.terminal
            .ssh_with(self.person, &options, &[command], stdin)
    }

    async fn run(&self, command: &str) -> (Option<i32>, String, String) {
        said(&self.start(command, Stdio::null()).finish().await)
    }

    /// A command with a pipe that ends.
    async fn pipe(&self, command: &str, input: &[u8]) -> (Option<i32>, String, String) {
        let mut run = self.start(command, Stdio::piped());
        let mut stdin = run.child().stdin.take().unwrap();
        // A command that is refused does not read on.
        let _ = stdin.write_all(input).await;
        drop(stdin);
        said(&run.finish().await)
    }
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Reads until something is shown; gives all that was.
async fn see(from: &mut (impl AsyncRead + Unpin), wanted: &str) -> String {
    let begun = Instant::now();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !text(&seen).contains(wanted) {
        let left = SHOWN_LIMIT.saturating_sub(begun.elapsed());
        let read = tokio::time::timeout(left, from.read(&mut buffer)).await;
        let read = read
            .unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", text(&seen)))
            .unwrap();
        assert_ne!(read, 0, "no {wanted:?} in {:?}", text(&seen));
        seen.extend_from_slice(&buffer[..read]);
    }
    text(&seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_shown_while_the_program_runs_and_stand_alone_on_a_pipe() {
    let master = Master::new("visitor1").await;
    let mut run = master.start("run tool live --year '2024 x'", Stdio::null());
    let mut out = run.child().stdout.take().unwrap();
    let mut seen = see(&mut out, "three\n").await;
    // The program has not ended, and may not until now.
    master.stage.world.runs(|runs| {
        assert_eq!(runs.started[0].args, ["--year", "2024 x"]);
        runs.may_end = true;
    });
    out.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "one\ntwo\nthree\nfour\n");
    let (status, _, err) = said(&run.finish().await);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("a warning\n") && err.contains("o7"), "{err}");
    assert!(
        err.contains("the program ended well") && !err.contains('\x1b'),
        "{err:?}"
    );

    // Its log is there again, and it stands among the jobs.
    let (status, out, err) = master.run("result 100").await;
    assert_eq!((status, out.as_str()), (Some(0), "one\ntwo\nthree\nfour\n"));
    assert!(err.contains("o7"), "{err}");
    let (_, out, _) = master.run("jobs").await;
    assert!(
        out.contains("100  done (outputs: 1)") && out.contains("run tool live"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_does_not_end_well_says_why_and_how_to_ask_for_more() {
    let master = Master::new("visitor2").await;
    let (status, out, err) = master.run("run tool endless").await;
    assert_eq!((status, out.as_str()), (Some(1), ""));
    for part in [
        "[time-limit]",
        "600 s",
        "amend [programs] time_limit_s",
        "principal investigator",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let (status, _, err) = master.run("run tool broken").await;
    assert_eq!(status, Some(1));
    assert!(
        err.contains("ZeroDivisionError") && err.contains("line 12"),
        "{err}"
    );
    let (status, _, err) = master.run("run tool none").await;
    assert_eq!(status, Some(1));
    assert!(
        err.contains("no such tool") && err.contains("own_tools"),
        "{err}"
    );

    // What may not be shown is explained, beside what may.
    let (status, out, err) = master.run("run tool rows").await;
    assert_eq!((status, out.as_str()), (Some(0), "before the rows\n"));
    for part in [
        "Some lines are withheld",
        "kekkai.statistic",
        "3 lines were dropped",
        "log_kib_max",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let (status, out, _) = master.run("tools").await;
    assert_eq!(status, Some(0));
    assert!(
        out.contains("riskratio") && out.contains("may read them"),
        "{out}"
    );
    assert!(!out.contains('\x1b'), "{out:?}");
    for (command, status) in [
        ("run", 2),
        ("run python ../x", 2),
        ("run tool A", 2),
        ("cancel", 2),
    ] {
        assert_eq!(master.run(command).await.0, Some(status), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn piped_script_arrives_as_it_is_and_is_kept_under_its_name() {
    let master = Master::new("visitor3").await;
    let world = &master.stage.world;
    // Longer than any line, with tabs, and with letters of three bytes across packets.
    let long = format!("x = '{}'\n", "患者".repeat(30_000));
    let script = format!("def f():\n\treturn 1\n.\n{long}print(f())");
    let (status, out, err) = master.pipe("run python - a 'b c'", script.as_bytes()).await;
    let bytes = format!("{} bytes\n", script.len());
    assert_eq!((status, out), (Some(0), bytes), "{err}");
    world.runs(|runs| {
        let typed = Program::Python {
            name: "typed.py".into(),
            source: script.clone(),
        };
        assert_eq!(runs.started[0].program, typed);
        assert_eq!(runs.started[0].args, ["a", "b c"]);
    });

    let (status, out, err) = master.pipe("script save study.py", script.as_bytes()).await;
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("study.py"), "{out}");
    let (_, out, _) = master.run("script list").await;
    assert!(out.contains("study.py") && out.contains("bytes"), "{out}");
    let (_, out, _) = master.run("script show study.py").await;
    assert_eq!(out, format!("{script}\n"));
    assert_eq!(master.run("run python study.py").await.0, Some(0));
    assert_eq!(master.run("script remove study.py").await.0, Some(0));
    let (status, _, err) = master.run("script show study.py").await;
    assert_eq!(status, Some(1));
    assert!(err.contains("No script of that name"), "{err}");

    // What reviewers could not see is no script, and neither is nothing.
    let hidden = "a = 1\nb = '\u{202e}'\n";
    for (input, wanted) in [
        (hidden, "Line 2"),
        ("", "There is no script"),
        ("\n \n", "no script"),
    ] {
        for command in ["run python -", "script save other.py"] {
            let (status, out, err) = master.pipe(command, input.as_bytes()).await;
            assert_eq!((status, out.as_str()), (Some(2), ""), "{command} {input:?}");
            assert!(err.contains(wanted), "{err}");
        }
    }
    world.runs(|runs| {
        assert_eq!(runs.started.len(), 2);
        assert!(runs.scripts.is_empty());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_script_is_refused_and_costs_no_session() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut run = Terminal::new(&stage, "t1")
        .ssh_with("sato", &[], &["run python -"], Stdio::piped())
        .sign_in(&stage, &mut sato)
        .await;
    let mut stdin = run.child().stdin.take().unwrap();
    let writing = tokio::spawn(async move {
        // Over the bound on a script, and well under that on input, which closes the console. The other
        // side hangs up in the middle.
        let line = b"x = 1\n";
        let _ = stdin
            .write_all(&line.repeat(SOURCE_MAX / line.len() + 2_000))
            .await;
    });
    let (status, out, err) = said(&run.finish().await);
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(
        err.contains("256 KiB") && err.contains("長すぎます"),
        "{err}"
    );
    assert!(
        stage.world.opened().is_empty(),
        "a script that is none costs no session"
    );
    writing.await.unwrap();
    stage.world.runs(|runs| assert!(runs.started.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_script_that_is_refused_are_no_commands() {
    let stage = Stage::new().await;
    let mut visitor = stage.enrol("visitor4").await;
    let mut run = Terminal::new(&stage, "t1")
        .ssh_with("visitor4", &[], &[], Stdio::piped())
        .sign_in(&stage, &mut visitor)
        .await;
    // A file of commands, faster than any of them is done.
    let long = "import os # rm -rf /\n".repeat(SOURCE_MAX / 20);
    let input = format!(
        "run python -\nprint(1)\n.\nscript save a.py\n{long}.\nrun python -\nprint(22)\n.\nexit\n"
    );
    let mut stdin = run.child().stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let (status, out, err) = said(&run.finish().await);
    assert!(
        out.contains("9 bytes\n") && out.contains("10 bytes\n"),
        "{status:?} {out} {err}"
    );
    assert!(err.contains("too long"), "{err}");
    assert_eq!(
        stage.requests(),
        [""; 0],
        "lines of a script are not recorded as commands"
    );
    stage.world.runs(|runs| {
        assert_eq!(runs.started.len(), 2);
        assert!(runs.scripts.is_empty());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn person_types_and_runs_scripts_in_a_terminal() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut run = Terminal::new(&stage, "t1")
        .ssh_with("sato", &["-tt"], &[], Stdio::piped())
        .sign_in(&stage, &mut sato)
        .await;
    let mut keys = run.child().stdin.take().unwrap();
    let mut screen = run.child().stdout.take().unwrap();
    see(&mut screen, "kekkai> ").await;
    // A paste of more lines than are kept while a command runs is whole.
    let paste: String = (0..600).map(|n| format!("x{n} = {n}\r")).collect();
    let paste = format!("script save big.py\r{paste}if True:\r\tpass\r.\r");
    keys.write_all(paste.as_bytes()).await.unwrap();
    let shown = see(&mut screen, "保存しました").await;
    assert!(shown.contains("「.」だけの行で終わります"), "{shown}");
    stage.world.runs(|runs| {
        let script = &runs.scripts["big.py"];
        assert_eq!(script.lines().count(), 602);
        assert!(script.starts_with("x0 = 0\n") && script.ends_with("if True:\n    pass\n"));
    });
    // Ctrl-C forgets a script, and Ctrl-D ends one and not the session.
    keys.write_all(b"run python -\rprint(1)\r\x03")
        .await
        .unwrap();
    see(&mut screen, "^C\r\nkekkai> ").await;
    keys.write_all(b"run python -\rprint(1)\r\x04")
        .await
        .unwrap();
    see(&mut screen, "9 bytes").await;
    // A program's note and lines are shown, and Ctrl-C cancels it.
    keys.write_all(b"run tool slow\r").await.unwrap();
    let shown = see(&mut screen, "42.5%  進行中").await;
    assert!(shown.contains("slow 1"), "{shown}");
    keys.write_all(b"\x03").await.unwrap();
    let shown = see(&mut screen, "kekkai> ").await;
    assert!(shown.contains("プログラムは取り消されました"), "{shown}");
    stage.world.runs(|runs| assert_eq!(runs.cancelled, [1]));
    // What a program prints never drives the terminal.
    keys.write_all(b"run tool hostile\r").await.unwrap();
    let shown = see(&mut screen, "正常に終わりました").await;
    assert!(shown.contains("the end"), "{shown}");
    let shown = shown.replace("\r\x1b[K", "").replace("\r\n", "\n");
    let is_ours = |c: char| !c.is_control() && !"\u{202e}\u{200b}".contains(c) || c == '\n';
    assert!(shown.chars().all(is_ours), "{shown:?}");
    assert!(shown.contains("\\u{1b}]0;owned\\u{7}"), "{shown}");
    // `-tt` without a terminal of its own has no width: 80 columns are taken for it.
    assert!(
        shown
            .lines()
            .all(|line| kekkai_console::columns(line) <= 80),
        "{shown}"
    );
    keys.write_all(b"exit\r").await.unwrap();
    run.finish().await;
    assert_eq!(stage.requests(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn program_stops_when_its_person_cancels_it_elsewhere_or_leaves() {
    let master = Master::new("visitor5").await;
    let world = &master.stage.world;
    let mut first = master.start("run tool slow", Stdio::null());
    let mut out = first.child().stdout.take().unwrap();
    see(&mut out, "slow 0").await;
    // From another console of the same session.
    let (status, out, _) = master.run("cancel 100").await;
    assert_eq!(status, Some(0));
    assert!(out.contains("cancelled"), "{out}");
    let (status, _, err) = said(&first.finish().await);
    assert_eq!(status, Some(1));
    assert!(err.contains("The program was cancelled"), "{err}");

    let mut second = master.start("run tool slow", Stdio::null());
    let mut out = second.child().stdout.take().unwrap();
    see(&mut out, "slow 1").await;
    second.child().kill().await.unwrap();
    wait_for(|| world.runs(|runs| runs.cancelled == [0, 1])).await;

    // A session that ends says so, whatever its program is doing.
    let third = master.start("run tool slow", Stdio::null());
    wait_for(|| world.runs(|runs| runs.started.len() == 3)).await;
    world.end_all(EndReason::NotOnRoster);
    let (status, _, err) = said(&third.finish().await);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("roster"), "{err}");
}
