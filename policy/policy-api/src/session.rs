//! Sign-in facts, sessions, decisions, attestation and key release.

use std::collections::BTreeMap;

use kekkai_attest::{EnrolmentRequest, Evidence, ReferenceValues};
use kekkai_types::{
    AgreementId, Call, DatasetCatalog, Digest, DisplayClass, EndReason, Lang, OutputId, PeerKind,
    PersonId, Role, RowCondition, ServerId, SessionId, TerminalClass, TerminalId, Timestamp,
    WrappedKey,
};
use serde::{Deserialize, Serialize};

use crate::entry::{Event, Factor};

macro_rules! call {
    ($name:ident, $path:literal, $reply:ty, [$($caller:ident),*]) => {
        impl Call for $name {
            const PATH: &'static str = $path;
            type Reply = $reply;
            fn callers() -> &'static [PeerKind] {
                &[$(PeerKind::$caller),*]
            }
        }
    };
}
pub(crate) use call;

/// Writes an event to the ledger. When the reply is there, the entry is durable: only then may the
/// effect happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What is about to happen.
    pub event: Event,
}
call!(Record, "/v1/record", Recorded, [Gateway, Analysis, Review]);

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// Counted from 0.
    pub index: u64,
    /// For rows that are to be shown: at most so many, which may be fewer than were asked for.
    #[serde(default)]
    pub rows_max: Option<u64>,
    /// The effect has to wait so long: somebody uses more than usual.
    #[serde(default)]
    pub wait_ms: u64,
}

/// Who is this?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookUpPerson {
    /// The person.
    pub person: PersonId,
}
call!(
    LookUpPerson,
    "/v1/person",
    Option<KnownPerson>,
    [Gateway, Review]
);

/// A registered person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPerson {
    /// The person.
    pub person: PersonId,
    /// For the screens.
    pub name: String,
    /// What the person reads.
    pub lang: Lang,
    /// What the person may be.
    pub roles: Vec<Role>,
    /// Agreements whose roster names the person, running ones only.
    pub agreements: Vec<AgreementId>,
}

/// Which terminal is this? By its SSH key or by the id in its certificate. The review service asks whose
/// key signed a tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookUpTerminal {
    /// The OpenSSH public key: `TYPE BASE64`, without a comment.
    SshKey(String),
    /// The id that its client certificate names.
    Id(TerminalId),
}
call!(
    LookUpTerminal,
    "/v1/terminal",
    Option<KnownTerminal>,
    [Gateway, Review]
);

/// A registered terminal that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownTerminal {
    /// The terminal.
    pub terminal: TerminalId,
    /// Its class.
    pub class: TerminalClass,
    /// The people who may use it; empty: anyone on a roster that allows its class.
    pub people: Vec<PersonId>,
    /// SHA-256 of its certificate's public key (`SubjectPublicKeyInfo`), if it has one.
    pub certificate_spki: Option<Digest>,
}

/// May this person, at this terminal, begin a session? Records the answer before giving it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// Signed in by the gateway.
    pub person: PersonId,
    /// Where.
    pub terminal: TerminalId,
    /// `None`: the only agreement that the person is a handler of.
    pub agreement: Option<AgreementId>,
    /// The network address, for the ledger.
    pub address: String,
    /// What is to be shown there.
    pub view: View,
    /// What was verified. Decisions need [`Factor::Biometric`], [`Factor::Token`] and [`Factor::Terminal`].
    pub factors: Vec<Factor>,
}
call!(OpenSession, "/v1/session/open", OpenedSession, [Gateway]);

/// What a session shows itself as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Text, over stock `ssh`.
    Console,
    /// A drawn desktop, as pixels.
    Desktop,
}

/// A session that may be launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedSession {
    /// The session.
    pub session: SessionId,
    /// Its agreement.
    pub agreement: AgreementId,
    /// The agreement's title.
    pub title: String,
    /// What the text console may show.
    pub console: ConsoleMode,
    /// The terminal's class.
    pub class: TerminalClass,
    /// Without input for this long, the session ends.
    pub idle_limit_s: u32,
    /// For [`View::Desktop`].
    pub desktop: Option<DesktopTimes>,
}

