//! The golden table: every action, about everything, by every kind of person, at their terminals.
//!
//! `KEKKAI_GOLDEN=write cargo test -p kekkai-policy` writes it anew; read the difference before you
//! commit it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kekkai_policy::{
    Agreement, AgreementFacts, Decision, Facts, Lease, OpenRequest, Opening, PersonFacts,
    ServerFacts, SessionFacts, TerminalFacts, decide, decide_lease, decide_open,
};
use kekkai_policy_api::{Action, EndReason, Factor, Resource, View};
use kekkai_types::{
    AgreementId, Digest, OutputId, PersonId, Role, ServerId, SessionId, TerminalClass, TerminalId,
    Timestamp,
};

const EXAMPLE: &str = include_str!("../../../images/etc/agreement.example.toml");

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/decisions.txt");

/// A Tuesday afternoon within the period and the hours.
fn noon() -> Timestamp {
    at("2026-11-24T12:00:00+09:00")
}

fn golden() -> String {
    std::fs::read_to_string(GOLDEN).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn person(id: &str) -> PersonId {
    PersonId::new(id).unwrap()
}

fn agreement(id: &str) -> AgreementId {
    AgreementId::new(id).unwrap()
}

/// Who asks.
const ACTORS: [(&str, &[Role]); 12] = [
    ("author", &[Role::Researcher]),
    ("colleague", &[Role::Researcher]),
    ("outsider", &[Role::Researcher]),
    ("investigator", &[Role::PrincipalInvestigator]),
    ("other-investigator", &[Role::PrincipalInvestigator]),
    ("manager", &[Role::SecurityManager]),
    ("operator", &[Role::Operator]),
    ("reviewer", &[Role::Reviewer]),
    ("reviewing-colleague", &[Role::Reviewer, Role::Researcher]),
    ("auditor", &[Role::Auditor]),
    (
        "everything-else",
        &[Role::Operator, Role::Reviewer, Role::Auditor],
    ),
    ("nobody", &[]),
];

const TERMINALS: [(&str, TerminalClass, bool); 6] = [
    ("t-operator", TerminalClass::Operator, false),
    ("t-browser", TerminalClass::Browser, false),
    ("t-console", TerminalClass::Console, false),
    ("t-vdi", TerminalClass::Vdi, false),
    ("t-onsite", TerminalClass::Onsite, false),
    ("t-revoked", TerminalClass::Operator, true),
];

fn facts() -> Facts {
    let mut facts = Facts::default();
    for (id, roles) in ACTORS {
        // "nobody" is not registered.
        if id != "nobody" {
            let roles = roles.iter().copied().collect();
            facts.people.insert(person(id), PersonFacts { roles });
        }
    }
    for (id, class, revoked) in TERMINALS {
        let people = BTreeSet::new();
        let known = TerminalFacts {
            class,
            people,
            revoked,
        };
        facts.terminals.insert(TerminalId::new(id).unwrap(), known);
    }
    facts.terminals.insert(
        TerminalId::new("t-anothers").unwrap(),
        TerminalFacts {
            class: TerminalClass::Operator,
            people: [person("colleague")].into(),
            revoked: false,
        },
    );
    for (id, ended) in [("running", false), ("ended", true)] {
        let text = EXAMPLE
            .replace("id = \"stroke-2026\"", &format!("id = \"{id}\""))
            .replace("\"takahashi\"", "\"investigator\"")
            .replace("\"tanaka\"", "\"manager\"")
            .replace("\"sato\", \"suzuki\"", "\"author\"");
        let mut terms = Agreement::parse(&text).unwrap();
        terms.provision.own_tools = vec!["riskratio".to_owned()];
        let roster = ["author", "colleague", "reviewing-colleague"]
            .map(person)
            .into();
        facts.agreements.insert(
            agreement(id),
            AgreementFacts {
                terms,
                roster,
                ended,
            },
        );
    }
    facts
}

fn resources() -> Vec<(&'static str, Resource)> {
    let output = |agreement_id: &str, author: &str| Resource::Output {
        output: OutputId::new("o1").unwrap(),
        agreement: agreement(agreement_id),
        author: person(author),
    };
    let tool = |agreement_id: &str, name: &str, author: &str| Resource::Tool {
        tool: name.to_owned(),
        agreement: agreement(agreement_id),
        author: person(author),
    };
    let session_of = |agreement_id: &str, whose: &str| Resource::Session {
        session: SessionId::new("s1").unwrap(),
        agreement: agreement(agreement_id),
        person: person(whose),
    };
    vec![
        ("queue", Resource::Queue),
        ("tool", tool("running", "riskratio", "author")),
        ("tool-not-agreed", tool("running", "other", "author")),
        ("tool-of-reviewer", tool("running", "riskratio", "reviewer")),
        ("tool-ended", tool("ended", "riskratio", "author")),
        ("tool-unknown", tool("unknown", "riskratio", "author")),
        ("output", output("running", "author")),
        ("output-of-reviewer", output("running", "reviewer")),
        ("output-ended", output("ended", "author")),
        ("output-unknown", output("unknown", "author")),
        ("agreement", Resource::Agreement(agreement("running"))),
        ("agreement-ended", Resource::Agreement(agreement("ended"))),
        (
            "agreement-unknown",
            Resource::Agreement(agreement("unknown")),
        ),
        ("session", session_of("running", "author")),
        ("session-of-operator", session_of("running", "operator")),
        ("session-ended", session_of("ended", "author")),
        ("session-unknown", session_of("unknown", "author")),
        ("account", Resource::Account(person("author"))),
        ("account-of-operator", Resource::Account(person("operator"))),
        ("account-unknown", Resource::Account(person("nobody"))),
    ]
}

/// The names of all actions, as serde knows them: a new one appears here by itself.
fn action_names() -> Vec<String> {
    variants(
        &serde_json::from_str::<Action>("\"?\"")
            .unwrap_err()
            .to_string(),
    )
}

fn variants(message: &str) -> Vec<String> {
    let list = message.split_once("expected one of ").unwrap().1;
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(ToOwned::to_owned)
        .collect()
}

fn action(name: &str) -> Action {
    serde_json::from_str(&format!("\"{name}\"")).unwrap()
}

/// Where an action belongs: so that the answer is about the person.
fn usual_terminal(action: &str) -> &'static str {
    match action {
        "see-outputs" | "fetch-release" => "t-browser",
        "bring-tool" => "t-vdi",
        _ => "t-operator",
    }
}

