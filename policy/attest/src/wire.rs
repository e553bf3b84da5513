//! Reading and writing the TPM's big-endian structures (TPM 2.0 Library, Part 2). Everything that is
//! read here comes from a machine that is not trusted yet: no length is believed, nothing may trail.

/// The bytes are not the structure that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

/// A cursor over bytes from outside.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        self.take(N)?.try_into().map_err(|_| Truncated)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// A `TPM2B`: two bytes of length, then so many bytes.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Trailing bytes would be bytes that a signature covers and nobody looked at.
    pub(crate) fn finish(self) -> Result<(), Truncated> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Truncated)
        }
    }
}

/// Appends a `TPM2B`. Every caller's contents are far shorter than 64 KiB; what is not is cut off in
/// length and so refused by every reader.
pub(crate) fn put_sized(out: &mut Vec<u8>, contents: &[u8]) {
    let length = u16::try_from(contents.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(contents);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_beyond_the_end_is_refused() {
        assert_eq!(Reader::new(&[0, 3, 1, 2]).sized(), Err(Truncated));
        assert_eq!(Reader::new(&[0]).u16(), Err(Truncated));
    }

    #[test]
    fn trailing_byte_is_refused() {
        let mut reader = Reader::new(&[0, 1, 7, 9]);
        assert_eq!(reader.sized(), Ok(&[7][..]));
        assert_eq!(reader.finish(), Err(Truncated));
    }
}
