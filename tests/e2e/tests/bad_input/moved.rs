//! Files of the data folder that are not what was ingested there: no session reads them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use kekkai_demo::Admin;
use kekkai_e2e::{TestWorld, repository, said, world};
use kekkai_policy_api::{Event, RegisterAgreement};

use crate::run::{files, refuses};

/// Rows of each small table.
const ROWS: u32 = 2_000;

/// Two tables of the same shape, about nobody, so that their files are of one length.
fn manifest(id: &str, version: u32) -> String {
    let mut text = format!(
        "[dataset]\nid = \"{id}\"\nversion = {version}\n\
         title = {{ ja = \"双子\", en = \"twin\" }}\ndescription = {{ ja = \"双子\", en = \"twin\" }}\n"
    );
    for table in ["wards", "rooms"] {
        let _ = write!(
            text,
            "\n[[table]]\nname = \"{table}\"\ndescription = {{ ja = \"符号\", en = \"codes\" }}\n\
             files = \"codes.csv\"\nformat = \"csv\"\nencoding = \"utf-8\"\n\
             [[table.column]]\nname = \"code\"\nrole = \"code\"\nrule = \"keep\"\ntype = \"text\"\n\
             description = {{ ja = \"符号\", en = \"code\" }}\n"
        );
    }
    text
}

fn agreement(handlers: &str) -> String {
    format!(
        r#"format = 1
id = "twin-2026"
title = {{ ja = "双子", en = "Twin" }}
purpose = {{ ja = "試験", en = "Test" }}
sanctions = {{ ja = "利用停止", en = "The use is stopped" }}
[parties]
responsible = "II-2026-001"
[parties.user]
name = {{ ja = "架空大学病院", en = "Example University Hospital" }}
certification = "II-2026-001"
[people]
handlers = [{handlers}]
principal_investigator = "takahashi"
security_manager = "tanaka"
[[places]]
name = {{ ja = "解析室", en = "Analysis room" }}
terminals = ["console", "browser"]
[provision]
methods = ["vdi"]
own_tools = []
own_data = []
[data_classes.vocabulary]
rows_need = "console"
[[data]]
dataset = "twina"
version = 1
[[data.tables]]
name = "wards"
class = "vocabulary"
columns = ["code"]
[[data.tables]]
name = "rooms"
class = "vocabulary"
columns = ["code"]
[outputs]
final = ["table"]
intermediate = ["table"]
[period]
from = 2026-01-01
to = 2035-12-31
end_measures = ["destroy-keys", "erase-scripts"]
[hours]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "00:00"
to = "24:00"
[session]
console = "statistics"
idle_limit_s = 900
query_limit_s = 300
memory_limit_mib = 512
[sdc]
profile = "strict"
dominance_permille = 850
"#
    )
}

/// A plain Parquet file, made longer between its data and its footer.
fn plain_of_length(length: usize) -> Vec<u8> {
    let plain = repository().join("tests/data/gibleed/domain.parquet");
    let plain = std::fs::read(plain).unwrap();
    let end = plain.len() - 8;
    let footer = u32::from_le_bytes(plain[end..end + 4].try_into().unwrap());
    let footer_at = end - usize::try_from(footer).unwrap();
    let mut padded = plain[..footer_at].to_vec();
    padded.resize(footer_at + length - plain.len(), 0);
    padded.extend_from_slice(&plain[footer_at..]);
    assert_eq!(padded.len(), length);
    padded
}

struct Twins<'w> {
    world: &'w TestWorld,
    data: PathBuf,
    next: u32,
}

impl Twins<'_> {
    fn file(&self, place: &str) -> PathBuf {
        self.data.join(place).join("part-00000.parquet")
    }

    /// Each sign-in is another person's: a token's code works once.
    fn ask(&mut self) -> Output {
        self.next += 1;
        let login = format!("r{}+twin-2026", self.next);
        let sql = "sql SELECT code, count(*) FROM wards WHERE code <= 'c0000002' GROUP BY code";
        self.world.ssh(&login, sql)
    }

    fn answers(&mut self) {
        let output = self.ask();
        let text = said(&output);
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("c0000001") && text.contains("(3 rows)"),
            "{text}"
        );
    }

    /// Puts other bytes in a file's place; nothing may be shown of either.
    fn refuses(&mut self, what: &str, bytes: Option<Vec<u8>>, says: &str) {
        let target = self.file("twina/1/wards");
        let kept = target.with_extension("kept");
        std::fs::rename(&target, &kept).unwrap();
        if let Some(bytes) = bytes {
            std::fs::write(&target, bytes).unwrap();
        }
        let output = self.ask();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{what}: {text}");
        assert!(output.stdout.is_empty(), "{what}: {text}");
        assert!(text.contains(says), "{what}: {text}");
        for value in ["c0000001", "Condition", "Metadata"] {
            assert!(!text.contains(value), "{what} shows data: {text}");
        }
        std::fs::rename(&kept, &target).unwrap();
    }
}

