//! A project's own copy of its data; and back from its pseudonyms, with the key that is kept offline.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use kekkai_dataset::escrow::{ESCROW, Found, find};
use kekkai_dataset::{layout, unwrap_with_recovery};
use kekkai_extract::{Agreed, ProjectKey, Source, Step, Target};
use kekkai_policy::{Agreement, DataItem};
use kekkai_policy_api::{Enrolments, RecordEnquiry, RegisterExtract};
use kekkai_types::{DatasetId, Digest, KeyText, Lang, Recipient};

use crate::Outcome;
use crate::admin::Connect;
use crate::data::{bar, read_secret};

/// The offline key's files: `offline.key` and `offline.pub`.
const KEY_NAME: &str = "offline";

/// What is required is required where no subcommand is given, hence the options.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Extract {
    #[command(subcommand)]
    command: Option<Command>,
    /// The agreement's file, as it is registered (TOML).
    #[arg(long, required = true)]
    agreement: Option<PathBuf>,
    /// Which of the agreement's datasets; needed where it names several.
    #[arg(long)]
    dataset: Option<DatasetId>,
    /// The folder with the ingested datasets.
    #[arg(long, required = true)]
    data: Option<PathBuf>,
    /// The analysis server's data folder, or a folder to be moved there; without it, that of --data.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The producer's recovery key, private (PEM): it opens the dataset.
    #[arg(long, required = true)]
    recovery_key: Option<PathBuf>,
    /// The producer's offline key, public (PEM): whose a pseudonym is, is sealed to it.
    #[arg(long, required = true)]
    offline_key: Option<PathBuf>,
    /// The producer's pseudonym secret (64 hexadecimal digits), so that the project's next extract has the
    /// same pseudonyms; without it they are made once and can't be made again.
    #[arg(long)]
    pseudonym_secret: Option<PathBuf>,
    /// The extract's id, as researchers see it; without it AGREEMENT.DATASET.
    #[arg(long)]
    id: Option<DatasetId>,
    /// A TOML file with the services' addresses and your certificate: policy, gateway, [tls].
    #[arg(long, env = "KEKKAI_CONNECT", required = true)]
    connect: Option<PathBuf>,
}

/// What an extract is made of.
struct Make {
    agreement: PathBuf,
    dataset: Option<DatasetId>,
    data: PathBuf,
    out: Option<PathBuf>,
    recovery_key: PathBuf,
    offline_key: PathBuf,
    pseudonym_secret: Option<PathBuf>,
    id: Option<DatasetId>,
    connect: Connect,
}

impl Extract {
    fn make(self) -> Option<Make> {
        Some(Make {
            agreement: self.agreement?,
            dataset: self.dataset,
            data: self.data?,
            out: self.out,
            recovery_key: self.recovery_key?,
            offline_key: self.offline_key?,
            pseudonym_secret: self.pseudonym_secret,
            id: self.id,
            connect: Connect {
                connect: self.connect?,
            },
        })
    }
}

#[derive(Subcommand)]
enum Command {
    /// Make the producer's offline key: on the machine where it stays.
    Keygen {
        /// A folder for offline.key and offline.pub.
        #[arg(long)]
        out: PathBuf,
    },
    /// Record in the ledger that somebody is to be told whose a pseudonym is. Before `reidentify`.
    Enquiry {
        #[command(flatten)]
        connect: Connect,
        /// The extract.
        #[arg(long)]
        extract: DatasetId,
        /// Who asks and why, for the ledger.
        #[arg(long)]
        reason: String,
        /// The pseudonym; the ledger gets its digest.
        pseudonym: i64,
    },
    /// Say whose a pseudonym is, with the offline key. Talks to nobody.
    Reidentify {
        /// The producer's offline key, private (PEM).
        #[arg(long)]
        offline_key: PathBuf,
        /// The extract's folder: EXTRACT/VERSION.
        #[arg(long)]
        extract: PathBuf,
        /// The folder of the dataset that it was made of: DATASET/VERSION. Without it the dataset's
        /// pseudonym is told, not the id.
        #[arg(long)]
        dataset: Option<PathBuf>,
        /// The number of the ledger's entry, from `enquiry`.
        #[arg(long)]
        enquiry: u64,
        /// The project's pseudonym.
        pseudonym: i64,
    },
}

pub(crate) async fn run(mut extract: Extract, lang: Lang) -> Outcome {
    match extract.command.take() {
        Some(Command::Keygen { out }) => keygen(&out, lang),
        Some(Command::Enquiry {
            connect,
            extract,
            reason,
            pseudonym,
        }) => {
            let call = RecordEnquiry {
                extract,
                pseudonym: digest(pseudonym),
                reason,
            };
            let recorded = connect.policy()?.call(&call).await?;
            println!(
                "{}: {}",
                lang.pick("台帳の記録番号", "ledger entry"),
                recorded.index
            );
            Ok(())
        }
        Some(Command::Reidentify {
            offline_key,
            extract,
            dataset,
            enquiry,
            pseudonym,
        }) => {
            let private = kekkai_deploy::ec_private_of_file(&offline_key)?;
            let dataset = dataset.as_deref();
            reidentify(&private, &extract, dataset, pseudonym, enquiry, lang)
        }
        None => match extract.make() {
            Some(make) => make_extract(make, lang).await,
            // The parser asked for all that is required.
            None => Err("an agreement or a command is expected: see --help".into()),
        },
    }
}

