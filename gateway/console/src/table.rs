//! Tables of statistics, as text.

use kekkai_output::{Cell, ColumnKind, Suppression, Table, Value, ValueType};
use kekkai_types::Lang;

use crate::text::{clean, columns, cut, pad_left_aligned, pad_right_aligned, push_line};

/// The narrowest that a column of text is cut to.
const TEXT_MIN: usize = 12;
/// Between two columns.
const GAP: &str = "  ";

/// How a table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableView {
    /// Columns of the terminal; `None`: nothing is cut (one-shot output that goes to a file).
    pub width: Option<usize>,
    /// Rows that are shown, at most.
    pub rows_max: usize,
    /// Whether each statistic is followed by its number of contributors.
    pub contributors: bool,
}

impl TableView {
    /// A terminal of this width: the first 200 rows.
    pub fn terminal(width: usize) -> Self {
        Self {
            width: Some(width),
            rows_max: 200,
            contributors: false,
        }
    }

    /// Output that another program reads: nothing is cut.
    pub fn whole() -> Self {
        Self {
            width: None,
            rows_max: usize::MAX,
            contributors: false,
        }
    }
}

/// One column of text: the header, then the cells.
struct Shown {
    is_number: bool,
    cells: Vec<String>,
    width: usize,
}

impl Shown {
    fn new(is_number: bool, cells: Vec<String>) -> Self {
        let width = cells.iter().map(|cell| columns(cell)).max().unwrap_or(0);
        Self {
            is_number,
            cells,
            width,
        }
    }
}

/// A table with its legend: what `*` means, how many groups are withheld, how many rows are shown.
pub fn table(table: &Table, lang: Lang, view: TableView) -> String {
    let mut shown = columns_of(table, lang, view);
    let mut out = String::new();
    let fits = view.width.is_none_or(|width| shrink(&mut shown, width));
    if fits {
        push_grid(&mut out, &shown);
    } else {
        push_records(&mut out, &shown);
    }
    push_legend(&mut out, table, lang, view);
    out
}

fn columns_of(table: &Table, lang: Lang, view: TableView) -> Vec<Shown> {
    let mut shown = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let cells = || {
            let rows = table.rows.iter().take(view.rows_max);
            rows.map(move |row| row.get(index))
        };
        let texts = std::iter::once(clean(&column.name))
            .chain(cells().map(|cell| cell.map(cell_text).unwrap_or_default()))
            .collect();
        let is_number = matches!(column.value_type, ValueType::Int | ValueType::Float);
        shown.push(Shown::new(is_number, texts));
        if view.contributors && matches!(column.kind, ColumnKind::Statistic(_)) {
            let header = lang.pick("寄与者数", "contributors").to_owned();
            let counts = cells().map(|cell| match cell {
                Some(Cell::Shown { evidence, .. }) => evidence.contributors.to_string(),
                _ => String::new(),
            });
            let texts = std::iter::once(header).chain(counts).collect();
            shown.push(Shown::new(true, texts));
        }
    }
    shown
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Key(value) | Cell::Shown { value, .. } => value_text(value),
        Cell::Suppressed(Suppression::Threshold) => "*".to_owned(),
        Cell::Suppressed(Suppression::Dominance) => "**".to_owned(),
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Float(number) => float_text(*number),
        Value::Text(text) => clean(text),
        Value::Bool(_) | Value::Int(_) => value.plain(),
    }
}

/// Six decimals are enough to read; the output that is submitted has them all.
fn float_text(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        return number.to_string();
    }
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{number:.6e}");
    }
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0');
    match text.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => text.to_owned(),
    }
}

/// Cuts texts, the widest first, until the table fits. `false`: it can't.
fn shrink(shown: &mut [Shown], width: usize) -> bool {
    loop {
        let gaps = GAP.len().saturating_mul(shown.len().saturating_sub(1));
        let total: usize = shown.iter().map(|column| column.width).sum();
        let over = total.saturating_add(gaps).saturating_sub(width);
        if over == 0 {
            break;
        }
        let texts = shown
            .iter_mut()
            .filter(|c| !c.is_number && c.width > TEXT_MIN);
        let Some(widest) = texts.max_by_key(|column| column.width) else {
            return false;
        };
        widest.width = widest.width.saturating_sub(over).max(TEXT_MIN);
    }
    for column in shown {
        for cell in &mut column.cells {
            *cell = cut(cell, column.width);
        }
    }
    true
}

