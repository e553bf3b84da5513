//! Profiles: the numbers that the rules use, versioned and hashed.

use std::fmt;
use std::str::FromStr;

use kekkai_types::{Digest, Lang};
use serde::{Deserialize, Serialize};

use crate::finding::Verdict;

/// The version of the rules in this crate. A change in what a rule finds raises it, and with it
/// every profile's hash: votes on outputs that were checked before are then asked for again.
pub const RULES_VERSION: u32 = 4;

/// The profiles that an agreement may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// The producer's own, for data that has not been released before.
    Strict,
    /// Follows the rule of the national claims database: counts under ten are not published.
    Ndb,
    /// Follows the usual settings of the ACRO tools for research statistics.
    Acro,
}

/// What the rules of one profile need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Which.
    pub name: ProfileName,
    /// Counts from 1.
    pub version: u32,
    /// A shown cell has at least as many contributors.
    pub contributors_min: u32,
    /// The largest person's share of a magnitude, in permille, is at most this.
    pub largest_permille_max: u32,
    /// The two largest persons' share, likewise.
    pub top_two_permille_max: u32,
    /// Digits after the point that a statistic needs; more are noticed.
    pub decimals_max: usize,
    /// What more digits amount to.
    pub precision: Verdict,
    /// What counts of one row that differ by a few amount to.
    pub near_counts: Verdict,
    /// What a column computed from several aggregates amounts to.
    pub computed: Verdict,
    /// A group's name with more characters is read by a person.
    pub key_chars_max: usize,
    /// A table with more cells is looked at by a person.
    pub cells_max: usize,
    /// Rows of a program's table, or points of its figure: more are one for each person, by their looks.
    /// A tenth of it is looked at by a person.
    pub program_rows_max: usize,
    /// Observations that each parameter of a model needs.
    pub observations_per_parameter: u64,
}

/// No such profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no disclosure profile: strict, ndb or acro")]
pub struct UnknownProfile(pub String);

impl ProfileName {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Ndb, Self::Acro];

    /// The name as agreements write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Ndb => "ndb",
            Self::Acro => "acro",
        }
    }

    /// The profile of that name, in its present version.
    pub const fn profile(self) -> Profile {
        match self {
            Self::Strict => Profile {
                name: self,
                version: 1,
                contributors_min: 10,
                largest_permille_max: 500,
                top_two_permille_max: 750,
                decimals_max: 3,
                precision: Verdict::Review,
                near_counts: Verdict::Review,
                computed: Verdict::Review,
                key_chars_max: 60,
                cells_max: 2_000,
                program_rows_max: 500,
                observations_per_parameter: 20,
            },
            Self::Ndb => Profile {
                name: self,
                version: 1,
                contributors_min: 10,
                largest_permille_max: 700,
                top_two_permille_max: 850,
                decimals_max: 4,
                precision: Verdict::Pass,
                near_counts: Verdict::Pass,
                computed: Verdict::Review,
                key_chars_max: 80,
                cells_max: 10_000,
                program_rows_max: 1_000,
                observations_per_parameter: 10,
            },
            Self::Acro => Profile {
                name: self,
                version: 1,
                contributors_min: 10,
                largest_permille_max: 800,
                top_two_permille_max: 900,
                decimals_max: 6,
                precision: Verdict::Pass,
                near_counts: Verdict::Pass,
                computed: Verdict::Pass,
                key_chars_max: 120,
                cells_max: 20_000,
                program_rows_max: 2_000,
                observations_per_parameter: 10,
            },
        }
    }

    /// For people.
    pub fn title(self, lang: Lang) -> &'static str {
        match self {
            Self::Strict => lang.pick("厳格 (strict)", "strict"),
            Self::Ndb => lang.pick("NDB準拠 (ndb)", "ndb"),
            Self::Acro => lang.pick("ACRO準拠 (acro)", "acro"),
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProfileName {
    type Err = UnknownProfile;
    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

impl Profile {
    /// The profile that an agreement names.
    pub fn named(name: &str) -> Result<Self, UnknownProfile> {
        name.parse().map(ProfileName::profile)
    }

    /// Names the numbers and the rules: two equal hashes find the same in the same table.
    pub fn hash(&self) -> Digest {
        // A struct of numbers always serializes; if it ever did not, the debug text still
        // distinguishes profiles.
        let text = serde_json::to_string(self).unwrap_or_else(|_| format!("{self:?}"));
        Digest::of(format!("kekkai-checks/{RULES_VERSION}\n{text}").as_bytes())
    }
}
