//! What is wrong with a statement, with the place under a caret.

use kekkai_analysis_api::{SQL_MAX, SqlError, SqlErrorCode};
use kekkai_types::Lang;

use crate::message::{Said, perhaps, said};
use crate::sql_advice::sql_advice;
use crate::text::{clean, columns, push_line};

/// Characters of a long line that are shown before and after the place.
const AROUND: usize = 48;

/// Explains an error: code, line with a caret, names that were perhaps meant, what to do next.
pub fn sql_error(error: &SqlError, sql: &str, lang: Lang) -> String {
    let Said { what, mut next } = explain(error.code, &clean(&error.name), lang);
    if let Some(hint) = error.hint {
        next = sql_advice(hint, lang).to_owned();
    }
    let mut out = String::new();
    push_line(
        &mut out,
        &format!("{} [{}]: {what}", lang.pick("エラー", "error"), error.code),
    );
    if let Some(place) = error.at.and_then(|at| place(sql, at, &error.name)) {
        out.push_str(&place);
    }
    if !error.candidates.is_empty() {
        push_line(&mut out, &perhaps(&error.candidates, lang));
    }
    push_line(
        &mut out,
        &format!("{}{next}", lang.pick("次に: ", "next: ")),
    );
    out
}

/// The source line and a caret under the place, which counts characters from 1.
fn place(sql: &str, (line, column): (u32, u32), name: &str) -> Option<String> {
    let text: Vec<char> = sql
        .split('\n')
        .nth(usize::try_from(line).ok()?.checked_sub(1)?)?
        .chars()
        .collect();
    let at = usize::try_from(column).ok()?.checked_sub(1)?;
    if at > text.len() {
        return None;
    }
    let length = name.chars().count();
    let there: String = text.iter().skip(at).take(length).collect();
    let is_there = length > 0 && there.to_lowercase() == name.to_lowercase();
    let length = if is_there { length.min(AROUND) } else { 1 };
    let first = at.saturating_sub(AROUND);
    let last = at.saturating_add(AROUND).min(text.len());
    let part = |from: usize, to: usize| -> String {
        let count = to.saturating_sub(from);
        clean(&text.iter().skip(from).take(count).collect::<String>())
    };
    let mark = |is_cut: bool| if is_cut { ".." } else { "" };
    let before = format!("{}{}", mark(first > 0), part(first, at));
    let after = format!("{}{}", part(at, last), mark(last < text.len()));
    let margin = format!("{line:>4} | ");
    let blank = " ".repeat(columns(&margin).saturating_sub(2));
    let under = columns(&part(at, at.saturating_add(length).min(last))).max(1);
    let mut out = String::new();
    push_line(&mut out, &format!("{margin}{before}{after}"));
    push_line(
        &mut out,
        &format!(
            "{blank}| {}{}",
            " ".repeat(columns(&before)),
            "^".repeat(under)
        ),
    );
    Some(out)
}