fn push_grid(out: &mut String, shown: &[Shown]) {
    let rows = shown.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        let mut line = String::new();
        for (index, column) in shown.iter().enumerate() {
            if index > 0 {
                line.push_str(GAP);
            }
            let cell = column
                .cells
                .get(row)
                .map(String::as_str)
                .unwrap_or_default();
            if column.is_number {
                pad_right_aligned(&mut line, cell, column.width);
            } else {
                pad_left_aligned(&mut line, cell, column.width);
            }
        }
        push_line(out, &line);
        if row == 0 {
            let rules: Vec<String> = shown.iter().map(|c| "-".repeat(c.width)).collect();
            push_line(out, &rules.join(GAP));
        }
    }
}

/// One row after the other, for tables that are wider than the terminal.
fn push_records(out: &mut String, shown: &[Shown]) {
    let header = |column: &Shown| column.cells.first().cloned().unwrap_or_default();
    let width = shown.iter().map(|c| columns(&header(c))).max().unwrap_or(0);
    let rows = shown.first().map_or(0, |column| column.cells.len());
    for row in 1..rows {
        push_line(out, &format!("-- {row} --"));
        for column in shown {
            let mut line = String::new();
            pad_left_aligned(&mut line, &header(column), width);
            line.push_str(GAP);
            line.push_str(
                column
                    .cells
                    .get(row)
                    .map(String::as_str)
                    .unwrap_or_default(),
            );
            push_line(out, &line);
        }
    }
}

