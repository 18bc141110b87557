//! Whether an adaptive lifetime is worth having: a stream of questions whose answers change, each at
//! its own pace, against every fixed lifetime of a sweep.

use ruvector::Error;
use ruvector::cache::{Answer, Policy, Report, SemanticCache, Timestamp, Ttl, TtlClass};

use crate::common::Random;
use crate::embedder::embedder;

const MINUTE: f64 = 60_000.0;
const QUESTIONS: usize = 120;

/// In 0..1, never 0.
fn share(random: &mut Random) -> f64 {
    ((random.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
}

/// What the stream did: when each question's answer changes, and who asks what when.
struct Stream {
    changes: Vec<Vec<f64>>,
    asks: Vec<(f64, usize, bool)>,
}

impl Stream {
    /// `hours` of a stream with 20 questions a minute. Mean times between changes are spread evenly over
    /// the orders of magnitude from 10 minutes to 2 days; a share of those who got a stale answer, `telling`, say so.
    fn new(seed: u64, hours: f64, telling: f64) -> Self {
        let mut random = Random(seed);
        let end = hours * 60.0 * MINUTE;
        let changes = (0..QUESTIONS)
            .map(|_| {
                let mean = 10.0 * MINUTE * (288.0_f64).powf(share(&mut random));
                let mut at = 0.0;
                let mut changes = Vec::new();
                while at < end {
                    at -= mean * share(&mut random).ln();
                    changes.push(at);
                }
                changes
            })
            .collect();
        let mut at = 0.0;
        let mut asks = Vec::new();
        while at < end {
            at -= MINUTE / 20.0 * share(&mut random).ln();
            // Some questions are asked far more often than others.
            let question = (share(&mut random).powi(2) * QUESTIONS as f64) as usize;
            let tells = share(&mut random) <= telling;
            asks.push((at, question.min(QUESTIONS - 1), tells));
        }
        Self { changes, asks }
    }

    /// Computations and stale answers under a rule.
    fn run(&self, ttl: Ttl) -> (u64, u64) {
        let cache = SemanticCache::builder(embedder())
            .default_policy(Policy::default().ttl(ttl).threshold(1.0))
            .same_answer(|a, b| a == b)
            .build()
            .unwrap();
        let (mut computed, mut stale) = (0, 0);
        for (at, question, tells) in &self.asks {
            let now = Timestamp(*at as i64);
            let truth = self.changes[*question].partition_point(|change| change <= at);
            let text = format!("question {question}");
            let found = cache
                .get_or_compute("n", &text, now, || {
                    computed += 1;
                    Ok::<_, Error>(Answer::new(truth, 0))
                })
                .unwrap();
            if *found.value() != truth {
                stale += 1;
                if *tells {
                    cache.report("n", &text, Report::Stale, now).unwrap();
                }
            }
        }
        (computed, stale)
    }
}

fn compare(seed: u64, hours: f64, telling: f64) {
    let stream = Stream::new(seed, hours, telling);
    let asked = stream.asks.len();
    let adaptive = stream.run(Ttl::Adaptive(TtlClass::Dynamic));
    eprintln!(
        "seed {seed}: {asked} asked; adaptive: computed {}, stale {}",
        adaptive.0, adaptive.1
    );
    let fixed: Vec<(f64, (u64, u64))> = [
        4.0, 8.0, 15.0, 22.0, 30.0, 45.0, 60.0, 90.0, 120.0, 240.0, 480.0,
    ]
    .into_iter()
    .map(|minutes| (minutes, stream.run(Ttl::Millis((minutes * MINUTE) as i64))))
    .collect();
    for (minutes, (computed, stale)) in &fixed {
        eprintln!("seed {seed}: fixed {minutes} min: computed {computed}, stale {stale}");
    }
    let cost = |(computed, stale): (u64, u64), weight: u64| computed + weight * stale;
    // The lifetime of the class is what a user has without it.
    let class = stream.run(Ttl::Fixed(TtlClass::Dynamic));
    assert!(cost(adaptive, 1) < cost(class, 1), "{adaptive:?} {class:?}");
    // No fixed lifetime computes as little and is as fresh: the best of those that are as fresh computes more.
    for (minutes, (computed, stale)) in &fixed {
        assert!(
            *computed > adaptive.0 || *stale > adaptive.1,
            "fixed {minutes} min is as good: {computed} {stale}"
        );
    }
    if telling == 0.0 {
        return;
    }
    let as_fresh = fixed.iter().filter(|(_, (_, stale))| *stale <= adaptive.1);
    let cheapest = as_fresh.map(|(_, (computed, _))| *computed).min().unwrap();
    eprintln!(
        "seed {seed}: the cheapest fixed lifetime that is as fresh computes {:.2} times as often",
        cheapest as f64 / adaptive.0 as f64
    );
    assert!(cheapest * 100 > adaptive.0 * 110, "{cheapest} {adaptive:?}");
    for weight in [1, 2] {
        let costs = fixed.iter().map(|(_, fixed)| cost(*fixed, weight));
        let (best, adaptive) = (costs.min().unwrap(), cost(adaptive, weight));
        eprintln!(
            "seed {seed}: a stale answer costs {weight}: adaptive {adaptive}, best fixed {best}"
        );
        assert!(adaptive < best);
    }
}

#[test]
fn an_adaptive_lifetime_beats_fixed_ones() {
    compare(1, 48.0, 0.1);
}

#[test]
fn no_fixed_lifetime_is_cheaper_and_fresher_when_nobody_reports() {
    compare(1, 48.0, 0.0);
}

#[test]
#[ignore = "minutes in the dev profile"]
fn an_adaptive_lifetime_beats_fixed_ones_for_many_streams() {
    for seed in 2..12 {
        compare(seed, 24.0 * 7.0, 0.1);
    }
}
