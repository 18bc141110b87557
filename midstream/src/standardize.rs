//! Values told in standard deviations from what is usual, so that one rule fits machines of any level.

use std::time::Duration;

use crate::time::Timestamp;

/// A value further from the mean than this many standard deviations counts as this far when what is usual
/// follows the values: an outlier, or a fault while it lasts, changes it slowly.
const OUTLIER: f64 = 3.0;

/// From what usual values are learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The values of this time from the first on; what comes later changes nothing.
    First(Duration),
    /// The values of about this time before each: older ones count less and less. Until that time has passed
    /// once, all count alike.
    Last(Duration),
}

/// Mean and spread of one field (Welford, 1962).
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }

    /// The value in standard deviations; none while nothing varies.
    fn standard(&self, value: f64) -> Option<f64> {
        let deviation = self.deviation();
        (deviation > 0.0).then(|| (value - self.mean) / deviation)
    }

    /// Follows a value that counts for this share of what is usual.
    fn follow(&mut self, value: f64, share: f64) {
        let deviation = self.deviation();
        let off = if deviation > 0.0 {
            (value - self.mean).clamp(-OUTLIER * deviation, OUTLIER * deviation)
        } else {
            value - self.mean
        };
        self.mean += share * off;
        let variance = deviation * deviation;
        // The count stays, so that the squares are the variance times it.
        self.squares = self.count * (variance + share * (off * off - variance));
    }
}

/// Learns mean and standard deviation of fields and tells values in them.
///
/// ```
/// use std::time::Duration;
/// use midstream::{Standardizer, Timestamp};
///
/// let mut standardizer = Standardizer::new(1, Duration::from_secs(10));
/// let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
/// for second in 0..10_i64 {
///     assert_eq!(standardizer.push(at(second), &[Some(20.0 + (second % 2) as f64)]), [None]);
/// }
/// assert_eq!(standardizer.push(at(10), &[Some(22.0)]), [Some(3.0)]);
/// ```
#[derive(Clone, Debug)]
pub struct Standardizer {
    over: Over,
    begin: Option<Timestamp>,
    before: Timestamp,
    fields: Vec<Spread>,
}

impl Standardizer {
    /// Learns `fields` fields for so long from the first value on.
    pub fn new(fields: usize, first: Duration) -> Self {
        Self::of(fields, Over::First(first))
    }

    /// Learns `fields` fields from these values.
    pub fn of(fields: usize, over: Over) -> Self {
        Self {
            over,
            begin: None,
            before: Timestamp::default(),
            fields: vec![Spread::default(); fields],
        }
    }

    /// The values of one time, in standard deviations from the mean of what is usual; none while that is
    /// learnt at first, for a value that is missing or not finite, and for a field that did not vary. Values
    /// beyond the fields are left out.
    pub fn push(&mut self, at: Timestamp, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let begin = *self.begin.get_or_insert(at);
        let passed = at.since(std::mem::replace(&mut self.before, at));
        let (Over::First(time) | Over::Last(time)) = self.over;
        let learning = at.since(begin) < time;
        let share = match self.over {
            Over::First(_) => 0.0,
            Over::Last(time) => 1.0 - (-passed.as_secs_f64() / time.as_secs_f64()).exp(),
        };
        let pairs = self.fields.iter_mut().zip(values);
        pairs
            .map(|(spread, value)| {
                let value = value.filter(|value| value.is_finite())?;
                if learning || spread.count == 0.0 {
                    spread.push(value);
                    return None;
                }
                let standard = spread.standard(value);
                spread.follow(value, share);
                standard
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_slow_drift_becomes_usual_and_a_step_stays_unusual_for_long() {
        let last = Duration::from_secs(100);
        let mut standardizer = Standardizer::of(1, Over::Last(last));
        let mut greatest = 0.0_f64;
        for second in 0..2000_i64 {
            let value = second as f64 * 0.001 + (second % 2) as f64;
            if let Some(standard) = standardizer.push(at(second), &[Some(value)])[0] {
                greatest = greatest.max(standard.abs());
            }
        }
        assert!(greatest < 2.0, "{greatest}");
        let mut unusual = 0;
        for second in 2000..2100_i64 {
            let standard = standardizer.push(at(second), &[Some(22.0)])[0].unwrap();
            unusual += usize::from(standard > 3.0);
        }
        assert!(unusual > 50, "{unusual}");
    }
}
