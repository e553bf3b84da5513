//! Shared by the tests of sessions and of attestation.
//!
//! A policy and a review service on loopback, real in everything that crosses the wire, that say what
//! a test wants; and a broker with the hostile worker.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kekkai_analysis::broker::{Broker, Parts};
use kekkai_analysis::config::{DESKTOP, FONT_TEXT, SQL_WORKER, WASM_COMPILER, WASM_WORKER};
use kekkai_analysis::desktop::{DesktopHost, Recordings};
use kekkai_analysis::lease;
use kekkai_analysis::pool::Pool;
use kekkai_analysis::programs::{Artefacts, CompilerParts, Tools};
use kekkai_analysis::session::{ProgramHost, Session};
use kekkai_analysis::spill::SpillPlace;
use kekkai_analysis::turns::Turns;
use kekkai_attest::ReferenceValues;
use kekkai_output::OutputDigest;
use kekkai_policy_api::{
    CloseSession, ConsoleMode, EndReason, Event, GrantedDataset, GrantedTable, LeaseState,
    ProgramTerms, Record, Recorded, RenewLeases, SessionTerms,
};
use kekkai_recording::Recipient as Auditors;
use kekkai_review_api::{OutputDetail, Preview, SessionOutputs, Submit};
use kekkai_service::tls::{SERVICE_NAME, TlsFiles, spki_of_file};
use kekkai_service::{Client, Routes, serve};
use kekkai_sys::{Spawner, memfd};
use kekkai_types::{
    AgreementId, ColumnCatalog, ColumnRole, DatasetCatalog, DatasetId, Digest, DisplayClass,
    FileEntry, KeyText, PeerKind, PersonId, Recipient, Refusal, ServerId, SessionId, TableCatalog,
    Text, WrappedKey,
};
use kekkai_worker_api::FileKey;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use zeroize::Zeroizing;

/// What the services were told, and what they shall say.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) closed: Mutex<Vec<(SessionId, EndReason)>>,
    pub(crate) submitted: Mutex<Vec<Submit>>,
    /// The ledger refuses this kind of entry.
    pub(crate) refuse: Mutex<Option<&'static str>>,
    pub(crate) lease: Mutex<Option<EndReason>>,
    /// Renewals hang.
    pub(crate) silent: AtomicBool,
    /// The review service breaks the connection after it stored an output, this many times.
    pub(crate) lose_answers: Mutex<u32>,
    /// What the review service says of the author's outputs.
    pub(crate) outputs: Mutex<Vec<OutputDetail>>,
    /// It never says.
    pub(crate) outputs_hang: AtomicBool,
}

impl Script {
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.events.lock().unwrap().iter().map(kind).collect()
    }

    pub(crate) fn last_outcome(&self) -> String {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::QueryEnded { outcome, .. } => Some(outcome.clone()),
                _ => None,
            })
            .unwrap()
    }
}

pub(crate) fn kind(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["type"]
        .as_str()
        .unwrap()
        .to_owned()
}

struct Authority {
    key: KeyPair,
    params: CertificateParams,
}

