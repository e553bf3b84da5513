//! Does what processes of a kind do, under the kind's list of system calls with one line left out: what needs
//! that line fails. Each act goes through the libraries that the real processes use.
//!
//! - `--kind=KIND --without=LINE` with a jail's arguments: enters the jail, receives a file, does each act and
//!   says its name; then leaves.
//! - `--kind=broker --without=LINE`: the same outside the jail, under the broker's list.
//! - `--abort`, `--sleep` or `--elder` besides: only that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: a panic is a failed act"
)]

use std::fs::File;
use std::io::{IoSlice, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use kekkai_sys::{JailSpec, LockedKey, ProcessKind, Spawner, jail, memfd, scm, seccomp};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// One act: its name, which kinds do it, and what it is.
struct Act {
    name: &'static str,
    kinds: &'static [ProcessKind],
    act: fn(&Tools),
}

/// What a process was given.
struct Tools {
    /// A sealed memory file.
    file: File,
    /// A file that may be written: an artefact to be.
    blank: File,
    /// The broker's.
    spawner: Option<Spawner>,
    /// A thread that ran before the list was installed: told to, it does what the list forbids.
    elder: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How it says what it does.
type Say = Box<dyn Fn(&str)>;

const fn act(name: &'static str, kinds: &'static [ProcessKind], act: fn(&Tools)) -> Act {
    Act { name, kinds, act }
}

use ProcessKind::{Broker, Desktop, SqlWorker, WasmCompiler, WasmWorker};
const ALL: &[ProcessKind] = &ProcessKind::ALL;

const ACTS: &[Act] = &[
    act("print", ALL, |_| println!("a line of the log")),
    act(
        "read a piece",
        &[WasmWorker, WasmCompiler, Desktop],
        |tools| {
            assert_eq!((&tools.file).read(&mut [0; 4]).unwrap(), 4);
        },
    ),
    act(
        "write at a place: pixels, spilled blocks",
        &[SqlWorker, Desktop],
        |tools| {
            tools.blank.write_all_at(&[7; 8192], 4096).unwrap();
        },
    ),
    act("open below a folder, through no link", &[Broker], |_| {
        let how = nix::fcntl::OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC)
            .resolve(nix::fcntl::ResolveFlag::RESOLVE_NO_SYMLINKS);
        drop(nix::fcntl::openat2(nix::fcntl::AT_FDCWD, "/dev", how).unwrap());
    }),
    act("read to the end", &[SqlWorker, Broker], |tools| {
        let mut text = String::new();
        (&tools.file).read_to_string(&mut text).unwrap();
    }),
    act("read at a place", &[SqlWorker, Desktop, Broker], |tools| {
        tools.file.read_exact_at(&mut [0; 4], 2).unwrap();
    }),
    act(
        "go to a place",
        &[SqlWorker, WasmCompiler, Broker],
        |tools| {
            (&tools.file).seek(SeekFrom::Start(1)).unwrap();
        },
    ),
    act(
        "look at an open file, standard library",
        &[SqlWorker, WasmCompiler, Broker],
        |tools| {
            assert!(tools.file.metadata().unwrap().len() > 4);
        },
    ),
    act(
        "look at an open file, C library",
        &[SqlWorker, WasmWorker, WasmCompiler, Broker],
        |tools| {
            assert!(nix::sys::stat::fstat(&tools.file).unwrap().st_size > 4);
        },
    ),
    act(
        "see whether a file is sealed",
        &[WasmWorker, WasmCompiler, Broker],
        |tools| {
            assert!(memfd::is_sealed(tools.file.as_fd()));
        },
    ),
    act("a second descriptor", ALL, |tools| {
        drop(tools.file.try_clone().unwrap())
    }),
    act("write an artefact", &[WasmCompiler], |tools| {
        (&tools.blank).write_all(&[7; 8192]).unwrap();
    }),
    act("write in pieces", &[SqlWorker], |tools| {
        let pieces = [IoSlice::new(b"a"), IoSlice::new(b"\n")];
        assert_eq!((&tools.blank).write_vectored(&pieces).unwrap(), 2);
    }),
    act(
        "make a pipe not block",
        &[SqlWorker, WasmWorker, Broker],
        |tools| {
            let flags = OFlag::from_bits_retain(fcntl(&tools.file, FcntlArg::F_GETFL).unwrap());
            fcntl(&tools.file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
        },
    ),
    act("have no memory file of its own", &[WasmWorker], |_| {
        let made = nix::sys::memfd::memfd_create(c"x", nix::sys::memfd::MFdFlags::empty());
        assert_eq!(made.unwrap_err(), nix::errno::Errno::ENOSYS);
    }),
    act("memory that grows", ALL, |_| {
        let small: Vec<Box<[u8]>> = (0..2_000).map(|n| vec![1; 100 + n % 50].into()).collect();
        let mut large = vec![1_u8; 1 << 20];
        for _ in 0..4 {
            let more = large.len();
            large.resize(more * 2, 1);
        }
        assert!(small.len() + large.len() > 2_000);
    }),
    act("threads", ALL, |_| threads()),
    act("how many processors", ALL, |_| {
        assert!(std::thread::available_parallelism().is_ok());
    }),
    act(
        "wait a moment for a lock",
        &[SqlWorker, WasmCompiler, Desktop, Broker],
        |_| std::thread::yield_now(),
    ),
    act("wait", ALL, |_| {
        std::thread::sleep(Duration::from_millis(1));
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
    }),
    act("seed a hash table", ALL, |_| {
        // Seeds are a thread's own.
        let table = || std::collections::HashMap::from([(1, 2)]);
        assert_eq!(std::thread::spawn(table).join().unwrap().len(), 1);
    }),
    act("keep a key", &[SqlWorker, Broker], |_| {
        drop(LockedKey::new(&[7; 32]).unwrap())
    }),
    act("an event loop", &[SqlWorker, WasmWorker, Broker], |_| {
        event_loop()
    }),
    act("a signal that is handled", &[Broker], |_| signal()),
    act("look for the time zone", &[SqlWorker], |_| {
        let found = std::fs::read_link("/etc/localtime").map_err(|e| e.raw_os_error());
        assert_eq!(found.unwrap_err(), Some(1));
    }),
    act("serve and be served over TCP", &[Broker], |_| tcp()),
    act("serve over IPv6", &[Broker], |_| {
        // Where the machine has no such address the socket is made all the same.
        let bound = std::net::TcpListener::bind("[::1]:0").map_err(|e| e.raw_os_error());
        assert!(bound.is_ok() || bound.unwrap_err() == Some(nix::libc::EADDRNOTAVAIL));
    }),
    act("look a name up", &[Broker], |_| {
        use std::net::ToSocketAddrs;
        assert!(("kekkai-nobody.invalid", 1).to_socket_addrs().is_err());
        assert!(("localhost", 1).to_socket_addrs().is_ok());
    }),
    act("connect to a software TPM by path", &[Broker], |_| {
        assert!(std::os::unix::net::UnixStream::connect("/nothing-here").is_err());
    }),
    act("look at a process", &[Broker], |_| {
        assert!(std::fs::read_dir("/proc/self/task").unwrap().count() > 0);
        assert!(std::fs::read_link("/proc/self/exe").is_ok());
        assert!(std::fs::metadata("/proc/self/environ").is_ok());
        assert!(
            !std::fs::read_to_string("/proc/self/status")
                .unwrap()
                .is_empty()
        );
    }),
    act("make and remove a group", &[Broker], |_| {
        // As a control group's folder is.
        let path = std::env::temp_dir().join(format!("kekkai-probe-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::remove_dir(&path).unwrap();
    }),
    act("keep an artefact for the next start", &[Broker], |_| {
        let name = format!("kekkai-probe-{}.part", std::process::id());
        let part = std::env::temp_dir().join(name);
        let mut file = File::create(&part).unwrap();
        file.write_all(b"code").unwrap();
        file.sync_all().unwrap();
        let kept = part.with_extension("artefact");
        std::fs::rename(&part, &kept).unwrap();
        std::fs::remove_file(&kept).unwrap();
    }),
    act("seal an artefact", &[Broker], |_| {
        memfd::seal("artefact", &mut &b"code"[..], 10, |_| ()).unwrap();
    }),
    act("memory for pixels", &[Broker], |_| {
        let memory = memfd::of_fixed_length("pixels", 1 << 20).unwrap();
        drop(memfd::reopened(memory.as_fd()).unwrap());
    }),
    act("a pipe for rows", &[Broker], |_| {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(fcntl(&reader, FcntlArg::F_SETPIPE_SZ(1 << 16)).unwrap() >= 1 << 16);
    }),
    act("launch and end a process", &[Broker], launch),
];

/// More at once than there are processors, with names, some memory, and a lock that they wait for.
fn threads() {
    let gate = std::sync::Arc::new(std::sync::Mutex::new(0));
    let held = gate.lock().unwrap();
    let work = |n: usize| {
        let gate = gate.clone();
        let named = std::thread::Builder::new().name(format!("probe-{n}"));
        named.spawn(move || {
            let block = vec![1_u8; 300_000];
            *gate.lock().unwrap() += block.len();
        })
    };
    let all: Vec<_> = (0..4).map(|n| work(n).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(1));
    drop(held);
    for thread in all {
        thread.join().unwrap();
    }
}

/// As the workers' channels have it: one thread, with timers and descriptors.
fn event_loop() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let late = std::thread::spawn(|| std::thread::sleep(Duration::from_millis(2)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::task::spawn_blocking(move || late.join().unwrap())
            .await
            .unwrap();
    });
}

/// A handler that the event loop runs.
fn signal() {
    use nix::sys::signal::{Signal, raise};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let kind = tokio::signal::unix::SignalKind::user_defined1();
        let mut signals = tokio::signal::unix::signal(kind).unwrap();
        raise(Signal::SIGUSR1).unwrap();
        signals.recv().await.unwrap();
    });
}

fn tcp() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let client = tokio::net::TcpStream::connect(place);
        let (accepted, client) = tokio::join!(listener.accept(), client);
        let (mut served, mut client) = (accepted.unwrap().0, client.unwrap());
        served.set_nodelay(true).unwrap();
        assert!(client.peer_addr().is_ok() && client.take_error().unwrap().is_none());
        client.write_all(b"hello").await.unwrap();
        let pieces = [IoSlice::new(b"a"), IoSlice::new(b"b")];
        assert_eq!(client.write_vectored(&pieces).await.unwrap(), 2);
        client.shutdown().await.unwrap();
        let mut text = String::new();
        served.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "helloab");
        let standard = served.into_std().unwrap();
        standard.set_nonblocking(false).unwrap();
    });
}

