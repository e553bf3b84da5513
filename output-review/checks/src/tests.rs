//! Each test name is a claim about what a table may or may not do.

use kekkai_output::{
    Aggregate, Cell, Column, ColumnKind, Evidence, Lineage, Suppression, Table, Value, ValueType,
};
use kekkai_types::{DatasetId, Digest, Lang};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::{FINDINGS_PER_RULE_MAX, Place, Profile, ProfileName, Report, Rule, Verdict, check};

fn key(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        value_type: ValueType::Text,
        kind: ColumnKind::Key,
    }
}

fn statistic(name: &str, aggregate: Aggregate) -> Column {
    let value_type = match aggregate {
        Aggregate::Count | Aggregate::CountDistinct => ValueType::Int,
        _ => ValueType::Float,
    };
    Column {
        name: name.to_owned(),
        value_type,
        kind: ColumnKind::Statistic(vec![aggregate]),
    }
}

fn name(text: &str) -> Cell {
    Cell::Key(Value::Text(text.to_owned()))
}

fn count(value: i64, contributors: u64) -> Cell {
    Cell::Shown {
        value: Value::Int(value),
        evidence: Evidence {
            contributors,
            largest_permille: 0,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        },
    }
}

fn magnitude(value: f64, largest: u32, second: u32) -> Cell {
    Cell::Shown {
        value: Value::Float(value),
        evidence: Evidence {
            contributors: 50,
            largest_permille: largest,
            second_permille: second,
            zeros: 0,
            missing: 0,
        },
    }
}

const HIDDEN: Cell = Cell::Suppressed(Suppression::Threshold);

fn table(columns: Vec<Column>, rows: Vec<Vec<Cell>>) -> Table {
    Table {
        columns,
        rows,
        groups_withheld: 0,
        lineage: Lineage {
            sql: "SELECT 1".to_owned(),
            datasets: vec![(DatasetId::new("hospital").unwrap(), 1)],
            threshold: 10,
            dominance_permille: 500,
            engine: "engine 0".to_owned(),
            policy: Digest::of(b"terms"),
        },
    }
}

fn strict() -> Profile {
    ProfileName::Strict.profile()
}

fn rules(report: &Report) -> Vec<Rule> {
    let mut rules: Vec<Rule> = report.findings.iter().map(|f| f.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn plain_counts_over_the_threshold_pass() {
    let table = table(
        vec![key("region"), statistic("patients", Aggregate::Count)],
        vec![
            vec![name("東"), count(120, 100)],
            vec![name("西"), count(90, 80)],
        ],
    );
    for profile in ProfileName::ALL {
        let report = check(&table, &profile.profile());
        assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
        assert!(report.findings.is_empty());
    }
}

#[test]
fn cell_under_the_threshold_fails_at_its_place() {
    let columns = vec![key("region"), statistic("patients", Aggregate::Count)];
    let at = |contributors| {
        check(
            &table(
                columns.clone(),
                vec![
                    vec![name("東"), count(500, 40)],
                    vec![name("西"), count(500, contributors)],
                ],
            ),
            &strict(),
        )
    };
    assert_eq!(at(10).verdict, Verdict::Pass);
    let report = at(9);
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.findings[0].rule, Rule::Threshold);
    assert_eq!(report.findings[0].place, Place::cell(1, 1));
}

#[test]
fn dominance_of_one_and_of_two_fails_only_over_the_limits() {
    let columns = vec![key("region"), statistic("points", Aggregate::Sum)];
    let at = |largest, second| {
        check(
            &table(
                columns.clone(),
                vec![vec![name("東"), magnitude(9.5, largest, second)]],
            ),
            &strict(),
        )
    };
    assert_eq!(at(500, 250).verdict, Verdict::Pass);
    assert_eq!(rules(&at(501, 10)), [Rule::DominanceOne]);
    assert_eq!(rules(&at(400, 351)), [Rule::DominanceTwo]);
    assert_eq!(at(501, 10).verdict, Verdict::Fail);
}

#[test]
fn evidence_that_contradicts_itself_fails() {
    let columns = vec![key("region"), statistic("points", Aggregate::Mean)];
    for (largest, second) in [(100, 101), (1_001, 0), (600, 500), (u32::MAX, u32::MAX)] {
        let report = check(
            &table(
                columns.clone(),
                vec![vec![name("東"), magnitude(1.0, largest, second)]],
            ),
            &ProfileName::Acro.profile(),
        );
        assert_eq!(report.verdict, Verdict::Fail, "{largest} {second}");
    }
    let report = check(
        &table(columns, vec![vec![name("東"), magnitude(1.0, 0, 0)]]),
        &strict(),
    );
    assert_eq!(report.verdict, Verdict::Review);
}

#[test]
fn statistic_without_evidence_fails() {
    let table = table(
        vec![statistic("n", Aggregate::Count)],
        vec![vec![Cell::Key(Value::Int(3))]],
    );
    assert_eq!(check(&table, &strict()).verdict, Verdict::Fail);
}

#[test]
fn group_name_that_nothing_proves_fails_when_the_engine_had_a_lower_threshold() {
    let mut table = table(
        vec![key("region"), statistic("n", Aggregate::Count)],
        vec![vec![name("東"), HIDDEN], vec![name("西"), count(20, 20)]],
    );
    assert!(!rules(&check(&table, &strict())).contains(&Rule::GroupName));
    table.lineage.threshold = 5;
    let report = check(&table, &strict());
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.findings[0].place, Place::row(0));
}

