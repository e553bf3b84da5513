//! `help`.

use kekkai_types::Lang;

use crate::command::Topic;
use crate::text::{columns, pad_left_aligned, push_line};

/// All commands, or how one of them is used.
pub fn help(topic: Option<Topic>, lang: Lang) -> String {
    match topic {
        None => overview(lang),
        Some(topic) => one(topic, lang),
    }
}

fn overview(lang: Lang) -> String {
    let mut out = String::new();
    push_line(
        &mut out,
        lang.pick(
            "使えるコマンド (help コマンド名 で詳細):",
            "Commands (help COMMAND tells more):",
        ),
    );
    let rows = Topic::ALL.map(|topic| (usage(topic, lang), summary(topic, lang)));
    let widest = rows
        .iter()
        .map(|(usage, _)| columns(usage))
        .max()
        .unwrap_or(0);
    for (usage, summary) in rows {
        let mut line = "  ".to_owned();
        pad_left_aligned(&mut line, usage, widest);
        line.push_str("  ");
        line.push_str(summary);
        push_line(&mut out, &line);
    }
    push_line(&mut out, lang.pick(
        "ファイル転送、シェル、ポート転送はありません。データの持出しは submit による申請だけです。",
        "There is no file transfer, no shell and no forwarding. Results leave by submit only.",
    ));
    out
}

fn usage(topic: Topic, lang: Lang) -> &'static str {
    match topic {
        Topic::Help => lang.pick("help [コマンド名]", "help [COMMAND]"),
        Topic::Schema => lang.pick("schema [表名]", "schema [TABLE]"),
        Topic::Sql => lang.pick("sql 文;", "sql STATEMENT;"),
        Topic::Run => lang.pick(
            "run python ファイル|- | tool 名前",
            "run python FILE|- | tool NAME",
        ),
        Topic::Tools => "tools",
        Topic::Script => lang.pick(
            "script list | save|show|remove 名前",
            "script list | save|show|remove NAME",
        ),
        Topic::Jobs => "jobs",
        Topic::Result => "result N",
        Topic::Cancel => "cancel N",
        Topic::Submit => lang.pick(
            "submit N --title 題名 [--purpose 目的]",
            "submit N --title T [--purpose P]",
        ),
        Topic::Outputs => "outputs",
        Topic::Status => "status",
        Topic::Lang => "lang ja|en",
        Topic::Exit => "exit",
    }
}

fn summary(topic: Topic, lang: Lang) -> &'static str {
    match topic {
        Topic::Help => lang.pick("使い方", "what can be asked"),
        Topic::Schema => lang.pick("表と列の説明", "tables and columns with their meaning"),
        Topic::Sql => lang.pick("集計を実行", "run an analysis"),
        Topic::Run => lang.pick("スクリプトやツールを実行", "run a script or a tool"),
        Topic::Tools => lang.pick("実行できるもの", "what may be run"),
        Topic::Script => lang.pick("スクリプトの保存と一覧", "keep scripts, and see them"),
        Topic::Jobs => lang.pick("ジョブの一覧", "list jobs"),
        Topic::Result => lang.pick("ジョブの結果・出力", "a job's result, or what it printed"),
        Topic::Cancel => lang.pick("ジョブを取消", "stop a job"),
        Topic::Submit => lang.pick("結果の持出しを申請", "ask to take a result out"),
        Topic::Outputs => lang.pick("申請した成果物の状態", "where submitted outputs stand"),
        Topic::Status => lang.pick("研究課題・セッション・サーバー", "project, session, server"),
        Topic::Lang => lang.pick("表示言語を変更", "change the language"),
        Topic::Exit => lang.pick("終了", "leave"),
    }
}

fn one(topic: Topic, lang: Lang) -> String {
    let mut out = String::new();
    push_line(
        &mut out,
        &format!("{}  {}", usage(topic, lang), summary(topic, lang)),
    );
    for line in details(topic, lang) {
        push_line(&mut out, &format!("  {line}"));
    }
    out
}

