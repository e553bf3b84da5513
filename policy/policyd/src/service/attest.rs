//! Enrolment of analysis servers, and the release of wrapped keys to one that shows a fresh quote.

use kekkai_attest::{EnrolmentError, begin_enrolment, verify_quote};
use kekkai_policy::{Lease, SessionFacts, decide_lease, grant};
use kekkai_policy_api::{
    BeginEnrolment, DesktopTerms, EnrolmentChallenge, Event, FinishEnrolment, Nonce, ReleaseKeys,
    SessionTerms, View,
};
use kekkai_types::{Digest, Lang, Peer, Recipient, Refusal, ServerId, SessionId, Timestamp};

use super::{Issued, NONCE_LIFE_S, NONCES_MAX, PENDING_LIFE_S, Service, State, stored};
use crate::refuse;

/// The server that the peer's certificate names.
pub(super) fn server_of(from: &Peer) -> Result<&ServerId, Refusal> {
    match from {
        Peer::Analysis(server) => Ok(server),
        other => Err(Refusal::new("caller-not-allowed", other.to_uri())),
    }
}

/// `extraData` of a quote: it answers one nonce, for one session, over one channel.
pub(crate) fn qualifying(nonce: &Nonce, session: &SessionId, spki: &Digest) -> Digest {
    let mut bytes = nonce.0.as_bytes().to_vec();
    bytes.extend_from_slice(session.as_str().as_bytes());
    bytes.extend_from_slice(spki.as_bytes());
    Digest::of(&bytes)
}

impl Service {
    /// A nonce for the next quote, good once and over this channel only.
    pub fn challenge(&self, from: &Peer, spki: &Digest, now: Timestamp) -> Result<Nonce, Refusal> {
        let server = server_of(from)?;
        let mut state = self.state(now)?;
        if !state.enrolled.contains_key(server) {
            return Err(Refusal::new("server-not-enrolled", server.as_str()));
        }
        state
            .nonces
            .retain(|_, issued| now.ms_since(issued.at) <= NONCE_LIFE_S * 1_000);
        if state.nonces.len() >= NONCES_MAX {
            return Err(Refusal::new("too-many-challenges", NONCES_MAX.to_string()));
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| refuse::internal())?;
        let nonce = Digest::from_bytes(bytes);
        state.nonces.insert(
            nonce,
            Issued {
                server: server.clone(),
                spki: *spki,
                at: now,
            },
        );
        Ok(Nonce(nonce))
    }

    /// Judges what a TPM says of itself, and answers with what only that TPM can read.
    pub fn begin_enrolment(
        &self,
        from: &Peer,
        call: &BeginEnrolment,
        now: Timestamp,
    ) -> Result<EnrolmentChallenge, Refusal> {
        let server = server_of(from)?;
        let mut state = self.state(now)?;
        let expected = call.request.server == *server && state.expected.contains(server);
        if !expected {
            self.refuse_enrolment(server, "the server is not expected", now)?;
            return Err(Refusal::new("server-not-expected", server.as_str()));
        }
        let pending = begin_enrolment(&self.trust, &self.pcr_policy_key, &call.request, now);
        match pending {
            Ok(pending) => {
                let challenge = EnrolmentChallenge {
                    credential_blob: pending.challenge().credential_blob.clone(),
                    secret: pending.challenge().secret.clone(),
                };
                state.pending.insert(server.clone(), (pending, now));
                Ok(challenge)
            }
            Err(error) => self.enrolment_failed(server, &error, now),
        }
    }

    /// Takes the activated credential: the server is enrolled.
    pub fn finish_enrolment(
        &self,
        from: &Peer,
        call: &FinishEnrolment,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let server = server_of(from)?;
        let mut state = self.state(now)?;
        let pending = state
            .pending
            .remove(server)
            .filter(|(_, at)| now.ms_since(*at) <= PENDING_LIFE_S * 1_000)
            .filter(|_| call.server == *server && state.expected.contains(server));
        let Some((pending, _)) = pending else {
            self.refuse_enrolment(server, "no enrolment has begun", now)?;
            return Err(Refusal::new("enrolment-not-begun", server.as_str()));
        };
        match pending.finish(&call.credential) {
            Ok(enrolled) => {
                self.journal.record(
                    from,
                    now,
                    Event::ServerEnrolled {
                        server: server.clone(),
                        ek_certificate: enrolled.ek_certificate,
                        emulated: enrolled.emulated,
                    },
                )?;
                stored(state.store.enrol_server(&enrolled))?;
                state.know_server(enrolled);
                Ok(())
            }
            Err(error) => self.enrolment_failed(server, &error, now),
        }
    }

    fn enrolment_failed<T>(
        &self,
        server: &ServerId,
        error: &EnrolmentError,
        now: Timestamp,
    ) -> Result<T, Refusal> {
        let reason = error.to_string();
        self.refuse_enrolment(server, &reason, now)?;
        Err(Refusal::new("enrolment-refused", reason))
    }

    fn refuse_enrolment(
        &self,
        server: &ServerId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let event = Event::EnrolmentRefused {
            server: server.clone(),
            reason: reason.to_owned(),
        };
        self.journal
            .record(&Peer::Analysis(server.clone()), now, event)
            .map(|_| ())
    }

