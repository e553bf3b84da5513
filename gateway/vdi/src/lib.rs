//! The native client. It signs a person in with two factors, shows a session's screen, and keeps nothing of
//! it: pixels live in one canvas that is wiped whenever the line ends.
//!
//! ```text
//!  authenticator ──CTAPHID──┐                                    ┌── window: sign-in form, screen, notices
//!                           ▼                                    ▼
//!  gateway ◀──SSH, pinned──▶ link (one thread, tokio) ──Event──▶ app (the main thread, winit)
//!                                                    ◀─Command──
//! ```
//!
//! There is no command, message or file through which a screen could be saved. What the operating system
//! lets others do with the window's pixels is bounded by [`protection`] and [`guard`], and
//! `README.md` beside this crate says what each platform enforces and what it only deters.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod app;
pub mod config;
pub mod fido;
pub mod guard;
pub mod keys;
pub mod link;
pub mod paint;
pub mod protection;
pub mod screens;
pub mod text;
