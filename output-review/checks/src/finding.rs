//! What a check says, and where.

use std::collections::BTreeMap;

use kekkai_types::{Digest, Lang, Text};
use serde::{Deserialize, Serialize};

use crate::profile::{Profile, ProfileName};

/// Places that one rule names in one report; the rest are counted in one more finding.
pub const FINDINGS_PER_RULE_MAX: usize = 50;

/// From the best to the worst, so that the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing against it; the text may still be worth reading.
    Pass,
    /// A person must judge.
    Review,
    /// May not leave, whoever accepts it.
    Fail,
}

/// Which rule speaks. Stable: bundles and pages carry these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The table's shape.
    Shape,
    /// Contributors of a shown cell.
    Threshold,
    /// Group names whose contributors nothing in the row proves.
    GroupName,
    /// One person's share of a magnitude: the (1, p) rule.
    DominanceOne,
    /// Two persons' share of a magnitude: the (2, k) rule.
    DominanceTwo,
    /// Evidence that contradicts itself.
    Evidence,
    /// A cell, column or value of a kind that no rule knows.
    Unrecognised,
    /// A column computed from several aggregates.
    Computed,
    /// More digits than a statistic needs.
    Precision,
    /// A hidden cell that the shown ones give away.
    Difference,
    /// Two counts of a row that differ by a few.
    NearCounts,
    /// Groups that were withheld as a whole.
    Withheld,
    /// Text that looks like an identifier.
    Identifier,
    /// Text that looks like prose.
    FreeText,
    /// Text that a spreadsheet would execute, or that hides characters.
    ActiveText,
    /// The number of cells.
    Size,
    /// Numbers of a program: no cell has contributors that the engine counted.
    Uncounted,
    /// A program's output that read nothing.
    NothingRead,
    /// A program that read few persons, or rows whose persons nobody could count.
    FewRead,
    /// A small number that looks like a count of persons.
    SmallCount,
    /// One row, point or word for each person, by its looks.
    RowLevel,
    /// A smallest or largest value: it is one person's.
    Extreme,
    /// Data in another notation.
    Encoded,
    /// A model with too many parameters for its observations.
    ModelSize,
    /// A statistic about nearly the same persons as an earlier one of the project.
    Differencing,
}

impl Rule {
    /// Every rule, in the order of reports.
    pub const ALL: [Self; 25] = [
        Self::Shape,
        Self::Threshold,
        Self::GroupName,
        Self::DominanceOne,
        Self::DominanceTwo,
        Self::Evidence,
        Self::Unrecognised,
        Self::Computed,
        Self::Precision,
        Self::Difference,
        Self::NearCounts,
        Self::Withheld,
        Self::Identifier,
        Self::FreeText,
        Self::ActiveText,
        Self::Size,
        Self::Uncounted,
        Self::NothingRead,
        Self::FewRead,
        Self::SmallCount,
        Self::RowLevel,
        Self::Extreme,
        Self::Encoded,
        Self::ModelSize,
        Self::Differencing,
    ];

    /// A short name for people.
    pub fn title(self, lang: Lang) -> &'static str {
        let (ja, en) = match self {
            Self::Shape => ("表の形", "Shape"),
            Self::Threshold => ("寄与者数", "Contributors"),
            Self::GroupName => ("群の名前", "Group name"),
            Self::DominanceOne => ("占有率(最大の1名)", "Dominance of one person"),
            Self::DominanceTwo => ("占有率(上位2名)", "Dominance of two persons"),
            Self::Evidence => ("根拠の整合性", "Evidence"),
            Self::Unrecognised => ("判定できない内容", "Not recognised"),
            Self::Computed => ("複数の集計からの計算", "Computed column"),
            Self::Precision => ("桁数", "Precision"),
            Self::Difference => ("差分による復元", "Difference"),
            Self::NearCounts => ("近接した件数", "Nearly equal counts"),
            Self::Withheld => ("秘匿された群", "Withheld groups"),
            Self::Identifier => ("識別子らしき文字列", "Looks like an identifier"),
            Self::FreeText => ("自由記述らしき文字列", "Looks like free text"),
            Self::ActiveText => ("危険な文字列", "Active or hidden text"),
            Self::Size => ("大きさ", "Size"),
            Self::Uncounted => ("寄与者数の根拠なし", "Not counted"),
            Self::NothingRead => ("データの読取りなし", "Nothing read"),
            Self::FewRead => ("読み取った人数", "Persons read"),
            Self::SmallCount => ("小さな件数", "Small count"),
            Self::RowLevel => ("行単位のデータ", "Row-level data"),
            Self::Extreme => ("最小値・最大値", "Smallest or largest value"),
            Self::Encoded => ("符号化されたデータ", "Encoded data"),
            Self::ModelSize => ("モデルの規模", "Size of the model"),
            Self::Differencing => ("以前の統計との差分", "Difference to an earlier statistic"),
        };
        lang.pick(ja, en)
    }
}

