//! Extracts: the data of one agreement under keys of its own, which end with it (R10, invariant 8).

use std::collections::BTreeMap;

use kekkai_policy::TableItem;
use kekkai_policy_api::{Event, RecordEnquiry, Recorded, RegisterExtract};
use kekkai_types::{
    AgreementId, DatasetCatalog, DatasetId, Digest, Peer, Recipient, Refusal, Timestamp, WrappedKey,
};

use super::register::check_catalog;
use super::{Service, State, stored};
use crate::journal::Journal;
use crate::refuse;

/// A reason for the ledger, in characters.
const REASON_MAX: usize = 1_000;

/// What is known of extracts.
#[derive(Default)]
pub(super) struct Extracts {
    /// Those that sessions read, by agreement and by the dataset version that it names.
    current: BTreeMap<(AgreementId, DatasetId, u32), DatasetCatalog>,
    /// Every id that an extract ever had: whose it is, and the last version.
    ids: BTreeMap<DatasetId, (AgreementId, u32)>,
}

impl Extracts {
    /// What an agreement's sessions read in the place of a dataset, if it has its own.
    pub(super) fn get(
        &self,
        agreement: &AgreementId,
        dataset: &DatasetId,
        version: u32,
    ) -> Option<&DatasetCatalog> {
        self.current
            .get(&(agreement.clone(), dataset.clone(), version))
    }

    /// Whether an id is an extract's, or was.
    pub(super) fn has_id(&self, id: &DatasetId) -> bool {
        self.ids.contains_key(id)
    }

    /// Those whose keys are there.
    pub(super) fn list(&self) -> Vec<(AgreementId, DatasetId, u32)> {
        self.current
            .iter()
            .map(|((agreement, _, _), catalog)| {
                (agreement.clone(), catalog.id.clone(), catalog.version)
            })
            .collect()
    }

    pub(super) fn know(
        &mut self,
        agreement: AgreementId,
        of: (DatasetId, u32),
        catalog: DatasetCatalog,
        is_erased: bool,
    ) {
        let last = (agreement.clone(), catalog.version);
        self.ids.insert(catalog.id.clone(), last);
        if !is_erased {
            self.current.insert((agreement, of.0, of.1), catalog);
        }
    }

    pub(super) fn forget(&mut self, agreement: &AgreementId) {
        self.current.retain(|(whose, _, _), _| whose != agreement);
    }
}

impl Service {
    /// Registers an extract: its agreement's sessions read it from now on.
    pub fn register_extract(
        &self,
        from: &Peer,
        call: RegisterExtract,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if !state.check_extract(&call)? {
            return state.certify(&self.journal, now);
        }
        let body = serde_json::to_vec(&call.catalog).map_err(|_| refuse::internal())?;
        self.journal.record(
            from,
            now,
            Event::ExtractRegistered {
                agreement: call.agreement.clone(),
                dataset: call.of.0.clone(),
                dataset_version: call.of.1,
                extract: call.catalog.id.clone(),
                version: call.catalog.version,
                digest: Digest::of(&body),
                by,
            },
        )?;
        stored(
            state
                .store
                .put_extract(&call.agreement, &call.of, &call.catalog, &call.keys),
        )?;
        state
            .extracts
            .know(call.agreement, call.of, call.catalog, false);
        state.certify(&self.journal, now)
    }

    /// Puts into the ledger that somebody is to be told whose a pseudonym is.
    pub fn record_enquiry(
        &self,
        from: &Peer,
        call: RecordEnquiry,
        now: Timestamp,
    ) -> Result<Recorded, Refusal> {
        let state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if call.reason.trim().is_empty() || call.reason.chars().count() > REASON_MAX {
            return Err(Refusal::new(
                "reason-not-allowed",
                format!("1 to {REASON_MAX} characters"),
            ));
        }
        let Some((agreement, _)) = state.extracts.ids.get(&call.extract) else {
            return Err(Refusal::not_found(call.extract.as_str()));
        };
        let index = self.journal.record(
            from,
            now,
            Event::EnquiryRecorded {
                agreement: agreement.clone(),
                extract: call.extract,
                pseudonym: call.pseudonym,
                reason: call.reason,
                by,
            },
        )?;
        Ok(Recorded {
            index,
            ..Recorded::default()
        })
    }
}

