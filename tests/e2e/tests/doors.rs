//! What stock OpenSSH asks for besides the console, and doesn't get (issue 2, Shows 4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_e2e::{Answer, TestWorld, said, world};
use kekkai_policy_api::Event;

/// Requests that were refused and recorded, in order.
fn refused(world: &TestWorld) -> Vec<String> {
    world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::RequestRefused { request, .. } => Some(request),
            _ => None,
        })
        .collect()
}

/// Runs `ssh` with extra arguments before the host, for at most `limit`.
fn ssh_for(
    world: &TestWorld,
    who: &str,
    before: &[&str],
    after: &[&str],
    limit: Duration,
) -> String {
    let mut child = world
        .ssh_with(who, &Answer::Properly)
        .args(before)
        .arg("127.0.0.1")
        .args(after)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > limit {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    said(&child.wait_with_output().unwrap())
}

/// `scp` and `sftp` take ssh's options, but another spelling of port and user.
fn copy_tool(world: &TestWorld, who: &str, tool: &str, args: &[String]) -> String {
    let ssh = world.ssh_with(who, &Answer::Properly);
    let mut command = Command::new(tool);
    let mut given = ssh
        .get_args()
        .map(|a| a.to_string_lossy().into_owned())
        .peekable();
    while let Some(arg) = given.next() {
        match arg.as_str() {
            "-p" => {
                command.arg("-P").arg(given.next().unwrap());
            }
            "-l" => {
                given.next();
            }
            _ => {
                command.arg(arg);
            }
        }
    }
    for (name, value) in ssh.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.args(args).stdin(Stdio::null());
    said(&command.output().unwrap())
}

/// `ssh -J gateway inner`: what the jump needs to know has to stand in a file.
fn jump(world: &TestWorld, who: &str, inner_port: u16) -> String {
    let info = world.facts();
    let person = info.person(who).unwrap();
    let gateway = info.gateway.ssh.port();
    let config = world.folder().join("jump.config");
    let text = format!(
        "Host gateway\n  HostName 127.0.0.1\n  Port {gateway}\n  User {who}\n\
         Host inner\n  HostName 127.0.0.1\n  Port {inner_port}\n\
         Host *\n  IdentitiesOnly yes\n  IdentityFile {}\n  UserKnownHostsFile {}\n\
         \x20 StrictHostKeyChecking yes\n  NumberOfPasswordPrompts 1\n",
        person.terminal.ssh_key.display(),
        info.gateway.known_hosts.display(),
    );
    std::fs::write(&config, text).unwrap();
    let ssh = world.ssh_with(who, &Answer::Properly);
    let mut command = Command::new("ssh");
    for (name, value) in ssh.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .arg("-F")
        .arg(&config)
        .args(["-J", "gateway", "inner", "id"])
        .stdin(Stdio::null());
    said(&command.output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_console_passes_and_each_attempt_is_recorded() {
    let world = world(14, false).await;
    let limit = Duration::from_secs(20);
    // A connection that opens no session: let go of after half a minute, looked at in the end.
    let mut silent = world
        .ssh_with("r7", &Answer::Properly)
        .args(["-N", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A listener that a tunnel would reach: the control that traffic could arrive at all.
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let target = inside.local_addr().unwrap();
    std::net::TcpStream::connect(target).unwrap();
    assert!(
        inside.accept().is_ok(),
        "the control: the listener can be reached directly"
    );
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();

    let loot = world.folder().join("loot");
    let mut before = refused(&world).len();
    let mut expect_recorded = |what: &str, needle: &str, said: &str| {
        let all = refused(&world);
        let new = all.get(before..).unwrap();
        assert!(
            new.iter().any(|request| request.contains(needle)),
            "{what}: nothing about \"{needle}\" was recorded, only {new:?}; ssh said {said}"
        );
        before = all.len();
    };

    // Tools that copy: the old protocol over exec, the new one over the sftp subsystem.
    let from = |who: &str| format!("{who}@127.0.0.1:/etc/passwd");
    let to = loot.display().to_string();
    let text = copy_tool(&world, "r1", "scp", &["-O".into(), from("r1"), to.clone()]);
    assert!(!loot.exists(), "{text}");
    expect_recorded("scp -O", "scp", &text);
    let text = copy_tool(&world, "r1", "scp", &["-s".into(), from("r1"), to.clone()]);
    assert!(!loot.exists(), "{text}");
    expect_recorded("scp", "sftp", &text);
    let text = copy_tool(&world, "r2", "sftp", &[from("r2"), to.clone()]);
    assert!(
        !loot.exists() && !text.contains("exit Some(0)"),
        "sftp: {text}"
    );
    expect_recorded("sftp", "sftp", &text);

    // Tunnels: nothing must arrive at the listener.
    let forward = format!("127.0.0.1:{free}:127.0.0.1:{}", target.port());
    let mut child = world
        .ssh_with("r3", &Answer::Properly)
        .args(["-L", &forward, "-N", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let tunnel = loop {
        match std::net::TcpStream::connect(("127.0.0.1", free)) {
            Ok(stream) => break stream,
            Err(_) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => panic!("ssh -L never listened: {error}"),
        }
    };
    std::thread::sleep(Duration::from_millis(1500));
    assert!(inside.accept().is_err(), "-L reached the listener");
    drop(tunnel);
    let _ = child.kill();
    let _ = child.wait();
    expect_recorded("-L", "direct-tcpip", "");

    let reverse = format!("{free}:127.0.0.1:{}", target.port());
    let text = ssh_for(
        &world,
        "r4",
        &["-o", "ExitOnForwardFailure=yes", "-R", &reverse, "-N"],
        &[],
        limit,
    );
    expect_recorded("-R", "tcpip-forward", &text);

    let target_text = target.to_string();
    let text = ssh_for(&world, "r4", &["-W", &target_text], &[], limit);
    assert!(inside.accept().is_err(), "-W reached the listener");
    expect_recorded("-W", "direct-tcpip", &text);
    let text = jump(&world, "r2", target.port());
    assert!(inside.accept().is_err(), "-J reached the listener: {text}");
    expect_recorded("-J", &format!("direct-tcpip {target}"), &text);

    let mut child = world
        .ssh_with("r5", &Answer::Properly)
        .args(["-D", &format!("127.0.0.1:{free}"), "-N", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let mut socks = loop {
        match std::net::TcpStream::connect(("127.0.0.1", free)) {
            Ok(stream) => break stream,
            Err(_) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => panic!("ssh -D never listened: {error}"),
        }
    };
    use std::io::{Read, Write};
    // SOCKS 5, no authentication, CONNECT to the listener (RFC 1928).
    socks
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socks.write_all(&[5, 1, 0]).unwrap();
    let mut reply = [0; 2];
    socks.read_exact(&mut reply).unwrap();
    let [high, low] = target.port().to_be_bytes();
    socks
        .write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low])
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(inside.accept().is_err(), "-D reached the listener");
    let _ = child.kill();
    let _ = child.wait();
    expect_recorded("-D", "direct-tcpip", "");

    // Agent, X11, environment: asked for before the console's own command, which then works.
    let text = ssh_for(
        &world,
        "r6",
        &["-o", "SetEnv=LD_PRELOAD=/x"],
        &["status"],
        limit,
    );
    expect_recorded("SetEnv", "env", &text);
    let agent = Command::new("ssh-agent").args(["-s"]).output().unwrap();
    let agent = String::from_utf8(agent.stdout).unwrap();
    let value = |name: &str| {
        agent
            .split([';', '\n'])
            .find_map(|p| p.trim().strip_prefix(&format!("{name}=")))
            .unwrap()
            .to_owned()
    };
    let output = world
        .ssh_with("r6", &Answer::Properly)
        .env("SSH_AUTH_SOCK", value("SSH_AUTH_SOCK"))
        .args(["-A", "127.0.0.1", "status"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Command::new("kill")
        .arg(value("SSH_AGENT_PID"))
        .status()
        .unwrap();
    expect_recorded("-A", "agent", &said(&output));
    let text = ssh_for(
        &world,
        "r8",
        &["-X", "-o", "ForwardX11Trusted=yes"],
        &["status"],
        limit,
    );
    expect_recorded("-X", "x11", &text);

    // Anything but the console's own commands.
    for (who, command) in [
        ("r9", "cat /etc/passwd"),
        ("r10", "sh -i"),
        ("r11", "rsync --server --sender . /"),
        ("r12", "status; id"),
        ("r13", "$(id)"),
    ] {
        let output = world.ssh(who, command);
        assert!(!output.status.success(), "{command}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{command}: {}", said(&output));
        assert!(
            !output.stderr.is_empty(),
            "{command}: refused without a word"
        );
        expect_recorded(command, &format!("command {command}"), &said(&output));
    }
    // The control: the console's own command passes, and nothing is recorded as refused.
    let all = refused(&world).len();
    let output = world.ssh("r14", "status");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(refused(&world).len(), all, "{}", said(&output));

    let start = Instant::now();
    while silent.try_wait().unwrap().is_none() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "-N was never let go of"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    world
        .wait_for_event("-N", |event| {
            matches!(event, Event::RequestRefused { person: Some(person), request, .. }
                if person.as_str() == "r7" && request == "connection without a session channel")
        })
        .await;
}
