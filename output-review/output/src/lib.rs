//! Typed outputs: what a researcher sees of a statistic and may ask to take out.
//!
//! The engine makes a [`Table`]; nobody else adds evidence to it. What leaves is
//! [`Table::released_csv`], and an [`OutputDigest`] names those bytes together with the
//! evidence that reviewers saw, so that a vote is about both.

mod program;
mod table;

pub use program::{
    Content, Figure, FigureKind, Model, Parameter, ProgramBody, ProgramLineage, ProgramOutput,
    Read, Series,
};

pub use table::{
    Aggregate, Cell, Column, ColumnKind, Evidence, Lineage, OutputDigest, Suppression,
    TABLE_CELLS_MAX, Table, TableError, Value, ValueType,
};
