//! Relations of five columns (`pid`, the whole numbers `g` and `h`, the amounts `x` and `y`), and their SQL.

use std::fmt::Write as _;

use crate::data::Named;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Col {
    G,
    H,
    X,
    Y,
}

impl Col {
    pub fn name(self) -> &'static str {
        match self {
            Self::G => "g",
            Self::H => "h",
            Self::X => "x",
            Self::Y => "y",
        }
    }
}

/// A number computed from a row.
#[derive(Debug, Clone)]
pub enum Expr {
    Col(Col),
    Const(i64),
    Plus(Box<Expr>, Box<Expr>),
    Minus(Box<Expr>),
    /// Without an `ELSE` where there is no second.
    Case(Box<Cond>, Box<Expr>, Option<Box<Expr>>),
    Coalesce(Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone)]
pub enum Cond {
    Less(Expr, Expr),
    Equal(Expr, Expr),
    IsNull(Expr),
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
    Not(Box<Cond>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

#[derive(Debug, Clone)]
pub enum Rel {
    Table(&'static Named),
    Where(Box<Rel>, Cond),
    /// New columns; the person key under its own name, or another one on the way.
    Compute(Box<Rel>, Box<[Expr; 4]>),
    /// On the person keys: `pid` of the side that is preserved, `g` and `x` of the left, `h` and `y` of the
    /// right.
    JoinPerson(Kind, Box<Rel>, Box<Rel>),
    /// With the table about nobody, on `g`: its `kind` becomes `h`.
    JoinWard(Kind, Box<Rel>),
    /// On `g`: rows about two persons.
    JoinOther(Box<Rel>, Box<Rel>),
    UnionAll(Box<Rel>, Box<Rel>),
    Distinct(Box<Rel>),
    /// One row for each person and `g`: `h` counts, `x` is a sum, `y` a maximum.
    PerPerson(Box<Rel>),
    /// Over each person's rows: `h` counts, `y` is the sum of `x`.
    Window(Box<Rel>),
    /// Rows of persons who have, or have not, such a row in the other.
    Exists {
        rel: Box<Rel>,
        other: Box<Rel>,
        such: Cond,
        negated: bool,
        by_in: bool,
    },
    /// `y` is the person's largest `x` in the other.
    Largest(Box<Rel>, Box<Rel>),
    /// One common table expression, joined with itself on the person.
    Twice(Box<Rel>),
}

impl Expr {
    /// Each column with `of` before it: `t1.`.
    pub fn sql(&self, of: &str) -> String {
        match self {
            Self::Col(col) => format!("{of}{}", col.name()),
            Self::Const(n) => format!("({n})"),
            Self::Plus(a, b) => format!("({} + {})", a.sql(of), b.sql(of)),
            // No minus alone: it would make a zero below zero, which is another number to a `DISTINCT`.
            Self::Minus(a) => format!("(0 - {})", a.sql(of)),
            Self::Case(when, then, otherwise) => {
                let mut text = format!("CASE WHEN {} THEN {}", when.sql(of), then.sql(of));
                if let Some(otherwise) = otherwise {
                    write!(text, " ELSE {}", otherwise.sql(of)).unwrap();
                }
                text + " END"
            }
            Self::Coalesce(a, b) => format!("coalesce({}, {})", a.sql(of), b.sql(of)),
        }
    }
}

impl Cond {
    pub fn sql(&self, of: &str) -> String {
        match self {
            Self::Less(a, b) => format!("{} < {}", a.sql(of), b.sql(of)),
            Self::Equal(a, b) => format!("{} = {}", a.sql(of), b.sql(of)),
            Self::IsNull(a) => format!("{} IS NULL", a.sql(of)),
            Self::And(a, b) => format!("({} AND {})", a.sql(of), b.sql(of)),
            Self::Or(a, b) => format!("({} OR {})", a.sql(of), b.sql(of)),
            Self::Not(a) => format!("NOT ({})", a.sql(of)),
        }
    }
}

/// Writes relations as SQL: some as subqueries, some as common table expressions.
#[derive(Default)]
pub struct Writer {
    pub with: Vec<String>,
    aliases: usize,
}

impl Writer {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// What may stand after `FROM`, and its alias.
    pub fn from(&mut self, rel: &Rel) -> (String, String) {
        let query = self.query(rel);
        let alias = self.alias();
        if self.aliases.is_multiple_of(3) {
            self.with.push(format!("c{alias} AS ({query})"));
            (format!("c{alias} {alias}"), alias)
        } else {
            (format!("({query}) {alias}"), alias)
        }
    }

    /// A `SELECT` of the five columns.
    pub fn query(&mut self, rel: &Rel) -> String {
        match rel {
            Rel::Table(table) => {
                let Named {
                    name,
                    key,
                    ints: [g, h],
                    amounts: [x, y],
                } = table;
                format!("SELECT {key} AS pid, {g} AS g, {h} AS h, {x} AS x, {y} AS y FROM {name}")
            }
            Rel::Where(rel, cond) => {
                let (from, t) = self.from(rel);
                format!("SELECT * FROM {from} WHERE {}", cond.sql(&format!("{t}.")))
            }
            Rel::Compute(rel, exprs) => {
                let (from, t) = self.from(rel);
                let [g, h, x, y] = exprs.as_ref().each_ref().map(|e| e.sql(&format!("{t}.")));
                let who = self.alias();
                format!(
                    "SELECT who AS pid, g, h, x, y FROM (SELECT {t}.pid AS who, {g} AS g, {h} AS h, \
                     {x} AS x, {y} AS y FROM {from}) {who}"
                )
            }
            Rel::JoinPerson(kind, left, right) => {
                let ((left, l), (right, r)) = (self.from(left), self.from(right));
                let join = kind.sql();
                let key = if *kind == Kind::Right { &r } else { &l };
                let on = if self.aliases.is_multiple_of(2) {
                    "USING (pid)".to_owned()
                } else {
                    format!("ON {l}.pid = {r}.pid")
                };
                format!(
                    "SELECT {key}.pid AS pid, {l}.g AS g, {r}.h AS h, {l}.x AS x, {r}.y AS y FROM {left} \
                     {join} {right} {on}"
                )
            }
            Rel::JoinWard(kind, rel) => {
                let (from, t) = self.from(rel);
                let (w, join) = (self.alias(), kind.sql());
                format!(
                    "SELECT {t}.pid AS pid, {t}.g AS g, {w}.kind AS h, {t}.x AS x, {t}.y AS y FROM {from} \
                     {join} ward {w} ON {t}.g = {w}.ward"
                )
            }
            Rel::JoinOther(left, right) => {
                let ((left, l), (right, r)) = (self.from(left), self.from(right));
                format!(
                    "SELECT {l}.pid AS pid, {l}.g AS g, {r}.h AS h, {l}.x AS x, {r}.y AS y FROM {left} \
                     JOIN {right} ON {l}.g = {r}.g"
                )
            }
            Rel::UnionAll(a, b) => format!("{} UNION ALL {}", self.query(a), self.query(b)),
            Rel::Distinct(rel) => {
                let (from, t) = self.from(rel);
                format!("SELECT DISTINCT {t}.pid, {t}.g, {t}.h, {t}.x, {t}.y FROM {from}")
            }
            Rel::PerPerson(rel) => {
                let (from, t) = self.from(rel);
                format!(
                    "SELECT {t}.pid AS pid, {t}.g AS g, count(*) AS h, sum({t}.x) AS x, max({t}.y) AS y \
                     FROM {from} GROUP BY {t}.pid, {t}.g"
                )
            }
            Rel::Window(rel) => {
                let (from, t) = self.from(rel);
                format!(
                    "SELECT {t}.pid AS pid, {t}.g AS g, count(*) OVER (PARTITION BY {t}.pid) AS h, \
                     {t}.x AS x, sum({t}.x) OVER (PARTITION BY {t}.pid) AS y FROM {from}"
                )
            }
            Rel::Exists {
                rel,
                other,
                such,
                negated,
                by_in,
            } => {
                let ((from, t), (other, o)) = (self.from(rel), self.from(other));
                let (not, such) = (
                    if *negated { "NOT " } else { "" },
                    such.sql(&format!("{o}.")),
                );
                let test = if *by_in {
                    format!("{t}.pid {not}IN (SELECT {o}.pid FROM {other} WHERE {such})")
                } else {
                    format!(
                        "{not}EXISTS (SELECT 1 FROM {other} WHERE {o}.pid = {t}.pid AND {such})"
                    )
                };
                format!("SELECT * FROM {from} WHERE {test}")
            }
            Rel::Largest(rel, other) => {
                let ((from, t), (other, o)) = (self.from(rel), self.from(other));
                format!(
                    "SELECT {t}.pid AS pid, {t}.g AS g, {t}.h AS h, {t}.x AS x, \
                     (SELECT max({o}.x) FROM {other} WHERE {o}.pid = {t}.pid) AS y FROM {from}"
                )
            }
            Rel::Twice(rel) => {
                let query = self.query(rel);
                let (c, a, b) = (self.alias(), self.alias(), self.alias());
                self.with.push(format!("c{c} AS ({query})"));
                format!(
                    "SELECT {a}.pid AS pid, {a}.g AS g, {b}.h AS h, {a}.x AS x, {b}.y AS y FROM c{c} {a} \
                     JOIN c{c} {b} ON {a}.pid = {b}.pid"
                )
            }
        }
    }
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Self::Inner => "JOIN",
            Self::Left => "LEFT JOIN",
            Self::Right => "RIGHT JOIN",
            Self::Full => "FULL JOIN",
        }
    }
}
