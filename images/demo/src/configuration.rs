//! The demo's configuration files, agreements and data.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_attest::Enrolled;
use kekkai_dataset::Manifest;
use kekkai_deploy::ec_key_pair;
use kekkai_ingest::sample::SampleFormat;
use kekkai_policy_api::RegisterDataset;
use kekkai_types::{Recipient, ServerId};

use crate::world::{Places, ports};
use crate::{DemoError, io};

/// Where everything is.
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    pub(crate) binaries: PathBuf,
    pub(crate) policy: SocketAddr,
    pub(crate) review: SocketAddr,
    pub(crate) analysis: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ssh: SocketAddr,
    pub(crate) https: SocketAddr,
    /// The network namespace of the first analysis server; empty: everybody's.
    pub(crate) namespace: String,
    /// Further analysis servers.
    pub(crate) further: Vec<Further>,
}

/// A further analysis server.
pub(crate) struct Further {
    pub(crate) server: ServerId,
    /// Its folder's name.
    pub(crate) folder: String,
    pub(crate) address: SocketAddr,
    pub(crate) namespace: String,
    /// The policy service is told of it, and knows what it should be.
    pub(crate) is_expected: bool,
}

impl Layout {
    pub(crate) fn new(
        dir: &Path,
        binaries: PathBuf,
        places: Option<&Places>,
    ) -> Result<Self, DemoError> {
        let [policy, review, analysis, admin, ssh, https] = ports()?;
        let mut layout = Self {
            dir: dir.to_owned(),
            binaries,
            policy,
            review,
            analysis,
            admin,
            ssh,
            https,
            namespace: String::new(),
            further: Vec::new(),
        };
        let Some(places) = places else {
            return Ok(layout);
        };
        // Ports that are free on loopback are free on addresses that nobody else has.
        layout.policy.set_ip(places.services);
        layout.review.set_ip(places.services);
        for (number, place) in (1_u32..).zip(&places.analysis) {
            let [mut address] = ports()?;
            address.set_ip(place.address);
            if number == 1 {
                layout.analysis = address;
                layout.namespace.clone_from(&place.namespace);
                continue;
            }
            layout.further.push(Further {
                server: ServerId::new(format!("a{number}"))?,
                folder: format!("analysis-a{number}"),
                address,
                namespace: place.namespace.clone(),
                is_expected: place.is_expected,
            });
        }
        Ok(layout)
    }

    /// Where browsers find the gateway. WebAuthn needs a name: `localhost` is one.
    pub(crate) fn origin(&self) -> String {
        format!("https://localhost:{}", self.https.port())
    }

    fn tls(&self, service: &str) -> String {
        let dir = self.dir.join(service);
        let dir = dir.display();
        format!(
            "[tls]\ncertificate = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\nauthority = \"{dir}/services.crt\"\n"
        )
    }
}

/// Writes the four services' files.
pub(crate) fn write(
    layout: &Layout,
    aaguid: &str,
    pcr_policy: &[u8],
    runs: Runs,
) -> Result<(), DemoError> {
    let pcr_policy = STANDARD.encode(pcr_policy);
    for (name, text) in [
        ("policy", policy(layout)),
        ("review", review(layout)),
        ("analysis", analysis(layout, &pcr_policy, runs)),
        ("gateway", gateway(layout, aaguid)),
    ] {
        let path = layout.dir.join(name).join(format!("{name}.toml"));
        std::fs::write(&path, text).map_err(io(format!("{name}.toml")))?;
    }
    install(layout, "analysis", runs)?;
    for further in &layout.further {
        let text = further_analysis(layout, further, &pcr_policy);
        let folder = layout.dir.join(&further.folder);
        std::fs::write(folder.join("analysis.toml"), text).map_err(io("analysis.toml"))?;
        install(layout, &further.folder, SQL_ONLY)?;
    }
    if runs.desktop {
        let folder = layout.dir.join("analysis/recordings");
        std::fs::create_dir_all(folder).map_err(io("the recordings' folder"))?;
        // The private half stays offline: the auditors'.
        let offline = layout.dir.join("offline");
        ec_key_pair(&offline, "auditors")?;
        let to = layout.dir.join("analysis/auditors.pub");
        std::fs::copy(offline.join("auditors.pub"), to).map_err(io("auditors.pub"))?;
    }
    std::fs::create_dir_all(layout.dir.join("analysis/data")).map_err(io("the data folder"))
}

