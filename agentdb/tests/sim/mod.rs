//! Whole fleets in one process, under a virtual clock, on disks and a network that fail, all from one seed.
//!
//! A run is a list of `Op`s made from the seed: writes, crashes, power cuts, partitions, disk faults. Time
//! passes between them and frames arrive late, twice, out of order or never. At the end everything heals, and
//! the fleet must agree: on one state, with every acknowledged write in it, nothing removed back in it, and
//! counters exact. A run that fails is shrunk: operations are taken out while it still fails.
//!
//! Shared by the crate's tests and by the command `agentdb-sim`.

mod disk;
mod network;
mod oracle;
mod plan;
mod world;

pub use plan::Plan;
#[allow(
    unused_imports,
    reason = "the tests want the one, the command the other"
)]
pub use world::{Mutant, Outcome, run};

/// A plan that fails, and fails no more without any one of its operations (or so many tries).
pub fn shrink(plan: &Plan, tries: usize) -> Plan {
    let mut plan = plan.clone();
    let mut left = tries;
    let mut size = plan.ops.len() / 2;
    while size > 0 && left > 0 {
        let mut from = 0;
        while from < plan.ops.len() && left > 0 {
            left -= 1;
            let mut smaller = plan.clone();
            let to = (from + size).min(smaller.ops.len());
            smaller.ops.drain(from..to);
            if run(&smaller).failure.is_some() {
                plan = smaller;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    plan
}
