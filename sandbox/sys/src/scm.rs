//! Bytes with descriptors over a Unix stream socket (`SCM_RIGHTS`).

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// Descriptors in one message; the kernel's own bound (`SCM_MAX_FD`) is 253.
pub const MESSAGE_FDS_MAX: usize = 250;

/// A connected pair of stream sockets, both close-on-exec.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        flags,
    )?)
}

/// A connected pair of sockets that keep message boundaries, both close-on-exec.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        flags,
    )?)
}

/// Sends bytes, and descriptors with the first of them. Returns the bytes sent; descriptors go
/// completely or not at all. Never raises `SIGPIPE`.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let parts = [IoSlice::new(bytes)];
    loop {
        let flags = MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Receives bytes without any descriptor: those that come with them are closed by the kernel before
/// they exist here. Returns 0 at the end of the stream.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut parts = [IoSliceMut::new(bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, flags) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?.bytes),
        }
    }
}

/// Receives bytes and up to [`MESSAGE_FDS_MAX`] descriptors, close-on-exec. More than that is an
/// error, and all that came are closed.
pub fn receive_with_fds(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    loop {
        let mut control = nix::cmsg_space!([RawFd; MESSAGE_FDS_MAX]);
        let mut parts = [IoSliceMut::new(bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
        let message = match received {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        let mut fds = Vec::new();
        let mut foreign = false;
        for part in message.cmsgs()? {
            match part {
                ControlMessageOwned::ScmRights(raw) => {
                    for fd in raw {
                        // SAFETY: the kernel has just installed this descriptor for us by
                        // SCM_RIGHTS; nobody else here knows its number, and each number is taken
                        // from the message once.
                        fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
                    }
                }
                _ => foreign = true,
            }
        }
        if foreign || message.flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(io::Error::other("unexpected control data on the socket"));
        }
        return Ok((message.bytes, fds));
    }
}

/// A second descriptor for the same thing at `from` or above, close-on-exec.
pub(crate) fn duplicate_from(fd: BorrowedFd<'_>, from: RawFd) -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, fcntl};
    let raw = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(from))?;
    // SAFETY: F_DUPFD_CLOEXEC has just made this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