/// What `kekkai … --connect` reads, for an operator.
pub(crate) fn write_connection(layout: &Layout, operator: &str) -> Result<(), DemoError> {
    let admin = layout.dir.join("admin");
    let dir = admin.display();
    let text = format!(
        "policy = \"{}\"\ngateway = \"{}\"\nreview = \"{}\"\n\n\
         [tls]\ncertificate = \"{dir}/{operator}.crt\"\nkey = \"{dir}/{operator}.key\"\n\
         authority = \"{dir}/services.crt\"\n",
        layout.policy, layout.admin, layout.review,
    );
    std::fs::write(admin.join(format!("{operator}.toml")), text).map_err(io("an operator's file"))
}

fn policy(layout: &Layout) -> String {
    let dir = layout.dir.display();
    format!(
        "listen = \"{}\"\nstate_dir = \"{dir}/policy/state\"\n\n\
         [ledger]\ndir = \"{dir}/policy/ledger\"\nkey = \"{dir}/policy/ledger.skey\"\nwitness = \"{dir}/witness/witness.jsonl\"\n\n\
         [attestation]\npcr_policy_key = \"{dir}/offline/pcr-policy.pub\"\n\n\
         {}{}",
        layout.policy,
        roots(layout),
        layout.tls("policy")
    )
}

/// The authorities of the emulated TPMs that are trusted.
fn roots(layout: &Layout) -> String {
    let expected = layout.further.iter().filter(|further| further.is_expected);
    let folders = expected.map(|further| further.folder.as_str());
    let mut roots = String::new();
    for folder in std::iter::once("analysis").chain(folders) {
        let authorities = layout.dir.join(folder).join("tpm/ca/authorities.pem");
        // Writing to a string doesn't fail.
        let _ = write!(
            roots,
            "[[attestation.tpm_roots]]\ncertificate = \"{}\"\nemulated = true\n\n",
            authorities.display()
        );
    }
    roots
}

fn review(layout: &Layout) -> String {
    let dir = layout.dir.join("review");
    let dir = dir.display();
    format!(
        "listen = \"{}\"\npolicy = \"{}\"\nstate_dir = \"{dir}/state\"\n\
         signing_key = \"{dir}/release.key\"\nstorage_key = \"{dir}/storage.key\"\n\n{}",
        layout.review,
        layout.policy,
        layout.tls("review")
    )
}

/// What sessions have besides SQL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs {
    /// Programs, among them Python's.
    pub(crate) programs: bool,
    /// Desktops.
    pub(crate) desktop: bool,
}

/// What runs in every session, and what runs where programs may, and where there are desktops.
const IMAGES: [&str; 1] = ["kekkai-sql-worker"];
const PROGRAM_IMAGES: [&str; 3] = [
    "kekkai-wasm-worker",
    "kekkai-wasm-compiler",
    "kekkai-python",
];

const DESKTOP_IMAGES: [&str; 2] = ["kekkai-desktop", FONT];
/// The font of desktops, by its name among images; Debian's fonts-ipaexfont-gothic.
const FONT: &str = "font-text";
const FONT_FILE: &str = "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf";

/// The file of an image: programs have no ending, Python is a component.
fn image_file(name: &str) -> String {
    match name {
        "kekkai-python" => format!("{name}.wasm"),
        FONT => format!("{name}.ttf"),
        _ => name.to_owned(),
    }
}

/// What parts of sessions have.
const SQL_ONLY: Runs = Runs {
    programs: false,
    desktop: false,
};

fn images(runs: Runs) -> impl Iterator<Item = &'static str> {
    let programs: &[&str] = if runs.programs { &PROGRAM_IMAGES } else { &[] };
    let desktop: &[&str] = if runs.desktop { &DESKTOP_IMAGES } else { &[] };
    IMAGES
        .into_iter()
        .chain(programs.iter().copied())
        .chain(desktop.iter().copied())
}

