//! A search and what it finds.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::index::Index;
use crate::lookup::Want;

/// A vector that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The id that it was stored under.
    pub id: u64,
    /// How near it is, higher is nearer; see [`Metric`](crate::Metric) for the unit.
    pub score: f32,
    /// The payload that it was stored with, if any.
    pub payload: Option<Value>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Query<'a> {
    Floats(&'a [f32]),
    /// Eight a byte.
    Bits(&'a [u8]),
}

/// A search that is being described; [`Search::run`] does it.
#[derive(Debug, Clone)]
#[must_use = "a search does nothing until `run`"]
pub struct Search<'a> {
    pub(crate) index: &'a Index,
    pub(crate) query: Query<'a>,
    pub(crate) k: usize,
    pub(crate) filter: Option<Filter>,
    pub(crate) effort: usize,
    pub(crate) rerank: Option<usize>,
    pub(crate) min_score: f32,
}

/// Most neighbours of one search.
pub const K_MAX: usize = 100_000;

/// What [`Search::effort`] is when nothing is said.
pub const EFFORT_DEFAULT: usize = 96;

impl Search<'_> {
    /// Only vectors whose payload meets the condition. All `k` are found if `k` vectors meet it.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// How many candidates a walk through the graph keeps, at least `k`. More effort, more recall and slower. Of
    /// inverted lists one is looked at for every 4 of it. Default: [`EFFORT_DEFAULT`]. A scan does not use it.
    pub fn effort(mut self, candidates: usize) -> Self {
        self.effort = candidates;
        self
    }

    /// How many candidates are ranked again by the originals. Default: under
    /// [`Quantization::Int8`](crate::Quantization::Int8) all whose codes leave it open whether they are among the
    /// `k` nearest; under coarser quantizations `effort`, and at least 10 or 30 `k`.
    pub fn rerank(mut self, candidates: usize) -> Self {
        self.rerank = Some(candidates);
        self
    }

    /// Leaves out hits with a lower score.
    pub fn min_score(mut self, score: f32) -> Self {
        self.min_score = score;
        self
    }

    /// Searches. The nearest hit is first; there are fewer than `k` only if fewer qualify.
    ///
    /// # Errors
    /// [`Error::ZeroK`], [`Error::Option`] for `k` over [`K_MAX`], [`Error::Dimension`], [`Error::NotFinite`],
    /// [`Error::ZeroVector`], for bits [`Error::BitBytes`], [`Error::BitsBeyond`] and [`Error::Unsupported`];
    /// [`Error::Corrupt`] if a mapped original does not match its checksum.
    pub fn run(self) -> Result<Vec<Hit>> {
        if self.k == 0 {
            return Err(Error::ZeroK);
        }
        if self.k > K_MAX {
            return Err(Error::Option {
                option: "k",
                got: self.k as u64,
                allowed: "1..=100000",
            });
        }
        let want = Want {
            k: self.k,
            effort: self.effort.min(2 * K_MAX),
            rerank: self.rerank.map(|candidates| candidates.min(2 * K_MAX)),
            filter: self.filter.as_ref(),
            min_score: self.min_score,
        };
        self.index.find(self.query, &want)
    }
}
