//! The calls in the order of a deployment's life, and what each leaves in the ledger.

use std::collections::BTreeSet;

use kekkai_policy_api::{Action, Factor, OutputKind};
use kekkai_policy_api::{
    AddHandler, CloseSession, Decide, Decided, EndAgreement, EndReason, Enrolments, Event,
    ExpectServer, LeaseState, ListState, LookUpPerson, LookUpTerminal, Record, RegisterAgreement,
    RemoveHandler, RenewLeases, Resource, RevokeTerminal, WithdrawReference,
};
use kekkai_types::{Digest, DisplayClass, JobId, OutputId, Peer, Role, TerminalClass};

use super::bench::*;

#[test]
fn session_gets_the_agreed_tables_and_columns_and_nothing_else() {
    let (_dir, bench, service) = full();
    let session = opened(&service);
    assert_eq!(session.agreement, agreement());
    let terms = bench.release(&service, &session.session, NOON).unwrap();
    assert_eq!(terms.person, person("sato"));
    assert_eq!(terms.display, DisplayClass::Console);
    assert_eq!(terms.threshold, 10);
    let programs = terms.programs.as_ref().unwrap();
    assert!(programs.python && programs.rows);
    assert_eq!(programs.tools, ["riskratio"]);
    assert_eq!(programs.time_limit_s, 600);
    assert_eq!(terms.reference.label, "r1");
    let [granted] = terms.datasets.as_slice() else {
        panic!("one dataset")
    };
    assert_eq!(
        granted.tables.keys().collect::<Vec<_>>(),
        ["admissions", "patients"]
    );
    assert!(
        granted
            .catalog
            .tables
            .iter()
            .all(|table| table.name != "drugs")
    );
    assert!(
        !granted.tables["patients"]
            .columns
            .contains(&"ward".to_owned())
    );
    assert!(!serde_json::to_string(&terms).unwrap().contains("ward"));
    assert_eq!(
        granted.key,
        wrapped(&granted.catalog.id, granted.key.recipient.clone())
    );
}

/// Each kind of event that this service writes is written by some call of this test: one that a later
/// version forgets is missing from the ledger.
#[test]
fn every_change_is_in_the_ledger_under_its_own_name() {
    let (_dir, bench, service) = full();
    let gateway = Peer::Gateway;
    let session = opened(&service).session;
    service
        .open_session(&gateway, open("nobody", "t1"), NOON)
        .unwrap_err();
    bench.release(&service, &session, NOON).unwrap();
    bench.release(&service, &session, NOON).unwrap_err();
    let decide = |person_id: &str, terminal_id: &str, action, resource| {
        let call = Decide {
            person: person(person_id),
            terminal: terminal(terminal_id),
            action,
            resource,
        };
        service.decide(&gateway, call, NOON).unwrap()
    };
    let size = |service: &crate::Service| {
        service
            .list_state(&admin(), &ListState {}, NOON)
            .unwrap()
            .ledger_size
    };
    let before = size(&service);
    assert_eq!(
        decide("mori", "t2", Action::SeeQueue, Resource::Queue),
        Decided::Allowed
    );
    assert_eq!(
        size(&service),
        before,
        "looking at the queue is not recorded"
    );
    let output = Resource::Output {
        output: OutputId::new("o1").unwrap(),
        agreement: agreement(),
        author: person("sato"),
    };
    assert_eq!(
        decide("mori", "t2", Action::Vote, output.clone()),
        Decided::Allowed
    );
    assert_eq!(
        decide("sato", "t2", Action::Vote, output),
        Decided::Refused(EndReason::RoleNotAllowed)
    );
    assert_eq!(size(&service), before + 2);

    let handler = (agreement(), person("takahashi"));
    let (agreement_id, person_id) = handler.clone();
    let add = AddHandler {
        agreement: agreement_id,
        person: person_id,
    };
    service.add_handler(&admin(), add, NOON).unwrap();
    let (agreement_id, person_id) = handler;
    let remove = RemoveHandler {
        agreement: agreement_id,
        person: person_id,
    };
    service.remove_handler(&admin(), remove, NOON).unwrap();
    service
        .expect_server(
            &admin(),
            ExpectServer {
                server: server("a2"),
            },
            NOON,
        )
        .unwrap();
    assert_eq!(
        service.enrolments(&admin(), &Enrolments {}, NOON).unwrap(),
        [bench.enrolled()]
    );
    let reference = bench.reference("r1").digest();
    service
        .withdraw_reference(&admin(), &WithdrawReference { reference }, NOON)
        .unwrap();
    service
        .revoke_terminal(
            &admin(),
            RevokeTerminal {
                terminal: terminal("t1"),
            },
            NOON,
        )
        .unwrap();
    let end = EndAgreement {
        agreement: agreement(),
        reason: "the end".to_owned(),
    };
    service.end_agreement(&admin(), end, NOON).unwrap();
    let close = CloseSession {
        session,
        reason: EndReason::ClosedByUser,
    };
    service
        .close_session(&gateway, close.clone(), NOON)
        .unwrap();
    service.close_session(&gateway, close, NOON).unwrap();
    service.stop(NOON).unwrap();

    let written: BTreeSet<String> = bench.events().into_iter().collect();
    for name in [
        "service-started",
        "person-registered",
        "terminal-registered",
        "dataset-registered",
        "agreement-registered",
        "reference-added",
        "session-opened",
        "session-refused",
        "keys-released",
        "keys-refused",
        "decided",
        "handler-added",
        "handler-removed",
        "server-expected",
        "reference-withdrawn",
        "terminal-revoked",
        "agreement-ended",
        "session-ended",
        "service-stopped",
    ] {
        assert!(written.contains(name), "{name}");
    }
    let ended = bench
        .events()
        .iter()
        .filter(|name| *name == "session-ended")
        .count();
    assert_eq!(ended, 1, "a session ends once");
}

