//! A gateway with everything around it: services on mutual TLS, terminals, people, stock `ssh`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod browser;
pub mod pki;
pub mod runs;
pub mod screens;
pub mod services;
pub mod socket;
pub mod ssh;
pub mod vdi;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kekkai_authenticator::{Authenticator, Model, Token};
use kekkai_gateway::config::Config;
use kekkai_gateway_api::{CreateEnrolment, EnrolmentTicket};
use kekkai_policy_api::{Event, SignInRefusal};
use kekkai_service::Client;
use kekkai_types::{Peer, PeerKind, PersonId};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use browser::Browser;
use pki::{Authority, Pki};
use services::World;

pub struct Stage {
    pub dir: tempfile::TempDir,
    pub world: Arc<World>,
    pub model: Model,
    pub pki: Pki,
    pub config: Config,
    pub origin: String,
    /// Of terminals, by name: one each.
    identities: Mutex<BTreeMap<String, pki::Identity>>,
    stop: Option<oneshot::Sender<()>>,
    gateway: Option<tokio::task::JoinHandle<()>>,
}

pub struct Person {
    pub name: String,
    pub authenticator: Authenticator,
    pub token: Token,
    used_step: u64,
}

impl Person {
    /// The next code that was not used; waits for its step if it must.
    pub async fn next_code(&mut self) -> String {
        loop {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs();
            // The gateway accepts the neighbouring steps, so three codes fit in any moment; the oldest
            // one only while its time is not about to end.
            let is_early = now % 30 < 20;
            let oldest = if is_early { now / 30 - 1 } else { now / 30 };
            // The first code is an early one: two more are there without a wait, which a connection code
            // would not outlive.
            if self.used_step == 0 && !is_early {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                continue;
            }
            for step in oldest..=now / 30 + 1 {
                if step > self.used_step {
                    self.used_step = step;
                    return self.token.code(step * 30);
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

pub async fn wait_for(mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it never holds");
}

/// A port below those that the kernel gives to outgoing connections: none of them can take it away, and
/// neither can another stage of this process.
pub fn free_port() -> SocketAddr {
    use std::hash::{BuildHasher as _, Hasher as _};
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let random = std::hash::RandomState::new().build_hasher().finish() % 22_000;
        let port = 10_000 + u16::try_from(random).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() && GIVEN.lock().unwrap().insert(port) {
            return address;
        }
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let pki = Pki::new(dir.path());
        let world = World::start(&pki).await;
        let model = Model::emulated().unwrap();
        write(&path("model.pem"), model.authority_pem(), 0o644);
        write(&path("storage.key"), &"5a".repeat(32), 0o600);
        ssh::keygen(&path("host_key"), "ed25519");
        let (ssh, https, admin) = (free_port(), free_port(), free_port());
        let origin = format!("https://localhost:{}", https.port());
        let text = format!(
            r#"
demo = true
state_dir = "{dir}/state"
storage_key = "{dir}/storage.key"
[ssh]
listen = "{ssh}"
host_key = "{dir}/host_key"
[https]
listen = "{https}"
public_url = "{origin}"
rp_id = "localhost"
certificate = "{dir}/web.pem"
key = "{dir}/web.key"
terminal_authority = "{dir}/terminals.pem"
[admin]
listen = "{admin}"
terminal = "desk"
[tls]
certificate = "{dir}/gateway.pem"
key = "{dir}/gateway.key"
authority = "{dir}/services.pem"
[services]
policy = "{policy}"
analysis = "{analysis}"
review = "{review}"
[[models]]
aaguid = "{aaguid}"
authority = "{dir}/model.pem"
label = "emulated"
emulated = true
[limits]
code_life_s = 8
login_grace_s = 20
idle_connection_s = 2
"#,
            dir = dir.path().display(),
            policy = world.policy_address,
            analysis = world.analysis_address,
            review = world.review_address,
            aaguid = model.aaguid(),
        );
        let mut config: Config =
            kekkai_service::config::parse(&text, Path::new("test.toml")).unwrap();
        change(&mut config);
        let mut stage = Self {
            dir,
            world,
            model,
            pki,
            config,
            origin,
            identities: Mutex::default(),
            stop: None,
            gateway: None,
        };
        stage.start().await;
        stage
    }

    pub async fn start(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let config = self.config.clone();
        let (ssh, https) = (config.ssh.listen, config.https.listen);
        let gateway = tokio::spawn(async move {
            kekkai_gateway::run(config, async move {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        for address in [ssh, https] {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                assert!(!gateway.is_finished(), "the gateway did not start");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        self.stop = Some(stop);
        self.gateway = Some(gateway);
    }

    pub async fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(gateway) = self.gateway.take() {
            gateway.await.unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn admin(&self, person: &str) -> Client {
        let person = PersonId::new(person).unwrap();
        let files = self
            .pki
            .services
            .issue(self.dir.path(), "admin", &Peer::Admin(person));
        Client::new(
            &files,
            self.config.admin.listen.to_string(),
            PeerKind::Gateway,
        )
        .unwrap()
    }

    pub fn browser(&self, terminal: &str) -> Browser {
        let mut identities = self.identities.lock().unwrap();
        let identity = identities
            .entry(terminal.to_owned())
            .or_insert_with(|| self.pki.terminal(terminal));
        self.world.know_certificate(terminal, identity);
        Browser::new(self, Some(identity.duplicate()))
    }

    /// Enrols a person at a terminal of theirs, by page and ticket.
    pub async fn enrol(&self, name: &str) -> Person {
        let authenticator = Authenticator::new(self.model.duplicate());
        let (status, answer, person) = self.try_enrol(name, authenticator).await;
        assert_eq!(status, 200, "{answer}");
        person
    }

    pub async fn try_enrol(
        &self,
        name: &str,
        mut authenticator: Authenticator,
    ) -> (u16, Value, Person) {
        let ticket = self.ticket(name).await;
        let token = Token::new(&ticket.totp_secret).unwrap();
        let mut browser = self.browser("t1");
        let page = browser.get(&format!("/enrol/{}", ticket.ticket)).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let begin = format!("/enrol/{}/begin", ticket.ticket);
        let options = browser.post(&begin, &json!({})).await;
        assert_eq!(options.status, 200, "{}", options.text);
        let credential = authenticator.create(&options.json(), &self.origin).unwrap();
        let mut person = Person {
            name: name.to_owned(),
            authenticator,
            token,
            used_step: 0,
        };
        let code = person.next_code().await;
        let finish = format!("/enrol/{}/finish", ticket.ticket);
        let body = json!({"credential": credential, "token_code": code});
        let answer = browser.post(&finish, &body).await;
        (answer.status, answer.json(), person)
    }

    pub async fn ticket(&self, name: &str) -> EnrolmentTicket {
        let person = PersonId::new(name).unwrap();
        self.admin("ono")
            .call(&CreateEnrolment { person })
            .await
            .unwrap()
    }

    /// Both factors on the page of a terminal.
    pub async fn sign_in(&self, browser: &mut Browser, person: &mut Person) -> browser::Answer {
        let body = json!({"person": person.name});
        let options = browser.post("/sign-in/begin", &body).await;
        assert_eq!(options.status, 200, "{}", options.text);
        let credential = person
            .authenticator
            .get(&options.json(), &self.origin)
            .unwrap();
        let code = person.next_code().await;
        let body = json!({"person": person.name, "credential": credential, "token_code": code});
        browser.post("/sign-in/finish", &body).await
    }

    /// Signs in and opens a desktop; gives its session.
    pub async fn open_desktop(&self, browser: &mut Browser, person: &mut Person) -> String {
        assert_eq!(self.sign_in(browser, person).await.status, 200);
        let opened = browser
            .post("/desktop/open", &json!({"agreement": null}))
            .await;
        assert_eq!(opened.status, 200, "{}", opened.text);
        opened.json()["session"].as_str().unwrap().to_owned()
    }

    /// What the ledger says of screens: `attached`, the reasons of detachment, `watched`, `watch-ended`.
    pub fn screen_events(&self) -> Vec<String> {
        self.world
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::ScreenAttached { .. } => Some("attached".to_owned()),
                Event::ScreenDetached { reason, .. } => Some(reason),
                Event::SessionWatched { by, .. } => Some(format!("watched by {by}")),
                Event::SessionWatchEnded { .. } => Some("watch-ended".to_owned()),
                _ => None,
            })
            .collect()
    }

    /// Touches the authenticator on the page of a terminal.
    pub async fn approve(&self, person: &mut Person, terminal: &str, code: &str) -> u16 {
        let mut browser = self.browser(terminal);
        let body = json!({"person": person.name, "code": code});
        let options = browser.post("/approve/begin", &body).await;
        assert_eq!(options.status, 200, "{}", options.text);
        let credential = person
            .authenticator
            .get(&options.json(), &self.origin)
            .unwrap();
        let body = json!({"person": person.name, "code": code, "credential": credential});
        browser.post("/approve/finish", &body).await.status
    }

    /// The refusals of sign-ins in the ledger, with their counts.
    pub fn refusals(&self) -> Vec<(Option<String>, SignInRefusal, u32)> {
        self.world
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::SignInRefused {
                    person,
                    reason,
                    failures,
                    ..
                } => Some((person.map(String::from), reason, failures)),
                _ => None,
            })
            .collect()
    }

    /// The refused requests in the ledger.
    pub fn requests(&self) -> Vec<String> {
        self.world
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::RequestRefused { request, .. } => Some(request),
                _ => None,
            })
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.abort();
        }
    }
}

/// Kept so that the authority's type is named where it is used.
pub type Services = Authority;
