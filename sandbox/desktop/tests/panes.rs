//! Charts, programs, outputs, notebooks and help, tried as a person would: what stands on the screen, what
//! is asked of the broker. Each test leaves pictures in the target folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "support/samples.rs"]
mod samples;
#[path = "support/seat.rs"]
mod seat;

use kekkai_analysis_api::{Job, JobState, LogLine, LogPart, Program, RunError, RunErrorCode, Work};
use kekkai_desktop::panes::Go;
use kekkai_frames::{Key, Modifiers};
use kekkai_output::{Cell, Column, ColumnKind, Suppression, Table, Value, ValueType};
use kekkai_review_api::{OutputDetail, OutputState, OutputSummary, Said, Weight};
use kekkai_types::{Lang, OutputId, Refusal, Text, Timestamp};
use kekkai_worker_api::{Answer, Ask, ToDesktop};
use seat::Seat;

const CTRL: Modifiers = Modifiers {
    shift: false,
    ctrl: true,
    alt: false,
};

fn go(seat: &mut Seat, go: Go) {
    seat.workspace.shell().go(go);
    seat.pass();
    seat.pass();
}

fn section(seat: &mut Seat, section: kekkai_desktop::panes::Section) {
    go(seat, Go::To(section));
}

/// The request whose question is so.
#[track_caller]
fn request(asked: &[(u32, Ask)], is: impl Fn(&Ask) -> bool) -> u32 {
    let found = asked.iter().find(|(_, ask)| is(ask));
    found.unwrap_or_else(|| panic!("not asked: {asked:?}")).0
}

/// The fixture's counts, as a statement would give them.
fn leukemia() -> Table {
    let mut table = samples::table();
    let key = |name: &str, value_type| Column {
        name: name.to_owned(),
        value_type,
        kind: ColumnKind::Key,
    };
    let of = |name: &str| Column {
        name: name.to_owned(),
        ..table.columns[3].clone()
    };
    let columns = vec![
        key("arm", ValueType::Text),
        key("week", ValueType::Int),
        of("events"),
        of("censored"),
        of("at_risk"),
    ];
    let shown = |n: i64| match &table.rows[0][3] {
        Cell::Shown { evidence, .. } => Cell::Shown {
            value: Value::Int(n),
            evidence: *evidence,
        },
        other => other.clone(),
    };
    table.rows = include_str!("../fixtures/leukemia-lifelines.csv")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("arm"))
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |at: usize| cells[at].parse::<i64>().unwrap();
            vec![
                Cell::Key(Value::Text(cells[0].to_owned())),
                Cell::Key(Value::Int(number(1))),
                shown(number(2)),
                shown(number(3)),
                shown(number(4)),
            ]
        })
        .collect();
    table.columns = columns;
    table.groups_withheld = 0;
    table
}

fn forest() -> Table {
    let mut table = samples::table();
    let float = |name: &str| Column {
        name: name.to_owned(),
        ..table.columns[2].clone()
    };
    let columns = vec![
        Column {
            name: "drug".to_owned(),
            ..table.columns[0].clone()
        },
        float("odds_ratio"),
        float("lower"),
        float("upper"),
    ];
    let shown = |n: f64| match &table.rows[0][2] {
        Cell::Shown { evidence, .. } => Cell::Shown {
            value: Value::Float(n),
            evidence: *evidence,
        },
        other => other.clone(),
    };
    table.rows = [
        ("セレコキシブ", 0.72, 0.51, 1.02),
        ("ジクロフェナク", 1.48, 1.11, 1.97),
        ("ロキソプロフェン", 1.21, 0.95, 1.54),
        ("イブプロフェン", 1.05, 0.78, 1.41),
    ]
    .map(|(drug, estimate, low, high)| {
        vec![
            Cell::Key(Value::Text(drug.to_owned())),
            shown(estimate),
            shown(low),
            shown(high),
        ]
    })
    .to_vec();
    table.rows.push(vec![
        Cell::Key(Value::Text("アスピリン".to_owned())),
        Cell::Suppressed(Suppression::Threshold),
        Cell::Suppressed(Suppression::Threshold),
        Cell::Suppressed(Suppression::Threshold),
    ]);
    table.columns = columns;
    table.groups_withheld = 0;
    table
}

