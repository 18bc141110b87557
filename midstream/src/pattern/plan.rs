//! The typed builder of patterns: steps, what repeats them, what joins them, what must not happen.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::expression::{Leaf, field};
use crate::pattern::earlier::Earlier;
use crate::predicate::{Comparison, Predicate, always};
use crate::rule::Rule;

/// What may lie between an event of a pattern and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contiguity {
    /// Nothing: the very next event of the key (of the rule's sources) must fit.
    Strict,
    /// Events that do not fit: the first one that fits is taken.
    Relaxed,
    /// Anything: each event that fits is taken in one match and passed over in another.
    Any,
}

/// Whether a repeated step takes all it can before what follows it is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Greed {
    /// Each number of repetitions is a match of its own; the first to be complete is told first.
    #[default]
    Reluctant,
    /// The step is left only with an event that it cannot take.
    Greedy,
}

/// Where matching goes on after a match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AfterMatch {
    /// Every match is told, also those that share events.
    NoSkip,
    /// What began with the match's first event is forgotten.
    SkipToNext,
    /// What began up to the match's last event is forgotten.
    #[default]
    SkipPastLast,
    /// What began before the first event of this step is forgotten.
    SkipToFirst(String),
    /// What began before the last event of this step is forgotten.
    SkipToLast(String),
}

/// What becomes of partial matches that are over their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeouts {
    /// They are counted.
    #[default]
    Count,
    /// They are told too, as [`Found::Timeout`](crate::Found::Timeout).
    Tell,
}

/// Which partial match gives way when there are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The key's oldest.
    #[default]
    DropOldest,
    /// The new one.
    DropNewest,
}

/// How much a rule may hold. What is over it is dropped and counted in
/// [`Metrics::partial_matches_dropped`](crate::Metrics::partial_matches_dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialLimits {
    /// The most partial matches of one key.
    pub per_key: usize,
    /// The most partial matches of the rule.
    pub per_rule: usize,
    /// The most bytes of partial matches, of the events they hold, and of keys.
    pub bytes: usize,
    /// What gives way.
    pub overflow: Overflow,
}

impl Default for PartialLimits {
    fn default() -> Self {
        Self {
            per_key: 4096,
            per_rule: 1_000_000,
            bytes: 256 << 20,
            overflow: Overflow::DropOldest,
        }
    }
}

/// A step: an event of a source for which a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub(crate) name: String,
    pub(crate) source: String,
    /// What is asked of the event alone.
    pub(crate) predicate: Predicate,
    /// What is asked of the event and of what was taken before.
    pub(crate) earlier: Vec<Predicate>,
}

impl Step {
    /// Events of `source` for which `predicate` holds, under a name that matches tell. The predicate may refer
    /// to what the match took before ([`earlier`](crate::earlier)).
    pub fn new(name: &str, source: &str, predicate: Predicate) -> Self {
        let step = Self {
            name: name.to_owned(),
            source: source.to_owned(),
            predicate: always(),
            earlier: Vec::new(),
        };
        step.given(predicate)
    }

    /// Only if this holds too.
    #[must_use]
    pub fn given(mut self, predicate: Predicate) -> Self {
        let refers = |part: &Predicate| part.any(&|leaf| matches!(leaf, Leaf::Earlier(_)));
        if !refers(&predicate) {
            self.predicate = if self.predicate == always() {
                predicate
            } else {
                self.predicate.and(predicate)
            };
            return self;
        }
        for part in predicate.conjuncts() {
            if refers(&part) {
                self.earlier.push(part);
            } else {
                self = self.given(part);
            }
        }
        self
    }

    /// Only if also this holds between a field of the event and what the match took before.
    #[must_use]
    pub fn when(self, name: &str, comparison: Comparison, with: Earlier) -> Self {
        let none_holds = with.none_holds;
        let with = crate::expression::earlier(with);
        let compares = field(name).is(comparison, with.clone());
        self.given(if none_holds {
            let there = field(name).is_missing().negate();
            there.and(with.is_missing().or(compares))
        } else {
            compares
        })
    }
}

/// What a part of a pattern is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Step(Step),
    Group(Pattern),
    AnyOf(Vec<Pattern>),
    AllOf(Vec<Step>),
}

/// Something that a pattern looks for, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    pub(crate) body: Body,
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
    pub(crate) optional: bool,
    pub(crate) greed: Greed,
    pub(crate) inner: Contiguity,
    pub(crate) until: Option<Step>,
}

/// One event: see [`Step`].
pub fn step(name: &str, source: &str, predicate: Predicate) -> Element {
    Step::new(name, source, predicate).into()
}

/// A pattern as a part of another.
pub fn group(pattern: Pattern) -> Element {
    Element::of(Body::Group(pattern))
}

/// One of several patterns. Each branch is followed for itself; of matches that end together the one that
/// took events earlier, then the one of the earlier branch is told first.
pub fn any_of(branches: impl IntoIterator<Item = Pattern>) -> Element {
    Element::of(Body::AnyOf(branches.into_iter().collect()))
}

/// All of several steps, in any order.
pub fn all_of(steps: impl IntoIterator<Item = Step>) -> Element {
    Element::of(Body::AllOf(steps.into_iter().collect()))
}

impl From<Step> for Element {
    fn from(step: Step) -> Self {
        Self::of(Body::Step(step))
    }
}

impl Element {
    fn of(body: Body) -> Self {
        Self {
            body,
            min: 1,
            max: Some(1),
            optional: false,
            greed: Greed::Reluctant,
            inner: Contiguity::Relaxed,
            until: None,
        }
    }

