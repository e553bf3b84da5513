//! A statistic over a relation: its SQL, and what must come of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::Data;
use crate::oracle::{Row, holds, number, rows};
use crate::relation::{Col, Cond, Expr, Rel, Writer};

#[derive(Debug, Clone)]
pub enum Call {
    Rows,
    Count(Expr),
    Distinct(Col),
    Sum(Expr),
    Mean(Expr),
    Median(Expr),
    /// A quarter of the values are below.
    Quartile(Expr),
}

#[derive(Debug, Clone)]
pub struct Agg {
    pub call: Call,
    pub filter: Option<Cond>,
}

/// One column of a result besides the groups.
#[derive(Debug, Clone)]
pub enum Cell {
    One(Agg),
    /// `a - b`: computed from two.
    Difference(Agg, Agg),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    Plain,
    Rollup,
    Cube,
    /// Each by itself, and all together in none.
    Sets,
}

#[derive(Debug, Clone)]
pub struct Statistic {
    pub rel: Rel,
    pub groups: Vec<Col>,
    pub grouping: Grouping,
    pub cells: Vec<Cell>,
    /// `HAVING count(*) > n`.
    pub more_than: Option<i64>,
    /// `ORDER BY` all groups `LIMIT n`.
    pub limit: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub threshold: usize,
    pub dominance_permille: u32,
}

pub type Persons = BTreeSet<u32>;

