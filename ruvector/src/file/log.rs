//! Changes since the snapshot, appended behind it.
//!
//! A record: magic, length of the body, how much of the log was durable when it was written, CRC32C
//! over all of that and the body. When a record does not check, what follows decides: if a later
//! valid record says that this place was durable, the file was damaged and opening fails; otherwise
//! a crash cut the write short, and the log is cut off there.

use super::layout::{u32_at, u64_at};
use crate::builder::Config;
use crate::metric::Metric;
use crate::payload::{Encoded, PAYLOAD_BYTES_MAX};
use crate::state::Row;
use crate::vector::{Vector, ends_clean, words};

const MAGIC: u32 = u32::from_le_bytes(*b"RVLG");
const HEAD: usize = 20;

const UPSERT: u8 = 1;
const DELETE: u8 = 2;
/// Says only that everything before it is durable.
const DURABLE: u8 = 3;

/// One change of the index.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Upsert(Row),
    Delete(u64),
}

fn record(out: &mut Vec<u8>, durable: u64, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&durable.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - start - HEAD) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let crc = sum(&out[start..]);
    out[start + 16..start + 20].copy_from_slice(&crc.to_le_bytes());
}

/// The checksum of a record, its own field left out.
fn sum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..16]), &record[HEAD..])
}

pub(crate) fn upsert(out: &mut Vec<u8>, durable: u64, row: &Row) {
    record(out, durable, |out| {
        out.push(UPSERT);
        out.extend_from_slice(&row.id.to_le_bytes());
        out.extend_from_slice(&(row.payload.text.len() as u32).to_le_bytes());
        out.extend_from_slice(&row.payload.text);
        out.extend_from_slice(row.vector.bytes());
    });
}

pub(crate) fn delete(out: &mut Vec<u8>, durable: u64, id: u64) {
    record(out, durable, |out| {
        out.push(DELETE);
        out.extend_from_slice(&id.to_le_bytes());
    });
}

pub(crate) fn durable_mark(out: &mut Vec<u8>, durable: u64) {
    record(out, durable, |out| out.push(DURABLE));
}

/// What a log says.
#[derive(Debug)]
pub(crate) struct Replay {
    pub changes: Vec<Change>,
    /// Bytes that are valid; the rest is a torn tail.
    pub valid: usize,
}

/// Reads a log; the error says what does not fit.
pub(crate) fn replay(log: &[u8], config: &Config) -> Result<Replay, String> {
    let mut changes = Vec::new();
    let mut at = 0;
    while let Some(length) = whole(log, at) {
        let body = &log[at + HEAD..at + length];
        match decode(body, config) {
            Some(change) => changes.extend(change),
            None => return Err(format!("the record at byte {at} of the log makes no sense")),
        }
        at += length;
    }
    if at < log.len() && durable_later(log, at) {
        return Err(format!(
            "the checksum of the record at byte {at} of the log does not match"
        ));
    }
    Ok(Replay { changes, valid: at })
}

/// The length of the record at `at` if it is all there and its checksum matches.
fn whole(log: &[u8], at: usize) -> Option<usize> {
    let rest = log.get(at..)?;
    if rest.len() < HEAD || u32_at(rest, 0) != MAGIC {
        return None;
    }
    let length = HEAD.checked_add(u32_at(rest, 4) as usize)?;
    let record = rest.get(..length)?;
    (cfg!(fuzzing) || sum(record) == u32_at(record, 16)).then_some(length)
}

/// Whether a valid record behind `torn` says that `torn` was durable.
fn durable_later(log: &[u8], torn: usize) -> bool {
    let mut budget = 8 * log.len() + 4096;
    let mut at = torn + 1;
    while at + HEAD <= log.len() {
        if u32_at(log, at) == MAGIC {
            // Bytes made to look like records everywhere would cost quadratic time: call it damage.
            let length = u32_at(log, at + 4) as usize;
            budget = match budget.checked_sub(length.min(log.len() - at)) {
                Some(left) => left,
                None => return true,
            };
            if whole(log, at).is_some() && u64_at(log, at + 8) > torn as u64 {
                return true;
            }
        }
        at += 1;
    }
    false
}

fn vector_of(bytes: &[u8], config: &Config) -> Option<Vector> {
    if config.metric == Metric::Hamming {
        let fits = bytes.len() == words(config.dim) * 8;
        let words: Vec<u64> = fits.then(|| bytemuck::pod_collect_to_vec(bytes))?;
        return ends_clean(&words, config.dim).then(|| Vector::Bits(words.into()));
    }
    let fits = bytes.len() == config.dim * 4;
    let floats: Vec<f32> = fits.then(|| bytemuck::pod_collect_to_vec(bytes))?;
    let finite = floats.iter().all(|x| x.is_finite());
    finite.then(|| Vector::Floats(floats.into()))
}

/// `None` if the body makes no sense; `Some(None)` for a mark.
#[allow(clippy::option_option, reason = "the two levels mean different things")]
fn decode(body: &[u8], config: &Config) -> Option<Option<Change>> {
    let (op, rest) = body.split_first()?;
    match *op {
        DURABLE => rest.is_empty().then_some(None),
        DELETE => (rest.len() == 8).then(|| Some(Change::Delete(u64_at(rest, 0)))),
        UPSERT => {
            let id = u64_at(rest.get(..8)?, 0);
            let length = u32_at(rest.get(8..12)?, 0) as usize;
            if length > PAYLOAD_BYTES_MAX {
                return None;
            }
            let (text, vector) = rest[12..].split_at_checked(length)?;
            Some(Some(Change::Upsert(Row {
                id,
                vector: vector_of(vector, config)?,
                payload: Encoded::parse(text)?,
            })))
        }
        _ => None,
    }
}
