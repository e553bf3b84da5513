//! The terms of a provision (R7), as the rest of the policy sees them: already checked.

mod error;
mod parse;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use kekkai_policy_api::{ConsoleMode, OutputKind, ProgramTerms};
use kekkai_types::{
    AgreementId, DatasetCatalog, DatasetId, DisplayClass, PersonId, RowCondition, TerminalClass,
    Text, Timestamp,
};
use serde::Deserialize;

pub use error::AgreementError;

/// The longest agreement, in bytes.
pub const AGREEMENT_BYTES_MAX: usize = 256 * 1024;
/// Rows shown to one person in a minute, where the agreement names no other number.
pub const ROWS_PER_MINUTE_DEFAULT: u32 = 50_000;
/// Rows shown to one person in a day, where the agreement names no other number.
pub const ROWS_PER_DAY_DEFAULT: u32 = 200_000;
/// Persons below which a cell is suppressed, where the agreement names no other number.
pub const THRESHOLD_DEFAULT: u32 = 10;

/// An agreement that was read and checked. Made by [`Agreement::parse`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Its id, and the project's.
    pub id: AgreementId,
    /// Its title.
    pub title: Text,
    /// What the data is used for (利用目的).
    pub purpose: Text,
    /// Between whom.
    pub parties: Parties,
    /// Who handles the data.
    pub people: People,
    /// Where terminals stand.
    pub places: Vec<Place>,
    /// Which data.
    pub data: Vec<DataItem>,
    /// How the data is provided, and what the user organisation brings in.
    pub provision: Provision,
    /// Kinds of final outputs that may be asked for; empty: none.
    pub final_outputs: BTreeSet<OutputKind>,
    /// Kinds of intermediate outputs that may be asked for; empty: none.
    pub intermediate_outputs: BTreeSet<OutputKind>,
    /// From when to when.
    pub period: Period,
    /// What happens at its end.
    pub end_measures: BTreeSet<EndMeasure>,
    /// On which days, at which hours.
    pub hours: Hours,
    /// What the text console may show.
    pub console: ConsoleMode,
    /// Without input for this long, a session ends.
    pub idle_limit_s: u32,
    /// A query that runs longer is cancelled.
    pub query_limit_s: u32,
    /// Memory of a session's processes.
    pub memory_limit_mib: u32,
    /// What a session's programs may do; `None`: it runs none.
    pub programs: Option<ProgramTerms>,
    /// What a drawn desktop shows and takes; `None`: there is the text console only.
    pub desktop: Option<Desktop>,
    /// Statistical disclosure control.
    pub sdc: Sdc,
    /// What follows from a breach (違反時の措置).
    pub sanctions: Text,
}

/// The parties to an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// 認定仮名加工医療情報利用事業者 (Ⅱ型).
    pub user: Organisation,
    /// Those who use the data jointly (共同利用, R13).
    pub joint: Vec<Organisation>,
    /// The certification of the one responsible organisation (責任事業者).
    pub responsible: String,
}

/// A certified organisation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// Its name.
    pub name: Text,
    /// The number of its certification.
    pub certification: String,
}

/// The people of an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// 取扱者, as the text names them; the roster that decisions use begins as this list.
    pub handlers: BTreeSet<PersonId>,
    /// 研究開発責任者.
    pub principal_investigator: PersonId,
    /// 安全管理責任者.
    pub security_manager: PersonId,
}

/// A handling area (取扱区域).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name and address.
    pub name: Text,
    /// The terminals that may stand there.
    pub terminals: BTreeSet<TerminalClass>,
}

/// A dataset under an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataItem {
    /// Which.
    pub dataset: DatasetId,
    /// Which version: another version needs another agreement text.
    pub version: u32,
    /// By table name.
    pub tables: BTreeMap<String, TableItem>,
}

/// A table under an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableItem {
    /// In the order of the text.
    pub columns: Vec<String>,
    /// The display that row-level views need: that of the table's data class.
    pub rows_need: DisplayClass,
    /// Which rows; `None`: all.
    pub rows: Option<ProvidedRows>,
}

/// The rows of a table that an agreement provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvidedRows {
    /// What handlers are told of it.
    pub description: Text,
    /// At least one; a row must meet them all.
    pub conditions: Vec<RowCondition>,
}

/// How data is provided (提供方法) and what is brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// At least one.
    pub methods: BTreeSet<ProvisionMethod>,
    /// Tools of the user organisation, by name (an id's alphabet); each enters through review.
    pub own_tools: Vec<String>,
    /// Data of the user organisation, by name; each enters through review.
    pub own_data: Vec<String>,
}

/// How data is provided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionMethod {
    /// From the user organisation's own terminals: native client, browser or text console.
    Vdi,
    /// In the producer's own rooms.
    OnSite,
}

/// The days on which an agreement runs, in Japan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub from: Date,
    /// The last day; it runs until its midnight.
    pub to: Date,
}

/// What happens at the end of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndMeasure {
    /// Keys are destroyed: always (R10).
    DestroyKeys,
    /// Scripts are erased: always (R10).
    EraseScripts,
    /// Intermediate results are erased.
    EraseIntermediate,
    /// A certificate of erasure goes to the user organisation.
    Certificate,
}

