//! Three analysis servers in network namespaces answer as one; a fourth, of which the policy service knows
//! nothing, gets no key and no work; one that is killed ends the statement that it worked on (issue 5, Shows 6).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use kekkai_demo::{Place, Places};
use kekkai_e2e::{TestWorld, said, world_with};
use kekkai_policy_api::Event;
use kekkai_types::{ServerId, SessionId};

/// Enough for three row groups of the largest table: what is read in one piece is read by one server.
const PATIENTS: u64 = 80_000;
/// Analysis servers; the last is nobody's.
const SERVERS: u8 = 4;

/// A bridge, and a namespace for each server, with an address on it.
struct Net {
    tag: u32,
}

fn ip(args: &str) {
    let output = Command::new("ip").args(args.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {args}: {}", said(&output));
}

impl Net {
    fn new() -> Self {
        // Of this process: another test's names are others.
        let net = Self {
            tag: std::process::id(),
        };
        let bridge = net.bridge();
        ip(&format!("link add {bridge} type bridge"));
        ip(&format!("addr add {}/24 dev {bridge}", address(254)));
        ip(&format!("link set {bridge} up"));
        for server in 1..=SERVERS {
            let (namespace, outer) = (net.namespace(server), net.outer(server));
            ip(&format!("netns add {namespace}"));
            ip(&format!(
                "link add {outer} type veth peer name eth0 netns {namespace}"
            ));
            ip(&format!("link set {outer} master {bridge} up"));
            ip(&format!(
                "-n {namespace} addr add {}/24 dev eth0",
                address(server)
            ));
            ip(&format!("-n {namespace} link set eth0 up"));
            ip(&format!("-n {namespace} link set lo up"));
        }
        net
    }

    fn bridge(&self) -> String {
        format!("kb{}", self.tag)
    }

    fn namespace(&self, server: u8) -> String {
        format!("kekkai-{}-{server}", self.tag)
    }

    fn outer(&self, server: u8) -> String {
        format!("kv{}-{server}", self.tag)
    }

    fn places(&self) -> Places {
        Places {
            services: address(254),
            analysis: (1..=SERVERS)
                .map(|server| Place {
                    namespace: self.namespace(server),
                    address: address(server),
                    is_expected: server != SERVERS,
                })
                .collect(),
        }
    }

    /// Bytes that a server has sent.
    fn sent(&self, server: u8) -> u64 {
        let place = format!("/sys/class/net/{}/statistics/rx_bytes", self.outer(server));
        std::fs::read_to_string(place)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Sends a signal to every process of a server.
    fn signal(&self, server: u8, signal: &str) {
        let namespace = self.namespace(server);
        let pids = Command::new("ip")
            .args(["netns", "pids", &namespace])
            .output()
            .unwrap();
        for pid in String::from_utf8(pids.stdout).unwrap().split_whitespace() {
            // One that ended meanwhile is no matter.
            let _ = Command::new("kill").args([signal, pid]).status();
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for server in 1..=SERVERS {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.namespace(server)])
                .status();
        }
        let _ = Command::new("ip")
            .args(["link", "del", &self.bridge()])
            .status();
    }
}

fn address(last: u8) -> IpAddr {
    // 198.18.0.0/15 is for tests of networks (RFC 2544).
    IpAddr::V4(Ipv4Addr::new(198, 18, 77, last))
}

fn server(number: u8) -> ServerId {
    ServerId::new(format!("a{number}")).unwrap()
}

const STATEMENTS: [&str; 4] = [
    "SELECT test_name, unit, count(*), count(value), count(DISTINCT person_id) FROM labs GROUP BY test_name, unit ORDER BY 1, 2",
    "SELECT count(*), count(value), count(DISTINCT person_id), count(DISTINCT test_name) FROM labs",
    "SELECT p.sex, l.test_name, count(*) FROM patients p JOIN labs l ON p.person_id = l.person_id GROUP BY p.sex, l.test_name ORDER BY 1, 2",
    "SELECT sex, count(*) FROM patients GROUP BY sex ORDER BY sex",
];

/// The person's answer, without what differs from run to run.
fn answer(world: &TestWorld, connection: &kekkai_e2e::Connection, sql: &str) -> String {
    let _ = world;
    let output = connection.run(&format!("sql {sql}"));
    let text = said(&output);
    assert!(output.status.success(), "{sql}\n{text}");
    let lines = text
        .lines()
        .filter(|line| !line.contains("job ") && !line.contains(" ms") && !line.contains(" s)"));
    lines.collect::<Vec<_>>().join("\n")
}

fn launched(events: &[Event], session: &SessionId, by: u8) -> bool {
    events.iter().any(
        |event| matches!(event, Event::PartLaunched { session: s, server: a, .. } if s == session && *a == server(by)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_answer_as_one_and_a_fourth_gets_nothing() {
    let net = Net::new();
    let places = net.places();
    let world = world_with(|options| {
        options.extra_researchers = 1;
        options.patients = PATIENTS;
        options.places = Some(places);
    })
    .await;
    let connection = world.connect("r1");
    // The first command starts the session.
    let schema = connection.run("schema");
    assert!(schema.status.success(), "{}", said(&schema));
    let event = world
        .wait_for_event(
            "the session",
            |event| matches!(event, Event::SessionLaunched { server: a, .. } if *a == server(1)),
        )
        .await;
    let Event::SessionLaunched { session, .. } = event else {
        unreachable!()
    };
    for by in [2, 3] {
        world
            .wait_for_event("a part's launch", |event| {
                matches!(event, Event::PartLaunched { session: s, server: a, .. } if *s == session && *a == server(by))
            })
            .await;
    }
    // The fourth is in the configuration as the others are, and that it is no part is in the ledger.
    world
        .wait_for_event("the fourth's refusal", |event| {
            matches!(event, Event::PartRefused { session: s, server: a, .. } if *s == session && *a == server(4))
        })
        .await;
    let events = world.events();
    assert!(!launched(&events, &session, 4));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::KeysReleased { server: a, .. } if *a == server(4)))
    );
    // Streams between workers are laid a moment after the launches.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let mut spread = Vec::new();
    for sql in STATEMENTS {
        let before = [2, 3].map(|number| net.sent(number));
        spread.push(answer(&world, &connection, sql));
        let after = [2, 3].map(|number| net.sent(number));
        if sql.contains("labs") {
            // Leases alone are a few hundred bytes a second.
            assert!(
                after[0] > before[0] + 4_000 && after[1] > before[1] + 4_000,
                "{sql}\n{before:?} {after:?}"
            );
        }
    }

    // The third stops, a statement waits for it, and it is killed.
    net.signal(3, "-STOP");
    let waiting = {
        let started = world
            .events()
            .iter()
            .filter(|e| matches!(e, Event::QueryStarted { .. }))
            .count();
        let run = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| connection.run(&format!("sql {}", STATEMENTS[0])));
            while world
                .events()
                .iter()
                .filter(|e| matches!(e, Event::QueryStarted { .. }))
                .count()
                == started
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            // On its way to all three.
            std::thread::sleep(Duration::from_secs(2));
            assert!(!waiting.is_finished(), "the third had no work to do");
            net.signal(3, "-KILL");
            waiting.join().unwrap()
        });
        said(&run)
    };
    assert!(waiting.contains("[server-lost]"), "{waiting}");

    // The next statement runs on the two that are left, then on one: the same answers.
    let on_two: Vec<_> = STATEMENTS
        .iter()
        .map(|sql| answer(&world, &connection, sql))
        .collect();
    assert_eq!(on_two, spread);
    net.signal(2, "-KILL");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let alone: Vec<_> = STATEMENTS
        .iter()
        .map(|sql| answer(&world, &connection, sql))
        .collect();
    assert_eq!(alone, spread);
}
