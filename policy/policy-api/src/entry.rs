//! Ledger entries: typed, versioned, with as little personal data as serves the auditor.

use kekkai_types::{
    AgreementId, DatasetId, Digest, EndReason, JobId, OutputId, PersonId, ServerId, SessionId,
    TerminalClass, TerminalId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::session::Action;

/// The version of [`Entry`] that this build writes.
pub const ENTRY_VERSION: u32 = 1;

/// One line of the ledger, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`ENTRY_VERSION`].
    pub v: u32,
    /// When the policy service accepted it, in milliseconds since 1970 (UTC).
    pub at: Timestamp,
    /// The service that said so: the URI of its certificate.
    pub source: String,
    /// What happened, or is about to.
    pub event: Event,
}

/// A factor that was verified at sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// WebAuthn with user verification by an allowed model.
    Biometric,
    /// OATH TOTP.
    Token,
    /// The terminal's own key or certificate.
    Terminal,
}

/// Why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInRefusal {
    /// Nobody of that name.
    UnknownPerson,
    /// The terminal is not registered, is revoked, or is another's.
    Terminal,
    /// Locked after repeated failures; only staff lifts it.
    Locked,
    /// The token's code is wrong.
    TokenWrong,
    /// The token's code was used before, or is older than one that was.
    TokenReplayed,
    /// No approval came in time.
    ApprovalMissing,
    /// An approval for another connection's code, terminal or person.
    ApprovalForeign,
    /// The assertion doesn't verify.
    AssertionInvalid,
    /// The authenticator did not verify the user.
    UserNotVerified,
    /// The authenticator's model is not on the allow-list.
    ModelNotAllowed,
    /// The signature counter went back: a clone.
    CounterWentBack,
    /// An `sk-` key proves possession, not a finger.
    SecurityKeyIsNotBiometric,
    /// Not on the roster, no agreement, or outside its hours.
    Policy,
}

/// What kind of output may be asked for, as agreements name it. There is none for rows (R11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// A table of statistics; also the words of a program.
    Table,
    /// A drawing of statistics.
    Plot,
    /// Parameters of a trained model.
    Model,
}

/// What happened, or is about to: entries are written before the effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are named by their types")]
pub enum Event {
    ServiceStarted {
        version: String,
    },
    ServiceStopped,

    SignInRefused {
        person: Option<PersonId>,
        terminal: Option<TerminalId>,
        address: String,
        reason: SignInRefusal,
        failures: u32,
    },
    SignInAccepted {
        person: PersonId,
        terminal: TerminalId,
        address: String,
        factors: Vec<Factor>,
    },
    AccountLocked {
        person: PersonId,
        failures: u32,
    },
    AccountUnlocked {
        person: PersonId,
        by: PersonId,
    },
    CredentialEnrolled {
        person: PersonId,
        factor: Factor,
        model: String,
        by: PersonId,
    },
    RequestRefused {
        person: Option<PersonId>,
        session: Option<SessionId>,
        terminal: Option<TerminalId>,
        request: String,
    },

    SessionOpened {
        session: SessionId,
        person: PersonId,
        terminal: TerminalId,
        class: TerminalClass,
        agreement: AgreementId,
    },
    SessionRefused {
        person: PersonId,
        terminal: TerminalId,
        agreement: Option<AgreementId>,
        reason: EndReason,
    },
    SessionEnded {
        session: SessionId,
        reason: EndReason,
    },
    Decided {
        person: PersonId,
        action: Action,
        resource: String,
        allowed: bool,
        reason: Option<EndReason>,
    },

    ServerExpected {
        server: ServerId,
        by: PersonId,
    },
    ServerEnrolled {
        server: ServerId,
        ek_certificate: Digest,
        emulated: bool,
    },
    EnrolmentRefused {
        server: ServerId,
        reason: String,
    },
    KeysReleased {
        session: SessionId,
        server: ServerId,
        datasets: Vec<(DatasetId, u32)>,
        reference: Digest,
        emulated: bool,
    },
    KeysRefused {
        session: Option<SessionId>,
        server: ServerId,
        reason: String,
    },
    SessionLaunched {
        session: SessionId,
        server: ServerId,
        layers: Vec<String>,
        waived: Vec<String>,
    },