#[test]
fn only_hidden_cell_beside_its_total_is_reviewed() {
    let counts = ["all", "male", "female"].map(|n| statistic(n, Aggregate::Count));
    let columns: Vec<Column> = std::iter::once(key("region")).chain(counts).collect();
    let report = check(
        &table(
            columns.clone(),
            vec![vec![name("東"), count(100, 100), count(60, 60), HIDDEN]],
        ),
        &ProfileName::Acro.profile(),
    );
    assert_eq!(rules(&report), [Rule::Difference]);
    assert_eq!(report.verdict, Verdict::Review);
    assert_eq!(report.findings[0].place, Place::cell(0, 3));
    // Two hidden cells share the difference; 40 is enough for two.
    let report = check(
        &table(
            columns,
            vec![vec![name("東"), count(100, 100), HIDDEN, HIDDEN]],
        ),
        &ProfileName::Acro.profile(),
    );
    assert_eq!(report.verdict, Verdict::Pass);
}

#[test]
fn hidden_cells_that_add_up_to_a_few_are_reviewed() {
    let counts = ["all", "a", "b", "c", "d"].map(|n| statistic(n, Aggregate::Count));
    let columns: Vec<Column> = std::iter::once(key("region")).chain(counts).collect();
    let at = |all| {
        check(
            &table(
                columns.clone(),
                vec![vec![
                    name("東"),
                    count(all, 100),
                    count(60, 60),
                    count(30, 30),
                    HIDDEN,
                    HIDDEN,
                ]],
            ),
            &ProfileName::Acro.profile(),
        )
        .verdict
    };
    assert_eq!(at(99), Verdict::Review);
    assert_eq!(at(100), Verdict::Pass);
}

#[test]
fn only_hidden_row_under_a_total_row_is_reviewed() {
    let columns = vec![key("region"), key("sex"), statistic("n", Aggregate::Count)];
    for total in [Cell::Key(Value::Null), name("合計"), name("Total")] {
        let report = check(
            &table(
                columns.clone(),
                vec![
                    vec![name("東"), name("男"), count(60, 60)],
                    vec![name("東"), name("女"), HIDDEN],
                    vec![name("東"), total, count(66, 66)],
                    vec![name("西"), name("男"), count(70, 70)],
                ],
            ),
            &ProfileName::Ndb.profile(),
        );
        assert_eq!(rules(&report), [Rule::Difference]);
        assert_eq!(report.findings[0].place, Place::cell(1, 2));
    }
}

#[test]
fn single_withheld_group_is_reviewed_and_several_are_noticed() {
    let mut table = table(
        vec![key("region"), statistic("n", Aggregate::Count)],
        vec![vec![name("東"), count(60, 60)]],
    );
    table.groups_withheld = 1;
    assert_eq!(check(&table, &strict()).verdict, Verdict::Review);
    table.groups_withheld = 2;
    let report = check(&table, &strict());
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(rules(&report), [Rule::Withheld]);
}

