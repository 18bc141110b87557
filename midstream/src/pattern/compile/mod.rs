//! From the typed plan to the [`Automaton`]. What follows a place in the plan is a continuation; equal
//! continuations become one closure, which is how loops are closed.

mod follow;

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::event::Schema;
use crate::expression::{Leaf, Place};
use crate::pattern::automaton::{
    Automaton, Closure, ClosureId, Condition, ConditionId, Over, PickFrom, WaitId,
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
}

fn takes_any(pattern: &Pattern) -> bool {
    pattern
        .parts
        .iter()
        .any(|part| matches!(part, Part::Element(..)))
}
