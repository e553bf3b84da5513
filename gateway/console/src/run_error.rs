//! Why a program stopped: which limit, how large it is, how to ask for more.

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_types::Lang;

use crate::message::{Said, said};
use crate::text::{clean, push_line};

/// Explains why a program did not end well: code, limit or name, line, what to do next.
pub fn run_error(error: &RunError, lang: Lang) -> String {
    let Said { what, next } = explain(error, lang);
    let mut out = String::new();
    let head = lang.pick("エラー", "error");
    push_line(&mut out, &format!("{head} [{}]: {what}", error.code));
    push_line(
        &mut out,
        &format!("{}{next}", lang.pick("次に: ", "next: ")),
    );
    out
}

/// The agreement's key behind a limit.
fn key(code: RunErrorCode) -> Option<&'static str> {
    match code {
        RunErrorCode::TimeLimit => Some("time_limit_s"),
        RunErrorCode::MemoryLimit => Some("memory_limit_mib"),
        RunErrorCode::TableLimit => Some("table_elements_max"),
        RunErrorCode::InstanceLimit => Some("instances_max"),
        RunErrorCode::OutputsLimit => Some("outputs_max"),
        RunErrorCode::OutputSizeLimit => Some("output_kib_max"),
        RunErrorCode::ScratchLimit => Some("scratch_kib_max"),
        RunErrorCode::Failed
        | RunErrorCode::Trap
        | RunErrorCode::StackLimit
        | RunErrorCode::CallsLimit
        | RunErrorCode::NotAComponent
        | RunErrorCode::ImportNotAllowed
        | RunErrorCode::ToolChanged
        | RunErrorCode::Internal => None,
    }
}

/// How to get more than a term of `[programs]` allows.
pub(crate) fn ask_for_more(key: &str, lang: Lang) -> String {
    match lang {
        Lang::Ja => format!(
            "上限を変えるには、研究開発責任者から提供者へ、取決めの [programs] {key} の変更を依頼してください。"
        ),
        Lang::En => format!(
            "for more, your principal investigator asks the producer to amend [programs] {key} of the agreement."
        ),
    }
}

fn explain(error: &RunError, lang: Lang) -> Said {
    let name = clean(&error.name);
    // A name that isn't known leaves the sentence whole.
    let named = |ja_open: &str, en_open: &str| match (name.is_empty(), lang) {
        (true, _) => String::new(),
        (false, Lang::Ja) => format!(" ({ja_open}{name})"),
        (false, Lang::En) => format!(" ({en_open}{name})"),
    };
    let size = named("上限 ", "at most ");
    let about = named("", "");
    let line = match (error.line, lang) {
        (0, _) => String::new(),
        (line, Lang::Ja) => format!(" {line} 行目で止まりました。"),
        (line, Lang::En) => format!(" It stopped at line {line}."),
    };
    let (ja, ja_next, en, en_next) = match error.code {
        RunErrorCode::Failed => (
            format!("プログラムが失敗しました{about}。"),
            "表示された内容を確かめて、直してから、もう一度実行してください。",
            format!("the program failed{about}."),
            "look at what it printed, mend it and run it again.",
        ),
        RunErrorCode::Trap => (
            format!("プログラムが不正な操作をしたため、止めました{about}。"),
            "ツールであれば、作成者に伝えてください。",
            format!("the program did what WebAssembly forbids and was stopped{about}."),
            "if it is a tool, tell its author.",
        ),
        RunErrorCode::StackLimit => (
            format!("関数の呼出しが深すぎます{size}。"),
            "再帰を繰返しに書き換えてください。この上限は取決めでは変えられません。",
            format!("calls are nested too deep{size}."),
            "write the recursion as a loop; no agreement changes this limit.",
        ),
        RunErrorCode::TimeLimit => (
            format!("実行時間の上限に達したため、止めました{size}。"),
            "対象を絞るか、分けて実行してください。",
            format!("the program ran as long as it may and was stopped{size}."),
            "narrow the work down or split it;",
        ),
        RunErrorCode::MemoryLimit => (
            format!("メモリの上限に達しました{size}。"),
            "列や行を絞るか、少しずつ読んでください。",
            format!("the program's memory is used up{size}."),
            "read fewer columns or rows, or read them piece by piece;",
        ),
        RunErrorCode::TableLimit => (
            format!("WebAssembly の表の要素数の上限に達しました{size}。"),
            "ツールの作成者に伝えてください。",
            format!("the program's WebAssembly tables have too many elements{size}."),
            "tell the tool's author;",
        ),
        RunErrorCode::InstanceLimit => (
            format!("WebAssembly のインスタンス数の上限に達しました{size}。"),
            "ツールの作成者に伝えてください。",
            format!("the program has too many WebAssembly instances{size}."),
            "tell the tool's author;",
        ),
        RunErrorCode::OutputsLimit => (
            format!("1回の実行で申請できる成果物の数の上限に達しました{size}。"),
            "成果物をまとめるか、分けて実行してください。",
            format!("one run submitted as many outputs as it may{size}."),
            "put outputs together, or use several runs;",
        ),
        RunErrorCode::OutputSizeLimit => (
            format!("成果物が大きすぎます{size}。"),
            "集計を粗くして、小さくしてください。",
            format!("an output is too large{size}."),
            "make it smaller by coarser groups;",
        ),
        RunErrorCode::ScratchLimit => (
            format!("一時領域の上限に達しました{size}。"),
            "要らなくなったものを消してください。",
            format!("the run's scratch is full{size}."),
            "remove what is no longer needed;",
        ),
        RunErrorCode::CallsLimit => (
            format!("Kekkai の呼出しが多すぎます{size}。"),
            "1回の呼出しでまとめて読み書きしてください。この上限は取決めでは変えられません。",
            format!("the program calls Kekkai too often{size}."),
            "read and write more at once; no agreement changes this limit.",
        ),
        RunErrorCode::NotAComponent => (
            format!("実行できるプログラムではありません{about}。"),
            "ツールの作成者に、雛形から作り直すよう伝えてください。",
            format!("this is no program that can run here{about}."),
            "tell the tool's author to build it from the template.",
        ),
        RunErrorCode::ImportNotAllowed => (
            format!("プログラムが、セッションにない機能を求めています{about}。"),
            "ツールの作成者に、その機能を使わないよう伝えてください。",
            format!("the program needs what a session doesn't offer{about}."),
            "tell the tool's author to do without it.",
        ),
        RunErrorCode::ToolChanged => (
            format!(
                "ツールの内容が審査を経たものと違うため、実行しませんでした{about}。記録されました。"
            ),
            "運用担当者に知らせてください。",
            format!(
                "the tool is not the one that was admitted, and was not run{about}; this was recorded."
            ),
            "tell the operator.",
        ),
        RunErrorCode::Internal => (
            format!("システム内部の誤りです。記録されました{about}。"),
            "運用担当者に日時とジョブ番号を伝えてください。",
            format!("this is an error of ours; it was recorded{about}."),
            "tell the operator the time and the job's number.",
        ),
    };
    let more = key(error.code).map(|key| ask_for_more(key, lang));
    let next = match (more, lang) {
        (None, Lang::Ja) => ja_next.to_owned(),
        (None, Lang::En) => en_next.to_owned(),
        (Some(more), Lang::Ja) => format!("{ja_next}{more}"),
        (Some(more), Lang::En) => format!("{en_next} {more}"),
    };
    let what = match lang {
        Lang::Ja => ja,
        Lang::En => en,
    };
    said(
        lang,
        (&format!("{what}{line}"), &next),
        (&format!("{what}{line}"), &next),
    )
}

