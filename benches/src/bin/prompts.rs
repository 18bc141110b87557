//! What choosing a prompt costs, how often the rollback test errs, and how fast the model decodes.
//!
//! `selector`: nanoseconds, allocations and memory of a choice. `rollback`: false rollbacks of equal
//! versions and power at a drop of 5 points, by simulation. `decode FILE`: tokens a second of the in-process
//! model, to set beside `promptopt/scripts/llama_cpp_decode.py` on the same file and core; on one core set
//! `RAYON_NUM_THREADS=1`, since the engine counts the machine's cores, not those that it may use.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, Subcommand};
use edgeweave_benches::counting::{Counting, allocations, held_bytes};
use promptopt::model::{GenerateOptions, LanguageModel, LlamaModel};
use promptopt::{
    Arm, Context, Criticality, Decision, Error, Label, Network, Policy, Prompt, PromptSet, Result,
    SequentialTest, Template, Tier, Version,
};

#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Time, allocations and memory of a choice.
    Selector,
    /// False rollbacks and power of the sequential test.
    Rollback {
        /// Simulated experiments.
        #[arg(long, default_value_t = 2000)]
        runs: u64,
        /// Most pairs of outcomes in an experiment.
        #[arg(long, default_value_t = 5000)]
        pairs: u64,
    },
    /// Tokens a second, one at a time, from a GGUF file.
    Decode {
        /// The file.
        model: PathBuf,
        /// New tokens.
        #[arg(long, default_value_t = 64)]
        tokens: usize,
    },
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<()> {
    match Command::parse().bench {
        Bench::Selector => selector(),
        Bench::Rollback { runs, pairs } => {
            rollback(runs, pairs);
            Ok(())
        }
        Bench::Decode { model, tokens } => decode(model, tokens),
    }
}

/// Labels and options of each prompt: what the optimiser gives for five labels.
const LABELS: usize = 5;
const OPTIONS: usize = 160;

fn prompt(tier: Tier, words: usize) -> Result<Prompt> {
    let text = format!(
        "{}\nText: {{text}}\nLabel:",
        "read it with care ".repeat(words)
    );
    let options = (0..OPTIONS).map(|at| format!(" word{at}")).collect();
    let labels = (0..LABELS)
        .map(|at| Label {
            name: format!("label{at}"),
            bias: at as f64,
            weights: (0..OPTIONS)
                .map(|option| (option * at) as f32 / 50.0)
                .collect(),
        })
        .collect();
    let prompt = Prompt::new(tier, Version::new(1), Template::parse(&text)?);
    Ok(prompt.with_decision(Decision::new(options, labels)?))
}

fn set() -> Result<PromptSet> {
    let prompts = [
        prompt(Tier::Ultra, 1)?,
        prompt(Tier::Fast, 6)?,
        prompt(Tier::Quality, 20)?,
    ];
    PromptSet::new(prompts, Policy::default())
}

fn selector() -> Result<()> {
    const ROUNDS: usize = 31;
    const CHOICES: usize = 100_000;
    let before = held_bytes();
    let sets = (0..34).map(|_| set()).collect::<Result<Vec<_>>>()?;
    let held = held_bytes() - before;
    println!(
        "memory of 102 prompts in 34 sets, each with {LABELS} labels read through {OPTIONS} options: {} KiB",
        held / 1024
    );

    let mut contexts = Vec::new();
    for battery in [0.1, 0.9] {
        for criticality in [Criticality::Normal, Criticality::High] {
            for confidence in [None, Some(0.7), Some(0.97)] {
                contexts.push(Context {
                    battery,
                    criticality,
                    confidence,
                    network: Network::Online,
                    ..Context::default()
                });
            }
        }
    }
    for keyed in [false, true] {
        let mut nanos = Vec::with_capacity(ROUNDS);
        let before = allocations();
        for _ in 0..ROUNDS {
            let start = now();
            for at in 0..CHOICES {
                let context = black_box(&contexts[at % contexts.len()]);
                let set = &sets[at % sets.len()];
                let choice = if keyed {
                    set.select_keyed(context, &at.to_le_bytes()[..8])
                } else {
                    set.select(context)
                };
                black_box(choice.prompt.version());
            }
            nanos.push(start.elapsed().as_nanos() as f64 / CHOICES as f64);
        }
        let allocated = allocations() - before;
        nanos.sort_by(f64::total_cmp);
        println!(
            "{}: median {:.0} ns, p95 {:.0} ns, {} allocations in {} choices",
            if keyed { "select_keyed" } else { "select" },
            nanos[ROUNDS / 2],
            nanos[ROUNDS * 95 / 100],
            allocated,
            ROUNDS * CHOICES
        );
    }
    overhead()
}

