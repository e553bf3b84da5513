//! The service as a process, between a gateway, an analysis server and a policy service that the test
//! plays, over real mutual TLS.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kekkai_output::{
    Aggregate, Cell, Column, ColumnKind, Content, Evidence, Lineage, OutputDigest, Suppression,
    Table, Value, ValueType,
};
use kekkai_policy_api::{
    Action, Decide, Decided, EndReason, Event, KnownPerson, KnownTerminal, LookUpPerson,
    LookUpTerminal, Record, Recorded, Resource,
};
use kekkai_review_api::{ListOutputs, OutputState, OutputSummary, Submit, header};
use kekkai_service::tls::{SERVICE_NAME, TlsFiles};
use kekkai_service::{CallError, Client, From, Routes, serve};
use kekkai_types::{
    AgreementId, DatasetId, Digest, JobId, Lang, OutputId, PeerKind, PersonId, Role, SessionId,
    TerminalClass, TerminalId,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long anything may take that should take moments.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Text that must never reach a page as markup.
pub(crate) const MARKUP: &str = "<script>alert('x')</script><b class=\"y\">&";

/// What the review service asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// For the ledger, and what the database held at that moment.
    Recorded(Event, Snapshot),
    /// A decision.
    Decided(PersonId, Action, Resource, bool),
}

/// What the database holds, read from beside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Snapshot {
    /// States of all outputs.
    pub(crate) states: Vec<String>,
    /// Stored votes.
    pub(crate) votes: u32,
    /// Signed bundles.
    pub(crate) bundles: u32,
    /// States of all tools.
    pub(crate) tools: Vec<String>,
}

/// When the policy service kills the review service, with SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// The entry is not written.
    Before(&'static str),
    /// The entry is written, but the answer never arrives.
    After(&'static str),
}

/// The policy service's mind.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) asked: Vec<Asked>,
    pub(crate) strike: Option<Strike>,
    /// Entries of the struck kind that pass first.
    pub(crate) spare: u32,
    /// Allows everything: what the review service refuses then, it refuses by itself.
    pub(crate) lenient: bool,
    pub(crate) ended: bool,
    pid: Option<u32>,
    database: PathBuf,
}

/// The ledger's name of an event.
pub(crate) fn kind(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["type"]
        .as_str()
        .unwrap()
        .to_owned()
}

impl World {
    /// The ledger's entries about outputs, by name.
    pub(crate) fn ledger(&self) -> Vec<String> {
        self.events()
            .iter()
            .map(kind)
            .filter(|kind| !kind.starts_with("service-"))
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.asked
            .iter()
            .filter_map(|asked| match asked {
                Asked::Recorded(event, _) => Some(event.clone()),
                Asked::Decided(..) => None,
            })
            .collect()
    }

    /// What the database held when an entry was written.
    pub(crate) fn at(&self, wanted: &str) -> Snapshot {
        self.asked
            .iter()
            .find_map(|asked| match asked {
                Asked::Recorded(event, snapshot) if kind(event) == wanted => Some(snapshot.clone()),
                _ => None,
            })
            .unwrap_or_else(|| panic!("no {wanted} in {:?}", self.ledger()))
    }

    fn strike_for(&mut self, name: &str) -> Option<Strike> {
        let wanted = match self.strike? {
            Strike::Before(wanted) | Strike::After(wanted) => wanted,
        };
        if wanted != name {
            return None;
        }
        if self.spare > 0 {
            self.spare -= 1;
            return None;
        }
        self.strike.take()
    }

    fn kill(&mut self) {
        if let Some(pid) = self.pid.take() {
            let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
            assert!(killed.is_ok_and(|status| status.success()));
        }
    }

