//! Writing a snapshot: sections one after another, then the header, then the name.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::blocks::BlockSums;
use super::layout::{Header, PAGE, Section, Tag};
use crate::codes::Coded;
use crate::error::{Error, Result};
use crate::state::State;

struct Writer<'p> {
    out: BufWriter<File>,
    path: &'p Path,
    at: u64,
    crc: u32,
    sections: Vec<Section>,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.at += bytes.len() as u64;
        self.out
            .write_all(bytes)
            .map_err(Error::io("cannot write", self.path))
    }

    fn pad(&mut self) -> Result<()> {
        let gap = self.at.next_multiple_of(PAGE) - self.at;
        self.put(&vec![0; gap as usize])
    }

    fn section(&mut self, tag: Tag, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.pad()?;
        let offset = self.at;
        self.crc = 0;
        body(self)?;
        self.sections.push(Section {
            tag,
            crc: self.crc,
            offset,
            length: self.at - offset,
        });
        Ok(())
    }
}

/// The name under which a snapshot is written before it takes the place of `path`.
pub(crate) fn fresh_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Writes a whole snapshot to `file` and makes it durable; the file then has no log.
pub(crate) fn write(file: &File, path: &Path, state: &State) -> Result<Header> {
    let io = |doing| Error::io(doing, path);
    let copy = file.try_clone().map_err(io("cannot write"))?;
    let mut writer = Writer {
        out: BufWriter::with_capacity(1 << 20, copy),
        path,
        at: 0,
        crc: 0,
        sections: Vec::new(),
    };
    writer.put(&[0; PAGE as usize])?;
    writer.section(Tag::Ids, |w| w.put(bytemuck::cast_slice(&state.ids)))?;
    writer.section(Tag::Live, |w| {
        w.put(bytemuck::cast_slice(state.live.words()))
    })?;
    let mut sums = BlockSums::default();
    writer.section(Tag::Originals, |w| {
        state.originals.pieces(|bytes| {
            sums.add(bytes);
            w.put(bytes)
        })
    })?;
    let sums = sums.finish();
    writer.section(Tag::Blocks, |w| w.put(bytemuck::cast_slice(&sums)))?;
    codes(&mut writer, &state.coded)?;
    if let Some(lists) = &state.lists {
        writer.section(Tag::Centres, |w| lists.centres.pieces(|bytes| w.put(bytes)))?;
        writer.section(Tag::Lists, |w| w.put(bytemuck::cast_slice(&lists.of)))?;
    }
    writer.section(Tag::Payloads, |w| {
        for slot in 0..state.slots() as u32 {
            let text = state.payloads.text(slot);
            if !text.is_empty() {
                w.put(&slot.to_le_bytes())?;
                w.put(&(text.len() as u32).to_le_bytes())?;
                w.put(text)?;
            }
        }
        Ok(())
    })?;
    if let Some(graph) = &state.graph {
        writer.section(Tag::Links, |w| graph.layer0().pieces(|bytes| w.put(bytes)))?;
        writer.section(Tag::Levels, |w| w.put(graph.levels()))?;
        writer.section(Tag::Upper, |w| graph.upper().pieces(|bytes| w.put(bytes)))?;
    }
    writer.pad()?;
    let header = Header {
        config: state.config,
        slots: state.slots(),
        entry: state.graph.as_ref().and_then(|graph| graph.entry()),
        trained: [
            state.coded.trained_rows() as u64,
            state.lists.as_ref().map_or(0, |lists| lists.trained) as u64,
        ],
        log: writer.at,
        sections: writer.sections,
    };
    let mut out = writer.out;
    out.seek(SeekFrom::Start(0)).map_err(io("cannot write"))?;
    out.write_all(&header.encode())
        .map_err(io("cannot write"))?;
    out.flush().map_err(io("cannot write"))?;
    drop(out);
    file.sync_all().map_err(io("cannot sync"))?;
    Ok(header)
}

/// The rows that searches compare, and what they were trained to.
fn codes(writer: &mut Writer<'_>, coded: &Coded) -> Result<()> {
    match coded {
        Coded::Full => Ok(()),
        Coded::Half(halves) => {
            writer.section(Tag::Codes, |w| halves.rows.pieces(|bytes| w.put(bytes)))
        }
        Coded::Int8(codes) => {
            writer.section(Tag::Codes, |w| codes.rows.pieces(|bytes| w.put(bytes)))?;
            writer.section(Tag::Scales, |w| w.put(bytemuck::cast_slice(&codes.scales)))
        }
        Coded::Packed(packed) => {
            writer.section(Tag::Codes, |w| packed.rows.pieces(|bytes| w.put(bytes)))
        }
        Coded::Binary(signs) => {
            let Some(thresholds) = &signs.thresholds else {
                return Ok(());
            };
            writer.section(Tag::Codes, |w| signs.rows.pieces(|bytes| w.put(bytes)))?;
            writer.section(Tag::Book, |w| w.put(bytemuck::cast_slice(thresholds)))
        }
        Coded::Pq(products) => {
            let Some(book) = &products.book else {
                return Ok(());
            };
            writer.section(Tag::Codes, |w| products.rows.pieces(|bytes| w.put(bytes)))?;
            writer.section(Tag::Book, |w| w.put(bytemuck::cast_slice(&book.values)))
        }
    }
}

/// Makes a rename in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Only Unix lets a folder be opened and synced; elsewhere the rename is as durable as it gets.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::io("cannot sync the folder of", path))?;
    }
    Ok(())
}
