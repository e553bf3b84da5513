//! What the other services say to the policy service, and what the ledger holds.

mod admin;
mod entry;
mod session;

pub use admin::{
    AddHandler, AddPerson, AddReference, AddTerminal, DeploymentKeys, EndAgreement, Enrolments,
    ExpectServer, ListState, RegisterAgreement, RegisterDataset, RemoveHandler, RevokeTerminal,
    StateSummary, WithdrawReference,
};
pub use entry::{Entry, Event, Factor, SignInRefusal, ENTRY_VERSION};
pub use session::{
    AttestChallenge, BeginEnrolment, CloseSession, Decide, Action, Resource, Decided, EndReason,
    EnrolmentChallenge, FinishEnrolment, GrantedTable, KnownPerson, KnownTerminal, LeaseState,
    LookUpPerson, LookUpTerminal, Nonce, OpenSession, OpenedSession, Record, Recorded, ReleaseKeys,
    RenewLeases, SessionTerms, ConsoleMode, GrantedDataset,
};
