use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_types::{Digest, JobId};

use super::*;
use crate::message::tests::check;
use crate::table::TableView;

fn line(text: &str) -> LogLine {
    LogLine {
        is_error: false,
        text: text.into(),
    }
}

fn run_in(state: JobState) -> Job {
    Job {
        job: JobId::new("4").unwrap(),
        work: Work::Run("python study.py --year 2024".into()),
        elapsed_ms: 3_200,
        state,
        log: LogPart::default(),
    }
}

#[test]
fn nothing_that_a_program_prints_drives_a_terminal() {
    let hostile = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}exe.txt\u{200b}\u{feff}a\u{301}\u{301}\u{301}\n\u{0}";
    for width in [None, Some(20), Some(1)] {
        let shown = log_line(&line(hostile), width);
        assert!(shown.ends_with('\n'));
        assert!(
            shown
                .chars()
                .all(|c| c == '\n' || c == '\u{301}' || c == ' ' || c.is_ascii_graphic()),
            "{shown:?}"
        );
        assert_eq!(shown.matches('\u{301}').count(), 2, "{shown:?}");
    }
    // A program that imitates the console's own line end does not get one.
    let one = log_line(&line("x\nkekkai> sql DROP"), None);
    assert_eq!(one.lines().count(), 1, "{one:?}");
}

#[test]
fn long_line_is_cut_and_folded() {
    let long = "患".repeat(LOG_LINE_MAX);
    let shown = log_line(&line(&long), Some(80));
    assert!(shown.lines().all(|part| columns(part) <= 80));
    assert!(shown.trim_end().ends_with(".."), "{shown}");
    assert!(shown.len() < LOG_LINE_MAX + 200);
    assert_eq!(log_line(&line("a\tb"), None), "a       b\n");
    assert_eq!(log_line(&line("  indented"), Some(80)), "  indented\n");
    assert_eq!(log_line(&line(""), Some(80)), "\n");
}

#[test]
fn progress_fits_on_one_line_of_its_terminal() {
    let state = JobState::RunningProgram {
        permille: 425,
        note: "コホートを作成中\u{1b}[2J\nkekkai> ".into(),
    };
    let job = run_in(state);
    let whole = job_line(&job, Lang::En);
    assert_eq!(
        whole,
        "  4  [########............]  42.5%  コホートを作成中\\u{1b}[2J\\nkekkai>  3.2 s"
    );
    for width in [20, 40, 80] {
        for lang in [Lang::Ja, Lang::En] {
            let shown = progress_line(&job, lang, width);
            assert!(columns(&shown) < width, "{shown}");
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
    }
    for permille in [0, 1, 999, 1000, u16::MAX] {
        let state = JobState::RunningProgram {
            permille,
            note: String::new(),
        };
        let shown = job_line(&run_in(state), Lang::En);
        assert!(columns(&shown) < 50, "{shown}");
    }
}

#[test]
fn end_of_a_run_says_what_it_submitted() {
    let outputs = vec![OutputId::new("o1").unwrap(), OutputId::new("o2").unwrap()];
    let ran = run_in(JobState::Ran {
        outputs: outputs.clone(),
    });
    assert_eq!(
        ended(&ran, Lang::En),
        "job 4, 3.2 s: the program ended well.\n\
         submitted outputs (2): o1, o2\n\
         next: outputs shows where they stand.\n"
    );
    let failed = run_in(JobState::RunFailed {
        error: RunError {
            code: RunErrorCode::TimeLimit,
            name: "600 s".into(),
            line: 0,
        },
        outputs,
    });
    for lang in [Lang::Ja, Lang::En] {
        let shown = ended(&failed, lang);
        check(&shown, lang);
        assert!(
            shown.contains("o1, o2") && shown.contains("600 s"),
            "{shown}"
        );
        assert_eq!(
            shown,
            crate::render::job(&failed, lang, TableView::terminal(80))
        );
    }
    assert!(job_line(&ran, Lang::Ja).contains("完了 (成果物 2 件)"));
    assert!(job_line(&failed, Lang::En).contains("failed (time-limit)"));
    let listed = crate::render::jobs(&[ran], Lang::En, 100);
    assert!(
        listed.contains("run python study.py --year 2024"),
        "{listed}"
    );
}

#[test]
fn withheld_and_dropped_lines_are_explained_in_both_languages() {
    let mut log = LogPart::default();
    for lang in [Lang::Ja, Lang::En] {
        assert_eq!(log_gaps(&log, lang), "");
    }
    log.withheld = true;
    for lang in [Lang::Ja, Lang::En] {
        let shown = log_gaps(&log, lang);
        check(&shown, lang);
        assert!(shown.contains("kekkai.statistic"), "{shown}");
    }
    log.withheld = false;
    log.dropped = 5;
    for lang in [Lang::Ja, Lang::En] {
        let shown = log_gaps(&log, lang);
        check(&shown, lang);
        assert!(
            shown.starts_with("5 ") && shown.contains("[programs] log_kib_max"),
            "{shown}"
        );
    }
}

#[test]
fn what_may_be_run_is_listed_in_both_languages() {
    let mut may = Programs {
        python: true,
        rows: true,
        scripts: vec![("study.py".into(), 1204), ("a.py".into(), 9)],
        tools: vec![ToolEntry {
            name: "riskratio".into(),
            digest: Digest::of(b"tool"),
            description: "Risk ratio with its confidence interval\u{1b}[2J".into(),
        }],
    };
    let digest: String = Digest::of(b"tool").to_string().chars().take(16).collect();
    let en = format!(
        "Python scripts: may be run.\n\
         Rows: programs may read them; what they print afterwards is withheld on this terminal.\n\
         Scripts:\n\
         \x20 study.py  1204 bytes\n\
         \x20 a.py         9 bytes\n\
         Tools:\n\
         \x20 riskratio  {digest}  Risk ratio with its confidence\n\
         \x20                              interval\\u{{1b}}[2J\n\
         next: run python FILE or run tool NAME starts one; help run tells more.\n"
    );
    assert_eq!(program_list(&may, Lang::En, 62), en);
    check(&program_list(&may, Lang::Ja, 80), Lang::Ja);
    may.rows = false;
    may.tools.clear();
    may.scripts.clear();
    for lang in [Lang::Ja, Lang::En] {
        check(&program_list(&may, lang, 80), lang);
    }
    may.python = false;
    for lang in [Lang::Ja, Lang::En] {
        let shown = program_list(&may, lang, 80);
        check(&shown, lang);
        assert!(shown.contains("[programs]"), "{shown}");
    }
}

#[test]
fn script_is_shown_as_it_was_typed() {
    let text = "def f():\n\treturn '患者'\n";
    assert_eq!(script_text(text, false), text);
    assert_eq!(script_text(text, true), "def f():\n        return '患者'\n");
    assert_eq!(script_text("a\u{1b}[2J\n", false), "a\\u{1b}[2J\n");
    for lang in [Lang::Ja, Lang::En] {
        check(&script_saved("study.py", 10, lang), lang);
        assert!(script_removed("study.py", lang).contains("study.py"));
    }
}
