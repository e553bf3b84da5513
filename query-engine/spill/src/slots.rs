//! The one file on disk, cut into slots of equal size: which are free, and how many there may be.

use crate::SpillError;

/// Bytes of a slot: a block and its tag.
pub const SLOT_BYTES: usize = 128 * 1024;

/// Free slots. No I/O.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Used before and given back: the file grows only where none is left.
    free: Vec<u64>,
    /// The first that was never used.
    next: u64,
    /// How many there may be.
    count_max: u64,
    /// For the error.
    bytes_max: u64,
}

/// A slot's length as a position.
pub(crate) const STEP: u64 = SLOT_BYTES as u64;

impl Slots {
    /// As many as fit into `bytes_max`.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            free: Vec::new(),
            next: 0,
            count_max: bytes_max / STEP,
            bytes_max,
        }
    }

    /// A slot that nobody has.
    pub(crate) fn take(&mut self) -> Result<u64, SpillError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        if self.next >= self.count_max {
            return Err(SpillError::Quota {
                bytes_max: self.bytes_max,
            });
        }
        let slot = self.next;
        self.next += 1;
        Ok(slot)
    }

    /// Takes back what [`Self::take`] gave.
    pub(crate) fn give_back(&mut self, slots: impl IntoIterator<Item = u64>) {
        self.free.extend(slots);
    }

    /// Slots that somebody has.
    pub(crate) fn in_use(&self) -> u64 {
        self.next
            .saturating_sub(u64::try_from(self.free.len()).unwrap_or(u64::MAX))
    }
}

/// Where a slot begins on disk, in bytes. No slot that was taken is beyond what a position can say.
pub(crate) fn position(slot: u64) -> u64 {
    slot.saturating_mul(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stay_within_the_quota_and_are_used_again() {
        let mut slots = Slots::new(3 * STEP + 1);
        let taken: Vec<u64> = (0..3).map(|_| slots.take().unwrap()).collect();
        assert_eq!(taken, [0, 1, 2]);
        assert!(matches!(slots.take(), Err(SpillError::Quota { .. })));
        slots.give_back([1]);
        assert_eq!(slots.in_use(), 2);
        assert_eq!(slots.take().unwrap(), 1);
        assert!(slots.take().is_err());
        assert!(Slots::new(STEP - 1).take().is_err());
    }
}
