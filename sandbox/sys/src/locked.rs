//! Memory for keys: never swapped, never dumped, not inherited by a fork, wiped.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// Bytes in locked pages of their own. Not `Clone`, prints nothing.
pub struct LockedBytes {
    start: NonNull<u8>,
    /// Of the bytes in use.
    len: usize,
    /// Of the mapping: whole pages.
    mapped: NonZeroUsize,
}

// SAFETY: the mapping is private to this value, which owns it like a Box owns its heap block; it is
// reached only through the borrow rules of Deref and DerefMut.
unsafe impl Send for LockedBytes {}
// SAFETY: as above; shared access is read-only.
unsafe impl Sync for LockedBytes {}

impl LockedBytes {
    /// Zeroed bytes. Fails where the process may not lock so much (`RLIMIT_MEMLOCK`).
    pub fn zeroed(len: usize) -> io::Result<Self> {
        let mapped = NonZeroUsize::new(len)
            .unwrap_or(NonZeroUsize::MIN)
            .checked_next_multiple_of(page_size());
        let mapped = mapped.ok_or(io::ErrorKind::OutOfMemory)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: an anonymous private mapping at an address of the kernel's choice replaces
        // nothing that exists.
        let start = unsafe { mmap_anonymous(None, mapped, protection, MapFlags::MAP_PRIVATE) }?;
        // From here on, dropping unmaps.
        let bytes = Self {
            start: start.cast(),
            len,
            mapped,
        };
        // SAFETY: the range is the mapping just made; locking doesn't change its contents.
        unsafe { mlock(start, mapped.get()) }?;
        // SAFETY: as above; the advice concerns core dumps only.
        unsafe { madvise(start, mapped.get(), MmapAdvise::MADV_DONTDUMP) }?;
        // SAFETY: as above; a forked child finds zeros in its copy, ours is unchanged.
        unsafe { madvise(start, mapped.get(), MmapAdvise::MADV_WIPEONFORK) }?;
        Ok(bytes)
    }
}

trait NextMultiple: Sized {
    fn checked_next_multiple_of(self, of: usize) -> Option<Self>;
}

impl NextMultiple for NonZeroUsize {
    fn checked_next_multiple_of(self, of: usize) -> Option<Self> {
        self.get().checked_next_multiple_of(of).and_then(Self::new)
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096).max(1)
}

impl Deref for LockedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `mapped >= len` readable, initialised (zero-filled) bytes that
        // live as long as `self`; nobody writes them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for LockedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for deref; the exclusive borrow of `self` makes the slice exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.zeroize();
        // SAFETY: the mapping was made by `zeroed` with this length and is given back once; no
        // borrow of it outlives `self`. Unmapping also unlocks.
        let _ = unsafe { munmap(self.start.cast(), self.mapped.get()) };
    }
}

impl Zeroize for LockedBytes {
    fn zeroize(&mut self) {
        self.deref_mut().zeroize();
    }
}

impl fmt::Debug for LockedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedBytes(…)")
    }
}

/// A 256-bit key in locked memory.
#[derive(Debug)]
pub struct LockedKey(LockedBytes);

/// Bytes of a key.
const KEY_BYTES: usize = 32;

impl LockedKey {
    /// Copies a key into locked memory; the caller wipes its own copy.
    pub fn new(key: &[u8; KEY_BYTES]) -> io::Result<Self> {
        let mut bytes = LockedBytes::zeroed(KEY_BYTES)?;
        bytes.copy_from_slice(key);
        Ok(Self(bytes))
    }

    /// The key itself: the caller is a cipher.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_bytes_are_locked_and_left_out_of_dumps_and_forks() {
        let key = LockedKey::new(&[0xa5; 32]).unwrap();
        let address = key.expose().as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        let mut flags = None;
        for line in maps.lines() {
            let range = line.split_whitespace().next().unwrap_or_default();
            if let Some((from, to)) = range.split_once('-') {
                let parse = |text| usize::from_str_radix(text, 16).unwrap_or(0);
                inside = (parse(from)..parse(to)).contains(&address);
            } else if inside && line.starts_with("VmFlags:") {
                flags = Some(line.to_owned());
            }
        }
        let flags = flags.unwrap();
        for flag in [" lo", " dd", " wf"] {
            assert!(flags.contains(flag), "{flag} in {flags}");
        }
    }

    #[test]
    fn locked_bytes_print_nothing() {
        let key = LockedKey::new(&[0xa5; 32]).unwrap();
        assert!(!format!("{key:?}").contains("a5"));
        assert!(!format!("{key:?}").contains("165"));
    }

    #[test]
    fn more_than_may_be_locked_is_refused() {
        assert!(LockedBytes::zeroed(usize::MAX).is_err());
    }
}