    /// A session's terms and wrapped keys, for the server whose quote is what it should be.
    pub fn release_keys(
        &self,
        from: &Peer,
        spki: &Digest,
        call: &ReleaseKeys,
        now: Timestamp,
    ) -> Result<SessionTerms, Refusal> {
        let server = server_of(from)?;
        let mut state = self.state(now)?;
        match state.release(server, spki, call, now) {
            Ok(Released { terms, ak, part }) => {
                let reference = terms.reference.digest();
                let emulated = state
                    .enrolled
                    .get(server)
                    .is_none_or(|known| known.emulated);
                self.journal.record(
                    from,
                    now,
                    Event::KeysReleased {
                        session: call.session.clone(),
                        server: server.clone(),
                        datasets: terms
                            .datasets
                            .iter()
                            .map(|granted| (granted.catalog.id.clone(), granted.catalog.version))
                            .collect(),
                        reference,
                        emulated,
                    },
                )?;
                if part {
                    state.part_released(&call.session, server, ak, reference);
                    return Ok(terms);
                }
                stored(
                    state
                        .store
                        .release_session(&call.session, server, &reference),
                )?;
                if let Some(session) = state.sessions.get_mut(&call.session) {
                    session.facts.released = Some((server.clone(), ak, reference));
                    session.server_at = now;
                }
                Ok(terms)
            }
            Err(refusal) => {
                let session = state
                    .sessions
                    .contains_key(&call.session)
                    .then(|| call.session.clone());
                self.journal.record(
                    from,
                    now,
                    Event::KeysRefused {
                        session,
                        server: server.clone(),
                        reason: refusal.to_string(),
                    },
                )?;
                Err(refusal)
            }
        }
    }
}

/// Keys that may go out.
struct Released {
    terms: SessionTerms,
    /// The attestation key that quoted.
    ak: String,
    /// For a part of a session that runs elsewhere.
    part: bool,
}

impl State {
    /// Everything that must hold before keys go out. The nonce is spent whatever the answer is.
    fn release(
        &mut self,
        server: &ServerId,
        spki: &Digest,
        call: &ReleaseKeys,
        now: Timestamp,
    ) -> Result<Released, Refusal> {
        let fresh = self.nonces.remove(&call.nonce.0).is_some_and(|issued| {
            issued.server == *server
                && issued.spki == *spki
                && (0..=NONCE_LIFE_S * 1_000).contains(&now.ms_since(issued.at))
        });
        if !fresh {
            return Err(Refusal::new("nonce-not-valid", ""));
        }
        let enrolled = self
            .enrolled
            .get(server)
            .ok_or_else(|| Refusal::new("server-not-enrolled", server.as_str()))?;
        let expected = qualifying(&call.nonce, &call.session, spki);
        let reference = verify_quote(enrolled, &self.references, &expected, &call.evidence)
            .map_err(|error| error.to_string())
            .and_then(|met| self.references.get(met).ok_or_else(String::new))
            .map_err(|reason| Refusal::new("server-not-trusted", reason))?;
        let session = self
            .sessions
            .get(&call.session)
            .ok_or_else(|| Refusal::not_found(call.session.as_str()))?;
        let part = session.facts.released.is_some();
        if part && !session.admits(server) {
            return Err(Refusal::new("keys-already-released", call.session.as_str()));
        }
        if let Lease::End(reason) = decide_lease(&self.facts, &session.facts, now) {
            return Err(refuse::reason(reason, session.facts.agreement.as_str()));
        }
        let terms = &session.facts.terms;
        let agreement = &session.facts.agreement;
        let recipient = Recipient::Server(server.clone());
        let mut broken = None;
        let datasets = grant(
            terms,
            |dataset, version| {
                let own = self.extracts.get(agreement, dataset, version);
                own.or_else(|| self.catalogs.get(&(dataset.clone(), version)))
            },
            |dataset, version| match self.key_for(agreement, dataset, version, &recipient) {
                Ok(key) => key,
                Err(error) => {
                    broken = Some(error);
                    None
                }
            },
        );
        if let Some(error) = broken {
            stored(Err(error))?;
        }
        let datasets =
            datasets.map_err(|error| Refusal::new("terms-not-grantable", error.to_string()))?;
        let released = SessionTerms {
            session: call.session.clone(),
            person: session.facts.person.clone(),
            agreement: session.facts.agreement.clone(),
            console: terms.console,
            display: session.display,
            datasets,
            threshold: terms.sdc.threshold,
            dominance_permille: terms.sdc.dominance_permille,
            sdc_profile: terms.sdc.profile.clone(),
            query_limit_s: terms.query_limit_s,
            memory_limit_mib: terms.memory_limit_mib,
            programs: terms.programs.clone(),
            desktop: self.desktop_terms(&session.facts, now),
            reference: reference.clone(),
        };
        Ok(Released {
            terms: released,
            ak: enrolled.ak_public.clone(),
            part,
        })
    }

    /// What a desktop is told; `None` for a console.
    fn desktop_terms(&self, session: &SessionFacts, now: Timestamp) -> Option<DesktopTerms> {
        let agreed = match session.view {
            View::Console => return None,
            View::Desktop => session.terms.desktop?,
        };
        let known = self.people.get(&session.person);
        let lang = known.map_or(Lang::Ja, |known| known.lang);
        Some(DesktopTerms {
            person_name: known.map_or_else(String::new, |known| known.name.clone()),
            lang,
            title: session.terms.title.get(lang).to_owned(),
            closes: session.terms.closes(now),
            typed_chars_max: agreed.typed_chars_max,
            typed_chars_per_s_max: agreed.typed_chars_per_s_max,
            notebooks_kib_max: agreed.notebooks_kib_max,
        })
    }
}
