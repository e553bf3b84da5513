//! What the editor knows of SQL.

pub(crate) mod words;
