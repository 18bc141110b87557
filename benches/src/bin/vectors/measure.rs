//! Times, memory and the conditions under which they were taken.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::{Value, json};

use super::engine::Engine;
use super::npy::Rows;
use super::truth::Truth;

/// Positions of the knob.
const EFFORTS: [usize; 14] = [
    10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
];
/// Those that follow where recall is still below [`RECALL_WANTED`].
const EFFORTS_MORE: [usize; 3] = [2048, 4096, 8192];
const RECALL_WANTED: f64 = 0.99;
/// The sweep ends where recall is this high: more effort finds nothing more.
const RECALL_ENOUGH: f64 = 0.9995;
/// Passes over the queries at a position; the median pass counts.
const PASSES: usize = 3;

/// Keeps this process on one core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}

/// The machine, as far as it decides figures.
pub fn machine() -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_matches([' ', '\t', ':']));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "used": "one pinned core an engine, one thread",
        "load": load.split(' ').next().unwrap_or_default(),
    })
}

/// Memory of this process, in bytes: its own, and pages of mapped files.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| {
                rest.trim_matches([':', ' ', '\t'])
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
            .map_or(0, |kilobytes: u64| kilobytes * 1024)
    };
    (field("RssAnon"), field("RssFile"))
}

fn megabytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / 1e6, 1)
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// Bytes below a path.
fn length(path: &Path) -> u64 {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        return entries.map(|entry| length(&entry.path())).sum();
    }
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Builds and saves; one figure.
pub fn build(engine: &mut dyn Engine, base: &Rows, file: &Path) -> Result<Value> {
    let begun = Instant::now();
    engine.build(base)?;
    let took = begun.elapsed().as_secs_f64();
    engine.save(file)?;
    let [name, kind, quantization] = engine.label();
    Ok(json!({
        "engine": name, "kind": kind, "quantization": quantization,
        "build_per_s": rounded(base.rows() as f64 / took, 0),
        "file_mb": megabytes(length(file)),
    }))
}

/// Opens and sweeps the knob: a figure for each position, then one for the engine.
pub fn search(
    engine: &mut dyn Engine,
    queries: &Rows,
    k: usize,
    truth: &Truth,
    file: &Path,
) -> Result<Vec<Value>> {
    let mut found = Vec::with_capacity(k);
    let (anonymous_before, mapped_before) = resident();
    let begun = Instant::now();
    engine.open(file, queries.dim)?;
    engine.search(queries.row(0), k, &mut found)?;
    let open = begun.elapsed();
    let mut figures = Vec::new();
    // A walk that keeps fewer than k candidates cannot find k.
    let mut efforts: Vec<usize> = EFFORTS.into_iter().filter(|effort| *effort >= k).collect();
    if efforts.len() < 3 {
        efforts.extend(
            [k, 2 * k, 4 * k]
                .into_iter()
                .filter(|effort| *effort > 1024),
        );
    }
    let usual = efforts.len();
    efforts.extend(EFFORTS_MORE.iter().filter(|effort| **effort > 4 * k));
    let mut last = 0.0;
    for (at, effort) in efforts.into_iter().enumerate() {
        if at >= usual && last >= RECALL_WANTED {
            break;
        }
        engine.set_effort(effort)?;
        let mut recall = 0.0;
        for (at, query) in queries.iter().enumerate() {
            engine.search(query, k, &mut found)?;
            recall += truth.recall(at, &found);
        }
        recall /= queries.rows() as f64;
        last = recall;
        let mut passes = (0..PASSES)
            .map(|_| pass(engine, queries, k))
            .collect::<Result<Vec<_>>>()?;
        passes.sort_by_key(|pass| pass.whole);
        let pass = &passes[PASSES / 2];
        let [name, kind, quantization] = engine.label();
        figures.push(json!({
            "engine": name, "kind": kind, "quantization": quantization, "effort": effort,
            "recall": rounded(recall, 4),
            "p50_us": pass.percentile(0.5), "p99_us": pass.percentile(0.99),
            "qps": rounded(queries.rows() as f64 / pass.whole.as_secs_f64(), 0),
        }));
        if recall >= RECALL_ENOUGH || !engine.has_effort() {
            break;
        }
    }
    let (anonymous, mapped) = resident();
    figures.push(json!({
        "open_ms": rounded(open.as_secs_f64() * 1e3, 2),
        "resident_mb": megabytes((anonymous + mapped).saturating_sub(anonymous_before + mapped_before)),
        "own_mb": megabytes(anonymous.saturating_sub(anonymous_before)),
        "index_mb": engine.index_bytes().map(|bytes| megabytes(bytes as u64)),
    }));
    Ok(figures)
}

/// One pass over all queries.
struct Pass {
    whole: Duration,
    /// Sorted.
    each: Vec<Duration>,
}

impl Pass {
    fn percentile(&self, share: f64) -> f64 {
        let at = ((self.each.len() as f64 * share) as usize).min(self.each.len() - 1);
        rounded(self.each[at].as_secs_f64() * 1e6, 1)
    }
}

fn pass(engine: &dyn Engine, queries: &Rows, k: usize) -> Result<Pass> {
    let mut found = Vec::with_capacity(k);
    let mut each = Vec::with_capacity(queries.rows());
    let begun = Instant::now();
    for query in queries.iter() {
        let before = Instant::now();
        engine.search(query, k, &mut found)?;
        each.push(before.elapsed());
    }
    let whole = begun.elapsed();
    each.sort_unstable();
    Ok(Pass { whole, each })
}