fn show(decision: Decision) -> String {
    match decision {
        Decision::Allow(obligations) if obligations.record => "allowed, recorded".to_owned(),
        Decision::Allow(_) => "allowed".to_owned(),
        Decision::Refuse(reason) => serde_json::to_value(reason)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned(),
    }
}

fn table() -> String {
    let facts = facts();
    let mut text = "# action | resource | person @ terminal | answer\n".to_owned();
    let mut line = |name: &str, resource: &str, who: &str, terminal: &str, answer: Decision| {
        writeln!(
            text,
            "{name} | {resource} | {who} @ {terminal} | {}",
            show(answer)
        )
        .unwrap();
    };
    for name in action_names() {
        for (about, resource) in resources() {
            for (who, _) in ACTORS {
                let terminal = usual_terminal(&name);
                let place = TerminalId::new(terminal).unwrap();
                let answer = decide(&facts, &person(who), &place, action(&name), &resource);
                line(&name, about, who, terminal, answer);
            }
        }
    }
    // Whatever is allowed at the usual terminal, at every other.
    let others = [
        "t-operator",
        "t-browser",
        "t-console",
        "t-vdi",
        "t-onsite",
        "t-revoked",
        "t-anothers",
        "t-unknown",
    ];
    for name in action_names() {
        for (about, resource) in resources() {
            for (who, _) in ACTORS {
                let own = usual_terminal(&name);
                let ask = |terminal: &str| {
                    let place = TerminalId::new(terminal).unwrap();
                    decide(&facts, &person(who), &place, action(&name), &resource)
                };
                if matches!(ask(own), Decision::Refuse(_)) {
                    continue;
                }
                for terminal in others.iter().filter(|terminal| **terminal != own) {
                    line(&name, about, who, terminal, ask(terminal));
                }
            }
        }
    }
    text
}

