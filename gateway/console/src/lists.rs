//! Schemas, jobs and outputs, as text.

use kekkai_analysis_api::{Job, JobState, Work};
use kekkai_review_api::{OutputState, OutputSummary};
use kekkai_types::{ColumnRole, DatasetCatalog, JobId, Lang, OutputId, TableCatalog};

use crate::message;
use crate::run::{ended, work};
use crate::table::{TableView, table};
use crate::text::{clean, columns, cut, pad_left_aligned, pad_right_aligned, push_line, wrap};

/// The narrowest room that a description is wrapped into.
const DESCRIPTION_MIN: usize = 20;
/// Marks in a progress bar.
const BAR: u64 = 20;
/// How much of a program's note stands on a line, in columns.
const NOTE_WIDTH: usize = 40;
/// How much of a statement a list shows, in columns, where the terminal's width is unknown.
const STATEMENT_WIDTH: usize = 60;
/// Names that are suggested, at most.
const CANDIDATES_MAX: usize = 3;

/// The tables of a session's datasets, or the columns of one table.
pub fn schema(catalogs: &[DatasetCatalog], name: Option<&str>, lang: Lang, width: usize) -> String {
    match name {
        None => tables(catalogs, lang, width),
        Some(name) => one_table(catalogs, name, lang, width),
    }
}

fn tables(catalogs: &[DatasetCatalog], lang: Lang, width: usize) -> String {
    let mut out = String::new();
    for (index, dataset) in catalogs.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let title = clean(dataset.title.get(lang));
        let version = dataset.version;
        push_line(
            &mut out,
            &match lang {
                Lang::Ja => format!("{title} ({} 第{version}版)", dataset.id),
                Lang::En => format!("{title} ({}, version {version})", dataset.id),
            },
        );
        for line in wrap(
            &clean(dataset.description.get(lang)),
            width.saturating_sub(2),
        ) {
            push_line(&mut out, &format!("  {line}"));
        }
        let rows: Vec<[String; 3]> = dataset
            .tables
            .iter()
            .map(|table| {
                [
                    clean(&table.name),
                    rows(table.rows, lang),
                    clean(table.description.get(lang)),
                ]
            })
            .collect();
        push_described(&mut out, &rows, [false, true], width);
    }
    if catalogs.iter().all(|dataset| dataset.tables.is_empty()) {
        push_line(
            &mut out,
            lang.pick("使える表はありません。", "There are no tables."),
        );
    } else {
        out.push('\n');
        push_line(
            &mut out,
            lang.pick(
                "次に: schema 表名 で列が見られます。",
                "next: schema TABLE shows a table's columns.",
            ),
        );
    }
    out
}

fn one_table(catalogs: &[DatasetCatalog], name: &str, lang: Lang, width: usize) -> String {
    let all = || catalogs.iter().flat_map(|dataset| &dataset.tables);
    let Some(found) = all().find(|table| table.name.eq_ignore_ascii_case(name)) else {
        let names: Vec<&str> = all().map(|table| table.name.as_str()).collect();
        return message::no_such_table(name, &nearest(name, &names), lang);
    };
    let mut out = String::new();
    push_line(
        &mut out,
        &format!(
            "{}: {}",
            clean(&found.name),
            clean(found.description.get(lang))
        ),
    );
    push_line(&mut out, &person_line(found, lang));
    let rows: Vec<[String; 3]> = found
        .columns
        .iter()
        .map(|column| {
            let role = role(column.role, lang);
            let description = clean(column.description.get(lang));
            let text = if role.is_empty() {
                description
            } else {
                format!("{description} [{role}]")
            };
            [clean(&column.name), clean(&column.sql_type), text]
        })
        .collect();
    push_described(&mut out, &rows, [false, false], width);
    out
}

/// The catalogue rounds; 0 stands for a number that isn't told.
fn rows(rows: u64, lang: Lang) -> String {
    match (rows, lang) {
        (0, Lang::Ja) => "一部の行".to_owned(),
        (0, Lang::En) => "some rows".to_owned(),
        (rows, Lang::Ja) => format!("約 {rows} 行"),
        (rows, Lang::En) => format!("about {rows} rows"),
    }
}

