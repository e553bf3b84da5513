//! Bringing tools in: the author packs and signs, staff hand on, list and withdraw.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};
use kekkai_review_api::{
    ListToolRequests, SubmitTool, TOOL_COMPONENT_MAX, TOOL_NAMESPACE, TOOL_SBOM_MAX, ToolName,
    ToolState, ToolSummary, WithdrawTool,
};
use kekkai_tool::{REQUEST_MAX, ToolError};
use kekkai_types::{AgreementId, Lang, PersonId};

use crate::Outcome;
use crate::admin::Connect;

#[derive(Subcommand)]
pub(crate) enum Tool {
    /// Put a tool, its bill of materials and your signature into one request file.
    Pack(Box<Pack>),
    /// Say what a request file holds, and whether it would be refused. Talks to nobody.
    Check {
        /// NAME.kekkai-tool
        file: PathBuf,
    },
    /// Hand a request on to the review service.
    Submit {
        #[command(flatten)]
        connect: Connect,
        /// NAME.kekkai-tool
        file: PathBuf,
    },
    /// List requests and tools, and where each stands.
    List {
        #[command(flatten)]
        connect: Connect,
        /// Of one agreement only.
        #[arg(long)]
        agreement: Option<AgreementId>,
    },
    /// Withdraw a tool, or the request for it: no run of it begins any more.
    Withdraw {
        #[command(flatten)]
        connect: Connect,
        /// Of which agreement.
        agreement: AgreementId,
        /// Which tool.
        name: ToolName,
    },
}

#[derive(Args)]
pub(crate) struct Pack {
    /// What it is run by, as in the agreement's own_tools.
    #[arg(long)]
    name: ToolName,
    /// The agreement that it is for.
    #[arg(long)]
    agreement: AgreementId,
    /// You: the owner of the terminal whose key signs.
    #[arg(long)]
    author: PersonId,
    /// What it does, on one line.
    #[arg(long)]
    description: String,
    /// The WebAssembly component.
    #[arg(long)]
    component: PathBuf,
    /// A CycloneDX software bill of materials, JSON.
    #[arg(long)]
    sbom: PathBuf,
    /// The SSH key of your terminal; its public half where an agent or a token holds it.
    #[arg(long)]
    key: PathBuf,
    /// The request file to write: NAME.kekkai-tool without it.
    #[arg(long, short)]
    out: Option<PathBuf>,
}

pub(crate) async fn run(command: Tool, lang: Lang) -> Outcome {
    match command {
        Tool::Pack(pack) => self::pack(*pack, lang),
        Tool::Check { file } => check(&file, lang),
        Tool::Submit { connect, file } => {
            let request = kekkai_tool::parse(&read(&file, REQUEST_MAX)?)
                .map_err(|error| told(&error, lang))?;
            // What the review service would refuse is not sent.
            kekkai_tool::open(&request).map_err(|error| told(&error, lang))?;
            let summary = connect.review()?.call(&SubmitTool { request }).await?;
            print(&summary, lang);
            Ok(())
        }
        Tool::List { connect, agreement } => {
            let listed = connect
                .review()?
                .call(&ListToolRequests { agreement })
                .await?;
            for summary in &listed {
                print(summary, lang);
            }
            Ok(())
        }
        Tool::Withdraw {
            connect,
            agreement,
            name,
        } => {
            let withdrawn = connect
                .review()?
                .call(&WithdrawTool { agreement, name })
                .await?;
            for summary in &withdrawn {
                print(summary, lang);
            }
            Ok(())
        }
    }
}

fn pack(pack: Pack, lang: Lang) -> Outcome {
    let component = read(&pack.component, TOOL_COMPONENT_MAX)?;
    let sbom = read(&pack.sbom, TOOL_SBOM_MAX)?;
    let out = pack
        .out
        .unwrap_or_else(|| PathBuf::from(format!("{}.kekkai-tool", pack.name)));
    let packed = kekkai_tool::pack(
        pack.agreement,
        pack.author,
        pack.name,
        pack.description,
        component,
        sbom,
    )
    .map_err(|error| told(&error, lang))?;
    let text = packed.text();
    eprint!("{text}");
    let signature = sign(&pack.key, &text, lang)?;
    let request = packed.sign(signature).map_err(|error| told(&error, lang))?;
    let bytes = serde_json::to_vec(&request)?;
    // A request that exists is not written over: it may have been handed on.
    std::fs::File::create_new(&out)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(|error| format!("\"{}\" can't be written: {error}", out.display()))?;
    println!("{}", out.display());
    Ok(())
}

