//! Single files: what is read is what was written, or an error.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use datafusion::execution::spill_file::{SpillFile, TempFileFactory};
use futures::StreamExt;
use kekkai_spill::{BLOCK_BYTES, SLOT_BYTES, Spill, SpillError};

use crate::common::{MIB, flip, noise, raw_bytes, read, spill, written};

fn is_changed(file: &Arc<dyn SpillFile>) -> bool {
    match read(file) {
        Ok(_) => false,
        Err(error) => matches!(SpillError::below(&error), Some(SpillError::Changed)),
    }
}

#[test]
fn what_is_written_in_pieces_of_any_size_is_read_back() {
    let (spill, _) = spill(64 * MIB);
    let lens = [
        0,
        1,
        BLOCK_BYTES - 1,
        BLOCK_BYTES,
        BLOCK_BYTES + 1,
        3 * BLOCK_BYTES,
        5 * BLOCK_BYTES + 17,
    ];
    for (seed, len) in (1..).zip(lens) {
        let bytes = noise(seed, len);
        for step in [1 + len / 3, 4096, 1 << 20] {
            let file = spill.create_temp_file("test").unwrap();
            let mut writer = file.open_writer().unwrap();
            for piece in bytes.chunks(step) {
                writer.write_all(piece).unwrap();
                writer.flush().unwrap();
            }
            writer.finish().unwrap();
            assert_eq!(file.size(), Some(len as u64));
            assert!(read(&file).unwrap() == bytes, "{len} bytes by {step}");
            // A second reader begins at the beginning.
            assert!(read(&file).unwrap() == bytes, "{len} bytes by {step}");
        }
    }
    assert_eq!(
        spill.bytes_in_use(),
        0,
        "dropped files give their slots back"
    );
}

/// The library's repartitioning reads a file while it is being written.
#[test]
fn reader_follows_a_writer_byte_for_byte() {
    let (spill, _) = spill(64 * MIB);
    let bytes = noise(7, 4 * BLOCK_BYTES + 333);
    for step in [1000, BLOCK_BYTES / 2, BLOCK_BYTES, 3 * BLOCK_BYTES / 2] {
        let file = spill.create_temp_file("test").unwrap();
        let mut writer = file.open_writer().unwrap();
        let mut reader = file.read_stream().unwrap();
        let (mut seen, mut sent) = (Vec::new(), 0);
        let mut follow = |seen: &mut Vec<u8>, until: usize| {
            while seen.len() < until {
                let piece = futures::executor::block_on(reader.next());
                seen.extend_from_slice(&piece.unwrap().unwrap());
            }
        };
        for (number, piece) in bytes.chunks(step).enumerate() {
            writer.write_all(piece).unwrap();
            sent += piece.len();
            // Not after each: readers fall behind, too.
            if number % 3 != 1 {
                follow(&mut seen, sent);
                assert!(seen == bytes[..sent], "{step}: {number}");
            }
        }
        writer.finish().unwrap();
        follow(&mut seen, bytes.len());
        assert!(seen == bytes, "{step}");
        assert!(futures::executor::block_on(reader.next()).is_none());
    }
}

#[test]
fn files_of_many_threads_do_not_mix() {
    let (spill, _) = spill(256 * MIB);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let spill = &spill;
            scope.spawn(move || {
                for round in 0..20 {
                    let len = BLOCK_BYTES * 2 + usize::try_from(thread * 1000 + round).unwrap();
                    let bytes = noise(thread * 1000 + round, len);
                    assert!(read(&written(spill, &bytes)).unwrap() == bytes);
                }
            });
        }
    });
    assert_eq!(spill.bytes_in_use(), 0);
}

#[test]
fn flipped_byte_is_an_error_wherever_it_lies() {
    let bytes = noise(3, 2 * BLOCK_BYTES + 500);
    let last = 2 * SLOT_BYTES as u64 + 500 + 15;
    for at in [0, 77, SLOT_BYTES as u64 - 1, SLOT_BYTES as u64, last] {
        let (spill, raw) = spill(MIB);
        let file = written(&spill, &bytes);
        assert!(read(&file).unwrap() == bytes);
        flip(&raw, at);
        assert!(is_changed(&file), "{at}");
        // And back again: it was that byte.
        flip(&raw, at);
        assert!(read(&file).unwrap() == bytes);
    }
}

