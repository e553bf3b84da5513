//! What a manifest may do with a column, and which rule fits which role.

use std::fmt;
use std::str::FromStr;

use arrow::datatypes::{DataType, TimeUnit};
use kekkai_types::ColumnRole;
use serde::{Deserialize, Serialize};

/// A column's type as researchers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SqlType {
    /// 64-bit integer.
    Bigint,
    /// 64-bit floating point.
    Double,
    /// UTF-8.
    Text,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// Microseconds, local time without zone.
    Timestamp,
}

impl SqlType {
    /// The name in manifests and catalogues.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bigint => "bigint",
            Self::Double => "double",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::Bigint,
            Self::Double,
            Self::Text,
            Self::Boolean,
            Self::Date,
            Self::Timestamp,
        ]
        .into_iter()
        .find(|sql_type| sql_type.as_str() == name)
    }

    /// The type in Arrow and in the encrypted files.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a value is made coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coarsening {
    /// A date to its year: `bigint`.
    Year,
    /// A date to the first day of its month: `date`.
    Month,
    /// A date of birth to the age in bands of five years at the manifest's `reference_date`, `90+` at
    /// the top: `text`.
    AgeBand,
    /// An address to its prefecture: `text`. NULL where it does not begin with one.
    Prefecture,
}

impl Coarsening {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Year, Self::Month, Self::AgeBand, Self::Prefecture];

    /// The type of what is left.
    pub fn result(self) -> SqlType {
        match self {
            Self::Year => SqlType::Bigint,
            Self::Month => SqlType::Date,
            Self::AgeBand | Self::Prefecture => SqlType::Text,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Year => "coarsen-year",
            Self::Month => "coarsen-month",
            Self::AgeBand => "coarsen-age-band",
            Self::Prefecture => "coarsen-prefecture",
        }
    }
}

/// What ingest does with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Not written.
    Drop,
    /// Replaced by a keyed pseudonym.
    Pseudonym,
    /// Made coarser.
    Coarsen(Coarsening),
    /// Written as it is, after the checks for identifiers.
    Keep,
}

impl Rule {
    /// The type that the rule leaves, where it fixes one.
    pub fn result(self) -> Option<SqlType> {
        match self {
            Self::Drop | Self::Keep => None,
            Self::Pseudonym => Some(SqlType::Bigint),
            Self::Coarsen(how) => Some(how.result()),
        }
    }

    /// Whether a column of this role may have this rule; if not, what is expected instead. A free
    /// text may be kept only when it is scanned, which the caller checks.
    pub(crate) fn fits(self, role: ColumnRole) -> Result<(), &'static str> {
        match (role, self) {
            (ColumnRole::DirectIdentifier, Self::Drop)
            | (ColumnRole::PersonKey, Self::Pseudonym)
            | (ColumnRole::Key, Self::Pseudonym | Self::Drop)
            | (ColumnRole::Code | ColumnRole::FreeText, Self::Keep | Self::Drop)
            | (
                ColumnRole::QuasiIdentifier | ColumnRole::Value,
                Self::Keep | Self::Drop | Self::Coarsen(_),
            ) => Ok(()),
            (ColumnRole::DirectIdentifier, _) => Err("\"drop\" for a direct-identifier"),
            (ColumnRole::PersonKey, _) => Err("\"pseudonym\" for a person-key"),
            (ColumnRole::Key, _) => Err("\"pseudonym\" or \"drop\" for a key"),
            (ColumnRole::Code, _) => Err("\"keep\" or \"drop\" for a code"),
            (ColumnRole::FreeText, _) => {
                Err("\"drop\", or \"keep\" with scan = true, for free-text")
            }
            (ColumnRole::QuasiIdentifier, _) => {
                Err("\"keep\", \"drop\" or \"coarsen-…\" for a quasi-identifier")
            }
            (ColumnRole::Value, _) => Err("\"keep\", \"drop\" or \"coarsen-…\" for a value"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Pseudonym => "pseudonym",
            Self::Keep => "keep",
            Self::Coarsen(how) => how.as_str(),
        })
    }
}

impl FromStr for Rule {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "drop" => Ok(Self::Drop),
            "pseudonym" => Ok(Self::Pseudonym),
            "keep" => Ok(Self::Keep),
            _ => Coarsening::ALL
                .into_iter()
                .find(|how| how.as_str() == text)
                .map(Self::Coarsen)
                .ok_or(()),
        }
    }
}

/// What ingest looks for in data that would be kept (R14, Ⅱ-25-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A value of a column that is dropped as a direct identifier, or a raw person key.
    DroppedValue,
    /// A Japanese personal name.
    Name,
    /// 個人番号: 12 digits with a valid check digit.
    MyNumber,
    /// 保険者番号 with its check digit, or 被保険者証の記号・番号.
    Insurance,
    /// A telephone number in Japan.
    Phone,
    /// An e-mail address.
    Email,
    /// A payment card: issuer's prefix and Luhn digit.
    Card,
    /// A bank account.
    Bank,
    /// 郵便番号: seven digits.
    PostalCode,
    /// An address below the municipality: 町丁目, 番地.
    Address,
    /// A passport or residence card number.
    Passport,
}

impl Check {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 11] = [
        Self::DroppedValue,
        Self::Name,
        Self::MyNumber,
        Self::Insurance,
        Self::Phone,
        Self::Email,
        Self::Card,
        Self::Bank,
        Self::PostalCode,
        Self::Address,
        Self::Passport,
    ];

    /// The name in manifests, messages and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DroppedValue => "dropped-value",
            Self::Name => "name",
            Self::MyNumber => "my-number",
            Self::Insurance => "insurance",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Card => "card",
            Self::Bank => "bank",
            Self::PostalCode => "postal-code",
            Self::Address => "address",
            Self::Passport => "passport",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