fn analysis(layout: &Layout, pcr_policy: &str, runs: Runs) -> String {
    let dir = layout.dir.join("analysis");
    let dir = dir.display();
    let line = |name| format!("{name} = \"{dir}/bin/{}\"\n", image_file(name));
    let images: String = images(runs).map(line).collect();
    let recording = match runs.desktop {
        true => format!(
            "[recording]\ndir = \"{dir}/recordings\"\nauditors_key = \"{dir}/auditors.pub\"\n\n"
        ),
        false => String::new(),
    };
    format!(
        "server = \"a1\"\nlisten = \"{}\"\nconfiguration = \"{dir}/analysis.toml\"\n\
         policy = \"{}\"\nreview = \"{}\"\ndata_dir = \"{dir}/data\"\n\
         state_dir = \"{dir}/state\"\nsessions_max = 64\n\n\
         [measure]\nbinary = \"{dir}/bin/kekkai-analysis\"\n\n\
         [images]\n{images}\n{recording}{}\
         [tpm]\nemulated = \"{dir}/tpm\"\npolicy_key = \"{pcr_policy}\"\n\n{}",
        layout.analysis,
        layout.policy,
        layout.review,
        peers(layout),
        layout.tls("analysis")
    )
}

/// One line for each further server.
fn peers(layout: &Layout) -> String {
    if layout.further.is_empty() {
        return String::new();
    }
    let line = |further: &Further| format!("{} = \"{}\"\n", further.server, further.address);
    let lines: String = layout.further.iter().map(line).collect();
    format!("[peers]\n{lines}\n")
}

/// A further server's file. It has the same data, on a disk that the demo's servers share.
fn further_analysis(layout: &Layout, further: &Further, pcr_policy: &str) -> String {
    let dir = layout.dir.join(&further.folder);
    let dir = dir.display();
    let data = layout.dir.join("analysis/data");
    format!(
        "server = \"{}\"\nlisten = \"{}\"\nconfiguration = \"{dir}/analysis.toml\"\n\
         policy = \"{}\"\nreview = \"{}\"\ndata_dir = \"{}\"\nsessions_max = 64\n\n\
         [measure]\nbinary = \"{dir}/bin/kekkai-analysis\"\n\n\
         [images]\nkekkai-sql-worker = \"{dir}/bin/kekkai-sql-worker\"\n\n\
         [tpm]\nemulated = \"{dir}/tpm\"\npolicy_key = \"{pcr_policy}\"\n\n{}",
        further.server,
        further.address,
        layout.policy,
        layout.review,
        data.display(),
        layout.tls(&further.folder)
    )
}

/// Puts the measured programs into the deployment: a name of their own for the build's files, so
/// that a test can replace them without touching the build.
fn install(layout: &Layout, server: &str, runs: Runs) -> Result<(), DemoError> {
    let folder = layout.dir.join(server).join("bin");
    std::fs::create_dir_all(&folder).map_err(io("the analysis server's programs"))?;
    for image in images(runs).chain(["kekkai-analysis"]) {
        let name = image_file(image);
        let from = match image {
            FONT => PathBuf::from(FONT_FILE),
            _ => layout.binaries.join(&name),
        };
        let to = folder.join(&name);
        // A link where both are on one file system, a copy elsewhere.
        std::fs::hard_link(&from, &to)
            .or_else(|_| std::fs::copy(&from, &to).map(|_| ()))
            .map_err(io(format!("{name} can't be installed")))?;
    }
    Ok(())
}

fn gateway(layout: &Layout, aaguid: &str) -> String {
    let dir = layout.dir.join("gateway");
    let dir = dir.display();
    format!(
        "demo = true\nstate_dir = \"{dir}/state\"\nstorage_key = \"{dir}/storage.key\"\n\n\
         [ssh]\nlisten = \"{}\"\nhost_key = \"{dir}/host_key\"\n\n\
         [https]\nlisten = \"{}\"\npublic_url = \"{}\"\nrp_id = \"localhost\"\n\
         certificate = \"{dir}/web.crt\"\nkey = \"{dir}/web.key\"\nterminal_authority = \"{dir}/terminals.crt\"\n\n\
         [admin]\nlisten = \"{}\"\nterminal = \"t-kato\"\n\n\
         [services]\npolicy = \"{}\"\nanalysis = \"{}\"\nreview = \"{}\"\n\n\
         [[models]]\naaguid = \"{aaguid}\"\nauthority = \"{dir}/model.crt\"\n\
         label = \"Kekkai demonstration authenticator\"\nemulated = true\n\n{}",
        layout.ssh,
        layout.https,
        layout.origin(),
        layout.admin,
        layout.policy,
        layout.analysis,
        layout.review,
        layout.tls("gateway")
    )
}

