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
//! and the sum of those would tell. What this module can't show to be so is refused as `not-followed`.
//!
//! The same walk is the closed list of plan nodes and expressions, and makes expressions
//! [`total`](crate::total).

use std::sync::Arc;

use datafusion::catalog::TableProvider as _;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, JoinType, NullEquality};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, Subquery, SubqueryAlias, TableScan,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_types::DatasetId;

use crate::errors::planning;
use crate::functions::{AGGREGATE_FUNCTIONS, PERSON_FUNCTIONS, SCALAR_FUNCTIONS};
use crate::table::Granted;
use crate::text::{Place, Text, refuse};
use crate::total::total;

pub(crate) type Checked<T> = Result<T, SqlError>;

/// One person that each row of a plan is about.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The hidden column; not there while only membership is followed.
    pub(crate) id: Column,
    dataset: DatasetId,
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
    fn has_key(&self, column: &Column) -> bool {
        self.keys.iter().any(|key| key.column == *column)
    }

    fn has_exact_key(&self, column: &Column) -> bool {
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
    /// False inside `EXISTS` and `IN`, whose rows never come up.
    carrying: bool,
    hidden: usize,
    /// Person keys of the queries around the subquery that is being followed, innermost last.
    outer_keys: Vec<Vec<Column>>,
}

