//! Reading a snapshot: every checksum, length, id and offset is checked before it is used.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::blocks::Blocks;
use super::layout::{BLOCK, Header, PAGE, Tag, corrupt, sums_match, u32_at};
use super::map;
use crate::arena::{Arena, Region, padded};
use crate::bits::Bits;
use crate::codes::Coded;
use crate::codes::half::are_finite;
use crate::codes::int8::Scale;
use crate::error::{Error, Result};
use crate::graph::{self, Graph};
use crate::lists::Lists;
use crate::payload::{Encoded, PAYLOAD_BYTES_MAX};
use crate::state::State;
use crate::vector::ends_clean;

/// The parts of a state that can lie in the file.
pub(crate) struct Mapped {
    originals: Arena<f32>,
    blocks: Blocks,
    codes: Option<Region>,
    slots: usize,
    links: Option<Links>,
    path: PathBuf,
}

/// The rows of a graph.
struct Links {
    layer0: Arena<u32>,
    upper: Arena<u32>,
}

impl Mapped {
    /// Maps the rows of a snapshot; their checksums are not looked at.
    pub fn of(file: &File, map: &Arc<Mmap>, header: &Header, path: &Path) -> Result<Self> {
        let config = header.config;
        let bad = |tag: Tag| corrupt(path, tag.name(), "its length does not fit the header");
        let region = |tag: Tag| {
            let (range, _) = header.range(tag).ok_or_else(|| bad(tag))?;
            Ok(Region::Shared(Arc::clone(map), range))
        };
        let originals = Arena::mapped(
            padded::<f32>(config.original_dim()),
            header.slots,
            region(Tag::Originals)?,
        )
        .ok_or_else(|| bad(Tag::Originals))?;
        // Codes that need a training have no section before it.
        let codes = header.range(Tag::Codes).map(|_| region(Tag::Codes));
        let (range, _) = header.range(Tag::Blocks).ok_or_else(|| bad(Tag::Blocks))?;
        let sums = bytemuck::pod_collect_to_vec::<u8, u32>(&map[range]);
        if sums.len() != originals.region_bytes().len().div_ceil(BLOCK) {
            return Err(bad(Tag::Blocks));
        }
        let rows = |tag: Tag, stride: usize| -> Result<Arena<u32>> {
            let (range, _) = header.range(tag).ok_or_else(|| bad(tag))?;
            let size = stride * size_of::<u32>();
            if range.len() % size != 0 || range.end > map.len() {
                return Err(bad(tag));
            }
            if range.is_empty() {
                return Ok(Arena::new(stride));
            }
            let count = range.len() / size;
            let region = Region::Private(map::private(file, range, path)?);
            Arena::mapped(stride, count, region).ok_or_else(|| bad(tag))
        };
        let links = match header.range(Tag::Links) {
            Some(_) => Some(Links {
                layer0: rows(Tag::Links, graph::stride0(config.shape.m))?,
                upper: rows(Tag::Upper, graph::stride_upper(config.shape.m))?,
            }),
            None => None,
        };
        Ok(Self {
            originals,
            blocks: Blocks::new(path.into(), sums),
            codes: codes.transpose()?,
            slots: header.slots,
            links,
            path: path.into(),
        })
    }

    /// Puts the mapped rows in the place of those in memory, which they equal.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the section of codes is too short.
    pub fn attach(self, state: &mut State) -> Result<()> {
        state.originals = self.originals;
        state.blocks = Some(self.blocks);
        if let (Some(rows), Some(region)) = (state.coded.rows_mut(), self.codes)
            && !rows.map(self.slots, region)
        {
            return Err(corrupt(
                &self.path,
                Tag::Codes.name(),
                "its length does not fit the header",
            ));
        }
        if let (Some(graph), Some(links)) = (&mut state.graph, self.links) {
            graph.attach(links.layer0, links.upper);
        }
        Ok(())
    }
}

