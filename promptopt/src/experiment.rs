//! A new version beside the running one: who gets it, and when it is taken back.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::outcome::{Feedback, Outcome};
use crate::prompt::{Prompt, Version};
use crate::sequential::{Arm, SequentialTest};
use crate::tier::Tier;

/// Bounds of the latency histogram: each bucket is a quarter wider than the one before.
const BUCKETS: usize = 96;
const BUCKET_GROWTH: f64 = 1.25;
const FIRST_BUCKET_MS: f64 = 0.01;

/// How many calls the new version gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// Always this share of the keys, 0 to 1.
    Fixed(f64),
    /// The probability that it is the better one (Thompson sampling), at least `floor` and at most
    /// 1 less `floor`. The probability is that of two Beta posteriors in normal approximation.
    Thompson {
        /// The least share of either version, above 0 and at most 0.5.
        floor: f64,
    },
}

/// What takes the new version back without any statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardLimits {
    /// Largest share of answers that cannot be read.
    pub unreadable_max: f64,
    /// Largest 95th percentile of the latency, read to a quarter from a histogram.
    pub latency_p95_max: Duration,
    /// Outcomes of the new version before these limits count.
    pub outcomes_min: u64,
}

impl Default for HardLimits {
    /// 5 % unreadable, 95th percentile of 10 s, from 50 outcomes on.
    fn default() -> Self {
        Self {
            unreadable_max: 0.05,
            latency_p95_max: Duration::from_secs(10),
            outcomes_min: 50,
        }
    }
}

/// Settings of an experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExperimentOptions {
    /// How many calls the new version gets.
    pub share: Share,
    /// Probability that a version which is no worse is ever taken back by the test.
    pub alpha: f64,
    /// Share of deciding pairs that the new version may lose; 0.5 is "not worse".
    pub tolerated_share: f64,
    /// What takes it back without statistics.
    pub limits: HardLimits,
}

impl Default for ExperimentOptions {
    /// Half of the calls, alpha 0.05, not worse, default limits.
    fn default() -> Self {
        Self {
            share: Share::Fixed(0.5),
            alpha: 0.05,
            tolerated_share: 0.5,
            limits: HardLimits::default(),
        }
    }
}

/// Why a new version was taken back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RollbackCause {
    /// The sequential test found it worse.
    Worse {
        /// Evidence reached; alpha is at most 1 / this.
        evidence: f64,
    },
    /// Too many answers could not be read.
    Unreadable {
        /// Share of its answers.
        share: f64,
    },
    /// Too slow.
    Slow {
        /// 95th percentile of its latency, to a quarter.
        latency_p95: Duration,
    },
}

/// State of a tier's experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExperimentStatus {
    /// The tier.
    pub tier: Tier,
    /// The new version.
    pub candidate: Version,
    /// Share of the keys that it gets now; 0 after a rollback.
    pub share: f64,
    /// Judged outcomes of the new version and how many of them were right.
    pub candidate_outcomes: (u64, u64),
    /// Judged outcomes of the running version and how many of them were right.
    pub running_outcomes: (u64, u64),
    /// Evidence that the new version is worse.
    pub evidence: f64,
    /// Why it was taken back, if it was.
    pub rollback: Option<RollbackCause>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    judged: u64,
    right: u64,
}

/// A running experiment of one tier.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) candidate: Arc<Prompt>,
    running: Version,
    options: ExperimentOptions,
    share: f64,
    test: SequentialTest,
    tallies: [Tally; 2],
    outcomes: u64,
    unreadable: u64,
    buckets: [u64; BUCKETS],
    rollback: Option<RollbackCause>,
}

impl Experiment {
    pub(crate) fn new(
        candidate: Prompt,
        running: Version,
        options: ExperimentOptions,
    ) -> Result<Self> {
        let (what, found, expected, valid) = match options.share {
            Share::Fixed(share) => (
                "share of the new version",
                share,
                "0 to 1",
                (0.0..=1.0).contains(&share),
            ),
            Share::Thompson { floor } => (
                "least share of a version",
                floor,
                "above 0 and at most 0.5",
                floor > 0.0 && floor <= 0.5,
            ),
        };
        let rules = [
            (what, found, expected, valid),
            (
                "alpha",
                options.alpha,
                "between 0 and 1",
                options.alpha > 0.0 && options.alpha < 1.0,
            ),
            (
                "tolerated share of lost pairs",
                options.tolerated_share,
                "0.5 to 0.95",
                (0.5..=0.95).contains(&options.tolerated_share),
            ),
            (
                "largest share of unreadable answers",
                options.limits.unreadable_max,
                "0 to 1",
                (0.0..=1.0).contains(&options.limits.unreadable_max),
            ),
        ];
        for (what, found, expected, valid) in rules {
            if !valid {
                return Err(Error::OutOfRange {
                    what,
                    found,
                    expected,
                });
            }
        }
        let share = match options.share {
            Share::Fixed(share) => share,
            Share::Thompson { .. } => 0.5,
        };
        Ok(Self {
            candidate: Arc::new(candidate),
            running,
            options,
            share,
            test: SequentialTest::new(options.tolerated_share),
            tallies: [Tally::default(); 2],
            outcomes: 0,
            unreadable: 0,
            buckets: [0; BUCKETS],
            rollback: None,
        })
    }

    /// Whether this key gets the new version, and the probability of what it gets. The same key gets the
    /// same version as long as the share stays.
    pub(crate) fn assign(&self, key: &[u8]) -> (Arm, f64) {
        let place = unit_hash(self.candidate.sha256().as_bytes(), key);
        if place < self.share {
            (Arm::Candidate, self.share)
        } else {
            (Arm::Running, 1.0 - self.share)
        }
    }

