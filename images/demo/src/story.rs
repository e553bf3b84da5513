//! The story of the main path, played step by step; each step says what it proves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kekkai_policy_api::{EndAgreement, ListState};
use kekkai_types::Lang;

use crate::person::{self, SshAnswer};
use crate::web::Web;
use crate::{Admin, DemoError, Info, World};

/// How the story is told.
#[derive(Debug, Clone, Copy)]
pub struct StoryOptions {
    /// The language of the telling.
    pub lang: Lang,
}

/// Tells a step, runs it, tells what it proved and how long it took.
struct Teller {
    lang: Lang,
    number: u32,
}

impl Teller {
    fn begin(&mut self, ja: &str, en: &str) -> Instant {
        self.number += 1;
        print!("{:>2}. {} … ", self.number, self.lang.pick(ja, en));
        let _ = std::io::stdout().flush();
        Instant::now()
    }

    fn end(&self, start: Instant, ja: &str, en: &str) {
        println!(
            "{:.2} s\n      {}",
            start.elapsed().as_secs_f64(),
            self.lang.pick(ja, en)
        );
    }

    fn show(text: &str) {
        for line in text.lines() {
            println!("      │ {line}");
        }
    }
}

fn expect(
    step: &'static str,
    holds: bool,
    expected: &str,
    got: impl ToString,
) -> Result<(), DemoError> {
    if holds {
        return Ok(());
    }
    Err(DemoError::Story {
        step,
        expected: expected.to_owned(),
        got: got.to_string(),
    })
}

/// What the researcher asks in the demo: admissions by disease and sex, of a rare corner too.
const QUESTION: &str = "SELECT d.disease_name, p.sex, count(*) AS admissions, \
count(DISTINCT d.person_id) AS patients \
FROM dpc d JOIN patients p ON d.person_id = p.person_id \
GROUP BY d.disease_name, p.sex ORDER BY admissions DESC LIMIT 12";

/// Plays the story on a running world. Ends with an error at the first thing that isn't as promised.
pub async fn play(world: &World, options: StoryOptions) -> Result<(), DemoError> {
    let info = world.info()?;
    let mut tell = Teller {
        lang: options.lang,
        number: 0,
    };
    let output = researcher_asks(world, &info, &mut tell)?;
    doors_stay_shut(world, &info, &mut tell)?;
    reviewers_vote(&info, &mut tell, &output).await?;
    investigator_fetches(world, &info, &mut tell, &output).await?;
    auditor_verifies(world, &info, &mut tell)?;
    agreement_ends(world, &info, &mut tell).await?;
    Ok(())
}

fn ssh(
    world: &World,
    info: &Info,
    who: &str,
    command: &[&str],
    input: Option<&str>,
) -> Result<SshAnswer, DemoError> {
    person::ssh(
        world.dir(),
        &world.program("kekkai"),
        info.person(who)?,
        command,
        input,
    )
}

/// Signs in, asks, submits; gives the output's id.
fn researcher_asks(world: &World, info: &Info, tell: &mut Teller) -> Result<String, DemoError> {
    const STEP: &str = "the researcher signs in";
    let start = tell.begin(
        "取扱者 sato が標準の ssh でサインインする(端末の鍵・認証器・トークン)",
        "researcher sato signs in by stock ssh (terminal key, authenticator, token)",
    );
    let script = format!(
        "status\nschema patients\nsql {QUESTION};\n\
         submit 1 --title \"Admissions by disease and sex\" --purpose \"Table 1 of the study\"\n\
         outputs\nexit\n"
    );
    let answer = ssh(world, info, "sato", &[], Some(&script))?;
    let said = format!("{}{}", answer.out, answer.err);
    expect(STEP, answer.code == 0, "exit code 0", &said)?;
    tell.end(
        start,
        "三つの証明がそろって初めて、構成証明に合格したサーバーで隔離プロセスが起動し、鍵が渡された。",
        "Only with all three proofs was a jailed worker launched on a server that passed attestation, and given keys.",
    );
    Teller::show(&answer.out);
    expect(
        STEP,
        answer.out.contains('*') || answer.out.contains('＊'),
        "a suppressed cell or legend",
        &said,
    )?;
    let output = find_output_id(&said).ok_or_else(|| DemoError::Story {
        step: "the researcher submits",
        expected: "an output id".to_owned(),
        got: said.clone(),
    })?;
    Ok(output)
}

/// An output id: `o` and 16 hexadecimal digits.
pub fn find_output_id(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| {
            word.len() == 17
                && word.starts_with('o')
                && word.chars().skip(1).all(|c| c.is_ascii_hexdigit())
        })
        .map(str::to_owned)
}

