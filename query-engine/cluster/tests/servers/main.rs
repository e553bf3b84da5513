//! Three analysis servers answer as one.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::SqlErrorCode;
use kekkai_cluster::JoinError;
use kekkai_engine::{Cancel, Stopped, engine};
use tokio::net::UnixStream;

use support::{Data, Servers, answer, assert_same, name, run, runtime};

/// What researchers ask, in the shapes that planning treats differently.
const STATISTICS: &[&str] = &[
    "SELECT count(*) FROM visit",
    "SELECT count(*), sum(cost), avg(cost), count(cost) FROM visit WHERE days > 1",
    "SELECT kind, count(*), sum(cost) FROM visit GROUP BY kind",
    "SELECT kind, days, count(*), avg(cost) FROM visit GROUP BY kind, days ORDER BY kind, days",
    "SELECT count(DISTINCT person_id), count(DISTINCT kind) FROM visit",
    "SELECT kind, count(DISTINCT person_id) FROM visit GROUP BY kind",
    "SELECT kind, stddev(cost), var_pop(cost) FROM visit GROUP BY kind",
    "SELECT upper(kind) AS k, count(*) FROM visit GROUP BY upper(kind)",
    "SELECT days, sum(cost / (days - 3)) FROM visit GROUP BY days",
    "SELECT days, sum(visit_id / (days - 2)), count(*) FROM visit GROUP BY days",
    "SELECT sum(CAST(kind AS bigint)), count(*) FROM visit",
    "SELECT CASE WHEN cost > 500 THEN 'high' ELSE 'low' END AS c, count(*) FROM visit \
     GROUP BY CASE WHEN cost > 500 THEN 'high' ELSE 'low' END",
    "SELECT kind, count(*) FILTER (WHERE cost > 500) FROM visit GROUP BY kind",
    "SELECT kind, count(*) AS n FROM visit GROUP BY kind HAVING count(*) > 3000 ORDER BY n DESC, kind LIMIT 3",
    "SELECT sex, count(*), avg(birth_year) FROM person GROUP BY sex",
    "SELECT birth_year, count(*) FROM person GROUP BY birth_year",
    "SELECT p.sex, count(*), sum(v.cost) FROM person p JOIN visit v ON p.person_id = v.person_id GROUP BY p.sex",
    "SELECT p.sex, v.kind, count(*) FROM person p LEFT JOIN visit v ON p.person_id = v.person_id \
     AND v.cost > 900 GROUP BY p.sex, v.kind",
    "SELECT k.label, count(*), sum(v.cost) FROM visit v JOIN kind k ON v.kind = k.kind GROUP BY k.label",
    "SELECT n, count(*) FROM (SELECT person_id, count(*) AS n FROM visit WHERE cost > 300 GROUP BY person_id) c \
     GROUP BY n",
    "SELECT first_year, count(*) FROM (SELECT person_id, min(birth_year) AS first_year FROM person \
     GROUP BY person_id) f WHERE first_year > 1990 GROUP BY first_year",
    "WITH dear AS (SELECT person_id, sum(cost) AS total FROM visit GROUP BY person_id) \
     SELECT p.sex, count(*), avg(d.total) FROM dear d JOIN person p ON p.person_id = d.person_id GROUP BY p.sex",
    "SELECT count(*) FROM visit WHERE kind LIKE 'k1%' OR kind IS NULL OR days IN (1, 2)",
    "SELECT visit_id, count(*) FROM visit GROUP BY visit_id",
    "SELECT sum(cost) FROM visit WHERE visit_id = 4",
];

