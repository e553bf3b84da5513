//! The closed list of expressions for statistics, and what may be done with a person's key.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::{SqlError, SqlErrorCode, SqlHint};

use super::{Checked, Follow, Person, bare_column};
use crate::functions::{Purpose, SCALAR_FUNCTIONS};
use crate::text::{Place, refuse};
use crate::total::total;

/// Where an expression stands: what may be in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Condition,
    Value,
    /// A column of a `SELECT` list: as a value, but it may be a subquery.
    Projected,
    Aggregate,
    Window,
}

impl Follow<'_> {
    /// Checks an expression against the closed list and the rules for person keys, follows its subqueries, and
    /// makes it total. For rows only its subqueries are followed.
    pub(crate) fn expression(
        &mut self,
        expr: &Expr,
        schema: &DFSchema,
        persons: &[Person],
        stand: Stand,
    ) -> Checked<Expr> {
        if self.purpose == Purpose::Rows {
            return self.subqueries(expr.clone(), persons);
        }
        self.check_parts(expr, stand)?;
        self.check_keys(expr, persons, stand)?;
        let expr = self.subqueries(expr.clone(), persons)?;
        total(expr, schema).map_err(|e| self.bug(e))
    }

    /// Holds a node above the aggregate against the closed list of expressions: no subquery is among them, since
    /// nothing is read any more.
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
                Expr::ScalarSubquery(_) if matches!(stand, Stand::Condition | Stand::Projected) => {
                    true
                }
                Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                    refusal = Some(self.not_followed("SELECT", &[Keyword::SELECT]));
                    false
                }
                Expr::WindowFunction(_) => {
                    if stand != Stand::Window {
                        refusal = Some(self.not_followed("OVER", &[Keyword::OVER]));
                    }
                    stand == Stand::Window
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
                Expr::WindowFunction(call) => {
                    let own = |by: &Expr| bare_column(by).is_some();
                    let params = &call.params;
                    let by = params.partition_by.iter().filter(|by| !own(by));
                    let order = params.order_by.iter().map(|order| &order.expr);
                    let others = params.args.iter().chain(by).chain(order);
                    found = others
                        .chain(params.filter.as_deref())
                        .find_map(|other| first_key(other, &is_key));
                    if found.is_some() {
                        return Ok(TreeNodeRecursion::Stop);
                    }
                    true
                }
                Expr::AggregateFunction(call) => {
                    let filter = call.params.filter.as_deref();
                    stand == Stand::Aggregate
                        && call.func.name() == "count"
                        && filter.is_none_or(|f| self.check_keys(f, persons, stand).is_ok())
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
            Some(column) => Err(SqlError {
                hint: Some(SqlHint::PersonKey),
                ..refuse(
                    SqlErrorCode::ClauseNotAllowed,
                    column.name.clone(),
                    column
                        .spans()
                        .first()
                        .and_then(|span| crate::text::place(span.start.line, span.start.column))
                        .or_else(|| self.text.name(&column.name)),
                )
            }),
        }
    }
}

/// The first person key that an expression names, in whatever place.
fn first_key(expr: &Expr, is_key: &impl Fn(&Expr) -> bool) -> Option<Column> {
    let mut found = None;
    let walked = expr.apply(|part| {
        if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = part
            && is_key(part)
        {
            found = Some(column.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.ok().and(found)
}

pub(crate) fn is_listed_operator(op: Operator) -> bool {
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
