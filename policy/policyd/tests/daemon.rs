//! The real binary on loopback: its configuration, its end, and `kill -9` at random moments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_policy_api::{AddPerson, Entry, Event, ListState, LookUpPerson};
use kekkai_policyd::config::Config;
use kekkai_service::tls::{SERVICE_NAME, TlsFiles};
use kekkai_service::{CallError, Client};
use kekkai_types::{Lang, PeerKind, PersonId, Role};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

const EXAMPLE: &str = include_str!("../../../images/etc/kekkai-policy.example.toml");
/// Starting takes this long at most, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Ends with the test, however the test ends.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    dir: tempfile::TempDir,
    config: PathBuf,
    address: String,
    vkey: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(at("ca"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::from_params(&params, &key);
        for (name, uri) in [
            ("policy", "kekkai://policy"),
            ("admin", "kekkai://admin/kato"),
            ("gateway", "kekkai://gateway"),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![SERVICE_NAME.to_owned()]).unwrap();
            params
                .subject_alt_names
                .push(SanType::URI(uri.try_into().unwrap()));
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(at(&format!("{name}.crt")), certificate.pem()).unwrap();
            std::fs::write(at(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        let (skey, vkey) = kekkai_ledger::generate_key("test").unwrap();
        std::fs::write(at("skey"), skey.as_bytes()).unwrap();
        std::fs::write(at("pcr.pub"), key.public_key_pem()).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let dir_text = dir.path().display();
        let text = format!(
            "listen = \"{address}\"\nstate_dir = \"{dir_text}/state\"\n\
             [tls]\ncertificate = \"{dir_text}/policy.crt\"\nkey = \"{dir_text}/policy.key\"\n\
             authority = \"{dir_text}/ca\"\n\
             [ledger]\ndir = \"{dir_text}/ledger\"\nkey = \"{dir_text}/skey\"\n\
             witness = \"{dir_text}/witness\"\n\
             [attestation]\npcr_policy_key = \"{dir_text}/pcr.pub\"\n\
             [[attestation.tpm_roots]]\ncertificate = \"{dir_text}/ca\"\nemulated = true\n"
        );
        std::fs::write(at("policy.toml"), text).unwrap();
        let config = at("policy.toml");
        Self {
            dir,
            config,
            address,
            vkey,
        }
    }

    fn run(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kekkai-policy"));
        command
            .arg("--config")
            .arg(&self.config)
            .stderr(Stdio::null());
        command
    }

    fn client(&self, name: &str) -> Client {
        let at = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        let files = TlsFiles {
            certificate: at("crt"),
            key: at("key"),
            authority: self.dir.path().join("ca"),
        };
        Client::new(&files, self.address.clone(), PeerKind::Policy).unwrap()
    }

    /// Starts the daemon and waits until it answers.
    async fn start(&self) -> Daemon {
        let mut daemon = Daemon(self.run().spawn().unwrap());
        let since = Instant::now();
        let admin = self.client("admin");
        while let Err(error) = admin.call(&ListState {}).await {
            assert!(since.elapsed() < START_LIMIT, "{error}");
            assert_eq!(daemon.0.try_wait().unwrap(), None, "it left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        daemon
    }

    fn entries(&self) -> Vec<Entry> {
        let at = |name: &str| self.dir.path().join(name);
        kekkai_ledger::verify(&at("ledger"), &self.vkey, Some(&at("witness"))).unwrap();
        kekkai_ledger::entries(&at("ledger"))
            .unwrap()
            .map(|entry| serde_json::from_slice(&entry.unwrap().1).unwrap())
            .collect()
    }
}

fn add_person(id: &str) -> AddPerson {
    AddPerson {
        person: PersonId::new(id).unwrap(),
        name: id.to_owned(),
        lang: Lang::Ja,
        roles: vec![Role::Operator],
    }
}

#[test]
fn example_configuration_is_one() {
    let path = Path::new("kekkai-policy.example.toml");
    kekkai_service::config::parse::<Config>(EXAMPLE, path).unwrap();
}

#[test]
fn every_key_of_the_configuration_is_checked_with_its_place() {
    let path = Path::new("x.toml");
    for (from, to, message) in [
        ("listen = ", "listn = ", "x.toml:5:1: unknown field `listn`"),
        (
            "\"127.0.0.1:7401\"",
            "\"here\"",
            "x.toml:5:10: invalid socket address",
        ),
        ("emulated = false", "", "missing field `emulated`"),
        (
            "emulated = false",
            "emulated = 0",
            "invalid type: integer `0`, expected a boolean",
        ),
        ("state_dir = ", "[", "x.toml:8:"),
    ] {
        assert!(EXAMPLE.contains(from));
        let text = EXAMPLE.replacen(from, to, 1);
        let error = kekkai_service::config::parse::<Config>(&text, path).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn check_reads_what_the_configuration_names_and_changes_nothing() {
    let world = World::new();
    let out = world.run().arg("--check").output().unwrap();
    assert!(out.status.success());
    assert!(!world.dir.path().join("ledger").exists());
    assert!(!world.dir.path().join("state").exists());
    std::fs::write(world.dir.path().join("pcr.pub"), "no key").unwrap();
    let out = world
        .run()
        .arg("--check")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(!out.status.success());
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(text.contains("is not a P-256 public key in PEM"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_process_on_the_same_state_does_not_start() {
    let world = World::new();
    let _first = world.start().await;
    let before = world.entries().len();
    let out = world.run().stderr(Stdio::piped()).output().unwrap();
    assert!(!out.status.success());
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(text.contains("in use by another process"), "{text}");
    assert_eq!(world.entries().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_the_ledger_says_so() {
    let world = World::new();
    let mut daemon = world.start().await;
    world
        .client("admin")
        .call(&add_person("kato"))
        .await
        .unwrap();
    daemon.signal("-TERM");
    let since = Instant::now();
    let status = loop {
        if let Some(status) = daemon.0.try_wait().unwrap() {
            break status;
        }
        assert!(since.elapsed() < START_LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success());
    let entries = world.entries();
    assert_eq!(entries.last().unwrap().event, Event::ServiceStopped);
}

/// A small generator (SplitMix64): the seed is printed, and `KEKKAI_SEED` replays it.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_nothing_is_lost_and_nothing_lacks_its_entry() {
    let seed = std::env::var("KEKKAI_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()) ^ 0x6b65_6b6b_6169);
    println!("KEKKAI_SEED={seed}");
    let mut random = Random(seed);
    let world = World::new();
    let mut promised = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for round in 0..6_u32 {
        let daemon = world.start().await;
        let admin = world.client("admin");
        if round == 0 {
            let kato = add_person("kato");
            admin.call(&kato).await.unwrap();
            asked.insert(kato.person.clone());
            promised.insert(kato.person);
        }
        let killer = tokio::spawn({
            let wait = Duration::from_millis(random.below(250));
            async move {
                tokio::time::sleep(wait).await;
                daemon.signal("-9");
                daemon
            }
        });
        for number in 0_u32.. {
            let person = PersonId::new(format!("p{round}-{number}")).unwrap();
            asked.insert(person.clone());
            match admin.call(&add_person(person.as_str())).await {
                Ok(()) => promised.insert(person),
                Err(CallError::Unavailable { .. }) => break,
                Err(other) => panic!("{other}"),
            };
        }
        drop(killer.await.unwrap());
    }
    let _daemon = world.start().await;
    let recorded: BTreeSet<PersonId> = world
        .entries()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::PersonRegistered { person, .. } => Some(person),
            _ => None,
        })
        .collect();
    let gateway = world.client("gateway");
    for person in asked {
        let found = gateway
            .call(&LookUpPerson {
                person: person.clone(),
            })
            .await
            .unwrap();
        if promised.contains(&person) {
            assert!(found.is_some(), "\"{person}\" was promised and is lost");
        }
        if found.is_some() {
            assert!(recorded.contains(&person), "\"{person}\" has no entry");
        }
    }
}
