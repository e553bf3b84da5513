//! What the engine counted behind a result, summed up: filled in for the person, and never by them.

use kekkai_output::{Cell, Table};
use kekkai_types::Lang;

use super::words;

/// The counts behind a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Statistics that are shown.
    pub(super) shown: usize,
    /// Cells that are suppressed.
    pub(super) withheld: usize,
    /// Persons behind the shown statistic that has the fewest.
    pub(super) least: Option<u64>,
    /// The largest share that one person has of a magnitude, in permille.
    pub(super) share_permille: u32,
}

impl Evidence {
    pub(super) fn of(table: &Table) -> Self {
        let mut evidence = Self {
            shown: 0,
            withheld: 0,
            least: None,
            share_permille: 0,
        };
        for cell in table.rows.iter().flatten() {
            match cell {
                Cell::Key(_) => {}
                Cell::Suppressed(_) => evidence.withheld = evidence.withheld.saturating_add(1),
                Cell::Shown { evidence: of, .. } => {
                    evidence.shown = evidence.shown.saturating_add(1);
                    let least = evidence.least.unwrap_or(u64::MAX);
                    evidence.least = Some(least.min(of.contributors));
                    evidence.share_permille = evidence.share_permille.max(of.largest_permille);
                }
            }
        }
        evidence
    }

    /// A line for each fact.
    pub(super) fn lines(&self, table: &Table, lang: Lang) -> Vec<String> {
        let mut lines = vec![
            words::EVIDENCE_CELLS
                .with(lang, &[&self.shown.to_string(), &self.withheld.to_string()]),
        ];
        let threshold = table.lineage.threshold.to_string();
        if let Some(least) = self.least {
            lines.push(words::EVIDENCE_LEAST.with(lang, &[&least.to_string(), &threshold]));
        }
        if self.share_permille > 0 {
            let percent = format!("{:.1}", f64::from(self.share_permille) / 10.0);
            lines.push(words::EVIDENCE_SHARE.with(lang, &[&percent]));
        }
        if table.groups_withheld > 0 {
            let groups = table.groups_withheld.to_string();
            lines.push(words::EVIDENCE_GROUPS.with(lang, &[&groups]));
        }
        let datasets: Vec<String> = table
            .lineage
            .datasets
            .iter()
            .map(|(dataset, version)| format!("{dataset} v{version}"))
            .collect();
        lines.push(words::EVIDENCE_DATA.with(lang, &[&datasets.join(", ")]));
        lines.push(words::EVIDENCE_ENGINE.with(lang, &[&table.lineage.engine]));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn counts_are_the_engines() {
        let table = samples::table();
        let evidence = Evidence::of(&table);
        assert_eq!(
            evidence,
            Evidence {
                shown: 23,
                withheld: 1,
                least: Some(40),
                share_permille: 12
            }
        );
        let lines = evidence.lines(&table, Lang::En).join("; ");
        assert!(
            lines.contains("the smallest is of 40 persons (threshold 10)"),
            "{lines}"
        );
        assert!(
            lines.contains("groups withheld with their names: 2"),
            "{lines}"
        );
        assert!(
            lines.contains("one person makes up 1.2 % at most"),
            "{lines}"
        );
    }
}