#[test]
fn decisions_are_those_of_the_golden_table() {
    let now = table();
    if std::env::var("KEKKAI_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(GOLDEN, &now).unwrap();
    }
    let golden = golden();
    let first = golden
        .lines()
        .zip(now.lines())
        .find(|(then, now)| then != now);
    assert_eq!(first, None, "the first line that differs");
    assert_eq!(golden.lines().count(), now.lines().count());
}

#[test]
fn every_action_has_rows_and_somebody_who_may() {
    let golden = golden();
    let rows: Vec<Vec<&str>> = golden
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(" | ").collect())
        .collect();
    let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
    for row in &rows {
        let [action, _, _, answer] = row.as_slice() else {
            panic!("{row:?}");
        };
        *seen.entry(action).or_default() |= answer.starts_with("allowed");
    }
    for name in action_names() {
        assert_eq!(seen.get(name.as_str()), Some(&true), "{name}");
    }
    assert_eq!(seen.len(), action_names().len());
}

#[test]
fn stranger_cannot_tell_a_forbidden_agreement_from_one_that_is_not_there() {
    let facts = facts();
    let place = TerminalId::new("t-browser").unwrap();
    for who in ["outsider", "other-investigator", "nobody"] {
        for name in ["see-outputs", "fetch-release"] {
            let ask = |resource: &Resource| {
                show(decide(&facts, &person(who), &place, action(name), resource))
            };
            let resources: BTreeMap<_, _> = resources().into_iter().collect();
            assert_eq!(
                ask(&resources["output"]),
                ask(&resources["output-unknown"]),
                "{who} {name}"
            );
            assert_eq!(
                ask(&resources["output-ended"]),
                ask(&resources["output-unknown"]),
                "{who} {name}"
            );
            assert_eq!(
                ask(&resources["agreement"]),
                ask(&resources["agreement-unknown"]),
                "{who} {name}"
            );
        }
        let open = |id: &str| decide_open(&facts, &request(who, "t-browser", Some(id)), noon());
        assert_eq!(open("running"), open("unknown"));
        assert_eq!(open("ended"), open("unknown"));
    }
}

fn request(who: &str, terminal: &str, id: Option<&str>) -> OpenRequest {
    OpenRequest {
        person: person(who),
        terminal: TerminalId::new(terminal).unwrap(),
        agreement: id.map(agreement),
        view: if terminal == "t-console" {
            View::Console
        } else {
            View::Desktop
        },
        factors: vec![Factor::Biometric, Factor::Token, Factor::Terminal],
    }
}

fn reason(opening: Opening) -> Option<EndReason> {
    match opening {
        Opening::Allow(_) => None,
        Opening::Refuse(reason) => Some(reason),
    }
}

#[test]
fn session_opens_with_all_three_factors_only() {
    let facts = facts();
    let all = [Factor::Biometric, Factor::Token, Factor::Terminal];
    for subset in 0..8_u8 {
        let mut asked = request("author", "t-browser", None);
        asked.factors = all
            .iter()
            .enumerate()
            .filter(|(bit, _)| subset & (1 << bit) != 0)
            .map(|(_, factor)| *factor)
            .collect();
        let expected = (subset != 7).then_some(EndReason::FactorMissing);
        assert_eq!(
            reason(decide_open(&facts, &asked, noon())),
            expected,
            "{subset:03b}"
        );
    }
    // A factor twice is still one.
    let mut asked = request("author", "t-browser", None);
    asked.factors = vec![Factor::Token, Factor::Token, Factor::Biometric];
    assert_eq!(
        reason(decide_open(&facts, &asked, noon())),
        Some(EndReason::FactorMissing)
    );
}