#[test]
fn near_counts_are_reviewed_under_the_strict_profile() {
    let table = table(
        vec![
            key("r"),
            statistic("a", Aggregate::Count),
            statistic("b", Aggregate::Count),
        ],
        vec![vec![name("東"), count(100, 100), count(99, 99)]],
    );
    assert_eq!(check(&table, &strict()).verdict, Verdict::Review);
    assert_eq!(
        check(&table, &ProfileName::Acro.profile()).verdict,
        Verdict::Pass
    );
}

#[test]
fn identifiers_in_group_names_are_reviewed() {
    for text in [
        "yamada@example.jp",
        "090-1234-5678",
        "09012345678",
        "０９０１２３４５６７８",
        "03-1234-5678",
        // The example of the check digit in the ministry's ordinance has this form.
        "123456789018",
        "1234 5678 9018",
        "4111 1111 1111 1111",
        "0123456789abcdef0123456789abcdef",
        "01234567-89ab-cdef-0123-456789abcdef",
    ] {
        let report = check(
            &table(
                vec![key("k"), statistic("n", Aggregate::Count)],
                vec![vec![name(text), count(60, 60)]],
            ),
            &ProfileName::Acro.profile(),
        );
        assert_eq!(rules(&report), [Rule::Identifier], "{text}");
        assert_eq!(report.verdict, Verdict::Review, "{text}");
    }
}

#[test]
fn codes_and_names_of_diseases_and_drugs_pass() {
    for text in [
        "E119",
        "2149039F1031",
        "3D045000001906202",
        "２型糖尿病・糖尿病性合併症なし",
        "アムロジピン錠5mg",
        "2024-04",
        "男",
        "70-74",
        "123456789012",
        "1130000",
        "Acute viral pharyngitis",
        "-5",
        "0010",
    ] {
        let report = check(
            &table(
                vec![key("k"), statistic("n", Aggregate::Count)],
                vec![vec![name(text), count(60, 60)]],
            ),
            &strict(),
        );
        assert_eq!(report.verdict, Verdict::Pass, "{text}: {report:?}");
    }
}

#[test]
fn prose_formulas_and_invisible_text_are_reviewed() {
    let long = "患者".repeat(31);
    for (text, rule) in [
        (long.as_str(), Rule::FreeText),
        ("来院時発熱あり。", Rule::FreeText),
        ("=HYPERLINK(\"x\")", Rule::ActiveText),
        ("+cmd", Rule::ActiveText),
        ("東\u{202e}西", Rule::ActiveText),
        ("東\u{200b}", Rule::ActiveText),
    ] {
        let by_cell = check(
            &table(
                vec![key("k"), statistic("n", Aggregate::Count)],
                vec![vec![name(text), count(60, 60)]],
            ),
            &strict(),
        );
        assert_eq!(rules(&by_cell), [rule], "{text}");
        // A column's name leaves as well.
        let by_header = check(
            &table(
                vec![key(text), statistic("n", Aggregate::Count)],
                vec![vec![name("東"), count(60, 60)]],
            ),
            &strict(),
        );
        assert_eq!(rules(&by_header), [rule], "{text}");
    }
}

#[test]
fn what_is_not_recognised_is_reviewed() {
    let unknown = Column {
        name: "x".to_owned(),
        value_type: ValueType::Int,
        kind: ColumnKind::Statistic(vec![]),
    };
    let cases = [
        table(vec![unknown], vec![vec![count(60, 60)]]),
        table(vec![key("only names")], vec![vec![name("東")]]),
        table(
            vec![statistic("n", Aggregate::Count)],
            vec![vec![Cell::Shown {
                value: Value::Text("sixty".to_owned()),
                evidence: Evidence {
                    contributors: 60,
                    largest_permille: 0,
                    second_permille: 0,
                    zeros: 0,
                    missing: 0,
                },
            }]],
        ),
        table(
            vec![statistic("m", Aggregate::Spread)],
            vec![vec![magnitude(f64::NAN, 0, 0)]],
        ),
    ];
    for case in cases {
        let report = check(&case, &ProfileName::Acro.profile());
        assert_eq!(report.verdict, Verdict::Review, "{case:?}");
        assert!(rules(&report).contains(&Rule::Unrecognised));
    }
}

