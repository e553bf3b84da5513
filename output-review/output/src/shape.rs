//! What a program's output may look like at all. Everything about it is the program's own claim until
//! this passes.

use crate::{Content, Figure, FigureKind, Model, ProgramBody, ProgramOutput, Series, Value};
use crate::{TABLE_CELLS_MAX, Table, TableError};

/// Columns of a table: a reviewer must be able to look at each.
pub const COLUMNS_MAX: usize = 1_000;
/// Cells of a program's table.
pub const PROGRAM_CELLS_MAX: usize = 100_000;
/// Characters of a cell, a column's name, a label, a parameter's name.
pub const LABEL_MAX: usize = 500;
/// Bytes of a text.
pub const TEXT_MAX: usize = 64 * 1024;
/// Series of a figure.
pub const SERIES_MAX: usize = 50;
/// Points of a figure, over all its series.
pub const POINTS_MAX: usize = 20_000;
/// Parameters of a model.
pub const PARAMETERS_MAX: usize = 10_000;
/// Statements that an output's lineage names.
pub const READS_MAX: usize = 1_000;
/// Bytes of the lineage: a script's text, arguments and statements together.
pub const LINEAGE_MAX: usize = 8 * 1024 * 1024;

/// Why something from outside is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A table of statistics.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Nothing to look at.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// A row of another width than the header; counted from 1.
    #[error("row {0} has another width than the header")]
    Ragged(usize),
    /// More of something than its bound.
    #[error("{what}: {found}, at most {max}")]
    TooMany {
        /// Of what, with its unit.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// NaN or infinite.
    #[error("{0} is not a finite number")]
    NotFinite(&'static str),
    /// A control character, which is a command to a terminal.
    #[error("{0} holds a control character")]
    Control(&'static str),
    /// The lists of a series that its kind needs are missing, or not of one length; counted from 1.
    #[error("series {series} of this kind of figure needs {needs}")]
    Series {
        /// Which.
        series: usize,
        /// What the kind needs.
        needs: &'static str,
    },
}

impl Content {
    /// Checks shape and bounds. Content from another process is an allegation until this passes.
    pub fn check_shape(&self) -> Result<(), ShapeError> {
        match self {
            Self::Table(table) => check_table(table),
            Self::Program(output) => output.check_shape(),
        }
    }
}

fn check_table(table: &Table) -> Result<(), ShapeError> {
    at_most("columns", table.columns.len(), COLUMNS_MAX)?;
    Ok(table.check_shape()?)
}

impl ProgramOutput {
    /// Checks shape and bounds of body and lineage.
    pub fn check_shape(&self) -> Result<(), ShapeError> {
        self.body.check_shape()?;
        let lineage = &self.lineage;
        label("the program's name", &lineage.program)?;
        at_most("statements in the lineage", lineage.reads.len(), READS_MAX)?;
        let texts = lineage.args.iter().map(String::len);
        let bytes = texts
            .chain(lineage.reads.iter().map(|read| read.sql.len()))
            .fold(lineage.source.len(), usize::saturating_add);
        at_most("bytes of lineage", bytes, LINEAGE_MAX)
    }
}

impl ProgramBody {
    /// Checks shape and bounds.
    pub fn check_shape(&self) -> Result<(), ShapeError> {
        match self {
            Self::Table { columns, rows } => table(columns, rows),
            Self::Figure(figure) => check_figure(figure),
            Self::Text(text) => {
                if text.trim().is_empty() {
                    return Err(ShapeError::Empty("text"));
                }
                at_most("bytes of text", text.len(), TEXT_MAX)?;
                let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
                plain("the text", text.chars().all(is_plain))
            }
            Self::Model(model) => check_model(model),
        }
    }
}

fn table(columns: &[String], rows: &[Vec<Value>]) -> Result<(), ShapeError> {
    if columns.is_empty() || rows.is_empty() {
        return Err(ShapeError::Empty("table"));
    }
    at_most("columns", columns.len(), COLUMNS_MAX)?;
    let cells = columns.len().saturating_mul(rows.len());
    at_most("cells", cells, PROGRAM_CELLS_MAX.min(TABLE_CELLS_MAX))?;
    for column in columns {
        label("a column's name", column)?;
    }
    for (row, cells) in rows.iter().enumerate() {
        if cells.len() != columns.len() {
            return Err(ShapeError::Ragged(row.saturating_add(1)));
        }
        for cell in cells {
            match cell {
                Value::Float(value) => finite("a cell", &[*value])?,
                Value::Text(text) => label("a cell", text)?,
                Value::Null | Value::Bool(_) | Value::Int(_) => {}
            }
        }
    }
    Ok(())
}

fn check_figure(figure: &Figure) -> Result<(), ShapeError> {
    label("an axis label", &figure.x_label)?;
    label("an axis label", &figure.y_label)?;
    at_most("series", figure.series.len(), SERIES_MAX)?;
    let points = figure
        .series
        .iter()
        .map(Series::len)
        .fold(0, usize::saturating_add);
    at_most("points", points, POINTS_MAX)?;
    if points == 0 {
        return Err(ShapeError::Empty("figure"));
    }
    for (index, series) in figure.series.iter().enumerate() {
        label("a series' name", &series.name)?;
        for text in &series.labels {
            label("a label", text)?;
        }
        for list in [&series.x, &series.y, &series.low, &series.high] {
            finite("a point", list)?;
        }
        if let Some(needs) = missing(figure.kind, series) {
            let series = index.saturating_add(1);
            return Err(ShapeError::Series { series, needs });
        }
    }
    Ok(())
}

/// What the kind needs, where the series does not have it.
fn missing(kind: FigureKind, series: &Series) -> Option<&'static str> {
    let length = series.len();
    let full = |list: usize| list == length;
    let full_or_none = |list: usize| list == length || list == 0;
    let Series {
        labels,
        x,
        y,
        low,
        high,
        ..
    } = series;
    // An interval without its other end draws nothing; one that is upside down draws a lie.
    let is_interval =
        low.len() == high.len() && low.iter().zip(high).all(|(low, high)| low <= high);
    let (holds, needs) = match kind {
        FigureKind::Bar => (
            full(labels.len()) && x.is_empty() && full(y.len()) && full_or_none(low.len()),
            "labels and y, or also low and high, of one length",
        ),
        FigureKind::Line => (
            labels.is_empty() && full(x.len()) && full(y.len()) && full_or_none(low.len()),
            "x and y, or also low and high, of one length",
        ),
        FigureKind::KaplanMeier => (
            labels.is_empty()
                && full(x.len())
                && full(y.len())
                && full_or_none(low.len())
                && x.is_sorted()
                && [y, low, high]
                    .iter()
                    .all(|list| list.iter().all(|share| (0.0..=1.0).contains(share))),
            "rising x and y from 0 to 1, or also low and high, of one length",
        ),
        FigureKind::Scatter => (
            full_or_none(labels.len()) && full(x.len()) && full(y.len()) && low.is_empty(),
            "x and y of one length",
        ),
        FigureKind::Histogram => (
            labels.is_empty() && x.is_empty() && full(y.len()) && full(low.len()),
            "low and high (the bins' edges) and y (their heights) of one length",
        ),
        FigureKind::Box => (
            full(labels.len())
                && x.is_empty()
                && full(y.len())
                && full(low.len())
                && y.iter().zip(low).all(|(median, low)| low <= median)
                && y.iter().zip(high).all(|(median, high)| median <= high),
            "labels, low, y and high (the quartiles) of one length",
        ),
        FigureKind::Forest => (
            full(labels.len()) && full(x.len()) && y.is_empty() && full(low.len()),
            "labels, x (the estimates), low and high of one length",
        ),
    };
    (!(holds && is_interval)).then_some(needs)
}

fn check_model(model: &Model) -> Result<(), ShapeError> {
    label("the method", &model.method)?;
    if model.parameters.is_empty() {
        return Err(ShapeError::Empty("model"));
    }
    at_most("parameters", model.parameters.len(), PARAMETERS_MAX)?;
    for parameter in &model.parameters {
        label("a parameter's name", &parameter.name)?;
        finite("a parameter", &[parameter.value])?;
        if let Some(error) = parameter.error {
            finite("a standard error", &[error])?;
        }
    }
    Ok(())
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), ShapeError> {
    if found > max {
        return Err(ShapeError::TooMany { what, found, max });
    }
    Ok(())
}

fn label(what: &'static str, text: &str) -> Result<(), ShapeError> {
    at_most(what, text.chars().count(), LABEL_MAX)?;
    plain(what, !text.chars().any(char::is_control))
}

fn plain(what: &'static str, is_plain: bool) -> Result<(), ShapeError> {
    if is_plain {
        Ok(())
    } else {
        Err(ShapeError::Control(what))
    }
}

fn finite(what: &'static str, numbers: &[f64]) -> Result<(), ShapeError> {
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(())
    } else {
        Err(ShapeError::NotFinite(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        Series {
            name: "s".to_owned(),
            ..Series::default()
        }
    }

    fn of(kind: FigureKind, series: Series) -> Result<(), ShapeError> {
        ProgramBody::Figure(Figure {
            kind,
            x_label: "x".to_owned(),
            y_label: "y".to_owned(),
            series: vec![series],
        })
        .check_shape()
    }

    /// One series that each kind takes.
    fn good(kind: FigureKind) -> Series {
        let labels = vec!["a".to_owned(), "b".to_owned()];
        let (x, y) = (vec![0.0, 1.0], vec![0.9, 0.8]);
        let (low, high) = (vec![0.5, 0.6], vec![0.95, 0.9]);
        match kind {
            FigureKind::Bar => Series {
                labels,
                y,
                ..series()
            },
            FigureKind::Line | FigureKind::KaplanMeier => Series {
                x,
                y,
                low,
                high,
                ..series()
            },
            FigureKind::Scatter => Series { x, y, ..series() },
            FigureKind::Histogram => Series {
                y,
                low,
                high,
                ..series()
            },
            FigureKind::Box => Series {
                labels,
                y,
                low,
                high,
                ..series()
            },
            FigureKind::Forest => Series {
                labels,
                x: y,
                low,
                high,
                ..series()
            },
        }
    }

    #[test]
    fn each_kind_of_figure_takes_its_lists_and_no_others() {
        for kind in FigureKind::ALL {
            assert_eq!(of(kind, good(kind)), Ok(()), "{kind:?}");
            let mut short = good(kind);
            if short.y.pop().is_none() {
                short.x.pop();
            }
            assert!(of(kind, short).is_err(), "{kind:?} with a short list");
            let mut half = good(kind);
            half.low = vec![0.1, 0.1];
            half.high.clear();
            assert!(of(kind, half).is_err(), "{kind:?} with half an interval");
            let mut wild = good(kind);
            wild.name = "a\u{1b}[2J".to_owned();
            assert_eq!(of(kind, wild), Err(ShapeError::Control("a series' name")));
            for list in 0..4 {
                let mut wild = good(kind);
                let list = [&mut wild.x, &mut wild.y, &mut wild.low, &mut wild.high]
                    .into_iter()
                    .nth(list)
                    .unwrap();
                if let Some(first) = list.first_mut() {
                    *first = f64::NAN;
                    assert_eq!(of(kind, wild), Err(ShapeError::NotFinite("a point")));
                }
            }
        }
        let mut upside_down = good(FigureKind::Box);
        upside_down.low = vec![1.0, 1.0];
        assert!(of(FigureKind::Box, upside_down).is_err());
        let mut above_one = good(FigureKind::KaplanMeier);
        above_one.y = vec![1.2, 0.8];
        assert!(of(FigureKind::KaplanMeier, above_one).is_err());
    }

    #[test]
    fn table_that_is_ragged_endless_or_active_is_refused() {
        let columns = vec!["a".to_owned(), "b".to_owned()];
        let row = vec![Value::Int(1), Value::Text("x".to_owned())];
        let check = |columns: &[String], rows: Vec<Vec<Value>>| {
            ProgramBody::Table {
                columns: columns.to_vec(),
                rows,
            }
            .check_shape()
        };
        assert_eq!(check(&columns, vec![row.clone()]), Ok(()));
        assert_eq!(check(&columns, Vec::new()), Err(ShapeError::Empty("table")));
        assert_eq!(
            check(&columns, vec![row.clone(), vec![Value::Null]]),
            Err(ShapeError::Ragged(2))
        );
        assert!(matches!(
            check(&columns, vec![row.clone(); PROGRAM_CELLS_MAX]),
            Err(ShapeError::TooMany { what: "cells", .. })
        ));
        let bad = |cell| check(&columns, vec![vec![Value::Null, cell]]);
        assert_eq!(
            bad(Value::Float(f64::INFINITY)),
            Err(ShapeError::NotFinite("a cell"))
        );
        assert_eq!(
            bad(Value::Text("a\rb".to_owned())),
            Err(ShapeError::Control("a cell"))
        );
        assert!(bad(Value::Text("x".repeat(LABEL_MAX + 1))).is_err());
    }

    #[test]
    fn text_and_model_are_bounded() {
        let text = |text: &str| ProgramBody::Text(text.to_owned()).check_shape();
        assert_eq!(text("one\n\ttwo"), Ok(()));
        assert_eq!(text(" \n"), Err(ShapeError::Empty("text")));
        assert_eq!(text("\u{1b}]0;x"), Err(ShapeError::Control("the text")));
        assert!(text(&"x".repeat(TEXT_MAX + 1)).is_err());
        let model = |value, error| {
            ProgramBody::Model(Model {
                method: "Cox".to_owned(),
                parameters: vec![crate::Parameter {
                    name: "age".to_owned(),
                    value,
                    error,
                }],
                observations: 100,
            })
            .check_shape()
        };
        assert_eq!(model(1.0, None), Ok(()));
        assert!(model(f64::NAN, None).is_err());
        assert!(model(1.0, Some(f64::INFINITY)).is_err());
    }
}
