//! The automaton of a pattern: what a partial match waits for, and where each event takes it.
//!
//! A partial match always waits in exactly one [`Wait`]. When it takes an event it goes on in every wait of
//! the [`Closure`] that follows, so what may be left out has been left out already; only greedy steps are
//! left at a later event ([`Leave`]).

use crate::batch::Row;
use crate::event::Value;
use crate::expression::{Place, Values};
use crate::pattern::buffer::{Buffer, NodeId};
use crate::pattern::earlier::Pick;
use crate::predicate::Compiled;

/// The place of a condition; each step that is written down has its own.
pub(crate) type ConditionId = u16;
/// The place of a [`Wait`].
pub(crate) type WaitId = u32;
/// The place of a [`Closure`].
pub(crate) type ClosureId = u32;
/// The conditions that hold for an event without regard to partial matches, by [`Condition::bit`].
pub(crate) type Mask = u64;

#[derive(Debug)]
pub(crate) struct Automaton {
    pub conditions: Vec<Condition>,
    pub waits: Vec<Wait>,
    pub closures: Vec<Closure>,
    pub start: ClosureId,
    /// What must not happen for how many milliseconds before the first event.
    pub absent_first: Option<(ConditionId, i64)>,
    /// Two ways may lead to the same events: chains of equal events then become one.
    pub joins: bool,
}

/// A step's condition.
#[derive(Debug)]
pub(crate) struct Condition {
    pub name: std::sync::Arc<str>,
    pub bit: u8,
    /// What is asked of the event and of what the partial match took before, whose picks are its slots.
    pub earlier: Vec<Compiled>,
    pub picks: Vec<PickFrom>,
}

/// A value from what the partial match took before.
#[derive(Debug)]
pub(crate) struct PickFrom {
    /// The conditions of the step's name, with the place of the field among the values kept.
    pub steps: Vec<(ConditionId, usize)>,
    pub pick: Pick,
    pub times: f64,
    pub plus: f64,
}

/// What may be passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ignore {
    Nothing,
    /// What fits none of the takes.
    Unfit,
    Everything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// With the next event.
    Always,
    /// With an event that cannot be taken and that what follows takes, or that cannot be passed over.
    Greedy,
}

/// When a wait is over by time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// So many milliseconds after the last event.
    After(i64),
    /// When the rule's time is over.
    Within,
}

#[derive(Debug)]
pub(crate) struct Wait {
    pub takes: Vec<(ConditionId, ClosureId)>,
    pub ignore: Ignore,
    pub stops: Vec<ConditionId>,
    /// Nothing is taken when one of these holds.
    pub untils: Vec<ConditionId>,
    /// Nor passed over.
    pub until_ends: bool,
    pub leave: Option<(ClosureId, Leave)>,
    pub over: Option<(Over, ClosureId)>,
    /// Whether any condition it looks at depends on the partial match.
    pub depends: bool,
    /// The conditions it looks at: an event that has none of them does what no event at all would.
    pub looks_at: Mask,
}

/// Where a partial match goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closure {
    pub waits: Vec<WaitId>,
    pub accepts: bool,
}

/// What an event does to a partial match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// It takes the event and goes on there.
    Take(ConditionId, ClosureId),
    /// It passes the event over and waits there.
    Goto(WaitId),
    /// It is complete without the event.
    Finish,
}

/// An event before a partial match; none for one that begins.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub mask: Mask,
    pub row: Row<'a>,
    pub buffer: &'a Buffer,
    pub node: Option<NodeId>,
}

impl Automaton {
    /// Adds what the event does to a partial match that waits there; whether it also stays.
    pub fn decide(&self, wait: WaitId, sight: Sight<'_>, moves: &mut Vec<Move>) -> bool {
        let wait = &self.waits[wait as usize];
        let holds = |condition: &ConditionId| self.holds(*condition, sight);
        if wait.stops.iter().any(holds) {
            return false;
        }
        let until = wait.untils.iter().any(holds);
        let mut fits = false;
        let mut taken = false;
        for (condition, into) in &wait.takes {
            if holds(condition) {
                fits = true;
                if !until {
                    taken = true;
                    moves.push(Move::Take(*condition, *into));
                }
            }
        }
        let ignored = !(until && wait.until_ends)
            && match wait.ignore {
                Ignore::Nothing => false,
                Ignore::Unfit => !fits,
                Ignore::Everything => true,
            };
        let mut stays = ignored;
        if let Some((closure, leave)) = wait.leave {
            let following = &self.closures[closure as usize];
            let leaves = match leave {
                Leave::Always => true,
                Leave::Greedy => {
                    !taken
                        && (!ignored || following.waits.is_empty() || self.takes(following, sight))
                }
            };
            if leaves {
                // A greedy step before one that may be left out waits for that one.
                if following.accepts && (leave == Leave::Always || following.waits.is_empty()) {
                    moves.push(Move::Finish);
                    stays = false;
                }
                for next in &following.waits {
                    if self.decide(*next, sight, moves) {
                        moves.push(Move::Goto(*next));
                    }
                }
            }
        }
        stays
    }

