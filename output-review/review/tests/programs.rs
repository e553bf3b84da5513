//! What programs submit: bounded, shown whole, never passed by the checks, released as it was approved.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{MARKUP, Stage, release_key, submission, table};
use kekkai_checks::Rule;
use kekkai_output::{
    Content, Figure, FigureKind, Model, Parameter, ProgramBody, ProgramLineage, ProgramOutput,
    Read, Series, Value,
};
use kekkai_review_api::{OutputState, Submit};
use kekkai_service::CallError;
use kekkai_types::{DatasetId, Digest, Lang};

const SCRIPT: &str = "import kekkai\nframe = kekkai.sql('SELECT * FROM visits')\nprint(frame)\n";
const STATEMENT: &str = "SELECT person, '4711-sentinel' FROM visits";

fn lineage() -> ProgramLineage {
    ProgramLineage {
        program: "python study.py".to_owned(),
        digest: Digest::of(SCRIPT.as_bytes()),
        source: SCRIPT.to_owned(),
        args: vec!["--year=2024".to_owned()],
        reads: vec![
            Read {
                sql: STATEMENT.to_owned(),
                rows: Some(98_765),
                persons: Some(43_210),
            },
            Read {
                sql: "SELECT 2".to_owned(),
                rows: Some(31_415),
                persons: None,
            },
        ],
        datasets: vec![(DatasetId::new("hospital").unwrap(), 1)],
        threshold: 10,
        policy: Digest::of(b"terms"),
    }
}

fn of(body: ProgramBody) -> Submit {
    let mut submit = submission("sato", table());
    submit.title = "risk by exposure".to_owned();
    submit.content = Content::Program(ProgramOutput {
        body,
        lineage: lineage(),
    });
    submit
}

fn bodies() -> [ProgramBody; 4] {
    [
        ProgramBody::Table {
            columns: vec!["group".to_owned(), "n".to_owned()],
            rows: vec![
                vec![Value::Text("exposed, first".to_owned()), Value::Int(120)],
                vec![Value::Null, Value::Float(0.5)],
            ],
        },
        ProgramBody::Figure(Figure {
            kind: FigureKind::Line,
            x_label: "month".to_owned(),
            y_label: "mean".to_owned(),
            series: vec![Series {
                name: "all".to_owned(),
                x: vec![1.0, 2.0],
                y: vec![7.25, 6.75],
                ..Series::default()
            }],
        }),
        ProgramBody::Text("The risk ratio is 1.42.\nNothing else.".to_owned()),
        ProgramBody::Model(Model {
            method: "Cox".to_owned(),
            parameters: vec![Parameter {
                name: "exposure".to_owned(),
                value: 0.35,
                error: Some(0.125),
            }],
            observations: 43_210,
        }),
    ]
}

