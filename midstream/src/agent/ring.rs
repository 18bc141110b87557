//! The newest samples, in memory that is taken once.

use crate::agent::Sample;

/// A bounded queue whose oldest sample makes room for a new one.
#[derive(Debug)]
pub struct Ring {
    samples: Box<[Sample]>,
    /// The place of the next sample.
    next: usize,
    len: usize,
    overwritten: u64,
}

impl Ring {
    /// Room for so many samples, one at least.
    pub fn new(capacity: usize) -> Self {
        Self {
            samples: vec![Sample::default(); capacity.max(1)].into_boxed_slice(),
            next: 0,
            len: 0,
            overwritten: 0,
        }
    }

    /// Adds a sample. Constant time.
    pub fn push(&mut self, sample: Sample) {
        self.samples[self.next] = sample;
        self.next = (self.next + 1) % self.samples.len();
        if self.len < self.samples.len() {
            self.len += 1;
        } else {
            self.overwritten += 1;
        }
    }

    /// How many samples it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many samples made room.
    pub fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// Its samples, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Sample> + '_ {
        let capacity = self.samples.len();
        let first = (self.next + capacity - self.len) % capacity;
        (0..self.len).map(move |place| self.samples[(first + place) % capacity])
    }
}
