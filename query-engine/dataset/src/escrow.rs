//! What only the producer's offline key can read: of which id each pseudonym was made.
//!
//! A regulator may ask whose a row is. Whoever makes pseudonyms therefore writes, beside the data, one
//! record for each person, sealed to a public key whose private half never comes near a network. The
//! machine that writes can't read what it wrote: HPKE's sending context is gone with the process.
//!
//! A file is a line of JSON ([`EscrowHeader`]), 65 bytes of encapsulated key (SEC 1, uncompressed), and
//! chunks: four bytes of length, big-endian, and that many of ciphertext. HPKE (RFC 9180) is that of
//! [`kekkai_types::WrappedKey`], with several messages (§5.2): chunks can't be left out, doubled or
//! swapped. `info` is `kekkai escrow v1`, NUL and the header's line, so that a file can't be passed off as another
//! dataset's; the AAD is `1` for the last chunk and `0` for the others, so that none is missing at the
//! end. A chunk's plaintext is records: the pseudonym in 8 bytes, the id's length in 4, both big-endian,
//! and the id in UTF-8. Nothing outside the ciphertext tells which records a chunk holds.

use std::io::{self, BufRead, Read, Write};

use hpke::aead::{AeadCtxS, AesGcm256};
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use kekkai_types::{AgreementId, DatasetId, KeyText};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The escrow's file, in the version's folder.
pub const ESCROW: &str = "escrow.sealed";

/// The format that this build writes and reads.
const FORMAT: u32 = 1;
/// The longest header, in bytes.
const HEADER_MAX: u64 = 4 * 1024;
/// Plaintext after which a chunk is sealed, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64 * 1024;
/// The largest chunk's ciphertext: one more record than [`CHUNK_BYTES`], and the tag.
const SEALED_MAX: usize = CHUNK_BYTES + RECORD_HEAD + ID_BYTES_MAX + 16;
/// Before a record's id.
const RECORD_HEAD: usize = 12;
const ENC_BYTES: usize = 65;
const INFO: &[u8] = b"kekkai escrow v1\0";

type Sender = AeadCtxS<AesGcm256, HkdfSha256, DhP256HkdfSha256>;
type Public = <DhP256HkdfSha256 as Kem>::PublicKey;
type Private = <DhP256HkdfSha256 as Kem>::PrivateKey;
type Encapped = <DhP256HkdfSha256 as Kem>::EncappedKey;

/// Why an escrow can't be written or read. Never holds an id or a pseudonym.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    /// Not 65 bytes of SEC 1, uncompressed, on P-256.
    #[error("the offline key's public half is not an uncompressed point of P-256")]
    PublicKey,
    /// Not a 32-byte scalar of P-256.
    #[error("the offline key is not a scalar of P-256")]
    PrivateKey,
    /// Reading or writing failed.
    #[error("the escrow can't be read or written")]
    Io(#[from] io::Error),
    /// Another kind of file, or one of another build.
    #[error("this is not an escrow file that this build reads")]
    Foreign,
    /// Another key, or changed bytes.
    #[error("the escrow does not open: another offline key, or changed bytes")]
    DoesNotOpen,
    /// The last chunk is missing.
    #[error("the escrow is cut off: its last part is missing")]
    Truncated,
    /// An id longer than [`ID_BYTES_MAX`].
    #[error("a person's id is longer than {ID_BYTES_MAX} bytes")]
    IdTooLong,
    /// The cipher refused to work: a bug of ours.
    #[error("the escrow could not be sealed")]
    Internal,
}

/// Whose pseudonyms an escrow holds, and what they stand for. Plain text; bound to the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscrowHeader {
    /// 1.
    pub format: u32,
    /// The dataset, or the extract, whose pseudonyms can be looked up.
    pub dataset: DatasetId,
    /// Its version.
    pub version: u32,
    /// Of an extract: the dataset and version whose pseudonyms its own stand for. `None`: they stand for
    /// the ids of the source.
    pub of: Option<(DatasetId, u32)>,
    /// Of an extract: the agreement that it is made for.
    pub agreement: Option<AgreementId>,
}

impl EscrowHeader {
    /// Of a dataset that was ingested: pseudonyms stand for the source's ids.
    pub fn of_source(dataset: &DatasetId, version: u32) -> Self {
        Self {
            format: FORMAT,
            dataset: dataset.clone(),
            version,
            of: None,
            agreement: None,
        }
    }

    /// Of an extract: pseudonyms stand for those of `of`.
    pub fn of_extract(
        extract: &DatasetId,
        version: u32,
        of: (DatasetId, u32),
        agreement: &AgreementId,
    ) -> Self {
        Self {
            of: Some(of),
            agreement: Some(agreement.clone()),
            ..Self::of_source(extract, version)
        }
    }
}