fn at(lang: Lang) -> Seat {
    Seat::new(samples::begin(), lang)
}

#[test]
fn chart_is_there_at_once_and_says_what_it_leaves_out() {
    for (lang, withheld, groups) in [
        (Lang::Ja, "秘匿のため描いていない値が 1 個", "2 個の群"),
        (
            Lang::En,
            "Withheld and not drawn: 1",
            "not in the result even by name: 2",
        ),
    ] {
        let mut seat = at(lang);
        seat.tell(samples::done(1, samples::table()));
        go(&mut seat, Go::Chart(samples::job_id(1)));
        for text in ["東区", "港区", "mean_sbp", withheld, groups] {
            seat.assert_shows(text);
        }
        // The withheld bar is a star, not a bar of no height.
        assert!(seat.texts.iter().any(|(text, _)| text == "*"));
        seat.photograph(&format!("chart-bar-{}", lang.as_str()));
    }
}

#[test]
fn chart_changes_at_once_when_another_kind_is_chosen() {
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, samples::table()));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    let before = seat.picture();
    seat.click("Lines");
    assert!(seat.picture() != before);
    seat.assert_shows("東区");
    seat.photograph("chart-line-en");
    seat.click("Points");
    seat.photograph("chart-scatter-en");
}

#[test]
fn survival_is_drawn_with_its_numbers_at_risk() {
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, leukemia()));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    seat.assert_shows("Number at risk");
    seat.assert_shows("6-MP");
    seat.assert_shows("Survival");
    // At the beginning all 21 of each arm are under observation.
    assert!(seat.texts.iter().filter(|(text, _)| text == "21").count() >= 2);
    seat.photograph("chart-km-en");
    let mut seat = at(Lang::Ja);
    seat.tell(samples::done(1, leukemia()));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    seat.assert_shows("リスク集合の人数");
    seat.photograph("chart-km-ja");
}

#[test]
fn forest_says_its_estimates_in_words_and_hides_what_is_withheld() {
    let mut seat = at(Lang::Ja);
    seat.tell(samples::done(1, forest()));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    seat.assert_shows("0.72 (0.51–1.02)");
    seat.assert_shows("アスピリン");
    seat.assert_shows("秘匿");
    seat.photograph("chart-forest-ja");
}

#[test]
fn value_under_the_pointer_is_shown_and_keys_go_from_value_to_value() {
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, samples::table()));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    let (_, bar) = seat
        .texts
        .iter()
        .find(|(text, _)| text == "125")
        .cloned()
        .unwrap();
    let (x, y) = (bar.center().x as u16, bar.bottom() as u16 + 30);
    seat.point(x, y, 0);
    seat.pass();
    seat.assert_shows("mean_sbp: 125");
    seat.photograph("chart-readout-en");
    seat.click_at(x, y);
    // Away from the marks, the keyboard holds on.
    seat.point(5, 5, 0);
    seat.press(Key::ArrowRight, Modifiers::default());
    seat.press(Key::ArrowRight, Modifiers::default());
    assert!(!seat.shows("mean_sbp: 125"), "{}", seat.words());
    seat.assert_shows("mean_sbp:");
}

#[test]
fn rows_are_drawn_as_histogram_and_boxes() {
    let mut seat = at(Lang::En);
    seat.tell(samples::job(
        1,
        Work::Query("SELECT * FROM visit".into()),
        10,
        JobState::Done(None),
    ));
    let job = samples::job_id(1);
    for first in [0, 1000, 2000] {
        let piece = kekkai_desktop::rows::Piece::Rows(samples::batch(first, 1000));
        if first == 0 {
            let schema = samples::batch(0, 1).schema();
            seat.workspace
                .take_rows(&job, kekkai_desktop::rows::Piece::Schema(schema));
        }
        seat.workspace.take_rows(&job, piece);
    }
    seat.pass();
    go(&mut seat, Go::Chart(job));
    seat.photograph("chart-rows-scatter-en");
    seat.click("Boxes");
    seat.assert_shows("東区");
    seat.photograph("chart-rows-box-en");
    seat.click("Histogram");
    seat.assert_shows("Rows");
    seat.photograph("chart-rows-histogram-en");
}

