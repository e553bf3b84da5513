//! Stock `ssh` that waits at the gateway's question, so that a test decides what comes next.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kekkai_e2e::{Answer, TestWorld, said};

/// The question comes, and `ssh` ends, within this.
const LIMIT: Duration = Duration::from_secs(60);

/// Who connects, and with what.
pub(crate) struct Client<'a> {
    /// Whose terminal it is.
    pub(crate) at: &'a str,
    /// Who is said to be there.
    pub(crate) login: &'a str,
    /// Another private key than the terminal's.
    pub(crate) key: Option<&'a Path>,
    /// Besides.
    pub(crate) options: &'a [&'a str],
}

impl<'a> Client<'a> {
    /// A person at their own terminal.
    pub(crate) fn of(person: &'a str) -> Self {
        Self {
            at: person,
            login: person,
            key: None,
            options: &[],
        }
    }
}

/// `ssh … status`, running.
pub(crate) struct Attempt {
    child: Child,
    folder: PathBuf,
}

impl Attempt {
    /// Starts it.
    pub(crate) fn begin(world: &TestWorld, client: &Client<'_>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let folder = world.folder().join(format!("attempt-{number}"));
        std::fs::create_dir(&folder).unwrap();
        let askpass = folder.join("askpass");
        let at = folder.display();
        let script = format!(
            "#!/bin/sh\nprintf '%s' \"$1\" > '{at}/prompt.new' && mv '{at}/prompt.new' '{at}/prompt'\n\
             n=0\nwhile [ ! -f '{at}/answer' ]; do sleep 0.05; n=$((n+1)); [ $n -gt 1200 ] && exit 1; done\n\
             cat '{at}/answer'\n"
        );
        std::fs::write(&askpass, script).unwrap();
        std::fs::set_permissions(
            &askpass,
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .unwrap();

        // The stock command of the person whose terminal it is, but for the login and the key.
        let stock = world.ssh_with(client.at, &Answer::Properly);
        let mut command = Command::new("ssh");
        let mut is_login = false;
        for arg in stock.get_args().map(|arg| arg.to_string_lossy()) {
            let arg = match client.key {
                _ if std::mem::replace(&mut is_login, arg == "-l") => client.login.to_owned(),
                Some(key) if arg.starts_with("IdentityFile=") => {
                    format!("IdentityFile={}", key.display())
                }
                _ => arg.into_owned(),
            };
            command.arg(arg);
        }
        for (name, value) in stock.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .env("SSH_ASKPASS", &askpass)
            .args(client.options)
            .args(["127.0.0.1", "status"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// The question; `None` when `ssh` ended before it.
    pub(crate) fn prompt(&mut self) -> Option<String> {
        let start = Instant::now();
        loop {
            if let Ok(prompt) = std::fs::read_to_string(self.folder.join("prompt")) {
                return Some(prompt);
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(start.elapsed() < LIMIT, "ssh asked nothing");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The connection code that the question shows.
    pub(crate) fn code(&mut self) -> String {
        let prompt = self.prompt().expect("ssh asked nothing");
        let (_, rest) = prompt.split_once("Connection code: ").expect("a code");
        rest.lines().next().unwrap().trim().to_owned()
    }

    /// Types an answer.
    pub(crate) fn answer(&self, text: &str) {
        let new = self.folder.join("answer.new");
        std::fs::write(&new, format!("{text}\n")).unwrap();
        std::fs::rename(new, self.folder.join("answer")).unwrap();
    }

    /// Pulls the plug.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Output {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if start.elapsed() > LIMIT {
                self.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait_with_output().unwrap()
    }

    /// Waits for the end, which must be a refusal that tells nothing; gives what was said.
    pub(crate) fn refused(self) -> String {
        let output = self.end();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(255), "{text}");
        assert!(output.stdout.is_empty(), "{text}");
        assert!(text.contains("Permission denied"), "{text}");
        text
    }

    /// Waits for the end, which must be a console that worked.
    pub(crate) fn accepted(self) {
        let output = self.end();
        assert!(output.status.success(), "{}", said(&output));
        assert!(!output.stdout.is_empty(), "{}", said(&output));
    }
}
