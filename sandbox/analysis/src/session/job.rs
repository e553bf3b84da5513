//! A session's jobs: what is running, what came of the others. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kekkai_analysis_api::{JOBS_ACTIVE_MAX, Job, JobState, LogPart, RunError, SqlError, Work};
use kekkai_output::{Populations, Seen, Table};
use kekkai_types::{JobId, OutputId, Refusal};
use tokio::sync::watch;

use super::log::Log;
use crate::turns::Ticket;

/// Jobs in one session.
pub const JOBS_MAX: usize = 10_000;
/// Results that a session keeps; older ones are forgotten, their statements stay.
pub const RESULTS_KEPT_MAX: usize = 20;
/// Cells that all kept results may have together.
pub(super) const RESULT_CELLS_KEPT_MAX: usize = 2_000_000;

/// Bytes that the populations of all kept results may have together.
pub(super) const POPULATION_BYTES_KEPT_MAX: usize = 64 * 1024 * 1024;

/// What came of a statement.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    pub(super) table: Arc<Table>,
    /// The persons behind its cells: for the guard against differencing, shown to nobody.
    pub(super) populations: Arc<Populations>,
}

impl Finished {
    fn cells(&self) -> usize {
        let Table { columns, rows, .. } = self.table.as_ref();
        columns.len().saturating_mul(rows.len())
    }

    fn population_bytes(&self) -> usize {
        let cells = self.populations.cells.iter();
        cells.fold(0, |sum, cell| sum.saturating_add(cell.persons.len()))
    }
}

/// Where a job stands, as the broker sees it.
#[derive(Debug)]
pub(super) enum State {
    /// The ledger is being asked; the worker doesn't know it yet.
    Starting,
    /// Recorded; it waits for its turn.
    Queued(Arc<Ticket>),
    /// With the worker.
    Running,
    /// The worker is done with it; its end is being recorded.
    Settling,
    /// Recorded. The result, unless it was forgotten.
    Done(Option<Finished>),
    /// Recorded. It is too close to an earlier statistic: it is not shown, and may be submitted for review.
    Withheld {
        finished: Finished,
        error: SqlError,
        seen: Seen,
    },
    /// Recorded.
    Failed(SqlError),
    /// Recorded.
    Cancelled { by_limit: bool },
    /// Recorded: rows were shown. Nothing of them is here.
    Shown,
    /// Recorded: a program that ended well.
    Ran,
    /// Recorded: a program that did not.
    RunFailed(RunError),
}

/// What a program's job has besides.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) log: Log,
    pub(super) permille: u16,
    pub(super) note: String,
    pub(super) outputs: Vec<OutputId>,
    /// Told when the program is to stop: true when by a limit.
    pub(super) stop: watch::Sender<Option<bool>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: JobId,
    pub(super) work: Work,
    /// For a run.
    pub(super) program: Option<Program>,
    pub(super) state: State,
    pub(super) started: Instant,
    pub(super) ended: Option<Duration>,
    pub(super) rows_read: u64,
    pub(super) rows_total: u64,
    /// The worker has it and has not said that it is done with it.
    pub(super) worker_busy: bool,
    /// Asked to stop; true when by the time limit.
    pub(super) cancel: Option<bool>,
    /// Outputs that were asked for, each with what was said of it.
    submissions: Vec<(OutputId, Words)>,
}

/// A session's jobs by number.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    entries: BTreeMap<u64, Entry>,
    last: u64,
}

/// What a person says of an output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// For reviewers, at most 200 characters.
    pub title: String,
    /// For reviewers, at most 2,000 characters.
    pub purpose: String,
    /// For reviewers, at most 2,000 characters; may be empty.
    pub method: String,
    /// A returned output that it is in place of.
    pub replaces: Option<OutputId>,
}

/// What is to be submitted.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    /// The same for the same job and words.
    pub output: OutputId,
    /// The result.
    pub table: Arc<Table>,
    /// Where it is too close to an earlier statistic.
    pub seen: Option<Seen>,
}

/// Outputs that one job may be submitted as.
const SUBMISSIONS_MAX: usize = 16;

