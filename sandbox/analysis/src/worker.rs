//! A worker from its start to its last breath: started, jailed, looked at, and only then given anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kekkai_sys::verify::{VerifyError, verify_from_outside};
use kekkai_sys::{Child, Exit, JailSpec, Layer, SpawnError, Spawner, scm};
use kekkai_worker_api::{
    AsyncReceiver, AsyncSender, FUNCTIONS_MAX, FrameError, FromCompiler, FromDesktop, FromProgram,
    FromWorker, Load, Message, ToWorker, broker_channel,
};

/// A worker must be in its jail by then.
const JAIL_LIMIT: Duration = Duration::from_secs(10);
/// And have its files open by then.
const LOAD_LIMIT: Duration = Duration::from_secs(30);
/// A process that closed its channel has this long to end by itself.
const END_GRACE: Duration = Duration::from_millis(100);
/// `SIGKILL` is not refused, only delayed.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// What a worker writes before it knows anything is logged up to here, in bytes.
const LOG_MAX: usize = 4096;
/// Layers that a worker may report, and bytes of each text: it is not trusted with the ledger's room.
const LAYERS_MAX: usize = 16;
const LAYER_TEXT_MAX: usize = 120;
/// The longest name of a function, in bytes.
const NAME_MAX: usize = 64;

/// Why there is no worker. Says nothing of the data.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The socket pair or the pipe.
    #[error("no channel to the worker")]
    Channel(#[source] std::io::Error),
    /// It ended, said something else, or said nothing in time.
    #[error("the worker did not enter its jail: {0}")]
    NotJailed(String),
    /// It says that it is jailed, and it is not.
    #[error("the worker is not jailed")]
    Unjailed(#[from] VerifyError),
    /// A layer that isn't waived is missing from its report.
    #[error("the worker reports no layer \"{0}\"")]
    LayerMissing(Layer),
    /// Frames.
    #[error("the worker's frames")]
    Frame(#[from] FrameError),
    /// It could not open what it was given.
    #[error("the worker could not load: {0}")]
    LoadFailed(String),
    /// It said something out of turn.
    #[error("the worker spoke out of turn")]
    OutOfTurn,
    /// The task that waits for the blocking part failed.
    #[error("bug: a task failed")]
    Task,
}

/// Holds a worker's process. Dropping it kills it, and with its pid namespace all that it started.
#[derive(Debug, Clone)]
pub struct Life {
    child: Arc<std::sync::Mutex<Child>>,
}

impl Life {
    /// Kills at once, waits until it is gone, and says how it ended.
    pub async fn kill(&self) -> Option<Exit> {
        let child = self.child.clone();
        let killed = tokio::task::spawn_blocking(move || {
            let mut child = child
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            child.kill_and_reap(KILL_LIMIT)
        });
        killed.await.ok().flatten()
    }

    /// As [`kill`](Self::kill), for a process that seems to be ending by itself: how, is worth a moment.
    pub async fn let_end(&self) -> Option<Exit> {
        let child = self.child.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let child = child
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            child.wait_ended(END_GRACE)
        });
        // Whatever came of it, it is killed now.
        let _ = ended.await;
        self.kill().await
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        let child = self
            .child
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        child.has_ended()
    }

    /// Its number, for the look from outside.
    pub fn pid(&self) -> i32 {
        let child = self
            .child
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        child.pid()
    }
}

/// What a process of some kind says first.
pub trait Greeting: Message {
    /// The layers that hold it, if this is a greeting.
    fn layers(self) -> Option<BTreeMap<String, String>>;
}

impl Greeting for FromWorker {
    fn layers(self) -> Option<BTreeMap<String, String>> {
        match self {
            Self::Jailed { layers } => Some(layers),
            _ => None,
        }
    }
}

impl Greeting for FromProgram {
    fn layers(self) -> Option<BTreeMap<String, String>> {
        match self {
            Self::Jailed { layers } => Some(layers),
            _ => None,
        }
    }
}

impl Greeting for FromDesktop {
    fn layers(self) -> Option<BTreeMap<String, String>> {
        match self {
            Self::Jailed { layers } => Some(layers),
            _ => None,
        }
    }
}

impl Greeting for FromCompiler {
    fn layers(self) -> Option<BTreeMap<String, String>> {
        match self {
            Self::Jailed { layers } => Some(layers),
            _ => None,
        }
    }
}

