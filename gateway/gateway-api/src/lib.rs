//! What operator staff say to the gateway at the administration command.

use kekkai_types::{Call, PeerKind, PersonId};
use serde::{Deserialize, Serialize};

macro_rules! call {
    ($name:ident, $path:literal, $reply:ty) => {
        impl Call for $name {
            const PATH: &'static str = $path;
            type Reply = $reply;
            fn callers() -> &'static [PeerKind] {
                &[PeerKind::Admin]
            }
        }
    };
}

/// Lets a person enrol an authenticator once, at a terminal of their own, and gives them a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEnrolment {
    /// Registered with the policy service.
    pub person: PersonId,
}
call!(CreateEnrolment, "/v1/enrolment/create", EnrolmentTicket);

/// Handed to the person in person. Prints nothing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentTicket {
    /// Opens `/enrol/TICKET` once, within 24 hours.
    pub ticket: String,
    /// The token's secret, base32, for a programmable OATH token (SHA-1, 6 digits, 30 s).
    pub totp_secret: String,
}

impl std::fmt::Debug for EnrolmentTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnrolmentTicket(…)")
    }
}

/// Lifts a lock-out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// Whose.
    pub person: PersonId,
}
call!(Unlock, "/v1/account/unlock", ());

/// Where an account stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookUpAccount {
    /// Whose.
    pub person: PersonId,
}
call!(LookUpAccount, "/v1/account", Account);

/// An account, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Locked until staff lifts it.
    pub locked: bool,
    /// Refused attempts since the last accepted one.
    pub failures: u32,
    /// Enrolled authenticators.
    pub authenticators: u32,
    /// True once a token is enrolled.
    pub token: bool,
}