/// Days and hours, in Japan's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Days of the week.
    pub days: BTreeSet<Day>,
    /// The first minute of each of these days.
    pub from: Clock,
    /// The minute at which it is over.
    pub to: Clock,
    /// Days on which nothing is open.
    pub closed: BTreeSet<Date>,
}

/// What a drawn desktop shows and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desktop {
    /// Without input for this long, the screen is locked.
    pub lock_after_s: u32,
    /// Without a screen for this long, the session ends.
    pub reconnect_limit_s: u32,
    /// Characters that may be typed in one session.
    pub typed_chars_max: u32,
    /// Characters a second that nobody types.
    pub typed_chars_per_s_max: u32,
    /// What one person's notebooks may take together, in KiB.
    pub notebooks_kib_max: u32,
    /// Rows that one person may be shown in a minute, where a display shows rows at all.
    pub rows_per_minute: u32,
    /// Rows that one person may be shown in a day.
    pub rows_per_day: u32,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of day: minutes since midnight, 0 to 1,440.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(pub u16);

/// Statistical disclosure control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdc {
    /// `strict`, `ndb` or `acro`.
    pub profile: String,
    /// Persons below which a cell is suppressed.
    pub threshold: u32,
    /// The largest share of a magnitude that one person may have, in permille.
    pub dominance_permille: u32,
}

/// What is registered already: an agreement may name no other person, and of a registered dataset no
/// other table or column.
pub struct Known<'a> {
    /// Registered people.
    pub people: &'a BTreeSet<PersonId>,
    /// The catalogue of a dataset version, if it is registered.
    pub catalog: &'a dyn Fn(&DatasetId, u32) -> Option<&'a DatasetCatalog>,
}

impl Agreement {
    /// Reads an agreement; the error names line, column and what was expected.
    pub fn parse(toml: &str) -> Result<Self, AgreementError> {
        parse::parse(toml, None)
    }

    /// Reads an agreement that is to be registered: what it names must exist.
    pub fn parse_known(toml: &str, known: &Known<'_>) -> Result<Self, AgreementError> {
        parse::parse(toml, Some(known))
    }

    /// The terminals that may be used under it, in any of its places.
    pub fn terminals(&self) -> BTreeSet<TerminalClass> {
        self.places
            .iter()
            .flat_map(|place| place.terminals.iter().copied())
            .collect()
    }

    /// Would a session get the same data, limits and disclosure control under both?
    pub fn same_in_session(&self, other: &Self) -> bool {
        self.data == other.data
            && self.sdc == other.sdc
            && self.console == other.console
            && self.idle_limit_s == other.idle_limit_s
            && self.query_limit_s == other.query_limit_s
            && self.memory_limit_mib == other.memory_limit_mib
            && self.programs == other.programs
            && self.desktop == other.desktop
    }

    /// Does it run on this day?
    pub fn in_period(&self, now: Timestamp) -> bool {
        let today = now.in_japan().date();
        self.period.from <= today && today <= self.period.to
    }

    /// When a session that is open now must end: when today's hours are over, or the period. Nights between
    /// days that are open around the clock end nothing.
    pub fn closes(&self, now: Timestamp) -> Timestamp {
        let zone = now.in_japan().time_zone().clone();
        let all_day = self.hours.from == Clock(0) && self.hours.to == Clock(24 * 60);
        let is_open = |day: &Date| {
            *day <= self.period.to
                && self.hours.days.contains(&Day::of(*day))
                && !self.hours.closed.contains(day)
        };
        let mut day = now.in_japan().date();
        if all_day {
            while let Some(next) = day.tomorrow().ok().filter(is_open) {
                day = next;
            }
        }
        let minutes = i64::from(self.hours.to.0);
        let end = day
            .to_zoned(zone)
            .and_then(|midnight| midnight.checked_add(jiff::Span::new().minutes(minutes)));
        // A day outside the calendar: nothing is promised.
        end.map_or(now, |end| Timestamp(end.timestamp().as_millisecond()))
    }

    /// Is it open at this hour?
    pub fn in_hours(&self, now: Timestamp) -> bool {
        let here = now.in_japan();
        let day = Day::of(here.date());
        // Neither is ever negative; what could not be converted is closed.
        let (Ok(hour), Ok(minute)) = (u16::try_from(here.hour()), u16::try_from(here.minute()))
        else {
            return false;
        };
        let clock = Clock(hour * 60 + minute);
        self.hours.days.contains(&day)
            && !self.hours.closed.contains(&here.date())
            && self.hours.from <= clock
            && clock < self.hours.to
    }
}

impl Day {
    fn of(date: Date) -> Self {
        match date.weekday() {
            jiff::civil::Weekday::Monday => Self::Mon,
            jiff::civil::Weekday::Tuesday => Self::Tue,
            jiff::civil::Weekday::Wednesday => Self::Wed,
            jiff::civil::Weekday::Thursday => Self::Thu,
            jiff::civil::Weekday::Friday => Self::Fri,
            jiff::civil::Weekday::Saturday => Self::Sat,
            jiff::civil::Weekday::Sunday => Self::Sun,
        }
    }
}