#[test]
fn high_contrast_charts_can_be_read() {
    let mut seat = at(Lang::En);
    seat.workspace.shell().contrast = kekkai_desktop::theme::Contrast::High;
    seat.tell(samples::done(1, leukemia()));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    seat.assert_shows("Number at risk");
    seat.photograph("chart-km-contrast-en");
}

#[test]
fn without_results_panes_say_what_to_do() {
    use kekkai_desktop::panes::Section;
    for (lang, of, text) in [
        (Lang::Ja, Section::Charts, "図にできる結果がまだありません"),
        (Lang::En, Section::Charts, "There is no result to draw yet"),
        (Lang::Ja, Section::Outputs, "申請した成果物はまだありません"),
        (Lang::En, Section::Outputs, "No output was submitted yet"),
        (Lang::Ja, Section::Notebooks, "ノートはまだありません"),
        (Lang::En, Section::Notebooks, "There is no notebook yet"),
        (Lang::Ja, Section::Help, "はじめに"),
        (Lang::En, Section::Help, "First steps"),
    ] {
        let mut seat = at(lang);
        section(&mut seat, of);
        seat.assert_shows(text);
        seat.photograph(&format!("empty-{of:?}-{}", lang.as_str()));
    }
}

fn run_failed() -> ToDesktop {
    let line = |is_error, text: &str| LogLine {
        is_error,
        text: text.to_owned(),
    };
    ToDesktop::Job(Box::new(Job {
        job: samples::job_id(7),
        work: Work::Run("python study.py".to_owned()),
        elapsed_ms: 320,
        state: JobState::RunFailed {
            error: RunError {
                code: RunErrorCode::Failed,
                name: "KeyError".to_owned(),
                line: 4,
            },
            outputs: Vec::new(),
        },
        log: LogPart {
            lines: vec![
                line(false, "sex  n"),
                line(false, "F    1,204"),
                line(true, "Traceback (most recent call last):"),
            ],
            next: 3,
            withheld: true,
            dropped: 0,
        },
    }))
}

#[test]
fn script_is_written_run_and_its_error_found() {
    let mut seat = at(Lang::En);
    section(&mut seat, kekkai_desktop::panes::Section::Scripts);
    seat.assert_shows("study.py");
    seat.assert_shows("riskratio");
    seat.click("New script");
    seat.assert_shows("kekkai.statistic");
    seat.press(Key::Enter, CTRL);
    let asked = seat.asked();
    let run = request(&asked, |ask| {
        matches!(ask, Ask::Run { program: Program::Python { name, source }, args }
            if name == "script-1.py" && source.contains("kekkai.statistic") && args.is_empty())
    });
    seat.answer(run, Answer::Started(samples::job_id(7)));
    seat.tell(run_failed());
    seat.pass();
    seat.assert_shows("F    1,204");
    seat.assert_shows("Some lines are withheld");
    seat.assert_shows("Go to line 4");
    seat.photograph("scripts-failed-en");
    seat.press(Key::S, CTRL);
    let asked = seat.asked();
    let put = request(
        &asked,
        |ask| matches!(ask, Ask::PutScript { name, .. } if name == "script-1.py"),
    );
    seat.answer(put, Answer::Done);
    seat.assert_shows("Saved: script-1.py");
    assert!(seat.asked().iter().any(|(_, ask)| *ask == Ask::Programs));
}

#[test]
fn script_is_not_lost_by_opening_another() {
    let mut seat = at(Lang::Ja);
    section(&mut seat, kekkai_desktop::panes::Section::Scripts);
    seat.click("新しいスクリプト");
    seat.click_nth("study.py", 0);
    seat.assert_shows("変更が保存されていません");
    assert!(
        !seat
            .asked()
            .iter()
            .any(|(_, ask)| matches!(ask, Ask::GetScript { .. }))
    );
    seat.photograph("scripts-discard-ja");
    seat.click("保存せずに開く");
    seat.pass();
    let asked = seat.asked();
    let get = request(
        &asked,
        |ask| matches!(ask, Ask::GetScript { name } if name == "study.py"),
    );
    seat.answer(get, Answer::Text("print('保存した文')\n".to_owned()));
    seat.assert_shows("保存した文");
    seat.photograph("scripts-open-ja");
}

