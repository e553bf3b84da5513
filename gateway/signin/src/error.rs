//! What goes wrong, and whose it is.

use kekkai_policy_api::SignInRefusal;
use kekkai_types::PersonId;

use crate::settings::SettingsError;

/// The state could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operator's settings don't fit together.
    #[error("the sign-in settings are unusable")]
    Settings(#[from] SettingsError),
    /// The database.
    #[error("the sign-in state can't be opened")]
    Storage(#[from] StorageError),
}

/// Ours: the state could not be read or written. Whoever gets it refuses.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// SQLite says so.
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    /// A stored value can't be read back.
    #[error("a stored \"{0}\" is unreadable")]
    Unreadable(&'static str),
    /// Another thread panicked while it held the state.
    #[error("the state is poisoned")]
    Poisoned,
    /// The operating system gave no randomness.
    #[error("no randomness")]
    Random(#[from] getrandom::Error),
}

/// A refused check, already counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The person, if there is one: what was typed as a name may be anything, even a password.
    pub person: Option<PersonId>,
    /// For the ledger, not for the screen.
    pub reason: SignInRefusal,
    /// The person's refused checks since their last sign-in, this one included.
    pub failures: u32,
    /// True when this one locked the account.
    pub locked_now: bool,
}

/// A check that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The person's, or an attacker's.
    #[error("sign-in is refused")]
    Refused(Refused),
    /// Too many connection codes or challenges wait.
    #[error("too many sign-ins wait at once")]
    Busy,
    /// Ours.
    #[error("the sign-in state failed")]
    Storage(#[from] StorageError),
}

impl From<rusqlite::Error> for AttemptError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.into())
    }
}
