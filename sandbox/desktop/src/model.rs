//! What the broker told: the one state that every pane reads. Pure: no screen, no clock, no channel.

use std::sync::Arc;

use kekkai_analysis_api::{Job, JobState, LogLine, LogPart, Programs, SqlError, Work};
use kekkai_output::Table;
use kekkai_review_api::OutputDetail;
use kekkai_types::{JobId, Timestamp};
use kekkai_worker_api::{Begin, ToDesktop};

use crate::grid::Grid;
use crate::rows::{KeptRows, Piece, RowsState};

/// Jobs that are listed; the oldest that ended go first.
pub const JOBS_KEPT_MAX: usize = 200;
/// Lines of one job's log that are kept; the oldest go first.
pub const LOG_LINES_KEPT_MAX: usize = 5_000;
/// Cells of results that are kept, over all jobs; the oldest results go first.
pub const CELLS_KEPT_MAX: usize = 250_000;
/// Results with rows that are kept.
pub const ROWS_RESULTS_KEPT_MAX: usize = 2;

/// Text that waits to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Characters that wait.
    pub chars: u32,
    /// Characters that the agreement still lets in today.
    pub left: u32,
}

/// A job and what came of it.
#[derive(Debug)]
pub struct JobView {
    /// As the broker tells it, without result and log.
    pub job: Job,
    /// Lines that were sent, oldest first.
    pub log: Vec<LogLine>,
    /// The oldest lines were let go of.
    pub log_cut: bool,
    /// The statistic.
    pub table: Option<Arc<Table>>,
    /// Rows, where they were asked for.
    pub rows: Option<KeptRows>,
    /// It had a result that was let go of to stay within memory: run it again.
    pub let_go: bool,
    /// The person has looked at its result.
    pub is_seen: bool,
}

impl JobView {
    fn new(job: Job) -> Self {
        Self {
            job,
            log: Vec::new(),
            log_cut: false,
            table: None,
            rows: None,
            let_go: false,
            is_seen: false,
        }
    }

    /// It is under way.
    pub fn is_active(&self) -> bool {
        matches!(
            self.job.state,
            JobState::Queued { .. } | JobState::Running { .. } | JobState::RunningProgram { .. }
        )
    }

    /// What can be looked at: the statistic, or the rows.
    pub fn grid(&self) -> Option<&dyn Grid> {
        match (&self.table, &self.rows) {
            (Some(table), _) => Some(table.as_ref()),
            (None, Some(rows)) if rows.has_columns() => Some(rows),
            (None, _) => None,
        }
    }

    /// Whoever has enough rows closes their pipe: the writer's failure is none.
    fn forgive_cut(&mut self) {
        let is_cut = self
            .rows
            .as_ref()
            .is_some_and(|rows| rows.state == RowsState::Cut);
        if is_cut && matches!(self.job.state, JobState::Failed(_)) {
            self.job.state = JobState::Done(None);
        }
    }

    fn cells(&self) -> usize {
        let table = self.table.as_ref();
        table.map_or(0, |table| {
            table.columns.len().saturating_mul(table.rows.len())
        })
    }
}

/// What the broker told.
#[derive(Debug)]
pub struct Model {
    /// As it was at the beginning.
    pub begin: Begin,
    /// When the session ends at the latest.
    pub closes: Timestamp,
    /// Oldest first.
    pub jobs: Vec<JobView>,
    /// The person's outputs, newest first.
    pub outputs: Vec<OutputDetail>,
    /// What programs there are.
    pub programs: Programs,
    /// Names of notebooks; `None` until they were asked for.
    pub notebooks: Option<Vec<String>>,
    /// Text that waits to be let in.
    pub held: Option<Held>,
    /// Staff who look at this screen.
    pub watchers: u32,
    /// Counts up with each change of jobs, results or outputs: what panes compute from them is computed
    /// anew.
    pub generation: u64,
}

impl Model {
    /// What is known at the beginning.
    pub fn new(begin: Begin) -> Self {
        Self {
            closes: begin.closes,
            programs: begin.programs.clone(),
            begin,
            jobs: Vec::new(),
            outputs: Vec::new(),
            notebooks: None,
            held: None,
            watchers: 0,
            generation: 0,
        }
    }

    /// A job by its number.
    pub fn job(&self, job: &JobId) -> Option<&JobView> {
        self.jobs.iter().find(|view| view.job.job == *job)
    }

    /// The same, to be changed.
    pub fn job_mut(&mut self, job: &JobId) -> Option<&mut JobView> {
        self.jobs.iter_mut().find(|view| view.job.job == *job)
    }

    /// Jobs under way.
    pub fn active_jobs(&self) -> impl Iterator<Item = &JobView> {
        self.jobs.iter().filter(|view| view.is_active())
    }

