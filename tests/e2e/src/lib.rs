//! What the end-to-end tests share: a world of their own each, its ledger as events, the stock ssh
//! client with prompts answered as a test wants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

pub mod ocr;
pub mod seat;
pub mod story;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kekkai_demo::{Admin, Info, World, WorldOptions};
use kekkai_policy_api::{Entry, Event, RegisterAgreement};
use kekkai_types::{Lang, TerminalClass};
use tempfile::TempDir;

/// Patients in a test's sample: enough for groups on both sides of the threshold.
pub const PATIENTS: u64 = 2_000;
/// The sample's seed: the same data in every run.
pub const SEED: u64 = 7;

/// A world in a folder that goes with it.
pub struct TestWorld {
    /// The world.
    pub world: World,
    folder: TempDir,
}

impl std::ops::Deref for TestWorld {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

/// Starts a world with some researchers `r1` … besides the named people.
pub async fn world(extra_researchers: u32, gibleed: bool) -> TestWorld {
    world_with(|options| {
        options.extra_researchers = extra_researchers;
        options.gibleed = gibleed.then(|| repository().join("tests/data/gibleed"));
    })
    .await
}

/// Starts a world whose raw data holds some texts: table, column, text.
pub async fn world_with_planted(
    extra_researchers: u32,
    planted: &[(&str, &str, &str)],
) -> TestWorld {
    let own = |text: &str| text.to_owned();
    world_with(|options| {
        options.extra_researchers = extra_researchers;
        options.planted = planted
            .iter()
            .map(|(t, c, v)| (own(t), own(c), own(v)))
            .collect();
    })
    .await
}

/// Starts a world with options changed from [`options`].
pub async fn world_with(change: impl FnOnce(&mut WorldOptions)) -> TestWorld {
    let folder = TempDir::with_prefix("kekkai-e2e-").expect("a temporary folder");
    let mut options = options(folder.path());
    change(&mut options);
    let world = World::start(options)
        .await
        .unwrap_or_else(|error| fail(&error));
    TestWorld { world, folder }
}

/// The options of [`world`].
pub fn options(folder: &Path) -> WorldOptions {
    WorldOptions {
        dir: folder.join("world"),
        patients: PATIENTS,
        seed: SEED,
        lang: Lang::En,
        extra_researchers: 0,
        extra_terminals: TerminalClass::Console,
        gibleed: None,
        planted: Vec::new(),
        programs: false,
        desktop: false,
        places: None,
        quiet: true,
    }
}

fn fail(error: &dyn std::error::Error) -> ! {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    panic!("the world didn't start: {text}")
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders up")
        .to_owned()
}

/// How an ssh prompt is answered.
pub enum Answer<'a> {
    /// As the person would: approve, then the token's code.
    Properly,
    /// By a shell script; `$CODE` is the connection code, `$KEKKAI`, `$STATE` and `$WHO` are set.
    Script(&'a str),
}

impl TestWorld {
    /// The folder that everything of this test lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `demo.json` says.
    pub fn facts(&self) -> Info {
        self.world.info().expect("demo.json")
    }

    /// The ledger, verified, as events.
    pub fn events(&self) -> Vec<Event> {
        let info = self.facts();
        kekkai_ledger::verify(
            &info.ledger.dir,
            &info.ledger.vkey,
            Some(&info.ledger.witness),
        )
        .expect("the ledger verifies");
        kekkai_ledger::entries(&info.ledger.dir)
            .expect("the ledger can be read")
            .map(|entry| {
                let (_, bytes) = entry.expect("an entry");
                serde_json::from_slice::<Entry>(&bytes)
                    .expect("a known entry")
                    .event
            })
            .collect()
    }

