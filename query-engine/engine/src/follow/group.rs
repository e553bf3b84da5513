//! Aggregates: the calls that may be in them, and those below the one that counts.

use std::sync::Arc;

use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::SqlErrorCode;

use super::{Checked, Follow, Followed, Key, Stand, bare_column, column_at};
use crate::functions::{AGGREGATE_FUNCTIONS, PERSON_FUNCTIONS, Purpose, QUANTILE_FUNCTIONS};
use crate::text::refuse;

impl Follow<'_> {
    /// An aggregate below the one that counts: each of its rows must still be about one person.
    pub(super) fn per_person(
        &mut self,
        plan: &LogicalPlan,
        aggregate: &Aggregate,
    ) -> Checked<Followed> {
        let input = self.plan(&aggregate.input)?;
        let schema = Arc::clone(input.plan.schema());
        let refusal = || match aggregate.group_expr.as_slice() {
            [] => self.not_followed("SELECT", &[Keyword::SELECT]),
            _ => self.not_followed("GROUP BY", &[Keyword::GROUP]),
        };
        let by_person = match input.persons.as_slice() {
            [] => true,
            // For each row of the enclosing query by itself, whose person they are about.
            [person] if !self.carrying && !person.outer.is_empty() => true,
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
            if self.purpose == Purpose::Statistic {
                self.aggregate_call(expr, true)?;
            }
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
        let is_listed = AGGREGATE_FUNCTIONS.contains(&name)
            || QUANTILE_FUNCTIONS.contains(&name)
            || (per_person && PERSON_FUNCTIONS.contains(&name));
        if !is_listed {
            return Err(refuse(
                SqlErrorCode::FunctionNotAllowed,
                name,
                self.text.name(name),
            ));
        }
        let params = &call.params;
        let is_ordered = match (name, params.order_by.as_slice(), params.args.as_slice()) {
            // `WITHIN GROUP (ORDER BY value)` is the same as the value for an argument.
            ("percentile_cont", [by], [value, _]) => by.asc && by.expr == *value,
            (_, [], _) => true,
            _ => false,
        };
        let is_plain =
            is_ordered && params.null_treatment.is_none() && (!params.distinct || name == "count");
        let is_fit = match (name, params.args.as_slice()) {
            ("corr" | "covar_pop" | "covar_samp", args) => args.len() == 2,
            ("percentile_cont", args) => matches!(args, [_, Expr::Literal(..)]),
            (_, args) => args.len() == 1,
        };
        if !is_plain || !is_fit {
            return Err(refuse(
                SqlErrorCode::ClauseNotAllowed,
                name,
                self.text.name(name),
            ));
        }
        Ok(call)
    }
}
