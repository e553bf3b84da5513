//! What a chart is made of: its kind and which column does what. Kept in notebooks, so it holds names only.

use std::collections::BTreeMap;

use kekkai_output::FigureKind;
use serde::{Deserialize, Serialize};

use crate::chart::data::{Outline, Source, Values};
use crate::chart::plot::SERIES_MAX;

/// Characters of a title or of an axis' words.
pub const WORDS_MAX: usize = 200;

/// What a column does in a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Names of bars, boxes or studies; horizontal places; lower edges of bins; times.
    X,
    /// Heights, values, estimates; medians; survival.
    Y,
    /// Lower ends of intervals; first quartiles.
    Low,
    /// Upper ends; third quartiles; upper edges of bins.
    High,
    /// Which series a row belongs to.
    Group,
    /// Events at a time; of rows, whether there was one.
    Events,
    /// Persons at risk just before a time.
    AtRisk,
    /// Persons whose observation ended at a time without an event.
    Censored,
}

/// A chart's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// How it is drawn.
    pub kind: FigureKind,
    /// Which column does what.
    pub columns: BTreeMap<Role, String>,
    /// Above it; may be empty.
    #[serde(default)]
    pub title: String,
    /// Under the horizontal axis; empty: the column's name.
    #[serde(default)]
    pub x_label: String,
    /// Beside the vertical axis; empty: the column's name.
    #[serde(default)]
    pub y_label: String,
    /// Values on a logarithmic axis; `None`: a forest of positive numbers only.
    #[serde(default)]
    pub is_log: Option<bool>,
    /// Bins of a histogram of rows; 0: as the numbers suggest.
    #[serde(default)]
    pub bins: u16,
}

/// Whether a kind can do without a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It can't.
    Must,
    /// It can.
    May,
}

/// The columns that a kind knows, in the order in which they are asked for.
pub fn roles(kind: FigureKind, is_rows: bool) -> &'static [(Role, Need)] {
    use Need::{May, Must};
    match (kind, is_rows) {
        // Rows are counted; a height for each of them would stand on top of the others.
        (FigureKind::Bar, true) => &[(Role::X, Must), (Role::Group, May)],
        (FigureKind::Bar | FigureKind::Line, _) => &[
            (Role::X, Must),
            (Role::Y, Must),
            (Role::Group, May),
            (Role::Low, May),
            (Role::High, May),
        ],
        (FigureKind::Scatter, _) => &[(Role::X, Must), (Role::Y, Must), (Role::Group, May)],
        (FigureKind::Histogram, true) => &[(Role::X, Must), (Role::Group, May)],
        (FigureKind::Histogram, false) => &[
            (Role::X, Must),
            (Role::Y, Must),
            (Role::High, May),
            (Role::Group, May),
        ],
        (FigureKind::Box, true) => &[(Role::Y, Must), (Role::X, May), (Role::Group, May)],
        (FigureKind::Box, false) => &[
            (Role::X, Must),
            (Role::Low, Must),
            (Role::Y, Must),
            (Role::High, Must),
            (Role::Group, May),
        ],
        (FigureKind::KaplanMeier, true) => {
            &[(Role::X, Must), (Role::Events, Must), (Role::Group, May)]
        }
        (FigureKind::KaplanMeier, false) => &[
            (Role::X, Must),
            (Role::Events, May),
            (Role::AtRisk, May),
            (Role::Censored, May),
            (Role::Y, May),
            (Role::Low, May),
            (Role::High, May),
            (Role::Group, May),
        ],
        (FigureKind::Forest, _) => &[
            (Role::X, Must),
            (Role::Y, Must),
            (Role::Low, Must),
            (Role::High, Must),
            (Role::Group, May),
        ],
    }
}

/// Whether the column must hold numbers.
pub fn needs_numbers(kind: FigureKind, role: Role) -> bool {
    match role {
        Role::Group => false,
        Role::X => matches!(
            kind,
            FigureKind::Scatter | FigureKind::Histogram | FigureKind::KaplanMeier
        ),
        Role::Y | Role::Low | Role::High | Role::Events | Role::AtRisk | Role::Censored => true,
    }
}