impl Authority {
    fn issue(&self, dir: &Path, name: &str, uri: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![SERVICE_NAME.to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let path = |end: &str| dir.join(format!("{name}.{end}"));
        std::fs::write(path("crt"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        std::fs::write(
            path("ca"),
            self.params.self_signed(&self.key).unwrap().pem(),
        )
        .unwrap();
        TlsFiles {
            certificate: path("crt"),
            key: path("key"),
            authority: path("ca"),
        }
    }
}

pub(crate) struct Stage {
    pub(crate) broker: Arc<Broker>,
    pub(crate) script: Arc<Script>,
    pub(crate) policy: Client,
    /// Of our own certificate.
    pub(crate) spki: Digest,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) recordings: PathBuf,
    pub(crate) gateway: Gateway,
    /// Who alone can look at recordings.
    pub(crate) auditors: KeyPair,
    parts: Second,
}

/// The variable that names another folder for recordings.
pub(crate) const RECORDINGS: &str = "KEKKAI_TEST_RECORDINGS";

/// The certificates of both ends of the analysis server's own calls.
pub(crate) struct Gateway {
    files: (TlsFiles, TlsFiles),
}

impl Gateway {
    /// The analysis server's calls about screens, as the gateway makes them.
    pub(crate) async fn screens(&self, broker: &Arc<Broker>) -> Client {
        let routes = kekkai_analysis::routes::screens(Routes::new(), broker);
        let address = listen(self.files.0.clone(), routes).await;
        Client::new(&self.files.1, address, PeerKind::Analysis).unwrap()
    }
}

async fn listen(files: TlsFiles, routes: Routes) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = routes.router();
    tokio::spawn(async move { serve(listener, &files, router, std::future::pending()).await });
    address
}

fn policy(script: &Arc<Script>) -> Routes {
    let record = script.clone();
    let renew = script.clone();
    let close = script.clone();
    Routes::new()
        .call(move |_, call: Record| {
            let refused = *record.refuse.lock().unwrap() == Some(kind(&call.event).as_str());
            let mut events = record.events.lock().unwrap();
            let answer = match refused {
                true => Err(Refusal::new("ledger-unavailable", "")),
                false => {
                    let rows_max = match &call.event {
                        Event::RowsShown { rows_max, .. } => Some(*rows_max),
                        _ => None,
                    };
                    events.push(call.event);
                    let index = u64::try_from(events.len()).unwrap();
                    Ok(Recorded {
                        index,
                        rows_max,
                        wait_ms: 0,
                    })
                }
            };
            async move { answer }
        })
        .call(move |_, call: RenewLeases| {
            let state = match *renew.lease.lock().unwrap() {
                Some(reason) => LeaseState::Ended(reason),
                None => LeaseState::Live,
            };
            let silent = renew.silent.load(Ordering::SeqCst);
            async move {
                if silent {
                    std::future::pending::<()>().await;
                }
                let answers = call.sessions.into_iter().map(|session| (session, state));
                Ok(answers.collect::<BTreeMap<_, _>>())
            }
        })
        .call(move |_, call: CloseSession| {
            close
                .closed
                .lock()
                .unwrap()
                .push((call.session, call.reason));
            async { Ok(()) }
        })
}

fn review(script: &Arc<Script>) -> Routes {
    let (script, outputs) = (script.clone(), script.clone());
    let routes = Routes::new()
        .call(move |_, _: SessionOutputs| {
            let hangs = outputs.outputs_hang.load(Ordering::SeqCst);
            let outputs = outputs.outputs.lock().unwrap().clone();
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(outputs)
            }
        })
        .call(|_, _: Preview| async { Ok(Vec::new()) });
    routes.call(move |_, call: Submit| {
        let digest: OutputDigest = call.content.digest().unwrap();
        let mut stored = script.submitted.lock().unwrap();
        if !stored.iter().any(|known| known.output == call.output) {
            stored.push(call);
        }
        let mut lose = script.lose_answers.lock().unwrap();
        let lost = *lose > 0;
        *lose = lose.saturating_sub(1);
        async move {
            // The task dies, and the connection with it: stored, but nobody is told.
            assert!(!lost, "the answer is lost on purpose");
            Ok(digest)
        }
    })
}

pub(crate) async fn stage(spawner: Spawner) -> Stage {
    stage_with(spawner, 0, |routes| routes).await
}

/// With processes that wait, and more calls that the policy service answers.
pub(crate) async fn stage_with(
    spawner: Spawner,
    spares: usize,
    more: impl FnOnce(Routes) -> Routes,
) -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = Authority { key, params };
    let script = Arc::new(Script::default());
    let at = |name, uri| authority.issue(dir.path(), name, uri);
    let policy_at = listen(at("policy", "kekkai://policy"), more(policy(&script))).await;
    let review_at = listen(at("review", "kekkai://review"), review(&script)).await;
    let own = at("analysis", "kekkai://analysis/a1");
    let gateway = (own.clone(), at("gateway", "kekkai://gateway"));
    let policy = Client::new(&own, policy_at, PeerKind::Policy).unwrap();
    let review = Client::new(&own, review_at, PeerKind::Review).unwrap();

    let table = dir.path().join("d/1/visits");
    std::fs::create_dir_all(&table).unwrap();
    std::fs::write(table.join("part-00000.parquet"), "PARE").unwrap();
    let auditors = KeyPair::generate().unwrap();
    let recordings = match std::env::var_os(RECORDINGS) {
        Some(place) => PathBuf::from(place),
        None => dir.path().join("recordings"),
    };
    std::fs::create_dir_all(&recordings).unwrap();
    let parts = Second {
        desktops: desktops(&spawner, recordings.clone(), &auditors),
        spawner,
        policy: policy.clone(),
        review,
    };
    let broker = parts.broker(dir.path(), spares);
    tokio::spawn(lease::renew_forever(broker.clone(), policy.clone()));
    Stage {
        broker,
        script,
        policy,
        spki: spki_of_file(&own.certificate).unwrap(),
        dir,
        recordings,
        auditors,
        gateway: Gateway { files: gateway },
        parts,
    }
}

