//! `kekkai-vdi`: the researcher's desktop, as pixels, on this terminal.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kekkai_types::Lang;
use kekkai_vdi::app::{self, AppError};
use kekkai_vdi::config::{Config, lang_of_environment};
use kekkai_vdi::guard;
use kekkai_vdi::link::Who;
use kekkai_vdi::text;

/// The configuration can't be used.
const EXIT_CONFIGURATION: u8 = 2;
/// Nothing is shown on this display.
const EXIT_DISPLAY_REFUSED: u8 = 3;

/// Shows your desktop of the analysis server. Nothing but pixels comes to this terminal.
///
/// 解析サーバー上のデスクトップを表示します。この端末に届くのは画素だけです。
#[derive(Debug, Parser)]
#[command(version, name = "kekkai-vdi")]
struct Arguments {
    /// The configuration, TOML (設定ファイル)
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/kekkai/kekkai-vdi.toml"
    )]
    config: PathBuf,
    /// Who signs in; asked for in the window otherwise (利用者名、または 利用者名+取決め)
    #[arg(value_name = "PERSON[+AGREEMENT]")]
    who: Option<Who>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("KEKKAI_LOG")
                .unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            let lang = lang_of_environment();
            say(text::bad_configuration(lang), &error);
            return EXIT_CONFIGURATION.into();
        }
    };
    let lang = config.lang;
    let found = guard::findings(config.kiosk);
    for finding in &found {
        eprintln!("kekkai-vdi: {}", finding.text(lang));
    }
    if !found.is_empty() {
        return EXIT_DISPLAY_REFUSED.into();
    }
    match app::run(config, arguments.who) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, lang),
    }
}

fn failed(error: &AppError, lang: Lang) -> ExitCode {
    match error {
        AppError::Unprotected(_) => {
            say(text::unprotected_refused(lang), error);
            EXIT_DISPLAY_REFUSED.into()
        }
        AppError::Font(_) => {
            say(text::bad_configuration(lang), error);
            EXIT_CONFIGURATION.into()
        }
        _ => {
            say(text::no_window(lang), error);
            ExitCode::FAILURE
        }
    }
}

/// With all causes, on one line.
fn say(what: &str, error: &dyn std::error::Error) {
    let mut line = format!("kekkai-vdi: {what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(error.to_string().trim_end());
        cause = error.source();
    }
    eprintln!("{line}");
}
