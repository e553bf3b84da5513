//! Contributors and shares, counted by the engine and by nothing but loops, over generated tables.
//!
//! `KEKKAI_SEED=… cargo test -p kekkai-engine --test contributors` replays a run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking; its numbers are small"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use common::{plain_file, run_on, source, terms};
use kekkai_engine::Session;
use kekkai_output::{Cell, Suppression, Table, Value};

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A visit: person, ward, dose, flag.
#[derive(Debug, Clone)]
struct Visit {
    person: Option<u64>,
    ward: Option<i64>,
    dose: Option<f64>,
    flag: i64,
}

fn visits(random: &mut Random) -> Vec<Visit> {
    let rows = random.below(4000) + 1;
    let persons = random.below(300) + 1;
    let wards = random.below(40) + 1;
    (0..rows)
        .map(|_| Visit {
            person: (!random.chance(2))
                .then(|| random.below(persons) * random.below(persons) / persons),
            ward: (!random.chance(3))
                .then(|| (random.below(wards) * random.below(wards) / wards) as i64),
            dose: (!random.chance(20)).then(|| {
                let dose = random.below(1000) as f64 / 7.0;
                match random.below(40) {
                    0 => dose * 10_000.0,
                    1..=10 => -dose,
                    _ => dose,
                }
            }),
            flag: random.below(2) as i64,
        })
        .collect()
}

fn batch(visits: &[Visit]) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("pid", DataType::Utf8, true),
        Field::new("ward", DataType::Int64, true),
        Field::new("dose", DataType::Float64, true),
        Field::new("flag", DataType::Int64, true),
    ]));
    RecordBatch::try_new(
        schema,
        vec![
            Arc::new(StringArray::from_iter(
                visits
                    .iter()
                    .map(|v| v.person.map(|p| format!("pseudonym-{p:04}"))),
            )),
            Arc::new(Int64Array::from_iter(visits.iter().map(|v| v.ward))),
            Arc::new(Float64Array::from_iter(visits.iter().map(|v| v.dose))),
            Arc::new(Int64Array::from_iter(visits.iter().map(|v| Some(v.flag)))),
        ],
    )
    .unwrap()
}

#[derive(Default)]
struct Ward {
    rows: i64,
    persons: BTreeSet<u64>,
    flagged: BTreeSet<u64>,
    flagged_rows: i64,
    doses: BTreeMap<u64, f64>,
    total: f64,
    dosed_rows: i64,
    rows_of: BTreeMap<u64, f64>,
    dosed_of: BTreeMap<u64, f64>,
    flagged_of: BTreeMap<u64, f64>,
}

fn by_ward(visits: &[Visit]) -> BTreeMap<Option<i64>, Ward> {
    let mut wards: BTreeMap<Option<i64>, Ward> = BTreeMap::new();
    for visit in visits {
        // A row that names nobody counts for nobody and in nothing.
        let Some(person) = visit.person else { continue };
        let ward = wards.entry(visit.ward).or_default();
        ward.rows += 1;
        ward.persons.insert(person);
        *ward.rows_of.entry(person).or_default() += 1.0;
        if visit.flag == 1 {
            ward.flagged_rows += 1;
            ward.flagged.insert(person);
            *ward.flagged_of.entry(person).or_default() += 1.0;
        }
        if let Some(dose) = visit.dose {
            *ward.doses.entry(person).or_default() += dose.abs();
            ward.total += dose;
            ward.dosed_rows += 1;
            *ward.dosed_of.entry(person).or_default() += 1.0;
        }
    }
    wards
}

fn shares(doses: &BTreeMap<u64, f64>) -> (f64, f64) {
    let total: f64 = doses.values().sum();
    let mut sorted: Vec<f64> = doses.values().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let share = |i: usize| {
        sorted
            .get(i)
            .map_or(0.0, |x| if total > 0.0 { x / total * 1000.0 } else { 0.0 })
    };
    (share(0), share(1))
}

fn key(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Key(Value::Int(ward)) => Some(*ward),
        Cell::Key(Value::Null) => None,
        other => panic!("{other:?}"),
    }
}

const THRESHOLD: usize = 10;
const DOMINANCE: f64 = 300.0;

