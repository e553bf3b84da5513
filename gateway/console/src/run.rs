//! Programs as text: what may be run, what a run printed, how it ended.

use kekkai_analysis_api::{
    Job, JobState, LOG_LINE_MAX, LogLine, LogPart, Programs, ToolEntry, Work,
};
use kekkai_types::{Lang, OutputId};

use crate::lists::{duration, job_line};
use crate::message;
use crate::run_error::ask_for_more;
use crate::text::{
    clean, columns, cut, fold, pad_left_aligned, pad_right_aligned, push_line, untab, wrap,
};

/// The narrowest room that a description is wrapped into.
const DESCRIPTION_MIN: usize = 20;
/// Hexadecimal digits of a tool's digest that a list shows.
const DIGEST_SHOWN: usize = 16;

/// A line of a program's log, harmless to a terminal. With a width, it is folded into lines of that many
/// columns; without, it stays one line.
pub fn log_line(line: &LogLine, width: Option<usize>) -> String {
    // The analysis server bounds it, too; a program may have got hold of that server's worker.
    let end = line.text.floor_char_boundary(LOG_LINE_MAX);
    let (kept, rest) = line.text.split_at(end);
    let mark = if rest.is_empty() { "" } else { ".." };
    let text = format!("{}{mark}", clean(&untab(kept)));
    let mut out = String::new();
    match width {
        None => push_line(&mut out, &text),
        Some(width) => {
            for part in fold(&text, width) {
                push_line(&mut out, &part);
            }
        }
    }
    out
}

/// Where a job stands, on one line that a terminal of this width can redraw. No line end.
pub fn progress_line(job: &Job, lang: Lang, width: usize) -> String {
    // A terminal's last column may begin a new line by itself.
    cut(&job_line(job, lang), width.saturating_sub(1))
}

/// How a run ended, what it submitted, and what of its log is not shown.
pub(crate) fn ended(job: &Job, lang: Lang) -> String {
    let mut out = log_gaps(&job.log, lang);
    let (number, elapsed) = (&job.job, duration(job.elapsed_ms, lang));
    match &job.state {
        JobState::Ran { outputs } => {
            push_line(
                &mut out,
                &match lang {
                    Lang::Ja => {
                        format!("ジョブ {number}、{elapsed}。プログラムは正常に終わりました。")
                    }
                    Lang::En => format!("job {number}, {elapsed}: the program ended well."),
                },
            );
            push_outputs(&mut out, outputs, lang);
        }
        JobState::RunFailed { error, outputs } => {
            out.push_str(&message::run_error(error, lang));
            push_outputs(&mut out, outputs, lang);
        }
        _ => {}
    }
    out
}

fn push_outputs(out: &mut String, outputs: &[OutputId], lang: Lang) {
    if outputs.is_empty() {
        return;
    }
    let count = outputs.len();
    let names: Vec<&str> = outputs.iter().map(OutputId::as_str).collect();
    let names = names.join(", ");
    push_line(
        out,
        &match lang {
            Lang::Ja => format!("申請した成果物 {count} 件: {names}"),
            Lang::En => format!("submitted outputs ({count}): {names}"),
        },
    );
    push_line(
        out,
        lang.pick(
            "次に: outputs で審査の状態が見られます。",
            "next: outputs shows where they stand.",
        ),
    );
}

/// What of a log nobody sees here, and why. Empty when it is whole.
pub fn log_gaps(log: &LogPart, lang: Lang) -> String {
    let mut out = String::new();
    let (withheld, dropped) = (log.withheld, log.dropped);
    if withheld {
        push_line(
            &mut out,
            lang.pick(
                "表示していない出力があります: プログラムが個人ごとの行を読んだ後の出力であり、この端末の表示区分では行を表示できないためです。",
                "Some lines are withheld: they were printed after the program had read rows, which this terminal's display class may not show.",
            ),
        );
        push_line(
            &mut out,
            lang.pick(
                "次に: kekkai.statistic の統計だけを使って print するか、結果を成果物として申請してください。",
                "next: print statistics from kekkai.statistic only, or submit the result as an output.",
            ),
        );
    }
    if dropped > 0 {
        push_line(
            &mut out,
            &match lang {
                Lang::Ja => format!("{dropped} 行の出力は、表示の上限を超えたため捨てられました。"),
                Lang::En => {
                    format!("{dropped} lines were dropped: the run printed more than it may.")
                }
            },
        );
        push_line(
            &mut out,
            &format!(
                "{}{}",
                lang.pick("次に: 表示を減らしてください。", "next: print less; "),
                ask_for_more("log_kib_max", lang)
            ),
        );
    }
    out
}

