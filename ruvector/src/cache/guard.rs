//! What keeps look-alikes apart: numbers, negations, names and opposite words of two texts must
//! agree before one is answered with the other's answer.
//!
//! An embedding puts "enable 2FA" beside "disable 2FA", since the texts differ in one word and share
//! a topic. The guard reads the words. It errs to the safe side: a paraphrase that it refuses costs
//! one computation, a look-alike that it lets through costs a wrong answer. Its word lists are
//! English; numbers, identifiers and names work in any script with capitals.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::text::{Marks, Word, stem};
use super::words::{CALENDAR, DIRECTIONS, OPPOSITES, PREFIX_PAIRS, REVERSING};
use crate::error::{Error, Result};

/// Most groups of exclusive words that a guard takes.
pub const GUARD_GROUPS_MAX: usize = 4096;

/// What sets two texts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Difference {
    /// Their numbers, in order.
    Number,
    /// The number of their negations.
    Negation,
    /// Their names or identifiers.
    Name,
    /// A word of one is the opposite of a word of the other.
    Opposite,
    /// The same things in exchanged roles: "from A to B".
    Direction,
    /// One topic word stands in the place of another, or was added.
    Substitution,
}

/// What the guard thinks of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing that it knows speaks against one answer for both.
    Agree,
    /// They may mean the same: a [`verifier`](super::CacheBuilder::verify) decides, and without one they
    /// are kept apart.
    Doubtful(Difference),
    /// They ask for different things.
    Differ(Difference),
}

/// Compares the words of two texts. The default knows common English opposites.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Stem to axis and pole, of the caller's own groups.
    own: HashMap<String, Vec<Pole>>,
    groups: usize,
}

/// A place on an axis of exclusive words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pole {
    axis: usize,
    pole: usize,
    /// Naming the axis in one text only is a difference, too.
    strict: bool,
}

static BUILT_IN: LazyLock<HashMap<String, Vec<Pole>>> = LazyLock::new(|| {
    let mut map = HashMap::new();
    for (axis, poles) in OPPOSITES.iter().enumerate() {
        enter(&mut map, axis, poles.iter().copied(), false);
    }
    for (axis, poles) in CALENDAR.iter().enumerate() {
        enter(
            &mut map,
            OPPOSITES.len() + axis,
            poles.iter().copied(),
            true,
        );
    }
    map
});

fn enter<'w>(
    map: &mut HashMap<String, Vec<Pole>>,
    axis: usize,
    poles: impl Iterator<Item = &'w str>,
    strict: bool,
) {
    for (pole, words) in poles.enumerate() {
        for word in words.split_whitespace() {
            let at = map.entry(stem(&word.to_lowercase())).or_default();
            at.push(Pole { axis, pole, strict });
        }
    }
}

impl Guard {
    /// Adds words of the caller's domain of which each excludes the others, such as
    /// `["dairy", "beef"]`. Words in one string, with spaces between, mean the same.
    ///
    /// # Errors
    /// [`Error::Full`] over [`GUARD_GROUPS_MAX`] groups.
    pub fn exclusive(mut self, words: &[&str]) -> Result<Self> {
        if self.groups >= GUARD_GROUPS_MAX {
            return Err(Error::Full {
                what: "groups of exclusive words",
                needed: self.groups as u64 + 1,
                limit: GUARD_GROUPS_MAX as u64,
            });
        }
        let axis = OPPOSITES.len() + CALENDAR.len() + self.groups;
        self.groups += 1;
        enter(&mut self.own, axis, words.iter().copied(), true);
        Ok(self)
    }

