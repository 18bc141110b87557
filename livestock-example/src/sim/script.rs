//! What is staged when: the incidents first, then what only looks like one.

use std::ops::{Range, RangeInclusive};

use super::calendar::{Calendar, Resource};
use super::herd::{Duty, Pose, Rest};
use super::layout::{AISLE_Y, PEN_PLACES, Point};
use super::tempo::{CROWD_STAGED, Pace};
use super::visitor::{self, Visitor};
use super::{FarmError, FarmOptions, IncidentKind, Millis, between};

/// A moving light or shadow.
#[derive(Clone, Debug)]
pub(super) struct Beam {
    pub camera: usize,
    pub span: Range<Millis>,
    pub from: Point,
    pub to: Point,
    /// Half width and half height.
    pub radius: (f32, f32),
    /// Brighter or darker by so many 256ths in the middle.
    pub strength: i32,
}

/// An incident as staged; a crowd's real start and end follow from the herd's plan.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    pub kind: IncidentKind,
    pub camera: usize,
    pub animal: Option<usize>,
    pub span: Range<Millis>,
}

/// All that is staged. Animals are numbered pen after pen.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub staged: Vec<Staged>,
    pub visitors: Vec<Visitor>,
    pub beams: Vec<Beam>,
    pub duties: Vec<Vec<Duty>>,
    /// By camera: when only duties lead to the trough.
    pub trough_shut: Vec<Vec<Range<Millis>>>,
}

/// The animal that wears the sensor with this number: sensors are dealt out pen by pen.
pub(super) fn sensor_animal(options: &FarmOptions, sensor: usize) -> usize {
    let (camera, row) = (sensor % options.cameras, sensor / options.cameras);
    camera * options.animals_per_camera + row
}

struct Stage<'a> {
    options: &'a FarmOptions,
    pace: &'static Pace,
    until: Millis,
    night: Millis,
    calendar: Calendar,
    script: Script,
    rng: fastrand::Rng,
}

/// Writes the script of a farm.
pub(super) fn write(
    options: &FarmOptions,
    until: Millis,
    night: Millis,
) -> Result<Script, FarmError> {
    let animals = options.cameras * options.animals_per_camera;
    let mut stage = Stage {
        options,
        pace: options.tempo.pace(),
        until,
        night,
        calendar: Calendar::default(),
        script: Script {
            duties: vec![Vec::new(); animals],
            trough_shut: vec![Vec::new(); options.cameras],
            ..Script::default()
        },
        rng: super::rng(options.seed, 1),
    };
    stage.incidents()?;
    stage.decoys();
    let mut script = stage.script;
    for duties in &mut script.duties {
        duties.sort_by_key(|duty| duty.span.start);
    }
    for shut in &mut script.trough_shut {
        shut.sort_by_key(|span| span.start);
    }
    script.staged.sort_by_key(|staged| staged.span.start);
    script.visitors.sort_by_key(|visitor| visitor.span().0);
    Ok(script)
}

