//! A console on a channel.
use std::sync::Arc;
use bytes::Bytes;
use russh::ChannelId;
use russh::server::Handle;
use tokio::sync::mpsc;
use super::connection::Connection;

/// What a person, or their terminal, sends.
pub(super) enum Input {
    Bytes(Bytes),
    Columns(u32),
    Interrupt,
    End,
}
pub(super) enum Mode { Interactive, Command(String) }
pub(super) async fn run(_c: Arc<Connection>, _h: Handle, _ch: ChannelId, _cols: Option<u32>, _m: Mode, _i: mpsc::Receiver<Input>) {}
