//! What comes back through stock ssh, gateway, broker and jailed worker is what an independent
//! computation over the plain data gives, less what is about too few; what is no statistic is refused,
//! said where, and recorded (issue 2, Shows 5).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod close;
mod omop;
mod plain;
mod refusals;
mod sample;
mod shown;

use std::path::Path;
use std::time::Instant;

use kekkai_e2e::{Connection, TestWorld, repository, said, world_with};

use plain::{Agg, Fact, Plain, expected};

/// A statement and what it is about, computed here.
struct Question {
    sql: &'static str,
    keys: usize,
    columns: &'static [Agg],
    facts: Vec<Fact>,
    /// The control: whether the plain data has groups of too few.
    has_small_groups: bool,
}

fn fact(key: &[String], person: &str, values: &[Option<f64>]) -> Fact {
    Fact {
        key: key.to_vec(),
        person: person.to_owned(),
        values: values.to_vec(),
    }
}

/// Asks each question and compares each cell.
fn ask(connection: &Connection, questions: &[Question], mut given: close::Given) {
    assert!(questions.len() >= 12);
    let mut small = 0;
    let mut flags = Vec::new();
    let mut too_close = 0;
    for question in questions {
        let expected = expected(&question.facts, question.columns);
        if expected.withheld.is_empty() == question.has_small_groups {
            flags.push((question.sql, expected.withheld.clone()));
        }
        small += expected.withheld.len();
        assert!(!expected.shown.is_empty(), "{} shows nothing", question.sql);
        let output = connection.run(&format!("sql {}", question.sql));
        if said(&output).contains("error [too-close]") {
            assert!(given.is_close(question), "kept back: {}", question.sql);
            too_close += 1;
            continue;
        }
        given.add(question);
        shown::compare(question.sql, &output, question.keys, &expected);
    }
    assert!(
        flags.is_empty(),
        "the control: which have small groups: {flags:?}"
    );
    println!(
        "{too_close} of {} are too close to earlier ones",
        questions.len()
    );
    assert!(
        too_close * 2 < questions.len(),
        "most answers must be compared: {too_close} were kept back"
    );
    assert!(small > 10, "the control: hardly any group is small");
}

/// What is above the aggregate sees only what may be shown. Gives what was answered.
fn order_and_limit_see_only_what_is_shown(connection: &Connection, raw: &Path) -> close::Given {
    let sql = "SELECT icd10, sum(points) AS s FROM dpc GROUP BY icd10 HAVING count(*) > 5 ORDER BY s DESC LIMIT 3";
    let facts: Vec<Fact> = Plain::csv(&raw.join("dpc.csv"))
        .rows()
        .map(|row| {
            let key = [row.text("ICD10")];
            fact(&key, &row.text("患者ID"), &[row.number("請求点数")])
        })
        .collect();
    let of = |facts: &[Fact]| {
        let mut sums: Vec<(f64, String)> = expected(facts, &[Agg::Sum(0)])
            .shown
            .into_iter()
            .map(|(key, cells)| match cells[..] {
                [plain::Cell::Number(sum)] => (sum, key[0].clone()),
                _ => panic!("{key:?}"),
            })
            .collect();
        sums.sort_by(|a, b| b.0.total_cmp(&a.0));
        sums
    };
    let rows = shown::read(&connection.run(&format!("sql {sql}"))).rows;
    let wanted: Vec<Vec<String>> = of(&facts)
        .into_iter()
        .take(3)
        .map(|(sum, code)| vec![code, format!("{sum}")])
        .collect();
    assert_eq!(rows, wanted);
    // One admission's points are most of its group's, wherever the group is large enough to be shown.
    let sql = "SELECT sum(CASE WHEN icd10 = 'C220' THEN points * 1000000 ELSE points END), count(*) FROM dpc";
    let rows = shown::read(&connection.run(&format!("sql {sql}")));
    assert_eq!(rows.rows, [["**".to_owned(), facts.len().to_string()]]);
    let mut given = close::Given::default();
    given.add(&Question {
        sql: "by disease",
        keys: 1,
        columns: &[Agg::Sum(0)],
        facts,
        has_small_groups: true,
    });
    given
}