fn launch(tools: &Tools) {
    let (ours, theirs) = scm::stream_pair().unwrap();
    let (_log, log_end) = std::io::pipe().unwrap();
    let image = File::open("/proc/self/exe").unwrap();
    let spawner = tools.spawner.as_ref().unwrap();
    let (args, none) = (["probe".to_owned()], std::collections::BTreeSet::new());
    let mut child = spawner
        .spawn(
            SqlWorker,
            image.as_fd(),
            &args,
            theirs,
            log_end.into(),
            &none,
        )
        .unwrap();
    assert!(child.kill_and_reap(Duration::from_secs(10)).is_some());
    drop(ours);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name));
    let kind = value("--kind=").unwrap_or_else(|| std::process::exit(0));
    let kind = ProcessKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .unwrap();
    let without = value("--without=");
    let aborts = args.iter().any(|arg| arg == "--abort");
    let sleeps = args.iter().any(|arg| arg == "--sleep");
    let (tools, say) = match kind {
        Broker => as_broker(without),
        _ => in_jail(kind, without, &args),
    };
    if sleeps {
        say("asleep");
        std::thread::sleep(Duration::from_millis(300));
        say("awake");
        return;
    }
    if args.iter().any(|arg| arg == "--elder") {
        let (tell, elder) = tools.elder.unwrap();
        tell.send(()).unwrap();
        elder.join().unwrap();
        return;
    }
    if aborts {
        std::process::abort();
    }
    for act in ACTS.iter().filter(|act| act.kinds.contains(&kind)) {
        say(act.name);
        (act.act)(&tools);
    }
    say("all");
}

