//! One run of one program.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_worker_api::{Run, RunLimits};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Config, Engine, Store};

use crate::bindings::Tool;
use crate::bindings::interpreter::Stopped;
use crate::broker::Broker;
use crate::cancel::Cancel;
use crate::ended::{call_bytes, ended, error, said, script_stopped};
use crate::host::State;
use crate::limits::limit_error;
use crate::wasi;

/// The name in the error of a run that was cancelled; its code is `Failed`.
pub const CANCELLED: &str = "cancelled";

/// How often a program yields while it computes.
const EPOCH: Duration = Duration::from_millis(10);
/// How long lines are gathered.
const LOG_INTERVAL: Duration = Duration::from_millis(50);
/// Handles that a program's instances may hold together.
const COMPONENT_HANDLES_MAX: usize = 10_000;
/// The stack of the thread that advances the epoch, in bytes.
const TICKER_STACK_BYTES: usize = 64 * 1024;

/// Runs programs, one after the other. Made before the first program comes: this is what takes time.
pub struct Programs {
    engine: Engine,
    linker: Linker<State>,
    ticker: Ticker,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Programs").finish_non_exhaustive()
    }
}

/// A program that is ready to be started, any number of times.
pub struct Program {
    pre: InstancePre<State>,
    entry: Entry,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

enum Entry {
    Tool(ComponentExportIndex),
    Language(ComponentExportIndex),
}

impl Programs {
    /// Reserves what a program needs. `config` is one of [`crate::config`].
    pub fn new(config: &Config) -> wasmtime::Result<Self> {
        let engine = Engine::new(config)?;
        let mut linker = Linker::new(&engine);
        Tool::add_to_linker::<_, wasmtime::component::HasSelf<_>>(&mut linker, |state| state)?;
        wasi::add_to_linker(&mut linker)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self {
            engine,
            linker,
            ticker,
        })
    }

    /// What artefacts must fit.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Resolves a component's imports, once.
    pub fn prepare(&self, component: &Component) -> Result<Program, RunError> {
        let export = |name| component.get_export_index(None, name);
        let entry = match (export("run"), export("run-script")) {
            (Some(run), None) => Entry::Tool(run),
            (None, Some(run_script)) => Entry::Language(run_script),
            _ => return Err(error(RunErrorCode::NotAComponent, "run")),
        };
        // The names are on the allow-list; a type may still be another than ours.
        let pre = self
            .linker
            .instantiate_pre(component)
            .map_err(|e| error(RunErrorCode::ImportNotAllowed, &e.to_string()))?;
        Ok(Program { pre, entry })
    }

    /// Runs a program to its end: its own, a limit's, or `cancel`'s. Everything it printed and reported has
    /// gone to the broker when this returns, and nothing of it is left.
    pub async fn run(
        &self,
        program: &Program,
        run: Run,
        broker: Arc<dyn Broker>,
        cancel: &Cancel,
    ) -> Result<(), RunError> {
        let Run {
            script,
            args,
            catalogs,
            limits,
        } = run;
        let mut store = self.store(State::new(broker.clone(), limits, catalogs, args), &limits);
        let log = store.data().log.clone();
        let time_limit = Duration::from_secs(u64::from(limits.time_limit_s));
        let _ticking = self.ticker.tick();
        let ended = {
            let mut work = std::pin::pin!(call(program, script, &limits, &mut store));
            let mut deadline = std::pin::pin!(tokio::time::sleep(time_limit));
            let mut gathered = tokio::time::interval(LOG_INTERVAL);
            loop {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => break Err(error(RunErrorCode::Failed, CANCELLED)),
                    () = &mut deadline => break Err(limit_error(&limits, RunErrorCode::TimeLimit)),
                    _ = gathered.tick() => log.flush(&*broker),
                    ended = &mut work => break ended,
                }
            }
        };
        store.data_mut().finish();
        ended
    }

    fn store(&self, state: State, limits: &RunLimits) -> Store<State> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.allocations);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(call_bytes(limits));
        store.set_max_component_handles(COMPONENT_HANDLES_MAX);
        store
    }
}

/// What the program's own code comes to.
async fn call(
    program: &Program,
    script: Option<(String, String)>,
    limits: &RunLimits,
    store: &mut Store<State>,
) -> Result<(), RunError> {
    match (&program.entry, script) {
        (Entry::Tool(run), None) => {
            let called = async {
                let instance = program.pre.instantiate_async(&mut *store).await?;
                let run = instance.get_typed_func::<(), (Result<(), String>,)>(&mut *store, run)?;
                Ok(run.call_async(&mut *store, ()).await?.0)
            };
            match called.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(text)) => Err(said(limits, store.data(), &text)),
                Err(trap) => ended(limits, store.data(), &trap),
            }
        }
        (Entry::Language(run_script), Some((name, source))) => {
            let called = async {
                let instance = program.pre.instantiate_async(&mut *store).await?;
                let run = instance.get_typed_func::<(String, String), (Result<(), Stopped>,)>(
                    &mut *store,
                    run_script,
                )?;
                Ok(run.call_async(&mut *store, (name, source)).await?.0)
            };
            match called.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(stopped)) => Err(script_stopped(limits, store.data(), stopped)),
                Err(trap) => ended(limits, store.data(), &trap),
            }
        }
        // A script for a tool, or a language without one: the broker mixed them up.
        _ => Err(error(RunErrorCode::Internal, "entry")),
    }
}

/// Advances the engine's epoch while something runs; asleep otherwise, so that an idle session costs
/// nothing.
struct Ticker {
    running: Arc<AtomicUsize>,
    thread: Thread,
}

/// The epoch advances as long as this lives.
struct Ticking<'a>(&'a Ticker);

impl Ticker {
    fn start(engine: Engine) -> wasmtime::Result<Self> {
        let running = Arc::new(AtomicUsize::new(0));
        let seen = Arc::downgrade(&running);
        let handle = std::thread::Builder::new()
            .name("epoch".to_owned())
            .stack_size(TICKER_STACK_BYTES)
            .spawn(move || {
                while let Some(running) = seen.upgrade() {
                    let is_running = running.load(Ordering::SeqCst) > 0;
                    drop(running);
                    if is_running {
                        std::thread::sleep(EPOCH);
                        engine.increment_epoch();
                    } else {
                        std::thread::park();
                    }
                }
            })?;
        Ok(Self {
            running,
            thread: handle.thread().clone(),
        })
    }

    fn tick(&self) -> Ticking<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
        Ticking(self)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread holds no strong reference while it is parked: it ends when it finds none.
        self.running = Arc::default();
        self.thread.unpark();
    }
}
