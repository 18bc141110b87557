//! usearch, the C++ library through its Rust crate.

use std::path::Path;

use anyhow::{Context, Result, bail};
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::engine::{Engine, Metric};
use crate::npy::Rows;
use crate::{Options, Quantization};

pub struct Usearch {
    options: Options,
    index: Option<Index>,
}

impl Usearch {
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            index: None,
        }
    }

    fn scalar(&self) -> (ScalarKind, &'static str) {
        match self.options.quantization {
            Some(Quantization::None) => (ScalarKind::F32, "none"),
            Some(Quantization::F16) => (ScalarKind::F16, "f16"),
            _ => (ScalarKind::I8, "int8"),
        }
    }

    fn fresh(&self, dim: usize) -> Result<Index> {
        let metric = match self.options.metric {
            Metric::Cosine => MetricKind::Cos,
            Metric::Dot => MetricKind::IP,
            Metric::L2 => MetricKind::L2sq,
        };
        let index = Index::new(&IndexOptions {
            dimensions: dim,
            metric,
            quantization: self.scalar().0,
            connectivity: self.options.links,
            expansion_add: self.options.build_effort,
            expansion_search: self.options.k,
            multi: false,
        })?;
        Ok(index)
    }

    fn index(&self) -> Result<&Index> {
        self.index.as_ref().context("no index")
    }
}

fn text(path: &Path) -> Result<&str> {
    match path.to_str() {
        Some(text) => Ok(text),
        None => bail!("{}: not a path that usearch takes", path.display()),
    }
}

impl Engine for Usearch {
    fn label(&self) -> [&str; 3] {
        ["usearch", "hnsw", self.scalar().1]
    }

    fn build(&mut self, base: &Rows) -> Result<()> {
        let index = self.fresh(base.dim)?;
        index.reserve(base.rows())?;
        for (id, row) in (0..).zip(base.iter()) {
            index.add(id, row)?;
        }
        self.index = Some(index);
        Ok(())
    }

    fn save(&self, file: &Path) -> Result<()> {
        Ok(self.index()?.save(text(file)?)?)
    }

    fn open(&mut self, file: &Path, dim: usize) -> Result<()> {
        let index = self.fresh(dim)?;
        index.view(text(file)?)?;
        self.index = Some(index);
        Ok(())
    }

    fn set_effort(&mut self, effort: usize) -> Result<()> {
        self.index()?.change_expansion_search(effort);
        Ok(())
    }

    fn search(&self, query: &[f32], k: usize, out: &mut Vec<u64>) -> Result<()> {
        let found = self.index()?.search(query, k)?;
        out.clear();
        out.extend_from_slice(&found.keys);
        Ok(())
    }
}