/// An escrow that is being written. Without [`EscrowWriter::finish`] what was written reads as truncated.
pub struct EscrowWriter<W: Write> {
    out: W,
    sender: Sender,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> EscrowWriter<W> {
    /// Begins a file for whoever holds the private half of `public_sec1`: 65 bytes, SEC 1 uncompressed.
    ///
    /// # Errors
    /// When the key is none, or writing fails.
    pub fn new(mut out: W, public_sec1: &[u8], header: &EscrowHeader) -> Result<Self, EscrowError> {
        let public = Public::from_bytes(public_sec1).map_err(|_| EscrowError::PublicKey)?;
        let mut line = serde_json::to_vec(header).map_err(|_| EscrowError::Internal)?;
        line.push(b'\n');
        let (enc, sender) = hpke::setup_sender::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeS::Base,
            &public,
            &[INFO, &line].concat(),
        )
        .map_err(|_| EscrowError::Internal)?;
        out.write_all(&line)?;
        out.write_all(&enc.to_bytes())?;
        Ok(Self {
            out,
            sender,
            // Never grown: a vector that grows leaves copies behind.
            chunk: Zeroizing::new(Vec::with_capacity(SEALED_MAX)),
        })
    }

    /// Adds a person: the pseudonym, and the id that it stands for.
    ///
    /// # Errors
    /// When the id is too long, or writing fails.
    pub fn add(&mut self, pseudonym: i64, id: &str) -> Result<(), EscrowError> {
        if id.len() > ID_BYTES_MAX {
            return Err(EscrowError::IdTooLong);
        }
        let length = u32::try_from(id.len()).map_err(|_| EscrowError::IdTooLong)?;
        self.chunk.extend_from_slice(&pseudonym.to_be_bytes());
        self.chunk.extend_from_slice(&length.to_be_bytes());
        self.chunk.extend_from_slice(id.as_bytes());
        if self.chunk.len() >= CHUNK_BYTES {
            self.seal(b"0")?;
        }
        Ok(())
    }

    /// Seals what is left, as the last chunk, and gives the output back.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> Result<W, EscrowError> {
        self.seal(b"1")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self, aad: &[u8]) -> Result<(), EscrowError> {
        let sealed = self
            .sender
            .seal(&self.chunk, aad)
            .map_err(|_| EscrowError::Internal)?;
        let length = u32::try_from(sealed.len()).map_err(|_| EscrowError::Internal)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        zeroize::Zeroize::zeroize(&mut *self.chunk);
        Ok(())
    }
}

/// What a look into an escrow gave.
pub struct Found {
    /// Whose escrow it is; authenticated.
    pub header: EscrowHeader,
    /// The id behind the pseudonym; `None` when nobody there has it.
    pub id: Option<Zeroizing<String>>,
}

/// Reads a header, which says whose escrow it is, without opening it. What it says is authenticated by
/// [`find`] only.
///
/// # Errors
/// When there is none.
pub fn read_header(from: &mut impl BufRead) -> Result<EscrowHeader, EscrowError> {
    read_line(from).map(|(header, _)| header)
}

fn read_line(from: &mut impl BufRead) -> Result<(EscrowHeader, Vec<u8>), EscrowError> {
    let mut line = Vec::new();
    from.take(HEADER_MAX).read_until(b'\n', &mut line)?;
    let header: EscrowHeader = serde_json::from_slice(&line).map_err(|_| EscrowError::Foreign)?;
    if header.format != FORMAT || line.last() != Some(&b'\n') {
        return Err(EscrowError::Foreign);
    }
    Ok((header, line))
}

/// Looks for a pseudonym, to the end of the file: an answer, none included, is one about a whole file.
///
/// `private` is the offline key: a P-256 scalar, 32 bytes, big-endian.
///
/// # Errors
/// See [`EscrowError`]; a wrong key and changed bytes are not told apart.
pub fn find(
    mut from: impl BufRead,
    private: &KeyText,
    pseudonym: i64,
) -> Result<Found, EscrowError> {
    let secret = Private::from_bytes(private.expose()).map_err(|_| EscrowError::PrivateKey)?;
    let (header, line) = read_line(&mut from)?;
    let mut enc = [0; ENC_BYTES];
    from.read_exact(&mut enc).map_err(cut_off)?;
    let enc = Encapped::from_bytes(&enc).map_err(|_| EscrowError::DoesNotOpen)?;
    let mut receiver = hpke::setup_receiver::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &enc,
        &[INFO, &line].concat(),
    )
    .map_err(|_| EscrowError::DoesNotOpen)?;
    let mut id = None;
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length).map_err(cut_off)?;
        let length = usize::try_from(u32::from_be_bytes(length))
            .ok()
            .filter(|length| *length <= SEALED_MAX)
            .ok_or(EscrowError::DoesNotOpen)?;
        let mut sealed = vec![0; length];
        from.read_exact(&mut sealed).map_err(cut_off)?;
        let is_last = from.fill_buf()?.is_empty();
        let aad: &[u8] = if is_last { b"1" } else { b"0" };
        let chunk = match receiver.open(&sealed, aad) {
            Ok(chunk) => Zeroizing::new(chunk),
            // A context whose message didn't open stays where it was.
            Err(_) if is_last && receiver.open(&sealed, b"0").is_ok() => {
                return Err(EscrowError::Truncated);
            }
            Err(_) => return Err(EscrowError::DoesNotOpen),
        };
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let (found, after) = record(rest).ok_or(EscrowError::DoesNotOpen)?;
            if found.pseudonym == pseudonym {
                let text = std::str::from_utf8(found.id).map_err(|_| EscrowError::DoesNotOpen)?;
                id = Some(Zeroizing::new(text.to_owned()));
            }
            rest = after;
        }
        if is_last {
            return Ok(Found { header, id });
        }
    }
}

