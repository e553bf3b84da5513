//! A line that can be cut as lines are: packets stop arriving, and nobody is told. The terminal and the router
//! before it have network namespaces of their own, which end with their holders.
//!
//! ```text
//!   terminal ── router ── this machine, where the gateway listens
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Output, Stdio};

use kekkai_demo::Kind;
use kekkai_e2e::{TestWorld, said};

/// A process that does nothing but keep a network namespace there, and ends with the test: also when that is
/// killed, since it reads from it.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare: install the package util-linux");
        let namespace = Self(holder);
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{}/ns/net", namespace.0.id());
        let begun = std::time::Instant::now();
        // `unshare` leaves this one before it runs `cat`.
        while std::fs::read_link(&path).unwrap() == own {
            assert!(begun.elapsed().as_secs() < 10, "needs root, for namespaces");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        namespace
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// A command that runs inside.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.id(), "--net", "--", program]);
        command
    }

    fn run(&self, program: &str, arguments: &str) -> Output {
        done(self.command(program).args(arguments.split(' ')))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn done(command: &mut Command) -> Output {
    let output = command.output().expect("iproute2, nftables and util-linux");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

fn ip(arguments: &str) {
    done(Command::new("ip").args(arguments.split(' ')));
}

/// A terminal's line to the gateway.
pub(crate) struct Line {
    terminal: Namespace,
    router: Namespace,
    gateway: SocketAddr,
}

impl Line {
    /// Lays a line to the world's gateway, which then listens at its end of it. Needs root.
    pub(crate) fn to(world: &TestWorld) -> Self {
        let (terminal, router) = (Namespace::new(), Namespace::new());
        // RFC 2544's addresses are nobody's; this process's own, so that tests run beside each other.
        let [.., high, low] = std::process::id().to_be_bytes();
        let net = |host: u8| Ipv4Addr::new(198, 18 | (high & 1), low, ((high >> 1) << 3) | host);
        let [ours, theirs, near, far] = [1, 2, 5, 6].map(net);
        let device = format!("kekkai{}", std::process::id());
        let (inner, outer) = (router.id(), terminal.id());

        ip(&format!(
            "link add {device} type veth peer name wan netns {inner}"
        ));
        ip(&format!("address add {ours}/30 dev {device}"));
        ip(&format!("link set {device} up"));
        router.run("ip", &format!("address add {theirs}/30 dev wan"));
        router.run("ip", "link set wan up");
        router.run(
            "ip",
            &format!("link add lan type veth peer name line netns {outer}"),
        );
        router.run("ip", &format!("address add {near}/30 dev lan"));
        router.run("ip", "link set lan up");
        router.run("sysctl", "--quiet --write net.ipv4.ip_forward=1");
        router.run("nft", "add table ip line");
        router.run(
            "nft",
            "add chain ip line forward { type filter hook forward priority 0 ; policy accept ; }",
        );
        terminal.run("ip", &format!("address add {far}/30 dev line"));
        terminal.run("ip", "link set line up");
        terminal.run("ip", &format!("route add default via {near}"));
        ip(&format!("route add {far}/32 via {theirs} dev {device}"));

        let gateway = SocketAddr::new(IpAddr::V4(ours), world.facts().gateway.ssh.port());
        listen_everywhere(world, gateway.port());
        Self {
            terminal,
            router,
            gateway,
        }
    }

    /// Where the gateway is, seen from the terminal.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The same program with the same environment, at the terminal's end.
    pub(crate) fn at_the_far_end(&self, command: &Command) -> Command {
        let mut there = Command::new("nsenter");
        there
            .args(["--target", &self.terminal.id(), "--net", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                there.env(name, value);
            }
        }
        there
    }

    /// From now on nothing passes, in either direction.
    pub(crate) fn cut(&self) {
        self.router
            .run("nft", "add rule ip line forward counter drop");
    }

    /// Everything passes again. Gives the number of packets that were lost.
    pub(crate) fn mend(&self) -> u64 {
        let listed = self.router.run("nft", "list chain ip line forward");
        self.router.run("nft", "flush chain ip line forward");
        let text = String::from_utf8(listed.stdout).unwrap();
        let mut words = text.split_whitespace();
        words
            .find(|word| *word == "packets")
            .and_then(|_| words.next()?.parse().ok())
            .unwrap_or_else(|| panic!("no count: {text}"))
    }
}

/// The world's gateway listens on loopback: its configuration is an operator's to change.
fn listen_everywhere(world: &TestWorld, port: u16) {
    let config = world.dir().join("gateway/gateway.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let changed = text.replace(
        &format!("listen = \"127.0.0.1:{port}\""),
        &format!("listen = \"0.0.0.0:{port}\""),
    );
    assert_ne!(text, changed, "the gateway's address");
    std::fs::write(&config, changed).unwrap();
    world.stop_daemon(Kind::Gateway).unwrap();
    world.start_daemon(Kind::Gateway).unwrap();
}