fn person_line(table: &TableCatalog, lang: Lang) -> String {
    let rows = rows(table.rows, lang);
    match (&table.person_key, lang) {
        (Some(key), Lang::Ja) => format!("  {rows}。{} が1人を表します。", clean(key)),
        (Some(key), Lang::En) => format!("  {rows}; {} stands for a person.", clean(key)),
        (None, Lang::Ja) => format!("  {rows}。個人の行はありません。"),
        (None, Lang::En) => format!("  {rows}; none is about a person."),
    }
}

fn role(role: ColumnRole, lang: Lang) -> &'static str {
    match role {
        ColumnRole::PersonKey => lang.pick("個人の仮名", "person's pseudonym"),
        ColumnRole::DirectIdentifier => lang.pick("直接識別子", "direct identifier"),
        ColumnRole::Key => lang.pick("キー", "key"),
        ColumnRole::Code => lang.pick("コード", "code"),
        ColumnRole::QuasiIdentifier => lang.pick("準識別子", "quasi-identifier"),
        ColumnRole::FreeText => lang.pick("自由記載", "free text"),
        ColumnRole::Value => "",
    }
}

/// Two narrow columns and a description that wraps.
fn push_described(out: &mut String, rows: &[[String; 3]], right: [bool; 2], width: usize) {
    let widest = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let (first, second) = (widest(0), widest(1));
    let indent = first.saturating_add(second).saturating_add(6);
    let room = width.saturating_sub(indent).max(DESCRIPTION_MIN);
    for [a, b, text] in rows {
        let mut line = "  ".to_owned();
        for (cell, is_right, width) in [(a, right[0], first), (b, right[1], second)] {
            if is_right {
                pad_right_aligned(&mut line, cell, width);
            } else {
                pad_left_aligned(&mut line, cell, width);
            }
            line.push_str("  ");
        }
        for (index, part) in wrap(text, room).into_iter().enumerate() {
            if index > 0 {
                line = " ".repeat(indent);
            }
            line.push_str(&part);
            push_line(out, &line);
        }
    }
}

/// The nearest names by edit distance.
fn nearest(name: &str, names: &[&str]) -> Vec<String> {
    let mut scored: Vec<(usize, &str)> = names
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(score, candidate)| *score <= candidate.chars().count().div_ceil(2))
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(CANDIDATES_MAX)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            let changed = diagonal.saturating_add(usize::from(ca != *cb));
            left = changed
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// The session's jobs, a line each.
pub fn jobs(jobs: &[Job], lang: Lang, width: usize) -> String {
    if jobs.is_empty() {
        return lang
            .pick(
                "ジョブはありません。\n次に: sql 文; または run でジョブを始めます。\n",
                "There are no jobs.\nnext: sql STATEMENT; or run starts one.\n",
            )
            .to_owned();
    }
    let heads: Vec<String> = jobs.iter().map(|job| job_line(job, lang)).collect();
    let widest = heads.iter().map(|head| columns(head)).max().unwrap_or(0);
    let mut out = String::new();
    for (job, head) in jobs.iter().zip(heads) {
        let mut line = String::new();
        pad_left_aligned(&mut line, &head, widest);
        line.push_str("  ");
        let room = width.saturating_sub(widest).saturating_sub(2);
        let room = if room < DESCRIPTION_MIN {
            STATEMENT_WIDTH
        } else {
            room
        };
        line.push_str(&cut(&work(&job.work), room));
        push_line(&mut out, &line);
    }
    out
}