    fn decide(&self, ask: &Decide) -> Decided {
        if self.lenient {
            return Decided::Allowed;
        }
        let role = |role: Role| roles(&ask.person).contains(&role);
        let refused = match (&ask.action, &ask.resource) {
            (Action::SeeQueue, Resource::Queue) => {
                (!role(Role::Reviewer)).then_some(EndReason::RoleNotAllowed)
            }
            (
                Action::SeeQueue | Action::Vote,
                Resource::Output { author, .. } | Resource::Tool { author, .. },
            ) => {
                if !role(Role::Reviewer) {
                    Some(EndReason::RoleNotAllowed)
                } else if *author == ask.person {
                    Some(EndReason::OwnOutput)
                } else {
                    (self.ended && ask.action == Action::Vote).then_some(EndReason::AgreementEnded)
                }
            }
            (Action::SeeOutputs, Resource::Agreement(_)) => {
                let takes_part = role(Role::Researcher) || role(Role::PrincipalInvestigator);
                (!takes_part).then_some(EndReason::NoAgreement)
            }
            (Action::SeeOutputs, Resource::Output { author, .. }) => {
                let sees = role(Role::PrincipalInvestigator) || *author == ask.person;
                (!sees).then_some(EndReason::RoleNotAllowed)
            }
            (Action::FetchRelease, Resource::Output { .. }) => {
                (!role(Role::PrincipalInvestigator)).then_some(EndReason::RoleNotAllowed)
            }
            // As the policy service's golden table has it.
            (Action::BringTool, Resource::Tool { tool, author, .. }) => {
                if ask.terminal.as_str() != format!("t-{author}") {
                    Some(EndReason::TerminalNotAllowed)
                } else if !role(Role::Researcher) {
                    Some(EndReason::NotOnRoster)
                } else if self.ended {
                    Some(EndReason::AgreementEnded)
                } else {
                    (tool != "riskratio" && tool != "tableone").then_some(EndReason::RoleNotAllowed)
                }
            }
            _ => Some(EndReason::RoleNotAllowed),
        };
        refused.map_or(Decided::Allowed, Decided::Refused)
    }
}

fn roles(person: &PersonId) -> Vec<Role> {
    match person.as_str() {
        "mori" | "ueda" | "kato" => vec![Role::Reviewer],
        // Staff who also did research.
        "hara" => vec![Role::Reviewer, Role::Researcher],
        "sato" => vec![Role::Researcher],
        "ito" => vec![Role::PrincipalInvestigator],
        "endo" => vec![Role::Operator],
        _ => Vec::new(),
    }
}

struct Authority {
    key: KeyPair,
    params: CertificateParams,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { key, params, pem }
    }

    fn issue(&self, dir: &Path, uri: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![SERVICE_NAME.to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let name = uri.replace(['/', ':'], "_");
        let files = TlsFiles {
            certificate: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
            authority: dir.join(format!("{name}.ca")),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.authority, &self.pem).unwrap();
        files
    }
}

/// The service and everything around it. Dropping it ends the process.
pub(crate) struct Stage {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) dir: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) analysis: Client,
    gateway: Client,
    authority: Authority,
    policy_files: TlsFiles,
    policy_address: SocketAddr,
    policy: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
    child: Option<Child>,
}

