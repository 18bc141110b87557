//! What time alone does to partial matches: it ends absences, and matches that took too long.

use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::output::Output;
use crate::pattern::advance::go_on;
use crate::pattern::automaton::{Leave, Over};
use crate::pattern::matcher::Matcher;
use crate::pattern::plan::Timeouts;
use crate::pattern::runs::{Complete, Run};
use crate::time::Timestamp;

impl Matcher {
    /// When time alone first changes something for a key. Linear in what its partial matches wait for, and
    /// in those that wait for the end of an absence.
    pub(super) fn due(&self, place: u32) -> Option<i64> {
        let key = self.keys.at(place);
        let mut due = i64::MAX;
        for bucket in &key.buckets {
            let Some(oldest) = bucket.runs.front() else {
                continue;
            };
            if let Some(within) = self.within {
                due = due.min(oldest.start_at.saturating_add(within));
            }
            if let Some((Over::After(time), _)) = self.automaton.waits[bucket.wait as usize].over {
                let since = bucket.runs.iter().map(|run| run.since).min();
                due = due.min(since.map_or(i64::MAX, |since| since.saturating_add(time)));
            }
        }
        (due != i64::MAX).then_some(due)
    }

    /// When time alone first changes something.
    pub fn next_due(&self) -> Option<i64> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Says that no event before `now` will come.
    pub fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let now = now.as_millis();
        if self.beginning.is_none() && now != i64::MIN {
            self.beginning = Some(now);
        }
        while let Some(Reverse((due, place))) = self.timers.peek().copied() {
            if due >= now {
                return;
            }
            self.timers.pop();
            if self.keys.at(place).timer == Some(due) {
                self.keys.at_mut(place).timer = None;
                self.pass(place, due, out);
            }
        }
    }

    /// Does what time alone does to a key until just after `due`, and tells it.
    fn pass(&mut self, place: u32, due: i64, out: &mut Vec<Output>) {
        loop {
            self.pass_once(place, due, out);
            // What waits on may be due at once.
            if self.fresh.is_empty() {
                break;
            }
            self.insert(place);
        }
        self.finish(place, due.saturating_add(1), out);
    }

    fn pass_once(&mut self, place: u32, due: i64, out: &mut Vec<Output>) {
        let within = self.within.unwrap_or(i64::MAX);
        let key = self.keys.at_mut(place);
        for at in 0..key.buckets.len() {
            let bucket = &mut key.buckets[at];
            let wait = &self.automaton.waits[bucket.wait as usize];
            let before = bucket.runs.len();
            if let Some((Over::After(time), into)) = wait.over {
                let mut kept = VecDeque::with_capacity(0);
                std::mem::swap(&mut kept, &mut bucket.runs);
                for _ in 0..before {
                    let Some(run) = kept.pop_front() else { break };
                    let over = run.since.saturating_add(time);
                    if over > due || over > run.start_at.saturating_add(within) {
                        kept.push_back(run);
                        continue;
                    }
                    let next = Run { since: over, ..run };
                    go_on(
                        &self.automaton,
                        &mut self.buffer,
                        into,
                        next,
                        &mut self.fresh,
                        &mut self.complete,
                    );
                }
                bucket.runs = kept;
            }
            while let Some(run) = bucket.runs.front().copied() {
                let end = run.start_at.saturating_add(within);
                if end > due {
                    break;
                }
                bucket.runs.pop_front();
                let accepts = |closure: u32| self.automaton.closures[closure as usize].accepts;
                let absent = matches!(wait.over, Some((Over::Within, into)) if accepts(into));
                let ends = |closure: u32| {
                    let mut waits = self.automaton.closures[closure as usize].waits.iter();
                    waits.any(|wait| {
                        let over = self.automaton.waits[*wait as usize].over;
                        matches!(over, Some((Over::Within, _)))
                    })
                };
                let greedy = matches!(wait.leave, Some((after, Leave::Greedy)) if accepts(after) || ends(after));
                if absent || greedy {
                    self.complete.push(Complete {
                        node: run.node,
                        start: run.start,
                        start_at: run.start_at,
                        end_at: if absent { end } else { run.since },
                        turn: 0,
                    });
                } else {
                    self.expired += 1;
                    self.over.push(run);
                }
            }
            key.count -= before - bucket.runs.len();
            self.count -= before - bucket.runs.len();
        }
        if self.timeouts == Timeouts::Tell {
            let key = self.keys.key(place);
            self.teller
                .tell_timeouts(key, &mut self.over, within, &self.buffer, out);
        }
        for run in self.over.drain(..) {
            self.buffer.release(run.node);
        }
    }
}
