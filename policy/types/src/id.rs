//! One id type for each kind of thing, so that a person is never taken for a terminal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest id, in bytes.
pub const ID_MAX: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("an id is empty")]
    Empty,
    /// Longer than [`ID_MAX`] bytes.
    #[error("an id has {0} bytes, at most {ID_MAX} are allowed")]
    TooLong(usize),
    /// Something else than `a-z`, `0-9`, `-`, `_` or `.`, or a first character that is none of `a-z0-9`.
    #[error("\"{0}\" is not an id: a-z, 0-9, '-', '_' and '.', beginning with a letter or digit")]
    Character(String),
}

/// Ids become file names and parts of URLs: the alphabet leaves no way to escape from either.
fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_MAX {
        return Err(IdError::TooLong(text.len()));
    }
    let first_fits = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let all_fit = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if first_fits && all_fit {
        Ok(())
    } else {
        Err(IdError::Character(text.chars().take(ID_MAX).collect()))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses an id that came from outside.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

macro_rules! random_id {
    ($name:ident, $prefix:literal, $bytes:literal) => {
        impl $name {
            /// A fresh id from the operating system's randomness.
            pub fn random() -> Result<Self, getrandom::Error> {
                let mut bytes = [0_u8; $bytes];
                getrandom::fill(&mut bytes)?;
                Ok(Self(format!(concat!($prefix, "{}"), hex::encode(bytes))))
            }
        }
    };
}

id!(
    /// A person: researcher, staff or auditor. Never reused for another person.
    PersonId
);
id!(
    /// A registered terminal.
    TerminalId
);
id!(
    /// An agreement, and the research project (研究課題) under it.
    AgreementId
);
id!(
    /// A dataset that the producer ingested.
    DatasetId
);
id!(
    /// A session: one person, one terminal, one agreement. Unguessable.
    SessionId
);
id!(
    /// A query or another piece of work in a session; counts from `1` within it.
    JobId
);
id!(
    /// An output that a researcher asks to take out. Unguessable.
    OutputId
);
id!(
    /// An analysis server.
    ServerId
);
id!(
    /// A tool that a project brings in through review.
    ToolName
);
random_id!(SessionId, "s", 16);
random_id!(OutputId, "o", 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_refuses_what_could_leave_a_folder_or_a_url() {
        for bad in [
            "", ".", "..", "../x", "a/b", "A", "a b", "é", "-a", "a\0", "a?b",
        ] {
            assert!(PersonId::new(bad).is_err(), "{bad:?}");
        }
        assert!(PersonId::new("a".repeat(65)).is_err());
        assert!(PersonId::new("sato-1.x_y").is_ok());
    }

    #[test]
    fn id_is_checked_when_it_is_deserialized() {
        assert!(serde_json::from_str::<SessionId>("\"../etc\"").is_err());
    }
}
