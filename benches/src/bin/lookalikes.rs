//! How often a semantic cache answers another question than the one that was asked: the cosine of a real
//! sentence model alone, beside the cache with its guard, on labelled pairs.
//!
//! `lookalikes --vectors FILE.npy PAIRS.tsv...`, where the vectors are those that `benches/py/lookalikes.py` wrote
//! for the same files.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints figures"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use ruvector::Embedder;
use ruvector::cache::{Answer, Policy, SemanticCache, Timestamp};

#[allow(dead_code, reason = "the bench of vectors uses all of it")]
#[path = "vectors/npy.rs"]
mod npy;

const THRESHOLDS: [f32; 6] = [0.95, 0.9, 0.85, 0.8, 0.7, 0.6];
/// The kind of pairs that ask for the same; all other kinds ask for different things.
const SAME: &str = "paraphrase";

/// Measures false hits on labelled pairs.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Vectors of the texts: two rows a pair.
    #[arg(long)]
    vectors: PathBuf,
    /// Pairs: kind, first and second text, tabs between them.
    #[arg(required = true)]
    pairs: Vec<PathBuf>,
}

struct Pair {
    same: bool,
    texts: [String; 2],
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lookalikes: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let mut pairs = Vec::new();
    for path in &options.pairs {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [kind, first, second, ..] = columns.as_slice() else {
                anyhow::bail!("{}: not a pair: {line}", path.display());
            };
            pairs.push(Pair {
                same: *kind == SAME,
                texts: [*first, *second].map(str::to_owned),
            });
        }
    }
    let vectors = npy::read(&options.vectors, usize::MAX)?.normalised();
    ensure!(
        vectors.rows() == 2 * pairs.len(),
        "{} vectors for {} pairs: make them from the same files",
        vectors.rows(),
        pairs.len()
    );
    let cosines: Vec<f32> = (0..pairs.len())
        .map(|at| {
            let both = vectors.row(2 * at).iter().zip(vectors.row(2 * at + 1));
            both.map(|(a, b)| a * b).sum()
        })
        .collect();
    let different = pairs.iter().filter(|pair| !pair.same).count();
    println!(
        "{different} pairs that ask for different things, {} that ask for the same",
        pairs.len() - different
    );
    println!(
        "| threshold | wrong answers: cosine | with the guard | right answers: cosine | with the guard |"
    );
    println!("|---|---|---|---|---|");
    for threshold in THRESHOLDS {
        // [different, same]
        let (mut alone, mut guarded) = ([0; 2], [0; 2]);
        for (at, (pair, cosine)) in pairs.iter().zip(&cosines).enumerate() {
            // Asked for the first text when it is stored, then for the second.
            let both = [2 * at, 2 * at + 1].map(|row| vectors.row(row).to_vec());
            let calls = AtomicUsize::new(0);
            let embedder = Embedder::new("minilm", vectors.dim, move |_: &str| {
                Ok(both[calls.fetch_add(1, Ordering::Relaxed).min(1)].clone())
            })?;
            let cache = SemanticCache::builder(Arc::new(embedder))
                .default_policy(Policy::default().threshold(threshold))
                .build()?;
            let [stored, asked] = &pair.texts;
            cache.put("pairs", stored, Answer::new(1_u8, 0), Timestamp(0))?;
            let found = cache.get("pairs", asked, Timestamp(1))?.is_some();
            alone[usize::from(pair.same)] += usize::from(*cosine >= threshold);
            guarded[usize::from(pair.same)] += usize::from(found);
        }
        println!(
            "| {threshold} | {} | {} | {} | {} |",
            alone[0], guarded[0], alone[1], guarded[1]
        );
    }
    Ok(())
}
