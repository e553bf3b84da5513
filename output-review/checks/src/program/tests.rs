use kekkai_output::{
    Content, Figure, FigureKind, Model, Parameter, ProgramBody, ProgramLineage, ProgramOutput,
    Read, Series, Value,
};
use kekkai_types::{Digest, Lang};

use crate::{Place, ProfileName, Report, Rule, Verdict, check_content};

fn output(body: ProgramBody) -> ProgramOutput {
    ProgramOutput {
        body,
        lineage: ProgramLineage {
            program: "python study.py".to_owned(),
            digest: Digest::of(b"script"),
            source: "print(1)".to_owned(),
            args: Vec::new(),
            reads: vec![Read {
                sql: "SELECT * FROM visits".to_owned(),
                rows: Some(5_000),
                persons: Some(2_000),
            }],
            datasets: Vec::new(),
            threshold: 10,
            policy: Digest::of(b"terms"),
        },
    }
}

fn report(output: ProgramOutput) -> Report {
    check_content(&Content::Program(output), &ProfileName::Strict.profile())
}

fn of(body: ProgramBody) -> Report {
    report(output(body))
}

fn table(columns: &[&str], rows: Vec<Vec<Value>>) -> Report {
    of(ProgramBody::Table {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rows,
    })
}

fn text(words: &str) -> Value {
    Value::Text(words.to_owned())
}

fn says(report: &Report, rule: Rule) -> Option<Verdict> {
    report
        .findings
        .iter()
        .filter(|finding| finding.rule == rule)
        .map(|finding| finding.verdict)
        .max()
}

/// What an honest author submits.
fn honest() -> Vec<Vec<Value>> {
    vec![
        vec![text("exposed"), Value::Int(120), Value::Float(0.125)],
        vec![text("unexposed"), Value::Int(480), Value::Float(0.25)],
    ]
}

#[test]
fn no_output_of_a_program_passes_without_people() {
    let clean = table(&["group", "n", "risk"], honest());
    assert_eq!(clean.verdict, Verdict::Review);
    let rules: Vec<Rule> = clean.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::Uncounted], "nothing else is found in it");
    for body in [
        ProgramBody::Text("The risk ratio is 0.5.".to_owned()),
        ProgramBody::Model(Model {
            method: "Cox".to_owned(),
            parameters: vec![Parameter {
                name: "age".to_owned(),
                value: 0.5,
                error: Some(0.125),
            }],
            observations: 1_000,
        }),
        ProgramBody::Figure(Figure {
            kind: FigureKind::Line,
            x_label: "month".to_owned(),
            y_label: "mean".to_owned(),
            series: vec![Series {
                name: "a".to_owned(),
                x: vec![1.5, 2.5],
                y: vec![0.5, 0.75],
                ..Series::default()
            }],
        }),
    ] {
        let report = of(body.clone());
        assert_eq!(report.verdict, Verdict::Review, "{body:?}");
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    }
}

#[test]
fn count_under_the_threshold_fails_where_its_column_says_count() {
    for name in ["n", "患者数", "N", "n_exposed", "count (female)", "ｎ"] {
        for cell in [Value::Int(7), Value::Float(7.0)] {
            let mut rows = honest();
            rows[1][1] = cell;
            let report = table(&["group", name, "risk"], rows);
            assert_eq!(
                says(&report, Rule::SmallCount),
                Some(Verdict::Fail),
                "{name}"
            );
            let place = Place::cell(1, 1);
            assert!(report.findings.iter().any(|f| f.place == place));
        }
    }
    let mut rows = honest();
    rows[1][1] = Value::Int(7);
    let report = table(&["group", "visits a year", "risk"], rows);
    assert_eq!(says(&report, Rule::SmallCount), Some(Verdict::Review));
}

#[test]
fn rows_that_are_persons_fail() {
    let rows = |of: &dyn Fn(usize) -> Value, n: usize| -> Vec<Vec<Value>> {
        (0..n).map(|i| vec![of(i), Value::Float(0.5)]).collect()
    };
    let fails = |report: &Report| says(report, Rule::RowLevel) == Some(Verdict::Fail);
    let id = |i: usize| Value::Int(i64::try_from(i).unwrap() + 100);
    assert!(fails(&table(&["person_id", "x"], rows(&id, 30))));
    let key = |i: usize| Value::Text(format!("P{:07}", i * 7));
    assert!(fails(&table(&["a", "x"], rows(&key, 2))));
    let uuid = |i: usize| Value::Text(format!("0f8fad5b-d9cb-469f-a165-{i:012x}"));
    assert!(fails(&table(&["a", "x"], rows(&uuid, 2))));
    let day = |i: usize| Value::Text(format!("2024-01-{:02}", i + 1));
    assert!(fails(&table(&["a", "x"], rows(&day, 25))));
    let name = |i: usize| Value::Text(format!("word {}", i % 5));
    assert!(fails(&table(&["a", "x"], rows(&name, 501))));
    // The controls: months, prefectures, codes.
    let month = |i: usize| Value::Text(format!("2024-{:02}", i % 12 + 1));
    assert!(!fails(&table(&["month", "x"], rows(&month, 24))));
    let place = |i: usize| Value::Text(format!("prefecture {i}"));
    let prefectures = table(&["prefecture", "x"], rows(&place, 47));
    assert_eq!(says(&prefectures, Rule::RowLevel), Some(Verdict::Review));
}

