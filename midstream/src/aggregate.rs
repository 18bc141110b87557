//! Count, sum, average, extremes and standard deviation of a stream, mergeable.
//!
//! Welford's update and the pairwise merge of Chan, Golub and LeVeque, *Updating formulae and a pairwise
//! algorithm for computing sample variances* (1979). NaN is counted apart and changes nothing else.

use serde::{Deserialize, Serialize};

/// The aggregates of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregates {
    /// Numbers.
    pub count: u64,
    /// Values that were NaN, not in `count`.
    pub nan: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest; infinite when there is none.
    pub min: f64,
    /// The largest; negative infinite when there is none.
    pub max: f64,
    mean: f64,
    /// Sum of squared differences from the mean.
    spread: f64,
}

impl Default for Aggregates {
    fn default() -> Self {
        Self {
            count: 0,
            nan: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            spread: 0.0,
        }
    }
}

impl Aggregates {
    /// Adds a number. Constant time.
    pub fn push(&mut self, value: f64) {
        if value.is_nan() {
            self.nan += 1;
            return;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.spread += off * (value - self.mean);
    }

    /// Adds the numbers of another. Constant time.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            self.nan += other.nan;
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let off = other.mean - self.mean;
        // One division: the time of a merge is that of its divisions.
        let part = m / (n + m);
        self.spread += other.spread + off * off * n * part;
        self.mean += off * part;
        self.merge_outline(other);
    }

    /// Adds the numbers of another as far as count, sum and extremes go; the deviation means nothing afterwards.
    #[inline]
    pub(crate) fn merge_outline(&mut self, other: &Self) {
        self.count += other.count;
        self.nan += other.nan;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The average; none of nothing. The sum over the count, which is exact where the sum is.
    pub fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The standard deviation of the sample (divided by count - 1); none below two numbers.
    pub fn stddev(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.spread / (self.count - 1) as f64).max(0.0).sqrt())
    }

    /// The aggregate of this kind; none where it is not defined, and of kinds that need more than is kept here
    /// (percentiles, distinct values, first and last).
    pub fn get(&self, kind: Aggregate) -> Option<f64> {
        match kind {
            Aggregate::Count => Some(self.count as f64),
            Aggregate::Sum => Some(self.sum),
            Aggregate::Avg => self.avg(),
            Aggregate::Min => (self.count > 0).then_some(self.min),
            Aggregate::Max => (self.count > 0).then_some(self.max),
            Aggregate::Stddev => self.stddev(),
            Aggregate::Percentile(_) | Aggregate::Distinct | Aggregate::First | Aggregate::Last => {
                None
            }
        }
    }
}

/// Which aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// How many numbers.
    Count,
    /// Their sum.
    Sum,
    /// Their average.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The standard deviation of the sample.
    Stddev,
    /// The value below which so many thousandths of the numbers lie, within one percent of its size.
    Percentile(u16),
    /// How many different values.
    Distinct,
    /// The first value.
    First,
    /// The last value.
    Last,
}