/// Signs with stock `ssh-keygen`: agents, passphrases and hardware keys work as they do for `ssh`.
fn sign(key: &Path, text: &str, lang: Lang) -> Result<String, Box<dyn std::error::Error>> {
    if !key.exists() {
        return Err(format!("\"{}\" can't be read: no such file", key.display()).into());
    }
    let missing = |error: std::io::Error| {
        let said = lang.pick(
            "ssh-keygen を実行できません。OpenSSH 8.2以降を入れてください",
            "ssh-keygen can't be run: install OpenSSH 8.2 or later",
        );
        format!("{said}: {error}")
    };
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", TOOL_NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = lang.pick(
            "署名できませんでした。--key の鍵とパスフレーズを確かめてください",
            "nothing was signed: check --key and its passphrase",
        );
        return Err(said.into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn check(file: &Path, lang: Lang) -> Outcome {
    let request =
        kekkai_tool::parse(&read(file, REQUEST_MAX)?).map_err(|error| told(&error, lang))?;
    let opened = kekkai_tool::open(&request).map_err(|error| told(&error, lang))?;
    print!("{}", opened.manifest().signed_text());
    println!(
        "{}: {}",
        lang.pick("署名した鍵", "signed by"),
        opened.signer().fingerprint
    );
    println!("{}:", lang.pick("使用するインターフェース", "imports"));
    for import in opened.imports() {
        println!("  {import}");
    }
    println!("{}:", lang.pick("部品", "made of"));
    for part in &opened.sbom().parts {
        println!("  {}\t{}\t{}", part.name, part.version, part.purl);
    }
    println!(
        "{}",
        lang.pick(
            "申請できる形です。端末の鍵と取決めの確認は、提出時に行われます",
            "it can be submitted; whose key it is, and what the agreement says, is asked then"
        )
    );
    Ok(())
}

fn read(path: &Path, max: usize) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    use std::io::Read as _;
    let unreadable =
        |error: std::io::Error| format!("\"{}\" can't be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is more.
    let limit = u64::try_from(max)?.saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > max {
        return Err(format!("\"{}\" has more than {max} bytes", path.display()).into());
    }
    Ok(bytes)
}

/// What the author reads: what to do, then exactly what was found.
fn told(error: &ToolError, lang: Lang) -> String {
    let (ja, en) = match error.code() {
        "tool-format" => (
            "ツール持込みの申請ファイルではありません。kekkai tool pack で作り直してください",
            "this is no request file: make one with kekkai tool pack",
        ),
        "tool-description" => (
            "説明は1行、500文字以内で書いてください",
            "write the description on one line of at most 500 characters",
        ),
        "tool-too-large" => ("大きすぎます", "it is too large"),
        "tool-altered" => (
            "ファイルが書き換えられています。作成者から受け取り直してください",
            "the file was changed: ask its author for it again",
        ),
        "tool-signature" | "tool-not-signed" => (
            "署名を確かめられません。作成者に kekkai tool pack をやり直してもらってください",
            "the signature doesn't hold: its author must pack it again",
        ),
        "tool-import" => (
            "セッションにない機能を使っています。ファイルやネットワークを使わない作りにしてください",
            "it uses what sessions don't offer: build it without files and networks",
        ),
        "tool-component" => (
            "ツールの形式(WebAssemblyコンポーネント、world tool)ではありません",
            "it is no tool: build a WebAssembly component of the world \"tool\"",
        ),
        "tool-sbom" => (
            "部品表(CycloneDX JSON)を直してください",
            "mend the bill of materials (CycloneDX JSON)",
        ),
        _ => ("内部の誤りです", "an error of ours"),
    };
    format!(
        "{} ({}: {})",
        lang.pick(ja, en),
        error.code(),
        error.detail()
    )
}

fn print(summary: &ToolSummary, lang: Lang) {
    let (ja, en) = match summary.state {
        ToolState::Waiting => ("審査待ち", "waiting"),
        ToolState::HalfVoted => ("1名が投票済み", "one vote is in"),
        ToolState::Admitted => ("持込み許可", "admitted"),
        ToolState::Rejected => ("不許可", "rejected"),
        ToolState::Replaced => ("新しい版に交代", "replaced"),
        ToolState::Withdrawn => ("取下げ", "withdrawn"),
    };
    println!(
        "{}\t{}\t{}\t{}\t{}",
        summary.agreement,
        summary.name,
        summary.digest,
        summary.author,
        lang.pick(ja, en)
    );
    for comment in &summary.comments {
        println!("  {}", comment.replace('\n', "\n  "));
    }
}