impl Stage {
    /// Everything up, nothing submitted.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let review_files = authority.issue(dir.path(), "kekkai://review");
        let policy_files = authority.issue(dir.path(), "kekkai://policy");
        let analysis_files = authority.issue(dir.path(), "kekkai://analysis/a1");
        let gateway_files = authority.issue(dir.path(), "kekkai://gateway");
        let (address, policy_address) = (free_address(), free_address());
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        private_file(
            &dir.path().join("storage.key"),
            &format!("{}\n", "5a".repeat(32)),
        );
        private_file(&dir.path().join("signing.pem"), SIGNING_KEY);
        let config = format!(
            "listen = \"{address}\"\npolicy = \"{policy_address}\"\nstate_dir = {state:?}\n\
             signing_key = {:?}\nstorage_key = {:?}\n\
             [tls]\ncertificate = {:?}\nkey = {:?}\nauthority = {:?}\n",
            dir.path().join("signing.pem"),
            dir.path().join("storage.key"),
            review_files.certificate,
            review_files.key,
            review_files.authority,
        );
        std::fs::write(dir.path().join("review.toml"), config).unwrap();
        let world = World {
            database: state.join("review.sqlite"),
            ..World::default()
        };
        let mut stage = Self {
            world: Arc::new(Mutex::new(world)),
            analysis: Client::new(&analysis_files, address.to_string(), PeerKind::Review).unwrap(),
            gateway: Client::new(&gateway_files, address.to_string(), PeerKind::Review).unwrap(),
            dir,
            address,
            authority,
            policy_files,
            policy_address,
            policy: None,
            child: None,
        };
        stage.start_policy().await;
        stage.start_review().await;
        stage
    }

    pub(crate) async fn start_policy(&mut self) {
        let listener = TcpListener::bind(self.policy_address).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let router = policy_routes(self.world.clone()).router();
        let files = self.policy_files.clone();
        let task = tokio::spawn(async move {
            let ended = async {
                let _ = stopped.await;
            };
            serve(listener, &files, router, ended).await.unwrap();
        });
        self.policy = Some((stop, task));
    }

    /// Takes the policy service down, connections and all.
    pub(crate) async fn stop_policy(&mut self) {
        if let Some((stop, task)) = self.policy.take() {
            let _ = stop.send(());
            let _ = task.await;
        }
    }

    /// Starts the process, and waits until it answers and its start is recorded.
    pub(crate) async fn start_review(&mut self) {
        let starts = self.starts();
        let child = Command::new(env!("CARGO_BIN_EXE_kekkai-review"))
            .arg("--config")
            .arg(self.dir.path().join("review.toml"))
            .stderr(
                std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(self.log_path())
                    .unwrap(),
            )
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.world.lock().unwrap().pid = Some(child.id());
        self.child = Some(child);
        let began = Instant::now();
        while self.starts() == starts {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("kekkai-review ended with {status}: {}", self.log());
            }
            assert!(began.elapsed() < PATIENCE, "no start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn starts(&self) -> usize {
        let world = self.world.lock().unwrap();
        world
            .events()
            .iter()
            .filter(|e| matches!(e, Event::ServiceStarted { .. }))
            .count()
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.path().join("review.log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until the process is gone: the policy service has killed it.
    pub(crate) async fn reap(&mut self) {
        let began = Instant::now();
        let child = self.child.as_mut().unwrap();
        while child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "still alive");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.child = None;
    }

    /// Ends the process at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the process to end, as systemd does, and waits for it.
    pub(crate) async fn terminate(&mut self) {
        let child = self.child.as_mut().unwrap();
        let sent = Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "still alive");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(status.success(), "{status}");
        self.child = None;
    }

    pub(crate) fn client_of(&self, uri: &str) -> Client {
        let files = self.authority.issue(self.dir.path(), uri);
        Client::new(&files, self.address.to_string(), PeerKind::Review).unwrap()
    }

    pub(crate) fn ledger(&self) -> Vec<String> {
        self.world.lock().unwrap().ledger()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        snapshot(&self.world.lock().unwrap().database)
    }

    /// A connection that may write: what an intruder on the machine has.
    pub(crate) fn intruder(&self) -> Connection {
        Connection::open(&self.world.lock().unwrap().database).unwrap()
    }

    pub(crate) async fn submit(&self, submit: &Submit) -> Result<OutputDigest, CallError> {
        self.analysis.call(submit).await
    }

    pub(crate) async fn list(&self, person: &str) -> Result<Vec<OutputSummary>, CallError> {
        self.gateway
            .call(&ListOutputs {
                agreement: AgreementId::new("a-2026-1").unwrap(),
                person: PersonId::new(person).unwrap(),
                terminal: TerminalId::new("t1").unwrap(),
            })
            .await
    }

    pub(crate) async fn state_of(&self, output: &OutputId) -> OutputState {
        let list = self.list("sato").await.unwrap();
        list.into_iter()
            .find(|summary| summary.output == *output)
            .unwrap()
            .state
    }

    pub(crate) async fn get(&self, person: &str, lang: Lang, path: &str) -> Page {
        self.request(person, lang, "GET", path, "").await
    }

    pub(crate) async fn request(
        &self,
        person: &str,
        lang: Lang,
        method: &str,
        path: &str,
        form: &str,
    ) -> Page {
        self.try_request(person, lang, method, path, form)
            .await
            .unwrap()
    }

    pub(crate) async fn try_request(
        &self,
        person: &str,
        lang: Lang,
        method: &str,
        path: &str,
        form: &str,
    ) -> Result<Page, CallError> {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", SERVICE_NAME)
            .header(header::PERSON, person)
            .header(header::TERMINAL, "t1")
            .header(header::LANG, lang.as_str())
            .header(header::CSRF, "csrf-token")
            .header(header::DEMO, "1")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form.to_owned()))
            .unwrap();
        let response = self.gateway.forward(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Page {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        })
    }

    /// Votes as a reviewer does: by the form that the page shows.
    pub(crate) async fn vote(
        &self,
        person: &str,
        output: &OutputId,
        vote: &str,
        comment: &str,
    ) -> Page {
        let page = self
            .get(person, Lang::En, &format!("/review/output/{output}"))
            .await;
        let form = self.form(&page, vote, comment);
        self.post_vote(person, output, &form).await
    }

    pub(crate) fn form(&self, page: &Page, vote: &str, comment: &str) -> String {
        format!(
            "csrf={}&digest={}&round={}&vote={vote}&comment={comment}",
            page.hidden("csrf"),
            page.hidden("digest"),
            page.hidden("round")
        )
    }

    pub(crate) async fn post_vote(&self, person: &str, output: &OutputId, form: &str) -> Page {
        let path = format!("/review/output/{output}/vote");
        self.request(person, Lang::En, "POST", &path, form).await
    }

    /// Waits until the service has concluded an output.
    pub(crate) async fn settled(&self, output: &OutputId) -> OutputState {
        let began = Instant::now();
        loop {
            let state = self.state_of(output).await;
            if !matches!(state, OutputState::Waiting | OutputState::HalfVoted) {
                return state;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "still {state:?}: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of kekkai-review\n{}", self.log());
        }
    }
}