/// What a broker is made from, again and again.
pub(crate) struct Second {
    spawner: Spawner,
    policy: Client,
    review: Client,
    desktops: Arc<DesktopHost>,
}

/// Another start of the analysis server, over the same folder.
pub(crate) struct Again {
    broker: Arc<Broker>,
}

impl Again {
    pub(crate) async fn session(&self, query_limit_s: u32) -> Arc<Session> {
        let terms = terms(200, query_limit_s);
        let (session, _) = self.broker.bring_up(&terms, keys()).await.unwrap();
        session
    }
}

impl Stage {
    pub(crate) async fn again(&self, spares: usize) -> Again {
        Again {
            broker: self.parts.broker(self.dir.path(), spares),
        }
    }
}

/// With the test's own workspace, which does what the project's title says.
fn desktops(spawner: &Spawner, dir: PathBuf, auditors: &KeyPair) -> Arc<DesktopHost> {
    let mut image = File::open(env!("CARGO_BIN_EXE_kekkai-hostile-desktop")).unwrap();
    let image = memfd::seal("desktop", &mut image, 1 << 30, |_| ()).unwrap();
    let font = memfd::seal("font", &mut &b"a font"[..], 1 << 20, |_| ()).unwrap();
    Arc::new(DesktopHost {
        pool: Pool::new(spawner.clone(), File::from(image), DESKTOP, 0),
        fonts: vec![(FONT_TEXT.to_owned(), File::from(font))],
        waived: BTreeSet::new(),
        emulated: true,
        recordings: Some(Recordings {
            dir,
            recipient: Auditors::from_pem(&auditors.public_key_pem()).unwrap(),
        }),
    })
}

impl Second {
    fn broker(&self, dir: &Path, spares: usize) -> Arc<Broker> {
        let spawner = self.spawner.clone();
        let mut image = File::open(env!("CARGO_BIN_EXE_kekkai-hostile-worker")).unwrap();
        let sql_worker = memfd::seal("worker", &mut image, 1 << 30, |_| ()).unwrap();
        let mut image = File::open(env!("CARGO_BIN_EXE_kekkai-hostile-program")).unwrap();
        let image = memfd::seal("program", &mut image, 1 << 30, |_| ()).unwrap();
        let image = File::from(image);
        let component =
            memfd::seal("python", &mut &b"python component"[..], 1 << 20, |_| ()).unwrap();
        let programs = ProgramHost {
            pool: Pool::new(
                spawner.clone(),
                image.try_clone().unwrap(),
                WASM_WORKER,
                spares,
            ),
            artefacts: Artefacts::new(CompilerParts {
                pool: Pool::new(spawner.clone(), image, WASM_COMPILER, 0),
                waived: BTreeSet::new(),
                dir: Some(dir.to_owned()),
                key: Zeroizing::new([9; 32]),
            }),
            python: Some((Digest::of(b"python component"), File::from(component))),
            tools: Tools::default(),
            waived: BTreeSet::new(),
        };
        Arc::new(Broker::new(Parts {
            server: ServerId::new("a1").unwrap(),
            data_dir: dir.to_owned(),
            sessions_max: 4,
            threads_per_session: 1,
            turns: Turns::new(STATEMENTS_AT_ONCE),
            waived: BTreeSet::new(),
            sql_pool: Pool::new(spawner, File::from(sql_worker), SQL_WORKER, spares),
            programs: Some(Arc::new(programs)),
            desktops: Some(self.desktops.clone()),
            groups: kekkai_sys::cgroup::Host::prepare().ok(),
            spill: Some(SpillPlace::prepare(dir.join("spill"), 1 << 30).unwrap()),
            scripts_dir: Some(dir.join("scripts")),
            shown_dir: Some(dir.join("shown")),
            peers: Default::default(),
            policy: self.policy.clone(),
            review: self.review.clone(),
        }))
    }
}

