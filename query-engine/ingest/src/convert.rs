//! Cells to the columns that are written: parsing, pseudonyms, coarsening. Everything works on a column
//! of a batch at a time. Errors name place, column and expected type, never the cell.

use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Date32Array, Float64Array, Int64Array,
    StringArray, StringBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType,
};
use kekkai_dataset::escrow::EscrowWriter;
use kekkai_dataset::{Coarsening, Column, Day, Rule, SqlType};
use kekkai_types::ColumnRole;

use crate::date::{civil, days, parse_date, parse_timestamp};
use crate::error::IngestError;
use crate::pseudonym::{PERSONS_MAX, Pseudonym, Pseudonyms};
use crate::source::Origin;

/// The prefectures.
pub(crate) const PREFECTURES: [&str; 47] = [
    "北海道",
    "青森県",
    "岩手県",
    "宮城県",
    "秋田県",
    "山形県",
    "福島県",
    "茨城県",
    "栃木県",
    "群馬県",
    "埼玉県",
    "千葉県",
    "東京都",
    "神奈川県",
    "新潟県",
    "富山県",
    "石川県",
    "福井県",
    "山梨県",
    "長野県",
    "岐阜県",
    "静岡県",
    "愛知県",
    "三重県",
    "滋賀県",
    "京都府",
    "大阪府",
    "兵庫県",
    "奈良県",
    "和歌山県",
    "鳥取県",
    "島根県",
    "岡山県",
    "広島県",
    "山口県",
    "徳島県",
    "香川県",
    "愛媛県",
    "高知県",
    "福岡県",
    "佐賀県",
    "長崎県",
    "熊本県",
    "大分県",
    "宮崎県",
    "鹿児島県",
    "沖縄県",
];

/// From this age on, there is one band.
const AGE_TOP: i32 = 90;
const AGE_BAND_YEARS: i32 = 5;

/// The escrow of a dataset, being written.
pub(crate) type Escrow = EscrowWriter<BufWriter<File>>;

/// What a table's columns need for conversion.
pub(crate) struct Conversion<'m> {
    pub table: &'m str,
    pub pseudonyms: &'m mut Pseudonyms,
    /// Where each person's id is sealed, if to anybody.
    pub escrow: Option<&'m mut Escrow>,
    pub reference: Option<Day>,
}

/// A converted column, and how many cells became NULL because they could not be made coarser.
pub(crate) struct Converted {
    pub column: ArrayRef,
    pub made_null: u64,
    /// Of a person key: each row's person as a number; null where the key is.
    pub persons: Option<ArrayRef>,
}

