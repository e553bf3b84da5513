//! The broker's end: on tokio, and suspicious.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use kekkai_sys::scm;
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::frame::{Body, Frame, FrameError, HEADER_BYTES, Header, Message};
use crate::{FromWorker, ToWorker};

/// Receives what a worker sends: bounded, without descriptors.
pub struct AsyncReceiver<M = FromWorker> {
    socket: Arc<UnixStream>,
    message: PhantomData<fn() -> M>,
}

/// Sends to a worker.
pub struct AsyncSender<M = ToWorker> {
    socket: Arc<UnixStream>,
    message: PhantomData<fn(M)>,
}

/// The broker's channel over its end of a socket pair. Within a tokio runtime.
pub fn broker_channel<S: Message, R: Message>(
    socket: OwnedFd,
) -> io::Result<(AsyncSender<S>, AsyncReceiver<R>)> {
    let stream = std::os::unix::net::UnixStream::from(socket);
    stream.set_nonblocking(true)?;
    let socket = Arc::new(UnixStream::from_std(stream)?);
    let sender = AsyncSender {
        socket: socket.clone(),
        message: PhantomData,
    };
    let receiver = AsyncReceiver {
        socket,
        message: PhantomData,
    };
    Ok((sender, receiver))
}

// Derived, these would ask it of the messages, which hold keys.
impl<M> std::fmt::Debug for AsyncReceiver<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsyncReceiver")
    }
}

impl<M> std::fmt::Debug for AsyncSender<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsyncSender")
    }
}

impl<M: Message> AsyncSender<M> {
    /// Sends a message whole, with its descriptors. The frame is wiped after.
    /// Not to be dropped halfway: the channel is then of no use.
    pub async fn send(&mut self, message: &M, fds: &[BorrowedFd<'_>]) -> Result<(), FrameError> {
        let frame = Frame::of(message, fds.len())?;
        self.send_all(&frame.header).await?;
        for group in fds.chunks(scm::MESSAGE_FDS_MAX) {
            self.send_some(&[0], group).await?;
        }
        self.send_all(frame.body.bytes()).await
    }

    async fn send_all(&self, mut bytes: &[u8]) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let n = self.send_some(bytes, &[]).await?;
            bytes = bytes.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    async fn send_some(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let write = || scm::send(self.socket.as_fd(), bytes, fds);
        self.socket.async_io(Interest::WRITABLE, write).await
    }
}

impl<M: Message> AsyncReceiver<M> {
    /// Waits for the next message. `None`: the worker closed the channel. Not to be dropped halfway,
    /// unless the session ends with it.
    pub async fn receive(&mut self) -> Result<Option<M>, FrameError> {
        let mut header = [0; HEADER_BYTES];
        if !self.receive_all(&mut header).await? {
            return Ok(None);
        }
        let header = Header::parse::<M>(header)?;
        let mut body = Body::with_len(header.bytes, M::SECRET)?;
        if !self.receive_all(body.bytes_mut()).await? && header.bytes > 0 {
            return Err(FrameError::Truncated);
        }
        body.parse().map(Some)
    }

    async fn receive_all(&self, bytes: &mut [u8]) -> Result<bool, FrameError> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = || scm::receive(self.socket.as_fd(), rest);
            match self.socket.async_io(Interest::READABLE, read).await? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(FrameError::Truncated),
                n => filled += n,
            }
        }
        Ok(true)
    }
}
