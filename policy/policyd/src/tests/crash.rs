//! `kill -9` at the worst moments of every call that changes something: no effect without its entry.
//!
//! The parent starts this test binary again as a child, with a place to die at; the child makes one
//! change and dies there; the parent starts the service over what is left and looks.

use std::path::Path;
use std::process::Command;

use kekkai_policy_api::{
    AddHandler, AddReference, CloseSession, EndAgreement, EndReason, ExpectServer, ListState,
    LookUpPerson, LookUpTerminal, RegisterAgreement, RemoveHandler, RevokeTerminal, StateSummary,
    WithdrawReference,
};
use kekkai_types::{Peer, Role, TerminalClass};

use super::bench::*;
use super::extracts::{certificates, own};
use crate::Service;
use crate::failpoint::DIE_AT;

/// What the child does, and the entry that must come before it.
const CHANGES: [(&str, &str); 16] = [
    ("add-person", "person-registered"),
    ("add-terminal", "terminal-registered"),
    ("revoke-terminal", "terminal-revoked"),
    ("add-handler", "handler-added"),
    ("remove-handler", "handler-removed"),
    ("register-agreement", "agreement-registered"),
    ("end-agreement", "agreement-ended"),
    ("register-dataset", "dataset-registered"),
    ("register-extract", "extract-registered"),
    ("end-agreement-with-keys", "agreement-ended"),
    ("expect-server", "server-expected"),
    ("add-reference", "reference-added"),
    ("withdraw-reference", "reference-withdrawn"),
    ("open-session", "session-opened"),
    ("close-session", "session-ended"),
    ("release-keys", "keys-released"),
];

fn change(bench: &Bench, service: &Service, name: &str) {
    let session = matches!(name, "close-session" | "release-keys").then(|| opened(service).session);
    if name == "end-agreement-with-keys" {
        service.register_extract(&admin(), own(1, 6), NOON).unwrap();
    }
    // From here on the process may die; what came before is the ground it stands on.
    let place = std::env::var("KEKKAI_TEST_DIE").unwrap();
    DIE_AT.with(|die_at| *die_at.borrow_mut() = Some(place));
    let person_id = person("takahashi");
    match name {
        "add-person" => service.add_person(&admin(), add_person("new", Role::Auditor), NOON),
        "add-terminal" => {
            service.add_terminal(&admin(), add_terminal("new", TerminalClass::Vdi), NOON)
        }
        "revoke-terminal" => service.revoke_terminal(
            &admin(),
            RevokeTerminal {
                terminal: terminal("t1"),
            },
            NOON,
        ),
        "add-handler" => {
            let call = AddHandler {
                agreement: agreement(),
                person: person_id,
            };
            service.add_handler(&admin(), call, NOON)
        }
        "remove-handler" => {
            let call = RemoveHandler {
                agreement: agreement(),
                person: person("sato"),
            };
            service.remove_handler(&admin(), call, NOON)
        }
        "register-agreement" => {
            let toml = AGREEMENT.replace("id = \"stroke-2026\"", "id = \"new\"");
            service
                .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
                .map(|_| ())
        }
        "register-extract" => service.register_extract(&admin(), own(1, 6), NOON),
        "end-agreement" | "end-agreement-with-keys" => {
            let call = EndAgreement {
                agreement: agreement(),
                reason: "x".to_owned(),
            };
            service.end_agreement(&admin(), call, NOON)
        }
        "register-dataset" => {
            let mut call = dataset();
            call.catalog.version = 2;
            call.keys.iter_mut().for_each(|key| key.version = 2);
            service.register_dataset(&admin(), call, NOON)
        }
        "expect-server" => service.expect_server(
            &admin(),
            ExpectServer {
                server: server("new"),
            },
            NOON,
        ),
        "add-reference" => {
            let reference = bench.reference("new");
            service
                .add_reference(&admin(), AddReference { reference }, NOON)
                .map(|_| ())
        }
        "withdraw-reference" => {
            let reference = bench.reference("r1").digest();
            service.withdraw_reference(&admin(), &WithdrawReference { reference }, NOON)
        }
        "open-session" => service
            .open_session(&Peer::Gateway, open("sato", "t1"), NOON)
            .map(|_| ()),
        "close-session" => {
            let call = CloseSession {
                session: session.unwrap(),
                reason: EndReason::Idle,
            };
            service.close_session(&Peer::Gateway, call, NOON)
        }
        "release-keys" => bench.release(service, &session.unwrap(), NOON).map(|_| ()),
        other => panic!("{other}"),
    }
    .unwrap();
    panic!("it should have died");
}

