//! A deployment in a temporary directory: two operators' worth of people, one dataset, one server.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kekkai_attest::{
    ComponentKind, Enrolled, Evidence, Measurement, PcrValue, PolicyKey, ReferenceValues, TpmTrust,
};
use kekkai_policy_api::{
    AddPerson, AddReference, AddTerminal, Entry, Factor, Nonce, OpenSession, OpenedSession,
    RegisterAgreement, RegisterDataset, ReleaseKeys, SessionTerms, View,
};
use kekkai_types::{
    AgreementId, ColumnCatalog, ColumnRole, DatasetCatalog, DatasetId, Digest, Lang, Peer,
    PersonId, Recipient, Refusal, Role, ServerId, SessionId, TableCatalog, TerminalClass,
    TerminalId, Text, Timestamp, WrappedKey,
};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Journal, Service, StartError, Store};

pub(super) const AGREEMENT: &str = include_str!("../../../../images/etc/agreement.example.toml");

/// A Tuesday afternoon within the example's period and hours.
pub(super) const NOON: Timestamp = Timestamp(1_795_489_200_000);

pub(super) fn person(id: &str) -> PersonId {
    PersonId::new(id).unwrap()
}
pub(super) fn terminal(id: &str) -> TerminalId {
    TerminalId::new(id).unwrap()
}
pub(super) fn server(id: &str) -> ServerId {
    ServerId::new(id).unwrap()
}
pub(super) fn agreement() -> AgreementId {
    AgreementId::new("stroke-2026").unwrap()
}
pub(super) fn admin() -> Peer {
    Peer::Admin(person("kato"))
}
pub(super) fn analysis() -> Peer {
    Peer::Analysis(server("a1"))
}
pub(super) fn spki() -> Digest {
    Digest::of(b"the analysis server's TLS key")
}

/// Keys that stay the same when the service is started again.
pub(super) struct Bench {
    pub(super) dir: PathBuf,
    skey: Zeroizing<String>,
    pub(super) vkey: String,
    policy_key: PolicyKey,
    pub(super) ak: SigningKey,
}

impl Bench {
    /// Keys are in the directory, so that another process can go on with it.
    pub(super) fn at(dir: &Path) -> Self {
        let file = |name: &str| std::fs::read_to_string(dir.join(name)).ok();
        if file("skey").is_none() {
            let (skey, vkey) = kekkai_ledger::generate_key("test").unwrap();
            std::fs::write(dir.join("skey"), skey.as_bytes()).unwrap();
            std::fs::write(dir.join("vkey"), vkey).unwrap();
            let policy_key = PolicyKey::generate().unwrap();
            std::fs::write(
                dir.join("policy.pem"),
                policy_key.to_pem().unwrap().as_bytes(),
            )
            .unwrap();
        }
        Self {
            dir: dir.to_owned(),
            skey: Zeroizing::new(file("skey").unwrap()),
            vkey: file("vkey").unwrap(),
            policy_key: PolicyKey::from_pem(&file("policy.pem").unwrap()).unwrap(),
            // A test's AK: any scalar will do.
            ak: SigningKey::from_slice(&[7; 32]).unwrap(),
        }
    }

