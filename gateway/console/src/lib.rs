//! The text console's brain: lines become commands, results become text. It reads nothing, writes
//! nothing and knows no clock; the SSH server around it does that.
//!
//! A line goes through [`parse`] (one-shot) or [`Lines`] (interactive) and becomes a [`Command`].
//! Whatever isn't one of the console's own commands is [`ParseError::NotACommand`], which the
//! gateway records: there is no shell behind this.
//!
//! Text goes out through [`render`] and [`message`], in Japanese and English, with `\n` at the end
//! of each line; the terminal side turns that into what its terminal needs. Nothing that comes from
//! data, a person or another service reaches the terminal before [`clean`] made it harmless.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod codes;
mod command;
mod help;
mod lists;
pub mod message;
mod reasons;
mod run;
mod run_error;
mod source;
mod sql_advice;
mod sql_error;
mod status;
mod table;
mod text;
mod words;

pub use command::{
    Command, LINE_MAX, Lines, PURPOSE_MAX, ParseError, TITLE_MAX, Topic, Usage, parse,
};
pub use source::{Source, SourceError};
pub use sql_advice::sql_advice;
pub use status::Status;
pub use table::TableView;
pub use text::{clean, columns};

/// Results as text. Every line ends with `\n`.
pub mod render {
    pub use crate::help::help;
    pub use crate::lists::{job, job_line, jobs, outputs, schema, submitted};
    pub use crate::run::{
        log_gaps, log_line, program_list, progress_line, script_removed, script_saved, script_text,
        scripts,
    };
    pub use crate::status::{banner, status, welcome};
    pub use crate::table::table;
}
