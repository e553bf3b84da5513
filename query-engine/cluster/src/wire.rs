//! A connected descriptor that somebody passed.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;

/// One end of a stream socket, read and written as a pipe is: a jailed process has no system calls for more. It
/// must not block ([`std::os::unix::net::UnixStream::set_nonblocking`]): whoever passes it sets that, for the
/// same reason. Within a runtime.
///
/// # Errors
/// The descriptor can't be doubled, or the event loop doesn't take it.
pub fn wire(descriptor: OwnedFd) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
    let writing = pipe::Sender::from_owned_fd_unchecked(descriptor.try_clone()?)?;
    let reading = pipe::Receiver::from_owned_fd_unchecked(descriptor)?;
    Ok(tokio::io::join(reading, writing))
}
