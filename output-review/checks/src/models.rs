//! Rules for what the engine fits: parameters of models, and curves of survival.
//!
//! The engine withholds what rests on too few; these rules look at the table alone, as they do for any other.

use std::collections::BTreeMap;

use kekkai_output::{Aggregate, Cell, Column, ColumnKind, Table, Value};

use crate::finding::{Collector, Place, Rule, Verdict};
use crate::profile::Profile;

/// Persons that a model needs beyond its terms: the rule of residual degrees of freedom.
const RESIDUAL_MIN: u64 = 10;

/// Where a model's terms stand; those in brackets are about the model as a whole.
const TERM: &str = "term";

/// Where a curve's persons at risk stand.
const AT_RISK: &str = "at_risk";

pub(crate) fn check(table: &Table, profile: &Profile, found: &mut Collector) {
    if table
        .columns
        .iter()
        .any(|column| is(column, Aggregate::Coefficient))
    {
        sizes(table, profile, found);
    }
    let at_risk = table
        .columns
        .iter()
        .position(|column| column.name == AT_RISK && is(column, Aggregate::Survival));
    if let Some(column) = at_risk {
        steps(table, column, profile, found);
    }
}

fn is(column: &Column, aggregate: Aggregate) -> bool {
    matches!(&column.kind, ColumnKind::Statistic(of) if of.contains(&aggregate))
}

/// A row's group keys as text, without what names its own line.
fn group(table: &Table, row: &[Cell], own: impl Fn(&Column) -> bool) -> Vec<String> {
    row.iter()
        .zip(&table.columns)
        .filter(|(_, column)| column.kind == ColumnKind::Key && !own(column))
        .map(|(cell, _)| cell.plain())
        .collect()
}

/// A model with as many terms as persons is the data.
fn sizes(table: &Table, profile: &Profile, found: &mut Collector) {
    let is_term = |column: &Column| column.name == TERM;
    // Of each model: its first row, its terms, the fewest persons behind a cell.
    let mut models: BTreeMap<Vec<String>, (usize, u64, u64)> = BTreeMap::new();
    for (number, row) in table.rows.iter().enumerate() {
        let mut cells = row.iter().zip(&table.columns);
        let is_whole = cells.any(|(cell, column)| {
            is_term(column) && matches!(cell, Cell::Key(Value::Text(term)) if term.starts_with('['))
        });
        let persons = row.iter().filter_map(|cell| match cell {
            Cell::Shown { evidence, .. } => Some(evidence.contributors),
            Cell::Key(_) | Cell::Suppressed(_) => None,
        });
        let Some(fewest) = persons.min() else {
            continue;
        };
        let model = models
            .entry(group(table, row, is_term))
            .or_insert((number, 0, u64::MAX));
        if !is_whole {
            model.1 += 1;
            model.2 = model.2.min(fewest);
        }
    }
    let each = profile.observations_per_parameter;
    for (row, terms, persons) in models.into_values() {
        if persons < terms.saturating_add(RESIDUAL_MIN) {
            found.add(
                Rule::ModelSize,
                Verdict::Fail,
                Place::row(row),
                format!("モデルの項の数に対して、人数の余りが{RESIDUAL_MIN}名未満です。"),
                format!("The model has fewer than {RESIDUAL_MIN} persons beyond its terms."),
            );
        } else if terms.saturating_mul(each) > persons {
            found.add(
                Rule::ModelSize,
                Verdict::Review,
                Place::row(row),
                format!("項1つあたりの人数が{each}名未満です。"),
                format!("Fewer than {each} persons for each term."),
            );
        }
    }
}

/// From one time to the next, nobody leaves or enough do: otherwise the step is theirs.
fn steps(table: &Table, column: usize, profile: &Profile, found: &mut Collector) {
    let is_time = |column: &Column| column.name == "time";
    let min = i64::from(profile.contributors_min);
    let mut before: Option<(Vec<String>, i64)> = None;
    for (number, row) in table.rows.iter().enumerate() {
        let group = group(table, row, is_time);
        let Some(Cell::Shown {
            value: Value::Int(at_risk),
            ..
        }) = row.get(column)
        else {
            // Withheld: the next number is held against the last one that is shown.
            continue;
        };
        if let Some((of, known)) = &before
            && *of == group
            && known != at_risk
            && known.saturating_sub(*at_risk) < min
        {
            found.add(
                Rule::Difference,
                Verdict::Fail,
                Place::cell(number, column),
                format!("前の時点との差が{min}名未満です。"),
                format!("Fewer than {min} persons left since the time before."),
            );
        }
        before = Some((group, *at_risk));
    }
}

