//! The farm as a source of inputs.

use std::time::Duration;

use crate::frame::Frame;
use crate::source::{Input, LegSample, Source, SourceError};
use crate::time::Timestamp;
use crate::zone::{Zone, ZoneKind};

use super::herd::{self, Animal};
use super::layout;
use super::leg::Sensor;
use super::light::Sky;
use super::render::{Cast, Studio};
use super::script::{self, Script, Staged};
use super::truth::{IncidentKind, StagedIncident, Visible};
use super::{FarmError, FarmOptions, Limits, Millis, rng};

/// Night falls at 18:00 UTC on 2 March 2026, whatever the run.
const NIGHT: Timestamp = Timestamp::from_millis(1_772_474_400_000);

/// A simulated farm: a [`Source`] of frames and leg samples, with the truth beside it.
#[derive(Debug)]
pub struct Farm {
    options: FarmOptions,
    start: Timestamp,
    zones: Vec<Zone>,
    sky: Sky,
    studio: Studio,
    animals: Vec<Animal>,
    script: Script,
    sensors: Vec<Sensor>,
    truth: Vec<StagedIncident>,
    /// The next frame: its number and its camera.
    next_frame: (u64, usize),
    /// The next leg sample: its second and its sensor.
    next_leg: (Millis, usize),
}

impl Farm {
    /// Plans the whole run and draws what all frames share; frames are drawn when they are asked for.
    ///
    /// # Errors
    /// [`FarmError::Option`] for an option out of its range, [`FarmError::TooManyIncidents`] when those
    /// asked for do not fit.
    pub fn new(options: FarmOptions) -> Result<Self, FarmError> {
        options.check()?;
        let until = Millis::try_from(options.duration.as_millis()).unwrap_or(Millis::MAX);
        let night = until / 2;
        let mut script = script::write(&options, until, night)?;
        let mut duties = std::mem::take(&mut script.duties).into_iter();
        let pace = options.tempo.pace();
        let mut animals = Vec::new();
        for camera in 0..options.cameras {
            let duties = duties.by_ref().take(options.animals_per_camera).collect();
            let mut lots = rng(options.seed, 100 + camera as u64);
            let shut = &script.trough_shut[camera];
            animals.extend(herd::plan(camera, duties, shut, until, pace, &mut lots));
        }
        let start = Timestamp::from_millis(NIGHT.as_millis() - night);
        let zones: Vec<Zone> = (0..options.cameras).flat_map(layout::zones).collect();
        let mut farm = Self {
            start,
            zones,
            sky: Sky {
                seed: options.seed,
                night,
                until,
            },
            studio: Studio::new(
                options.width as usize,
                options.height as usize,
                options.seed,
                options.cameras,
                animals.len(),
            ),
            animals,
            sensors: (0..options.leg_sensors)
                .map(|sensor| Sensor::new(options.seed, script::sensor_animal(&options, sensor)))
                .collect(),
            script,
            truth: Vec::new(),
            next_frame: (0, 0),
            next_leg: (0, 0),
            options,
        };
        farm.truth = farm.write_truth();
        Ok(farm)
    }

    /// The three zones of each camera: pen, trough and yard, without overlap.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// When the run begins.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// When the run ends; nothing is measured at or after it.
    pub fn end(&self) -> Timestamp {
        self.start.after(self.options.duration)
    }

    /// When night falls, half way through the run; it lasts to the end.
    pub fn night(&self) -> Timestamp {
        NIGHT
    }

    /// The limits that a farmer would set for this farm's tempo.
    pub fn limits(&self) -> Limits {
        self.options.tempo.limits()
    }

    /// The animals that wear a leg sensor, by name.
    pub fn sensor_animals(&self) -> Vec<&str> {
        let ids = self.sensors.iter();
        ids.map(|s| self.animals[s.animal].id.as_str()).collect()
    }

    /// The incidents that really happen, in order of their start.
    pub fn truth(&self) -> &[StagedIncident] {
        &self.truth
    }

    /// What a camera's picture at `at` shows, from the back to the front; empty for an unknown camera.
    pub fn visible(&self, camera: &crate::frame::CameraId, at: Timestamp) -> Vec<Visible> {
        let index = (0..self.options.cameras).find(|&i| layout::camera(i) == *camera);
        index.map_or_else(Vec::new, |index| {
            let t = at.as_millis() - self.start.as_millis();
            self.studio.visible(index, t, &self.cast())
        })
    }

