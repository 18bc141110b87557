//! A network that loses, delays, repeats and reorders, and is cut.

use std::collections::BTreeMap;

use fastrand::Rng;

/// Frames on their way between sites.
pub struct Network {
    rng: Rng,
    loss: u32,
    /// By when they arrive.
    flying: BTreeMap<(u64, u64), (usize, usize, Vec<u8>)>,
    sent: u64,
    /// Pairs that cannot hear one another, until when.
    cut: BTreeMap<(usize, usize), u64>,
    healed: bool,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Network {
    pub fn new(seed: u64, loss: u32) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ 0x6e65_7477),
            loss,
            flying: BTreeMap::new(),
            sent: 0,
            cut: BTreeMap::new(),
            healed: false,
        }
    }

    pub fn cut(&mut self, a: usize, b: usize, until: u64) {
        self.cut.insert(pair(a, b), until);
    }

    /// From now on everything arrives, once and in order.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.healed = true;
    }

    fn hears(&self, a: usize, b: usize, now: u64) -> bool {
        self.cut.get(&pair(a, b)).is_none_or(|until| *until <= now)
    }

    pub fn send(&mut self, from: usize, to: usize, frame: Vec<u8>, now: u64) {
        let copies = if self.healed {
            1
        } else if self.rng.u32(0..1_000) < self.loss {
            0
        } else {
            1 + usize::from(self.rng.u32(0..1_000) < 50)
        };
        for _ in 0..copies {
            let delay = match (self.healed, self.rng.u8(0..20)) {
                (true, _) => 1,
                // Once in a while one comes when all others are long there.
                (false, 0) => self.rng.u64(0..30_000),
                (false, _) => self.rng.u64(1..200),
            };
            self.sent += 1;
            self.flying.insert((now + delay, self.sent), (from, to, frame.clone()));
        }
    }

    /// When the next frame arrives.
    pub fn next(&self) -> Option<u64> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    /// What arrives by now.
    pub fn arrived(&mut self, now: u64) -> Vec<(usize, usize, Vec<u8>)> {
        let later = self.flying.split_off(&(now + 1, 0));
        let due = std::mem::replace(&mut self.flying, later);
        let due: Vec<_> = due.into_values().collect();
        due.into_iter()
            .filter(|(from, to, _)| self.hears(*from, *to, now))
            .collect()
    }
}
