//! A segment: a file of frames, named by the place of its first record.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::log::frame::{HEADER_BYTES, Header, decode};
use crate::log::{io, is_full};

/// What a segment begins with: magic, version, place of the first record, checksum of these.
const MAGIC: [u8; 8] = *b"MSLOG\0\0\x01";
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 20;

#[derive(Debug)]
pub(crate) struct Segment {
    /// The place of its first record.
    pub first: u64,
    pub path: PathBuf,
    pub records: u64,
    pub bytes: u64,
    /// The time of its newest record.
    pub newest: i64,
}

/// What a look through a segment found.
#[derive(Debug)]
pub(crate) struct Found {
    pub records: u64,
    pub newest: i64,
    /// Bytes up to the end of the last good frame.
    pub good: u64,
    pub length: u64,
}

impl Segment {
    /// Begins a segment, durably.
    pub fn create(folder: &Path, first: u64) -> Result<(Self, File)> {
        let path = folder.join(format!("{first:020}.seg"));
        let made = create(&path, first).and_then(|file| {
            // So that the name is there after a crash.
            File::open(folder).and_then(|folder| folder.sync_all())?;
            Ok(file)
        });
        let file = made.map_err(|cause| {
            let _ = fs::remove_file(&path);
            if is_full(&cause) {
                Error::Full {
                    path: path.display().to_string(),
                    needed: SEGMENT_HEADER_BYTES,
                }
            } else {
                io("create", &path, &cause)
            }
        })?;
        let segment = Self {
            first,
            path,
            records: 0,
            bytes: SEGMENT_HEADER_BYTES,
            newest: i64::MIN,
        };
        Ok((segment, file))
    }

    /// How many of its records are at or after a place.
    pub fn after(&self, place: u64) -> u64 {
        (self.first + self.records).saturating_sub(place.max(self.first))
    }

    pub fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(io("remove", &self.path, &cause))
            }
            _ => Ok(()),
        }
    }
}

fn create(path: &Path, first: u64) -> std::io::Result<File> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&first.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)?;
    file.write_all(&header)?;
    file.sync_all()?;
    Ok(file)
}

pub(crate) fn to_end(file: &mut File) -> std::io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// The segments of a folder by the place of their first record.
pub(crate) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = fs::read_dir(folder).map_err(|cause| io("list", folder, &cause))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|cause| io("list", folder, &cause))?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        let place = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(place) = place.filter(|_| is_segment) {
            found.push((place, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The frames of a segment, one after the other.
pub(crate) struct Frames {
    file: BufReader<File>,
    first: u64,
    started: bool,
    /// Bytes up to the end of the last frame that was read.
    good: u64,
    frame: Vec<u8>,
}

impl Frames {
    pub fn open(path: &Path, first: u64) -> std::io::Result<Self> {
        Ok(Self {
            file: BufReader::new(File::open(path)?),
            first,
            started: false,
            good: 0,
            frame: Vec::new(),
        })
    }

    /// The next frame's header and bytes; none at the end, or where the bytes are no frame.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a segment of another version; [`Error::Io`].
    pub fn next(&mut self, path: &Path) -> Result<Option<(Header, &[u8])>> {
        let read = |cause: std::io::Error| io("read", path, &cause);
        if !self.started {
            let mut header = [0; SEGMENT_HEADER_BYTES as usize];
            if !fill(&mut self.file, &mut header).map_err(read)? {
                return Ok(None);
            }
            let (fields, sum) = header.split_at(16);
            if crc32c::crc32c(fields).to_le_bytes() != sum {
                return Ok(None);
            }
            if !fields.starts_with(&MAGIC) || fields[8..] != self.first.to_le_bytes() {
                return Err(Error::Corrupt {
                    what: "a segment of a log",
                    cause: "it is of another version, or was renamed",
                });
            }
            self.started = true;
            self.good = SEGMENT_HEADER_BYTES;
        }
        let mut header = [0; HEADER_BYTES];
        if !fill(&mut self.file, &mut header).map_err(read)? {
            return Ok(None);
        }
        let Some(found) = Header::read(&header) else {
            return Ok(None);
        };
        self.frame.clear();
        self.frame.extend_from_slice(&header);
        self.frame.resize(HEADER_BYTES + found.stored, 0);
        if !fill(&mut self.file, &mut self.frame[HEADER_BYTES..]).map_err(read)? {
            return Ok(None);
        }
        Ok(Some((found, &self.frame)))
    }

    /// Says that the frame in hand is good.
    pub fn accept(&mut self) {
        self.good += self.frame.len() as u64;
    }
}

/// Fills the buffer; false when the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Looks through a segment, up to the first frame that is not good.
pub(crate) fn scan(path: &Path, first: u64) -> Result<Found> {
    let opened = Frames::open(path, first).and_then(|frames| {
        let length = fs::metadata(path)?.len();
        Ok((frames, length))
    });
    let (mut frames, length) = opened.map_err(|cause| io("open", path, &cause))?;
    let (mut records, mut newest) = (0, i64::MIN);
    while let Some((header, frame)) = frames.next(path)? {
        if header.first != first + records || decode(frame).is_err() {
            break;
        }
        records += u64::from(header.records);
        newest = newest.max(header.newest);
        frames.accept();
    }
    Ok(Found {
        records,
        newest,
        good: frames.good,
        length,
    })
}