impl Jobs {
    /// A new job, not running yet. `log_max` is the bound on a program's log, in bytes.
    pub(super) fn add(&mut self, work: Work, log_max: u64) -> Result<(u64, JobId), Refusal> {
        let active = self.entries.values().filter(|job| job.is_active()).count();
        if active >= JOBS_ACTIVE_MAX {
            return Err(Refusal::new(
                "too-many-active-jobs",
                JOBS_ACTIVE_MAX.to_string(),
            ));
        }
        if self.entries.len() >= JOBS_MAX {
            return Err(Refusal::new("too-many-jobs", JOBS_MAX.to_string()));
        }
        self.last = self.last.saturating_add(1);
        let id = JobId::new(self.last.to_string())
            .map_err(|error| Refusal::new("internal", error.to_string()))?;
        let entry = Entry {
            id: id.clone(),
            program: matches!(work, Work::Run(_)).then(|| Program {
                log: Log::new(log_max),
                permille: 0,
                note: String::new(),
                outputs: Vec::new(),
                stop: watch::Sender::new(None),
            }),
            work,
            state: State::Starting,
            started: Instant::now(),
            ended: None,
            rows_read: 0,
            rows_total: 0,
            worker_busy: false,
            cancel: None,
            submissions: Vec::new(),
        };
        self.entries.insert(self.last, entry);
        Ok((self.last, id))
    }

    /// Takes back a job that was never recorded.
    pub(super) fn remove(&mut self, number: u64) {
        self.entries.remove(&number);
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&number)
    }

    /// A worker or a caller says which: it may say anything.
    pub(super) fn number(&self, id: &JobId) -> Option<u64> {
        let number = id.as_str().parse().ok()?;
        self.entries.get(&number).filter(|job| job.id == *id)?;
        Some(number)
    }

    pub(super) fn find(&mut self, id: &JobId) -> Option<&mut Entry> {
        let number = self.number(id)?;
        self.entries.get_mut(&number)
    }

    /// The statements that the session was asked, also those whose answer was withheld: a temporary table is
    /// there as soon as the worker is done.
    pub(super) fn asked(&self) -> Vec<String> {
        self.entries
            .values()
            .filter(|job| matches!(job.work, Work::Query(_)))
            .map(|job| job.work.text().to_owned())
            .collect()
    }

    pub(super) fn unsettled(&self) -> Vec<u64> {
        let with_the_worker = |job: &Entry| matches!(job.state, State::Running | State::Queued(_));
        let numbers = self.entries.iter();
        numbers
            .filter(|(_, job)| with_the_worker(job))
            .map(|(n, _)| *n)
            .collect()
    }

    pub(super) fn list(&self) -> Vec<Job> {
        self.entries
            .values()
            .map(|job| job.show(false, u64::MAX))
            .collect()
    }

    pub(super) fn show(&self, id: &JobId, log_from: u64) -> Option<Job> {
        let number = self.number(id)?;
        self.entries
            .get(&number)
            .map(|job| job.show(true, log_from))
    }

    /// What a program's job has besides, for as long as the lock is held.
    pub(super) fn program(&mut self, number: u64) -> Option<&mut Program> {
        self.entries.get_mut(&number)?.program.as_mut()
    }

    /// Forgets the oldest results beyond the bounds.
    pub(super) fn forget_old_results(&mut self) {
        let (mut results, mut cells, mut bytes) = (0, 0_usize, 0_usize);
        for job in self.entries.values_mut().rev() {
            let (State::Done(Some(finished)) | State::Withheld { finished, .. }) = &job.state
            else {
                continue;
            };
            results += 1;
            cells = cells.saturating_add(finished.cells());
            bytes = bytes.saturating_add(finished.population_bytes());
            let is_much = cells > RESULT_CELLS_KEPT_MAX || bytes > POPULATION_BYTES_KEPT_MAX;
            // The newest is kept whatever its size: a table's own bound is smaller.
            if results > RESULTS_KEPT_MAX || (results > 1 && is_much) {
                job.state = State::Done(None);
            }
        }
    }

    /// A job's result.
    pub(super) fn result(&mut self, id: &JobId) -> Result<Arc<Table>, Refusal> {
        let job = self
            .find(id)
            .ok_or_else(|| Refusal::not_found(id.as_str()))?;
        match &job.state {
            State::Done(Some(finished)) | State::Withheld { finished, .. } => {
                Ok(finished.table.clone())
            }
            State::Done(None) => Err(Refusal::new("result-forgotten", id.as_str())),
            _ => Err(Refusal::new("job-has-no-result", id.as_str())),
        }
    }

    pub(super) fn submission(&mut self, id: &JobId, words: &Words) -> Result<Submission, Refusal> {
        let table = self.result(id)?;
        let job = self
            .find(id)
            .ok_or_else(|| Refusal::not_found(id.as_str()))?;
        let known = job.submissions.iter().find(|(_, said)| said == words);
        let output = match known {
            Some((output, ..)) => output.clone(),
            None if job.submissions.len() >= SUBMISSIONS_MAX => {
                return Err(Refusal::new("too-many-outputs", id.as_str()));
            }
            None => {
                let output =
                    OutputId::random().map_err(|_| Refusal::new("internal", "no randomness"))?;
                job.submissions.push((output.clone(), words.clone()));
                output
            }
        };
        let seen = job.seen();
        Ok(Submission {
            output,
            table,
            seen,
        })
    }
}