#[test]
fn three_servers_answer_as_one() {
    let one = Data::numbered().session(&[]);
    let three = Servers::three(Data::numbered());
    for sql in STATISTICS {
        let alone = run(&one, sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
        let before = three.passed();
        let spread = three
            .run(sql)
            .unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
        assert!(
            three.passed() > before + 500,
            "{sql}\nnothing went to another server"
        );
        assert_same(sql, &alone, &spread);
    }
}

#[test]
fn each_server_is_asked_and_asks() {
    let three = Servers::three(Data::numbered());
    let before: Vec<u64> = passed(&three);
    // Groups are brought together on all three: each reads from each.
    three
        .run("SELECT kind, days, count(*) FROM visit GROUP BY kind, days")
        .unwrap();
    for (way, (before, after)) in three.ways.iter().zip(before.iter().zip(passed(&three))) {
        assert!(
            after > *before,
            "{} asked {} nothing",
            name(way.from),
            name(way.to)
        );
    }
}

fn passed(servers: &Servers) -> Vec<u64> {
    let each = servers.ways.iter();
    each.map(|way| way.passed.load(std::sync::atomic::Ordering::SeqCst))
        .collect()
}

#[test]
fn no_key_goes_to_another_server() {
    let data = Data::numbered();
    let three = Servers::three(data);
    three
        .run("SELECT kind, count(*), sum(cost) FROM visit GROUP BY kind")
        .unwrap();
    let hex = serde_json::to_string(&data.key).unwrap();
    let hex = hex.trim_matches('"');
    let raw: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let mut named = 0;
    for way in &three.ways {
        let seen = way.seen.lock().unwrap();
        let holds = |what: &[u8]| seen.windows(what.len()).any(|window| window == what);
        assert!(!holds(hex.as_bytes()) && !holds(&raw));
        // The control: what is sent can be read here, and plans name their tables.
        named += usize::from(holds(b"\"table\":\"visit\""));
    }
    assert!(named >= 2, "{named}");
}

#[test]
fn without_person_numbers_nothing_is_spread() {
    let one = Data::unnumbered().session(&[]);
    let three = Servers::three(Data::unnumbered());
    for sql in [
        "SELECT kind, count(*) FROM visit GROUP BY kind",
        "SELECT sex, count(*) FROM person GROUP BY sex",
    ] {
        let keys = |servers: &Servers| {
            let ways = servers.ways.iter();
            ways.filter(|way| {
                let seen = way.seen.lock().unwrap();
                seen.windows(7).any(|window| window == b"\"table\"")
            })
            .count()
        };
        assert_same(sql, &run(&one, sql).unwrap(), &three.run(sql).unwrap());
        assert_eq!(keys(&three), 0, "a plan went over");
    }
}

/// Many groups: far more than what may pass before answers are held.
const LARGE: &str = "SELECT visit_id, count(*), sum(cost) FROM visit GROUP BY visit_id";
const HELD_AFTER: u64 = 30_000;

#[test]
fn lost_server_ends_the_statement_and_the_next_runs_on_the_rest() {
    let one = Data::numbered().session(&[]);
    let three = Servers::three(Data::numbered());
    three.hold(2, HELD_AFTER);
    let session = three.sessions[0].clone();
    let running = runtime().spawn(async move { answer(&session, LARGE, &Cancel::new()).await });
    runtime().block_on(three.held(2));
    three.cut(2);
    let stopped = runtime().block_on(running).unwrap().unwrap_err();
    let Stopped::Failed(error) = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(
        (error.code, error.name.as_str()),
        (SqlErrorCode::ServerLost, "a3")
    );

    assert_eq!(three.members[0].others(), [name(1)]);
    let sql = "SELECT kind, count(*), sum(cost) FROM visit GROUP BY kind";
    let before = three.passed();
    let table = three.run(sql).unwrap();
    assert!(three.passed() > before + 500, "the rest is left out");
    assert_same(sql, &run(&one, sql).unwrap(), &table);

    three.cut(1);
    runtime().block_on(async {
        while !three.members[0].others().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_same(sql, &run(&one, sql).unwrap(), &three.run(sql).unwrap());
}

#[test]
fn cancelled_statement_leaves_no_memory_taken_on_any_server() {
    let three = Servers::three(Data::numbered());
    three.hold(2, HELD_AFTER);
    let (session, cancel) = (three.sessions[0].clone(), Cancel::new());
    let stop = cancel.clone();
    let running = runtime().spawn(async move { answer(&session, LARGE, &cancel).await });
    runtime().block_on(three.held(2));
    let reserved = || {
        three
            .sessions
            .iter()
            .map(|s| s.runtime().memory_pool.reserved())
            .sum::<usize>()
    };
    // The control: it is under way, and takes memory.
    assert!(reserved() > 0);
    stop.cancel();
    assert_eq!(
        runtime().block_on(running).unwrap(),
        Err(Stopped::Cancelled)
    );
    three.hold(2, u64::MAX);
    runtime().block_on(async {
        let freed = async {
            while reserved() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Far more than any of it takes: a leak would never end.
        tokio::time::timeout(Duration::from_secs(60), freed)
            .await
            .expect("memory stays taken");
    });
    three.run("SELECT count(*) FROM visit").unwrap();
}

#[test]
fn a_server_reads_only_what_its_own_session_was_granted() {
    let data = Data::numbered();
    // The leader claims more than the others were told of.
    for without in ["visit.cost", "visit.kind"] {
        let sessions = vec![
            data.session(&[]),
            data.session(&[without]),
            data.session(&[]),
        ];
        let servers = Servers::new(sessions);
        let error = servers
            .run("SELECT kind, sum(cost) FROM visit GROUP BY kind")
            .unwrap_err();
        assert_eq!(
            (error.code, error.name.as_str()),
            (SqlErrorCode::Internal, "")
        );
        servers
            .run("SELECT days, count(*) FROM visit GROUP BY days")
            .unwrap();
    }
}

#[test]
fn another_build_is_no_member() {
    let session = Data::numbered().session(&[]);
    let member = kekkai_cluster::Member::new(name(0), &session);
    let refused = runtime().block_on(async {
        let (asks, answers) = UnixStream::pair().unwrap();
        let other = datafusion_distributed::Worker::default().with_version("another build");
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(other.into_worker_server())
                .serve_with_incoming(futures::stream::iter([Ok::<_, std::io::Error>(answers)])),
        );
        member.ask(name(1), asks).await
    });
    assert_eq!(
        refused,
        Err(JoinError::OtherBuild {
            server: name(1),
            theirs: "another build".to_owned(),
            ours: engine(),
        })
    );
    assert!(member.others().is_empty());
}

#[test]
fn silent_stream_is_no_member() {
    let session = Data::numbered().session(&[]);
    let member = kekkai_cluster::Member::new(name(0), &session);
    let silent = runtime().block_on(async {
        let (asks, gone) = UnixStream::pair().unwrap();
        drop(gone);
        member.ask(name(1), asks).await
    });
    assert_eq!(silent, Err(JoinError::Silent(name(1))));
    let _ = Arc::clone(&session);
}