#[test]
fn cut_file_and_swapped_blocks_are_errors() {
    let bytes = noise(3, 3 * BLOCK_BYTES);
    let (cut, raw) = spill(MIB);
    let file = written(&cut, &bytes);
    raw.set_len(3 * SLOT_BYTES as u64 - 1).unwrap();
    assert!(is_changed(&file));
    raw.set_len(SLOT_BYTES as u64).unwrap();
    assert!(is_changed(&file));

    let (swapped, raw) = spill(MIB);
    let file = written(&swapped, &bytes);
    let all = raw_bytes(&raw);
    let (first, rest) = all.split_at(SLOT_BYTES);
    raw.write_all_at(&rest[..SLOT_BYTES], 0).unwrap();
    raw.write_all_at(first, SLOT_BYTES as u64).unwrap();
    assert!(is_changed(&file));
}

/// A disk that gives back what lay there before: the block was sealed under the same key, for the same slot.
#[test]
fn block_of_an_earlier_file_is_no_block_of_a_later_one() {
    let (spill, raw) = spill(SLOT_BYTES as u64);
    let earlier = written(&spill, &noise(1, 1000));
    let before = raw_bytes(&raw);
    drop(earlier);
    let later = written(&spill, &noise(2, 1000));
    assert_ne!(before, raw_bytes(&raw));
    raw.write_all_at(&before, 0).unwrap();
    assert!(is_changed(&later));
}

#[test]
fn equal_blocks_are_not_equal_on_disk() {
    let (spill, raw) = spill(MIB);
    let bytes = vec![0; 2 * BLOCK_BYTES];
    let files = [written(&spill, &bytes), written(&spill, &bytes)];
    let all = raw_bytes(&raw);
    let slots: Vec<&[u8]> = all.chunks(SLOT_BYTES).collect();
    assert_eq!(slots.len(), 4);
    for (at, slot) in slots.iter().enumerate() {
        assert!(slots[..at].iter().all(|other| other != slot), "{at}");
    }
    drop(files);
}

#[test]
fn quota_holds_for_all_files_together_and_is_free_again() {
    let bytes = noise(9, 3 * BLOCK_BYTES);
    let (spill, raw) = spill(4 * SLOT_BYTES as u64);
    let first = written(&spill, &bytes);
    let second = spill.create_temp_file("test").unwrap();
    let mut writer = second.open_writer().unwrap();
    let error = writer.write_all(&bytes).unwrap_err();
    assert!(matches!(
        SpillError::below(&error),
        Some(SpillError::Quota { bytes_max }) if *bytes_max == 4 * SLOT_BYTES as u64
    ));
    // What did not get there whole is not read, nor written on.
    assert!(writer.write_all(b"more").is_err());
    assert!(writer.finish().is_err());
    assert!(read(&second).is_err());
    assert!(read(&first).unwrap() == bytes);
    drop((writer, second));
    assert_eq!(spill.bytes_in_use(), 3 * SLOT_BYTES as u64);
    drop(first);
    assert!(read(&written(&spill, &bytes)).unwrap() == bytes);
    assert!(raw.metadata().unwrap().len() <= 4 * SLOT_BYTES as u64);
}

#[test]
fn file_has_one_writer() {
    let (spill, _) = spill(MIB);
    let file = spill.create_temp_file("test").unwrap();
    let mut writer = file.open_writer().unwrap();
    assert!(file.open_writer().is_err());
    writer.write_all(b"rows").unwrap();
    writer.finish().unwrap();
    assert!(file.open_writer().is_err());
    assert!(writer.write_all(b"rows").is_err());
    assert!(writer.finish().is_err());
    assert_eq!(read(&file).unwrap(), b"rows");
}

#[test]
fn file_with_a_name_or_with_contents_is_refused() {
    let named = tempfile::NamedTempFile::new().unwrap();
    let refused = Spill::new(named.reopen().unwrap(), MIB);
    assert!(matches!(refused, Err(SpillError::NotFresh)));
    let used = tempfile::tempfile().unwrap();
    used.set_len(1).unwrap();
    assert!(matches!(Spill::new(used, MIB), Err(SpillError::NotFresh)));
    let device = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(Spill::new(device, MIB), Err(SpillError::NotFresh)));
}

/// A disk that is full is the operator's, and no row is lost in silence.
#[test]
fn block_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"").unwrap();
    // Opened for reading only: every write fails.
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let spill = Spill::new(file, MIB).unwrap();
    let file = spill.create_temp_file("test").unwrap();
    let mut writer = file.open_writer().unwrap();
    let error = writer.write_all(&noise(1, BLOCK_BYTES)).unwrap_err();
    assert!(matches!(
        SpillError::below(&error),
        Some(SpillError::Write(_))
    ));
    assert!(read(&file).is_err());
    assert_eq!(spill.bytes_in_use(), 0);
}