impl Entry {
    pub(super) fn seen(&self) -> Option<Seen> {
        match &self.state {
            State::Withheld { seen, .. } => Some(seen.clone()),
            _ => None,
        }
    }

    fn is_active(&self) -> bool {
        self.worker_busy
            || matches!(
                self.state,
                State::Starting | State::Queued(_) | State::Running | State::Settling
            )
    }

    fn show(&self, with_result: bool, log_from: u64) -> Job {
        let running = || match &self.program {
            Some(program) => JobState::RunningProgram {
                permille: program.permille,
                note: program.note.clone(),
            },
            None => JobState::Running {
                rows_read: self.rows_read,
                rows_total: self.rows_total,
            },
        };
        let outputs = || {
            let program = self.program.as_ref();
            program
                .map(|program| program.outputs.clone())
                .unwrap_or_default()
        };
        let state = match &self.state {
            State::Queued(ticket) => match ticket.ahead() {
                Some(ahead) => JobState::Queued {
                    ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
                },
                None => running(),
            },
            State::Starting | State::Running | State::Settling => running(),
            State::Done(finished) => {
                let finished = finished.as_ref().filter(|_| with_result);
                JobState::Done(finished.map(|finished| Table::clone(&finished.table)))
            }
            State::Shown => JobState::Done(None),
            State::Failed(error) | State::Withheld { error, .. } => JobState::Failed(error.clone()),
            State::Cancelled { by_limit } => JobState::Cancelled {
                by_limit: *by_limit,
            },
            State::Ran => JobState::Ran { outputs: outputs() },
            State::RunFailed(error) => JobState::RunFailed {
                error: error.clone(),
                outputs: outputs(),
            },
        };
        let log = match &self.program {
            Some(program) if with_result => program.log.part(log_from),
            _ => LogPart::default(),
        };
        let elapsed = self.ended.unwrap_or_else(|| self.started.elapsed());
        Job {
            job: self.id.clone(),
            work: self.work.clone(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            state,
            log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_output::{Cell, Column, ColumnKind, Lineage, Population, Value, ValueType};
    use kekkai_types::{DatasetId, Digest};

    fn table(rows: usize) -> Finished {
        let table = Arc::new(Table {
            columns: vec![Column {
                name: "a".to_owned(),
                value_type: ValueType::Int,
                kind: ColumnKind::Key,
            }],
            rows: vec![vec![Cell::Key(Value::Int(1))]; rows],
            groups_withheld: 0,
            lineage: Lineage {
                sql: String::new(),
                datasets: Vec::new(),
                threshold: 10,
                dominance_permille: 1,
                engine: String::new(),
                policy: Digest::of(b""),
            },
        });
        Finished {
            table,
            populations: Arc::default(),
        }
    }

    fn words(title: &str) -> Words {
        Words {
            title: title.to_owned(),
            purpose: "p".to_owned(),
            ..Words::default()
        }
    }

    fn done(jobs: &mut Jobs, rows: usize) -> JobId {
        let (number, id) = jobs.add(Work::Query("q".to_owned()), 0).unwrap();
        jobs.get(number).unwrap().state = State::Done(Some(table(rows)));
        id
    }

    #[test]
    fn active_jobs_are_bounded_and_a_busy_worker_counts() {
        let mut jobs = Jobs::default();
        for _ in 0..JOBS_ACTIVE_MAX {
            jobs.add(Work::Query("q".to_owned()), 0).unwrap();
        }
        assert_eq!(
            jobs.add(Work::Query("q".to_owned()), 0).unwrap_err().code,
            "too-many-active-jobs"
        );
        // Cancelled for the person, but the worker still works on it.
        let first = jobs.get(1).unwrap();
        first.state = State::Cancelled { by_limit: false };
        first.worker_busy = true;
        assert!(jobs.add(Work::Query("q".to_owned()), 0).is_err());
        jobs.get(1).unwrap().worker_busy = false;
        assert_eq!(
            jobs.add(Work::Query("q".to_owned()), 0).unwrap().1.as_str(),
            "5"
        );
    }

    #[test]
    fn old_results_are_forgotten_and_say_so() {
        let mut jobs = Jobs::default();
        let first = done(&mut jobs, 1);
        for _ in 0..RESULTS_KEPT_MAX {
            done(&mut jobs, 1);
        }
        jobs.forget_old_results();
        assert_eq!(
            jobs.submission(&first, &words("t")).unwrap_err().code,
            "result-forgotten"
        );
        let large = done(&mut jobs, RESULT_CELLS_KEPT_MAX + 1);
        jobs.forget_old_results();
        assert!(jobs.submission(&large, &words("t")).is_ok());
        let kept = jobs
            .entries
            .values()
            .filter(|j| matches!(j.state, State::Done(Some(_))));
        assert_eq!(kept.count(), 1);
    }

    #[test]
    fn results_with_many_persons_behind_them_are_forgotten_sooner() {
        let mut jobs = Jobs::default();
        let large = |jobs: &mut Jobs| {
            let id = done(jobs, 1);
            let populations = Populations {
                stable: true,
                cells: vec![Population {
                    row: 0,
                    column: None,
                    dataset: DatasetId::new("d").unwrap(),
                    persons: vec![0; POPULATION_BYTES_KEPT_MAX / 2 + 1],
                    measures: Vec::new(),
                }],
            };
            if let Some(State::Done(Some(finished))) = jobs.find(&id).map(|job| &mut job.state) {
                finished.populations = Arc::new(populations);
            }
            id
        };
        let (first, second) = (large(&mut jobs), large(&mut jobs));
        jobs.forget_old_results();
        assert_eq!(jobs.result(&first).unwrap_err().code, "result-forgotten");
        assert!(jobs.result(&second).is_ok());
    }

    #[test]
    fn repeated_submission_is_the_same_output() {
        let mut jobs = Jobs::default();
        let id = done(&mut jobs, 1);
        let one = jobs.submission(&id, &words("t")).unwrap().output;
        assert_eq!(jobs.submission(&id, &words("t")).unwrap().output, one);
        assert_ne!(jobs.submission(&id, &words("t2")).unwrap().output, one);
        let method = Words {
            method: "m".to_owned(),
            ..words("t")
        };
        assert_ne!(jobs.submission(&id, &method).unwrap().output, one);
    }

    #[test]
    fn job_without_result_cannot_be_submitted() {
        let mut jobs = Jobs::default();
        let (_, id) = jobs.add(Work::Query("q".to_owned()), 0).unwrap();
        assert_eq!(
            jobs.submission(&id, &words("t")).unwrap_err().code,
            "job-has-no-result"
        );
        let unknown = JobId::new("99").unwrap();
        assert_eq!(
            jobs.submission(&unknown, &words("t")).unwrap_err().code,
            "not-found"
        );
        let other_spelling = JobId::new("01").unwrap();
        assert!(jobs.show(&other_spelling, 0).is_none());
    }
}
