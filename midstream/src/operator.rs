//! What runs a rule that is no pattern: rows in order of time in, outputs out.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{Batch, Row};
use crate::event::Event;
use crate::output::Output;
use crate::time::Timestamp;

/// A rule at work.
pub(crate) trait Operator: std::fmt::Debug + Send {
    /// Takes a row of a source that it reads, in order of time, after [`Operator::advance_to`] its time.
    fn push(&mut self, row: Row<'_>, out: &mut Vec<Output>);

    /// Takes a part of a batch of a source that it reads, whose rows are in order of time and all before
    /// [`Operator::next_end_after`] the first.
    fn push_rows(&mut self, batch: &Batch, rows: Range<usize>, out: &mut Vec<Output>) {
        for row in rows {
            self.push(Row::Batch(batch, row), out);
        }
    }

    /// A time before which nothing is told, when the next event is at `at`.
    fn next_end_after(&self, at: Timestamp) -> i64 {
        at.as_millis()
    }

    /// Tells what is over at `now`, in order of time and key.
    fn advance_to(&mut self, _now: Timestamp, _out: &mut Vec<Output>) {}

    /// Tells what is complete when no event comes any more, other than by time.
    fn finish(&mut self, _out: &mut Vec<Output>) {}

    /// Whether it takes such a late event.
    fn allows(&self, _event: &Event) -> bool {
        false
    }

    /// Takes a row that is older than the watermark; whether it did.
    fn push_late(&mut self, _row: Row<'_>, _out: &mut Vec<Output>) -> bool {
        false
    }

    /// Whether it reads a source.
    fn reads(&self, source: &Arc<str>) -> bool;

    /// Events that it left out because there was too much to hold.
    fn dropped(&self) -> u64 {
        0
    }
}
