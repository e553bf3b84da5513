//! Attacks, as a program. Started by the spawner it enters the jail, then does what its socket asks;
//! started with `--outside NAME` it does one attack without a jail, to show that it works there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a test program: a panic is a failed test"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use kekkai_sys::{JailSpec, ProcessKind, jail};
use nix::errno::Errno;
use nix::libc;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, name] = args.as_slice()
        && flag == "--outside"
    {
        match act(name) {
            Ok(()) => std::process::exit(0),
            Err(errno) => {
                eprintln!("{name}: {errno}");
                std::process::exit(1);
            }
        }
    }
    if args.get(1).is_some_and(|arg| arg == "--broker") {
        return broker();
    }
    if args.last().is_some_and(|arg| arg == "--threads-first") {
        std::thread::spawn(|| std::thread::sleep(Duration::from_secs(5)));
    }
    let spec_args = args
        .into_iter()
        .filter(|arg| arg != "--threads-first" && arg != "--no-jail");
    let spec = JailSpec::from_args(ProcessKind::SqlWorker, spec_args).expect("arguments");
    let environment = std::env::vars_os().count();
    let report = if std::env::args().any(|arg| arg == "--no-jail") {
        Ok(kekkai_sys::JailReport::default())
    } else {
        jail::enter(&spec)
    };
    let socket: OwnedFd = jail::take_socket().expect("no socket");
    assert!(jail::take_socket().is_none(), "the socket was taken twice");
    // As a file: read and write, which the list has, not recv.
    let mut socket = File::from(socket);
    let text = match report {
        Ok(report) => format!("environment {environment} {report:?}\n"),
        Err(error) => format!("error {error}\n"),
    };
    socket.write_all(text.as_bytes()).unwrap();
    let mut name = [0; 64];
    loop {
        let n = socket.read(&mut name).unwrap();
        if n == 0 {
            return;
        }
        let name = std::str::from_utf8(&name[..n]).unwrap();
        let answer = match act(name) {
            Ok(()) => "done\n".to_owned(),
            Err(errno) => format!("{errno:?}\n"),
        };
        socket.write_all(answer.as_bytes()).unwrap();
    }
}

/// Does what a broker does, in its order: spawner, no dumps, worker, the look from outside. Then it
/// waits to be killed.
fn broker() {
    let spawner = kekkai_sys::Spawner::start().unwrap();
    kekkai_sys::harden::harden_this_process().unwrap();
    let image = File::open("/proc/self/exe").unwrap();
    let (ours, theirs) = kekkai_sys::scm::stream_pair().unwrap();
    let (_log, log_end) = std::io::pipe().unwrap();
    let spec = JailSpec {
        kind: ProcessKind::SqlWorker,
        memory_mib: 512,
        waived: std::collections::BTreeSet::new(),
    };
    let mut args = vec!["kekkai-jail-probe".to_owned()];
    args.extend(spec.to_args());
    let (image, log) = (std::os::fd::AsFd::as_fd(&image), log_end.into());
    let child = spawner
        .spawn(spec.kind, image, &args, theirs, log, &spec.waived)
        .unwrap();
    let mut hello = [0; 512];
    // Kept open: a worker that reads the end of its socket leaves.
    let mut ours = UnixStream::from(ours);
    assert!(ours.read(&mut hello).unwrap() > 0);
    kekkai_sys::verify::verify_from_outside(child.pid(), spec.kind, &spec.waived).unwrap();
    println!("{}", child.pid());
    std::thread::sleep(Duration::from_secs(60));
}

fn io<T>(result: std::io::Result<T>) -> Result<(), Errno> {
    let number = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    result.map(drop).map_err(number)
}

fn call(number: i64, args: &[usize]) -> Result<i64, Errno> {
    let arg = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: none in general: this program's purpose is to ask the kernel for what it must not
    // get. The callers below pass numbers, null, or pointers to memory that lives through the call.
    let result = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    Errno::result(result)
}

/// The kernel looked at it: any answer but "no such call".
fn reached(result: Result<i64, Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::ENOSYS) => Err(Errno::ENOSYS),
        _ => Ok(()),
    }
}

fn socket(family: i32, kind: i32) -> Result<(), Errno> {
    call(libc::SYS_socket, &[family as usize, kind as usize, 0]).map(drop)
}

const PAGE: usize = 4096;

fn page(protection: i32, flags: i32) -> Result<usize, Errno> {
    let anywhere = [
        0,
        PAGE,
        protection as usize,
        (flags | libc::MAP_ANONYMOUS) as usize,
        usize::MAX,
        0,
    ];
    call(libc::SYS_mmap, &anywhere).map(|address| address as usize)
}