/// When a desktop is locked, and how long it waits for its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesktopTimes {
    /// Without input for this long, the screen is locked, in seconds: nothing is shown or taken until the
    /// person was verified again.
    pub lock_after_s: u32,
    /// Without a screen for this long (line cut, or locked), the session ends, in seconds.
    pub reconnect_limit_s: u32,
}

/// What the text console may show under an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsoleMode {
    /// No console session at all.
    Off,
    /// Status, schemas and jobs.
    Status,
    /// Also statistics that pass the automatic checks.
    Statistics,
}

/// Asked once a second by the gateway and by the analysis server, each for the sessions it holds.
/// Without an answer for 4 s, the holder ends its sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewLeases {
    /// At most 10,000.
    pub sessions: Vec<SessionId>,
}
call!(RenewLeases, "/v1/session/renew", BTreeMap<SessionId, LeaseState>, [Gateway, Analysis]);

/// Whether a session may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// It may.
    Live,
    /// It is over; the holder stops it at once.
    Ended(EndReason),
}

/// Ends a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseSession {
    /// The session.
    pub session: SessionId,
    /// Why.
    pub reason: EndReason,
}
call!(CloseSession, "/v1/session/close", (), [Gateway, Analysis]);

/// May this person do that? Records the answer before giving it, except for [`Action::SeeQueue`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// Signed in by the gateway.
    pub person: PersonId,
    /// At this terminal.
    pub terminal: TerminalId,
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
}
call!(Decide, "/v1/decide", Decided, [Gateway, Review]);

/// What a person may ask to do outside a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// See the queue of outputs that wait, and each of them.
    SeeQueue,
    /// Vote on an output.
    Vote,
    /// See one's project's outputs and their state.
    SeeOutputs,
    /// Fetch a release.
    FetchRelease,
    /// Bring a tool of one's own in. Asked for its author, at the terminal whose key signed it.
    /// [`EndReason::RoleNotAllowed`] says that the agreement doesn't name the tool.
    BringTool,
    /// Look at a running session's screen.
    WatchSession,
    /// End a running session.
    EndSession,
    /// Lift a lock-out.
    Unlock,
    /// Enrol a credential for a person.
    EnrolCredential,
}

/// What an action is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// The review queue as a whole.
    Queue,
    /// An output of a project.
    Output {
        /// The output.
        output: OutputId,
        /// Its project.
        agreement: AgreementId,
        /// Who submitted it.
        author: PersonId,
    },
    /// A tool that somebody brings into a project.
    Tool {
        /// Its name, as in the agreement's `own_tools`.
        tool: String,
        /// The project.
        agreement: AgreementId,
        /// Who signed it.
        author: PersonId,
    },
    /// A running session.
    Session {
        /// Which.
        session: SessionId,
        /// Its project.
        agreement: AgreementId,
        /// Whose it is.
        person: PersonId,
    },
    /// A project's outputs.
    Agreement(AgreementId),
    /// A person's account.
    Account(PersonId),
}

/// The answer to [`Decide`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[must_use = "a decision that nobody looks at decides nothing"]
pub enum Decided {
    /// Yes.
    Allowed,
    /// No, and why.
    Refused(EndReason),
}

/// Asks for a nonce for the next quote. Valid once, for 60 s.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestChallenge {}
call!(AttestChallenge, "/v1/attest/challenge", Nonce, [Analysis]);

/// 32 random bytes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce(pub Digest);

/// Begins enrolment; the peer's certificate must name the same server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginEnrolment {
    /// What the TPM says of itself.
    pub request: EnrolmentRequest,
}
call!(
    BeginEnrolment,
    "/v1/enrol/begin",
    EnrolmentChallenge,
    [Analysis]
);

/// For `TPM2_ActivateCredential`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentChallenge {
    /// `TPM2B_ID_OBJECT`'s contents, base64.
    pub credential_blob: String,
    /// `TPM2B_ENCRYPTED_SECRET`'s contents, base64.
    pub secret: String,
}

/// Returns the activated credential.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishEnrolment {
    /// The server.
    pub server: ServerId,
    /// The credential, base64.
    pub credential: String,
}
call!(FinishEnrolment, "/v1/enrol/finish", (), [Analysis]);