/// What is shown, and of whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    pub rows: Vec<ExpectedRow>,
    /// Populations beside the rows.
    pub beside: BTreeMap<Persons, usize>,
    pub groups_withheld: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedRow {
    pub key: Vec<Option<i64>>,
    /// For each person that a row is about, all of the group's; empty where nothing tells of them.
    pub persons: Vec<Persons>,
    pub cells: Vec<ExpectedCell>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedCell {
    Few,
    Dominated,
    Shown {
        value: Option<f64>,
        contributors: usize,
        largest: u32,
        second: u32,
        zeros: usize,
        missing: usize,
        /// Populations of its own, where they are not the group's.
        own: BTreeSet<Persons>,
    },
}

impl Call {
    fn argument(&self) -> Option<Expr> {
        match self {
            Self::Rows => None,
            Self::Distinct(col) => Some(Expr::Col(*col)),
            Self::Count(e) | Self::Sum(e) | Self::Mean(e) | Self::Median(e) | Self::Quartile(e) => {
                Some(e.clone())
            }
        }
    }
}

impl Agg {
    fn sql(&self) -> String {
        let mut text = match &self.call {
            Call::Rows => "count(*)".to_owned(),
            Call::Count(e) => format!("count({})", e.sql("")),
            Call::Distinct(col) => format!("count(DISTINCT {})", col.name()),
            Call::Sum(e) => format!("sum({})", e.sql("")),
            Call::Mean(e) => format!("avg({})", e.sql("")),
            Call::Median(e) => format!("median(CAST({} AS double))", e.sql("")),
            Call::Quartile(e) => {
                let value = e.sql("");
                format!("percentile_cont(0.25) WITHIN GROUP (ORDER BY CAST({value} AS double))")
            }
        };
        if let Some(filter) = &self.filter {
            text += &format!(" FILTER (WHERE {})", filter.sql(""));
        }
        text
    }
}

impl Statistic {
    pub fn sql(&self) -> String {
        let mut writer = Writer::default();
        let (from, _) = writer.from(&self.rel);
        let names: Vec<&str> = self.groups.iter().map(|col| col.name()).collect();
        let mut columns: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        columns.extend(self.cells.iter().zip(0..).map(|(cell, at)| match cell {
            Cell::One(agg) => format!("{} AS cell{at}", agg.sql()),
            Cell::Difference(a, b) => format!("{} - {} AS cell{at}", a.sql(), b.sql()),
        }));
        let mut sql = String::new();
        if !writer.with.is_empty() {
            sql = format!("WITH {} ", writer.with.join(", "));
        }
        sql += &format!("SELECT {} FROM {from}", columns.join(", "));
        let names = names.join(", ");
        match self.grouping {
            _ if self.groups.is_empty() => {}
            Grouping::Plain => sql += &format!(" GROUP BY {names}"),
            Grouping::Rollup => sql += &format!(" GROUP BY ROLLUP ({names})"),
            Grouping::Cube => sql += &format!(" GROUP BY CUBE ({names})"),
            Grouping::Sets => {
                let each: Vec<String> = self
                    .groups
                    .iter()
                    .map(|c| format!("({})", c.name()))
                    .collect();
                sql += &format!(" GROUP BY GROUPING SETS ({}, ())", each.join(", "));
            }
        }
        if let Some(n) = self.more_than {
            sql += &format!(" HAVING count(*) > {n}");
        }
        if let Some(n) = self.limit {
            sql += &format!(" ORDER BY {names} LIMIT {n}");
        }
        sql
    }

    /// The sets of groups that rows are gathered by: which of the columns are in each.
    fn sets(&self) -> Vec<Vec<bool>> {
        let n = self.groups.len();
        match self.grouping {
            Grouping::Plain => vec![vec![true; n]],
            Grouping::Rollup => (0..=n).map(|k| (0..n).map(|i| i < k).collect()).collect(),
            Grouping::Cube => (0..1 << n)
                .map(|bits| (0..n).map(|i| bits >> i & 1 == 1).collect())
                .collect(),
            Grouping::Sets => (0..=n).map(|k| (0..n).map(|i| i == k).collect()).collect(),
        }
    }

    /// Evaluated row by row; `None` when it has too many rows to be worth the time.
    pub fn expected(&self, data: &Data, terms: Terms) -> Option<Expected> {
        let rows = rows(&self.rel, data)?;
        let slots = slots(&self.rel);
        let mut expected = Expected {
            rows: Vec::new(),
            beside: BTreeMap::new(),
            groups_withheld: 0,
        };
        let mut withheld = vec![Persons::new(); slots];
        for set in self.sets() {
            let mut groups: BTreeMap<Vec<Option<i64>>, Vec<&Row>> = BTreeMap::new();
            if set.iter().all(|used| !used) {
                // All together are a group of their own, even of no rows.
                groups.insert(vec![None; set.len()], Vec::new());
            }
            for row in &rows {
                let key = self
                    .groups
                    .iter()
                    .zip(&set)
                    .map(|(col, used)| row.get(*col).filter(|_| *used).map(|n| n as i64));
                groups.entry(key.collect()).or_default().push(row);
            }
            for (key, rows) in groups {
                let persons = persons(rows.iter().copied(), slots);
                let few = persons.iter().map(BTreeSet::len).min().unwrap_or(0) < terms.threshold;
                if few && !self.groups.is_empty() {
                    expected.groups_withheld += 1;
                    for (all, persons) in withheld.iter_mut().zip(&persons) {
                        all.extend(persons);
                    }
                    continue;
                }
                let decided = self.more_than.map(|n| {
                    let count = Agg {
                        call: Call::Rows,
                        filter: None,
                    };
                    // What is suppressed is compared with nothing.
                    match count.expected(&rows, slots, &persons, terms).0 {
                        ExpectedCell::Shown { .. } => Some(rows.len() as i64 > n),
                        _ => None,
                    }
                });
                let cells: Vec<_> = self
                    .cells
                    .iter()
                    .map(|cell| cell.expected(&rows, slots, &persons, terms))
                    .collect();
                let shows_group =
                    !self.groups.is_empty() || cells.iter().any(|(_, is_of_group)| *is_of_group);
                let row = ExpectedRow {
                    key,
                    persons: if shows_group { persons } else { Vec::new() },
                    cells: cells.into_iter().map(|(cell, _)| cell).collect(),
                };
                match decided {
                    None | Some(Some(true)) => expected.rows.push(row),
                    // That it is missing tells of it.
                    Some(Some(false)) => {
                        for persons in row.persons {
                            *expected.beside.entry(persons).or_default() += 1;
                        }
                    }
                    Some(None) => {}
                }
            }
        }
        self.cut(&mut expected);
        if withheld.iter().map(BTreeSet::len).min().unwrap_or(0) < terms.threshold {
            expected.groups_withheld = 0;
        } else {
            for persons in withheld {
                *expected.beside.entry(persons).or_default() += 1;
            }
        }
        Some(expected)
    }

    /// Order and limit: what has no value comes last.
    fn cut(&self, expected: &mut Expected) {
        let Some(limit) = self.limit else { return };
        expected.rows.sort_by_key(|row| {
            row.key
                .iter()
                .map(|k| k.map_or((1, 0), |k| (0, k)))
                .collect::<Vec<_>>()
        });
        let out = expected.rows.split_off(limit.min(expected.rows.len()));
        if self.more_than.is_some() {
            // They passed `HAVING`: that tells of them, shown or not.
            for persons in out.into_iter().flat_map(|row| row.persons) {
                *expected.beside.entry(persons).or_default() += 1;
            }
        }
    }
}

/// Persons that each row of a relation is about.
fn slots(rel: &Rel) -> usize {
    match rel {
        Rel::Table(_) => 1,
        Rel::JoinOther(a, b) => slots(a) + slots(b),
        Rel::Where(rel, _)
        | Rel::Compute(rel, _)
        | Rel::JoinPerson(_, rel, _)
        | Rel::JoinWard(_, rel)
        | Rel::UnionAll(rel, _)
        | Rel::Distinct(rel)
        | Rel::PerPerson(rel)
        | Rel::Window(rel)
        | Rel::Exists { rel, .. }
        | Rel::Largest(rel, _)
        | Rel::Twice(rel) => slots(rel),
    }
}

fn persons<'r>(rows: impl Iterator<Item = &'r Row>, slots: usize) -> Vec<Persons> {
    let mut persons = vec![Persons::new(); slots];
    for row in rows {
        for (all, about) in persons.iter_mut().zip(&row.about) {
            all.extend(about);
        }
    }
    persons
}