#[cfg(test)]
mod tests {
    use kekkai_output::{Evidence, Lineage, ValueType};
    use kekkai_types::{DatasetId, Digest};

    use super::*;
    use crate::{ProfileName, check as check_table};

    fn column(name: &str, value_type: ValueType, kind: Option<Aggregate>) -> Column {
        Column {
            name: name.to_owned(),
            value_type,
            kind: kind.map_or(ColumnKind::Key, |kind| ColumnKind::Statistic(vec![kind])),
        }
    }

    fn shown(value: Value, contributors: u64) -> Cell {
        Cell::Shown {
            value,
            evidence: Evidence {
                contributors,
                largest_permille: 0,
                second_permille: 0,
                zeros: 0,
                missing: 0,
            },
        }
    }

    fn verdict(columns: Vec<Column>, rows: Vec<Vec<Cell>>, rule: Rule) -> Option<Verdict> {
        let table = Table {
            columns,
            rows,
            groups_withheld: 0,
            lineage: Lineage {
                sql: "SELECT 1".to_owned(),
                datasets: vec![(DatasetId::new("d").unwrap(), 1)],
                threshold: 10,
                dominance_permille: 500,
                engine: "e".to_owned(),
                policy: Digest::of(b"p"),
            },
        };
        let report = check_table(&table, &ProfileName::Acro.profile());
        let of_rule = report
            .findings
            .iter()
            .filter(|finding| finding.rule == rule);
        of_rule.map(|finding| finding.verdict).max()
    }

    fn model(persons: u64, terms: usize) -> Option<Verdict> {
        let columns = vec![
            column("term", ValueType::Text, None),
            column(
                "coefficient",
                ValueType::Float,
                Some(Aggregate::Coefficient),
            ),
        ];
        let row = |name: String| {
            vec![
                Cell::Key(Value::Text(name)),
                shown(Value::Float(0.5), persons),
            ]
        };
        let mut rows: Vec<_> = (0..terms).map(|term| row(format!("x{term}"))).collect();
        rows.push(row("[observations]".to_owned()));
        verdict(columns, rows, Rule::ModelSize)
    }

    #[test]
    fn model_without_ten_persons_beyond_its_terms_fails() {
        assert_eq!(model(14, 5), Some(Verdict::Fail));
        assert_eq!(model(15, 5), Some(Verdict::Review));
        assert_eq!(model(49, 5), Some(Verdict::Review));
        assert_eq!(model(50, 5), None);
    }

    fn curve(at_risk: &[(&str, i64)]) -> Option<Verdict> {
        let columns = vec![
            column("arm", ValueType::Text, None),
            column("time", ValueType::Float, None),
            column("at_risk", ValueType::Int, Some(Aggregate::Survival)),
        ];
        let row = |(time, (arm, at_risk)): (f64, &(&str, i64))| {
            vec![
                Cell::Key(Value::Text((*arm).to_owned())),
                Cell::Key(Value::Float(time)),
                shown(Value::Int(*at_risk), 100),
            ]
        };
        let times = (0_u32..).map(f64::from);
        verdict(
            columns,
            times.zip(at_risk).map(row).collect(),
            Rule::Difference,
        )
    }

    #[test]
    fn curve_from_which_few_leave_at_once_fails() {
        assert_eq!(curve(&[("a", 200), ("a", 190), ("a", 180)]), None);
        assert_eq!(curve(&[("a", 200), ("a", 200)]), None);
        assert_eq!(
            curve(&[("a", 200), ("a", 199), ("a", 150)]),
            Some(Verdict::Fail)
        );
        // Another arm's numbers are no step.
        assert_eq!(curve(&[("a", 200), ("b", 195), ("b", 150)]), None);
    }
}
