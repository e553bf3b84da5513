//! Refusals with stable codes.

use kekkai_policy_api::EndReason;
use kekkai_types::Refusal;

/// The ledger can't be written: nothing happens.
pub(crate) fn ledger_unavailable() -> Refusal {
    Refusal::new("ledger-unavailable", "")
}

/// SQLite refused: the entry stands, the effect does not.
pub(crate) fn state_unavailable() -> Refusal {
    Refusal::new("state-unavailable", "")
}

/// A bug, or a lock that a bug left behind.
pub(crate) fn internal() -> Refusal {
    Refusal::new("internal", "")
}

/// The reason's own name is the code: `not-on-roster`.
pub(crate) fn reason(reason: EndReason, detail: &str) -> Refusal {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(code)) => Refusal::new(&code, detail),
        _ => internal(),
    }
}
