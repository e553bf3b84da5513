//! Why things end.

use serde::{Deserialize, Serialize};

/// Why a session ends or never begins; also why an action is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The person left.
    ClosedByUser,
    /// No input for too long.
    Idle,
    /// Connection lost or gateway stopped.
    Disconnected,
    /// Staff of the producer ended it.
    EndedByStaff,
    /// The terminal is of no class that shows a desktop, or the agreement has none.
    DesktopOff,
    /// There is no such agreement, or the person may not know.
    NoAgreement,
    /// Several agreements fit; name one.
    AmbiguousAgreement,
    /// The agreement was ended.
    AgreementEnded,
    /// Before or after its period.
    OutsidePeriod,
    /// Outside its hours or days.
    OutsideHours,
    /// Not, or no longer, on the roster.
    NotOnRoster,
    /// The terminal is unknown, revoked, another's, or of a class that the agreement doesn't name.
    TerminalNotAllowed,
    /// The agreement lets the console show nothing.
    ConsoleOff,
    /// A factor is missing.
    FactorMissing,
    /// The role may not do that.
    RoleNotAllowed,
    /// Nobody may do that to their own output.
    OwnOutput,
    /// The server's attestation failed, or its reference value was withdrawn.
    ServerNotTrusted,
    /// The session's process ended or the server lost it.
    ServerLost,
    /// A service that must answer did not.
    ServiceUnavailable,
}
