use kekkai_output::{Aggregate, Measure};
use kekkai_types::KeyText;

use super::*;

fn label(job: u32) -> Label {
    Label {
        person: PersonId::new("sato").unwrap(),
        session: SessionId::new("s1").unwrap(),
        job: JobId::new(job.to_string()).unwrap(),
        at: Timestamp(0),
    }
}

fn shown(persons: std::ops::Range<u32>) -> Vec<Shown> {
    vec![Shown {
        dataset: DatasetId::new("d").unwrap(),
        version: 1,
        row: Some(0),
        column: None,
        measures: vec![Measure {
            kind: Aggregate::Count,
            columns: Some(Vec::new()),
            is_plain: true,
        }],
        persons: persons.collect(),
    }]
}

fn keys(byte: u8) -> [FileKey; 1] {
    [FileKey {
        dataset: DatasetId::new("d").unwrap(),
        version: 1,
        key: KeyText::new([byte; 32]),
    }]
}

/// A guard whose history was read: that of nothing is never close to anything.
fn guard(dir: &Path, agreement: &str, byte: u8) -> Result<Arc<Guard>, Denied> {
    let agreement = AgreementId::new(agreement).unwrap();
    let guard = Guards::new(Some(dir.to_owned())).of(&agreement, 10, &keys(byte));
    guard.admit(&label(0), Vec::new())?;
    Ok(guard)
}

#[test]
fn what_was_shown_is_remembered_after_a_restart_and_by_this_project_alone() {
    let dir = tempfile::tempdir().unwrap();
    guard(dir.path(), "g1", 1)
        .unwrap()
        .admit(&label(1), shown(0..500))
        .unwrap();
    let again = guard(dir.path(), "g1", 1).unwrap();
    let denied = again.admit(&label(2), shown(0..499)).unwrap_err();
    let Denied::Close(close) = denied else {
        panic!("{denied}");
    };
    assert_eq!(close.with, Some(label(1)));
    // The refused one was not shown: it refuses nothing.
    again.admit(&label(3), shown(0..485)).unwrap();
    let other = guard(dir.path(), "g2", 1).unwrap();
    other.admit(&label(1), shown(0..499)).unwrap();
}

#[test]
fn sessions_of_a_project_share_its_guard() {
    let guards = Guards::new(None);
    let agreement = AgreementId::new("g1").unwrap();
    let one = guards.of(&agreement, 10, &keys(1));
    let two = guards.of(&agreement, 10, &keys(1));
    one.admit(&label(1), shown(0..500)).unwrap();
    assert!(two.admit(&label(2), shown(0..499)).is_err());
}

#[test]
fn no_bitmap_and_no_key_is_on_disk_in_plain() {
    let dir = tempfile::tempdir().unwrap();
    let guard = guard(dir.path(), "g1", 1).unwrap();
    guard.admit(&label(1), shown(0..500)).unwrap();
    for name in ["d@1.shown", "d@1.head"] {
        let bytes = std::fs::read(dir.path().join("g1").join(name)).unwrap();
        for plain in [&b"sato"[..], b"persons", b"records", &[1; 32]] {
            assert!(!bytes.windows(plain.len()).any(|w| w == plain), "{name}");
        }
    }
}

#[test]
fn changed_cut_or_foreign_history_is_unreadable_and_an_unfinished_record_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    {
        let guard = guard(dir.path(), "g1", 1).unwrap();
        guard.admit(&label(1), shown(0..500)).unwrap();
        guard.admit(&label(2), shown(1000..1200)).unwrap();
    }
    let path = dir.path().join("g1/d@1.shown");
    let good = std::fs::read(&path).unwrap();
    assert!(guard(dir.path(), "g1", 2).is_err(), "other keys");
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert!(guard(dir.path(), "g1", 1).is_err(), "byte {at}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(guard(dir.path(), "g1", 1).is_err(), "cut");
    std::fs::remove_file(&path).unwrap();
    assert!(guard(dir.path(), "g1", 1).is_err(), "removed");
    // Killed while it wrote a third one: nobody saw that.
    let mut torn = good.clone();
    torn.extend([0, 0, 1, 0, 7, 7, 7]);
    std::fs::write(&path, torn).unwrap();
    let again = guard(dir.path(), "g1", 1).unwrap();
    assert!(again.admit(&label(3), shown(0..499)).is_err());
    assert!(again.admit(&label(3), shown(1000..1201)).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), good);
}

#[test]
fn nothing_is_shown_that_cannot_be_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let guard = guard(dir.path(), "g1", 1).unwrap();
    std::fs::remove_dir_all(dir.path().join("g1")).unwrap();
    assert!(matches!(
        guard.admit(&label(1), shown(0..500)),
        Err(Denied::Store(_))
    ));
    // The file may hold half a record: nothing more is written after it.
    std::fs::create_dir_all(dir.path().join("g1")).unwrap();
    assert!(guard.admit(&label(2), shown(600..700)).is_err());
}
