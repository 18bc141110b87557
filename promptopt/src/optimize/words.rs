//! The words that stand for each label, scored after a prompt.
//!
//! One pass of the model gives the log-probability of every next token, so scoring several words a label
//! costs nothing more than scoring one. A label's own name is always among them; others are its synonyms
//! and the words that set its training examples apart. Where the model scores many at once, more of those, and
//! words of common use where they are few, are scored beside them: they stand for no label by themselves, but what the
//! model thinks of them tells labels apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{LABELS_MAX, OPTIONS_MAX};
use crate::error::Result;
use crate::model::LanguageModel;
use crate::optimize::data::Example;

const MINED_WORDS: usize = 4;
const MINED_TRIED: usize = 24;
/// Most options times labels where more words than the labels' own are scored: what a rule takes to fit, to keep and to
/// send to a device.
const WEIGHTS_MAX: usize = 4096;
/// Most options times labels with the labels' own words: the rule fits into a prompt file.
const OWN_WEIGHTS_MAX: usize = LABELS_MAX * LABELS_MAX;

/// Small families of words that data sets use for the same few answers.
const FAMILIES: [&[&str]; 22] = [
    &["positive", "good", "great", "wonderful", "excellent"],
    &["negative", "bad", "terrible", "awful", "poor"],
    &["neutral", "okay", "average", "mixed"],
    &["yes", "true", "correct", "right"],
    &["no", "false", "wrong", "not"],
    &["spam", "junk", "advertising", "scam"],
    &["ham", "normal", "personal", "legitimate"],
    &["sport", "sports", "football", "game"],
    &["business", "economy", "money", "market"],
    &["politics", "government", "election", "political"],
    &["entertainment", "film", "music", "celebrity"],
    &["technology", "tech", "software", "computer"],
    &["science", "research", "scientific", "study"],
    &["world", "international", "foreign", "global"],
    &["health", "medical", "medicine", "disease"],
    &["joy", "happy", "happiness", "glad"],
    &["sadness", "sad", "grief", "unhappy"],
    &["anger", "angry", "mad", "furious"],
    &["fear", "afraid", "scared", "worried"],
    &["anomaly", "abnormal", "fault", "failure", "failing"],
    &["normal", "ok", "healthy", "fine", "stable"],
    &["question", "request", "asking"],
];

/// One way to read labels from options: for each label the positions of its options.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WordSet {
    pub(crate) name: &'static str,
    pub(crate) groups: Vec<Vec<usize>>,
}

/// The options of a task and the sets of words among them; the first set is the labels' names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Words {
    pub(crate) options: Vec<String>,
    pub(crate) sets: Vec<WordSet>,
}

/// A label as a reader would write it.
pub(crate) fn readable(label: &str) -> String {
    let spaced = label.replace(['_', '-'], " ");
    let shouted = spaced.len() > 3 && !spaced.chars().any(char::is_lowercase);
    let mut letters = spaced.chars();
    let title = letters.next().is_some_and(char::is_uppercase) && !letters.any(char::is_uppercase);
    if shouted || title {
        spaced.to_lowercase()
    } else {
        spaced
    }
}