    /// Another server may run a part of the session: the statements of `leader` are spread over both.
    PartAdmitted {
        session: SessionId,
        server: ServerId,
        leader: ServerId,
    },
    PartRefused {
        session: SessionId,
        server: ServerId,
        leader: ServerId,
        reason: String,
    },
    PartLaunched {
        session: SessionId,
        server: ServerId,
        layers: Vec<String>,
        waived: Vec<String>,
    },
    PartEnded {
        session: SessionId,
        server: ServerId,
        reason: EndReason,
    },

    /// A screen is shown: to the session's person, or after a cut or a lock again. `mark` is the invisible
    /// one that its pictures carry.
    ScreenAttached {
        session: SessionId,
        terminal: TerminalId,
        address: String,
        mark: Option<String>,
    },
    /// A screen is no longer shown: `locked`, `cut`, `replaced`, `left`, `ended`.
    ScreenDetached {
        session: SessionId,
        reason: String,
    },
    SessionWatched {
        session: SessionId,
        by: PersonId,
        terminal: TerminalId,
    },
    SessionWatchEnded {
        session: SessionId,
        by: PersonId,
    },
    /// More text came than a person types. `admitted` is what the person then decided.
    TypingHeld {
        session: SessionId,
        chars: u32,
        admitted: Option<bool>,
    },
    /// Rows are shown, on a display that may: at most `rows_max`. The server asks for a number; what stands
    /// here is what the agreement's bounds left of it, set by the policy service.
    RowsShown {
        session: SessionId,
        job: JobId,
        sql: String,
        #[serde(default)]
        rows_max: u64,
    },
    /// More use than this person's past (or, without a person, the project's) explains: `measure` is
    /// `statements-per-hour` or `rows-per-day`. Said once for each hour or day.
    UseUnusual {
        session: SessionId,
        agreement: AgreementId,
        person: Option<PersonId>,
        measure: String,
        now: u64,
        usual: u64,
    },
    /// So much more that the person is off the agreement's roster until staff puts them back.
    UseSuspended {
        session: SessionId,
        agreement: AgreementId,
        person: PersonId,
        measure: String,
        now: u64,
        usual: u64,
    },
    /// `header` is the digest of the recording's first line; `recipient` that of the auditors' public key.
    RecordingBegan {
        session: SessionId,
        recording: String,
        header: Digest,
        recipient: Digest,
        mark: String,
    },
    /// Up to here the recording is whole: `head` is the last link of its chain.
    RecordingReached {
        session: SessionId,
        recording: String,
        chunks: u64,
        bytes: u64,
        head: Digest,
        ended: bool,
    },
    /// It can't be written: the screen shows nothing new until it can.
    RecordingFailed {
        session: SessionId,
        recording: String,
        reason: String,
    },

    QueryStarted {
        session: SessionId,
        job: JobId,
        sql: String,
    },
    QueryEnded {
        session: SessionId,
        job: JobId,
        outcome: String,
        rows: u64,
        cells_suppressed: u64,
        groups_withheld: u64,
    },

    /// `digest` is that of the script's text or of the tool's component.
    RunStarted {
        session: SessionId,
        job: JobId,
        program: String,
        digest: Digest,
    },
    /// A statement of a program; `query` counts from 1 in its run. `parameters` is their digest. The text is
    /// there while the program has read no rows: afterwards it could hold them.
    RunQueried {
        session: SessionId,
        job: JobId,
        query: u32,
        sql: Option<String>,
        sql_digest: Digest,
        parameters: Option<Digest>,
        rows: bool,
    },
    RunEnded {
        session: SessionId,
        job: JobId,
        outcome: String,
        queries: u32,
        outputs: u32,
        log_bytes: u64,
        lines_withheld: u64,
    },
    /// A jailed process did what none of ours does, and was killed.
    ProcessKilled {
        session: Option<SessionId>,
        process: String,
        reason: String,
    },
    /// A stored file of this server's is not what it wrote.
    ArtefactRefused {
        server: ServerId,
        digest: Digest,
        reason: String,
    },

