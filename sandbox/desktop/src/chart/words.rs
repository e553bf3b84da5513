//! What charts say.

use kekkai_output::FigureKind;
use kekkai_types::Lang;

use crate::chart::build::BuildError;
use crate::chart::data::{Gap, date};
use crate::chart::plot::{Axis, Warning};
use crate::chart::scale::value_words;
use crate::chart::spec::Role;
use crate::chart::survival::SurvivalError;
use crate::words::{Words, words};

words! {
    BAR = "棒グラフ", "Bars";
    LINE = "折れ線", "Lines";
    SCATTER = "散布図", "Points";
    HISTOGRAM = "ヒストグラム", "Histogram";
    BOXES = "箱ひげ図", "Boxes";
    KAPLAN_MEIER = "カプラン・マイヤー曲線", "Kaplan-Meier";
    FOREST = "フォレストプロット", "Forest";

    PLACE = "横軸", "Horizontal";
    NAMES = "項目", "Names";
    HEIGHT = "縦軸", "Vertical";
    HEIGHTS = "高さ", "Height";
    VALUES = "値", "Values";
    LOWER = "下限", "Lower end";
    UPPER = "上限", "Upper end";
    FIRST_QUARTILE = "第1四分位", "First quartile";
    MEDIAN = "中央値", "Median";
    THIRD_QUARTILE = "第3四分位", "Third quartile";
    LOWER_EDGE = "階級の下端", "Lower edge";
    UPPER_EDGE = "階級の上端", "Upper edge";
    SERIES = "系列 (色分け)", "Series (colours)";
    TIME = "時間", "Time";
    EVENTS = "イベント数", "Events";
    EVENT = "イベントの有無", "Event or not";
    AT_RISK = "リスク集合の人数", "Persons at risk";
    CENSORED = "打切りの人数", "Persons censored";
    SURVIVAL = "生存割合", "Survival";
    STUDY = "行の名前", "Rows";
    ESTIMATE = "推定値", "Estimate";

    WITHHELD = "秘匿のため描いていない値が {} 個あります (0 ではありません)。", "Withheld and not drawn: {} (which is not to say zero).";
    MISSING = "値がない (NULL) ため描いていない箇所が {} 個あります。", "Without a value (NULL) and not drawn: {}.";
    GROUPS_WITHHELD = "人数が基準に満たない {} 個の群は、名前も含めて結果にありません。", "Groups with too few persons, not in the result even by name: {}.";
    POINTS = "{1} 点のうち、はじめの {0} 点を描いています。", "The first {0} of {1} points are drawn.";
    SERIES_CUT = "{1} 系列のうち、はじめの {0} 系列を描いています。WHERE で絞り込めます。", "The first {0} of {1} series are drawn; narrow them with WHERE.";
    NAMES_CUT = "{1} 項目のうち、はじめの {0} 項目を描いています。", "The first {0} of {1} names are drawn.";
    CURVE_WITHHELD = "{0} 曲線は時間 {1} の手前で終わります。その時点の人数が秘匿されているためです。", "{0} The curve ends before time {1}: the counts at that time are withheld.";
    CURVE_MISSING = "{0} 曲線は時間 {1} の手前で終わります。その時点の人数がないためです。", "{0} The curve ends before time {1}: the counts at that time are missing.";
    NOT_POSITIVE = "0 以下の {} 個の値は、対数の軸には描けません。", "Not drawn, for a logarithmic axis has no place for 0 or less: {}.";
    SEVERAL = "同じ位置に {} 個の値が重なっています。系列の列を選ぶと分けて描けます。", "Values at a place with another: {}. Choose a column for the series to tell them apart.";

    NOT_CHOSEN = "「{}」の列を選んでください。", "Choose a column for \"{}\".";
    NO_COLUMN = "この結果に列 {} はありません。選び直してください。", "This result has no column {}. Choose another.";
    NO_NUMBERS = "列 {} は数値ではありません。数値の列を選んでください。", "Column {} holds no numbers. Choose one that does.";
    NOTHING = "描ける値がありません。すべて秘匿されているか、結果が空です。", "There is nothing to draw: everything is withheld, or the result is empty.";
    NOBODY_AT_RISK = "リスク集合の人数か打切りの人数の列を選んでください。", "Choose a column for persons at risk, or for persons censored.";
    TIME_TWICE = "同じ時間の行が複数あります。系列の列を選ぶか、時間ごとに集計してください。", "Several rows have one time. Choose a column for the series, or group by time.";
    IMPOSSIBLE = "イベント数がリスク集合の人数を超えています。列の選び方を確かめてください。", "There are more events than persons at risk. Check which columns are chosen.";

    IS_WITHHELD = "秘匿", "withheld";
    IS_MISSING = "値なし", "no value";
    INTERVAL = "区間", "interval";
    INTERVAL_95 = "95% 信頼区間", "95 % interval";
    QUARTILES = "四分位", "quartiles";
    WHISKERS = "ひげ", "whiskers";
    RISK_TABLE = "リスク集合の人数", "Number at risk";
    COUNT = "件数", "Rows";
}

