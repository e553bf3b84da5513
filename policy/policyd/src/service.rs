//! The service itself: one state behind one lock, and the calls on it.
//!
//! Every call takes the present as an argument; the clock is read once, where a request arrives.

mod admin;
mod attest;
mod extract;
mod parts;
mod record;
mod register;
mod session;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use kekkai_attest::{Enrolled, PendingEnrolment, ReferenceValues, TpmTrust};
use kekkai_policy::{
    Agreement, AgreementError, AgreementFacts, Facts, PersonFacts, ServerFacts, SessionFacts,
    TerminalFacts,
};
use kekkai_policy_api::{EndReason, Event, KnownPerson};
use kekkai_types::{
    AgreementId, DatasetCatalog, DatasetId, Digest, DisplayClass, Peer, PersonId, Refusal,
    ServerId, SessionId, TerminalId, Timestamp,
};

use crate::journal::{Journal, chain};
use crate::refuse;
use crate::store::{Store, StoreError, TerminalRow};

/// Nonces that wait for their quote.
pub const NONCES_MAX: usize = 1_024;
/// A nonce is good for this long, in seconds.
pub const NONCE_LIFE_S: i64 = 60;
/// An enrolment waits this long for its credential, in seconds.
pub const PENDING_LIFE_S: i64 = 60;
/// Sessions at once.
pub const SESSIONS_MAX: usize = 10_000;
/// A session whose gateway, or whose analysis server, does not renew it for this long is over, in
/// seconds. Holders renew each second and give up after 4: nobody holds it any more.
pub const HOLDER_SILENCE_MAX_S: i64 = 30;

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be read or written.
    #[error("the state can't be used")]
    Store(#[from] StoreError),
    /// The ledger refused the first entries.
    #[error("the ledger can't be written: {0}")]
    Ledger(Refusal),
    /// Keys of an agreement that ended can't be overwritten, or the ledger can't say that they are.
    #[error("keys that were erased can't be overwritten: {0}")]
    Erasure(Refusal),
    /// An agreement that was accepted once: this build reads the format otherwise.
    #[error("a registered agreement can't be read any more")]
    Agreement(#[from] AgreementError),
}

/// The policy service.
pub struct Service {
    state: Mutex<State>,
    journal: Journal,
    trust: TpmTrust,
    /// SEC 1 uncompressed: what reference values and unwrapping keys obey.
    pcr_policy_key: [u8; 65],
}

/// What decisions need at hand; the rest stays in the database.
struct State {
    store: Store,
    facts: Facts,
    /// SHA-256 of each agreement's text.
    agreement_digests: BTreeMap<AgreementId, Digest>,
    people: BTreeMap<PersonId, KnownPerson>,
    terminals: BTreeMap<TerminalId, TerminalRow>,
    catalogs: BTreeMap<(DatasetId, u32), DatasetCatalog>,
    extracts: extract::Extracts,
    expected: BTreeSet<ServerId>,
    enrolled: BTreeMap<ServerId, Enrolled>,
    /// In force, in the order in which they were added.
    references: Vec<ReferenceValues>,
    /// Open ones.
    sessions: BTreeMap<SessionId, Session>,
    nonces: BTreeMap<Digest, Issued>,
    pending: BTreeMap<ServerId, (PendingEnrolment, Timestamp)>,
    counts: usage::Counts,
}

/// An open session. Not kept over a restart: a restart ends all of them.
struct Session {
    facts: SessionFacts,
    display: DisplayClass,
    /// When the gateway last renewed it, or opened it.
    gateway_at: Timestamp,
    /// When the analysis server last renewed it, or got its keys.
    server_at: Timestamp,
    /// Other servers that run a part of it, or may. They go with this process, and the sessions with them.
    parts: BTreeMap<ServerId, parts::Part>,
}

/// A nonce that waits for its quote.
struct Issued {
    server: ServerId,
    spki: Digest,
    at: Timestamp,
}

impl Service {
    /// Starts: ends the sessions that a former run left open, and says in the ledger that it is here.
    pub fn start(
        store: Store,
        journal: Journal,
        trust: TpmTrust,
        pcr_policy_key: [u8; 65],
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let mut state = State::load(store)?;
        let left: Vec<_> = state
            .store
            .open_sessions()?
            .into_iter()
            .map(|session| (session, EndReason::ServiceUnavailable))
            .collect();
        let mut events = vec![Event::ServiceStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }];
        events.extend(left.iter().map(|(session, reason)| Event::SessionEnded {
            session: session.clone(),
            reason: *reason,
        }));
        journal
            .record_all(&Peer::Policy, now, events)
            .map_err(StartError::Ledger)?;
        state.store.end_sessions(&left, now)?;
        state.certify(&journal, now).map_err(StartError::Erasure)?;
        Ok(Self {
            state: Mutex::new(state),
            journal,
            trust,
            pcr_policy_key,
        })
    }

    /// Says in the ledger that the service leaves. Sessions end with it: their holders give up after
    /// 4 s without an answer.
    pub fn stop(&self, now: Timestamp) -> Result<(), Refusal> {
        self.journal
            .record(&Peer::Policy, now, Event::ServiceStopped)
            .map(|_| ())
    }

    /// The state, for one call. Refuses while the ledger can't be written.
    fn state(&self, now: Timestamp) -> Result<MutexGuard<'_, State>, Refusal> {
        self.journal.check(now)?;
        self.state.lock().map_err(|_| refuse::internal())
    }
}

