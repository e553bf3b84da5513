//! A text planted in the data is nowhere but in the raw data after a run with crashes; data keys are in
//! no memory but the analysis server's (issue 2, Shows 6).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kekkai_demo::Kind;
use kekkai_e2e::{Answer, TestWorld, said};
use kekkai_policy_api::Event;
use kekkai_types::{KeyText, WrappedKey};

/// A text of this run's own: not even this source holds it.
fn marker() -> String {
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    // Letters only: digits could be taken for somebody's number.
    format!("{time:x}{:x}", std::process::id())
        .chars()
        .map(|c| char::from(b'A' + u8::try_from(c.to_digit(16).unwrap()).unwrap()))
        .collect()
}

/// The ways in which a text may lie in a file.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let escaped: String = text
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    vec![
        text.as_bytes().to_vec(),
        utf16,
        escaped.into_bytes(),
        hex.into_bytes(),
    ]
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Regular files below a folder that hold one of the needles.
fn files_with(folder: &Path, needles: &[Vec<u8>], skip: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if skip.contains(&path) {
            continue;
        }
        let Ok(kind) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if kind.is_dir() {
            let Ok(entries) = std::fs::read_dir(&path) else {
                continue;
            };
            open.extend(entries.filter_map(Result::ok).map(|e| e.path()));
        } else if kind.is_file()
            && let Ok(bytes) = std::fs::read(&path)
            && needles.iter().any(|needle| contains(&bytes, needle))
        {
            found.push(path);
        }
    }
    found
}

/// Whether a process's memory holds one of the needles. Needs root, as CI has.
fn memory_holds(pid: u32, needles: &[Vec<u8>]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        if !access.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(to, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).is_ok()
            && memory.read_exact(&mut bytes).is_ok()
            && needles.iter().any(|needle| contains(&bytes, needle))
        {
            return true;
        }
    }
    false
}

/// A process and all that descend from it.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        let tasks = format!("/proc/{parent}/task");
        for task in std::fs::read_dir(tasks).into_iter().flatten().flatten() {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|c| c.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    all
}

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
    let marker = marker();
    println!("this run's text: {marker}");
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

    for pid in family(analysis).into_iter().rev() {
        std::process::Command::new("kill")
            .args(["-SEGV", &pid.to_string()])
            .status()
            .unwrap();
    }
    for kind in [Kind::Gateway, Kind::Review, Kind::Policy] {
        world.kill_daemon(kind).unwrap();
    }
    let _ = session.kill();
    let _ = session.wait();
    std::thread::sleep(std::time::Duration::from_millis(500));

    let skip = [info.raw.clone()];
    let found = files_with(world.folder(), &needles, &skip);
    assert!(found.is_empty(), "the planted text lies in {found:?}");
    let keys_found = files_with(world.folder(), &keys, &[]);
    assert!(keys_found.is_empty(), "a data key lies in {keys_found:?}");
    // Core files, where the system puts them: the working folder and the temporary ones.
    for folder in [
        std::env::temp_dir(),
        PathBuf::from("/var/tmp"),
        PathBuf::from("/dev/shm"),
        PathBuf::from("/var/lib/systemd/coredump"),
    ] {
        if folder.exists() {
            // The raw data lies in the test's own folder, which was searched above.
            let found = files_with(&folder, &spellings(&marker), &[world.folder().to_owned()]);
            assert!(found.is_empty(), "the planted text lies in {found:?}");
        }
    }
}