#[test]
fn repeated_registration_changes_nothing() {
    let (_dir, bench, service) = full();
    let remove = RemoveHandler {
        agreement: agreement(),
        person: person("suzuki"),
    };
    service.remove_handler(&admin(), remove, NOON).unwrap();
    let before = bench.events().len();
    service.register_dataset(&admin(), dataset(), NOON).unwrap();
    let toml = AGREEMENT.to_owned();
    service
        .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
        .unwrap();
    assert_eq!(bench.events().len(), before);
    let refused = service
        .open_session(&Peer::Gateway, open("suzuki", "t1"), NOON)
        .unwrap_err();
    assert_eq!(
        refused.code, "no-agreement",
        "the same text does not bring a removed handler back"
    );
}

#[test]
fn everything_is_known_again_after_a_restart_but_sessions_are_over() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let before = service.list_state(&admin(), &ListState {}, NOON).unwrap();
    assert_eq!(before.sessions, 1);
    drop(service);
    let service = bench.start().unwrap();
    let after = service.list_state(&admin(), &ListState {}, NOON).unwrap();
    assert_eq!(after.sessions, 0);
    assert_eq!(after.agreements, before.agreements);
    assert_eq!(after.people, before.people);
    assert_eq!(after.terminals, before.terminals);
    assert_eq!(after.datasets, before.datasets);
    assert_eq!(after.references, before.references);
    let renew = RenewLeases {
        sessions: vec![session.clone()],
    };
    let answer = service.renew_leases(&Peer::Gateway, renew, NOON).unwrap();
    assert_eq!(
        answer[&session],
        LeaseState::Ended(EndReason::ServiceUnavailable)
    );
    assert!(bench.events().contains(&"session-ended".to_owned()));
}

#[test]
fn agreement_that_names_what_is_not_there_is_refused_with_its_place() {
    let (_dir, _bench, service) = full();
    let register = |from: &str, to: &str| {
        let toml = AGREEMENT.replacen(from, to, 1);
        service
            .register_agreement(&admin(), RegisterAgreement { toml }, NOON)
            .unwrap_err()
    };
    for (from, to, part) in [
        (
            "\"birth_year\"",
            "\"birthday\"",
            "line 52, column 32: table \"patients\" has no column",
        ),
        (
            "name = \"patients\"",
            "name = \"patient\"",
            "line 50, column 8: dataset \"sample\"",
        ),
        (
            "\"suzuki\"",
            "\"nobody\"",
            "nobody is registered as \"nobody\"",
        ),
    ] {
        let refusal = register(from, to);
        assert_eq!(refusal.code, "agreement-malformed");
        assert!(refusal.detail.contains(part), "{refusal}");
    }
}

