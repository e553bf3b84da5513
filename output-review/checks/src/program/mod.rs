//! What can be said of a program's output without asking anybody: never that it may leave.
//!
//! A program may have computed anything, and may hide anything in what it computed. The rules here catch
//! what an honest author overlooks and what a careless thief tries: small counts, one row for each
//! person, identifiers, encoded data. Against a careful thief stand the two people who read the program.

mod rows;
mod words;

use kekkai_output::{BodyKind, Model, ProgramBody, ProgramLineage, ProgramOutput};

use crate::finding::{Collector, Place, Report, Rule, Verdict};
use crate::profile::Profile;

pub(crate) fn check(output: &ProgramOutput, profile: &Profile) -> Report {
    let mut found = Collector::default();
    if output.check_shape().is_err() {
        found.add(
            Rule::Shape,
            Verdict::Fail,
            Place::TABLE,
            "成果物の形が正しくありません。",
            "The output is malformed.",
        );
        return found.into_report(profile);
    }
    found.add(
        Rule::Uncounted,
        Verdict::Review,
        Place::TABLE,
        "プログラムが計算した値です。エンジンは各値の寄与者を数えていません。",
        "Computed by a program: the engine counted no value's contributors.",
    );
    reads(&output.lineage, profile, &mut found);
    let grid = output.body.grid();
    let kind = output.body.kind();
    if kind == BodyKind::Text {
        words::check(&grid, profile, &mut found);
    } else {
        rows::check(kind, &grid, profile, &mut found);
    }
    match &output.body {
        ProgramBody::Model(fitted) => model(fitted, profile, &mut found),
        ProgramBody::Figure(figure) => {
            for label in [&figure.x_label, &figure.y_label] {
                words::label(label, Place::TABLE, profile, &mut found);
            }
        }
        ProgramBody::Table { .. } | ProgramBody::Text(_) => {}
    }
    found.into_report(profile)
}

/// What the engine counted of the statements that the program read.
fn reads(lineage: &ProgramLineage, profile: &Profile, found: &mut Collector) {
    if lineage.reads.is_empty() {
        found.add(
            Rule::NothingRead,
            Verdict::Review,
            Place::TABLE,
            "プログラムは何も読み取っていません。値の出所を確かめてください。",
            "The program read nothing: ask where its values come from.",
        );
        return;
    }
    let min = profile.contributors_min.max(lineage.threshold);
    let counts = lineage.reads.iter().map(|read| read.persons);
    let is_few = |persons: u64| persons < u64::from(min);
    let most = counts
        .clone()
        .try_fold(0, |most, persons| Some(most.max(persons?)));
    if most.is_some_and(is_few) {
        // Whatever it computed, it is about these few.
        found.add(
            Rule::FewRead,
            Verdict::Fail,
            Place::TABLE,
            format!("プログラムが読み取ったのは{min}名未満のデータだけです。"),
            format!("The program read data of fewer than {min} persons, and nothing else."),
        );
    } else if counts.clone().flatten().any(is_few) {
        found.add(
            Rule::FewRead,
            Verdict::Review,
            Place::TABLE,
            format!("{min}名未満の行を読み取った文があります。"),
            format!("A statement read rows of fewer than {min} persons."),
        );
    }
    if counts.into_iter().any(|persons| persons.is_none()) {
        found.add(
            Rule::FewRead,
            Verdict::Review,
            Place::TABLE,
            "人数をエンジンが数えられない文があります。",
            "The engine could not count the persons of a statement.",
        );
    }
}

fn model(model: &Model, profile: &Profile, found: &mut Collector) {
    words::label(&model.method, Place::TABLE, profile, found);
    let parameters = u64::try_from(model.parameters.len()).unwrap_or(u64::MAX);
    let each = profile.observations_per_parameter;
    let min = profile.contributors_min;
    if model.observations < u64::from(min) {
        found.add(
            Rule::ModelSize,
            Verdict::Fail,
            Place::TABLE,
            format!("モデルの観測数が{min}未満です。"),
            format!("The model has fewer than {min} observations."),
        );
    }
    if parameters >= model.observations {
        found.add(
            Rule::ModelSize,
            Verdict::Fail,
            Place::TABLE,
            "パラメータの数が観測数以上です。モデルがデータそのものを保持しています。",
            "As many parameters as observations: the model holds the data.",
        );
    } else if parameters.saturating_mul(each) > model.observations {
        found.add(
            Rule::ModelSize,
            Verdict::Review,
            Place::TABLE,
            format!("パラメータ1つあたりの観測数が{each}未満です。"),
            format!("Fewer than {each} observations for each parameter."),
        );
    }
}

#[cfg(test)]
mod tests;