impl Words {
    /// Finds the words of each label; `glue` is what stands before a word after the prompt.
    pub(crate) fn find(
        model: &dyn LanguageModel,
        labels: &[String],
        train: &[Example],
        glue: &str,
    ) -> Result<Self> {
        let mut pool = Pool {
            model,
            glue,
            options: Vec::new(),
            // None where answers are written.
            most: OWN_WEIGHTS_MAX
                .checked_div(labels.len())
                .unwrap_or(0)
                .min(OPTIONS_MAX),
        };
        let names: Vec<Vec<usize>> = labels
            .iter()
            .map(|label| pool.place(&readable(label)).into_iter().collect())
            .collect();

        let mined = mined_words(labels, train);
        let (mut related, mut set_apart) = (Vec::new(), Vec::new());
        for (index, label) in labels.iter().enumerate() {
            let name = readable(label);
            let mut near: Vec<String> = vec![capitalised(&name)];
            for family in FAMILIES
                .iter()
                .filter(|family| family.contains(&name.as_str()))
            {
                near.extend(family.iter().map(|word| (*word).to_owned()));
            }
            let mut group = names[index].clone();
            for word in near {
                group.extend(pool.place_token(&word)?);
            }
            group.sort_unstable();
            group.dedup();
            related.push(group);
            let mut group = Vec::new();
            for word in mined[index].iter().take(MINED_TRIED) {
                if group.len() < MINED_WORDS {
                    group.extend(pool.place_token(word)?);
                }
            }
            set_apart.push(group);
        }
        let mut sets = vec![WordSet {
            name: "names",
            groups: names.clone(),
        }];
        if related != names {
            sets.push(WordSet {
                name: "related words",
                groups: related.clone(),
            });
        }
        if set_apart.iter().all(|group| !group.is_empty()) {
            let joined = related
                .iter()
                .zip(&set_apart)
                .map(|(near, apart)| {
                    let all: BTreeSet<usize> = near.iter().chain(apart).copied().collect();
                    all.into_iter().collect()
                })
                .collect();
            sets.push(WordSet {
                name: "mined words",
                groups: set_apart,
            });
            sets.push(WordSet {
                name: "related and mined words",
                groups: joined,
            });
        }
        let most = WEIGHTS_MAX.checked_div(labels.len()).unwrap_or(0);
        pool.most = most.min(model.options_at_once());
        for word in more_words(&mined) {
            if pool.is_full() {
                break;
            }
            pool.place_token(word)?;
        }
        Ok(Self {
            options: pool.options,
            sets,
        })
    }
}

/// The options so far, each once.
struct Pool<'a> {
    model: &'a dyn LanguageModel,
    /// What stands before each word.
    glue: &'a str,
    options: Vec<String>,
    most: usize,
}

impl Pool<'_> {
    fn is_full(&self) -> bool {
        self.options.len() >= self.most
    }

    /// The position of a word, where there is room for it.
    fn place(&mut self, word: &str) -> Option<usize> {
        let option = format!("{}{word}", self.glue);
        let held = self.options.iter().position(|held| *held == option);
        held.or_else(|| {
            (!self.is_full()).then(|| {
                self.options.push(option);
                self.options.len() - 1
            })
        })
    }

    /// The same for a word that is one token; no other has a position.
    fn place_token(&mut self, word: &str) -> Result<Option<usize>> {
        let tokens = self.model.count_tokens(&format!("{}{word}", self.glue))?;
        Ok(if tokens == 1 { self.place(word) } else { None })
    }
}

/// The labels' mined words in turn, then words and digits that any text may be about.
fn more_words(mined: &[Vec<String>]) -> impl Iterator<Item = &str> {
    let most = mined.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..most).flat_map(|rank| mined.iter().filter_map(move |words| words.get(rank)));
    let common = FAMILIES.iter().copied().flatten().copied();
    let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    in_turn.map(String::as_str).chain(common).chain(digits)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Words of each label's examples, the most telling first: log-odds with a prior, in standard
