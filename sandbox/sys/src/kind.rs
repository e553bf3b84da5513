//! The kinds of processes: each is given what its work takes, and nothing for another's.

use std::fmt;

/// What a process does, and so what it may ask of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessKind {
    /// Holds keys, opens files, launches. It lives outside the jail, under its list of system calls.
    Broker,
    /// Runs SQL over descriptors that it is given.
    SqlWorker,
    /// Runs programs: the one kind that maps code which was not in its image.
    WasmWorker,
    /// Turns a component into native code, which it can't execute itself.
    WasmCompiler,
    /// Draws.
    Desktop,
}

/// The most that any configuration lets one session spill, in bytes: 64 GiB.
pub const SPILL_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// How much of the processor a process is due, against those of other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// As others.
    Normal,
    /// After those who wait for an answer: nice 10 and `SCHED_BATCH`, about a tenth of a
    /// [`Share::Normal`] process where both compute.
    Background,
}

impl Share {
    /// The nice value.
    pub const fn nice(self) -> i32 {
        match self {
            Self::Normal => 0,
            Self::Background => 10,
        }
    }
}

impl ProcessKind {
    /// Each kind.
    pub const ALL: [Self; 5] = [
        Self::Broker,
        Self::SqlWorker,
        Self::WasmWorker,
        Self::WasmCompiler,
        Self::Desktop,
    ];
    /// The kinds that live in a jail.
    pub const JAILED: [Self; 4] = [
        Self::SqlWorker,
        Self::WasmWorker,
        Self::WasmCompiler,
        Self::Desktop,
    ];

    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::SqlWorker => "sql-worker",
            Self::WasmWorker => "wasm-worker",
            Self::WasmCompiler => "wasm-compiler",
            Self::Desktop => "desktop",
        }
    }

    /// The list of system calls, as an auditor reads it.
    pub const fn seccomp_list(self) -> &'static str {
        match self {
            Self::Broker => include_str!("../seccomp/broker.list"),
            Self::SqlWorker => include_str!("../seccomp/sql-worker.list"),
            Self::WasmWorker => include_str!("../seccomp/wasm-worker.list"),
            Self::WasmCompiler => include_str!("../seccomp/wasm-compiler.list"),
            Self::Desktop => include_str!("../seccomp/desktop.list"),
        }
    }

    /// Address space beyond the limit on private memory, in MiB: reserved and never touched, or a file's
    /// mapping. It costs nothing: what is touched counts against the limit on memory.
    pub const fn address_slack_mib(self) -> u64 {
        match self {
            // Allocator arenas and the image.
            Self::Broker | Self::SqlWorker | Self::WasmCompiler | Self::Desktop => 16 * 1024,
            // The pooling allocator reserves for each memory all that 32 bits can reach, with guards.
            Self::WasmWorker => 1024 * 1024,
        }
    }

    /// The most bytes that a jailed process may write into a file. The compiler writes its artefact into memory
    /// that it is given, the desktop its pixels; the SQL worker spills into the one file on disk that it is
    /// given, where the server's configuration gives it one. The broker is not jailed: it has no such bound.
    pub const fn file_bytes_max(self) -> u64 {
        match self {
            Self::Broker | Self::WasmWorker => 0,
            Self::SqlWorker => SPILL_BYTES_MAX,
            Self::WasmCompiler => 512 * 1024 * 1024,
            // The largest screen: 2560 x 1600 pixels of 4 bytes are 15.7 MiB.
            Self::Desktop => 16 * 1024 * 1024,
        }
    }

    /// Its share of the processor: programs wait for questions, not the other way round.
    pub const fn share(self) -> Share {
        match self {
            Self::Broker | Self::SqlWorker | Self::Desktop => Share::Normal,
            Self::WasmWorker | Self::WasmCompiler => Share::Background,
        }
    }
}

impl fmt::Display for ProcessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
