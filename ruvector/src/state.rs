//! What searches read: rows, ids, payloads, links. Changed by one writer at a time.
//!
//! A change comes in three steps, so that the long one only reads: rows are staged (no search sees
//! them), their links are planned and applied batch by batch, and all of them are published at once.

use std::collections::HashMap;

use serde_json::Value;

use crate::arena::{Arena, padded};
use crate::bits::{Bit, Bits};
use crate::builder::Config;
use crate::codes::{self, Coded};
use crate::error::Result;
use crate::file::blocks::Blocks;
use crate::graph::{Change, Graph};
use crate::lists::Lists;
use crate::payload::{Encoded, Payloads};
use crate::vector::{Vector, words};

/// A row that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: u64,
    pub vector: Vector,
    pub payload: Encoded,
}

/// All rows of an index. A row keeps its slot until the index is compacted.
pub(crate) struct State {
    pub config: Config,
    pub ids: Vec<u64>,
    pub by_id: HashMap<u64, u32>,
    /// Slots that searches may return; the others were deleted, replaced, or not published yet.
    pub live: Bits,
    /// Rows of no components under Hamming, where the codes are the vectors.
    pub originals: Arena<f32>,
    /// Checksums of the mapped originals that were not verified when the file was opened.
    pub blocks: Option<Blocks>,
    pub coded: Coded,
    pub graph: Option<Graph>,
    pub lists: Option<Lists>,
    pub payloads: Payloads,
}

/// What is next to be written.
pub(crate) enum Plan {
    /// Codes from a new training.
    Codes(Coded),
    /// Lists from a new training.
    Lists(Lists),
    /// The lists of the next rows.
    Members(Vec<u32>),
    Batch(Change),
    /// The scan gives way to a graph.
    Whole(Graph),
}

/// Runs an expression with `space` as rows that are exact enough to be linked by.
macro_rules! with_build_space {
    ($state:expr, $space:ident => $body:expr) => {{
        use crate::codes::{Coded, half::HalfSpace, int8::CodeSpace, packed::PackedSpace};
        let metric = $state.config.metric;
        match &$state.coded {
            Coded::Half(halves) => {
                let $space = &HalfSpace::new(halves, metric);
                $body
            }
            Coded::Int8(codes) => {
                let $space = &CodeSpace::new(codes, metric);
                $body
            }
            Coded::Packed(packed) => {
                let $space = &PackedSpace::new(packed);
                $body
            }
            Coded::Full | Coded::Binary(_) | Coded::Pq(_) => {
                let $space = &crate::space::FullSpace::new(&$state.originals, metric);
                $body
            }
        }
    }};
}
pub(crate) use with_build_space;

/// Runs an expression with `space` as the rows that searches compare.
macro_rules! with_space {
    ($state:expr, $space:ident => $body:expr) => {{
        use crate::codes::{Coded, binary::*, pq::*};
        match &$state.coded {
            Coded::Binary(Signs {
                thresholds: Some(thresholds),
                rows,
                ..
            }) => {
                let $space = &SignSpace::new(rows, thresholds);
                $body
            }
            Coded::Pq(Products {
                book: Some(book),
                rows,
                ..
            }) => {
                let $space = &ProductSpace::new(rows, book, $state.config.metric);
                $body
            }
            _ => crate::state::with_build_space!($state, $space => $body),
        }
    }};
}
pub(crate) use with_space;

