//! The semantic cache: what it finds, what it refuses, what it counts, when it forgets.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use ruvector::cache::{
    Answer, CacheBuilder, Counters, Failure, How, Policy, Report, SemanticCache, Timestamp, Ttl,
    TtlClass,
};
use ruvector::{BoxError, Embedder, Error};

use crate::common::Random;
use crate::embedder::embedder;

const MINUTE: i64 = 60_000;
const T0: Timestamp = Timestamp(1_000_000);

fn builder() -> CacheBuilder<String> {
    SemanticCache::builder(embedder())
}

fn answer(text: &str) -> Answer<String> {
    Answer::new(text.to_owned(), text.len())
}

fn later(minutes: i64) -> Timestamp {
    T0.plus_millis(minutes * MINUTE)
}

fn add_up(counters: &Counters) -> bool {
    counters.lookups
        == counters.exact_hits
            + counters.semantic_hits
            + counters.guard_refusals
            + counters.verifier_refusals
            + counters.expired
            + counters.misses
            + counters.bypassed
            + counters.failures
}

#[test]
fn the_same_text_hits_without_the_embedder() {
    let calls = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let counted = Embedder::new("counted", 2, move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Ok::<_, BoxError>(vec![1.0, 0.5])
    });
    let cache = SemanticCache::builder(counted.unwrap().into())
        .build()
        .unwrap();
    cache
        .put("faq", "How  old is\nit?", answer("3"), T0)
        .unwrap();
    let found = cache.get("faq", " How old is it?", T0).unwrap().unwrap();
    assert_eq!((found.value().as_str(), &found.how), ("3", &How::Exact));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_text_that_means_the_same_hits_and_a_lookalike_does_not() {
    let policy = Policy::default().threshold(0.6);
    let cache = builder().default_policy(policy).build().unwrap();
    cache
        .put("faq", "How do I enable 2FA?", answer("menu"), T0)
        .unwrap();
    let found = cache
        .get("faq", "How can I enable 2FA?", T0)
        .unwrap()
        .unwrap();
    assert!(matches!(found.how, How::Semantic { similarity, .. } if similarity >= 0.6));
    assert!(
        cache
            .get("faq", "How do I disable 2FA?", T0)
            .unwrap()
            .is_none()
    );
    assert!(
        cache
            .get("faq", "When does the train leave?", T0)
            .unwrap()
            .is_none()
    );
    let counters = cache.counters();
    assert_eq!(
        (
            counters.semantic_hits,
            counters.guard_refusals,
            counters.misses
        ),
        (1, 1, 1)
    );
    assert!(add_up(&counters));
}

#[test]
fn the_verifier_decides_what_the_guard_doubts() {
    let policy = Policy::default().threshold(0.9).grey_from(0.3);
    let cache = builder()
        .default_policy(policy)
        .verify(|asked, stored| asked.contains("fix") && stored.contains("repair"))
        .build()
        .unwrap();
    cache
        .put("faq", "repair the fence", answer("nails"), T0)
        .unwrap();
    assert!(cache.get("faq", "fix the fence", T0).unwrap().is_some());
    assert!(cache.get("faq", "paint the fence", T0).unwrap().is_none());
    let counters = cache.counters();
    assert_eq!((counters.semantic_hits, counters.verifier_refusals), (1, 1));
}

#[test]
fn namespaces_embedders_and_epochs_do_not_mix() {
    let cache = builder().build().unwrap();
    cache.put("a", "question", answer("x"), T0).unwrap();
    assert!(cache.get("b", "question", T0).unwrap().is_none());
    let other = Embedder::new("other", 2, |_| Ok::<_, BoxError>(vec![1.0, 0.0]));
    cache.set_embedder(other.unwrap().into());
    assert!(cache.get("a", "question", T0).unwrap().is_none());
    cache.set_embedder(embedder());
    assert!(cache.get("a", "question", T0).unwrap().is_some());
    assert_eq!(cache.advance_epoch("a").unwrap(), 1);
    assert!(cache.get("a", "question", T0).unwrap().is_none());
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
}

#[test]
fn answers_live_as_long_as_their_class() {
    for (class, minutes) in [
        (TtlClass::Static, 7 * 24 * 60),
        (TtlClass::Dynamic, 60),
        (TtlClass::UserSpecific, 15),
    ] {
        let policy = Policy::default().ttl(Ttl::Fixed(class));
        let cache = builder().default_policy(policy).build().unwrap();
        cache.put("n", "question", answer("x"), T0).unwrap();
        assert!(
            cache
                .get("n", "question", later(minutes).plus_millis(-1))
                .unwrap()
                .is_some()
        );
        assert!(
            cache
                .get("n", "question", later(minutes))
                .unwrap()
                .is_none()
        );
        assert_eq!(cache.counters().expired, 1);
    }
    let policy = Policy::default().ttl(Ttl::Fixed(TtlClass::Realtime));
    let cache = builder().default_policy(policy).build().unwrap();
    let now = cache.get_or_compute("n", "time?", T0, || Ok::<_, Error>(answer("12:00")));
    assert_eq!(now.unwrap().value(), "12:00");
    assert_eq!((cache.len(), cache.counters().bypassed), (0, 1));
}

