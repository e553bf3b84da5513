//! A text planted in the data is nowhere but in the raw data after a run with crashes; data keys are in
//! no memory but the analysis server's (issue 2, Shows 6). The same where statements spill (issue 5, Shows 4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod search;
mod spill;

use std::process::Stdio;
use std::time::SystemTime;

use kekkai_demo::Kind;
use kekkai_e2e::{Answer, TestWorld, said};
use kekkai_policy_api::Event;
use kekkai_types::{KeyText, WrappedKey};
use search::{family, files_with, is_running, left_behind, marker, memory_holds, spellings};

fn dataset_key(world: &TestWorld) -> KeyText {
    use kekkai_deploy::ec_private_of_file;
    let info = world.facts();
    let recovery = ec_private_of_file(&info.keys.join("recovery.key")).unwrap();
    let folder = info.data.join("sample/1");
    let keys: Vec<WrappedKey> =
        serde_json::from_slice(&std::fs::read(folder.join("wrapped-keys.json")).unwrap()).unwrap();
    let wrapped = keys
        .iter()
        .find(|k| k.recipient == kekkai_types::Recipient::Recovery)
        .expect("wrapped to the recovery key");
    kekkai_dataset::unwrap_with_recovery(&recovery, wrapped).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_text_and_the_keys_stay_where_they_belong() {
    let began = SystemTime::now();
    let marker = marker();
    // In a column that is kept: one person's, so no statistic may name it. And in one that is dropped.
    let disease = format!("センチネル奇病{marker}");
    let name = format!("ゼブラ 九十九{marker}");
    let planted = [
        ("dpc", "傷病名", disease.as_str()),
        ("patients", "氏名", name.as_str()),
    ];
    let world = kekkai_e2e::world_with_planted(3, &planted).await;
    let info = world.facts();
    let needles: Vec<Vec<u8>> = [&disease, &name, &marker]
        .iter()
        .flat_map(|t| spellings(t))
        .collect();

    // The control: the search finds it where it belongs.
    assert!(
        !files_with(&info.raw, &needles, &[]).is_empty(),
        "nothing was planted"
    );

    // Questions that touch it, then a crash of every process in the middle of a session.
    let output = world.ssh_lines(
        "r1",
        "sql SELECT disease_name, count(*) FROM dpc GROUP BY disease_name ORDER BY 2 DESC;\n\
         sql SELECT disease_name FROM dpc;\n\
         sql SELECT CAST(disease_name AS BIGINT), count(*) FROM dpc GROUP BY 1;\n\
         sql SELECT count(*) FROM dpc WHERE 1 / (length(disease_name) - length(disease_name)) > 0;\n\
         submit 1 --title \"diseases\" --purpose \"sentinel\"\nexit\n",
    );
    let text = said(&output);
    assert!(!text.contains(&marker), "the console showed it: {text}");
    assert!(
        world
            .events()
            .iter()
            .any(|e| matches!(e, Event::OutputSubmitted { .. })),
        "{text}"
    );

    let mut session = world
        .ssh_with("r2", &Answer::Properly)
        .arg("127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    world
        .wait_for_event(
            "r2's session",
            |e| matches!(e, Event::SessionOpened { person, .. } if person.as_str() == "r2"),
        )
        .await;
    let launched = |world: &TestWorld| {
        world
            .events()
            .iter()
            .filter(|e| matches!(e, Event::SessionLaunched { .. }))
            .count()
    };
    while launched(&world) < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;

    // Keys: in the analysis server's processes, and in nobody else's.
    let key = dataset_key(&world);
    let hex: String = key.expose().iter().map(|b| format!("{b:02x}")).collect();
    let keys = [key.expose().to_vec(), hex.into_bytes()];
    let analysis = world.pid(Kind::Analysis).unwrap().unwrap();
    assert!(
        family(analysis).iter().any(|pid| memory_holds(*pid, &keys)),
        "the control: the key is found in no process of the analysis server"
    );
    for kind in [Kind::Policy, Kind::Gateway, Kind::Review] {
        for pid in family(world.pid(kind).unwrap().unwrap()) {
            assert!(!memory_holds(pid, &keys), "{kind:?} held a data key");
            assert!(
                !memory_holds(pid, &needles),
                "{kind:?} held the planted text"
            );
        }
    }

    let family = family(analysis);
    for pid in &family {
        // As a failed assertion of a library does. (A single SIGSEGV from outside, Rust's runtime survives.)
        // The first to go takes others with it.
        let _ = std::process::Command::new("kill")
            .args(["-ABRT", &pid.to_string()])
            .stderr(Stdio::null())
            .status()
            .unwrap();
    }
    let start = std::time::Instant::now();
    while family.iter().any(|pid| is_running(*pid)) {
        assert!(
            start.elapsed().as_secs() < 20,
            "somebody survived the crash"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for kind in [Kind::Gateway, Kind::Review, Kind::Policy] {
        world.kill_daemon(kind).unwrap();
    }
    let _ = session.kill();
    let _ = session.wait();
    let skip = [info.raw.clone()];
    let found = files_with(world.folder(), &needles, &skip);
    assert!(found.is_empty(), "the planted text lies in {found:?}");
    let keys_found = files_with(world.folder(), &keys, &[]);
    assert!(keys_found.is_empty(), "a data key lies in {keys_found:?}");
    // The raw data lies in the test's own folder, which was searched above.
    let found = left_behind(began, &spellings(&marker), world.folder());
    assert!(found.is_empty(), "the planted text lies in {found:?}");
}