#[test]
fn digits_beyond_need_and_large_tables_are_noticed() {
    let table = table(
        vec![key("r"), statistic("mean", Aggregate::Mean)],
        vec![vec![name("東"), magnitude(1.234_567_89, 20, 20)]],
    );
    assert_eq!(rules(&check(&table, &strict())), [Rule::Precision]);
    let mut small = strict();
    small.cells_max = 1;
    assert!(rules(&check(&table, &small)).contains(&Rule::Size));
}

#[test]
fn ragged_table_fails_without_a_panic() {
    let table = table(
        vec![key("r"), statistic("n", Aggregate::Count)],
        vec![vec![name("東")]],
    );
    assert_eq!(rules(&check(&table, &strict())), [Rule::Shape]);
}

#[test]
fn many_findings_are_bounded_and_keep_the_worst_verdict() {
    // The last row is the only failure, and far beyond the bound.
    let mut rows = vec![vec![name("a"), magnitude(1.0, 0, 0)]; FINDINGS_PER_RULE_MAX * 3];
    rows.push(vec![name("a"), magnitude(1.0, 1_001, 0)]);
    let report = check(
        &table(vec![key("r"), statistic("m", Aggregate::Mean)], rows),
        &strict(),
    );
    assert_eq!(report.verdict, Verdict::Fail);
    let evidence = report
        .findings
        .iter()
        .filter(|f| f.rule == Rule::Evidence)
        .count();
    assert_eq!(evidence, FINDINGS_PER_RULE_MAX + 1);
}

#[test]
fn findings_speak_both_languages_and_quote_no_count() {
    let counts = ["a", "b", "c"].map(|n| statistic(n, Aggregate::Count));
    let columns: Vec<Column> = std::iter::once(key("region")).chain(counts).collect();
    let mut table = table(
        columns,
        vec![vec![
            name("x@y.jp"),
            count(7_777, 7),
            count(7_771, 7),
            HIDDEN,
        ]],
    );
    table.groups_withheld = 1;
    let report = check(&table, &strict());
    assert!(report.findings.len() > 3);
    for finding in &report.findings {
        assert!(
            finding.text.ja.chars().any(|c| ('ぁ'..='ん').contains(&c)),
            "{finding:?}"
        );
        assert!(finding.text.en.is_ascii(), "{finding:?}");
        for text in [&finding.text.ja, &finding.text.en] {
            assert!(!text.contains('7') && !text.contains("x@y"), "{text}");
        }
    }
    for rule in Rule::ALL {
        assert!(!rule.title(Lang::Ja).is_ascii());
        assert!(rule.title(Lang::En).is_ascii());
    }
}

#[test]
fn profiles_have_hashes_of_their_own_that_every_number_changes() {
    let mut hashes: Vec<Digest> = ProfileName::ALL
        .iter()
        .map(|p| p.profile().hash())
        .collect();
    let mut changed = strict();
    changed.contributors_min += 1;
    hashes.push(changed.hash());
    let mut changed = strict();
    changed.decimals_max += 1;
    hashes.push(changed.hash());
    let all = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), all);
    assert_eq!(Profile::named("ndb").unwrap().name, ProfileName::Ndb);
    assert!(Profile::named("lenient").is_err());
}

// Properties, from a seed that is printed and can be given again.

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-5_i64..200).prop_map(Value::Int),
        (-10.0_f64..1_000.0).prop_map(Value::Float),
        "[ -~あ-ん]{0,12}".prop_map(Value::Text),
    ]
}

fn any_cell() -> impl Strategy<Value = Cell> {
    let evidence = (0_u64..40, 0_u32..1_100, 0_u32..600).prop_map(
        |(contributors, largest_permille, second_permille)| Evidence {
            contributors,
            largest_permille,
            second_permille,
            zeros: 0,
            missing: 0,
        },
    );
    prop_oneof![
        any_value().prop_map(Cell::Key),
        (any_value(), evidence).prop_map(|(value, evidence)| Cell::Shown { value, evidence }),
        Just(HIDDEN),
        Just(Cell::Suppressed(Suppression::Dominance)),
    ]
}

