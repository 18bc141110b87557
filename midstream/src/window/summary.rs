//! What is kept of the events of a pane or window: the aggregates of one field, or those of several expressions.

use hashbrown::HashSet;
use sketches_ddsketch::{Config, DDSketch};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Aggregates};
use crate::batch::{Column, Row};
use crate::event::Value;
use crate::expression::{Place, Term, Values};
use crate::key::Key;

/// The most different values that one aggregate counts; what is beyond is not counted as different.
pub const DISTINCT_MAX: usize = 65_536;
/// The relative error of a percentile.
const PERCENTILE_ERROR: f64 = 0.01;
/// The most buckets of a sketch: at one percent, the values of one sketch may differ by a factor of e^40.
const BUCKETS_MAX: u32 = 2048;

/// What is kept of some events, mergeable.
pub(crate) trait Summary:
    Default + Clone + std::fmt::Debug + Send + Serialize + DeserializeOwned + 'static
{
    /// What a rule asks of an event.
    type Plan: std::fmt::Debug + Send;
    type Input<'a>: Copy;
    /// None where the event does not count.
    fn read<'a>(plan: &'a Self::Plan, row: Row<'a>) -> Option<Self::Input<'a>>;
    fn take(&mut self, input: Self::Input<'_>);
    fn merge(&mut self, later: &Self);
    /// As [`Summary::merge`] for what [`Summary::outlines`] says is enough.
    fn merge_outline(&mut self, later: &Self) {
        self.merge(later);
    }
    /// Whether all that a plan asks for is part of the outline, which costs less.
    fn outlines(_plan: &Self::Plan) -> bool {
        false
    }
    /// Whether no event was taken.
    fn is_empty(&self) -> bool;
    /// The value of an aggregate.
    fn slot(&self, plan: &Self::Plan, slot: usize) -> Option<Value>;
    /// The aggregates of the first field.
    fn aggregates(&self) -> Aggregates;
}

/// A rule's only field; without one, events are counted.
#[derive(Debug)]
pub(crate) struct OneField {
    pub field: Option<usize>,
    /// The aggregates asked for, by slot.
    pub slots: Vec<Aggregate>,
}

impl Summary for Aggregates {
    type Plan = OneField;
    type Input<'a> = f64;

    fn read(plan: &OneField, row: Row<'_>) -> Option<f64> {
        let Some(field) = plan.field else {
            return Some(1.0);
        };
        if let Row::Batch(batch, row) = row
            && let Some(Column::Float(values)) = batch.columns.get(field)
        {
            return values.get(row).copied();
        }
        row.value(field)?.as_f64()
    }

    fn take(&mut self, value: f64) {
        self.push(value);
    }

    fn merge(&mut self, later: &Self) {
        Self::merge(self, later);
    }

    fn merge_outline(&mut self, later: &Self) {
        Self::merge_outline(self, later);
    }

    fn outlines(plan: &OneField) -> bool {
        !plan.slots.contains(&Aggregate::Stddev)
    }

    fn is_empty(&self) -> bool {
        self.count + self.nan == 0
    }

    fn slot(&self, plan: &OneField, slot: usize) -> Option<Value> {
        number(self, *plan.slots.get(slot)?)
    }

    fn aggregates(&self) -> Aggregates {
        *self
    }
}

fn number(all: &Aggregates, kind: Aggregate) -> Option<Value> {
    match kind {
        Aggregate::Count => i64::try_from(all.count).ok().map(Value::Int),
        Aggregate::Sum if all.count == 0 => None,
        other => all.get(other).map(Value::Float),
    }
}

/// One expression and what is kept of it.
#[derive(Debug)]
pub(crate) struct LanePlan {
    /// None counts events.
    pub of: Option<Term<Place>>,
    pub percentiles: bool,
    pub distinct: bool,
}

/// The expressions of a rule, and the aggregate of each slot.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    pub lanes: Vec<LanePlan>,
    pub slots: Vec<(usize, Aggregate)>,
}

/// What is kept of several expressions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Several {
    events: u64,
    lanes: Vec<Lane>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Lane {
    /// Values that are not missing.
    values: u64,
    numbers: Aggregates,
    ends: Option<(Value, Value)>,
    sketch: Option<Sketch>,
    #[serde(with = "in_order")]
    distinct: Option<Box<HashSet<Key>>>,
}

/// Numbers as counts of buckets whose bounds grow by a factor (C. Masson et al., *DDSketch*, VLDB 2019).
#[derive(Clone, Serialize, Deserialize)]
struct Sketch(Box<DDSketch>);

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch of {} numbers", self.0.count())
    }
}

fn sketch() -> Sketch {
    let config = Config::new(PERCENTILE_ERROR, BUCKETS_MAX, 1e-9);
    Sketch(Box::new(DDSketch::new(config)))
}

