//! A 256-bit key on its way between two places: wiped when dropped, printed by nobody.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A 256-bit key. Not `Clone`: a copy is made by name, with [`KeyText::duplicate`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeyText([u8; 32]);

impl KeyText {
    /// Takes a key over; the caller wipes its own copy.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh key from the operating system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self([0; 32]);
        getrandom::fill(&mut key.0)?;
        Ok(key)
    }

    /// The key itself: the caller is a cipher.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second copy, asked for by name.
    #[must_use]
    pub const fn duplicate(&self) -> Self {
        Self(self.0)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(hex::encode(self.0));
        out.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        let mut key = Self([0; 32]);
        // The error must not quote the text: it may be a key with a typo.
        hex::decode_to_slice(text.as_str(), &mut key.0)
            .map_err(|_| serde::de::Error::custom("a key is 64 hexadecimal digits"))?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_prints_nothing() {
        let key = KeyText::new([0xab; 32]);
        assert_eq!(format!("{key:?}"), "KeyText(…)");
    }

    #[test]
    fn malformed_key_is_not_quoted() {
        let error = serde_json::from_str::<KeyText>("\"abad1dea\"")
            .err()
            .map(|e| e.to_string());
        assert!(error.is_some_and(|e| !e.contains("abad1dea")));
    }
}
