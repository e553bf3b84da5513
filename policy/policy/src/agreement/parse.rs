//! From text to terms. Each refusal points at the key that caused it.

mod desktop;
mod programs;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use jiff::civil::Date;
use kekkai_types::{DatasetCatalog, PersonId, TerminalClass, Text};
use toml::Spanned;
use toml::value::Datetime;

use super::raw::{RawAgreement, RawData, RawDataClass, RawPlace, RawTable};
use super::{
    AGREEMENT_BYTES_MAX, Agreement, AgreementError, Clock, DataItem, EndMeasure, Hours, Known,
    Parties, People, Period, Place, Provision, ProvisionMethod, Sdc, THRESHOLD_DEFAULT, TableItem,
};

/// The only format of this build.
const FORMAT: u32 = 1;
/// Handlers of one agreement.
const HANDLERS_MAX: usize = 1_000;
/// A text for people, in characters.
const TEXT_MAX: usize = 2_000;
/// Disclosure control profiles that `kekkai-checks` knows.
const SDC_PROFILES: [&str; 3] = ["strict", "ndb", "acro"];
/// Seconds without input: at most eight hours.
const IDLE_LIMIT_S: RangeInclusive<u32> = 1..=28_800;
/// Seconds of one query: at most a day.
const QUERY_LIMIT_S: RangeInclusive<u32> = 1..=86_400;
/// MiB of one session.
const MEMORY_LIMIT_MIB: RangeInclusive<u32> = 64..=1_048_576;
/// Persons in a cell.
const THRESHOLD: RangeInclusive<u32> = 1..=1_000;
/// Permille.
const DOMINANCE_PERMILLE: RangeInclusive<u32> = 1..=1_000;

/// The text, to point into.
struct At<'a>(&'a str);