fn permille(part: f64, total: f64) -> u32 {
    if total <= 0.0 {
        return 0;
    }
    (part / total * 1000.0).ceil().clamp(0.0, 1000.0) as u32
}

impl Cell {
    /// What must be shown, and whether its persons are all of the group's.
    fn expected(
        &self,
        rows: &[&Row],
        slots: usize,
        group: &[Persons],
        terms: Terms,
    ) -> (ExpectedCell, bool) {
        match self {
            Self::One(agg) => agg.expected(rows, slots, group, terms),
            Self::Difference(a, b) => {
                let a = a.expected(rows, slots, group, terms);
                let b = b.expected(rows, slots, group, terms);
                let is_of_group = a.1 || b.1;
                let cell = difference(a.0, b.0);
                let is_shown = matches!(cell, ExpectedCell::Shown { .. });
                (cell, is_shown && is_of_group)
            }
        }
    }
}

fn difference(a: ExpectedCell, b: ExpectedCell) -> ExpectedCell {
    use ExpectedCell::{Dominated, Few, Shown};
    match (a, b) {
        (Few, _) | (_, Few) => Few,
        (Dominated, _) | (_, Dominated) => Dominated,
        (
            Shown {
                value: va,
                contributors: ca,
                largest: la,
                second: sa,
                zeros: za,
                missing: ma,
                own: mut oa,
            },
            Shown {
                value: vb,
                contributors: cb,
                largest: lb,
                second: sb,
                zeros: zb,
                missing: mb,
                own: ob,
            },
        ) => {
            oa.extend(ob);
            Shown {
                value: va.zip(vb).map(|(a, b)| a - b),
                contributors: ca.min(cb),
                largest: la.max(lb),
                second: sa.max(sb),
                zeros: za.max(zb),
                missing: ma.max(mb),
                own: oa,
            }
        }
    }
}