    fn takes(&self, closure: &Closure, sight: Sight<'_>) -> bool {
        closure.waits.iter().any(|wait| {
            let wait = &self.waits[*wait as usize];
            wait.takes
                .iter()
                .any(|(condition, _)| self.holds(*condition, sight))
                || wait
                    .leave
                    .is_some_and(|(closure, _)| self.takes(&self.closures[closure as usize], sight))
        })
    }

    /// Whether a condition holds for the event and what the partial match has taken.
    pub fn holds(&self, condition: ConditionId, sight: Sight<'_>) -> bool {
        let condition = &self.conditions[usize::from(condition)];
        sight.mask >> condition.bit & 1 == 1
            && condition.earlier.iter().all(|earlier| {
                earlier.holds_with(&Taken {
                    picks: &condition.picks,
                    sight,
                })
            })
    }
}

impl Automaton {
    /// Notes of each wait which conditions it looks at. One that can be left looks at what the waits behind
    /// it look at.
    pub fn look_ahead(&mut self) {
        let conditions = &self.conditions;
        let own: Vec<_> = self
            .waits
            .iter()
            .map(|wait| wait.own_look(conditions))
            .collect();
        let all = own
            .iter()
            .fold((0, false), |all, own| (all.0 | own.0, all.1 | own.1));
        for (wait, own) in self.waits.iter_mut().zip(own) {
            let leaves = wait.leave.is_some();
            (wait.looks_at, wait.depends) = if leaves { all } else { own };
            self.joins |= leaves;
        }
        let mut taken = vec![false; conditions.len()];
        for (condition, _) in self.waits.iter().flat_map(|wait| &wait.takes) {
            self.joins |= std::mem::replace(&mut taken[usize::from(*condition)], true);
        }
    }
}

impl Wait {
    fn own_look(&self, conditions: &[Condition]) -> (Mask, bool) {
        let takes = self.takes.iter().map(|(condition, _)| condition);
        let seen = takes.chain(&self.stops).chain(&self.untils);
        seen.fold((0, false), |(mask, depends), condition| {
            let condition = &conditions[usize::from(*condition)];
            (
                mask | 1 << condition.bit,
                depends || !condition.earlier.is_empty(),
            )
        })
    }
}

/// An event's fields, and what was picked from the events before it.
struct Taken<'a> {
    picks: &'a [PickFrom],
    sight: Sight<'a>,
}

impl Values for Taken<'_> {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Field(_) => Values::value(&self.sight.row, place),
            Place::Slot(slot) => self.picks.get(slot)?.value(self.sight),
        }
    }
}

impl PickFrom {
    /// Linear in the events that the partial match has taken; a step's last event is found from the end.
    fn value(&self, sight: Sight<'_>) -> Option<Value> {
        let mut found = sight.buffer.path(sight.node).filter_map(|node| {
            let (_, slot) = self
                .steps
                .iter()
                .find(|(condition, _)| *condition == node.condition)?;
            Some(
                sight
                    .buffer
                    .event(node)
                    .values
                    .get(*slot)
                    .cloned()
                    .flatten(),
            )
        });
        if self.pick == Pick::Count {
            return Some(Value::Float(found.count() as f64 * self.times + self.plus));
        }
        let value = match self.pick {
            Pick::Last => found.next()??,
            Pick::First => found.last()??,
            _ => {
                let numbers = found.filter_map(|value| value?.as_f64());
                let (mut count, mut sum, mut least, mut greatest) =
                    (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
                for number in numbers {
                    count += 1.0;
                    sum += number;
                    least = least.min(number);
                    greatest = greatest.max(number);
                }
                match self.pick {
                    Pick::Sum => Value::Float(sum),
                    _ if count == 0.0 => return None,
                    Pick::Average => Value::Float(sum / count),
                    Pick::Least => Value::Float(least),
                    _ => Value::Float(greatest),
                }
            }
        };
        Some(if self.times == 1.0 && self.plus == 0.0 {
            value
        } else {
            Value::Float(value.as_f64()? * self.times + self.plus)
        })
    }
}