impl State {
    /// Whether an extract is new and all that it must be; false: it is registered already, just so.
    fn check_extract(&self, call: &RegisterExtract) -> Result<bool, Refusal> {
        self.running(&call.agreement)?;
        let (dataset, version) = (&call.of.0, call.of.1);
        let agreed = self
            .facts
            .agreements
            .get(&call.agreement)
            .and_then(|known| {
                known
                    .terms
                    .data
                    .iter()
                    .find(|item| item.dataset == *dataset && item.version == version)
            });
        let whole = self.catalogs.get(&call.of);
        let (Some(agreed), Some(whole)) = (agreed, whole) else {
            return Err(Refusal::not_found(format!("{dataset} version {version}")));
        };
        let body = serde_json::to_vec(whole).map_err(|_| refuse::internal())?;
        if Digest::of(&body) != call.of_digest {
            return Err(Refusal::new(
                "extract-of-another-dataset",
                format!("{dataset} version {version} was registered with another catalogue"),
            ));
        }
        check_catalog(&call.catalog)?;
        self.check_keys(&call.catalog, &call.keys)?;
        // Whoever else could open it would still open it when its keys are destroyed.
        if call
            .keys
            .iter()
            .any(|key| !matches!(key.recipient, Recipient::Server(_)))
        {
            return Err(Refusal::new("extract-key-for-servers-only", "recovery"));
        }
        let id = &call.catalog.id;
        if self.catalogs.keys().any(|(known, _)| known == id) {
            return Err(Refusal::new("extract-id-in-use", id.as_str()));
        }
        match self.extracts.ids.get(id) {
            Some((whose, _)) if *whose != call.agreement => {
                return Err(Refusal::new("extract-id-in-use", id.as_str()));
            }
            Some((_, last)) if *last >= call.catalog.version => {
                if self.is_registered(call)? {
                    return Ok(false);
                }
                return Err(Refusal::new(
                    "extract-version-exists",
                    format!("{id}: the next version is {}", last.saturating_add(1)),
                ));
            }
            _ => {}
        }
        check_tables(&call.catalog, whole, &agreed.tables)?;
        match agreed
            .tables
            .keys()
            .find(|name| !call.catalog.tables.iter().any(|t| t.name == **name))
        {
            None => Ok(true),
            Some(missing) => Err(Refusal::new(
                "extract-not-as-agreed",
                format!("table \"{missing}\" is missing"),
            )),
        }
    }

    fn is_registered(&self, call: &RegisterExtract) -> Result<bool, Refusal> {
        let (dataset, version) = (&call.of.0, call.of.1);
        if self.extracts.get(&call.agreement, dataset, version) != Some(&call.catalog) {
            return Ok(false);
        }
        for key in &call.keys {
            let known = stored(
                self.store
                    .extract_key(&key.dataset, key.version, &key.recipient),
            )?;
            if known.as_ref() != Some(key) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key of what an agreement's sessions read, for a server: of its extract where it has one.
    pub(super) fn key_for(
        &self,
        agreement: &AgreementId,
        dataset: &DatasetId,
        version: u32,
        recipient: &Recipient,
    ) -> Result<Option<WrappedKey>, crate::store::StoreError> {
        match self.extracts.ids.get(dataset) {
            Some((whose, _)) if whose == agreement => {
                self.store.extract_key(dataset, version, recipient)
            }
            Some(_) => Ok(None),
            None => self.store.wrapped_key(dataset, version, recipient),
        }
    }

    /// Overwrites what was erased, and says so in the ledger. Only then is a destruction of keys complete:
    /// whatever dies before is done again at the next start.
    pub(super) fn certify(&mut self, journal: &Journal, now: Timestamp) -> Result<(), Refusal> {
        let erased = stored(self.store.erased_extracts())?;
        if erased.is_empty() {
            return Ok(());
        }
        stored(self.store.scrub())?;
        let certificates = erased
            .iter()
            .map(|row| Event::ExtractKeysDestroyed {
                agreement: row.agreement.clone(),
                extract: row.extract.clone(),
                version: row.version,
                keys: row.keys.clone(),
            })
            .collect();
        journal.record_all(&Peer::Policy, now, certificates)?;
        stored(self.store.certify_extracts(&erased))
    }
}

/// An extract has what is agreed, all of it and no more, as the dataset's catalogue describes it.
fn check_tables(
    extract: &DatasetCatalog,
    whole: &DatasetCatalog,
    agreed: &BTreeMap<String, TableItem>,
) -> Result<(), Refusal> {
    let other = |what: String| Err(Refusal::new("extract-not-as-agreed", what));
    for table in &extract.tables {
        let name = &table.name;
        let known = whole.tables.iter().find(|known| known.name == *name);
        let (Some(known), Some(item)) = (known, agreed.get(name)) else {
            return other(format!("table \"{name}\" is not agreed"));
        };
        if table.person_key != known.person_key || table.rows > known.rows {
            return other(format!("table \"{name}\" is not the dataset's"));
        }
        for column in &table.columns {
            // Contributors are counted by the person key, and rows chosen by conditions, granted or not.
            let is_tested = item
                .rows
                .as_ref()
                .is_some_and(|rows| rows.conditions.iter().any(|row| row.column == column.name));
            let may = is_tested
                || item.columns.contains(&column.name)
                || table.person_key.as_deref() == Some(column.name.as_str());
            if !may || !known.columns.contains(column) {
                return other(format!("column \"{}\" of table \"{name}\"", column.name));
            }
        }
        let missing = item
            .columns
            .iter()
            .find(|agreed| !table.columns.iter().any(|column| column.name == **agreed));
        if let Some(missing) = missing {
            return other(format!(
                "column \"{missing}\" of table \"{name}\" is missing"
            ));
        }
    }
    Ok(())
}
