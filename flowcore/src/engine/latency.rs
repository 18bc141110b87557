//! How long steps take: one histogram a step, of the time between handing out a call and its
//! answer. Buckets are an eighth of a power of two wide, so a quantile is at most 12.5% too high;
//! the memory of a histogram is bounded by its range (about 2 KiB).

use std::collections::HashMap;

use serde::Serialize;

use super::{Command, Engine, Token};
use crate::journal::Journal;
use crate::plan::DefinitionHash;
use crate::time::Timestamp;

/// Buckets a power of two.
const PARTS: u64 = 8;
/// Calls without an answer that are remembered; later ones are not measured.
const OPEN_MAX: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Latencies {
    open: HashMap<Token, (DefinitionHash, u32, Timestamp)>,
    by_step: HashMap<(DefinitionHash, u32, u32), Histogram>,
}

#[derive(Debug, Default, Clone)]
struct Histogram {
    counts: Vec<u64>,
    count: u64,
    failures: u64,
    max_ms: u64,
}

/// How long a step took, over all runs since measuring began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepLatency {
    /// The workflow.
    pub workflow: String,
    /// The version of its definition.
    pub definition: DefinitionHash,
    /// The step's id.
    pub step: String,
    /// Attempts that were answered.
    pub count: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Median, milliseconds.
    pub p50_ms: u64,
    /// 95th percentile, milliseconds.
    pub p95_ms: u64,
    /// 99th percentile, milliseconds.
    pub p99_ms: u64,
    /// The longest, milliseconds.
    pub max_ms: u64,
}

/// Values below `PARTS` have a bucket each; above, `PARTS` buckets a power of two.
fn bucket(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let power = u64::from(value.ilog2());
    let part = (value >> (power - 3)) - PARTS;
    ((power - 2) * PARTS + part) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let (power, part) = (bucket / PARTS + 2, bucket % PARTS);
    ((PARTS + part + 1) << (power - 3)) - 1
}

impl Histogram {
    fn add(&mut self, value: u64) {
        let index = bucket(value);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.count += 1;
        self.max_ms = self.max_ms.max(value);
    }

    fn quantile(&self, thousandths: u64) -> u64 {
        let rank = (self.count * thousandths).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max_ms);
            }
        }
        0
    }
}

impl Latencies {
    pub(super) fn handed_out(&mut self, commands: &[Command], now: Timestamp) {
        for command in commands {
            if let Command::Execute(call) = command
                && self.open.len() < OPEN_MAX
            {
                let begun = (call.deployed.plan.hash, call.block, now);
                self.open.insert(call.token, begun);
            }
        }
    }

    pub(super) fn answered(&mut self, token: Token, succeeded: bool, now: Timestamp) {
        if let Some((definition, block, begun)) = self.open.remove(&token) {
            let histogram = self
                .by_step
                .entry((definition, block, token.at.step))
                .or_default();
            let ms = u64::try_from(now.since(begun).as_millis()).unwrap_or(u64::MAX);
            histogram.add(ms.min(1 << 40));
            histogram.failures += u64::from(!succeeded);
        }
    }

    pub(super) fn withdrawn(&mut self, token: Token) {
        self.open.remove(&token);
    }
}

impl<J: Journal> Engine<J> {
    /// Measures from now on how long each step's calls take, by the times given to
    /// [`step`](Self::step) and [`complete`](Self::complete).
    #[must_use]
    pub fn measure(mut self) -> Self {
        self.latencies.get_or_insert_default();
        self
    }

    /// How long each step took, by workflow and step; empty unless [`measure`](Self::measure) was called.
    pub fn latencies(&self) -> Vec<StepLatency> {
        let mut all: Vec<StepLatency> = self
            .latencies
            .iter()
            .flat_map(|latencies| &latencies.by_step)
            .filter_map(|((definition, block, step), histogram)| {
                let plan = &self.deployed.get(definition)?.plan;
                Some(StepLatency {
                    workflow: plan.definition.name.clone(),
                    definition: *definition,
                    step: plan.step(*block, *step)?.id.to_string(),
                    count: histogram.count,
                    failures: histogram.failures,
                    p50_ms: histogram.quantile(500),
                    p95_ms: histogram.quantile(950),
                    p99_ms: histogram.quantile(990),
                    max_ms: histogram.max_ms,
                })
            })
            .collect();
        all.sort_by(|a, b| (&a.workflow, &a.step).cmp(&(&b.workflow, &b.step)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_gapless_and_an_eighth_wide() {
        for value in (0..5000).chain([1 << 20, (1 << 20) + 12_345, 1 << 40]) {
            let index = bucket(value);
            assert!(value <= upper(index), "{value}");
            assert!(index == 0 || value > upper(index - 1), "{value}");
            assert!(upper(index) <= value + value / 8, "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values_up_to_an_eighth() {
        let mut histogram = Histogram::default();
        let mut values: Vec<u64> = (0..1000).map(|n| n * n % 7919).collect();
        values.iter().for_each(|value| histogram.add(*value));
        values.sort_unstable();
        for (thousandths, exact) in [(500, values[499]), (950, values[949]), (990, values[989])] {
            let found = histogram.quantile(thousandths);
            assert!(
                found >= exact && found <= exact + exact / 8,
                "{found} {exact}"
            );
        }
        assert_eq!(histogram.quantile(1000), values[999]);
    }
}
