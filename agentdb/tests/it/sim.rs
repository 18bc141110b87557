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

/// Three ways in which a mark of a wrong clock, which is no write, once did not get through. Each mark that a
/// neighbour makes is offered back: that was done three times and no more, whatever had changed between; an
/// acknowledgement of what was sent before, and a batch that had nothing to tell of the document, made the sender
/// believe that the peer, which had told otherwise since, held the same.
#[test]
fn all_hear_of_each_mark_that_a_wrong_clock_has_earned() {
    for seed in [9_454, 20_472, 43_099] {
        check(&Plan::of(seed));
    }
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
