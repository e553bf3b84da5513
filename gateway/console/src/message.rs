//! What went wrong and what to do next, in the person's language.

use kekkai_analysis_api::{ARG_MAX, ARGS_MAX};
use kekkai_types::Lang;

use crate::command::{LINE_MAX, PURPOSE_MAX, ParseError, TITLE_MAX, Usage};
use crate::text::{clean, push_line};

pub use crate::reasons::{end_reason, refusal, sign_in_refusal};
pub use crate::run_error::run_error;
pub use crate::source::{source_error, source_hint};
pub use crate::sql_error::sql_error;

/// What happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) what: String,
    pub(crate) next: String,
}

impl Said {
    /// Two lines.
    pub(crate) fn show(&self, lang: Lang) -> String {
        let mut out = String::new();
        push_line(&mut out, &self.what);
        push_line(
            &mut out,
            &format!("{}{}", lang.pick("次に: ", "next: "), self.next),
        );
        out
    }
}

/// Two texts in two languages, the second saying what to do next.
pub(crate) fn said(lang: Lang, ja: (&str, &str), en: (&str, &str)) -> Said {
    let (what, next) = match lang {
        Lang::Ja => ja,
        Lang::En => en,
    };
    Said {
        what: what.to_owned(),
        next: next.to_owned(),
    }
}

/// Why a line was not carried out. [`ParseError::NotACommand`] says that it was recorded: the
/// gateway does so before it shows this.
pub fn parse_error(error: &ParseError, lang: Lang) -> String {
    match error {
        ParseError::NotACommand(word) => not_a_command(word, lang).show(lang),
        ParseError::Usage(topic, usage) => {
            let word = topic.word();
            let what = wrong_use(usage, lang);
            let next = match lang {
                Lang::Ja => format!("help {word} で使い方が見られます。"),
                Lang::En => format!("help {word} tells how it is used."),
            };
            let what = format!("{word}: {what}");
            Said { what, next }.show(lang)
        }
        ParseError::TooLong => {
            let ja = format!("入力が長すぎます (上限 {LINE_MAX} バイト)。");
            let en = format!("The input is too long (at most {LINE_MAX} bytes).");
            let next = (
                "文を短くするか、分けてください。",
                "shorten the statement or split it.",
            );
            said(lang, (&ja, next.0), (&en, next.1)).show(lang)
        }
    }
}

fn not_a_command(word: &str, lang: Lang) -> Said {
    let name = word.rsplit('/').next().unwrap_or(word);
    let shown = clean(word);
    let ja =
        format!("{shown} は、このコンソールのコマンドではありません。この要求は記録されました。");
    let en = format!("\"{shown}\" is not a command of this console. The request was recorded.");
    let next = match name.to_ascii_lowercase().as_str() {
        "scp" | "rsync" | "sftp" | "sftp-server" | "cp" | "get" | "put" | "mget" | "mput" => (
            "ファイル転送はありません。結果の持出しは submit で申請してください。",
            "files are never copied in or out; submit asks to take a result out.",
        ),
        "select" | "with" => (
            "SQL は sql の後に書きます (例: sql SELECT ...;)。",
            "put sql before a statement: sql SELECT ...;",
        ),
        "quit" | "logout" | "bye" => ("exit で終了します。", "exit leaves."),
        _ => (
            "help で使えるコマンドが見られます。",
            "help lists the commands.",
        ),
    };
    said(lang, (&ja, next.0), (&en, next.1))
}

