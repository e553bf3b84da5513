//! What operator staff say at the administration command. The person is the one whom the client
//! certificate names.

use kekkai_attest::{Enrolled, ReferenceValues};
use kekkai_types::{
    AgreementId, Call, DatasetCatalog, DatasetId, Digest, Lang, PeerKind, PersonId, Role, ServerId,
    TerminalClass, TerminalId, WrappedKey,
};
use serde::{Deserialize, Serialize};

use crate::session::{Recorded, call};

/// Registers an agreement from its TOML text. The same id with other text replaces it: running
/// sessions are judged by the new text at their next renewal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterAgreement {
    /// TOML.
    pub toml: String,
}
call!(
    RegisterAgreement,
    "/v1/admin/agreement/register",
    AgreementId,
    [Admin]
);

/// Ends an agreement for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndAgreement {
    /// Which.
    pub agreement: AgreementId,
    /// Why, for the ledger.
    pub reason: String,
}
call!(EndAgreement, "/v1/admin/agreement/end", (), [Admin]);

/// Puts a person on an agreement's roster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddHandler {
    /// Which.
    pub agreement: AgreementId,
    /// Whom.
    pub person: PersonId,
}
call!(AddHandler, "/v1/admin/handler/add", (), [Admin]);

/// Takes a person off an agreement's roster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveHandler {
    /// Which.
    pub agreement: AgreementId,
    /// Whom.
    pub person: PersonId,
}
call!(RemoveHandler, "/v1/admin/handler/remove", (), [Admin]);

/// Registers a person, or changes name, language and roles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPerson {
    /// The id that signs in.
    pub person: PersonId,
    /// For the screens.
    pub name: String,
    /// What the person reads.
    pub lang: Lang,
    /// What the person may be.
    pub roles: Vec<Role>,
}
call!(AddPerson, "/v1/admin/person/add", (), [Admin]);

/// Registers a terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddTerminal {
    /// Its id.
    pub terminal: TerminalId,
    /// Its class.
    pub class: TerminalClass,
    /// Its OpenSSH public key (`TYPE BASE64`), if it connects by SSH.
    pub ssh_key: Option<String>,
    /// SHA-256 of its certificate's public key (`SubjectPublicKeyInfo`), if it connects by HTTPS.
    pub certificate_spki: Option<Digest>,
    /// Who may use it; empty: anyone on a roster that allows its class.
    pub people: Vec<PersonId>,
}
call!(AddTerminal, "/v1/admin/terminal/add", (), [Admin]);

/// Revokes a terminal for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeTerminal {
    /// Which.
    pub terminal: TerminalId,
}
call!(RevokeTerminal, "/v1/admin/terminal/revoke", (), [Admin]);

/// Registers a dataset version after ingest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterDataset {
    /// What it offers.
    pub catalog: DatasetCatalog,
    /// Its key, wrapped to each analysis server and to the recovery key.
    pub keys: Vec<WrappedKey>,
}
call!(RegisterDataset, "/v1/admin/dataset/register", (), [Admin]);

/// Registers an agreement's own extract of a dataset. From now on its sessions read the extract in the
/// dataset's place, and no other agreement's ever do. A later version takes the earlier one's place, whose
/// keys are erased; all are erased when the agreement ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterExtract {
    /// Whose.
    pub agreement: AgreementId,
    /// The dataset and version that it was made of, as the agreement names them.
    pub of: (DatasetId, u32),
    /// SHA-256 of that version's catalogue as JSON: the extract was made of what is registered.
    pub of_digest: Digest,
    /// What it offers: the agreed tables and columns, and each table's person key. Its id is no dataset's.
    pub catalog: DatasetCatalog,
    /// Its key, wrapped to analysis servers and to nobody else.
    pub keys: Vec<WrappedKey>,
}
call!(RegisterExtract, "/v1/admin/extract/register", (), [Admin]);

/// Puts into the ledger that somebody is to be told whose a pseudonym is, before they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordEnquiry {
    /// The extract whose pseudonym it is; of a running or an ended agreement.
    pub extract: DatasetId,
    /// SHA-256 of the pseudonym in decimal digits.
    pub pseudonym: Digest,
    /// Who asks and why, for the ledger.
    pub reason: String,
}
call!(
    RecordEnquiry,
    "/v1/admin/extract/enquiry",
    Recorded,
    [Admin]
);

/// Lets a server enrol under this id, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectServer {
    /// The id.
    pub server: ServerId,
}
call!(ExpectServer, "/v1/admin/server/expect", (), [Admin]);

/// The enrolled servers: ingest wraps dataset keys to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolments {}
call!(Enrolments, "/v1/admin/server/list", Vec<Enrolled>, [Admin]);

/// Adds reference values, signed by the producer's PCR policy key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddReference {
    /// The values.
    pub reference: ReferenceValues,
}
call!(AddReference, "/v1/admin/reference/add", Digest, [Admin]);

/// Withdraws reference values: sessions on servers that met only these end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawReference {
    /// From [`AddReference`].
    pub reference: Digest,
}
call!(
    WithdrawReference,
    "/v1/admin/reference/withdraw",
    (),
    [Admin]
);

/// What is registered, for `kekkai status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListState {}
call!(ListState, "/v1/admin/state", StateSummary, [Admin]);

/// Names and counts, nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSummary {
    /// Agreements, and whether each runs.
    pub agreements: Vec<(AgreementId, bool)>,
    /// People.
    pub people: Vec<PersonId>,
    /// Terminals that are not revoked.
    pub terminals: Vec<TerminalId>,
    /// Dataset versions.
    pub datasets: Vec<(DatasetId, u32)>,
    /// Extracts whose keys are there, and the agreements that they belong to.
    #[serde(default)]
    pub extracts: Vec<(AgreementId, DatasetId, u32)>,
    /// Enrolled servers.
    pub servers: Vec<ServerId>,
    /// Reference values in force.
    pub references: Vec<Digest>,
    /// Running sessions.
    pub sessions: u64,
    /// Entries in the ledger.
    pub ledger_size: u64,
}

/// Public keys of the deployment that others need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentKeys {
    /// The ledger's verifier key, as in C2SP signed-note: `NAME+ID+KEY`.
    pub ledger_vkey: String,
    /// The release bundles' Ed25519 public key, base64.
    pub release_key: String,
}