/// A process in its jail, which was seen from outside. It knows nothing yet.
pub struct Jailed<S, R> {
    sender: AsyncSender<S>,
    receiver: AsyncReceiver<R>,
    life: Life,
    spec: JailSpec,
    /// Set when the process learns something: from then on its log is counted, not read.
    knows: Arc<AtomicBool>,
    /// Layers that hold, with what the process says of each.
    pub layers: BTreeMap<String, String>,
    /// Layers that the configuration gives up.
    pub waived: Vec<String>,
}

impl<S, R> std::fmt::Debug for Jailed<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jailed")
            .field("spec", &self.spec)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// A SQL worker that waits for its keys.
pub type JailedWorker = Jailed<ToWorker, FromWorker>;

/// A worker with keys and files.
#[derive(Debug)]
pub struct Worker {
    /// Statements go here.
    pub sender: AsyncSender,
    /// Allegations come from here.
    pub receiver: AsyncReceiver,
    /// The process.
    pub life: Life,
    /// Functions that it says statements may call: short names.
    pub functions: Vec<String>,
}

/// Starts a process, waits until it says that it is jailed, and looks whether it is.
pub async fn start<S: Message, R: Greeting>(
    spawner: &Spawner,
    image: &File,
    name: &str,
    spec: JailSpec,
) -> Result<Jailed<S, R>, WorkerError> {
    let (ours, theirs) = scm::stream_pair().map_err(WorkerError::Channel)?;
    let (log, log_end) = std::io::pipe().map_err(WorkerError::Channel)?;
    let (sender, mut receiver) = broker_channel::<S, R>(ours).map_err(WorkerError::Channel)?;
    let child = {
        let spawner = spawner.clone();
        let image = image.try_clone().map_err(WorkerError::Channel)?;
        let mut args = vec![name.to_owned()];
        args.extend(spec.to_args());
        let (waived, kind) = (spec.waived.clone(), spec.kind);
        let spawn = move || {
            spawner.spawn(
                kind,
                image.as_fd(),
                &args,
                theirs,
                OwnedFd::from(log_end),
                &waived,
            )
        };
        tokio::task::spawn_blocking(spawn)
            .await
            .map_err(|_| WorkerError::Task)??
    };
    let life = Life {
        child: Arc::new(std::sync::Mutex::new(child)),
    };
    let knows = Arc::new(AtomicBool::new(false));
    read_log(log, life.pid(), knows.clone());

    let greeted = match tokio::time::timeout(JAIL_LIMIT, receiver.receive()).await {
        Ok(Ok(Some(message))) => message.layers().ok_or("it said something else".to_owned()),
        Ok(Ok(None)) => Err("it ended".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it said nothing in time".to_owned()),
    };
    let layers = match greeted {
        Ok(layers) => layers,
        Err(what) => {
            let exit = life.kill().await;
            return Err(WorkerError::NotJailed(format!("{what}, {exit:?}")));
        }
    };
    let layers = check_report(layers, &spec.waived)?;
    let waived = spec.waived.iter().map(ToString::to_string).collect();
    let jailed = Jailed {
        sender,
        receiver,
        life,
        spec,
        knows,
        layers,
        waived,
    };
    jailed.look().await?;
    Ok(jailed)
}

impl<S, R> Jailed<S, R> {
    /// Looks from outside whether the process is in its jail. A process that waited in the pool is looked
    /// at once more before it is told anything.
    pub async fn look(&self) -> Result<(), WorkerError> {
        let (pid, kind) = (self.life.pid(), self.spec.kind);
        let waived = self.spec.waived.clone();
        let look = move || verify_from_outside(pid, kind, &waived);
        tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| WorkerError::Task)??;
        Ok(())
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.life.pid()
    }

    /// Its process, for whoever ends it.
    pub(crate) fn life(&self) -> Life {
        self.life.clone()
    }

    /// Whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.life.has_ended()
    }

    /// The process is about to learn something.
    pub fn into_parts(self) -> (AsyncSender<S>, AsyncReceiver<R>, Life) {
        self.knows.store(true, Ordering::SeqCst);
        (self.sender, self.receiver, self.life)
    }
}

