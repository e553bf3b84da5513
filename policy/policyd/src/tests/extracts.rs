//! An agreement's own extract: who reads it, what it must be, and that its keys end with the agreement.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kekkai_policy_api::{
    EndAgreement, Event, ListState, RecordEnquiry, RegisterAgreement, RegisterExtract, SessionTerms,
};
use kekkai_types::{AgreementId, DatasetId, Digest, Peer, Recipient, Refusal, WrappedKey};

use super::bench::*;
use crate::{Service, Store};

const ID: &str = "stroke-2026.sample";

/// A key that is found again wherever it stands.
fn key(id: &str, version: u32, byte: u8) -> WrappedKey {
    WrappedKey {
        dataset: DatasetId::new(id).unwrap(),
        version,
        recipient: Recipient::Server(server("a1")),
        enc: STANDARD.encode([4; 65]),
        ciphertext: STANDARD.encode([byte; 48]),
    }
}

/// What the example's agreement grants of the bench's dataset.
pub(super) fn own(version: u32, byte: u8) -> RegisterExtract {
    let whole = dataset().catalog;
    let of_digest = Digest::of(&serde_json::to_vec(&whole).unwrap());
    let mut catalog = whole.clone();
    catalog.id = DatasetId::new(ID).unwrap();
    catalog.version = version;
    catalog.tables.retain(|table| table.name != "drugs");
    catalog.tables[0].columns.retain(|c| c.name != "ward");
    RegisterExtract {
        agreement: agreement(),
        of: (whole.id, 1),
        of_digest,
        catalog,
        keys: vec![key(ID, version, byte)],
    }
}

fn register(service: &Service, call: RegisterExtract) -> Result<(), String> {
    service
        .register_extract(&admin(), call, NOON)
        .map_err(|refusal| refusal.code)
}

fn end(service: &Service) {
    let call = EndAgreement {
        agreement: agreement(),
        reason: "the study is over".to_owned(),
    };
    service.end_agreement(&admin(), call, NOON).unwrap();
}

fn other_agreement() -> AgreementId {
    AgreementId::new("other").unwrap()
}

fn register_other(service: &Service) {
    let toml = AGREEMENT.replace("id = \"stroke-2026\"", "id = \"other\"");
    service
        .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
        .unwrap();
}

/// A session under an agreement, and what its server gets.
fn terms(
    bench: &Bench,
    service: &Service,
    agreement: &AgreementId,
) -> Result<SessionTerms, Refusal> {
    let mut asked = open("sato", "t1");
    asked.agreement = Some(agreement.clone());
    let session = service.open_session(&Peer::Gateway, asked, NOON)?.session;
    bench.release(service, &session, NOON)
}

/// How many of the service's files hold the bytes of a wrapped key.
fn files_with(dir: &Path, byte: u8) -> usize {
    let text = STANDARD.encode([byte; 48]);
    let mut found = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += files_with(&path, byte);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let has = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            found += usize::from(has);
        }
    }
    found
}

#[test]
fn only_its_own_agreements_sessions_get_an_extracts_key() {
    let (_dir, bench, service) = full();
    register_other(&service);
    let before = terms(&bench, &service, &agreement()).unwrap();
    assert_eq!(before.datasets[0].catalog.id.as_str(), "sample");
    register(&service, own(1, 6)).unwrap();
    for _ in 0..2 {
        let own = terms(&bench, &service, &agreement()).unwrap();
        assert_eq!(own.datasets.len(), 1);
        assert_eq!(own.datasets[0].catalog.id.as_str(), ID);
        assert_eq!(own.datasets[0].key, key(ID, 1, 6));
        let others = terms(&bench, &service, &other_agreement()).unwrap();
        assert_eq!(others.datasets[0].catalog.id.as_str(), "sample");
        assert_eq!(others.datasets[0].key.ciphertext, STANDARD.encode([5; 48]));
        // The same again changes nothing.
        let entries = bench.entries().len();
        register(&service, own_again()).unwrap();
        assert_eq!(bench.entries().len(), entries);
    }
    // An agreement that names the extract as if it were a dataset gets nothing.
    let toml = AGREEMENT
        .replace("id = \"stroke-2026\"", "id = \"thief\"")
        .replace("dataset = \"sample\"", &format!("dataset = \"{ID}\""));
    service
        .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
        .unwrap();
    let thief = AgreementId::new("thief").unwrap();
    let refused = terms(&bench, &service, &thief).unwrap_err();
    assert_eq!(refused.code, "terms-not-grantable");
    // After a restart, too.
    drop(service);
    let service = bench.start().unwrap();
    let own = terms(&bench, &service, &agreement()).unwrap();
    assert_eq!(own.datasets[0].key, key(ID, 1, 6));
}

fn own_again() -> RegisterExtract {
    own(1, 6)
}

