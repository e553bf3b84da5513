//! Descriptive studies by Python scripts: what was released of them equals the same studies in CPython with
//! DuckDB on the plain data (issue 4, Shows 4).

use std::path::Path;
use std::process::Command;

use kekkai_demo::{Web, fetch_release, sign_in, vote};
use kekkai_e2e::{TestWorld, repository, said};
use kekkai_policy_api::Event;
use serde_json::Value;

use super::{typed, world};

/// A study may have this many lines.
const LINES_MAX: usize = 60;

async fn browser(world: &TestWorld, who: &str) -> Web {
    let info = world.facts();
    sign_in(&info, info.person(who).unwrap()).await.unwrap()
}

fn script(name: &str) -> String {
    let folder = repository().join("images/python-session/examples");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(text.lines().count() < LINES_MAX, "{name}");
    text
}

/// The same study by other means: one JSON object of numbers.
fn reference(kind: &str, data: &Path) -> Value {
    let script = repository().join("images/python-session/reference/run.sh");
    let output = Command::new(script).arg(kind).arg(data).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The outputs that a person submitted, in order.
fn submitted(world: &TestWorld, who: &str) -> Vec<String> {
    let events = world.events().into_iter();
    let outputs = events.filter_map(|event| match event {
        Event::OutputSubmitted { output, author, .. } if author.as_str() == who => {
            Some(output.to_string())
        }
        _ => None,
    });
    outputs.collect()
}

/// A released table's numbers, row by row, without its header and the rows' names.
fn numbers(csv: &[u8]) -> Vec<Vec<f64>> {
    let text = String::from_utf8(csv.to_vec()).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .skip(1)
                .map(|n| n.parse().unwrap())
                .collect()
        })
        .collect()
}

/// Numbers of the reference; near enough to differ by the order of floating-point additions only.
fn assert_equal(what: &str, found: &[Vec<f64>], expected: &[&Value]) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
    for (found, expected) in found.iter().zip(expected) {
        let expected: Vec<f64> = expected
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_f64().unwrap())
            .collect();
        assert_eq!(found.len(), expected.len(), "{what}");
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{what}: {a} {b}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn studies_by_python_equal_cpython_with_duckdb_on_plain_data() {
    let world = world(2, true).await;
    let mut reviewers = [
        browser(&world, "ito").await,
        browser(&world, "watanabe").await,
    ];
    let mut investigator = browser(&world, "takahashi").await;
    let key = std::fs::read_to_string(world.facts().release_key).unwrap();
    let key = key.trim().parse().unwrap();

    let gibleed = repository().join("tests/data/gibleed");
    let sample = world.dir().join("raw/sample");
    for (who, login, name, kind, data) in [
        ("r1", "r1+omop-2026", "study.py", "gibleed", &gibleed),
        ("r2", "r2+sample-2026", "study_sample.py", "sample", &sample),
    ] {
        let output = typed(&world, login, "run python -", &script(name));
        assert!(output.status.success(), "{}", said(&output));
        // Printed after rows: nowhere at a terminal that may not show them.
        let text = said(&output);
        assert!(
            text.contains("withheld") && !text.contains("risk ratio"),
            "{text}"
        );

        let expected = reference(kind, data);
        let outputs = submitted(&world, who);
        assert_eq!(outputs.len(), 3, "{text}");
        let mut files = Vec::new();
        for output in &outputs {
            for reviewer in &mut reviewers {
                vote(reviewer, output, true).await.unwrap();
            }
            let bundle = fetch_release(&mut investigator, output).await.unwrap();
            files.push(kekkai_bundle::verify(&bundle.body, &key).unwrap());
        }
        let list = |key: &str| -> Vec<Value> { expected[key].as_array().unwrap().clone() };
        let counts = list("counts");
        assert_equal(
            "counts",
            &numbers(files[0].csv()),
            &counts.iter().collect::<Vec<_>>(),
        );
        let measures: Vec<&Value> = ["risk_ratio", "odds_ratio", "risk_difference"]
            .iter()
            .map(|name| &expected[*name])
            .take(numbers(files[1].csv()).len())
            .collect();
        assert!(measures.len() >= 2);
        assert_equal("measures", &numbers(files[1].csv()), &measures);
        // The figure: its numbers are the risks, and it is drawn.
        let figure: Value = serde_json::from_slice(files[2].file("output.json")).unwrap();
        let series = &figure["series"][0];
        let risks = list("risks");
        for (at, risk) in risks.iter().enumerate() {
            let drawn = ["y", "low", "high"].map(|part| series[part][at].as_f64().unwrap());
            assert_equal("risks", &[drawn.to_vec()], &[risk]);
        }
        let svg = String::from_utf8(files[2].file("output.svg").to_vec()).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<rect"), "{svg}");
    }
}