impl Conversion<'_> {
    /// Converts one column of a batch. `sql_type` is the manifest's type for what is left.
    pub(crate) fn column(
        &mut self,
        column: &Column,
        sql_type: SqlType,
        cells: &ArrayRef,
        origin: &Origin,
    ) -> Result<Converted, IngestError> {
        let at = At { column, origin };
        let whole = |column: ArrayRef| Converted {
            column,
            made_null: 0,
            persons: None,
        };
        match column.rule {
            Rule::Keep => keep(sql_type, cells, &at).map(whole),
            Rule::Pseudonym if column.role == ColumnRole::PersonKey => {
                let (column, numbers) = self.persons(column, cells, &at)?;
                Ok(Converted {
                    column,
                    made_null: 0,
                    persons: Some(numbers),
                })
            }
            Rule::Pseudonym => keys(self.pseudonyms, column, cells, &at).map(whole),
            Rule::Coarsen(Coarsening::Prefecture) => {
                let texts = text(cells, &at)?;
                let mut made_null = 0;
                let prefectures: StringArray = texts
                    .iter()
                    .map(|cell| {
                        let found = prefecture(cell?);
                        made_null += u64::from(found.is_none());
                        found
                    })
                    .collect();
                Ok(Converted {
                    column: Arc::new(prefectures),
                    made_null,
                    persons: None,
                })
            }
            Rule::Coarsen(how) => {
                let dates = date(cells, &at)?;
                self.coarsen_date(how, &dates, &at).map(whole)
            }
            Rule::Drop => Err(IngestError::Internal(
                "a dropped column was to be converted",
            )),
        }
    }

    fn persons(
        &mut self,
        column: &Column,
        cells: &ArrayRef,
        at: &At<'_>,
    ) -> Result<(ArrayRef, ArrayRef), IngestError> {
        let texts = text(cells, at)?;
        let mut made = Vec::with_capacity(texts.len());
        let mut numbers = Vec::with_capacity(texts.len());
        // Raw tables are mostly sorted by patient.
        let mut last: Option<(&str, i64, u32)> = None;
        for cell in &texts {
            let Some(cell) = present(cell) else {
                made.push(None);
                numbers.push(None);
                continue;
            };
            let (pseudonym, number) = match last {
                Some((known, pseudonym, number)) if known == cell => (pseudonym, number),
                _ => match self.pseudonyms.person(&column.domain, cell) {
                    Pseudonym::Is {
                        pseudonym,
                        number,
                        is_new,
                    } => {
                        if let (true, Some(escrow)) = (is_new, &mut self.escrow) {
                            escrow.add(pseudonym, cell)?;
                        }
                        (pseudonym, number)
                    }
                    Pseudonym::Collision => {
                        return Err(IngestError::PseudonymCollision {
                            table: self.table.to_owned(),
                            column: column.name.clone(),
                        });
                    }
                    Pseudonym::Full => {
                        return Err(IngestError::TooManyPersons { max: PERSONS_MAX });
                    }
                },
            };
            last = Some((cell, pseudonym, number));
            made.push(Some(pseudonym));
            numbers.push(Some(number));
        }
        Ok((
            Arc::new(Int64Array::from(made)),
            Arc::new(UInt32Array::from(numbers)),
        ))
    }

    fn coarsen_date(
        &self,
        how: Coarsening,
        dates: &Date32Array,
        at: &At<'_>,
    ) -> Result<ArrayRef, IngestError> {
        match how {
            Coarsening::Year => {
                let years = dates
                    .iter()
                    .map(|day| day.map(|day| i64::from(civil(day).0)));
                Ok(Arc::new(years.collect::<Int64Array>()))
            }
            Coarsening::Month => {
                let months = dates.iter().map(|day| {
                    day.and_then(|day| {
                        let (year, month, _) = civil(day);
                        days(year, month, 1)
                    })
                });
                Ok(Arc::new(months.collect::<Date32Array>()))
            }
            Coarsening::AgeBand => {
                let reference = self.reference.ok_or(IngestError::Internal(
                    "an age band without a reference date",
                ))?;
                let mut bands = StringBuilder::with_capacity(dates.len(), dates.len() * 5);
                for (row, birth) in dates.iter().enumerate() {
                    match birth.map(|birth| age(birth, reference)) {
                        None => bands.append_null(),
                        Some(Some(age)) => bands.append_value(band(age)),
                        Some(None) => return Err(at.error(row, "a day up to the reference date")),
                    }
                }
                Ok(Arc::new(bands.finish()))
            }
            Coarsening::Prefecture => Err(IngestError::Internal("a prefecture is not a date")),
        }
    }
}

/// A key that is there: an empty one is none.
fn present(cell: Option<&str>) -> Option<&str> {
    cell.map(str::trim).filter(|cell| !cell.is_empty())
}

/// Pseudonyms of keys that are not persons'.
fn keys(
    pseudonyms: &Pseudonyms,
    column: &Column,
    cells: &ArrayRef,
    at: &At<'_>,
) -> Result<ArrayRef, IngestError> {
    let texts = text(cells, at)?;
    let mut made = Vec::with_capacity(texts.len());
    let mut last: Option<(&str, i64)> = None;
    for cell in &texts {
        let pseudonym = present(cell).map(|cell| match last {
            Some((known, pseudonym)) if known == cell => pseudonym,
            _ => {
                let pseudonym = pseudonyms.key(&column.domain, cell);
                last = Some((cell, pseudonym));
                pseudonym
            }
        });
        made.push(pseudonym);
    }
    Ok(Arc::new(Int64Array::from(made)))
}

/// Full years at the reference date; `None` for who is not born yet.
fn age(birth: i32, reference: Day) -> Option<i32> {
    let (year, month, day) = civil(birth);
    let had_birthday = (month, day) <= (u32::from(reference.month), u32::from(reference.day));
    let age = i32::from(reference.year) - year - i32::from(!had_birthday);
    (age >= 0).then_some(age)
}

