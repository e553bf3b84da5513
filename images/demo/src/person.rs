//! What a person of the demo does with their token, their finger and their ssh client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kekkai_authenticator::{Authenticator, Token};
use kekkai_types::Timestamp;
use serde_json::{Value, json};

use crate::info::{Info, Person};
use crate::web::{Answer, Web};
use crate::{DemoError, io};

/// Seconds of an OATH time step.
const STEP_S: i64 = 30;
/// Seconds that a code is on its way, at most.
const TYPING_S: i64 = 10;

/// A code that was not used yet.
pub struct TokenCode {
    /// Six digits.
    pub code: String,
    /// The time step that it belongs to.
    pub step: i64,
}

/// The next code of a person's token that the gateway will take: each works once, so the last used
/// step is remembered beside the authenticator, and a person in a hurry waits.
pub fn token_code(person: &Person) -> Result<TokenCode, DemoError> {
    let secret = person
        .totp_secret
        .as_deref()
        .ok_or(DemoError::Bug("no token"))?;
    let token = Token::new(secret)?;
    let memory = person.authenticator.with_extension("step");
    loop {
        let second = Timestamp::now().0 / 1000;
        let now = second / STEP_S;
        let last: i64 = std::fs::read_to_string(&memory)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0);
        // The gateway allows one step of skew to either side. Late in a step, the one before would be
        // too old by the time that a person has typed its code.
        let oldest = if second % STEP_S < STEP_S - TYPING_S {
            now - 1
        } else {
            now
        };
        let step = (last + 1).max(oldest);
        if step <= now + 1 {
            std::fs::write(&memory, step.to_string()).map_err(io("the token's memory"))?;
            let at = u64::try_from(step * STEP_S).map_err(|_| DemoError::Bug("clock"))?;
            return Ok(TokenCode {
                code: token.code(at),
                step,
            });
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The browser of a person's terminal.
pub fn browser(info: &Info, person: &Person) -> Result<Web, DemoError> {
    Web::new(
        &info.gateway.https,
        &info.gateway.web_authority,
        Some(&person.terminal.tls),
    )
}

fn touch(person: &Person, options: &Value, origin: &str) -> Result<Value, DemoError> {
    let mut authenticator = Authenticator::load(&person.authenticator)?;
    let credential = authenticator.get(options, origin)?;
    // The counter must go on from here: a state that was not saved would look like a clone.
    authenticator.save(&person.authenticator)?;
    Ok(credential)
}

/// Approves an ssh sign-in: the code is shown by ssh, the finger is the authenticator's.
pub async fn approve(info: &Info, person: &Person, code: &str) -> Result<(), DemoError> {
    let mut web = browser(info, person)?;
    let options: Value = web
        .post(
            "/approve/begin",
            &json!({"person": person.person, "code": code}),
        )
        .await?;
    let credential = touch(person, &options, web.origin())?;
    let _: Value = web
        .post(
            "/approve/finish",
            &json!({"person": person.person, "code": code, "credential": credential}),
        )
        .await?;
    Ok(())
}

/// Enrols a fresh authenticator and the token with a ticket that staff made.
pub async fn enrol(
    info: &Info,
    person: &Person,
    authenticator: Authenticator,
    ticket: &str,
) -> Result<(), DemoError> {
    let mut authenticator = authenticator;
    let mut web = browser(info, person)?;
    let path = format!("/enrol/{ticket}");
    let options: Value = web.post(&format!("{path}/begin"), &json!({})).await?;
    let credential = authenticator.create(&options, web.origin())?;
    authenticator.save(&person.authenticator)?;
    let code = token_code(person)?;
    let _: Value = web
        .post(
            &format!("{path}/finish"),
            &json!({"credential": credential, "token_code": code.code}),
        )
        .await?;
    Ok(())
}

/// Signs in at the web console: a browser with a session cookie.
pub async fn sign_in(info: &Info, person: &Person) -> Result<Web, DemoError> {
    let mut web = browser(info, person)?;
    let options: Value = web
        .post("/sign-in/begin", &json!({"person": person.person}))
        .await?;
    let credential = touch(person, &options, web.origin())?;
    let code = token_code(person)?;
    let _: Value = web
        .post(
            "/sign-in/finish",
            &json!({"person": person.person, "credential": credential, "token_code": code.code}),
        )
        .await?;
    Ok(web)
}

/// Fetches a release's bundle as the principal investigator does.
pub async fn fetch_release(web: &mut Web, output: &str) -> Result<Answer, DemoError> {
    let answer = web.get(&format!("/release/{output}/bundle")).await?;
    if answer.status == 200 {
        Ok(answer)
    } else {
        Err(DemoError::Refused {
            path: format!("/release/{output}/bundle"),
            status: answer.status,
            body: answer.text(),
        })
    }
}

/// The connection code in a prompt of the gateway: two groups of four characters.
fn code_in_prompt(prompt: &str) -> Option<String> {
    prompt
        .split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-'))
        .find(|word| word.len() == 9 && word.split('-').map(str::len).eq([4, 4]))
        .map(str::to_owned)
}

/// What `SSH_ASKPASS` does for a person of the demo: approves, then answers with the token's code.
pub async fn askpass(info: &Info, person: &Person, prompt: &str) -> Result<String, DemoError> {
    let code = code_in_prompt(prompt)
        .ok_or_else(|| DemoError::Web(format!("the prompt shows no connection code: {prompt}")))?;
    approve(info, person, &code).await?;
    Ok(token_code(person)?.code)
}

/// How a run of `ssh` ended.
#[derive(Debug)]
pub struct SshAnswer {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; 255 where ssh itself failed.
    pub code: i32,
}

/// The stock client, set up for a person of the demo. The demo's `kekkai` answers its prompts.
pub fn ssh_command(
    dir: &Path,
    kekkai: &Path,
    info: &Info,
    person: &Person,
) -> Result<Command, DemoError> {
    let askpass = askpass_script(dir, kekkai, person)?;
    let known = info.gateway.known_hosts.display();
    let key = person.terminal.ssh_key.display();
    let mut command = Command::new("ssh");
    command
        .args(["-F", "none", "-p", &info.gateway.ssh.port().to_string()])
        .args(["-o", &format!("UserKnownHostsFile={known}")])
        .args(["-o", "GlobalKnownHostsFile=none"])
        .args(["-o", "StrictHostKeyChecking=yes"])
        .args(["-o", "IdentitiesOnly=yes"])
        .args(["-o", &format!("IdentityFile={key}")])
        .args([
            "-o",
            "PreferredAuthentications=publickey,keyboard-interactive",
        ])
        .args(["-o", "NumberOfPasswordPrompts=1"])
        .args(["-l", person.person.as_str()])
        .env("SSH_ASKPASS", &askpass)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DISPLAY", ":0")
        .env_remove("SSH_AUTH_SOCK");
    Ok(command)
}

/// Runs the stock client: a console command, or lines on standard input.
pub fn ssh(
    dir: &Path,
    kekkai: &Path,
    person: &Person,
    command: &[&str],
    input: Option<&str>,
) -> Result<SshAnswer, DemoError> {
    let info = Info::load(dir)?;
    let mut ssh = ssh_command(dir, kekkai, &info, person)?;
    ssh.arg("127.0.0.1").args(command);
    ssh.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    })
    .stdout(Stdio::piped())
    .stderr(Stdio::piped());
    let mut child = ssh.spawn().map_err(io("ssh can't be started"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        use std::io::Write;
        // An early end of ssh breaks the pipe: its answer says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(io("ssh failed"))?;
    Ok(SshAnswer {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(255),
    })
}

fn askpass_script(dir: &Path, kekkai: &Path, person: &Person) -> Result<PathBuf, DemoError> {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(format!("askpass-{}", person.person));
    if !path.exists() {
        let text = format!(
            "#!/bin/sh\nexec '{}' demo askpass --state '{}' --as '{}' -- \"$1\"\n",
            kekkai.display(),
            dir.display(),
            person.person
        );
        let new = path.with_extension(format!("new{}", std::process::id()));
        std::fs::write(&new, text).map_err(io("the askpass script"))?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o700))
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(io("the askpass script"))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_in_a_prompt_and_nothing_else_is() {
        assert_eq!(
            code_in_prompt("open https://localhost:1/approve, code KX7A-42QM, then").as_deref(),
            Some("KX7A-42QM")
        );
        assert_eq!(
            code_in_prompt("接続コード「KX7A-42QM」を").as_deref(),
            Some("KX7A-42QM")
        );
        assert_eq!(code_in_prompt("Password for ABCD:"), None);
    }
}
