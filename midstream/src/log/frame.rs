//! A frame: records that were written together, checked and compressed as one. The layout is in `FORMAT.md`.

use crate::error::{Error, Result};
use crate::log::Compression;
use crate::time::Timestamp;

/// What a frame begins with.
const MAGIC: [u8; 4] = *b"MSFR";
/// Bytes before the stored records.
pub(crate) const HEADER_BYTES: usize = 48;
/// The most bytes of a frame's records before compression.
pub(crate) const FRAME_BYTES_MAX: usize = 4 << 20;
/// Bytes before each record: its length and time.
const RECORD_HEADER_BYTES: usize = 12;
/// The longest record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub sequence: u64,
    /// The time it was given.
    pub at: Timestamp,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Records that wait to be written as one frame.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    raw: Vec<u8>,
    pub records: u32,
    oldest: i64,
    pub newest: i64,
}

impl Pending {
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// Whether another record fits.
    pub fn fits(&self, record: usize) -> bool {
        self.raw.len() + RECORD_HEADER_BYTES + record <= FRAME_BYTES_MAX
    }

    pub fn push(&mut self, at: Timestamp, record: &[u8]) {
        let at = at.as_millis();
        if self.records == 0 {
            (self.oldest, self.newest) = (at, at);
        }
        self.oldest = self.oldest.min(at);
        self.newest = self.newest.max(at);
        self.records += 1;
        self.raw
            .extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.raw.extend_from_slice(&at.to_le_bytes());
        self.raw.extend_from_slice(record);
    }

    pub fn clear(&mut self) {
        self.raw.clear();
        self.records = 0;
    }

    /// The frame's bytes. What does not shrink is stored as it is.
    pub fn encode(&self, first: u64, compression: Compression) -> Vec<u8> {
        let packed = match compression {
            Compression::None => None,
            Compression::Zstd(level) => zstd::bulk::compress(&self.raw, level)
                .ok()
                .filter(|packed| packed.len() < self.raw.len()),
        };
        let (coding, stored) = match &packed {
            Some(packed) => (ZSTD, packed.as_slice()),
            None => (PLAIN, self.raw.as_slice()),
        };
        let mut frame = Vec::with_capacity(HEADER_BYTES + stored.len());
        frame.extend_from_slice(&MAGIC);
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        frame.extend_from_slice(&(self.raw.len() as u32).to_le_bytes());
        frame.extend_from_slice(&self.records.to_le_bytes());
        frame.extend_from_slice(&[coding, 0, 0, 0]);
        frame.extend_from_slice(&first.to_le_bytes());
        frame.extend_from_slice(&self.oldest.to_le_bytes());
        frame.extend_from_slice(&self.newest.to_le_bytes());
        frame.extend_from_slice(stored);
        let sum = crc32c::crc32c(&frame[8..]);
        frame[4..8].copy_from_slice(&sum.to_le_bytes());
        frame
    }
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    sum: u32,
    pub stored: usize,
    raw: usize,
    pub records: u32,
    coding: u8,
    pub first: u64,
    pub newest: i64,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Header {
    /// Reads a header; none where there is no frame whose sizes are within the limits.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at| array(bytes, at).map(u32::from_le_bytes);
        let header = Self {
            sum: word(4)?,
            stored: word(8)? as usize,
            raw: word(12)? as usize,
            records: word(16)?,
            coding: *bytes.get(20)?,
            first: u64::from_le_bytes(array(bytes, 24)?),
            newest: array(bytes, 40).map(i64::from_le_bytes)?,
        };
        let sound = bytes.starts_with(&MAGIC)
            && header.records > 0
            && header.raw <= FRAME_BYTES_MAX
            && header.stored <= header.raw
            && header.records as usize <= header.raw / RECORD_HEADER_BYTES
            && header
                .first
                .checked_add(u64::from(header.records))
                .is_some();
        sound.then_some(header)
    }
}

/// The records of a frame, header included.
///
/// # Errors
/// [`Error::Corrupt`] for anything that no writer has written.
pub(crate) fn decode(frame: &[u8]) -> Result<Vec<Record>> {
    let corrupt = |cause: &'static str| Error::Corrupt {
        what: "a frame of a log",
        cause,
    };
    let header = Header::read(frame).ok_or_else(|| corrupt("its header makes no sense"))?;
    let end = HEADER_BYTES + header.stored;
    let whole = frame.get(..end).ok_or_else(|| corrupt("it is torn"))?;
    if crc32c::crc32c(&whole[8..]) != header.sum {
        return Err(corrupt("its checksum is wrong"));
    }
    let stored = &whole[HEADER_BYTES..];
    let unpacked;
    let raw = match header.coding {
        PLAIN => stored,
        ZSTD => {
            unpacked = zstd::bulk::decompress(stored, header.raw)
                .map_err(|_| corrupt("it cannot be decompressed"))?;
            unpacked.as_slice()
        }
        _ => return Err(corrupt("its coding is not known")),
    };
    if raw.len() != header.raw {
        return Err(corrupt("its length is wrong"));
    }
    let mut records = Vec::with_capacity(header.records as usize);
    let mut rest = raw;
    for place in 0..header.records {
        let length = array(rest, 0).map(u32::from_le_bytes);
        let at = array(rest, 4).map(i64::from_le_bytes);
        let bytes = length
            .map(|length| length as usize)
            .filter(|length| *length <= RECORD_BYTES_MAX)
            .and_then(|length| rest.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length));
        let (Some(at), Some(bytes)) = (at, bytes) else {
            return Err(corrupt("a record is torn"));
        };
        records.push(Record {
            sequence: header.first + u64::from(place),
            at: Timestamp::from_millis(at),
            bytes: bytes.to_vec(),
        });
        rest = &rest[RECORD_HEADER_BYTES + bytes.len()..];
    }
    if rest.is_empty() {
        Ok(records)
    } else {
        Err(corrupt("it has bytes after its last record"))
    }
}
