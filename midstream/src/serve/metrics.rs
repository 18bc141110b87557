//! What a deployment counts.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::backpressure::Level;
use crate::log::LogStats;
use crate::metrics::Metrics;
use crate::serve::pipeline::Pipeline;
use crate::spill::Class;

/// Counters of this life of the process: `entries + restored = delivered + already_delivered + sampled_out + refused
/// + lost + spilled + waiting`; `engine`, `journal` and each of `spill` add up by themselves.
#[derive(Clone, Debug, Serialize)]
pub struct ServeMetrics {
    /// Messages taken, in this life of the process; without those of the journal that were processed again.
    pub messages_in: u64,
    /// Messages of the journal that were processed again at the start.
    pub replayed_in: u64,
    /// What was no event, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// The engine's counters, over all lives.
    pub engine: Metrics,
    /// What was to go to sinks.
    pub entries: u64,
    /// What waited when the snapshot was taken from which this life began.
    pub restored: u64,
    /// What has arrived, without what came from disk.
    pub delivered: u64,
    /// What had arrived in an earlier life of the process.
    pub already_delivered: u64,
    /// What a sample left out; its weight is with the rest.
    pub sampled_out: u64,
    /// What the broker would not have.
    pub refused: u64,
    /// What found no room in memory and none on disk.
    pub lost: u64,
    /// What went to disk.
    pub spilled: u64,
    /// What came from disk and has arrived.
    pub replayed_out: u64,
    /// What waits in memory.
    pub waiting: u64,
    /// What is on disk, by class.
    pub spill: BTreeMap<Class, LogStats>,
    /// The journal.
    pub journal: LogStats,
    /// How hard the gateway holds back.
    pub level: Level,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub messages_in: u64,
    pub replayed_in: u64,
    pub rejected: BTreeMap<&'static str, u64>,
    pub entries: u64,
    pub restored: u64,
    pub delivered: u64,
    pub already_delivered: u64,
    pub sampled_out: u64,
    pub refused: u64,
    pub lost: u64,
    pub spilled: u64,
    pub replayed_out: u64,
}

impl Pipeline {
    /// The counters.
    pub fn metrics(&self) -> ServeMetrics {
        let counts = &self.counts;
        ServeMetrics {
            messages_in: counts.messages_in,
            replayed_in: counts.replayed_in,
            rejected: counts.rejected.clone(),
            engine: self.engine.metrics(),
            entries: counts.entries,
            restored: counts.restored,
            delivered: counts.delivered,
            already_delivered: counts.already_delivered,
            sampled_out: counts.sampled_out,
            refused: counts.refused,
            lost: counts.lost,
            spilled: counts.spilled,
            replayed_out: counts.replayed_out,
            waiting: self
                .lanes
                .iter()
                .map(|lane| lane.waiting.len() as u64)
                .sum(),
            spill: self.spill.stats(),
            journal: self.journal.stats(),
            level: self.ladder.level(),
        }
    }
}
