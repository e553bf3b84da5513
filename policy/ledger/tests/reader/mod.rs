//! A reader of C2SP tlog-tiles, checkpoints and signed notes, written from their specifications
//! and RFC 6962 alone. It shares no code with the ledger: hashes and signatures come from `ring`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "test code"
)]

use std::fs;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

type Hash = Vec<u8>;

/// What the checkpoint promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// Reads a whole log: its entries, or what is wrong.
pub fn read_log(dir: &Path, vkey: &str) -> Result<(Head, Vec<Vec<u8>>), String> {
    let note = fs::read(dir.join("checkpoint")).map_err(|e| format!("checkpoint: {e}"))?;
    let head = open_checkpoint(&note, vkey)?;

    // tlog-tiles, "Log entries": big-endian uint16 length-prefixed entries.
    let mut entries = Vec::new();
    for (n, width) in tiles(head.size) {
        let path = tile_path("entries", n, width);
        let bytes = fs::read(dir.join(&path)).map_err(|e| format!("{path}: {e}"))?;
        let mut at = 0;
        for _ in 0..width {
            let length = bytes.get(at..at + 2).ok_or(format!("{path}: cut"))?;
            let length = usize::from(length[0]) << 8 | usize::from(length[1]);
            let entry = bytes
                .get(at + 2..at + 2 + length)
                .ok_or(format!("{path}: cut"))?;
            entries.push(entry.to_vec());
            at += 2 + length;
        }
        if at != bytes.len() {
            return Err(format!("{path}: more than {width} entries"));
        }
    }

    // tlog-tiles, "Merkle Tree": level 0 holds leaf hashes, level l + 1 the hashes of full tiles.
    let mut level: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    if mth(&level) != head.root {
        return Err("root: not that of the entries".to_owned());
    }
    let mut l = 0;
    while !level.is_empty() {
        for (n, width) in tiles(level.len() as u64) {
            let path = tile_path(&l.to_string(), n, width);
            let bytes = fs::read(dir.join(&path)).map_err(|e| format!("{path}: {e}"))?;
            let start = n as usize * 256;
            if bytes != level[start..start + width as usize].concat() {
                return Err(format!("{path}: not the hashes of the level below"));
            }
        }
        level = level.chunks_exact(256).map(mth).collect();
        l += 1;
    }
    Ok((head, entries))
}

/// Number and width of the tiles that hold `count` things.
fn tiles(count: u64) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = (0..count / 256).map(|n| (n, 256)).collect();
    if !count.is_multiple_of(256) {
        all.push((count / 256, count % 256));
    }
    all
}

/// tlog-tiles: 1234067 is `x001/x234/067`; partial tiles end in `.p/<W>`.
fn tile_path(kind: &str, n: u64, width: u64) -> String {
    let digits = n.to_string();
    let digits = format!("{}{digits}", "0".repeat((3 - digits.len() % 3) % 3));
    let groups: Vec<&str> = (0..digits.len())
        .step_by(3)
        .map(|i| &digits[i..i + 3])
        .collect();
    let (last, first) = groups.split_last().unwrap();
    let mut path = format!("tile/{kind}/");
    for group in first {
        path += &format!("x{group}/");
    }
    path += last;
    if width < 256 {
        path += &format!(".p/{width}");
    }
    path
}

/// signed-note, "Format" and "Signatures"; tlog-checkpoint, "Note text".
pub fn open_checkpoint(note: &[u8], vkey: &str) -> Result<Head, String> {
    let (name, id, key) = {
        let mut parts = vkey.splitn(3, '+');
        let name = parts.next().unwrap();
        let id = u32::from_str_radix(parts.next().ok_or("vkey")?, 16).map_err(|_| "vkey")?;
        let key = BASE64_STANDARD
            .decode(parts.next().ok_or("vkey")?)
            .map_err(|_| "vkey")?;
        (name, id, key)
    };
    assert_eq!(key[0], 1, "Ed25519");
    let hashed = sha256(&[name.as_bytes(), b"\n", &key]);
    assert_eq!(
        hashed[..4],
        id.to_be_bytes(),
        "key ID = SHA-256(name || 0x0A || type || key)[:4]"
    );

    let note = std::str::from_utf8(note).map_err(|_| "note: not UTF-8")?;
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err("note: control character".to_owned());
    }
    let blank = note.rfind("\n\n").ok_or("note: no signatures")?;
    let (text, signatures) = (&note[..=blank], &note[blank + 2..]);
    let signatures = signatures
        .strip_suffix('\n')
        .ok_or("note: last line is cut")?;
    let mut verified = false;
    for line in signatures.split('\n') {
        let line = line
            .strip_prefix("\u{2014} ")
            .ok_or("note: bad signature line")?;
        let (signer, signature) = line.split_once(' ').ok_or("note: bad signature line")?;
        let signature = BASE64_STANDARD
            .decode(signature)
            .map_err(|_| "note: bad base64")?;
        if signature.len() < 5 || signer.is_empty() {
            return Err("note: bad signature line".to_owned());
        }
        if signer == name && signature[..4] == id.to_be_bytes() {
            UnparsedPublicKey::new(&ED25519, &key[1..])
                .verify(text.as_bytes(), &signature[4..])
                .map_err(|_| "note: signature doesn't verify")?;
            verified = true;
        }
    }
    if !verified {
        return Err("note: no signature of the key".to_owned());
    }

    let mut lines = text.strip_suffix('\n').unwrap().split('\n');
    let origin = lines.next().unwrap().to_owned();
    let size = lines.next().ok_or("checkpoint: no size")?;
    let root = lines.next().ok_or("checkpoint: no root")?;
    let number: u64 = size.parse().map_err(|_| "checkpoint: bad size")?;
    if number.to_string() != size || origin != name {
        return Err("checkpoint: bad size or origin".to_owned());
    }
    let root = BASE64_STANDARD
        .decode(root)
        .map_err(|_| "checkpoint: bad root")?;
    Ok(Head {
        origin,
        size: number,
        root,
    })
}

fn sha256(parts: &[&[u8]]) -> Hash {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

/// RFC 6962 §2.1: `SHA-256(0x00 || d)`.
fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// RFC 6962 §2.1 over leaf hashes: k is the largest power of two smaller than n.
fn mth(hashes: &[Hash]) -> Hash {
    match hashes.len() {
        0 => sha256(&[]),
        1 => hashes[0].clone(),
        n => {
            let mut k = 1;
            while k * 2 < n {
                k *= 2;
            }
            sha256(&[&[1], &mth(&hashes[..k]), &mth(&hashes[k..])])
        }
    }
}