#[test]
fn tool_is_run_with_its_arguments() {
    let mut seat = at(Lang::En);
    section(&mut seat, kekkai_desktop::panes::Section::Scripts);
    seat.click("riskratio");
    seat.assert_shows("Risk ratios with intervals");
    seat.click("for instance: --year 2024 'two words'");
    seat.type_text("--year 2024 'a b'");
    seat.press(Key::Enter, CTRL);
    let asked = seat.asked();
    request(&asked, |ask| {
        matches!(ask, Ask::Run { program: Program::Tool { name }, args }
            if name == "riskratio" && *args == ["--year", "2024", "a b"])
    });
}

fn said(weight: Weight, place: (&str, &str), text: (&str, &str)) -> Said {
    let both = |(ja, en): (&str, &str)| Text {
        ja: ja.to_owned(),
        en: en.to_owned(),
    };
    Said {
        weight,
        rule: "dominance-one".to_owned(),
        place: both(place),
        text: both(text),
    }
}

fn findings() -> Vec<Said> {
    vec![
        said(
            Weight::Review,
            ("5行目 3列目", "row 5, column 3"),
            (
                "1名が値の半分以上を占めます。",
                "One person makes up more than half of it.",
            ),
        ),
        said(
            Weight::Pass,
            ("全体", "as a whole"),
            ("2つの群が秘匿されています。", "Two groups are withheld."),
        ),
    ]
}

fn output(id: &str, title: &str, state: OutputState) -> OutputDetail {
    OutputDetail {
        summary: OutputSummary {
            output: OutputId::new(id).unwrap(),
            title: title.to_owned(),
            submitted: Timestamp(1_795_300_000_000),
            state,
            comments: match state {
                OutputState::Returned => vec!["年齢は10歳ごとにまとめてください。".to_owned()],
                _ => Vec::new(),
            },
        },
        purpose: "論文の表1".to_owned(),
        method: "地域と性別ごとの平均".to_owned(),
        findings: findings(),
        replaces: None,
        replaced_by: None,
    }
}

#[test]
fn result_is_described_checked_and_submitted() {
    for (lang, submit, hint, evidence, ready) in [
        (
            Lang::Ja,
            "申請する",
            "例: 論文の表1に使う",
            "最も少ない値で 40 人",
            "題名を書いてください",
        ),
        (
            Lang::En,
            "Submit",
            "for instance: table 1 of the paper",
            "the smallest is of 40 persons",
            "Give a title to each",
        ),
    ] {
        let mut seat = at(lang);
        seat.tell(samples::done(1, samples::table()));
        go(&mut seat, Go::Submit(samples::job_id(1)));
        let asked = seat.asked();
        let preview = request(&asked, |ask| matches!(ask, Ask::Preview { .. }));
        seat.answer(preview, Answer::Findings(findings()));
        seat.assert_shows(evidence);
        seat.assert_shows(findings()[0].text.get(lang));
        seat.assert_shows(ready);
        seat.click(lang.pick(
            "例: 地域・性別ごとの平均血圧",
            "for instance: mean blood pressure by region and sex",
        ));
        seat.type_text("平均血圧");
        seat.click(hint);
        seat.type_text("論文の表1");
        seat.photograph(&format!("outputs-draft-{}", lang.as_str()));
        // The finding's place is shown in the table.
        seat.click(findings()[0].place.get(lang));
        seat.photograph(&format!("outputs-place-{}", lang.as_str()));
        assert!(
            !seat
                .asked()
                .iter()
                .any(|(_, ask)| matches!(ask, Ask::Submit { .. }))
        );
        seat.click(submit);
        let asked = seat.asked();
        let submitted = request(&asked, |ask| {
            matches!(ask, Ask::Submit { title, purpose, replaces: None, .. }
                if title == "平均血圧" && purpose == "論文の表1")
        });
        let id = OutputId::new("o1").unwrap();
        seat.answer(submitted, Answer::Submitted(id));
        seat.tell(ToDesktop::Outputs(vec![output(
            "o1",
            "平均血圧",
            OutputState::Waiting,
        )]));
        seat.pass();
        seat.assert_shows("平均血圧");
        seat.photograph(&format!("outputs-list-{}", lang.as_str()));
    }
}