/// An answer to a browser.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The value of a hidden field.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let text = self.text();
        let start = format!("name=\"{name}\" value=\"");
        let from = text
            .find(&start)
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            + start.len();
        text[from..].split('"').next().unwrap().to_owned()
    }

    pub(crate) fn has_form(&self) -> bool {
        self.text().contains("<form") || self.text().contains("name=\"vote\"")
    }
}

fn policy_routes(world: Arc<Mutex<World>>) -> Routes {
    let (record, decide) = (world.clone(), world);
    Routes::new()
        .call(move |_: From, call: Record| {
            let world = record.clone();
            async move {
                let name = kind(&call.event);
                let strike = world.lock().unwrap().strike_for(&name);
                if matches!(strike, Some(Strike::Before(_))) {
                    strike_down(&world).await;
                }
                let index = {
                    let mut world = world.lock().unwrap();
                    let snapshot = snapshot(&world.database);
                    world.asked.push(Asked::Recorded(call.event, snapshot));
                    u64::try_from(world.events().len()).unwrap() - 1
                };
                if matches!(strike, Some(Strike::After(_))) {
                    strike_down(&world).await;
                }
                Ok(Recorded {
                    index,
                    ..Recorded::default()
                })
            }
        })
        .call(move |_: From, call: Decide| {
            let world = decide.clone();
            async move {
                let mut world = world.lock().unwrap();
                let decided = world.decide(&call);
                let allowed = matches!(decided, Decided::Allowed);
                world.asked.push(Asked::Decided(
                    call.person,
                    call.action,
                    call.resource,
                    allowed,
                ));
                Ok(decided)
            }
        })
        .call(|_: From, call: LookUpTerminal| async move {
            let LookUpTerminal::SshKey(key) = call else {
                return Ok(None);
            };
            let owner = KEY_OWNERS.iter().find(|owner| public_key(owner) == key);
            Ok(owner.map(|owner| KnownTerminal {
                terminal: TerminalId::new(format!("t-{owner}")).unwrap(),
                class: TerminalClass::Vdi,
                people: vec![PersonId::new(*owner).unwrap()],
                certificate_spki: None,
            }))
        })
        .call(|_: From, call: LookUpPerson| async move {
            let roles = roles(&call.person);
            Ok((!roles.is_empty()).then(|| KnownPerson {
                name: call.person.to_string(),
                person: call.person,
                lang: Lang::Ja,
                agreements: vec![AgreementId::new("a-2026-1").unwrap()],
                roles,
            }))
        })
}

/// Kills the caller, and never answers it.
async fn strike_down(world: &Arc<Mutex<World>>) {
    {
        world.lock().unwrap().kill();
    }
    std::future::pending::<()>().await;
}

fn snapshot(database: &Path) -> Snapshot {
    // Before the first start there is no database.
    let Ok(connection) = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
    else {
        return Snapshot::default();
    };
    let read = || -> rusqlite::Result<Snapshot> {
        let mut states = connection.prepare("SELECT state FROM outputs ORDER BY id")?;
        let states = states
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
        Ok(Snapshot {
            states,
            votes: count("SELECT COUNT(*) FROM votes")?,
            bundles: count("SELECT COUNT(*) FROM releases WHERE bundle IS NOT NULL")?,
            tools: connection
                .prepare("SELECT state FROM tools ORDER BY submitted, id")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?,
        })
    };
    read().unwrap_or_default()
}