fn any_column() -> impl Strategy<Value = Column> {
    let kind = prop_oneof![
        Just(ColumnKind::Key),
        proptest::collection::vec(
            prop_oneof![
                Just(Aggregate::Count),
                Just(Aggregate::CountDistinct),
                Just(Aggregate::Sum),
                Just(Aggregate::Mean),
                Just(Aggregate::Spread),
            ],
            0..3
        )
        .prop_map(ColumnKind::Statistic),
    ];
    let value_type = prop_oneof![
        Just(ValueType::Bool),
        Just(ValueType::Int),
        Just(ValueType::Float),
        Just(ValueType::Text)
    ];
    ("[a-z]{1,8}", value_type, kind).prop_map(|(name, value_type, kind)| Column {
        name,
        value_type,
        kind,
    })
}

fn any_table() -> impl Strategy<Value = Table> {
    (1_usize..6).prop_flat_map(|width| {
        (
            proptest::collection::vec(any_column(), width),
            proptest::collection::vec(proptest::collection::vec(any_cell(), width), 0..12),
            0_u64..3,
            0_u32..20,
        )
            .prop_map(|(columns, rows, withheld, threshold)| {
                let mut table = table(columns, rows);
                table.groups_withheld = withheld;
                table.lineage.threshold = threshold;
                table
            })
    })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    (
        proptest::sample::select(ProfileName::ALL.to_vec()),
        0_u32..40,
        0_u32..1_001,
        0_u32..1_001,
    )
        .prop_map(
            |(name, contributors_min, largest_permille_max, top_two_permille_max)| Profile {
                contributors_min,
                largest_permille_max,
                top_two_permille_max,
                ..name.profile()
            },
        )
}

/// Runs a property from `KEKKAI_SEED`, or from a fresh seed that a failure prints.
fn holds<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = std::env::var("KEKKAI_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| {
            let digest = Digest::of(format!("{:?}", std::time::SystemTime::now()).as_bytes());
            u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap())
        });
    println!("replay with KEKKAI_SEED={seed}");
    let config = Config {
        cases: 400,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&strategy, property)
        .unwrap_or_else(|e| panic!("KEKKAI_SEED={seed}: {e}"));
}

#[test]
fn stricter_numbers_never_turn_a_table_better() {
    holds(
        (any_table(), any_profile(), 0_u32..20, 0_u32..500),
        |(table, loose, more, less)| {
            let mut tight = loose.clone();
            tight.contributors_min += more;
            tight.largest_permille_max = tight.largest_permille_max.saturating_sub(less);
            tight.top_two_permille_max = tight.top_two_permille_max.saturating_sub(less);
            prop_assert!(check(&table, &tight).verdict >= check(&table, &loose).verdict);
            Ok(())
        },
    );
}

#[test]
fn fewer_contributors_never_turn_a_table_better() {
    holds(
        (any_table(), any_profile(), 0_u64..40),
        |(table, profile, fewer)| {
            let before = check(&table, &profile).verdict;
            let mut worse = table;
            for cell in worse.rows.iter_mut().flatten() {
                if let Cell::Shown { evidence, .. } = cell {
                    evidence.contributors = evidence.contributors.saturating_sub(fewer);
                }
            }
            prop_assert!(check(&worse, &profile).verdict >= before);
            Ok(())
        },
    );
}

#[test]
fn order_of_rows_changes_no_verdict() {
    holds((any_table(), any_profile()), |(table, profile)| {
        let mut turned = table.clone();
        turned.rows.reverse();
        prop_assert_eq!(
            check(&table, &profile).verdict,
            check(&turned, &profile).verdict
        );
        Ok(())
    });
}

#[test]
fn no_cell_under_the_threshold_ever_gets_through() {
    holds((any_table(), any_profile()), |(table, profile)| {
        let has_small = table.rows.iter().flatten().any(
            |cell| matches!(cell, Cell::Shown { evidence, .. } if evidence.contributors < u64::from(profile.contributors_min)),
        );
        let report = check(&table, &profile);
        prop_assert!(!has_small || report.verdict == Verdict::Fail);
        prop_assert_eq!(
            report.verdict,
            report
                .findings
                .iter()
                .map(|f| f.verdict)
                .max()
                .unwrap_or(Verdict::Pass)
        );
        prop_assert_eq!(check(&table, &profile), report);
        Ok(())
    });
}
