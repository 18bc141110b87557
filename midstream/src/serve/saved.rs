//! The snapshot file of a deployment: what waits for its sinks, and the engine. The layout is in `FORMAT.md`.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::serve::lane::LaneState;

const MAGIC: [u8; 8] = *b"MSSERV\0\x01";
/// Magic, length of what waits, checksum of it.
const HEADER_BYTES: usize = 16;

/// What a file holds besides the engine.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    /// The first record of the journal that is not in it.
    pub journal: u64,
    /// The first record of each class on disk that is not in it.
    pub spill: [u64; 3],
    pub lanes: Vec<LaneState>,
}

/// What a file holds.
pub(crate) struct Found {
    pub journal: u64,
    pub spill: [u64; 3],
    pub lanes: Vec<LaneState>,
    /// The engine's snapshot.
    pub engine: Vec<u8>,
}

fn failed(action: &'static str, path: &Path, cause: &std::io::Error) -> Error {
    if cause.kind() == ErrorKind::StorageFull {
        return Error::Full {
            path: path.display().to_string(),
            needed: 0,
        };
    }
    Error::Io {
        action,
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

/// Writes a file beside the old one, makes it durable, and puts it in the old one's place.
pub(crate) fn save(path: &Path, state: &State, engine: &Engine) -> Result<()> {
    let state = rmp_serde::to_vec(state).map_err(|_| Error::Corrupt {
        what: "what waits for the sinks",
        cause: "it cannot be written",
    })?;
    let beside = path.with_extension("new");
    let write = || -> Result<()> {
        let io = |cause: std::io::Error| failed("write", &beside, &cause);
        let mut file = BufWriter::new(File::create(&beside).map_err(io)?);
        file.write_all(&MAGIC).map_err(io)?;
        file.write_all(&(state.len() as u32).to_le_bytes())
            .map_err(io)?;
        file.write_all(&crc32c::crc32c(&state).to_le_bytes())
            .map_err(io)?;
        file.write_all(&state).map_err(io)?;
        engine.snapshot(&mut file)?;
        let file = file.into_inner().map_err(|cause| io(cause.into_error()))?;
        file.sync_all().map_err(io)?;
        fs::rename(&beside, path).map_err(io)?;
        let folder = path.parent().unwrap_or(path);
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// Reads a file; none where there is none.
pub(crate) fn load(path: &Path) -> Result<Option<Found>> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed("read", path, &cause)),
    };
    let corrupt = |cause| Error::Corrupt {
        what: "the snapshot of a deployment",
        cause,
    };
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(corrupt("it is torn"));
    };
    if !header.starts_with(&MAGIC) {
        return Err(corrupt("it is of another version"));
    }
    let word = |at: usize| {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        u32::from_le_bytes(bytes)
    };
    let Some(state) = rest.get(..word(8) as usize) else {
        return Err(corrupt("it is torn"));
    };
    if crc32c::crc32c(state) != word(12) {
        return Err(corrupt("its checksum is wrong"));
    }
    let end = HEADER_BYTES + state.len();
    let state: State = rmp_serde::from_slice(state).map_err(|_| corrupt("it cannot be read"))?;
    bytes.drain(..end);
    Ok(Some(Found {
        journal: state.journal,
        spill: state.spill,
        lanes: state.lanes,
        engine: bytes,
    }))
}