#[test]
fn what_may_not_leave_cannot_be_submitted() {
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, samples::table()));
    go(&mut seat, Go::Submit(samples::job_id(1)));
    let asked = seat.asked();
    let preview = request(&asked, |ask| matches!(ask, Ask::Preview { .. }));
    let fails = vec![said(
        Weight::Fail,
        ("", ""),
        ("不可", "This may not leave."),
    )];
    seat.answer(preview, Answer::Findings(fails));
    seat.click("for instance: mean blood pressure by region and sex");
    seat.type_text("t");
    seat.click("for instance: table 1 of the paper");
    seat.type_text("p");
    seat.click("Submit");
    assert!(
        !seat
            .asked()
            .iter()
            .any(|(_, ask)| matches!(ask, Ask::Submit { .. }))
    );
    seat.assert_shows("There is something that may not leave");
}

#[test]
fn returned_output_shows_its_comment_and_is_revised_in_place_of_itself() {
    let mut seat = at(Lang::Ja);
    seat.tell(samples::done(2, samples::table()));
    seat.tell(ToDesktop::Outputs(vec![
        output("o1", "平均血圧", OutputState::Returned),
        output("o2", "受診の件数", OutputState::Released),
    ]));
    section(&mut seat, kekkai_desktop::panes::Section::Outputs);
    seat.assert_shows("年齢は10歳ごとにまとめてください。");
    seat.assert_shows("差戻し");
    seat.photograph("outputs-returned-ja");
    seat.click("直して再申請");
    seat.assert_shows("「平均血圧」を直して再申請します");
    go(&mut seat, Go::Submit(samples::job_id(2)));
    let asked = seat.asked();
    let preview = request(&asked, |ask| matches!(ask, Ask::Preview { .. }));
    seat.answer(preview, Answer::Findings(Vec::new()));
    seat.click("申請する");
    let asked = seat.asked();
    request(&asked, |ask| {
        matches!(ask, Ask::Submit { title, purpose, method, replaces: Some(output), .. }
            if title == "平均血圧" && purpose == "論文の表1"
                && method == "地域と性別ごとの平均" && output.as_str() == "o1")
    });
}

#[test]
fn refused_submission_says_why_and_keeps_what_was_written() {
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, samples::table()));
    go(&mut seat, Go::Submit(samples::job_id(1)));
    seat.click("for instance: mean blood pressure by region and sex");
    seat.type_text("a title");
    seat.click("for instance: table 1 of the paper");
    seat.type_text("a purpose");
    seat.click("Submit");
    let asked = seat.asked();
    let submit = request(&asked, |ask| matches!(ask, Ask::Submit { .. }));
    seat.answer(
        submit,
        Answer::Refused(Refusal::new("author-queue-full", "")),
    );
    seat.assert_shows("Too many outputs of yours wait for review.");
    seat.assert_shows("a title");
}

