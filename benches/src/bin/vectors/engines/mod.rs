//! The engines that are compared.

mod hnsw_rs;
mod ours;
mod usearch;

pub use ours::{fresh, kernels};

use anyhow::{Result, bail};

use super::Options;
use super::engine::Engine;

/// An engine by name.
pub fn named(name: &str, options: &Options) -> Result<Box<dyn Engine>> {
    Ok(match name {
        "ruvector" => Box::new(ours::Ours::new(options)),
        "hnsw_rs" => Box::new(hnsw_rs::HnswRs::new(options)?),
        "usearch" => Box::new(usearch::Usearch::new(options)),
        _ => bail!("no such engine: {name}"),
    })
}
