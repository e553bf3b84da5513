//! What only the analysis server can find: that a statistic is about nearly the same persons as an earlier one.

use kekkai_output::Seen;
use kekkai_types::Text;

use crate::finding::{Finding, Place, Rule, Verdict};

/// The finding for reviewers and the author.
pub fn seen(seen: &Seen) -> Finding {
    let (ja, en) = match &seen.earlier {
        Some(earlier) => (
            format!(
                "以前にこの研究で得た統計({earlier})と対象者がほとんど同じです。差を取ると数人のことが分かるため、画面には表示していません。"
            ),
            format!(
                "About nearly the same persons as an earlier statistic of this project ({earlier}): subtracted, the two would tell of a few of them. It was not shown on screen."
            ),
        ),
        None => (
            "同じ行の別の値と対象者がほとんど同じです。差を取ると数人のことが分かるため、画面には表示していません。".to_owned(),
            "About nearly the same persons as another value of its row: subtracted, the two would tell of a few of them. It was not shown on screen.".to_owned(),
        ),
    };
    Finding {
        rule: Rule::Differencing,
        verdict: Verdict::Review,
        place: Place {
            row: seen.row,
            column: seen.column,
        },
        text: Text { ja, en },
    }
}