/// Where a job stands: its number, a progress bar while it runs, an estimate. No line end, so that
/// a terminal can redraw it.
pub fn job_line(job: &Job, lang: Lang) -> String {
    let elapsed = duration(job.elapsed_ms, lang);
    let state = match &job.state {
        JobState::Queued { ahead } => match lang {
            Lang::Ja => format!("順番待ち (前に {ahead} 件)"),
            Lang::En => format!("queued ({ahead} ahead)"),
        },
        JobState::Running {
            rows_read,
            rows_total,
        } => progress(*rows_read, *rows_total, job.elapsed_ms, lang),
        JobState::RunningProgram { permille, note } => {
            let permille = u64::from(*permille).min(1000);
            let note = cut(clean(note).trim_end(), NOTE_WIDTH);
            let (whole, tenth) = (permille / 10, permille % 10);
            let gap = if note.is_empty() { "" } else { "  " };
            format!("{} {whole:>3}.{tenth}%{gap}{note}", bar(permille, 1000))
        }
        JobState::Done(_) => lang.pick("完了", "done").to_owned(),
        JobState::Ran { outputs } => match (outputs.len(), lang) {
            (0, _) => lang.pick("完了", "done").to_owned(),
            (n, Lang::Ja) => format!("完了 (成果物 {n} 件)"),
            (n, Lang::En) => format!("done (outputs: {n})"),
        },
        JobState::Failed(error) => format!("{} ({})", lang.pick("失敗", "failed"), error.code),
        JobState::RunFailed { error, .. } => {
            format!("{} ({})", lang.pick("失敗", "failed"), error.code)
        }
        JobState::Cancelled { by_limit: true } => {
            lang.pick("時間切れ", "over its time limit").to_owned()
        }
        JobState::Cancelled { by_limit: false } => lang.pick("取消", "cancelled").to_owned(),
    };
    format!("{:>3}  {state}  {elapsed}", job.job.as_str())
}

fn progress(read: u64, total: u64, elapsed_ms: u64, lang: Lang) -> String {
    if total == 0 {
        return lang.pick("実行中", "running").to_owned();
    }
    let read = read.min(total);
    let percent = share(read, total, 100);
    let mut text = format!("{} {percent:>3}%", bar(read, total));
    // Before 2 % an estimate is a guess.
    if percent >= 2 {
        let left = u128::from(elapsed_ms).saturating_mul(u128::from(total.saturating_sub(read)));
        let left = left
            .checked_div(read.into())
            .and_then(|ms| u64::try_from(ms).ok());
        let left = duration(left.unwrap_or(u64::MAX), lang);
        text.push_str(&match lang {
            Lang::Ja => format!(" 残り約 {left}"),
            Lang::En => format!(" about {left} left"),
        });
    }
    text
}

/// How many of `of` marks a part of a total is.
fn share(part: u64, total: u64, of: u64) -> u64 {
    u128::from(part)
        .saturating_mul(of.into())
        .checked_div(total.into())
        .and_then(|share| u64::try_from(share).ok())
        .unwrap_or(0)
}

fn bar(part: u64, total: u64) -> String {
    let marks = share(part, total, BAR);
    let repeat = |mark: &str, count: u64| mark.repeat(usize::try_from(count).unwrap_or(0));
    format!(
        "[{}{}]",
        repeat("#", marks),
        repeat(".", BAR.saturating_sub(marks))
    )
}

/// A length of time for people.
pub(crate) fn duration(ms: u64, lang: Lang) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let tenths = ms % 1000 / 100;
    match (lang, hours, minutes) {
        (Lang::Ja, 0, 0) => format!("{seconds}.{tenths} 秒"),
        (Lang::Ja, 0, _) => format!("{minutes} 分 {rest} 秒"),
        (Lang::Ja, _, _) => format!("{hours} 時間 {minutes} 分"),
        (Lang::En, 0, 0) => format!("{seconds}.{tenths} s"),
        (Lang::En, 0, _) => format!("{minutes} min {rest} s"),
        (Lang::En, _, _) => format!("{hours} h {minutes} min"),
    }
}

/// A job with its result, or with why there is none.
pub fn job(job: &Job, lang: Lang, view: TableView) -> String {
    let mut out = String::new();
    match &job.state {
        JobState::Queued { .. } | JobState::Running { .. } | JobState::RunningProgram { .. } => {
            push_line(&mut out, &job_line(job, lang));
            let number = &job.job;
            push_line(
                &mut out,
                &match lang {
                    Lang::Ja => {
                        format!("次に: result {number} で結果、cancel {number} で取消。")
                    }
                    Lang::En => {
                        format!("next: result {number} waits for it; cancel {number} stops it.")
                    }
                },
            );
        }
        JobState::Done(Some(result)) => {
            out = table(result, lang, view);
            let (number, elapsed) = (&job.job, duration(job.elapsed_ms, lang));
            push_line(
                &mut out,
                &match lang {
                    Lang::Ja => format!(
                        "ジョブ {number}、{elapsed}。持出し申請: submit {number} --title 題名"
                    ),
                    Lang::En => format!(
                        "job {number}, {elapsed}. To ask to take it out: submit {number} --title TITLE"
                    ),
                },
            );
        }
        JobState::Done(None) => {
            push_line(&mut out, &job_line(job, lang));
            let number = &job.job;
            push_line(
                &mut out,
                &match lang {
                    Lang::Ja => format!("次に: result {number} で結果が見られます。"),
                    Lang::En => format!("next: result {number} shows its result."),
                },
            );
        }
        JobState::Failed(error) => out = message::sql_error(error, job.work.text(), lang),
        JobState::Ran { .. } | JobState::RunFailed { .. } => out = ended(job, lang),
        JobState::Cancelled { by_limit } => {
            let is_run = matches!(job.work, Work::Run(_));
            out = crate::run::log_gaps(&job.log, lang);
            out.push_str(&message::cancelled(*by_limit, is_run, lang));
        }
    }
    out
}

