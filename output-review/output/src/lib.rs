//! Typed outputs: what a researcher sees of a statistic and may ask to take out.
//!
//! The engine makes a [`Table`]; nobody else adds evidence to it. What leaves is
//! [`Table::released_csv`], and an [`OutputDigest`] names those bytes together with the
//! evidence that reviewers saw, so that a vote is about both.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod grid;
mod population;
mod program;
mod shape;
mod table;

pub use grid::{BodyKind, Grid};
pub use population::{
    Measure, POPULATION_BYTES_MAX, POPULATIONS_MAX, Population, Populations, Seen,
};
pub use program::{
    Content, Figure, FigureKind, Model, Parameter, ProgramBody, ProgramLineage, ProgramOutput,
    Read, Series,
};
pub use shape::{
    COLUMNS_MAX, LABEL_MAX, LINEAGE_MAX, PARAMETERS_MAX, POINTS_MAX, PROGRAM_CELLS_MAX, READS_MAX,
    SERIES_MAX, ShapeError, TEXT_MAX,
};
pub use table::{
    Aggregate, Cell, Column, ColumnKind, DEFINITION_END, Evidence, Lineage, OutputDigest,
    Suppression, TABLE_CELLS_MAX, Table, TableError, Value, ValueType,
};
