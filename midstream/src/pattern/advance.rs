//! What an event does to the partial matches of its key: it moves them and begins new ones.

use crate::batch::Row;
use crate::pattern::automaton::{Automaton, Ignore, Mask, Move, Sight, WaitId};
use crate::pattern::buffer::{Buffer, NodeId};
use crate::pattern::matcher::{Matcher, SourceUse};
use crate::pattern::runs::{Complete, Run};

/// The event in hand.
pub(super) struct Look<'a> {
    pub(super) row: Row<'a>,
    pub(super) mask: Mask,
    pub(super) source: usize,
    /// Where the buffer keeps it, once a partial match has taken it.
    pub(super) kept: Option<u32>,
}

impl Look<'_> {
    fn sight<'b>(&'b self, buffer: &'b Buffer, node: Option<NodeId>) -> Sight<'b> {
        Sight {
            mask: self.mask,
            row: self.row,
            buffer,
            node,
        }
    }

    fn kept(&mut self, buffer: &mut Buffer, uses: &[Option<SourceUse>], sequence: u64) -> u32 {
        *self.kept.get_or_insert_with(|| {
            let used = uses.get(self.source).and_then(Option::as_ref);
            let fields = used.map_or(&[][..], |used| &used.kept);
            buffer.keep(self.row, sequence, fields)
        })
    }
}

impl Matcher {
    /// Moves the key's partial matches.
    pub(super) fn step(&mut self, place: u32, look: &mut Look<'_>) {
        let joins = self.automaton.joins;
        let key = self.keys.at_mut(place);
        for place in 0..key.buckets.len() {
            let bucket = &mut key.buckets[place];
            if bucket.runs.is_empty() {
                continue;
            }
            let wait = &self.automaton.waits[bucket.wait as usize];
            if look.mask & wait.looks_at == 0
                && wait.ignore != Ignore::Nothing
                && wait.leave.is_none()
            {
                continue;
            }
            let depends = wait.depends;
            self.moves.clear();
            let mut stays = false;
            if !depends {
                let sight = look.sight(&self.buffer, None);
                stays = self.automaton.decide(bucket.wait, sight, &mut self.moves);
                if stays && self.moves.is_empty() {
                    continue;
                }
            }
            let id = bucket.wait;
            let count = bucket.runs.len();
            let mut runs = std::mem::take(&mut bucket.runs);
            for _ in 0..count {
                let Some(run) = runs.pop_front() else { break };
                if depends {
                    self.moves.clear();
                    let sight = look.sight(&self.buffer, Some(run.node));
                    stays = self.automaton.decide(id, sight, &mut self.moves);
                }
                for at in 0..self.moves.len() {
                    match self.moves[at] {
                        Move::Take(condition, into) => {
                            let kept = look.kept(&mut self.buffer, &self.sources, self.sequence);
                            let node = self.buffer.push(Some(run.node), condition, kept, joins);
                            let next = Run {
                                node,
                                since: look.row.at().as_millis(),
                                ..run
                            };
                            go_on(
                                &self.automaton,
                                &mut self.buffer,
                                into,
                                next,
                                &mut self.fresh,
                                &mut self.complete,
                            );
                        }
                        Move::Goto(wait) => {
                            self.buffer.retain(run.node);
                            self.fresh.push((wait, run));
                        }
                        Move::Finish => {
                            self.buffer.retain(run.node);
                            self.complete.push(Complete {
                                node: run.node,
                                start: run.start,
                                start_at: run.start_at,
                                end_at: run.since,
                                turn: 0,
                            });
                        }
                    }
                }
                if stays {
                    runs.push_back(run);
                } else {
                    self.buffer.release(run.node);
                }
            }
            key.count -= count - runs.len();
            self.count -= count - runs.len();
            key.buckets[place].runs = runs;
        }
    }

    /// Begins partial matches with the event.
    pub(super) fn begin(&mut self, place: u32, look: &mut Look<'_>) {
        let sight = look.sight(&self.buffer, None);
        let now = look.row.at().as_millis();
        if let Some((condition, time)) = self.automaton.absent_first {
            let key = self.keys.at_mut(place);
            if self.automaton.holds(condition, sight) {
                key.absent_since = now;
            }
            let since = key.absent_since.max(self.beginning.unwrap_or(now));
            if now <= since.saturating_add(time) {
                return;
            }
        }
        let joins = self.automaton.joins;
        self.moves.clear();
        for wait in &self.automaton.closures[self.automaton.start as usize].waits {
            self.automaton.decide(*wait, sight, &mut self.moves);
        }
        for at in 0..self.moves.len() {
            if let Move::Take(condition, into) = self.moves[at] {
                let kept = look.kept(&mut self.buffer, &self.sources, self.sequence);
                let run = Run {
                    node: self.buffer.push(None, condition, kept, joins),
                    start: self.sequence,
                    start_at: now,
                    since: now,
                };
                go_on(
                    &self.automaton,
                    &mut self.buffer,
                    into,
                    run,
                    &mut self.fresh,
                    &mut self.complete,
                );
            }
        }
    }
}

/// Sends a partial match on to each wait of a closure; the hold of its node passes on.
pub(super) fn go_on(
    automaton: &Automaton,
    buffer: &mut Buffer,
    into: u32,
    run: Run,
    fresh: &mut Vec<(WaitId, Run)>,
    complete: &mut Vec<Complete>,
) {
    let closure = &automaton.closures[into as usize];
    for wait in &closure.waits {
        buffer.retain(run.node);
        fresh.push((*wait, run));
    }
    if closure.accepts {
        buffer.retain(run.node);
        complete.push(Complete {
            node: run.node,
            start: run.start,
            start_at: run.start_at,
            end_at: run.since,
            turn: 0,
        });
    }
    buffer.release(run.node);
}
