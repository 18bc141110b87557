//! A navigable small-world graph in layers (HNSW; Malkov and Yashunin, 2016), compact.
//!
//! Layout: the rows of layer 0 have one fixed stride, `[degree | up to 2M-1 ids]`, which for M = 16
//! is two cache lines. Upper rows, `[degree | up to M ids]`, lie in an arena of their own; a node of
//! level L has L of them in a row. A node's number is its slot.
//!
//! Building: nodes come in batches. The neighbours of a batch are searched in the graph as it was
//! before the batch and among the earlier nodes of the batch, by any number of threads; then rows
//! that got too many links are thinned, again by any number of threads; then all rows are written.
//! No step depends on the number of threads, so the same rows, seed and batches give the same
//! graph, bit for bit. (The idea of batches: ParlayANN, Dobson et al., 2023.)
//!
//! Links are thinned by the diversity rule of the paper: a candidate is kept only if it is nearer
//! to the node than to any neighbour that was kept before it.

mod build;
mod heal;
mod search;
mod visited;

pub(crate) use build::Change;
pub(crate) use search::{Guide, Scratch};

use crate::arena::{Arena, padded};
use crate::random::Random;

/// Marks a node without upper rows.
const NONE: u32 = u32::MAX;
/// Highest level of a node; at M = 16 a graph of 2^31 nodes has about 8 levels.
pub(crate) const LEVEL_MAX: u8 = 15;
/// Most nodes that are inserted at once.
pub(crate) const BATCH_MAX: usize = 128;

/// Options of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Links of a new node in each layer.
    pub m: usize,
    /// Candidates that are looked at for a new node.
    pub ef_construction: usize,
    /// Decides the levels.
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            m: 16,
            ef_construction: 128,
            seed: 0x5eed_ed9e,
        }
    }
}

/// The links between slots.
pub(crate) struct Graph {
    shape: Shape,
    layer0: Arena<u32>,
    levels: Vec<u8>,
    /// First upper row of each node.
    upper_start: Vec<u32>,
    upper: Arena<u32>,
    entry: Option<u32>,
}

impl Graph {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            layer0: Arena::new(stride0(shape.m)),
            levels: Vec::new(),
            upper_start: Vec::new(),
            upper: Arena::new(stride_upper(shape.m)),
            entry: None,
        }
    }

    /// A graph from its parts, whose ids and degrees are checked; the error says what does not fit.
    pub fn from_parts(
        shape: Shape,
        layer0: Arena<u32>,
        levels: Vec<u8>,
        upper: Arena<u32>,
        entry: Option<u32>,
    ) -> Result<Self, &'static str> {
        let nodes = levels.len();
        let mut upper_start = Vec::with_capacity(nodes);
        let mut next = 0_u32;
        for level in &levels {
            if *level > LEVEL_MAX {
                return Err("a level is out of range");
            }
            upper_start.push(if *level == 0 { NONE } else { next });
            next = next
                .checked_add(u32::from(*level))
                .ok_or("there are too many upper rows")?;
        }
        let graph = Self {
            shape,
            layer0,
            levels,
            upper_start,
            upper,
            entry,
        };
        if graph.layer0.rows() != nodes || graph.upper.rows() != next as usize {
            return Err("the number of rows does not fit the levels");
        }
        let top = graph.levels.iter().max();
        let entry_level = entry.and_then(|entry| graph.levels.get(entry as usize));
        if top != entry_level {
            return Err("the entry point is not on the top level");
        }
        for slot in 0..nodes as u32 {
            for layer in 0..=graph.levels[slot as usize] {
                let row = graph.full_row(slot, layer);
                let degree = row.first().map_or(0, |degree| *degree as usize);
                let ids = row.get(1..1 + degree).ok_or("a degree is out of range")?;
                let fits = |id: &u32| {
                    graph
                        .levels
                        .get(*id as usize)
                        .is_some_and(|level| *level >= layer)
                };
                if !ids.iter().all(fits) {
                    return Err("a link leads out of the graph");
                }
            }
        }
        Ok(graph)
    }

    /// Number of nodes; slots from here on have no links yet.
    pub fn nodes(&self) -> usize {
        self.levels.len()
    }

    pub fn entry(&self) -> Option<u32> {
        self.entry
    }

    pub fn levels(&self) -> &[u8] {
        &self.levels
    }

    pub fn layer0(&self) -> &Arena<u32> {
        &self.layer0
    }

    pub fn upper(&self) -> &Arena<u32> {
        &self.upper
    }

    /// Takes rows that lie in a file in the place of equal ones in memory.
    pub fn attach(&mut self, layer0: Arena<u32>, upper: Arena<u32>) {
        self.layer0 = layer0;
        self.upper = upper;
    }

    pub fn shrink(&mut self) {
        self.layer0.shrink();
        self.upper.shrink();
        self.levels.shrink_to_fit();
        self.upper_start.shrink_to_fit();
    }

    pub fn heap_bytes(&self) -> usize {
        self.layer0.heap_bytes()
            + self.upper.heap_bytes()
            + self.levels.capacity()
            + self.upper_start.capacity() * 4
    }

    /// Bytes that one more node takes, on average.
    pub fn node_bytes(&self) -> usize {
        let upper = self.upper.stride() * 4 / self.shape.m;
        self.layer0.stride() * 4 + upper + 5
    }

    fn top(&self) -> u8 {
        self.entry
            .and_then(|entry| self.levels.get(entry as usize))
            .map_or(0, |level| *level)
    }

    /// The level of a slot: geometric with factor `1 / M`, from the seed and the slot alone.
    fn level_of(&self, slot: u32) -> u8 {
        let random = Random::new(self.shape.seed ^ Random::new(u64::from(slot)).next()).next();
        // 53 bits in (0, 1].
        let unit = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let level = -unit.ln() / (self.shape.m as f64).ln();
        (level as u8).min(LEVEL_MAX)
    }

    /// Most links of a node in a layer.
    fn capacity(&self, layer: u8) -> usize {
        match layer {
            0 => self.layer0.stride() - 1,
            _ => self.shape.m,
        }
    }

    /// A whole row: its degree, its links, then what lies behind them.
    #[inline(always)]
    fn full_row(&self, slot: u32, layer: u8) -> &[u32] {
        match layer {
            0 => self.layer0.row(slot),
            _ => self
                .upper
                .row(self.upper_start[slot as usize] + u32::from(layer) - 1),
        }
    }

    /// The links of a node.
    #[inline(always)]
    fn links(&self, slot: u32, layer: u8) -> &[u32] {
        let row = self.full_row(slot, layer);
        &row[1..=row[0] as usize]
    }
}

/// Values in a row of layer 0.
pub(crate) fn stride0(m: usize) -> usize {
    padded::<u32>(2 * m)
}

/// Values in a row of an upper layer.
pub(crate) fn stride_upper(m: usize) -> usize {
    m + 1
}