    /// How many frames the whole run has, over all cameras.
    pub fn frames(&self) -> u64 {
        let mut count = (self.options.duration.as_secs_f64() * f64::from(self.options.fps)) as u64;
        while self.frame_time(count) < self.sky.until {
            count += 1;
        }
        count * self.options.cameras as u64
    }

    fn cast(&self) -> Cast<'_> {
        Cast {
            animals: &self.animals,
            visitors: &self.script.visitors,
        }
    }

    fn frame_time(&self, seq: u64) -> Millis {
        (seq as f64 * 1000.0 / f64::from(self.options.fps)).round() as Millis
    }

    fn instant(&self, t: Millis) -> Timestamp {
        self.start.after(Duration::from_millis(t.unsigned_abs()))
    }

    fn write_truth(&self) -> Vec<StagedIncident> {
        let mut truth: Vec<StagedIncident> = self
            .script
            .staged
            .iter()
            .filter_map(|staged| self.incident(staged))
            .collect();
        truth.sort_by_key(|incident| incident.start);
        for (i, incident) in truth.iter_mut().enumerate() {
            incident.id = format!("incident-{}", i + 1);
        }
        truth
    }

    /// The incident as it really comes about; `None` when a crowd does not reach its size.
    fn incident(&self, staged: &Staged) -> Option<StagedIncident> {
        let camera = staged.camera;
        let (kind, span) = match staged.kind {
            IncidentKind::PersonInPenAtNight => (ZoneKind::Pen, staged.span.clone()),
            IncidentKind::AnimalDown => (ZoneKind::Pen, staged.span.clone()),
            IncidentKind::Crowding => (ZoneKind::Trough, self.crowd(staged)?),
        };
        Some(StagedIncident {
            id: String::new(),
            kind: staged.kind,
            zone: layout::zone_name(kind, camera),
            camera: (staged.kind != IncidentKind::AnimalDown).then(|| layout::camera(camera)),
            animal: staged.animal.map(|animal| self.animals[animal].id.clone()),
            start: self.instant(span.start),
            end: self.instant(span.end),
        })
    }

    /// From when to when at least the limit's number of animals stand in the trough's zone around the
    /// staged time.
    fn crowd(&self, staged: &Staged) -> Option<std::ops::Range<Millis>> {
        let zone = &layout::zones(staged.camera)[1];
        let size = self.limits().crowd_size;
        let pace = self.options.tempo.pace();
        let step = (pace.lead / 100).max(20);
        let middle = (staged.span.start + staged.span.end) / 2;
        let crowded = |t: Millis| {
            let here = self.animals.iter().filter(|a| a.camera == staged.camera);
            let inside = here.filter(|a| a.act(t).is_some_and(|act| zone.contains(act.at(t))));
            inside.count() >= size
        };
        if !crowded(middle) {
            return None;
        }
        let mut start = middle;
        while start > 0 && crowded(start - step) {
            start -= step;
        }
        let mut end = middle;
        while end < self.sky.until && crowded(end) {
            end += step;
        }
        Some(start..end.min(self.sky.until))
    }

    fn frame(&self, seq: u64, camera: usize, t: Millis) -> Result<Frame, SourceError> {
        let light = self.sky.light(camera, t, &self.script.beams);
        let rgb = self.studio.frame(camera, t, &self.cast(), &light);
        let (width, height) = (self.options.width, self.options.height);
        Ok(Frame::new(
            layout::camera(camera),
            seq,
            self.instant(t),
            width,
            height,
            rgb,
        )?)
    }
}

impl Source for Farm {
    /// Frames before leg samples of the same instant, cameras and sensors in their order.
    fn next_input(&mut self) -> Option<Result<Input, SourceError>> {
        let (seq, camera) = self.next_frame;
        let (second, sensor) = self.next_leg;
        let frame_at = self.frame_time(seq);
        let leg_at = if self.sensors.is_empty() {
            Millis::MAX
        } else {
            second
        };
        if frame_at.min(leg_at) >= self.sky.until {
            return None;
        }
        if frame_at <= leg_at {
            self.next_frame = match camera + 1 {
                last if last == self.options.cameras => (seq + 1, 0),
                next => (seq, next),
            };
            return Some(self.frame(seq, camera, frame_at).map(Input::Frame));
        }
        self.next_leg = match sensor + 1 {
            last if last == self.sensors.len() => (second + 1000, 0),
            next => (second, next),
        };
        let wearer = &self.sensors[sensor];
        let animal = &self.animals[wearer.animal];
        Some(Ok(Input::Leg(LegSample {
            animal: animal.id.clone(),
            at: self.instant(leg_at),
            acceleration: wearer.sample(animal, leg_at),
        })))
    }
}