/// Where an expression stands: what may be in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Condition,
    Value,
    Aggregate,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(text: &'a Text) -> Self {
        Self {
            text,
            carrying: true,
            hidden: 0,
            outer_keys: Vec::new(),
        }
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
            LogicalPlan::Union(_) => Err(self.not_followed("UNION", &[Keyword::UNION])),
            LogicalPlan::Window(_) => Err(self.not_followed("OVER", &[Keyword::OVER])),
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
            let value = self.expression(expr, &schema, &input.persons, Stand::Value)?;
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

    fn join(&mut self, join: &Join) -> Checked<Followed> {
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        let (left_schema, right_schema) = (
            Arc::clone(left.plan.schema()),
            Arc::clone(right.plan.schema()),
        );
        let mut both: DFSchema = left_schema.as_ref().clone();
        both.merge(&right_schema);
        let mut all = left.persons.clone();
        all.extend(right.persons.iter().cloned());

        let mut equal: Vec<(Column, Column)> = Vec::new();
        let mut on = Vec::with_capacity(join.on.len());
        for (l, r) in &join.on {
            if join.null_equality == NullEquality::NullEqualsNothing
                && let (Expr::Column(l), Expr::Column(r)) = (l, r)
            {
                equal.push((l.clone(), r.clone()));
            }
            let stand = if matches!((l, r), (Expr::Column(_), Expr::Column(_))) {
                // `a.key = b.key`, split in two by the planner.
                Stand::Value
            } else {
                Stand::Condition
            };
            on.push((
                self.expression(l, &left_schema, &left.persons, stand)?,
                self.expression(r, &right_schema, &right.persons, stand)?,
            ));
        }
        let mut filter = None;
        if let Some(condition) = &join.filter {
            if has_subquery(condition) {
                return Err(self.not_followed("JOIN", &[Keyword::JOIN]));
            }
            filter = Some(self.expression(condition, &both, &all, Stand::Condition)?);
            for condition in split_conjunction(condition) {
                if let Some((Expr::Column(a), Expr::Column(b))) = key_equality(condition) {
                    if left_schema.has_column(a) {
                        equal.push((a.clone(), b.clone()));
                    } else {
                        equal.push((b.clone(), a.clone()));
                    }
                }
            }
        }
        let equated = |r: &Person, others: &[Person]| {
            others.iter().position(|l| {
                l.dataset == r.dataset
                    && equal.iter().any(|(a, b)| {
                        (l.has_key(a) && r.has_key(b)) || (l.has_key(b) && r.has_key(a))
                    })
            })
        };
        let is_equated = |r: &Person, others: &[Person]| equated(r, others).is_some();
        let refusal = || self.not_followed("JOIN", &[Keyword::JOIN]);

        let mut full_pair = None;
        let persons = match join.join_type {
            JoinType::Inner => {
                for (a, b) in &equal {
                    merge_equal(&mut all, a, b);
                }
                all
            }
            JoinType::Left => {
                outer_join(left.persons, right.persons, equated).ok_or_else(refusal)?
            }
            JoinType::Right => {
                outer_join(right.persons, left.persons, equated).ok_or_else(refusal)?
            }
            JoinType::LeftSemi | JoinType::LeftAnti => {
                if !right.persons.iter().all(|r| is_equated(r, &left.persons)) {
                    return Err(refusal());
                }
                left.persons
            }
            JoinType::RightSemi | JoinType::RightAnti => {
                if !left.persons.iter().all(|l| is_equated(l, &right.persons)) {
                    return Err(refusal());
                }
                right.persons
            }
            JoinType::Full => match (left.persons.as_slice(), right.persons.as_slice()) {
                ([], _) | (_, []) => inexact(all),
                ([l], [r]) if is_equated(l, &right.persons) => {
                    full_pair = Some((l.id.clone(), r.id.clone()));
                    let mut merged = l.clone();
                    merged.keys.extend(r.keys.iter().cloned());
                    merged.outer.clear();
                    inexact(vec![merged])
                }
                _ => return Err(refusal()),
            },
            JoinType::LeftMark | JoinType::RightMark => return Err(refusal()),
        };
        let plan = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            on,
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )
        .map_err(|e| self.bug(e))?;
        let mut followed = Followed {
            plan: LogicalPlan::Join(plan),
            persons,
        };
        if let (Some((l, r)), true) = (full_pair, self.carrying) {
            self.coalesce_persons(&mut followed, l, r)?;
        }
        Ok(followed)
    }

    /// Above a full join, the person is whichever side has one.
    fn coalesce_persons(&mut self, followed: &mut Followed, l: Column, r: Column) -> Checked<()> {
        let hidden = self.next_hidden();
        let input = std::mem::take(&mut followed.plan);
        let mut exprs: Vec<Expr> = input
            .schema()
            .columns()
            .into_iter()
            .map(Expr::Column)
            .collect();
        exprs.push(coalesce(vec![Expr::Column(l), Expr::Column(r)]).alias(&hidden));
        let plan = Projection::try_new(exprs, Arc::new(input)).map_err(|e| self.bug(e))?;
        if let Some(person) = followed.persons.first_mut() {
            person.id = Column::from_name(hidden);
        }
        followed.plan = LogicalPlan::Projection(plan);
        Ok(())
    }

    /// An aggregate below the one that counts: each of its rows must still be about one person.
    fn per_person(&mut self, plan: &LogicalPlan, aggregate: &Aggregate) -> Checked<Followed> {
        let input = self.plan(&aggregate.input)?;
        let schema = Arc::clone(input.plan.schema());
        let refusal = || self.not_followed("GROUP BY", &[Keyword::GROUP]);
        let by_person = match input.persons.as_slice() {
            [] => true,
            [person] => aggregate
                .group_expr
                .iter()
                .any(|expr| bare_column(expr).is_some_and(|column| person.has_exact_key(column))),
            _ => false,
        };
        if !by_person {
            return Err(refusal());
        }
        let names = NamePreserver::new(plan);
        let mut groups = Vec::with_capacity(aggregate.group_expr.len() + 1);
        for expr in &aggregate.group_expr {
            let saved = names.save(expr);
            let value = self.expression(expr, &schema, &input.persons, Stand::Value)?;
            groups.push(saved.restore(value));
        }
        let shown = groups.len();
        if self.carrying {
            groups.extend(
                input
                    .persons
                    .iter()
                    .map(|person| Expr::Column(person.id.clone())),
            );
        }
        let carried = groups.len() - shown;
        let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            self.aggregate_call(expr, true)?;
            let saved = names.save(expr);
            let value = self.expression(expr, &schema, &input.persons, Stand::Aggregate)?;
            aggregates.push(saved.restore(value));
        }
        let new = Aggregate::try_new(Arc::new(input.plan), groups, aggregates)
            .map_err(|e| self.bug(e))?;
        let mut persons = input.persons;
        for (number, person) in persons.iter_mut().enumerate() {
            if self.carrying {
                person.id = column_at(&new.schema, shown + number);
            }
            let mut keys = Vec::new();
            for (index, expr) in aggregate.group_expr.iter().enumerate() {
                if let Some(column) = bare_column(expr) {
                    keys.extend(person.keys.iter().filter(|key| key.column == *column).map(
                        |key| Key {
                            column: column_at(&new.schema, index),
                            exact: key.exact,
                        },
                    ));
                }
            }
            person.keys = keys;
        }
        // The columns above expect the original order: groups, then aggregates.
        let plan = if carried == 0 {
            LogicalPlan::Aggregate(new)
        } else {
            let columns = new.schema.columns();
            let (before, rest) = columns.split_at(shown.min(columns.len()));
            let (hidden, after) = rest.split_at(carried.min(rest.len()));
            let exprs: Vec<Expr> = before
                .iter()
                .chain(after)
                .chain(hidden)
                .cloned()
                .map(Expr::Column)
                .collect();
            LogicalPlan::Projection(
                Projection::try_new(exprs, Arc::new(LogicalPlan::Aggregate(new)))
                    .map_err(|e| self.bug(e))?,
            )
        };
        Ok(Followed { plan, persons })
    }

    /// Looks at one aggregate call and gives it back without its alias.
    pub(crate) fn aggregate_call<'e>(
        &self,
        expr: &'e Expr,
        per_person: bool,
    ) -> Checked<&'e AggregateFunction> {
        let mut bare = expr;
        while let Expr::Alias(alias) = bare {
            bare = &alias.expr;
        }
        let Expr::AggregateFunction(call) = bare else {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        };
        let name = call.func.name();
        let is_listed =
            AGGREGATE_FUNCTIONS.contains(&name) || (per_person && PERSON_FUNCTIONS.contains(&name));
        if !is_listed {
            return Err(refuse(
                SqlErrorCode::FunctionNotAllowed,
                name,
                self.text.name(name),
            ));
        }
        let params = &call.params;
        let is_plain = params.order_by.is_empty()
            && params.null_treatment.is_none()
            && (!params.distinct || name == "count");
        let arguments = if matches!(name, "corr" | "covar_pop" | "covar_samp") {
            2
        } else {
            1
        };
        if !is_plain || params.args.len() != arguments {
            return Err(refuse(
                SqlErrorCode::ClauseNotAllowed,
                name,
                self.text.name(name),
            ));
        }
        Ok(call)
    }

    /// Checks an expression against the closed list and the rules for person keys, follows its subqueries, and
    /// makes it total.
    pub(crate) fn expression(
        &mut self,
        expr: &Expr,
        schema: &DFSchema,
        persons: &[Person],
        stand: Stand,
    ) -> Checked<Expr> {
        self.check_parts(expr, stand)?;
        self.check_keys(expr, persons, stand)?;
        let expr = self.subqueries(expr.clone(), persons)?;
        total(expr, schema).map_err(|e| self.bug(e))
    }

    /// Holds a node above the aggregate against the closed list of expressions.
    pub(crate) fn check_above(&self, node: &LogicalPlan) -> Checked<()> {
        let mut checked = Ok(());
        let walked = node.apply_expressions(|expr| {
            checked = self.check_parts(expr, Stand::Value);
            Ok(if checked.is_ok() {
                TreeNodeRecursion::Continue
            } else {
                TreeNodeRecursion::Stop
            })
        });
        walked.map_err(|e| self.bug(e))?;
        checked
    }

    fn check_parts(&self, expr: &Expr, stand: Stand) -> Checked<()> {
        let mut refusal = None;
        let walked = expr.apply(|part| {
            let ok = match part {
                Expr::Alias(_)
                | Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Literal(..)
                | Expr::Not(_)
                | Expr::IsNotNull(_)
                | Expr::IsNull(_)
                | Expr::IsTrue(_)
                | Expr::IsFalse(_)
                | Expr::IsUnknown(_)
                | Expr::IsNotTrue(_)
                | Expr::IsNotFalse(_)
                | Expr::IsNotUnknown(_)
                | Expr::Negative(_)
                | Expr::Between(_)
                | Expr::Case(_)
                | Expr::Cast(_)
                | Expr::TryCast(_)
                | Expr::InList(_) => true,
                Expr::BinaryExpr(binary) => is_listed_operator(binary.op),
                Expr::Like(like) => like.escape_char.is_none(),
                Expr::ScalarFunction(call) => {
                    if SCALAR_FUNCTIONS.contains(&call.func.name()) {
                        true
                    } else {
                        let name = call.func.name();
                        refusal = Some(refuse(
                            SqlErrorCode::FunctionNotAllowed,
                            name,
                            self.text.name(name),
                        ));
                        false
                    }
                }
                Expr::AggregateFunction(_) => stand == Stand::Aggregate,
                Expr::Exists(_) | Expr::InSubquery(_) => {
                    if stand != Stand::Condition {
                        refusal = Some(self.not_followed("SELECT", &[Keyword::SELECT]));
                    }
                    stand == Stand::Condition
                }
                Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                    refusal = Some(self.not_followed("SELECT", &[Keyword::SELECT]));
                    false
                }
                Expr::WindowFunction(_) => {
                    refusal = Some(self.not_followed("OVER", &[Keyword::OVER]));
                    false
                }
                #[allow(deprecated, reason = "named so that the list stays closed")]
                Expr::Wildcard { .. }
                | Expr::ScalarVariable(..)
                | Expr::SimilarTo(_)
                | Expr::GroupingSet(_)
                | Expr::Placeholder(_)
                | Expr::Unnest(_)
                | Expr::HigherOrderFunction(_)
                | Expr::Lambda(_)
                | Expr::LambdaVariable(_) => false,
            };
            Ok(if ok {
                TreeNodeRecursion::Continue
            } else {
                refusal.get_or_insert_with(|| {
                    refuse(SqlErrorCode::ClauseNotAllowed, "", first_place(part))
                });
                TreeNodeRecursion::Stop
            })
        });
        walked.map_err(|e| self.bug(e))?;
        refusal.map_or(Ok(()), Err)
    }

    /// A person key may be joined, counted, grouped by and tested for `NULL`. Compared with a value it would
    /// single out a person: `… WHERE person_id < 'a5'` and one more query with `'a6'`.
    fn check_keys(&self, expr: &Expr, persons: &[Person], stand: Stand) -> Checked<()> {
        if bare_column(expr).is_some() {
            return Ok(());
        }
        let is_key = |part: &Expr| match part {
            Expr::Column(column) => persons.iter().any(|person| person.has_key(column)),
            Expr::OuterReferenceColumn(_, column) => self
                .outer_keys
                .last()
                .is_some_and(|keys| keys.contains(column)),
            _ => false,
        };
        let mut found: Option<Column> = None;
        let walked = expr.apply(|part| {
            let is_fine = match part {
                Expr::IsNull(inner) | Expr::IsNotNull(inner) => is_key(inner),
                Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                    *op == Operator::Eq && is_key(left) && is_key(right)
                }
                Expr::InSubquery(InSubquery { expr, .. }) => is_key(expr),
                Expr::AggregateFunction(call) => {
                    stand == Stand::Aggregate
                        && call.func.name() == "count"
                        && call.params.filter.is_none()
                        && matches!(call.params.args.as_slice(), [only] if is_key(only))
                }
                _ => false,
            };
            if is_fine {
                return Ok(TreeNodeRecursion::Jump);
            }
            if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = part
                && is_key(part)
            {
                found = Some(column.clone());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        walked.map_err(|e| self.bug(e))?;
        match found {
            None => Ok(()),
            Some(column) => Err(refuse(
                SqlErrorCode::ClauseNotAllowed,
                column.name.clone(),
                column
                    .spans()
                    .first()
                    .and_then(|span| crate::text::place(span.start.line, span.start.column))
                    .or_else(|| self.text.name(&column.name)),
            )),
        }
    }

    fn subqueries(&mut self, expr: Expr, persons: &[Person]) -> Checked<Expr> {
        let mut refusal = None;
        let rewritten = expr.transform_down(|part| {
            let done = match part {
                Expr::Exists(Exists { subquery, negated }) => self
                    .membership(&subquery, persons, None)
                    .map(|subquery| Expr::Exists(Exists { subquery, negated })),
                Expr::InSubquery(InSubquery {
                    expr,
                    subquery,
                    negated,
                }) => self
                    .membership(&subquery, persons, Some(&expr))
                    .map(|subquery| {
                        Expr::InSubquery(InSubquery {
                            expr,
                            subquery,
                            negated,
                        })
                    }),
                other => return Ok(Transformed::no(other)),
            };
            match done {
                Ok(expr) => Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump)),
                Err(error) => {
                    refusal = Some(error);
                    Err(DataFusionError::Internal("refused".to_owned()))
                }
            }
        });
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        rewritten.map(|t| t.data).map_err(|e| self.bug(e))
    }

    /// A subquery that decides which rows are there: about the same person as the row, or about nobody.
    fn membership(
        &mut self,
        subquery: &Subquery,
        persons: &[Person],
        tested: Option<&Expr>,
    ) -> Checked<Subquery> {
        let carrying = std::mem::replace(&mut self.carrying, false);
        let keys = persons.iter().flat_map(|person| &person.keys);
        self.outer_keys
            .push(keys.map(|key| key.column.clone()).collect());
        let inner = self.plan(&subquery.subquery);
        self.outer_keys.pop();
        self.carrying = carrying;
        let inner = inner?;
        let first = column_at(inner.plan.schema(), 0);
        let is_same = |r: &Person| {
            persons.iter().filter(|l| l.dataset == r.dataset).any(|l| {
                // The subquery's key must never be NULL: one would empty `NOT IN` for everybody.
                let by_test = tested
                    .and_then(bare_column)
                    .is_some_and(|column| l.has_key(column) && r.has_exact_key(&first));
                by_test || r.outer.iter().any(|column| l.has_key(column))
            })
        };
        if !inner.persons.iter().all(is_same) {
            return Err(self.not_followed("SELECT", &[Keyword::SELECT]));
        }
        Ok(Subquery {
            subquery: Arc::new(inner.plan),
            outer_ref_columns: subquery.outer_ref_columns.clone(),
            spans: subquery.spans.clone(),
        })
    }
}