/// What is read beside the mapping.
pub(crate) struct Loaded {
    pub state: State,
    pub header: Header,
    /// Bytes behind the snapshot.
    pub log: Vec<u8>,
}

/// Reads the snapshot of a file.
pub(crate) fn load(file: &File, path: &Path) -> Result<Loaded> {
    let length = file
        .metadata()
        .map_err(Error::io("cannot read the size of", path))?
        .len();
    let length = usize::try_from(length).map_err(|_| corrupt(path, "header", "it is too long"))?;
    if length == 0 {
        return Err(Error::NotAnIndex { path: path.into() });
    }
    let whole = map::shared(file, length, path)?;
    let first = &whole[..length.min(PAGE as usize)];
    let header = Header::decode(first, length as u64, path)?;
    let end = header.log as usize;
    let log = whole[end..].to_vec();
    drop(whole);
    let map = Arc::new(map::shared(file, end, path)?);
    let section = |tag: Tag| verified(&map, &header, tag, path);
    let bad = |tag: Tag, why: &str| corrupt(path, tag.name(), why);

    let slots = header.slots;
    let mut state = State::new(header.config);
    state.ids = bytemuck::pod_collect_to_vec(section(Tag::Ids)?);
    if state.ids.len() != slots {
        return Err(bad(Tag::Ids, "its length does not fit the header"));
    }
    let words = bytemuck::pod_collect_to_vec(section(Tag::Live)?);
    state.live = Bits::from_words(words, slots)
        .ok_or_else(|| bad(Tag::Live, "its length does not fit the header"))?;
    state.by_id.reserve(state.live.count());
    for (slot, id) in state.ids.iter().enumerate() {
        let slot = slot as u32;
        if state.live.get(slot) && state.by_id.insert(*id, slot).is_some() {
            return Err(bad(Tag::Ids, "an id stands twice"));
        }
    }
    section(Tag::Blocks)?;
    codes(&mut state, &header, &section, path)?;
    if matches!(state.coded, Coded::Full) {
        // Without codes the search itself reads the originals.
        section(Tag::Originals)?;
    }
    if header.range(Tag::Lists).is_some() {
        let of: Vec<u32> = bytemuck::pod_collect_to_vec(section(Tag::Lists)?);
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(section(Tag::Centres)?);
        let mut centres = Arena::new(padded::<f32>(header.config.dim));
        values
            .chunks(centres.stride())
            .for_each(|row| centres.push(row));
        let trained = usize::try_from(header.trained[1]).unwrap_or(usize::MAX);
        let fits = of.len() == slots && values.iter().all(|x| x.is_finite());
        state.lists = Some(fits)
            .filter(|fits| *fits)
            .and_then(|_| Lists::from_parts(centres, of, trained))
            .ok_or_else(|| bad(Tag::Lists, "a list is out of range"))
            .map(Some)?;
    }
    payloads(&mut state, section(Tag::Payloads)?).map_err(|why| bad(Tag::Payloads, why))?;
    let mut mapped = Mapped::of(file, &map, &header, path)?;
    if let Some(links) = mapped.links.take() {
        section(Tag::Links)?;
        section(Tag::Upper)?;
        let levels = section(Tag::Levels)?.to_vec();
        if levels.len() != slots {
            return Err(bad(Tag::Levels, "its length does not fit the header"));
        }
        let shape = header.config.shape;
        let graph = Graph::from_parts(shape, links.layer0, levels, links.upper, header.entry)
            .map_err(|why| bad(Tag::Links, why))?;
        state.graph = Some(graph);
    }
    mapped.attach(&mut state)?;
    Ok(Loaded { state, header, log })
}

