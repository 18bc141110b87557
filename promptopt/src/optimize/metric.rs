//! How answers are judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

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
    /// Mean over the answers of the harmonic mean of precision and recall of their words, without case and
    /// punctuation (as SQuAD's F1; Rajpurkar et al., 2016).
    WordF1,
    /// Share of answers that are numbers within so much of the truth.
    Within(f64),
    /// Mean over the answers of the share of the fields of two JSON objects that are equal, of all fields
    /// that either has; 0 for an answer that is no object.
    Fields,
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
            Self::WordF1 => "word F1",
            Self::Within(_) => "within tolerance",
            Self::Fields => "equal fields",
            Self::User(_) => "user's mark",
        }
    }

    /// The mark of one answer, 0 to 1; 1 for an equal one where the measure is made of labels' counts.
    pub fn mark(&self, answer: &str, truth: &str) -> f64 {
        match self {
            Self::Accuracy | Self::BalancedAccuracy | Self::MacroF1 => f64::from(answer == truth),
            Self::ExactMatch => f64::from(plain(answer) == plain(truth)),
            Self::WordF1 => word_f1(answer, truth),
            Self::Within(tolerance) => {
                let number = |text: &str| text.trim().parse::<f64>().ok();
                match (number(answer), number(truth)) {
                    (Some(answer), Some(truth)) => f64::from((answer - truth).abs() <= *tolerance),
                    _ => 0.0,
                }
            }
            Self::Fields => equal_fields(answer, truth),
            Self::User(judge) => judge(answer, truth).clamp(0.0, 1.0),
        }
    }

    /// The measure over pairs of answer and truth; 0 for none.
    pub fn measure(&self, pairs: &[(&str, &str)]) -> f64 {
        match self {
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
            _ => {
                let marks: Vec<f64> = pairs
                    .iter()
                    .map(|(answer, truth)| self.mark(answer, truth))
                    .collect();
                average(&marks)
            }
        }
    }
}

fn plain(text: &str) -> String {
    text.trim().to_lowercase()
}

fn word_f1(answer: &str, truth: &str) -> f64 {
    let words = |text: &str| -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        let parts = text.split(|c: char| !c.is_alphanumeric());
        for word in parts.filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
        counts
    };
    let (answer, truth) = (words(answer), words(truth));
    let size = |words: &BTreeMap<String, usize>| words.values().sum::<usize>() as f64;
    if answer.is_empty() || truth.is_empty() {
        return f64::from(answer.is_empty() && truth.is_empty());
    }
    let shared: usize = answer
        .iter()
        .map(|(word, count)| truth.get(word).map_or(0, |other| *count.min(other)))
        .sum();
    2.0 * shared as f64 / (size(&answer) + size(&truth))
}

fn equal_fields(answer: &str, truth: &str) -> f64 {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).ok();
    let (Some(answer), Some(truth)) = (object(answer), object(truth)) else {
        return 0.0;
    };
    let same = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
        // 1 and 1.0 are one number.
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    };
    let equal = truth
        .iter()
        .filter(|(name, value)| answer.get(*name).is_some_and(|given| same(given, value)))
        .count();
    let all: BTreeSet<&String> = answer.keys().chain(truth.keys()).collect();
    if all.is_empty() {
        1.0
    } else {
        equal as f64 / all.len() as f64
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
        // 2 words of 3 given and of 2 true are shared; an empty answer beside an empty truth is right.
        let f1 = Metric::WordF1.measure(&[("The red pump!", "red Pump"), ("", "")]);
        assert!((f1 - (0.8 + 1.0) / 2.0).abs() < 1e-12, "{f1}");
        assert!((Metric::WordF1.mark("a a b", "a c") - 0.4).abs() < 1e-12);
        for (answer, mark) in [
            ("{\"a\":1.0,\"b\":\"x\"}", 1.0),
            ("{\"a\":1,\"b\":\"y\"}", 0.5),
            ("{\"a\":1,\"b\":\"x\",\"c\":2}", 2.0 / 3.0),
            ("a 1, b x", 0.0),
        ] {
            let found = Metric::Fields.mark(answer, "{\"b\":\"x\",\"a\":1}");
            assert!((found - mark).abs() < 1e-12, "{answer}: {found}");
        }
        assert_eq!(Metric::Accuracy.measure(&[]), 0.0);
    }
}