    /// Waits until the ledger holds an event.
    pub async fn wait_for_event(&self, what: &str, matches: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        loop {
            let last = |events: &[Event]| events.iter().rev().take(8).cloned().collect::<Vec<_>>();
            if let Some(event) = self.events().into_iter().find(|event| matches(event)) {
                return event;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "no entry: {what}; the last ones: {:#?}",
                last(&self.events())
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The stock client for a person, with prompts answered as wanted; arguments follow the host.
    pub fn ssh_with(&self, who: &str, answer: &Answer<'_>) -> Command {
        let info = self.facts();
        let person = info.person(who).expect("a person of the demo");
        let kekkai = self.program("kekkai");
        let mut command =
            kekkai_demo::ssh_command(self.dir(), &kekkai, &info, person).expect("ssh");
        if let Answer::Script(script) = answer {
            let name = format!("askpass-test-{who}-{}", script.len());
            let path = self.dir().join(name);
            let text = format!(
                "#!/bin/sh\nCODE=$(printf '%s' \"$1\" | grep -oE '[A-Z0-9]{{4}}-[A-Z0-9]{{4}}' | head -n 1)\n\
                 KEKKAI='{}'; STATE='{}'; WHO='{who}'\n{script}\n",
                kekkai.display(),
                self.dir().display()
            );
            std::fs::write(&path, text).expect("the askpass script");
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
                .expect("the askpass script");
            command.env("SSH_ASKPASS", path);
        }
        command
    }

    /// The stock client for a login: `NAME`, or `NAME+AGREEMENT` for a person with several.
    pub fn ssh_as(&self, login: &str) -> Command {
        let who = login.split('+').next().expect("a name");
        let command = self.ssh_with(who, &Answer::Properly);
        let mut own = Command::new(command.get_program());
        // ssh takes the first name that it is given.
        own.args(["-l", login]).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => own.env(name, value),
                None => own.env_remove(name),
            };
        }
        own
    }

    /// Runs a console command by stock ssh.
    pub fn ssh(&self, login: &str, command: &str) -> Output {
        self.ssh_as(login)
            .arg("127.0.0.1")
            .arg(command)
            .stdin(Stdio::null())
            .output()
            .expect("ssh runs")
    }

    /// Runs console lines by stock ssh, in one session.
    pub fn ssh_lines(&self, login: &str, lines: &str) -> Output {
        use std::io::Write;
        let mut child = self
            .ssh_as(login)
            .arg("127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ssh starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // An early end breaks the pipe: the output says why.
        let _ = stdin.write_all(lines.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("ssh runs")
    }

    /// Registers an agreement: the text of one that is there, with another id and other texts in it.
    pub async fn register_like(&self, like: &str, id: &str, changes: &[(&str, &str)]) {
        let path = self.dir().join(format!("agreements/{like}.toml"));
        let mut toml = std::fs::read_to_string(path).expect("an agreement of the world");
        for (from, to) in [(like, id)].iter().chain(changes) {
            assert!(toml.contains(from), "{like} has no \"{from}\"");
            toml = toml.replace(from, to);
        }
        let admin = Admin::connect(&self.facts()).expect("an operator");
        let call = RegisterAgreement { toml };
        let registered = admin.policy.call(&call).await;
        let registered = registered.unwrap_or_else(|error| fail(&error));
        assert_eq!(registered.as_str(), id);
    }

    /// The `kekkai` command.
    pub fn kekkai(&self) -> Command {
        Command::new(self.program("kekkai"))
    }
}

/// One signed-in connection of the stock client, on which commands run one after the other.
pub struct Connection {
    master: Child,
    socket: PathBuf,
    login: String,
}

impl TestWorld {
    /// Signs a person in once (`NAME` or `NAME+AGREEMENT`).
    pub fn connect(&self, login: &str) -> Connection {
        let socket = self.folder.path().join(format!("ssh-{login}"));
        let mut command = self.ssh_as(login);
        let log = std::fs::File::create(self.folder.path().join(format!("ssh-{login}.log")))
            .expect("a log");
        command
            // The master, too, must be willing to send what its clients send.
            .args(["-o", "SendEnv=LC_ALL", "-M", "-N", "-S"])
            .arg(&socket)
            .arg("127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut connection = Connection {
            master: command.spawn().expect("ssh starts"),
            socket,
            login: login.to_owned(),
        };
        let start = Instant::now();
        while !connection.socket.exists() {
            let ended = connection.master.try_wait().expect("ssh runs");
            assert!(
                ended.is_none() && start.elapsed() < Duration::from_secs(90),
                "{login} didn't get in: {}",
                std::fs::read_to_string(self.folder.path().join(format!("ssh-{login}.log")))
                    .unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        connection
    }
}

impl Connection {
    /// Runs a console command, as `ssh HOST COMMAND` does.
    pub fn run(&self, command: &str) -> Output {
        let mut ssh = self.client();
        ssh.args(["127.0.0.1", command]);
        ssh.output().expect("ssh runs")
    }

    /// The same at a terminal with a locale: stock clients send it where they are configured so.
    pub fn run_in(&self, locale: &str, command: &str) -> Output {
        let mut ssh = self.client();
        ssh.args(["-o", "SendEnv=LC_ALL", "127.0.0.1", command]);
        ssh.env("LC_ALL", locale).output().expect("ssh runs")
    }

    fn client(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-S"])
            .arg(&self.socket)
            // Without the master it would be another connection, and ask.
            .args(["-o", "ControlMaster=no", "-o", "BatchMode=yes"])
            .args(["-l", &self.login])
            .stdin(Stdio::null());
        ssh
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

/// Standard output and error as text, for messages of failed tests.
pub fn said(output: &Output) -> String {
    format!(
        "exit {:?}\n--- out\n{}\n--- err\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
