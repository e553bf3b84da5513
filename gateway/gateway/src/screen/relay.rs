//! Bytes between an analysis server and one client, both hostile until shown otherwise.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kekkai_analysis_api::Viewer;
use kekkai_frames::{
    Compressor, Deframer, Input, OUTPUT_BYTES_MAX, decode_input, decode_output, encode_input,
    encode_output, prefix,
};
use kekkai_service::Stream;
use kekkai_types::EndReason;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::check::Checker;
use super::meter::Meter;
use super::{Arrived, Close, Inlet, Outlet, SEND_LIMIT};
use crate::gateway::Chain;
use crate::sessions::LiveSession;

/// Read from the analysis server at once, in bytes. What lies beyond waits there.
const READ_BYTES: usize = 16 * 1024;
/// How often silence and idleness are looked at.
const TICK: Duration = Duration::from_secs(1);

/// What both directions of one connection share.
struct Line<'a> {
    meter: Mutex<Meter>,
    viewer: &'a Viewer,
    live: &'a LiveSession,
}

impl Line<'_> {
    // A panic elsewhere leaves the counts whole.
    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The analysis server made no sense: nothing of it is believed any more.
    fn server_failed(&self, error: &dyn std::error::Error) -> Close {
        let session = &self.live.opened.session;
        tracing::error!(%session, error = %Chain(error), "frames out of protocol");
        self.live.end(EndReason::ServerLost);
        Close::ServerGone
    }
}

/// Relays until one side ends, makes no sense, or stays silent. With `lock_after`, also until the person
/// has done nothing for so long.
pub(super) async fn relay(
    stream: Stream,
    viewer: &Viewer,
    lock_after: Option<Duration>,
    live: &LiveSession,
    inlet: &mut impl Inlet,
    outlet: &mut impl Outlet,
) -> Close {
    let line = Line {
        meter: Mutex::new(Meter::new(Instant::now())),
        viewer,
        live,
    };
    let (from_server, to_server) = tokio::io::split(stream);
    tokio::select! {
        close = down(&line, from_server, outlet) => close,
        close = up(&line, inlet, to_server) => close,
        close = look_after(&line, lock_after) => close,
    }
}

/// Frames to the client. The next is read when the last was taken: who reads slowly is sent newer frames
/// later, and the queue is the analysis server's.
async fn down(
    line: &Line<'_>,
    mut from_server: impl AsyncRead + Unpin,
    outlet: &mut impl Outlet,
) -> Close {
    let mut deframer = Deframer::new(OUTPUT_BYTES_MAX);
    let mut checker = Checker::default();
    let mut compressor = Compressor::new();
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let read = match from_server.read(&mut bytes).await {
            Ok(0) | Err(_) => return Close::ServerGone,
            Ok(read) => read,
        };
        deframer.feed(bytes.get(..read).unwrap_or_default());
        loop {
            let message = match deframer.next() {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => return line.server_failed(&error),
            };
            let output = match decode_output(&message) {
                Ok(output) => output,
                Err(error) => return line.server_failed(&error),
            };
            if let Err(error) = checker.check(&output) {
                return line.server_failed(&error);
            }
            if let Err(error) = line.meter().sends(&output) {
                return line.server_failed(&error);
            }
            let chunk = match compressor.chunk(&encode_output(&output)) {
                Ok(chunk) => chunk,
                Err(error) => return line.server_failed(&error),
            };
            match tokio::time::timeout(SEND_LIMIT, outlet.send(chunk)).await {
                Ok(Ok(())) => line.meter().sent(Instant::now()),
                Ok(Err(_)) | Err(_) => return Close::Cut,
            }
        }
    }
}

/// Inputs to the analysis server.
async fn up(
    line: &Line<'_>,
    inlet: &mut impl Inlet,
    mut to_server: impl AsyncWrite + Unpin,
) -> Close {
    loop {
        let arrived = inlet.next().await;
        let now = Instant::now();
        let size = match &arrived {
            Arrived::Message(message) => message.len(),
            _ => 0,
        };
        if !line.meter().arrived(size, now) {
            return Close::OutOfProtocol("too many messages");
        }
        let message = match arrived {
            Arrived::Message(message) => message,
            Arrived::Nothing => continue,
            Arrived::OutOfProtocol(what) => return Close::OutOfProtocol(what),
            Arrived::Gone => return Close::Cut,
        };
        let Ok(input) = decode_input(&message) else {
            return Close::OutOfProtocol("malformed message");
        };
        if *line.viewer != Viewer::Researcher && !matches!(input, Input::Ack { .. }) {
            return Close::OutOfProtocol("a watcher's input");
        }
        if !line.meter().takes(&input, now) {
            return Close::OutOfProtocol("acknowledgement of what was not sent");
        }
        let message = prefix(&encode_input(&input));
        let passed_on = async {
            to_server.write_all(&message).await?;
            to_server.flush().await
        };
        match tokio::time::timeout(SEND_LIMIT, passed_on).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Close::ServerGone,
        }
    }
}

/// Resolves when the client doesn't answer, or its person does nothing. Sends nothing: an idle line is
/// silent, and whether its other end is there is TCP's to ask.
async fn look_after(line: &Line<'_>, lock_after: Option<Duration>) -> Close {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let (now, meter) = (Instant::now(), line.meter());
        if meter.is_silent(now) {
            return Close::Cut;
        }
        if lock_after.is_some_and(|limit| meter.idle(now) >= limit) {
            return Close::Locked;
        }
    }
}