#[test]
fn session_opens_where_and_when_the_agreement_says() {
    let facts = facts();
    let cases = [
        (
            "author",
            "t-browser",
            None,
            "2026-11-24T12:00:00+09:00",
            None,
        ),
        (
            "author",
            "t-console",
            Some("running"),
            "2026-11-24T12:00:00+09:00",
            None,
        ),
        (
            "author",
            "t-vdi",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::TerminalNotAllowed),
        ),
        (
            "author",
            "t-onsite",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::TerminalNotAllowed),
        ),
        (
            "author",
            "t-operator",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::TerminalNotAllowed),
        ),
        (
            "author",
            "t-revoked",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::TerminalNotAllowed),
        ),
        (
            "author",
            "t-anothers",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::TerminalNotAllowed),
        ),
        (
            "author",
            "t-unknown",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::TerminalNotAllowed),
        ),
        (
            "author",
            "t-browser",
            Some("ended"),
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::AgreementEnded),
        ),
        (
            "author",
            "t-browser",
            Some("running"),
            "2026-11-24T08:29:59+09:00",
            Some(EndReason::OutsideHours),
        ),
        (
            "author",
            "t-browser",
            Some("running"),
            "2026-11-22T12:00:00+09:00",
            Some(EndReason::OutsideHours),
        ),
        (
            "author",
            "t-browser",
            Some("running"),
            "2027-04-01T12:00:00+09:00",
            Some(EndReason::OutsidePeriod),
        ),
        (
            "author",
            "t-browser",
            None,
            "2027-04-01T12:00:00+09:00",
            Some(EndReason::OutsidePeriod),
        ),
        (
            "outsider",
            "t-browser",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::NoAgreement),
        ),
        (
            "nobody",
            "t-browser",
            None,
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::NoAgreement),
        ),
        // On the roster, but not registered as a researcher any more.
        (
            "investigator",
            "t-browser",
            Some("running"),
            "2026-11-24T12:00:00+09:00",
            Some(EndReason::NoAgreement),
        ),
    ];
    for (who, terminal, id, time, expected) in cases {
        let opening = decide_open(&facts, &request(who, terminal, id), at(time));
        assert_eq!(reason(opening), expected, "{who} {terminal} {id:?} {time}");
    }
}

#[test]
fn one_of_several_agreements_must_be_named() {
    let mut facts = facts();
    facts.agreements.get_mut(&agreement("ended")).unwrap().ended = false;
    let asked = request("author", "t-browser", None);
    assert_eq!(
        reason(decide_open(&facts, &asked, noon())),
        Some(EndReason::AmbiguousAgreement)
    );
}

#[test]
fn console_terminal_gets_nothing_where_the_console_is_off() {
    let mut facts = facts();
    let running = facts.agreements.get_mut(&agreement("running")).unwrap();
    running.terms.console = kekkai_policy_api::ConsoleMode::Off;
    assert_eq!(
        reason(decide_open(
            &facts,
            &request("author", "t-console", None),
            noon()
        )),
        Some(EndReason::ConsoleOff)
    );
    assert_eq!(
        reason(decide_open(
            &facts,
            &request("author", "t-browser", None),
            noon()
        )),
        None
    );
}

#[test]
fn desktop_opens_where_terminal_and_agreement_have_one() {
    let mut facts = facts();
    let running = facts.agreements.get_mut(&agreement("running")).unwrap();
    let classes = [TerminalClass::Vdi, TerminalClass::Onsite];
    running.terms.places[0].terminals.extend(classes);
    let open = |facts: &Facts, terminal: &str, view: View| {
        let asked = OpenRequest {
            view,
            ..request("author", terminal, None)
        };
        match decide_open(facts, &asked, noon()) {
            Opening::Allow(owed) => Ok((owed.display, owed.desktop.is_some())),
            Opening::Refuse(reason) => Err(reason),
        }
    };
    use kekkai_types::DisplayClass;
    for (terminal, display) in [
        ("t-browser", DisplayClass::Browser),
        ("t-vdi", DisplayClass::Vdi),
        ("t-onsite", DisplayClass::Onsite),
    ] {
        assert_eq!(open(&facts, terminal, View::Desktop), Ok((display, true)));
        // Text over ssh is a console's, whatever stands on the desk.
        assert_eq!(
            open(&facts, terminal, View::Console),
            Ok((DisplayClass::Console, false))
        );
    }
    let console = open(&facts, "t-console", View::Desktop);
    assert_eq!(console, Err(EndReason::DesktopOff));
    let running = facts.agreements.get_mut(&agreement("running")).unwrap();
    running.terms.desktop = None;
    let without = open(&facts, "t-vdi", View::Desktop);
    assert_eq!(without, Err(EndReason::DesktopOff));
}

