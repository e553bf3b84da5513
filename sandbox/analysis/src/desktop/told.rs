//! What a workspace was told of jobs and outputs, so that it hears of changes and of nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use kekkai_analysis_api::{Job, JobState};
use kekkai_review_api::{OutputDetail, OutputState};
use kekkai_types::JobId;
use tokio::time::Instant;

use crate::session::Session;

/// Jobs that a process that takes another's place is told of.
const AGAIN_MAX: usize = 200;
/// While something waits for reviewers, it is looked at so often.
const OUTPUTS_LOOK: Duration = Duration::from_secs(5);

/// Jobs that are followed until they end.
#[derive(Debug, Default)]
pub(super) struct ToldJobs {
    jobs: BTreeMap<JobId, Told>,
}

/// What was told of a job.
#[derive(Debug, Default)]
struct Told {
    state: Option<JobState>,
    /// It was told that it ended.
    is_over: bool,
    log_next: u64,
    log_hides: (bool, u64),
}

impl ToldJobs {
    pub(super) fn any(&self) -> bool {
        !self.jobs.is_empty()
    }

    pub(super) fn follow(&mut self, job: JobId) {
        self.jobs.entry(job).or_default();
    }

    /// Follows the latest jobs from their beginning.
    pub(super) fn all_again(&mut self, session: &Session) {
        let jobs = session.list().unwrap_or_default();
        let skip = jobs.len().saturating_sub(AGAIN_MAX);
        let latest = jobs.into_iter().skip(skip);
        self.jobs = latest.map(|job| (job.job, Told::default())).collect();
    }

    /// Tells what changed, and follows no longer what has ended.
    pub(super) fn tell(&mut self, session: &Session, mut tell: impl FnMut(Job)) {
        self.jobs.retain(|id, told| {
            loop {
                let Some(job) = session.show_job(id, told.log_next) else {
                    return false;
                };
                let is_running = matches!(
                    job.state,
                    JobState::Queued { .. }
                        | JobState::Running { .. }
                        | JobState::RunningProgram { .. }
                );
                let hides = (job.log.withheld, job.log.dropped);
                let has_lines = !job.log.lines.is_empty();
                let is_other = match is_running {
                    true => told.state.as_ref() != Some(&job.state),
                    // A result is told once: it is not kept to be compared.
                    false => !told.is_over,
                };
                if !is_other && !has_lines && told.log_hides == hides {
                    return is_running;
                }
                told.log_next = job.log.next;
                told.log_hides = hides;
                told.is_over = !is_running;
                told.state = is_running.then(|| job.state.clone());
                tell(job);
                // A log comes in parts.
                if !has_lines {
                    return is_running;
                }
            }
        });
    }
}

/// The person's outputs, as they were told.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    told: Option<Vec<OutputDetail>>,
    is_looking: bool,
    look_at: Option<Instant>,
}

impl Outputs {
    /// The next look is due.
    pub(super) fn look_now(&mut self) {
        self.look_at = Some(Instant::now());
    }

    /// When to look again; `None`: nothing waits.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.look_at.filter(|_| !self.is_looking)
    }

    /// Whether a look begins now.
    pub(super) fn begin_look(&mut self, now: Instant) -> bool {
        let is_due = self.next_look().is_some_and(|at| at <= now);
        self.is_looking |= is_due;
        is_due
    }

    /// What there is. True where that is another thing than was told.
    pub(super) fn found(&mut self, outputs: &[OutputDetail]) -> bool {
        self.is_looking = false;
        let waits = |output: &OutputDetail| {
            matches!(
                output.summary.state,
                OutputState::Waiting | OutputState::HalfVoted
            )
        };
        let any_waits = outputs.iter().any(waits);
        self.look_at = any_waits.then(|| Instant::now() + OUTPUTS_LOOK);
        let is_new = self.told.as_deref() != Some(outputs);
        if is_new {
            self.told = Some(outputs.to_vec());
        }
        is_new
    }

    /// The review service did not answer: later again.
    pub(super) fn not_found(&mut self) {
        self.is_looking = false;
        self.look_at = Some(Instant::now() + OUTPUTS_LOOK);
    }
}