/// Reads what codes were trained to and checks the codes, which are mapped later.
fn codes<'m>(
    state: &mut State,
    header: &Header,
    section: &impl Fn(Tag) -> Result<&'m [u8]>,
    path: &Path,
) -> Result<()> {
    let bad = |tag: Tag, why: &str| corrupt(path, tag.name(), why);
    let range = || bad(Tag::Codes, "a code is out of range");
    let trained = usize::try_from(header.trained[0]).unwrap_or(usize::MAX);
    let has_book = header.range(Tag::Book).is_some();
    match &mut state.coded {
        Coded::Full => {}
        Coded::Half(_) => {
            let bits: Vec<u16> = bytemuck::pod_collect_to_vec(section(Tag::Codes)?);
            if !are_finite(&bits) {
                return Err(range());
            }
        }
        Coded::Int8(codes) => {
            if section(Tag::Codes)?.contains(&0x80) {
                return Err(range());
            }
            codes.scales = scales(section(Tag::Scales)?, header.slots, path)?;
        }
        Coded::Packed(packed) => {
            let words: Vec<u64> = bytemuck::pod_collect_to_vec(section(Tag::Codes)?);
            let mut rows = words.chunks(packed.rows.stride());
            if !rows.all(|row| ends_clean(row, header.config.dim)) {
                return Err(range());
            }
        }
        Coded::Binary(signs) if has_book => {
            section(Tag::Codes)?;
            let thresholds: Vec<f32> = bytemuck::pod_collect_to_vec(section(Tag::Book)?);
            if thresholds.len() != signs.dim || !thresholds.iter().all(|x| x.is_finite()) {
                return Err(bad(Tag::Book, "a threshold is out of range"));
            }
            (signs.thresholds, signs.trained) = (Some(thresholds), trained);
        }
        Coded::Pq(products) if has_book => {
            section(Tag::Codes)?;
            let values = bytemuck::pod_collect_to_vec(section(Tag::Book)?);
            let book = products
                .book_of(values)
                .ok_or_else(|| bad(Tag::Book, "a trained part is out of range"))?;
            (products.book, products.trained) = (Some(book), trained);
        }
        // Written before the training.
        Coded::Binary(_) | Coded::Pq(_) => {}
    }
    Ok(())
}

/// The bytes of a section whose checksum matches.
fn verified<'m>(map: &'m Mmap, header: &Header, tag: Tag, path: &Path) -> Result<&'m [u8]> {
    let bad = |why: &str| corrupt(path, tag.name(), why);
    let (range, crc) = header.range(tag).ok_or_else(|| bad("it is missing"))?;
    let bytes = map.get(range).ok_or_else(|| bad("it ends too early"))?;
    if !sums_match(bytes, crc) {
        return Err(bad("its checksum does not match"));
    }
    Ok(bytes)
}

fn scales(bytes: &[u8], slots: usize, path: &Path) -> Result<Vec<Scale>> {
    let scales: Vec<Scale> = bytemuck::pod_collect_to_vec(bytes);
    let sane = |scale: &Scale| scale.step.is_finite() && scale.norm.is_finite();
    if scales.len() != slots || !scales.iter().all(sane) {
        return Err(corrupt(path, Tag::Scales.name(), "a scale is out of range"));
    }
    Ok(scales)
}

fn payloads(state: &mut State, mut bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let mut next = 0;
    while !bytes.is_empty() {
        let (slot, length) = (u32_at(bytes, 0), u32_at(bytes, 4) as usize);
        if slot < next || slot as usize >= state.slots() || length > PAYLOAD_BYTES_MAX {
            return Err("an entry is out of range");
        }
        let text = bytes.get(8..8 + length).ok_or("it ends inside an entry")?;
        let payload = Encoded::parse(text).ok_or("an entry is no JSON object")?;
        state
            .payloads
            .check([&payload], 0)
            .map_err(|_| "it has too many fields")?;
        state.payloads.set(slot, &payload);
        next = slot + 1;
        bytes = &bytes[8 + length..];
    }
    Ok(())
}

/// Checks the part that [`load`] leaves for the first read of each vector.
pub(crate) fn verify_originals(file: &File, header: &Header, path: &Path) -> Result<()> {
    let map = map::shared(file, header.log as usize, path)?;
    verified(&map, header, Tag::Originals, path).map(drop)
}
