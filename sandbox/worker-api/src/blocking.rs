//! The worker's end: blocking, one thread reads, others write.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use kekkai_sys::scm;

use crate::frame::{Body, Frame, FrameError, HEADER_BYTES, Header, Message};
use crate::{FromWorker, ToWorker};

/// Receives what the broker sends.
#[derive(Debug)]
pub struct Receiver<M = ToWorker> {
    socket: Arc<OwnedFd>,
    message: PhantomData<fn() -> M>,
}

/// Sends to the broker. Cheap to clone; frames of several threads don't mix.
#[derive(Debug)]
pub struct Sender<M = FromWorker> {
    socket: Arc<OwnedFd>,
    turn: Arc<Mutex<()>>,
    message: PhantomData<fn(M)>,
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self {
            socket: self.socket.clone(),
            turn: self.turn.clone(),
            message: PhantomData,
        }
    }
}

/// The worker's channel over its socket: [`kekkai_sys::jail::take_socket`] gives it, once.
pub fn worker_channel<S: Message, R: Message>(socket: OwnedFd) -> (Sender<S>, Receiver<R>) {
    let socket = Arc::new(socket);
    let sender = Sender {
        socket: socket.clone(),
        turn: Arc::default(),
        message: PhantomData,
    };
    let receiver = Receiver {
        socket,
        message: PhantomData,
    };
    (sender, receiver)
}

impl<M: Message> Receiver<M> {
    /// Waits for the next message and its descriptors. `None`: the broker closed the channel; the
    /// process has nothing left to do. The frame's memory is wiped before this returns; where it may hold keys,
    /// it is locked.
    pub fn receive(&mut self) -> Result<Option<(M, Vec<OwnedFd>)>, FrameError> {
        receive(self.socket.as_fd())
    }
}

impl<M: Message> Sender<M> {
    /// Sends a message whole.
    pub fn send(&self, message: &M) -> Result<(), FrameError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        send(self.socket.as_fd(), message, &[])
    }
}

pub(crate) fn send<M: Message>(
    socket: BorrowedFd<'_>,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    let frame = Frame::of(message, fds.len())?;
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

pub(crate) fn receive<M: Message>(
    socket: BorrowedFd<'_>,
) -> Result<Option<(M, Vec<OwnedFd>)>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    if !receive_all(socket, &mut header)? {
        return Ok(None);
    }
    let header = Header::parse::<M>(header)?;
    let mut fds = Vec::with_capacity(header.fds);
    while fds.len() < header.fds {
        let expected = (header.fds - fds.len()).min(scm::MESSAGE_FDS_MAX);
        let (n, mut group) = scm::receive_with_fds(socket, &mut [0])?;
        if n != 1 || group.len() != expected {
            return Err(FrameError::Descriptors);
        }
        fds.append(&mut group);
    }
    let mut body = Body::with_len(header.bytes, M::SECRET)?;
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
