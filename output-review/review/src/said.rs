//! What an author reads of the checks' findings.
//!
//! The findings of a table hold no count and no value, so that all of it is told. A program's output is
//! another matter while nobody has let it out: the program chooses where a rule strikes, and could write
//! what it read into those places. Of those, the rules that fail are told, once each, and no place.

use std::collections::BTreeSet;

use kekkai_checks::{Finding, Report, Rule, Verdict};
use kekkai_review_api::{Said, Weight};
use kekkai_types::{Lang, Text};

/// Everything that the checks found, with what can be done.
pub fn all(report: &Report) -> Vec<Said> {
    report.findings.iter().map(whole).collect()
}

/// Of a program's output that nobody has let out: what fails, by name, and that people must look.
pub fn of_program(report: &Report) -> Vec<Said> {
    let failed: BTreeSet<Rule> = report
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail)
        .map(|finding| finding.rule)
        .collect();
    let by_name = failed.into_iter().map(|rule| Said {
        weight: Weight::Fail,
        rule: name(rule),
        place: empty(),
        text: advised(rule, rule.title(Lang::Ja), rule.title(Lang::En)),
    });
    // The same for every program's output: it tells nothing of this one.
    let always = report
        .findings
        .iter()
        .filter(|finding| finding.rule == Rule::Uncounted)
        .map(whole);
    by_name.chain(always).collect()
}

fn whole(finding: &Finding) -> Said {
    Said {
        weight: match finding.verdict {
            Verdict::Pass => Weight::Pass,
            Verdict::Review => Weight::Review,
            Verdict::Fail => Weight::Fail,
        },
        rule: name(finding.rule),
        place: Text {
            ja: finding.place.describe(Lang::Ja),
            en: finding.place.describe(Lang::En),
        },
        text: advised(finding.rule, &finding.text.ja, &finding.text.en),
    }
}

fn advised(rule: Rule, ja: &str, en: &str) -> Text {
    let Some(advice) = rule.advice() else {
        return Text {
            ja: ja.to_owned(),
            en: en.to_owned(),
        };
    };
    // A rule's bare title has no full stop of its own.
    let (ja_end, en_end) = (
        if ja.ends_with('。') { "" } else { "。" },
        if en.ends_with(['.', '?']) { "" } else { "." },
    );
    Text {
        ja: format!("{ja}{ja_end}{}", advice.ja),
        en: format!("{en}{en_end} {}", advice.en),
    }
}

/// The stable name, as bundles have it.
fn name(rule: Rule) -> String {
    match serde_json::to_value(rule) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{rule:?}"),
    }
}

fn empty() -> Text {
    Text {
        ja: String::new(),
        en: String::new(),
    }
}
