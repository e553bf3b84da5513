//! The log's key, in the text forms of C2SP signed-note.

use base64::prelude::*;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::LedgerError;

/// Ed25519 in a note key.
const ALGORITHM: u8 = 1;

/// Makes a key of this name from the operating system's randomness: the signer's key, secret, and
/// the verifier's. The name becomes the log's origin.
pub fn generate_key(name: &str) -> Result<(Zeroizing<String>, String), LedgerError> {
    if !signed_note::is_key_name_valid(name) {
        return Err(LedgerError::KeyName(name.to_owned()));
    }
    let mut seed = Zeroizing::new([0_u8; 33]);
    let [algorithm, secret @ ..] = &mut *seed;
    *algorithm = ALGORITHM;
    getrandom::fill(secret).map_err(|_| LedgerError::Randomness)?;
    let public = SigningKey::from_bytes(secret).verifying_key();
    let vkey = signed_note::new_ed25519_verifier_key(name, &public);
    let mut typed = vec![ALGORITHM];
    typed.extend_from_slice(public.as_bytes());
    let id = signed_note::key_id(name, &typed);
    let secret = Zeroizing::new(BASE64_STANDARD.encode(*seed));
    let skey = Zeroizing::new(format!("PRIVATE+KEY+{name}+{id:08x}+{}", *secret));
    Ok((skey, vkey))
}

/// The verifier's key of a signer's key.
pub fn verifier_key(skey: &str) -> Result<String, LedgerError> {
    // The note crate checks name, algorithm and id, but keeps the key to itself.
    signed_note::StandardSigner::new(skey).map_err(|_| LedgerError::SignerKey)?;
    let mut parts = skey.splitn(5, '+').skip(2);
    let name = parts.next().ok_or(LedgerError::SignerKey)?;
    let key = parts.nth(1).ok_or(LedgerError::SignerKey)?;
    let key = BASE64_STANDARD
        .decode(key)
        .map(Zeroizing::new)
        .map_err(|_| LedgerError::SignerKey)?;
    let secret = key
        .split_first()
        .and_then(|(_, secret)| <&[u8; 32]>::try_from(secret).ok())
        .ok_or(LedgerError::SignerKey)?;
    let public = SigningKey::from_bytes(secret).verifying_key();
    Ok(signed_note::new_ed25519_verifier_key(name, &public))
}

/// The name in a verifier's key.
pub(crate) fn name_of(vkey: &str) -> &str {
    vkey.split_once('+').map_or(vkey, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_pair_belongs_together() {
        let (skey, vkey) = generate_key("ledger.example/1").unwrap();
        assert_eq!(verifier_key(&skey).unwrap(), vkey);
        assert_ne!(generate_key("ledger.example/1").unwrap().1, vkey);
        assert_eq!(name_of(&vkey), "ledger.example/1");
    }

    #[test]
    fn malformed_key_is_refused_and_not_quoted() {
        assert!(generate_key("a b").is_err());
        assert!(generate_key("a+b").is_err());
        assert!(generate_key("").is_err());
        let (skey, _) = generate_key("l").unwrap();
        let cut = &skey[..skey.len() - 4];
        let error = verifier_key(cut).unwrap_err().to_string();
        assert!(!error.contains(&skey[20..30]), "{error}");
    }
}
