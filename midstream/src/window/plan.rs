//! From a window rule to the window that runs it.

use std::sync::Arc;

use crate::aggregate::{Aggregate, Aggregates};
use crate::error::{Error, Result};
use crate::event::{FieldType, Schema};
use crate::expression::{Expr, Leaf, Place, Term, aggregate, field};
use crate::operator::Operator;
use crate::predicate::{Predicate, place};
use crate::rule::{Shape, WindowRule};
use crate::time::millis;
use crate::window::counted::Counted;
use crate::window::each::Each;
use crate::window::late::Late;
use crate::window::paned::Paned;
use crate::window::session::Session;
use crate::window::summary::{LanePlan, Lanes, OneField, Several, Summary};
use crate::window::{Frame, PANES_MAX, Selected};

pub(super) fn build(rule: &WindowRule, schemas: &[Schema]) -> Result<Box<dyn Operator>> {
    let schema = crate::engine::schema(schemas, &rule.source)?;
    check(rule)?;
    if rule.select.is_empty() && rule.condition.is_none() && rule.until.is_none() {
        let field = rule.field.as_deref().map(|field| schema.index(field));
        let field = field.transpose()?;
        if let Some((name, FieldType::Text)) = field.and_then(|at| schema.fields().nth(at)) {
            return Err(Error::Type {
                field: name.to_owned(),
                wanted: FieldType::Float,
                found: FieldType::Text,
            });
        }
        let light = |kind: Aggregate| Aggregates::default().get(kind).is_some();
        let light = |kind| {
            light(kind)
                || matches!(
                    kind,
                    Aggregate::Avg | Aggregate::Min | Aggregate::Max | Aggregate::Stddev
                )
        };
        if rule.having.iter().all(|having| light(having.parts().0)) {
            let plan = OneField {
                field,
                slots: Vec::new(),
            };
            let frame = frame(rule, schema, plan)?;
            return shaped::<Aggregates>(rule, schema, frame);
        }
    }
    let mut lanes = LaneBook {
        rule,
        schema,
        lanes: Lanes::default(),
        known: Vec::new(),
    };
    let condition = match lanes.all_conditions() {
        None => None,
        Some(condition) => Some(condition.compile_with(&mut |leaf| lanes.place(leaf))?),
    };
    let until = rule.until.as_ref();
    let until = until.map(|until| until.compile_with(&mut |leaf| lanes.place(leaf)));
    let until = until.transpose()?;
    let mut select: Vec<(Arc<str>, Selected)> = Vec::new();
    for (name, value) in &rule.select {
        let selected = match &value.0 {
            Term::Leaf(Leaf::Field(name)) if Some(name) == rule.key.as_ref() => Selected::Key,
            term => Selected::Value(term.map(&mut |leaf| lanes.place(leaf))?),
        };
        select.push((name.as_str().into(), selected));
    }
    if select.is_empty() {
        for (slot, (_, _, name)) in lanes.known.iter().enumerate() {
            let value = Term::Leaf(Place::Slot(slot));
            select.push((name.as_str().into(), Selected::Value(value)));
        }
    }
    let mut frame = frame::<Several>(rule, schema, lanes.lanes)?;
    frame.having.clear();
    frame.condition = condition;
    frame.until = until;
    frame.select = select;
    shaped(rule, schema, frame)
}

fn bad<T>(rule: &WindowRule, cause: &'static str) -> Result<T> {
    Err(Error::Rule {
        rule: rule.name.clone(),
        cause,
    })
}

fn check(rule: &WindowRule) -> Result<()> {
    let late = !rule.lateness.is_zero();
    match rule.shape {
        Shape::Panes { size, slide } => {
            let (long, short) = (millis(size), millis(slide));
            if long <= 0 || short <= 0 {
                return bad(rule, "a window's size and slide are at least a millisecond");
            }
            if long / divisor(long, short) > PANES_MAX {
                return Err(Error::Slide {
                    rule: rule.name.clone(),
                    size,
                    slide,
                    panes_max: PANES_MAX,
                });
            }
            Ok(())
        }
        _ if late => bad(rule, "only tumbling and sliding windows can be late"),
        Shape::Each { size, .. } if millis(size) <= 0 => {
            bad(rule, "a window's size is at least a millisecond")
        }
        Shape::Session { gap, .. } if millis(gap) <= 0 => {
            bad(rule, "a session's gap is at least a millisecond")
        }
        Shape::Count { size, slide, .. } if size == 0 || slide == 0 => bad(
            rule,
            "a window of events has at least one, and slides by at least one",
        ),
        Shape::Count { size, slide, .. }
            if i64::from(size / count_divisor(size, slide)) > PANES_MAX =>
        {
            bad(
                rule,
                "a window of events has more than 100,000 panes; slide by a divisor of its size",
            )
        }
        _ => Ok(()),
    }
}

/// The greatest common divisor.
pub(super) fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn count_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { count_divisor(b, a % b) }
}

