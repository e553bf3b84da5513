//! What every daemon of Kekkai does alike: reads its configuration, logs, speaks mutual TLS, drains.
//!
//! A call between services is an HTTP/1.1 `POST` of JSON over TLS 1.3. Both sides show certificates
//! of the deployment's own authority; each names one [`Peer`](kekkai_types::Peer). [`Routes`] asks
//! [`Call::callers`](kekkai_types::Call::callers) before it reads a body.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )
)]

pub mod config;
pub mod drain;
pub mod log;
pub mod tls;

mod client;
mod server;
mod stream;

pub use client::{CallError, Client};
pub use server::{BODY_MAX, From, Routes, serve};
pub use stream::Stream;
