//! What searches read: rows, ids, payloads, links. Changed by one writer at a time.
//!
//! A change comes in three steps, so that the long one only reads: rows are staged (no search sees
//! them), their links are planned and applied batch by batch, and all of them are published at once.

use std::collections::HashMap;

use serde_json::Value;

use crate::arena::{Arena, padded};
use crate::bits::{Bit, Bits};
use crate::builder::{Config, Quantization};
use crate::error::Result;
use crate::file::blocks::Blocks;
use crate::graph::{Change, Graph};
use crate::int8::Codes;
use crate::payload::{Encoded, Payloads};

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
    /// Slots that searches may return; the others were deleted, replaced, or not published yet.
    pub live: Bits,
    pub originals: Arena<f32>,
    /// Checksums of the mapped originals that were not verified when the file was opened.
    pub blocks: Option<Blocks>,
    pub codes: Option<Codes>,
    pub graph: Option<Graph>,
    pub payloads: Payloads,
}

/// The next links to be written.
pub(crate) enum Plan {
    /// All rows are linked, or there is no graph.
    Done,
    Batch(Change),
    /// The scan gives way to a graph.
    Whole(Graph),
}

/// Runs an expression with `space` as the rows that searches read.
macro_rules! with_space {
    ($state:expr, $space:ident => $body:expr) => {
        match &$state.codes {
            Some(codes) => {
                let $space = &crate::space::CodeSpace::new(codes, $state.config.metric);
                $body
            }
            None => {
                let $space = &crate::space::FullSpace::new(&$state.originals, $state.config.metric);
                $body
            }
        }
    };
}
pub(crate) use with_space;

impl State {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ids: Vec::new(),
            by_id: HashMap::new(),
            live: Bits::default(),
            originals: Arena::new(padded::<f32>(config.dim)),
            blocks: None,
            codes: (config.quantization == Quantization::Int8).then(|| Codes::new(config.dim)),
            graph: None,
            payloads: Payloads::default(),
        }
    }

    /// Number of slots, those that are not live included.
    pub fn slots(&self) -> usize {
        self.ids.len()
    }

    /// Number of vectors that searches can find.
    pub fn len(&self) -> usize {
        self.by_id.len()
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
            + self.live.heap_bytes()
            + self.originals.heap_bytes()
            + codes
            + self.graph.as_ref().map_or(0, Graph::heap_bytes)
            + self.payloads.heap_bytes()
    }

    /// Bytes that one more row takes.
    pub fn row_bytes(&self) -> usize {
        let codes = self
            .codes
            .as_ref()
            .map_or(0, |codes| codes.rows.stride() + 8);
        let links = self.graph.as_ref().map_or(0, Graph::node_bytes);
        self.originals.stride() * 4 + codes + links + 8 + 20
    }

    /// Adds rows that no search sees yet; returns the first slot.
    pub fn stage(&mut self, rows: &[Row]) -> u32 {
        let first = self.ids.len() as u32;
        for row in rows {
            self.ids.push(row.id);
            self.live.push(Bit::Zero);
            self.originals.push(&row.vector);
            if let Some(codes) = &mut self.codes {
                codes.push(&row.vector);
            }
        }
        first
    }

    /// The next links of rows that were staged.
    pub fn plan(&self, threads: usize) -> Plan {
        let slots = self.slots();
        with_space!(self, space => match &self.graph {
            Some(graph) if graph.nodes() < slots => {
                let last = slots.min(graph.nodes() + graph.batch());
                Plan::Batch(graph.plan(space, graph.nodes() as u32..last as u32, threads))
            }
            None if self.config.wants_graph(slots) => {
                let mut graph = Graph::new(self.config.shape);
                graph.grow(space, slots, threads);
                Plan::Whole(graph)
            }
            Some(_) | None => Plan::Done,
        })
    }

    /// Writes links; whether there may be more to plan.
    pub fn apply(&mut self, plan: Plan) -> More {
        match plan {
            Plan::Done => return More::No,
            Plan::Batch(change) => {
                if let Some(graph) = &mut self.graph {
                    graph.apply(change);
                }
            }
            Plan::Whole(graph) => self.graph = Some(graph),
        }
        More::Maybe
    }

    /// Lets searches see rows that were staged from `first` on, in the place of what their ids had.
    pub fn publish(&mut self, first: u32, rows: &[Row]) {
        for (slot, row) in (first..).zip(rows) {
            self.payloads.set(slot, &row.payload);
            self.live.set(slot);
            if let Some(old) = self.by_id.insert(row.id, slot) {
                self.bury(old);
            }
        }
    }

    /// All three steps, where nobody else reads.
    pub fn upsert(&mut self, rows: &[Row], threads: usize) {
        let first = self.stage(rows);
        loop {
            let plan = self.plan(threads);
            if self.apply(plan) == More::No {
                break;
            }
        }
        self.publish(first, rows);
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
        self.live.clear(slot);
        self.payloads.clear(slot);
    }

    /// A copy with live rows only, numbered anew, whose graph is healed.
    pub fn compacted(&self, threads: usize) -> Result<Self> {
        let stay: Vec<u32> = self.live.ones().collect();
        let mut renumber = vec![u32::MAX; self.slots()];
        let mut fresh = Self::new(self.config);
        for (new, old) in (0..).zip(&stay) {
            renumber[*old as usize] = new;
            let id = self.ids[*old as usize];
            let row = Row {
                id,
                vector: self.original(*old)?[..self.config.dim].into(),
                payload: Encoded::parse(self.payloads.text(*old)).unwrap_or_default(),
            };
            let rows = std::slice::from_ref(&row);
            let first = fresh.stage(rows);
            fresh.publish(first, rows);
        }
        if self.config.wants_graph(stay.len())
            && let Some(graph) = &self.graph
        {
            let healed = with_space!(fresh, space => {
                graph.without(space, &stay, &renumber, threads)
            });
            fresh.graph = Some(healed);
        }
        fresh.shrink();
        Ok(fresh)
    }

    /// Gives back what growing reserved.
    fn shrink(&mut self) {
        self.ids.shrink_to_fit();
        self.by_id.shrink_to_fit();
        self.originals.shrink();
        if let Some(codes) = &mut self.codes {
            codes.rows.shrink();
            codes.scales.shrink_to_fit();
        }
        if let Some(graph) = &mut self.graph {
            graph.shrink();
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
}

/// Whether an id was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Yes,
    No,
}

/// Whether rows may still be without links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Maybe,
    No,
}
