//! Spills whose raw bytes a test can see and change.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use datafusion::execution::spill_file::{SpillFile, TempFileFactory};
use futures::StreamExt;
use kekkai_spill::Spill;

pub(crate) const MIB: u64 = 1 << 20;

/// A spill and another descriptor of its file.
pub(crate) fn spill(bytes_max: u64) -> (Spill, File) {
    let file = tempfile::tempfile().unwrap();
    let raw = file.try_clone().unwrap();
    (Spill::new(file, bytes_max).unwrap(), raw)
}

/// All that lies on disk.
pub(crate) fn raw_bytes(raw: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(raw.metadata().unwrap().len()).unwrap()];
    raw.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

pub(crate) fn flip(raw: &File, at: u64) {
    let mut byte = [0];
    raw.read_exact_at(&mut byte, at).unwrap();
    raw.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

/// A file with these bytes, finished.
pub(crate) fn written(spill: &Spill, bytes: &[u8]) -> Arc<dyn SpillFile> {
    let file = spill.create_temp_file("test").unwrap();
    let mut writer = file.open_writer().unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap();
    file
}

/// Reads to the end, or to the first error.
pub(crate) fn read(file: &Arc<dyn SpillFile>) -> datafusion::error::Result<Vec<u8>> {
    let mut stream = file.read_stream()?;
    let mut bytes = Vec::new();
    futures::executor::block_on(async {
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    })
}

/// Bytes that repeat nowhere soon, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend_from_slice(&x.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