#[test]
fn an_extract_that_is_not_as_agreed_is_refused() {
    type Change = dyn Fn(&mut RegisterExtract);
    let (_dir, bench, service) = full();
    register_other(&service);
    let before = bench.entries().len();
    let try_with = |change: &Change| {
        let mut call = own(1, 6);
        change(&mut call);
        register(&service, call).unwrap_err()
    };
    let cases: [(&str, &Change); 14] = [
        ("not-found", &|c| {
            c.agreement = AgreementId::new("nobody").unwrap()
        }),
        ("not-found", &|c| c.of.1 = 2),
        ("extract-of-another-dataset", &|c| {
            c.of_digest = Digest::of(b"another catalogue");
        }),
        ("catalog-malformed", &|c| {
            c.catalog.tables.push(c.catalog.tables[0].clone());
        }),
        ("extract-not-as-agreed", &|c| {
            c.catalog.tables.push(dataset().catalog.tables[2].clone());
        }),
        ("extract-not-as-agreed", &|c| {
            c.catalog.tables[0] = dataset().catalog.tables[0].clone();
        }),
        ("extract-not-as-agreed", &|c| {
            c.catalog.tables.remove(1);
        }),
        ("extract-not-as-agreed", &|c| {
            c.catalog.tables[0].columns.pop();
        }),
        ("extract-not-as-agreed", &|c| {
            c.catalog.tables[0].columns[1].sql_type = "bigint".to_owned();
        }),
        ("extract-not-as-agreed", &|c| {
            c.catalog.tables[0].person_key = None;
        }),
        ("no-key-for-a-server", &|c| c.keys.clear()),
        ("extract-key-for-servers-only", &|c| {
            let recipient = Recipient::Recovery;
            c.keys.push(WrappedKey {
                recipient,
                ..key(ID, 1, 6)
            });
        }),
        ("wrapped-key-malformed", &|c| {
            c.keys[0] = key("sample", 1, 6)
        }),
        ("extract-id-in-use", &|c| {
            c.catalog.id = DatasetId::new("sample").unwrap();
            c.keys = vec![key("sample", 1, 6)];
        }),
    ];
    for (at, (code, change)) in cases.into_iter().enumerate() {
        assert_eq!(try_with(change), code, "case {at}");
    }
    assert_eq!(bench.entries().len(), before, "nothing was recorded");
    assert_eq!(files_with(&bench.dir, 6), 0);
    // Control; and then nobody else may have its id, and no version comes back.
    register(&service, own(2, 6)).unwrap();
    assert_eq!(
        register(&service, own(2, 7)).unwrap_err(),
        "extract-version-exists"
    );
    assert_eq!(
        register(&service, own(1, 6)).unwrap_err(),
        "extract-version-exists"
    );
    let mut call = own(3, 7);
    call.agreement = other_agreement();
    assert_eq!(register(&service, call).unwrap_err(), "extract-id-in-use");
    let mut call = dataset();
    call.catalog.id = DatasetId::new(ID).unwrap();
    call.keys = vec![key(ID, 1, 5)];
    let refused = service.register_dataset(&admin(), call, NOON).unwrap_err();
    assert_eq!(refused.code, "dataset-id-in-use");
    end(&service);
    assert_eq!(
        register(&service, own(3, 7)).unwrap_err(),
        "agreement-ended"
    );
}

#[test]
fn the_end_of_an_agreement_destroys_its_keys_and_the_ledger_certifies_it() {
    let (_dir, bench, service) = full();
    register_other(&service);
    register(&service, own(1, 6)).unwrap();
    let running = opened_under(&service, &agreement());
    assert!(
        files_with(&bench.dir, 6) > 0,
        "control: the key is found where it is"
    );
    end(&service);
    // While the service runs, with its database open.
    assert_eq!(files_with(&bench.dir, 6), 0, "no byte of it is left");
    let certificates = certificates(&bench);
    let wrapped = serde_json::to_vec(&key(ID, 1, 6)).unwrap();
    assert_eq!(
        certificates,
        [Event::ExtractKeysDestroyed {
            agreement: agreement(),
            extract: DatasetId::new(ID).unwrap(),
            version: 1,
            keys: vec![Digest::of(&wrapped)],
        }]
    );
    let events = bench.events();
    let at = |name: &str| events.iter().position(|event| event == name).unwrap();
    assert!(at("agreement-ended") < at("extract-keys-destroyed"));
    // Neither the session that ran nor a new one gets a key.
    assert!(bench.release(&service, &running, NOON).is_err());
    assert!(terms(&bench, &service, &agreement()).is_err());
    // Others go on, and the dataset's key is theirs.
    let others = terms(&bench, &service, &other_agreement()).unwrap();
    assert_eq!(others.datasets[0].key.ciphertext, STANDARD.encode([5; 48]));
    drop(service);
    // Nothing brings them back: no restart, no repetition.
    let service = bench.start().unwrap();
    end(&service);
    assert_eq!(self::certificates(&bench), certificates);
    let state = service.list_state(&admin(), &ListState {}, NOON).unwrap();
    assert_eq!(state.extracts, []);
    let store = Store::open(&bench.dir).unwrap();
    let recipient = Recipient::Server(server("a1"));
    let id = DatasetId::new(ID).unwrap();
    assert!(store.extract_key(&id, 1, &recipient).unwrap().is_none());
    assert_eq!(files_with(&bench.dir, 6), 0);
}

