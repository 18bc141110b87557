//! Training, validation and a test split that counts each time it is opened.

use std::collections::BTreeMap;

use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use super::data::{Dataset, Example};
use crate::error::{Error, Result};

/// Shares of the three splits and the seed that deals the examples out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    train: f64,
    validation: f64,
    test: f64,
    seed: u64,
    by_answer: bool,
}

impl Split {
    /// Shares that add up to 1; each answer is dealt out in these shares.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when a share is not above 0 or they do not add up.
    pub fn stratified(train: f64, validation: f64, test: f64, seed: u64) -> Result<Self> {
        for (what, found) in [
            ("training share", train),
            ("validation share", validation),
            ("test share", test),
        ] {
            if !(found > 0.0 && found < 1.0) {
                return Err(Error::OutOfRange {
                    what,
                    found,
                    expected: "between 0 and 1",
                });
            }
        }
        let found = train + validation + test;
        if (found - 1.0).abs() > 1e-9 {
            return Err(Error::OutOfRange {
                what: "sum of the shares",
                found,
                expected: "1",
            });
        }
        Ok(Self {
            train,
            validation,
            test,
            seed,
            by_answer: true,
        })
    }

    /// The same shares whatever the answers are: for answers that are texts of their own.
    pub fn whatever_the_answer(mut self) -> Self {
        self.by_answer = false;
        self
    }
}

/// Test examples that can be seen only by opening them, which is counted.
#[derive(Clone, Debug)]
pub struct LockedTest {
    examples: Vec<Example>,
    opened: u32,
}

impl LockedTest {
    /// The examples; each opening is counted and reported.
    pub fn open(&mut self) -> &[Example] {
        self.opened += 1;
        &self.examples
    }

    /// How often the split was opened.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    /// Number of examples, which tells nothing of them.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Keeps the first `count` examples; the split is shuffled, so this is a random part.
    pub fn truncate(&mut self, count: usize) {
        self.examples.truncate(count);
    }
}

/// The three parts of a data set, each shuffled.
#[derive(Clone, Debug)]
pub struct Splits {
    /// Where examples shown in prompts come from.
    pub train: Vec<Example>,
    /// Where prompts are compared and calibrated.
    pub validation: Vec<Example>,
    /// Where the chosen prompts are measured, once.
    pub test: LockedTest,
}

impl Dataset {
    /// Deals the examples out, answer by answer unless [`Split::whatever_the_answer`].
    ///
    /// # Errors
    /// [`Error::TooFewExamples`] when an answer (or the whole) has fewer than 3 examples: one a split.
    pub fn split(&self, split: Split) -> Result<Splits> {
        let mut random = ChaCha8Rng::seed_from_u64(split.seed);
        let mut groups: BTreeMap<&str, Vec<&Example>> = BTreeMap::new();
        for example in self.examples() {
            let group = if split.by_answer {
                &example.answer
            } else {
                "any"
            };
            groups.entry(group).or_default().push(example);
        }
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for (answer, mut group) in groups {
            if group.len() < 3 {
                return Err(Error::TooFewExamples {
                    answer: answer.to_owned(),
                    found: group.len(),
                    needed: 3,
                });
            }
            group.shuffle(&mut random);
            let count = group.len() as f64;
            let train = ((split.train * count).round() as usize).clamp(1, group.len() - 2);
            let validation =
                ((split.validation * count).round() as usize).clamp(1, group.len() - train - 1);
            let (first, rest) = group.split_at(train);
            let (second, third) = rest.split_at(validation);
            for (part, examples) in parts.iter_mut().zip([first, second, third]) {
                part.extend(examples.iter().map(|example| (*example).clone()));
            }
        }
        let [train, validation, test] = parts.map(|mut part| {
            part.shuffle(&mut random);
            part
        });
        Ok(Splits {
            train,
            validation,
            test: LockedTest {
                examples: test,
                opened: 0,
            },
        })
    }
}

/// Orders examples so that every start of the list has the answers in the shares of the whole.
pub(crate) fn interleave(examples: &mut Vec<Example>) {
    let mut groups: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    for example in examples.drain(..) {
        groups
            .entry(example.answer.clone())
            .or_default()
            .push(example);
    }
    let mut placed: Vec<(f64, Example)> = Vec::new();
    for group in groups.into_values() {
        let count = group.len() as f64;
        // The nth of its answer stands where n of them are due.
        let due = |at: usize| (at as f64 + 0.5) / count;
        placed.extend(group.into_iter().enumerate().map(|(at, e)| (due(at), e)));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    examples.extend(placed.into_iter().map(|(_, example)| example));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_of_an_interleaved_list_has_the_shares_of_the_whole() {
        let example = |at: usize| Example {
            inputs: vec![at.to_string()],
            answer: if at < 90 { "usual" } else { "rare" }.to_owned(),
        };
        let mut examples: Vec<Example> = (0..100).map(example).collect();
        interleave(&mut examples);
        assert_eq!(examples.len(), 100);
        for end in 1..=100 {
            let rare = examples[..end].iter().filter(|e| e.answer == "rare");
            let due = end as f64 / 10.0;
            assert!((rare.count() as f64 - due).abs() <= 1.0, "{end}");
        }
    }
}
