//! A session's memory, shared by statements that can spill and by work that can't.
//!
//! The library's own pool lets work that can spill fill all of it. But spilling needs memory that can't be
//! spilled: a sorter that wrote its runs to disk merges them through buffers. With nothing left for those, a
//! statement fails at the moment when spilling should help it. Here what can spill has one half, in equal
//! parts, of which none is less than an eighth of all; the other half is for the rest. Parts become smaller when more statements come: until those who were
//! there have given back what is beyond theirs, a quarter is still for the rest.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// One that can spill may have this share of the memory, as far as it is there, however many others can, too.
const LEAST_SHARE: usize = 8;

/// A pool of so many bytes. What can spill shares half of them.
#[derive(Debug)]
pub struct SharedMemory {
    bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many can spill.
    spillers: usize,
    /// What those have.
    spillable: usize,
    /// What the others have.
    fixed: usize,
}

impl SharedMemory {
    /// A pool of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes,
            state: Mutex::default(),
        }
    }

    // Only numbers are changed under this lock, each at once.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one that can spill may have, when the others have so much.
    fn part(&self, state: &State) -> usize {
        let half = (self.bytes / 2).min(self.bytes.saturating_sub(state.fixed));
        half / state.spillers.max(1)
    }
}

/// As the library's own pools word it: the consumer's name says whose work it was.
fn exhausted(reservation: &MemoryReservation, more: usize, left: usize) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "{more} more bytes for {} with {} bytes: {left} are left",
        reservation.consumer().name(),
        reservation.size()
    ))
}

impl MemoryPool for SharedMemory {
    fn name(&self) -> &str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.state().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            let mut state = self.state();
            state.spillers = state.spillers.saturating_sub(1);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, more: usize) {
        let mut state = self.state();
        let sum = match reservation.consumer().can_spill() {
            true => &mut state.spillable,
            false => &mut state.fixed,
        };
        *sum = sum.saturating_add(more);
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        let mut state = self.state();
        let sum = match reservation.consumer().can_spill() {
            true => &mut state.spillable,
            false => &mut state.fixed,
        };
        *sum = sum.saturating_sub(less);
    }

    fn try_grow(&self, reservation: &MemoryReservation, more: usize) -> Result<()> {
        let mut state = self.state();
        let used = state.fixed.saturating_add(state.spillable);
        let left = self.bytes.saturating_sub(used);
        if reservation.consumer().can_spill() {
            // Less than a batch would be of no use to anybody: who has nothing yet gets that.
            let part = self.part(&state).max(self.bytes / LEAST_SHARE);
            // Those that were there before more came may have more than their part now.
            let room = (self.bytes / 4 * 3).saturating_sub(state.spillable);
            let left = part.saturating_sub(reservation.size()).min(left).min(room);
            if more > left {
                return Err(exhausted(reservation, more, left));
            }
            state.spillable = state.spillable.saturating_add(more);
        } else {
            if more > left {
                return Err(exhausted(reservation, more, left));
            }
            state.fixed = state.fixed.saturating_add(more);
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        let state = self.state();
        state.fixed.saturating_add(state.spillable)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

impl fmt::Display for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pool() -> Arc<dyn MemoryPool> {
        Arc::new(SharedMemory::new(1000))
    }

    #[test]
    fn spillers_leave_half_to_the_rest() {
        let pool = pool();
        let spiller = |name: &str| {
            MemoryConsumer::new(name)
                .with_can_spill(true)
                .register(&pool)
        };
        let (a, b) = (spiller("a"), spiller("b"));
        a.try_grow(250).unwrap();
        assert!(a.try_grow(1).is_err());
        b.try_grow(250).unwrap();
        let rest = MemoryConsumer::new("rest").register(&pool);
        rest.try_grow(500).unwrap();
        assert!(rest.try_grow(1).is_err());
        assert_eq!(pool.reserved(), 1000);
        drop((a, b, rest));
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn the_rest_may_have_what_spillers_do_not() {
        let pool = pool();
        let rest = MemoryConsumer::new("rest").register(&pool);
        rest.try_grow(900).unwrap();
        let a = MemoryConsumer::new("a")
            .with_can_spill(true)
            .register(&pool);
        a.try_grow(100).unwrap();
        assert!(a.try_grow(1).is_err());
        rest.shrink(500);
        a.try_grow(400).unwrap();
        assert!(a.try_grow(1).is_err());
    }

    #[test]
    fn later_spillers_never_go_beyond_the_whole() {
        let pool = pool();
        let spillers: Vec<_> = (0..10)
            .map(|n| {
                let spiller = MemoryConsumer::new(format!("{n}"))
                    .with_can_spill(true)
                    .register(&pool);
                while spiller.try_grow(10).is_ok() {}
                spiller
            })
            .collect();
        let rest = MemoryConsumer::new("rest").register(&pool);
        while rest.try_grow(10).is_ok() {}
        assert!(pool.reserved() <= 1000, "{}", pool.reserved());
        assert!(rest.size() >= 250, "{}", rest.size());
        assert_eq!(spillers.len(), 10);
    }

    #[test]
    fn one_of_many_spillers_gets_enough_to_begin_with() {
        let pool = pool();
        let spillers: Vec<_> = (0..20)
            .map(|n| {
                MemoryConsumer::new(format!("{n}"))
                    .with_can_spill(true)
                    .register(&pool)
            })
            .collect();
        for spiller in spillers.iter().take(6) {
            spiller.try_grow(125).unwrap();
            assert!(spiller.try_grow(1).is_err());
        }
        assert!(spillers[6].try_grow(125).is_err());
    }

    #[test]
    fn refusal_names_the_consumer_as_the_library_does() {
        let pool = pool();
        let rest = MemoryConsumer::new("HashJoinInput").register(&pool);
        let error = rest.try_grow(1001).unwrap_err().to_string();
        assert!(error.contains(" for HashJoinInput with "), "{error}");
    }
}