    pub(super) fn ledger_dir(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    pub(super) fn start(&self) -> Result<Service, StartError> {
        let journal = Journal::open(
            self.ledger_dir(),
            self.skey.clone(),
            Some(self.dir.join("witness")),
        )
        .unwrap();
        let mut store = Store::open(&self.dir).unwrap();
        store.enrol_server(&self.enrolled()).unwrap();
        Service::start(
            store,
            journal,
            TpmTrust::new(),
            self.policy_key.public(),
            NOON,
        )
    }

    pub(super) fn enrolled(&self) -> Enrolled {
        Enrolled {
            server: server("a1"),
            ek_certificate: Digest::of(b"ek"),
            ak_public: STANDARD.encode(self.ak.verifying_key().to_sec1_point(false).as_bytes()),
            unwrap_public: String::new(),
            emulated: true,
        }
    }

    pub(super) fn reference(&self, label: &str) -> ReferenceValues {
        ReferenceValues::compute(label, measurements())
            .sign(&self.policy_key)
            .unwrap()
    }

    /// Everything that a session needs.
    pub(super) fn fill(&self, service: &Service) {
        self.fill_with(service, dataset());
    }

    /// The same with another dataset.
    pub(super) fn fill_with(&self, service: &Service, dataset: RegisterDataset) {
        let people = [
            ("kato", Role::Operator),
            ("mori", Role::Reviewer),
            ("sato", Role::Researcher),
            ("suzuki", Role::Researcher),
            ("takahashi", Role::PrincipalInvestigator),
            ("tanaka", Role::SecurityManager),
        ];
        for (id, role) in people {
            service
                .add_person(&admin(), add_person(id, role), NOON)
                .unwrap();
        }
        service
            .add_terminal(&admin(), add_terminal("t1", TerminalClass::Console), NOON)
            .unwrap();
        service
            .add_terminal(&admin(), add_terminal("t2", TerminalClass::Operator), NOON)
            .unwrap();
        let browser = add_terminal("t-browser", TerminalClass::Browser);
        service.add_terminal(&admin(), browser, NOON).unwrap();
        service.register_dataset(&admin(), dataset, NOON).unwrap();
        let toml = AGREEMENT.to_owned();
        service
            .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
            .unwrap();
        let reference = self.reference("r1");
        service
            .add_reference(&admin(), AddReference { reference }, NOON)
            .unwrap();
    }

    /// A quote over these measurements by this AK.
    pub(super) fn evidence(&self, extra: &Digest, log: Vec<Measurement>) -> Evidence {
        evidence(&self.ak, extra, log)
    }

    pub(super) fn release(
        &self,
        service: &Service,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<SessionTerms, Refusal> {
        let nonce = service.challenge(&analysis(), &spki(), now).unwrap();
        self.release_with(service, session, &nonce, measurements(), now)
    }

    pub(super) fn release_with(
        &self,
        service: &Service,
        session: &SessionId,
        nonce: &Nonce,
        log: Vec<Measurement>,
        now: Timestamp,
    ) -> Result<SessionTerms, Refusal> {
        let call = ReleaseKeys {
            session: session.clone(),
            nonce: nonce.clone(),
            evidence: self.evidence(&extra(nonce, session), log),
        };
        service.release_keys(&analysis(), &spki(), &call, now)
    }

    /// The ledger's entries, oldest first, after verification with the public key and the witness.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let dir = self.ledger_dir();
        kekkai_ledger::verify(&dir, &self.vkey, Some(&self.dir.join("witness"))).unwrap();
        kekkai_ledger::entries(&dir)
            .unwrap()
            .map(|entry| serde_json::from_slice(&entry.unwrap().1).unwrap())
            .collect()
    }

    /// What happened, by the events' names.
    pub(super) fn events(&self) -> Vec<String> {
        self.entries().iter().map(event_name).collect()
    }
}

pub(super) fn event_name(entry: &Entry) -> String {
    let event = serde_json::to_value(&entry.event).unwrap();
    event["type"].as_str().unwrap().to_owned()
}

/// As the API defines it, computed apart from the service's own function.
pub(super) fn extra(nonce: &Nonce, session: &SessionId) -> Digest {
    let mut hash = Sha256::new();
    hash.update(nonce.0.as_bytes());
    hash.update(session.as_str());
    hash.update(spki().as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

pub(super) fn measurements() -> Vec<Measurement> {
    let one = |kind, name: &str| Measurement {
        kind,
        name: name.to_owned(),
        digest: Digest::of(name.as_bytes()),
    };
    vec![
        one(ComponentKind::Binary, "kekkai-analysis"),
        one(ComponentKind::Configuration, "analysis.toml"),
        one(ComponentKind::SessionImage, "kekkai-sql-worker"),
    ]
}

/// `TPMS_ATTEST` of a quote over PCRs 11, 12 and 13 (TPM 2.0 part 2, 10.12.8).
pub(super) fn evidence(ak: &SigningKey, extra: &Digest, event_log: Vec<Measurement>) -> Evidence {
    let pcrs: Vec<PcrValue> = kekkai_attest::replay(&event_log)
        .into_iter()
        .map(|(index, value)| PcrValue { index, value })
        .collect();
    let mut values = Sha256::new();
    for pcr in &pcrs {
        values.update(pcr.value.as_bytes());
    }
    let mut attest = Vec::new();
    attest.extend_from_slice(&0xff54_4347_u32.to_be_bytes());
    attest.extend_from_slice(&0x8018_u16.to_be_bytes());
    attest.extend_from_slice(&[0, 0]);
    attest.extend_from_slice(&[0, 32]);
    attest.extend_from_slice(extra.as_bytes());
    attest.extend_from_slice(&[0; 17 + 8]);
    attest.extend_from_slice(&1_u32.to_be_bytes());
    attest.extend_from_slice(&0x000b_u16.to_be_bytes());
    attest.extend_from_slice(&[3, 0, 0b0011_1000, 0]);
    attest.extend_from_slice(&[0, 32]);
    attest.extend_from_slice(&values.finalize());
    let signature: Signature = ak.sign(&attest);
    Evidence {
        attest: STANDARD.encode(&attest),
        signature: STANDARD.encode(signature.to_bytes()),
        pcrs,
        event_log,
    }
}

pub(super) fn add_person(id: &str, role: Role) -> AddPerson {
    AddPerson {
        person: person(id),
        name: id.to_owned(),
        lang: Lang::En,
        roles: vec![role],
    }
}

pub(super) fn add_terminal(id: &str, class: TerminalClass) -> AddTerminal {
    AddTerminal {
        terminal: terminal(id),
        class,
        ssh_key: Some(format!("ssh-ed25519 AAAA{id} comment")),
        certificate_spki: Some(Digest::of(id.as_bytes())),
        people: Vec::new(),
    }
}

pub(super) fn dataset() -> RegisterDataset {
    let table = |name: &str, columns: &[&str]| TableCatalog {
        name: name.to_owned(),
        description: Text::default(),
        person_key: Some("person_id".to_owned()),
        columns: columns
            .iter()
            .map(|name| ColumnCatalog {
                name: (*name).to_owned(),
                sql_type: "text".to_owned(),
                role: ColumnRole::Value,
                description: Text::default(),
            })
            .collect(),
        files: Vec::new(),
        rows: 0,
    };
    let id = DatasetId::new("sample").unwrap();
    RegisterDataset {
        catalog: DatasetCatalog {
            id: id.clone(),
            version: 1,
            title: Text::default(),
            description: Text::default(),
            tables: vec![
                table(
                    "patients",
                    &["person_id", "sex", "birth_year", "prefecture", "ward"],
                ),
                table(
                    "admissions",
                    &[
                        "person_id",
                        "admitted",
                        "discharged",
                        "icd10",
                        "disease_name",
                    ],
                ),
                table("drugs", &["person_id", "yj_code"]),
            ],
        },
        keys: vec![
            wrapped(&id, Recipient::Server(server("a1"))),
            wrapped(&id, Recipient::Recovery),
        ],
    }
}

pub(super) fn wrapped(dataset: &DatasetId, recipient: Recipient) -> WrappedKey {
    WrappedKey {
        dataset: dataset.clone(),
        version: 1,
        recipient,
        enc: STANDARD.encode([4; 65]),
        ciphertext: STANDARD.encode([5; 48]),
    }
}

pub(super) fn open(who: &str, at: &str) -> OpenSession {
    OpenSession {
        person: person(who),
        terminal: terminal(at),
        agreement: None,
        address: "127.0.0.1".to_owned(),
        view: View::Console,
        factors: vec![Factor::Biometric, Factor::Token, Factor::Terminal],
    }
}

pub(super) fn opened(service: &Service) -> OpenedSession {
    service
        .open_session(&Peer::Gateway, open("sato", "t1"), NOON)
        .unwrap()
}

/// A deployment with everything in it.
pub(super) fn full() -> (tempfile::TempDir, Bench, Service) {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::at(dir.path());
    let service = bench.start().unwrap();
    bench.fill(&service);
    (dir, bench, service)
}