    /// Compares two texts. Time is linear in their length, plus the product of the numbers of their
    /// differing words, of which it looks at 64 each.
    pub fn compare(&self, a: &str, b: &str) -> Verdict {
        let (a, b) = (Marks::of(a), Marks::of(b));
        if a.numbers != b.numbers {
            return Verdict::Differ(Difference::Number);
        }
        if a.negations != b.negations {
            return Verdict::Differ(Difference::Negation);
        }
        if names_differ(&a, &b) {
            return Verdict::Differ(Difference::Name);
        }
        if self.poles(&a, &b) {
            return Verdict::Differ(Difference::Opposite);
        }
        if exchanged(&a, &b) {
            return Verdict::Differ(Difference::Direction);
        }
        by_topic(&a, &b)
    }

    /// Whether some axis is named differently.
    fn poles(&self, a: &Marks, b: &Marks) -> bool {
        let (a, b) = (self.axes(a), self.axes(b));
        let conflict = |axis: &usize, ours: &(bool, Vec<usize>)| match b.get(axis) {
            Some(theirs) => ours.1 != theirs.1,
            None => ours.0,
        };
        a.iter().any(|(axis, ours)| conflict(axis, ours))
            || b.iter()
                .any(|(axis, theirs)| theirs.0 && !a.contains_key(axis))
    }

    /// For each axis that the text names: whether it is strict, and its poles in order.
    fn axes(&self, marks: &Marks) -> HashMap<usize, (bool, Vec<usize>)> {
        let mut axes: HashMap<usize, (bool, Vec<usize>)> = HashMap::new();
        for word in &marks.words {
            let built_in = BUILT_IN.get(&word.stem);
            let own = self.own.get(&word.stem);
            for at in built_in.into_iter().chain(own).flatten() {
                let (_, poles) = axes.entry(at.axis).or_insert((at.strict, Vec::new()));
                if poles.last() != Some(&at.pole) {
                    poles.push(at.pole);
                }
            }
        }
        axes
    }
}

fn names_differ(a: &Marks, b: &Marks) -> bool {
    let missing = |from: &Marks, other: &Marks| {
        let mut all = from.names.iter().chain(&from.perhaps);
        all.any(|name| !other.has(name))
    };
    if missing(a, b) || missing(b, a) {
        return true;
    }
    // "from Paris to London" and back: the names that both have, in their order.
    let order = |from: &Marks, other: &Marks| -> Vec<String> {
        let mut seen = HashSet::new();
        let shared = from.names.iter().filter(|name| other.names.contains(name));
        shared.filter(|name| seen.insert(*name)).cloned().collect()
    };
    order(a, b) != order(b, a)
}

/// Whether two topic words stand on exchanged sides of a word that gives roles: "x to y", "y to x".
fn exchanged(a: &Marks, b: &Marks) -> bool {
    let sides = |marks: &Marks, direction: &str| -> Option<[HashSet<String>; 2]> {
        let words = &marks.words;
        let at = words.iter().position(|word| word.lower == direction)?;
        let topic = |side: &[Word]| -> HashSet<String> {
            let topic = side.iter().filter(|word| !word.plain);
            topic.map(|word| word.stem.clone()).collect()
        };
        Some([topic(&words[..at]), topic(&words[at + 1..])])
    };
    DIRECTIONS.iter().any(|direction| {
        let (Some(a), Some(b)) = (sides(a, direction), sides(b, direction)) else {
            return false;
        };
        let crossed = |from: usize, to: usize| {
            let mut words = a[from].intersection(&b[to]);
            words.any(|word| !a[to].contains(word) && !b[from].contains(word))
        };
        crossed(0, 1) && crossed(1, 0)
    })
}

