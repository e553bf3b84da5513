//! The words that every service of Kekkai shares: ids, digests, time, language.
//!
//! Nothing here does I/O or reads a clock; every other crate may depend on it.

mod catalog;
mod condition;
mod digest;
mod end;
mod id;
mod lang;
mod people;
mod rpc;
mod secret;
mod time;

pub use catalog::{
    ColumnCatalog, ColumnRole, DatasetCatalog, FileEntry, PERSON_NUMBER_COLUMN, Recipient,
    TableCatalog, WrappedKey, rounded_rows,
};
pub use condition::{CONDITION_LIST_MAX, Constant, RowCondition, RowTest};
pub use digest::{Digest, DigestParseError};
pub use end::EndReason;
pub use id::{
    AgreementId, DatasetId, ID_MAX, IdError, JobId, OutputId, PersonId, ServerId, SessionId,
    TerminalId, ToolName,
};
pub use lang::{Lang, Text};
pub use people::{DisplayClass, Role, TerminalClass};
pub use rpc::{Call, Peer, PeerError, PeerKind, Refusal, StreamCall};
pub use secret::KeyText;
pub use time::Timestamp;
