//! `kekkai demo`: plays the story, or acts as a person of a demo that runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kekkai_demo::{Info, StoryOptions, World, WorldOptions};
use kekkai_types::{Lang, TerminalClass};

use crate::Outcome;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Demo {
    #[command(subcommand)]
    act: Option<Act>,
    /// Where the deployment and its state go; an earlier demo there is replaced.
    #[arg(long, default_value = "kekkai-demo")]
    state: PathBuf,
    /// Patients in the sample.
    #[arg(long, default_value_t = 100_000)]
    patients: u64,
    /// The sample's seed.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Keep running after the story, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Start everything, but don't play the story.
    #[arg(long, requires = "stay")]
    no_story: bool,
}

#[derive(Args)]
struct As {
    /// The demo's folder.
    #[arg(long)]
    state: PathBuf,
    /// Who acts; see demo.json.
    #[arg(long = "as")]
    who: String,
}

#[derive(Subcommand)]
enum Act {
    /// Print the code that the person's token shows: each works once.
    Totp {
        #[command(flatten)]
        who: As,
    },
    /// Approve an ssh sign-in as the person's finger would.
    Approve {
        #[command(flatten)]
        who: As,
        /// The connection code that ssh shows.
        code: String,
    },
    /// Run the stock ssh client as the person, its prompts answered.
    Ssh {
        #[command(flatten)]
        who: As,
        /// A console command; none: an interactive console, or lines from standard input.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// What SSH_ASKPASS runs.
    #[command(hide = true)]
    Askpass {
        #[command(flatten)]
        who: As,
        /// The prompt.
        #[arg(last = true)]
        prompt: String,
    },
}

pub(crate) async fn run(demo: Demo, lang: Lang) -> Outcome {
    match demo.act {
        Some(act) => self::act(act).await,
        None => play(&demo, lang).await,
    }
}

async fn act(act: Act) -> Outcome {
    match act {
        Act::Totp { who } => {
            let info = Info::load(&who.state)?;
            println!("{}", kekkai_demo::token_code(info.person(&who.who)?)?.code);
        }
        Act::Approve { who, code } => {
            let info = Info::load(&who.state)?;
            kekkai_demo::approve(&info, info.person(&who.who)?, &code).await?;
            println!("approved");
        }
        Act::Ssh { who, command } => {
            let state = std::path::absolute(&who.state)?;
            let info = Info::load(&state)?;
            let kekkai = std::env::current_exe()?;
            let mut ssh = kekkai_demo::ssh_command(&state, &kekkai, &info, info.person(&who.who)?)?;
            let status = ssh.arg("127.0.0.1").args(command).status()?;
            std::process::exit(status.code().unwrap_or(255));
        }
        Act::Askpass { who, prompt } => {
            let info = Info::load(&who.state)?;
            println!(
                "{}",
                kekkai_demo::askpass(&info, info.person(&who.who)?, &prompt).await?
            );
        }
    }
    Ok(())
}

async fn play(demo: &Demo, lang: Lang) -> Outcome {
    let state = std::path::absolute(&demo.state)?;
    println!(
        "{}\n",
        lang.pick(
            "デモ: TPMと認証器はソフトウェアによるエミュレーションです(ハードウェアの信頼はありません)。",
            "Demo: TPM and authenticators are emulated in software (no hardware trust).",
        )
    );
    let world = World::start(WorldOptions {
        dir: state.clone(),
        patients: demo.patients,
        seed: demo.seed,
        lang,
        extra_researchers: 0,
        extra_terminals: TerminalClass::Console,
        gibleed: None,
        planted: Vec::new(),
        programs: true,
        desktop: false,
        places: None,
        quiet: false,
    })
    .await?;
    if !demo.no_story {
        println!();
        kekkai_demo::play(&world, StoryOptions { lang }).await?;
    }
    next_steps(&state, lang);
    if demo.stay {
        println!(
            "{}",
            lang.pick(
                "実行中です。Ctrl-C で終了します。",
                "Running. Ctrl-C ends it."
            )
        );
        kekkai_service::drain::signal().await;
    }
    world.stop();
    Ok(())
}

fn next_steps(state: &std::path::Path, lang: Lang) {
    let state = state.display();
    println!("\n{}", lang.pick("次に見るところ:", "Where to look next:"));
    println!("  kekkai demo --state {state} --stay");
    println!(
        "  kekkai demo ssh --state {state} --as sato -- sql \"SELECT sex, count(*) FROM patients GROUP BY sex\""
    );
    println!("  kekkai ledger show {state}/policy/ledger --vkey {state}/policy/ledger.vkey");
    println!("  README.md · ARCHITECTURE.md · SECURITY.md");
}
