//! Statements that outgrow their session's memory over data of which every row holds the planted text: whole,
//! cancelled, in a worker that crashes or is killed, under a broker that is killed.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kekkai_demo::Kind;
use kekkai_e2e::{Connection, TestWorld, said, world};
use kekkai_policy_api::{EndReason, Event};
use tokio::task::JoinHandle;

use crate::search::{
    Nameless, crash, family, files_with, kill, left_behind, letters, marker, memory_holds,
    nameless, spellings,
};

const ROWS: u32 = 400_000;
/// Rows of one note, each another person's: too few for any note to be shown.
const ROWS_OF_A_NOTE: u32 = 4;
const PERSONS: u32 = 5_003;
/// The least that an agreement may give.
const MEMORY_MIB: &str = "64";
/// A statement that has spilled so much is in the middle of it.
const SPILLED: u64 = 16 << 20;
/// What is bound to happen happens within this time.
const LIMIT: Duration = Duration::from_secs(60);

/// Both sides of the join are sorted, and there are more groups than the memory holds: each of both has the text.
const JOINED: &str = "sql SELECT a.note, count(*) AS n, sum(b.amount) AS total FROM visit a \
                      JOIN visit b ON a.id = b.other GROUP BY a.note";
/// Has so many groups more that it spills for seconds.
const LONG: &str = "sql SELECT v.note, c.copy, count(*) AS n, avg(v.amount) AS mean FROM copy c \
                    CROSS JOIN visit v GROUP BY v.note, c.copy";

const MANIFEST: &str = r#"
[dataset]
id = "visits"
version = 1
title = { ja = "受診", en = "Visits" }
description = { ja = "受診", en = "Visits" }
[[table]]
name = "visit"
description = { ja = "受診", en = "Visits" }
files = "visit.csv"
format = "csv"
encoding = "utf-8"
[[table.column]]
name = "person_id"
role = "person-key"
rule = "pseudonym"
type = "bigint"
description = { ja = "仮ID", en = "pseudonym" }
"#;

/// About nobody: it multiplies rows.
const COPIES: &str = r#"
[[table]]
name = "copy"
description = { ja = "写し", en = "Copies" }
files = "copy.csv"
format = "csv"
encoding = "utf-8"
"#;

const GRANT: &str = r#"[[data]]
dataset = "visits"
version = 1
[[data.tables]]
name = "visit"
class = "clinical"
columns = ["person_id", "id", "other", "amount", "note"]
[[data.tables]]
name = "copy"
class = "vocabulary"
columns = ["copy"]

"#;

fn manifest() -> String {
    let column = |name, kind| {
        format!(
            "[[table.column]]\nname = \"{name}\"\nrole = \"value\"\nrule = \"keep\"\ntype = \"{kind}\"\n\
             description = {{ ja = \"値\", en = \"value\" }}\n"
        )
    };
    let mut text = MANIFEST.to_owned();
    for name in ["id", "other", "amount"] {
        text += &column(name, "bigint");
    }
    text += &column("note", "text");
    text + COPIES + &column("copy", "text")
}

fn raw(marker: &str) -> String {
    let mut text = "person_id,id,other,amount,note\n".to_owned();
    for row in 0..ROWS {
        let note = letters(&format!("{:x}", row / ROWS_OF_A_NOTE));
        let other = u64::from(row) * 104_729 % u64::from(ROWS);
        let _ = writeln!(
            text,
            "P{:05},{row},{other},{},{note} {marker}",
            row % PERSONS,
            100 + row % 13,
        );
    }
    text
}

/// Sessions of little memory over that data.
struct Scene {
    world: TestWorld,
    began: SystemTime,
    marker: String,
    needles: Vec<Vec<u8>>,
    source: PathBuf,
    /// Where the analysis server's sessions spill.
    spills: PathBuf,
    /// What was spilled: readable as a disk is that somebody takes out.
    kept: Vec<Nameless>,
    /// What the clients were told.
    told: String,
}

