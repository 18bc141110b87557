//! The whole way of an input, in order: see the map in the crate's documentation.
//!
//! One thread, one call an input. Time comes with the inputs: a recording replays exactly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, ConfigError, Limits, seconds};
use crate::describe::{Describer, Device};
use crate::detection::{Detection, Label};
use crate::frame::Frame;
use crate::incident::{Incident, IncidentKind};
use crate::latency::{Latencies, Percentiles, Stage};
use crate::novelty::{Novelty, NoveltyError, Seen};
use crate::patterns::{Match, PatternError, Patterns};
use crate::posture::{Posture, PostureError, PostureMachine, PostureOptions};
use crate::runner::Runner;
use crate::sighting::Zones;
use crate::source::{Input, LegSample};
use crate::state::{State, StateError};
use crate::summary::Summary;
use crate::time::Timestamp;
use crate::tracking::Tracker;
use crate::workflow::{Incidents, Times};

/// The most animals whose legs are followed; samples of further ones are counted and not used.
const ANIMALS_MAX: usize = 10_000;

/// Why the gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The event engine refused a rule or an event.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The index of what was seen before failed.
    #[error(transparent)]
    Novelty(#[from] NoveltyError),
    /// The workflow engine or its journal failed.
    #[error("incident workflow: {0}")]
    Workflow(#[from] flowcore::Error),
    /// The prompt tiers cannot be read.
    #[error("prompts: {0}")]
    Prompt(#[from] promptopt::Error),
    /// The posture options make no sense.
    #[error(transparent)]
    Posture(#[from] PostureError),
}

/// The five crates and the detector, in one process.
pub struct Gateway {
    runner: Option<Runner>,
    trackers: BTreeMap<crate::frame::CameraId, Tracker>,
    zones: Zones,
    limits: Limits,
    postures: BTreeMap<String, PostureMachine>,
    patterns: Patterns,
    novelty: Novelty,
    incidents: Incidents<crate::state::AgentJournal>,
    state: Arc<State>,
    /// The last match of each open case.
    cases: BTreeMap<(IncidentKind, String), Timestamp>,
    latencies: Latencies,
    summary: Summary,
}

impl Gateway {
    /// Opens the state, the rules and the workflow of a farm; `runner` is the detector, where there are
    /// cameras.
    ///
    /// # Errors
    /// [`GatewayError`] naming the part that cannot start.
    pub fn open(config: &Config, runner: Option<Runner>) -> Result<Self, GatewayError> {
        config.check()?;
        let limits = config.limits.clone();
        let state = Arc::new(State::open(&config.state)?);
        let times = Times {
            quiet_s: limits.case_quiet_s,
            acknowledge_s: limits.acknowledge_s,
        };
        let describer = Describer::open(config.prompts.as_deref())?;
        let incidents = Incidents::open(state.journal(), describer, state.clone(), times)?;
        Ok(Self {
            runner,
            trackers: BTreeMap::new(),
            zones: Zones::new(&config.zones, config.night),
            postures: BTreeMap::new(),
            patterns: Patterns::new(&limits)?,
            novelty: Novelty::new(seconds(limits.case_quiet_s)),
            incidents,
            state,
            cases: BTreeMap::new(),
            latencies: Latencies::default(),
            summary: Summary::default(),
            limits,
        })
    }

    /// The state that the gateway writes.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The measured times, to add the rim's own.
    pub fn latencies(&mut self) -> &mut Latencies {
        &mut self.latencies
    }

    /// Takes one input all the way; alerts that it raises are on disk when this returns.
    ///
    /// A frame that the detector fails on is counted, and is no error.
    ///
    /// # Errors
    /// [`GatewayError`] when a part behind the detector fails: the input may not be lost in silence.
    pub fn push(&mut self, input: &Input, device: Device) -> Result<Vec<Detection>, GatewayError> {
        let start = Instant::now();
        let (matches, detections) = match input {
            Input::Frame(frame) => self.push_frame(frame)?,
            Input::Leg(sample) => (self.push_leg(sample)?, Vec::new()),
        };
        for found in matches {
            self.handle(found, input.at(), device, start)?;
        }
        self.incidents.advance(input.at())?;
        Ok(detections)
    }

    /// Counts an input that the source could not give.
    pub fn count_failed(&mut self, reason: &str) {
        *self
            .summary
            .inputs_failed
            .entry(reason.to_owned())
            .or_default() += 1;
    }

    /// Says that a person has seen an alert; false when none waits under this id.
    ///
    /// # Errors
    /// [`GatewayError::Workflow`] when the journal fails.
    pub fn acknowledge(
        &mut self,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, GatewayError> {
        Ok(self.incidents.acknowledge(id, by, now)?)
    }

    /// Ends the streams: windows that are still open are closed at `now`, and what they find is handled.
    ///
    /// # Errors
    /// As [`Gateway::push`].
    pub fn close(&mut self, now: Timestamp, device: Device) -> Result<(), GatewayError> {
        let start = Instant::now();
        for found in self.patterns.finish(now) {
            self.handle(found, now, device, start)?;
        }
        self.incidents.advance(now)?;
        self.state.flush()?;
        Ok(())
    }

    /// Percentiles of the time inside the model; none before the first frame.
    pub fn model_percentiles(&self) -> Option<Percentiles> {
        self.latencies.percentiles().remove(&Stage::Model)
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        let counts = self.patterns.counts();
        Summary {
            events_in: counts.events_in,
            events_out: counts.events_out,
            dropped: counts.dropped,
            held: counts.held,
            runner_restarts: self
                .runner
                .as_ref()
                .map_or(0, |runner| runner.counters().restarts),
            latency_ms: self.latencies.percentiles(),
            ..self.summary.clone()
        }
    }

    fn push_frame(&mut self, frame: &Frame) -> Result<(Vec<Match>, Vec<Detection>), GatewayError> {
        self.summary.frames += 1;
        let Some(runner) = &mut self.runner else {
            self.count_failed("no detector");
            return Ok((Vec::new(), Vec::new()));
        };
        let start = Instant::now();
        let inference = match runner.infer(frame) {
            Ok(inference) => inference,
            Err(cause) => {
                let reason = cause.reason();
                self.count_failed(reason);
                return Ok((Vec::new(), Vec::new()));
            }
        };
        self.latencies.record(Stage::Infer, start.elapsed());
        self.latencies.record(Stage::Model, inference.model_time);

        let start = Instant::now();
        let tracker = self.trackers.entry(frame.camera.clone()).or_default();
        let tracked = tracker.update(frame.at, &inference.detections);
        let (sightings, census) = self
            .zones
            .place(&frame.camera, frame.seq, frame.at, &tracked);
        self.latencies.record(Stage::Track, start.elapsed());

        for sighting in &sightings {
            if sighting.label == Label::Person {
                self.novelty.note(sighting);
            }
        }
        let start = Instant::now();
        let matches = self.patterns.push_frame(frame.at, &sightings, &census)?;
        self.latencies.record(Stage::Pattern, start.elapsed());
        Ok((matches, inference.detections))
    }

    fn push_leg(&mut self, sample: &LegSample) -> Result<Vec<Match>, GatewayError> {
        self.summary.leg_samples += 1;
        if !self.postures.contains_key(&sample.animal) {
            if self.postures.len() == ANIMALS_MAX {
                self.count_failed("too many animals");
                return Ok(Vec::new());
            }
            let bout_min = seconds(self.limits.bout_min_s);
            let options =
                PostureOptions::for_bouts(bout_min, seconds(self.limits.activity_window_s));
            self.postures.insert(
                sample.animal.clone(),
                PostureMachine::build(&sample.animal, options)?,
            );
        }
        let Some(machine) = self.postures.get_mut(&sample.animal) else {
            return Ok(Vec::new());
        };
        let reading = match machine.push(sample.at, sample.acceleration) {
            Ok(reading) => reading,
            Err(cause) => {
                let reason = cause.to_string();
                self.count_failed(&format!("leg sample: {reason}"));
                return Ok(Vec::new());
            }
        };
        let lying = match reading.posture {
            Posture::Lying => Some(sample.at.since(reading.since)),
            _ => None,
        };
        let start = Instant::now();
        let matches = self
            .patterns
            .push_leg(&sample.animal, sample.at, lying, reading.activity)?;
        self.latencies.record(Stage::Pattern, start.elapsed());
        Ok(matches)
    }

    fn handle(
        &mut self,
        found: Match,
        now: Timestamp,
        device: Device,
        start: Instant,
    ) -> Result<(), GatewayError> {
        self.summary.matches += 1;
        let case = (found.kind, found.place.clone());
        let quiet = seconds(self.limits.case_quiet_s);
        let goes_on = self
            .cases
            .get(&case)
            .is_some_and(|last| found.last.since(*last) <= quiet);
        self.cases.retain(|_, last| now.since(*last) <= quiet);
        self.cases.insert(case, found.last);

        if found.kind == IncidentKind::PersonInPenAtNight {
            let asked = Instant::now();
            let seen = self.novelty.alerted(&found.place, found.last)?;
            self.latencies.record(Stage::Novelty, asked.elapsed());
            if seen == Seen::Before {
                self.not_alerted("seen before");
                return Ok(());
            }
        }
        if goes_on {
            self.not_alerted("same case");
            return Ok(());
        }
        let camera = match found.kind {
            IncidentKind::AnimalDown => None,
            _ => self.zones.camera_of(&found.place).map(ToString::to_string),
        };
        let incident = Incident {
            id: found.id,
            kind: found.kind,
            animal: (found.kind == IncidentKind::AnimalDown).then(|| found.place.clone()),
            place: found.place,
            camera,
            first: found.first,
            last: found.last,
            events: found.events,
        };
        let started = Instant::now();
        self.incidents.start(&incident, device, now)?;
        self.latencies.record(Stage::Workflow, started.elapsed());
        self.latencies.record(Stage::Alert, start.elapsed());
        self.summary.incidents_opened += 1;
        Ok(())
    }

    fn not_alerted(&mut self, reason: &str) {
        *self
            .summary
            .not_alerted
            .entry(reason.to_owned())
            .or_default() += 1;
    }
}
