//! The worker's end: blocking, one thread reads, others write.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use kekkai_sys::scm;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{Body, Bounds, Frame, FrameError, HEADER_BYTES, Header, TO_WORKER};
use crate::{FromWorker, ToWorker};

/// Receives what the broker sends.
#[derive(Debug)]
pub struct Receiver {
    socket: Arc<OwnedFd>,
}

/// Sends to the broker. Cheap to clone; frames of several threads don't mix.
#[derive(Debug, Clone)]
pub struct Sender {
    socket: Arc<OwnedFd>,
    turn: Arc<Mutex<()>>,
}

/// The worker's channel over its socket: [`kekkai_sys::jail::take_socket`] gives it, once.
pub fn worker_channel(socket: OwnedFd) -> (Sender, Receiver) {
    let socket = Arc::new(socket);
    let sender = Sender {
        socket: socket.clone(),
        turn: Arc::default(),
    };
    (sender, Receiver { socket })
}

impl Receiver {
    /// Waits for the next message and its descriptors. `None`: the broker closed the channel; the
    /// worker has nothing left to do. The frame's memory is locked, and wiped before this returns.
    pub fn receive(&mut self) -> Result<Option<(ToWorker, Vec<OwnedFd>)>, FrameError> {
        receive(self.socket.as_fd(), TO_WORKER, true)
    }
}

impl Sender {
    /// Sends a message whole.
    pub fn send(&self, message: &FromWorker) -> Result<(), FrameError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        send(self.socket.as_fd(), message, &[], false)
    }
}

pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
    secret: bool,
) -> Result<(), FrameError> {
    let frame = Frame::of(message, fds.len(), secret)?;
    send_all(socket, &frame.header)?;
    for group in fds.chunks(scm::MESSAGE_FDS_MAX) {
        scm::send(socket, &[0], group)?;
    }
    send_all(socket, frame.body.bytes())
}

fn send_all(socket: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), FrameError> {
    while !bytes.is_empty() {
        let n = scm::send(socket, bytes, &[])?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}

pub(crate) fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    bounds: Bounds,
    secret: bool,
) -> Result<Option<(T, Vec<OwnedFd>)>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    if !receive_all(socket, &mut header)? {
        return Ok(None);
    }
    let header = Header::parse(header, bounds)?;
    let mut fds = Vec::with_capacity(header.fds);
    while fds.len() < header.fds {
        let expected = (header.fds - fds.len()).min(scm::MESSAGE_FDS_MAX);
        let (n, mut group) = scm::receive_with_fds(socket, &mut [0])?;
        if n != 1 || group.len() != expected {
            return Err(FrameError::Descriptors);
        }
        fds.append(&mut group);
    }
    let mut body = Body::with_len(header.bytes, secret)?;
    if !receive_all(socket, body.bytes_mut())? && header.bytes > 0 {
        return Err(FrameError::Truncated);
    }
    Ok(Some((body.parse()?, fds)))
}

/// False when the stream ended before the first byte.
fn receive_all(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<bool, FrameError> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match scm::receive(socket, rest)? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(FrameError::Truncated),
            n => filled += n,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