fn band(age: i32) -> String {
    if age >= AGE_TOP {
        return format!("{AGE_TOP}+");
    }
    let from = age - age % AGE_BAND_YEARS;
    format!("{from:02}-{:02}", from + AGE_BAND_YEARS - 1)
}

/// The prefecture that an address begins with.
fn prefecture(address: &str) -> Option<&'static str> {
    let address = address.trim_start();
    PREFECTURES
        .into_iter()
        .find(|prefecture| address.starts_with(prefecture))
}

/// What an error needs to know.
struct At<'a> {
    column: &'a Column,
    origin: &'a Origin,
}

impl At<'_> {
    fn error(&self, row: usize, expected: &'static str) -> IngestError {
        IngestError::Type {
            file: self.origin.file.to_string(),
            place: self.origin.place(row),
            column: self.column.source.clone(),
            expected,
        }
    }

    fn mismatch(&self, found: &DataType, expected: &'static str) -> IngestError {
        IngestError::ColumnType {
            file: self.origin.file.to_string(),
            column: self.column.source.clone(),
            expected,
            found: found.to_string(),
        }
    }
}

/// Parses texts one by one.
fn parse<T, A: FromIterator<Option<T>>>(
    texts: &StringArray,
    at: &At<'_>,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<A, IngestError> {
    texts
        .iter()
        .enumerate()
        .map(|(row, cell)| match cell.map(str::trim) {
            None | Some("") => Ok(None),
            Some(cell) => read(cell).map(Some).ok_or_else(|| at.error(row, expected)),
        })
        .collect()
}

const BIGINT: &str = "bigint (a whole number)";
const DOUBLE: &str = "double (a finite number)";
const BOOLEAN: &str = "boolean (true, false, 1 or 0)";
const DATE: &str = "date (2025-03-31, 2025/03/31 or 20250331)";
const TIMESTAMP: &str = "timestamp (2025-03-31 12:34:56)";

fn keep(sql_type: SqlType, cells: &ArrayRef, at: &At<'_>) -> Result<ArrayRef, IngestError> {
    Ok(match sql_type {
        SqlType::Text => Arc::new(text(cells, at)?),
        SqlType::Bigint => Arc::new(bigint(cells, at)?),
        SqlType::Double => Arc::new(double(cells, at)?),
        SqlType::Boolean => match cells.data_type() {
            DataType::Boolean => Arc::clone(cells),
            DataType::Utf8 => Arc::new(parse::<_, BooleanArray>(
                cells.as_string(),
                at,
                BOOLEAN,
                |cell| match cell {
                    "1" | "true" | "TRUE" | "True" | "t" => Some(true),
                    "0" | "false" | "FALSE" | "False" | "f" => Some(false),
                    _ => None,
                },
            )?),
            other => return Err(at.mismatch(other, BOOLEAN)),
        },
        SqlType::Date => Arc::new(date(cells, at)?),
        SqlType::Timestamp => Arc::new(timestamp(cells, at)?),
    })
}

/// Casts that lose nothing; where one does, it makes a NULL, whose row is the error's.
fn cast_whole(
    cells: &ArrayRef,
    to: &DataType,
    at: &At<'_>,
    expected: &'static str,
) -> Result<ArrayRef, IngestError> {
    let made = cast(cells, to).map_err(|_| at.mismatch(cells.data_type(), expected))?;
    if made.null_count() > cells.null_count() {
        let row = (0..cells.len()).find(|row| made.is_null(*row) && cells.is_valid(*row));
        return Err(at.error(row.unwrap_or_default(), expected));
    }
    Ok(made)
}

fn text(cells: &ArrayRef, at: &At<'_>) -> Result<StringArray, IngestError> {
    match cells.data_type() {
        DataType::Utf8 => Ok(cells.as_string().clone()),
        DataType::Int64 => {
            // Hand-written for keys: the canonical form that a CSV file would have.
            let numbers = cells.as_primitive::<arrow::datatypes::Int64Type>();
            Ok(numbers
                .iter()
                .map(|number| number.map(|number| number.to_string()))
                .collect())
        }
        t if t.is_integer() => Ok(cast_whole(cells, &DataType::Utf8, at, "text")?
            .as_string()
            .clone()),
        other => Err(at.mismatch(other, "text or a whole number")),
    }
}

