//! A worker's table is an allegation. What can be checked without the data is checked here, before
//! anything of it is stored or given out.

use kekkai_output::{Cell, ColumnKind, DEFINITION_END, Populations, Table, Value, ValueType};
use kekkai_types::{DatasetId, Digest};

pub use crate::populations::Unfit;
use crate::populations::check;

/// What the broker itself knows of a job: the table must say the same.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The statement that was sent.
    pub sql: &'a str,
    /// Statements that the session was asked: temporary tables are defined by some of them.
    pub earlier: &'a [String],
    /// Persons below which a cell is suppressed.
    pub threshold: u32,
    /// The largest share of one person, in permille.
    pub dominance_permille: u32,
    /// The digest of the terms.
    pub policy: Digest,
    /// The datasets that were passed.
    pub datasets: &'a [(DatasetId, u32)],
}

/// Why a table is not believed. Says nothing of its values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// Ragged or too large.
    #[error("the table's shape: {0}")]
    Shape(#[from] kekkai_output::TableError),
    /// The lineage is about another statement, other terms or other data.
    #[error("the table's lineage is not the job's: {0}")]
    Lineage(&'static str),
    /// A shown cell has fewer contributors than the threshold.
    #[error("the cell in row {row}, column {column} has too few contributors to be shown")]
    Threshold {
        /// Counted from 0.
        row: usize,
        /// Counted from 0.
        column: usize,
    },
    /// A shown cell is dominated by one person.
    #[error("the cell in row {row}, column {column} is too much one person's to be shown")]
    Dominance {
        /// Counted from 0.
        row: usize,
        /// Counted from 0.
        column: usize,
    },
    /// A cell doesn't fit its column: a statistic among names, or a value of another type.
    #[error("the cell in row {row}, column {column} does not fit its column")]
    Cell {
        /// Counted from 0.
        row: usize,
        /// Counted from 0.
        column: usize,
    },
    /// The persons behind the table are not those that its cells tell of.
    #[error("the table's populations: {0}")]
    Populations(#[from] Unfit),
}

/// What was counted of a believed table, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Rows.
    pub rows: u64,
    /// Suppressed cells.
    pub cells_suppressed: u64,
    /// Groups that are not even named.
    pub groups_withheld: u64,
}

/// A table that was checked: only [`judge`] makes one.
#[derive(Debug)]
#[must_use = "a judged table is the job's result"]
pub struct Believed {
    table: Table,
    populations: Populations,
    counted: Counted,
}

impl Believed {
    /// What was counted.
    pub fn counted(&self) -> Counted {
        self.counted
    }

    /// The table, and the persons behind it.
    pub fn into_parts(self) -> (Table, Populations) {
        (self.table, self.populations)
    }
}

/// Checks a table against what the broker knows, and its populations against the table.
pub fn judge(
    table: Table,
    populations: Populations,
    expected: &Expected<'_>,
) -> Result<Believed, Disbelief> {
    table.check_shape()?;
    check_lineage(&table, expected)?;
    let mut counted = Counted {
        rows: u64::try_from(table.rows.len()).unwrap_or(u64::MAX),
        cells_suppressed: 0,
        groups_withheld: table.groups_withheld,
    };
    for (row, cells) in table.rows.iter().enumerate() {
        for (at, (cell, column)) in cells.iter().zip(&table.columns).enumerate() {
            let unfit = Disbelief::Cell { row, column: at };
            let is_statistic = matches!(column.kind, ColumnKind::Statistic(_));
            let value = match cell {
                // In a statistic's column: one that is about nobody.
                Cell::Key(value) => value,
                Cell::Suppressed(_) => {
                    counted.cells_suppressed = counted.cells_suppressed.saturating_add(1);
                    continue;
                }
                Cell::Shown { .. } if !is_statistic => return Err(unfit),
                Cell::Shown { value, evidence } => {
                    if evidence.contributors < u64::from(expected.threshold) {
                        return Err(Disbelief::Threshold { row, column: at });
                    }
                    if evidence.largest_permille > expected.dominance_permille {
                        return Err(Disbelief::Dominance { row, column: at });
                    }
                    value
                }
            };
            if !fits(value, column.value_type) {
                return Err(unfit);
            }
        }
    }
    check(&populations, &table, expected)?;
    Ok(Believed {
        table,
        populations,
        counted,
    })
}

fn check_lineage(table: &Table, expected: &Expected<'_>) -> Result<(), Disbelief> {
    let lineage = &table.lineage;
    let other = |what| Err(Disbelief::Lineage(what));
    if !is_behind_definitions(&lineage.sql, expected) {
        return other("statement");
    }
    if lineage.threshold != expected.threshold {
        return other("threshold");
    }
    if lineage.dominance_permille != expected.dominance_permille {
        return other("dominance");
    }
    if lineage.policy != expected.policy {
        return other("policy");
    }
    if !lineage
        .datasets
        .iter()
        .all(|read| expected.datasets.contains(read))
    {
        return other("datasets");
    }
    Ok(())
}

/// Whether a lineage is the statement that was asked, after definitions that are earlier statements of the session:
/// a reviewer reads nothing there that the session was not asked.
fn is_behind_definitions(lineage: &str, expected: &Expected<'_>) -> bool {
    let Some(mut rest) = lineage.strip_suffix(expected.sql) else {
        return false;
    };
    while !rest.is_empty() {
        let behind = |earlier: &String| {
            rest.strip_prefix(earlier.as_str())
                .and_then(|rest| rest.strip_prefix(DEFINITION_END))
        };
        match expected.earlier.iter().find_map(behind) {
            Some(shorter) => rest = shorter,
            None => return false,
        }
    }
    true
}

fn fits(value: &Value, value_type: ValueType) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => value_type == ValueType::Bool,
        Value::Int(_) => value_type == ValueType::Int,
        Value::Float(_) => value_type == ValueType::Float,
        Value::Text(_) => value_type == ValueType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_output::{Aggregate, Column, Evidence, Lineage, Population, Suppression};
    use roaring::RoaringBitmap;

    fn table(contributors: u64, largest_permille: u32) -> Table {
        let evidence = Evidence {
            contributors,
            largest_permille,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        };
        Table {
            columns: vec![
                Column {
                    name: "region".to_owned(),
                    value_type: ValueType::Text,
                    kind: ColumnKind::Key,
                },
                Column {
                    name: "n".to_owned(),
                    value_type: ValueType::Int,
                    kind: ColumnKind::Statistic(vec![Aggregate::Count]),
                },
            ],
            rows: vec![
                vec![
                    Cell::Key(Value::Text("13".to_owned())),
                    Cell::Shown {
                        value: Value::Int(12),
                        evidence,
                    },
                ],
                vec![
                    Cell::Key(Value::Text("14".to_owned())),
                    Cell::Suppressed(Suppression::Threshold),
                ],
            ],
            groups_withheld: 3,
            lineage: Lineage {
                sql: "SELECT 1".to_owned(),
                datasets: vec![(DatasetId::new("d").unwrap(), 1)],
                threshold: 10,
                dominance_permille: 500,
                engine: "e".to_owned(),
                policy: Digest::of(b"p"),
            },
        }
    }

    fn bitmap(persons: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let set: RoaringBitmap = (0..persons).map(|n| n * 3).collect();
        set.serialize_into(&mut bytes).unwrap();
        bytes
    }

    fn population(row: u32, column: Option<u32>, persons: Vec<u8>) -> Population {
        Population {
            row,
            column,
            dataset: DatasetId::new("d").unwrap(),
            persons,
            measures: Vec::new(),
        }
    }

    /// As an honest worker gives them: the first row's cell is about all of its group.
    fn populations(table: &Table) -> Populations {
        let contributors = match table.rows.first().and_then(|row| row.get(1)) {
            Some(Cell::Shown { evidence, .. }) => u32::try_from(evidence.contributors).unwrap(),
            _ => 10,
        };
        Populations {
            stable: false,
            cells: vec![
                population(0, None, bitmap(contributors)),
                population(1, None, bitmap(12)),
            ],
        }
    }

    fn judge_it(table: Table) -> Result<Counted, Disbelief> {
        let populations = populations(&table);
        judge_both(table, populations)
    }

    fn judge_both(table: Table, populations: Populations) -> Result<Counted, Disbelief> {
        let datasets = [(DatasetId::new("d").unwrap(), 1)];
        let expected = Expected {
            sql: "SELECT 1",
            earlier: &[
                "CREATE TEMP TABLE a AS SELECT 1".to_owned(),
                "CREATE TEMP TABLE b AS SELECT 2".to_owned(),
            ],
            threshold: 10,
            dominance_permille: 500,
            policy: Digest::of(b"p"),
            datasets: &datasets,
        };
        judge(table, populations, &expected).map(|believed| believed.counted())
    }

    #[test]
    fn populations_that_do_not_fit_the_table_are_not_believed() {
        let unfit = |change: fn(&mut Vec<Population>)| {
            let table = table(20, 0);
            let mut populations = populations(&table);
            change(&mut populations.cells);
            match judge_both(table, populations) {
                Err(Disbelief::Populations(unfit)) => unfit,
                other => panic!("{other:?}"),
            }
        };
        let evidence = Unfit::Evidence { row: 0, column: 1 };
        assert_eq!(unfit(Vec::clear), evidence);
        assert_eq!(unfit(|cells| drop(cells.remove(0))), evidence);
        assert_eq!(unfit(|cells| cells[0].persons = bitmap(21)), evidence);
        // Of a cell that has populations of its own, those count.
        let own = |persons| population(0, Some(1), bitmap(persons));
        let table_of_15 = table(15, 0);
        let mut of_15 = populations(&table(20, 0));
        of_15.cells.splice(0..0, [own(18), own(15)]);
        assert!(judge_both(table_of_15, of_15).is_ok());
        assert_eq!(
            unfit(|cells| cells.insert(0, population(0, Some(1), bitmap(15)))),
            evidence
        );

        assert_eq!(unfit(|cells| cells.swap(0, 1)), Unfit::Place(1));
        assert_eq!(unfit(|cells| cells[1].row = 3), Unfit::Place(1));
        assert_eq!(unfit(|cells| cells[0].column = Some(0)), Unfit::Place(0));
        assert_eq!(unfit(|cells| cells[0].column = Some(2)), Unfit::Place(0));
        // A suppressed cell, and a cell beside the rows.
        assert_eq!(unfit(|cells| cells[1].column = Some(1)), Unfit::Place(1));
        let beside = |cells: &mut Vec<Population>| (cells[1].row, cells[1].column) = (2, Some(1));
        assert_eq!(unfit(beside), Unfit::Place(1));
        let foreign = |cells: &mut Vec<Population>| cells[1].dataset = DatasetId::new("e").unwrap();
        assert_eq!(unfit(foreign), Unfit::Place(1));

        assert_eq!(
            unfit(|cells| cells[1].persons = bitmap(9)),
            Unfit::Threshold(1)
        );
        assert_eq!(unfit(|cells| cells[1].persons.push(0)), Unfit::Bitmap(1));
        assert_eq!(
            unfit(|cells| cells[1].persons.truncate(9)),
            Unfit::Bitmap(1)
        );
        assert_eq!(unfit(|cells| cells[1].persons.clear()), Unfit::Bitmap(1));
        assert_eq!(
            unfit(|cells| {
                let one = population(1, None, bitmap(12));
                cells.resize(kekkai_output::POPULATIONS_MAX + 1, one);
            }),
            Unfit::TooLarge
        );
    }

    #[test]
    fn bitmap_of_runs_is_refused_before_it_unfolds() {
        let mut all = RoaringBitmap::full();
        all.optimize();
        let mut bytes = Vec::new();
        all.serialize_into(&mut bytes).unwrap();
        let table = table(20, 0);
        let mut populations = populations(&table);
        populations.cells[1].persons = bytes;
        assert_eq!(
            judge_both(table, populations),
            Err(Disbelief::Populations(Unfit::Bitmap(1)))
        );
    }

    #[test]
    fn honest_table_is_believed_and_counted() {
        let counted = Counted {
            rows: 2,
            cells_suppressed: 1,
            groups_withheld: 3,
        };
        assert_eq!(judge_it(table(10, 500)), Ok(counted));
    }

    #[test]
    fn cell_under_the_threshold_or_dominated_is_not_believed() {
        assert_eq!(
            judge_it(table(9, 0)),
            Err(Disbelief::Threshold { row: 0, column: 1 })
        );
        assert_eq!(
            judge_it(table(10, 501)),
            Err(Disbelief::Dominance { row: 0, column: 1 })
        );
    }

    #[test]
    fn lineage_of_another_job_is_not_believed() {
        let change: [fn(&mut Lineage); 5] = [
            |lineage| lineage.sql.push(' '),
            |lineage| lineage.threshold = 1,
            |lineage| lineage.dominance_permille = 1000,
            |lineage| lineage.policy = Digest::of(b"q"),
            |lineage| lineage.datasets.push((DatasetId::new("d").unwrap(), 2)),
        ];
        for change in change {
            let mut table = table(10, 0);
            change(&mut table.lineage);
            assert!(matches!(judge_it(table), Err(Disbelief::Lineage(_))));
        }
    }

    #[test]
    fn definitions_that_the_session_was_not_asked_are_not_believed() {
        let judged = |sql: &str| {
            let mut table = table(10, 0);
            table.lineage.sql = sql.to_owned();
            judge_it(table)
        };
        for sql in [
            "CREATE TEMP TABLE a AS SELECT 1;\nSELECT 1",
            "CREATE TEMP TABLE a AS SELECT 1;\nCREATE TEMP TABLE b AS SELECT 2;\nSELECT 1",
            // Two that ran at once may have ended in either order.
            "CREATE TEMP TABLE b AS SELECT 2;\nCREATE TEMP TABLE a AS SELECT 1;\nSELECT 1",
        ] {
            assert!(judged(sql).is_ok(), "{sql}");
        }
        for sql in [
            "CREATE TEMP TABLE a AS SELECT 3;\nSELECT 1",
            "CREATE TEMP TABLE a AS SELECT 1 SELECT 1",
            "CREATE TEMP TABLE a AS SELECT 1;\n",
            "-- SELECT 1",
            ";\nSELECT 1",
        ] {
            assert!(judged(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn cells_that_do_not_fit_are_not_believed() {
        let mut ragged = table(10, 0);
        ragged.rows[0].pop();
        assert!(matches!(judge_it(ragged), Err(Disbelief::Shape(_))));
        let mut statistic_as_key = table(10, 0);
        statistic_as_key.columns[1].kind = ColumnKind::Key;
        assert!(matches!(
            judge_it(statistic_as_key),
            Err(Disbelief::Cell { .. })
        ));
        let mut text_as_number = table(10, 0);
        text_as_number.columns[0].value_type = ValueType::Int;
        assert!(matches!(
            judge_it(text_as_number),
            Err(Disbelief::Cell { .. })
        ));
    }
}
