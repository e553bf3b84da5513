//! A WebSocket as a screen's carrier: one message of `kekkai-frames` in each binary message.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use kekkai_frames::{CHUNK_BYTES_MAX, INPUT_BYTES_MAX};

use crate::screen::{Arrived, Close, Gone, Inlet, Outlet};

/// What both sides name (RFC 6455 §1.9).
const SUBPROTOCOL: &str = "kekkai-frames-1";
/// A client that was told why answers, or is cut off.
const FAREWELL_READ_LIMIT: Duration = Duration::from_secs(1);

/// Whether a client asks for our protocol.
pub(super) fn names_protocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == SUBPROTOCOL)
}

/// A WebSocket with our bounds.
pub(super) fn bounded(mut socket: WebSocketUpgrade) -> WebSocketUpgrade {
    socket.set_selected_protocol(HeaderValue::from_static(SUBPROTOCOL));
    socket
        .max_message_size(INPUT_BYTES_MAX)
        .max_frame_size(INPUT_BYTES_MAX)
        .read_buffer_size(4 * INPUT_BYTES_MAX)
        // Each chunk is sent when it is there; one waits at most.
        .write_buffer_size(0)
        .max_write_buffer_size(2 * CHUNK_BYTES_MAX)
}

/// From the browser.
pub(super) struct From(SplitStream<WebSocket>);

/// To the browser.
pub(super) struct To(SplitSink<WebSocket, Message>);

/// Both directions.
pub(super) fn carrier(socket: WebSocket) -> (From, To) {
    let (to, from) = socket.split();
    (From(from), To(to))
}

impl From {
    /// Reads until the client hangs up, since bytes that nobody read would reset the connection before it
    /// has read why.
    pub(super) async fn drain(mut self) {
        let rest = async { while let Some(Ok(_)) = self.0.next().await {} };
        let _ = tokio::time::timeout(FAREWELL_READ_LIMIT, rest).await;
    }
}

impl Inlet for From {
    async fn next(&mut self) -> Arrived {
        match self.0.next().await {
            Some(Ok(Message::Binary(message))) => Arrived::Message(message),
            Some(Ok(Message::Text(_))) => Arrived::OutOfProtocol("text message"),
            // The library answers pings.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Arrived::Nothing,
            Some(Ok(Message::Close(_))) | None => Arrived::Gone,
            Some(Err(error)) => match is_protocols(&error) {
                true => Arrived::OutOfProtocol("malformed WebSocket message"),
                false => Arrived::Gone,
            },
        }
    }
}

/// Whether it is the client's fault, and not the line's. The library's own error is not part of axum's
/// interface; its text tells.
fn is_protocols(error: &axum::Error) -> bool {
    let text = error.to_string();
    ["WebSocket protocol error", "Space limit exceeded", "UTF-8"]
        .iter()
        .any(|kind| text.starts_with(kind))
        && !text.contains("Connection reset without closing handshake")
}

impl Outlet for To {
    async fn send(&mut self, chunk: Bytes) -> Result<(), Gone> {
        self.0.send(Message::Binary(chunk)).await.map_err(|_| Gone)
    }

    async fn close(&mut self, close: Close) {
        let Some(code) = close.code() else { return };
        let frame = CloseFrame {
            code,
            reason: close.reason().into(),
        };
        // Whoever doesn't read doesn't hear it.
        let _ = self.0.send(Message::Close(Some(frame))).await;
    }
}