impl Agg {
    fn expected(
        &self,
        rows: &[&Row],
        slots: usize,
        group: &[Persons],
        terms: Terms,
    ) -> (ExpectedCell, bool) {
        let argument = self.call.argument();
        let passing = rows.iter().filter(|row| {
            self.filter
                .as_ref()
                .is_none_or(|f| holds(f, row) == Some(true))
        });
        // A count of rows takes each as one.
        let of = |row: &Row| argument.as_ref().map_or(Some(1.0), |e| number(e, row));
        let values: Vec<(&Row, f64)> = passing
            .filter_map(|row| of(row).map(|value| (*row, value)))
            .collect();
        let sum: f64 = values.iter().map(|(_, value)| value).sum();
        let count = values.len() as f64;
        let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let mut own = persons(values.iter().map(|(row, _)| *row), slots);
        let mut missing = 0;
        for (own, group) in own.iter().zip(group) {
            missing = missing.max(group.len() - own.len());
        }
        let mut is_of_group = missing == 0;
        let something = |value: f64| Some(value).filter(|_| count > 0.0);
        let (value, counts_shares) = match &self.call {
            Call::Rows | Call::Count(_) => (Some(count), true),
            Call::Distinct(_) => {
                let mut distinct = sorted.clone();
                distinct.dedup();
                (Some(distinct.len() as f64), false)
            }
            Call::Sum(_) => (something(sum), true),
            Call::Mean(_) => (something(sum / count), true),
            Call::Median(_) | Call::Quartile(_) => {
                let p = if matches!(self.call, Call::Median(_)) {
                    0.5
                } else {
                    0.25
                };
                if sorted.is_empty() {
                    own = vec![Persons::new(); slots * 2];
                    (None, false)
                } else {
                    let at = p * (sorted.len() - 1) as f64;
                    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
                    let below = values.iter().filter(|(_, value)| *value <= low);
                    let above = values.iter().filter(|(_, value)| *value >= high);
                    own = persons(below.map(|(row, _)| *row), slots);
                    own.extend(persons(above.map(|(row, _)| *row), slots));
                    (Some(low + (high - low) * at.fract()), false)
                }
            }
        };
        let is_point = matches!(self.call, Call::Median(_) | Call::Quartile(_));
        let contributors = own.iter().map(BTreeSet::len).min().unwrap_or(0);
        if contributors < terms.threshold {
            return (ExpectedCell::Few, false);
        }
        let (mut largest, mut second, mut zeros) = (0, 0, 0);
        if counts_shares {
            let is_count = matches!(self.call, Call::Rows | Call::Count(_));
            for slot in 0..slots {
                let mut amounts: BTreeMap<u32, f64> = BTreeMap::new();
                for (row, value) in &values {
                    let amount = if is_count { 1.0 } else { value.abs() };
                    *amounts.entry(row.about[slot].unwrap()).or_default() += amount;
                }
                let mut amounts: Vec<f64> = amounts.into_values().collect();
                amounts.sort_by(|a, b| b.total_cmp(a));
                let total: f64 = amounts.iter().sum();
                let share = |at| amounts.get(at).map_or(0, |part| permille(*part, total));
                largest = largest.max(share(0));
                second = second.max(share(1));
                zeros = zeros.max(amounts.iter().filter(|amount| **amount == 0.0).count());
            }
        }
        if largest > terms.dominance_permille {
            return (ExpectedCell::Dominated, false);
        }
        is_of_group &= !is_point;
        let shown = ExpectedCell::Shown {
            value,
            contributors,
            largest,
            second,
            zeros,
            missing,
            own: if is_of_group {
                BTreeSet::new()
            } else {
                own.into_iter().collect()
            },
        };
        (shown, is_of_group)
    }
}
