//! Relations evaluated row by row, each row with the persons that it is about.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::{Data, Raw};
use crate::relation::{Col, Cond, Expr, Kind, Rel};

/// Rows beyond which a relation is not evaluated.
const ROWS_MAX: usize = 30_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What the column `pid` holds.
    pub pid: Option<u32>,
    /// `g`, `h`, `x`, `y`.
    pub values: [Option<f64>; 4],
    /// The persons that it is about: as many in each row of a relation.
    pub about: Vec<Option<u32>>,
}

impl Row {
    pub fn get(&self, col: Col) -> Option<f64> {
        self.values[col as usize]
    }
}

pub fn number(expr: &Expr, row: &Row) -> Option<f64> {
    match expr {
        Expr::Col(col) => row.get(*col),
        Expr::Const(n) => Some(*n as f64),
        Expr::Plus(a, b) => Some(number(a, row)? + number(b, row)?),
        Expr::Minus(a) => number(a, row).map(|n| 0.0 - n),
        Expr::Case(when, then, otherwise) => match (holds(when, row), otherwise) {
            (Some(true), _) => number(then, row),
            (_, Some(otherwise)) => number(otherwise, row),
            (_, None) => None,
        },
        Expr::Coalesce(a, b) => number(a, row).or_else(|| number(b, row)),
    }
}