#[test]
fn ended_agreement_stays_ended() {
    let (_dir, _bench, service) = full();
    let end = EndAgreement {
        agreement: agreement(),
        reason: "the end".to_owned(),
    };
    service.end_agreement(&admin(), end, NOON).unwrap();
    let toml = format!("{AGREEMENT}# again\n");
    let refused = service.register_agreement(&admin(), RegisterAgreement { toml }, NOON);
    assert_eq!(refused.unwrap_err().code, "agreement-ended");
    let refused = service
        .open_session(&Peer::Gateway, open("sato", "t1"), NOON)
        .unwrap_err();
    assert_eq!(refused.code, "agreement-ended");
}

#[test]
fn only_operators_administer_once_there_is_one() {
    let (_dir, _bench, service) = full();
    let mori = Peer::Admin(person("mori"));
    let refused = service
        .add_person(&mori, add_person("x", Role::Operator), NOON)
        .unwrap_err();
    assert_eq!(refused.code, "role-not-allowed");
    let kato = add_person("kato", Role::Auditor);
    let refused = service.add_person(&admin(), kato, NOON).unwrap_err();
    assert_eq!(refused.code, "last-operator");
}

#[test]
fn revoked_terminal_stays_revoked_and_its_key_can_not_come_back() {
    let (_dir, _bench, service) = full();
    service
        .revoke_terminal(
            &admin(),
            RevokeTerminal {
                terminal: terminal("t1"),
            },
            NOON,
        )
        .unwrap();
    let again = add_terminal("t1", TerminalClass::Console);
    assert_eq!(
        service
            .add_terminal(&admin(), again, NOON)
            .unwrap_err()
            .code,
        "terminal-revoked"
    );
    let mut other = add_terminal("t9", TerminalClass::Console);
    other.ssh_key = add_terminal("t1", TerminalClass::Console).ssh_key;
    assert_eq!(
        service
            .add_terminal(&admin(), other, NOON)
            .unwrap_err()
            .code,
        "terminal-key-in-use"
    );
    let key = LookUpTerminal::SshKey("ssh-ed25519 AAAAt1".to_owned());
    assert_eq!(service.look_up_terminal(&key, NOON).unwrap(), None);
    assert_eq!(
        service
            .look_up_terminal(&LookUpTerminal::Id(terminal("t1")), NOON)
            .unwrap(),
        None
    );
}

#[test]
fn people_and_terminals_are_found_by_what_they_show() {
    let (_dir, _bench, service) = full();
    let sato = LookUpPerson {
        person: person("sato"),
    };
    let known = service.look_up_person(&sato, NOON).unwrap().unwrap();
    assert_eq!(known.agreements, [agreement()]);
    assert_eq!(known.roles, [Role::Researcher]);
    let later = NOON.plus_ms(400 * 86_400_000);
    assert!(
        service
            .look_up_person(&sato, later)
            .unwrap()
            .unwrap()
            .agreements
            .is_empty()
    );
    let key = LookUpTerminal::SshKey("ssh-ed25519 AAAAt1".to_owned());
    let found = service.look_up_terminal(&key, NOON).unwrap().unwrap();
    assert_eq!(found.terminal, terminal("t1"));
    assert_eq!(found.certificate_spki, Some(Digest::of(b"t1")));
}

