//! One temporary file of the library's: written once from its beginning to its end, read from its beginning,
//! also while it is being written.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::spill_file::{SpillFile, SpillWriter};
use futures::Stream;

use crate::seal::{BLOCK_BYTES, Place, sealed_bytes};
use crate::{Spill, SpillError};

/// A file of blocks. Its slots are free again when it, its writer and its readers are dropped.
pub(crate) struct SealedFile(Arc<Shared>);

struct Shared {
    spill: Spill,
    number: u32,
    written: Mutex<Written>,
}

/// What was written so far.
#[derive(Default)]
struct Written {
    /// Whole blocks, in order: the slot of each. All but the last of a finished file are full.
    slots: Vec<u64>,
    /// What is not sealed yet: never more than [`BLOCK_BYTES`]. Once a file is finished, empty.
    tail: Vec<u8>,
    /// Bytes of the last block of a finished file.
    last: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// Nobody writes yet.
    #[default]
    New,
    Written,
    Finished,
    /// Something could not be written: nothing of it is readable. The bound, where that was why.
    Failed(Option<u64>),
}

impl SealedFile {
    pub(crate) fn new(spill: Spill, number: u32) -> Self {
        Self(Arc::new(Shared {
            spill,
            number,
            written: Mutex::default(),
        }))
    }
}

impl Shared {
    // What a panic leaves under this lock is a file that failed.
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals the tail as the next block. Where that fails, the file has failed: nothing else is ever sealed
    /// under this block's nonce.
    fn seal_tail(&self, written: &mut Written) -> std::result::Result<(), SpillError> {
        let block = number_of(written.slots.len())?;
        written.stage = Stage::Failed(None);
        let put = self.spill.put(self.number, block, &mut written.tail);
        if let Err(SpillError::Quota { bytes_max }) = put {
            written.stage = Stage::Failed(Some(bytes_max));
        }
        let slot = put?;
        written.slots.push(slot);
        written.tail.clear();
        written.stage = Stage::Written;
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let slots = std::mem::take(&mut self.written().slots);
        self.spill.give_back(slots);
    }
}

impl SpillFile for SealedFile {
    fn size(&self) -> Option<u64> {
        let written = self.0.written();
        u64::try_from(written.bytes()).ok()
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        Ok(Box::pin(Reader {
            file: self.0.clone(),
            block: 0,
            taken: 0,
        }))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let mut written = self.0.written();
        if written.stage != Stage::New {
            // A second writer would seal other blocks under the first one's nonces.
            return Err(external(SpillError::Bug("a file is written twice")));
        }
        written.stage = Stage::Written;
        Ok(Box::new(Writer(self.0.clone())))
    }
}

impl Written {
    fn bytes(&self) -> usize {
        match self.stage {
            Stage::Finished => {
                let full = self.slots.len().saturating_sub(1);
                full.saturating_mul(BLOCK_BYTES).saturating_add(self.last)
            }
            _ => {
                let full = self.slots.len().saturating_mul(BLOCK_BYTES);
                full.saturating_add(self.tail.len())
            }
        }
    }
}

struct Writer(Arc<Shared>);

impl Writer {
    fn append(&self, mut bytes: &[u8]) -> std::result::Result<(), SpillError> {
        let mut written = self.0.written();
        match written.stage {
            Stage::Written => {}
            Stage::Failed(Some(bytes_max)) => return Err(SpillError::Quota { bytes_max }),
            _ => return Err(SpillError::Bug("a file is written after its end")),
        }
        while !bytes.is_empty() {
            if written.tail.capacity() == 0 {
                written.tail.reserve_exact(sealed_bytes(BLOCK_BYTES));
            }
            let room = BLOCK_BYTES.saturating_sub(written.tail.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            written.tail.extend_from_slice(now);
            bytes = later;
            if written.tail.len() == BLOCK_BYTES {
                self.0.seal_tail(&mut written)?;
            }
        }
        Ok(())
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    /// Readers see the tail in memory: there is nothing to push out, and half a block is not sealed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        let mut written = self.0.written();
        if written.stage != Stage::Written {
            return Err(external(SpillError::Bug("a file is ended twice")));
        }
        written.last = match (written.tail.len(), written.slots.is_empty()) {
            (0, false) => BLOCK_BYTES,
            (bytes, _) => bytes,
        };
        if !written.tail.is_empty() {
            self.0.seal_tail(&mut written).map_err(external)?;
        }
        written.tail = Vec::new();
        written.stage = Stage::Finished;
        Ok(())
    }
}

/// Reads a file block by block. At the end of what is written so far it ends: the library asks only for what
/// it knows to be written.
struct Reader {
    file: Arc<Shared>,
    /// The next block.
    block: usize,
    /// Bytes of it that were given on already, while it was the tail.
    taken: usize,
}

impl Reader {
    fn next(&mut self) -> std::result::Result<Option<Bytes>, SpillError> {
        let (slot, bytes) = {
            let written = self.file.written();
            // A reader that follows the writer may be the first to say why there is no more.
            match written.stage {
                Stage::Failed(Some(bytes_max)) => return Err(SpillError::Quota { bytes_max }),
                Stage::Failed(None) => {
                    return Err(SpillError::Write(std::io::ErrorKind::Other.into()));
                }
                _ => {}
            }
            match written.slots.get(self.block) {
                Some(slot) => {
                    let is_last = self.block.saturating_add(1) == written.slots.len();
                    let bytes = match written.stage {
                        Stage::Finished if is_last => written.last,
                        _ => BLOCK_BYTES,
                    };
                    (*slot, bytes)
                }
                None => {
                    let rest = written.tail.get(self.taken..).unwrap_or_default();
                    self.taken = self.taken.saturating_add(rest.len());
                    return Ok((!rest.is_empty()).then(|| Bytes::copy_from_slice(rest)));
                }
            }
        };
        let place = Place {
            file: self.file.number,
            block: number_of(self.block)?,
            slot,
        };
        // Not under the lock: the slot is this file's for as long as it is held.
        let opened = self.file.spill.get(place, sealed_bytes(bytes))?;
        let rest = Bytes::from(opened).slice(self.taken.min(bytes)..);
        self.block = self.block.saturating_add(1);
        self.taken = 0;
        if rest.is_empty() {
            // It was the tail, and given on whole before it was sealed.
            return self.next();
        }
        Ok(Some(rest))
    }
}

impl Stream for Reader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().map_err(external).transpose())
    }
}

fn number_of(block: usize) -> std::result::Result<u64, SpillError> {
    u64::try_from(block).map_err(|_| SpillError::Bug("a block's number"))
}

fn external(error: SpillError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