/// The words that only one text has: opposite by a prefix, or one for one?
fn by_topic(a: &Marks, b: &Marks) -> Verdict {
    const LOOK_AT: usize = 64;
    let only = |from: &Marks, other: &Marks| -> Vec<Word> {
        let other: HashSet<&str> = other.words.iter().map(|word| word.stem.as_str()).collect();
        let mut seen = HashSet::new();
        let own = from
            .words
            .iter()
            .filter(|word| !other.contains(word.stem.as_str()));
        own.filter(|word| seen.insert(&word.stem))
            .cloned()
            .collect()
    };
    let (ours, theirs) = (only(a, b), only(b, a));
    for x in ours.iter().take(LOOK_AT) {
        for y in theirs.iter().take(LOOK_AT) {
            if opposite(&x.stem, &y.stem) {
                return Verdict::Differ(Difference::Opposite);
            }
        }
    }
    let novel = |own: &[Word], other: &[Word]| {
        let topic = own.iter().filter(|word| !word.plain);
        topic
            .filter(|word| !other.iter().any(|other| variants(&word.stem, &other.stem)))
            .count()
    };
    match (novel(&ours, &theirs), novel(&theirs, &ours)) {
        (1, 1) | (0, 1) | (1, 0) => Verdict::Doubtful(Difference::Substitution),
        _ => Verdict::Agree,
    }
}

/// Whether the words are forms of one: `vaccinate`, `vaccination`.
fn variants(a: &str, b: &str) -> bool {
    let common = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let longer = a.chars().count().max(b.chars().count());
    common >= 5 && common * 10 >= longer * 7
}

/// Whether the words are opposite by how they are made: `possible` and `impossible`, `upload` and
/// `download`, `useful` and `useless`.
fn opposite(a: &str, b: &str) -> bool {
    let negated = |long: &str, short: &str| {
        short.len() >= 3
            && REVERSING
                .iter()
                .any(|prefix| long.strip_prefix(prefix) == Some(short))
    };
    let by_prefix = |a: &str, b: &str| {
        PREFIX_PAIRS.iter().any(|(one, other)| {
            let (x, y) = (a.strip_prefix(one), b.strip_prefix(other));
            x.is_some() && x == y && x.is_some_and(|rest| rest.len() >= 3)
        })
    };
    let by_suffix = |a: &str, b: &str| {
        a.strip_suffix("ful")
            .is_some_and(|rest| b.strip_suffix("less").or(b.strip_suffix("les")) == Some(rest))
    };
    negated(a, b)
        || negated(b, a)
        || by_prefix(a, b)
        || by_prefix(b, a)
        || by_suffix(a, b)
        || by_suffix(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Verdict {
        let guard = Guard::default();
        let there = guard.compare(a, b);
        assert_eq!(there, guard.compare(b, a), "it is symmetric");
        there
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        for (a, b, difference) in [
            ("add 5 kg of feed", "add 6 kg of feed", Difference::Number),
            ("is it safe", "is it not safe", Difference::Negation),
            ("weather in Paris", "weather in London", Difference::Name),
            (
                "how do I enable 2FA",
                "how do I disable 2FA",
                Difference::Opposite,
            ),
            (
                "is an upload possible",
                "is an upload impossible",
                Difference::Opposite,
            ),
            ("weather today", "weather tomorrow", Difference::Opposite),
            (
                "convert litres to pints",
                "convert pints to litres",
                Difference::Opposite,
            ),
            (
                "is feed cheaper than hay",
                "is hay cheaper than feed",
                Difference::Direction,
            ),
        ] {
            assert_eq!(compare(a, b), Verdict::Differ(difference), "{a} / {b}");
        }
    }

    #[test]
    fn paraphrases_agree_and_one_other_word_is_doubtful() {
        assert_eq!(
            compare(
                "How do I reset my password?",
                "What is the way to reset my password"
            ),
            Verdict::Agree
        );
        assert_eq!(
            compare("price of milk", "price of hay"),
            Verdict::Doubtful(Difference::Substitution)
        );
    }

    #[test]
    fn a_domain_adds_its_own_exclusive_words() -> Result<()> {
        let guard = Guard::default().exclusive(&["dairy milking", "beef"])?;
        let verdict = guard.compare("feed for a dairy cow herd", "what to feed beef");
        assert_eq!(verdict, Verdict::Differ(Difference::Opposite));
        Ok(())
    }
}