fn doors_stay_shut(world: &World, info: &Info, tell: &mut Teller) -> Result<(), DemoError> {
    const STEP: &str = "what must not pass";
    let start = tell.begin(
        "個票の表示とシェルを試みる",
        "suzuki tries rows of single patients, and a shell",
    );
    let rows = ssh(
        world,
        info,
        "suzuki",
        &["sql SELECT * FROM patients LIMIT 5"],
        None,
    )?;
    expect(
        STEP,
        rows.code != 0 && rows.out.is_empty(),
        "no rows",
        &rows.out,
    )?;
    tell.end(
        start,
        "個票は表示されず、試みは台帳に残った。",
        "No row came out, and the attempt is in the ledger.",
    );
    Teller::show(&rows.err);
    let start = tell.begin("シェルを求める", "suzuki asks for a shell");
    let shell = ssh(world, info, "suzuki", &["cat /etc/passwd"], None)?;
    expect(
        STEP,
        shell.code != 0 && !shell.out.contains("root:"),
        "no shell",
        &shell.out,
    )?;
    tell.end(
        start,
        "コンソール自身のコマンド以外は実行されない。",
        "Nothing but the console's own commands is ever executed.",
    );
    Teller::show(&shell.err);
    Ok(())
}

/// The value of a hidden form field.
pub(crate) fn hidden(page: &str, name: &str) -> Option<String> {
    let tag = page
        .split("<input")
        .find(|tag| tag.contains(&format!("name=\"{name}\"")) && tag.contains("type=\"hidden\""))?;
    let value = tag.split("value=\"").nth(1)?;
    Some(value.split('"').next()?.to_owned())
}

/// Votes on an output as the page's form does it.
pub async fn vote(web: &mut Web, output: &str, accept: bool) -> Result<String, DemoError> {
    let path = format!("/review/output/{output}");
    let page = web.get(&path).await?;
    let text = page.text();
    let field = |name| {
        hidden(&text, name).ok_or_else(|| DemoError::Refused {
            path: path.clone(),
            status: page.status,
            body: text.clone(),
        })
    };
    let (digest, round, csrf) = (field("digest")?, field("round")?, field("csrf")?);
    let answer = web
        .submit(
            &format!("{path}/vote"),
            &[
                ("digest", &digest),
                ("round", &round),
                ("csrf", &csrf),
                ("vote", if accept { "accept" } else { "refuse" }),
                ("comment", "checked"),
            ],
        )
        .await?;
    if answer.status >= 400 {
        return Err(DemoError::Refused {
            path,
            status: answer.status,
            body: answer.text(),
        });
    }
    Ok(answer.text())
}

async fn reviewers_vote(info: &Info, tell: &mut Teller, output: &str) -> Result<(), DemoError> {
    for who in ["ito", "watanabe"] {
        let start = tell.begin(
            &format!("審査担当者 {who} がブラウザでサインインし、成果物を審査して承認する"),
            &format!("reviewer {who} signs in at the web console, reviews the output and accepts"),
        );
        let mut web = person::sign_in(info, info.person(who)?).await?;
        vote(&mut web, output, true).await?;
        tell.end(
            start,
            "票は、審査した表と根拠のハッシュに結び付いている。",
            "The vote is bound to the digest of the very table and evidence that was seen.",
        );
    }
    Ok(())
}

async fn investigator_fetches(
    world: &World,
    info: &Info,
    tell: &mut Teller,
    output: &str,
) -> Result<(), DemoError> {
    const STEP: &str = "the release";
    let start = tell.begin(
        "研究開発責任者 takahashi が署名付きの成果物を受け取り、検証する",
        "principal investigator takahashi fetches the signed bundle and verifies it",
    );
    let mut web = person::sign_in(info, info.person("takahashi")?).await?;
    let bundle = person::fetch_release(&mut web, output).await?;
    let path: PathBuf = world.dir().join("release.json");
    std::fs::write(&path, &bundle.body).map_err(crate::io("the bundle can't be written"))?;
    let verified = std::process::Command::new(world.program("kekkai"))
        .args(["release", "verify"])
        .arg(&path)
        .arg("--key")
        .arg(&info.release_key)
        .output()
        .map_err(crate::io("kekkai can't be started"))?;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    expect(
        STEP,
        verified.status.success(),
        "a valid signature",
        format!("{said}{}", String::from_utf8_lossy(&verified.stderr)),
    )?;
    tell.end(
        start,
        "出ていくのは、作成者でない二人が承認したそのままのバイト列だけ。",
        "What left is exactly the bytes that two people, neither of them the author, accepted.",
    );
    Teller::show(&said);
    Ok(())
}

