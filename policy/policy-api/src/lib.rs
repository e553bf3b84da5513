//! What the other services say to the policy service, and what the ledger holds.

mod admin;
mod entry;
mod session;

pub use admin::{
    AddHandler, AddPerson, AddReference, AddTerminal, DeploymentKeys, EndAgreement, Enrolments,
    ExpectServer, ListState, RecordEnquiry, RegisterAgreement, RegisterDataset, RegisterExtract,
    RemoveHandler, RevokeTerminal, StateSummary, WithdrawReference,
};
pub use entry::{ENTRY_VERSION, Entry, Event, Factor, OutputKind, SignInRefusal};
pub use kekkai_types::EndReason;
pub use session::{
    Action, AdmitPart, AttestChallenge, BeginEnrolment, CloseSession, ConsoleMode, Decide, Decided,
    DesktopTerms, DesktopTimes, EnrolmentChallenge, FinishEnrolment, GrantedDataset, GrantedTable,
    KnownPerson, KnownTerminal, LeaseState, LookUpPerson, LookUpTerminal, Nonce, OpenSession,
    OpenedSession, ProgramTerms, Record, Recorded, ReleaseKeys, RenewLeases, Resource,
    SessionTerms, View,
};
