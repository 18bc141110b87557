//! From the typed plan to the [`Automaton`]. What follows a place in the plan is a continuation; equal
//! continuations become one closure, which is how loops are closed.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::event::Schema;
use crate::expression::{Leaf, Place};
use crate::pattern::automaton::{
    Automaton, Closure, ClosureId, Condition, ConditionId, Ignore, Leave, Over, PickFrom, Wait,
    WaitId,
};
use crate::pattern::earlier::Earlier;
use crate::pattern::plan::{Body, Contiguity, Element, Greed, Part, Pattern, PatternRule, Step};
use crate::predicate::{Predicate, place};
use crate::time::millis;

/// The most states of one rule's automaton; `{n,m}` and `ALL OF` need one for each count and subset.
pub(crate) const WAITS_MAX: usize = 4096;
/// The most distinct conditions of one rule.
pub(crate) const CONDITIONS_MAX: usize = 64;
/// The most steps of one `ALL OF`.
const ALL_OF_MAX: usize = 10;

/// A compiled rule, with what it asks of the events.
#[derive(Debug)]
pub(crate) struct Program {
    pub automaton: Automaton,
    /// The distinct conditions on an event alone, by bit: source and predicate.
    pub tests: Vec<(String, Predicate)>,
    /// The fields whose values are kept, by source.
    pub kept: HashMap<String, Vec<usize>>,
}

type SeriesId = usize;
type ContinuationId = usize;

/// A part whose steps are places.
#[derive(Debug)]
enum Piece {
    Element {
        body: PieceBody,
        min: u32,
        max: Option<u32>,
        optional: bool,
        greed: Greed,
        inner: Contiguity,
        until: Option<ConditionId>,
        contiguity: Contiguity,
    },
    NotNext(ConditionId),
    Not(ConditionId),
    NotFor(ConditionId, i64),
}

#[derive(Clone, Debug)]
enum PieceBody {
    Step(ConditionId),
    Group(SeriesId),
    AnyOf(Vec<SeriesId>),
    AllOf(Vec<ConditionId>),
}

/// A run through a series of pieces, with what follows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Frame {
    series: SeriesId,
    next: ContinuationId,
    /// What joins the first piece to what is before, where the place of the whole says so.
    head: Option<Contiguity>,
    untils: Vec<ConditionId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Continuation {
    End,
    At(usize, usize),
    /// So many repetitions of the piece are done; a loop counts no further than its minimum.
    Done(usize, usize, u32),
    /// The next repetition of a piece that could also be over.
    Again(usize, usize, u32),
    /// The steps of an `ALL OF` that are left.
    Left(usize, usize, u32, u32),
}

struct Compiler<'a> {
    rule: &'a PatternRule,
    schemas: &'a [Schema],
    program: Program,
    series: Vec<Vec<Piece>>,
    frames: Vec<Frame>,
    continuations: Vec<Continuation>,
    continuation_ids: HashMap<Continuation, ContinuationId>,
    closures: HashMap<(ContinuationId, Vec<ConditionId>), ClosureId>,
    to_fill: Vec<(ContinuationId, Vec<ConditionId>, ClosureId)>,
    waits: HashMap<(ContinuationId, Vec<ConditionId>), WaitId>,
    visiting: HashSet<(ContinuationId, Vec<ConditionId>)>,
    /// Comparisons with earlier steps, resolved when all steps are known.
    pending: Vec<(ConditionId, &'a Step)>,
}

/// Compiles a rule.
///
/// # Errors
/// [`Error`] naming the rule, source or field at fault.
pub(crate) fn compile(rule: &PatternRule, schemas: &[Schema]) -> Result<Program> {
    let mut compiler = Compiler {
        rule,
        schemas,
        program: Program {
            automaton: Automaton {
                conditions: Vec::new(),
                waits: Vec::new(),
                closures: Vec::new(),
                start: 0,
                absent_first: None,
                joins: false,
            },
            tests: Vec::new(),
            kept: HashMap::new(),
        },
        series: Vec::new(),
        frames: Vec::new(),
        continuations: Vec::new(),
        continuation_ids: HashMap::new(),
        closures: HashMap::new(),
        to_fill: Vec::new(),
        waits: HashMap::new(),
        visiting: HashSet::new(),
        pending: Vec::new(),
    };
    compiler.run()?;
    Ok(compiler.program)
}