/// Everything around the model for one answer: choose, render into a kept buffer, read the answer.
fn overhead() -> Result<()> {
    const ROUNDS: usize = 31;
    const ANSWERS: usize = 20_000;
    let set = set()?;
    let text =
        "the pump hums and the readings jump between 0.1 and 0.9 since this morning ".repeat(3);
    let log_probs: Vec<f64> = (0..OPTIONS).map(|at| -(at as f64)).collect();
    let mut buffer = String::with_capacity(4096);
    let mut nanos = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = now();
        for _ in 0..ANSWERS {
            let choice = set.select(black_box(&Context::default()));
            buffer.clear();
            choice
                .prompt
                .template()
                .render_into(&[("text", &text)], &mut buffer)?;
            black_box(&buffer);
            if let Some(decision) = choice.prompt.decision() {
                black_box(decision.choose(black_box(&log_probs))?.index);
            }
        }
        nanos.push(start.elapsed().as_nanos() as f64 / ANSWERS as f64);
    }
    nanos.sort_by(f64::total_cmp);
    println!(
        "choose, render and read an answer ({LABELS} labels, {OPTIONS} options): median {:.0} ns, p95 {:.0} ns",
        nanos[ROUNDS / 2],
        nanos[ROUNDS * 95 / 100]
    );
    Ok(())
}

/// SplitMix64: the same simulation each time.
struct Draws(u64);

impl Draws {
    fn below(&mut self, share: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / ((1u64 << 53) as f64) < share
    }
}

fn rollback(runs: u64, pairs: u64) {
    const ALPHA: f64 = 0.05;
    for (running, candidate) in [
        (0.8, 0.8),
        (0.5, 0.5),
        (0.95, 0.95),
        (0.8, 0.75),
        (0.8, 0.7),
    ] {
        let mut stops = Vec::new();
        for run in 0..runs {
            let mut draws = Draws(run.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 7);
            let mut test = SequentialTest::new(0.5);
            for pair in 1..=pairs {
                test.push(Arm::Running, draws.below(running));
                test.push(Arm::Candidate, draws.below(candidate));
                if test.evidence() >= 1.0 / ALPHA {
                    stops.push(pair);
                    break;
                }
            }
        }
        stops.sort_unstable();
        let share = stops.len() as f64 / runs as f64;
        let half = 1.96 * (share * (1.0 - share) / runs as f64).sqrt();
        let what = if running == candidate {
            "false rollbacks"
        } else {
            "power"
        };
        let median = stops
            .get(stops.len() / 2)
            .map_or("-".to_owned(), u64::to_string);
        println!(
            "running {running}, new {candidate}: {what} {:.3} +- {half:.3} of {runs} (alpha {ALPHA}, looked at after each of {pairs} pairs); median pairs to rollback {median}",
            share
        );
    }
}

fn decode(path: PathBuf, tokens: usize) -> Result<()> {
    let model = LlamaModel::load(path)?;
    let prompt = "Once upon a time, in a village by the sea, there lived a girl who";
    let options = |tokens_max| GenerateOptions {
        tokens_max,
        ..GenerateOptions::default()
    };
    let timed = |tokens_max| -> Result<f64> {
        let start = now();
        black_box(model.generate(prompt, &options(tokens_max))?);
        Ok(start.elapsed().as_secs_f64())
    };
    timed(8)?;
    let mut rates = Vec::new();
    for _ in 0..5 {
        // The prompt's own time is in both, so the difference is decoding alone.
        let short = timed(1)?;
        let long = timed(tokens + 1)?;
        rates.push(tokens as f64 / (long - short));
    }
    rates.sort_by(f64::total_cmp);
    let rate = rates
        .get(rates.len() / 2)
        .copied()
        .ok_or(Error::OutOfRange {
            what: "number of runs",
            found: 0.0,
            expected: "1 or more",
        })?;
    println!(
        "decode: median {rate:.1} tokens/s of {} runs, {tokens} tokens each",
        rates.len()
    );
    Ok(())
}