    /// Takes what the broker tells. Returns what is no news for the model: input, answers, frames.
    pub fn take(&mut self, message: ToDesktop) -> Option<ToDesktop> {
        match message {
            ToDesktop::Job(job) => self.take_job(*job),
            ToDesktop::RowsEnd { job, outcome } => {
                self.end_rows(&job, outcome);
            }
            ToDesktop::Outputs(outputs) => {
                self.take_outputs(outputs);
            }
            ToDesktop::TypingHeld { chars, left } => {
                self.held = (chars > 0).then_some(Held { chars, left });
            }
            ToDesktop::Watched { watchers } => self.watchers = watchers,
            ToDesktop::Closes { at } => self.closes = at,
            other @ (ToDesktop::Begin(_)
            | ToDesktop::Input(_)
            | ToDesktop::Taken { .. }
            | ToDesktop::Answer { .. }) => return Some(other),
        }
        None
    }

    /// A job whose rows are about to come: often before the job itself is told of.
    pub fn begin_rows(&mut self, job: &JobId) {
        if self.job(job).is_none() {
            self.jobs.push(JobView::new(Job {
                job: job.clone(),
                work: Work::Query(String::new()),
                elapsed_ms: 0,
                state: JobState::Running {
                    rows_read: 0,
                    rows_total: 0,
                },
                log: LogPart::default(),
            }));
        }
        if let Some(view) = self.job_mut(job) {
            view.rows.get_or_insert_default();
        }
        self.keep_within_bounds();
        self.changed();
    }

    fn end_rows(&mut self, job: &JobId, outcome: Result<u64, SqlError>) {
        if let Some(view) = self.job_mut(job) {
            if view.is_active() {
                view.job.state = match &outcome {
                    Ok(_) => JobState::Done(None),
                    Err(error) => JobState::Failed(error.clone()),
                };
            }
            if let Some(rows) = &mut view.rows {
                rows.end(outcome);
            }
            view.forgive_cut();
        }
        self.changed();
    }

    /// A piece of a job's rows. False when no more is wanted.
    pub fn take_rows(&mut self, job: &JobId, piece: Piece) -> bool {
        let Some(view) = self.job_mut(job) else {
            return false;
        };
        let wants_more = view.rows.get_or_insert_default().push(piece);
        self.changed();
        let with_rows: Vec<usize> = (0..self.jobs.len())
            .filter(|at| self.jobs.get(*at).is_some_and(|view| view.rows.is_some()))
            .collect();
        let too_many = with_rows.len().saturating_sub(ROWS_RESULTS_KEPT_MAX);
        for at in with_rows.into_iter().take(too_many) {
            if let Some(view) = self.jobs.get_mut(at) {
                view.rows = None;
                view.let_go = true;
            }
        }
        wants_more
    }

    fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    fn take_job(&mut self, mut job: Job) {
        let mut log = std::mem::take(&mut job.log);
        let table = match &mut job.state {
            JobState::Done(table) => table.take().map(Arc::new),
            _ => None,
        };
        let at = self.jobs.iter().position(|view| view.job.job == job.job);
        let at = at.unwrap_or_else(|| {
            self.jobs.push(JobView::new(job.clone()));
            self.jobs.len().saturating_sub(1)
        });
        if let Some(view) = self.jobs.get_mut(at) {
            view.log.append(&mut log.lines);
            let over = view.log.len().saturating_sub(LOG_LINES_KEPT_MAX);
            if over > 0 {
                view.log.drain(..over);
                view.log_cut = true;
            }
            // What was withheld once stays said.
            log.withheld |= view.job.log.withheld;
            view.job = Job { log, ..job };
            if table.is_some() {
                view.table = table;
                view.let_go = false;
            }
            view.forgive_cut();
        }
        self.keep_within_bounds();
        self.changed();
    }

    fn take_outputs(&mut self, outputs: Vec<OutputDetail>) {
        for output in outputs {
            let id = &output.summary.output;
            match self
                .outputs
                .iter_mut()
                .find(|known| known.summary.output == *id)
            {
                Some(known) => *known = output,
                None => self.outputs.push(output),
            }
        }
        self.outputs
            .sort_by_key(|output| std::cmp::Reverse(output.summary.submitted));
        self.changed();
    }

