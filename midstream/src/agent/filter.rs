//! Smoothing, thinning and watching a stream of samples.

use crate::agent::Sample;

/// The mean of the last few values. Constant time a value; the sum is made anew once a turn of the window, so
/// that rounding does not add up.
#[derive(Debug)]
pub struct MovingAverage {
    values: Box<[f32]>,
    next: usize,
    len: usize,
    sum: f64,
}

impl MovingAverage {
    /// Over so many values, one at least.
    pub fn new(over: usize) -> Self {
        Self {
            values: vec![0.0; over.max(1)].into_boxed_slice(),
            next: 0,
            len: 0,
            sum: 0.0,
        }
    }

    /// Takes a value; the mean of it and those before it within the window.
    pub fn push(&mut self, value: f32) -> f32 {
        if self.len == self.values.len() {
            self.sum -= f64::from(self.values[self.next]);
        } else {
            self.len += 1;
        }
        self.sum += f64::from(value);
        self.values[self.next] = value;
        self.next += 1;
        if self.next == self.values.len() {
            self.next = 0;
            self.sum = self.values.iter().map(|value| f64::from(*value)).sum();
        }
        (self.sum / self.len as f64) as f32
    }
}

/// The mean of each few samples, at the time of the last of them.
#[derive(Debug)]
pub struct Downsample {
    one_in: u32,
    count: u32,
    sum: f64,
}

impl Downsample {
    /// One for so many, one at least.
    pub fn new(one_in: u32) -> Self {
        Self {
            one_in: one_in.max(1),
            count: 0,
            sum: 0.0,
        }
    }

    /// Takes a sample; the mean when enough have come.
    pub fn push(&mut self, sample: Sample) -> Option<Sample> {
        self.sum += f64::from(sample.value);
        self.count += 1;
        if self.count < self.one_in {
            return None;
        }
        let value = (self.sum / f64::from(self.count)) as f32;
        (self.count, self.sum) = (0, 0.0);
        Some(Sample { value, ..sample })
    }

    /// How many samples wait for their mean.
    pub fn held(&self) -> u32 {
        self.count
    }
}

/// Which way a threshold was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Into the alarm.
    Raised,
    /// Out of it.
    Ended,
}

/// An alarm above one value that ends below another, so that a value that trembles at a limit is one alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    above: f32,
    below: f32,
    raised: bool,
}

impl Threshold {
    /// Raised above `above`, ended below `below`; where `below` is the larger, it is taken for `above` too.
    pub fn new(above: f32, below: f32) -> Self {
        Self {
            above,
            below: below.min(above),
            raised: false,
        }
    }

    /// Takes a value; whether the alarm begins or ends with it.
    pub fn push(&mut self, value: f32) -> Option<Edge> {
        let edge = if !self.raised && value > self.above {
            Edge::Raised
        } else if self.raised && value < self.below {
            Edge::Ended
        } else {
            return None;
        };
        self.raised = !self.raised;
        Some(edge)
    }
}
