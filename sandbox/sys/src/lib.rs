//! The jail's system calls, and locked memory for keys. The only crate with `unsafe`.
//!
//! The story of a worker. The broker's `main` calls [`Spawner::start`] before anything else: a
//! small process is forked that holds no key and never will. For each session the broker asks it
//! for a child: new namespaces, an unprivileged id, one socket at descriptor 3, an empty
//! environment. The child executes the measured image, whose `main` calls [`jail::enter`] while it
//! is single-threaded: empty root, Landlock, no capabilities, seccomp. Then the broker looks at the
//! process from outside ([`verify::verify_from_outside`]), and only then does it send keys.
//!
//! A session's processes share a control group where the host gives one ([`cgroup`]); where it doesn't,
//! the broker looks at what they use together ([`watchdog`]). The broker itself lives outside the jail,
//! under a list of system calls of its own ([`seccomp::install`]).
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod cgroup;
pub mod doctor;
pub mod harden;
pub mod jail;
pub mod locked;
pub mod memfd;
pub mod scm;
pub mod seccomp;
pub mod spawn;
pub mod verify;
pub mod watchdog;

mod kind;
mod layer;
mod zygote;

pub use kind::{ProcessKind, SPILL_BYTES_MAX, Share};
pub use layer::{
    ArgsError, JAIL_ARG_MEMORY, JAIL_ARG_WAIVE, JailReport, JailSpec, Layer, UnknownLayer,
};
pub use locked::{LockedBytes, LockedKey};
pub use spawn::{Child, Exit, SpawnError, Spawner, WORKER_FD};

/// The id that a jailed process has inside its user namespace, and outside where the broker is root.
pub const NOBODY: u32 = 65_534;
