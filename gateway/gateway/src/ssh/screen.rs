//! The subsystem `kekkai-vdi`: a screen on an SSH channel, each message behind its length.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use kekkai_console::message;
use kekkai_frames::{Deframer, INPUT_BYTES_MAX, decode_input, prefix};
use kekkai_types::{EndReason, Lang};
use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::connection::{Connection, Slot};
use super::handler::STDERR;
use super::input::{Input, InputReceiver};
use super::text;
use crate::screen::{
    self, Area, Arrived, Close, FAREWELL_LIMIT, Gone, HELLO_LIMIT, Inlet, Outlet, kebab,
};
use crate::sessions::SessionError;

/// The subsystem's name.
pub(super) const SUBSYSTEM: &str = "kekkai-vdi";

/// Exit statuses, for the native client.
mod status {
    pub(super) const LEFT: u32 = 0;
    pub(super) const REFUSED: u32 = 1;
    pub(super) const LOCKED: u32 = 3;
    pub(super) const ENDED: u32 = 4;
    pub(super) const REPLACED: u32 = 5;
}

/// From the native client.
struct From {
    input: InputReceiver,
    deframer: Deframer,
}

impl Inlet for From {
    async fn next(&mut self) -> Arrived {
        loop {
            match self.deframer.next() {
                Ok(Some(message)) => return Arrived::Message(message),
                Ok(None) => {}
                Err(_) => return Arrived::OutOfProtocol("message over its length"),
            }
            match self.input.recv().await {
                Some(Input::Bytes(bytes)) => self.deframer.feed(&bytes),
                // Half of a screen is none: nobody acknowledges any more.
                Some(Input::End) | None => return Arrived::Gone,
                Some(Input::Columns(_) | Input::Interrupt) => return Arrived::Nothing,
            }
        }
    }
}

/// To the native client. Writing waits for the channel's window.
struct To {
    channel: ChannelWriteHalf<Msg>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    lang: Lang,
}

impl To {
    /// Ends the channel with a status, and with a text for the person beside it.
    async fn end(&mut self, status: u32, text: &str) {
        let text = Bytes::copy_from_slice(text.as_bytes());
        // The client may be gone; then nobody is there to be told.
        let _ = self.channel.extended_data_bytes(STDERR, text).await;
        let _ = self.channel.exit_status(status).await;
        let _ = self.channel.eof().await;
        let _ = self.channel.close().await;
    }

    async fn refuse(&mut self, text: &str) {
        let _ = tokio::time::timeout(FAREWELL_LIMIT, self.end(status::REFUSED, text)).await;
    }
}

impl Outlet for To {
    async fn send(&mut self, chunk: Bytes) -> Result<(), Gone> {
        let framed = prefix(&chunk);
        self.writer.write_all(&framed).await.map_err(|_| Gone)
    }

    async fn close(&mut self, close: Close) {
        let lang = self.lang;
        let line = |text: text::Both| format!("{}\n", text.get(lang));
        let (status, text) = match close {
            Close::Locked => (status::LOCKED, line(text::SCREEN_LOCKED)),
            Close::Replaced => (status::REPLACED, line(text::SCREEN_REPLACED)),
            Close::Ended(reason) => {
                let status = match reason {
                    EndReason::ClosedByUser => status::LEFT,
                    _ => status::ENDED,
                };
                let said = message::end_reason(reason, lang);
                (status, format!("{}\n{said}", kebab(reason)))
            }
            Close::ServerGone => (status::REFUSED, line(text::SCREEN_SERVER_GONE)),
            Close::OutOfProtocol(_) => (status::REFUSED, line(text::SCREEN_OUT_OF_PROTOCOL)),
            Close::WatchOver | Close::Cut => (status::REFUSED, String::new()),
        };
        self.end(status, &text).await;
    }
}

/// Runs a screen until it ends, and closes its channel.
pub(super) async fn run(
    connection: Arc<Connection>,
    slot: Slot,
    channel: ChannelWriteHalf<Msg>,
    input: InputReceiver,
) {
    let lang = connection.lang();
    let mut from = From {
        input,
        deframer: Deframer::new(INPUT_BYTES_MAX),
    };
    let mut to = To {
        writer: Box::pin(channel.make_writer()),
        channel,
        lang,
    };
    let Some(area) = hello(&mut from).await else {
        connection.refuse("screen without a size").await;
        to.refuse(&format!("{}\n", text::SCREEN_NO_SIZE.get(lang)))
            .await;
        return;
    };
    let opened = match connection.take_sign_in() {
        Some((signed_in, agreement)) => {
            let address = connection.address.clone();
            connection
                .gateway
                .open_desktop(signed_in, agreement, address)
                .await
        }
        None => Err(SessionError::Unavailable),
    };
    match opened {
        Ok(admission) => {
            let (gateway, address) = (&connection.gateway, &connection.address);
            screen::show(gateway, admission, area, address, &mut from, &mut to).await;
        }
        Err(problem) => {
            let said = match problem {
                SessionError::Refused(refusal) => message::refusal(&refusal, lang),
                SessionError::Unavailable => format!("{}\n", text::UNAVAILABLE.get(lang)),
                SessionError::Busy => format!("{}\n", text::BUSY.get(lang)),
            };
            to.refuse(&format!("{}\n{said}", text::NO_SESSION.get(lang)))
                .await;
        }
    }
    drop(slot);
}

/// The first message says the client's size.
async fn hello(from: &mut From) -> Option<Area> {
    let first = tokio::time::timeout(HELLO_LIMIT, from.next()).await;
    let Ok(Arrived::Message(message)) = first else {
        return None;
    };
    match decode_input(&message).ok()? {
        kekkai_frames::Input::Resize {
            width,
            height,
            scale,
        } => Area::new(width, height, scale),
        _ => None,
    }
}