fn details(topic: Topic, lang: Lang) -> &'static [&'static str] {
    let (ja, en): (&[&str], &[&str]) = match topic {
        Topic::Help => (&["例: help sql"], &["example: help sql"]),
        Topic::Schema => (
            &[
                "表の一覧、または表の列・型・説明を示します。値は示しません。",
                "例: schema patient",
            ],
            &[
                "Lists tables, or a table's columns with type and meaning. Never a value.",
                "example: schema patient",
            ],
        ),
        Topic::Sql => (
            &[
                "; が現れるまで複数行を1つの文として読みます (Ctrl-C で取消)。",
                "集計 (COUNT, SUM, AVG など) と GROUP BY が使えます。個人ごとの行は表示しません。",
                "人数が基準に満たないセルは * になり、そのグループは名前も表示しません。",
                "CREATE TEMPORARY TABLE 名前 AS SELECT ... の行は次の文で使えます (DROP TABLE で消去)。",
                "EXPLAIN SELECT ... は実行せずに、文がどう読まれるかを示します。",
                "PostgreSQL との違い: 日付の差は日数、CAST(2.7 AS bigint) は切り捨て、current_date はありません。",
                "kaplan_meier、log_rank、cox、linear_regression、logistic_regression、t_test、chi_square、fisher_exact、mann_whitney も1つの SELECT に1つ使えます。",
                "例: sql SELECT sex, count(*) FROM patient GROUP BY sex;",
                "例: sql SELECT sex, kaplan_meier(days, is_dead) FROM followed GROUP BY sex;",
            ],
            &[
                "Lines are one statement up to its ; (Ctrl-C forgets it).",
                "Aggregates (COUNT, SUM, AVG ...) with GROUP BY; rows of single persons are not shown.",
                "Cells with too few persons become *, and groups with too few are not even named.",
                "CREATE TEMPORARY TABLE name AS SELECT ... keeps rows for later statements; DROP TABLE.",
                "EXPLAIN SELECT ... shows how a statement is read, without running it.",
                "Unlike PostgreSQL: CAST(2.7 AS bigint) is 2, and there is no current_date.",
                "One of kaplan_meier, log_rank, cox, linear_regression, logistic_regression, t_test, chi_square, fisher_exact, mann_whitney may stand in a SELECT.",
                "example: sql SELECT sex, count(*) FROM patient GROUP BY sex;",
                "example: sql SELECT sex, kaplan_meier(days, is_dead) FROM followed GROUP BY sex;",
            ],
        ),
        Topic::Run => (
            &[
                "run python ファイル は保存したスクリプトを、run python - は入力するスクリプトを実行します。",
                "入力は「.」だけの行で終わります。パイプなら ssh … run python - < study.py とします。",
                "run tool は審査を経たツールを実行します。後に続く語は引数です。",
                "print した行はその場で表示されます。個人ごとの行を読んだ後の出力は表示されません。",
                "Ctrl-C で取り消します。結果の持出しは kekkai.submit_table などで申請します。",
                "例: run python study.py --year 2024",
                "例: run tool riskratio '脳梗塞'",
            ],
            &[
                "run python FILE runs a script that is kept, run python - one that you type.",
                "A line with a single . ends it. Through a pipe: ssh ... run python - < study.py",
                "run tool runs a tool that came through review. Words after the name are arguments.",
                "Lines are shown as they are printed, but not after the program has read rows.",
                "Ctrl-C stops it. A program submits its results: kekkai.submit_table and others.",
                "example: run python study.py --year 2024",
                "example: run tool riskratio 'cerebral infarction'",
            ],
        ),
        Topic::Tools => (
            &["スクリプトとツール、プログラムが行を読めるかどうかを示します。"],
            &["Shows scripts and tools, and whether programs may read rows."],
        ),
        Topic::Script => (
            &[
                "script save は入力するスクリプトを、研究課題ごとに暗号化して保存します。",
                "入力は「.」だけの行で終わります。ファイルの取込みや取出しはありません。",
                "例: script save study.py",
                "例: script show study.py",
            ],
            &[
                "script save keeps a script that you type, encrypted, for this project.",
                "A line with a single . ends it. Files are never copied in or out.",
                "example: script save study.py",
                "example: script show study.py",
            ],
        ),
        Topic::Jobs => (
            &[
                "集計とプログラムの一覧です。jobs show N は result N、jobs cancel N は cancel N と同じです。",
            ],
            &["Lists analyses and programs. jobs show N is result N, jobs cancel N is cancel N."],
        ),
        Topic::Result => (
            &[
                "終わるのを待って、集計の結果、またはプログラムの出力と成果物を示します。",
                "例: result 1",
            ],
            &[
                "Waits for the job, and shows its table, or what it printed and submitted.",
                "example: result 1",
            ],
        ),
        Topic::Cancel => (
            &[
                "1秒以内に止まります。申請した成果物は残ります。",
                "例: cancel 1",
            ],
            &[
                "It stops within a second. What it had submitted stays.",
                "example: cancel 1",
            ],
        ),
        Topic::Submit => (
            &[
                "ジョブ N の結果の持出しを申請します。自動チェックと2名の審査があります。",
                "題名は200文字、目的は2000文字までです。空白を含む場合は引用符で囲みます。",
                "例: submit 1 --title '性別の人数' --purpose '論文の表1'",
            ],
            &[
                "Asks to take out the result of job N: automatic checks, then two reviewers.",
                "The title has at most 200 characters, the purpose 2,000. Quote what has blanks.",
                "example: submit 1 --title 'persons by sex' --purpose 'table 1 of the paper'",
            ],
        ),
        Topic::Outputs => (
            &["申請した成果物の状態と、審査担当者のコメントを示します。"],
            &["Shows where each output stands, and what reviewers wrote."],
        ),
        Topic::Status => (
            &["研究課題、セッションの経過時間、解析サーバーを示します。"],
            &["Shows the project, the session's clock and the analysis server."],
        ),
        Topic::Lang => (&["例: lang en"], &["example: lang ja"]),
        Topic::Exit => (
            &["セッションを終了します。実行中のジョブも終わります。"],
            &["Ends the session, and its jobs with it."],
        ),
    };
    match lang {
        Lang::Ja => ja,
        Lang::En => en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;

    #[test]
    fn help_names_every_command_in_both_languages() {
        for lang in [Lang::Ja, Lang::En] {
            let all = help(None, lang);
            for topic in Topic::ALL {
                assert!(all.contains(&format!("\n  {}", topic.word())), "{topic:?}");
                let one = help(Some(topic), lang);
                assert!(
                    one.starts_with(topic.word()) && one.lines().count() >= 2,
                    "{topic:?}"
                );
            }
            assert!(all.lines().all(|line| columns(line) <= 92), "{all}");
        }
    }

    #[test]
    fn examples_in_help_are_commands() {
        let mut examples = 0;
        for (lang, mark) in [(Lang::Ja, "例: "), (Lang::En, "example: ")] {
            for topic in Topic::ALL {
                for line in help(Some(topic), lang).lines() {
                    if let Some((_, example)) = line.split_once(mark) {
                        assert!(parse(example).is_ok(), "{example}");
                        examples += 1;
                    }
                }
            }
        }
        assert_eq!(examples, 24);
    }
}
