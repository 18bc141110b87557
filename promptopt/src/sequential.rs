//! A test that may be looked at after every outcome and still errs as rarely as it says.
//!
//! Outcomes of the new and the running version are paired in the order in which they come. Pairs in which
//! one was right and the other wrong decide: while the new version is not worse, at most half of them go
//! against it. Against that stands a bet on every larger share at once; its capital is a
//! supermartingale, so by Ville's inequality it reaches `1 / alpha` with probability at most alpha, ever
//! (a mixture sequential test; Robbins, 1970; Ramdas et al., 2023). No sample size is fixed beforehand.

use std::collections::VecDeque;

/// Shares of lost pairs that are bet on.
const BETS: usize = 64;
/// Outcomes that wait for a partner; more of one side are counted, but pair no more until others come.
const WAITING_MAX: usize = 4096;

/// Which version an outcome is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The running version.
    Running,
    /// The new version.
    Candidate,
}

/// The capital of the bet that the new version is worse.
#[derive(Clone, Debug)]
pub struct SequentialTest {
    log_capital: [f64; BETS],
    tolerated: f64,
    waiting: [VecDeque<bool>; 2],
    pairs: u64,
    lost: u64,
    won: u64,
    unpaired: u64,
}

impl SequentialTest {
    /// A test of "the new version loses at most this share of the deciding pairs": 0.5 tests "not worse",
    /// more tolerates a loss (0.55 at 80 % right tolerates about 3.5 points). Values outside 0.5 to 0.95
    /// are taken as the nearest of them.
    pub fn new(tolerated_share: f64) -> Self {
        Self {
            log_capital: [0.0; BETS],
            tolerated: if tolerated_share.is_nan() {
                0.5
            } else {
                tolerated_share.clamp(0.5, 0.95)
            },
            waiting: Default::default(),
            pairs: 0,
            lost: 0,
            won: 0,
            unpaired: 0,
        }
    }

    /// Takes one outcome in; constant work.
    pub fn push(&mut self, arm: Arm, right: bool) {
        let (own, other) = match arm {
            Arm::Running => (0, 1),
            Arm::Candidate => (1, 0),
        };
        let Some(partner) = self.waiting[other].pop_front() else {
            if self.waiting[own].len() < WAITING_MAX {
                self.waiting[own].push_back(right);
            } else {
                self.unpaired += 1;
            }
            return;
        };
        self.pairs += 1;
        if partner == right {
            return;
        }
        let candidate_lost = match arm {
            Arm::Candidate => !right,
            Arm::Running => right,
        };
        if candidate_lost {
            self.lost += 1;
        } else {
            self.won += 1;
        }
        for (at, capital) in self.log_capital.iter_mut().enumerate() {
            let share = self.tolerated + (1.0 - self.tolerated) * (at as f64 + 0.5) / BETS as f64;
            *capital += if candidate_lost {
                (share / self.tolerated).ln()
            } else {
                ((1.0 - share) / (1.0 - self.tolerated)).ln()
            };
        }
    }

    /// The evidence that the new version is worse: 1 / this is a p-value that holds at any time.
    pub fn evidence(&self) -> f64 {
        let largest = self
            .log_capital
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self
            .log_capital
            .iter()
            .map(|capital| (capital - largest).exp())
            .sum();
        largest.exp() * sum / BETS as f64
    }

    /// Pairs so far, and of those the ones that the new version lost and won.
    pub fn pairs(&self) -> (u64, u64, u64) {
        (self.pairs, self.lost, self.won)
    }

    /// Outcomes that came while too many of the same version waited, and so were not paired.
    pub fn unpaired(&self) -> u64 {
        self.unpaired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_raise_the_evidence_and_wins_lower_it() {
        let mut test = SequentialTest::new(0.5);
        assert!((test.evidence() - 1.0).abs() < 1e-12);
        for _ in 0..10 {
            test.push(Arm::Running, true);
            test.push(Arm::Candidate, false);
        }
        let high = test.evidence();
        // Ten lost pairs in a row: the mean over shares q of (2q)^10.
        let exact: f64 = (0..10_000)
            .map(|at| (2.0 * (0.5 + 0.5 * (f64::from(at) + 0.5) / 10_000.0)).powi(10))
            .sum::<f64>()
            / 10_000.0;
        assert!((high / exact - 1.0).abs() < 0.01, "{high} beside {exact}");
        test.push(Arm::Candidate, true);
        test.push(Arm::Running, false);
        assert!(test.evidence() < high);
        test.push(Arm::Candidate, true);
        test.push(Arm::Running, true);
        assert_eq!(test.pairs(), (12, 10, 1));
    }

    #[test]
    fn one_side_alone_is_held_within_a_bound() {
        let mut test = SequentialTest::new(0.5);
        for _ in 0..WAITING_MAX + 5 {
            test.push(Arm::Running, true);
        }
        assert_eq!((test.unpaired(), test.pairs().0), (5, 0));
    }
}