/// Each layer that is not waived must be reported; what is no layer is dropped, and texts are bounded.
fn check_report(
    mut reported: BTreeMap<String, String>,
    waived: &BTreeSet<Layer>,
) -> Result<BTreeMap<String, String>, WorkerError> {
    let mut layers = BTreeMap::new();
    for layer in Layer::ALL {
        match reported.remove(layer.as_str()) {
            Some(detail) => {
                let detail = detail
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(LAYER_TEXT_MAX);
                layers.insert(layer.to_string(), detail.collect());
            }
            None if waived.contains(&layer) => {}
            None => return Err(WorkerError::LayerMissing(layer)),
        }
    }
    debug_assert!(layers.len() <= LAYERS_MAX);
    Ok(layers)
}

impl JailedWorker {
    /// Passes keys and descriptors. The launch must be in the ledger by now.
    pub async fn load(mut self, load: Load, files: Vec<OwnedFd>) -> Result<Worker, WorkerError> {
        self.knows.store(true, Ordering::SeqCst);
        let descriptors: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let exchange = async {
            let message = ToWorker::Load(Box::new(load));
            self.sender.send(&message, &descriptors).await?;
            drop(message);
            match self.receiver.receive().await? {
                Some(FromWorker::Loaded { functions }) => Ok(functions),
                Some(FromWorker::LoadFailed { reason }) => {
                    let reason = reason
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(300)
                        .collect();
                    Err(WorkerError::LoadFailed(reason))
                }
                Some(_) => Err(WorkerError::OutOfTurn),
                None => Err(WorkerError::LoadFailed("it ended".to_owned())),
            }
        };
        let outcome = tokio::time::timeout(LOAD_LIMIT, exchange).await;
        match outcome {
            Ok(Ok(functions)) => Ok(Worker {
                sender: self.sender,
                receiver: self.receiver,
                life: self.life,
                functions: names(functions),
            }),
            Ok(Err(error)) => {
                self.life.kill().await;
                Err(error)
            }
            Err(_) => {
                self.life.kill().await;
                Err(WorkerError::LoadFailed("not in time".to_owned()))
            }
        }
    }
}

/// Names of functions, as a process tells them: what is none is dropped.
fn names(mut names: Vec<String>) -> Vec<String> {
    let is_name = |name: &String| {
        (1..=NAME_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    names.retain(is_name);
    names.truncate(FUNCTIONS_MAX);
    names
}

/// Reads a worker's standard output and error to their end. Before it knows anything they may tell why
/// it failed; afterwards they could hold data, and are dropped.
fn read_log(mut log: std::io::PipeReader, pid: i32, knows: Arc<AtomicBool>) {
    let read = move || {
        let mut piece = [0; 1024];
        let mut text = Vec::new();
        let mut dropped: u64 = 0;
        while let Ok(n) = log.read(&mut piece) {
            let Some(bytes) = piece.get(..n).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            if knows.load(Ordering::SeqCst) || text.len() + n > LOG_MAX {
                dropped = dropped.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            } else {
                text.extend_from_slice(bytes);
            }
        }
        let text = String::from_utf8_lossy(&text);
        if !text.is_empty() || dropped > 0 {
            tracing::warn!(pid, text = %text, dropped, "a worker wrote to its log");
        }
    };
    // A thread for each worker: their number is bounded by the sessions'.
    let thread = std::thread::Builder::new().name("worker-log".to_owned());
    if thread.spawn(read).is_err() {
        tracing::error!("no thread for a worker's log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_names_and_nothing_else() {
        let told = ["count", "", "no\u{7}", "a b", "x\"y", &"n".repeat(65)];
        let told = told.map(str::to_owned).to_vec();
        assert_eq!(names(told), ["count"]);
        assert_eq!(names(vec!["a".to_owned(); 5_000]).len(), FUNCTIONS_MAX);
    }

    #[test]
    fn report_must_name_each_layer_that_is_not_waived() {
        let mut reported: BTreeMap<String, String> = Layer::ALL
            .iter()
            .map(|layer| (layer.to_string(), "x\n".repeat(1000)))
            .collect();
        reported.insert("surplus".to_owned(), String::new());
        let checked = check_report(reported.clone(), &BTreeSet::new()).unwrap();
        assert_eq!(checked.len(), Layer::ALL.len());
        assert!(checked.values().all(|text| text.len() == LAYER_TEXT_MAX));
        reported.remove("landlock");
        assert!(check_report(reported.clone(), &BTreeSet::new()).is_err());
        assert!(check_report(reported, &[Layer::Landlock].into()).is_ok());
    }
}
