//! What can be said of a program's output without asking anybody: never that it may leave.

use kekkai_output::ProgramOutput;

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
    found.into_report(profile)
}