    /// Takes an outcome in, where it is of one of the two versions.
    pub(crate) fn record(&mut self, outcome: &Outcome) {
        let prompt = &outcome.choice.prompt;
        let arm = if prompt.sha256() == self.candidate.sha256() {
            Arm::Candidate
        } else if prompt.version() == self.running {
            Arm::Running
        } else {
            return;
        };
        if self.rollback.is_some() {
            return;
        }
        if arm == Arm::Candidate {
            self.outcomes += 1;
            self.unreadable += u64::from(outcome.feedback == Feedback::Unreadable);
            self.buckets[bucket(outcome.latency)] += 1;
        }
        let right = match outcome.feedback {
            Feedback::None => None,
            Feedback::Right => Some(true),
            Feedback::Wrong | Feedback::Unreadable => Some(false),
        };
        if let Some(right) = right {
            let tally = &mut self.tallies[arm as usize];
            tally.judged += 1;
            tally.right += u64::from(right);
            self.test.push(arm, right);
        }
        self.rollback = self.cause();
        self.share = match (self.rollback, self.options.share) {
            (Some(_), _) => 0.0,
            (None, Share::Fixed(share)) => share,
            (None, Share::Thompson { floor }) => {
                let [running, candidate] = self.tallies;
                probability_better(candidate, running).clamp(floor, 1.0 - floor)
            }
        };
    }

    fn cause(&self) -> Option<RollbackCause> {
        let limits = &self.options.limits;
        if self.outcomes >= limits.outcomes_min.max(1) {
            let share = self.unreadable as f64 / self.outcomes as f64;
            if share > limits.unreadable_max {
                return Some(RollbackCause::Unreadable { share });
            }
            let latency_p95 = self.latency_p95();
            if latency_p95 > limits.latency_p95_max {
                return Some(RollbackCause::Slow { latency_p95 });
            }
        }
        let evidence = self.test.evidence();
        (evidence >= 1.0 / self.options.alpha).then_some(RollbackCause::Worse { evidence })
    }

    /// The lower bound of the bucket that holds the 95th percentile.
    fn latency_p95(&self) -> Duration {
        let rank = (self.outcomes as f64 * 0.95).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let millis = FIRST_BUCKET_MS * BUCKET_GROWTH.powi(at as i32);
                return Duration::from_secs_f64(millis / 1e3);
            }
        }
        Duration::ZERO
    }

    pub(crate) fn rolled_back(&self) -> bool {
        self.rollback.is_some()
    }

    pub(crate) fn status(&self) -> ExperimentStatus {
        let [running, candidate] = self.tallies;
        ExperimentStatus {
            tier: self.candidate.tier(),
            candidate: self.candidate.version(),
            share: self.share,
            candidate_outcomes: (candidate.judged, candidate.right),
            running_outcomes: (running.judged, running.right),
            evidence: self.test.evidence(),
            rollback: self.rollback,
        }
    }
}

fn bucket(latency: Duration) -> usize {
    let steps = (latency.as_secs_f64() * 1e3 / FIRST_BUCKET_MS)
        .max(1.0)
        .ln()
        / BUCKET_GROWTH.ln();
    (steps as usize).min(BUCKETS - 1)
}

/// Probability that the first share is the larger, from Beta(1 + right, 1 + wrong) posteriors whose
/// difference is taken as normal.
fn probability_better(first: Tally, second: Tally) -> f64 {
    let moments = |tally: Tally| {
        let (a, b) = (
            1.0 + tally.right as f64,
            1.0 + (tally.judged - tally.right) as f64,
        );
        (a / (a + b), a * b / ((a + b).powi(2) * (a + b + 1.0)))
    };
    let ((m1, v1), (m2, v2)) = (moments(first), moments(second));
    normal_share((m1 - m2) / (v1 + v2).sqrt())
}

/// Share of the standard normal distribution below `z`, to 1e-7 (Abramowitz and Stegun, 26.2.17).
fn normal_share(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let tail = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
        * series
            .iter()
            .rev()
            .fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// A stable number from 0 to below 1 for a key: FNV-1a over both texts, mixed as in SplitMix64.
fn unit_hash(salt: &[u8], key: &[u8]) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in salt.iter().chain(key) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_even_and_stable() {
        let mut counts = [0u32; 10];
        for key in 0..20_000u32 {
            counts[(unit_hash(b"salt", &key.to_le_bytes()) * 10.0) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (1850..2150).contains(count)),
            "{counts:?}"
        );
        assert_eq!(unit_hash(b"a", b"key-1"), unit_hash(b"a", b"key-1"));
        assert_ne!(unit_hash(b"a", b"key-1"), unit_hash(b"b", b"key-1"));
    }

    #[test]
    fn the_normal_share_and_the_better_arm_are_right() {
        assert!((normal_share(1.96) - 0.975_002_1).abs() < 1e-6);
        assert!((normal_share(-1.0) - 0.158_655_3).abs() < 1e-6);
        let tally = |judged, right| Tally { judged, right };
        assert!((probability_better(tally(9, 5), tally(9, 5)) - 0.5).abs() < 1e-6);
        assert!(probability_better(tally(100, 80), tally(100, 60)) > 0.99);
    }

    #[test]
    fn buckets_hold_their_latency_to_a_quarter() {
        for millis in [0.02, 1.0, 77.0, 1234.0] {
            let low = FIRST_BUCKET_MS
                * BUCKET_GROWTH.powi(bucket(Duration::from_secs_f64(millis / 1e3)) as i32);
            assert!(
                low <= millis * 1.0001 && millis < low * BUCKET_GROWTH * 1.0001,
                "{millis} {low}"
            );
        }
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::from_secs(u64::MAX / 2)), BUCKETS - 1);
    }
}
