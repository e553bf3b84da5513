//! Rules that look at one cell, or one column, at a time.

use kekkai_output::{Aggregate, Cell, ColumnKind, Evidence, Table, Value, ValueType};

use crate::finding::{Collector, Place, Rule, Verdict};
use crate::profile::Profile;

/// Each of two shares is rounded up, so that two of them may exceed the whole by this much.
const SHARES_PERMILLE_MAX: u64 = 1_002;

pub(crate) fn check(table: &Table, profile: &Profile, found: &mut Collector) {
    columns(table, profile, found);
    for (row, cells) in table.rows.iter().enumerate() {
        for (index, (cell, column)) in cells.iter().zip(&table.columns).enumerate() {
            let place = Place::cell(row, index);
            match (cell, &column.kind) {
                (Cell::Key(value), ColumnKind::Key) => {
                    value_fits(value, column.value_type, place, found);
                }
                (Cell::Shown { value, evidence }, ColumnKind::Statistic(aggregates)) => {
                    value_fits(value, column.value_type, place, found);
                    statistic(value, aggregates, evidence, place, profile, found);
                }
                (Cell::Shown { evidence, .. }, ColumnKind::Key) => {
                    contributors(evidence, place, profile, found);
                    found.add(
                        Rule::Unrecognised,
                        Verdict::Review,
                        place,
                        "群の名前の列に統計値があります。",
                        "A statistic stands in a column of group names.",
                    );
                }
                (Cell::Key(_), ColumnKind::Statistic(_)) => found.add(
                    Rule::Evidence,
                    Verdict::Fail,
                    place,
                    "統計値に寄与者数が付いていません。",
                    "The statistic comes without a count of its contributors.",
                ),
                (Cell::Suppressed(_), _) => {}
            }
        }
        group_name(table, row, cells, profile, found);
    }
    withheld(table, found);
    size(table, profile, found);
}

fn statistic(
    value: &Value,
    aggregates: &[Aggregate],
    evidence: &Evidence,
    place: Place,
    profile: &Profile,
    found: &mut Collector,
) {
    contributors(evidence, place, profile, found);
    let largest = u64::from(evidence.largest_permille);
    let second = u64::from(evidence.second_permille);
    let both = largest.saturating_add(second);
    if largest > 1_000 || second > largest || both > SHARES_PERMILLE_MAX {
        found.add(
            Rule::Evidence,
            Verdict::Fail,
            place,
            "寄与の割合が矛盾しています。",
            "The contributors' shares contradict each other.",
        );
        return;
    }
    if largest > u64::from(profile.largest_permille_max) {
        let limit = percent(profile.largest_permille_max);
        found.add(
            Rule::DominanceOne,
            Verdict::Fail,
            place,
            format!("1名が値の{limit}を超えて占めています。"),
            format!("One person makes up more than {limit} of the value."),
        );
    }
    if both > u64::from(profile.top_two_permille_max) {
        let limit = percent(profile.top_two_permille_max);
        found.add(
            Rule::DominanceTwo,
            Verdict::Fail,
            place,
            format!("上位2名が値の{limit}を超えて占めています。"),
            format!("Two persons make up more than {limit} of the value."),
        );
    }
    // Rounded up, a share of something is never 0.
    let is_magnitude = matches!(aggregates, [Aggregate::Sum | Aggregate::Mean]);
    if is_magnitude && largest == 0 && !is_zero(value) {
        found.add(
            Rule::Evidence,
            Verdict::Review,
            place,
            "合計・平均に、最大寄与者の割合が付いていません。",
            "A total or mean comes without its largest contributor's share.",
        );
    }
}

fn contributors(evidence: &Evidence, place: Place, profile: &Profile, found: &mut Collector) {
    if evidence.contributors < u64::from(profile.contributors_min) {
        let min = profile.contributors_min;
        found.add(
            Rule::Threshold,
            Verdict::Fail,
            place,
            format!("寄与者が{min}名未満です。"),
            format!("Fewer than {min} contributors."),
        );
    }
}

/// A key cell has no evidence of its own: either a statistic of its row proves that the group is
/// large enough, or the engine's own threshold was at least the profile's.
fn group_name(table: &Table, row: usize, cells: &[Cell], profile: &Profile, found: &mut Collector) {
    let min = u64::from(profile.contributors_min);
    let has_name = cells.iter().any(|cell| matches!(cell, Cell::Key(_)));
    let is_proven = cells
        .iter()
        .any(|cell| matches!(cell, Cell::Shown { evidence, .. } if evidence.contributors >= min));
    if has_name && !is_proven && table.lineage.threshold < profile.contributors_min {
        found.add(
            Rule::GroupName,
            Verdict::Fail,
            Place::row(row),
            format!("この群に{min}名以上の寄与者がいることを示すものがありません。"),
            format!("Nothing shows that this group has at least {min} contributors."),
        );
    }
}