impl Scene {
    async fn new(researchers: u32) -> Self {
        let began = SystemTime::now();
        let marker = marker();
        let world = world(researchers, false).await;
        let source = world.folder().join("visits");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("visit.csv"), raw(&marker)).unwrap();
        let copies: String = ('a'..='z').map(|copy| format!("{copy}\n")).collect();
        std::fs::write(source.join("copy.csv"), format!("copy\n{copies}")).unwrap();
        std::fs::write(source.join("manifest.toml"), manifest()).unwrap();
        let info = world.facts();
        let output = world
            .kekkai()
            .args(["--lang", "en", "ingest", "--manifest"])
            .arg(source.join("manifest.toml"))
            .arg("--source")
            .arg(&source)
            .arg("--out")
            .arg(&info.data)
            .arg("--recovery")
            .arg(info.keys.join("recovery.pub"))
            .arg("--connect")
            .arg(world.dir().join("admin/kato.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let sample = world.dir().join("agreements/sample-2026.toml");
        let sample = std::fs::read_to_string(sample).unwrap();
        let from = sample.find("[[data]]").unwrap();
        let to = sample.find("[outputs]").unwrap();
        let memory = format!("memory_limit_mib = {MEMORY_MIB}");
        let changes = [
            (&sample[from..to], GRANT),
            ("memory_limit_mib = 2048", &memory),
            ("memory_limit_mib = 1024", &memory),
        ];
        world
            .register_like("sample-2026", "visits-2026", &changes)
            .await;
        Self {
            began,
            needles: spellings(&marker),
            marker,
            source,
            spills: world.dir().join("analysis/state/spill"),
            kept: Vec::new(),
            told: String::new(),
            world,
        }
    }

    fn connect(&self, who: &str) -> Arc<Connection> {
        Arc::new(self.world.connect(&format!("{who}+visits-2026")))
    }

    /// What others than this process have open of what was spilled.
    fn open(&self) -> Vec<Nameless> {
        let mut open = nameless(&self.spills);
        open.retain(|spill| spill.pid != std::process::id());
        open
    }

    /// Waits until nothing of what was spilled is left.
    async fn is_gone(&self, when: &str) {
        let start = Instant::now();
        while !self.open().is_empty() {
            assert!(start.elapsed() < LIMIT, "{when}: somebody still has a file");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let named = std::fs::read_dir(&self.spills).unwrap().count();
        assert_eq!(named, 0, "{when}: a file with a name");
    }

    /// Starts the statement in the only session there is, and waits until it is in the middle of spilling: its
    /// answer, and the file with the worker that has it.
    async fn spilling(&self, connection: &Arc<Connection>) -> (JoinHandle<Output>, Nameless) {
        let connection = Arc::clone(connection);
        let answer = tokio::task::spawn_blocking(move || connection.run(LONG));
        let broker = self.world.pid(Kind::Analysis).unwrap().unwrap();
        let start = Instant::now();
        loop {
            let mut open = self.open();
            // The broker made it, and lets go of it when the worker has it.
            let workers = family(broker);
            open.retain(|spill| spill.pid != broker && workers.contains(&spill.pid));
            assert!(open.len() <= 1, "each session has one file");
            let spill = open.pop();
            let bytes = spill.as_ref().map(Nameless::bytes);
            if answer.is_finished() {
                let output = answer.await.unwrap();
                panic!("over with {bytes:?} bytes spilled: {}", said(&output));
            }
            if let Some(spill) = spill
                && spill.bytes() >= SPILLED
            {
                return (answer, spill);
            }
            assert!(start.elapsed() < LIMIT, "{bytes:?} bytes were spilled");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Remembers what somebody was told; gives it.
    fn hears(&mut self, output: &Output) -> String {
        let text = said(output);
        self.told.push_str(&text);
        text
    }

    fn outcomes(&self) -> Vec<(String, u64)> {
        let ended = |event| match event {
            Event::QueryEnded {
                outcome,
                groups_withheld,
                ..
            } => Some((outcome, groups_withheld)),
            _ => None,
        };
        self.world.events().into_iter().filter_map(ended).collect()
    }

    /// In the middle of spilling, which stands still meanwhile: the text is in the memory of the process that works on it, in that of nobody
    /// else, and not in what that process wrote.
    fn only_the_worker_has_it(&self, spill: &Nameless) {
        kill("-STOP", spill.pid);
        assert!(
            memory_holds(spill.pid, &self.needles),
            "the control: the worker doesn't have the text"
        );
        assert!(!spill.holds(&self.needles), "the text lies on the disk");
        self.nobody_has_it_but(Some(spill.pid));
        kill("-CONT", spill.pid);
    }

    /// What crossed a socket would lie in the memory of who is at its end.
    fn nobody_has_it_but(&self, worker: Option<u32>) {
        for kind in Kind::ALL {
            for pid in family(self.world.pid(kind).unwrap().unwrap()) {
                assert!(
                    Some(pid) == worker || !memory_holds(pid, &self.needles),
                    "{kind:?} ({pid}) held the planted text"
                );
            }
        }
    }

    /// Nowhere but in the raw data.
    fn is_nowhere(&self) {
        assert!(!self.told.contains(&self.marker), "{}", self.told);
        for spill in &self.kept {
            assert!(spill.bytes() >= SPILLED);
            assert!(!spill.holds(&self.needles), "the text lies on the disk");
        }
        let skip = [self.source.clone()];
        let found = files_with(self.world.folder(), &self.needles, &skip);
        assert!(found.is_empty(), "the planted text lies in {found:?}");
        let found = left_behind(self.began, &self.needles, self.world.folder());
        assert!(found.is_empty(), "the planted text lies in {found:?}");
    }

    /// The same searches find a text that is there: in the raw data, and spilled plainly with a name or without.
    fn searches_find_what_is_there(&self) {
        let found = files_with(self.world.folder(), &self.needles, &[]);
        assert_eq!(found, [self.source.join("visit.csv")]);
        let plain = format!("spilled plainly: {}", self.marker);
        let named = self.spills.join("plain");
        std::fs::write(&named, &plain).unwrap();
        let skip = [self.source.clone()];
        let found = files_with(self.world.folder(), &self.needles, &skip);
        assert_eq!(found, std::slice::from_ref(&named));
        let held = std::fs::File::open(&named).unwrap();
        std::fs::remove_file(&named).unwrap();
        let found = nameless(&self.spills);
        assert!(found.iter().any(|spill| spill.holds(&self.needles)));
        drop(held);
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(elsewhere.path(), plain).unwrap();
        let found = left_behind(self.began, &self.needles, self.world.folder());
        assert_eq!(found, [elsewhere.path()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_text_stays_inside_when_what_spills_is_cancelled_crashes_or_is_killed() {
    let mut scene = Scene::new(5).await;
    scene.searches_find_what_is_there();

    // Cancelled, then to its end, in the same session.
    let connection = scene.connect("r1");
    let (answer, spill) = scene.spilling(&connection).await;
    scene.only_the_worker_has_it(&spill);
    let cancelled = connection.run("cancel 1");
    assert!(cancelled.status.success(), "{}", said(&cancelled));
    let output = answer.await.unwrap();
    scene.hears(&cancelled);
    let text = scene.hears(&output);
    assert!(
        !output.status.success() && text.contains("cancelled"),
        "{text}"
    );
    assert!(!spill.holds(&scene.needles));
    let before = spill.written();
    let output = connection.run(JOINED);
    let text = scene.hears(&output);
    assert!(output.status.success(), "{text}");
    let notes = u64::from(ROWS / ROWS_OF_A_NOTE);
    let expected = [("cancelled".to_owned(), 0), ("done".to_owned(), notes)];
    assert_eq!(scene.outcomes(), expected);
    assert!(
        spill.written() > before,
        "the whole statement spilled nothing"
    );
    scene.kept.push(spill);
    drop(connection);
    scene.is_gone("after a session's end").await;

    // The worker crashes; the worker is killed.
    let crash: fn(u32) = crash;
    for (who, end) in [("r2", crash), ("r3", |pid| kill("-KILL", pid))] {
        let connection = scene.connect(who);
        let (answer, spill) = scene.spilling(&connection).await;
        end(spill.pid);
        let output = answer.await.unwrap();
        let text = scene.hears(&output);
        assert!(!output.status.success(), "{who}: {text}");
        scene.is_gone(who).await;
        scene.kept.push(spill);
    }

    // The broker is killed, and everything that it started with it.
    let connection = scene.connect("r4");
    let (answer, spill) = scene.spilling(&connection).await;
    scene.world.kill_daemon(Kind::Analysis).unwrap();
    scene.is_gone("after the broker was killed").await;
    let output = answer.await.unwrap();
    let text = scene.hears(&output);
    assert!(!output.status.success(), "{text}");
    scene.kept.push(spill);
    drop(connection);
    scene.world.start_daemon(Kind::Analysis).unwrap();
    let connection = scene.connect("r5");
    let output = connection.run("sql SELECT count(*) AS n FROM visit");
    let text = scene.hears(&output);
    assert!(text.contains(&ROWS.to_string()), "{text}");

    let lost = |event: &Event| matches!(event, Event::SessionEnded { reason, .. } if *reason == EndReason::ServerLost);
    let ended = scene.world.events();
    assert_eq!(ended.iter().filter(|event| lost(event)).count(), 3);
    // Nobody finished what was broken off.
    assert_eq!(
        scene
            .outcomes()
            .iter()
            .filter(|(outcome, _)| outcome == "done")
            .count(),
        2
    );
    drop(connection);
    scene.is_gone("after the last session's end").await;
    scene.nobody_has_it_but(None);
    for kind in Kind::ALL {
        scene.world.kill_daemon(kind).unwrap();
    }
    scene.is_nowhere();
}