    /// None or as said (`?`).
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// At least one (`+`).
    #[must_use]
    pub fn one_or_more(self) -> Self {
        self.at_least(1)
    }

    /// Any number (`*`).
    #[must_use]
    pub fn zero_or_more(self) -> Self {
        self.at_least(1).optional()
    }

    /// At least this many (`{n,}`).
    #[must_use]
    pub fn at_least(mut self, count: u32) -> Self {
        self.min = count;
        self.max = None;
        self
    }

    /// Between two numbers (`{n,m}`).
    #[must_use]
    pub fn times(mut self, counts: RangeInclusive<u32>) -> Self {
        self.min = *counts.start();
        self.max = Some(*counts.end());
        self
    }

    /// Takes all it can first; only for a single step.
    #[must_use]
    pub fn greedy(mut self) -> Self {
        self.greed = Greed::Greedy;
        self
    }

    /// What may lie between two repetitions, and between the steps of [`all_of`]; default relaxed.
    #[must_use]
    pub fn inner(mut self, contiguity: Contiguity) -> Self {
        self.inner = contiguity;
        self
    }

    /// No further repetition from the first event on for which this holds; that event is not taken.
    #[must_use]
    pub fn until(mut self, source: &str, predicate: Predicate) -> Self {
        self.until = Some(Step::new("", source, predicate));
        self
    }
}

/// A part of a pattern and what joins it to the part before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Element(Element, Contiguity),
    /// The next event must not be this.
    NotNext(Step),
    /// Until the next part, this must not happen.
    Not(Step),
    /// For this time, this must not happen; the next part begins after it.
    NotFor(Step, Duration),
}

/// Parts that follow one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    pub(crate) parts: Vec<Part>,
}

impl Pattern {
    /// A pattern that begins with this.
    pub fn begin(element: impl Into<Element>) -> Self {
        Self::default().then(element)
    }

    /// A pattern that begins with the absence of this for a time before the next part's first event.
    pub fn begin_absent(step: Step, time: Duration) -> Self {
        Self::default().absent(step, time)
    }

    /// The sources of its steps, some perhaps twice.
    pub(crate) fn sources(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for part in &self.parts {
            match part {
                Part::NotNext(step) | Part::Not(step) | Part::NotFor(step, _) => {
                    found.push(step.source.as_str());
                }
                Part::Element(element, _) => {
                    found.extend(element.until.iter().map(|step| step.source.as_str()));
                    match &element.body {
                        Body::Step(step) => found.push(&step.source),
                        Body::Group(pattern) => found.extend(pattern.sources()),
                        Body::AnyOf(branches) => {
                            found.extend(branches.iter().flat_map(Pattern::sources));
                        }
                        Body::AllOf(steps) => {
                            found.extend(steps.iter().map(|step| step.source.as_str()));
                        }
                    }
                }
            }
        }
        found
    }

    fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Then this, with nothing in between.
    #[must_use]
    pub fn next(self, element: impl Into<Element>) -> Self {
        self.joined(Contiguity::Strict, element)
    }

    /// Then this, with events in between that do not fit.
    #[must_use]
    pub fn then(self, element: impl Into<Element>) -> Self {
        self.joined(Contiguity::Relaxed, element)
    }

    /// Then this, with anything in between.
    #[must_use]
    pub fn then_any(self, element: impl Into<Element>) -> Self {
        self.joined(Contiguity::Any, element)
    }

    /// Then this, joined so.
    #[must_use]
    pub fn joined(self, contiguity: Contiguity, element: impl Into<Element>) -> Self {
        self.part(Part::Element(element.into(), contiguity))
    }

    /// The event after what was before must not be this.
    #[must_use]
    pub fn not_next(self, step: Step) -> Self {
        self.part(Part::NotNext(step))
    }

    /// This must not happen between what was before and what comes next. At the end of a pattern: not until
    /// the rule's time is over; the match is told then.
    #[must_use]
    pub fn not(self, step: Step) -> Self {
        self.part(Part::Not(step))
    }

    /// This must not happen for a time, inclusive; the next part begins when it is over. At the end of a
    /// pattern the match is told then.
    #[must_use]
    pub fn absent(self, step: Step, time: Duration) -> Self {
        self.part(Part::NotFor(step, time))
    }
}

/// A pattern as a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternRule {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) key: Option<String>,
    pub(crate) within: Option<Duration>,
    pub(crate) after_match: AfterMatch,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: PartialLimits,
}

impl PatternRule {
    pub(crate) fn new(name: &str, pattern: Pattern) -> Self {
        Self {
            name: name.to_owned(),
            pattern,
            key: None,
            within: None,
            after_match: AfterMatch::default(),
            timeouts: Timeouts::default(),
            limits: PartialLimits::default(),
        }
    }

    /// The field that all sources share; each of its values is matched apart.
    #[must_use]
    pub fn key(mut self, field: &str) -> Self {
        self.key = Some(field.to_owned());
        self
    }

    /// Several fields by whose values together the events are told apart; a key is told as `north, 3`.
    #[must_use]
    pub fn keys(mut self, fields: &[&str]) -> Self {
        self.key = Some(crate::key::key_name(fields));
        self
    }

    /// The longest time from the first event to the last, inclusive.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// Where matching goes on after a match; default past its last event.
    #[must_use]
    pub fn after_match(mut self, strategy: AfterMatch) -> Self {
        self.after_match = strategy;
        self
    }

    /// What becomes of partial matches that are over their time.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How much the rule may hold.
    #[must_use]
    pub fn limits(mut self, limits: PartialLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl From<PatternRule> for Rule {
    fn from(rule: PatternRule) -> Self {
        Self::Pattern(rule)
    }
}
