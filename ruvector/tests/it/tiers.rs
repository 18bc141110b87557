//! Caches behind one another.

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ruvector::cache::{
    Answer, Failure, Labelled, Policy, Question, SemanticCache, Source, Tier, TieredCache,
    Timestamp,
};
use ruvector::{BoxError, Error};

use crate::embedder::embedder;

const T0: Timestamp = Timestamp(0);

fn cache(threshold: f32) -> Arc<SemanticCache<String>> {
    let policy = Policy::default().threshold(threshold);
    Arc::new(
        SemanticCache::builder(embedder())
            .default_policy(policy)
            .build()
            .unwrap(),
    )
}

fn answer(text: &str) -> Answer<String> {
    Answer::new(text.to_owned(), text.len()).cost(5.0)
}

fn ask(text: &str) -> Question<'_> {
    Question {
        namespace: "n",
        text,
    }
}

/// A tier that cannot be reached.
struct Unplugged;

impl Tier<String> for Unplugged {
    fn look(&self, _: Question<'_>, _: Timestamp) -> Result<Option<Answer<String>>, BoxError> {
        Err("no route".into())
    }

    fn store(&self, _: Question<'_>, _: &Answer<String>, _: Timestamp) -> Result<(), BoxError> {
        Err("no route".into())
    }
}

/// A clock that goes on by a millisecond with each reading.
fn clock() -> impl Fn() -> Duration + Send + Sync + 'static {
    let millis = AtomicU64::new(0);
    move || Duration::from_millis(millis.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_hit_fills_the_nearer_tiers_and_a_miss_fills_all() {
    let (far, mid, network) = (cache(0.95), cache(0.95), cache(0.95));
    let tiers = TieredCache::builder(clock())
        .tier("far", far.clone())
        .tier("mid", mid.clone())
        .tier("network", network.clone())
        .build()
        .unwrap();
    let compute = || Ok::<_, Error>(answer("x"));
    let (_, source) = tiers.get_or_compute(ask("q one"), T0, compute).unwrap();
    assert_eq!(source, Source::Fallback);
    assert_eq!((far.len(), mid.len(), network.len()), (1, 1, 1));

    network.put("n", "q two", answer("y"), T0).unwrap();
    let (found, source) = tiers.get_or_compute(ask("q two"), T0, compute).unwrap();
    assert_eq!((found.value().as_str(), source), ("y", Source::Tier(2)));
    assert_eq!((far.len(), mid.len(), network.len()), (2, 2, 2));
    let (_, source) = tiers.get_or_compute(ask("q two"), T0, compute).unwrap();
    assert_eq!(source, Source::Tier(0));

    let stats = tiers.stats();
    let hits: Vec<u64> = stats.tiers.iter().map(|tier| tier.hits).collect();
    assert_eq!(hits, [1, 0, 1]);
    assert_eq!((stats.lookups, stats.computed), (3, 1));
    assert_eq!(stats.tiers[0].lookups, 3);
    assert_eq!((stats.tiers[1].lookups, stats.tiers[1].misses), (2, 2));
    assert_eq!(stats.tiers[0].fills, 2);
    assert_eq!((stats.tiers[0].cost_saved, stats.cost_paid), (5.0, 5.0));
    assert_eq!(stats.tiers[2].hit_rate(), Some(0.5));
    assert_eq!(stats.tiers[0].latency.count(), 3);
    assert_eq!(
        stats.tiers[0].latency.mean(),
        Some(Duration::from_millis(1))
    );
}

#[test]
fn a_tier_that_is_down_is_passed_over() {
    let near = cache(0.95);
    let tiers = TieredCache::builder(clock())
        .tier("near", near.clone())
        .tier("network", Unplugged)
        .build()
        .unwrap();
    let found = tiers.get_or_compute(ask("q"), T0, || Ok::<_, Error>(answer("x")));
    assert_eq!(found.unwrap().1, Source::Fallback);
    assert_eq!(near.len(), 1);
    let network = &tiers.stats().tiers[1];
    assert_eq!(
        (network.errors, network.fill_errors, network.misses),
        (1, 1, 0)
    );
}

#[test]
fn the_fallbacks_error_is_given_and_not_stored() {
    let near = cache(0.95);
    let tiers = TieredCache::builder(clock())
        .tier("near", near.clone())
        .build()
        .unwrap();
    let failed = tiers.get_or_compute(ask("q"), T0, || Err("down"));
    assert!(matches!(failed, Err(Failure::Compute("down"))));
    assert!(near.is_empty());
    let stats = tiers.stats();
    assert_eq!((stats.compute_errors, stats.lookups), (1, 1));
    assert!(TieredCache::<String>::builder(clock()).build().is_err());
}

#[test]
fn one_flight_serves_all_who_ask_at_once() {
    let tiers = TieredCache::builder(clock())
        .tier("near", cache(0.95))
        .build()
        .unwrap();
    let (computed, barrier) = (AtomicUsize::new(0), Barrier::new(6));
    std::thread::scope(|threads| {
        for _ in 0..6 {
            threads.spawn(|| {
                barrier.wait();
                let found = tiers.get_or_compute(ask("q"), T0, || {
                    computed.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    Ok::<_, Error>(answer("x"))
                });
                assert_eq!(found.unwrap().0.value(), "x");
            });
        }
    });
    assert_eq!(computed.load(Ordering::SeqCst), 1);
    let stats = tiers.stats();
    assert_eq!(stats.lookups, 6);
    assert_eq!(stats.shared + stats.tiers[0].hits + stats.computed, 6);
}

#[test]
fn an_audit_tells_each_tiers_false_hits() {
    let (strict, lax) = (cache(0.95), cache(0.2));
    for cache in [&strict, &lax] {
        cache
            .put(
                "n",
                "which hay do the old cows eat in the valley",
                answer("a"),
                T0,
            )
            .unwrap();
    }
    let tiers = TieredCache::builder(clock())
        .tier("strict", strict)
        .tier("lax", lax)
        .build()
        .unwrap();
    let questions = [
        ("which hay do the old cows eat in the valley", "a"),
        ("where do the old cows sleep and drink in the valley", "b"),
    ]
    .map(|(text, right)| Labelled {
        question: ask(text),
        right: right.to_owned(),
    });
    let audits = tiers.audit(&questions, T0);
    assert_eq!((audits[0].hits, audits[0].false_hits), (1, 0));
    assert_eq!(audits[1].asked, 2);
    assert!(audits[1].false_hits <= audits[1].hits);
    assert_eq!(tiers.stats().lookups, 0);
}