/// Only as a child of the test below; by itself it does nothing.
#[test]
fn child_that_dies() {
    let (Ok(name), Ok(dir)) = (
        std::env::var("KEKKAI_TEST_CHANGE"),
        std::env::var("KEKKAI_TEST_DIR"),
    ) else {
        return;
    };
    let bench = Bench::at(Path::new(&dir));
    let service = bench.start().unwrap();
    change(&bench, &service, &name);
}

/// What the state shows of a change.
fn seen(bench: &Bench, service: &Service, name: &str, before: &StateSummary) -> bool {
    let now = service.list_state(&admin(), &ListState {}, NOON).unwrap();
    match name {
        "add-person" => {
            let call = LookUpPerson {
                person: person("new"),
            };
            service.look_up_person(&call, NOON).unwrap().is_some()
        }
        "add-terminal" => {
            let call = LookUpTerminal::Id(terminal("new"));
            service.look_up_terminal(&call, NOON).unwrap().is_some()
        }
        "revoke-terminal" => {
            let call = LookUpTerminal::Id(terminal("t1"));
            service.look_up_terminal(&call, NOON).unwrap().is_none()
        }
        "add-handler" | "remove-handler" => {
            let who = if name == "add-handler" {
                "takahashi"
            } else {
                "sato"
            };
            let call = LookUpPerson {
                person: person(who),
            };
            let on = !service
                .look_up_person(&call, NOON)
                .unwrap()
                .unwrap()
                .agreements
                .is_empty();
            on == (name == "add-handler")
        }
        "register-agreement" | "end-agreement" => now.agreements != before.agreements,
        // Ended: what the dead one left undone is done at the start.
        "end-agreement-with-keys" => {
            let ended = now.agreements != before.agreements;
            assert_eq!(now.extracts.is_empty(), ended);
            assert_eq!(certificates(bench).len(), usize::from(ended));
            let erased = crate::Store::open(&bench.dir).unwrap().erased_extracts();
            assert!(
                erased.unwrap().is_empty(),
                "all that is erased is certified"
            );
            ended
        }
        "register-extract" => now.extracts != before.extracts,
        "register-dataset" => now.datasets != before.datasets,
        "expect-server" => {
            let servers = crate::Store::open(&bench.dir).unwrap().servers().unwrap();
            servers
                .iter()
                .any(|(id, expected, _)| *id == server("new") && *expected)
        }
        "add-reference" | "withdraw-reference" => now.references != before.references,
        // Sessions do not outlive the process: none may be open whatever happened.
        "open-session" | "close-session" | "release-keys" => {
            assert_eq!(now.sessions, 0);
            false
        }
        other => panic!("{other}"),
    }
}

#[test]
fn killed_between_entry_and_effect_no_change_lacks_its_entry() {
    let this = std::env::current_exe().unwrap();
    for (name, entry) in CHANGES {
        for place in ["recorded", "effected"] {
            let dir = tempfile::tempdir().unwrap();
            let bench = Bench::at(dir.path());
            let before = {
                let service = bench.start().unwrap();
                bench.fill(&service);
                service.list_state(&admin(), &ListState {}, NOON).unwrap()
            };
            let entries = bench.entries().len();
            let child = Command::new(&this)
                .args([
                    "--exact",
                    "tests::crash::child_that_dies",
                    "--test-threads=1",
                ])
                .env("KEKKAI_TEST_CHANGE", name)
                .env("KEKKAI_TEST_DIR", dir.path())
                .env("KEKKAI_TEST_DIE", place)
                .output()
                .unwrap();
            use std::os::unix::process::ExitStatusExt as _;
            assert_eq!(child.status.signal(), Some(9), "{name} {place}: {child:?}");

            let events = bench.events();
            assert_eq!(
                events.last().map(String::as_str),
                Some(entry),
                "{name} {place}"
            );
            assert!(events.len() > entries);
            let service = bench.start().unwrap();
            let expected =
                place == "effected" && !name.ends_with("-session") && name != "release-keys";
            assert_eq!(
                seen(&bench, &service, name, &before),
                expected,
                "{name} {place}"
            );
            // It goes on as if nothing had been: a session opens and gets its keys, where it may.
            if !matches!(
                (name, expected),
                (
                    "revoke-terminal"
                        | "remove-handler"
                        | "end-agreement"
                        | "end-agreement-with-keys"
                        | "withdraw-reference",
                    true
                )
            ) {
                let mut asked = open("sato", "t1");
                asked.agreement = Some(agreement());
                let session = service
                    .open_session(&Peer::Gateway, asked, NOON)
                    .unwrap()
                    .session;
                bench.release(&service, &session, NOON).unwrap();
            }
        }
    }
}