const LOWER: &[&str] = &["lower", "low", "lcl", "ci_l", "下限"];
const UPPER: &[&str] = &["upper", "high", "ucl", "ci_u", "ci_h", "上限"];
const FIRST_QUARTILE: &[&str] = &["q1", "p25", "第1四分位"];
const MEDIAN: &[&str] = &["median", "q2", "p50", "中央値"];
const THIRD_QUARTILE: &[&str] = &["q3", "p75", "第3四分位"];
const TIMES: &[&str] = &[
    "time",
    "month",
    "week",
    "day",
    "year",
    "duration",
    "followup",
    "follow_up",
    "期間",
    "月",
    "週",
    "日",
    "年",
];
const SURVIVAL: &[&str] = &["surv", "生存"];
const EVENTS: &[&str] = &["event", "death", "died", "status", "イベント", "死亡"];
const AT_RISK: &[&str] = &["risk", "リスク集合"];
const CENSORED: &[&str] = &["censor", "打切", "打ち切"];
const RATIOS: &[&str] = &[
    "estimate", "ratio", "hazard", "odds", "coef", "beta", "推定", "比",
];

/// The first column whose name holds one of the hints.
fn named<'a>(outlines: &[Outline<'a>], hints: &[&str]) -> Option<&'a str> {
    outlines
        .iter()
        .filter(|outline| outline.is_number)
        .map(|outline| outline.name)
        .find(|name| {
            let name = name.to_lowercase();
            hints.iter().any(|hint| name.contains(hint))
        })
}

impl Spec {
    /// A kind without columns.
    pub fn new(kind: FigureKind) -> Self {
        Self {
            kind,
            columns: BTreeMap::new(),
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            is_log: None,
            bins: 0,
        }
    }

    fn with(mut self, role: Role, column: Option<&str>) -> Self {
        if let Some(column) = column {
            self.columns.insert(role, column.to_owned());
        }
        self
    }

    /// What most would draw of this result; `None` where there is nothing to compare.
    pub fn suggest(source: &Source<'_>) -> Option<Self> {
        let outlines = source.outlines();
        let has = |hints| named(&outlines, hints).is_some();
        let has_interval = has(LOWER) && has(UPPER);
        let is_survival = has(SURVIVAL) || (has(EVENTS) && (has(AT_RISK) || has(CENSORED)));
        let mut order = Vec::new();
        if is_survival {
            order.push(FigureKind::KaplanMeier);
        }
        if has_interval && has(RATIOS) {
            order.push(FigureKind::Forest);
        }
        if has(FIRST_QUARTILE) && has(MEDIAN) && has(THIRD_QUARTILE) {
            order.push(FigureKind::Box);
        }
        if source.is_rows() {
            order.extend([FigureKind::Scatter, FigureKind::Histogram, FigureKind::Bar]);
        } else {
            let first_key = outlines.iter().find(|outline| outline.is_key);
            let column = first_key.and_then(|key| source.sample(key.name));
            let is_ordered = column.is_some_and(|column| match column.values {
                Values::Numbers(values) | Values::Dates(values) => values.len() >= 3,
                Values::Names { .. } => false,
            });
            let (first, second) = if is_ordered {
                (FigureKind::Line, FigureKind::Bar)
            } else {
                (FigureKind::Bar, FigureKind::Line)
            };
            order.extend([first, second, FigureKind::Scatter]);
        }
        order.into_iter().find_map(|kind| Self::of(kind, source))
    }