fn wrong_use(usage: &Usage, lang: Lang) -> String {
    match (usage, lang) {
        (Usage::Extra(word), Lang::Ja) => format!("「{}」は使えません。", clean(word)),
        (Usage::Extra(word), Lang::En) => format!("\"{}\" has no place here.", clean(word)),
        (Usage::JobMissing, Lang::Ja) => "ジョブ番号がありません。".to_owned(),
        (Usage::JobMissing, Lang::En) => "the job's number is missing.".to_owned(),
        (Usage::JobMalformed(word), Lang::Ja) => {
            format!("「{}」はジョブ番号ではありません。", clean(word))
        }
        (Usage::JobMalformed(word), Lang::En) => {
            format!("\"{}\" is not a job's number.", clean(word))
        }
        (Usage::TitleMissing, Lang::Ja) => "題名 (--title) がありません。".to_owned(),
        (Usage::TitleMissing, Lang::En) => "a title (--title) is needed.".to_owned(),
        (Usage::TitleTooLong(n), Lang::Ja) => {
            format!("題名が{n}文字あります (上限 {TITLE_MAX} 文字)。")
        }
        (Usage::TitleTooLong(n), Lang::En) => {
            format!("the title has {n} characters, at most {TITLE_MAX} are allowed.")
        }
        (Usage::PurposeTooLong(n), Lang::Ja) => {
            format!("目的が{n}文字あります (上限 {PURPOSE_MAX} 文字)。")
        }
        (Usage::PurposeTooLong(n), Lang::En) => {
            format!("the purpose has {n} characters, at most {PURPOSE_MAX} are allowed.")
        }
        (Usage::ControlCharacter, Lang::Ja) => {
            "題名または目的に制御文字が含まれています。".to_owned()
        }
        (Usage::ControlCharacter, Lang::En) => {
            "the title or purpose has control characters.".to_owned()
        }
        (Usage::OptionUnknown(word), Lang::Ja) => {
            format!("「{}」という指定はありません。", clean(word))
        }
        (Usage::OptionUnknown(word), Lang::En) => {
            format!("there is no option \"{}\".", clean(word))
        }
        (Usage::QuoteOpen, Lang::Ja) => "引用符が閉じられていません。".to_owned(),
        (Usage::QuoteOpen, Lang::En) => "a quote is not closed.".to_owned(),
        (Usage::StatementMissing, Lang::Ja) => "SQL 文がありません。".to_owned(),
        (Usage::StatementMissing, Lang::En) => "the statement is missing.".to_owned(),
        (Usage::LangUnknown(word), Lang::Ja) => {
            format!("「{}」は ja でも en でもありません。", clean(word))
        }
        (Usage::LangUnknown(word), Lang::En) => {
            format!("\"{}\" is neither ja nor en.", clean(word))
        }
        (Usage::ProgramMissing, Lang::Ja) => {
            "python または tool と、その名前が必要です。".to_owned()
        }
        (Usage::ProgramMissing, Lang::En) => "python or tool and its name are needed.".to_owned(),
        (Usage::ProgramUnknown(word), Lang::Ja) => {
            format!("「{}」は python でも tool でもありません。", clean(word))
        }
        (Usage::ProgramUnknown(word), Lang::En) => {
            format!("\"{}\" is neither python nor tool.", clean(word))
        }
        (Usage::NameMissing, Lang::Ja) => "スクリプトの名前がありません。".to_owned(),
        (Usage::NameMissing, Lang::En) => "the script's name is missing.".to_owned(),
        (Usage::NameMalformed(word), Lang::Ja) => {
            format!(
                "「{}」は名前として使えません (英数字で始まる、英数字と . _ - で64文字まで。ツールの名前は小文字)。",
                clean(word)
            )
        }
        (Usage::NameMalformed(word), Lang::En) => {
            format!(
                "\"{}\" is no name: letters, digits, . _ -, beginning with a letter or digit, at most 64; a tool's is lower-case.",
                clean(word)
            )
        }
        (Usage::TooManyArguments(n), Lang::Ja) => {
            format!("引数が{n}個あります (上限 {ARGS_MAX} 個)。")
        }
        (Usage::TooManyArguments(n), Lang::En) => {
            format!("there are {n} arguments, at most {ARGS_MAX} are allowed.")
        }
        (Usage::ArgumentTooLong(n), Lang::Ja) => {
            format!("引数が{n}バイトあります (上限 {ARG_MAX} バイト)。")
        }
        (Usage::ArgumentTooLong(n), Lang::En) => {
            format!("an argument has {n} bytes, at most {ARG_MAX} are allowed.")
        }
        (Usage::ArgumentNotPlain, Lang::Ja) => {
            "引数に制御文字または見えない文字が含まれています。".to_owned()
        }
        (Usage::ArgumentNotPlain, Lang::En) => {
            "an argument has control characters or invisible ones.".to_owned()
        }
        (Usage::TopicUnknown(word), Lang::Ja) => {
            format!("「{}」というコマンドはありません。", clean(word))
        }
        (Usage::TopicUnknown(word), Lang::En) => {
            format!("there is no command \"{}\".", clean(word))
        }
    }
}

/// That a table isn't there, or isn't granted: the same answer to both.
pub(crate) fn no_such_table(name: &str, candidates: &[String], lang: Lang) -> String {
    let name = clean(name);
    let ja = format!(
        "使える表に {name} はありません。{}",
        perhaps(candidates, lang)
    );
    let en = format!(
        "There is no table \"{name}\" that you may use. {}",
        perhaps(candidates, lang)
    );
    let next = (
        "schema で使える表が見られます。",
        "schema lists the tables.",
    );
    said(lang, (ja.trim_end(), next.0), (en.trim_end(), next.1)).show(lang)
}