fn frame<S: Summary>(rule: &WindowRule, schema: &Schema, plan: S::Plan) -> Result<Frame<S>> {
    let key = rule.key.as_deref().map(|key| schema.index(key));
    let asks = |having: &crate::rule::Having| having.parts().0 == Aggregate::Stddev;
    Ok(Frame {
        outline_decides: S::outlines(&plan) && !rule.having.iter().any(asks),
        name: rule.name.as_str().into(),
        source: schema.shared_name().clone(),
        key: key.transpose()?,
        filter: rule.filter.compile(schema)?,
        plan,
        having: rule.having.clone(),
        condition: None,
        until: None,
        select: Vec::new(),
        emit: rule.emit,
        dropped: 0,
    })
}

fn shaped<S: Summary>(
    rule: &WindowRule,
    schema: &Schema,
    frame: Frame<S>,
) -> Result<Box<dyn Operator>> {
    Ok(match &rule.shape {
        Shape::Panes { size, slide } if rule.lateness.is_zero() => {
            Box::new(Paned::new(frame, millis(*size), millis(*slide)))
        }
        Shape::Panes { size, slide } => Box::new(Late::new(
            frame,
            millis(*size),
            millis(*slide),
            millis(rule.lateness),
        )),
        Shape::Session { gap, longest } => {
            Box::new(Session::new(frame, millis(*gap), longest.map(millis)))
        }
        Shape::Count { size, slide, fill } => {
            let pane = count_divisor(*size, *slide);
            Box::new(Counted::new(
                frame,
                (*size).into(),
                (*slide).into(),
                pane.into(),
                *fill,
            ))
        }
        Shape::Each { size, when } => {
            Box::new(Each::new(frame, millis(*size), when.compile(schema)?))
        }
    })
}

/// Collects the expressions and aggregates of a rule.
struct LaneBook<'a> {
    rule: &'a WindowRule,
    schema: &'a Schema,
    lanes: Lanes,
    /// What each slot is of, with its name in what is told.
    known: Vec<(Aggregate, Option<Expr>, String)>,
}

impl LaneBook<'_> {
    fn all_conditions(&self) -> Option<Predicate> {
        let having = self.rule.having.iter().map(|having| {
            let (kind, limit, comparison) = having.parts();
            let of = match &self.rule.field {
                Some(name) => aggregate(kind, field(name)),
                None => crate::expression::count(),
            };
            of.is(comparison, limit)
        });
        having
            .chain(self.rule.condition.clone())
            .reduce(Predicate::and)
    }

    fn place(&mut self, leaf: &Leaf) -> Result<Place> {
        match leaf {
            Leaf::Aggregate(kind, of) => self.slot(*kind, of.as_deref()),
            // The field of the window's last event.
            Leaf::Field(name) => self.slot(Aggregate::Last, Some(&field(name))),
            Leaf::Earlier(_) => place(self.schema, leaf),
        }
    }

    fn slot(&mut self, kind: Aggregate, of: Option<&Expr>) -> Result<Place> {
        let same =
            |known: &(Aggregate, Option<Expr>, String)| known.0 == kind && known.1.as_ref() == of;
        if let Some(slot) = self.known.iter().position(same) {
            return Ok(Place::Slot(slot));
        }
        let schema = self.schema;
        let lane = self.known.iter().position(|known| known.1.as_ref() == of);
        let lane = match lane {
            Some(slot) => self.lanes.slots[slot].0,
            None => {
                let of = of.map(|of| of.0.map(&mut |leaf| place(schema, leaf)));
                self.lanes.lanes.push(LanePlan {
                    of: of.transpose()?,
                    percentiles: false,
                    distinct: false,
                });
                self.lanes.lanes.len() - 1
            }
        };
        let plan = &mut self.lanes.lanes[lane];
        plan.percentiles |= matches!(kind, Aggregate::Percentile(_));
        plan.distinct |= kind == Aggregate::Distinct;
        self.lanes.slots.push((lane, kind));
        let name = slot_name(kind, of, self.known.len());
        self.known.push((kind, of.cloned(), name));
        Ok(Place::Slot(self.known.len() - 1))
    }
}

/// The name of an aggregate that was given none.
pub(crate) fn slot_name(kind: Aggregate, of: Option<&Expr>, place: usize) -> String {
    let of = match of.map(|of| &of.0) {
        None => "*",
        Some(Term::Leaf(Leaf::Field(name))) => name.as_str(),
        Some(_) => return format!("value{}", place + 1),
    };
    match kind {
        Aggregate::Count => format!("count({of})"),
        Aggregate::Sum => format!("sum({of})"),
        Aggregate::Avg => format!("avg({of})"),
        Aggregate::Min => format!("min({of})"),
        Aggregate::Max => format!("max({of})"),
        Aggregate::Stddev => format!("stddev({of})"),
        Aggregate::Percentile(thousandths) => {
            format!("percentile({of}, {})", f64::from(thousandths) / 10.0)
        }
        Aggregate::Distinct => format!("count(distinct {of})"),
        Aggregate::First => format!("first({of})"),
        Aggregate::Last => format!("last({of})"),
    }
}
