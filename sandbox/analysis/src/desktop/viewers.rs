//! Who looks at a screen: the person, and staff who watch. Each has a stream; a stream that is slow, floods,
//! says what it may not or ends costs nobody else anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kekkai_analysis_api::Viewer;
use kekkai_frames::{Deframer, INPUT_BYTES_MAX, Input, decode_input, prefix};
use kekkai_policy_api::Event;
use kekkai_service::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::desk::Happened;
use super::turn::Size;
use crate::session::Session;

/// Inputs of one viewer in a second. A mouse of the fastest kind reports a thousand times.
const INPUTS_PER_S_MAX: u32 = 2_000;
/// Inputs that are handed on at once.
const INPUTS_AT_ONCE: usize = 64;
/// A viewer that takes no byte for this long is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// How long the end of a stream may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// Bytes read at once.
const READ_BYTES: usize = 4096;

/// Which viewer of a desk.
pub(super) type ViewerId = u64;

/// The messages of one frame, as bytes behind their lengths.
pub(super) type Batch = Vec<Bytes>;

/// A viewer that is about to look.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) id: ViewerId,
    pub(super) viewer: Viewer,
    pub(super) size: Size,
    /// One batch waits at most: what changes meanwhile is sent as it is then. Dropped, it ends the stream.
    pub(super) batches: mpsc::Sender<Batch>,
}

/// Why a stream ended that the viewer is to blame for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Offence {
    #[error("a message that is none")]
    Malformed,
    #[error("more inputs than a hand can make")]
    Flood,
    #[error("a watcher's input")]
    Watcher,
}

/// A viewer's place at a desk; given back when it is dropped.
#[derive(Debug)]
pub struct Attachment {
    pub(super) session: Arc<Session>,
    pub(super) id: ViewerId,
    pub(super) viewer: Viewer,
    pub(super) size: Size,
    pub(super) desk: mpsc::Sender<Happened>,
    pub(super) _place: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Attachment {
    /// Carries frames and inputs until either side ends it, or the session ends.
    pub async fn run(self, stream: Stream) {
        let (batches, waiting) = mpsc::channel(1);
        let arrival = Arrival {
            id: self.id,
            viewer: self.viewer.clone(),
            size: self.size,
            batches,
        };
        if self.desk.send(Happened::Arrived(arrival)).await.is_err() {
            return;
        }
        let (from, mut to) = tokio::io::split(stream);
        let offence = tokio::select! {
            offence = self.listen(from) => offence,
            () = self.write(waiting, &mut to) => None,
            _ = self.session.wait_end() => None,
        };
        // A desk that is gone knows.
        let _ = self.desk.send(Happened::Left(self.id)).await;
        if let Some(offence) = offence {
            self.record(offence).await;
        }
        // Whatever came of it, the connection is over.
        let _ = tokio::time::timeout(CLOSE_LIMIT, to.shutdown()).await;
    }

    async fn write(&self, mut waiting: mpsc::Receiver<Batch>, to: &mut WriteHalf<Stream>) {
        while let Some(batch) = waiting.recv().await {
            for message in batch {
                if !write_all(to, &message).await {
                    return;
                }
            }
            if !matches!(
                tokio::time::timeout(WRITE_LIMIT, to.flush()).await,
                Ok(Ok(()))
            ) {
                return;
            }
            let ready = Happened::Ready(self.id);
            if self.desk.send(ready).await.is_err() {
                return;
            }
        }
    }

    /// Hands inputs on until there are no more.
    async fn listen(&self, mut from: ReadHalf<Stream>) -> Option<Offence> {
        let mut deframer = Deframer::new(INPUT_BYTES_MAX);
        let mut piece = [0; READ_BYTES];
        let (mut since, mut inputs) = (Instant::now(), 0_u32);
        loop {
            let n = match from.read(&mut piece).await {
                Ok(n) if n > 0 => n,
                _ => return None,
            };
            let mut batch = Vec::new();
            deframer.feed(piece.get(..n).unwrap_or_default());
            loop {
                let input = match deframer.next() {
                    Ok(Some(message)) => decode_input(&message),
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                let Ok(input) = input else {
                    return Some(Offence::Malformed);
                };
                if matches!(self.viewer, Viewer::Watcher(_)) && !matches!(input, Input::Ack { .. })
                {
                    return Some(Offence::Watcher);
                }
                if since.elapsed() >= Duration::from_secs(1) {
                    (since, inputs) = (Instant::now(), 0);
                }
                inputs = inputs.saturating_add(1);
                if inputs > INPUTS_PER_S_MAX {
                    return Some(Offence::Flood);
                }
                batch.push(input);
                if batch.len() >= INPUTS_AT_ONCE && !self.hand_on(&mut batch).await {
                    return None;
                }
            }
            if !batch.is_empty() && !self.hand_on(&mut batch).await {
                return None;
            }
        }
    }

    async fn hand_on(&self, batch: &mut Vec<Input>) -> bool {
        let inputs = std::mem::take(batch);
        let happened = Happened::Inputs(self.id, inputs);
        self.desk.send(happened).await.is_ok()
    }

    async fn record(&self, offence: Offence) {
        tracing::warn!(session = %self.session.id(), viewer = ?self.viewer, %offence, "a screen is cut");
        let person = match &self.viewer {
            Viewer::Researcher => self.session.terms().session.person.clone(),
            Viewer::Watcher(person) => person.clone(),
        };
        let event = Event::RequestRefused {
            person: Some(person),
            session: Some(self.session.id().clone()),
            terminal: None,
            request: format!("screen: {offence}"),
        };
        if let Err(error) = self.session.record(event).await {
            tracing::error!(session = %self.session.id(), %error, "a cut screen is not recorded");
        }
    }
}

/// Writes a message; false when the viewer is gone or takes nothing for too long.
async fn write_all(to: &mut WriteHalf<Stream>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match tokio::time::timeout(WRITE_LIMIT, to.write(bytes)).await {
            Ok(Ok(n)) if n > 0 => bytes = bytes.get(n..).unwrap_or_default(),
            _ => return false,
        }
    }
    true
}

/// The bytes of a frame's messages.
pub(super) fn batch(outputs: &[kekkai_frames::Output]) -> Batch {
    let bytes = |output| prefix(&kekkai_frames::encode_output(output));
    outputs.iter().map(bytes).collect()
}
