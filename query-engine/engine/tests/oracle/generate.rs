//! Queries that nobody thought of: from a seed, and the same from the same seed.
//!
//! Expressions are typed and never fail on a row: divisors are not 0, logarithms are of positive numbers,
//! small numbers stay small. What the two engines define differently is written in both ways
//! ([`Query::theirs`]) or, where there is no other way, left to the `.slt` files beside DIALECT.md.

mod shapes;

use crate::data::{Kind, Known, Random};

/// A query, as the engine and as DuckDB is asked it.
pub(crate) struct Query {
    pub(crate) ours: String,
    /// The `ORDER BY` leaves nothing open.
    pub(crate) is_ordered: bool,
}

impl Query {
    /// DuckDB has another name for it, or another meaning.
    pub(crate) fn theirs(&self) -> String {
        self.ours
            .replace("regexp_like(", "regexp_matches(")
            .replace("signum(", "sign(")
            .replace("character_length(", "length(")
            .replace("btrim(", "trim(")
    }
}

/// A table under the name by which a query knows it.
#[derive(Clone)]
struct Scope {
    alias: String,
    columns: Vec<(String, Kind)>,
    unique: Vec<String>,
}

impl Scope {
    fn of(alias: &str, known: &Known) -> Self {
        Self {
            alias: alias.to_owned(),
            columns: known
                .columns
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), *kind))
                .collect(),
            unique: vec![known.unique.to_owned()],
        }
    }
}

/// Makes queries.
pub(crate) struct Generator<'r> {
    random: &'r mut Random,
    scopes: Vec<Scope>,
    /// DataFusion 55.2 refuses a window ("expects PARTITION BY expression to be ordered") where a condition equates
    /// what it is partitioned by with an expression.
    without_equalities: bool,
}

impl<'r> Generator<'r> {
    pub(crate) fn new(random: &'r mut Random) -> Self {
        Self {
            random,
            scopes: Vec::new(),
            without_equalities: false,
        }
    }

    fn one(&mut self, of: &[&str]) -> String {
        (*self.random.pick(of)).to_owned()
    }

    fn number(&mut self, below: usize) -> String {
        self.random.below(below).to_string()
    }

    /// A column in scope of a kind, or a literal where there is none.
    fn column(&mut self, kind: Kind) -> String {
        let found: Vec<String> = self
            .scopes
            .iter()
            .flat_map(|scope| {
                scope
                    .columns
                    .iter()
                    .filter(|(_, k)| *k == kind)
                    .map(|(name, _)| format!("{}.{name}", scope.alias))
            })
            .collect();
        if found.is_empty() {
            self.literal(kind)
        } else {
            self.random.pick(&found).clone()
        }
    }