fn explain(code: SqlErrorCode, name: &str, lang: Lang) -> Said {
    let ja_name = if name.is_empty() {
        String::new()
    } else {
        format!("「{name}」")
    };
    let en_name = if name.is_empty() {
        String::new()
    } else {
        format!("\"{name}\"")
    };
    // A name that isn't known leaves the sentence whole.
    let ja = |with: &str, without: &str| {
        if name.is_empty() {
            without.to_owned()
        } else {
            format!("{ja_name}{with}")
        }
    };
    let en = |before: &str, after: &str, without: &str| {
        if name.is_empty() {
            without.to_owned()
        } else {
            format!("{before}{en_name}{after}")
        }
    };
    let (ja, ja_next, en, en_next) = match code {
        SqlErrorCode::Syntax => (
            ja(
                "の近くで SQL の構文が正しくありません。",
                "SQL の構文が正しくありません。",
            ),
            "示された場所の前後を確かめてください。help sql に例があります。",
            en("this is not SQL near ", ".", "this is not SQL."),
            "look around the place; help sql has an example.",
        ),
        SqlErrorCode::TooLong => (
            format!("文が長すぎます (上限 {SQL_MAX} バイト)。"),
            "文を短くするか、分けてください。",
            format!("the statement is too long (at most {SQL_MAX} bytes)."),
            "shorten it or split it.",
        ),
        SqlErrorCode::SeveralStatements => (
            "一度に実行できるのは1文だけです。".to_owned(),
            "文を1つずつ sql で実行してください。",
            "one statement at a time.".to_owned(),
            "run each with a sql of its own.",
        ),
        SqlErrorCode::StatementNotAllowed => (
            ja(
                "は実行できません。集計の SELECT だけが使えます。",
                "集計の SELECT だけが使えます。",
            ),
            "SELECT で集計してください。表の定義は schema で見られます。",
            en(
                "",
                " is not allowed: only SELECT is.",
                "only SELECT is allowed.",
            ),
            "use SELECT with aggregates; schema shows the tables.",
        ),
        SqlErrorCode::ClauseNotAllowed => (
            ja("はここでは使えません。", "使えない句があります。"),
            "その句を使わずに書き直してください。help sql に使えるものがあります。",
            en("", " is not allowed here.", "a clause is not allowed here."),
            "write it without that; help sql tells what is there.",
        ),
        SqlErrorCode::FunctionNotAllowed => (
            ja("という関数は使えません。", "使えない関数があります。"),
            "ほかの関数で書き直してください。",
            en(
                "the function ",
                " is not allowed.",
                "a function is not allowed.",
            ),
            "use another function.",
        ),
        SqlErrorCode::FunctionUnknown => (
            ja("という関数はありません。", "知られていない関数があります。"),
            "関数名のつづりを確かめてください。",
            en("there is no function ", ".", "a function is unknown."),
            "check its spelling.",
        ),
        SqlErrorCode::TableUnknown => (
            ja("という表は使えません。", "使えない表があります。"),
            "schema で使える表が見られます。",
            en(
                "there is no table ",
                " that you may use.",
                "a table is unknown.",
            ),
            "schema lists the tables that you may use.",
        ),
        SqlErrorCode::TableExists => (
            ja(
                "という名前の表は既にあります。",
                "その名前の表は既にあります。",
            ),
            "別の名前にするか、一時表なら先に DROP TABLE で消してください。",
            en(
                "",
                " is the name of a table already.",
                "there is a table of that name already.",
            ),
            "choose another name; a temporary table can be given up by DROP TABLE first.",
        ),
        SqlErrorCode::ColumnUnknown => (
            ja("という列は使えません。", "使えない列があります。"),
            "schema 表名 で使える列が見られます。",
            en(
                "there is no column ",
                " that you may use.",
                "a column is unknown.",
            ),
            "schema TABLE lists the columns that you may use.",
        ),
        SqlErrorCode::ColumnAmbiguous => (
            ja("という列が複数の表にあります。", "複数の表にある列名です。"),
            "表名を付けて「表名.列名」と書いてください。",
            en(
                "several tables have a column ",
                ".",
                "several tables have this column.",
            ),
            "put the table's name before it: TABLE.COLUMN.",
        ),
        SqlErrorCode::Parameters => (
            ja(
                "に当てる値の数が合いません。",
                "文の ? と、渡された値の数が違います。",
            ),
            "? と同じ数の値を、同じ順に渡してください。",
            en(
                "the values given are more or fewer than ",
                ".",
                "the statement has another number of ? than values were given.",
            ),
            "give one value for each ?, in their order.",
        ),
        SqlErrorCode::Type => (
            ja("の型が合いません。", "型が合いません。"),
            "schema 表名 で列の型を確かめ、必要なら CAST してください。",
            en("the types of ", " don't fit.", "types don't fit."),
            "schema TABLE shows types; CAST changes one.",
        ),
        SqlErrorCode::NotGrouped => (
            ja(
                "は集計されておらず、GROUP BY にもありません。",
                "集計されていない列が GROUP BY にありません。",
            ),
            "その列を GROUP BY に加えるか、COUNT や AVG などで集計してください。",
            en(
                "",
                " is neither aggregated nor in GROUP BY.",
                "a column is neither aggregated nor in GROUP BY.",
            ),
            "add it to GROUP BY, or aggregate it.",
        ),
        SqlErrorCode::RowsNotAllowed => (
            "個人ごとの行は表示できません。このコンソールで見られるのは統計だけです。".to_owned(),
            "COUNT や AVG などの集計と GROUP BY を使ってください。",
            "rows of single persons are not shown here; statistics are.".to_owned(),
            "use aggregates (COUNT, AVG ...) with GROUP BY.",
        ),
        SqlErrorCode::NotFollowed => (
            ja(
                "は寄与者の人数を数えられない形です。",
                "寄与者の人数を数えられない形の集計です。",
            ),
            "集計を1段にするなど、より単純な形に書き直してください。",
            en(
                "the persons behind ",
                " can't be counted in this form.",
                "the persons behind this statistic can't be counted in this form.",
            ),
            "write it in a simpler form, with one level of aggregation.",
        ),
        SqlErrorCode::Evaluation => (
            ja(
                "を計算できない行がありました (0 での除算、桁あふれ、型変換など)。",
                "計算できない行がありました (0 での除算、桁あふれ、型変換など)。",
            ),
            "NULLIF や CASE、TRY_CAST で、計算できない場合を除いてください。",
            en(
                "",
                " can't be computed for some row (division by zero, overflow, a failed cast).",
                "some row can't be computed (division by zero, overflow, a failed cast).",
            ),
            "leave such rows out with NULLIF, CASE or TRY_CAST.",
        ),
        SqlErrorCode::TooLarge => (
            "結果のセルが多すぎます。".to_owned(),
            "GROUP BY の列を減らすか、まとめてください。",
            "the result has too many cells.".to_owned(),
            "group by fewer or coarser columns.",
        ),
        SqlErrorCode::Memory => {
            let (ja_next, en_next) = memory_next(name);
            (
                ja(
                    "の処理が、セッションのメモリより多くを必要とします。",
                    "セッションのメモリを使い切りました。",
                ),
                ja_next,
                en(
                    "",
                    " needs more than the session's memory.",
                    "the session's memory is used up.",
                ),
                en_next,
            )
        }
        SqlErrorCode::RowsQuota => (
            "取決めの行数の上限のため、続きの行は今は表示できません。".to_owned(),
            "1分待つか、WHERE で必要な行に絞ってください。1日の上限は日本時間の0時に戻ります。",
            "the agreement's bounds on rows leave no more for now.".to_owned(),
            "wait a minute, or narrow it with WHERE to the rows that you need; the day's bound is free again at \
             midnight in Japan.",
        ),
        SqlErrorCode::SpillQuota => (
            "この文の途中結果が、セッションに許されたディスクの量を超えました。".to_owned(),
            "WHERE で絞るか、列を減らしてください。それでも足りなければ、運用担当者に spill_mib_per_session の引き上げを相談してください。",
            "the statement's intermediate results need more disk than the session has.".to_owned(),
            "narrow it with WHERE or use fewer columns; if that does not do, ask the operator to raise \
             spill_mib_per_session.",
        ),
        SqlErrorCode::SpillFailed => (
            "途中結果をディスクに書けないか、書いたとおりに読み戻せませんでした。結果は出していません。".to_owned(),
            "もう一度実行し、続くようなら運用担当者に日時とジョブ番号を伝えてください。",
            "intermediate results could not be written to disk, or not read back as they were written; no \
             result was shown."
                .to_owned(),
            "run it again; if it goes on, tell the operator the time and the job's number.",
        ),
        SqlErrorCode::TooClose => (
            ja(
                "の統計と、対象者がほとんど同じです。差を取ると数人のことが分かるため、表示しません。",
                "この統計の中に、対象者がほとんど同じ値があります。差を取ると数人のことが分かるため、表示しません。",
            ),
            "条件をそろえるか、群をまとめてください。必要なら、このまま審査に出せます (submit)。",
            en(
                "this is about nearly the same persons as ",
                ": subtracted, the two would tell of a few of them. It is not shown.",
                "values of this statistic are about nearly the same persons: subtracted, they would tell of a few of them. It is not shown.",
            ),
            "use the same conditions, or coarser groups; where it is needed, submit it unseen for review.",
        ),
        SqlErrorCode::HistoryFull => (
            "これまでに表示した統計の記録がいっぱいか、読めません。新しい統計は表示できません。".to_owned(),
            "運用担当者に伝えてください。表示済みの統計はそのまま使えます。",
            "the record of statistics that were shown is full or can't be read; no new one is shown.".to_owned(),
            "tell the operator; what was shown before can be used as it is.",
        ),
        SqlErrorCode::ModelCollinear => (
            ja(
                "のうち1つは、ほかから計算できます。",
                "説明変数の1つが、ほかから計算できます。",
            ),
            "そのうち1つをモデルから外してください。",
            en(
                "of ",
                " one can be computed from the others.",
                "one predictor can be computed from the others.",
            ),
            "leave one of them out of the model.",
        ),
        SqlErrorCode::ModelSeparated => (
            ja(
                "だけで結果が完全に分かれるため、係数を推定できません。",
                "説明変数で結果が完全に分かれるため、係数を推定できません。",
            ),
            "その変数を外すか、区分を粗くしてください。",
            en(
                "",
                " tells the outcomes apart without exception: its coefficient has no estimate.",
                "a predictor tells the outcomes apart without exception: there is no estimate.",
            ),
            "leave it out, or make its categories coarser.",
        ),
        SqlErrorCode::ModelLevels => (
            ja(
                "で比べられる群の数ではありません。",
                "比べられる群の数ではありません。",
            ),
            "群は2つ以上100以下にしてください。fisher_exact は2群どうしの比較だけです。",
            en(
                "",
                " can't compare that number of groups.",
                "that number of groups can't be compared.",
            ),
            "compare 2 to 100 groups; fisher_exact takes two by two.",
        ),
        SqlErrorCode::ModelNotFitted => (
            ja("を計算できません。", "推定値を計算できません。"),
            "値がすべて同じでないか、変数の大きさが極端に違わないか、事象が足りるかを確かめてください。",
            en(
                "there is no estimate for ",
                ".",
                "there is no estimate.",
            ),
            "see whether values vary, are of like size, and whether there are enough events.",
        ),
        SqlErrorCode::ServerLost => (
            "この文を実行していた別の分析サーバーを失いました。".to_owned(),
            "もう一度実行してください。残りのサーバーで実行されます。",
            "another analysis server that ran this statement was lost.".to_owned(),
            "run it again: it runs on the servers that are left.",
        ),
        SqlErrorCode::Internal => (
            "システム内部の誤りです。記録されました。".to_owned(),
            "運用担当者に日時とジョブ番号を伝えてください。",
            "this is an error of ours; it was recorded.".to_owned(),
            "tell the operator the time and the job's number.",
        ),
    };
    said(lang, (&ja, ja_next), (&en, en_next))
}