/// Asks for a session's terms and wrapped keys, showing a fresh quote. The quote's `extraData` is
/// SHA-256 of nonce ‖ session id ‖ SHA-256(the TLS certificate's `SubjectPublicKeyInfo`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseKeys {
    /// The session to launch.
    pub session: SessionId,
    /// From [`AttestChallenge`].
    pub nonce: Nonce,
    /// The quote.
    pub evidence: Evidence,
}
call!(ReleaseKeys, "/v1/keys/release", SessionTerms, [Analysis]);

/// Asks that `server` may run a part of a session that runs on the caller: its statements may then be spread
/// over both. Records the answer before giving it. `server` then shows a quote of its own for the keys
/// ([`ReleaseKeys`]), once for each admission.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitPart {
    /// The session.
    pub session: SessionId,
    /// Another analysis server.
    pub server: ServerId,
}
call!(AdmitPart, "/v1/part/admit", (), [Analysis]);

/// What a session may read and show. Comes from the policy service, never from the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionTerms {
    /// The session.
    pub session: SessionId,
    /// Whose it is: the author of its outputs.
    pub person: PersonId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// What the console may show.
    pub console: ConsoleMode,
    /// The display that the terminal offers.
    pub display: DisplayClass,
    /// The data.
    pub datasets: Vec<GrantedDataset>,
    /// Persons below which a cell is suppressed; at least 1.
    pub threshold: u32,
    /// The largest share of a magnitude that one person may have, in permille.
    pub dominance_permille: u32,
    /// The SDC profile's name, for review.
    pub sdc_profile: String,
    /// A query that runs longer is cancelled, in seconds.
    pub query_limit_s: u32,
    /// Memory of the session's processes, in MiB.
    pub memory_limit_mib: u32,
    /// What the session's programs may do; `None`: it runs no programs.
    pub programs: Option<ProgramTerms>,
    /// For [`View::Desktop`]; `None`: a console.
    pub desktop: Option<DesktopTerms>,
    /// The reference values that the quote met: their signature satisfies the TPM's policy.
    pub reference: ReferenceValues,
}

/// What a desktop shows and takes: the agreement's `[desktop]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesktopTerms {
    /// The person's name, for the screen.
    pub person_name: String,
    /// The person's language.
    pub lang: Lang,
    /// The project's title.
    pub title: String,
    /// When the session's hours or its agreement's period end: the earlier.
    pub closes: Timestamp,
    /// Characters that may be typed in one session: upload by keystrokes is bounded.
    pub typed_chars_max: u32,
    /// Characters a second that nobody types: text that comes faster is held and asked about.
    pub typed_chars_per_s_max: u32,
    /// What notebooks may take together, in KiB.
    pub notebooks_kib_max: u32,
}

/// What the programs of a session may do: the agreement's `[programs]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramTerms {
    /// Python scripts that are typed in the session.
    pub python: bool,
    /// Tools by name; each enters through review.
    pub tools: Vec<String>,
    /// Whether programs may read rows; without, they get statistics only. Rows are never shown for it.
    pub rows: bool,
    /// A program that runs longer is stopped, in seconds.
    pub time_limit_s: u32,
    /// Linear memory of a program, in MiB.
    pub memory_limit_mib: u32,
    /// Elements of a program's tables.
    pub table_elements_max: u32,
    /// Core instances of one program.
    pub instances_max: u32,
    /// Outputs that one run may submit.
    pub outputs_max: u32,
    /// Size of one output, in KiB.
    pub output_kib_max: u32,
    /// What one run may log, in KiB; the rest is dropped and counted.
    pub log_kib_max: u32,
    /// What one run may keep in its scratch, in KiB.
    pub scratch_kib_max: u32,
    /// The smallest step of a program's clocks, in milliseconds.
    pub clock_ms: u32,
}

/// A dataset that a session may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedDataset {
    /// The catalogue, cut down to the granted tables; their files are whole.
    pub catalog: DatasetCatalog,
    /// The dataset's key, wrapped to the server that asked.
    pub key: WrappedKey,
    /// The granted columns of each table; a table that is not named is not granted.
    pub tables: BTreeMap<String, GrantedTable>,
}

/// What a session may use of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedTable {
    /// Column names.
    pub columns: Vec<String>,
    /// The display that row-level views need.
    pub rows_need: DisplayClass,
    /// What a row must meet, all of it; empty: all rows are provided.
    pub rows: Vec<RowCondition>,
}
