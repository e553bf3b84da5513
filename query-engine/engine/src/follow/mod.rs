//! Follows each row's person from the scan up to the aggregate.
//!
//! A worked story. `SELECT p.gender, avg(m.value) FROM person p LEFT JOIN measurement m ON m.person_id =
//! p.person_id GROUP BY p.gender` has two scans, each with a hidden column of its own. The join equates the
//! two person keys, so that a joined row is about one person, p's: one hidden column remains. Were the join
//! on anything else, a row would be about two persons, both columns would go up, and the smaller count of
//! the two would count.
//!
//! A row that decides only whether *another* row is there (`EXISTS`, `IN`, the inner side of an outer join)
//! must be about the same person as that row: otherwise one person's data would switch other persons' rows,
//! and the sum of those would tell. So must what a window or a subquery in the place of a value adds to a row,
//! and rows that `DISTINCT` makes one. What this module can't show to be so is refused as `not-followed`.
//!
//! The same walk is the closed list of plan nodes and expressions, and makes expressions
//! [`total`](crate::total).
//!
//! For rows ([`crate::rows`]) the walk only finds out whose rows they are: what may be in the plan was decided
//! before, expressions stay as they are, and what can't be followed is not refused but not counted.

mod group;
mod join;
mod kept;
mod listed;
mod member;
mod through;

use std::sync::Arc;

use datafusion::catalog::TableProvider as _;
use datafusion::common::{Column, DFSchemaRef, DataFusionError};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
    SubqueryAlias, TableScan,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_types::DatasetId;

use crate::errors::planning;
use crate::functions::Purpose;
use crate::table::Granted;
use crate::temporary::Kept;
use crate::text::{Text, refuse};

use join::merge_equal;
pub(crate) use listed::{Stand, first_place, is_listed_operator};

pub(crate) type Checked<T> = Result<T, SqlError>;

/// One person that each row of a plan is about.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The hidden column; not there while only membership is followed.
    pub(crate) id: Column,
    pub(crate) dataset: DatasetId,
    /// Visible columns that hold this person's key.
    keys: Vec<Key>,
    /// Columns of the enclosing query that a condition equates with this person's key.
    outer: Vec<Column>,
}

#[derive(Debug, Clone)]
struct Key {
    column: Column,
    /// False when the column may be `NULL` although the person is known: the inner side of an outer join.
    exact: bool,
}

impl Person {
    pub(crate) fn has_key(&self, column: &Column) -> bool {
        self.keys.iter().any(|key| key.column == *column)
    }

    pub(crate) fn has_exact_key(&self, column: &Column) -> bool {
        self.keys
            .iter()
            .any(|key| key.exact && key.column == *column)
    }
}

/// A plan whose rows' persons are known.
pub(crate) struct Followed {
    pub(crate) plan: LogicalPlan,
    pub(crate) persons: Vec<Person>,
}

