//! The network, other processes' sockets, and ways to talk past the broker.

use std::os::unix::net::UnixListener;

use nix::errno::Errno;
use nix::libc;

use crate::call::{call, io, me, reached};
use crate::{Attack, attack};

fn socket(family: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
    let fd = call(
        libc::SYS_socket,
        &[family as usize, kind as usize, protocol as usize],
    )?;
    call(libc::SYS_close, &[fd as usize]).map(drop)
}

fn abstract_name() -> std::os::unix::net::SocketAddr {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("kekkai-evil-{}", me());
    std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap()
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack("socket-inet", "TCP", |_| {
        socket(libc::AF_INET, libc::SOCK_STREAM, 0)
    }),
    attack("socket-inet-udp", "UDP", |_| {
        socket(libc::AF_INET, libc::SOCK_DGRAM, 0)
    }),
    attack("socket-inet6", "TCP over IPv6", |_| {
        socket(libc::AF_INET6, libc::SOCK_STREAM, 0)
    }),
    attack("socket-icmp", "raw ICMP", |_| {
        socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
    }),
    attack("socket-unix", "a Unix socket", |_| {
        socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)
    }),
    attack("socket-netlink-route", "routes and interfaces", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
    }),
    attack("socket-netlink-netfilter", "firewall rules", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER)
    }),
    attack("socket-netlink-audit", "the audit log", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT)
    }),
    attack("socket-packet", "raw frames", |_| {
        socket(libc::AF_PACKET, libc::SOCK_RAW, 0)
    }),
    attack("socket-vsock", "the hypervisor", |_| {
        socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)
    }),
    attack("socket-alg", "the kernel's cryptography", |_| {
        socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)
    }),
    attack("socket-xdp", "frames by shared memory", |_| {
        socket(libc::AF_XDP, libc::SOCK_RAW, 0)
    }),
    attack("socket-bluetooth", "Bluetooth", |_| {
        socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1)
    }),
    attack("socket-can", "a vehicle's bus", |_| {
        socket(libc::AF_CAN, libc::SOCK_RAW, 1)
    }),
    attack("socketpair-inet", "a pair that is not Unix", |_| {
        reached(libc::SYS_socketpair, &[libc::AF_INET as usize, 1, 0, 0])
    }),
    attack("connect-loopback", "TCP to a service of the host", |_| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0");
        let place = listener.as_ref().ok().and_then(|l| l.local_addr().ok());
        match place {
            Some(place) => io(std::net::TcpStream::connect(place)),
            None => io(listener),
        }
    }),
    attack("bind-abstract", "wait on an abstract socket", |_| {
        io(UnixListener::bind_addr(&abstract_name()))
    }),
    attack("connect-abstract", "connect to an abstract socket", |_| {
        let listener = UnixListener::bind_addr(&abstract_name());
        io(listener.and_then(|_| std::os::unix::net::UnixStream::connect_addr(&abstract_name())))
    }),
    attack(
        "connect-path",
        "connect to a service's socket by path",
        |_| {
            let path = std::env::temp_dir().join(format!("kekkai-evil-{}.sock", me()));
            let listener = UnixListener::bind(&path);
            let outcome = listener.and_then(|_| std::os::unix::net::UnixStream::connect(&path));
            let removed = std::fs::remove_file(&path);
            io(outcome.and(removed))
        },
    ),
    attack(
        "connect-own-socket",
        "connect the broker's socket elsewhere",
        |_| reached(libc::SYS_connect, &[3, 0, 0]),
    ),
    attack("bind-own-socket", "give the broker's socket a name", |_| {
        reached(libc::SYS_bind, &[3, 0, 0])
    }),
    attack(
        "listen-on-own-socket",
        "listen on the broker's socket",
        |_| reached(libc::SYS_listen, &[3, 1]),
    ),
    attack(
        "accept-on-own-socket",
        "accept on the broker's socket",
        |_| reached(libc::SYS_accept4, &[3, 0, 0, 0]),
    ),
    attack(
        "socket-options",
        "attach a filter to the broker's socket",
        |_| {
            let args = [
                3,
                libc::SOL_SOCKET as usize,
                libc::SO_ATTACH_FILTER as usize,
                0,
                0,
            ];
            reached(libc::SYS_setsockopt, &args)
        },
    ),
];
