//! From a message with descriptors to a session of the engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use kekkai_dataset::{FilePlace, check_magic, decryption_properties};
use kekkai_engine::{
    GrantedColumn, LoadError, Session, Spill, SpillError, TableFile, TableSource, Terms,
};
use kekkai_types::{DatasetId, KeyText, RowCondition};
use kekkai_worker_api::{Load, PassedFile, TableConditions};

/// Why a session can't be loaded. Names files, tables and columns, never a value.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailed {
    /// Other descriptors than files are named.
    #[error("{files} files are named, {descriptors} descriptors came")]
    Descriptors {
        /// Names.
        files: usize,
        /// Descriptors.
        descriptors: usize,
    },
    /// A file of another length than the catalogue says.
    #[error("\"{0}\" is not as long as the catalogue says")]
    Length(String),
    /// A file that the catalogue doesn't have, or one of it that didn't come.
    #[error("\"{0}\" is named by the catalogue or was passed, but not both")]
    File(String),
    /// Row conditions of a table that the catalogue doesn't have.
    #[error("table \"{0}\" has row conditions, but is not in the catalogue")]
    Conditions(String),
    /// A dataset without its key.
    #[error("dataset \"{0}\" came without its key")]
    NoKey(DatasetId),
    /// A file that is not what it should be.
    #[error("{0}")]
    Dataset(#[from] kekkai_dataset::FileError),
    /// The engine refuses a table.
    #[error("{0}")]
    Engine(#[from] LoadError),
    /// The file to spill into.
    #[error("nothing can be spilled: {0}")]
    Spill(#[from] SpillError),
    /// A number of the terms doesn't fit this machine.
    #[error("the memory limit of {0} MiB doesn't fit this machine")]
    Memory(u32),
}

/// Opens everything that a session may read. The message is consumed: its keys are wiped when this returns,
/// and live on only in the readers of their files.
pub fn load(message: Load, mut descriptors: Vec<OwnedFd>) -> Result<Session, LoadFailed> {
    let Load {
        catalogs,
        conditions,
        files,
        keys,
        threshold,
        dominance_permille,
        policy,
        memory_limit_mib,
        threads,
        spill_bytes_max,
    } = message;
    let spilled = usize::from(spill_bytes_max.is_some());
    if files.len().checked_add(spilled) != Some(descriptors.len()) {
        return Err(LoadFailed::Descriptors {
            files: files.len().saturating_add(spilled),
            descriptors: descriptors.len(),
        });
    }
    let spill = match spill_bytes_max {
        Some(bytes_max) => descriptors
            .pop()
            .map(|file| Spill::new(File::from(file), bytes_max))
            .transpose()?,
        None => None,
    };
    let mut passed = Passed::new(files, descriptors)?;
    let mut sources = Vec::new();
    let mut conditions = Conditions(conditions);
    for catalog in catalogs {
        let key: &KeyText = keys
            .iter()
            .find(|key| key.dataset == catalog.id && key.version == catalog.version)
            .map(|key| &key.key)
            .ok_or_else(|| LoadFailed::NoKey(catalog.id.clone()))?;
        for table in catalog.tables {
            let mut files = Vec::with_capacity(table.files.len());
            for entry in &table.files {
                let file = passed.take(&catalog.id, &table.name, &entry.name, entry.bytes)?;
                let place = FilePlace::new(&catalog.id, catalog.version, &entry.name);
                // A reader with a key takes plain Parquet without complaint: data of anybody's.
                check_magic(&file, &place)?;
                files.push(TableFile {
                    file,
                    decryption: Some(decryption_properties(key, &place)?),
                });
            }
            let rows = conditions.take(&catalog.id, &table.name);
            sources.push(TableSource {
                dataset: catalog.id.clone(),
                version: catalog.version,
                name: table.name,
                columns: table
                    .columns
                    .into_iter()
                    .map(|column| GrantedColumn {
                        name: column.name,
                        sql_type: Some(column.sql_type),
                    })
                    .collect(),
                person_key: table.person_key,
                rows,
                files,
            });
        }
    }
    passed.finish()?;
    conditions.finish()?;
    let memory_limit_bytes = usize::try_from(memory_limit_mib)
        .ok()
        .and_then(|mib| mib.checked_mul(1024 * 1024))
        .ok_or(LoadFailed::Memory(memory_limit_mib))?;
    let terms = Terms {
        threshold,
        dominance_permille,
        policy,
        memory_limit_bytes,
        threads: usize::try_from(threads).unwrap_or(1).max(1),
    };
    Ok(Session::with_spill(terms, sources, spill)?)
}

/// Row conditions whose table did not come yet.
struct Conditions(Vec<TableConditions>);

impl Conditions {
    fn take(&mut self, dataset: &DatasetId, table: &str) -> Vec<RowCondition> {
        let is_its = |of: &mut TableConditions| of.dataset == *dataset && of.table == table;
        self.0
            .extract_if(.., is_its)
            .flat_map(|of| of.rows)
            .collect()
    }

    /// A condition that no table took would be a condition that nobody enforces.
    fn finish(self) -> Result<(), LoadFailed> {
        match self.0.into_iter().next() {
            Some(left) => Err(LoadFailed::Conditions(left.table)),
            None => Ok(()),
        }
    }
}

/// Files that were passed and not taken yet.
struct Passed(BTreeMap<(DatasetId, String, String), File>);

impl Passed {
    fn new(files: Vec<PassedFile>, descriptors: Vec<OwnedFd>) -> Result<Self, LoadFailed> {
        let mut all = BTreeMap::new();
        for (named, descriptor) in files.into_iter().zip(descriptors) {
            let file = File::from(descriptor);
            let is_as_long = file
                .metadata()
                .is_ok_and(|found| found.len() == named.bytes);
            if !is_as_long {
                return Err(LoadFailed::Length(named.name));
            }
            let name = named.name.clone();
            if all
                .insert((named.dataset, named.table, named.name), file)
                .is_some()
            {
                return Err(LoadFailed::File(name));
            }
        }
        Ok(Self(all))
    }

    fn take(
        &mut self,
        dataset: &DatasetId,
        table: &str,
        name: &str,
        bytes: u64,
    ) -> Result<File, LoadFailed> {
        let key = (dataset.clone(), table.to_owned(), name.to_owned());
        let file = self
            .0
            .remove(&key)
            .ok_or_else(|| LoadFailed::File(name.to_owned()))?;
        match file.metadata() {
            Ok(found) if found.len() == bytes => Ok(file),
            _ => Err(LoadFailed::Length(name.to_owned())),
        }
    }

    fn finish(self) -> Result<(), LoadFailed> {
        match self.0.into_keys().next() {
            Some((_, _, name)) => Err(LoadFailed::File(name)),
            None => Ok(()),
        }
    }
}
