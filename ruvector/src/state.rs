//! What searches read: rows, ids, payloads. Changed by one writer at a time.

use std::collections::HashMap;

use serde_json::Value;

use crate::arena::{Arena, padded};
use crate::bits::{Bit, Bits};
use crate::builder::{Config, Quantization};
use crate::error::Result;
use crate::exact;
use crate::file::blocks::Blocks;
use crate::filter::Filter;
use crate::int8::Codes;
use crate::payload::{Encoded, Payloads};
use crate::pool::Pool;
use crate::space::{CodeSpace, FullSpace, Probe};

/// A vector that was checked and, where the metric asks for it, normalised.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: u64,
    pub vector: Box<[f32]>,
    pub payload: Encoded,
}

/// All rows of an index. A row keeps its slot until the index is compacted.
pub(crate) struct State {
    pub config: Config,
    pub ids: Vec<u64>,
    pub by_id: HashMap<u64, u32>,
    /// Slots whose vector was deleted or replaced.
    pub deleted: Bits,
    pub dead: usize,
    pub originals: Arena<f32>,
    /// Checksums of the mapped originals that were not verified when the file was opened.
    pub blocks: Option<Blocks>,
    pub codes: Option<Codes>,
    pub payloads: Payloads,
}

/// What a search wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want<'f> {
    pub k: usize,
    /// How many candidates are ranked again by the originals.
    pub rerank: usize,
    pub filter: Option<&'f Filter>,
    pub min_score: f32,
}

impl State {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ids: Vec::new(),
            by_id: HashMap::new(),
            deleted: Bits::default(),
            dead: 0,
            originals: Arena::new(padded::<f32>(config.dim)),
            blocks: None,
            codes: (config.quantization == Quantization::Int8).then(|| Codes::new(config.dim)),
            payloads: Payloads::default(),
        }
    }

    /// Number of slots, deleted ones included.
    pub fn slots(&self) -> usize {
        self.ids.len()
    }

    pub fn live(&self) -> usize {
        self.ids.len() - self.dead
    }

    /// Bytes of memory that the rows take, without mapped pages.
    pub fn heap_bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, |codes| {
            codes.rows.heap_bytes() + codes.scales.capacity() * 8
        });
        // A hash table keeps a control byte an entry.
        let map = self.by_id.capacity() * 8 / 7 * (size_of::<(u64, u32)>() + 1);
        self.ids.capacity() * 8
            + map
            + self.deleted.heap_bytes()
            + self.originals.heap_bytes()
            + codes
            + self.payloads.heap_bytes()
    }

    /// Bytes that one more row takes.
    pub fn row_bytes(&self) -> usize {
        let codes = self
            .codes
            .as_ref()
            .map_or(0, |codes| codes.rows.stride() + 8);
        self.originals.stride() * 4 + codes + 8 + 20
    }

    /// Adds or replaces a row.
    pub fn upsert(&mut self, row: &Row) {
        let slot = self.ids.len() as u32;
        self.ids.push(row.id);
        self.deleted.push(Bit::Zero);
        self.originals.push(&row.vector);
        if let Some(codes) = &mut self.codes {
            codes.push(&row.vector);
        }
        self.payloads.set(slot, &row.payload);
        if let Some(old) = self.by_id.insert(row.id, slot) {
            self.bury(old);
        }
    }

    /// Removes a row; whether there was one.
    pub fn delete(&mut self, id: u64) -> Found {
        match self.by_id.remove(&id) {
            Some(slot) => {
                self.bury(slot);
                Found::Yes
            }
            None => Found::No,
        }
    }

    fn bury(&mut self, slot: u32) {
        self.deleted.set(slot);
        self.dead += 1;
        self.payloads.clear(slot);
    }

    /// Gives back what growing reserved.
    pub fn shrink(&mut self) {
        self.ids.shrink_to_fit();
        self.by_id.shrink_to_fit();
        self.originals.shrink();
        if let Some(codes) = &mut self.codes {
            codes.rows.shrink();
            codes.scales.shrink_to_fit();
        }
    }

    /// The original of a slot, with its checksum verified.
    pub fn original(&self, slot: u32) -> Result<&[f32]> {
        if let Some(blocks) = &self.blocks {
            blocks.verify(&self.originals, slot)?;
        }
        Ok(self.originals.row(slot))
    }

    pub fn payload(&self, slot: u32) -> Option<Value> {
        self.payloads.get(slot)
    }

    /// The slots that a search may return, if not all.
    fn allowed(&self, filter: Option<&Filter>) -> Option<Bits> {
        match filter {
            None if self.dead == 0 => None,
            None => {
                let mut bits = self.deleted.clone();
                bits.invert();
                Some(bits)
            }
            Some(filter) => {
                let mut bits = filter.matching(&self.payloads, self.slots());
                bits.and_not(&self.deleted);
                Some(bits)
            }
        }
    }

    /// The nearest slots with their scores, the nearest first.
    pub fn nearest(&self, vector: &[f32], want: &Want<'_>) -> Result<Vec<(u32, f32)>> {
        let probe = Probe::new(vector);
        let metric = self.config.metric;
        let allowed = self.allowed(want.filter);
        let mut pool = Pool::default();
        pool.reset(want.rerank.max(want.k).min(self.slots()).max(1));
        let all = 0..self.slots() as u32;
        match (&self.codes, &allowed) {
            (Some(codes), None) => {
                exact::scan(&CodeSpace::new(codes, metric), &probe, all, &mut pool)
            }
            (Some(codes), Some(bits)) => {
                exact::scan(
                    &CodeSpace::new(codes, metric),
                    &probe,
                    bits.ones(),
                    &mut pool,
                );
            }
            (None, None) => exact::scan(
                &FullSpace::new(&self.originals, metric),
                &probe,
                all,
                &mut pool,
            ),
            (None, Some(bits)) => {
                exact::scan(
                    &FullSpace::new(&self.originals, metric),
                    &probe,
                    bits.ones(),
                    &mut pool,
                );
            }
        }
        self.rank(&probe, &pool, want)
    }

    /// Orders candidates by the originals and keeps the `k` nearest.
    fn rank(&self, probe: &Probe, pool: &Pool, want: &Want<'_>) -> Result<Vec<(u32, f32)>> {
        let full = FullSpace::new(&self.originals, self.config.metric);
        let mut ranked = Vec::with_capacity(pool.items().len());
        for near in pool.items() {
            let slot = near.slot();
            let distance = full.distance(&probe.full, self.original(slot)?);
            ranked.push((slot, distance));
        }
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
        ranked.truncate(want.k);
        Ok(ranked
            .into_iter()
            .map(|(slot, distance)| (slot, self.config.metric.score(distance)))
            .filter(|(_, score)| *score >= want.min_score)
            .collect())
    }
}

/// Whether an id was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Yes,
    No,
}
