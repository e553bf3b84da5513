//! Joins: which persons a joined row is about.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};
use datafusion::sql::sqlparser::keywords::Keyword;

use super::member::has_subquery;
use super::{Checked, Follow, Followed, Key, Person, Stand, key_equality};

impl Follow<'_> {
    pub(super) fn join(&mut self, join: &Join) -> Checked<Followed> {
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

        let carries_rows = self.carries_rows();
        let mut full_pair = None;
        let persons = match join.join_type {
            JoinType::Inner => {
                for (a, b) in &equal {
                    merge_equal(&mut all, a, b);
                }
                all
            }
            JoinType::Left => outer_join(left.persons, right.persons, equated, carries_rows)
                .ok_or_else(refusal)?,
            JoinType::Right => outer_join(right.persons, left.persons, equated, carries_rows)
                .ok_or_else(refusal)?,
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
                _ if carries_rows => inexact(all),
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
}

/// The preserved side's persons stay; the other side's must be among them, or the preserved side has none,
/// or rows are only counted.
fn outer_join(
    preserved: Vec<Person>,
    optional: Vec<Person>,
    equated: impl Fn(&Person, &[Person]) -> Option<usize>,
    carries_rows: bool,
) -> Option<Vec<Person>> {
    if preserved.is_empty() {
        return Some(inexact(optional));
    }
    let mut persons = preserved;
    for other in optional {
        let Some(same) = equated(&other, &persons) else {
            if carries_rows {
                // A row about two persons, or about one where there is no other.
                persons.extend(inexact(vec![other]));
                continue;
            }
            return None;
        };
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
pub(super) fn merge_equal(persons: &mut Vec<Person>, a: &Column, b: &Column) {
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
