//! What the console printed, read back and compared with what must be there.

use std::collections::BTreeMap;
use std::process::Output;

use kekkai_e2e::said;

use crate::plain::{Cell, Expected};

/// A printed table: its rows, then the lines below them.
pub(crate) struct Shown {
    /// Rows of cells, as printed.
    pub(crate) rows: Vec<Vec<String>>,
    /// The legend.
    pub(crate) below: Vec<String>,
}

/// Cells stand at least two blanks apart.
fn cells(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while let Some(at) = rest.find("  ") {
        found.push(rest[..at].to_owned());
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() {
        found.push(rest.to_owned());
    }
    found
}

/// Reads a successful one-shot query's output.
pub(crate) fn read(output: &Output) -> Shown {
    assert!(output.status.success(), "{}", said(output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines = text.lines();
    let (header, rule) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(rule.chars().all(|c| c == '-' || c == ' '), "{text}");
    assert_eq!(cells(header).len(), cells(rule).len(), "{text}");
    let mut rows = Vec::new();
    let mut below = Vec::new();
    for line in lines {
        if below.is_empty() && !line.starts_with('(') {
            rows.push(cells(line));
        } else {
            below.push(line.to_owned());
        }
    }
    Shown { rows, below }
}

fn is(cell: &Cell, printed: &str) -> bool {
    match cell {
        Cell::Few => printed == "*",
        Cell::Dominated => printed == "**",
        Cell::Count(count) => printed == count.to_string(),
        Cell::Number(number) => printed
            .parse::<f64>()
            .is_ok_and(|shown| (shown - number).abs() <= 1e-6 + number.abs() * 1e-9),
    }
}

/// Compares a printed table, in English, with what must be shown: each group, each cell, the legend.
pub(crate) fn compare(what: &str, output: &Output, keys: usize, expected: &Expected) {
    let shown = read(output);
    let text = said(output);
    let mut groups: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for row in &shown.rows {
        let (key, cells) = row.split_at(keys);
        let before = groups.insert(key.to_vec(), cells.to_vec());
        assert!(before.is_none(), "{what}: {key:?} twice\n{text}");
    }
    for key in groups.keys() {
        assert!(
            !expected.withheld.contains(key),
            "{what}: {key:?} has too few persons, and is shown\n{text}"
        );
    }
    assert!(
        groups.keys().eq(expected.shown.keys()),
        "{what}: shown {:?}, expected {:?}",
        groups.keys(),
        expected.shown.keys()
    );
    for (key, cells) in &expected.shown {
        let printed = &groups[key];
        assert_eq!(printed.len(), cells.len(), "{what}, {key:?}\n{text}");
        for (printed, cell) in printed.iter().zip(cells) {
            assert!(
                is(cell, printed),
                "{what}, {key:?}: printed {printed}, expected {cell:?}\n{text}"
            );
        }
    }
    let has = |line: &str| shown.below.iter().any(|below| below == line);
    let rows = match expected.shown.len() {
        1 => "(1 row)".to_owned(),
        rows => format!("({rows} rows)"),
    };
    assert!(has(&rows), "{what}: no \"{rows}\"\n{text}");
    let any = |cell: &Cell| expected.shown.values().flatten().any(|found| found == cell);
    assert_eq!(
        has("*  suppressed: under 10 persons"),
        any(&Cell::Few),
        "{what}\n{text}"
    );
    assert_eq!(
        has("** suppressed: one or two persons make up too much of it"),
        any(&Cell::Dominated),
        "{what}\n{text}"
    );
    let withheld: Vec<&String> = shown
        .below
        .iter()
        .filter(|line| line.contains("withheld"))
        .collect();
    let said = match expected.withheld_said {
        0 => Vec::new(),
        1 => vec!["1 group of under 10 persons is withheld.".to_owned()],
        n => vec![format!("{n} groups of under 10 persons are withheld.")],
    };
    assert!(
        withheld.iter().copied().eq(said.iter()),
        "{what}: {withheld:?}, expected {said:?}\n{text}"
    );
}