    ToolSubmitted {
        agreement: AgreementId,
        tool: String,
        digest: Digest,
        author: PersonId,
        by: PersonId,
    },
    ToolRefused {
        agreement: AgreementId,
        tool: String,
        digest: Digest,
        author: Option<PersonId>,
        reason: String,
    },
    ToolVoted {
        agreement: AgreementId,
        tool: String,
        digest: Digest,
        reviewer: PersonId,
        accept: bool,
    },
    ToolAdmitted {
        agreement: AgreementId,
        tool: String,
        digest: Digest,
        reviewers: [PersonId; 2],
    },
    ToolRejected {
        agreement: AgreementId,
        tool: String,
        digest: Digest,
    },
    ToolWithdrawn {
        agreement: AgreementId,
        tool: String,
        digest: Digest,
        by: PersonId,
    },

    OutputSubmitted {
        output: OutputId,
        digest: Digest,
        author: PersonId,
        agreement: AgreementId,
        session: SessionId,
        /// Absent in entries of builds that knew tables only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<OutputKind>,
    },
    OutputVoted {
        output: OutputId,
        digest: Digest,
        reviewer: PersonId,
        accept: bool,
        round: u32,
    },
    VoteRefused {
        output: OutputId,
        reviewer: PersonId,
        reason: String,
    },
    OutputReturned {
        output: OutputId,
        digest: Digest,
    },
    OutputRejected {
        output: OutputId,
        digest: Digest,
    },
    OutputReleased {
        output: OutputId,
        digest: Digest,
        bundle: Digest,
        reviewers: [PersonId; 2],
    },
    BundleFetched {
        output: OutputId,
        bundle: Digest,
        person: PersonId,
        terminal: TerminalId,
    },

    AgreementRegistered {
        agreement: AgreementId,
        digest: Digest,
        by: PersonId,
    },
    AgreementEnded {
        agreement: AgreementId,
        reason: String,
        by: PersonId,
    },
    HandlerAdded {
        agreement: AgreementId,
        person: PersonId,
        by: PersonId,
    },
    HandlerRemoved {
        agreement: AgreementId,
        person: PersonId,
        by: PersonId,
    },
    PersonRegistered {
        person: PersonId,
        by: PersonId,
    },
    TerminalRegistered {
        terminal: TerminalId,
        class: TerminalClass,
        by: PersonId,
    },
    TerminalRevoked {
        terminal: TerminalId,
        by: PersonId,
    },
    DatasetRegistered {
        dataset: DatasetId,
        version: u32,
        digest: Digest,
        by: PersonId,
    },
    /// An agreement's own extract of a dataset. `digest` is that of its catalogue.
    ExtractRegistered {
        agreement: AgreementId,
        dataset: DatasetId,
        dataset_version: u32,
        extract: DatasetId,
        version: u32,
        digest: Digest,
        by: PersonId,
    },
    /// The certificate: the wrapped keys with these digests were all that opened the extract, and are erased.
    ExtractKeysDestroyed {
        agreement: AgreementId,
        extract: DatasetId,
        version: u32,
        keys: Vec<Digest>,
    },
    /// Somebody is to be told whose a pseudonym is. `pseudonym` is the digest of its digits.
    EnquiryRecorded {
        agreement: AgreementId,
        extract: DatasetId,
        pseudonym: Digest,
        reason: String,
        by: PersonId,
    },
    ReferenceAdded {
        reference: Digest,
        label: String,
        by: PersonId,
    },
    ReferenceWithdrawn {
        reference: Digest,
        by: PersonId,
    },
}
