//! Numbers as bytes. Big-endian; a length is a varint: seven bits a byte, the lowest first, the eighth bit
//! says that more follow; written in the fewest bytes, or refused.

use crate::WireError;

/// Bytes of the longest varint: 21 bits.
const VARINT_BYTES: u32 = 3;

/// Takes fields off the front.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn bool(&mut self, name: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Field(name)),
        }
    }

    pub(crate) fn varint(&mut self, name: &'static str) -> Result<u32, WireError> {
        let mut value = 0;
        for place in 0..VARINT_BYTES {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                // One way to write each number: a last byte of zero adds nothing.
                let is_shortest = byte != 0 || place == 0;
                return is_shortest.then_some(value).ok_or(WireError::Field(name));
            }
        }
        Err(WireError::Field(name))
    }

    pub(crate) fn end(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(WireError::Trailing(more)),
        }
    }
}

/// Appends a varint. What doesn't fit 21 bits is written as the largest that does: every bound of this
/// protocol is far below, so that the peer refuses it.
pub(crate) fn put_varint(bytes: &mut Vec<u8>, value: usize) {
    let largest = (1_u32 << (7 * VARINT_BYTES)) - 1;
    let mut rest = u32::try_from(value).unwrap_or(largest).min(largest);
    loop {
        let [.., low] = (rest & 0x7f).to_be_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}