/// Makes the raw sample.
pub(crate) fn sample(raw: &Path, patients: u64, seed: u64) -> Result<(), DemoError> {
    kekkai_ingest::sample::write(raw, seed, patients, SampleFormat::CsvUtf8, |_| {})
        .map(|_| ())
        .map_err(|e| program("kekkai sample", &e))
}

/// Puts a text into one row of a raw CSV table.
pub(crate) fn plant(raw: &Path, table: &str, column: &str, text: &str) -> Result<(), DemoError> {
    let path = raw.join(format!("{table}.csv"));
    let old = std::fs::read_to_string(&path).map_err(io(format!("{table}.csv")))?;
    let mut lines = old.lines().map(str::to_owned).collect::<Vec<_>>();
    let at = lines
        .first()
        .and_then(|header| header.split(',').position(|name| name == column))
        .ok_or(DemoError::Bug("no such column"))?;
    // The generator's own tables have no quoted commas before their last columns.
    let row = lines.get_mut(1).ok_or(DemoError::Bug("an empty table"))?;
    let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
    *cells.get_mut(at).ok_or(DemoError::Bug("a short row"))? = text.to_owned();
    *row = cells.join(",");
    std::fs::write(&path, lines.join("\n") + "\n").map_err(io(format!("{table}.csv")))
}

fn program(name: &str, error: &dyn std::error::Error) -> DemoError {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = write!(message, ": {next}");
        cause = next.source();
    }
    DemoError::Program {
        program: name.to_owned(),
        message,
    }
}

pub(crate) fn ingest_sample(
    layout: &Layout,
    raw: &Path,
    servers: &[Enrolled],
) -> Result<RegisterDataset, DemoError> {
    ingest(layout, kekkai_ingest::sample::MANIFEST, raw, servers)
}

pub(crate) fn ingest_gibleed(
    layout: &Layout,
    source: &Path,
    servers: &[Enrolled],
) -> Result<RegisterDataset, DemoError> {
    ingest(
        layout,
        kekkai_ingest::sample::GIBLEED_MANIFEST,
        source,
        servers,
    )
}

fn ingest(
    layout: &Layout,
    manifest: &str,
    source: &Path,
    servers: &[Enrolled],
) -> Result<RegisterDataset, DemoError> {
    let manifest = Manifest::parse(manifest).map_err(|e| program("the manifest", &e))?;
    let recovery = kekkai_deploy::ec_public_of_file(&layout.dir.join("offline/recovery.pub"))?;
    let mut recipients = vec![(Recipient::Recovery, recovery)];
    for server in servers {
        let public = STANDARD
            .decode(&server.unwrap_public)
            .map_err(|_| DemoError::Bug("an enrolled key"))?;
        recipients.push((Recipient::Server(server.server.clone()), public));
    }
    let out = layout.dir.join("analysis/data");
    let offline = kekkai_deploy::ec_public_of_file(&layout.dir.join("offline/offline.pub"))?;
    let done = kekkai_ingest::ingest_with_escrow(
        &manifest,
        source,
        &out,
        &recipients,
        None,
        &offline,
        |_| {},
    )
    .map_err(|e| program("kekkai ingest", &e))?;
    Ok(RegisterDataset {
        catalog: done.catalog,
        keys: done.keys,
    })
}

/// Tools that the demo's projects may bring in.
const TOOLS: [&str; 2] = ["riskratio", "tableone"];
/// What the demo's programs may do: the values of `images/etc/agreement.example.toml`.
const PROGRAMS: &str = "
[programs]
python = true
rows = true
time_limit_s = 600
memory_limit_mib = 1024
table_elements_max = 100000
instances_max = 100
outputs_max = 20
output_kib_max = 256
log_kib_max = 1024
scratch_kib_max = 16384
clock_ms = 10
";

/// What the demo's desktops show and take: the values of `images/etc/agreement.example.toml`.
const DESKTOP: &str = "
[desktop]
lock_after_s = 300
reconnect_limit_s = 600
typed_chars_max = 100000
typed_chars_per_s_max = 25
notebooks_kib_max = 10240
";