/// deviations (Monroe, Colaresi and Quinn, 2008).
fn mined_words(labels: &[String], train: &[Example]) -> Vec<Vec<String>> {
    let mut counts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for example in train {
        let Some(label) = labels.iter().position(|label| *label == example.answer) else {
            continue;
        };
        let words: BTreeSet<String> = example
            .inputs
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphabetic()))
            .filter(|word| word.chars().count() >= 3)
            .map(str::to_lowercase)
            .collect();
        for word in words {
            counts
                .entry(word)
                .or_insert_with(|| vec![0.0; labels.len()])[label] += 1.0;
        }
    }
    let mut totals = vec![0.0; labels.len()];
    for count in counts.values() {
        count
            .iter()
            .zip(&mut totals)
            .for_each(|(count, total)| *total += count);
    }
    let all: f64 = totals.iter().sum();
    (0..labels.len())
        .map(|label| {
            let odds = |part: f64, whole: f64| (part / (whole - part)).ln();
            let mut scored: Vec<(f64, &String)> = counts
                .iter()
                .filter(|(_, count)| count[label] >= 3.0)
                .map(|(word, count)| {
                    let sum: f64 = count.iter().sum();
                    let prior =
                        0.5 * sum / all * totals[label].min(all - totals[label]) / 50.0 + 0.1;
                    let inside = count[label] + prior;
                    let outside = sum - count[label] + prior;
                    let difference = odds(inside, totals[label] + 1.0 + prior)
                        - odds(outside, all - totals[label] + 1.0 + prior);
                    (difference / (1.0 / inside + 1.0 / outside).sqrt(), word)
                })
                .filter(|(score, _)| *score > 0.5)
                .collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
            scored.into_iter().map(|(_, word)| word.clone()).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Decision, Label};
    use crate::model::GenerateOptions;
    use crate::prompt::{PROMPT_FILE_BYTES_MAX, Prompt, Version};
    use crate::template::Template;
    use crate::tier::Tier;

    #[test]
    fn labels_are_written_as_a_reader_would() {
        for (label, expected) in [
            ("Positive", "positive"),
            ("SPAM", "spam"),
            ("sci_tech", "sci tech"),
            ("USA", "USA"),
            ("0", "0"),
        ] {
            assert_eq!(readable(label), expected);
        }
    }

    #[test]
    fn telling_words_come_first() {
        let example = |text: &str, answer: &str| Example {
            inputs: vec![text.to_owned()],
            answer: answer.to_owned(),
        };
        let mut train = Vec::new();
        for index in 0..10 {
            train.push(example(&format!("the match was won by team{index}"), "a"));
            train.push(example(&format!("the shares fell by index{index}"), "b"));
        }
        let mined = mined_words(&["a".to_owned(), "b".to_owned()], &train);
        assert!(mined[0].contains(&"match".to_owned()) && !mined[0].contains(&"the".to_owned()));
        assert!(mined[1].contains(&"shares".to_owned()) && !mined[1].contains(&"match".to_owned()));
    }

    #[test]
    fn more_words_are_those_of_the_labels_in_turn_and_then_common_ones() {
        let mined = [["match", "team", "goal"].as_slice(), &["shares"]];
        let mined: Vec<Vec<String>> = mined
            .iter()
            .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
            .collect();
        let words: Vec<&str> = more_words(&mined).collect();
        assert_eq!(words[..4], ["match", "shares", "team", "goal"]);
        assert!(words.contains(&"government") && words.ends_with(&["9"]));
    }

    /// Every word is a token.
    struct Plain;

    impl LanguageModel for Plain {
        fn name(&self) -> &str {
            "plain"
        }
        fn count_tokens(&self, text: &str) -> Result<usize> {
            Ok(text.split_whitespace().count())
        }
        fn options_at_once(&self) -> usize {
            160
        }
        fn score(&self, _: &str, options: &[&str]) -> Result<Vec<f64>> {
            Ok(vec![-1.0; options.len()])
        }
        fn generate(&self, _: &str, _: &GenerateOptions) -> Result<String> {
            Ok(String::new())
        }
        fn chat(&self, _: &str, user: &str) -> String {
            user.to_owned()
        }
    }

    #[test]
    fn the_rule_of_the_most_labels_fits_into_a_prompt_file() {
        for count in [2, 12, 100, LABELS_MAX] {
            let labels: Vec<String> = (0..count).map(|at| format!("label{at:03}")).collect();
            let train: Vec<Example> = (0..count * 6)
                .map(|at| Example {
                    inputs: vec![format!("word{} sound{} again", at % count, at % count)],
                    answer: labels[at % count].clone(),
                })
                .collect();
            let words = Words::find(&Plain, &labels, &train, " ").unwrap();
            assert!(words.sets[0].groups.iter().all(|group| group.len() == 1));
            assert!(words.options.len() * count <= OWN_WEIGHTS_MAX);
            assert!(words.options.len() <= OPTIONS_MAX);
            let labels = labels.iter().map(|name| Label {
                name: name.clone(),
                bias: -1.0 / 3.0,
                weights: vec![-1.234e-5; words.options.len()],
            });
            let decision = Decision::new(words.options.clone(), labels.collect()).unwrap();
            let template = Template::parse("{text}").unwrap();
            let prompt = Prompt::new(Tier::Fast, Version::new(1), template).with_decision(decision);
            let json = prompt.to_json().unwrap();
            assert!(
                json.len() as u64 <= PROMPT_FILE_BYTES_MAX,
                "{count} {}",
                json.len()
            );
            assert_eq!(Prompt::from_json(&json, "prompt").unwrap(), prompt);
        }
    }
}