#[test]
fn service_says_only_what_it_alone_can_know() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    let query = Event::QueryStarted {
        session: session.clone(),
        job: JobId::new("1").unwrap(),
        sql: "SELECT 1".to_owned(),
    };
    let record = |from: &Peer, event: &Event| {
        service
            .record(
                from,
                Record {
                    event: event.clone(),
                },
                NOON,
            )
            .map_err(|r| r.code)
    };
    // Before this server has the session's keys, it runs nothing in it.
    assert_eq!(record(&analysis(), &query), Err("not-found".to_owned()));
    bench.release(&service, &session, NOON).unwrap();
    assert!(record(&analysis(), &query).is_ok());
    assert_eq!(
        record(&Peer::Analysis(server("a2")), &query),
        Err("not-found".to_owned())
    );
    assert_eq!(
        record(&Peer::Gateway, &query),
        Err("event-not-allowed".to_owned())
    );
    let launched = Event::SessionLaunched {
        session: session.clone(),
        server: server("a2"),
        layers: Vec::new(),
        waived: Vec::new(),
    };
    assert_eq!(
        record(&analysis(), &launched),
        Err("event-not-allowed".to_owned())
    );
    let accepted = Event::SignInAccepted {
        person: person("sato"),
        terminal: terminal("t1"),
        address: "127.0.0.1".to_owned(),
        factors: vec![Factor::Token],
    };
    assert!(record(&Peer::Gateway, &accepted).is_ok());
    for other in [analysis(), Peer::Review] {
        assert_eq!(
            record(&other, &accepted),
            Err("event-not-allowed".to_owned())
        );
    }
    let forged = Event::KeysReleased {
        session: session.clone(),
        server: server("a1"),
        datasets: Vec::new(),
        reference: Digest::of(b""),
        emulated: false,
    };
    for other in [Peer::Gateway, analysis(), Peer::Review] {
        assert_eq!(record(&other, &forged), Err("event-not-allowed".to_owned()));
    }
    let released = |reviewers: [&str; 2]| Event::OutputReleased {
        output: OutputId::new("o1").unwrap(),
        digest: Digest::of(b"o"),
        bundle: Digest::of(b"b"),
        reviewers: reviewers.map(person),
    };
    assert_eq!(
        record(&Peer::Review, &released(["mori", "mori"])),
        Err("same-reviewer-twice".to_owned())
    );
    assert!(record(&Peer::Review, &released(["mori", "kato"])).is_ok());
    let of_kind = |author: &str, kind| Event::OutputSubmitted {
        output: OutputId::new("o1").unwrap(),
        digest: Digest::of(b"o"),
        author: person(author),
        agreement: agreement(),
        session: session.clone(),
        kind,
    };
    let submitted = |author: &str| of_kind(author, Some(OutputKind::Table));
    // The agreement lets tables and plots out, and no model.
    for (kind, answer) in [
        (Some(OutputKind::Plot), Ok(())),
        (Some(OutputKind::Model), Err("output-kind".to_owned())),
        (None, Err("output-kind".to_owned())),
    ] {
        let said = record(&Peer::Review, &of_kind("sato", kind));
        assert_eq!(said.map(|_| ()), answer);
    }
    assert_eq!(
        record(&Peer::Review, &submitted("suzuki")),
        Err("not-found".to_owned())
    );
    assert!(record(&Peer::Review, &submitted("sato")).is_ok());
    let close = CloseSession {
        session: session.clone(),
        reason: EndReason::Idle,
    };
    service.close_session(&analysis(), close, NOON).unwrap();
    assert_eq!(record(&analysis(), &query), Err("session-ended".to_owned()));
}

#[test]
fn entry_that_the_ledger_can_not_hold_is_refused_alone() {
    let (_dir, bench, service) = full();
    let session = opened(&service).session;
    bench.release(&service, &session, NOON).unwrap();
    let event = Event::QueryStarted {
        session: session.clone(),
        job: JobId::new("1").unwrap(),
        sql: "x".repeat(kekkai_ledger::ENTRY_MAX),
    };
    let refused = service
        .record(&analysis(), Record { event }, NOON)
        .unwrap_err();
    assert_eq!(refused.code, "entry-too-large");
    let renew = RenewLeases {
        sessions: vec![session.clone()],
    };
    let answer = service.renew_leases(&analysis(), renew, NOON).unwrap();
    assert_eq!(answer[&session], LeaseState::Live);
}