    /// A chart of this kind with the columns that fit it best; `None` where none do.
    pub fn of(kind: FigureKind, source: &Source<'_>) -> Option<Self> {
        let outlines = source.outlines();
        let mut spec = Self::new(kind);
        let is_rows = source.is_rows();
        let keys: Vec<&str> = of_which(&outlines, |o| o.is_key);
        // Keys are places rather than heights.
        let mut numbers = of_which(&outlines, |o| o.is_number && !o.is_key);
        if matches!(kind, FigureKind::Scatter | FigureKind::Histogram) {
            numbers.extend(of_which(&outlines, |o| o.is_number && o.is_key));
        }
        // A number that only names something comes last: nobody looks at its distribution.
        numbers.sort_by_key(|name| name.to_lowercase().ends_with("id"));
        let (low, high) = (named(&outlines, LOWER), named(&outlines, UPPER));
        let value = numbers
            .iter()
            .copied()
            .find(|name| Some(*name) != low && Some(*name) != high);
        let interval = |spec: Self| match (low, high) {
            (Some(_), Some(_)) => spec.with(Role::Low, low).with(Role::High, high),
            _ => spec,
        };
        let key = keys.first().copied();
        match kind {
            FigureKind::Bar if is_rows => spec = spec.with(Role::X, key),
            FigureKind::Bar | FigureKind::Line => {
                let place = outlines
                    .iter()
                    .find(|o| o.is_key && is_place(source, o.name))
                    .map(|o| o.name)
                    .filter(|_| kind == FigureKind::Line)
                    .or(key);
                let place = place.or_else(|| numbers.first().copied().filter(|_| is_rows));
                let value = numbers
                    .iter()
                    .copied()
                    .find(|n| Some(*n) != low && Some(*n) != high && Some(*n) != place);
                spec = interval(spec.with(Role::X, place).with(Role::Y, value));
            }
            FigureKind::Scatter => {
                spec = spec
                    .with(Role::X, numbers.first().copied())
                    .with(Role::Y, numbers.get(1).copied());
            }
            FigureKind::Histogram if is_rows => spec = spec.with(Role::X, value),
            FigureKind::Histogram => {
                let edge = keys.iter().copied().find(|key| {
                    source
                        .sample(key)
                        .is_some_and(|column| matches!(column.values, Values::Numbers(_)))
                });
                let height = numbers.iter().copied().find(|name| Some(*name) != edge);
                spec = spec.with(Role::X, edge).with(Role::Y, height);
            }
            FigureKind::Box if is_rows => {
                spec = spec.with(Role::Y, value).with(Role::X, key);
            }
            FigureKind::Box => {
                spec = spec
                    .with(Role::X, key)
                    .with(Role::Low, named(&outlines, FIRST_QUARTILE).or(low))
                    .with(Role::Y, named(&outlines, MEDIAN).or(value))
                    .with(Role::High, named(&outlines, THIRD_QUARTILE).or(high));
            }
            FigureKind::KaplanMeier => {
                let events = named(&outlines, EVENTS);
                let time = outlines
                    .iter()
                    .filter(|o| o.is_number && Some(o.name) != events);
                let time: Vec<Outline<'_>> = time.copied().collect();
                spec = spec
                    .with(
                        Role::X,
                        named(&time, TIMES).or_else(|| time.first().map(|o| o.name)),
                    )
                    .with(Role::Events, events);
                if !is_rows {
                    spec = interval(
                        spec.with(Role::AtRisk, named(&outlines, AT_RISK))
                            .with(Role::Censored, named(&outlines, CENSORED))
                            .with(Role::Y, named(&outlines, SURVIVAL)),
                    );
                }
            }
            FigureKind::Forest => {
                let estimate = named(&outlines, RATIOS)
                    .filter(|name| Some(*name) != low && Some(*name) != high)
                    .or(value);
                spec = interval(spec.with(Role::X, key).with(Role::Y, estimate));
            }
        }
        let is_whole = roles(kind, is_rows)
            .iter()
            .all(|(role, need)| *need == Need::May || spec.columns.contains_key(role));
        let is_survival = kind != FigureKind::KaplanMeier || spec.has_survival();
        (is_whole && is_survival).then(|| spec.grouped(&keys, source))
    }

    /// Whether it says who survived: by an estimate, or by events among persons at risk.
    pub fn has_survival(&self) -> bool {
        let has = |role| self.columns.contains_key(&role);
        has(Role::Y) || has(Role::Events)
    }

    /// With another key for its series, where one is left and has few names.
    fn grouped(self, keys: &[&str], source: &Source<'_>) -> Self {
        let is_plain = matches!(self.kind, FigureKind::Scatter | FigureKind::Histogram);
        if source.is_rows() && is_plain {
            return self;
        }
        let is_rows = source.is_rows();
        let is_free = |key: &&&str| !self.columns.values().any(|used| used == **key);
        let group = keys.iter().filter(is_free).find(|key| {
            source.sample(key).is_some_and(|column| {
                // Days of rows are places, and no names of groups.
                if is_rows && matches!(column.values, Values::Dates(_)) {
                    return false;
                }
                let (names, _) = column.values.into_names();
                (2..=SERIES_MAX).contains(&names.len())
            })
        });
        match group {
            Some(group) => self.with(Role::Group, Some(group)),
            None => self,
        }
    }
}

