//! The header: what the file holds and where. FORMAT.md is the document; this is its code.

use std::ops::Range;
use std::path::Path;

use crate::builder::{Config, DIM_MAX, EFFORT, IndexKind, LINKS, Quantization, ROWS_MAX};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::metric::Metric;

pub(crate) const MAGIC: [u8; 8] = *b"RUVECTOR";
pub(crate) const VERSION: u32 = 1;
/// Sections start at multiples of this, and so does the log.
pub(crate) const PAGE: u64 = 4096;
/// Bytes of originals under one checksum.
pub(crate) const BLOCK: usize = 16 << 10;

const TABLE: usize = 128;
const ENTRY: usize = 24;
const CRC: usize = PAGE as usize - 4;

/// The parts of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Tag {
    Ids = 1,
    Live = 2,
    Originals = 3,
    Blocks = 4,
    Codes = 5,
    Scales = 6,
    Payloads = 7,
    /// Lowest layer of the graph.
    Links = 8,
    Levels = 9,
    /// Upper layers of the graph.
    Upper = 10,
    /// What codes were trained to: a codebook, or thresholds.
    Book = 11,
    /// Centres of inverted lists.
    Centres = 12,
    /// The list of each slot.
    Lists = 13,
}

impl Tag {
    pub const ALL: [Self; 13] = [
        Self::Ids,
        Self::Live,
        Self::Originals,
        Self::Blocks,
        Self::Codes,
        Self::Scales,
        Self::Payloads,
        Self::Links,
        Self::Levels,
        Self::Upper,
        Self::Book,
        Self::Centres,
        Self::Lists,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Live => "live",
            Self::Originals => "originals",
            Self::Blocks => "blocks",
            Self::Codes => "codes",
            Self::Scales => "scales",
            Self::Payloads => "payloads",
            Self::Links => "links",
            Self::Levels => "levels",
            Self::Upper => "upper",
            Self::Book => "book",
            Self::Centres => "centres",
            Self::Lists => "lists",
        }
    }
}

/// Where a section lies and what its bytes sum to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    pub tag: Tag,
    pub crc: u32,
    pub offset: u64,
    pub length: u64,
}

