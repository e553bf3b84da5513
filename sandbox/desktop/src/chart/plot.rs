//! What a chart draws: numbers only, with what could not be drawn.

use kekkai_output::FigureKind;

use crate::chart::data::Gap;

/// Points that one chart draws; more would be a blot, and slow.
pub const POINTS_MAX: usize = 20_000;
/// Series that one chart draws: more lines than these nobody tells apart.
pub const SERIES_MAX: usize = 12;
/// Names on one axis.
pub const NAMES_MAX: usize = 400;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// How it is drawn.
    pub kind: FigureKind,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
    /// What is not, and why.
    pub warnings: Vec<Warning>,
}

/// What stands at an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Numbers.
    Numbers {
        /// On a logarithmic scale.
        is_log: bool,
    },
    /// Days since 1970.
    Dates,
    /// Names, at 0, 1, 2 …
    Names(Vec<String>),
}

/// One line, one colour of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend; empty where there is only one.
    pub name: String,
    /// From left to right; of a forest, from top to bottom.
    pub marks: Vec<Mark>,
}

/// A point, bar, bin, box, step or study.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// The place: a number, days, the index of a name. Of a bin: its lower edge.
    pub x: f64,
    /// A bin's upper edge.
    pub x_end: Option<f64>,
    /// The value. Of a box its median, of a forest the estimate.
    pub y: Result<f64, Gap>,
    /// The interval around it; of a box, its quartiles.
    pub interval: Option<(f64, f64)>,
    /// Of a box made from rows: where its whiskers end.
    pub whiskers: Option<(f64, f64)>,
    /// Of a step: persons at risk just before it, where they are known.
    pub at_risk: Option<f64>,
    /// Of a step: somebody's observation ended here without an event.
    pub is_censored: bool,
}

impl Mark {
    /// A value at a place, and no more.
    pub fn new(x: f64, y: Result<f64, Gap>) -> Self {
        Self {
            x,
            x_end: None,
            y,
            interval: None,
            whiskers: None,
            at_risk: None,
            is_censored: false,
        }
    }
}

/// What a chart leaves out. A reader who is not told takes a gap for a zero.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// Values withheld by suppression.
    Withheld(usize),
    /// Values that are `NULL`.
    Missing(usize),
    /// Groups of the result that were withheld as a whole.
    GroupsWithheld(u64),
    /// Only so many points of so many are drawn.
    Points(usize, usize),
    /// Only so many series of so many are drawn.
    Series(usize, usize),
    /// Only so many names of so many are drawn.
    Names(usize, usize),
    /// A curve of survival ends early: what happened at this time is withheld or missing.
    CurveEnds {
        /// Which curve.
        series: String,
        /// The time.
        time: f64,
        /// Why.
        gap: Gap,
    },
    /// A logarithmic axis has no place for values of 0 or less.
    NotPositive(usize),
    /// Several rows stand at one place: a column that tells them apart is not chosen.
    Several(usize),
}
