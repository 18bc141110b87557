//! Rules: what to look for, by the typed builder.

use std::time::Duration;

use crate::aggregate::Aggregate;
use crate::pattern::{PartialLimits, Pattern, PatternRule, Step};
use crate::predicate::{Predicate, always};

/// What to look for.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// A sequence of events.
    Sequence(SequenceRule),
    /// A pattern of events.
    Pattern(PatternRule),
    /// Aggregates over windows.
    Window(WindowRule),
}

impl Rule {
    /// Events of one key that follow one another, with anything in between: `SEQUENCE … WITHIN`.
    pub fn sequence(name: &str) -> SequenceRule {
        SequenceRule {
            name: name.to_owned(),
            key: None,
            steps: Vec::new(),
            within: None,
            limits: PartialLimits::default(),
        }
    }

    /// A pattern: steps that repeat, alternate, or must not happen.
    pub fn pattern(name: &str, pattern: Pattern) -> PatternRule {
        PatternRule::new(name, pattern)
    }

    /// Aggregates of a field over windows of event time, by key.
    pub fn window(name: &str, source: &str) -> WindowRule {
        WindowRule {
            name: name.to_owned(),
            source: source.to_owned(),
            key: None,
            field: None,
            filter: always(),
            size: Duration::ZERO,
            slide: Duration::ZERO,
            having: Vec::new(),
            emit: Emit::RisingEdge,
        }
    }

    /// Whether it keeps of the events what the other does: what differs is only when it tells, or how much it may
    /// hold.
    pub(crate) fn holds_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Window(a), Self::Window(b)) => {
                let like = WindowRule {
                    having: b.having.clone(),
                    emit: b.emit,
                    ..a.clone()
                };
                like == *b
            }
            (Self::Sequence(a), Self::Sequence(b)) => a.clone().limits(b.limits) == *b,
            (Self::Pattern(a), Self::Pattern(b)) => a.clone().limits(b.limits) == *b,
            _ => false,
        }
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Sequence(rule) => &rule.name,
            Self::Pattern(rule) => &rule.name,
            Self::Window(rule) => &rule.name,
        }
    }
}

/// A sequence of events of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceRule {
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) within: Option<Duration>,
    pub(crate) limits: PartialLimits,
}

impl SequenceRule {
    /// The field that all steps share; each of its values is matched apart.
    #[must_use]
    pub fn key(mut self, field: &str) -> Self {
        self.key = Some(field.to_owned());
        self
    }

    /// The next event: one of `source` for which `predicate` holds.
    #[must_use]
    pub fn step(mut self, source: &str, predicate: Predicate) -> Self {
        let name = (self.steps.len() + 1).to_string();
        self.steps.push(Step::new(&name, source, predicate));
        self
    }

    /// The longest time from the first event to the last, inclusive.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// How much the rule may hold.
    #[must_use]
    pub fn limits(mut self, limits: PartialLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same as a pattern.
    pub(crate) fn to_pattern(&self) -> PatternRule {
        let steps = self.steps.iter().cloned();
        let pattern = steps.fold(Pattern::default(), Pattern::then);
        let rule = PatternRule::new(&self.name, pattern).limits(self.limits);
        PatternRule {
            key: self.key.clone(),
            within: self.within,
            ..rule
        }
    }
}

impl From<SequenceRule> for Rule {
    fn from(rule: SequenceRule) -> Self {
        Self::Sequence(rule)
    }
}

/// When a window rule tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// When its conditions begin to hold for a key: once, until they did not hold in between.
    #[default]
    RisingEdge,
    /// For every window in which its conditions hold.
    Every,
}

/// A threshold on an aggregate of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Having {
    /// The aggregate is at least this.
    AtLeast(Aggregate, f64),
    /// The aggregate is at most this.
    AtMost(Aggregate, f64),
    /// The aggregate is more than this.
    Above(Aggregate, f64),
    /// The aggregate is less than this.
    Below(Aggregate, f64),
}

/// Aggregates over windows.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRule {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) key: Option<String>,
    pub(crate) field: Option<String>,
    pub(crate) filter: Predicate,
    pub(crate) size: Duration,
    pub(crate) slide: Duration,
    pub(crate) having: Vec<Having>,
    pub(crate) emit: Emit,
}

impl WindowRule {
    /// The field by whose values the events are told apart.
    #[must_use]
    pub fn key(mut self, field: &str) -> Self {
        self.key = Some(field.to_owned());
        self
    }

    /// The numeric field that is aggregated; without one, events are counted.
    #[must_use]
    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Only events for which this holds.
    #[must_use]
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.filter = predicate;
        self
    }

    /// Windows of this size, one after the other.
    #[must_use]
    pub fn tumbling(self, size: Duration) -> Self {
        self.sliding(size, size)
    }

    /// Windows of this size, one every `slide`; the size is a multiple of the slide.
    #[must_use]
    pub fn sliding(mut self, size: Duration, slide: Duration) -> Self {
        self.size = size;
        self.slide = slide;
        self
    }

    /// Only windows for which this holds too.
    #[must_use]
    pub fn having(mut self, having: Having) -> Self {
        self.having.push(having);
        self
    }

    /// When the rule tells.
    #[must_use]
    pub fn emit(mut self, emit: Emit) -> Self {
        self.emit = emit;
        self
    }
}

impl From<WindowRule> for Rule {
    fn from(rule: WindowRule) -> Self {
        Self::Window(rule)
    }
}