impl State {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ids: Vec::new(),
            by_id: HashMap::new(),
            live: Bits::default(),
            originals: Arena::new(padded::<f32>(config.original_dim())),
            blocks: None,
            coded: Coded::new(&config),
            graph: None,
            lists: None,
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
        // A hash table keeps a control byte an entry.
        let map = self.by_id.capacity() * 8 / 7 * (size_of::<(u64, u32)>() + 1);
        self.ids.capacity() * 8
            + map
            + self.live.heap_bytes()
            + self.originals.heap_bytes()
            + self.coded.heap_bytes()
            + self.graph.as_ref().map_or(0, Graph::heap_bytes)
            + self.lists.as_ref().map_or(0, Lists::heap_bytes)
            + self.payloads.heap_bytes()
    }

    /// Bytes that one more row takes.
    pub fn row_bytes(&self) -> usize {
        let links = self.graph.as_ref().map_or(0, Graph::node_bytes);
        // A slot stands in its list, and its list by the slot.
        let lists = self.lists.as_ref().map_or(0, |_| 8);
        self.originals.stride() * 4 + self.coded.row_bytes() + links + lists + 8 + 20
    }

    /// Adds rows that no search sees yet; returns the first slot.
    pub fn stage(&mut self, rows: &[Row]) -> u32 {
        let first = self.ids.len() as u32;
        for row in rows {
            self.ids.push(row.id);
            self.live.push(Bit::Zero);
            match (&row.vector, &mut self.coded) {
                (Vector::Bits(words), Coded::Packed(packed)) => {
                    packed.rows.push(words);
                    self.originals.push(&[]);
                }
                (Vector::Floats(floats), coded) => {
                    self.originals.push(floats);
                    coded.push(floats);
                }
                // Bits come in under Hamming only, whose codes are packed.
                (Vector::Bits(_), _) => {}
            }
        }
        first
    }

    /// Codes from a new training, where one is due.
    fn trained_anew(&self) -> Option<Coded> {
        let Config { dim, shape, .. } = self.config;
        let due = self.coded.wants_training(self.slots());
        due.then(|| self.coded.trained(&self.originals, dim, shape.seed))
            .flatten()
    }

    /// What is next to be done for rows that were staged: trainings, then links or lists. None when
    /// all rows can be found.
    pub fn plan(&self, threads: usize) -> Option<Plan> {
        let slots = self.slots();
        let Config { dim, shape, .. } = self.config;
        if let Some(coded) = self.trained_anew() {
            return Some(Plan::Codes(coded));
        }
        if self.config.wants_lists() {
            let trained = self.lists.as_ref().map_or(0, |lists| lists.trained);
            return match &self.lists {
                _ if codes::wants_training(slots, trained) => {
                    let lists = Lists::train(&self.originals, dim, shape.seed, threads);
                    Some(Plan::Lists(lists))
                }
                Some(lists) if lists.slots() < slots => {
                    Some(Plan::Members(lists.plan(&self.originals, threads)))
                }
                _ => None,
            };
        }
        with_build_space!(self, space => match &self.graph {
            Some(graph) if graph.nodes() < slots => {
                let last = slots.min(graph.nodes() + graph.batch());
                Some(Plan::Batch(graph.plan(space, graph.nodes() as u32..last as u32, threads)))
            }
            None if self.config.wants_graph(slots) => {
                let mut graph = Graph::new(shape);
                graph.grow(space, slots, threads);
                Some(Plan::Whole(graph))
            }
            Some(_) | None => None,
        })
    }

    /// Writes what was planned.
    pub fn apply(&mut self, plan: Plan) {
        match plan {
            Plan::Batch(change) => {
                if let Some(graph) = &mut self.graph {
                    graph.apply(change);
                }
            }
            Plan::Whole(graph) => self.graph = Some(graph),
            Plan::Codes(coded) => self.coded = coded,
            Plan::Lists(lists) => self.lists = Some(lists),
            Plan::Members(of) => {
                if let Some(lists) = &mut self.lists {
                    lists.apply(&of);
                }
            }
        }
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
        while let Some(plan) = self.plan(threads) {
            self.apply(plan);
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
                vector: self.vector(*old)?,
                payload: Encoded::parse(self.payloads.text(*old)).unwrap_or_default(),
            };
            let rows = std::slice::from_ref(&row);
            let first = fresh.stage(rows);
            fresh.publish(first, rows);
        }
        if let Some(coded) = fresh.trained_anew() {
            fresh.coded = coded;
        }
        fresh.lists = self
            .lists
            .as_ref()
            .filter(|_| stay.len() >= codes::TRAIN_ROWS_MIN)
            .map(|lists| lists.without(&stay));
        if self.config.wants_graph(stay.len())
            && let Some(graph) = &self.graph
        {
            let healed = with_build_space!(fresh, space => {
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
        self.coded.shrink();
        if let Some(lists) = &mut self.lists {
            lists.shrink();
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

    /// The vector of a slot, as it came in.
    pub fn vector(&self, slot: u32) -> Result<Vector> {
        let dim = self.config.dim;
        Ok(match &self.coded {
            Coded::Packed(packed) => Vector::Bits(packed.rows.row(slot)[..words(dim)].into()),
            _ => Vector::Floats(self.original(slot)?[..dim].into()),
        })
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
