//! Stock OpenSSH, with an askpass program that shows its prompt to the test and waits for the answer.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::{Person, Stage, write};

/// A whole `ssh` run takes at most this long.
const RUN_LIMIT: Duration = Duration::from_secs(40);

pub fn keygen(path: &Path, kind: &str) {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// A terminal's `ssh`: its key, its known hosts, its askpass program.
pub struct Terminal {
    dir: PathBuf,
    port: u16,
}

pub struct Running {
    child: Child,
    dir: PathBuf,
}

impl Terminal {
    pub fn new(stage: &Stage, name: &str) -> Self {
        let dir = stage.path(&format!("terminal-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let key = dir.join("key");
        if !key.exists() {
            keygen(&key, "ed25519");
        }
        let public = std::fs::read_to_string(dir.join("key.pub")).unwrap();
        stage.world.know_key(&public, name);
        let port = stage.config.ssh.listen.port();
        let host = std::fs::read_to_string(stage.path("host_key.pub")).unwrap();
        write(
            &dir.join("known_hosts"),
            &format!("[127.0.0.1]:{port} {host}"),
            0o600,
        );
        Self { dir, port }
    }

    fn command(&self, program: &str, case: &Path, options: &[&str]) -> Command {
        let askpass = case.join("askpass");
        let script = format!(
            "#!/bin/sh\nprintf '%s' \"$1\" > {0}/prompt.new && mv {0}/prompt.new {0}/prompt\n\
             n=0\nwhile [ ! -f {0}/answer ]; do sleep 0.05; n=$((n+1)); [ $n -gt 600 ] && exit 1; done\n\
             cat {0}/answer\n",
            case.display()
        );
        write(&askpass, &script, 0o700);
        let mut command = Command::new(program);
        command
            .args([
                "-F",
                "none",
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "BatchMode=no",
            ])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}/known_hosts",
                self.dir.display()
            ))
            .arg("-o")
            .arg(format!("IdentityFile={}/key", self.dir.display()))
            .args([
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "NumberOfPasswordPrompts=1",
            ])
            .args(options)
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("LC_ALL", "C.UTF-8")
            .env("KEKKAI_TEST", "x")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn case(&self) -> PathBuf {
        tempfile::Builder::new()
            .tempdir_in(&self.dir)
            .unwrap()
            .keep()
    }

    /// `ssh USER@gateway ARGUMENTS`
    pub fn ssh(&self, user: &str, options: &[&str], arguments: &[&str]) -> Running {
        self.ssh_with(user, options, arguments, Stdio::null())
    }

    pub fn ssh_with(
        &self,
        user: &str,
        options: &[&str],
        arguments: &[&str],
        stdin: Stdio,
    ) -> Running {
        let case = self.case();
        let mut command = self.command("ssh", &case, options);
        command
            .args(["-p", &self.port.to_string(), "-l", user, "127.0.0.1"])
            .args(arguments)
            .stdin(stdin);
        Running {
            child: command.spawn().unwrap(),
            dir: case,
        }
    }

    /// A session whose terminal has an X11 display.
    pub fn ssh_display(&self, user: &str, options: &[&str]) -> Running {
        let case = self.case();
        let mut command = self.command("ssh", &case, options);
        command
            .args(["-p", &self.port.to_string(), "-l", user, "127.0.0.1"])
            .env("DISPLAY", "127.0.0.1:99")
            .stdin(Stdio::piped());
        Running {
            child: command.spawn().unwrap(),
            dir: case,
        }
    }

    /// `ssh -J gateway inner`
    pub fn jump(&self, user: &str, inner_port: u16) -> Running {
        let case = self.case();
        let config = case.join("config");
        let dir = self.dir.display();
        let text = format!(
            "Host gateway\n  HostName 127.0.0.1\n  Port {}\n  User {user}\n\
             Host inner\n  HostName 127.0.0.1\n  Port {inner_port}\n\
             Host *\n  IdentitiesOnly yes\n  IdentityFile {dir}/key\n\
             \x20 UserKnownHostsFile {dir}/known_hosts\n  StrictHostKeyChecking yes\n\
             \x20 NumberOfPasswordPrompts 1\n",
            self.port
        );
        write(&config, &text, 0o600);
        let mut command = self.command("ssh", &case, &[]);
        let mut plain = Command::new("ssh");
        plain
            .arg("-F")
            .arg(&config)
            .args(["-J", "gateway", "inner", "id"])
            .envs(
                command
                    .as_std_mut()
                    .get_envs()
                    .filter_map(|(k, v)| Some((k, v?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Running {
            child: plain.spawn().unwrap(),
            dir: case,
        }
    }

    /// Another program of OpenSSH's: `scp`, `sftp`.
    pub fn program(&self, program: &str, options: &[&str], arguments: &[&str]) -> Running {
        let case = self.case();
        let mut command = self.command(program, &case, options);
        command.args(["-P", &self.port.to_string()]).args(arguments);
        Running {
            child: command.spawn().unwrap(),
            dir: case,
        }
    }
}

impl Running {
    /// Waits for the question; gives its text. `None` when the program ended before it.
    pub async fn prompt(&mut self) -> Option<String> {
        let begun = Instant::now();
        loop {
            if let Ok(prompt) = std::fs::read_to_string(self.dir.join("prompt")) {
                return Some(prompt);
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(begun.elapsed() < RUN_LIMIT, "no prompt");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The connection code in the question.
    pub async fn code(&mut self) -> String {
        let Some(prompt) = self.prompt().await else {
            let output = self.child.stderr.take();
            panic!("no prompt: {output:?}");
        };
        let (_, rest) = prompt
            .split_once("Connection code: ")
            .unwrap_or_else(|| panic!("{prompt}"));
        rest.lines().next().unwrap().trim().to_owned()
    }

    pub fn answer(&self, text: &str) {
        std::fs::write(self.dir.join("answer.new"), format!("{text}\n")).unwrap();
        std::fs::rename(self.dir.join("answer.new"), self.dir.join("answer")).unwrap();
    }

    /// Does what the person does: approves, and types the token's code.
    pub async fn sign_in(mut self, stage: &Stage, person: &mut Person) -> Self {
        let code = self.code().await;
        assert_eq!(stage.approve(person, "t1", &code).await, 200);
        self.answer(&person.next_code().await);
        self
    }

    pub async fn finish(mut self) -> Output {
        // Held: closing it would end an interactive console.
        let _stdin = self.child.stdin.take();
        tokio::time::timeout(RUN_LIMIT, self.child.wait_with_output())
            .await
            .expect("ssh takes too long")
            .unwrap()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