#[test]
fn notebook_is_kept_seconds_after_a_change_and_then_nothing_moves() {
    let mut seat = at(Lang::En);
    section(&mut seat, kekkai_desktop::panes::Section::Notebooks);
    let asked = seat.asked();
    let names = request(&asked, |ask| *ask == Ask::Notebooks);
    seat.answer(names, Answer::Names(Vec::new()));
    seat.click("Name of a new notebook");
    seat.type_text("blood pressure");
    seat.click("Create");
    let asked = seat.asked();
    let put = request(&asked, |ask| {
        matches!(ask, Ask::PutNotebook { name, body }
            if name == "blood pressure" && body == r#"{"kekkai-notebook":1,"steps":[]}"#)
    });
    seat.answer(put, Answer::Done);
    seat.asked();
    let second = seat.texts.iter().filter(|(text, _)| text == "SQL").count();
    seat.click_nth("SQL", second - 1);
    seat.pass();
    seat.type_text("SELECT count(*) FROM patient");
    assert!(
        seat.asked()
            .iter()
            .all(|(_, ask)| !matches!(ask, Ask::PutNotebook { .. }))
    );
    assert!(seat.next.is_some(), "it is to be kept soon");
    seat.later(3.5);
    let asked = seat.asked();
    let put = request(&asked, |ask| {
        matches!(ask, Ask::PutNotebook { body, .. }
            if body.contains(r#"{"sql":{"text":"SELECT count(*) FROM patient"}}"#))
    });
    seat.answer(put, Answer::Done);
    seat.pass();
    seat.asked();
    seat.later(10.0);
    assert_eq!(
        (seat.changed, seat.next),
        (0, None),
        "an idle notebook is silent"
    );
    assert!(seat.asked().is_empty());
}

const KEPT: &str = r#"{"kekkai-notebook":1,"steps":[
    {"note":{"text":"地域ごとの平均血圧を比べる。"}},
    {"sql":{"text":"SELECT region, sex, avg(sbp) AS mean_sbp\nFROM visit JOIN patient USING (patient_id)\nGROUP BY region, sex"}},
    {"chart":{"spec":null}},
    {"script":{"source":"import kekkai\nprint(kekkai.args())","args":"--year 2024"}}
]}"#;

fn with_notebook(lang: Lang) -> Seat {
    let mut seat = at(lang);
    section(&mut seat, kekkai_desktop::panes::Section::Notebooks);
    let asked = seat.asked();
    let names = request(&asked, |ask| *ask == Ask::Notebooks);
    seat.answer(names, Answer::Names(vec!["血圧".to_owned()]));
    seat.click("血圧");
    let asked = seat.asked();
    let get = request(
        &asked,
        |ask| matches!(ask, Ask::GetNotebook { name } if name == "血圧"),
    );
    seat.answer(get, Answer::Text(KEPT.to_owned()));
    seat.pass();
    seat
}

#[test]
fn notebook_runs_its_steps_in_order_and_draws_the_statement_above() {
    let mut seat = with_notebook(Lang::Ja);
    seat.assert_shows("地域ごとの平均血圧を比べる。");
    seat.click("すべて実行");
    let asked = seat.asked();
    assert_eq!(asked.len(), 1, "one after the other: {asked:?}");
    let query = request(&asked, |ask| matches!(ask, Ask::Query { .. }));
    seat.answer(query, Answer::Started(samples::job_id(1)));
    assert!(seat.asked().is_empty());
    seat.tell(samples::done(1, samples::table()));
    seat.pass();
    let asked = seat.asked();
    let run = request(&asked, |ask| {
        matches!(ask, Ask::Run { program: Program::Python { name, .. }, args }
            if name == "step-4.py" && *args == ["--year", "2024"])
    });
    seat.answer(run, Answer::Started(samples::job_id(7)));
    seat.tell(run_failed());
    seat.pass();
    seat.assert_shows("手順 4 がうまくいかなかったため");
    seat.assert_shows("東区");
    seat.photograph("notebook-ran-ja");
}

#[test]
fn notebook_of_a_later_version_is_not_opened() {
    let mut seat = at(Lang::Ja);
    section(&mut seat, kekkai_desktop::panes::Section::Notebooks);
    let asked = seat.asked();
    let names = request(&asked, |ask| *ask == Ask::Notebooks);
    seat.answer(names, Answer::Names(vec!["新しい".to_owned()]));
    seat.click("新しい");
    let asked = seat.asked();
    let get = request(&asked, |ask| matches!(ask, Ask::GetNotebook { .. }));
    seat.answer(
        get,
        Answer::Text(r#"{"kekkai-notebook":9,"steps":[]}"#.to_owned()),
    );
    seat.assert_shows("新しい版 (9) で保存されています");
    seat.later(10.0);
    assert!(
        !seat
            .asked()
            .iter()
            .any(|(_, ask)| matches!(ask, Ask::PutNotebook { .. }))
    );
}

#[test]
fn help_is_found_by_a_word() {
    for (lang, word, page) in [
        (Lang::Ja, "差戻し", "審査の流れ"),
        (Lang::En, "nullif", "SQL, for those who know PostgreSQL"),
    ] {
        let mut seat = at(lang);
        section(&mut seat, kekkai_desktop::panes::Section::Help);
        seat.click(lang.pick("絞り込み", "Filter"));
        seat.type_text(word);
        seat.pass();
        seat.assert_shows(page);
        assert!(!seat.shows(lang.pick("キー操作", "Keys")) || lang == Lang::En);
        seat.photograph(&format!("help-{}", lang.as_str()));
    }
}

#[test]
fn idle_panes_draw_nothing_and_ask_for_nothing() {
    use kekkai_desktop::panes::Section;
    for of in Section::ALL {
        let mut seat = with_notebook(Lang::Ja);
        seat.tell(samples::done(1, samples::table()));
        seat.tell(run_failed());
        seat.tell(ToDesktop::Outputs(vec![output(
            "o1",
            "平均血圧",
            OutputState::Returned,
        )]));
        section(&mut seat, of);
        seat.point(640, 400, 0);
        seat.later(1.0);
        seat.asked();
        for _ in 0..3 {
            seat.later(2.0);
            assert_eq!((seat.changed, seat.next), (0, None), "{of:?}");
            assert!(seat.asked().is_empty(), "{of:?}");
        }
    }
}

#[test]
fn draft_waits_while_the_list_is_looked_at() {
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, samples::table()));
    go(&mut seat, Go::Submit(samples::job_id(1)));
    seat.click("for instance: table 1 of the paper");
    seat.type_text("figure 2 of the paper");
    seat.click("← Back to the list");
    seat.pass();
    assert!(!seat.shows("figure 2 of the paper"));
    seat.click("New submission");
    seat.pass();
    seat.assert_shows("figure 2 of the paper");
}