/// What an agreement allows besides SQL.
struct Allows {
    programs: bool,
    desktop: bool,
}

/// The agreements: the story's, one without programs that the story ends, and one over GiBleed.
pub(crate) fn agreements(
    layout: &Layout,
    extra: &[String],
    desktop: &[&str],
    gibleed: bool,
) -> Result<Vec<String>, DemoError> {
    let quoted = |names: &[&str]| {
        names
            .iter()
            .map(|n| format!("\"{n}\""))
            .chain(extra.iter().map(|n| format!("\"{n}\"")))
            .chain(desktop.iter().map(|n| format!("\"{n}\"")))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut all = vec![
        agreement(
            layout,
            "sample-2026",
            (
                "脳卒中治療と再入院の関連",
                "Stroke treatment and readmission",
            ),
            &quoted(&["sato", "suzuki"]),
            "sample",
            Allows {
                programs: true,
                desktop: !desktop.is_empty(),
            },
        )?,
        agreement(
            layout,
            "short-2026",
            ("短期の予備調査", "A short pilot study"),
            "\"yoshida\"",
            "sample",
            Allows {
                programs: false,
                desktop: false,
            },
        )?,
    ];
    if gibleed {
        all.push(agreement(
            layout,
            "omop-2026",
            (
                "消化管出血の記述疫学",
                "Gastrointestinal bleeding, descriptive",
            ),
            &quoted(&["suzuki"]),
            "gibleed",
            Allows {
                programs: true,
                desktop: !desktop.is_empty(),
            },
        )?);
    }
    Ok(all)
}

/// Grants every column that was kept: what the agreement may say is tested in `kekkai-policy`.
fn agreement(
    layout: &Layout,
    id: &str,
    (ja, en): (&str, &str),
    handlers: &str,
    dataset: &str,
    allows: Allows,
) -> Result<String, DemoError> {
    let (tools, programs) = if allows.programs {
        (TOOLS.map(|tool| format!("\"{tool}\"")).join(", "), PROGRAMS)
    } else {
        (String::new(), "")
    };
    let (terminals, desktop) = if allows.desktop {
        (r#""console", "browser", "vdi", "onsite""#, DESKTOP)
    } else {
        (r#""console", "browser""#, "")
    };
    let id_of = kekkai_types::DatasetId::new(dataset)?;
    let folder =
        kekkai_dataset::layout::version_folder(&layout.dir.join("analysis/data"), &id_of, 1);
    let catalog =
        kekkai_dataset::layout::read_catalog(&folder).map_err(|e| program("the catalogue", &e))?;
    let mut data = format!("[[data]]\ndataset = \"{dataset}\"\nversion = 1\n");
    for table in &catalog.tables {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|c| format!("\"{}\"", c.name))
            .collect();
        let class = if table.person_key.is_some() {
            "clinical"
        } else {
            "vocabulary"
        };
        let _ = write!(
            data,
            "[[data.tables]]\nname = \"{}\"\nclass = \"{class}\"\ncolumns = [{}]\n",
            table.name,
            columns.join(", ")
        );
    }
    Ok(format!(
        r#"format = 1
id = "{id}"
title = {{ ja = "{ja}", en = "{en}" }}
purpose = {{ ja = "デモンストレーション", en = "Demonstration" }}
sanctions = {{ ja = "違反があれば利用を停止し、所管省庁に報告する", en = "A breach stops the use and is reported to the competent ministries" }}

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
name = {{ ja = "架空大学病院 解析室", en = "Example University Hospital, analysis room" }}
terminals = [{terminals}]

[provision]
methods = ["vdi", "on-site"]
own_tools = [{tools}]
own_data = []

[data_classes.clinical]
rows_need = "onsite"
[data_classes.vocabulary]
rows_need = "console"

{data}
[outputs]
final = ["table", "plot"]
intermediate = ["table"]

[period]
from = 2026-01-01
to = 2035-12-31
end_measures = ["destroy-keys", "erase-scripts", "erase-intermediate", "certificate"]

[hours]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "00:00"
to = "24:00"

[session]
console = "statistics"
idle_limit_s = 900
query_limit_s = 300
memory_limit_mib = 2048
{programs}{desktop}
[sdc]
profile = "strict"
threshold = 10
dominance_permille = 850
"#
    ))
}