/// A kind of chart.
pub(crate) fn kind(kind: FigureKind) -> Words {
    match kind {
        FigureKind::Bar => BAR,
        FigureKind::Line => LINE,
        FigureKind::Scatter => SCATTER,
        FigureKind::Histogram => HISTOGRAM,
        FigureKind::Box => BOXES,
        FigureKind::KaplanMeier => KAPLAN_MEIER,
        FigureKind::Forest => FOREST,
    }
}

/// What a column does in a kind of chart.
pub(crate) fn role(kind: FigureKind, role: Role, is_rows: bool) -> Words {
    match (role, kind) {
        (Role::X, FigureKind::Bar | FigureKind::Box) => NAMES,
        (Role::X, FigureKind::Histogram) if !is_rows => LOWER_EDGE,
        (Role::X, FigureKind::Histogram) => VALUES,
        (Role::X, FigureKind::KaplanMeier) => TIME,
        (Role::X, FigureKind::Forest) => STUDY,
        (Role::X, FigureKind::Line | FigureKind::Scatter) => PLACE,
        (Role::Y, FigureKind::Bar | FigureKind::Histogram) => HEIGHTS,
        (Role::Y, FigureKind::Box) if is_rows => VALUES,
        (Role::Y, FigureKind::Box) => MEDIAN,
        (Role::Y, FigureKind::KaplanMeier) => SURVIVAL,
        (Role::Y, FigureKind::Forest) => ESTIMATE,
        (Role::Y, FigureKind::Line | FigureKind::Scatter) => HEIGHT,
        (Role::Low, FigureKind::Box) => FIRST_QUARTILE,
        (Role::Low, _) => LOWER,
        (Role::High, FigureKind::Box) => THIRD_QUARTILE,
        (Role::High, FigureKind::Histogram) => UPPER_EDGE,
        (Role::High, _) => UPPER,
        (Role::Group, _) => SERIES,
        (Role::Events, _) if is_rows => EVENT,
        (Role::Events, _) => EVENTS,
        (Role::AtRisk, _) => AT_RISK,
        (Role::Censored, _) => CENSORED,
    }
}

/// `{0}`, `{1}` and `{}` replaced.
fn fill(words: Words, lang: Lang, what: &[&str]) -> String {
    let mut text = words.with(lang, what.get(..1).unwrap_or_default());
    for (index, what) in what.iter().enumerate() {
        text = text.replace(&format!("{{{index}}}"), what);
    }
    text.trim_start().to_owned()
}

