//! An agreement as it is written: the shape is right, nothing else is known yet.

use std::collections::BTreeMap;

use kekkai_policy_api::ConsoleMode;
use kekkai_types::{AgreementId, DatasetId, DisplayClass, PersonId, TerminalClass, Text};
use serde::Deserialize;
use toml::value::Datetime;
use toml::{Spanned, Value};

use super::{Day, EndMeasure, Organisation, OutputKind, ProvisionMethod};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAgreement {
    pub(super) format: Spanned<u32>,
    pub(super) id: AgreementId,
    pub(super) title: Spanned<Text>,
    pub(super) purpose: Spanned<Text>,
    pub(super) parties: RawParties,
    pub(super) people: RawPeople,
    pub(super) places: Spanned<Vec<RawPlace>>,
    pub(super) data_classes: BTreeMap<String, RawDataClass>,
    pub(super) data: Spanned<Vec<RawData>>,
    pub(super) provision: RawProvision,
    pub(super) outputs: RawOutputs,
    pub(super) period: RawPeriod,
    pub(super) hours: RawHours,
    pub(super) session: RawSession,
    /// Without it, sessions run no programs.
    #[serde(default)]
    pub(super) programs: Option<RawPrograms>,
    /// Without it, there is the text console only.
    #[serde(default)]
    pub(super) desktop: Option<RawDesktop>,
    pub(super) sdc: RawSdc,
    pub(super) sanctions: Spanned<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawParties {
    pub(super) user: Spanned<Organisation>,
    #[serde(default)]
    pub(super) joint: Vec<Spanned<Organisation>>,
    pub(super) responsible: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeople {
    pub(super) handlers: Spanned<Vec<Spanned<PersonId>>>,
    pub(super) principal_investigator: Spanned<PersonId>,
    pub(super) security_manager: Spanned<PersonId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlace {
    pub(super) name: Spanned<Text>,
    pub(super) terminals: Spanned<Vec<Spanned<TerminalClass>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDataClass {
    pub(super) rows_need: DisplayClass,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawData {
    pub(super) dataset: Spanned<DatasetId>,
    pub(super) version: Spanned<u32>,
    pub(super) tables: Spanned<Vec<RawTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    pub(super) name: Spanned<String>,
    pub(super) class: Spanned<String>,
    pub(super) columns: Spanned<Vec<Spanned<String>>>,
    /// Without them, all rows.
    #[serde(default)]
    pub(super) rows: Option<RawRows>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRows {
    pub(super) description: Spanned<Text>,
    pub(super) conditions: Spanned<Vec<Spanned<RawCondition>>>,
}

/// Each key but `column` is a test; several of them are several conditions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    pub(super) column: Spanned<String>,
    pub(super) is: Option<Spanned<Value>>,
    pub(super) is_not: Option<Spanned<Value>>,
    pub(super) at_least: Option<Spanned<Value>>,
    pub(super) above: Option<Spanned<Value>>,
    pub(super) at_most: Option<Spanned<Value>>,
    pub(super) below: Option<Spanned<Value>>,
    pub(super) one_of: Option<Spanned<Vec<Spanned<Value>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvision {
    pub(super) methods: Spanned<Vec<ProvisionMethod>>,
    pub(super) own_tools: Vec<Spanned<String>>,
    pub(super) own_data: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOutputs {
    #[serde(rename = "final")]
    pub(super) final_: Vec<OutputKind>,
    pub(super) intermediate: Vec<OutputKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeriod {
    pub(super) from: Spanned<Datetime>,
    pub(super) to: Spanned<Datetime>,
    pub(super) end_measures: Spanned<Vec<EndMeasure>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHours {
    pub(super) days: Spanned<Vec<Day>>,
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
    #[serde(default)]
    pub(super) closed: Vec<Spanned<Datetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSession {
    pub(super) console: ConsoleMode,
    pub(super) idle_limit_s: Spanned<u32>,
    pub(super) query_limit_s: Spanned<u32>,
    pub(super) memory_limit_mib: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDesktop {
    pub(super) lock_after_s: Spanned<u32>,
    pub(super) reconnect_limit_s: Spanned<u32>,
    pub(super) typed_chars_max: Spanned<u32>,
    pub(super) typed_chars_per_s_max: Spanned<u32>,
    pub(super) notebooks_kib_max: Spanned<u32>,
    pub(super) rows_per_minute: Option<Spanned<u32>>,
    pub(super) rows_per_day: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrograms {
    pub(super) python: bool,
    pub(super) rows: bool,
    pub(super) time_limit_s: Spanned<u32>,
    pub(super) memory_limit_mib: Spanned<u32>,
    pub(super) table_elements_max: Spanned<u32>,
    pub(super) instances_max: Spanned<u32>,
    pub(super) outputs_max: Spanned<u32>,
    pub(super) output_kib_max: Spanned<u32>,
    pub(super) log_kib_max: Spanned<u32>,
    pub(super) scratch_kib_max: Spanned<u32>,
    pub(super) clock_ms: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSdc {
    pub(super) profile: Spanned<String>,
    pub(super) threshold: Option<Spanned<u32>>,
    pub(super) dominance_permille: Spanned<u32>,
}