/// What to change where a clause outgrew the memory.
fn memory_next(clause: &str) -> (&'static str, &'static str) {
    match clause {
        "JOIN" => (
            "結合の前に両方の表を WHERE で絞るか、使う列を減らしてください。小さい方の表が入れば足ります。",
            "narrow both tables with WHERE before they are joined, or use fewer columns; it does when the \
             smaller of them fits.",
        ),
        "ORDER BY" => (
            "WHERE で絞る、列を減らす、または LIMIT を付けてください。",
            "narrow it with WHERE, use fewer columns, or add a LIMIT.",
        ),
        "OVER" => (
            "WHERE で絞るか、PARTITION BY で小さく分けてください。",
            "narrow it with WHERE, or cut it up with PARTITION BY.",
        ),
        _ => (
            "WHERE で絞るか、GROUP BY を粗くしてください。",
            "narrow it with WHERE, or group more coarsely.",
        ),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_code_is_explained_in_both_languages() {
        let codes = all!(SqlErrorCode: Syntax, TooLong, SeveralStatements, StatementNotAllowed,
            ClauseNotAllowed, FunctionNotAllowed, FunctionUnknown, TableUnknown, TableExists, ColumnUnknown,
            ColumnAmbiguous, Parameters, Type, NotGrouped, RowsNotAllowed, NotFollowed, Evaluation, TooLarge,
            Memory, ModelCollinear, ModelSeparated, ModelLevels, ModelNotFitted, TooClose, HistoryFull,
            RowsQuota, SpillQuota, SpillFailed, ServerLost,
            Internal);
        let mut seen = std::collections::BTreeSet::new();
        for code in codes {
            for (name, at) in [("", None), ("x\u{1b}", Some((1, 8))), ("age", Some((9, 9)))] {
                let error = SqlError {
                    code,
                    name: name.into(),
                    at,
                    candidates: Vec::new(),
                    hint: None,
                };
                for lang in [Lang::Ja, Lang::En] {
                    let shown = sql_error(&error, "SELECT x\u{1b} FROM t", lang);
                    check(&shown, lang);
                    assert!(shown.contains(&format!("[{code}]")), "{shown}");
                    if name.is_empty() {
                        assert!(seen.insert(shown), "{code} says what another says");
                    }
                }
            }
        }
    }

    #[test]
    fn caret_stands_under_the_place_beside_full_width_letters() {
        let error = SqlError {
            code: SqlErrorCode::ColumnUnknown,
            name: "aeg".into(),
            at: Some((2, 12)),
            candidates: vec!["age".into(), "region".into()],
            hint: None,
        };
        let sql = "SELECT count(*) FROM patient\nWHERE '男性' AEG > 60";
        let en = "\
error [column-unknown]: there is no column \"aeg\" that you may use.
   2 | WHERE '男性' AEG > 60
     |              ^^^
Did you mean: age, region?
next: schema TABLE lists the columns that you may use.
";
        assert_eq!(sql_error(&error, sql, Lang::En), en);
        let ja = "\
エラー [column-unknown]: 「aeg」という列は使えません。
   2 | WHERE '男性' AEG > 60
     |              ^^^
もしかして: age, region
次に: schema 表名 で使える列が見られます。
";
        assert_eq!(sql_error(&error, sql, Lang::Ja), ja);
        let error = SqlError {
            code: SqlErrorCode::FunctionUnknown,
            name: "件数".into(),
            at: Some((1, 8)),
            candidates: Vec::new(),
            hint: None,
        };
        let shown = sql_error(&error, "SELECT 件数(*)", Lang::En);
        assert!(
            shown.contains("   1 | SELECT 件数(*)\n     |        ^^^^\n"),
            "{shown}"
        );
    }

    #[test]
    fn long_line_is_shown_around_the_place() {
        let sql = format!("SELECT {} bad {}", "x, ".repeat(100), "y, ".repeat(100));
        let error = SqlError {
            code: SqlErrorCode::Syntax,
            name: "bad".into(),
            at: Some((1, 309)),
            candidates: Vec::new(),
            hint: None,
        };
        let shown = sql_error(&error, &sql, Lang::En);
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[2].find("^^^").unwrap();
        assert_eq!(&lines[1][caret..caret + 3], "bad");
        assert!(columns(lines[1]) < 110, "{shown}");
        assert!(
            lines[1].contains("| ..") && lines[1].ends_with(".."),
            "{shown}"
        );
    }

    #[test]
    fn place_outside_the_statement_shows_no_line() {
        for at in [(0, 1), (1, 0), (3, 1), (1, 99), (u32::MAX, u32::MAX)] {
            assert_eq!(place("SELECT 1", at, "x"), None, "{at:?}");
        }
        let end = place("SELECT", (1, 7), "").unwrap();
        assert_eq!(end, "   1 | SELECT\n     |       ^\n");
    }

    #[test]
    fn place_counts_a_control_character_as_it_is_shown() {
        let shown = place("\u{1b}[2J\tx", (1, 6), "x").unwrap();
        assert_eq!(shown, "   1 | \\u{1b}[2J x\n     |           ^\n");
    }

    /// What the engine answers to each of its kinds of mistake: its own test keeps the file true.
    const MISTAKES: &str = include_str!("../../../query-engine/engine/tests/mistakes/golden.json");

    #[derive(serde::Deserialize)]
    struct Mistake {
        kind: String,
        sql: String,
        error: SqlError,
    }

    #[test]
    fn each_mistake_is_told_with_its_place_and_an_advice_of_its_own() {
        let mistakes: Vec<Mistake> = serde_json::from_str(MISTAKES).unwrap();
        assert!(mistakes.len() >= 100);
        for lang in [Lang::Ja, Lang::En] {
            // An advice, and what is wrong where it is given.
            let mut advice = std::collections::BTreeMap::new();
            for Mistake { kind, sql, error } in &mistakes {
                let shown = sql_error(error, sql, lang);
                check(&shown, lang);
                let lines: Vec<&str> = shown.lines().collect();
                assert!(lines[0].contains(&format!("[{}]", error.code)), "{shown}");
                assert!(
                    lines
                        .iter()
                        .any(|line| line.contains("| ") && line.trim_end().ends_with('^')),
                    "{kind} shows no place:\n{shown}"
                );
                let next = lines.last().unwrap();
                assert!(next.starts_with(lang.pick("次に: ", "next: ")), "{shown}");
                assert!(next.chars().count() > 15, "{shown}");
                let wrong = kind.split(':').next().unwrap();
                let other = advice
                    .insert((*next).to_owned(), wrong)
                    .filter(|other| *other != wrong);
                assert_eq!(
                    other, None,
                    "{kind} gets the advice of another mistake: {next}"
                );
            }
        }
    }
}
