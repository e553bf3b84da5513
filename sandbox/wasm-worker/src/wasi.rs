//! WASI 0.2, as little of it as programs get: no descriptor of any file or socket, no environment, no input;
//! standard output and error are the log; clocks go in steps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{HostWallClock, WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random as wasi_random, sockets};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi::{WasiCtx, WasiView};

use crate::host::State;
use crate::log::Log;

/// Random bytes that one call may ask for.
const RANDOM_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes that a program may write to its standard output before it asks again.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The interfaces of `kekkai_program_check`'s allow-list, and no others.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let l = linker;
    io::error::add_to_linker::<_, Table>(l, table)?;
    io::poll::add_to_linker::<_, Table>(l, table)?;
    io::streams::add_to_linker::<_, Table>(l, table)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, Stepping>(l, steps)?;
    wasi_random::random::add_to_linker::<_, WasiRandom>(l, random)?;
    wasi_random::insecure::add_to_linker::<_, WasiRandom>(l, random)?;
    wasi_random::insecure_seed::add_to_linker::<_, WasiRandom>(l, random)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(l, &options, State::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(l, State::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(l, State::sockets)?;
    sockets::tcp::add_to_linker::<_, WasiSockets>(l, State::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(l, State::sockets)?;
    sockets::udp::add_to_linker::<_, WasiSockets>(l, State::sockets)?;
    sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(l, State::sockets)?;
    Ok(())
}

/// What a program finds: `args`, the log, clocks that go in steps of `step`.
pub(crate) fn context(args: &[String], log: &Log, step: Duration) -> WasiCtx {
    let mut context = WasiCtx::builder();
    context
        .args(args)
        .stdout(Printed::new(log, false))
        .stderr(Printed::new(log, true))
        .wall_clock(SteppingWallClock { step })
        .max_random_size(RANDOM_BYTES_MAX)
        // Refused before any system call, of which the jail's list has none for it.
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    context.build()
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// Time of day, rounded down to a step.
struct SteppingWallClock {
    step: Duration,
}

impl HostWallClock for SteppingWallClock {
    fn resolution(&self) -> Duration {
        self.step
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        floor(now, self.step)
    }
}

/// The whole steps in a duration. A step of zero is taken as a nanosecond.
fn floor(duration: Duration, step: Duration) -> Duration {
    let step = step.as_nanos().max(1);
    let whole = duration.as_nanos() / step * step;
    Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX))
}

/// The whole steps that hold a duration.
fn ceiling(duration: Duration, step: Duration) -> Duration {
    let down = floor(duration, step);
    if down == duration {
        down
    } else {
        down.saturating_add(step)
    }
}

/// A clock since the program's start. WASI's own would let a program measure with timers what it can't with
/// `now`: here timers end at steps, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SteppingClock {
    start: Instant,
    step: Duration,
}

impl SteppingClock {
    pub(crate) fn new(step: Duration) -> Self {
        Self {
            start: Instant::now(),
            step,
        }
    }

    fn now(&self) -> Duration {
        floor(self.start.elapsed(), self.step)
    }

    /// The first step's beginning at or after `at`, counted from the start. `None`: never.
    fn deadline(&self, at: Duration) -> Option<Instant> {
        self.start.checked_add(ceiling(at, self.step))
    }
}

struct Stepping;

impl HasData for Stepping {
    type Data<'a> = Steps<'a>;
}

pub(crate) struct Steps<'a> {
    clock: SteppingClock,
    table: &'a mut ResourceTable,
}

fn table(state: &mut State) -> &mut ResourceTable {
    state.ctx().table
}

fn random(state: &mut State) -> &mut WasiRandomCtx {
    state.ctx().ctx.random()
}

fn steps(state: &mut State) -> Steps<'_> {
    Steps {
        clock: state.clock(),
        table: state.ctx().table,
    }
}

impl Steps<'_> {
    fn wake(&mut self, at: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let wake = self.table.push(Wake(self.clock.deadline(at)))?;
        subscribe(self.table, wake)
    }
}

impl clocks::monotonic_clock::Host for Steps<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.clock.now()))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.clock.step))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.wake(Duration::from_nanos(when))
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let elapsed = self.clock.start.elapsed();
        self.wake(elapsed.saturating_add(Duration::from_nanos(when)))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Ready at an instant.
struct Wake(Option<Instant>);

#[async_trait]
impl Pollable for Wake {
    async fn ready(&mut self) {
        match self.0 {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Standard output or error.
#[derive(Clone)]
struct Printed {
    log: Log,
    is_error: bool,
}

impl Printed {
    fn new(log: &Log, is_error: bool) -> Self {
        Self {
            log: log.clone(),
            is_error,
        }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.1 and 0.3 use it, which are not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write_bytes(self.is_error, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    #[test]
    fn clocks_show_whole_steps() {
        let ms = Duration::from_millis;
        assert_eq!(floor(ms(29), STEP), ms(20));
        assert_eq!(floor(ms(20), STEP), ms(20));
        assert_eq!(ceiling(ms(21), STEP), ms(30));
        assert_eq!(ceiling(ms(20), STEP), ms(20));
        assert_eq!(floor(ms(29), Duration::ZERO), ms(29));
        assert_eq!(
            SteppingWallClock { step: STEP }.now().as_nanos() % STEP.as_nanos(),
            0
        );
    }

    #[test]
    fn timers_end_at_steps() {
        let clock = SteppingClock::new(STEP);
        let at = clock.deadline(Duration::from_micros(1)).unwrap();
        assert_eq!(at - clock.start, STEP);
        // As long as WASI can ask for, and no overflow.
        let far = clock.deadline(Duration::from_nanos(u64::MAX));
        assert!(far.is_none_or(|far| far - clock.start > Duration::from_secs(1 << 33)));
    }
}