impl Lane {
    fn take(&mut self, plan: &LanePlan, value: Value) {
        let number = match value {
            Value::Text(_) => None,
            ref other => other.as_f64(),
        };
        if let Some(number) = number {
            self.numbers.push(number);
            if number.is_nan() {
                return;
            }
            if plan.percentiles && number.is_finite() {
                self.sketch.get_or_insert_with(sketch).0.add(number);
            }
        }
        self.values += 1;
        if plan.distinct {
            let seen = self.distinct.get_or_insert_default();
            if seen.len() < DISTINCT_MAX {
                seen.insert(Key::of(value.as_value_ref()));
            }
        }
        match &mut self.ends {
            Some((_, last)) => *last = value,
            None => self.ends = Some((value.clone(), value)),
        }
    }

    fn merge(&mut self, later: &Self) {
        self.values += later.values;
        self.numbers.merge(&later.numbers);
        match (&mut self.ends, &later.ends) {
            (Some((_, last)), Some((_, newest))) => *last = newest.clone(),
            (ends @ None, _) => *ends = later.ends.clone(),
            (Some(_), None) => {}
        }
        if let Some(other) = &later.sketch {
            // All sketches have one configuration, so they merge.
            let _ = self.sketch.get_or_insert_with(sketch).0.merge(&other.0);
        }
        if let Some(other) = &later.distinct {
            let seen = self.distinct.get_or_insert_default();
            let room = DISTINCT_MAX.saturating_sub(seen.len());
            let new: Vec<_> = other
                .iter()
                .filter(|key| !seen.contains(*key))
                .take(room)
                .cloned()
                .collect();
            seen.extend(new);
        }
    }
}

impl Summary for Several {
    type Plan = Lanes;
    type Input<'a> = (&'a Lanes, Row<'a>);

    fn read<'a>(plan: &'a Lanes, row: Row<'a>) -> Option<(&'a Lanes, Row<'a>)> {
        Some((plan, row))
    }

    fn take(&mut self, (plan, row): (&Lanes, Row<'_>)) {
        self.events += 1;
        if self.lanes.len() < plan.lanes.len() {
            self.lanes.resize_with(plan.lanes.len(), Lane::default);
        }
        for (lane, plan) in self.lanes.iter_mut().zip(&plan.lanes) {
            if let Some(value) = plan.of.as_ref().and_then(|of| of.value(&row)) {
                lane.take(plan, value);
            }
        }
    }

    fn merge(&mut self, later: &Self) {
        self.events += later.events;
        if self.lanes.is_empty() {
            self.lanes.clone_from(&later.lanes);
            return;
        }
        for (lane, later) in self.lanes.iter_mut().zip(&later.lanes) {
            lane.merge(later);
        }
    }

    fn is_empty(&self) -> bool {
        self.events == 0
    }

    fn slot(&self, plan: &Lanes, slot: usize) -> Option<Value> {
        let (place, kind) = plan.slots.get(slot)?;
        let counted = plan.lanes.get(*place)?.of.is_none();
        if counted {
            return i64::try_from(self.events).ok().map(Value::Int);
        }
        let whole = |count: u64| i64::try_from(count).ok().map(Value::Int);
        let Some(lane) = self.lanes.get(*place) else {
            return matches!(kind, Aggregate::Count | Aggregate::Distinct).then_some(Value::Int(0));
        };
        match kind {
            Aggregate::Count => whole(lane.values),
            Aggregate::Distinct => whole(lane.distinct.as_ref().map_or(0, |set| set.len() as u64)),
            Aggregate::First => lane.ends.as_ref().map(|(first, _)| first.clone()),
            Aggregate::Last => lane.ends.as_ref().map(|(_, last)| last.clone()),
            Aggregate::Percentile(thousandths) => {
                let sketch = lane.sketch.as_ref()?;
                let found = sketch.0.quantile(f64::from(*thousandths) / 1000.0);
                found.ok().flatten().map(Value::Float)
            }
            other => number(&lane.numbers, *other),
        }
    }

    fn aggregates(&self) -> Aggregates {
        self.lanes
            .first()
            .map_or_else(Aggregates::default, |lane| lane.numbers)
    }
}

/// A summary's slots as values; other places have none.
pub(crate) struct Slots<'a, S: Summary>(pub &'a S, pub &'a S::Plan);

impl<S: Summary> Values for Slots<'_, S> {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Slot(slot) => self.0.slot(self.1, slot),
            Place::Field(_) => None,
        }
    }
}

/// A set as a list in order, so that equal sets are equal bytes.
mod in_order {
    use hashbrown::HashSet;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::key::Key;

    pub fn serialize<S: Serializer>(
        set: &Option<Box<HashSet<Key>>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let list = set.as_ref().map(|set| {
            let mut list: Vec<&Key> = set.iter().collect();
            list.sort_unstable();
            list
        });
        list.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Box<HashSet<Key>>>, D::Error> {
        let list = Option::<Vec<Key>>::deserialize(from)?;
        Ok(list.map(|list| Box::new(list.into_iter().collect())))
    }
}
