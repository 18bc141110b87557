//! Rules: what to look for, by the typed builder.

use std::time::Duration;

use crate::aggregate::Aggregate;
use crate::expression::Expr;
use crate::join::JoinRule;
use crate::pattern::{PartialLimits, Pattern, PatternRule, Step};
use crate::predicate::{Comparison, Predicate, always};
use crate::select::SelectRule;

/// What to look for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "rules are few, and each is moved once"
)]
pub enum Rule {
    /// A sequence of events.
    Sequence(SequenceRule),
    /// A pattern of events.
    Pattern(PatternRule),
    /// Aggregates over windows.
    Window(WindowRule),
    /// Rows, or latest values, that fit a condition.
    Select(SelectRule),
    /// Events of several streams together.
    Join(JoinRule),
    /// Rows that fit a pattern in the order of SQL: `MATCH_RECOGNIZE`.
    #[cfg(feature = "sql")]
    Recognize(crate::recognize::RecognizeRule),
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
            shape: Shape::Panes {
                size: Duration::ZERO,
                slide: Duration::ZERO,
            },
            select: Vec::new(),
            having: Vec::new(),
            condition: None,
            until: None,
            lateness: Duration::ZERO,
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

    /// Events of a source, or the latest values of its sensors, for which a condition holds.
    pub fn select(name: &str, source: &str) -> SelectRule {
        SelectRule::new(name, source)
    }

    /// Events of several sources within a time of one another: `CORRELATE … WITH …`.
    pub fn join(name: &str, source: &str) -> JoinRule {
        JoinRule::new(name, source)
    }

    /// The key by which it tells events apart.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Select(rule) => rule.key.as_deref(),
            Self::Window(rule) => rule.key.as_deref(),
            Self::Join(rule) => rule.key.as_deref(),
            Self::Sequence(rule) => rule.key.as_deref(),
            Self::Pattern(rule) => rule.key.as_deref(),
            #[cfg(feature = "sql")]
            Self::Recognize(_) => None,
        }
    }

    /// The sources that the rule reads, each once.
    pub fn sources(&self) -> Vec<&str> {
        let mut found = match self {
            Self::Select(rule) => vec![rule.source.as_str()],
            Self::Window(rule) => vec![rule.source.as_str()],
            Self::Join(rule) => rule.sources.iter().map(String::as_str).collect(),
            Self::Sequence(rule) => rule.steps.iter().map(|step| step.source.as_str()).collect(),
            Self::Pattern(rule) => rule.pattern.sources(),
            #[cfg(feature = "sql")]
            Self::Recognize(rule) => vec![rule.source()],
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    /// When the rule tells; none for rules that tell each match.
    pub fn emits(&self) -> Option<Emit> {
        match self {
            Self::Window(rule) => Some(rule.emit),
            Self::Select(rule) => rule.within.map(|_| rule.emit),
            _ => None,
        }
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Select(rule) => &rule.name,
            Self::Join(rule) => &rule.name,
            #[cfg(feature = "sql")]
            Self::Recognize(rule) => rule.name(),
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

    /// Several fields by whose values together the events are told apart; a key is told as `north, 3`.
    #[must_use]
    pub fn keys(mut self, fields: &[&str]) -> Self {
        self.key = Some(crate::key::key_name(fields));
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

/// When a window rule with a condition tells; one without tells every window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// When its conditions begin to hold for a key: once, until they did not hold in between.
    #[default]
    RisingEdge,
    /// For every window in which its conditions hold.
    Every,
    /// When its conditions begin to hold for a key, and, as [`Found::Over`](crate::Found::Over), when they hold no
    /// more.
    Changes,
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

impl Having {
    pub(crate) fn parts(self) -> (Aggregate, f64, Comparison) {
        match self {
            Self::AtLeast(kind, limit) => (kind, limit, Comparison::GreaterOrEqual),
            Self::AtMost(kind, limit) => (kind, limit, Comparison::LessOrEqual),
            Self::Above(kind, limit) => (kind, limit, Comparison::Greater),
            Self::Below(kind, limit) => (kind, limit, Comparison::Less),
        }
    }
}

/// Whether a window of so many events is told before there are so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// Only full windows are told.
    #[default]
    Full,
    /// The first windows have fewer events.
    Partial,
}

/// What a window is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Panes {
        size: Duration,
        slide: Duration,
    },
    Session {
        gap: Duration,
        longest: Option<Duration>,
    },
    Count {
        size: u32,
        slide: u32,
        fill: Fill,
    },
    Each {
        size: Duration,
        when: Predicate,
    },
}

/// Aggregates over windows.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRule {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) key: Option<String>,
    pub(crate) field: Option<String>,
    pub(crate) filter: Predicate,
    pub(crate) shape: Shape,
    pub(crate) select: Vec<(String, Expr)>,
    pub(crate) having: Vec<Having>,
    pub(crate) condition: Option<Predicate>,
    pub(crate) until: Option<Predicate>,
    pub(crate) lateness: Duration,
    pub(crate) emit: Emit,
}

