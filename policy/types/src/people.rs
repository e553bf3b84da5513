//! What a person may be, and what a terminal is.

use serde::{Deserialize, Serialize};

/// What a person does here. A person may have several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// 取扱者: analyses data under an agreement.
    Researcher,
    /// 研究開発責任者: answers for a project and fetches its releases.
    PrincipalInvestigator,
    /// 安全管理責任者 at the user organisation.
    SecurityManager,
    /// 運用担当者: runs the visiting environment for the producer.
    Operator,
    /// 審査担当者: votes on outputs.
    Reviewer,
    /// 監査者: verifies, changes nothing.
    Auditor,
}

/// What a registered terminal is. What a session may show depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TerminalClass {
    /// A machine with the native client.
    Vdi,
    /// A kiosk in the producer's own rooms.
    Onsite,
    /// A machine of the producer's staff.
    Operator,
    /// A browser of the user organisation.
    Browser,
    /// A text terminal with stock `ssh`.
    Console,
}

/// The display that a class of data needs, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisplayClass {
    /// Text over `ssh`: enforces nothing about the screen.
    Console,
    /// A browser canvas: deters.
    Browser,
    /// The native client: asks the operating system for content protection.
    Vdi,
    /// The kiosk: enforces.
    Onsite,
}

impl TerminalClass {
    /// The display that a terminal of this class offers; staff terminals show no data.
    pub fn display(self) -> Option<DisplayClass> {
        match self {
            Self::Vdi => Some(DisplayClass::Vdi),
            Self::Onsite => Some(DisplayClass::Onsite),
            Self::Browser => Some(DisplayClass::Browser),
            Self::Console => Some(DisplayClass::Console),
            Self::Operator => None,
        }
    }
}