const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn act(name: &str) -> Result<(), Errno> {
    let text = |bytes: &'static [u8]| bytes.as_ptr() as usize;
    match name {
        // What a worker needs.
        "threads" => threads(64),
        "timers" => {
            let start = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let (_sender, receiver) = std::sync::mpsc::channel::<()>();
            assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
            assert!(start.elapsed() >= Duration::from_millis(40));
            Ok(())
        }
        "randomness" => {
            let map: std::collections::HashMap<u8, u8> = (0..9).map(|i| (i, i)).collect();
            let mut bytes = [0_u8; 32];
            call(libc::SYS_getrandom, &[bytes.as_mut_ptr() as usize, 32, 0])?;
            assert!(map.len() == 9 && bytes != [0; 32]);
            Ok(())
        }
        "memory" => {
            let block = vec![1_u8; 64 << 20];
            assert!(block.iter().all(|byte| *byte == 1));
            kekkai_sys::LockedKey::new(&[7; 32])
                .map(drop)
                .map_err(|_| Errno::ENOMEM)
        }
        "cpus" => {
            // Reads cgroup files where it may, and lives without.
            assert!(std::thread::available_parallelism().is_ok());
            Ok(())
        }

        // Files.
        "open-file" => io(File::open("/etc/passwd")),
        "create-file" => {
            let name = format!("/tmp/kekkai-jail-probe-{}", std::process::id());
            io(File::create(&name))?;
            io(std::fs::remove_file(&name))
        }
        "list-root" => match std::fs::read_dir("/").map(|mut entries| entries.next().is_some()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Errno::ENOENT),
            Err(error) => io(Err::<(), _>(error)),
        },
        "openat2" => {
            let how = [libc::O_PATH as u64, 0, 0];
            let args = [
                libc::AT_FDCWD as usize,
                text(b"/\0"),
                how.as_ptr() as usize,
                24,
            ];
            call(libc::SYS_openat2, &args).map(drop)
        }
        "open-handle" => reached(call(libc::SYS_open_by_handle_at, &[])),
        "proc-of-others" => io(std::fs::read("/proc/1/status")),
        "chroot" => reached(call(libc::SYS_chroot, &[text(b"/\0")])),
        "mount" => {
            let spaces =
                nix::sched::CloneFlags::CLONE_NEWUSER | nix::sched::CloneFlags::CLONE_NEWNS;
            nix::sched::unshare(spaces)?;
            let none = None::<&str>;
            let tmpfs = Some("tmpfs");
            nix::mount::mount(tmpfs, "/tmp", tmpfs, nix::mount::MsFlags::empty(), none)
        }
        // Never with a real target: the control runs on the host, as root in some places.
        "mount-only" => reached(call(libc::SYS_mount, &[])),
        "move-mount" => reached(call(libc::SYS_fsopen, &[text(b"tmpfs\0"), 0])),

        // The network and other machines' ears.
        "socket-inet" => socket(libc::AF_INET, libc::SOCK_STREAM),
        "socket-inet6" => socket(libc::AF_INET6, libc::SOCK_DGRAM),
        "socket-unix" => socket(libc::AF_UNIX, libc::SOCK_STREAM),
        "socket-netlink" => socket(libc::AF_NETLINK, libc::SOCK_RAW),
        "socket-vsock" => reached(call(libc::SYS_socket, &[libc::AF_VSOCK as usize, 1, 0])),
        "socket-alg" => reached(call(libc::SYS_socket, &[libc::AF_ALG as usize, 5, 0])),
        "socketpair-inet" => reached(call(libc::SYS_socketpair, &[2, 1, 0, 0])),
        "connect" => {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            io(std::net::TcpStream::connect(listener.local_addr().unwrap()))
        }
        "connect-own-socket" => reached(call(libc::SYS_connect, &[3, 0, 0])),
        "bind-own-socket" => reached(call(libc::SYS_bind, &[3, 0, 0])),

        // Other processes.
        "fork" => {
            // SAFETY: the child does nothing but leave; this program has one thread here.
            match unsafe { nix::unistd::fork() }? {
                // SAFETY: _exit has no precondition.
                nix::unistd::ForkResult::Child => unsafe { libc::_exit(0) },
                nix::unistd::ForkResult::Parent { child } => {
                    nix::sys::wait::waitpid(child, None).map(drop)
                }
            }
        }
        "clone-process" => match call(libc::SYS_clone, &[libc::SIGCHLD as usize, 0, 0, 0, 0])? {
            // SAFETY: _exit has no precondition.
            0 => unsafe { libc::_exit(0) },
            _ => Ok(()),
        },
        "clone3" => reached(call(libc::SYS_clone3, &[0, 0])),
        "exec" => Err(exec()),
        "exec-memfd" => {
            let mut image = File::open("/bin/true").unwrap();
            let fd = kekkai_sys::memfd::seal("image", &mut image, 1 << 30, |_| ()).unwrap();
            let args = [c"true"];
            nix::unistd::fexecve(&fd, &args, &[] as &[&std::ffi::CStr]).map(drop)
        }
        "exec-nothing" => reached(call(libc::SYS_execveat, &[3, text(b"\0"), 0, 0, 0x1000])),
        "memfd" => {
            nix::sys::memfd::memfd_create(c"x", nix::sys::memfd::MFdFlags::empty()).map(drop)
        }
        "ptrace" => call(libc::SYS_ptrace, &[0]).map(drop),
        "read-memory-of-others" => reached(call(libc::SYS_process_vm_readv, &[1])),
        "pidfd" => call(libc::SYS_pidfd_open, &[std::process::id() as usize, 0]).map(drop),
        "steal-descriptor" => reached(call(libc::SYS_pidfd_getfd, &[0, 0, 0])),
        "kill-others" => {
            let parent = nix::unistd::getppid();
            nix::sys::signal::kill(parent, None)
        }
        "unshare" => nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER),
        "setns" => reached(call(libc::SYS_setns, &[3, 0])),
        "setuid" => reached(call(libc::SYS_setresuid, &[0, 0, 0])),

        // Code that was not measured.
        "mprotect-exec" => {
            let address = page(RW, libc::MAP_PRIVATE)?;
            let protection = (libc::PROT_READ | libc::PROT_EXEC) as usize;
            call(libc::SYS_mprotect, &[address, PAGE, protection]).map(drop)
        }
        "mmap-exec" => page(RW | libc::PROT_EXEC, libc::MAP_PRIVATE).map(drop),
        "pkey-mprotect" => reached(call(libc::SYS_pkey_mprotect, &[0, 0, 4, 0])),
        "personality" => reached(call(libc::SYS_personality, &[0x0040_0000])),

        // Kernel interfaces of many past holes.
        "io-uring" => reached(call(libc::SYS_io_uring_setup, &[1, 0])),
        "bpf" => reached(call(libc::SYS_bpf, &[0, 0, 0])),
        "keyctl" => reached(call(libc::SYS_keyctl, &[0, -3_isize as usize, 0])),
        "add-key" => reached(call(libc::SYS_add_key, &[0, 0, 0, 0, 0])),
        "userfaultfd" => reached(call(libc::SYS_userfaultfd, &[0])),
        "perf" => reached(call(libc::SYS_perf_event_open, &[0, 0, 0, 0, 0])),
        "shared-memory" => {
            let id = call(libc::SYS_shmget, &[0, PAGE, 0o600])?;
            call(libc::SYS_shmctl, &[id as usize, libc::IPC_RMID as usize, 0]).map(drop)
        }
        "shared-mapping" => page(RW, libc::MAP_SHARED).map(drop),
        "message-queue" => reached(call(libc::SYS_mq_open, &[text(b"x\0"), 0, 0, 0])),
        "seccomp-again" => reached(call(libc::SYS_seccomp, &[9, 0, 0])),
        "terminal-input" => reached(call(
            libc::SYS_ioctl,
            &[0, libc::TIOCSTI as usize, text(b"x")],
        )),
        "signal-owner" => reached(call(libc::SYS_fcntl, &[0, libc::F_SETOWN as usize, 1])),
        #[cfg(target_arch = "x86_64")]
        "other-abi" => reached(call(0x4000_0000 | libc::SYS_getpid, &[])),

        // Core files, and getting back what was given up.
        "raise-core-limit" => {
            let limit = [1_u64, 1];
            let args = [0, libc::RLIMIT_CORE as usize, limit.as_ptr() as usize, 0];
            reached(call(libc::SYS_prlimit64, &args))
        }
        "become-dumpable" => nix::sys::prctl::set_dumpable(true),
        "raise-capability" => reached(call(libc::SYS_capset, &[0, 0])),

        // Using everything up.
        "memory-beyond" => {
            let mut block: Vec<u8> = Vec::new();
            block.try_reserve_exact(4 << 30).map_err(|_| Errno::ENOMEM)
        }
        "threads-beyond" => threads(2_000),
        "descriptors-beyond" => {
            let mut all = Vec::new();
            for _ in 0..5_000 {
                all.push(
                    std::os::fd::AsFd::as_fd(&std::io::stdin())
                        .try_clone_to_owned()
                        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))?,
                );
            }
            Ok(())
        }
        "abort" => std::process::abort(),
        _ => panic!("unknown attack {name}"),
    }
}

fn exec() -> Errno {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new("/bin/true").exec();
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Threads that all live at once.
fn threads(count: usize) -> Result<(), Errno> {
    let gate = std::sync::Arc::new(std::sync::Mutex::new(()));
    let held = gate.lock().unwrap();
    let mut all = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..count {
        let gate = gate.clone();
        let builder = std::thread::Builder::new().stack_size(64 * 1024);
        match builder.spawn(move || drop(gate.lock())) {
            Ok(thread) => all.push(thread),
            Err(_) => {
                outcome = Err(Errno::EAGAIN);
                break;
            }
        }
    }
    drop(held);
    for thread in all {
        thread.join().unwrap();
    }
    outcome
}
