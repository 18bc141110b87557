//! How often the guard lets a look-alike through, on labelled pairs.

use std::collections::BTreeMap;

use ruvector::cache::Answer;
use ruvector::cache::{Guard, Policy, SemanticCache, Timestamp, Verdict};

use crate::embedder::{embedder, vector};

struct Pair {
    kind: &'static str,
    first: &'static str,
    second: &'static str,
}

fn pairs() -> Vec<Pair> {
    let pairs = read(include_str!("data/lookalikes.tsv"));
    assert!(pairs.len() >= 150);
    pairs
}

fn read(text: &'static str) -> Vec<Pair> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap();
            Pair {
                kind: next(),
                first: next(),
                second: next(),
            }
        })
        .collect()
}

fn cosine(a: &str, b: &str) -> f64 {
    let (a, b) = (vector(a), vector(b));
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

/// How the guard judges the pairs of each kind: all, agree, doubtful, differ.
fn tally(pairs: &[Pair]) -> BTreeMap<&'static str, [usize; 4]> {
    let guard = Guard::default();
    let mut tally: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for pair in pairs {
        let verdict = guard.compare(pair.first, pair.second);
        let back = guard.compare(pair.second, pair.first);
        assert_eq!(verdict, back, "it is symmetric");
        let counts = tally.entry(pair.kind).or_default();
        counts[0] += 1;
        match verdict {
            Verdict::Agree => counts[1] += 1,
            Verdict::Doubtful(_) => counts[2] += 1,
            _ => counts[3] += 1,
        }
        if (verdict == Verdict::Agree) != (pair.kind == "paraphrase") {
            eprintln!(
                "{}: {verdict:?}: {} / {}",
                pair.kind, pair.first, pair.second
            );
        }
    }
    for (kind, [all, agree, doubtful, differ]) in &tally {
        eprintln!("guard: {kind}: of {all} agree {agree}, doubtful {doubtful}, differ {differ}");
    }
    tally
}

fn share(tally: &BTreeMap<&str, [usize; 4]>, kind: &str) -> f64 {
    tally[kind][1] as f64 / tally[kind][0] as f64
}

/// The guard alone, as if every pair were near enough: no embedder can do worse.
#[test]
fn the_guard_keeps_lookalikes_apart_and_lets_paraphrases_through() {
    let tally = tally(&pairs());
    for kind in ["number", "negation", "entity", "opposite"] {
        assert!(
            share(&tally, kind) <= 0.03,
            "{kind} pairs that pass: {}",
            share(&tally, kind)
        );
    }
    assert!(
        share(&tally, "paraphrase") >= 0.6,
        "{}",
        share(&tally, "paraphrase")
    );
}

/// Pairs that were written after the guard and its word lists.
#[test]
fn the_guard_does_as_well_on_pairs_written_after_it() {
    let tally = tally(&read(include_str!("data/lookalikes-unseen.tsv")));
    for kind in ["number", "negation", "entity"] {
        assert!(
            share(&tally, kind) <= 0.1,
            "{kind} pairs that pass: {}",
            share(&tally, kind)
        );
    }
    assert!(
        share(&tally, "opposite") <= 0.25,
        "{}",
        share(&tally, "opposite")
    );
    assert!(
        share(&tally, "paraphrase") >= 0.5,
        "{}",
        share(&tally, "paraphrase")
    );
}

/// The whole cache, at the usual threshold and at lower ones, against the threshold alone.
#[test]
fn false_hits_of_the_cache_are_rare_at_any_threshold() {
    for threshold in [0.95_f32, 0.8, 0.6] {
        let (mut hits, mut bare, mut same, mut different) = ([0; 2], [0; 2], 0, 0);
        for pair in pairs() {
            let cache = SemanticCache::builder(embedder())
                .default_policy(Policy::default().threshold(threshold))
                .build()
                .unwrap();
            let now = Timestamp(0);
            cache
                .put("faq", pair.first, Answer::new(1_u8, 0), now)
                .unwrap();
            let found = cache.get("faq", pair.second, now).unwrap().is_some();
            let is_same = pair.kind == "paraphrase";
            same += usize::from(is_same);
            different += usize::from(!is_same);
            hits[usize::from(is_same)] += usize::from(found);
            let near = cosine(pair.first, pair.second) >= f64::from(threshold);
            bare[usize::from(is_same)] += usize::from(near);
        }
        eprintln!(
            "threshold {threshold}: false hits {} of {different} (cosine alone {}), true hits {} of {same} (cosine alone {})",
            hits[0], bare[0], hits[1], bare[1]
        );
        assert!(hits[0] * 50 <= different, "{} false hits", hits[0]);
        if threshold < 0.7 {
            assert!(
                bare[0] > 10 * hits[0].max(1),
                "the set has look-alikes for this embedder"
            );
            assert!(hits[1] > 0);
        }
    }
}
