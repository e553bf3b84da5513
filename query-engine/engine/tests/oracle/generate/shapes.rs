//! Statements around the expressions: what is joined, filtered, grouped, ordered.

use super::{Generator, Query, Scope};
use crate::data::{Kind, LABS, PATIENTS, VISITS, WARDS};

impl Generator<'_> {
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