#[test]
fn an_adaptive_lifetime_learns_from_answers_and_reports() {
    let policy = Policy::default().ttl(Ttl::Adaptive(TtlClass::Dynamic));
    let cache = builder()
        .default_policy(policy)
        .same_answer(|a, b| a == b)
        .build()
        .unwrap();
    let ask = |now, text: &str| {
        let found = cache.get_or_compute("n", "price", now, || Ok::<_, Error>(answer(text)));
        found.unwrap().value().clone()
    };
    assert_eq!(ask(T0, "1"), "1");
    assert_eq!(ask(later(59), "2"), "1");
    assert_eq!(ask(later(60), "1"), "1");
    assert_eq!(cache.ttl_millis("n", "price"), Some(90 * MINUTE));
    assert_eq!(ask(later(150), "2"), "2");
    assert_eq!(cache.ttl_millis("n", "price"), Some(45 * MINUTE));
    assert!(
        cache
            .report("n", "price", Report::Stale, later(151))
            .unwrap()
    );
    assert_eq!(ask(later(151), "3"), "3");
    let halved = 45 * MINUTE / 2;
    assert_eq!(cache.ttl_millis("n", "price"), Some(halved), "halved once");
    assert!(!cache.report("n", "unknown", Report::Stale, T0).unwrap());
}

#[test]
fn an_error_is_never_stored() {
    let cache = builder().build().unwrap();
    let failed = cache.get_or_compute("n", "q", T0, || Err("down"));
    assert!(matches!(failed, Err(Failure::Compute("down"))));
    assert!(cache.is_empty());
    let found = cache.get_or_compute("n", "q", T0, || Ok::<_, Error>(answer("up")));
    assert_eq!(found.unwrap().how, How::Computed);
    let counters = cache.counters();
    assert_eq!(
        (counters.compute_errors, counters.computed, counters.misses),
        (1, 1, 2)
    );
}

#[test]
fn an_answer_that_cannot_be_stored_is_given_nevertheless() {
    let zero = Embedder::new("zero", 2, |_| Ok::<_, BoxError>(vec![0.0, 0.0]));
    let cache = SemanticCache::builder(zero.unwrap().into())
        .build()
        .unwrap();
    let found = cache.get_or_compute("n", "q", T0, || Ok::<_, Error>(answer("x")));
    assert_eq!(found.unwrap().value(), "x");
    assert!(matches!(
        cache.put("n", "q", answer("x"), T0),
        Err(Error::ZeroVector)
    ));
    assert_eq!((cache.counters().store_errors, cache.bytes()), (1, 0));
}

#[test]
fn one_thread_computes_and_the_others_wait() {
    let cache = builder().build().unwrap();
    let computed = AtomicUsize::new(0);
    let barrier = Barrier::new(8);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                barrier.wait();
                let found = cache.get_or_compute("n", "slow", T0, || {
                    computed.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(30));
                    Ok::<_, Error>(answer("x"))
                });
                assert_eq!(found.unwrap().value(), "x");
            });
        }
    });
    assert_eq!(computed.load(Ordering::SeqCst), 1);
    let counters = cache.counters();
    assert_eq!(counters.computed + counters.shared + counters.exact_hits, 8);
    assert!(add_up(&counters));
}

