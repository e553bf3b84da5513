//! What isn't a console: refused, said so, recorded. All by stock OpenSSH.
//! Needs `ssh`, `scp`, `sftp`, `ssh-agent` (Debian: openssh-client).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::ssh::{Terminal, text};
use common::{Stage, free_port, wait_for};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn scp_and_sftp_move_nothing() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let file = stage.path("secret.txt");
    std::fs::write(&file, "secret").unwrap();
    let file = file.to_str().unwrap();
    let back = stage.path("back").display().to_string();
    let cases: [(&str, &str, &[&str], [&str; 2]); 4] = [
        ("visitor1", "scp", &[], [file, "visitor1@127.0.0.1:/tmp/x"]),
        (
            "visitor2",
            "scp",
            &["-O"],
            [file, "visitor2@127.0.0.1:/tmp/x"],
        ),
        (
            "visitor3",
            "scp",
            &["-O"],
            ["visitor3@127.0.0.1:/etc/passwd", &back],
        ),
        (
            "visitor4",
            "sftp",
            &[],
            ["visitor4@127.0.0.1:/etc/passwd", &back],
        ),
    ];
    for (name, program, options, arguments) in cases {
        let mut visitor = stage.enrol(name).await;
        let run = terminal.program(program, options, &arguments);
        let output = run.sign_in(&stage, &mut visitor).await.finish().await;
        assert_ne!(output.status.code(), Some(0), "{program}");
        assert!(!text(&output.stderr).is_empty(), "{program}");
    }
    assert!(!stage.path("back").exists());
    let requests = stage.requests();
    assert_eq!(requests.len(), 4, "{requests:?}");
    assert_eq!(requests[0], "subsystem sftp");
    assert!(requests[1].starts_with("command scp "), "{requests:?}");
    assert!(requests[2].starts_with("command scp "), "{requests:?}");
    assert_eq!(requests[3], "subsystem sftp");
    assert!(
        stage.world.opened().is_empty(),
        "a refused request opens no session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_commands_run_nowhere() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let mut visitor = stage.enrol("visitor1").await;
    let control = format!("ControlPath={}", stage.path("control").display());
    let mut master = terminal
        .ssh_with(
            "visitor1",
            &["-o", "ControlMaster=yes", "-o", &control],
            &[],
            Stdio::piped(),
        )
        .sign_in(&stage, &mut visitor)
        .await;
    wait_for(|| stage.path("control").exists()).await;
    let mark = stage.path("mark").display().to_string();
    let commands = [
        "id".to_owned(),
        "sh -c 'id'".to_owned(),
        format!("touch {mark}"),
        format!("help; touch {mark}"),
        format!("$(touch {mark})"),
        format!("help\ntouch {mark}"),
        "/bin/bash".to_owned(),
        "rsync --server .".to_owned(),
        "tar c /".to_owned(),
    ];
    for command in &commands {
        let output = terminal
            .ssh("visitor1", &["-o", &control], &[command])
            .finish()
            .await;
        let status = output.status.code();
        assert!(matches!(status, Some(1 | 2)), "{command}: {status:?}");
        assert!(
            output.stdout.is_empty(),
            "{command}: {}",
            text(&output.stdout)
        );
    }
    assert!(!stage.path("mark").exists());
    let requests = stage.requests();
    assert!(requests.len() >= commands.len() - 1, "{requests:?}");
    let output = terminal
        .ssh("visitor1", &["-o", &control, "-s"], &["anything"])
        .finish()
        .await;
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(stage.requests().pop().unwrap(), "subsystem anything");
    master.child().kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn forwardings_of_every_kind_forward_nothing() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let mut visitor = stage.enrol("visitor1").await;
    // Something that a forwarding would reach.
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let (local, dynamic, remote) = (free_port().port(), free_port().port(), free_port().port());
    let socket = stage.path("forwarded.sock").display().to_string();
    let agent = stage.path("agent.sock");
    let mut keys = tokio::process::Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&agent)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    wait_for(|| agent.exists()).await;
    let local_to = format!("{local}:127.0.0.1:{port}");
    let remote_to = format!("{remote}:127.0.0.1:{port}");
    let dynamic_at = dynamic.to_string();
    let socket_to = format!("{socket}:127.0.0.1:{port}");
    let agent_at = format!("IdentityAgent={}", agent.display());
    let options = [
        "-L",
        &local_to,
        "-R",
        &remote_to,
        "-D",
        &dynamic_at,
        "-R",
        &socket_to,
        "-A",
        "-o",
        &agent_at,
        "-o",
        "ForwardX11=yes",
        "-o",
        "ForwardX11Trusted=yes",
        "-o",
        "XAuthLocation=/bin/true",
        "-o",
        "SendEnv=KEKKAI_TEST",
    ];
    let mut run = terminal
        .ssh_display("visitor1", &options)
        .sign_in(&stage, &mut visitor)
        .await;
    wait_for(|| stage.world.opened().len() == 1).await;

    let mut through = TcpStream::connect(("127.0.0.1", local)).await.unwrap();
    through.write_all(b"hello").await.unwrap();
    let mut end = Vec::new();
    let _ = through.read_to_end(&mut end).await;
    assert!(end.is_empty());
    let mut socks = TcpStream::connect(("127.0.0.1", dynamic)).await.unwrap();
    let [high, low] = port.to_be_bytes();
    socks.write_all(&[5, 1, 0]).await.unwrap();
    let mut answer = [0; 2];
    socks.read_exact(&mut answer).await.unwrap();
    socks
        .write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low])
        .await
        .unwrap();
    let mut end = Vec::new();
    let _ = socks.read_to_end(&mut end).await;
    assert!(TcpStream::connect(("127.0.0.1", remote)).await.is_err());

    let direct = format!("direct-tcpip 127.0.0.1:{port}");
    wait_for(|| stage.requests().iter().filter(|r| **r == direct).count() == 2).await;
    let requests = stage.requests();
    let has = |begin: &str| requests.iter().any(|r| r.starts_with(begin));
    assert!(
        has(&format!("tcpip-forward localhost:{remote}")),
        "{requests:?}"
    );
    assert!(has("streamlocal-forward "), "{requests:?}");
    assert!(has("auth-agent-req"), "{requests:?}");
    assert!(has("x11-req"), "{requests:?}");
    assert!(has("env KEKKAI_TEST"), "{requests:?}");
    let reached = tokio::time::timeout(Duration::from_millis(300), target.accept()).await;
    assert!(reached.is_err(), "something came through");
    run.child().kill().await.unwrap();
    keys.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jump_through_the_gateway_leads_nowhere() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let mut visitor = stage.enrol("visitor1").await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let run = terminal.jump("visitor1", port);
    let output = run.sign_in(&stage, &mut visitor).await.finish().await;
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(stage.requests(), [format!("direct-tcpip 127.0.0.1:{port}")]);
    let reached = tokio::time::timeout(Duration::from_millis(300), target.accept()).await;
    assert!(reached.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_without_a_console_is_closed_and_recorded() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let mut visitor = stage.enrol("visitor1").await;
    let run = terminal.ssh("visitor1", &["-N"], &[]);
    let run = run.sign_in(&stage, &mut visitor).await;
    let begun = std::time::Instant::now();
    let output = run.finish().await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(stage.requests(), ["connection without a session channel"]);
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_algorithms_are_not_spoken() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let weak = [
        "KexAlgorithms=diffie-hellman-group14-sha256",
        "KexAlgorithms=diffie-hellman-group-exchange-sha256",
        "KexAlgorithms=ecdh-sha2-nistp256",
        "HostKeyAlgorithms=rsa-sha2-512",
        "HostKeyAlgorithms=ecdsa-sha2-nistp256",
        "Ciphers=chacha20-poly1305@openssh.com",
        "Ciphers=aes256-ctr",
        "Ciphers=aes128-cbc",
    ];
    for option in weak {
        let mut run = terminal.ssh("visitor1", &["-o", option], &["help"]);
        assert_eq!(run.prompt().await, None, "{option}");
        let err = text(&run.finish().await.stderr);
        assert!(
            err.contains("no matching") || err.contains("Bad"),
            "{option}: {err}"
        );
    }
    // Terrapin (CVE-2023-48795): both sides agree on the strict order.
    let mut run = terminal.ssh("visitor1", &["-vv"], &["help"]);
    run.code().await;
    run.answer("0");
    let err = text(&run.finish().await.stderr);
    assert!(err.contains("kex-strict-s-v00@openssh.com"), "{err}");
    assert!(err.contains("cipher: aes256-gcm@openssh.com"), "{err}");
    assert!(
        err.contains("Authentications that can continue: publickey\r\n")
            || err.contains("Authentications that can continue: publickey\n"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_asked_for() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    for method in ["password", "keyboard-interactive", "hostbased", "none"] {
        let option = format!("PreferredAuthentications={method}");
        let mut run = terminal.ssh("visitor1", &["-o", &option], &["help"]);
        assert_eq!(run.prompt().await, None, "{method}");
        assert_eq!(run.finish().await.status.code(), Some(255), "{method}");
    }
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_not_signed_in_are_bounded_in_number_and_time() {
    let stage = Stage::with(|config| {
        config.limits.unauthenticated_per_address_max = 4;
        config.limits.code_life_s = 1;
        config.limits.login_grace_s = 11;
    })
    .await;
    // The connection that waited for the port to open may still be there.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut stream = TcpStream::connect(stage.config.ssh.listen).await.unwrap();
        let mut greeting = [0; 8];
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut greeting)).await;
        held.push((stream, matches!(read, Ok(Ok(8)))));
    }
    let greeted = held.iter().filter(|(_, greeted)| *greeted).count();
    assert_eq!(greeted, 4);
    // Silence ends, too.
    let begun = std::time::Instant::now();
    let (mut stream, _) = held.remove(0);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest))
        .await
        .expect("cut off");
    assert!(begun.elapsed() < Duration::from_secs(13));
}