    fn keep_within_bounds(&mut self) {
        while self.jobs.len() > JOBS_KEPT_MAX {
            let Some(oldest) = self.jobs.iter().position(|view| !view.is_active()) else {
                break;
            };
            self.jobs.remove(oldest);
        }
        // The newest result is kept, however large it is: somebody just asked for it.
        let mut cells: usize = 0;
        for view in self.jobs.iter_mut().rev() {
            let of_this = view.cells();
            let is_newest = cells == 0;
            cells = cells.saturating_add(of_this);
            if of_this > 0 && cells > CELLS_KEPT_MAX && !is_newest {
                view.table = None;
                view.let_go = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn job(number: u64, state: JobState) -> ToDesktop {
        ToDesktop::Job(Box::new(Job {
            job: samples::job_id(number),
            work: Work::Query("SELECT 1".to_owned()),
            elapsed_ms: 10,
            state,
            log: LogPart::default(),
        }))
    }

    fn running() -> JobState {
        JobState::Running {
            rows_read: 1,
            rows_total: 2,
        }
    }

    #[test]
    fn job_keeps_its_result_through_later_messages() {
        let mut model = Model::new(samples::begin());
        assert!(model.take(job(1, running())).is_none());
        assert_eq!(model.active_jobs().count(), 1);
        model.take(job(1, JobState::Done(Some(samples::table()))));
        model.take(job(1, JobState::Done(None)));
        let view = model.job(&samples::job_id(1)).unwrap();
        assert!(view.table.is_some() && !view.is_active());
        assert_eq!(view.grid().unwrap().rows(), samples::table().rows.len());
    }

    #[test]
    fn old_results_are_let_go_of_and_it_is_said() {
        let mut model = Model::new(samples::begin());
        for number in 1..=3 {
            let table = samples::large_table(CELLS_KEPT_MAX / 2 + 1);
            model.take(job(number, JobState::Done(Some(table))));
        }
        let kept = |number| {
            let view = model.job(&samples::job_id(number)).unwrap();
            (view.table.is_some(), view.let_go)
        };
        assert_eq!(
            [kept(1), kept(2), kept(3)],
            [(false, true), (false, true), (true, false)]
        );
    }

    #[test]
    fn jobs_are_bounded_and_running_ones_stay() {
        let mut model = Model::new(samples::begin());
        model.take(job(1, running()));
        for number in 2..=(JOBS_KEPT_MAX as u64 + 10) {
            model.take(job(number, JobState::Cancelled { by_limit: false }));
        }
        assert_eq!(model.jobs.len(), JOBS_KEPT_MAX);
        assert!(model.job(&samples::job_id(1)).is_some());
    }

    #[test]
    fn log_grows_by_what_is_new_and_is_bounded() {
        let mut model = Model::new(samples::begin());
        let lines = |from: usize, count: usize, withheld| {
            let line = |n| LogLine {
                is_error: false,
                text: format!("line {n}"),
            };
            ToDesktop::Job(Box::new(Job {
                job: samples::job_id(1),
                work: Work::Run("python a.py".to_owned()),
                elapsed_ms: 1,
                state: JobState::RunningProgram {
                    permille: 1,
                    note: String::new(),
                },
                log: LogPart {
                    lines: (from..from + count).map(line).collect(),
                    withheld,
                    ..LogPart::default()
                },
            }))
        };
        model.take(lines(0, 3, true));
        model.take(lines(3, LOG_LINES_KEPT_MAX, false));
        let view = model.job(&samples::job_id(1)).unwrap();
        assert_eq!(view.log.len(), LOG_LINES_KEPT_MAX);
        assert_eq!(view.log[0].text, "line 3");
        assert!(view.log_cut && view.job.log.withheld);
    }

    #[test]
    fn rows_may_come_before_their_job_is_told() {
        let mut model = Model::new(samples::begin());
        let id = samples::job_id(1);
        model.begin_rows(&id);
        let schema = samples::batch(0, 1).schema();
        assert!(model.take_rows(&id, Piece::Schema(schema)));
        assert!(model.take_rows(&id, Piece::Rows(samples::batch(0, 10))));
        model.take(job(1, running()));
        let view = model.job(&id).unwrap();
        assert_eq!(
            (view.grid().unwrap().rows(), view.job.work.text()),
            (10, "SELECT 1")
        );
        model.take(ToDesktop::RowsEnd {
            job: id.clone(),
            outcome: Ok(10),
        });
        let view = model.job(&id).unwrap();
        assert!(!view.is_active());
        assert_eq!(view.rows.as_ref().unwrap().state, RowsState::Whole(10));
    }

    #[test]
    fn what_is_no_news_comes_back() {
        let mut model = Model::new(samples::begin());
        assert!(model.take(ToDesktop::Taken { frame: 1 }).is_some());
        assert!(
            model
                .take(ToDesktop::TypingHeld { chars: 5, left: 9 })
                .is_none()
        );
        assert_eq!(model.held, Some(Held { chars: 5, left: 9 }));
        model.take(ToDesktop::TypingHeld { chars: 0, left: 9 });
        assert_eq!(model.held, None);
    }
}
