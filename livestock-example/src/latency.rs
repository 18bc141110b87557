//! How long each stage takes, as percentiles of what was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 10 * 60 * 1_000_000;

/// The places where time is measured, in the order of an event's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// A frame is handed to the model runner and its detections come back.
    Infer,
    /// Of that, the time inside the model.
    Model,
    /// Detections become tracks and events.
    Track,
    /// Events go through dedup, windows and patterns.
    Pattern,
    /// A match is compared with what was seen before.
    Novelty,
    /// The incident's workflow runs until its alert is on disk.
    Workflow,
    /// From the frame or sample that completed the pattern to the alert on disk, inference included.
    Alert,
    /// From the alert on disk to the broker's receipt.
    Publish,
}

impl Stage {
    /// The stage's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Model => "  in the model",
            Self::Track => "track",
            Self::Pattern => "pattern",
            Self::Novelty => "novelty",
            Self::Workflow => "workflow",
            Self::Alert => "alert",
            Self::Publish => "publish",
        }
    }
}

/// One histogram a stage; 3 significant digits, about 20 KB each.
#[derive(Default)]
pub struct Latencies {
    stages: BTreeMap<Stage, Histogram<u64>>,
}

/// Percentiles of one stage, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half are at most this.
    pub p50: f64,
    /// 99 in 100 are at most this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Latencies {
    /// Notes one measurement.
    pub fn record(&mut self, stage: Stage, took: Duration) {
        let micros = u64::try_from(took.as_micros())
            .unwrap_or(u64::MAX)
            .clamp(1, LONGEST_US);
        let histogram = match self.stages.entry(stage) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let Ok(histogram) = Histogram::new_with_bounds(1, LONGEST_US, 3) else {
                    return;
                };
                entry.insert(histogram)
            }
        };
        histogram.saturating_record(micros);
    }

    /// The percentiles of each stage that was measured, in the order of the way.
    pub fn percentiles(&self) -> BTreeMap<Stage, Percentiles> {
        let ms = |micros: u64| micros as f64 / 1000.0;
        self.stages
            .iter()
            .map(|(stage, h)| {
                let percentiles = Percentiles {
                    count: h.len(),
                    p50: ms(h.value_at_quantile(0.5)),
                    p99: ms(h.value_at_quantile(0.99)),
                    max: ms(h.max()),
                };
                (*stage, percentiles)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        for ms in 1..=1000 {
            latencies.record(Stage::Infer, Duration::from_millis(ms));
        }
        let infer = &latencies.percentiles()[&Stage::Infer];
        assert_eq!(infer.count, 1000);
        assert!((infer.p50 - 500.0).abs() <= 1.0, "{infer:?}");
        assert!((infer.p99 - 990.0).abs() <= 1.0, "{infer:?}");
        assert!((infer.max - 1000.0).abs() <= 1.0, "{infer:?}");
        assert!(!latencies.percentiles().contains_key(&Stage::Publish));
    }
}