/// People whose terminals' SSH keys are registered.
const KEY_OWNERS: [&str; 3] = ["sato", "hara", "mori"];

/// The SSH key of a person's terminal: of those who are not in [`KEY_OWNERS`] nobody knows it.
pub(crate) fn ssh_key_of(person: &str) -> ssh_key::PrivateKey {
    let seed = *Digest::of(person.as_bytes()).as_bytes();
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&seed);
    ssh_key::PrivateKey::new(ssh_key::private::KeypairData::Ed25519(pair), "").unwrap()
}

fn public_key(person: &str) -> String {
    let line = ssh_key_of(person).public_key().to_openssh().unwrap();
    line.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A port below those that the system gives to outgoing connections: between this look and the
/// daemon's own `listen`, only another test could take it.
fn free_address() -> SocketAddr {
    loop {
        let mut raw = [0; 2];
        getrandom::fill(&mut raw).unwrap();
        let port = 15_000 + u16::from_le_bytes(raw) % 16_000;
        if let Ok(listener) = StdListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

fn private_file(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Made for these tests; signs nothing else.
const SIGNING_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
    -----END PRIVATE KEY-----\n";

/// The public half of the signing key.
pub(crate) fn release_key() -> kekkai_bundle::ReleaseKey {
    kekkai_bundle::ReleaseSigner::from_pem(SIGNING_KEY)
        .unwrap()
        .public()
}

pub(crate) fn cell(value: Value, contributors: u64) -> Cell {
    Cell::Shown {
        value,
        evidence: Evidence {
            contributors,
            largest_permille: 0,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        },
    }
}

/// Patients by region: two shown, one suppressed, one contributor count that is easy to find.
pub(crate) fn table() -> Table {
    let text = |text: &str| Cell::Key(Value::Text(text.to_owned()));
    Table {
        columns: vec![
            Column {
                name: "地域".to_owned(),
                value_type: ValueType::Text,
                kind: ColumnKind::Key,
            },
            Column {
                name: "patients".to_owned(),
                value_type: ValueType::Int,
                kind: ColumnKind::Statistic(vec![Aggregate::Count]),
            },
        ],
        rows: vec![
            vec![text("東"), cell(Value::Int(1_200), 4_321)],
            vec![text("西"), cell(Value::Int(900), 800)],
            vec![text("南"), Cell::Suppressed(Suppression::Threshold)],
        ],
        groups_withheld: 2,
        lineage: Lineage {
            sql: "SELECT region AS \"地域\", COUNT(*) AS patients FROM visits GROUP BY region"
                .to_owned(),
            datasets: vec![(DatasetId::new("hospital").unwrap(), 1)],
            threshold: 10,
            dominance_permille: 500,
            engine: "kekkai-engine 0.1.0".to_owned(),
            policy: Digest::of(b"terms"),
        },
    }
}

pub(crate) fn submission(author: &str, table: Table) -> Submit {
    Submit {
        output: OutputId::random().unwrap(),
        session: SessionId::new("s1").unwrap(),
        job: JobId::new("1").unwrap(),
        author: PersonId::new(author).unwrap(),
        agreement: AgreementId::new("a-2026-1").unwrap(),
        sdc_profile: "strict".to_owned(),
        title: "地域別の患者数".to_owned(),
        purpose: "Table 1 of the report".to_owned(),
        method: String::new(),
        replaces: None,
        lang: Lang::Ja,
        content: Content::Table(table),
        seen: None,
    }
}

/// The table of a submission that has one.
pub(crate) fn table_of(submit: &mut Submit) -> &mut Table {
    match &mut submit.content {
        Content::Table(table) => table,
        Content::Program(_) => panic!("a program's output"),
    }
}

/// Persons whom an allowed decision named, in order.
pub(crate) fn deciders(world: &World, wanted: Action) -> BTreeSet<String> {
    world
        .asked
        .iter()
        .filter_map(|asked| match asked {
            Asked::Decided(person, action, _, true) if *action == wanted => {
                Some(person.to_string())
            }
            _ => None,
        })
        .collect()
}