/// Names of the columns that are so.
fn of_which<'a>(outlines: &[Outline<'a>], is: impl Fn(&Outline<'a>) -> bool) -> Vec<&'a str> {
    outlines.iter().filter(|o| is(o)).map(|o| o.name).collect()
}

/// Whether its values have an order and distances.
fn is_place(source: &Source<'_>, name: &str) -> bool {
    source
        .sample(name)
        .is_some_and(|column| column.values.as_numbers().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::data::tests::{rows, table};

    fn suggested(text: &str) -> (FigureKind, Vec<(Role, String)>) {
        let table = table(text);
        let spec = Spec::suggest(&Source::Table(&table)).unwrap();
        (spec.kind, spec.columns.into_iter().collect())
    }

    fn of(pairs: &[(Role, &str)]) -> Vec<(Role, String)> {
        pairs.iter().map(|(r, c)| (*r, (*c).to_owned())).collect()
    }

    #[test]
    fn names_are_bars_and_times_are_lines() {
        let (kind, columns) = suggested("sex!, n\nf, 120\nm, 98\n");
        assert_eq!(kind, FigureKind::Bar);
        assert_eq!(columns, of(&[(Role::X, "sex"), (Role::Y, "n")]));
        let (kind, columns) =
            suggested("sex!, month!, n\nf, 2024-01, 12\nf, 2024-02, 14\nm, 2024-01, 15\n");
        assert_eq!(kind, FigureKind::Bar);
        assert_eq!(columns[2], (Role::Group, "month".to_owned()));
        let (kind, columns) =
            suggested("month!, sex!, n\n2024-01, f, 12\n2024-02, f, 14\n2024-03, m, 15\n");
        assert_eq!(kind, FigureKind::Line);
        assert_eq!(
            columns,
            of(&[(Role::X, "month"), (Role::Y, "n"), (Role::Group, "sex")])
        );
    }

    #[test]
    fn survival_forests_and_boxes_are_known_by_their_columns() {
        let (kind, columns) =
            suggested("arm!, week!, events, at_risk\na, 1, 12, 100\nb, 1, 11, 90\n");
        assert_eq!(kind, FigureKind::KaplanMeier);
        assert_eq!(
            columns,
            of(&[
                (Role::X, "week"),
                (Role::Group, "arm"),
                (Role::Events, "events"),
                (Role::AtRisk, "at_risk"),
            ])
        );
        let (kind, columns) =
            suggested("drug!, odds_ratio, ci_lower, ci_upper\na, 1.2, 0.9, 1.6\n");
        assert_eq!(kind, FigureKind::Forest);
        assert_eq!(columns[1], (Role::Y, "odds_ratio".to_owned()));
        let (kind, columns) = suggested("ward!, q1, median, q3\na, 1, 2, 3\n");
        assert_eq!(kind, FigureKind::Box);
        assert_eq!(columns[2], (Role::Low, "q1".to_owned()));
    }

    #[test]
    fn one_number_alone_is_no_chart() {
        let table = table("n\n120\n");
        assert_eq!(Spec::suggest(&Source::Table(&table)), None);
    }

    #[test]
    fn rows_become_histograms_boxes_and_counted_bars() {
        let rows = rows();
        let source = Source::Rows(&rows);
        let spec = Spec::suggest(&source).unwrap();
        assert_eq!(spec.kind, FigureKind::Histogram);
        assert_eq!(spec.columns[&Role::X], "age");
        let bars = Spec::of(FigureKind::Bar, &source).unwrap();
        assert_eq!(bars.columns[&Role::X], "sex");
        assert_eq!(Spec::of(FigureKind::Forest, &source), None);
    }

    #[test]
    fn settings_survive_their_json() {
        let table = table("sex!, n\nf, 120\nm, 98\n");
        let spec = Spec::suggest(&Source::Table(&table)).unwrap();
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        assert!(json.contains(r#""columns":{"x":"sex","y":"n"}"#), "{json}");
    }
}
