//! Rows for programs: the same policy, without the cut at the aggregate.
//!
//! A program is jailed, and only reviewed outputs come out of it; so it may read rows, where the agreement
//! says so. Granted tables and columns, the leaf that reads them, the bounds on a statement's length and depth
//! and the silence of errors are those of statistics. What is wider are three closed lists: of functions
//! ([`crate::functions`]), of clauses ([`crate::statement`]), and of plan nodes and expressions ([`listed`]).
//!
//! A row may fail here: an error tells nothing that the rows don't.
//!
//! Reviewers see how many persons a program's rows were about. Where [`crate::follow`] can carry each row's
//! persons up to where rows are sent, they are counted there, exactly; where it can't, no number is given.

mod listed;
mod metered;
mod output;
mod pieces;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use kekkai_types::DatasetId;

use crate::follow::Follow;
use crate::functions::Purpose;
use crate::person::{PERSON_TYPE, PersonSet};
use crate::text::{HIDDEN_PREFIX, Text};

pub(crate) use listed::{check, check_related};
pub(crate) use metered::metered;
pub(crate) use output::Output;
pub(crate) use pieces::{Encoder, table_batch};

/// A part of an answer to a program.
#[derive(Debug)]
pub enum Piece {
    /// The statement may run; what follows is an Arrow IPC stream. Comes once, first.
    Begin,
    /// The next bytes of the stream, in their order. It is whole when the answer says so.
    Bytes(Vec<arrow::buffer::Buffer>),
}

/// What was sent to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Rows.
    pub rows: u64,
    /// Distinct persons whose records the rows were made of; `None` where that can't be followed, and for
    /// statistics.
    pub persons: Option<u64>,
}

/// A plan for rows.
pub(crate) struct Planned {
    pub(crate) plan: LogicalPlan,
    /// Columns that are sent; behind them come the hidden ones.
    shown: usize,
    /// The dataset of each hidden column; `None` when persons can't be followed.
    persons: Option<Vec<DatasetId>>,
}

/// Adds the persons of each row to a plan that [`check`] has let through, where they can be followed.
pub(crate) fn planned(plan: LogicalPlan, text: &Text) -> Planned {
    let shown = plan.schema().fields().len();
    match with_persons(&plan, text) {
        Some((plan, datasets)) => Planned {
            plan,
            shown,
            persons: Some(datasets),
        },
        None => Planned {
            plan,
            shown,
            persons: None,
        },
    }
}

fn with_persons(plan: &LogicalPlan, text: &Text) -> Option<(LogicalPlan, Vec<DatasetId>)> {
    let followed = Follow::new(text, Purpose::Rows).plan(plan).ok()?;
    if followed.persons.is_empty() {
        return Some((plan.clone(), Vec::new()));
    }
    let mut exprs: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    let mut datasets = Vec::with_capacity(followed.persons.len());
    for (number, person) in followed.persons.into_iter().enumerate() {
        exprs.push(Expr::Column(person.id).alias(format!("{HIDDEN_PREFIX}_r{number}")));
        datasets.push(person.dataset);
    }
    let carrying = Projection::try_new(exprs, Arc::new(followed.plan)).ok()?;
    let is_same = plan
        .schema()
        .iter()
        .zip(carrying.schema.iter())
        .all(|((_, was), (_, is))| was.name() == is.name() && was.data_type() == is.data_type());
    is_same.then(|| (LogicalPlan::Projection(carrying), datasets))
}

impl Planned {
    /// Counts the persons of the rows that go by, and takes their columns away.
    pub(crate) fn counter(&self) -> Counter<'_> {
        Counter {
            planned: self,
            sets: BTreeMap::new(),
        }
    }

    pub(crate) fn shown(&self) -> usize {
        self.shown
    }
}

/// Persons of the rows so far.
pub(crate) struct Counter<'p> {
    planned: &'p Planned,
    sets: BTreeMap<&'p DatasetId, PersonSet>,
}

impl Counter<'_> {
    /// Counts a batch and gives back what of it is sent.
    pub(crate) fn count(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let bug = || DataFusionError::Internal("a hidden column is not there".to_owned());
        let datasets = self.planned.persons.as_deref().unwrap_or_default();
        if batch.num_columns() != self.planned.shown + datasets.len() {
            return Err(bug());
        }
        for (at, dataset) in (self.planned.shown..).zip(datasets) {
            let column = batch.columns().get(at).ok_or_else(bug)?;
            if *column.data_type() != PERSON_TYPE {
                return Err(bug());
            }
            let set = self.sets.entry(dataset).or_default();
            let mut last = None;
            // A row of an outer join may be about nobody on one side.
            for person in column.as_primitive::<UInt32Type>().iter().flatten() {
                // Rows of one person often come together.
                if last != Some(person) {
                    set.add(person, ());
                    last = Some(person);
                }
            }
        }
        let shown: Vec<usize> = (0..self.planned.shown).collect();
        Ok(batch.project(&shown)?)
    }

    /// Distinct persons.
    pub(crate) fn persons(&self) -> Option<u64> {
        self.planned.persons.as_ref()?;
        Some(self.sets.values().map(|set| set.len() as u64).sum())
    }
}