/// What a session may run.
pub fn program_list(programs: &Programs, lang: Lang, width: usize) -> String {
    if !programs.python && programs.tools.is_empty() {
        return message::said(
            lang,
            (
                "この取決めでは、プログラムを実行できません。",
                "必要な場合は、研究開発責任者から提供者へ、取決めへの [programs] の追加を依頼してください。",
            ),
            (
                "The agreement lets no program run.",
                "if you need one, your principal investigator asks the producer to add [programs] to the agreement.",
            ),
        )
        .show(lang);
    }
    let mut out = String::new();
    push_line(
        &mut out,
        match programs.python {
            true => lang.pick(
                "Python スクリプト: 実行できます。",
                "Python scripts: may be run.",
            ),
            false => lang.pick(
                "Python スクリプト: この取決めでは実行できません。",
                "Python scripts: not under this agreement.",
            ),
        },
    );
    push_line(
        &mut out,
        match programs.rows {
            true => lang.pick(
                "個人ごとの行: プログラムは読めます。読んだ後の出力は、この端末には表示されません。",
                "Rows: programs may read them; what they print afterwards is withheld on this terminal.",
            ),
            false => lang.pick(
                "個人ごとの行: プログラムは読めません。統計だけを使えます。",
                "Rows: programs get statistics only.",
            ),
        },
    );
    if programs.python {
        out.push_str(&scripts(&programs.scripts, lang));
    }
    push_tools(&mut out, &programs.tools, lang, width);
    push_line(
        &mut out,
        lang.pick(
            "次に: run python ファイル または run tool 名前 で実行します。help run に説明があります。",
            "next: run python FILE or run tool NAME starts one; help run tells more.",
        ),
    );
    out
}

fn push_tools(out: &mut String, tools: &[ToolEntry], lang: Lang, width: usize) {
    if tools.is_empty() {
        return push_line(
            out,
            lang.pick("ツール: ありません。", "Tools: there are none."),
        );
    }
    push_line(out, lang.pick("ツール:", "Tools:"));
    let names: Vec<String> = tools.iter().map(|tool| clean(&tool.name)).collect();
    let widest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let indent = widest.saturating_add(DIGEST_SHOWN).saturating_add(6);
    let room = width.saturating_sub(indent).max(DESCRIPTION_MIN);
    for (tool, name) in tools.iter().zip(names) {
        let mut line = "  ".to_owned();
        pad_left_aligned(&mut line, &name, widest);
        let digest: String = tool.digest.to_string().chars().take(DIGEST_SHOWN).collect();
        line.push_str(&format!("  {digest}  "));
        for (index, part) in wrap(&clean(&tool.description), room)
            .into_iter()
            .enumerate()
        {
            if index > 0 {
                line = " ".repeat(indent);
            }
            line.push_str(&part);
            push_line(out, &line);
        }
    }
}

/// The scripts that a session keeps: name, bytes.
pub fn scripts(scripts: &[(String, u64)], lang: Lang) -> String {
    let mut out = String::new();
    if scripts.is_empty() {
        push_line(
            &mut out,
            lang.pick(
                "保存したスクリプト: ありません。script save 名前 で保存します。",
                "Scripts: none is kept; script save NAME keeps one.",
            ),
        );
        return out;
    }
    push_line(&mut out, lang.pick("保存したスクリプト:", "Scripts:"));
    let rows: Vec<(String, String)> = scripts
        .iter()
        .map(|(name, bytes)| {
            let size = match lang {
                Lang::Ja => format!("{bytes} バイト"),
                Lang::En => format!("{bytes} bytes"),
            };
            (clean(name), size)
        })
        .collect();
    let widest = |of: fn(&(String, String)) -> &String| {
        rows.iter().map(|row| columns(of(row))).max().unwrap_or(0)
    };
    let (first, second) = (widest(|row| &row.0), widest(|row| &row.1));
    for (name, size) in &rows {
        let mut line = "  ".to_owned();
        pad_left_aligned(&mut line, name, first);
        line.push_str("  ");
        pad_right_aligned(&mut line, size, second);
        push_line(&mut out, &line);
    }
    out
}

/// A script's text. A terminal gets blanks for its tabs.
pub fn script_text(text: &str, is_terminal: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if is_terminal {
            out.push_str(&clean(&untab(line)));
        } else {
            let parts: Vec<String> = line.split('\t').map(clean).collect();
            out.push_str(&parts.join("\t"));
        }
        out.push('\n');
    }
    out
}

/// That a script is kept.
pub fn script_saved(name: &str, bytes: usize, lang: Lang) -> String {
    let name = clean(name);
    match lang {
        Lang::Ja => format!(
            "スクリプト {name} ({bytes} バイト) を暗号化して保存しました。\n\
             次に: run python {name} で実行します。\n"
        ),
        Lang::En => format!(
            "The script {name} ({bytes} bytes) is kept, encrypted.\n\
             next: run python {name} runs it.\n"
        ),
    }
}

/// That a script is erased.
pub fn script_removed(name: &str, lang: Lang) -> String {
    let name = clean(name);
    match lang {
        Lang::Ja => format!("スクリプト {name} を消去しました。\n"),
        Lang::En => format!("The script {name} is erased.\n"),
    }
}

/// What a job does, on one line: a statement, or the command that started the program.
pub(crate) fn work(work: &Work) -> String {
    let text = work.text().split_whitespace().collect::<Vec<_>>().join(" ");
    match work {
        Work::Query(_) => clean(&text),
        Work::Run(_) => clean(&format!("run {text}")),
    }
}

#[cfg(test)]
mod tests;