/// "did you mean", or nothing.
pub(crate) fn perhaps(candidates: &[String], lang: Lang) -> String {
    let names: Vec<String> = candidates.iter().map(|name| clean(name)).collect();
    match (names.is_empty(), lang) {
        (true, _) => String::new(),
        (false, Lang::Ja) => format!("もしかして: {}", names.join(", ")),
        (false, Lang::En) => format!("Did you mean: {}?", names.join(", ")),
    }
}

/// That a job was cancelled.
pub(crate) fn cancelled(by_limit: bool, is_run: bool, lang: Lang) -> String {
    let (ja, en) = match (by_limit, is_run) {
        (true, _) => (
            (
                "取決めの実行時間の上限を超えたため、取り消されました。",
                "条件を絞るか、集計を分けてください。",
            ),
            (
                "The job ran longer than the agreement allows and was cancelled.",
                "narrow it down or split it.",
            ),
        ),
        (false, false) => (
            (
                "ジョブは取り消されました。",
                "必要なら sql でもう一度実行してください。",
            ),
            (
                "The job was cancelled.",
                "run it again with sql if you need it.",
            ),
        ),
        (false, true) => (
            (
                "プログラムは取り消されました。それまでに申請した成果物は、申請されたままです。",
                "必要なら run でもう一度実行してください。outputs で成果物の状態が見られます。",
            ),
            (
                "The program was cancelled. What it had submitted stays submitted.",
                "run it again if you need it; outputs shows what was submitted.",
            ),
        ),
    };
    said(lang, ja, en).show(lang)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::command::parse;

    /// A message that a person can act upon: both parts, in the right script, safe, ended.
    pub(crate) fn check(message: &str, lang: Lang) {
        let next = lang.pick("次に: ", "next: ");
        let (what, next) = message
            .rsplit_once(next)
            .unwrap_or_else(|| panic!("no next step: {message}"));
        assert!(what.trim().len() > 3 && next.trim().len() > 3, "{message}");
        assert!(message.ends_with('\n'), "{message}");
        assert!(
            !message.chars().any(|c| c.is_control() && c != '\n'),
            "{message:?}"
        );
        let is_japanese = |c: char| ('\u{3040}'..='\u{9fff}').contains(&c);
        match lang {
            Lang::Ja => assert!(
                next.chars().any(is_japanese) && what.chars().any(is_japanese),
                "{message}"
            ),
            Lang::En => assert!(!message.chars().any(is_japanese), "{message}"),
        }
    }

    #[test]
    fn every_wrong_line_is_explained_in_both_languages() {
        for line in [
            "sh",
            "cat /etc/passwd",
            "scp -t /",
            "sftp-server",
            "SELECT 1",
            "quit",
            "\u{1b}[2J\u{9b}",
            "sql",
            "jobs show",
            "jobs show x",
            "jobs x",
            "submit 1",
            "submit 1 --x",
            "submit 1 --title '",
            "lang fr",
            "submit 1 --title 'a\u{7}'",
            "help x",
            "run",
            "run study.py",
            "run python",
            "run python ../x",
            "run tool A",
            "run tool a 'x\u{7}'",
            "script save",
            "script keep x",
            "script show .x",
            "tools x",
            "result",
            "cancel x",
        ] {
            let error = parse(line).unwrap_err();
            for lang in [Lang::Ja, Lang::En] {
                check(&parse_error(&error, lang), lang);
            }
        }
        for usage in [
            Usage::TitleTooLong(300),
            Usage::PurposeTooLong(3000),
            Usage::TooManyArguments(65),
            Usage::ArgumentTooLong(2000),
        ] {
            for lang in [Lang::Ja, Lang::En] {
                check(
                    &parse_error(
                        &ParseError::Usage(crate::Topic::Submit, usage.clone()),
                        lang,
                    ),
                    lang,
                );
                check(&parse_error(&ParseError::TooLong, lang), lang);
                for (by_limit, is_run) in [(true, false), (false, false), (false, true)] {
                    check(&cancelled(by_limit, is_run, lang), lang);
                }
            }
        }
    }

    #[test]
    fn shell_and_file_copies_are_refused_and_said_so() {
        let shown = |line: &str, lang| parse_error(&parse(line).unwrap_err(), lang);
        assert_eq!(
            shown("sh -i", Lang::En),
            "\"sh\" is not a command of this console. The request was recorded.\n\
             next: help lists the commands.\n"
        );
        assert_eq!(
            shown("/usr/lib/openssh/sftp-server", Lang::Ja),
            "/usr/lib/openssh/sftp-server は、このコンソールのコマンドではありません。この要求は記録されました。\n\
             次に: ファイル転送はありません。結果の持出しは submit で申請してください。\n"
        );
        assert!(shown("select 1", Lang::En).contains("put sql before"));
    }
}
