//! From the WIT's values to those of outputs, and what is refused on the way.

use kekkai_output::{Figure, FigureKind, Model, Parameter, Series, Value as OutputValue};

use super::refusal;
use crate::bindings::kekkai::session::output as wit;
use crate::bindings::kekkai::session::types::{Failure, Value};

/// Parameters of a statement.
pub(super) fn parameters(values: Vec<Value>) -> Result<Vec<OutputValue>, Failure> {
    values.into_iter().map(|one| value(one, "")).collect()
}

/// A table's rows, each as long as the header.
pub(super) fn rows(
    columns: &[String],
    rows: Vec<Vec<Value>>,
) -> Result<Vec<Vec<OutputValue>>, Failure> {
    if columns.is_empty() {
        return Err(refusal("no-columns", ""));
    }
    let mut all = Vec::with_capacity(rows.len());
    for (at, row) in rows.into_iter().enumerate() {
        if row.len() != columns.len() {
            return Err(refusal("row-length", &(at + 1).to_string()));
        }
        let cells = row.into_iter().zip(columns);
        all.push(
            cells
                .map(|(cell, column)| value(cell, column))
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(all)
}

fn value(value: Value, place: &str) -> Result<OutputValue, Failure> {
    Ok(match value {
        Value::Null => OutputValue::Null,
        Value::Boolean(value) => OutputValue::Bool(value),
        Value::Integer(value) => OutputValue::Int(value),
        Value::Real(value) if value.is_nan() => return Err(refusal("not-a-number", place)),
        Value::Real(value) => OutputValue::Float(value),
        Value::Text(value) => OutputValue::Text(value),
    })
}

/// A figure of finite numbers, each series with lists of one length.
pub(super) fn figure(figure: wit::Figure) -> Result<Figure, Failure> {
    if figure.series.is_empty() {
        return Err(refusal("no-series", ""));
    }
    Ok(Figure {
        kind: match figure.kind {
            wit::FigureKind::Bar => FigureKind::Bar,
            wit::FigureKind::Line => FigureKind::Line,
            wit::FigureKind::Scatter => FigureKind::Scatter,
            wit::FigureKind::Histogram => FigureKind::Histogram,
            wit::FigureKind::Box => FigureKind::Box,
            wit::FigureKind::KaplanMeier => FigureKind::KaplanMeier,
            wit::FigureKind::Forest => FigureKind::Forest,
        },
        x_label: figure.x_label,
        y_label: figure.y_label,
        series: figure
            .series
            .into_iter()
            .map(series)
            .collect::<Result<_, _>>()?,
    })
}

fn series(series: wit::Series) -> Result<Series, Failure> {
    let wit::Series {
        name,
        labels,
        x,
        y,
        low,
        high,
    } = series;
    let lengths = [labels.len(), x.len(), y.len(), low.len(), high.len()];
    let longest = lengths.into_iter().max().unwrap_or(0);
    if longest == 0 || lengths.iter().any(|len| *len != 0 && *len != longest) {
        return Err(refusal("series-length", &name));
    }
    let numbers = [&x, &y, &low, &high];
    if numbers.into_iter().flatten().any(|x| !x.is_finite()) {
        return Err(refusal("not-finite", &name));
    }
    Ok(Series {
        name,
        labels,
        x,
        y,
        low,
        high,
    })
}

/// A model with finite estimates.
pub(super) fn model(model: wit::Model) -> Result<Model, Failure> {
    if model.parameters.is_empty() {
        return Err(refusal("no-parameters", ""));
    }
    let parameter = |parameter: wit::Parameter| {
        if !parameter.value.is_finite() || parameter.error.is_infinite() {
            return Err(refusal("not-finite", &parameter.name));
        }
        Ok(Parameter {
            name: parameter.name,
            value: parameter.value,
            error: Some(parameter.error).filter(|error| !error.is_nan()),
        })
    };
    Ok(Model {
        method: model.method,
        observations: model.observations,
        parameters: model
            .parameters
            .into_iter()
            .map(parameter)
            .collect::<Result<_, _>>()?,
    })
}