impl At<'_> {
    fn error(
        &self,
        span: Range<usize>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> AgreementError {
        AgreementError::at(self.0, &span, found, expected)
    }

    /// A number within its bounds.
    fn within(
        &self,
        value: &Spanned<u32>,
        what: &str,
        range: &RangeInclusive<u32>,
        unit: &str,
    ) -> Result<u32, AgreementError> {
        let number = *value.get_ref();
        if range.contains(&number) {
            return Ok(number);
        }
        let (least, most) = (range.start(), range.end());
        Err(self.error(
            value.span(),
            format!("{what} is {number}"),
            format!("{least} to {most} {unit}"),
        ))
    }

    /// A text for people: both languages, neither empty nor endless.
    fn text(&self, value: Spanned<Text>, what: &str) -> Result<Text, AgreementError> {
        let span = value.span();
        let text = value.into_inner();
        for (lang, words) in [("ja", &text.ja), ("en", &text.en)] {
            if words.trim().is_empty() {
                return Err(self.error(
                    span,
                    format!("{what} has an empty \"{lang}\""),
                    "words in both languages",
                ));
            }
            if words.chars().count() > TEXT_MAX {
                return Err(self.error(
                    span,
                    format!("{what} is longer than {TEXT_MAX} characters"),
                    format!("at most {TEXT_MAX} characters"),
                ));
            }
        }
        Ok(text)
    }

    /// A short name: not empty.
    fn name(&self, value: Spanned<String>, what: &str) -> Result<String, AgreementError> {
        if value.get_ref().trim().is_empty() {
            return Err(self.error(value.span(), format!("{what} is empty"), "a name"));
        }
        Ok(value.into_inner())
    }

    /// Each of a list once, and at least one.
    fn set<T: Ord + Clone>(
        &self,
        values: &Spanned<Vec<T>>,
        what: &str,
    ) -> Result<BTreeSet<T>, AgreementError> {
        if values.get_ref().is_empty() {
            return Err(self.error(values.span(), format!("{what} is empty"), "at least one"));
        }
        Ok(values.get_ref().iter().cloned().collect())
    }

    /// A day without a time.
    fn date(&self, value: &Spanned<Datetime>, what: &str) -> Result<Date, AgreementError> {
        let wrong = || {
            self.error(
                value.span(),
                format!("{what} is \"{}\"", value.get_ref()),
                "a date such as 2026-04-01",
            )
        };
        let written = value.get_ref();
        let (Some(date), None, None) = (written.date, written.time, written.offset) else {
            return Err(wrong());
        };
        let year = i16::try_from(date.year).map_err(|_| wrong())?;
        let month = i8::try_from(date.month).map_err(|_| wrong())?;
        let day = i8::try_from(date.day).map_err(|_| wrong())?;
        Date::new(year, month, day).map_err(|_| wrong())
    }

    /// `00:00` to `24:00`.
    fn clock(&self, value: &Spanned<String>, what: &str) -> Result<Clock, AgreementError> {
        minutes(value.get_ref()).map(Clock).ok_or_else(|| {
            self.error(
                value.span(),
                format!("{what} is \"{}\"", value.get_ref()),
                "a time from \"00:00\" to \"24:00\"",
            )
        })
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let hour: u16 = hour.parse().ok()?;
    let minute: u16 = minute.parse().ok()?;
    let all = hour * 60 + minute;
    (minute < 60 && all <= 24 * 60).then_some(all)
}

pub(super) fn parse(text: &str, known: Option<&Known<'_>>) -> Result<Agreement, AgreementError> {
    let at = At(text);
    if text.len() > AGREEMENT_BYTES_MAX {
        return Err(at.error(
            0..0,
            format!("the agreement has {} bytes", text.len()),
            format!("at most {AGREEMENT_BYTES_MAX} bytes"),
        ));
    }
    let raw: RawAgreement =
        toml::from_str(text).map_err(|error| AgreementError::from_toml(text, &error))?;
    if *raw.format.get_ref() != FORMAT {
        return Err(at.error(
            raw.format.span(),
            format!("format is {}", raw.format.get_ref()),
            FORMAT.to_string(),
        ));
    }
    let people = people(&at, raw.people, known)?;
    let provision = Provision {
        methods: at.set(&raw.provision.methods, "\"methods\"")?,
        own_tools: programs::tools(&at, raw.provision.own_tools)?,
        own_data: names(&at, raw.provision.own_data, "a data item's name")?,
    };
    let places = places(&at, raw.places, &provision.methods)?;
    let data = data(&at, raw.data, &raw.data_classes, known)?;
    let (period, end_measures) = period(&at, &raw.period)?;
    let memory_limit_mib = at.within(
        &raw.session.memory_limit_mib,
        "\"memory_limit_mib\"",
        &MEMORY_LIMIT_MIB,
        "MiB",
    )?;
    let programs = raw
        .programs
        .map(|raw| programs::programs(&at, &raw, &provision.own_tools, memory_limit_mib))
        .transpose()?;
    let idle_limit_s = at.within(
        &raw.session.idle_limit_s,
        "\"idle_limit_s\"",
        &IDLE_LIMIT_S,
        "s",
    )?;
    let desktop = raw
        .desktop
        .map(|raw| desktop::desktop(&at, &raw, idle_limit_s))
        .transpose()?;
    Ok(Agreement {
        id: raw.id,
        title: at.text(raw.title, "\"title\"")?,
        purpose: at.text(raw.purpose, "\"purpose\"")?,
        parties: parties(&at, raw.parties)?,
        people,
        places,
        data,
        provision,
        final_outputs: raw.outputs.final_.into_iter().collect(),
        intermediate_outputs: raw.outputs.intermediate.into_iter().collect(),
        period,
        end_measures,
        hours: hours(&at, &raw.hours)?,
        console: raw.session.console,
        idle_limit_s,
        query_limit_s: at.within(
            &raw.session.query_limit_s,
            "\"query_limit_s\"",
            &QUERY_LIMIT_S,
            "s",
        )?,
        memory_limit_mib,
        programs,
        desktop,
        sdc: sdc(&at, raw.sdc)?,
        sanctions: at.text(raw.sanctions, "\"sanctions\"")?,
    })
}

fn names(
    at: &At<'_>,
    values: Vec<Spanned<String>>,
    what: &str,
) -> Result<Vec<String>, AgreementError> {
    values
        .into_iter()
        .map(|value| at.name(value, what))
        .collect()
}

fn parties(at: &At<'_>, raw: super::raw::RawParties) -> Result<Parties, AgreementError> {
    let mut certifications = BTreeSet::new();
    for organisation in std::iter::once(&raw.user).chain(&raw.joint) {
        let party = organisation.get_ref();
        if party.name.ja.trim().is_empty() || party.name.en.trim().is_empty() {
            return Err(at.error(
                organisation.span(),
                "an organisation's name is empty",
                "words in both languages",
            ));
        }
        if party.certification.trim().is_empty() {
            return Err(at.error(
                organisation.span(),
                "an organisation's certification is empty",
                "the number of its certification",
            ));
        }
        if !certifications.insert(party.certification.clone()) {
            return Err(at.error(
                organisation.span(),
                format!("certification \"{}\" is named twice", party.certification),
                "each organisation once",
            ));
        }
    }
    if !certifications.contains(raw.responsible.get_ref()) {
        return Err(at.error(
            raw.responsible.span(),
            format!(
                "\"{}\" is the certification of no party",
                raw.responsible.get_ref()
            ),
            list(&certifications),
        ));
    }
    Ok(Parties {
        user: raw.user.into_inner(),
        joint: raw.joint.into_iter().map(Spanned::into_inner).collect(),
        responsible: raw.responsible.into_inner(),
    })
}

fn people(
    at: &At<'_>,
    raw: super::raw::RawPeople,
    known: Option<&Known<'_>>,
) -> Result<People, AgreementError> {
    let check = |person: &Spanned<PersonId>| {
        if known.is_none_or(|known| known.people.contains(person.get_ref())) {
            return Ok(());
        }
        Err(at.error(
            person.span(),
            format!("nobody is registered as \"{}\"", person.get_ref()),
            "a registered person",
        ))
    };
    let listed = raw.handlers.get_ref();
    if listed.is_empty() || listed.len() > HANDLERS_MAX {
        return Err(at.error(
            raw.handlers.span(),
            format!("\"handlers\" names {} people", listed.len()),
            format!("1 to {HANDLERS_MAX} people"),
        ));
    }
    let mut handlers = BTreeSet::new();
    for handler in listed {
        check(handler)?;
        if !handlers.insert(handler.get_ref().clone()) {
            return Err(at.error(
                handler.span(),
                format!("handler \"{}\" is named twice", handler.get_ref()),
                "each handler once",
            ));
        }
    }
    check(&raw.principal_investigator)?;
    check(&raw.security_manager)?;
    Ok(People {
        handlers,
        principal_investigator: raw.principal_investigator.into_inner(),
        security_manager: raw.security_manager.into_inner(),
    })
}

fn places(
    at: &At<'_>,
    raw: Spanned<Vec<RawPlace>>,
    methods: &BTreeSet<ProvisionMethod>,
) -> Result<Vec<Place>, AgreementError> {
    if raw.get_ref().is_empty() {
        return Err(at.error(raw.span(), "\"places\" is empty", "at least one place"));
    }
    let mut places = Vec::new();
    for place in raw.into_inner() {
        if place.terminals.get_ref().is_empty() {
            return Err(at.error(
                place.terminals.span(),
                "\"terminals\" is empty",
                "at least one terminal class",
            ));
        }
        let mut terminals = BTreeSet::new();
        for class in place.terminals.into_inner() {
            let (needed, name) = match class.get_ref() {
                TerminalClass::Operator => {
                    return Err(at.error(
                        class.span(),
                        "terminal class \"operator\" shows no data",
                        "\"console\", \"browser\", \"vdi\" or \"onsite\"",
                    ));
                }
                TerminalClass::Onsite => (ProvisionMethod::OnSite, "on-site"),
                TerminalClass::Vdi | TerminalClass::Browser | TerminalClass::Console => {
                    (ProvisionMethod::Vdi, "vdi")
                }
            };
            if !methods.contains(&needed) {
                return Err(at.error(
                    class.span(),
                    format!("this terminal class needs the provision method \"{name}\""),
                    format!("\"{name}\" among \"methods\" of [provision]"),
                ));
            }
            terminals.insert(class.into_inner());
        }
        places.push(Place {
            name: at.text(place.name, "a place's name")?,
            terminals,
        });
    }
    Ok(places)
}

fn data(
    at: &At<'_>,
    raw: Spanned<Vec<RawData>>,
    classes: &BTreeMap<String, RawDataClass>,
    known: Option<&Known<'_>>,
) -> Result<Vec<DataItem>, AgreementError> {
    if raw.get_ref().is_empty() {
        return Err(at.error(raw.span(), "\"data\" is empty", "at least one dataset"));
    }
    let mut items: Vec<DataItem> = Vec::new();
    for item in raw.into_inner() {
        let dataset = item.dataset.get_ref();
        // Two versions of one dataset side by side would let a difference single people out.
        if items.iter().any(|earlier| earlier.dataset == *dataset) {
            return Err(at.error(
                item.dataset.span(),
                format!("dataset \"{dataset}\" is named twice"),
                "each dataset once, in one version",
            ));
        }
        let version = at.within(&item.version, "\"version\"", &(1..=u32::MAX), "")?;
        let catalog = known.and_then(|known| (known.catalog)(dataset, version));
        if item.tables.get_ref().is_empty() {
            return Err(at.error(
                item.tables.span(),
                "\"tables\" is empty",
                "at least one table",
            ));
        }
        let mut tables = BTreeMap::new();
        for raw_table in item.tables.into_inner() {
            let (name, place) = (raw_table.name.get_ref().clone(), raw_table.name.span());
            let table = table(at, raw_table, classes, catalog)?;
            if tables.insert(name.clone(), table).is_some() {
                return Err(at.error(
                    place,
                    format!("table \"{name}\" is named twice"),
                    "each table once",
                ));
            }
        }
        items.push(DataItem {
            dataset: item.dataset.into_inner(),
            version,
            tables,
        });
    }
    Ok(items)
}

fn table(
    at: &At<'_>,
    raw: RawTable,
    classes: &BTreeMap<String, RawDataClass>,
    catalog: Option<&DatasetCatalog>,
) -> Result<TableItem, AgreementError> {
    let Some(class) = classes.get(raw.class.get_ref()) else {
        return Err(at.error(
            raw.class.span(),
            format!("data class \"{}\" is not defined", raw.class.get_ref()),
            format!("one of [data_classes]: {}", list(classes.keys())),
        ));
    };
    let name = raw.name.get_ref();
    let known = match catalog {
        None => None,
        Some(catalog) => {
            let found = catalog.tables.iter().find(|table| table.name == *name);
            if found.is_none() {
                return Err(at.error(
                    raw.name.span(),
                    format!("dataset \"{}\" has no table \"{name}\"", catalog.id),
                    list(catalog.tables.iter().map(|table| &table.name)),
                ));
            }
            found
        }
    };
    if raw.columns.get_ref().is_empty() {
        return Err(at.error(
            raw.columns.span(),
            "\"columns\" is empty",
            "at least one column",
        ));
    }
    let mut columns: Vec<String> = Vec::new();
    for column in raw.columns.into_inner() {
        let written = column.get_ref();
        if columns.contains(written) {
            return Err(at.error(
                column.span(),
                format!("column \"{written}\" is named twice"),
                "each column once",
            ));
        }
        if let Some(table) = known
            && !table.columns.iter().any(|known| known.name == *written)
        {
            return Err(at.error(
                column.span(),
                format!("table \"{name}\" has no column \"{written}\""),
                list(table.columns.iter().map(|known| &known.name)),
            ));
        }
        columns.push(at.name(column, "a column's name")?);
    }
    let rows = raw
        .rows
        .map(|rows| rows::rows(at, rows, name, known))
        .transpose()?;
    at.name(raw.name, "a table's name")?;
    Ok(TableItem {
        columns,
        rows_need: class.rows_need,
        rows,
    })
}

fn period(
    at: &At<'_>,
    raw: &super::raw::RawPeriod,
) -> Result<(Period, BTreeSet<EndMeasure>), AgreementError> {
    let from = at.date(&raw.from, "\"from\"")?;
    let to = at.date(&raw.to, "\"to\"")?;
    if to < from {
        return Err(at.error(
            raw.to.span(),
            format!("the period ends on {to}, before it begins"),
            format!("{from} or later"),
        ));
    }
    let measures = at.set(&raw.end_measures, "\"end_measures\"")?;
    for (needed, name) in [
        (EndMeasure::DestroyKeys, "destroy-keys"),
        (EndMeasure::EraseScripts, "erase-scripts"),
    ] {
        if !measures.contains(&needed) {
            return Err(at.error(
                raw.end_measures.span(),
                format!("\"{name}\" is missing from \"end_measures\""),
                "\"destroy-keys\" and \"erase-scripts\" at least",
            ));
        }
    }
    Ok((Period { from, to }, measures))
}

fn hours(at: &At<'_>, raw: &super::raw::RawHours) -> Result<Hours, AgreementError> {
    let from = at.clock(&raw.from, "\"from\"")?;
    let to = at.clock(&raw.to, "\"to\"")?;
    if to <= from {
        return Err(at.error(
            raw.to.span(),
            format!(
                "the hours end at \"{}\", not after they begin",
                raw.to.get_ref()
            ),
            format!("a time after \"{}\"", raw.from.get_ref()),
        ));
    }
    Ok(Hours {
        days: at.set(&raw.days, "\"days\"")?,
        from,
        to,
        closed: raw
            .closed
            .iter()
            .map(|day| at.date(day, "a closed day"))
            .collect::<Result<_, _>>()?,
    })
}

fn sdc(at: &At<'_>, raw: super::raw::RawSdc) -> Result<Sdc, AgreementError> {
    if !SDC_PROFILES.contains(&raw.profile.get_ref().as_str()) {
        return Err(at.error(
            raw.profile.span(),
            format!(
                "no disclosure control profile is called \"{}\"",
                raw.profile.get_ref()
            ),
            list(SDC_PROFILES),
        ));
    }
    let threshold = match &raw.threshold {
        None => THRESHOLD_DEFAULT,
        Some(value) => at.within(value, "\"threshold\"", &THRESHOLD, "persons")?,
    };
    Ok(Sdc {
        profile: raw.profile.into_inner(),
        threshold,
        dominance_permille: at.within(
            &raw.dominance_permille,
            "\"dominance_permille\"",
            &DOMINANCE_PERMILLE,
            "permille",
        )?,
    })
}

/// Names in quotes, for "expected …".
fn list(names: impl IntoIterator<Item = impl Display>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    match quoted.as_slice() {
        [] => "none: there is nothing to name".to_owned(),
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}
