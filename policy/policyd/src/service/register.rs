//! What operator staff register: agreements, datasets with their wrapped keys, servers, references.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kekkai_attest::Enrolled;
use kekkai_policy::{Agreement, AgreementFacts, Known};
use kekkai_policy_api::{
    AddReference, Enrolments, Event, ExpectServer, RegisterAgreement, RegisterDataset,
    WithdrawReference,
};
use kekkai_types::{
    AgreementId, ColumnRole, DatasetCatalog, Digest, Peer, Recipient, Refusal, Timestamp,
    WrappedKey,
};

use super::{Service, State, stored};
use crate::refuse;

/// Reference values in force at once.
const REFERENCES_MAX: usize = 64;
/// An encapsulated key: SEC 1 uncompressed, P-256.
const ENC_BYTES: usize = 65;
/// A wrapped 256-bit key and its tag: never the 32 bytes of a plain one.
const CIPHERTEXT_BYTES: usize = 48;

impl Service {
    /// Registers an agreement. The same text again changes nothing; another text replaces it.
    pub fn register_agreement(
        &self,
        from: &Peer,
        call: RegisterAgreement,
        now: Timestamp,
    ) -> Result<AgreementId, Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        let people: BTreeSet<_> = state.facts.people.keys().cloned().collect();
        let terms = Agreement::parse_known(
            &call.toml,
            &Known {
                people: &people,
                catalog: &|dataset, version| state.catalogs.get(&(dataset.clone(), version)),
            },
        )
        .map_err(|error| Refusal::new("agreement-malformed", error.to_string()))?;
        let id = terms.id.clone();
        let digest = Digest::of(call.toml.as_bytes());
        if state.facts.agreements.contains_key(&id) {
            state.running(&id)?;
            // Not even the roster: a removed handler must not come back by a repeated call.
            if state.agreement_digests.get(&id) == Some(&digest) {
                return Ok(id);
            }
        }
        self.journal.record(
            from,
            now,
            Event::AgreementRegistered {
                agreement: id.clone(),
                digest,
                by,
            },
        )?;
        let roster = terms.people.handlers.clone();
        stored(state.store.put_agreement(&id, &call.toml, &roster, now))?;
        state.agreement_digests.insert(id.clone(), digest);
        state.facts.agreements.insert(
            id.clone(),
            AgreementFacts {
                terms,
                roster,
                ended: false,
            },
        );
        Ok(id)
    }

    /// Registers a dataset version. The same catalogue again may add keys for further servers.
    pub fn register_dataset(
        &self,
        from: &Peer,
        call: RegisterDataset,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        check_catalog(&call.catalog)?;
        state.check_keys(&call.catalog, &call.keys)?;
        let place = (call.catalog.id.clone(), call.catalog.version);
        if state.extracts.has_id(&place.0) {
            return Err(Refusal::new("dataset-id-in-use", place.0.as_str()));
        }
        if let Some(known) = state.catalogs.get(&place) {
            if *known != call.catalog {
                return Err(Refusal::new(
                    "dataset-version-exists",
                    format!("{} version {}", place.0, place.1),
                ));
            }
            let mut all_known = true;
            for key in &call.keys {
                let known = state
                    .store
                    .wrapped_key(&key.dataset, key.version, &key.recipient);
                all_known &= stored(known)?.as_ref() == Some(key);
            }
            if all_known {
                return Ok(());
            }
        }
        let body = serde_json::to_vec(&call.catalog).map_err(|_| refuse::internal())?;
        self.journal.record(
            from,
            now,
            Event::DatasetRegistered {
                dataset: place.0.clone(),
                version: place.1,
                digest: Digest::of(&body),
                by,
            },
        )?;
        stored(state.store.put_dataset(&call.catalog, &call.keys))?;
        state.catalogs.insert(place, call.catalog);
        Ok(())
    }

    /// Lets a server enrol under this id, once.
    pub fn expect_server(
        &self,
        from: &Peer,
        call: ExpectServer,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if state.expected.contains(&call.server) {
            return Ok(());
        }
        self.journal.record(
            from,
            now,
            Event::ServerExpected {
                server: call.server.clone(),
                by,
            },
        )?;
        stored(state.store.expect_server(&call.server))?;
        state.expected.insert(call.server);
        Ok(())
    }

    /// The enrolled servers.
    pub fn enrolments(
        &self,
        from: &Peer,
        _call: &Enrolments,
        now: Timestamp,
    ) -> Result<Vec<Enrolled>, Refusal> {
        let state = self.state(now)?;
        state.admin(from)?;
        Ok(state.enrolled.values().cloned().collect())
    }

    /// Adds reference values that the producer signed.
    pub fn add_reference(
        &self,
        from: &Peer,
        call: AddReference,
        now: Timestamp,
    ) -> Result<Digest, Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        call.reference
            .verify_signature(&self.pcr_policy_key)
            .map_err(|error| Refusal::new("reference-not-valid", error.to_string()))?;
        let digest = call.reference.digest();
        if state.facts.references.contains(&digest) {
            return Ok(digest);
        }
        if state.references.len() >= REFERENCES_MAX {
            return Err(Refusal::new(
                "too-many-references",
                REFERENCES_MAX.to_string(),
            ));
        }
        self.journal.record(
            from,
            now,
            Event::ReferenceAdded {
                reference: digest,
                label: call.reference.label.clone(),
                by,
            },
        )?;
        stored(state.store.put_reference(&call.reference))?;
        state.know_reference(call.reference);
        Ok(digest)
    }

    /// Withdraws reference values.
    pub fn withdraw_reference(
        &self,
        from: &Peer,
        call: &WithdrawReference,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        let reference = call.reference;
        if !state.facts.references.contains(&reference) {
            return Err(Refusal::not_found(reference.to_string()));
        }
        self.journal
            .record(from, now, Event::ReferenceWithdrawn { reference, by })?;
        stored(state.store.withdraw_reference(&reference))?;
        state.facts.references.remove(&reference);
        state.references.retain(|known| known.digest() != reference);
        Ok(())
    }
}