/// As many as one session may have, so that nothing waits but for a second one.
pub(crate) const STATEMENTS_AT_ONCE: usize = kekkai_analysis_api::JOBS_ACTIVE_MAX;

/// Terms whose memory limit tells the hostile worker how to start.
pub(crate) fn terms(how: u32, query_limit_s: u32) -> SessionTerms {
    let dataset = DatasetId::new("d").unwrap();
    let column = |name: &str| ColumnCatalog {
        name: name.to_owned(),
        sql_type: "text".to_owned(),
        role: ColumnRole::Code,
        description: Text::default(),
    };
    let catalog = DatasetCatalog {
        id: dataset.clone(),
        version: 1,
        title: Text::default(),
        description: Text::default(),
        tables: vec![TableCatalog {
            name: "visits".to_owned(),
            description: Text::default(),
            person_key: Some("person_id".to_owned()),
            columns: vec![column("person_id"), column("kind")],
            files: vec![FileEntry {
                name: "visits/part-00000.parquet".to_owned(),
                bytes: 4,
                sha256: Digest::of(b"PARE"),
            }],
            rows: 10,
        }],
    };
    let granted = GrantedTable {
        columns: vec!["kind".to_owned()],
        rows_need: DisplayClass::Onsite,
        rows: Vec::new(),
    };
    SessionTerms {
        session: SessionId::random().unwrap(),
        person: PersonId::new("sato").unwrap(),
        agreement: AgreementId::new("g1").unwrap(),
        console: ConsoleMode::Statistics,
        display: DisplayClass::Console,
        datasets: vec![GrantedDataset {
            catalog,
            key: WrappedKey {
                dataset,
                version: 1,
                recipient: Recipient::Recovery,
                enc: String::new(),
                ciphertext: String::new(),
            },
            tables: BTreeMap::from([("visits".to_owned(), granted)]),
        }],
        threshold: 10,
        dominance_permille: 500,
        sdc_profile: "strict".to_owned(),
        query_limit_s,
        memory_limit_mib: how,
        programs: Some(ProgramTerms {
            python: true,
            tools: vec!["riskratio".to_owned()],
            rows: true,
            time_limit_s: query_limit_s,
            memory_limit_mib: 64,
            table_elements_max: 1_000,
            instances_max: 10,
            outputs_max: 2,
            output_kib_max: 16,
            log_kib_max: 16,
            scratch_kib_max: 16,
            clock_ms: 1,
        }),
        desktop: None,
        reference: ReferenceValues {
            label: "test".to_owned(),
            components: Vec::new(),
            pcrs: BTreeMap::new(),
            policy_signature: String::new(),
        },
    }
}

pub(crate) async fn keys() -> Result<Vec<FileKey>, Refusal> {
    Ok(vec![FileKey {
        dataset: DatasetId::new("d").unwrap(),
        version: 1,
        key: KeyText::new([7; 32]),
    }])
}

impl Stage {
    /// A running session with a hostile worker that starts honestly.
    pub(crate) async fn session(&self, query_limit_s: u32) -> Arc<Session> {
        self.session_as(200, query_limit_s).await
    }

    pub(crate) async fn session_as(&self, how: u32, query_limit_s: u32) -> Arc<Session> {
        let terms = terms(how, query_limit_s);
        let (session, waived) = self.broker.bring_up(&terms, keys()).await.unwrap();
        assert!(waived.is_empty());
        self.broker.adopt(session.clone()).unwrap();
        session
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(15);

/// Children of this process's spawner that are alive: workers.
pub(crate) fn workers() -> usize {
    worker_pids().len()
}

/// Their numbers.
pub(crate) fn worker_pids() -> Vec<i32> {
    let own = std::process::id().to_string();
    let parent_of = |pid: &str| -> Option<(String, String)> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let rest = stat.rsplit(')').next()?;
        let mut words = rest.split_whitespace();
        let state = words.next()?.to_owned();
        Some((words.next()?.to_owned(), state))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|pid| {
            let Some((spawner, state)) = parent_of(pid) else {
                return false;
            };
            let grandparent = parent_of(&spawner).map(|(parent, _)| parent);
            state != "Z" && grandparent.as_deref() == Some(&own)
        })
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