/// SQLite's refusal goes to the log, its code to the caller.
fn stored<T>(result: Result<T, StoreError>) -> Result<T, Refusal> {
    result.map_err(|error| {
        tracing::error!(error = chain(&error), "the state can't be used");
        refuse::state_unavailable()
    })
}

impl State {
    fn load(store: Store) -> Result<Self, StartError> {
        let mut state = Self {
            facts: Facts::default(),
            agreement_digests: BTreeMap::new(),
            people: BTreeMap::new(),
            terminals: BTreeMap::new(),
            catalogs: BTreeMap::new(),
            extracts: extract::Extracts::default(),
            expected: BTreeSet::new(),
            enrolled: BTreeMap::new(),
            references: Vec::new(),
            sessions: BTreeMap::new(),
            nonces: BTreeMap::new(),
            pending: BTreeMap::new(),
            counts: usage::Counts::load(&store)?,
            store,
        };
        for person in state.store.people()? {
            state.know_person(KnownPerson {
                person: person.id,
                name: person.name,
                lang: person.lang,
                roles: person.roles.into_iter().collect(),
                agreements: Vec::new(),
            });
        }
        for terminal in state.store.terminals()? {
            state.know_terminal(terminal);
        }
        for row in state.store.agreements()? {
            let terms = Agreement::parse(&row.toml)?;
            state
                .agreement_digests
                .insert(terms.id.clone(), Digest::of(row.toml.as_bytes()));
            state.facts.agreements.insert(
                terms.id.clone(),
                AgreementFacts {
                    terms,
                    roster: row.roster,
                    ended: row.ended,
                },
            );
        }
        for catalog in state.store.datasets()? {
            state
                .catalogs
                .insert((catalog.id.clone(), catalog.version), catalog);
        }
        for row in state.store.extracts()? {
            state
                .extracts
                .know(row.agreement, row.of, row.catalog, row.is_erased);
        }
        for (server, expected, enrolled) in state.store.servers()? {
            if expected {
                state.expected.insert(server);
            }
            if let Some(enrolled) = enrolled {
                state.know_server(enrolled);
            }
        }
        for reference in state.store.references()? {
            state.know_reference(reference);
        }
        Ok(state)
    }

    // What is in the database already enters the facts here, and nowhere else.

    fn know_person(&mut self, person: KnownPerson) {
        self.facts.people.insert(
            person.person.clone(),
            PersonFacts {
                roles: person.roles.iter().copied().collect(),
            },
        );
        self.people.insert(person.person.clone(), person);
    }

    fn know_terminal(&mut self, terminal: TerminalRow) {
        self.facts.terminals.insert(
            terminal.id.clone(),
            TerminalFacts {
                class: terminal.class,
                people: terminal.people.clone(),
                revoked: terminal.revoked,
            },
        );
        self.terminals.insert(terminal.id.clone(), terminal);
    }

    fn know_server(&mut self, enrolled: Enrolled) {
        self.expected.remove(&enrolled.server);
        self.facts.servers.insert(
            enrolled.server.clone(),
            ServerFacts {
                ak_public: enrolled.ak_public.clone(),
            },
        );
        self.enrolled.insert(enrolled.server.clone(), enrolled);
    }

    fn know_reference(&mut self, reference: ReferenceValues) {
        let digest = reference.digest();
        self.references.retain(|known| known.digest() != digest);
        self.facts.references.insert(digest);
        self.references.push(reference);
    }
}
