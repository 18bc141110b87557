//! ruvector.

use std::path::Path;

use anyhow::{Context, Result};
use ruvector::{Index, IndexKind, Quantization};

use crate::engine::{Engine, Metric};
use crate::npy::Rows;
use crate::{Kind, Options};

pub struct Ours {
    options: Options,
    index: Option<Index>,
    effort: usize,
    label: [String; 3],
}

impl Ours {
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            index: None,
            effort: 0,
            label: Default::default(),
        }
    }

    fn hold(&mut self, index: Index) {
        let stats = index.stats();
        self.label = ["ruvector", stats.search, stats.quantization.name()].map(str::to_owned);
        self.index = Some(index);
    }

    fn index(&self) -> Result<&Index> {
        self.index.as_ref().context("no index")
    }
}

/// An empty index in memory with what was asked for.
pub fn fresh(options: &Options, dim: usize) -> Result<Index> {
    let metric = match options.metric {
        Metric::Cosine => ruvector::Metric::Cosine,
        Metric::Dot => ruvector::Metric::Dot,
        Metric::L2 => ruvector::Metric::L2,
    };
    let kind = match options.kind {
        Kind::Auto => IndexKind::Auto,
        Kind::Exact => IndexKind::Exact,
        Kind::Hnsw => IndexKind::Hnsw,
        Kind::Ivf => IndexKind::Ivf,
        Kind::Ivfpq => IndexKind::IvfPq,
    };
    Ok(Index::builder(dim)
        .metric(metric)
        .kind(kind)
        .quantization(quantization(options, dim))
        .links(options.links)
        .build_effort(options.build_effort)
        .build()?)
}

/// The instruction set that ruvector runs with; `RUVECTOR_KERNELS` names another.
pub fn kernels() -> Result<&'static str> {
    Ok(Index::builder(1).build()?.stats().kernels)
}

fn quantization(options: &Options, dim: usize) -> Quantization {
    use crate::Quantization as Asked;
    let asked = match (options.quantization, options.kind) {
        (_, Kind::Ivfpq) => Asked::Pq,
        (None, _) => Asked::Int8,
        (Some(asked), _) => asked,
    };
    match asked {
        Asked::None => Quantization::None,
        Asked::F16 => Quantization::F16,
        Asked::Int8 => Quantization::Int8,
        Asked::Pq => Quantization::Pq {
            subspaces: options.subspaces.unwrap_or(dim.div_ceil(4) as u16),
        },
        Asked::Binary => Quantization::Binary,
    }
}

impl Engine for Ours {
    fn label(&self) -> [&str; 3] {
        [&self.label[0], &self.label[1], &self.label[2]]
    }

    fn build(&mut self, base: &Rows) -> Result<()> {
        let index = fresh(&self.options, base.dim)?;
        let ids: Vec<u64> = (0..base.rows() as u64).collect();
        index.upsert_batch(&ids, &base.values, Vec::new())?;
        self.hold(index);
        Ok(())
    }

    fn save(&self, file: &Path) -> Result<()> {
        Ok(self.index()?.save(file)?)
    }

    fn open(&mut self, file: &Path, _dim: usize) -> Result<()> {
        self.hold(Index::open(file)?);
        Ok(())
    }

    fn set_effort(&mut self, effort: usize) -> Result<()> {
        self.effort = effort;
        Ok(())
    }

    fn has_effort(&self) -> bool {
        self.label[1] != "exact"
    }

    fn search(&self, query: &[f32], k: usize, out: &mut Vec<u64>) -> Result<()> {
        let mut search = self.index()?.search(query, k);
        if self.has_effort() && self.effort > 0 {
            search = search.effort(self.effort);
        }
        out.clear();
        out.extend(search.run()?.iter().map(|hit| hit.id));
        Ok(())
    }

    fn index_bytes(&self) -> Option<usize> {
        let index = self.index.as_ref()?;
        let stats = index.stats();
        Some(stats.heap_bytes + stats.mapped_bytes - stats.mapped_original_bytes)
    }
}