#[cfg(test)]
mod tests {
    use kekkai_policy_api::ProgramTerms;

    use super::*;
    use crate::message::tests::check;

    macro_rules! all {
        ($type:ident: $($variant:ident),* $(,)?) => {{
            // A new variant doesn't compile until it stands here.
            fn _complete(value: $type) {
                match value { $($type::$variant => {}),* }
            }
            [$($type::$variant),*]
        }};
    }

    fn codes() -> [RunErrorCode; 15] {
        all!(RunErrorCode: Failed, Trap, StackLimit, TimeLimit, MemoryLimit, TableLimit,
            InstanceLimit, OutputsLimit, OutputSizeLimit, ScratchLimit, CallsLimit, NotAComponent,
            ImportNotAllowed, ToolChanged, Internal)
    }

    #[test]
    fn every_code_is_explained_in_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        for code in codes() {
            for (name, line) in [("", 0), ("600 s", 0), ("x\u{1b}[2J\u{202e}", 12)] {
                let error = RunError {
                    code,
                    name: name.into(),
                    line,
                };
                for lang in [Lang::Ja, Lang::En] {
                    let shown = run_error(&error, lang);
                    check(&shown, lang);
                    assert!(shown.contains(&format!("[{code}]")), "{shown}");
                    assert!(shown.contains(&clean(name)), "{shown}");
                    assert_eq!(shown.contains("12"), line == 12, "{shown}");
                    if name.is_empty() {
                        assert!(seen.insert(shown), "{code} says what another says");
                    }
                }
            }
        }
    }

    #[test]
    fn every_term_of_programs_that_stops_a_program_is_named_with_how_to_ask_for_more() {
        let terms = ProgramTerms {
            python: true,
            tools: Vec::new(),
            rows: true,
            time_limit_s: 1,
            memory_limit_mib: 1,
            table_elements_max: 1,
            instances_max: 1,
            outputs_max: 1,
            output_kib_max: 1,
            log_kib_max: 1,
            scratch_kib_max: 1,
            clock_ms: 1,
        };
        let terms = serde_json::to_value(terms).unwrap();
        let mut unexplained: std::collections::BTreeSet<&str> = terms
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        for code in codes() {
            let Some(key) = key(code) else { continue };
            assert!(
                unexplained.remove(key),
                "{key} is no term, or has two codes"
            );
            let error = RunError {
                code,
                name: "600 s".into(),
                line: 0,
            };
            let ja = run_error(&error, Lang::Ja);
            assert!(
                ja.contains(&format!("[programs] {key} の変更を依頼")),
                "{ja}"
            );
            assert!(
                ja.contains("研究開発責任者") && ja.contains("上限 600 s"),
                "{ja}"
            );
            let en = run_error(&error, Lang::En);
            assert!(
                en.contains(&format!("amend [programs] {key} of the agreement")),
                "{en}"
            );
            assert!(
                en.contains("principal investigator") && en.contains("at most 600 s"),
                "{en}"
            );
        }
        // Permissions and the clock stop nothing; the log's limit is told beside the log.
        let rest = ["clock_ms", "log_kib_max", "python", "rows", "tools"];
        assert_eq!(unexplained, rest.into());
    }

    #[test]
    fn failed_script_is_told_with_its_line() {
        let error = RunError {
            code: RunErrorCode::Failed,
            name: "ZeroDivisionError".into(),
            line: 12,
        };
        assert_eq!(
            run_error(&error, Lang::En),
            "error [failed]: the program failed (ZeroDivisionError). It stopped at line 12.\n\
             next: look at what it printed, mend it and run it again.\n"
        );
        assert_eq!(
            run_error(&error, Lang::Ja),
            "エラー [failed]: プログラムが失敗しました (ZeroDivisionError)。 12 行目で止まりました。\n\
             次に: 表示された内容を確かめて、直してから、もう一度実行してください。\n"
        );
    }
}