fn columns(table: &Table, profile: &Profile, found: &mut Collector) {
    if !table
        .columns
        .iter()
        .any(|c| matches!(c.kind, ColumnKind::Statistic(_)))
    {
        found.add(
            Rule::Unrecognised,
            Verdict::Review,
            Place::TABLE,
            "統計値の列がありません。",
            "The table has no column of statistics.",
        );
    }
    for (index, column) in table.columns.iter().enumerate() {
        let place = Place::column(index);
        let ColumnKind::Statistic(aggregates) = &column.kind else {
            continue;
        };
        if aggregates.is_empty() {
            found.add(
                Rule::Unrecognised,
                Verdict::Review,
                place,
                "どの集計から計算されたか分からない列です。",
                "It is not known from which aggregates this column is computed.",
            );
        }
        if aggregates.len() > 1 {
            found.add(
                Rule::Computed,
                profile.computed,
                place,
                "複数の集計から計算された列です。計算式を確かめてください。",
                "Computed from several aggregates: check the formula.",
            );
        }
        if matches!(column.value_type, ValueType::Bool) {
            found.add(
                Rule::Unrecognised,
                Verdict::Review,
                place,
                "真偽値の統計です。何を比べた結果かを確かめてください。",
                "A statistic that is true or false: check what was compared.",
            );
        }
        let cells = || table.rows.iter().filter_map(|row| row.get(index));
        let is_long = |cell: &Cell| matches!(cell, Cell::Shown { value, .. } if decimals(value) > profile.decimals_max);
        if cells().any(is_long) {
            let max = profile.decimals_max;
            found.add(
                Rule::Precision,
                profile.precision,
                place,
                format!("小数点以下が{max}桁を超えています。丸めを検討してください。"),
                format!("More than {max} digits after the point: consider rounding."),
            );
        }
    }
}

fn value_fits(value: &Value, value_type: ValueType, place: Place, found: &mut Collector) {
    let fits = match (value, value_type) {
        (Value::Null, _)
        | (Value::Bool(_), ValueType::Bool)
        | (Value::Int(_), ValueType::Int)
        | (Value::Text(_), ValueType::Text) => true,
        (Value::Float(value), ValueType::Float) => value.is_finite(),
        _ => false,
    };
    if !fits {
        found.add(
            Rule::Unrecognised,
            Verdict::Review,
            place,
            "列の型に合わない値、または有限でない値です。",
            "The value is not finite or not of its column's type.",
        );
    }
}

fn withheld(table: &Table, found: &mut Collector) {
    match table.groups_withheld {
        0 => {}
        1 => found.add(
            Rule::Withheld,
            Verdict::Review,
            Place::TABLE,
            "秘匿された群が1つだけです。総数が分かれば引き算で復元されます。",
            "Exactly one group was withheld: whoever knows the total can compute it.",
        ),
        _ => found.add(
            Rule::Withheld,
            Verdict::Pass,
            Place::TABLE,
            "寄与者が少ない群が、名前ごと秘匿されています。",
            "Groups with too few contributors were withheld, names included.",
        ),
    }
}

fn size(table: &Table, profile: &Profile, found: &mut Collector) {
    let cells = table.columns.len().saturating_mul(table.rows.len());
    if cells > profile.cells_max {
        let max = profile.cells_max;
        found.add(
            Rule::Size,
            Verdict::Review,
            Place::TABLE,
            format!("セルが{max}個を超えています。必要な範囲かを確かめてください。"),
            format!("More than {max} cells: check that all of it is needed."),
        );
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Int(value) => *value == 0,
        Value::Float(value) => *value == 0.0,
        Value::Text(value) => value.chars().all(|c| matches!(c, '0' | '.' | '-')),
        Value::Bool(_) => false,
    }
}

fn decimals(value: &Value) -> usize {
    let text = match value {
        Value::Float(value) => value.to_string(),
        // Decimals come as plain digits.
        Value::Text(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Int(_) => return 0,
    };
    match text.split_once('.') {
        Some((_, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.len(),
        _ => 0,
    }
}

fn percent(permille: u32) -> String {
    match permille.checked_rem(10) {
        Some(0) => format!("{}%", permille / 10),
        _ => format!("{}.{}%", permille / 10, permille % 10),
    }
}
