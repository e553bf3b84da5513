//! Ways to make one person look like many: each shows what is counted then, or is refused with a place.

use std::sync::{Arc, OnceLock};

use kekkai_analysis_api::SqlErrorCode;
use kekkai_engine::Session;
use kekkai_output::{Cell, Evidence, Suppression};

use crate::common::run_on;
use crate::data::{Data, Layout, Raw};

const THRESHOLD: u32 = 10;
/// Has what nobody else has: `flag` 1, a dose of 1000.
const RARE: u32 = 7;

/// Forty persons with two visits each, on two wards; twenty of them with one lab value; a visit of nobody.
fn session() -> Arc<Session> {
    static SESSION: OnceLock<Arc<Session>> = OnceLock::new();
    let row = |person, ints: [i64; 2], amounts| Raw {
        person,
        ints: ints.map(Some),
        amounts,
    };
    SESSION
        .get_or_init(|| {
            let everybody = || 0..40_u32;
            let visit = |person: u32| {
                let rare = person == RARE;
                let dose = if rare { 1000.0 } else { 4.0 };
                let ints = [i64::from(person % 2), i64::from(rare)];
                row(Some(person), ints, [Some(dose), Some(f64::from(person))])
            };
            let mut visits: Vec<Raw> = everybody().chain(everybody()).map(visit).collect();
            visits.push(row(None, [0, 1], [Some(4.0), None]));
            let person = |person| {
                row(
                    Some(person),
                    [1, i64::from(person % 4)],
                    [Some(60.0), Some(30.0)],
                )
            };
            let lab = |person| row(Some(person), [0, 2], [Some(5.0), None]);
            let data = Data {
                layout: Layout::Any,
                person: everybody().map(person).collect(),
                visit: visits,
                lab: (0..20).map(lab).collect(),
                wards: vec![(0, 0), (1, 1)],
            };
            data.session(THRESHOLD, 500, 2)
        })
        .clone()
}

