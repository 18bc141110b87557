//! What counts as an incident: the farm's limits as rules of `midstream`.
//!
//! | incident | events | rule |
//! |---|---|---|
//! | person in pen at night | one for each person in a zone of each frame | three in a pen at night, one after the other, within the dwell time |
//! | animal down | one for each sample of a leg | lying longer than the limit, then activity below its limit, within two seconds |
//! | crowding | one for each trough of each frame | the mean number of animals over the window is at the limit |

use std::collections::BTreeMap;
use std::time::Duration;

use midstream::{
    Aggregate, Emit, Engine, FieldType, Found, Having, Output, Rule, Schema, Value, eq, gt, lt,
};

use crate::config::{Limits, seconds};
use crate::detection::Label;
use crate::incident::IncidentKind;
use crate::sighting::{Census, Sighting};
use crate::time::Timestamp;
use crate::zone::ZoneKind;

/// Windows slide by this share of their size.
const SLIDES: u32 = 4;
/// Between a step and the next of a leg's pattern at most this passes.
const LEG_STEP: Duration = Duration::from_secs(120);
/// Cameras and sensors are read in order; this much disorder between them is waited for.
const DISORDER: Duration = Duration::ZERO;

/// Why the rules cannot run.
#[derive(Debug, thiserror::Error)]
#[error("event engine: {0}")]
pub struct PatternError(#[from] midstream::Error);

/// A pattern that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The same events give the same id.
    pub id: String,
    /// What was found.
    pub kind: IncidentKind,
    /// The zone, or the animal.
    pub place: String,
    /// The first event.
    pub first: Timestamp,
    /// The event that completed it.
    pub last: Timestamp,
    /// How many events it is made of.
    pub events: u64,
}

/// Where the events went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that entered.
    pub events_in: u64,
    /// Events that went through the rules.
    pub events_out: u64,
    /// Events that did not, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Events that wait.
    pub held: u64,
}

/// The event engine with the farm's rules.
pub struct Patterns {
    engine: Engine,
    people: Schema,
    legs: Schema,
    troughs: Schema,
}

impl Patterns {
    /// The rules for these limits.
    ///
    /// # Errors
    /// [`PatternError`] when a limit makes no rule.
    pub fn new(limits: &Limits) -> Result<Self, PatternError> {
        let people = Schema::new("people")
            .field("zone", FieldType::Text)
            .field("pen", FieldType::Bool)
            .field("night", FieldType::Bool);
        let legs = Schema::new("legs")
            .field("animal", FieldType::Text)
            .field("lying_s", FieldType::Float)
            .field("activity_g", FieldType::Float);
        let troughs = Schema::new("troughs")
            .field("zone", FieldType::Text)
            .field("cattle", FieldType::Int);

        let in_pen = || eq("pen", true).and(eq("night", true));
        let person = Rule::sequence(IncidentKind::PersonInPenAtNight.as_str())
            .key("zone")
            .step("people", in_pen())
            .step("people", in_pen())
            .step("people", in_pen())
            .within(seconds(limits.person_dwell_s));
        let down = Rule::sequence(IncidentKind::AnimalDown.as_str())
            .key("animal")
            .step("legs", gt("lying_s", limits.lying_limit_s))
            .step(
                "legs",
                gt("lying_s", limits.lying_limit_s).and(lt("activity_g", limits.activity_limit_g)),
            )
            .within(LEG_STEP);
        let slide = (seconds(limits.crowd_window_s) / SLIDES).max(Duration::from_millis(1));
        let crowd = Rule::window(IncidentKind::Crowding.as_str(), "troughs")
            .key("zone")
            .field("cattle")
            .sliding(slide * SLIDES, slide)
            .having(Having::AtLeast(
                Aggregate::Avg,
                f64::from(limits.crowd_size),
            ))
            .emit(Emit::Every);
        let engine = Engine::builder()
            .source(people.clone())
            .source(legs.clone())
            .source(troughs.clone())
            .rule(person)
            .rule(down)
            .rule(crowd)
            .disorder(DISORDER)
            .build()?;
        Ok(Self {
            engine,
            people,
            legs,
            troughs,
        })
    }

    /// Takes what was seen in a frame.
    ///
    /// # Errors
    /// [`PatternError`] when the engine refuses an event.
    pub fn push_frame(
        &mut self,
        at: Timestamp,
        sightings: &[Sighting],
        census: &[Census],
    ) -> Result<Vec<Match>, PatternError> {
        let mut found = Vec::new();
        for sighting in sightings
            .iter()
            .filter(|sighting| sighting.label == Label::Person)
        {
            let fields = [
                ("zone", Value::from(sighting.zone.as_str())),
                ("pen", (sighting.zone_kind == ZoneKind::Pen).into()),
                ("night", sighting.night.into()),
            ];
            found.extend(self.engine.push(self.people.event(
                &sighting.id,
                time(at),
                &fields,
            )?)?);
        }
        for census in census {
            let fields = [
                ("zone", Value::from(census.zone.as_str())),
                ("cattle", i64::from(census.cattle).into()),
            ];
            found.extend(
                self.engine
                    .push(self.troughs.event(&census.id, time(at), &fields)?)?,
            );
        }
        Ok(found.into_iter().filter_map(matched).collect())
    }

    /// Takes what a leg did: for how long the animal lies, if it does, and how active it is, in g.
    ///
    /// # Errors
    /// [`PatternError`] when the engine refuses the event.
    pub fn push_leg(
        &mut self,
        animal: &str,
        at: Timestamp,
        lying: Option<Duration>,
        activity: f32,
    ) -> Result<Vec<Match>, PatternError> {
        let id = format!("{animal}/{}", at.as_millis());
        let mut fields = vec![
            ("animal", Value::from(animal)),
            ("activity_g", f64::from(activity).into()),
        ];
        fields.extend(lying.map(|lying| ("lying_s", Value::from(lying.as_secs_f64()))));
        let found = self.engine.push(self.legs.event(&id, time(at), &fields)?)?;
        Ok(found.into_iter().filter_map(matched).collect())
    }

    /// Says that nothing before `now` will come: windows that end until then are told.
    pub fn finish(&mut self, now: Timestamp) -> Vec<Match> {
        self.engine
            .advance_to(time(now))
            .into_iter()
            .filter_map(matched)
            .collect()
    }

    /// Where the events went: `events_in = events_out + sum(dropped) + held`.
    pub fn counts(&self) -> Counts {
        let metrics = self.engine.metrics();
        Counts {
            events_in: metrics.events_in,
            events_out: metrics.events_out,
            dropped: metrics
                .dropped
                .iter()
                .map(|(reason, count)| (reason.as_str().to_owned(), *count))
                .collect(),
            held: metrics.held,
        }
    }
}

fn time(at: Timestamp) -> midstream::Timestamp {
    midstream::Timestamp::from_millis(at.as_millis())
}

fn matched(output: Output) -> Option<Match> {
    let events = match &output.found {
        Found::Sequence(ids) => ids.len() as u64,
        Found::Window(aggregates) => aggregates.count,
        _ => return None,
    };
    Some(Match {
        id: output.id.to_string(),
        kind: IncidentKind::from_name(&output.rule)?,
        place: output.key?.to_string(),
        first: Timestamp::from_millis(output.first.as_millis()),
        last: Timestamp::from_millis(output.last.as_millis()),
        events,
    })
}