/// The console's other commands, exit codes, and that lines are answered as single commands are.
fn commands_work(world: &TestWorld, connection: &Connection) {
    let ok = |command: &str, parts: &[&str]| {
        let output = connection.run(command);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{command}: {text}");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        for part in parts {
            assert!(out.contains(part), "{command}: no \"{part}\" in {text}");
        }
        out
    };
    ok(
        "help",
        &["schema", "sql", "jobs", "submit", "outputs", "status"],
    );
    ok("help sql", &["example:"]);
    ok("schema", &["patients", "labs", "dpc", "drugs"]);
    let columns = ok("schema patients", &["age_band", "prefecture", "sex"]);
    for dropped in ["name", "phone", "postal_code", "insur"] {
        assert!(!columns.contains(&format!("{dropped} ")), "{columns}");
    }
    ok("status", &["Suzuki Ken", "sample-2026", "a1"]);
    ok("outputs", &[]);
    ok("jobs", &["SELECT"]);
    let sex = "sql SELECT sex, count(*) AS n FROM patients GROUP BY sex";
    let once = ok(sex, &["(2 rows)"]);
    let number = once
        .lines()
        .find_map(|line| line.strip_prefix("job "))
        .and_then(|rest| rest.split(',').next())
        .expect("a job's number");
    let again = ok(&format!("jobs show {number}"), &[]);
    let table = |text: &str| text.lines().take(5).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&once), table(&again));

    for (command, code) in [
        ("jobs show 4000000", 1),
        ("schema nothing_of_that_name", 1),
        ("SELECT 1", 1),
        ("sql", 2),
        ("jobs show x", 2),
        ("status now", 2),
        ("submit 1", 2),
        ("lang fr", 2),
    ] {
        let output = connection.run(command);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{command}: {}",
            said(&output)
        );
        assert!(output.stdout.is_empty(), "{command}: {}", said(&output));
        assert!(!output.stderr.is_empty(), "{command}: without a word");
    }

    // A connection of its own for one command, as `ssh HOST COMMAND` is used in scripts.
    let output = world.ssh("r2+sample-2026", sex);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(table(&shown), table(&once));
    let output = world.ssh_lines(
        "r3+sample-2026",
        "sql SELECT sex, count(*) AS n\n  FROM patients -- a comment; with a semicolon\n GROUP BY sex;\n\
         jobs\nsql SELECT nothing FROM patients;\n",
    );
    let text = said(&output);
    assert_eq!(
        output.status.code(),
        Some(1),
        "the last command failed: {text}"
    );
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains(&table(&once).join("\n")), "{text}");
    assert!(text.contains("[column-unknown]"), "{text}");
    let output = world.ssh_lines("r4+sample-2026", "status\nexit\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_right_or_withheld_and_what_is_no_statistic_is_refused() {
    let world = world_with(|options| {
        options.extra_researchers = 4;
        options.gibleed = Some(repository().join("tests/data/gibleed"));
        let planted = ("dpc", "傷病名", refusals::PLANTED);
        options.planted = vec![(planted.0.into(), planted.1.into(), planted.2.into())];
    })
    .await;
    let info = world.facts();
    let raw = info.raw.join("sample");

    let clock = Instant::now();
    let english = world.connect("suzuki+sample-2026");
    let given = order_and_limit_see_only_what_is_shown(&english, &raw);
    ask(&english, &sample::questions(&raw), given);
    println!("sample: {:?}", clock.elapsed());

    let clock = Instant::now();
    let omop = world.connect("r1+omop-2026");
    ask(
        &omop,
        &omop::questions(&repository().join("tests/data/gibleed")),
        close::Given::default(),
    );
    drop(omop);
    println!("gibleed: {:?}", clock.elapsed());

    let clock = Instant::now();
    let japanese = world.connect("sato");
    refusals::each_is_said_where_and_recorded(&world, &english, &japanese, &raw);
    println!("refusals: {:?}", clock.elapsed());
    commands_work(&world, &english);
}