/// What a catalogue must be whatever ingest made of it: each name once, and no column that names a
/// person (R14).
pub(super) fn check_catalog(catalog: &DatasetCatalog) -> Result<(), Refusal> {
    let malformed = |what: String| Err(Refusal::new("catalog-malformed", what));
    if catalog.version == 0 {
        return malformed("versions count from 1".to_owned());
    }
    let mut tables = BTreeSet::new();
    for table in &catalog.tables {
        if !tables.insert(&table.name) {
            return malformed(format!("table \"{}\" is named twice", table.name));
        }
        let mut columns = BTreeSet::new();
        for column in &table.columns {
            if !columns.insert(&column.name) {
                return malformed(format!(
                    "column \"{}\" of table \"{}\" is named twice",
                    column.name, table.name
                ));
            }
            if column.role == ColumnRole::DirectIdentifier {
                return malformed(format!(
                    "column \"{}\" of table \"{}\" names people",
                    column.name, table.name
                ));
            }
        }
        if let Some(key) = &table.person_key
            && !columns.contains(key)
        {
            return malformed(format!("table \"{}\" has no column \"{key}\"", table.name));
        }
    }
    Ok(())
}

impl State {
    /// Wrapped keys only: their lengths leave no room for a plain one beside or instead.
    pub(super) fn check_keys(
        &self,
        catalog: &DatasetCatalog,
        keys: &[WrappedKey],
    ) -> Result<(), Refusal> {
        let mut recipients = BTreeSet::new();
        let mut servers = 0_u32;
        for key in keys {
            let name = match &key.recipient {
                Recipient::Recovery => "recovery".to_owned(),
                Recipient::Server(server) => {
                    if !self.enrolled.contains_key(server) {
                        return Err(Refusal::new("server-not-enrolled", server.as_str()));
                    }
                    servers += 1;
                    format!("server {server}")
                }
            };
            let length = |text: &str| STANDARD.decode(text).map_or(0, |bytes| bytes.len());
            if key.dataset != catalog.id
                || key.version != catalog.version
                || length(&key.enc) != ENC_BYTES
                || length(&key.ciphertext) != CIPHERTEXT_BYTES
                || !recipients.insert(name.clone())
            {
                return Err(Refusal::new("wrapped-key-malformed", name));
            }
        }
        if servers == 0 {
            return Err(Refusal::new("no-key-for-a-server", catalog.id.as_str()));
        }
        Ok(())
    }
}