#[test]
fn figure_with_a_point_for_each_person_fails() {
    let points = |n: usize| {
        of(ProgramBody::Figure(Figure {
            kind: FigureKind::Scatter,
            x_label: "age".to_owned(),
            y_label: "HbA1c".to_owned(),
            series: vec![Series {
                name: "all".to_owned(),
                x: vec![0.5; n],
                y: vec![0.25; n],
                ..Series::default()
            }],
        }))
    };
    assert_eq!(says(&points(501), Rule::RowLevel), Some(Verdict::Fail));
    assert_eq!(says(&points(51), Rule::RowLevel), Some(Verdict::Review));
    assert_eq!(says(&points(50), Rule::RowLevel), None);
}

#[test]
fn what_the_engine_counted_of_the_reads_is_judged() {
    let with = |persons: &[Option<u64>]| {
        let mut output = output(ProgramBody::Text("The mean is 1.5.".to_owned()));
        let read = output.lineage.reads.remove(0);
        output.lineage.reads = persons
            .iter()
            .map(|persons| Read {
                persons: *persons,
                ..read.clone()
            })
            .collect();
        report(output)
    };
    assert_eq!(says(&with(&[]), Rule::NothingRead), Some(Verdict::Review));
    assert_eq!(says(&with(&[Some(9)]), Rule::FewRead), Some(Verdict::Fail));
    assert_eq!(
        says(&with(&[Some(0), Some(9)]), Rule::FewRead),
        Some(Verdict::Fail)
    );
    assert_eq!(
        says(&with(&[Some(9), Some(500)]), Rule::FewRead),
        Some(Verdict::Review)
    );
    assert_eq!(
        says(&with(&[None, Some(500)]), Rule::FewRead),
        Some(Verdict::Review)
    );
    assert_eq!(says(&with(&[Some(10)]), Rule::FewRead), None);
}

#[test]
fn data_in_another_notation_fails() {
    let words = |text: &str| of(ProgramBody::Text(text.to_owned()));
    let base64 = "VGhpcyBpcyBub3QgcHJvc2UsIGl0IGlzIGRhdGEgdGhhdCB3YXMgZW5jb2RlZCBhcyB0ZXh0";
    let encoded = |report: &Report| says(report, Rule::Encoded) == Some(Verdict::Fail);
    assert!(encoded(&words(&format!("See {base64} there"))));
    let half = &base64[..44];
    assert!(encoded(&words(&format!("{half}\n{half}"))));
    assert!(encoded(&words("{\"a\": [1, 2]}")));
    assert!(encoded(&table(&["a"], vec![vec![text(base64)]])));
    assert!(encoded(&table(&["a"], vec![vec![text("[1, 2, 3]")]])));
    assert!(!encoded(&words(&"-".repeat(80))), "a line is no data");
    assert!(!encoded(&words(
        "Pneumonoultramicroscopicsilicovolcanoconiosis"
    )));
    let many = "1.5 ".repeat(501);
    assert_eq!(says(&words(&many), Rule::RowLevel), Some(Verdict::Fail));
    assert_eq!(
        says(&words("no. 12345678"), Rule::Identifier),
        Some(Verdict::Review)
    );
    assert_eq!(
        says(&words("電話:090-1234-5678"), Rule::Identifier),
        Some(Verdict::Review)
    );
    assert_eq!(
        says(&words("a\u{202e}b"), Rule::ActiveText),
        Some(Verdict::Review)
    );
}

#[test]
fn model_that_holds_its_data_fails() {
    let model = |parameters: usize, observations| {
        of(ProgramBody::Model(Model {
            method: "linear regression".to_owned(),
            parameters: (0..parameters)
                .map(|i| Parameter {
                    name: format!("x{i}"),
                    value: 0.5,
                    error: None,
                })
                .collect(),
            observations,
        }))
    };
    assert_eq!(says(&model(50, 50), Rule::ModelSize), Some(Verdict::Fail));
    assert_eq!(says(&model(1, 9), Rule::ModelSize), Some(Verdict::Fail));
    assert_eq!(says(&model(5, 99), Rule::ModelSize), Some(Verdict::Review));
    assert_eq!(says(&model(5, 100), Rule::ModelSize), None);
}

#[test]
fn smallest_and_largest_values_are_reviewed() {
    for name in ["max_age", "Minimum", "最高齢", "age (min)"] {
        let report = table(&["group", "n", name], honest());
        assert_eq!(
            says(&report, Rule::Extreme),
            Some(Verdict::Review),
            "{name}"
        );
    }
    let report = table(&["group", "n", "administered"], honest());
    assert_eq!(says(&report, Rule::Extreme), None);
}

#[test]
fn findings_about_programs_speak_both_languages() {
    let mut rows = honest();
    rows[0][0] = text("max");
    rows[0][1] = Value::Int(3);
    rows[0][2] = Value::Float(0.123_456_789);
    for finding in table(&["group", "n", "risk"], rows).findings {
        assert!(!finding.text.get(Lang::Ja).is_ascii());
        assert!(finding.text.get(Lang::En).is_ascii());
    }
}

#[test]
fn malformed_output_fails_without_a_panic() {
    let report = table(&["a", "b"], vec![vec![Value::Null]]);
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(says(&report, Rule::Shape), Some(Verdict::Fail));
}
