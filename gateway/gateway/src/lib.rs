//! The gateway: the only door for people.
//!
//! It knows who is at the door and from which terminal. It never holds a data key or a row: what it
//! shows of an analysis is what the analysis server says may be shown.
//!
//! Entry points: [`ssh::serve`] for researchers with stock `ssh` or `kekkai-vdi`, [`https::serve`] for
//! desktops in browsers, approvals and staff, the administration port for enrolment and lock-outs. All
//! three sign people in through `kekkai-signin`, and only its `SignedIn` opens anything. A desktop passes
//! through `screen`, whatever carries it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod admin;
pub mod config;
mod gateway;
pub mod https;
mod screen;
mod sessions;
pub mod ssh;
mod start;
mod tcp;

pub use gateway::{Closed, Gateway};
pub use sessions::{LiveSession, SessionError};
pub use start::{StartError, run};
