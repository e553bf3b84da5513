//! Which answers are about nearly the same persons as earlier ones, computed here: those, and no others, may be
//! kept back as too close.

use std::collections::{BTreeMap, BTreeSet};

use crate::Question;
use crate::plain::{Agg, THRESHOLD};

type Persons = BTreeSet<String>;

/// The persons of answers that were given.
#[derive(Default)]
pub(crate) struct Given(Vec<Persons>);

impl Given {
    pub(crate) fn add(&mut self, question: &Question) {
        self.0.extend(populations(question));
    }

    /// Whether a question has a population that differs from an earlier one, or from another of its own, by at
    /// least one person and by fewer than the threshold.
    pub(crate) fn is_close(&self, question: &Question) -> bool {
        let own = populations(question);
        own.iter().enumerate().any(|(at, one)| {
            let others = self.0.iter().chain(&own[at + 1..]);
            others
                .map(|other| one.symmetric_difference(other).count())
                .any(|differs| (1..THRESHOLD).contains(&differs))
        })
    }
}

/// Persons of each group, of each column in it, and of all that is shown or withheld.
fn populations(question: &Question) -> Vec<Persons> {
    let mut groups: BTreeMap<&[String], Vec<Persons>> = BTreeMap::new();
    let mut withheld = Persons::new();
    for fact in &question.facts {
        let sets = groups
            .entry(&fact.key)
            .or_insert_with(|| vec![Persons::new(); question.columns.len() + 1]);
        sets[0].insert(fact.person.clone());
        for (set, column) in sets[1..].iter_mut().zip(question.columns) {
            let has_value = match column {
                Agg::Rows | Agg::Persons => true,
                Agg::Values(at) | Agg::Sum(at) | Agg::Mean(at) | Agg::Deviation(at) => {
                    fact.values[*at].is_some()
                }
            };
            if has_value {
                set.insert(fact.person.clone());
            }
        }
    }
    let mut all = Vec::new();
    let mut together = vec![Persons::new(); question.columns.len() + 1];
    for sets in groups.into_values() {
        if sets[0].len() < THRESHOLD {
            withheld.extend(sets.into_iter().flatten());
            continue;
        }
        for (sum, set) in together.iter_mut().zip(&sets) {
            sum.extend(set.iter().cloned());
        }
        all.extend(sets);
    }
    all.extend(together);
    all.push(withheld);
    all
}
