//! An output's numbers as one table: what checks walk over, and what pages show beside a drawing.

use crate::{Figure, FigureKind, Model, ProgramBody, Series, Value};

/// Rows and columns of plain values.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The header.
    pub columns: Vec<String>,
    /// Each row has one value for each column.
    pub rows: Vec<Vec<Value>>,
}

impl ProgramBody {
    /// All of its values: a table as it is, a point of a figure in each row, a parameter of a model, a
    /// line of a text.
    pub fn grid(&self) -> Grid {
        match self {
            Self::Table { columns, rows } => Grid {
                columns: columns.clone(),
                rows: rows.clone(),
            },
            Self::Figure(figure) => figure.grid(),
            Self::Text(text) => Grid {
                columns: vec!["text".to_owned()],
                rows: text
                    .lines()
                    .map(|line| vec![Value::Text(line.to_owned())])
                    .collect(),
            },
            Self::Model(model) => model.grid(),
        }
    }

    /// What kind of output it is, as releases and pages name it.
    pub fn kind(&self) -> BodyKind {
        match self {
            Self::Table { .. } => BodyKind::Table,
            Self::Figure(_) => BodyKind::Figure,
            Self::Text(_) => BodyKind::Text,
            Self::Model(_) => BodyKind::Model,
        }
    }
}

/// The kinds of [`ProgramBody`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyKind {
    /// A table.
    Table,
    /// A drawing and its numbers.
    Figure,
    /// Words.
    Text,
    /// Parameters of a fitted model.
    Model,
}

impl FigureKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Bar,
        Self::Line,
        Self::Scatter,
        Self::Histogram,
        Self::Box,
        Self::KaplanMeier,
        Self::Forest,
    ];
}

impl Series {
    /// Points, bars, boxes or studies: the length of its longest list.
    pub fn len(&self) -> usize {
        [
            self.labels.len(),
            self.x.len(),
            self.y.len(),
            self.low.len(),
            self.high.len(),
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
    }

    /// True without any point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Figure {
    /// One row for each point; columns that no series uses are left out.
    fn grid(&self) -> Grid {
        let uses = |list: fn(&Series) -> usize| self.series.iter().any(|series| list(series) > 0);
        let lists: [(&str, bool); 5] = [
            ("label", uses(|series| series.labels.len())),
            ("x", uses(|series| series.x.len())),
            ("y", uses(|series| series.y.len())),
            ("low", uses(|series| series.low.len())),
            ("high", uses(|series| series.high.len())),
        ];
        let mut columns = vec!["series".to_owned()];
        columns.extend(
            lists
                .iter()
                .filter(|(_, used)| *used)
                .map(|(name, _)| (*name).to_owned()),
        );
        let mut rows = Vec::new();
        for series in &self.series {
            for point in 0..series.len() {
                let number =
                    |list: &[f64]| list.get(point).map_or(Value::Null, |n| Value::Float(*n));
                let label = series.labels.get(point).cloned();
                let values = [
                    label.map_or(Value::Null, Value::Text),
                    number(&series.x),
                    number(&series.y),
                    number(&series.low),
                    number(&series.high),
                ];
                let mut row = vec![Value::Text(series.name.clone())];
                row.extend(
                    values
                        .into_iter()
                        .zip(&lists)
                        .filter(|(_, (_, used))| *used)
                        .map(|(value, _)| value),
                );
                rows.push(row);
            }
        }
        Grid { columns, rows }
    }
}

impl Model {
    fn grid(&self) -> Grid {
        let columns = ["parameter", "estimate", "standard error"];
        Grid {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self
                .parameters
                .iter()
                .map(|parameter| {
                    vec![
                        Value::Text(parameter.name.clone()),
                        Value::Float(parameter.value),
                        parameter.error.map_or(Value::Null, Value::Float),
                    ]
                })
                .collect(),
        }
    }
}

impl Grid {
    /// RFC 4180 CSV in UTF-8, nothing for `NULL`.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut text = String::new();
        crate::table::push_record(&mut text, self.columns.iter().cloned());
        for row in &self.rows {
            crate::table::push_record(&mut text, row.iter().map(Value::plain));
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_becomes_one_row_for_each_point_with_the_columns_it_uses() {
        let series = |name: &str, y: &[f64]| Series {
            name: name.to_owned(),
            x: (1..=y.len()).map(|x| x as f64).collect(),
            y: y.to_vec(),
            ..Series::default()
        };
        let grid = ProgramBody::Figure(Figure {
            kind: FigureKind::Line,
            x_label: String::new(),
            y_label: String::new(),
            series: vec![series("a", &[5.0, 6.0]), series("b", &[7.5])],
        })
        .grid();
        let csv = String::from_utf8(grid.to_csv()).unwrap();
        assert_eq!(csv, "series,x,y\r\na,1,5\r\na,2,6\r\nb,1,7.5\r\n");
    }
}