/// The first page of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub config: Config,
    pub slots: usize,
    /// Entry point of the graph.
    pub entry: Option<u32>,
    /// Rows at the last training of codes, and of lists; 0 for never.
    pub trained: [u64; 2],
    /// Where the log starts, which is where the snapshot ends.
    pub log: u64,
    pub sections: Vec<Section>,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE as usize];
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &(self.config.dim as u32).to_le_bytes());
        let (quantization, subspaces) = self.config.quantization.code();
        put(
            16,
            &[
                self.config.metric.code(),
                self.config.kind.code(),
                quantization,
            ],
        );
        put(20, &subspaces.to_le_bytes());
        put(24, &(self.slots as u64).to_le_bytes());
        put(32, &self.log.to_le_bytes());
        put(40, &(self.sections.len() as u32).to_le_bytes());
        put(44, &(self.config.shape.m as u32).to_le_bytes());
        put(
            48,
            &(self.config.shape.ef_construction as u32).to_le_bytes(),
        );
        put(52, &self.entry.unwrap_or(u32::MAX).to_le_bytes());
        put(56, &self.config.shape.seed.to_le_bytes());
        put(64, &self.trained[0].to_le_bytes());
        put(72, &self.trained[1].to_le_bytes());
        for (index, section) in self.sections.iter().enumerate() {
            let at = TABLE + index * ENTRY;
            put(at, &(section.tag as u32).to_le_bytes());
            put(at + 4, &section.crc.to_le_bytes());
            put(at + 8, &section.offset.to_le_bytes());
            put(at + 16, &section.length.to_le_bytes());
        }
        let crc = crc32c::crc32c(&page[..CRC]);
        page[CRC..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads and checks the header of a file of `file_bytes`.
    pub fn decode(page: &[u8], file_bytes: u64, path: &Path) -> Result<Self> {
        if page.get(..8) != Some(&MAGIC[..]) {
            return Err(Error::NotAnIndex { path: path.into() });
        }
        let bad = |why: &str| corrupt(path, "header", why);
        if page.len() < PAGE as usize {
            return Err(bad("the file ends inside it"));
        }
        let version = u32_at(page, 8);
        if version > VERSION {
            return Err(Error::Version {
                path: path.into(),
                found: version,
                known: VERSION,
            });
        }
        if !sums_match(&page[..CRC], u32_at(page, CRC)) {
            return Err(bad("its checksum does not match"));
        }
        let dim = u32_at(page, 12) as usize;
        let slots = usize::try_from(u64_at(page, 24)).unwrap_or(usize::MAX);
        if version == 0 || dim == 0 || dim > DIM_MAX || slots > ROWS_MAX {
            return Err(bad("a size is out of range"));
        }
        let shape = Shape {
            m: u32_at(page, 44) as usize,
            ef_construction: u32_at(page, 48) as usize,
            seed: u64_at(page, 56),
        };
        if !LINKS.contains(&shape.m) || !EFFORT.contains(&shape.ef_construction) {
            return Err(bad("an option of the graph is out of range"));
        }
        let entry = Some(u32_at(page, 52)).filter(|entry| *entry != u32::MAX);
        let config = Config {
            dim,
            shape,
            metric: Metric::from_code(page[16]).ok_or_else(|| bad("unknown metric"))?,
            kind: IndexKind::from_code(page[17]).ok_or_else(|| bad("unknown kind"))?,
            quantization: Quantization::from_code(page[18], u16_at(page, 20))
                .ok_or_else(|| bad("unknown quantization"))?,
        };
        if !config.is_sound() {
            return Err(bad("its options do not go together"));
        }
        if let Quantization::Pq { subspaces } = config.quantization
            && !(1..=dim).contains(&usize::from(subspaces))
        {
            return Err(bad("the number of subspaces is out of range"));
        }
        let log = u64_at(page, 32);
        let count = u32_at(page, 40) as usize;
        if count > Tag::ALL.len() || log > file_bytes || !log.is_multiple_of(PAGE) {
            return Err(bad("the file is shorter than it says"));
        }
        let mut sections: Vec<Section> = Vec::with_capacity(count);
        for index in 0..count {
            let at = TABLE + index * ENTRY;
            let tag = Tag::ALL
                .into_iter()
                .find(|tag| *tag as u32 == u32_at(page, at))
                .ok_or_else(|| bad("unknown section"))?;
            let (offset, length) = (u64_at(page, at + 8), u64_at(page, at + 16));
            let fits = offset >= PAGE
                && offset % PAGE == 0
                && offset.checked_add(length).is_some_and(|end| end <= log);
            if !fits || sections.iter().any(|section| section.tag == tag) {
                return Err(bad("a section lies outside the snapshot"));
            }
            sections.push(Section {
                tag,
                crc: u32_at(page, at + 4),
                offset,
                length,
            });
        }
        Ok(Self {
            config,
            slots,
            entry,
            trained: [u64_at(page, 64), u64_at(page, 72)],
            log,
            sections,
        })
    }

    /// Where a section lies in the file.
    pub fn range(&self, tag: Tag) -> Option<(Range<usize>, u32)> {
        let section = self.sections.iter().find(|section| section.tag == tag)?;
        let start = usize::try_from(section.offset).ok()?;
        let length = usize::try_from(section.length).ok()?;
        Some((start..start.checked_add(length)?, section.crc))
    }
}

/// Whether bytes have a checksum. A fuzzer, which would seldom guess one, is let through to what lies behind.
pub(crate) fn sums_match(bytes: &[u8], crc: u32) -> bool {
    cfg!(fuzzing) || crc32c::crc32c(bytes) == crc
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

pub(crate) fn corrupt(path: &Path, section: &'static str, why: impl Into<String>) -> Error {
    Error::Corrupt {
        path: path.into(),
        section,
        why: why.into(),
    }
}
