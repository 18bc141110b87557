//! How answers are judged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A user's judgement of one answer: `(answer, truth)` to a mark from 0 to 1.
pub type Judge = Arc<dyn Fn(&str, &str) -> f64 + Send + Sync>;

/// A measure of answers against the truth, 0 to 1, larger is better.
#[derive(Clone)]
#[non_exhaustive]
pub enum Metric {
    /// Share of answers equal to the truth.
    Accuracy,
    /// Mean over the true labels of the share found (recall).
    BalancedAccuracy,
    /// Mean over the labels of the harmonic mean of precision and recall.
    MacroF1,
    /// Share of answers equal to the truth after case and surrounding space are taken away.
    ExactMatch,
    /// Share of answers that are numbers within so much of the truth.
    Within(f64),
    /// Mean mark of a user's function.
    User(Judge),
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Metric {
    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced accuracy",
            Self::MacroF1 => "macro F1",
            Self::ExactMatch => "exact match",
            Self::Within(_) => "within tolerance",
            Self::User(_) => "user's mark",
        }
    }

    /// The measure over pairs of answer and truth; 0 for none.
    pub fn measure(&self, pairs: &[(&str, &str)]) -> f64 {
        let mean = |mark: &dyn Fn(&str, &str) -> f64| {
            let sum: f64 = pairs
                .iter()
                .map(|(answer, truth)| mark(answer, truth))
                .sum();
            if pairs.is_empty() {
                0.0
            } else {
                sum / pairs.len() as f64
            }
        };
        match self {
            Self::Accuracy => mean(&|answer, truth| f64::from(answer == truth)),
            Self::ExactMatch => mean(&|answer, truth| {
                f64::from(answer.trim().to_lowercase() == truth.trim().to_lowercase())
            }),
            Self::Within(tolerance) => mean(&|answer, truth| match (
                answer.trim().parse::<f64>(),
                truth.trim().parse::<f64>(),
            ) {
                (Ok(answer), Ok(truth)) => f64::from((answer - truth).abs() <= *tolerance),
                _ => 0.0,
            }),
            Self::User(judge) => mean(&|answer, truth| judge(answer, truth).clamp(0.0, 1.0)),
            Self::BalancedAccuracy => {
                let recalls: Vec<f64> = counts(pairs)
                    .values()
                    .filter(|count| count.true_count > 0)
                    .map(|count| count.right as f64 / count.true_count as f64)
                    .collect();
                average(&recalls)
            }
            Self::MacroF1 => {
                let marks: Vec<f64> = counts(pairs)
                    .values()
                    .map(|count| {
                        2.0 * count.right as f64 / (count.true_count + count.answered) as f64
                    })
                    .collect();
                average(&marks)
            }
        }
    }
}

#[derive(Default)]
struct Counts {
    true_count: usize,
    answered: usize,
    right: usize,
}

fn counts<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, Counts> {
    let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
    for (answer, truth) in pairs {
        table.entry(truth).or_default().true_count += 1;
        let answered = table.entry(answer).or_default();
        answered.answered += 1;
        answered.right += usize::from(answer == truth);
    }
    table
}

fn average(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(&str, &str); 5] = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("c", "a")];

    #[test]
    fn measures_agree_with_hand_counts() {
        let close = |metric: Metric, expected: f64| {
            let found = metric.measure(&PAIRS);
            assert!(
                (found - expected).abs() < 1e-12,
                "{}: {found}",
                metric.name()
            );
        };
        close(Metric::Accuracy, 3.0 / 5.0);
        close(Metric::BalancedAccuracy, (2.0 / 3.0 + 1.0 / 2.0) / 2.0);
        // a: 2 right of 3 true and 3 answered; b: 1 of 2 and 1; c: 0 of 0 and 1.
        close(Metric::MacroF1, (4.0 / 6.0 + 2.0 / 3.0 + 0.0) / 3.0);
        close(
            Metric::User(Arc::new(|_, truth| if truth == "b" { 7.0 } else { 0.5 })),
            0.7,
        );
        let within = Metric::Within(0.5).measure(&[("1.4", "1"), ("2", "1"), ("x", "1")]);
        assert!((within - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(Metric::ExactMatch.measure(&[(" Yes", "yes")]), 1.0);
        assert_eq!(Metric::Accuracy.measure(&[]), 0.0);
    }
}