fn command(world: &TestWorld, arguments: &[&str]) -> Output {
    let connect = world.dir().join("admin/kato.toml");
    world
        .kekkai()
        .args(arguments)
        .arg("--connect")
        .arg(connect)
        .output()
        .unwrap()
}

fn ingest(world: &TestWorld, folder: &Path, manifest: &str) -> Output {
    let file = folder.join("manifest.toml");
    std::fs::write(&file, manifest).unwrap();
    let info = world.facts();
    let text = |path: &Path| path.display().to_string();
    command(
        world,
        &[
            "--lang",
            "en",
            "ingest",
            "--manifest",
            &text(&file),
            "--source",
            &text(folder),
            "--out",
            &text(&info.data),
            "--recovery",
            &text(&info.keys.join("recovery.pub")),
        ],
    )
}

/// `kekkai status` without the ledger's size, which every look at it makes larger.
fn registered(world: &TestWorld) -> String {
    let output = command(world, &["--lang", "en", "status"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("ledger"));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) async fn nothing_moved_is_read_and_nothing_bad_is_registered() {
    let world = world(10, false).await;
    let info = world.facts();
    let folder = world.folder().join("twins");
    std::fs::create_dir(&folder).unwrap();
    let codes: String = (0..ROWS).map(|n| format!("c{n:07}\n")).collect();
    std::fs::write(folder.join("codes.csv"), format!("code\n{codes}")).unwrap();

    // Bad input that would be registered: the policy service hears nothing of it.
    let before = registered(&world);
    let bad = codes.replacen("c0000005", "090-1234-5678", 1);
    std::fs::write(folder.join("codes.csv"), format!("code\n{bad}")).unwrap();
    let output = ingest(&world, &folder, &manifest("twina", 1));
    let text = refuses(
        "a telephone",
        &output,
        &["wards", "code", "phone in 1 rows"],
    );
    assert!(!text.contains("090-1234"), "{text}");
    std::fs::write(folder.join("codes.csv"), format!("code\n{codes}")).unwrap();
    let file = folder.join("agreement.toml");
    let wrong = agreement("\"r1\"").replace("period]", "period");
    std::fs::write(&file, &wrong).unwrap();
    let register = ["agreement", "register", &file.display().to_string()];
    refuses(
        "an agreement",
        &command(&world, &register),
        &["agreement.toml", "line ", "column ", "expected"],
    );
    // Past the command, the service itself refuses: a malformed one, one for nobody, one over tables
    // that the dataset doesn't have.
    let admin = Admin::connect(&info).unwrap();
    let nobody = agreement("\"nobody\"");
    let elsewhere = agreement("\"r1\"").replace("twina", "sample");
    for toml in [wrong, nobody, elsewhere] {
        let refused = admin.policy.call(&RegisterAgreement { toml }).await;
        assert!(refused.is_err(), "registered: {refused:?}");
    }
    assert_eq!(registered(&world), before);
    let left: Vec<PathBuf> = files(&info.data.join("twina"))
        .into_iter()
        .filter(|path| !path.ends_with(".ingest.lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    // Good input of three versions.
    for (id, version) in [("twina", 1), ("twina", 2), ("twinb", 1)] {
        let output = ingest(&world, &folder, &manifest(id, version));
        assert!(output.status.success(), "{}", said(&output));
    }
    let handlers: Vec<String> = (1..=10).map(|n| format!("\"r{n}\"")).collect();
    std::fs::write(&file, agreement(&handlers.join(", "))).unwrap();
    let output = command(&world, &register);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        registered(&world).contains("twina/1 "),
        "{}",
        registered(&world)
    );

    let mut twins = Twins {
        world: &world,
        data: info.data.clone(),
        next: 0,
    };
    let own = std::fs::read(twins.file("twina/1/wards")).unwrap();
    twins.answers();
    const CLOSED: &str = "The dataset's files can't be opened.";
    for (what, place) in [
        ("another dataset's", "twinb/1/wards"),
        ("another version's", "twina/2/wards"),
        ("another table's", "twina/1/rooms"),
    ] {
        let other = std::fs::read(twins.file(place)).unwrap();
        // The control: only the place tells them apart, neither length nor shape.
        assert_eq!(other.len(), own.len(), "{what}");
        assert_ne!(other, own, "{what}");
        twins.refuses(what, Some(other), CLOSED);
    }
    twins.refuses("plain", Some(plain_of_length(own.len())), CLOSED);
    twins.refuses("truncated", Some(own[..own.len() / 2].to_vec()), CLOSED);
    twins.refuses("missing", None, CLOSED);
    let mut flipped = own.clone();
    flipped[own.len() / 3] ^= 1;
    twins.refuses("one bit", Some(flipped), "next: ");
    // The control: as it was, it is read again.
    twins.answers();

    let events = world.events();
    let done = events
        .iter()
        .filter(|event| matches!(event, Event::QueryEnded { outcome, .. } if outcome == "done"));
    assert_eq!(done.count(), 2, "only the controls were answered");
}
