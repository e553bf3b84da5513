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

mod plain;
mod refusals;
mod shown;

use std::path::Path;
use std::time::Instant;

use kekkai_e2e::{Connection, TestWorld, repository, said, world_with};

use plain::{Agg, Fact, Plain, age_band, expected, prefecture};

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

fn sample(raw: &Path) -> Vec<Question> {
    use Agg::{Deviation, Mean, Persons, Rows, Sum, Values};
    let patients = Plain::csv(&raw.join("patients.csv"));
    let labs = Plain::csv(&raw.join("labs.csv"));
    let dpc = Plain::csv(&raw.join("dpc.csv"));
    let drugs = Plain::csv(&raw.join("drugs.csv"));
    let by_patient = patients.by("患者ID");
    let patient = |row: &plain::Row<'_>| by_patient[row.get("患者ID").unwrap()][0];
    let of = |row: &plain::Row<'_>| row.text("患者ID");
    let admissions = dpc.by("患者ID");
    let none: &[Option<f64>] = &[];
    let mut orders: std::collections::BTreeMap<String, f64> = std::collections::BTreeMap::new();
    for row in labs.rows() {
        *orders.entry(of(&row)).or_default() += 1.0;
    }
    vec![
        Question {
            sql: "SELECT sex, count(*) AS n FROM patients GROUP BY sex",
            keys: 1,
            columns: &[Rows],
            facts: patients
                .rows()
                .map(|row| fact(&[row.text("性別")], &of(&row), none))
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT age_band, sex, count(*), count(DISTINCT person_id) FROM patients GROUP BY age_band, sex",
            keys: 2,
            columns: &[Rows, Persons],
            facts: patients
                .rows()
                .map(|row| {
                    let band = age_band(&row.text("生年月日"));
                    fact(&[band, row.text("性別")], &of(&row), none)
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT prefecture, count(*) FROM patients GROUP BY prefecture",
            keys: 1,
            columns: &[Rows],
            facts: patients
                .rows()
                .map(|row| fact(&[prefecture(&row.text("住所"))], &of(&row), none))
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT date_part('year', first_visit_month) AS y, date_part('month', first_visit_month) AS m, count(*) \
                  FROM patients GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows],
            facts: patients
                .rows()
                .map(|row| {
                    let day = row.text("初診日");
                    let month = day[5..7].trim_start_matches('0').to_owned();
                    fact(&[day[..4].to_owned(), month], &of(&row), none)
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT icd10, disease_name, count(*), count(DISTINCT person_id), avg(points), sum(points) \
                  FROM dpc GROUP BY icd10, disease_name",
            keys: 2,
            columns: &[Rows, Persons, Mean(0), Sum(0)],
            facts: dpc
                .rows()
                .map(|row| {
                    let key = [row.text("ICD10"), row.text("傷病名")];
                    fact(&key, &of(&row), &[row.number("請求点数")])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT outcome, count(*), stddev_pop(points) FROM dpc GROUP BY outcome",
            keys: 1,
            columns: &[Rows, Deviation(0)],
            facts: dpc
                .rows()
                .map(|row| fact(&[row.text("転帰")], &of(&row), &[row.number("請求点数")]))
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT test_name, unit, count(value), avg(value), stddev_pop(value) FROM labs GROUP BY test_name, unit",
            keys: 2,
            columns: &[Values(0), Mean(0), Deviation(0)],
            facts: labs
                .rows()
                .map(|row| {
                    let key = [row.text("検査名"), row.text("単位")];
                    fact(&key, &of(&row), &[row.number("結果値")])
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT CASE WHEN value >= 6.5 THEN 'high' ELSE 'low' END AS hba1c, count(*), count(DISTINCT person_id) \
                  FROM labs WHERE jlac10 = '3D046000001906202' AND value IS NOT NULL GROUP BY 1",
            keys: 1,
            columns: &[Rows, Persons],
            facts: labs
                .rows()
                .filter(|row| row.get("JLAC10") == Some("3D046000001906202"))
                .filter_map(|row| {
                    let level = if row.number("結果値")? >= 6.5 {
                        "high"
                    } else {
                        "low"
                    };
                    Some(fact(&[level.to_owned()], &of(&row), none))
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT p.sex, d.icd10, count(*), avg(d.points) \
                  FROM patients p JOIN dpc d ON p.person_id = d.person_id GROUP BY p.sex, d.icd10",
            keys: 2,
            columns: &[Rows, Mean(0)],
            facts: dpc
                .rows()
                .map(|row| {
                    let key = [patient(&row).text("性別"), row.text("ICD10")];
                    fact(&key, &of(&row), &[row.number("請求点数")])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT p.age_band, count(*), count(d.points), sum(d.points) \
                  FROM patients p LEFT JOIN dpc d ON p.person_id = d.person_id GROUP BY p.age_band",
            keys: 1,
            columns: &[Rows, Values(0), Sum(0)],
            facts: patients
                .rows()
                .flat_map(|row| {
                    let key = [age_band(&row.text("生年月日"))];
                    let stays = admissions.get(row.get("患者ID").unwrap());
                    let points: Vec<Option<f64>> = match stays {
                        None => vec![None],
                        Some(stays) => stays.iter().map(|stay| stay.number("請求点数")).collect(),
                    };
                    let person = of(&row);
                    points
                        .into_iter()
                        .map(|points| fact(&key, &person, &[points]))
                        .collect::<Vec<_>>()
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT date_part('year', prescribed_on) AS y, drug_name, sum(days), avg(quantity), count(*) \
                  FROM drugs GROUP BY 1, drug_name",
            keys: 2,
            columns: &[Sum(0), Mean(1), Rows],
            facts: drugs
                .rows()
                .map(|row| {
                    let key = [row.text("処方日")[..4].to_owned(), row.text("医薬品名")];
                    fact(&key, &of(&row), &[row.number("日数"), row.number("数量")])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT count(*), count(*) FILTER (WHERE icd10 = 'C349'), count(*) FILTER (WHERE icd10 = 'I639'), \
                  sum(points) FILTER (WHERE icd10 = 'C189') FROM dpc",
            keys: 0,
            columns: &[Rows, Values(0), Values(1), Sum(2)],
            facts: dpc
                .rows()
                .map(|row| {
                    let if_is =
                        |code: &str, value| (row.get("ICD10") == Some(code)).then_some(value);
                    let points = row.number("請求点数").unwrap();
                    let values = [
                        if_is("C349", 1.0),
                        if_is("I639", 1.0),
                        if_is("C189", points),
                    ];
                    fact(&[], &of(&row), &values)
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT p.prefecture, count(*), avg(t.n) FROM patients p \
                  JOIN (SELECT person_id, count(*) AS n FROM labs GROUP BY person_id) t ON t.person_id = p.person_id \
                  GROUP BY p.prefecture",
            keys: 1,
            columns: &[Rows, Mean(0)],
            facts: orders
                .iter()
                .map(|(person, n)| {
                    let home = prefecture(&by_patient[person.as_str()][0].text("住所"));
                    fact(&[home], person, &[Some(*n)])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT sex, sum(CASE WHEN first_visit_month IS NULL THEN 0 ELSE 1 END), count(*) FROM patients GROUP BY sex",
            keys: 1,
            columns: &[Sum(0), Rows],
            facts: patients
                .rows()
                .map(|row| {
                    let known = f64::from(u8::from(row.get("初診日").is_some()));
                    fact(&[row.text("性別")], &of(&row), &[Some(known)])
                })
                .collect(),
            has_small_groups: false,
        },
    ]
}

fn gibleed(source: &Path) -> Vec<Question> {
    use Agg::{Mean, Persons, Rows, Sum};
    let table = |name: &str, columns: &[&str]| {
        Plain::parquet(&source.join(format!("{name}.parquet")), columns)
    };
    let persons = table(
        "person",
        &[
            "person_id",
            "gender_concept_id",
            "year_of_birth",
            "race_source_value",
            "ethnicity_source_value",
        ],
    );
    let visits = table(
        "visit_occurrence",
        &["visit_occurrence_id", "person_id", "visit_concept_id"],
    );
    let conditions = table(
        "condition_occurrence",
        &[
            "person_id",
            "condition_concept_id",
            "condition_start_date",
            "visit_occurrence_id",
        ],
    );
    let drugs = table(
        "drug_exposure",
        &["person_id", "drug_concept_id", "days_supply", "quantity"],
    );
    let measurements = table(
        "measurement",
        &["person_id", "measurement_concept_id", "value_as_number"],
    );
    let observations = table("observation", &["person_id", "observation_concept_id"]);
    let concepts = table("concept", &["concept_id", "concept_name"]);
    let of = |row: &plain::Row<'_>| row.text("person_id");
    let by_person = persons.by("person_id");
    let concept = concepts.by("concept_id");
    let visit = visits.by("visit_occurrence_id");
    let none: &[Option<f64>] = &[];
    let bleeders: std::collections::BTreeSet<String> = conditions
        .rows()
        .filter(|row| row.get("condition_concept_id") == Some("192671"))
        .map(|row| of(&row))
        .collect();
    assert!(bleeders.len() > 100, "GiBleed without bleeding");
    let simple = |table: &Plain, column: &str| -> Vec<Fact> {
        table
            .rows()
            .map(|row| fact(&[row.text(column)], &of(&row), none))
            .collect()
    };
    vec![
        Question {
            sql: "SELECT gender_concept_id, count(*) FROM person GROUP BY 1",
            keys: 1,
            columns: &[Rows],
            facts: simple(&persons, "gender_concept_id"),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT year_of_birth, count(*) FROM person GROUP BY year_of_birth",
            keys: 1,
            columns: &[Rows],
            facts: simple(&persons, "year_of_birth"),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT race_source_value, ethnicity_source_value, count(*), avg(2020 - year_of_birth) FROM person GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows, Mean(0)],
            facts: persons
                .rows()
                .map(|row| {
                    let key = [
                        row.text("race_source_value"),
                        row.text("ethnicity_source_value"),
                    ];
                    let age = row.number("year_of_birth").map(|year| 2020.0 - year);
                    fact(&key, &of(&row), &[age])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT condition_concept_id, count(*), count(DISTINCT person_id) FROM condition_occurrence GROUP BY 1",
            keys: 1,
            columns: &[Rows, Persons],
            facts: simple(&conditions, "condition_concept_id"),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT visit_concept_id, count(*), count(DISTINCT person_id) FROM visit_occurrence GROUP BY 1",
            keys: 1,
            columns: &[Rows, Persons],
            facts: simple(&visits, "visit_concept_id"),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT drug_concept_id, count(*), sum(days_supply), avg(quantity) FROM drug_exposure GROUP BY 1",
            keys: 1,
            columns: &[Rows, Sum(0), Mean(1)],
            facts: drugs
                .rows()
                .map(|row| {
                    let values = [row.number("days_supply"), row.number("quantity")];
                    fact(&[row.text("drug_concept_id")], &of(&row), &values)
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT measurement_concept_id, count(*), avg(value_as_number) FROM measurement GROUP BY 1",
            keys: 1,
            columns: &[Rows, Mean(0)],
            facts: measurements
                .rows()
                .map(|row| {
                    let key = [row.text("measurement_concept_id")];
                    fact(&key, &of(&row), &[row.number("value_as_number")])
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT observation_concept_id, count(*) FROM observation GROUP BY 1",
            keys: 1,
            columns: &[Rows],
            facts: simple(&observations, "observation_concept_id"),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT p.gender_concept_id, date_part('year', c.condition_start_date) AS y, count(*), count(DISTINCT p.person_id) \
                  FROM person p JOIN condition_occurrence c ON c.person_id = p.person_id GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows, Persons],
            facts: conditions
                .rows()
                .map(|row| {
                    let person = by_person[row.get("person_id").unwrap()][0];
                    let year = row.text("condition_start_date")[..4].to_owned();
                    fact(&[person.text("gender_concept_id"), year], &of(&row), none)
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT n.concept_name, count(*), count(DISTINCT o.person_id) FROM condition_occurrence o \
                  JOIN concept n ON n.concept_id = o.condition_concept_id GROUP BY n.concept_name",
            keys: 1,
            columns: &[Rows, Persons],
            facts: conditions
                .rows()
                .flat_map(|row| {
                    let names = concept.get(row.get("condition_concept_id").unwrap());
                    let person = of(&row);
                    names
                        .into_iter()
                        .flatten()
                        .map(|name| fact(&[name.text("concept_name")], &person, none))
                        .collect::<Vec<_>>()
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT v.visit_concept_id, o.condition_concept_id, count(*) FROM condition_occurrence o \
                  JOIN visit_occurrence v ON v.visit_occurrence_id = o.visit_occurrence_id AND v.person_id = o.person_id \
                  GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows],
            facts: conditions
                .rows()
                .flat_map(|row| {
                    let found = row.get("visit_occurrence_id").and_then(|id| visit.get(id));
                    let condition = row.text("condition_concept_id");
                    let person = of(&row);
                    found
                        .into_iter()
                        .flatten()
                        .filter(|visit| visit.text("person_id") == person)
                        .map(|visit| {
                            let key = [visit.text("visit_concept_id"), condition.clone()];
                            fact(&key, &person, none)
                        })
                        .collect::<Vec<_>>()
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT gender_concept_id, count(*), avg(year_of_birth) FROM person WHERE person_id IN \
                  (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 192671) GROUP BY 1",
            keys: 1,
            columns: &[Rows, Mean(0)],
            facts: persons
                .rows()
                .filter(|row| bleeders.contains(&of(row)))
                .map(|row| {
                    let key = [row.text("gender_concept_id")];
                    fact(&key, &of(&row), &[row.number("year_of_birth")])
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT d.drug_concept_id, count(DISTINCT d.person_id) FROM drug_exposure d \
                  WHERE EXISTS (SELECT 1 FROM condition_occurrence c \
                                WHERE c.person_id = d.person_id AND c.condition_concept_id = 192671) \
                  GROUP BY d.drug_concept_id",
            keys: 1,
            columns: &[Persons],
            facts: drugs
                .rows()
                .filter(|row| bleeders.contains(&of(row)))
                .map(|row| fact(&[row.text("drug_concept_id")], &of(&row), none))
                .collect(),
            has_small_groups: true,
        },
    ]
}

/// Asks each question and compares each cell.
fn ask(connection: &Connection, questions: &[Question]) {
    assert!(questions.len() >= 12);
    let mut small = 0;
    let mut flags = Vec::new();
    for question in questions {
        let expected = expected(&question.facts, question.columns);
        if expected.withheld.is_empty() == question.has_small_groups {
            flags.push((question.sql, expected.withheld.clone()));
        }
        small += expected.withheld.len();
        assert!(!expected.shown.is_empty(), "{} shows nothing", question.sql);
        let output = connection.run(&format!("sql {}", question.sql));
        shown::compare(question.sql, &output, question.keys, &expected);
    }
    assert!(
        flags.is_empty(),
        "the control: which have small groups: {flags:?}"
    );
    assert!(small > 10, "the control: hardly any group is small");
}

/// What is above the aggregate sees only what may be shown.
fn order_and_limit_see_only_what_is_shown(connection: &Connection, raw: &Path) {
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
    ask(&english, &sample(&raw));
    order_and_limit_see_only_what_is_shown(&english, &raw);
    println!("sample: {:?}", clock.elapsed());

    let clock = Instant::now();
    let omop = world.connect("r1+omop-2026");
    ask(&omop, &gibleed(&repository().join("tests/data/gibleed")));
    drop(omop);
    println!("gibleed: {:?}", clock.elapsed());

    let clock = Instant::now();
    let japanese = world.connect("sato");
    refusals::each_is_said_where_and_recorded(&world, &english, &japanese, &raw);
    println!("refusals: {:?}", clock.elapsed());
    commands_work(&world, &english);
}
