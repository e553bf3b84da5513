//! Ways to learn of a hidden row or column. None may work here, and each must work where only a view, or
//! nothing, protects the same file: a trick that never works proves nothing.
//!
//! A way is tried on two data sets that differ in what is hidden and in nothing else. Held: all that a person
//! sees is the same in both, be it a statistic, rows, their order and their cuts, an error with its name, place
//! and candidates, or the progress. Worked: the control's answers differ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking, and prints its table"
)]

#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod errors;
mod names;
mod order;
mod outside;
mod subqueries;
mod suppressed;
mod work;
mod world;

use kekkai_output::Value;

use world::{Data, Protection, World};

/// One way.
pub struct Way {
    /// What somebody would try.
    name: &'static str,
    sql: &'static str,
    parameters: Vec<Value>,
    protection: Protection,
    control: Option<&'static str>,
    worlds: [World; 2],
}

impl Way {
    /// The same statement against a view learns it.
    pub fn view(name: &'static str, sql: &'static str) -> Self {
        Self {
            name,
            sql,
            parameters: Vec::new(),
            protection: Protection::View,
            control: None,
            worlds: [World::Base, World::Hidden],
        }
    }

    /// The same statement against the file itself learns it.
    pub fn plain(name: &'static str, sql: &'static str) -> Self {
        Self {
            protection: Protection::None,
            ..Self::view(name, sql)
        }
    }

    /// The small group differs, not what is hidden from everybody.
    pub fn rare(name: &'static str, sql: &'static str) -> Self {
        Self {
            worlds: [World::Base, World::Rare],
            ..Self::plain(name, sql)
        }
    }

    /// The control's statement, where it can't be the same.
    pub fn control(mut self, sql: &'static str) -> Self {
        self.control = Some(sql);
        self
    }

    /// Values for its `?`.
    pub fn with(mut self, parameters: Vec<Value>) -> Self {
        self.parameters = parameters;
        self
    }
}

#[test]
fn no_way_learns_what_is_hidden_and_each_works_unprotected() {
    let families: [(&str, Vec<Way>); 8] = [
        ("errors", errors::ways()),
        ("order of evaluation", order::ways()),
        ("catalogue and plans", catalogue::ways()),
        ("names", names::ways()),
        ("rows outside", outside::ways()),
        ("subqueries", subqueries::ways()),
        ("suppressed cells", suppressed::ways()),
        ("work", work::ways()),
    ];
    let data = [World::Base, World::Hidden, World::Rare].map(Data::new);
    let of = |world: World| data.iter().find(|data| data.world == world).unwrap();
    let (mut ways, mut held, mut worked, mut answered) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for (family, all) in &families {
        let before = (ways, held, worked);
        for way in all {
            assert!(names.insert(way.name), "{} is told twice", way.name);
            ways += 1;
            let [base, other] = way.worlds.map(of);
            // Programs see the rows of small groups, and nobody sees programs' rows without a review.
            let also_rows = other.world == World::Hidden;
            let [a, b] = [base, other].map(|data| data.seen(way.sql, &way.parameters, also_rows));
            // "Sent" and columns are of answers; of a refusal both would be equal more easily.
            answered += usize::from(a.contains("Sent {") || a.contains("[Column {"));
            if a == b && !b.contains("SENTINEL") {
                held += 1;
            } else {
                wrong.push(format!(
                    "LEARNT by {}: {}\n{}\n{}",
                    way.name,
                    way.sql,
                    cut(&a),
                    cut(&b)
                ));
            }
            let control = way.control.unwrap_or(way.sql);
            let [a, b] = [base, other].map(|data| data.shown(way.protection, control));
            if a == b {
                wrong.push(format!(
                    "NO CONTROL of {}: {control}\n{}",
                    way.name,
                    cut(&a)
                ));
            } else {
                worked += 1;
            }
        }
        println!(
            "leaks: {family}: {} ways, {} held, {} controls worked",
            ways - before.0,
            held - before.1,
            worked - before.2
        );
    }
    println!(
        "leaks: {ways} ways, {held} held, {worked} controls worked; {answered} were answered, the others refused"
    );
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(ways >= 60 && answered >= 60);
}

fn cut(text: &str) -> String {
    text.chars().take(600).collect()
}
