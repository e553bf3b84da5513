//! Subqueries that decide which rows are there, or what is in them.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};
use datafusion::sql::sqlparser::keywords::Keyword;

use super::{Checked, Follow, Person, bare_column, column_at};
use crate::functions::Purpose;
use crate::table::Granted;

impl Follow<'_> {
    pub(super) fn subqueries(&mut self, expr: Expr, persons: &[Person]) -> Checked<Expr> {
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
                Expr::ScalarSubquery(_)
                    if self.purpose == Purpose::Rows && about_persons(&part) =>
                {
                    // Its value is made of rows that nobody counts.
                    Err(self.not_followed("SELECT", &[Keyword::SELECT]))
                }
                // A value made of rows of the same person, or of rows about nobody.
                Expr::ScalarSubquery(subquery) if self.purpose == Purpose::Statistic => {
                    self.own_value(&subquery, persons).map(Expr::ScalarSubquery)
                }
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

    /// A subquery in the place of a value. A person key would no longer be known as one.
    fn own_value(&mut self, subquery: &Subquery, persons: &[Person]) -> Checked<Subquery> {
        let followed = self.membership(subquery, persons, None)?;
        let mut shown = followed.subquery.as_ref();
        // Names may be given on the way; what is projected is computed below.
        while let LogicalPlan::SubqueryAlias(alias) = shown {
            shown = &alias.input;
        }
        let is_computed = match shown {
            LogicalPlan::Projection(projection) => {
                let aggregate = projection.input.as_ref();
                matches!(aggregate, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
            }
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
            _ => false,
        };
        if is_computed {
            Ok(followed)
        } else {
            Err(self.not_followed("SELECT", &[Keyword::SELECT]))
        }
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

pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| {
        Ok(matches!(
            part,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_)
        ))
    })
    .unwrap_or(true)
}

/// True when a subquery reads a table of persons.
fn about_persons(subquery: &Expr) -> bool {
    let Expr::ScalarSubquery(subquery) = subquery else {
        return false;
    };
    let mut found = false;
    let walked = subquery.subquery.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= source_as_provider(&scan.source)?
                .downcast_ref::<Granted>()
                .is_none_or(|granted| granted.table.person_key.is_some());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_err() || found
}