/// The first cell of a statistic of one row, which is the last of its columns.
fn cell(sql: &str) -> Cell {
    let table = run_on(&session(), sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    assert_eq!(table.rows.len(), 1, "{sql}");
    table.rows[0].last().unwrap().clone()
}

fn evidence(sql: &str) -> Evidence {
    match cell(sql) {
        Cell::Shown { evidence, .. } => evidence,
        other => panic!("{sql}\n{other:?}"),
    }
}

fn contributors(sql: &str) -> u64 {
    evidence(sql).contributors
}

fn suppressed(sql: &str) -> Suppression {
    match cell(sql) {
        Cell::Suppressed(why) => why,
        other => panic!("{sql}\n{other:?}"),
    }
}

/// Refused, at a place that the statement has.
fn refused(sql: &str) -> SqlErrorCode {
    match run_on(&session(), sql) {
        Ok(table) => panic!("{sql}\nwas answered: {:?}", table.rows),
        Err(error) => {
            let (line, column) = error
                .at
                .unwrap_or_else(|| panic!("{sql}\nno place: {error:?}"));
            assert!(
                line == 1 && (column as usize) <= sql.len(),
                "{sql}\n{error:?}"
            );
            error.code
        }
    }
}

fn not_followed(sql: &str) {
    assert_eq!(refused(sql), SqlErrorCode::NotFollowed, "{sql}");
}

#[test]
fn rare_value_inside_a_sum_is_one_persons() {
    let rare = "CASE WHEN flag = 1 THEN dose";
    assert_eq!(
        suppressed(&format!("SELECT sum({rare} END) FROM visit")),
        Suppression::Threshold
    );
    assert_eq!(
        suppressed(&format!("SELECT avg({rare} END) FROM visit")),
        Suppression::Threshold
    );
    assert_eq!(
        suppressed(&format!("SELECT median({rare} END) FROM visit")),
        Suppression::Threshold
    );
    assert_eq!(
        suppressed(&format!("SELECT count({rare} END) FROM visit")),
        Suppression::Threshold
    );
    assert_eq!(
        suppressed("SELECT sum(dose) FILTER (WHERE flag = 1) FROM visit"),
        Suppression::Threshold
    );
    // Zeros are values of everybody, and nothing of the sum.
    for sum in [
        format!("sum({rare} ELSE 0 END)"),
        "sum(dose * flag)".to_owned(),
        "sum(flag)".to_owned(),
        "avg(flag)".to_owned(),
        "sum(CASE WHEN flag = 1 THEN 1000000 ELSE 1 END)".to_owned(),
        "avg(power(dose, 3))".to_owned(),
    ] {
        let sql = format!("SELECT {sum} FROM visit");
        assert_eq!(suppressed(&sql), Suppression::Dominance, "{sql}");
    }
}

#[test]
fn evidence_tells_how_many_bring_zero_and_how_many_nothing() {
    let evidence =
        evidence("SELECT sum(CASE WHEN site = 0 THEN weight WHEN site = 1 THEN 0 END) FROM person");
    assert_eq!(
        (evidence.contributors, evidence.zeros, evidence.missing),
        (20, 10, 20)
    );
}

#[test]
fn outer_join_invents_no_contributors() {
    let join = "FROM person p LEFT JOIN lab l ON l.subject = p.pid";
    assert_eq!(contributors(&format!("SELECT count(*) {join}")), 40);
    assert_eq!(contributors(&format!("SELECT sum(l.value) {join}")), 20);
    assert_eq!(contributors(&format!("SELECT count(l.value) {join}")), 20);
    assert_eq!(contributors(&format!("SELECT count(l.subject) {join}")), 20);
    // Missing made a value: it is everybody's, and tells of who has none.
    let filled = evidence(&format!("SELECT sum(coalesce(l.value, 0)) {join}"));
    assert_eq!((filled.contributors, filled.zeros), (40, 20));
    let right = "FROM lab l RIGHT JOIN person p ON l.subject = p.pid";
    assert_eq!(contributors(&format!("SELECT sum(l.value) {right}")), 20);
    let full = "FROM person p FULL JOIN lab l ON l.subject = p.pid";
    assert_eq!(contributors(&format!("SELECT count(*) {full}")), 40);
    assert_eq!(contributors(&format!("SELECT sum(l.value) {full}")), 20);
    // A join on what is never equal: nobody's values.
    assert_eq!(
        suppressed(
            "SELECT sum(l.value) FROM person p LEFT JOIN lab l ON l.subject = p.pid AND l.code = 99"
        ),
        Suppression::Threshold
    );
    // Rows that the join invents are about persons whom it does not name.
    not_followed("SELECT count(*) FROM person p LEFT JOIN lab l ON l.place = p.site");
    not_followed("SELECT count(*) FROM person p FULL JOIN lab l ON l.place = p.site");
}

#[test]
fn joins_that_multiply_rows_multiply_no_person() {
    let join =
        "FROM visit a JOIN visit b ON a.patient = b.patient JOIN visit c ON c.patient = b.patient";
    assert_eq!(contributors(&format!("SELECT count(*) {join}")), 40);
    assert_eq!(
        suppressed(&format!("SELECT count(*) {join} WHERE a.flag = 1")),
        Suppression::Threshold
    );
    // A thousand for each of one person's eight rows, four for each of all others.
    assert_eq!(
        suppressed(&format!("SELECT sum(a.dose) {join}")),
        Suppression::Dominance
    );
}

#[test]
fn self_join_on_another_column_is_about_two_persons() {
    // Everybody with the rare one: forty persons and one.
    assert_eq!(
        suppressed(
            "SELECT count(*) FROM visit a JOIN visit b ON a.ward <= b.ward + 1 AND b.flag = 1"
        ),
        Suppression::Threshold
    );
    assert_eq!(
        contributors("SELECT count(*) FROM visit a JOIN visit b ON a.ward = b.ward"),
        40
    );
    assert_eq!(
        suppressed("SELECT sum(b.dose) FROM visit a JOIN visit b ON a.ward = b.ward"),
        Suppression::Dominance
    );
    assert_eq!(
        suppressed("SELECT count(*) FROM person p CROSS JOIN visit v WHERE v.flag = 1"),
        Suppression::Threshold
    );
}

#[test]
fn renamed_key_is_the_same_person() {
    let renamed = "WITH a AS (SELECT patient AS who, dose FROM visit), \
         b AS (SELECT who AS somebody, sum(dose) AS dose FROM a GROUP BY who) ";
    assert_eq!(
        contributors(&format!("{renamed} SELECT count(*) FROM b")),
        40
    );
    assert_eq!(
        suppressed(&format!("{renamed} SELECT sum(dose) FROM b")),
        Suppression::Dominance
    );
    assert_eq!(
        suppressed(&format!(
            "{renamed} SELECT count(*) FROM b WHERE dose > 100"
        )),
        Suppression::Threshold
    );
    // A key that is called as another table's key is still a key; one that is not, is none.
    assert_eq!(
        contributors(
            "SELECT count(*) FROM (SELECT patient AS pid, dose AS patient FROM visit) v JOIN person p \
             ON v.pid = p.pid"
        ),
        40
    );
    not_followed(
        "SELECT count(*) FROM (SELECT dose AS patient, sum(flag) AS n FROM visit GROUP BY dose) v",
    );
}

#[test]
fn computed_cast_or_coalesced_key_is_refused() {
    for condition in [
        "p.pid || '' = v.patient",
        "CAST(p.pid AS varchar) || 'x' = v.patient",
        "coalesce(p.pid, 'a') = v.patient",
        "upper(p.pid) = v.patient",
        "p.pid > v.patient",
    ] {
        refused(&format!(
            "SELECT count(*) FROM person p JOIN visit v ON {condition}"
        ));
        refused(&format!(
            "SELECT count(*) FROM person p LEFT JOIN visit v ON {condition}"
        ));
    }
    refused(
        "SELECT count(*) FROM (SELECT upper(patient) AS k, max(dose) AS d FROM visit GROUP BY 1) q",
    );
    refused("SELECT sum(CASE WHEN patient = 'pseudonym-007' THEN 1 END) FROM visit");
}

#[test]
fn key_of_the_optional_side_groups_nobody() {
    not_followed(
        "SELECT sum(n) FROM (SELECT l.subject, count(*) AS n FROM person p LEFT JOIN lab l \
         ON l.subject = p.pid GROUP BY l.subject) q",
    );
    assert_eq!(
        contributors(
            "SELECT sum(n) FROM (SELECT p.pid, count(*) AS n FROM person p LEFT JOIN lab l \
             ON l.subject = p.pid GROUP BY p.pid) q"
        ),
        40
    );
}

#[test]
fn constant_is_nobodys_key() {
    not_followed(
        "SELECT sum(d) FROM (SELECT 'a' AS patient, max(dose) AS d FROM visit GROUP BY 1) q",
    );
    not_followed("SELECT avg(d) FROM (SELECT max(dose) AS d FROM visit) q");
    assert_eq!(
        suppressed(
            "SELECT k, count(*) FILTER (WHERE flag = 1) FROM (SELECT 1 AS k, flag FROM visit) q GROUP BY k"
        ),
        Suppression::Threshold
    );
}

#[test]
fn using_and_natural_join_as_their_conditions_say() {
    let lab = "(SELECT subject AS pid, value FROM lab)";
    assert_eq!(
        contributors(&format!(
            "SELECT count(*) FROM person JOIN {lab} l USING (pid)"
        )),
        20
    );
    assert_eq!(
        contributors(&format!("SELECT count(*) FROM person NATURAL JOIN {lab} l")),
        20
    );
    assert_eq!(
        contributors(&format!(
            "SELECT count(value) FROM person NATURAL LEFT JOIN {lab} l"
        )),
        20
    );
    // Natural on something else: rows about two persons.
    let other = "(SELECT 0 AS site, subject, value FROM lab WHERE value > 0)";
    assert_eq!(
        contributors(&format!(
            "SELECT count(*) FROM person NATURAL JOIN {other} l"
        )),
        10
    );
}

#[test]
fn aggregate_of_aggregates_needs_one_row_for_each_person() {
    not_followed("SELECT avg(d) FROM (SELECT ward, max(dose) AS d FROM visit GROUP BY ward) q");
    not_followed(
        "SELECT sum(n) FROM (SELECT ward, count(DISTINCT patient) AS n FROM visit GROUP BY ward) q",
    );
    // A group of its own for the rare one: not even named.
    let table = run_on(
        &session(),
        "SELECT most, count(*) FROM (SELECT patient, max(dose) AS most FROM visit GROUP BY patient) q GROUP BY most",
    );
    assert_eq!(table.unwrap().rows.len(), 1);
}

#[test]
fn windows_over_other_persons_rows_are_refused() {
    for over in [
        "rank() OVER (ORDER BY dose)",
        "sum(dose) OVER ()",
        "lag(dose) OVER (PARTITION BY ward ORDER BY day)",
        "first_value(dose) OVER (PARTITION BY flag ORDER BY dose)",
    ] {
        not_followed(&format!(
            "SELECT avg(w) FROM (SELECT {over} AS w FROM visit) q"
        ));
    }
    let own = "sum(dose) OVER (PARTITION BY patient ORDER BY day)";
    assert_eq!(
        suppressed(&format!(
            "SELECT sum(w) FROM (SELECT {own} AS w FROM visit) q"
        )),
        Suppression::Dominance
    );
    assert_eq!(
        contributors(
            "SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY patient ORDER BY day) AS n FROM visit) q WHERE n = 1"
        ),
        40
    );
    // Frames by distance could fail on single values.
    refused(
        "SELECT sum(w) FROM (SELECT sum(dose) OVER (PARTITION BY patient ORDER BY day RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS w FROM visit) q",
    );
}

#[test]
fn distinct_rows_of_many_persons_are_refused() {
    not_followed("SELECT sum(dose) FROM (SELECT DISTINCT dose FROM visit) q");
    not_followed("SELECT count(*) FROM (SELECT dose FROM visit UNION SELECT value FROM lab) q");
    assert_eq!(
        contributors("SELECT count(*) FROM (SELECT DISTINCT patient, ward FROM visit) q"),
        40
    );
    assert_eq!(
        contributors(
            "SELECT count(*) FROM (SELECT patient FROM visit UNION SELECT subject FROM lab) q"
        ),
        40
    );
}

#[test]
fn union_counts_a_person_once_and_mixes_in_nobody() {
    assert_eq!(
        contributors(
            "SELECT count(*) FROM (SELECT subject FROM lab UNION ALL SELECT subject FROM lab) q"
        ),
        20
    );
    assert_eq!(
        suppressed(
            "SELECT sum(d) FROM (SELECT dose AS d FROM visit WHERE flag = 1 UNION ALL SELECT dose FROM visit WHERE flag = 1) q"
        ),
        Suppression::Threshold
    );
    // Rows about nobody would be counted to somebody.
    not_followed(
        "SELECT sum(k) FROM (SELECT ward AS k FROM visit UNION ALL SELECT kind FROM ward) q",
    );
    for set in ["INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"] {
        not_followed(&format!(
            "SELECT count(*) FROM (SELECT patient FROM visit {set} SELECT subject FROM lab) q"
        ));
    }
}

#[test]
fn rows_switched_by_other_persons_are_refused() {
    not_followed("SELECT count(*) FROM visit WHERE dose > (SELECT avg(dose) FROM visit)");
    not_followed(
        "SELECT count(*) FROM visit v WHERE EXISTS (SELECT 1 FROM visit o WHERE o.flag = 1)",
    );
    not_followed(
        "SELECT count(*) FROM visit WHERE ward IN (SELECT ward FROM visit WHERE flag = 1)",
    );
    not_followed("SELECT count(*) FROM (SELECT patient FROM visit ORDER BY dose DESC LIMIT 20) q");
    not_followed(
        "SELECT sum(y) FROM (SELECT (SELECT max(o.dose) FROM visit o WHERE o.ward = v.ward) AS y FROM visit v) q",
    );
}

#[test]
fn own_value_from_a_subquery_is_the_persons() {
    let own = "SELECT (SELECT max(o.dose) FROM visit o WHERE o.patient = p.pid) AS y FROM person p";
    assert_eq!(contributors(&format!("SELECT count(y) FROM ({own}) q")), 40);
    assert_eq!(
        suppressed(&format!("SELECT sum(y) FROM ({own}) q")),
        Suppression::Dominance
    );
}

#[test]
fn quantile_needs_persons_on_both_sides() {
    assert_eq!(contributors("SELECT median(day) FROM visit"), 20);
    let at =
        |p: &str| format!("SELECT percentile_cont({p}) WITHIN GROUP (ORDER BY day) FROM visit");
    assert_eq!(contributors(&at("0.25")), 10);
    assert_eq!(contributors(&at("0.75")), 10);
    assert_eq!(suppressed(&at("0.9")), Suppression::Threshold);
    assert_eq!(suppressed(&at("0.0")), Suppression::Threshold);
    assert_eq!(suppressed(&at("1.0")), Suppression::Threshold);
    refused("SELECT min(day) FROM visit");
    refused("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY day DESC) FROM visit");
    refused("SELECT percentile_cont(dose) WITHIN GROUP (ORDER BY day) FROM visit");
    refused("SELECT approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY day) FROM visit");
}

#[test]
fn each_grouping_set_has_contributors_of_its_own() {
    let table = run_on(
        &session(),
        "SELECT ward, flag, count(*) FROM visit GROUP BY CUBE (ward, flag)",
    )
    .unwrap();
    // The rare one's groups are withheld in each set that tells of the flag; forty are in all others.
    let mut counted: Vec<u64> = table
        .rows
        .iter()
        .map(|row| match &row[2] {
            Cell::Shown { evidence, .. } => evidence.contributors,
            other => panic!("{other:?}"),
        })
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [19, 20, 20, 20, 39, 40]);
    assert_eq!(
        table.groups_withheld, 0,
        "one person's groups are not even counted"
    );
    not_followed(
        "SELECT avg(n) FROM (SELECT patient, count(*) AS n FROM visit GROUP BY ROLLUP (patient)) q",
    );
}
