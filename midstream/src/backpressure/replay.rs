//! The speed at which what waited is sent again.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// How fast what waited is sent: raised by a step each second without a failure, halved at a failure.
#[derive(Clone, Debug)]
pub struct ReplayRate {
    /// A second.
    rate: f64,
    least: f64,
    most: f64,
    step: f64,
    /// What may be sent now.
    tokens: f64,
    last: Option<Timestamp>,
    raised: Option<Timestamp>,
}

impl ReplayRate {
    /// Begins at the least rate, in records a second; a step is a twentieth of the most.
    ///
    /// # Errors
    /// [`Error::Options`] unless 0 < `least` <= `most`.
    pub fn new(least: f64, most: f64) -> Result<Self> {
        if !(least > 0.0 && least <= most && most.is_finite()) {
            return Err(Error::Options {
                what: "the rate of a replay",
                cause: "the least is above 0 and not above the most",
            });
        }
        Ok(Self {
            rate: least,
            least,
            most,
            step: most / 20.0,
            tokens: 0.0,
            last: None,
            raised: None,
        })
    }

    /// Records a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// How many records may be sent now; at most what a second allows.
    pub fn ready(&mut self, now: Timestamp) -> usize {
        let passed = now.since(self.last.unwrap_or(now)).as_secs_f64();
        self.last = Some(now);
        self.tokens = (self.tokens + passed * self.rate).min(self.rate.max(1.0));
        self.tokens as usize
    }

    /// So many were sent.
    pub fn sent(&mut self, records: usize) {
        self.tokens = (self.tokens - records as f64).max(0.0);
    }

    /// A send was answered well.
    pub fn succeeded(&mut self, now: Timestamp) {
        let raised = *self.raised.get_or_insert(now);
        if now.since(raised) >= Duration::from_secs(1) {
            self.raised = Some(now);
            self.rate = (self.rate + self.step).min(self.most);
        }
    }

    /// A send failed, or the ladder rose.
    pub fn failed(&mut self, now: Timestamp) {
        self.rate = (self.rate / 2.0).max(self.least);
        self.tokens = 0.0;
        self.raised = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_replay_speeds_up_by_steps_and_halves_at_a_failure() {
        let mut rate = ReplayRate::new(10.0, 1000.0).unwrap();
        for second in 0..100 {
            rate.succeeded(at(second));
        }
        assert_eq!(rate.rate(), 1000.0);
        rate.failed(at(100));
        assert_eq!(rate.rate(), 500.0);
        rate.succeeded(at(100));
        assert_eq!(rate.rate(), 500.0);
        rate.succeeded(at(101));
        assert_eq!(rate.rate(), 550.0);
        for second in 101..120 {
            rate.failed(at(second));
        }
        assert_eq!(rate.rate(), 10.0);
    }

    #[test]
    fn a_replay_never_sends_more_than_its_rate() {
        let mut rate = ReplayRate::new(100.0, 100.0).unwrap();
        let mut sent = 0;
        for tenth in 0..=100 {
            let ready = rate.ready(Timestamp::from_millis(tenth * 100));
            rate.sent(ready);
            sent += ready;
        }
        assert_eq!(sent, 1000);
    }
}