impl Stage<'_> {
    fn length(&mut self, range: &RangeInclusive<Millis>) -> Millis {
        self.rng.i64(range.clone())
    }

    /// Nothing is staged in the last moments; a short run cannot spare many.
    fn tail(&self) -> Millis {
        self.pace.tail.min(self.until / 40)
    }

    /// Nothing is staged in the first moments of the night.
    fn settle(&self) -> Millis {
        self.pace.settle.min(self.until / 20)
    }

    /// When an incident of this kind can be.
    fn window(&self, kind: IncidentKind) -> Range<Millis> {
        let last = self.until - self.tail();
        match kind {
            IncidentKind::PersonInPenAtNight => self.night + self.settle()..last,
            IncidentKind::AnimalDown | IncidentKind::Crowding => {
                self.pace.entered + self.pace.lead + self.pace.gap..last
            }
        }
    }

    fn lengths(&self, kind: IncidentKind) -> &'static RangeInclusive<Millis> {
        match kind {
            IncidentKind::PersonInPenAtNight => &self.pace.person_stay,
            IncidentKind::AnimalDown => &self.pace.down,
            IncidentKind::Crowding => &self.pace.crowd,
        }
    }

    fn is_possible(&self, kind: IncidentKind) -> bool {
        let window = self.window(kind);
        let room = window.end - window.start >= *self.lengths(kind).start();
        room && match kind {
            IncidentKind::PersonInPenAtNight => true,
            IncidentKind::AnimalDown => self.options.leg_sensors > 0,
            IncidentKind::Crowding => self.options.animals_per_camera > CROWD_STAGED,
        }
    }

    fn incidents(&mut self) -> Result<(), FarmError> {
        let kinds: Vec<_> = IncidentKind::ALL
            .into_iter()
            .filter(|&kind| self.is_possible(kind))
            .collect();
        let suggested = usize::try_from(self.until / self.pace.incident_every).unwrap_or(0);
        let wanted = self.options.incidents.unwrap_or(suggested.max(1));
        // Whichever kind has no more room gives way to the next.
        for i in 0..wanted {
            let share = i as f32 / wanted as f32..(i + kinds.len()) as f32 / wanted as f32;
            let placed = (0..kinds.len()).any(|k| {
                let kind = kinds[(i + k) % kinds.len()];
                self.incident(kind, &share)
            });
            if !placed {
                if self.options.incidents.is_some() {
                    return Err(FarmError::TooManyIncidents {
                        asked: wanted,
                        fit: i,
                    });
                }
                break;
            }
        }
        Ok(())
    }

    /// Stages one incident, within its share of the window if there is room, else anywhere.
    fn incident(&mut self, kind: IncidentKind, share: &Range<f32>) -> bool {
        let whole = self.window(kind);
        let width = (whole.end - whole.start) as f32;
        let part = whole.start + (width * share.start.min(1.0)) as Millis
            ..whole.start + (width * share.end.min(1.0)) as Millis;
        let lengths = self.lengths(kind).clone();
        for window in [part, whole] {
            let length = self.length(&lengths).min(window.end - window.start);
            if length < *lengths.start() {
                continue;
            }
            let staged = match kind {
                IncidentKind::PersonInPenAtNight => self.person(&window, length),
                IncidentKind::AnimalDown => self.rest(&window, length, Rest::Still),
                IncidentKind::Crowding => self.crowd(&window, length, CROWD_STAGED),
            };
            if let Some(staged) = staged {
                self.script.staged.push(staged);
                return true;
            }
        }
        false
    }

    /// The cameras, beginning with any.
    fn cameras(&mut self) -> impl Iterator<Item = usize> + use<> {
        let count = self.options.cameras;
        let first = self.rng.usize(..count);
        (0..count).map(move |i| (first + i) % count)
    }

    /// How long a person needs between the edge of the picture and the pen.
    fn approach(&self) -> Millis {
        self.pace.gap + (1000.0 / self.pace.person_speed) as Millis
    }

    fn person(&mut self, window: &Range<Millis>, length: Millis) -> Option<Staged> {
        let gap = self.approach();
        self.cameras().find_map(|camera| {
            let ground = Resource::Ground(camera);
            let start = self
                .calendar
                .find(ground, window, length, gap, &mut self.rng)?;
            let span = start..start + length;
            self.calendar.book(ground, start - gap..span.end + gap);
            let person =
                visitor::person_in_pen(camera, span.start, span.end, self.pace, &mut self.rng);
            self.script.visitors.push(person);
            Some(Staged {
                kind: IncidentKind::PersonInPenAtNight,
                camera,
                animal: None,
                span,
            })
        })
    }

    /// Lets an animal with a sensor lie down for long; the one that has to do least.
    fn rest(&mut self, window: &Range<Millis>, length: Millis, rest: Rest) -> Option<Staged> {
        let gap = self.pace.lead + self.pace.gap + self.pace.standing;
        let mut wearers: Vec<usize> = (0..self.options.leg_sensors)
            .map(|sensor| sensor_animal(self.options, sensor))
            .collect();
        self.rng.shuffle(&mut wearers);
        wearers.sort_by_key(|&animal| self.script.duties[animal].len());
        wearers.into_iter().find_map(|animal| {
            let resource = Resource::Animal(animal);
            let start = self
                .calendar
                .find(resource, window, length, gap, &mut self.rng)?;
            let span = start..start + length;
            self.calendar.book(resource, start - gap..span.end + gap);
            self.script.duties[animal].push(Duty {
                span: span.clone(),
                pose: Pose::Lie(rest),
            });
            Some(Staged {
                kind: IncidentKind::AnimalDown,
                camera: animal / self.options.animals_per_camera,
                animal: Some(animal),
                span,
            })
        })
    }

    /// Sends `size` animals to a trough that is otherwise shut meanwhile.
    fn crowd(&mut self, window: &Range<Millis>, length: Millis, size: usize) -> Option<Staged> {
        let gap = self.pace.lead + self.pace.gap;
        let herd = self.options.animals_per_camera;
        for _ in 0..32 {
            for camera in self.cameras() {
                let trough = Resource::Trough(camera);
                let found = self
                    .calendar
                    .find(trough, window, length, gap, &mut self.rng);
                let Some(start) = found else { continue };
                let span = start..start + length;
                let around = start - gap..span.end + gap;
                let mut free: Vec<usize> = (camera * herd..(camera + 1) * herd)
                    .filter(|&a| self.calendar.is_free(Resource::Animal(a), &around))
                    .collect();
                if free.len() < size {
                    continue;
                }
                self.rng.shuffle(&mut free);
                for &animal in &free[..size] {
                    self.calendar.book(Resource::Animal(animal), around.clone());
                    self.script.duties[animal].push(Duty {
                        span: span.clone(),
                        pose: Pose::Feed,
                    });
                }
                self.calendar.book(trough, around);
                self.script.trough_shut[camera].push(span.clone());
                return Some(Staged {
                    kind: IncidentKind::Crowding,
                    camera,
                    animal: None,
                    span,
                });
            }
        }
        None
    }

    /// What only looks like an incident; whatever finds no room is left out.
    fn decoys(&mut self) {
        let rounds = usize::try_from(self.until / self.pace.decoy_every).unwrap_or(0);
        let rounds = rounds.max(1);
        // The first moments belong to the empty pens.
        let day = self.pace.entered + self.pace.lead..self.night - self.pace.gap;
        let dark = self.night + self.settle()..self.until - self.tail();
        let shift = self.window(IncidentKind::Crowding);
        for _ in 0..rounds {
            let restless = self.length(&self.pace.restless);
            if self.options.leg_sensors > 0 {
                self.rest(&shift, restless, Rest::Restless);
            }
        }
        for _ in 0..rounds * self.options.cameras {
            let stay = self.length(&self.pace.person_stay);
            self.person(&day, stay);
            self.on_ground(&dark, visitor::person_in_yard);
            self.on_ground(&dark, visitor::dog_in_pen);
            self.beam(&day, -50..=-30);
            self.beam(&dark, 50..=90);
            if self.options.animals_per_camera > CROWD_STAGED {
                let (brief, long) = (
                    self.length(&self.pace.crowd_short),
                    self.length(&self.pace.crowd),
                );
                self.crowd(&shift, brief, CROWD_STAGED);
                // An animal without a place in a full pen waits at the trough: still no crowd.
                let waiting = self.options.animals_per_camera.saturating_sub(PEN_PLACES);
                self.crowd(&shift, long, CROWD_STAGED - 2 - waiting);
            }
        }
    }

    /// Books the ground of some camera for a visit that `make` makes.
    fn on_ground(
        &mut self,
        window: &Range<Millis>,
        make: fn(usize, Millis, &Pace, &mut fastrand::Rng) -> Visitor,
    ) {
        for camera in self.cameras() {
            // The visit at time zero says how long it takes.
            let visit = make(camera, 0, self.pace, &mut self.rng.clone());
            let length = visit.span().1;
            let gap = self.pace.gap / 2;
            let ground = Resource::Ground(camera);
            let mut lots = super::rng(self.rng.u64(..), 0);
            let found = self.calendar.find(ground, window, length, gap, &mut lots);
            if let Some(start) = found {
                self.calendar
                    .book(ground, start - gap..start + length + gap);
                self.script.visitors.push(visit.later(start));
                return;
            }
        }
    }

    fn beam(&mut self, window: &Range<Millis>, strength: RangeInclusive<i32>) {
        let length = self.length(&self.pace.beam);
        let gap = self.pace.gap / 2;
        for camera in self.cameras() {
            let ground = Resource::Ground(camera);
            let found = self
                .calendar
                .find(ground, window, length, gap, &mut self.rng);
            if let Some(start) = found {
                let span = start..start + length;
                self.calendar.book(ground, start - gap..span.end + gap);
                let y = between(&mut self.rng, AISLE_Y, 0.8);
                let mut ends = [(-0.3, y), (1.3, y + between(&mut self.rng, -0.1, 0.1))];
                self.rng.shuffle(&mut ends);
                self.script.beams.push(Beam {
                    camera,
                    span,
                    from: ends[0],
                    to: ends[1],
                    radius: (
                        between(&mut self.rng, 0.18, 0.3),
                        between(&mut self.rng, 0.12, 0.2),
                    ),
                    strength: self.rng.i32(strength),
                });
                return;
            }
        }
    }
}
