//! `rows` of a table: which of its rows are provided. Each condition is compared with the catalogue where
//! there is one, so that a column of another name or type is found when the text is registered.

use jiff::civil::Date;
use kekkai_types::{CONDITION_LIST_MAX, Constant, RowCondition, RowTest, TableCatalog};
use toml::{Spanned, Value};

use super::super::raw::{RawCondition, RawRows};
use super::super::{AgreementError, ProvidedRows};
use super::{At, list};

/// Conditions of one table.
const CONDITIONS_MAX: usize = 64;

pub(super) fn rows(
    at: &At<'_>,
    raw: RawRows,
    table: &str,
    known: Option<&TableCatalog>,
) -> Result<ProvidedRows, AgreementError> {
    let description = at.text(raw.description, "\"description\" of \"rows\"")?;
    let span = raw.conditions.span();
    let mut conditions = Vec::new();
    for condition in raw.conditions.into_inner() {
        let whole = condition.span();
        let before = conditions.len();
        add(at, condition.into_inner(), table, known, &mut conditions)?;
        if conditions.len() == before {
            return Err(at.error(
                whole,
                "a condition without a test",
                "one of \"is\", \"is_not\", \"at_least\", \"above\", \"at_most\", \"below\", \"one_of\"",
            ));
        }
    }
    if !(1..=CONDITIONS_MAX).contains(&conditions.len()) {
        return Err(at.error(
            span,
            format!("\"conditions\" holds {}", conditions.len()),
            format!("1 to {CONDITIONS_MAX} conditions"),
        ));
    }
    Ok(ProvidedRows {
        description,
        conditions,
    })
}

/// Adds each test of a written condition.
fn add(
    at: &At<'_>,
    raw: RawCondition,
    table: &str,
    known: Option<&TableCatalog>,
    conditions: &mut Vec<RowCondition>,
) -> Result<(), AgreementError> {
    let written = raw.column.get_ref();
    let sql_type = match known {
        None => None,
        Some(known) => {
            let mut columns = known.columns.iter();
            let Some(column) = columns.find(|column| column.name == *written) else {
                return Err(at.error(
                    raw.column.span(),
                    format!("table \"{table}\" has no column \"{written}\""),
                    list(known.columns.iter().map(|column| &column.name)),
                ));
            };
            Some(column.sql_type.as_str())
        }
    };
    let column = at.name(raw.column, "a column's name")?;
    let mut test = |span: std::ops::Range<usize>, test: RowTest| {
        if let Some(sql_type) = sql_type
            && !test.fits(sql_type)
        {
            return Err(at.error(
                span,
                format!("column \"{column}\" is {sql_type}"),
                expected(sql_type),
            ));
        }
        conditions.push(RowCondition {
            column: column.clone(),
            test,
        });
        Ok(())
    };
    type Make = fn(Constant) -> RowTest;
    let singles: [(Option<Spanned<Value>>, Make); 6] = [
        (raw.is, RowTest::Is),
        (raw.is_not, RowTest::IsNot),
        (raw.at_least, RowTest::AtLeast),
        (raw.above, RowTest::Above),
        (raw.at_most, RowTest::AtMost),
        (raw.below, RowTest::Below),
    ];
    for (value, make) in singles {
        if let Some(value) = value {
            test(value.span(), make(constant(at, &value)?))?;
        }
    }
    if let Some(values) = raw.one_of {
        let span = values.span();
        let values = values.into_inner();
        if !(1..=CONDITION_LIST_MAX).contains(&values.len()) {
            return Err(at.error(
                span,
                format!("\"one_of\" holds {}", values.len()),
                format!("1 to {CONDITION_LIST_MAX} constants"),
            ));
        }
        let constants = values.iter().map(|value| constant(at, value));
        test(span, RowTest::OneOf(constants.collect::<Result<_, _>>()?))?;
    }
    Ok(())
}

fn constant(at: &At<'_>, value: &Spanned<Value>) -> Result<Constant, AgreementError> {
    let other = || {
        at.error(
            value.span(),
            format!("a {} as a constant", value.get_ref().type_str()),
            "a text, a whole number, true, false, or a date such as 2026-04-01",
        )
    };
    Ok(match value.get_ref() {
        Value::Boolean(value) => Constant::Bool(*value),
        Value::Integer(value) => Constant::Int(*value),
        Value::String(text) => Constant::Text(text.clone()),
        Value::Datetime(written) => {
            let spanned = Spanned::new(value.span(), *written);
            let day = at.date(&spanned, "a constant")?;
            let days = Date::new(1970, 1, 1)
                .and_then(|epoch| epoch.until(day))
                .map_err(|_| other())?;
            Constant::Day(days.get_days())
        }
        Value::Float(_) | Value::Array(_) | Value::Table(_) => return Err(other()),
    })
}

/// What a column of a type can be compared with.
fn expected(sql_type: &str) -> &'static str {
    match sql_type {
        "bigint" | "double" => "whole numbers",
        "date" | "timestamp" => "dates such as 2026-04-01",
        "text" => "texts, with \"is\", \"is_not\" or \"one_of\"",
        "boolean" => "true or false, with \"is\" or \"is_not\"",
        _ => "no condition: this type can't be compared",
    }
}
