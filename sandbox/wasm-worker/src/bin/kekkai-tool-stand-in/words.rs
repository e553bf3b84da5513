//! What the stand-in says to people, in Japanese and English.

use std::path::Path;

use clap::Command;
use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_types::Lang;

use crate::answers::AnswersError;

/// `--lang`, or what the environment says, or Japanese.
pub(crate) fn language(args: impl Iterator<Item = String>) -> Lang {
    let mut args = args.skip(1).peekable();
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--lang=") {
            Some(value) => Some(value.to_owned()),
            None if arg == "--lang" => args.peek().cloned(),
            None if arg == "--" => break,
            None => None,
        };
        if let Some(lang) = value.and_then(|value| value.parse().ok()) {
            return lang;
        }
    }
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or_default()
}

/// Help in the person's language.
pub(crate) fn describe(command: Command, lang: Lang) -> Command {
    let texts: &[(&str, &str, &str)] = &[
        (
            "component",
            "プログラム (WebAssembly コンポーネント)",
            "the program, a WebAssembly component",
        ),
        (
            "script",
            "言語コンポーネントで実行するスクリプト",
            "the script that a language component runs",
        ),
        (
            "answers",
            "問い合わせに答える CSV を示す TOML ファイル (またはそのフォルダー)",
            "a TOML file (or its folder) that names the CSV files which answer queries",
        ),
        (
            "json",
            "成果物を1行1件の JSON で表示する",
            "print outputs as JSON, one a line",
        ),
        (
            "time_limit",
            "実行時間の上限 (秒)",
            "stop after so many seconds",
        ),
        (
            "memory_limit",
            "メモリの上限 (MiB)",
            "linear memory, in MiB",
        ),
        ("lang", "表示の言語", "the language of messages"),
        (
            "args",
            "プログラムに渡す引数",
            "what the program is started with",
        ),
    ];
    let about = lang.pick(
        "データを使わずに、セッションと同じ条件でプログラムを実行します",
        "runs a program as a session would, without any data",
    );
    texts
        .iter()
        .fold(command.about(about), |command, (id, ja, en)| {
            command.mut_arg(id, |arg| arg.help(lang.pick(ja, en).to_owned()))
        })
}

pub(crate) fn compiling(lang: Lang) -> &'static str {
    lang.pick("コンパイルしています …", "compiling …")
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error, lang: Lang) -> String {
    let path = path.display();
    match lang {
        Lang::Ja => format!("「{path}」を読めません: {error}"),
        Lang::En => format!("\"{path}\" can't be read: {error}"),
    }
}

pub(crate) fn script_mismatch(is_script: bool, lang: Lang) -> &'static str {
    if is_script {
        lang.pick(
            "このコンポーネントはツールで、スクリプトを実行しません。--script を外してください",
            "this component is a tool and runs no script: leave out --script",
        )
    } else {
        lang.pick(
            "このコンポーネントは言語です。--script FILE でスクリプトを指定してください",
            "this component is a language: name a script with --script FILE",
        )
    }
}

pub(crate) fn answers(error: &AnswersError, lang: Lang) -> String {
    match (error, lang) {
        (AnswersError::Unreadable(path, error), lang) => unreadable(path, error, lang),
        (AnswersError::Malformed(path, text), Lang::Ja) => {
            format!("「{}」の形が正しくありません: {text}", path.display())
        }
        (AnswersError::Malformed(path, text), Lang::En) => {
            format!("\"{}\" is malformed: {text}", path.display())
        }
        (AnswersError::OneOf(at, keys), Lang::Ja) => {
            format!("{at} 番目の [[answer]] には {keys} のどちらか一つが必要です")
        }
        (AnswersError::OneOf(at, keys), Lang::En) => {
            format!("[[answer]] number {at} needs one of {keys}")
        }
        (AnswersError::Type(name), Lang::Ja) => format!("「{name}」という型はありません"),
        (AnswersError::Type(name), Lang::En) => format!("there is no type \"{name}\""),
    }
}

/// Why a program ended, and what to do.
pub(crate) fn ended(error: &RunError, lang: Lang) -> String {
    let name = &error.name;
    let (ja, en) = match error.code {
        RunErrorCode::Failed => (
            format!("プログラムは失敗で終わりました {name}"),
            format!("the program failed {name}"),
        ),
        RunErrorCode::Trap => (
            format!("プログラムは WebAssembly で許されないことをしました: {name}"),
            format!("the program did what WebAssembly forbids: {name}"),
        ),
        RunErrorCode::ImportNotAllowed => (
            format!("インポート「{name}」は使えません"),
            format!("the import \"{name}\" is not allowed"),
        ),
        RunErrorCode::NotAComponent => (
            format!("実行できるコンポーネントではありません: {name}"),
            format!("not a component that can be run: {name}"),
        ),
        RunErrorCode::ToolChanged | RunErrorCode::Internal => (
            format!("内部エラー: {name}"),
            format!("internal error: {name}"),
        ),
        limit => (
            format!("上限に達しました: {limit} ({name})"),
            format!("a limit was reached: {limit} ({name})"),
        ),
    };
    let text = lang.pick(&ja, &en).trim_end().to_owned();
    match (error.line, lang) {
        (0, _) => text,
        (line, Lang::Ja) => format!("{text} ({line} 行目)"),
        (line, Lang::En) => format!("{text} (line {line})"),
    }
}
