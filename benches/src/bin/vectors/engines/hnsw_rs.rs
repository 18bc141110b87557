//! hnsw_rs, the pure Rust graph. It knows no quantisation, and reads its whole file when it opens.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use hnsw_rs::api::AnnT;
use hnsw_rs::hnswio::HnswIo;
use hnsw_rs::prelude::{DistDot, DistL2, Hnsw};

use crate::Options;
use crate::engine::{Engine, Metric};
use crate::npy::Rows;

/// Layers that are made room for.
const LAYERS_MAX: usize = 16;
/// The name that its files begin with.
const BASE_NAME: &str = "graph";

pub struct HnswRs {
    options: Options,
    graph: Option<Graph>,
    effort: usize,
}

enum Graph {
    /// Of rows that were normalised.
    Dot(Hnsw<'static, f32, DistDot>),
    L2(Hnsw<'static, f32, DistL2>),
}

impl HnswRs {
    pub fn new(options: &Options) -> Result<Self> {
        if options.metric == Metric::Dot {
            bail!("hnsw_rs has no inner product of rows that are not normalised: leave it out");
        }
        Ok(Self {
            options: options.clone(),
            graph: None,
            effort: options.k,
        })
    }

    fn graph(&self) -> Result<&Graph> {
        self.graph.as_ref().context("no index")
    }
}

impl Engine for HnswRs {
    fn label(&self) -> [&str; 3] {
        ["hnsw_rs", "hnsw", "none"]
    }

    fn build(&mut self, base: &Rows) -> Result<()> {
        let Options {
            links,
            build_effort,
            ..
        } = self.options;
        let rows = base.rows();
        self.graph = Some(match self.options.metric {
            Metric::L2 => {
                let graph = Hnsw::new(links, rows, LAYERS_MAX, build_effort, DistL2);
                base.iter()
                    .enumerate()
                    .for_each(|(id, row)| graph.insert((row, id)));
                Graph::L2(graph)
            }
            Metric::Cosine | Metric::Dot => {
                let graph = Hnsw::new(links, rows, LAYERS_MAX, build_effort, DistDot);
                let base = base.normalised();
                base.iter()
                    .enumerate()
                    .for_each(|(id, row)| graph.insert((row, id)));
                Graph::Dot(graph)
            }
        });
        Ok(())
    }

    fn save(&self, file: &Path) -> Result<()> {
        std::fs::create_dir_all(file)?;
        match self.graph()? {
            Graph::Dot(graph) => graph.file_dump(file, BASE_NAME),
            Graph::L2(graph) => graph.file_dump(file, BASE_NAME),
        }
        .map_err(|cause| anyhow!("{cause}"))?;
        Ok(())
    }

    fn open(&mut self, file: &Path, _dim: usize) -> Result<()> {
        // The graph borrows its reader for as long as it lives, which is as long as the process.
        let reader = Box::leak(Box::new(HnswIo::new(file, BASE_NAME)));
        let told = |cause| anyhow!("{cause}");
        self.graph = Some(match self.options.metric {
            Metric::L2 => Graph::L2(reader.load_hnsw().map_err(told)?),
            Metric::Cosine | Metric::Dot => Graph::Dot(reader.load_hnsw().map_err(told)?),
        });
        Ok(())
    }

    fn set_effort(&mut self, effort: usize) -> Result<()> {
        self.effort = effort;
        Ok(())
    }

    fn search(&self, query: &[f32], k: usize, out: &mut Vec<u64>) -> Result<()> {
        out.clear();
        let found = match self.graph()? {
            Graph::L2(graph) => graph.search(query, k, self.effort),
            Graph::Dot(graph) => {
                let query = Rows {
                    dim: query.len(),
                    values: query.to_vec(),
                };
                graph.search(&query.normalised().values, k, self.effort)
            }
        };
        out.extend(found.iter().map(|near| near.d_id as u64));
        Ok(())
    }
}