fn refused(error: CallError) -> String {
    match error {
        CallError::Refused(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn released_files_are_what_was_approved_and_nothing_of_what_was_read() {
    let stage = Stage::start().await;
    for body in bodies() {
        let submit = of(body.clone());
        let digest = stage.submit(&submit).await.unwrap();
        assert_eq!(digest, submit.content.digest().unwrap());
        stage.vote("mori", &submit.output, "accept", "").await;
        stage.vote("ueda", &submit.output, "accept", "").await;
        assert_eq!(stage.state_of(&submit.output).await, OutputState::Released);
        let path = format!("/release/{}/bundle", submit.output);
        let bundle = stage.get("ito", Lang::Ja, &path).await;
        let verified = kekkai_bundle::verify(&bundle.body, &release_key()).unwrap();
        let names: Vec<&str> = verified
            .files
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let text = |name: &str| String::from_utf8(verified.file(name).to_vec()).unwrap();
        match &body {
            ProgramBody::Table { .. } => {
                assert_eq!(names, ["output.csv", "README.md", "README.ja.md"]);
                assert_eq!(
                    text("output.csv"),
                    "group,n\r\n\"exposed, first\",120\r\n,0.5\r\n"
                );
            }
            ProgramBody::Figure(figure) => {
                assert_eq!(
                    names,
                    ["output.svg", "output.json", "README.md", "README.ja.md"]
                );
                assert_eq!(text("output.svg"), kekkai_figure::svg(figure));
                let back: Figure = serde_json::from_str(&text("output.json")).unwrap();
                assert_eq!(back, *figure);
            }
            ProgramBody::Text(words) => {
                assert_eq!(names, ["output.txt", "README.md", "README.ja.md"]);
                assert_eq!(text("output.txt"), *words);
            }
            ProgramBody::Model(model) => {
                assert_eq!(names, ["output.json", "README.md", "README.ja.md"]);
                let back: Model = serde_json::from_str(&text("output.json")).unwrap();
                assert_eq!(back, *model);
            }
        }
        // A program can write data into its statements, and choose how many rows come.
        let record = serde_json::to_string(&verified.record).unwrap();
        let program = Digest::of(SCRIPT.as_bytes()).to_string();
        assert!(record.contains(&program));
        for (_, file) in &verified.files {
            let whole = format!("{record}{}", String::from_utf8_lossy(file));
            for inside in ["4711-sentinel", "98765", "31415", "kekkai.sql"] {
                assert!(!whole.contains(inside), "{inside}");
            }
        }
    }
}

#[tokio::test]
async fn reviewers_see_the_program_what_it_read_and_that_nobody_counted() {
    let stage = Stage::start().await;
    for body in bodies() {
        let submit = of(body.clone());
        stage.submit(&submit).await.unwrap();
        let path = format!("/review/output/{}", submit.output);
        for lang in [Lang::En, Lang::Ja] {
            let page = stage.get("mori", lang, &path).await;
            assert_eq!(page.status, 200);
            let text = page.text();
            let mark = lang.pick(
                "プログラム以外の誰も数えていません",
                "Counted by nobody but the program",
            );
            assert!(text.contains(mark));
            let not_counted = lang.pick("寄与者数の根拠なし", "Not counted");
            assert!(text.contains(not_counted), "the finding");
            for shown in ["4711-sentinel", "98765", "43210", "31415", "--year=2024"] {
                assert!(text.contains(shown), "{shown}");
            }
            assert!(text.contains("<th scope=\"row\">3</th>"), "line numbers");
            assert!(text.contains("print(frame)"));
            match &body {
                ProgramBody::Table { .. } => assert!(text.contains("exposed, first")),
                ProgramBody::Figure(figure) => {
                    assert!(text.contains(&kekkai_figure::svg(figure)));
                    assert!(
                        text.contains("7.25") && text.contains("6.75"),
                        "its numbers"
                    );
                }
                ProgramBody::Text(_) => assert!(text.contains("The risk ratio is 1.42.")),
                ProgramBody::Model(_) => {
                    assert!(text.contains("exposure") && text.contains("0.35"))
                }
            }
            assert!(!text.contains("style=\"") && !text.contains("<script"));
            let said = lang.pick("数えられません", "can&#39;t be counted");
            assert!(text.contains(said) || text.contains("can't be counted"));
        }
    }
}

#[tokio::test]
async fn no_word_of_a_program_becomes_markup() {
    let stage = Stage::start().await;
    let wild = || MARKUP.to_owned();
    for body in [
        ProgramBody::Table {
            columns: vec![wild()],
            rows: vec![vec![Value::Text(wild())]],
        },
        ProgramBody::Figure(Figure {
            kind: FigureKind::Bar,
            x_label: wild(),
            y_label: wild(),
            series: vec![
                Series {
                    name: wild(),
                    labels: vec![wild()],
                    y: vec![120.0],
                    ..Series::default()
                };
                2
            ],
        }),
        ProgramBody::Text(wild()),
        ProgramBody::Model(Model {
            method: wild(),
            parameters: vec![Parameter {
                name: wild(),
                value: 0.5,
                error: None,
            }],
            observations: 1_000,
        }),
    ] {
        let mut submit = of(body);
        if let Content::Program(output) = &mut submit.content {
            output.lineage.program = wild();
            output.lineage.source = wild();
            output.lineage.args = vec![wild()];
            output.lineage.reads[0].sql = wild();
        }
        stage.submit(&submit).await.unwrap();
        let path = format!("/review/output/{}", submit.output);
        let text = stage.get("mori", Lang::En, &path).await.text();
        assert!(text.contains("&lt;script&gt;"));
        assert!(
            !text.contains("<script") && !text.contains("<b class"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn output_that_is_malformed_or_too_large_is_not_stored() {
    let stage = Stage::start().await;
    let cases = [
        (
            ProgramBody::Text("x".repeat(64 * 1024 + 1)),
            "output-too-large",
        ),
        (ProgramBody::Text("\u{1b}[2J".to_owned()), "output-shape"),
        (
            ProgramBody::Table {
                columns: vec!["a".to_owned()],
                rows: vec![vec![Value::Float(f64::NAN)]],
            },
            "output-shape",
        ),
        (
            ProgramBody::Table {
                columns: vec!["a".to_owned(), "b".to_owned()],
                rows: vec![vec![Value::Null]],
            },
            "output-shape",
        ),
        (
            ProgramBody::Table {
                columns: vec!["a".to_owned(); 1_001],
                rows: vec![vec![Value::Null; 1_001]],
            },
            "table-columns",
        ),
        (
            ProgramBody::Figure(Figure {
                kind: FigureKind::Line,
                x_label: String::new(),
                y_label: String::new(),
                series: vec![Series {
                    x: vec![1.0],
                    ..Series::default()
                }],
            }),
            "output-shape",
        ),
    ];
    for (body, expected) in cases {
        let code = refused(stage.submit(&of(body)).await.unwrap_err());
        assert_eq!(code, expected);
    }
    assert!(stage.ledger().is_empty());
    assert!(stage.snapshot().states.is_empty());
}

#[tokio::test]
async fn rows_of_persons_never_come_to_a_vote() {
    let stage = Stage::start().await;
    let submit = of(ProgramBody::Table {
        columns: vec!["person_id".to_owned(), "age".to_owned()],
        rows: (0..40)
            .map(|person| vec![Value::Int(1_000 + person), Value::Int(40 + person)])
            .collect(),
    });
    let digest = stage.submit(&submit).await.unwrap();
    let state = stage.state_of(&submit.output).await;
    assert_eq!(state, OutputState::FailedChecks);
    let form = format!("csrf=x&digest={}&round=1&vote=accept&comment=", digest.0);
    let page = stage.post_vote("mori", &submit.output, &form).await;
    assert_eq!(page.status, 409);
    // The author learns which rule: no value, and no place, which the program chose.
    let listed = stage.list("sato").await.unwrap();
    let comments = listed[0].comments.join("\n");
    let titles = [Lang::Ja, Lang::En].map(|lang| Rule::RowLevel.title(lang));
    assert!(
        titles.iter().any(|title| comments.contains(title)),
        "{comments}"
    );
    assert!(
        !comments.contains(|c: char| c.is_ascii_digit()),
        "{comments}"
    );
}

/// A program that has read rows could write them into its titles, and its author read them at once.
#[tokio::test]
async fn title_of_a_program_is_told_after_its_release_only() {
    let stage = Stage::start().await;
    let mut submit = of(bodies()[2].clone());
    submit.title = "TANAKA HANAKO 1961-04-01".to_owned();
    let output = submit.output.clone();
    stage.submit(&submit).await.unwrap();
    let listed = stage.list("sato").await.unwrap();
    assert_eq!(listed[0].title, output.to_string());
    let page = stage.get("sato", Lang::Ja, "/release/").await;
    assert!(page.text().contains(output.as_str()) && !page.text().contains("TANAKA"));
    // Reviewers see it, and once they let it out, everybody does.
    let page = stage
        .get("mori", Lang::Ja, &format!("/review/output/{output}"))
        .await;
    assert!(page.text().contains("TANAKA HANAKO"));
    for reviewer in ["mori", "ueda"] {
        stage.vote(reviewer, &output, "accept", "").await;
    }
    assert_eq!(stage.settled(&output).await, OutputState::Released);
    assert_eq!(stage.list("sato").await.unwrap()[0].title, submit.title);
}

#[tokio::test]
async fn votes_bind_to_lineage_too() {
    let stage = Stage::start().await;
    let submit = of(bodies()[2].clone());
    let digest = stage.submit(&submit).await.unwrap();
    let mut other = submit.clone();
    if let Content::Program(output) = &mut other.content {
        output.lineage.reads[0].persons = Some(43_211);
    }
    assert_ne!(digest, other.content.digest().unwrap());
    assert_eq!(
        refused(stage.submit(&other).await.unwrap_err()),
        "output-exists"
    );
    let form = format!(
        "csrf=x&digest={}&round=1&vote=accept&comment=",
        other.content.digest().unwrap().0
    );
    assert_eq!(
        stage.post_vote("mori", &submit.output, &form).await.status,
        409
    );
}
