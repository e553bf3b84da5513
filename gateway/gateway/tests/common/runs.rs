//! Programs at the analysis server: tools whose name says what they do, scripts that tell what they got.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{
    GetScript, Job, JobState, ListPrograms, LogLine, LogPart, Program, Programs, PutScript,
    RemoveScript, RunError, RunErrorCode, StartRun, ToolEntry, WaitJob, Work,
};
use kekkai_service::Routes;
use kekkai_types::{Digest, JobId, OutputId, Refusal};

use super::services::World;

/// Jobs from here on are programs.
const FIRST: usize = 100;
/// Lines of one answer: few, so that most logs need several.
const LINES_AT_ONCE: usize = 2;
/// What a program prints that wants to take a terminal over.
pub const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;1Hkekkai> \u{9b}31m\u{202e}txt.exe\u{200b}\r\nsql DROP\u{0}";

#[derive(Default)]
pub struct Runs {
    pub started: Vec<StartRun>,
    pub cancelled: Vec<usize>,
    /// Tools `live` end when this is set.
    pub may_end: bool,
    pub scripts: BTreeMap<String, String>,
}

fn line(text: impl Into<String>) -> LogLine {
    LogLine {
        is_error: false,
        text: text.into(),
    }
}

fn failed(code: RunErrorCode, name: &str, line: u32) -> JobState {
    JobState::RunFailed {
        error: RunError {
            code,
            name: name.into(),
            line,
        },
        outputs: Vec::new(),
    }
}

fn ran(outputs: &[&str]) -> JobState {
    JobState::Ran {
        outputs: outputs.iter().map(|o| OutputId::new(*o).unwrap()).collect(),
    }
}

fn running(note: &str) -> JobState {
    JobState::RunningProgram {
        permille: 425,
        note: note.into(),
    }
}

impl Runs {
    pub fn is_one(job: &JobId) -> bool {
        index(job).is_some()
    }

    pub fn cancel(&mut self, job: &JobId) {
        self.cancelled.extend(index(job));
    }

    pub fn list(&self) -> Vec<Job> {
        (0..self.started.len())
            .map(|index| Job {
                log: LogPart::default(),
                ..self.job(index)
            })
            .collect()
    }

    /// A job with its whole log.
    fn job(&self, index: usize) -> Job {
        let call = &self.started[index];
        let mut log = LogPart::default();
        let (name, state) = match &call.program {
            Program::Python { name, source } => {
                log.lines = vec![line(format!("{} bytes", source.len()))];
                (format!("python {name}"), ran(&[]))
            }
            Program::Script { name } => {
                let text = &self.scripts[name];
                log.lines = text.lines().map(line).collect();
                (format!("python {name}"), ran(&[]))
            }
            Program::Tool { name } => {
                let state = self.tool(index, name, &mut log);
                (format!("tool {name}"), state)
            }
        };
        let state = match self.cancelled.contains(&index) {
            true => JobState::Cancelled { by_limit: false },
            false => state,
        };
        Job {
            job: JobId::new((FIRST + index).to_string()).unwrap(),
            work: Work::Run(name),
            elapsed_ms: 3_200,
            state,
            log,
        }
    }

    fn tool(&self, index: usize, name: &str, log: &mut LogPart) -> JobState {
        match name {
            "live" => {
                log.lines = vec![line("one"), line("two"), line("three")];
                log.lines.push(LogLine {
                    is_error: true,
                    text: "a warning".into(),
                });
                if !self.may_end {
                    return running("counting");
                }
                log.lines.push(line("four"));
                ran(&["o7"])
            }
            "slow" => {
                log.lines = vec![line(format!("slow {index}"))];
                running("進行中\u{1b}[2J")
            }
            "rows" => {
                log.lines = vec![line("before the rows")];
                (log.withheld, log.dropped) = (true, 3);
                ran(&[])
            }
            "endless" => failed(RunErrorCode::TimeLimit, "600 s", 0),
            "broken" => failed(RunErrorCode::Failed, "ZeroDivisionError", 12),
            "hostile" => {
                log.lines = vec![line(HOSTILE), line("患".repeat(2_000)), line("the end")];
                ran(&[])
            }
            _ => failed(RunErrorCode::Internal, name, 0),
        }
    }
}

fn index(job: &JobId) -> Option<usize> {
    job.as_str().parse::<usize>().ok()?.checked_sub(FIRST)
}

/// Answers when there are more lines, at the end, or after the time that was asked for.
pub async fn wait(world: &Arc<World>, call: &WaitJob) -> Result<Job, Refusal> {
    let from = usize::try_from(call.log_from).unwrap();
    let index = index(&call.job).unwrap();
    let end = tokio::time::Instant::now() + Duration::from_millis(call.wait_ms.into());
    loop {
        let mut job = world.runs(|runs| runs.job(index));
        let is_running = matches!(job.state, JobState::RunningProgram { .. });
        if !is_running || job.log.lines.len() > from || tokio::time::Instant::now() >= end {
            let mut lines = job.log.lines.split_off(from.min(job.log.lines.len()));
            lines.truncate(LINES_AT_ONCE);
            job.log.next = call.log_from + u64::try_from(lines.len()).unwrap();
            job.log.lines = lines;
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn routes(world: &Arc<World>, routes: Routes) -> Routes {
    let w = || world.clone();
    let (start, list, put, get, remove) = (w(), w(), w(), w(), w());
    routes
        .call::<StartRun, _, _>(move |_, call| {
            let world = start.clone();
            async move {
                if call.program
                    == (Program::Tool {
                        name: "none".into(),
                    })
                {
                    return Err(Refusal::new("tool-not-agreed", "none"));
                }
                world.runs(|runs| {
                    runs.started.push(call);
                    let number = FIRST + runs.started.len() - 1;
                    Ok(JobId::new(number.to_string()).unwrap())
                })
            }
        })
        .call::<ListPrograms, _, _>(move |_, _| {
            let world = list.clone();
            async move {
                let scripts = world.runs(|runs| runs.scripts.clone());
                Ok(Programs {
                    python: true,
                    rows: true,
                    scripts: scripts
                        .into_iter()
                        .map(|(name, text)| (name, u64::try_from(text.len()).unwrap()))
                        .collect(),
                    tools: vec![ToolEntry {
                        name: "riskratio".into(),
                        digest: Digest::of(b"riskratio"),
                        description: "リスク比\u{1b}[2J".into(),
                    }],
                })
            }
        })
        .call::<PutScript, _, _>(move |_, call| {
            let world = put.clone();
            async move {
                world.runs(|runs| runs.scripts.insert(call.name, call.source));
                Ok(())
            }
        })
        .call::<GetScript, _, _>(move |_, call| {
            let world = get.clone();
            async move {
                let found = world.runs(|runs| runs.scripts.get(&call.name).cloned());
                found.ok_or_else(|| Refusal::new("script-unknown", call.name))
            }
        })
        .call::<RemoveScript, _, _>(move |_, call| {
            let world = remove.clone();
            async move {
                let found = world.runs(|runs| runs.scripts.remove(&call.name));
                found
                    .map(|_| ())
                    .ok_or_else(|| Refusal::new("script-unknown", call.name))
            }
        })
}