fn check(table: &Table, wards: &BTreeMap<Option<i64>, Ward>, seed: u64) {
    let shown: BTreeMap<Option<i64>, &Vec<Cell>> =
        table.rows.iter().map(|row| (key(&row[0]), row)).collect();
    assert_eq!(shown.len(), table.rows.len(), "seed {seed}: a ward twice");
    let mut withheld = 0;
    let mut in_withheld: BTreeSet<u64> = BTreeSet::new();
    for (name, ward) in wards {
        let Some(row) = shown.get(name) else {
            assert!(
                ward.persons.len() < THRESHOLD,
                "seed {seed}: ward {name:?} is missing"
            );
            withheld += 1;
            in_withheld.extend(&ward.persons);
            continue;
        };
        assert!(
            ward.persons.len() >= THRESHOLD,
            "seed {seed}: ward {name:?} is shown"
        );
        let cell =
            |i: usize, contributors: usize, doses: Option<&BTreeMap<u64, f64>>, value: f64| {
                let (largest, second) = doses.map_or((0.0, 0.0), shares);
                match &row[i] {
                    Cell::Suppressed(Suppression::Threshold) => {
                        assert!(
                            contributors < THRESHOLD,
                            "seed {seed}: {name:?} {i} suppressed with {contributors}"
                        );
                    }
                    Cell::Suppressed(Suppression::Dominance) => {
                        assert!(contributors >= THRESHOLD, "seed {seed}");
                        assert!(
                            largest > DOMINANCE - 1.0,
                            "seed {seed}: {name:?} {i} suppressed with {largest}"
                        );
                    }
                    Cell::Shown {
                        value: found,
                        evidence,
                    } => {
                        assert!(
                            contributors >= THRESHOLD,
                            "seed {seed}: {name:?} {i} shown with {contributors}"
                        );
                        assert_eq!(
                            evidence.contributors, contributors as u64,
                            "seed {seed}: {name:?} {i}"
                        );
                        assert!(
                            largest <= DOMINANCE + 1e-6,
                            "seed {seed}: {name:?} {i} shown with {largest}"
                        );
                        // Rounded up; summing in another order may cross a whole permille.
                        let near = |found: u32, exact: f64| {
                            f64::from(found) >= exact - 1e-6
                                && f64::from(found) <= exact + 1.0 + 1e-6
                        };
                        assert!(
                            near(evidence.largest_permille, largest),
                            "seed {seed}: {evidence:?} {largest}"
                        );
                        assert!(
                            near(evidence.second_permille, second),
                            "seed {seed}: {evidence:?} {second}"
                        );
                        let found = match found {
                            Value::Int(n) => *n as f64,
                            Value::Float(x) => *x,
                            other => panic!("{other:?}"),
                        };
                        assert!(
                            (found - value).abs() <= 1e-6 * value.abs().max(1.0),
                            "seed {seed}: {found} {value}"
                        );
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            };
        cell(1, ward.persons.len(), Some(&ward.rows_of), ward.rows as f64);
        cell(
            2,
            ward.doses.len(),
            Some(&ward.dosed_of),
            ward.dosed_rows as f64,
        );
        cell(
            3,
            ward.flagged.len(),
            Some(&ward.flagged_of),
            ward.flagged_rows as f64,
        );
        cell(4, ward.doses.len(), Some(&ward.doses), ward.total);
        cell(
            5,
            ward.doses.len(),
            Some(&ward.doses),
            ward.total / ward.dosed_rows as f64,
        );
    }
    let told = if in_withheld.len() >= THRESHOLD {
        withheld
    } else {
        0
    };
    assert_eq!(table.groups_withheld, told, "seed {seed}");
}

fn seeds() -> Vec<u64> {
    match std::env::var("KEKKAI_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64;
            (0..25).map(|i| now.wrapping_add(i * 7919)).collect()
        }
    }
}

#[test]
fn contributors_and_shares_equal_brute_force() {
    for seed in seeds() {
        println!("KEKKAI_SEED={seed}");
        let mut random = Random(seed);
        let visits = visits(&mut random);
        let mut terms = terms();
        terms.threshold = THRESHOLD as u32;
        terms.dominance_permille = DOMINANCE as u32;
        terms.threads = 1 + (seed % 3) as usize;
        let file = plain_file(&batch(&visits));
        let session = Arc::new(
            Session::new(terms, vec![source("made", "visit", file, Some("pid"), &[])]).unwrap(),
        );
        let columns =
            "count(*), count(dose), count(*) FILTER (WHERE flag = 1), sum(dose), avg(dose)";
        let table = run_on(
            &session,
            &format!("SELECT ward, {columns} FROM visit GROUP BY ward"),
        )
        .unwrap();
        let wards = by_ward(&visits);
        check(&table, &wards, seed);
        // The same through a subquery, and joined with itself on nothing but the person.
        let through = run_on(
            &session,
            &format!("WITH v AS (SELECT ward AS w, dose, flag FROM visit) SELECT w, {columns} FROM v GROUP BY w"),
        )
        .unwrap();
        check(&through, &wards, seed);
        let distinct = run_on(
            &session,
            &format!(
                "SELECT a.ward, {} FROM visit a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.pid = a.pid) GROUP BY 1",
                columns
            ),
        )
        .unwrap();
        check(&distinct, &wards, seed);
    }
}

#[test]
fn two_persons_in_a_row_count_by_the_smaller_number() {
    for seed in seeds().into_iter().take(5) {
        println!("KEKKAI_SEED={seed}");
        let mut random = Random(seed);
        let visits = visits(&mut random);
        let file = plain_file(&batch(&visits));
        let session = Arc::new(
            Session::new(
                terms(),
                vec![source("made", "visit", file, Some("pid"), &[])],
            )
            .unwrap(),
        );
        // Everybody who was on a ward with everybody whose dose was high.
        let table = run_on(
            &session,
            "SELECT a.ward, count(*) FROM visit a JOIN visit b ON a.ward = b.ward AND b.dose > 140 GROUP BY 1",
        )
        .unwrap();
        let mut expected: BTreeMap<i64, (i64, BTreeSet<u64>, BTreeSet<u64>)> = BTreeMap::new();
        for a in visits.iter().filter(|v| v.person.is_some()) {
            for b in visits
                .iter()
                .filter(|v| v.person.is_some() && v.dose.is_some_and(|d| d > 140.0))
            {
                if let (Some(x), Some(y)) = (a.ward, b.ward)
                    && x == y
                {
                    let entry = expected.entry(x).or_default();
                    entry.0 += 1;
                    entry.1.insert(a.person.unwrap());
                    entry.2.insert(b.person.unwrap());
                }
            }
        }
        let expected: Vec<(i64, i64, u64)> = expected
            .into_iter()
            .map(|(ward, (n, a, b))| (ward, n, a.len().min(b.len()) as u64))
            .filter(|(.., contributors)| *contributors >= 10)
            .collect();
        let found: Vec<(i64, i64, u64)> = table
            .rows
            .iter()
            .map(|row| match &row[1] {
                Cell::Shown {
                    value: Value::Int(n),
                    evidence,
                } => (key(&row[0]).unwrap(), *n, evidence.contributors),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}

#[test]
fn files_that_disagree_do_not_load() {
    let visits = visits(&mut Random(1));
    let one = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("pid"),
        &[],
    );
    let mut missing = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("pid"),
        &[],
    );
    missing.columns[0].name = "nobody".to_owned();
    assert!(Session::new(terms(), vec![missing]).is_err());
    let mut wrong = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("pid"),
        &[],
    );
    wrong.columns[1].sql_type = Some("text".to_owned());
    assert!(Session::new(terms(), vec![wrong]).is_err());
    let keyless = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("dose"),
        &[],
    );
    assert!(Session::new(terms(), vec![keyless]).is_err());
    let nobody = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("who"),
        &[],
    );
    assert!(Session::new(terms(), vec![nobody]).is_err());
    let again = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("pid"),
        &[],
    );
    assert!(Session::new(terms(), vec![one, again]).is_err());
    let broken = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("pid"),
        &[],
    );
    broken.files[0].file.set_len(100).unwrap();
    assert!(Session::new(terms(), vec![broken]).is_err());
    // A person key that is not granted is counted by, and can't be named.
    let mut hidden = source(
        "made",
        "visit",
        plain_file(&batch(&visits)),
        Some("pid"),
        &["pid"],
    );
    hidden.columns.retain(|column| column.name != "pid");
    let session = Arc::new(Session::new(terms(), vec![hidden]).unwrap());
    run_on(&session, "SELECT count(*) FROM visit").unwrap();
    assert!(run_on(&session, "SELECT count(pid) FROM visit").is_err());
}