fn session(facts: &Facts) -> SessionFacts {
    SessionFacts {
        session: SessionId::new("s1").unwrap(),
        person: person("author"),
        terminal: TerminalId::new("t-browser").unwrap(),
        agreement: agreement("running"),
        view: View::Desktop,
        terms: facts.agreements[&agreement("running")].terms.clone(),
        released: Some((
            ServerId::new("a1").unwrap(),
            "ak".to_owned(),
            Digest::of(b"r"),
        )),
    }
}

#[test]
fn every_revocation_ends_a_running_session() {
    let mut before = facts();
    before.references.insert(Digest::of(b"r"));
    let a1 = ServerId::new("a1").unwrap();
    before.servers.insert(
        a1.clone(),
        ServerFacts {
            ak_public: "ak".to_owned(),
        },
    );
    let session = session(&before);
    assert_eq!(decide_lease(&before, &session, noon()), Lease::Live);

    type Change = fn(&mut Facts);
    let changes: [(&str, Change, EndReason); 10] = [
        (
            "no desktop any more",
            |f| {
                f.agreements
                    .get_mut(&agreement("running"))
                    .unwrap()
                    .terms
                    .desktop = None;
            },
            EndReason::DesktopOff,
        ),
        (
            "agreement ended",
            |f| f.agreements.get_mut(&agreement("running")).unwrap().ended = true,
            EndReason::AgreementEnded,
        ),
        (
            "off the roster",
            |f| {
                f.agreements
                    .get_mut(&agreement("running"))
                    .unwrap()
                    .roster
                    .remove(&person("author"));
            },
            EndReason::NotOnRoster,
        ),
        (
            "role taken",
            |f| {
                f.people.get_mut(&person("author")).unwrap().roles.clear();
            },
            EndReason::NotOnRoster,
        ),
        (
            "terminal revoked",
            |f| {
                f.terminals
                    .get_mut(&TerminalId::new("t-browser").unwrap())
                    .unwrap()
                    .revoked = true
            },
            EndReason::TerminalNotAllowed,
        ),
        (
            "terminal another's",
            |f| {
                f.terminals
                    .get_mut(&TerminalId::new("t-browser").unwrap())
                    .unwrap()
                    .people
                    .insert(person("colleague"));
            },
            EndReason::TerminalNotAllowed,
        ),
        (
            "place without browsers",
            |f| {
                f.agreements
                    .get_mut(&agreement("running"))
                    .unwrap()
                    .terms
                    .places[0]
                    .terminals
                    .remove(&TerminalClass::Browser);
            },
            EndReason::TerminalNotAllowed,
        ),
        (
            "reference withdrawn",
            |f| f.references.clear(),
            EndReason::ServerNotTrusted,
        ),
        (
            "another TPM under the same name",
            |f| {
                f.servers
                    .get_mut(&ServerId::new("a1").unwrap())
                    .unwrap()
                    .ak_public = "other".to_owned()
            },
            EndReason::ServerNotTrusted,
        ),
        (
            "fewer data items",
            |f| {
                f.agreements
                    .get_mut(&agreement("running"))
                    .unwrap()
                    .terms
                    .data[0]
                    .tables
                    .remove("patients");
            },
            EndReason::AgreementEnded,
        ),
    ];
    for (what, change, expected) in changes {
        let mut after = before.clone();
        change(&mut after);
        assert_eq!(
            decide_lease(&after, &session, noon()),
            Lease::End(expected),
            "{what}"
        );
    }
    let evening = at("2026-11-24T20:00:00+09:00");
    assert_eq!(
        decide_lease(&before, &session, evening),
        Lease::End(EndReason::OutsideHours)
    );
    let later = at("2027-04-01T12:00:00+09:00");
    assert_eq!(
        decide_lease(&before, &session, later),
        Lease::End(EndReason::OutsidePeriod)
    );
}