/// A person's record.
struct Record<'a> {
    pseudonym: i64,
    id: &'a [u8],
}

/// A record, and what follows it.
fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (pseudonym, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (id, rest) = rest.split_at_checked(length)?;
    let pseudonym = i64::from_be_bytes(*pseudonym);
    Some((Record { pseudonym, id }, rest))
}

fn cut_off(error: io::Error) -> EscrowError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => EscrowError::Truncated,
        _ => EscrowError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (KeyText, Vec<u8>) {
        let (private, public) = DhP256HkdfSha256::gen_keypair();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&private.to_bytes());
        (KeyText::new(bytes), public.to_bytes().to_vec())
    }

    fn header(dataset: &str) -> EscrowHeader {
        EscrowHeader::of_source(&DatasetId::new(dataset).unwrap(), 1)
    }

    fn id(person: i64) -> String {
        format!(
            "P{person:08}-{}",
            "x".repeat(usize::try_from(person % 90).unwrap())
        )
    }

    fn written(public: &[u8], persons: i64) -> Vec<u8> {
        let mut writer = EscrowWriter::new(Vec::new(), public, &header("d1")).unwrap();
        for person in 0..persons {
            writer.add(person * 7, &id(person)).unwrap();
        }
        writer.finish().unwrap()
    }

    fn look(bytes: &[u8], private: &KeyText, person: i64) -> Result<Option<String>, EscrowError> {
        let found = find(bytes, private, person * 7)?;
        assert_eq!(found.header, header("d1"));
        Ok(found.id.map(|id| id.as_str().to_owned()))
    }

    /// Where each chunk begins, and the end.
    fn chunks(bytes: &[u8]) -> Vec<usize> {
        let mut at = bytes.iter().position(|b| *b == b'\n').unwrap() + 1 + ENC_BYTES;
        let mut all = vec![at];
        while at < bytes.len() {
            at += 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            all.push(at);
        }
        all
    }

    #[test]
    fn offline_key_finds_every_person_and_no_other_key_opens() {
        let (private, public) = pair();
        let bytes = written(&public, 5_000);
        assert!(chunks(&bytes).len() > 3, "several chunks");
        for person in [0, 1, 2_500, 4_999] {
            assert_eq!(look(&bytes, &private, person).unwrap(), Some(id(person)));
        }
        assert_eq!(look(&bytes, &private, 5_000).unwrap(), None);
        assert!(matches!(
            look(&bytes, &pair().0, 1),
            Err(EscrowError::DoesNotOpen)
        ));
        assert_eq!(look(&written(&public, 0), &private, 0).unwrap(), None);
    }

    #[test]
    fn nothing_of_an_id_or_pseudonym_is_readable_without_the_key() {
        let (_, public) = pair();
        let bytes = written(&public, 5_000);
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"\"d1\""), "control: the header is plain");
        for person in 0..200 {
            assert!(!has(id(person).get(..9).unwrap().as_bytes()));
        }
        // The same file again is other bytes: nothing can be compared.
        assert_ne!(written(&public, 1), written(&public, 1));
    }

    #[test]
    fn cut_swapped_doubled_or_changed_escrow_gives_no_answer() {
        let (private, public) = pair();
        let bytes = written(&public, 5_000);
        let at = chunks(&bytes);
        for end in [at[0], at[1], at[at.len() - 2], bytes.len() - 1, at[0] - 1] {
            let cut = &bytes[..end];
            assert!(
                matches!(look(cut, &private, 1), Err(EscrowError::Truncated)),
                "{end}"
            );
        }
        let swapped = [
            &bytes[..at[0]],
            &bytes[at[1]..at[2]],
            &bytes[at[0]..at[1]],
            &bytes[at[2]..],
        ]
        .concat();
        let doubled = [&bytes[..at[1]], &bytes[at[0]..]].concat();
        let dropped = [&bytes[..at[0]], &bytes[at[1]..]].concat();
        let longer = [&bytes[..], b"\0\0\0\0"].concat();
        let mut flipped = bytes.clone();
        flipped[at[1] + 40] ^= 1;
        let other = String::from_utf8_lossy(&bytes[..at[0] - ENC_BYTES]).replace("d1", "d2");
        let renamed = [other.as_bytes(), &bytes[at[0] - ENC_BYTES..]].concat();
        for changed in [swapped, doubled, dropped, longer, flipped, renamed] {
            assert!(matches!(
                find(changed.as_slice(), &private, 7),
                Err(EscrowError::DoesNotOpen)
            ));
        }
        assert!(matches!(
            find(&b"PAR1, or whatever\n"[..], &private, 7),
            Err(EscrowError::Foreign)
        ));
    }
}