fn bigint(cells: &ArrayRef, at: &At<'_>) -> Result<Int64Array, IngestError> {
    match cells.data_type() {
        DataType::Utf8 => parse(cells.as_string(), at, BIGINT, |cell| {
            cell.parse::<i64>().ok()
        }),
        t if t.is_integer() => Ok(cast_whole(cells, &DataType::Int64, at, BIGINT)?
            .as_primitive()
            .clone()),
        other => Err(at.mismatch(other, BIGINT)),
    }
}

fn double(cells: &ArrayRef, at: &At<'_>) -> Result<Float64Array, IngestError> {
    let finite = |row: usize, value: f64| {
        if value.is_finite() {
            Ok(())
        } else {
            Err(at.error(row, DOUBLE))
        }
    };
    match cells.data_type() {
        DataType::Utf8 => parse(cells.as_string(), at, DOUBLE, |cell| {
            cell.parse::<f64>().ok().filter(|value| value.is_finite())
        }),
        DataType::Float64 => {
            let values = cells.as_primitive::<Float64Type>();
            for (row, value) in values.iter().enumerate() {
                finite(row, value.unwrap_or_default())?;
            }
            Ok(values.clone())
        }
        DataType::Float32 => {
            let values = cells.as_primitive::<Float32Type>();
            for (row, value) in values.iter().enumerate() {
                finite(row, f64::from(value.unwrap_or_default()))?;
            }
            Ok(values.iter().map(|value| value.map(f64::from)).collect())
        }
        t if t.is_integer() || matches!(t, DataType::Decimal128(..)) => {
            Ok(cast_whole(cells, &DataType::Float64, at, DOUBLE)?
                .as_primitive()
                .clone())
        }
        other => Err(at.mismatch(other, DOUBLE)),
    }
}

fn date(cells: &ArrayRef, at: &At<'_>) -> Result<Date32Array, IngestError> {
    match cells.data_type() {
        DataType::Utf8 => parse(cells.as_string(), at, DATE, parse_date),
        DataType::Date32 => Ok(cells.as_primitive::<Date32Type>().clone()),
        DataType::Date64 | DataType::Timestamp(..) => {
            Ok(cast_whole(cells, &DataType::Date32, at, DATE)?
                .as_primitive()
                .clone())
        }
        other => Err(at.mismatch(other, DATE)),
    }
}

fn timestamp(cells: &ArrayRef, at: &At<'_>) -> Result<TimestampMicrosecondArray, IngestError> {
    let to = DataType::Timestamp(TimeUnit::Microsecond, None);
    match cells.data_type() {
        DataType::Utf8 => parse(cells.as_string(), at, TIMESTAMP, parse_timestamp),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => {
            Ok(cast_whole(cells, &to, at, TIMESTAMP)?
                .as_primitive::<TimestampMicrosecondType>()
                .clone())
        }
        other => Err(at.mismatch(other, TIMESTAMP)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_full_years_in_bands() {
        let reference = Day {
            year: 2025,
            month: 3,
            day: 31,
        };
        let birth = |text| parse_date(text).unwrap();
        for (born, expected) in [
            ("2025-03-31", "00-04"),
            ("2020-03-31", "05-09"),
            ("2020-04-01", "00-04"),
            ("1950-01-01", "75-79"),
            ("1935-03-31", "90+"),
            ("1910-01-01", "90+"),
        ] {
            assert_eq!(
                band(age(birth(born), reference).unwrap()),
                expected,
                "{born}"
            );
        }
        assert_eq!(age(birth("2025-04-01"), reference), None);
    }

    #[test]
    fn addresses_keep_their_prefecture_only() {
        assert_eq!(prefecture("東京都千代田区丸の内1-9-1"), Some("東京都"));
        assert_eq!(prefecture(" 京都府京都市"), Some("京都府"));
        assert_eq!(prefecture("千代田区丸の内1-9-1"), None);
    }
}