fn digest(pseudonym: i64) -> Digest {
    Digest::of(pseudonym.to_string().as_bytes())
}

fn keygen(out: &Path, lang: Lang) -> Outcome {
    kekkai_deploy::ec_key_pair(out, KEY_NAME)?;
    let file = |end: &str| out.join(format!("{KEY_NAME}.{end}"));
    println!(
        "{}: {}",
        lang.pick(
            "秘密鍵（この端末から出さず、ネットワークにつながないでください）",
            "private key (it stays on this machine, off every network)"
        ),
        file("key").display()
    );
    println!(
        "{}: {}",
        lang.pick(
            "公開鍵（kekkai ingest と kekkai extract の --offline-key に指定します）",
            "public key (for --offline-key of kekkai ingest and kekkai extract)"
        ),
        file("pub").display()
    );
    Ok(())
}

/// The item of an agreement that is extracted.
fn item<'a>(
    agreement: &'a Agreement,
    wanted: Option<&DatasetId>,
    lang: Lang,
) -> Result<&'a DataItem, String> {
    let names = || {
        let all: Vec<&str> = agreement.data.iter().map(|i| i.dataset.as_str()).collect();
        all.join(", ")
    };
    match (wanted, agreement.data.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!(
            "{}: {}",
            lang.pick(
                "取決めに複数のデータセットがあります。--dataset で一つを指定してください",
                "the agreement names several datasets: choose one with --dataset"
            ),
            names()
        )),
        (Some(wanted), all) => all.iter().find(|i| i.dataset == *wanted).ok_or_else(|| {
            format!(
                "{}: {}",
                lang.pick(
                    "取決めにそのデータセットはありません。取決めのデータセット",
                    "the agreement doesn't name that dataset; it names"
                ),
                names()
            )
        }),
    }
}

/// The version after the last that is there. What an interrupted run left takes a number, too: its key is
/// gone, so that it must not be taken for another.
fn next_version(out: &Path, id: &DatasetId) -> u32 {
    let last = std::fs::read_dir(out.join(id.as_str()))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max();
    last.unwrap_or(0).saturating_add(1)
}

async fn make_extract(make: Make, lang: Lang) -> Outcome {
    let text = std::fs::read_to_string(&make.agreement)
        .map_err(|e| format!("\"{}\" can't be read: {e}", make.agreement.display()))?;
    let agreement =
        Agreement::parse(&text).map_err(|e| format!("{}:{e}", make.agreement.display()))?;
    let item = item(&agreement, make.dataset.as_ref(), lang)?;
    let folder = layout::version_folder(&make.data, &item.dataset, item.version);
    let catalog = layout::read_catalog(&folder)?;
    let dataset_key = open_key(&folder, &make.recovery_key, lang)?;
    let offline = kekkai_deploy::ec_public_of_file(&make.offline_key)?;
    let project_key = match &make.pseudonym_secret {
        Some(path) => ProjectKey::derive(&read_secret(path)?, &item.dataset, &agreement.id)?,
        None => ProjectKey::random()?,
    };
    let id = match make.id {
        Some(id) => id,
        None => DatasetId::new(format!("{}.{}", agreement.id, item.dataset)).map_err(|error| {
            let hint = lang.pick("--id で指定してください", "choose one with --id");
            format!("{error}: {hint}")
        })?,
    };
    let policy = make.connect.policy()?;
    let mut servers = Vec::new();
    for server in policy.call(&Enrolments {}).await? {
        servers.push((server.server, STANDARD.decode(&server.unwrap_public)?));
    }
    let tables: BTreeMap<String, Agreed> = item
        .tables
        .iter()
        .map(|(name, table)| {
            let rows = table.rows.as_ref().map(|rows| rows.conditions.clone());
            let agreed = Agreed {
                columns: table.columns.clone(),
                rows: rows.unwrap_or_default(),
            };
            (name.clone(), agreed)
        })
        .collect();
    let out = make.out.as_ref().unwrap_or(&make.data);
    let bar = bar(0, lang.pick("行", "rows"));
    let done = kekkai_extract::extract(
        &Source {
            folder: &folder,
            catalog: &catalog,
            key: &dataset_key,
        },
        &Target {
            agreement: &agreement.id,
            tables: &tables,
            extract: (id.clone(), next_version(out, &id)),
            out,
            servers: &servers,
            offline: &offline,
        },
        &project_key,
        |progress| {
            bar.set_length(progress.rows_total);
            bar.set_position(progress.rows);
            let doing = match progress.step {
                Step::Persons => lang.pick("番号を振る", "numbering persons"),
                Step::Write => lang.pick("仮名を付け替える", "writing"),
                Step::Sort => lang.pick("人の順に並べ替える", "sorting by person"),
            };
            bar.set_message(format!("{doing} {}", progress.table));
        },
    )
    .map_err(|error| error.message(lang))?;
    bar.finish_and_clear();
    println!("{}: {}", lang.pick("人数", "persons"), done.persons);
    for table in &done.catalog.tables {
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        println!(
            "  {}\t{} {}\t{}",
            table.name,
            table.rows,
            lang.pick("行", "rows"),
            columns.join(" ")
        );
    }
    let call = RegisterExtract {
        agreement: agreement.id.clone(),
        of: (item.dataset.clone(), item.version),
        of_digest: Digest::of(&serde_json::to_vec(&catalog)?),
        catalog: done.catalog,
        keys: done.keys,
    };
    if let Err(error) = policy.call(&call).await {
        eprintln!(
            "{}: {}",
            lang.pick(
                "登録できませんでした。鍵はどこにも残っていないため、このフォルダは削除して構いません。直してからもう一度実行してください",
                "not registered; its key is nowhere any more, so that this folder may be removed. Mend the cause and run the command again",
            ),
            done.folder.display()
        );
        return Err(error.into());
    }
    eprintln!(
        "{}",
        lang.pick(
            "注意: これまでに保存されたスクリプトとノートブックは、以前の鍵で封じられているため開けなくなります",
            "note: scripts and notebooks that were kept before are sealed under the earlier key and can't be opened any more"
        )
    );
    println!(
        "{}: {} {} {}",
        lang.pick(
            "登録しました。この取決めのセッションはこれからこの抽出データを使います",
            "registered: sessions of this agreement use it from now on"
        ),
        call.catalog.id,
        lang.pick("版", "version"),
        call.catalog.version
    );
    Ok(())
}

