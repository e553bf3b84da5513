//! `TPMS_ATTEST`, the two kinds that Kekkai uses, and the AK's signature over it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::wire::{Reader, Truncated};

/// `TPM_GENERATED_VALUE`: a restricted key signs nothing that begins so unless the TPM made it.
const GENERATED: u32 = 0xff54_4347;
const ATTEST_CERTIFY: u16 = 0x8017;
const ATTEST_QUOTE: u16 = 0x8018;
const ALG_SHA256: u16 = 0x000b;
/// Banks in a quote's selection; ours asks for one.
const BANKS_MAX: u32 = 16;
/// The longest base64 text that is decoded, in bytes.
const TEXT_MAX: usize = 16 * 1024;

/// A statement of the TPM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attest<'a> {
    pub(crate) extra_data: &'a [u8],
    pub(crate) attested: Attested<'a>,
}

/// What is stated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attested<'a> {
    /// A key of this name is in this TPM.
    Certify { name: &'a [u8] },
    /// These PCRs of the SHA-256 bank had values of this digest.
    Quote { pcrs: Vec<u32>, digest: &'a [u8] },
}

impl<'a> Attest<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(bytes);
        if reader.u32()? != GENERATED {
            return Err(Truncated);
        }
        let kind = reader.u16()?;
        let _qualified_signer = reader.sized()?;
        let extra_data = reader.sized()?;
        // Clock, reset count, restart count, safe, firmware version: not judged.
        let _clock = (
            reader.u64()?,
            reader.u32()?,
            reader.u32()?,
            reader.u8()?,
            reader.u64()?,
        );
        let attested = match kind {
            ATTEST_CERTIFY => {
                let name = reader.sized()?;
                let _qualified_name = reader.sized()?;
                Attested::Certify { name }
            }
            ATTEST_QUOTE => {
                let pcrs = selection(&mut reader)?;
                Attested::Quote {
                    pcrs,
                    digest: reader.sized()?,
                }
            }
            _ => return Err(Truncated),
        };
        reader.finish()?;
        Ok(Self {
            extra_data,
            attested,
        })
    }
}

/// The selected PCRs of the SHA-256 bank, ascending; another bank may be named but must be empty.
fn selection(reader: &mut Reader<'_>) -> Result<Vec<u32>, Truncated> {
    let banks = reader.u32()?;
    if banks > BANKS_MAX {
        return Err(Truncated);
    }
    let mut pcrs = Vec::new();
    for _ in 0..banks {
        let algorithm = reader.u16()?;
        let length = reader.u8()?;
        let bits = reader.take(usize::from(length))?;
        let selected = (0_u32..).zip(bits).flat_map(|(at, byte)| {
            (0..8)
                .filter(move |bit| byte & (1 << bit) != 0)
                .map(move |bit| at * 8 + bit)
        });
        if algorithm == ALG_SHA256 && pcrs.is_empty() {
            pcrs = selected.collect();
        } else if selected.count() != 0 {
            return Err(Truncated);
        }
    }
    Ok(pcrs)
}

/// Whether the key (SEC 1) signed these bytes with ECDSA and SHA-256; the signature is r and s, base64.
pub(crate) fn is_signed(key_sec1: &[u8], bytes: &[u8], signature: &str) -> bool {
    let verify = || {
        let key = VerifyingKey::from_sec1_bytes(key_sec1).ok()?;
        let signature = Signature::from_slice(&decode(signature)?).ok()?;
        key.verify(bytes, &signature).ok()
    };
    verify().is_some()
}

/// Decodes base64 of bounded length.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_MAX {
        return None;
    }
    BASE64_STANDARD.decode(text).ok()
}

/// Encodes base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