/// What is left out.
pub(crate) fn warning(warning: &Warning, lang: Lang) -> String {
    let n = |number: &usize| value_words(crate::chart::bins::float(*number));
    match warning {
        Warning::Withheld(count) => fill(WITHHELD, lang, &[&n(count)]),
        Warning::Missing(count) => fill(MISSING, lang, &[&n(count)]),
        Warning::GroupsWithheld(count) => fill(GROUPS_WITHHELD, lang, &[&count.to_string()]),
        Warning::Points(drawn, of) => fill(POINTS, lang, &[&n(drawn), &n(of)]),
        Warning::Series(drawn, of) => fill(SERIES_CUT, lang, &[&n(drawn), &n(of)]),
        Warning::Names(drawn, of) => fill(NAMES_CUT, lang, &[&n(drawn), &n(of)]),
        Warning::NotPositive(count) => fill(NOT_POSITIVE, lang, &[&n(count)]),
        Warning::Several(count) => fill(SEVERAL, lang, &[&n(count)]),
        Warning::CurveEnds { series, time, gap } => {
            let series = if series.is_empty() {
                String::new()
            } else {
                format!("{series}:")
            };
            let words = match gap {
                Gap::Withheld => CURVE_WITHHELD,
                Gap::Missing => CURVE_MISSING,
            };
            fill(words, lang, &[&series, &value_words(*time)])
        }
    }
}

/// Why nothing is drawn, and what to do.
pub(crate) fn error(error: &BuildError, kind: FigureKind, is_rows: bool, lang: Lang) -> String {
    match error {
        BuildError::NotChosen(missing) => {
            NOT_CHOSEN.with(lang, &[role(kind, *missing, is_rows).get(lang)])
        }
        BuildError::NoColumn(name) => NO_COLUMN.with(lang, &[name]),
        BuildError::NoNumbers(name) => NO_NUMBERS.with(lang, &[name]),
        BuildError::Nothing => NOTHING.get(lang).to_owned(),
        BuildError::Survival { series, error } => {
            let words = match error {
                SurvivalError::NobodyAtRisk => NOBODY_AT_RISK,
                SurvivalError::TimeTwice => TIME_TWICE,
                SurvivalError::Impossible => IMPOSSIBLE,
            };
            if series.is_empty() {
                words.get(lang).to_owned()
            } else {
                format!("{series}: {}", words.get(lang))
            }
        }
    }
}

/// A place on an axis.
pub(crate) fn place(axis: &Axis, at: f64) -> String {
    match axis {
        Axis::Numbers { .. } => value_words(at),
        Axis::Dates => date(at),
        Axis::Names(names) => names
            .get(crate::chart::bins::floor_to(at, names.len()))
            .cloned()
            .unwrap_or_default(),
    }
}

/// Why there is no value.
pub(crate) fn gap(gap: Gap, lang: Lang) -> &'static str {
    match gap {
        Gap::Withheld => IS_WITHHELD.get(lang),
        Gap::Missing => IS_MISSING.get(lang),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hole_is_filled_in_both_languages() {
        let warnings = [
            Warning::Withheld(3),
            Warning::Missing(3),
            Warning::GroupsWithheld(3),
            Warning::Points(20_000, 100_000),
            Warning::Series(12, 47),
            Warning::Names(400, 1_000),
            Warning::NotPositive(3),
            Warning::Several(3),
            Warning::CurveEnds {
                series: "a".into(),
                time: 12.0,
                gap: Gap::Withheld,
            },
            Warning::CurveEnds {
                series: String::new(),
                time: 12.0,
                gap: Gap::Missing,
            },
        ];
        for lang in [Lang::Ja, Lang::En] {
            for one in &warnings {
                let text = warning(one, lang);
                assert!(!text.contains(['{', '}']), "{text}");
                assert!(text.contains(|c: char| c.is_ascii_digit()), "{text}");
            }
        }
        let text = warning(&warnings[3], Lang::En);
        assert_eq!(text, "The first 20,000 of 100,000 points are drawn.");
    }
}