/// The dataset's key, opened with the recovery key.
fn open_key(
    folder: &Path,
    recovery_key: &Path,
    lang: Lang,
) -> Result<KeyText, Box<dyn std::error::Error>> {
    let private = kekkai_deploy::ec_private_of_file(recovery_key)?;
    let wrapped = layout::read_wrapped_keys(folder)?
        .into_iter()
        .find(|key| key.recipient == Recipient::Recovery)
        .ok_or(lang.pick(
            "このデータセットは復旧鍵宛てに包まれていません",
            "this dataset's key is not wrapped to a recovery key",
        ))?;
    Ok(unwrap_with_recovery(&private, &wrapped)?)
}

fn reidentify(
    private: &KeyText,
    extract: &Path,
    dataset: Option<&Path>,
    pseudonym: i64,
    enquiry: u64,
    lang: Lang,
) -> Outcome {
    let nobody = || {
        lang.pick(
            "その仮名の人はこの抽出データにいません",
            "nobody in this extract has that pseudonym",
        )
    };
    let of_project = look(extract, private, pseudonym)?;
    let (Some(of), Some(agreement)) = (&of_project.header.of, &of_project.header.agreement) else {
        return Err(lang
            .pick(
                "--extract に抽出データのフォルダを指定してください",
                "that is a dataset's folder: name the extract's with --extract",
            )
            .into());
    };
    let in_dataset = of_project.id.ok_or_else(nobody)?;
    let answer = match dataset {
        None => in_dataset,
        Some(folder) => {
            let found = look(folder, private, in_dataset.parse()?)?;
            if (&found.header.dataset, found.header.version) != (&of.0, of.1) {
                return Err(format!(
                    "{}: {} {}",
                    lang.pick(
                        "この抽出データの元は別のデータセットです",
                        "the extract was made of another dataset"
                    ),
                    of.0,
                    of.1
                )
                .into());
            }
            found.id.ok_or_else(nobody)?
        }
    };
    // Beside the answer, what the files of the enquiry must hold.
    let record = serde_json::json!({
        "enquiry": enquiry,
        "agreement": agreement,
        "extract": of_project.header.dataset,
        "version": of_project.header.version,
        "pseudonym": digest(pseudonym),
        "told": if dataset.is_some() { "id" } else { "dataset pseudonym" },
    });
    eprintln!(
        "{}: {record}",
        lang.pick(
            "照会の記録に残してください",
            "keep with the enquiry's records"
        )
    );
    println!("{}", answer.as_str());
    Ok(())
}

fn look(
    folder: &Path,
    private: &KeyText,
    pseudonym: i64,
) -> Result<Found, Box<dyn std::error::Error>> {
    let path = folder.join(ESCROW);
    let file =
        File::open(&path).map_err(|e| format!("\"{}\" can't be read: {e}", path.display()))?;
    find(BufReader::new(file), private, pseudonym)
        .map_err(|e| format!("\"{}\": {e}", path.display()).into())
}
