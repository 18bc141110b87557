//! Vector search beside its peers: recall against exact neighbours, latency, build speed, memory, files.
//!
//! `vectors --base FILE.npy --queries FILE.npy [--k 10] [--metric cosine|dot|l2]
//! [--kind auto|exact|hnsw|ivf|ivfpq] [--quantization none|f16|int8|pq|binary] [--peers hnsw_rs,usearch] [--json]`
//!
//! Every engine builds in one process and searches in another, so that the memory of the one is not
//! counted for the other. Both are pinned to one core.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints figures"
)]
#![allow(clippy::disallowed_methods, reason = "measuring is reading the clock")]

mod engine;
mod engines;
mod life;
mod measure;
mod npy;
mod truth;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use engine::{Engine, Metric};
use npy::Rows;

/// Measures ruvector and its peers on the same vectors.
#[derive(Parser, Clone)]
#[command(version)]
struct Options {
    /// Vectors to index: `.npy`, float16 or float32, of shape (n, dim).
    #[arg(long)]
    base: PathBuf,
    /// Vectors to look for, of the same width.
    #[arg(long)]
    queries: PathBuf,
    /// Neighbours of each query.
    #[arg(long, default_value_t = 10)]
    k: usize,
    #[arg(long, value_enum, default_value_t = Metric::Cosine)]
    metric: Metric,
    /// How ruvector finds neighbours.
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
    kind: Kind,
    /// How ruvector keeps rows (and usearch, where it can: none, f16 and int8). Default: int8, or pq with `ivfpq`.
    #[arg(long, value_enum)]
    quantization: Option<Quantization>,
    /// Engines to run beside ruvector, with the same links and build effort.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Parts of a vector under `pq`. Default: one for every four components.
    #[arg(long)]
    subspaces: Option<u16>,
    /// Links of a node.
    #[arg(long, default_value_t = 16)]
    links: usize,
    /// Candidates while building.
    #[arg(long, default_value_t = 128)]
    build_effort: usize,
    /// Most base vectors to use.
    #[arg(long, default_value_t = usize::MAX)]
    limit: usize,
    /// Most queries to use.
    #[arg(long, default_value_t = 1000)]
    queries_max: usize,
    /// The core to run on.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Also recall and latency under filters that 50% to 0.01% of the vectors meet.
    #[arg(long)]
    filters: bool,
    /// Also recall after half of the vectors were replaced and the index was compacted.
    #[arg(long)]
    churn: bool,
    /// JSON lines instead of text.
    #[arg(long)]
    json: bool,
    /// One engine's part, in a process of its own.
    #[arg(long, hide = true, num_args = 3)]
    part: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Auto,
    Exact,
    Hnsw,
    Ivf,
    Ivfpq,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quantization {
    None,
    F16,
    Int8,
    Pq,
    Binary,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Peer {
    HnswRs,
    Usearch,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.part {
        None => compare(&options),
        Some(part) => run_part(&options, part),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vectors: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The vectors to index, and how many were left out.
fn base(options: &Options) -> Result<(Rows, usize)> {
    comparable(npy::read(&options.base, options.limit)?, options)
}

/// The vectors to look for, and how many were left out.
fn queries(options: &Options) -> Result<(Rows, usize)> {
    comparable(npy::read(&options.queries, options.queries_max)?, options)
}

/// Under cosine a row of zeros is near to nothing, and engines differ in what they do about it.
fn comparable(rows: Rows, options: &Options) -> Result<(Rows, usize)> {
    let (rows, zeros) = match options.metric {
        Metric::Cosine => rows.without_zeros(),
        Metric::Dot | Metric::L2 => (rows, 0),
    };
    ensure!(
        rows.rows() > 0,
        "there are only zeros, which have no cosine"
    );
    Ok((rows, zeros))
}

/// Runs every engine, each of its parts in a process of its own.
fn compare(options: &Options) -> Result<()> {
    let (base, base_zeros) = base(options)?;
    let (queries, query_zeros) = queries(options)?;
    ensure!(
        base.dim == queries.dim,
        "the base has {} columns, the queries have {}",
        base.dim,
        queries.dim
    );
    ensure!(options.k >= 1, "--k must be at least 1");
    let folder = tempfile::tempdir().context("no folder for the engines' files")?;
    let all = |_: usize| true;
    let truth = truth::compute(&base, &queries, options.k, options.metric, all);
    truth.write(&folder.path().join("truth"))?;
    let conditions = json!({
        "conditions": measure::machine(), "kernels": engines::kernels()?,
        "vectors": base.rows(), "dim": base.dim, "queries": queries.rows(),
        "zeros_left_out": [base_zeros, query_zeros], "k": options.k, "metric": options.metric.name(),
        "links": options.links, "build_effort": options.build_effort, "core": options.core,
    });
    say(options, &conditions);
    if options.filters {
        life::filters(options, &base, &queries)?
            .iter()
            .for_each(|figure| say(options, figure));
    }
    if options.churn {
        say(options, &life::churn(options, &base, &queries)?);
    }
    drop((base, queries));
    let mut engines = vec!["ruvector"];
    engines.extend(options.peers.iter().map(|peer| match peer {
        Peer::HnswRs => "hnsw_rs",
        Peer::Usearch => "usearch",
    }));
    for name in engines {
        let mut whole = part(name, "build", folder.path())?;
        let [built] = whole.as_mut_slice() else {
            bail!("{name} built without a figure");
        };
        let mut found = part(name, "search", folder.path())?;
        let opened = found.pop().context("no figure of the search")?;
        for point in &found {
            say(options, point);
        }
        if let (Value::Object(built), Value::Object(opened)) = (&mut *built, opened) {
            built.extend(opened);
        }
        say(options, built);
    }
    Ok(())
}

/// Runs a part of an engine in a process of its own; its figures.
fn part(name: &str, what: &str, folder: &Path) -> Result<Vec<Value>> {
    let output = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--part")
        .args([name, what])
        .arg(folder)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "{name} failed at its {what}: {}",
        output.status
    );
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not a figure: {line}")))
        .collect()
}

fn run_part(options: &Options, part: &[String]) -> Result<()> {
    let [name, what, folder] = part else {
        bail!("a part is an engine, a word and a folder");
    };
    measure::pin(options.core)?;
    let mut engine: Box<dyn Engine> = engines::named(name, options)?;
    let file = Path::new(folder).join(name);
    match what.as_str() {
        "build" => {
            let (base, _) = base(options)?;
            println!("{}", measure::build(engine.as_mut(), &base, &file)?);
        }
        "search" => {
            let (queries, _) = queries(options)?;
            let truth = truth::Truth::read(&Path::new(folder).join("truth"))?;
            for figure in measure::search(engine.as_mut(), &queries, options.k, &truth, &file)? {
                println!("{figure}");
            }
        }
        _ => bail!("no such part: {what}"),
    }
    Ok(())
}

/// Prints one figure.
fn say(options: &Options, figure: &Value) {
    if options.json {
        println!("{figure}");
        return;
    }
    let Value::Object(fields) = figure else {
        return;
    };
    let words: Vec<String> = fields
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        })
        .collect();
    println!("{}", words.join("  "));
}