fn push_legend(out: &mut String, table: &Table, lang: Lang, view: TableView) {
    let rows = table.rows.len();
    let line = if rows > view.rows_max {
        let max = view.rows_max;
        match lang {
            Lang::Ja => format!("({rows} 行のうち先頭の {max} 行。submit では全行が対象です)"),
            Lang::En => format!("(the first {max} of {rows} rows; submit takes all of them)"),
        }
    } else {
        match (lang, rows) {
            (Lang::Ja, _) => format!("({rows} 行)"),
            (Lang::En, 1) => "(1 row)".to_owned(),
            (Lang::En, _) => format!("({rows} rows)"),
        }
    };
    push_line(out, &line);
    let has = |kind: Suppression| {
        let mut cells = table.rows.iter().take(view.rows_max).flatten();
        cells.any(|cell| matches!(cell, Cell::Suppressed(found) if *found == kind))
    };
    let threshold = table.lineage.threshold;
    if has(Suppression::Threshold) {
        push_line(
            out,
            &match lang {
                Lang::Ja => format!("*  {threshold}人未満のため秘匿"),
                Lang::En => format!("*  suppressed: under {threshold} persons"),
            },
        );
    }
    if has(Suppression::Dominance) {
        push_line(
            out,
            lang.pick(
                "** 1人または2人の占める割合が大きいため秘匿",
                "** suppressed: one or two persons make up too much of it",
            ),
        );
    }
    match (table.groups_withheld, lang) {
        (0, _) => {}
        (groups, Lang::Ja) => {
            push_line(
                out,
                &format!("{threshold}人未満のグループ {groups} 件は表示していません。"),
            );
        }
        (1, Lang::En) => {
            push_line(
                out,
                &format!("1 group of under {threshold} persons is withheld."),
            );
        }
        (groups, Lang::En) => {
            push_line(
                out,
                &format!("{groups} groups of under {threshold} persons are withheld."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use kekkai_output::{Aggregate, Column, Evidence, Lineage};
    use kekkai_types::Digest;

    use super::*;

    fn key(text: &str) -> Cell {
        Cell::Key(Value::Text(text.into()))
    }

    fn shown(value: Value, contributors: u64) -> Cell {
        let evidence = Evidence {
            contributors,
            largest_permille: 0,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        };
        Cell::Shown { value, evidence }
    }

    fn column(name: &str, value_type: ValueType, kind: ColumnKind) -> Column {
        Column {
            name: name.into(),
            value_type,
            kind,
        }
    }

    pub(crate) fn sample() -> Table {
        let count = ColumnKind::Statistic(vec![Aggregate::Count]);
        let mean = ColumnKind::Statistic(vec![Aggregate::Mean]);
        Table {
            columns: vec![
                column("病名", ValueType::Text, ColumnKind::Key),
                column("n", ValueType::Int, count),
                column("平均年齢", ValueType::Float, mean),
            ],
            rows: vec![
                vec![
                    key("2型糖尿病"),
                    shown(Value::Int(1204), 1204),
                    shown(Value::Float(63.25), 1204),
                ],
                vec![
                    key("胃潰瘍"),
                    Cell::Suppressed(Suppression::Threshold),
                    Cell::Suppressed(Suppression::Dominance),
                ],
                vec![
                    Cell::Key(Value::Null),
                    shown(Value::Int(15), 15),
                    shown(Value::Float(71.0), 15),
                ],
            ],
            groups_withheld: 2,
            lineage: Lineage {
                sql: "SELECT …".into(),
                datasets: Vec::new(),
                threshold: 10,
                dominance_permille: 850,
                engine: "test".into(),
                policy: Digest::of(b""),
            },
        }
    }

    #[test]
    fn table_is_aligned_for_full_width_letters() {
        let ja = "\
病名          n  平均年齢
---------  ----  --------
2型糖尿病  1204     63.25
胃潰瘍        *        **
NULL         15      71.0
(3 行)
*  10人未満のため秘匿
** 1人または2人の占める割合が大きいため秘匿
10人未満のグループ 2 件は表示していません。
";
        assert_eq!(table(&sample(), Lang::Ja, TableView::terminal(80)), ja);
        let en = "\
病名          n  contributors  平均年齢  contributors
---------  ----  ------------  --------  ------------
2型糖尿病  1204          1204     63.25          1204
胃潰瘍        *                      **
NULL         15            15      71.0            15
(3 rows)
*  suppressed: under 10 persons
** suppressed: one or two persons make up too much of it
2 groups of under 10 persons are withheld.
";
        let view = TableView {
            contributors: true,
            ..TableView::whole()
        };
        assert_eq!(table(&sample(), Lang::En, view), en);
    }

    #[test]
    fn narrow_terminal_cuts_text_and_never_numbers() {
        let mut wide = sample();
        wide.rows[1][0] = key("とても長い病名が続いて端末に収まらない場合の表示");
        let out = table(&wide, Lang::En, TableView::terminal(40));
        assert!(
            out.contains("とても長い病名が続いて..     *        **"),
            "{out}"
        );
        assert!(out.contains("1204     63.25"), "{out}");
        assert!(out.lines().take(5).all(|line| columns(line) <= 40), "{out}");
        let out = table(&wide, Lang::Ja, TableView::terminal(24));
        let record = "-- 1 --\n病名      2型糖尿病\nn         1204\n平均年齢  63.25\n-- 2 --\n";
        assert!(out.starts_with(record), "{out}");
    }

    #[test]
    fn rows_over_the_cap_are_counted_not_shown() {
        let view = TableView {
            rows_max: 1,
            ..TableView::terminal(80)
        };
        let out = table(&sample(), Lang::En, view);
        assert!(out.ends_with(
            "63.25\n(the first 1 of 3 rows; submit takes all of them)\n\
             2 groups of under 10 persons are withheld.\n"
        ));
        let out = table(&sample(), Lang::Ja, view);
        assert!(out.contains("(3 行のうち先頭の 1 行。submit では全行が対象です)"));
    }

    #[test]
    fn data_cannot_drive_the_terminal() {
        let mut evil = sample();
        evil.rows[0][0] = key("\u{1b}]0;title\u{7}\u{1b}[2Jx\r\n* fake legend");
        evil.columns[0].name = "a\u{1b}[31m".into();
        let out = table(&evil, Lang::En, TableView::whole());
        assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
        assert!(out.contains("\\u{1b}]0;title\\u{7}\\u{1b}[2Jx\\r\\n* fake legend"));
        assert_eq!(out.lines().count(), 9);
    }

    #[test]
    fn floats_are_short_and_honest() {
        let cases = [
            (0.0, "0.0"),
            (-0.5, "-0.5"),
            (1.0 / 3.0, "0.333333"),
            (1e15, "1.000000e15"),
            (123_456.0, "123456.0"),
            (0.000_01, "1.000000e-5"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "NaN"),
        ];
        for (number, text) in cases {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn empty_and_ragged_tables_are_shown_without_a_panic() {
        let mut empty = sample();
        empty.rows.clear();
        assert!(table(&empty, Lang::En, TableView::terminal(1)).contains("(0 rows)"));
        empty.columns.clear();
        assert!(table(&empty, Lang::Ja, TableView::terminal(0)).contains("(0 行)"));
        let mut ragged = sample();
        ragged.rows[0].pop();
        let _ = table(&ragged, Lang::Ja, TableView::terminal(80));
    }
}