impl WindowRule {
    /// The field by whose values the events are told apart.
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

    /// Windows of this size, one every `slide`. They begin at multiples of the slide since the epoch.
    #[must_use]
    pub fn sliding(mut self, size: Duration, slide: Duration) -> Self {
        self.shape = Shape::Panes { size, slide };
        self
    }

    /// A window for each event, of the events that are at most this much older, inclusive.
    #[must_use]
    pub fn sliding_each(self, size: Duration) -> Self {
        self.sliding_each_when(size, always())
    }

    /// As [`WindowRule::sliding_each`], but only events for which this holds are told with their window.
    #[must_use]
    pub fn sliding_each_when(mut self, size: Duration, when: Predicate) -> Self {
        self.shape = Shape::Each { size, when };
        self
    }

    /// Windows of events each of which is at most a gap after the one before, inclusive. Its end is told as
    /// the last event's time and the gap.
    #[must_use]
    pub fn session(mut self, gap: Duration) -> Self {
        self.shape = Shape::Session { gap, longest: None };
        self
    }

    /// As [`WindowRule::session`]; a session is over when it has lasted so long, and events after that
    /// begin another.
    #[must_use]
    pub fn session_at_most(mut self, gap: Duration, longest: Duration) -> Self {
        self.shape = Shape::Session {
            gap,
            longest: Some(longest),
        };
        self
    }

    /// Windows of so many events of a key, one after the other.
    #[must_use]
    pub fn count(self, size: u32) -> Self {
        self.count_sliding(size, size, Fill::Full)
    }

    /// Windows of the last `size` events of a key, one every `slide` events.
    #[must_use]
    pub fn count_sliding(mut self, size: u32, slide: u32, fill: Fill) -> Self {
        self.shape = Shape::Count { size, slide, fill };
        self
    }

    /// Tumbling and sliding windows also take events that are late by at most this, and are told again.
    #[must_use]
    pub fn lateness(mut self, limit: Duration) -> Self {
        self.lateness = limit;
        self
    }

    /// A column of what is told: an expression of aggregates. A field that is not the key stands for its last
    /// value. With columns, [`Found::Row`](crate::Found::Row) is told.
    #[must_use]
    pub fn select(mut self, name: &str, value: impl Into<Expr>) -> Self {
        self.select.push((name.to_owned(), value.into()));
        self
    }

    /// Only windows for which this condition on aggregates holds too. Without [`WindowRule::select`] the
    /// aggregates that are named are told, as [`Found::Row`](crate::Found::Row).
    #[must_use]
    pub fn condition(mut self, condition: Predicate) -> Self {
        self.condition = Some(match self.condition {
            Some(other) => other.and(condition),
            None => condition,
        });
        self
    }

    /// Only windows for which this holds too.
    #[must_use]
    pub fn having(mut self, having: Having) -> Self {
        self.having.push(having);
        self
    }

    /// Once the rule's conditions held for a key, they count as holding until this condition on aggregates does, or
    /// there is nothing in a window.
    #[must_use]
    pub fn until(mut self, condition: Predicate) -> Self {
        self.until = Some(condition);
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