fn auditor_verifies(world: &World, info: &Info, tell: &mut Teller) -> Result<(), DemoError> {
    const STEP: &str = "the ledger";
    let start = tell.begin(
        "監査者が台帳を検証する(公開鍵だけを信頼)",
        "the auditor verifies the ledger, trusting a public key only",
    );
    let report = kekkai_ledger::verify(
        &info.ledger.dir,
        &info.ledger.vkey,
        Some(&info.ledger.witness),
    )
    .map_err(|e| DemoError::Story {
        step: STEP,
        expected: "a ledger that verifies".to_owned(),
        got: e.to_string(),
    })?;
    tell.end(
        start,
        &format!(
            "{} 件の記録が一つも欠けず、書き換えられていない。",
            report.size
        ),
        &format!("{} entries, none missing, none changed.", report.size),
    );
    let start = tell.begin(
        "台帳の写しの一バイトを書き換えて、もう一度検証する",
        "the same for a copy of the ledger in which one byte was changed",
    );
    let copy = world.dir().join("changed-ledger");
    copy_folder(&info.ledger.dir, &copy)?;
    change_one_byte(&copy)?;
    let found = kekkai_ledger::verify(&copy, &info.ledger.vkey, Some(&info.ledger.witness));
    let Err(found) = found else {
        return expect(
            STEP,
            false,
            "the change to be found",
            "a ledger that verifies",
        );
    };
    tell.end(
        start,
        "改変は見つかり、場所が示された。",
        "The change was found, and its place named.",
    );
    Teller::show(&found.to_string());
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), DemoError> {
    let failed = || crate::io("the ledger can't be copied");
    std::fs::create_dir_all(to).map_err(failed())?;
    for entry in std::fs::read_dir(from).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(failed())?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target).map_err(failed())?;
        }
    }
    Ok(())
}

/// In the first file of entries that is found: somewhere in the middle of what was recorded.
fn change_one_byte(ledger: &Path) -> Result<(), DemoError> {
    let failed = || crate::io("the copy can't be changed");
    let mut open = vec![ledger.join("tile/entries")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(failed())? {
                open.push(entry.map_err(failed())?.path());
            }
            continue;
        }
        let mut bytes = std::fs::read(&path).map_err(failed())?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
            return std::fs::write(&path, bytes).map_err(failed());
        }
    }
    Err(DemoError::Bug("a ledger without entries"))
}

async fn agreement_ends(world: &World, info: &Info, tell: &mut Teller) -> Result<(), DemoError> {
    const STEP: &str = "the agreement ends";
    let start = tell.begin(
        "yoshida の取決めを、セッションの途中で終了する",
        "yoshida's agreement is ended in the middle of a session",
    );
    let who = info.person("yoshida")?;
    let mut command = person::ssh_command(world.dir(), &world.program("kekkai"), info, who)?;
    command
        .arg("127.0.0.1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut session = command.spawn().map_err(crate::io("ssh can't be started"))?;
    // The session is there once policy counts it.
    let admin = Admin::connect(info)?;
    let begun = Instant::now();
    while admin.policy.call(&ListState {}).await?.sessions == 0 {
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = session.kill();
            return expect(STEP, false, "a running session", "none within 60 s");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = Instant::now();
    admin
        .policy
        .call(&EndAgreement {
            agreement: kekkai_types::AgreementId::new("short-2026")?,
            reason: "demonstration".to_owned(),
        })
        .await?;
    while session.try_wait().map_err(crate::io("ssh"))?.is_none() {
        if ended.elapsed() > Duration::from_secs(10) {
            let _ = session.kill();
            return expect(
                STEP,
                false,
                "the session to end within 5 s",
                "it still runs after 10 s",
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = ended.elapsed();
    expect(
        STEP,
        took < Duration::from_secs(5),
        "within 5 s",
        format!("{took:?}"),
    )?;
    tell.end(
        start,
        &format!(
            "終了から {:.2} 秒でセッションは切れた。",
            took.as_secs_f64()
        ),
        &format!(
            "The session was over {:.2} s after the agreement was.",
            took.as_secs_f64()
        ),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_id_is_found_among_words() {
        assert_eq!(
            find_output_id("output o0123456789abcdef waits").as_deref(),
            Some("o0123456789abcdef")
        );
        assert_eq!(find_output_id("only others"), None);
    }

    #[test]
    fn a_hidden_field_is_read_from_a_form() {
        let page =
            "<form><input type=\"hidden\" name=\"round\" value=\"3\"><input name=\"x\"></form>";
        assert_eq!(hidden(page, "round").as_deref(), Some("3"));
        assert_eq!(hidden(page, "digest"), None);
    }
}
