//! Queries that nobody thought of: from a seed, and the same from the same seed.
//!
//! Expressions are typed and never fail on a row: divisors are not 0, logarithms are of positive numbers,
//! small numbers stay small. What the two engines define differently is written in both ways
//! ([`Query::theirs`]) or, where there is no other way, left to the `.slt` files beside DIALECT.md.

use crate::data::{Kind, Known, LABS, PATIENTS, Random, VISITS, WARDS};

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

    fn filter(&mut self) -> String {
        if self.random.chance(25) {
            format!(" FILTER (WHERE {})", self.condition(1))
        } else {
            String::new()
        }
    }

    /// An aggregate that statistics know.
    fn statistic(&mut self, person: &str) -> String {
        match self.random.below(10) {
            0 => format!("count(*){}", self.filter()),
            1 => format!("count(DISTINCT {person})"),
            2 => {
                let kind = self.any_kind();
                format!("count({}){}", self.expr(kind, 1), self.filter())
            }
            3 | 4 => format!("sum({}){}", self.expr(Kind::Int, 2), self.filter()),
            5 => format!("sum({}){}", self.column(Kind::Float), self.filter()),
            6 => format!("avg({}){}", self.expr(Kind::Int, 2), self.filter()),
            7 => format!("avg({})", self.expr(Kind::Float, 2)),
            8 => format!("sum(CASE WHEN {} THEN 1 ELSE 0 END)", self.condition(1)),
            _ => format!("stddev_pop({})", self.column(Kind::Float)),
        }
    }

    /// A condition on other rows of the same person.
    fn membership(&mut self, person: &str) -> String {
        let known = self.random.pick(&[VISITS, LABS]).name;
        let (known, column) = match known {
            "visits" => (VISITS, "urgent IS NOT NULL"),
            _ => (LABS, "value IS NOT NULL"),
        };
        let around = std::mem::replace(&mut self.scopes, vec![Scope::of("x", &known)]);
        let inner = self.condition(1);
        self.scopes = around;
        let name = known.name;
        match self.random.below(4) {
            0 => format!("EXISTS (SELECT 1 FROM {name} x WHERE x.pid = {person} AND {inner})"),
            1 => format!("NOT EXISTS (SELECT 1 FROM {name} x WHERE x.pid = {person} AND {inner})"),
            2 => format!("{person} IN (SELECT x.pid FROM {name} x WHERE {inner})"),
            _ => format!(
                "{person} IN (SELECT x.pid FROM {name} x WHERE x.{column} GROUP BY x.pid HAVING count(*) > {})",
                self.random.below(5)
            ),
        }
    }

    /// `FROM`, with joins of which each row is about one person; gives the text and the person's column.
    fn people(&mut self) -> (String, String) {
        self.scopes.clear();
        match self.random.below(6) {
            0 => {
                self.scopes.push(Scope::of("v", &VISITS));
                ("visits v".to_owned(), "v.pid".to_owned())
            }
            1 => {
                self.scopes = vec![Scope::of("p", &PATIENTS)];
                ("patients p".to_owned(), "p.pid".to_owned())
            }
            2 => {
                self.scopes = vec![Scope::of("p", &PATIENTS), Scope::of("v", &VISITS)];
                let join = self.one(&["JOIN", "LEFT JOIN"]);
                (
                    format!("patients p {join} visits v ON v.pid = p.pid"),
                    "p.pid".to_owned(),
                )
            }
            3 => {
                self.scopes = vec![Scope::of("l", &LABS), Scope::of("p", &PATIENTS)];
                (
                    "labs l JOIN patients p ON p.pid = l.pid".to_owned(),
                    "l.pid".to_owned(),
                )
            }
            4 => {
                self.scopes = vec![Scope::of("v", &VISITS), Scope::of("w", &WARDS)];
                let join = self.one(&["JOIN", "LEFT JOIN"]);
                (
                    format!("visits v {join} wards w ON w.ward = v.ward"),
                    "v.pid".to_owned(),
                )
            }
            _ => self.per_person(),
        }
    }

    /// One row for each person, from many.
    fn per_person(&mut self) -> (String, String) {
        let counted = self.random.chance(50);
        let (table, day, number) = if counted {
            ("visits", "day", "cost")
        } else {
            ("labs", "day", "lab")
        };
        self.scopes = vec![Scope {
            alias: "t".to_owned(),
            columns: [
                ("n", Kind::Int),
                ("first", Kind::Date),
                ("last", Kind::Date),
                ("low", Kind::Int),
                ("high", Kind::Int),
            ]
            .map(|(name, kind)| (name.to_owned(), kind))
            .into(),
            unique: vec!["pid".to_owned()],
        }];
        let inner = format!(
            "(SELECT pid, count(*) AS n, min({day}) AS first, max({day}) AS last, min({number}) AS low, \
             max({number}) AS high FROM {table} GROUP BY pid) t"
        );
        if self.random.chance(50) {
            self.scopes.push(Scope::of("p", &PATIENTS));
            (
                format!("{inner} JOIN patients p ON p.pid = t.pid"),
                "p.pid".to_owned(),
            )
        } else {
            (inner, "t.pid".to_owned())
        }
    }

    /// A statistic whose persons are followed.
    pub(crate) fn statistics(&mut self) -> Query {
        let (from, person) = self.people();
        let mut conditions = Vec::new();
        for _ in 0..self.random.below(3) {
            conditions.push(self.condition(2));
        }
        if self.random.chance(30) {
            conditions.push(self.membership(&person));
        }
        let keys: Vec<String> = (0..self.random.below(3)).map(|_| self.key()).collect();
        let cells: Vec<String> = (0..1 + self.random.below(4))
            .map(|_| self.statistic(&person))
            .collect();
        let having = if !keys.is_empty() && self.random.chance(25) {
            format!(" HAVING count(*) > {}", self.random.below(30))
        } else {
            String::new()
        };
        let is_ordered = !keys.is_empty() && self.random.chance(50);
        let select: Vec<String> = keys
            .iter()
            .chain(&cells)
            .enumerate()
            .map(|(at, expr)| format!("{expr} AS c{at}"))
            .collect();
        let positions: Vec<String> = (1..=keys.len()).map(|at| at.to_string()).collect();
        let mut ours = format!("SELECT {} FROM {from}", select.join(", "));
        if !conditions.is_empty() {
            ours += &format!(" WHERE {}", conditions.join(" AND "));
        }
        if !keys.is_empty() {
            ours += &format!(" GROUP BY {}", positions.join(", "));
        }
        ours += &having;
        if is_ordered {
            ours += &self.order_by(&positions);
        }
        if self.random.chance(20) {
            ours = ours.replacen("visits v", "kept v", 1);
            if ours.contains("kept v") {
                let day = self.literal(Kind::Date);
                ours = format!("WITH kept AS (SELECT * FROM visits WHERE day > {day}) {ours}");
            }
        }
        Query { ours, is_ordered }
    }

    fn order_by(&mut self, positions: &[String]) -> String {
        let by: Vec<String> = positions
            .iter()
            .map(|at| {
                let how = self.one(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
                format!("{at}{how}")
            })
            .collect();
        format!(" ORDER BY {}", by.join(", "))
    }

    /// `FROM` for rows: joins on anything.
    fn tables(&mut self) -> String {
        self.scopes.clear();
        match self.random.below(6) {
            0 => {
                self.scopes.push(Scope::of("v", &VISITS));
                "visits v".to_owned()
            }
            1 => {
                self.scopes.push(Scope::of("l", &LABS));
                "labs l".to_owned()
            }
            2 => {
                self.scopes = vec![Scope::of("v", &VISITS), Scope::of("w", &WARDS)];
                let join = self.one(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                format!("visits v {join} wards w ON w.ward = v.ward")
            }
            3 => {
                self.scopes = vec![Scope::of("p", &PATIENTS), Scope::of("v", &VISITS)];
                let join = self.one(&["JOIN", "LEFT JOIN"]);
                let condition = self.condition(1);
                format!("patients p {join} visits v ON v.pid = p.pid AND {condition}")
            }
            4 => {
                self.scopes = vec![Scope::of("p", &PATIENTS), Scope::of("w", &WARDS)];
                "patients p CROSS JOIN wards w".to_owned()
            }
            _ => {
                self.scopes = vec![Scope::of("v", &VISITS), Scope::of("l", &LABS)];
                "visits v JOIN labs l ON l.pid = v.pid AND l.day BETWEEN v.day - INTERVAL '30 days' \
                 AND v.day + INTERVAL '30 days'"
                    .to_owned()
            }
        }
    }

    fn unique(&self) -> String {
        let columns: Vec<String> = self
            .scopes
            .iter()
            .flat_map(|scope| {
                scope
                    .unique
                    .iter()
                    .map(|column| format!("{}.{column}", scope.alias))
            })
            .collect();
        columns.join(", ")
    }

    fn window(&mut self) -> String {
        let partition = match self.random.below(3) {
            0 => String::new(),
            1 => format!("PARTITION BY {} ", self.column(Kind::Int)),
            _ => format!("PARTITION BY {} ", self.column(Kind::Text)),
        };
        let (first, unique) = (self.column(Kind::Date), self.unique());
        let over = format!("OVER ({partition}ORDER BY {first}, {unique})");
        match self.random.below(10) {
            0 => format!("row_number() {over}"),
            1 => format!("lag({}) {over}", self.column(Kind::Date)),
            2 => format!("lead({}, 2) {over}", self.column(Kind::Int)),
            3 => format!("sum({}) {over}", self.column(Kind::Int)),
            4 => format!("count(*) OVER ({partition}ORDER BY {first})"),
            5 => format!("rank() OVER ({partition}ORDER BY {first})"),
            6 => format!("dense_rank() OVER ({partition}ORDER BY {first} DESC)"),
            7 => format!("first_value({}) {over}", self.column(Kind::Text)),
            8 => format!(
                "avg({}) OVER ({partition}ORDER BY {first}, {unique} ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
                self.column(Kind::Int)
            ),
            _ => format!("ntile(5) OVER (ORDER BY {first}, {unique})"),
        }
    }

    fn row_aggregate(&mut self) -> String {
        match self.random.below(9) {
            0 => {
                let kind = self.any_kind();
                format!("min({})", self.expr(kind, 1))
            }
            1 => {
                let kind = self.any_kind();
                format!("max({})", self.expr(kind, 1))
            }
            2 => format!("median({})", self.expr(Kind::Float, 1)),
            3 => format!("median({})", self.column(Kind::Int)),
            4 => format!(
                "percentile_cont({}) WITHIN GROUP (ORDER BY {})",
                self.one(&["0.25", "0.5", "0.75"]),
                self.column(Kind::Int)
            ),
            5 => format!("count(DISTINCT {})", self.expr(Kind::Text, 1)),
            6 => format!("sum(DISTINCT {})", self.column(Kind::Int)),
            7 => format!("bool_or({})", self.condition(1)),
            _ => format!("bool_and({})", self.condition(1)),
        }
    }

    fn selected(&mut self, n: usize) -> Vec<(Kind, String)> {
        (0..n)
            .map(|_| {
                let kind = self.any_kind();
                (kind, self.expr(kind, 3))
            })
            .collect()
    }

    fn wheres(&mut self) -> String {
        let conditions: Vec<String> = (0..self.random.below(3))
            .map(|_| self.condition(2))
            .collect();
        if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        }
    }

    /// Rows, as programs ask for them.
    pub(crate) fn rows(&mut self) -> Query {
        let shape = self.random.below(8);
        let has_window = shape == 2 || (shape < 2 && self.random.chance(40));
        self.without_equalities = has_window;
        let from = self.tables();
        let wheres = self.wheres();
        let aliased = |exprs: &[String]| {
            let named: Vec<String> = exprs
                .iter()
                .enumerate()
                .map(|(at, expr)| format!("{expr} AS c{at}"))
                .collect();
            named.join(", ")
        };
        match shape {
            // An order that leaves nothing open, and a limit.
            0 | 1 => {
                let mut exprs: Vec<String> =
                    self.selected(3).into_iter().map(|(_, expr)| expr).collect();
                if has_window {
                    exprs.push(format!("({})", self.window()));
                }
                let unique = self.unique();
                let by = self.column(Kind::Int);
                let limit = match self.random.below(3) {
                    0 => String::new(),
                    1 => format!(" LIMIT {}", 1 + self.random.below(60)),
                    _ => format!(
                        " LIMIT {} OFFSET {}",
                        1 + self.random.below(40),
                        self.number(90)
                    ),
                };
                let how = self.one(&["", " DESC"]);
                let select = aliased(&exprs);
                Query {
                    ours: format!(
                        "SELECT {select} FROM {from}{wheres} ORDER BY {by}{how}, {unique}{limit}"
                    ),
                    is_ordered: true,
                }
            }
            2 => {
                let windows: Vec<String> = (0..2).map(|_| self.window()).collect();
                let (unique, select) = (self.unique(), aliased(&windows));
                Query {
                    ours: format!("SELECT {unique}, {select} FROM {from}{wheres}"),
                    is_ordered: false,
                }
            }
            3 => {
                let exprs = [self.key(), self.key()];
                Query {
                    ours: format!("SELECT DISTINCT {} FROM {from}{wheres}", aliased(&exprs)),
                    is_ordered: false,
                }
            }
            4 | 5 => {
                let key = self.key();
                let mut exprs = vec![key];
                exprs.extend((0..3).map(|_| self.row_aggregate()));
                let having = self.one(&["", " HAVING count(*) > 20", " HAVING count(*) < 200"]);
                Query {
                    ours: format!(
                        "SELECT {} FROM {from}{wheres} GROUP BY 1{having}",
                        aliased(&exprs)
                    ),
                    is_ordered: false,
                }
            }
            6 => {
                let kinds = [Kind::Int, Kind::Text];
                let one: Vec<String> = kinds.map(|kind| self.expr(kind, 1)).into();
                let first = format!("SELECT {} FROM {from}{wheres}", aliased(&one));
                let other_from = self.tables();
                let other_wheres = self.wheres();
                let two: Vec<String> = kinds.map(|kind| self.expr(kind, 1)).into();
                let op = self.one(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
                Query {
                    ours: format!(
                        "{first} {op} SELECT {} FROM {other_from}{other_wheres}",
                        aliased(&two)
                    ),
                    is_ordered: false,
                }
            }
            _ => {
                let scalar = self.one(&[
                    "(SELECT count(*) FROM labs x WHERE x.pid = y.pid)",
                    "(SELECT max(x.value) FROM labs x WHERE x.pid = y.pid AND x.item = y.code)",
                    "(SELECT avg(x.cost) FROM visits x)",
                ]);
                self.scopes = vec![Scope::of("y", &VISITS)];
                let condition = match self.random.below(3) {
                    0 => self.membership("y.pid"),
                    1 => "y.cost > (SELECT avg(z.cost) FROM visits z WHERE z.ward = y.ward)"
                        .to_owned(),
                    _ => self.condition(2),
                };
                Query {
                    ours: format!("SELECT y.id, {scalar} AS c1 FROM visits y WHERE {condition}"),
                    is_ordered: false,
                }
            }
        }
    }
}
