//! From a place in the plan to where a partial match waits there: what follows it, with all that may be left out.

use crate::error::Result;
use crate::pattern::automaton::{
    Closure, ClosureId, ConditionId, Ignore, Leave, Over, Wait, WaitId,
};
use crate::pattern::compile::{
    Compiler, Continuation, ContinuationId, Frame, Piece, PieceBody, SeriesId, WAITS_MAX,
};
use crate::pattern::plan::{Contiguity, Greed};

impl Compiler<'_> {
    pub(super) fn continuation(&mut self, continuation: Continuation) -> ContinuationId {
        if let Some(id) = self.continuation_ids.get(&continuation) {
            return *id;
        }
        self.continuations.push(continuation.clone());
        self.continuation_ids
            .insert(continuation, self.continuations.len() - 1);
        self.continuations.len() - 1
    }

    pub(super) fn frame(&mut self, frame: Frame) -> usize {
        match self.frames.iter().position(|known| *known == frame) {
            Some(known) => known,
            None => {
                self.frames.push(frame);
                self.frames.len() - 1
            }
        }
    }

    pub(super) fn closure(
        &mut self,
        continuation: ContinuationId,
        nots: &[ConditionId],
    ) -> ClosureId {
        let key = (continuation, nots.to_vec());
        if let Some(id) = self.closures.get(&key) {
            return *id;
        }
        let id = self.program.automaton.closures.len() as ClosureId;
        self.program.automaton.closures.push(Closure::default());
        self.closures.insert(key, id);
        self.to_fill.push((continuation, nots.to_vec(), id));
        id
    }

    /// Adds where a partial match waits that has come to a continuation while `nots` must not happen.
    pub(super) fn content(
        &mut self,
        continuation: ContinuationId,
        nots: &[ConditionId],
        into: &mut Closure,
    ) -> Result<()> {
        if !self.visiting.insert((continuation, nots.to_vec())) {
            return Ok(());
        }
        let result = self.content_of(continuation, nots, into);
        self.visiting.remove(&(continuation, nots.to_vec()));
        result
    }

    fn content_of(
        &mut self,
        continuation: ContinuationId,
        nots: &[ConditionId],
        into: &mut Closure,
    ) -> Result<()> {
        match self.continuations[continuation].clone() {
            Continuation::End if nots.is_empty() || !self.ends_with_not() => {
                into.accepts = true;
                Ok(())
            }
            Continuation::End => {
                if self.rule.within.is_none() {
                    return self.bad("NOT at the end of a pattern needs a time: .within(…)");
                }
                let over = self.closure(continuation, &[]);
                self.wait(continuation, nots, into, |wait| {
                    wait.over = Some((Over::Within, over));
                })
            }
            Continuation::At(frame, at) => {
                let Frame { series, next, .. } = self.frames[frame];
                match self.series[series].get(at) {
                    None => self.content(next, nots, into),
                    Some(Piece::Element { .. }) => self.repetitions(frame, at, 0, nots, into),
                    Some(Piece::Not(condition)) => {
                        let mut nots = nots.to_vec();
                        nots.push(*condition);
                        let after = self.continuation(Continuation::At(frame, at + 1));
                        self.content(after, &nots, into)
                    }
                    Some(Piece::NotNext(condition)) => {
                        let condition = *condition;
                        let after = self.continuation(Continuation::At(frame, at + 1));
                        let closure = self.closure(after, nots);
                        self.wait(continuation, nots, into, |wait| {
                            wait.stops.push(condition);
                            wait.ignore = Ignore::Nothing;
                            wait.leave = Some((closure, Leave::Always));
                        })
                    }
                    Some(Piece::NotFor(condition, time)) => {
                        let (condition, time) = (*condition, *time);
                        let after = self.continuation(Continuation::At(frame, at + 1));
                        let closure = self.closure(after, nots);
                        self.wait(continuation, nots, into, |wait| {
                            wait.stops.push(condition);
                            wait.over = Some((Over::After(time), closure));
                        })
                    }
                }
            }
            Continuation::Done(frame, at, done) => self.repetitions(frame, at, done, nots, into),
            Continuation::Again(frame, at, done) => self.repeat(frame, at, done, nots, into),
            Continuation::Left(frame, at, done, left) => {
                self.all_of(frame, at, done, left, nots, into)
            }
        }
    }

    /// Adds a wait that passes everything over, changed by `set`, unless it is there already.
    fn wait(
        &mut self,
        place: ContinuationId,
        nots: &[ConditionId],
        into: &mut Closure,
        set: impl FnOnce(&mut Wait),
    ) -> Result<()> {
        let key = (place, nots.to_vec());
        let id = match self.waits.get(&key) {
            Some(id) => *id,
            None => {
                let waits = &mut self.program.automaton.waits;
                if waits.len() == WAITS_MAX {
                    return self.bad("a pattern has at most 4096 states; make its counts smaller");
                }
                let mut wait = Wait {
                    takes: Vec::new(),
                    ignore: Ignore::Everything,
                    stops: nots.to_vec(),
                    untils: Vec::new(),
                    until_ends: false,
                    leave: None,
                    over: None,
                    depends: false,
                    looks_at: 0,
                };
                set(&mut wait);
                waits.push(wait);
                let id = (waits.len() - 1) as WaitId;
                self.waits.insert(key, id);
                id
            }
        };
        into.waits.push(id);
        Ok(())
    }

    /// A piece of which `done` repetitions are done.
    fn repetitions(
        &mut self,
        frame: usize,
        at: usize,
        done: u32,
        nots: &[ConditionId],
        into: &mut Closure,
    ) -> Result<()> {
        let series = &self.series[self.frames[frame].series];
        let Some(Piece::Element { max, greed, .. }) = series.get(at) else {
            return Ok(());
        };
        let goes_on = max.is_none_or(|max| done < max);
        let greedy = *greed == Greed::Greedy;
        let leaves = self.leaves(frame, at, done);
        // What must not come next must not do so either where the piece could be repeated.
        let guard = match series.get(at + 1) {
            Some(Piece::NotNext(condition)) if leaves => Some(*condition),
            _ => None,
        };
        if goes_on {
            match guard {
                None => self.repeat(frame, at, done, nots, into)?,
                Some(condition) => {
                    let again = self.continuation(Continuation::Again(frame, at, done));
                    let closure = self.closure(again, nots);
                    self.wait(again, nots, into, |wait| {
                        wait.stops.push(condition);
                        wait.ignore = Ignore::Nothing;
                        wait.leave = Some((closure, Leave::Always));
                    })?;
                }
            }
        }
        if leaves && !(goes_on && greedy) {
            let after = self.continuation(Continuation::At(frame, at + 1));
            self.content(after, if done > 0 { &[] } else { nots }, into)?;
        }
        Ok(())
    }

    /// Whether a piece can be over after so many repetitions.
    fn leaves(&self, frame: usize, at: usize, done: u32) -> bool {
        match self.series[self.frames[frame].series].get(at) {
            Some(Piece::Element { min, optional, .. }) => done >= *min || (done == 0 && *optional),
            _ => false,
        }
    }

    /// One more repetition of a piece.
    fn repeat(
        &mut self,
        frame: usize,
        at: usize,
        done: u32,
        nots: &[ConditionId],
        into: &mut Closure,
    ) -> Result<()> {
        let Frame {
            series,
            head,
            ref untils,
            ..
        } = self.frames[frame];
        let Some(Piece::Element {
            body,
            min,
            max,
            greed,
            inner,
            until,
            contiguity,
            ..
        }) = self.series[series].get(at)
        else {
            return Ok(());
        };
        let (body, min, max, greed, until) = (body.clone(), *min, *max, *greed, *until);
        let joined = if done > 0 {
            *inner
        } else {
            head.filter(|_| at == 0).unwrap_or(*contiguity)
        };
        let mut untils = untils.clone();
        // The group's own condition ends waiting from its first event on.
        let until_ends = done > 0 || !untils.is_empty();
        untils.extend(until);
        let mut nots = nots.to_vec();
        if done > 0 {
            // While a loop goes on, it could also be over: what must not follow it must not happen.
            let following = self.series[series][at + 1..].iter();
            nots.extend(following.map_while(|piece| match piece {
                Piece::Not(condition) => Some(*condition),
                _ => None,
            }));
        }
        let counted = if max.is_none() {
            (done + 1).min(min)
        } else {
            done + 1
        };
        let then = self.continuation(Continuation::Done(frame, at, counted));
        let here = self.continuation(Continuation::Done(frame, at, done));
        match body {
            PieceBody::Step(condition) => {
                let take = self.closure(then, &[]);
                let mut leave = None;
                if greed == Greed::Greedy && self.leaves(frame, at, done) {
                    let after = self.continuation(Continuation::At(frame, at + 1));
                    // What must not happen before a piece counts no more once an event of it is taken.
                    let nots_after = if done > 0 { &[][..] } else { &nots };
                    leave = Some((self.closure(after, nots_after), Leave::Greedy));
                }
                self.wait(here, &nots, into, |wait| {
                    wait.takes.push((condition, take));
                    wait.ignore = ignore(joined);
                    wait.untils = untils;
                    wait.until_ends = until_ends;
                    wait.leave = leave;
                })
            }
            PieceBody::AllOf(members) => {
                let left = (1_u32 << members.len()) - 1;
                self.all_of(frame, at, done, left, &nots, into)
            }
            PieceBody::Group(group) => self.branch(group, then, joined, &untils, &nots, into),
            PieceBody::AnyOf(branches) => {
                for branch in branches {
                    self.branch(branch, then, joined, &untils, &nots, into)?;
                }
                Ok(())
            }
        }
    }

    fn branch(
        &mut self,
        series: SeriesId,
        next: ContinuationId,
        joined: Contiguity,
        untils: &[ConditionId],
        nots: &[ConditionId],
        into: &mut Closure,
    ) -> Result<()> {
        let frame = self.frame(Frame {
            series,
            next,
            head: Some(joined),
            untils: untils.to_vec(),
        });
        let begin = self.continuation(Continuation::At(frame, 0));
        self.content(begin, nots, into)
    }

    fn all_of(
        &mut self,
        frame: usize,
        at: usize,
        done: u32,
        left: u32,
        nots: &[ConditionId],
        into: &mut Closure,
    ) -> Result<()> {
        let Frame {
            series,
            head,
            ref untils,
            ..
        } = self.frames[frame];
        let Some(Piece::Element {
            body: PieceBody::AllOf(members),
            min,
            max,
            inner,
            until,
            contiguity,
            ..
        }) = self.series[series].get(at)
        else {
            return Ok(());
        };
        let begins = left == (1 << members.len()) - 1;
        let joined = if done > 0 || !begins {
            *inner
        } else {
            head.filter(|_| at == 0).unwrap_or(*contiguity)
        };
        let counted = if max.is_none() {
            (done + 1).min(*min)
        } else {
            done + 1
        };
        let members = members.clone();
        let mut all_untils = untils.clone();
        let until_ends = done > 0 || !begins || !untils.is_empty();
        all_untils.extend(*until);
        let mut takes = Vec::with_capacity(members.len());
        for (place, condition) in members.iter().enumerate() {
            let rest = left & !(1 << place);
            if rest != left {
                let then = match rest {
                    0 => Continuation::Done(frame, at, counted),
                    rest => Continuation::Left(frame, at, done, rest),
                };
                let then = self.continuation(then);
                takes.push((*condition, self.closure(then, &[])));
            }
        }
        let here = self.continuation(Continuation::Left(frame, at, done, left));
        self.wait(here, nots, into, |wait| {
            wait.takes = takes;
            wait.ignore = ignore(joined);
            wait.untils = all_untils;
            wait.until_ends = until_ends;
        })
    }
}

fn ignore(contiguity: Contiguity) -> Ignore {
    match contiguity {
        Contiguity::Strict => Ignore::Nothing,
        Contiguity::Relaxed => Ignore::Unfit,
        Contiguity::Any => Ignore::Everything,
    }
}