/// The walk.
pub(crate) struct Follow<'a> {
    pub(crate) text: &'a Text,
    purpose: Purpose,
    /// False inside `EXISTS` and `IN`, whose rows never come up.
    carrying: bool,
    hidden: usize,
    /// Person keys of the queries around the subquery that is being followed, innermost last.
    outer_keys: Vec<Vec<Column>>,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(text: &'a Text, purpose: Purpose) -> Self {
        Self {
            text,
            purpose,
            carrying: true,
            hidden: 0,
            outer_keys: Vec::new(),
        }
    }

    /// True where rows are followed up to where they are sent; membership has its own, stricter rules.
    fn carries_rows(&self) -> bool {
        self.purpose == Purpose::Rows && self.carrying
    }

    fn next_hidden(&mut self) -> String {
        self.hidden += 1;
        format!("{}_p{}", crate::text::HIDDEN_PREFIX, self.hidden)
    }

    pub(crate) fn refuse_at(
        &self,
        code: SqlErrorCode,
        name: &str,
        keywords: &[Keyword],
    ) -> SqlError {
        let place = self
            .text
            .inner_keyword(keywords)
            .or_else(|| self.text.keyword(keywords));
        refuse(code, name, place)
    }

    fn not_followed(&self, name: &str, keywords: &[Keyword]) -> SqlError {
        self.refuse_at(SqlErrorCode::NotFollowed, name, keywords)
    }

    pub(crate) fn bug(&self, error: DataFusionError) -> SqlError {
        planning(&error, self.text)
    }

    /// Follows a plan below an aggregate.
    pub(crate) fn plan(&mut self, plan: &LogicalPlan) -> Checked<Followed> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Projection(projection) => self.projection(plan, projection),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => self.per_person(plan, aggregate),
            LogicalPlan::Sort(sort) if self.carries_rows() => self.sorted(sort),
            LogicalPlan::Limit(limit) if self.carries_rows() => self.limited(limit),
            LogicalPlan::Window(window) => self.window(plan, window),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Distinct(Distinct::All(input)) if self.carrying => self.distinct(input),
            LogicalPlan::EmptyRelation(_) if self.carries_rows() => Ok(Followed {
                plan: plan.clone(),
                persons: Vec::new(),
            }),
            // Without a limit above, an order changes nothing.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.plan(&sort.input),
            LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
                Err(self.not_followed("LIMIT", &[Keyword::LIMIT, Keyword::OFFSET]))
            }
            LogicalPlan::Distinct(Distinct::All(input)) if !self.carrying => {
                let input = self.plan(input)?;
                Ok(Followed {
                    plan: LogicalPlan::Distinct(Distinct::All(Arc::new(input.plan))),
                    persons: input.persons,
                })
            }
            LogicalPlan::Distinct(_) => Err(self.not_followed("DISTINCT", &[Keyword::DISTINCT])),
            LogicalPlan::Subquery(_) => Err(self.not_followed("LATERAL", &[Keyword::LATERAL])),
            LogicalPlan::EmptyRelation(_) => Err(refuse(
                SqlErrorCode::RowsNotAllowed,
                "SELECT",
                self.text.keyword(&[Keyword::SELECT]),
            )),
            LogicalPlan::Repartition(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => Err(refuse(
                SqlErrorCode::ClauseNotAllowed,
                plan.display()
                    .to_string()
                    .split(':')
                    .next()
                    .unwrap_or_default(),
                None,
            )),
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Checked<Followed> {
        let provider = source_as_provider(&scan.source).map_err(|e| self.bug(e))?;
        if let Some(kept) = provider.downcast_ref::<Kept>() {
            return self.kept(scan, kept);
        }
        let Some(granted) = provider.downcast_ref::<Granted>() else {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        };
        if !scan.filters.is_empty() || scan.fetch.is_some() || scan.projection.is_some() {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        }
        let Some(person_key) = &granted.table.person_key else {
            return Ok(Followed {
                plan: LogicalPlan::TableScan(scan.clone()),
                persons: Vec::new(),
            });
        };
        let mut keys = Vec::new();
        if granted.schema().field_with_name(person_key).is_ok() {
            keys.push(Key {
                column: Column::new(Some(scan.table_name.clone()), person_key),
                exact: true,
            });
        }
        let hidden = self.next_hidden();
        let plan = if self.carrying {
            let with_persons = granted
                .with_persons(&hidden)
                .ok_or_else(|| refuse(SqlErrorCode::Internal, "", None))?;
            let source = provider_as_source(Arc::new(with_persons));
            LogicalPlanBuilder::scan(scan.table_name.clone(), source, None)
                .and_then(LogicalPlanBuilder::build)
                .map_err(|e| self.bug(e))?
        } else {
            LogicalPlan::TableScan(scan.clone())
        };
        Ok(Followed {
            plan,
            persons: vec![Person {
                id: Column::new(Some(scan.table_name.clone()), hidden),
                dataset: granted.table.dataset.clone(),
                keys,
                outer: Vec::new(),
            }],
        })
    }

    fn filter(&mut self, filter: &Filter) -> Checked<Followed> {
        let input = self.plan(&filter.input)?;
        let schema = Arc::clone(input.plan.schema());
        let predicate =
            self.expression(&filter.predicate, &schema, &input.persons, Stand::Condition)?;
        let mut persons = input.persons;
        for condition in split_conjunction(&filter.predicate) {
            let Some((left, right)) = key_equality(condition) else {
                continue;
            };
            match (left, right) {
                (Expr::Column(left), Expr::Column(right)) => merge_equal(&mut persons, left, right),
                (Expr::Column(inner), Expr::OuterReferenceColumn(_, outer))
                | (Expr::OuterReferenceColumn(_, outer), Expr::Column(inner)) => {
                    for person in persons.iter_mut().filter(|person| person.has_key(inner)) {
                        person.outer.push(outer.clone());
                    }
                }
                _ => {}
            }
        }
        let plan = Filter::try_new(predicate, Arc::new(input.plan)).map_err(|e| self.bug(e))?;
        Ok(Followed {
            plan: LogicalPlan::Filter(plan),
            persons,
        })
    }

    fn projection(&mut self, plan: &LogicalPlan, projection: &Projection) -> Checked<Followed> {
        let input = self.plan(&projection.input)?;
        let schema = Arc::clone(input.plan.schema());
        let names = NamePreserver::new(plan);
        let mut exprs = Vec::with_capacity(projection.expr.len());
        for expr in &projection.expr {
            let saved = names.save(expr);
            let value = self.expression(expr, &schema, &input.persons, Stand::Projected)?;
            exprs.push(saved.restore(value));
        }
        let shown = projection.expr.len();
        if self.carrying {
            exprs.extend(
                input
                    .persons
                    .iter()
                    .map(|person| Expr::Column(person.id.clone())),
            );
        }
        let plan = Projection::try_new(exprs, Arc::new(input.plan)).map_err(|e| self.bug(e))?;
        let mut persons = input.persons;
        for (number, person) in persons.iter_mut().enumerate() {
            if self.carrying {
                person.id = column_at(&plan.schema, shown + number);
            }
            let mut keys = Vec::new();
            for (index, expr) in projection.expr.iter().enumerate() {
                if let Some(column) = bare_column(expr) {
                    keys.extend(person.keys.iter().filter(|key| key.column == *column).map(
                        |key| Key {
                            column: column_at(&plan.schema, index),
                            exact: key.exact,
                        },
                    ));
                }
            }
            person.keys = keys;
        }
        Ok(Followed {
            plan: LogicalPlan::Projection(plan),
            persons,
        })
    }

    fn alias(&mut self, alias: &SubqueryAlias) -> Checked<Followed> {
        let input = self.plan(&alias.input)?;
        let before = Arc::clone(input.plan.schema());
        let plan = SubqueryAlias::try_new(Arc::new(input.plan), alias.alias.clone())
            .map_err(|e| self.bug(e))?;
        let rename = |column: &Column| match before.maybe_index_of_column(column) {
            Some(index) => column_at(&plan.schema, index),
            None => column.clone(),
        };
        let mut persons = input.persons;
        for person in &mut persons {
            person.id = rename(&person.id);
            for key in &mut person.keys {
                key.column = rename(&key.column);
            }
        }
        Ok(Followed {
            plan: LogicalPlan::SubqueryAlias(plan),
            persons,
        })
    }
}

fn key_equality(condition: &Expr) -> Option<(&Expr, &Expr)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => Some((left, right)),
        _ => None,
    }
}

/// The column that an expression is, perhaps under another name.
pub(crate) fn bare_column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => bare_column(&alias.expr),
        _ => None,
    }
}

fn column_at(schema: &DFSchemaRef, index: usize) -> Column {
    schema
        .columns()
        .into_iter()
        .nth(index)
        .unwrap_or_else(|| Column::from_name(""))
}
