//! Disclosure checks: what can be said of a table without asking anybody.
//!
//! A worked story. A researcher counts patients by region and sex and asks to take the table
//! out. The engine has counted each cell's contributors, so [`check`] can see that a cell shows
//! seven persons where the profile wants ten (*fail*: nobody is asked, it goes back), that one
//! suppressed cell is its region's total minus the other cell (*review*: a person must look), and
//! that forty groups were withheld (*pass*, but said). The worst verdict is the table's.
//!
//! Nothing here reads a clock, a file or a random number: the same table under the same profile
//! has the same findings, and [`Profile::hash`] names the rules that were applied.
//!
//! What is not recognised is never passed: it is for a person to judge.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod advice;
mod cells;
mod difference;
mod finding;
mod models;
mod names;
mod profile;
mod program;
mod seen;

pub use finding::{FINDINGS_PER_RULE_MAX, Finding, Place, Report, Rule, Verdict};
pub use profile::{Profile, ProfileName, RULES_VERSION, UnknownProfile};
pub use seen::seen;

use kekkai_output::{Content, Table};

/// Applies every rule of a profile to a table whose shape was checked.
///
/// A table of another shape is a failure like any other: this never panics.
pub fn check(table: &Table, profile: &Profile) -> Report {
    let mut found = finding::Collector::default();
    if table.check_shape().is_err() {
        found.add(
            Rule::Shape,
            Verdict::Fail,
            Place::TABLE,
            "表の形が正しくありません。",
            "The table is malformed.",
        );
        return found.into_report(profile);
    }
    cells::check(table, profile, &mut found);
    difference::check(table, profile, &mut found);
    models::check(table, profile, &mut found);
    names::check(table, profile, &mut found);
    found.into_report(profile)
}

/// Applies every rule to an output of any kind. A program's never passes: nothing but the program
/// counted, so that people must look.
pub fn check_content(content: &Content, profile: &Profile) -> Report {
    match content {
        Content::Table(table) => check(table, profile),
        Content::Program(output) => program::check(output, profile),
    }
}

#[cfg(test)]
mod tests;
