//! `TPM2_MakeCredential` in software (Part 1, annexes B.10.3, C.6.4 and section 24): a secret that only the
//! TPM with this EK can open, and only while it holds the AK of this name.

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use p256::elliptic_curve::Generate;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::public::{Name, coordinates};
use crate::wire::put_sized;

/// What `TPM2_ActivateCredential` takes.
pub(crate) struct Sealed {
    /// `TPM2B_ID_OBJECT`'s contents.
    pub(crate) credential_blob: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET`'s contents.
    pub(crate) secret: Vec<u8>,
}

/// Seals `credential` for the EK (TCG template L-2: P-256, SHA-256, AES-128-CFB) and the AK's name.
pub(crate) fn make(
    ek: &p256::PublicKey,
    ak_name: &Name,
    credential: &[u8; 32],
) -> Result<Sealed, getrandom::Error> {
    let ephemeral = p256::SecretKey::try_generate()?;
    Ok(make_with(&ephemeral, ek, ak_name, credential))
}

fn make_with(
    ephemeral: &p256::SecretKey,
    ek: &p256::PublicKey,
    ak_name: &Name,
    credential: &[u8; 32],
) -> Sealed {
    let ours = uncompressed(&ephemeral.public_key());
    let theirs = uncompressed(ek);
    let (our_x, our_y) = coordinates(&ours);
    let (their_x, _) = coordinates(&theirs);

    let shared = ephemeral.diffie_hellman(ek);
    let seed = kdf_e(shared.raw_secret_bytes(), b"IDENTITY\0", our_x, their_x);
    let storage = kdf_a(&seed, b"STORAGE", ak_name, 128);
    let integrity = kdf_a(&seed, b"INTEGRITY", &[], 256);

    let mut identity = Zeroizing::new(Vec::with_capacity(34));
    put_sized(&mut identity, credential);
    let mut key = Zeroizing::new([0; 16]);
    for (to, from) in key.iter_mut().zip(storage.iter()) {
        *to = *from;
    }
    encrypt_cfb(&key, &mut identity);

    let outer = hmac(&integrity, &[&identity, ak_name]);
    let mut credential_blob = Vec::new();
    put_sized(&mut credential_blob, outer.as_slice());
    credential_blob.extend_from_slice(&identity);

    let mut secret = Vec::new();
    put_sized(&mut secret, our_x);
    put_sized(&mut secret, our_y);
    Sealed {
        credential_blob,
        secret,
    }
}

/// SEC 1, uncompressed: 65 bytes.
pub(crate) fn uncompressed(key: &p256::PublicKey) -> [u8; 65] {
    let point = p256::Sec1Point::from(key);
    let mut bytes = [0; 65];
    for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
        *to = *from;
    }
    bytes
}

/// KDFe (SP 800-56A) for 256 bits: one block of SHA-256. The label carries its terminating zero.
fn kdf_e(shared: &[u8], label: &[u8], party_u: &[u8], party_v: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes());
    hash.update(shared);
    hash.update(label);
    hash.update(party_u);
    hash.update(party_v);
    Zeroizing::new(hash.finalize().into())
}

/// KDFa (SP 800-108, counter mode) for at most 256 bits: one block of HMAC-SHA-256.
fn kdf_a(key: &[u8; 32], label: &[u8], context: &[u8], bits: u32) -> Zeroizing<[u8; 32]> {
    hmac(
        key,
        &[
            &1_u32.to_be_bytes(),
            label,
            &[0],
            context,
            &bits.to_be_bytes(),
        ],
    )
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // HMAC pads a short key with zeros to the hash's block.
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// AES-128 in CFB-128 with a zero IV: each key is used once.
fn encrypt_cfb(key: &[u8; 16], data: &mut [u8]) {
    let cipher = Aes128::new(key.into());
    let mut register = [0_u8; 16];
    for chunk in data.chunks_mut(16) {
        let mut block = register.into();
        cipher.encrypt_block(&mut block);
        for ((byte, mask), kept) in chunk.iter_mut().zip(block.iter()).zip(register.iter_mut()) {
            *byte ^= mask;
            *kept = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfb_agrees_with_nist_sp_800_38a() {
        // F.3.13 CFB128-AES128.Encrypt begins with this IV; encrypting the IV-chained first block is the
        // same as our second block when the first ciphertext equals that IV.
        let key: [u8; 16] = hex::decode("2b7e151628aed2a6abf7158809cf4f3c")
            .unwrap()
            .try_into()
            .unwrap();
        let iv = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
        let plain = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
        let mut first = iv.clone();
        let mut mask = vec![0; 16];
        encrypt_cfb(&key, &mut mask);
        for (byte, m) in first.iter_mut().zip(&mask) {
            *byte ^= m;
        }
        let mut data = [first, plain].concat();
        encrypt_cfb(&key, &mut data);
        assert_eq!(data[..16], iv[..]);
        assert_eq!(hex::encode(&data[16..]), "3b3fd92eb72dad20333449f8e83cfb4a");
    }
}
