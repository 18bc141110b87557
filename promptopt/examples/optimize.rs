//! Optimises prompts in process: a CSV file, a GGUF file, a folder for the result.
//!
//! `cargo run --release -p edgeweave-promptopt --features candle --example optimize -- DATA.csv MODEL.gguf OUT`
//! (columns `text` and `label`)
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::{Duration, Instant};

use promptopt::Result;
use promptopt::model::LlamaModel;
use promptopt::optimize::{Dataset, Observer, Optimizer, Progress, Signature};

struct Lines(Instant);

impl Observer for Lines {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn progress(&mut self, progress: &Progress) {
        if progress.calls.is_multiple_of(100) {
            println!(
                "{} {} of {} calls",
                progress.stage, progress.calls, progress.calls_max
            );
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program times its model")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, model, out] = arguments.as_slice() else {
        println!("usage: optimize DATA.csv MODEL.gguf OUT");
        return Ok(());
    };
    let task = Signature::parse("text -> label", "")?;
    let data = Dataset::from_csv(data, &["text", "label"])?;
    let model = LlamaModel::load(model)?;
    let report = Optimizer::new(&task, &model)
        .candidates(120)
        .calls(5000)
        .seed(1)
        .run(&data, &mut Lines(Instant::now()))?;
    report.export(out)?;
    for tier in &report.tiers {
        println!(
            "{}: {:.1} % of {} right",
            tier.tier,
            100.0 * tier.test.accuracy,
            tier.test.examples
        );
    }
    Ok(())
}