impl<'a> Compiler<'a> {
    fn bad<T>(&self, cause: &'static str) -> Result<T> {
        Err(Error::Rule {
            rule: self.rule.name.clone(),
            cause,
        })
    }

    fn run(&mut self) -> Result<()> {
        if !takes_any(&self.rule.pattern) {
            return self.bad("a pattern needs at least one step that takes an event");
        }
        let top = self.add_series(&self.rule.pattern)?;
        self.resolve_earlier()?;
        let at = match self.series[top].first() {
            Some(Piece::NotFor(condition, time)) => {
                self.program.automaton.absent_first = Some((*condition, *time));
                1
            }
            _ => 0,
        };
        if !matches!(self.series[top].get(at), Some(Piece::Element { .. })) {
            return self.bad("a pattern begins with a step, or with the absence of one for a time");
        }
        let end = self.continuation(Continuation::End);
        let frame = self.frame(Frame {
            series: top,
            next: end,
            head: None,
            untils: Vec::new(),
        });
        let begin = self.continuation(Continuation::At(frame, at));
        self.program.automaton.start = self.closure(begin, &[]);
        while let Some((continuation, nots, closure)) = self.to_fill.pop() {
            let mut content = Closure::default();
            self.content(continuation, &nots, &mut content)?;
            content.waits.sort_unstable();
            content.waits.dedup();
            self.program.automaton.closures[closure as usize] = content;
        }
        let automaton = &self.program.automaton;
        let timed = |closure: ClosureId| {
            let mut waits = automaton.closures[closure as usize].waits.iter();
            waits.any(|wait| {
                let over = automaton.waits[*wait as usize].over;
                matches!(over, Some((Over::After(_), _)))
            })
        };
        let mut leaves = automaton.waits.iter().filter_map(|wait| wait.leave);
        if leaves.any(|(closure, _)| timed(closure)) {
            // They are left by an event, and an absence begins without one.
            return self.bad("an absence for a time cannot follow a greedy step or NOT NEXT");
        }
        self.program.automaton.look_ahead();
        Ok(())
    }

    fn ends_with_not(&self) -> bool {
        matches!(self.rule.pattern.parts.last(), Some(Part::Not(_)))
    }

    fn add_series(&mut self, pattern: &'a Pattern) -> Result<SeriesId> {
        let mut pieces = Vec::with_capacity(pattern.parts.len());
        for part in &pattern.parts {
            pieces.push(match part {
                Part::Element(element, contiguity) => self.add_element(element, *contiguity)?,
                Part::NotNext(step) => Piece::NotNext(self.add_step(step)?),
                Part::Not(step) => Piece::Not(self.add_step(step)?),
                Part::NotFor(step, time) => Piece::NotFor(self.add_step(step)?, millis(*time)),
            });
        }
        if pieces.is_empty() {
            return self.bad("a group or branch of a pattern is empty");
        }
        self.series.push(pieces);
        Ok(self.series.len() - 1)
    }

    fn add_element(&mut self, element: &'a Element, contiguity: Contiguity) -> Result<Piece> {
        if element.max.is_some_and(|max| max == 0 || max < element.min) {
            return self.bad("a quantifier's maximum is 0 or below its minimum");
        }
        if element.greed == Greed::Greedy && !matches!(element.body, Body::Step(_)) {
            return self.bad("only a single step can be greedy");
        }
        let body = match &element.body {
            Body::Step(step) => PieceBody::Step(self.add_step(step)?),
            Body::Group(pattern) => PieceBody::Group(self.add_series(pattern)?),
            Body::AnyOf(branches) if branches.is_empty() => {
                return self.bad("an alternation needs at least one branch");
            }
            Body::AnyOf(branches) => PieceBody::AnyOf(
                branches
                    .iter()
                    .map(|branch| self.add_series(branch))
                    .collect::<Result<_>>()?,
            ),
            Body::AllOf(steps) if steps.is_empty() || steps.len() > ALL_OF_MAX => {
                return self.bad("ALL OF needs 1 to 10 steps");
            }
            Body::AllOf(steps) => PieceBody::AllOf(
                steps
                    .iter()
                    .map(|step| self.add_step(step))
                    .collect::<Result<_>>()?,
            ),
        };
        let until = match &element.until {
            Some(step) => Some(self.add_step(step)?),
            None => None,
        };
        Ok(Piece::Element {
            body,
            min: element.min.max(1),
            max: element.max,
            optional: element.optional || element.min == 0,
            greed: element.greed,
            inner: element.inner,
            until,
            contiguity,
        })
    }