    fn literal(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Int => self.number(300),
            Kind::Float => format!(
                "{}.{}",
                self.number(200),
                self.one(&["0", "5", "25", "125"])
            ),
            Kind::Text => self.one(&[
                "'E11.9'",
                "'F'",
                "'糖尿病'",
                "''",
                "'a.b'",
                "'A病棟'",
                "'CRP'",
            ]),
            Kind::Date => format!(
                "DATE '{}-{:02}-{:02}'",
                1960 + self.random.below(45),
                1 + self.random.below(12),
                1 + self.random.below(28)
            ),
            Kind::Time => format!(
                "TIMESTAMP '{}-{:02}-17 {:02}:30:00'",
                1995 + self.random.below(10),
                1 + self.random.below(12),
                self.random.below(24)
            ),
            Kind::Bool => self.one(&["true", "false"]),
        }
    }

    /// An expression of a kind.
    fn expr(&mut self, kind: Kind, depth: usize) -> String {
        if depth == 0 || self.random.chance(25) {
            return if self.random.chance(80) {
                self.column(kind)
            } else {
                self.literal(kind)
            };
        }
        let d = depth - 1;
        if self.random.chance(12) {
            let (when, then) = (self.condition(d), self.expr(kind, d));
            let other = self.expr(kind, d);
            return match self.random.below(3) {
                0 => format!("CASE WHEN {when} THEN {then} ELSE {other} END"),
                1 => format!("CASE WHEN {when} THEN {then} END"),
                _ => format!("coalesce({then}, {other})"),
            };
        }
        match kind {
            Kind::Int => self.int(d),
            Kind::Float => self.float(d),
            Kind::Text => self.text(d),
            Kind::Date => self.date(d),
            Kind::Time => self.time(d),
            Kind::Bool => self.condition(d),
        }
    }

    fn int(&mut self, d: usize) -> String {
        let a = self.expr(Kind::Int, d);
        match self.random.below(17) {
            0 => format!("({a} + {})", self.expr(Kind::Int, d)),
            1 => format!("({a} - {})", self.expr(Kind::Int, d)),
            2 => format!("({a} * {})", self.number(9)),
            3 => format!("({a} / {})", 1 + self.random.below(9)),
            4 => format!("({a} / nullif({}, 0))", self.expr(Kind::Int, d)),
            5 => format!("({a} % {})", 2 + self.random.below(7)),
            6 => format!("abs({a})"),
            7 => format!("(-({a}))"),
            8 => {
                let part = self.one(&["year", "month", "day", "dow", "doy", "quarter"]);
                format!(
                    "CAST(date_part('{part}', {}) AS bigint)",
                    self.expr(Kind::Date, d)
                )
            }
            9 => format!(
                "CAST(extract(hour FROM {}) AS bigint)",
                self.expr(Kind::Time, d)
            ),
            10 => format!(
                "({} - {})",
                self.expr(Kind::Date, d),
                self.expr(Kind::Date, d)
            ),
            11 => format!("character_length({})", self.expr(Kind::Text, d)),
            12 => format!("strpos({}, '.')", self.expr(Kind::Text, d)),
            13 => format!("greatest({a}, {})", self.expr(Kind::Int, d)),
            14 => format!("least({a}, {})", self.expr(Kind::Int, d)),
            15 => format!("nullif({a}, {})", self.number(12)),
            _ => format!("CAST(floor({}) AS bigint)", self.expr(Kind::Float, d)),
        }
    }

    fn float(&mut self, d: usize) -> String {
        let a = self.expr(Kind::Float, d);
        match self.random.below(11) {
            0 => format!("({a} + {})", self.expr(Kind::Float, d)),
            1 => format!("({a} - {})", self.expr(Kind::Float, d)),
            2 => format!("({a} * {})", self.one(&["0.5", "2.0", "0.25", "3.0"])),
            3 => format!("({a} / (abs({}) + 1.0))", self.expr(Kind::Float, d)),
            4 => format!("sqrt(abs({a}))"),
            5 => format!("abs({a})"),
            6 => format!("signum({a})"),
            7 => format!("CAST({} AS double precision)", self.expr(Kind::Int, d)),
            8 => format!("({a} * {})", self.expr(Kind::Int, d)),
            9 => format!("ceil({a})"),
            _ => format!("ln(abs({a}) + 1.0)"),
        }
    }

    fn text(&mut self, d: usize) -> String {
        let a = self.expr(Kind::Text, d);
        match self.random.below(13) {
            0 => format!("upper({a})"),
            1 => format!("lower({a})"),
            2 => format!("({a} || {})", self.expr(Kind::Text, d)),
            3 => format!(
                "substr({a}, {}, {})",
                1 + self.random.below(3),
                self.number(5)
            ),
            4 => format!("left({a}, {})", self.number(5)),
            5 => format!("right({a}, {})", self.number(5)),
            6 => format!("replace({a}, '1', '一')"),
            7 => format!("concat({a}, '-', {})", self.expr(Kind::Text, d)),
            8 => format!("split_part({a}, '.', {})", 1 + self.random.below(2)),
            9 => format!("btrim({a})"),
            10 => format!("regexp_replace({a}, '[0-9]+', '#')"),
            11 => format!("regexp_replace({a}, '[aeiouE]', '', 'g')"),
            _ => format!("CAST({} AS text)", self.expr(Kind::Int, d)),
        }
    }

    fn date(&mut self, d: usize) -> String {
        let a = self.expr(Kind::Date, d);
        match self.random.below(7) {
            0 => format!("CAST({a} + INTERVAL '{} days' AS date)", self.number(400)),
            1 => format!("CAST({a} - INTERVAL '{} months' AS date)", self.number(30)),
            2 => format!("CAST(date_trunc('month', {a}) AS date)"),
            3 => format!("CAST(date_trunc('year', {a}) AS date)"),
            4 => format!("CAST({} AS date)", self.expr(Kind::Time, d)),
            5 => format!("greatest({a}, {})", self.expr(Kind::Date, d)),
            _ => format!("CAST({a} + INTERVAL '{} year' AS date)", self.number(5)),
        }
    }

    fn time(&mut self, d: usize) -> String {
        let a = self.expr(Kind::Time, d);
        match self.random.below(4) {
            0 => format!("({a} + INTERVAL '{} hours')", self.number(80)),
            1 => format!("({a} - INTERVAL '{} minutes')", self.number(999)),
            2 => format!("date_trunc('day', {a})"),
            _ => format!("date_trunc('hour', {a})"),
        }
    }

    fn condition(&mut self, d: usize) -> String {
        let compare = if self.without_equalities {
            self.one(&["<>", "<", "<=", ">", ">="])
        } else {
            self.one(&["=", "<>", "<", "<=", ">", ">="])
        };
        match self.random.below(16) {
            0 | 1 => format!(
                "{} {compare} {}",
                self.expr(Kind::Int, d),
                self.expr(Kind::Int, d)
            ),
            2 => format!(
                "{} {compare} {}",
                self.column(Kind::Float),
                self.literal(Kind::Float)
            ),
            3 => format!(
                "{} {compare} {}",
                self.expr(Kind::Text, d),
                self.expr(Kind::Text, d)
            ),
            4 | 5 => {
                format!(
                    "{} {compare} {}",
                    self.expr(Kind::Date, d),
                    self.expr(Kind::Date, d)
                )
            }
            6 => format!(
                "{} {compare} {}",
                self.expr(Kind::Time, d),
                self.literal(Kind::Time)
            ),
            7 if d > 0 => format!("({} AND {})", self.condition(d - 1), self.condition(d - 1)),
            8 if d > 0 => format!("({} OR {})", self.condition(d - 1), self.condition(d - 1)),
            9 if d > 0 => format!("NOT ({})", self.condition(d - 1)),
            10 => {
                let kind = *self
                    .random
                    .pick(&[Kind::Int, Kind::Float, Kind::Text, Kind::Date]);
                let not = self.one(&["", " NOT"]);
                format!("{} IS{not} NULL", self.expr(kind, d))
            }
            11 => {
                let not = self.one(&["", " NOT"]);
                format!(
                    "{}{not} IN ({}, {}, {})",
                    self.expr(Kind::Int, d),
                    self.number(9),
                    self.number(12),
                    self.number(300)
                )
            }
            12 => {
                let (low, high) = (self.random.below(100), self.random.below(400));
                format!("{} BETWEEN {low} AND {high}", self.expr(Kind::Int, d))
            }
            13 => {
                let pattern = self.one(&["%1%", "E%", "%病%", "_", "%.9", "a.%"]);
                format!("{} LIKE '{pattern}'", self.expr(Kind::Text, d))
            }
            14 => {
                let pattern = self.one(&["^E[0-9]+", "[0-9]\\\\.[0-9]$", "病", "^$", "(?i)e11"]);
                let pattern = pattern.replace("\\\\", "\\");
                format!("regexp_like({}, '{pattern}')", self.expr(Kind::Text, d))
            }
            _ => {
                let (column, other) = (self.column(Kind::Int), self.number(12));
                format!("{column} IS DISTINCT FROM {other}")
            }
        }
    }

    fn any_kind(&mut self) -> Kind {
        *self.random.pick(&[
            Kind::Int,
            Kind::Int,
            Kind::Float,
            Kind::Text,
            Kind::Date,
            Kind::Bool,
            Kind::Time,
        ])
    }

    /// What groups are named by: nothing computed from floats.
    fn key(&mut self) -> String {
        let kind = *self
            .random
            .pick(&[Kind::Int, Kind::Text, Kind::Text, Kind::Date, Kind::Bool]);
        match kind {
            Kind::Int => format!("{} % 7", self.expr(Kind::Int, 1)),
            Kind::Date => format!(
                "CAST(date_part('year', {}) AS bigint)",
                self.expr(Kind::Date, 1)
            ),
            kind => self.expr(kind, 1),
        }
    }
}
