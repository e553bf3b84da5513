use kekkai_output::{
    Aggregate, Cell, Column, ColumnKind, Evidence, Lineage, Measure, Population, Populations,
    Table, Value, ValueType,
};
use kekkai_types::{DatasetId, Digest};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::{Close, History, HistoryError, Shown, ShownError, shown};

const THRESHOLD: u32 = 10;

fn measure(kind: Aggregate, columns: &[&str], is_plain: bool) -> Measure {
    Measure {
        kind,
        columns: Some(columns.iter().map(|&c| c.to_owned()).collect()),
        is_plain,
    }
}

fn count() -> Measure {
    measure(Aggregate::Count, &[], true)
}

fn one(persons: impl IntoIterator<Item = u32>, measures: &[Measure]) -> Shown {
    Shown {
        dataset: DatasetId::new("d").unwrap(),
        version: 1,
        row: Some(0),
        column: None,
        measures: measures.to_vec(),
        persons: persons.into_iter().collect(),
    }
}

fn after(seen: &[Shown]) -> History<u32> {
    let mut history = History::new(THRESHOLD, 1 << 20);
    for (by, shown) in (1..).zip(seen) {
        let unknown = history.unknown(&by, vec![shown.clone()]).unwrap();
        history.add(unknown);
    }
    history
}

fn is_close(seen: &Shown, new: &Shown) -> bool {
    after(std::slice::from_ref(seen))
        .compare(std::slice::from_ref(new))
        .is_some()
}

#[test]
fn one_person_more_or_less_is_too_close_and_as_many_as_the_threshold_are_not() {
    let seen = one(0..500, &[count()]);
    for (new, close) in [
        (one(0..499, &[count()]), true),
        (one(1..500, &[count()]), true),
        (one((1..500).chain([900]), &[count()]), true),
        (one(0..491, &[count()]), true),
        (one(0..490, &[count()]), false),
        (one(0..500, &[count()]), false),
        (one(5..505, &[count()]), false),
        (one(600..1100, &[count()]), false),
    ] {
        assert_eq!(is_close(&seen, &new), close, "{}", new.persons.len());
    }
}

#[test]
fn the_earlier_statement_is_named() {
    let history = after(&[one(0..100, &[count()]), one(200..300, &[count()])]);
    let close = history.compare(&[one(200..299, &[count()])]);
    let expected = Close {
        row: Some(0),
        column: None,
        with: Some(2),
    };
    assert_eq!(close, Some(expected));
}

#[test]
fn only_like_is_compared_with_like() {
    let mean = |columns: &[&str], plain| measure(Aggregate::Mean, columns, plain);
    let sum = |columns: &[&str], plain| measure(Aggregate::Sum, columns, plain);
    let counted = |columns: &[&str], plain| measure(Aggregate::Count, columns, plain);
    for (a, b, close) in [
        // Two columns that a few persons lack, as the data has them.
        (mean(&["d.t.x"], true), mean(&["d.t.y"], true), false),
        (count(), counted(&["d.t.x"], true), false),
        (count(), mean(&["d.t.x"], true), false),
        // Somebody chose who is left out.
        (count(), counted(&["d.t.x"], false), true),
        (sum(&["d.t.x"], true), sum(&["d.t.x", "d.t.y"], false), true),
        // A sum of ones is a count.
        (count(), sum(&["d.t.y"], false), true),
        (count(), sum(&[], false), true),
        // A mean and a count make a sum.
        (sum(&["d.t.x"], true), mean(&["d.t.x"], true), true),
        // What it is made of can't be said.
        (
            sum(&["d.t.x"], true),
            Measure {
                kind: Aggregate::Spread,
                columns: None,
                is_plain: false,
            },
            true,
        ),
    ] {
        let (seen, new) = (
            one(0..50, std::slice::from_ref(&a)),
            one(0..49, std::slice::from_ref(&b)),
        );
        assert_eq!(is_close(&seen, &new), close, "{a:?} {b:?}");
        assert_eq!(is_close(&new, &seen), close, "{b:?} {a:?}");
    }
}

#[test]
fn persons_of_another_dataset_or_version_are_others() {
    let seen = one(0..500, &[count()]);
    let mut new = one(0..499, &[count()]);
    new.version = 2;
    assert!(!is_close(&seen, &new));
    new.version = 1;
    new.dataset = DatasetId::new("e").unwrap();
    assert!(!is_close(&seen, &new));
}

