//! Whether the other end of a connection is there, asked by TCP: a question that no protocol above sees.

use std::time::Duration;

use tokio::net::TcpStream;

/// The other host is asked when nothing came for so long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// So many questions without an answer end the connection.
const KEEPALIVE_MAX: u32 = 3;

/// Has TCP ask.
pub(crate) fn keep_alive(stream: &TcpStream) -> std::io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_INTERVAL)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_MAX);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
