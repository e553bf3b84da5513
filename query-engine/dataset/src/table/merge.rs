//! Merging sorted runs, stretch by stretch.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use arrow::array::UInt32Array;
use arrow::record_batch::RecordBatch;

use super::run::RunReader;
use super::{numbers, rows_of};
use crate::file::FileError;

/// A run's next rows.
struct Head<'r> {
    reader: RunReader<'r>,
    persons: UInt32Array,
    /// The next row.
    at: usize,
    /// Where its batch is among those that rows are taken of.
    batch: usize,
}

/// Calls `each` with batches of at most `batch_rows` rows, sorted by their person. Rows of one person come in
/// the order of the runs.
pub(super) fn merge(
    readers: Vec<RunReader<'_>>,
    person: usize,
    batch_rows: usize,
    mut each: impl FnMut(RecordBatch) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut heads: Vec<Option<Head<'_>>> = Vec::with_capacity(readers.len());
    // The least person first; of equal ones, the earliest run.
    let mut next = BinaryHeap::with_capacity(readers.len());
    let mut batches = Vec::with_capacity(readers.len());
    for (run, mut reader) in readers.into_iter().enumerate() {
        let Some(batch) = reader.next()? else {
            heads.push(None);
            continue;
        };
        let persons = numbers(&batch, person)?.clone();
        next.extend(persons.values().first().map(|first| Reverse((*first, run))));
        heads.push(Some(Head {
            reader,
            persons,
            at: 0,
            batch: batches.len(),
        }));
        batches.push(batch);
    }
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(batch_rows);
    while let Some(Reverse((_, run))) = next.pop() {
        let lost = FileError::Internal("a run got lost");
        let slot = heads.get_mut(run).ok_or(lost)?;
        let Some(head) = slot else {
            continue;
        };
        // All rows of this run that come before the next of any other.
        let rest = head.persons.values().get(head.at..).unwrap_or_default();
        let stretch = match next.peek() {
            Some(Reverse(other)) => rest.partition_point(|person| (*person, run) < *other),
            None => rest.len(),
        };
        let end = head.at + stretch.min(batch_rows - rows.len());
        rows.extend((head.at..end).map(|row| (head.batch, row)));
        head.at = end;
        if head.at == head.persons.len() {
            match head.reader.next()? {
                Some(batch) => {
                    head.persons = numbers(&batch, person)?.clone();
                    (head.at, head.batch) = (0, batches.len());
                    batches.push(batch);
                }
                None => *slot = None,
            }
        }
        if let Some(head) = slot {
            let first = head.persons.values().get(head.at);
            next.extend(first.map(|first| Reverse((*first, run))));
        }
        if rows.len() == batch_rows {
            give(&batches, &mut rows, &mut each)?;
            batches = heads
                .iter_mut()
                .flatten()
                .enumerate()
                .filter_map(|(at, head)| {
                    let batch = batches.get(head.batch).cloned();
                    head.batch = at;
                    batch
                })
                .collect();
        }
    }
    give(&batches, &mut rows, &mut each)
}

fn give(
    batches: &[RecordBatch],
    rows: &mut Vec<(usize, usize)>,
    each: &mut impl FnMut(RecordBatch) -> Result<(), FileError>,
) -> Result<(), FileError> {
    if rows.is_empty() {
        return Ok(());
    }
    let batch = rows_of(&batches.iter().collect::<Vec<_>>(), rows)?;
    rows.clear();
    each(batch)
}