#[test]
fn what_is_known_is_not_remembered_twice_and_a_full_history_takes_nothing() {
    let mut history: History<u32> = History::new(THRESHOLD, 2_000);
    let shown = one(0..100, &[count()]);
    let unknown = history
        .unknown(&1, vec![shown.clone(), shown.clone()])
        .unwrap();
    assert_eq!(unknown.len(), 1);
    history.add(unknown);
    assert!(history.unknown(&2, vec![shown]).unwrap().is_empty());
    let many = (0..10)
        .map(|n| one(n * 100..n * 100 + 50, &[count()]))
        .collect();
    assert_eq!(history.unknown(&3, many), Err(HistoryError::Full));
    assert_eq!(history.len(), 1);
}

fn table(contributors: &[u64]) -> Table {
    let cell = |contributors| Cell::Shown {
        value: Value::Int(1),
        evidence: Evidence {
            contributors,
            ..no_evidence()
        },
    };
    Table {
        columns: vec![Column {
            name: "n".to_owned(),
            value_type: ValueType::Int,
            kind: ColumnKind::Statistic(vec![Aggregate::Count]),
        }],
        rows: contributors.iter().map(|n| vec![cell(*n)]).collect(),
        groups_withheld: 0,
        lineage: Lineage {
            sql: String::new(),
            datasets: vec![(DatasetId::new("d").unwrap(), 1)],
            threshold: THRESHOLD,
            dominance_permille: 500,
            engine: String::new(),
            policy: Digest::of(b""),
        },
    }
}

/// Nothing but contributors.
fn no_evidence() -> Evidence {
    Evidence {
        contributors: 0,
        largest_permille: 0,
        second_permille: 0,
        zeros: 0,
        missing: 0,
    }
}

fn populations(rows: &[std::ops::Range<u32>]) -> Populations {
    let cells = (0..).zip(rows).map(|(row, persons)| {
        let bitmap: RoaringBitmap = persons.clone().collect();
        let mut bytes = Vec::new();
        bitmap.serialize_into(&mut bytes).unwrap();
        Population {
            row,
            column: None,
            dataset: DatasetId::new("d").unwrap(),
            persons: bytes,
            measures: vec![count()],
        }
    });
    Populations {
        stable: true,
        cells: cells.collect(),
    }
}

#[test]
fn total_and_the_groups_that_add_up_to_nearly_it_are_too_close() {
    let all = shown(
        &table(&[500]),
        &populations(std::slice::from_ref(&(0..500))),
    )
    .unwrap();
    let history = after(&all);
    // Three persons' group was withheld.
    let groups = shown(&table(&[200, 297]), &populations(&[0..200, 200..497])).unwrap();
    let close = history.compare(&groups).unwrap();
    assert_eq!((close.row, close.with), (None, Some(1)));
    // Groups that share persons add up to nothing.
    let groups = shown(&table(&[300, 297]), &populations(&[0..300, 200..497])).unwrap();
    assert_eq!(history.compare(&groups), None);
}

#[test]
fn bytes_that_are_no_bitmap_and_foreign_datasets_are_refused() {
    let table = table(&[20, 30]);
    let mut cut = populations(&[0..20, 20..50]);
    cut.cells[0].persons.truncate(3);
    assert_eq!(shown(&table, &cut), Err(ShownError::NoBitmap));
    let mut foreign = populations(&[0..20, 20..50]);
    foreign.cells[1].dataset = DatasetId::new("e").unwrap();
    assert_eq!(shown(&table, &foreign), Err(ShownError::NoSuchDataset));
}

proptest! {
    /// The search finds what comparing all with all finds.
    #[test]
    fn search_misses_nothing(
        seen in proptest::collection::vec(proptest::collection::btree_set(0_u32..60, 0..60), 1..30),
        new in proptest::collection::btree_set(0_u32..60, 0..60),
    ) {
        let seen: Vec<Shown> = seen.into_iter().map(|set| one(set, &[count()])).collect();
        let new = one(new, &[count()]);
        let by_all = seen.iter().any(|seen| {
            let differs = seen.persons.symmetric_difference_len(&new.persons);
            (1..u64::from(THRESHOLD)).contains(&differs)
        });
        let found = after(&seen).compare(std::slice::from_ref(&new)).is_some();
        prop_assert_eq!(found, by_all);
    }
}
