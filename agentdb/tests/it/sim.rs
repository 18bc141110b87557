//! Whole fleets under a virtual clock, on disks and a network that fail.

#[path = "../sim/mod.rs"]
mod fleet;

use fleet::{Mutant, Plan, run, shrink};

/// So many runs when nobody asks for more; 100,000 are the command `agentdb-sim`'s.
const SEEDS: u64 = 200;

fn check(plan: &Plan) {
    if let Some(failure) = run(plan).failure {
        let small = shrink(plan, 200);
        let still = run(&small).failure.unwrap_or_default();
        panic!(
            "seed {} fails: {failure}\nwith these operations it still does: {:#?}\n{still}",
            plan.seed, small
        );
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_all_agree_whatever_fails() {
    for seed in 0..SEEDS {
        check(&Plan::of(seed));
    }
}

/// A device whose clock is far ahead writes a document several times. Each time its neighbour marks the write
/// and offers the document back, which it did three times and no more: the fourth mark never reached the
/// device, which went on to show its own value. What counts now is whether both are still as they were when
/// the offer was of no use.
#[test]
fn a_device_hears_of_each_mark_that_its_clock_has_earned() {
    check(&Plan::of(20_472));
}

/// How many seeds it takes to find a planted bug.
fn seeds_to_find(mutant: Mutant) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let plan = Plan {
            mutant: Some(mutant),
            ..Plan::of(seed)
        };
        let failure = run(&plan).failure?;
        // It is the bug that is found, and not the seed.
        assert_eq!(run(&Plan::of(seed)).failure, None);
        Some((seed, failure))
    })
}

#[test]
fn a_store_that_uses_a_dot_twice_is_found() {
    let (_, failure) = seeds_to_find(Mutant::NoIncarnation).expect("no seed found it");
    assert!(!failure.is_empty());
}

#[cfg(feature = "simulation")]
#[test]
fn deltas_that_do_not_tell_of_removals_are_found() {
    let (_, failure) = seeds_to_find(Mutant::NoRemovals).expect("no seed found it");
    assert!(!failure.is_empty());
}

#[test]
fn a_store_that_acknowledges_too_early_is_found() {
    let (_, failure) = seeds_to_find(Mutant::EarlyAcknowledgement).expect("no seed found it");
    assert!(failure.contains("lost"), "{failure}");
}

#[test]
fn a_failing_run_is_shrunk_to_few_operations() {
    let (seed, _) = seeds_to_find(Mutant::EarlyAcknowledgement).expect("no seed found it");
    let plan = Plan {
        mutant: Some(Mutant::EarlyAcknowledgement),
        ..Plan::of(seed)
    };
    let small = shrink(&plan, 400);
    assert!(run(&small).failure.is_some());
    assert!(small.ops.len() < plan.ops.len() / 2, "{:#?}", small.ops);
}
