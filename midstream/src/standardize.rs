//! Values told in standard deviations from a beginning, so that one rule fits machines of any level.

use std::time::Duration;

use crate::time::Timestamp;

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

    /// The value in standard deviations; none while nothing varies.
    fn standard(&self, value: f64) -> Option<f64> {
        let deviation = (self.squares / self.count).sqrt();
        (deviation > 0.0).then(|| (value - self.mean) / deviation)
    }
}

/// Learns mean and standard deviation of fields from their first values and tells later ones in them.
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
    first: Duration,
    begin: Option<Timestamp>,
    fields: Vec<Spread>,
}

impl Standardizer {
    /// Learns `fields` fields for so long from the first value on.
    pub fn new(fields: usize, first: Duration) -> Self {
        Self {
            first,
            begin: None,
            fields: vec![Spread::default(); fields],
        }
    }

    /// The values of one time, in standard deviations from the mean of the beginning; none while it is
    /// learnt, for a value that is missing or not finite, and for a field that did not vary. Values
    /// beyond the fields are left out.
    pub fn push(&mut self, at: Timestamp, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let begin = *self.begin.get_or_insert(at);
        let learning = at.since(begin) < self.first;
        let pairs = self.fields.iter_mut().zip(values);
        pairs
            .map(|(spread, value)| {
                let value = value.filter(|value| value.is_finite())?;
                if learning {
                    spread.push(value);
                    return None;
                }
                spread.standard(value)
            })
            .collect()
    }
}