/// Where: a cell, a row, a column or the whole output. Both count from 0, as in the table, or in the
/// grid ([`kekkai_output::ProgramBody::grid`]) of what is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The row, or all.
    pub row: Option<usize>,
    /// The column, or all.
    pub column: Option<usize>,
}

impl Place {
    /// The whole output.
    pub const TABLE: Self = Self {
        row: None,
        column: None,
    };

    /// One cell.
    pub const fn cell(row: usize, column: usize) -> Self {
        Self {
            row: Some(row),
            column: Some(column),
        }
    }

    /// One row.
    pub const fn row(row: usize) -> Self {
        Self {
            row: Some(row),
            column: None,
        }
    }

    /// One column.
    pub const fn column(column: usize) -> Self {
        Self {
            row: None,
            column: Some(column),
        }
    }

    /// For people, who count from 1.
    pub fn describe(&self, lang: Lang) -> String {
        let human = |n: usize| n.saturating_add(1);
        match (self.row.map(human), self.column.map(human), lang) {
            (Some(r), Some(c), Lang::Ja) => format!("{r}行目 {c}列目"),
            (Some(r), Some(c), Lang::En) => format!("row {r}, column {c}"),
            (Some(r), None, Lang::Ja) => format!("{r}行目"),
            (Some(r), None, Lang::En) => format!("row {r}"),
            (None, Some(c), Lang::Ja) => format!("{c}列目"),
            (None, Some(c), Lang::En) => format!("column {c}"),
            (None, None, Lang::Ja) => "全体".to_owned(),
            (None, None, Lang::En) => "as a whole".to_owned(),
        }
    }
}

/// One thing that a check found.
///
/// The text holds numbers of the profile only, never a count or a value of the table: findings go
/// into the bundle's record and back to the author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// What it says.
    pub verdict: Verdict,
    /// Where.
    pub place: Place,
    /// For people.
    pub text: Text,
}

/// All findings, and what they amount to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The profile's name.
    pub profile: ProfileName,
    /// Its version.
    pub profile_version: u32,
    /// Its hash, rules included.
    pub profile_hash: Digest,
    /// The worst verdict of the findings; pass where there are none.
    pub verdict: Verdict,
    /// The worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds what the checks of the output alone can't know: findings of a comparison with what the project has
    /// seen. They stay when the rules change.
    pub fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.arrange();
    }

    /// Findings that [`Self::add`] added.
    pub fn added(&self) -> impl Iterator<Item = &Finding> {
        let added = |finding: &&Finding| finding.rule == Rule::Differencing;
        self.findings.iter().filter(added)
    }

    /// The worst first; their verdict is the report's.
    fn arrange(&mut self) {
        self.findings.sort_by(|a, b| {
            b.verdict
                .cmp(&a.verdict)
                .then(a.rule.cmp(&b.rule))
                .then(a.place.cmp(&b.place))
        });
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        self.verdict = verdicts.max().unwrap_or(Verdict::Pass);
    }
}

/// Gathers findings, at most [`FINDINGS_PER_RULE_MAX`] for each rule; loses no verdict.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    kept: Vec<Finding>,
    rules: BTreeMap<Rule, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    kept: usize,
    more: u64,
    worst: Option<Verdict>,
}

impl Collector {
    pub(crate) fn add(
        &mut self,
        rule: Rule,
        verdict: Verdict,
        place: Place,
        ja: impl Into<String>,
        en: impl Into<String>,
    ) {
        let tally = self.rules.entry(rule).or_default();
        if tally.kept < FINDINGS_PER_RULE_MAX {
            tally.kept = tally.kept.saturating_add(1);
            self.kept.push(Finding {
                rule,
                verdict,
                place,
                text: Text {
                    ja: ja.into(),
                    en: en.into(),
                },
            });
        } else {
            tally.more = tally.more.saturating_add(1);
            tally.worst = tally.worst.max(Some(verdict));
        }
    }

    pub(crate) fn into_report(self, profile: &Profile) -> Report {
        let mut findings = self.kept;
        for (rule, tally) in self.rules {
            // The number of places left out would be a count of the table: it is not told.
            if let Some(verdict) = tally.worst {
                findings.push(Finding {
                    rule,
                    verdict,
                    place: Place::TABLE,
                    text: Text {
                        ja: format!("同じ指摘が{FINDINGS_PER_RULE_MAX}か所を超えるため、以降は省略しました。"),
                        en: format!(
                            "The same applies at more than {FINDINGS_PER_RULE_MAX} places; the others are left out."
                        ),
                    },
                });
            }
        }
        let mut report = Report {
            profile: profile.name,
            profile_version: profile.version,
            profile_hash: profile.hash(),
            verdict: Verdict::Pass,
            findings,
        };
        report.arrange();
        report
    }
}