/// That an output was submitted, and what happens now.
pub fn submitted(job: &JobId, output: &OutputId, lang: Lang) -> String {
    match lang {
        Lang::Ja => format!(
            "ジョブ {job} の結果を {output} として持出し申請しました。\n\
             自動チェックの後、2名の審査担当者が審査します。\n\
             次に: outputs で状態が見られます。\n"
        ),
        Lang::En => format!(
            "The result of job {job} was submitted as {output}.\n\
             Automatic checks come first, then two reviewers decide.\n\
             next: outputs shows where it stands.\n"
        ),
    }
}

/// A project's outputs: where each stands, what reviewers wrote, what comes next.
pub fn outputs(outputs: &[OutputSummary], lang: Lang, width: usize) -> String {
    if outputs.is_empty() {
        return lang
            .pick(
                "成果物はありません。\n次に: submit N --title 題名 で持出しを申請します。\n",
                "There are no outputs.\nnext: submit N --title TITLE asks to take a result out.\n",
            )
            .to_owned();
    }
    let mut out = String::new();
    for output in outputs {
        let (state, next) = state(output.state, lang);
        let time = output
            .submitted
            .in_japan()
            .strftime("%Y-%m-%d %H:%M")
            .to_string();
        push_line(&mut out, &format!("{}  {time}  {state}", output.output));
        for line in wrap(&clean(&output.title), width.saturating_sub(4)) {
            push_line(&mut out, &format!("    {line}"));
        }
        for comment in &output.comments {
            let label = lang.pick("審査担当者: ", "reviewer: ");
            let text = format!("{label}{}", clean(comment));
            for line in wrap(&text, width.saturating_sub(4)) {
                push_line(&mut out, &format!("    {line}"));
            }
        }
        push_line(
            &mut out,
            &format!("    {}{next}", lang.pick("次に: ", "next: ")),
        );
    }
    out
}

/// A state's name, and what its author does next.
fn state(state: OutputState, lang: Lang) -> (&'static str, &'static str) {
    let (ja, en) = match state {
        OutputState::Waiting => (
            ("審査待ち", "審査担当者2名の審査を待ちます。"),
            ("waiting", "two reviewers will look at it."),
        ),
        OutputState::HalfVoted => (
            ("審査中 (1名済)", "もう1名の審査を待ちます。"),
            (
                "under review (one of two)",
                "another reviewer will look at it.",
            ),
        ),
        OutputState::Released => (
            (
                "持出し許可",
                "研究開発責任者が持出しページから受け取れます。",
            ),
            (
                "released",
                "the principal investigator can fetch it at the release page.",
            ),
        ),
        OutputState::Rejected => (
            (
                "却下",
                "コメントを確認し、集計を見直して申請し直してください。",
            ),
            (
                "rejected",
                "read the comments, change the analysis and submit again.",
            ),
        ),
        OutputState::Returned => (
            ("差戻し", "コメントに沿って直し、申請し直してください。"),
            (
                "returned",
                "change it as the comments say and submit again.",
            ),
        ),
        OutputState::FailedChecks => (
            (
                "自動チェック不合格",
                "人数の少ないセルをまとめるなどして、申請し直してください。",
            ),
            (
                "failed the automatic checks",
                "merge groups with few persons and submit again.",
            ),
        ),
    };
    match lang {
        Lang::Ja => ja,
        Lang::En => en,
    }
}

#[cfg(test)]
mod tests;