/// SQL's logic of three values.
pub fn holds(cond: &Cond, row: &Row) -> Option<bool> {
    match cond {
        Cond::Less(a, b) => Some(number(a, row)? < number(b, row)?),
        Cond::Equal(a, b) => Some(number(a, row)? == number(b, row)?),
        Cond::IsNull(a) => Some(number(a, row).is_none()),
        Cond::And(a, b) => match (holds(a, row), holds(b, row)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Cond::Or(a, b) => match (holds(a, row), holds(b, row)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Cond::Not(a) => holds(a, row).map(|holds| !holds),
    }
}

/// A value by its bits, so that it can be a key.
type Bits = Option<u64>;

fn bits(value: Option<f64>) -> Bits {
    value.map(|n| (n + 0.0).to_bits())
}

/// The rows of a relation; `None` when they are too many to be worth the time.
pub fn rows(rel: &Rel, data: &Data) -> Option<Vec<Row>> {
    let rows = match rel {
        Rel::Table(table) => data.rows(table).iter().filter_map(read).collect(),
        Rel::Where(rel, cond) => {
            let mut rows = rows(rel, data)?;
            rows.retain(|row| holds(cond, row) == Some(true));
            rows
        }
        Rel::Compute(rel, exprs) => {
            let compute = |row: Row| Row {
                values: exprs.each_ref().map(|expr| number(expr, &row)),
                ..row
            };
            rows(rel, data)?.into_iter().map(compute).collect()
        }
        Rel::JoinPerson(kind, left, right) => {
            join_person(*kind, &rows(left, data)?, &rows(right, data)?)?
        }
        Rel::Twice(rel) => {
            let rows = rows(rel, data)?;
            join_person(Kind::Inner, &rows, &rows)?
        }
        Rel::JoinWard(kind, rel) => rows(rel, data)?
            .into_iter()
            .flat_map(|row| {
                let matching = data
                    .wards
                    .iter()
                    .filter(|ward| row.get(Col::G) == Some(ward.0 as f64));
                let mut kinds: Vec<Option<f64>> =
                    matching.map(|ward| Some(ward.1 as f64)).collect();
                if kinds.is_empty() && *kind == Kind::Left {
                    kinds.push(None);
                }
                kinds.into_iter().map(move |kind| {
                    let mut row = row.clone();
                    row.values[1] = kind;
                    row
                })
            })
            .collect(),
        Rel::JoinOther(left, right) => {
            let (left, right) = (rows(left, data)?, rows(right, data)?);
            let mut joined = Vec::new();
            for l in &left {
                for r in &right {
                    if l.get(Col::G).is_some() && l.get(Col::G) == r.get(Col::G) {
                        let mut about = l.about.clone();
                        about.extend(&r.about);
                        joined.push(both(l.pid, Some(l), Some(r), about));
                    }
                }
                if joined.len() > ROWS_MAX {
                    return None;
                }
            }
            joined
        }
        Rel::UnionAll(a, b) => {
            let mut all = rows(a, data)?;
            all.extend(rows(b, data)?);
            all
        }
        Rel::Distinct(rel) => {
            let mut seen = BTreeSet::new();
            let mut rows = rows(rel, data)?;
            rows.retain(|row| seen.insert((row.pid, row.values.map(bits))));
            rows
        }
        Rel::PerPerson(rel) => {
            let mut groups: BTreeMap<(Option<u32>, Bits), Vec<Row>> = BTreeMap::new();
            for row in rows(rel, data)? {
                let key = (row.pid, bits(row.get(Col::G)));
                groups.entry(key).or_default().push(row);
            }
            let one = |rows: Vec<Row>| {
                let column = |col| rows.iter().filter_map(move |row| row.get(col));
                let sum = column(Col::X).reduce(|a, b| a + b);
                let max = column(Col::Y).reduce(f64::max);
                let first = &rows[0];
                Row {
                    values: [first.get(Col::G), Some(rows.len() as f64), sum, max],
                    ..first.clone()
                }
            };
            groups.into_values().map(one).collect()
        }
        Rel::Window(rel) => {
            let rows = rows(rel, data)?;
            let over = |row: &Row| {
                let own = || rows.iter().filter(|other| other.pid == row.pid);
                let sum = own().filter_map(|own| own.get(Col::X)).reduce(|a, b| a + b);
                let [g, _, x, _] = row.values;
                Row {
                    values: [g, Some(own().count() as f64), x, sum],
                    ..row.clone()
                }
            };
            rows.iter().map(over).collect()
        }
        Rel::Exists {
            rel,
            other,
            such,
            negated,
            ..
        } => {
            let such: BTreeSet<u32> = rows(other, data)?
                .iter()
                .filter(|row| holds(such, row) == Some(true))
                .filter_map(|row| row.pid)
                .collect();
            let mut rows = rows(rel, data)?;
            rows.retain(|row| row.pid.is_some_and(|pid| such.contains(&pid)) != *negated);
            rows
        }
        Rel::Largest(rel, other) => {
            let mut largest: BTreeMap<u32, f64> = BTreeMap::new();
            for row in rows(other, data)? {
                if let (Some(pid), Some(x)) = (row.pid, row.get(Col::X)) {
                    let known = largest.entry(pid).or_insert(x);
                    *known = known.max(x);
                }
            }
            let mut rows = rows(rel, data)?;
            for row in &mut rows {
                row.values[3] = row.pid.and_then(|pid| largest.get(&pid).copied());
            }
            rows
        }
    };
    (rows.len() <= ROWS_MAX).then_some(rows)
}

/// A row that names nobody is not there.
fn read(raw: &Raw) -> Option<Row> {
    let [g, h] = raw.ints.map(|n| n.map(|n| n as f64));
    let [x, y] = raw.amounts;
    raw.person.map(|person| Row {
        pid: Some(person),
        values: [g, h, x, y],
        about: vec![Some(person)],
    })
}

fn both(pid: Option<u32>, l: Option<&Row>, r: Option<&Row>, about: Vec<Option<u32>>) -> Row {
    let of = |row: Option<&Row>, col| row.and_then(|row| row.get(col));
    Row {
        pid,
        values: [of(l, Col::G), of(r, Col::H), of(l, Col::X), of(r, Col::Y)],
        about,
    }
}

/// Both sides are about one person, whose key they are joined on.
fn join_person(kind: Kind, left: &[Row], right: &[Row]) -> Option<Vec<Row>> {
    let mut joined = Vec::new();
    let mut met = vec![false; right.len()];
    for l in left {
        let mut is_met = false;
        for (at, r) in right.iter().enumerate() {
            if l.pid.is_some() && l.pid == r.pid {
                joined.push(both(l.pid, Some(l), Some(r), l.about.clone()));
                (is_met, met[at]) = (true, true);
            }
        }
        if !is_met && matches!(kind, Kind::Left | Kind::Full) {
            joined.push(both(l.pid, Some(l), None, l.about.clone()));
        }
        if joined.len() > ROWS_MAX {
            return None;
        }
    }
    if matches!(kind, Kind::Right | Kind::Full) {
        for (r, _) in right.iter().zip(&met).filter(|(_, met)| !**met) {
            // Of a full join `pid` is the left side's, and there is none.
            let pid = r.pid.filter(|_| kind == Kind::Right);
            joined.push(both(pid, None, Some(r), r.about.clone()));
        }
    }
    Some(joined)
}