fn in_jail(kind: ProcessKind, without: Option<&str>, args: &[String]) -> (Tools, Say) {
    let mine = ["--kind=", "--without=", "--abort", "--sleep"];
    let rest = args
        .iter()
        .filter(|arg| !mine.iter().any(|name| arg.starts_with(name)));
    let spec = JailSpec::from_args(kind, rest.cloned()).unwrap();
    match without {
        Some(line) => jail::enter_without(&spec, line).unwrap(),
        None => jail::enter(&spec).unwrap(),
    };
    let socket = jail::take_socket().unwrap();
    let (_, fds) = scm::receive_with_fds(socket.as_fd(), &mut [0]).unwrap();
    let [file, blank]: [OwnedFd; 2] = fds.try_into().unwrap();
    let tools = Tools {
        file: file.into(),
        blank: blank.into(),
        spawner: None,
        elder: None,
    };
    let say = move |text: &str| {
        scm::send(socket.as_fd(), format!("{text}\n").as_bytes(), &[]).unwrap();
    };
    (tools, Box::new(say))
}

fn as_broker(without: Option<&str>) -> (Tools, Say) {
    let spawner = Spawner::start().unwrap();
    // The list is installed while other threads run, as the broker's are.
    let (tell, told) = std::sync::mpsc::channel();
    let elder = std::thread::spawn(move || {
        if told.recv().is_ok() {
            let _ = std::fs::hard_link("/nothing-here", "/nothing-there");
        }
    });
    let tools = Tools {
        file: memfd::seal("file", &mut &b"a file"[..], 10, |_| ())
            .unwrap()
            .into(),
        blank: File::open("/dev/null").unwrap(),
        spawner: Some(spawner),
        elder: Some((tell, elder)),
    };
    match without {
        Some(line) => seccomp::install_without(Broker, line).unwrap(),
        None => seccomp::install(Broker).unwrap(),
    };
    let say = |text: &str| {
        std::io::stderr()
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
    };
    (tools, Box::new(say))
}
