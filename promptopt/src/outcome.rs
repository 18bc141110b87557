//! What came of a choice, kept in a bounded log for the loop that improves prompts.

use std::collections::VecDeque;
use std::time::Duration;

use crate::set::Choice;
use crate::time::Timestamp;

/// What a person or a later fact said of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Feedback {
    /// Nobody said.
    #[default]
    None,
    /// The answer was right.
    Right,
    /// The answer was wrong.
    Wrong,
    /// The answer could not be read, so it is wrong too.
    Unreadable,
}

/// One use of a prompt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The choice that was used.
    pub choice: Choice,
    /// What the model answered.
    pub output: String,
    /// Time that it took.
    pub latency: Duration,
    /// Whether it was right, where known.
    pub feedback: Feedback,
    /// When.
    pub at: Timestamp,
}

/// Counters of the log: `recorded = dropped + drained + held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeStats {
    /// Outcomes given to the log.
    pub recorded: u64,
    /// The oldest, dropped because the log was full.
    pub dropped: u64,
    /// Taken out by [`PromptSet::drain_outcomes`](crate::PromptSet::drain_outcomes).
    pub drained: u64,
    /// Still in the log.
    pub held: u64,
}

#[derive(Debug)]
pub(crate) struct OutcomeLog {
    entries: VecDeque<Outcome>,
    capacity: usize,
    stats: OutcomeStats,
}

impl OutcomeLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity,
            stats: OutcomeStats::default(),
        }
    }

    pub(crate) fn push(&mut self, outcome: Outcome) {
        self.stats.recorded += 1;
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
            self.stats.dropped += 1;
        }
        self.entries.push_back(outcome);
    }

    pub(crate) fn drain(&mut self) -> Vec<Outcome> {
        let taken: Vec<Outcome> = self.entries.drain(..).collect();
        self.stats.drained += taken.len() as u64;
        taken
    }

    pub(crate) fn stats(&self) -> OutcomeStats {
        OutcomeStats {
            held: self.entries.len() as u64,
            ..self.stats
        }
    }
}