#[test]
fn chart_of_a_hundred_thousand_rows_follows_the_pointer() {
    let mut seat = at(Lang::En);
    seat.tell(samples::job(
        1,
        Work::Query("SELECT * FROM visit".into()),
        10,
        JobState::Done(None),
    ));
    let job = samples::job_id(1);
    let schema = samples::batch(0, 1).schema();
    seat.workspace
        .take_rows(&job, kekkai_desktop::rows::Piece::Schema(schema));
    for first in (0..100_000).step_by(10_000) {
        let piece = kekkai_desktop::rows::Piece::Rows(samples::batch(first, 10_000));
        seat.workspace.take_rows(&job, piece);
    }
    go(&mut seat, Go::Chart(job));
    seat.assert_shows("The first 20,000 of 100,000 points are drawn.");
    seat.photograph("chart-rows-many-en");
    // Choosing another kind reads the columns; a move of the pointer does not.
    let began = std::time::Instant::now();
    seat.click("Histogram");
    let chosen = began.elapsed();
    let began = std::time::Instant::now();
    for x in 0..100 {
        seat.point(500 + x * 4, 400, 0);
    }
    let moved = began.elapsed();
    println!("chosen in {chosen:?}, a hundred moves in {moved:?}");
    assert!(moved < chosen * 8, "{moved:?} against {chosen:?}");
}

#[test]
fn script_takes_no_other_scripts_place_unasked() {
    let mut seat = at(Lang::En);
    section(&mut seat, kekkai_desktop::panes::Section::Scripts);
    seat.click("New script");
    seat.click("script-1.py");
    seat.press(Key::A, CTRL);
    seat.type_text("study.py");
    seat.press(Key::S, CTRL);
    seat.assert_shows("There is another script \"study.py\"");
    let puts = |asked: &[(u32, Ask)]| {
        asked
            .iter()
            .filter(|(_, ask)| matches!(ask, Ask::PutScript { .. }))
            .count()
    };
    assert_eq!(puts(&seat.asked()), 0);
    seat.click("Replace it");
    assert_eq!(puts(&seat.asked()), 1);
}

#[test]
fn numbers_at_the_ends_of_floats_are_drawn_in_every_kind() {
    let mut table = forest();
    let numbers = [f64::MAX, f64::MIN_POSITIVE, 1e-320, 0.0, -f64::MAX];
    for (row, number) in table.rows.iter_mut().zip(numbers) {
        for (cell, share) in row.iter_mut().skip(1).zip([1.0, 0.5, 1.0]) {
            *cell = match &samples::table().rows[0][2] {
                Cell::Shown { evidence, .. } => Cell::Shown {
                    value: Value::Float(number * share),
                    evidence: *evidence,
                },
                other => other.clone(),
            };
        }
    }
    let mut seat = at(Lang::En);
    seat.tell(samples::done(1, table));
    go(&mut seat, Go::Chart(samples::job_id(1)));
    for kind in ["Bars", "Lines", "Points", "Boxes", "Forest"] {
        seat.click(kind);
        seat.click("Logarithmic axis");
        seat.point(700, 300, 0);
        seat.click("Logarithmic axis");
        seat.assert_shows("Horizontal axis, with its unit");
    }
}