/// The preserved side's persons stay; the other side's must be among them, or the preserved side has none.
fn outer_join(
    preserved: Vec<Person>,
    optional: Vec<Person>,
    equated: impl Fn(&Person, &[Person]) -> Option<usize>,
) -> Option<Vec<Person>> {
    if preserved.is_empty() {
        return Some(inexact(optional));
    }
    let mut persons = preserved;
    for other in optional {
        let same = equated(&other, &persons)?;
        // On the optional side the key is the same person's, or NULL.
        persons
            .get_mut(same)?
            .keys
            .extend(other.keys.into_iter().map(|key| Key {
                column: key.column,
                exact: false,
            }));
    }
    Some(persons)
}

fn inexact(mut persons: Vec<Person>) -> Vec<Person> {
    for person in &mut persons {
        person.outer.clear();
        for key in &mut person.keys {
            key.exact = false;
        }
    }
    persons
}

/// After `a = b` of two person keys both sides are one person.
fn merge_equal(persons: &mut Vec<Person>, a: &Column, b: &Column) {
    let find = |column: &Column| persons.iter().position(|person| person.has_key(column));
    let (Some(first), Some(second)) = (find(a), find(b)) else {
        return;
    };
    let (keep, drop) = (first.min(second), first.max(second));
    let same_dataset = match (persons.get(keep), persons.get(drop)) {
        (Some(l), Some(r)) => l.dataset == r.dataset,
        _ => false,
    };
    if keep == drop || !same_dataset {
        return;
    }
    let dropped = persons.remove(drop);
    if let Some(kept) = persons.get_mut(keep) {
        kept.keys.extend(dropped.keys);
        kept.outer.extend(dropped.outer);
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

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| {
        Ok(matches!(
            part,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_)
        ))
    })
    .unwrap_or(true)
}

/// The column that an expression is, perhaps under another name.
fn bare_column(expr: &Expr) -> Option<&Column> {
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

fn is_listed_operator(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::Plus
            | Operator::Minus
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
            | Operator::And
            | Operator::Or
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
            | Operator::StringConcat
    )
}

/// The place of the first column in an expression.
pub(crate) fn first_place(expr: &Expr) -> Option<Place> {
    let mut found = None;
    let walked = expr.apply(|part| {
        if let Some(span) = part.spans().and_then(|spans| spans.first()) {
            found = crate::text::place(span.start.line, span.start.column);
        }
        Ok(if found.is_some() {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    walked.ok().and(found)
}