    fn add_step(&mut self, step: &'a Step) -> Result<ConditionId> {
        let schema = crate::engine::schema(self.schemas, &step.source)?;
        step.predicate.compile(schema)?;
        let test = (step.source.clone(), step.predicate.clone());
        let known = self.program.tests.iter().position(|known| *known == test);
        let bit = known.unwrap_or(self.program.tests.len());
        if known.is_none() {
            if bit == CONDITIONS_MAX {
                return self.bad("a pattern has at most 64 distinct conditions");
            }
            self.program.tests.push(test);
        }
        let conditions = &mut self.program.automaton.conditions;
        let id = conditions.len() as ConditionId;
        if conditions.len() == WAITS_MAX {
            return self.bad("a pattern has at most 4096 steps");
        }
        conditions.push(Condition {
            name: step.name.as_str().into(),
            bit: bit as u8,
            earlier: Vec::new(),
            picks: Vec::new(),
        });
        self.pending.push((id, step));
        Ok(id)
    }

    fn resolve_earlier(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        for (id, step) in &pending {
            let schema = crate::engine::schema(self.schemas, &step.source)?;
            let mut picks = Vec::new();
            let mut compiled = Vec::with_capacity(step.earlier.len());
            for condition in &step.earlier {
                compiled.push(condition.compile_with(&mut |leaf| match leaf {
                    Leaf::Earlier(earlier) => {
                        picks.push(self.pick(earlier, &pending)?);
                        Ok(Place::Slot(picks.len() - 1))
                    }
                    other => place(schema, other),
                })?);
            }
            let condition = &mut self.program.automaton.conditions[usize::from(*id)];
            condition.earlier = compiled;
            condition.picks = picks;
        }
        Ok(())
    }

    /// Where a value of earlier steps lies; their field is kept from now on.
    fn pick(&mut self, earlier: &Earlier, steps: &[(ConditionId, &Step)]) -> Result<PickFrom> {
        let mut found = Vec::new();
        for (other, named) in steps {
            if named.name != earlier.step {
                continue;
            }
            let slot = match &earlier.field {
                None => 0,
                Some(field) => {
                    let place = crate::engine::schema(self.schemas, &named.source)?.index(field)?;
                    let kept = self.program.kept.entry(named.source.clone()).or_default();
                    let known = kept.iter().position(|known| *known == place);
                    known.unwrap_or_else(|| {
                        kept.push(place);
                        kept.len() - 1
                    })
                }
            };
            found.push((*other, slot));
        }
        if found.is_empty() {
            return Err(Error::UnknownStep {
                rule: self.rule.name.clone(),
                step: earlier.step.clone(),
            });
        }
        Ok(PickFrom {
            steps: found,
            pick: earlier.pick,
            times: earlier.times,
            plus: earlier.plus,
        })
    }

    fn continuation(&mut self, continuation: Continuation) -> ContinuationId {
        if let Some(id) = self.continuation_ids.get(&continuation) {
            return *id;
        }
        self.continuations.push(continuation.clone());
        self.continuation_ids
            .insert(continuation, self.continuations.len() - 1);
        self.continuations.len() - 1
    }

    fn frame(&mut self, frame: Frame) -> usize {
        match self.frames.iter().position(|known| *known == frame) {
            Some(known) => known,
            None => {
                self.frames.push(frame);
                self.frames.len() - 1
            }
        }
    }

    fn closure(&mut self, continuation: ContinuationId, nots: &[ConditionId]) -> ClosureId {
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
    fn content(
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

fn takes_any(pattern: &Pattern) -> bool {
    pattern
        .parts
        .iter()
        .any(|part| matches!(part, Part::Element(..)))
}