#[test]
fn those_who_wait_for_a_failure_compute_themselves() {
    let cache = builder().build().unwrap();
    let tries = AtomicUsize::new(0);
    let barrier = Barrier::new(4);
    let failures = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                barrier.wait();
                let found = cache.get_or_compute("n", "slow", T0, || {
                    let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    if first { Err("down") } else { Ok(answer("x")) }
                });
                failures.fetch_add(usize::from(found.is_err()), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(
        (
            tries.load(Ordering::SeqCst),
            failures.load(Ordering::SeqCst)
        ),
        (2, 1)
    );
}

#[test]
fn a_computation_that_asks_for_itself_is_an_error() {
    let cache = builder().build().unwrap();
    let outer = cache.get_or_compute("n", "q", T0, || {
        let inner = cache.get_or_compute("n", "q", T0, || Ok::<_, Error>(answer("x")));
        inner.map(|found| found.answer)
    });
    let Err(Failure::Compute(Failure::Cache(Error::Recursive))) = outer else {
        panic!("{outer:?}");
    };
}

#[test]
fn the_budget_holds_and_costly_answers_stay_longer() {
    let budget = 100 << 10;
    let cache = builder().max_bytes(budget).build().unwrap();
    cache
        .put("n", "precious", answer("x").cost(1000.0), T0)
        .unwrap();
    for n in 0..100 {
        cache
            .put("n", &format!("question {n}"), answer("y"), T0)
            .unwrap();
        assert!(cache.bytes() <= budget);
    }
    assert!(cache.get("n", "precious", T0).unwrap().is_some());
    assert!(cache.get("n", "question 0", T0).unwrap().is_none());
    assert!(cache.get("n", "question 99", T0).unwrap().is_some());
    cache
        .put("n", "huge", Answer::new(String::new(), budget), T0)
        .unwrap();
    let counters = cache.counters();
    assert_eq!(counters.too_large, 1);
    assert_eq!(
        counters.stored - counters.evicted - counters.replaced,
        cache.len() as u64
    );
}

#[test]
fn dedupe_merges_questions_and_reports_them() {
    let cache = builder().build().unwrap();
    cache
        .put("n", "Reset my password", answer("old"), T0)
        .unwrap();
    cache
        .put("n", "reset my password", answer("new"), later(1))
        .unwrap();
    cache.put("n", "set alarm 5", answer("a"), T0).unwrap();
    cache.put("n", "set alarm 5!", answer("a"), T0).unwrap();
    cache
        .put("n", "how does milk cool", answer("b"), T0)
        .unwrap();
    let report = cache.dedupe(0.95).unwrap();
    assert_eq!(
        (report.examined, report.merges.len(), cache.len()),
        (5, 2, 3)
    );
    assert!(report.freed_bytes > 0);
    let merge = report
        .merges
        .iter()
        .find(|merge| merge.kept == "reset my password")
        .unwrap();
    assert_eq!(merge.merged, "Reset my password");
    let found = cache
        .get("n", "Reset my password", later(1))
        .unwrap()
        .unwrap();
    assert_eq!((found.value().as_str(), &found.how), ("new", &How::Exact));
    assert_eq!(cache.dedupe(0.95).unwrap().merges, []);
}

#[test]
fn wrong_options_and_long_texts_are_refused() {
    let policy = Policy::default().threshold(1.5);
    assert!(builder().default_policy(policy).build().is_err());
    let cache = builder().build().unwrap();
    let long = "x".repeat(70_000);
    assert!(matches!(
        cache.get("n", &long, T0),
        Err(Error::TextTooLong { .. })
    ));
    let broken = Embedder::new("broken", 2, |_| Err("no model".into()));
    let cache = SemanticCache::<u8>::builder(broken.unwrap().into())
        .build()
        .unwrap();
    assert!(matches!(cache.get("n", "q", T0), Err(Error::Embed(_))));
    assert_eq!(cache.counters().failures, 1);
}

#[test]
fn counts_add_up_when_threads_do_everything_at_once() {
    let cache = builder().max_bytes(200 << 10).build().unwrap();
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let cache = &cache;
            threads.spawn(move || {
                let mut random = Random(thread);
                for step in 0..400_i64 {
                    let text = format!("question {}", random.next() % 80);
                    let now = T0.plus_millis(step * MINUTE / 4);
                    match random.next() % 8 {
                        0 => drop(cache.report("n", &text, Report::Stale, now).unwrap()),
                        1 if step % 50 == 0 => drop(cache.dedupe(0.95).unwrap()),
                        2 if step % 50 == 0 => drop(cache.advance_epoch("n").unwrap()),
                        _ => {
                            let found = cache
                                .get_or_compute("n", &text, now, || Ok::<_, Error>(answer(&text)));
                            assert_eq!(*found.unwrap().value(), text, "never another's answer");
                        }
                    }
                }
            });
        }
    });
    let counters = cache.counters();
    assert!(add_up(&counters), "{counters:?}");
    assert_eq!(
        counters.lookups - counters.exact_hits - counters.semantic_hits,
        counters.computed + counters.shared
    );
    let gone = counters.evicted + counters.expired_removed + counters.replaced + counters.removed;
    assert_eq!(counters.stored - gone, cache.len() as u64);
    assert!(cache.bytes() <= 200 << 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// With texts that nothing but themselves matches, the cache is a map with expiry.
    #[test]
    fn it_is_a_map_with_expiry(steps in prop::collection::vec((0_u8..4, 0_usize..6, 0_i64..40), 1..80)) {
        let texts = ["alpha 1", "beta 2", "gamma 3", "delta 4", "epsilon 5", "zeta 6"];
        let cache = builder().build().unwrap();
        let mut model = std::collections::HashMap::new();
        let mut now = T0;
        for (n, (step, text, minutes)) in steps.into_iter().enumerate() {
            now = now.plus_millis(minutes * MINUTE);
            match step {
                0 => {
                    cache.put("n", texts[text], answer(&n.to_string()), now).unwrap();
                    model.insert(text, (n.to_string(), now.plus_millis(60 * MINUTE)));
                }
                1 if cache.report("n", texts[text], Report::Stale, now).unwrap() => {
                    model.get_mut(&text).unwrap().1 = now;
                }
                _ => {
                    let found = cache.get("n", texts[text], now).unwrap();
                    let wanted = model.get(&text).filter(|(_, expires)| now < *expires);
                    prop_assert_eq!(
                        found.map(|found| found.value().clone()),
                        wanted.map(|(value, _)| value.clone())
                    );
                }
            }
            prop_assert_eq!(cache.len(), model.len());
            prop_assert!(add_up(&cache.counters()));
        }
    }
}