fn opened_under(service: &Service, agreement: &AgreementId) -> kekkai_types::SessionId {
    let mut asked = open("sato", "t1");
    asked.agreement = Some(agreement.clone());
    let opened = service.open_session(&Peer::Gateway, asked, NOON);
    opened.unwrap().session
}

pub(super) fn certificates(bench: &Bench) -> Vec<Event> {
    bench
        .entries()
        .into_iter()
        .map(|entry| entry.event)
        .filter(|event| matches!(event, Event::ExtractKeysDestroyed { .. }))
        .collect()
}

#[test]
fn the_next_extract_takes_the_place_of_the_last_whose_keys_are_destroyed() {
    let (_dir, bench, service) = full();
    register(&service, own(1, 6)).unwrap();
    register(&service, own(2, 7)).unwrap();
    let now = terms(&bench, &service, &agreement()).unwrap();
    assert_eq!(now.datasets[0].key, key(ID, 2, 7));
    assert_eq!(
        (files_with(&bench.dir, 6), certificates(&bench).len()),
        (0, 1)
    );
    assert!(files_with(&bench.dir, 7) > 0);
    end(&service);
    assert_eq!(
        (files_with(&bench.dir, 7), certificates(&bench).len()),
        (0, 2)
    );
}

#[test]
fn a_reader_of_the_database_puts_the_certificate_off_and_not_the_end() {
    let (_dir, bench, service) = full();
    register(&service, own(1, 6)).unwrap();
    // Somebody reads the database meanwhile: its log can't be emptied.
    let reader = rusqlite::Connection::open(bench.dir.join("policy.sqlite")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let held: i64 = reader
        .query_row("SELECT count(*) FROM extract_key", [], |row| row.get(0))
        .unwrap();
    assert_eq!(held, 1);
    let call = EndAgreement {
        agreement: agreement(),
        reason: "over".to_owned(),
    };
    let refused = service.end_agreement(&admin(), call, NOON).unwrap_err();
    assert_eq!(refused.code, "state-unavailable");
    assert!(
        certificates(&bench).is_empty(),
        "not certified before it is true"
    );
    assert!(
        terms(&bench, &service, &agreement()).is_err(),
        "ended all the same"
    );
    reader.execute_batch("ROLLBACK").unwrap();
    drop(reader);
    end(&service);
    assert_eq!(
        (files_with(&bench.dir, 6), certificates(&bench).len()),
        (0, 1)
    );
}

#[test]
fn an_enquiry_names_the_extract_and_its_reason_and_holds_no_pseudonym() {
    let (_dir, bench, service) = full();
    register(&service, own(1, 6)).unwrap();
    let enquiry = |extract: &str, reason: &str| {
        let call = RecordEnquiry {
            extract: DatasetId::new(extract).unwrap(),
            pseudonym: Digest::of(b"4611686018427387904"),
            reason: reason.to_owned(),
        };
        let recorded = service.record_enquiry(&admin(), call, NOON);
        recorded.map(|r| r.index).map_err(|refusal| refusal.code)
    };
    assert_eq!(enquiry("sample", "why"), Err("not-found".to_owned()));
    assert_eq!(enquiry(ID, " "), Err("reason-not-allowed".to_owned()));
    end(&service);
    // Ministries ask afterwards, too.
    let index = enquiry(ID, "enquiry 12 of the ministry").unwrap();
    let entries = bench.entries();
    let entry = &entries[usize::try_from(index).unwrap()];
    assert!(matches!(
        &entry.event,
        Event::EnquiryRecorded { agreement: whose, by, .. }
            if *whose == agreement() && *by == person("kato")
    ));
    assert!(
        !serde_json::to_string(entry)
            .unwrap()
            .contains("4611686018427387904")
    );
}

#[test]
fn a_database_of_the_build_before_extracts_is_taken_over() {
    let (_dir, bench, service) = full();
    drop(service);
    let db = rusqlite::Connection::open(bench.dir.join("policy.sqlite")).unwrap();
    db.execute_batch("DROP TABLE extract_key; DROP TABLE extract; PRAGMA user_version = 1;")
        .unwrap();
    drop(db);
    let service = bench.start().unwrap();
    register(&service, own(1, 6)).unwrap();
    assert_eq!(
        terms(&bench, &service, &agreement()).unwrap().datasets[0].key,
        key(ID, 1, 6)
    );
}
