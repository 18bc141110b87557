//! Which training examples a prompt shows.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use crate::optimize::data::Example;

/// Longest text of an example in a short demonstration set, in characters.
const SHORT_CHARS: usize = 90;

/// How examples are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// At random.
    Random,
    /// At random among the shortest quarter of each label.
    Short,
    /// Nearest to the mean of their label's words.
    Typical,
    /// Far from one another.
    Diverse,
}

impl Pick {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::Random, Self::Short, Self::Typical, Self::Diverse];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Short => "short",
            Self::Typical => "typical",
            Self::Diverse => "diverse",
        }
    }
}

/// Positions of `count` training examples, their labels in turn; fewer when there are not so many. Where most
/// answers are different they are no labels, and all examples are one group.
pub fn pick(train: &[Example], count: usize, way: Pick, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, example) in train.iter().enumerate() {
        groups.entry(&example.answer).or_default().push(at);
    }
    if 2 * groups.len() > train.len() {
        groups = BTreeMap::from([("", (0..train.len()).collect())]);
    }
    let vectors = match way {
        Pick::Typical | Pick::Diverse => word_vectors(train),
        Pick::Random | Pick::Short => Vec::new(),
    };
    let mut queues: Vec<Vec<usize>> = groups
        .into_values()
        .map(|mut group| {
            group.shuffle(&mut random);
            match way {
                Pick::Random => group,
                Pick::Short => {
                    let length = |at: &usize| -> usize {
                        train[*at]
                            .inputs
                            .iter()
                            .map(|text| text.chars().count())
                            .sum()
                    };
                    let mut sorted = group.clone();
                    sorted.sort_by_key(length);
                    let quarter = sorted.len().div_ceil(4);
                    sorted.truncate(quarter);
                    sorted.retain(|at| length(at) <= SHORT_CHARS);
                    sorted.shuffle(&mut random);
                    sorted
                }
                Pick::Typical => {
                    let mut mean = BTreeMap::new();
                    for at in &group {
                        for (word, weight) in &vectors[*at] {
                            *mean.entry(*word).or_insert(0.0) += weight;
                        }
                    }
                    let nearness = |at: &usize| -> f64 {
                        vectors[*at]
                            .iter()
                            .map(|(word, w)| w * mean.get(word).unwrap_or(&0.0))
                            .sum()
                    };
                    group.sort_by(|a, b| nearness(b).total_cmp(&nearness(a)));
                    // Among the nearest few, another seed takes others.
                    group.truncate((3 * count).max(6));
                    group.shuffle(&mut random);
                    group
                }
                Pick::Diverse => spread(group, &vectors, count),
            }
        })
        .collect();
    queues.shuffle(&mut random);
    let mut chosen = Vec::new();
    let mut round = 0;
    while chosen.len() < count && queues.iter().any(|queue| queue.len() > round) {
        let wanted = count - chosen.len();
        chosen.extend(
            queues
                .iter()
                .filter_map(|queue| queue.get(round))
                .take(wanted),
        );
        round += 1;
    }
    chosen
}

/// `count` examples drawn uniformly, whatever their labels: the usual baseline.
pub fn draw(train: &[Example], count: usize, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count.min(train.len()) {
        let at = random.random_range(0..train.len());
        if !chosen.contains(&at) {
            chosen.push(at);
        }
    }
    chosen
}

/// Greedy farthest-first order, from the first of the group.
fn spread(group: Vec<usize>, vectors: &[BTreeMap<u32, f64>], count: usize) -> Vec<usize> {
    let mut left = group;
    let mut chosen: Vec<usize> = left.pop().into_iter().collect();
    while chosen.len() < count && !left.is_empty() {
        let nearest = |at: usize| {
            chosen
                .iter()
                .map(|held| dot(&vectors[*held], &vectors[at]))
                .fold(0.0, f64::max)
        };
        let farthest =
            (0..left.len()).min_by(|a, b| nearest(left[*a]).total_cmp(&nearest(left[*b])));
        match farthest {
            Some(at) => chosen.push(left.swap_remove(at)),
            None => break,
        }
    }
    chosen
}

fn dot(left: &BTreeMap<u32, f64>, right: &BTreeMap<u32, f64>) -> f64 {
    left.iter()
        .map(|(word, weight)| weight * right.get(word).unwrap_or(&0.0))
        .sum()
}

/// Each example's words, weighted by rarity, to length 1.
fn word_vectors(train: &[Example]) -> Vec<BTreeMap<u32, f64>> {
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    let mut seen: Vec<f64> = Vec::new();
    let bags: Vec<BTreeSet<u32>> = train
        .iter()
        .map(|example| {
            let words = example
                .inputs
                .iter()
                .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
            let mut bag = BTreeSet::new();
            for word in words.filter(|word| !word.is_empty()) {
                let next = ids.len() as u32;
                let id = *ids.entry(word.to_lowercase()).or_insert(next);
                if id as usize == seen.len() {
                    seen.push(0.0);
                }
                if bag.insert(id) {
                    seen[id as usize] += 1.0;
                }
            }
            bag
        })
        .collect();
    bags.into_iter()
        .map(|bag| {
            let weight = |id: &u32| (1.0 + train.len() as f64 / seen[*id as usize]).ln();
            let length = bag.iter().map(|id| weight(id).powi(2)).sum::<f64>().sqrt();
            bag.iter()
                .map(|id| (*id, weight(id) / length.max(1e-12)))
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train() -> Vec<Example> {
        (0..40)
            .map(|at| Example {
                inputs: vec![format!("word{} common {}", at, "long ".repeat(at))],
                answer: ["a", "b"][at % 2].to_owned(),
            })
            .collect()
    }

    #[test]
    fn every_way_gives_different_examples_of_labels_in_turn() {
        let train = train();
        for way in Pick::ALL {
            let chosen = pick(&train, 4, way, 3);
            assert_eq!(
                chosen,
                pick(&train, 4, way, 3),
                "the same seed, the same examples"
            );
            let unique: BTreeSet<usize> = chosen.iter().copied().collect();
            assert_eq!(unique.len(), 4, "{way:?}");
            let of_a = chosen.iter().filter(|at| train[**at].answer == "a").count();
            assert_eq!(of_a, 2, "{way:?}");
        }
        assert!(
            pick(&train, 4, Pick::Short, 3)
                .iter()
                .all(|at| train[*at].inputs[0].len() <= 90)
        );
        assert_eq!(pick(&train[..3], 9, Pick::Random, 1).len(), 3);
        assert_eq!(draw(&train, 5, 1).len(), 5);
    }
}
