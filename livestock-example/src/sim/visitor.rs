//! People and dogs: each visit is a path of points in time.

use crate::detection::Label;

use super::layout::{AISLE_Y, BETWEEN_COLUMNS, FENCE, GATE_X, Point, Side, YARD_Y};
use super::tempo::Pace;
use super::{Millis, between};

/// One person or dog that comes and goes.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub label: Label,
    pub camera: usize,
    /// Which of the looks of its kind.
    pub look: usize,
    /// Where it is when, in order of time; straight lines between.
    path: Vec<(Millis, Point)>,
}

/// Where a visitor is and what it does there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub at: Point,
    pub side: Side,
    pub moving: bool,
}

impl Visitor {
    /// The first and last moment of the visit.
    pub fn span(&self) -> (Millis, Millis) {
        match (self.path.first(), self.path.last()) {
            (Some(first), Some(last)) => (first.0, last.0),
            _ => (0, 0),
        }
    }

    /// The same visit, `by` later.
    pub fn later(mut self, by: Millis) -> Self {
        for (t, _) in &mut self.path {
            *t += by;
        }
        self
    }

    /// Where the visitor is at `t`; `None` before and after the visit.
    pub fn at(&self, t: Millis) -> Option<Step> {
        let next = self.path.partition_point(|(when, _)| *when <= t);
        let (t0, a) = *self.path.get(next.checked_sub(1)?)?;
        let (t1, b) = *self.path.get(next)?;
        let share = (t - t0) as f32 / (t1 - t0) as f32;
        Some(Step {
            at: (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share),
            side: if b.0 < a.0 { Side::Left } else { Side::Right },
            moving: a != b,
        })
    }
}

/// How long it takes from `a` to `b` at `speed` picture widths a second.
pub(super) fn walk_time(a: Point, b: Point, speed: f32) -> Millis {
    let (dx, dy) = (b.0 - a.0, (b.1 - a.1) * 0.75);
    ((dx.hypot(dy) / speed) * 1000.0) as Millis
}

/// A path under construction: points one after the other at a speed.
struct Way {
    path: Vec<(Millis, Point)>,
    speed: f32,
}

impl Way {
    fn new(start: Millis, at: Point, speed: f32) -> Self {
        Self {
            path: vec![(start, at)],
            speed,
        }
    }

    fn now(&self) -> (Millis, Point) {
        self.path.last().copied().unwrap_or((0, (0.0, 0.0)))
    }

    fn walk(&mut self, to: Point) {
        let (t, from) = self.now();
        let time = walk_time(from, to, self.speed).max(1);
        self.path.push((t + time, to));
    }

    fn stay_until(&mut self, t: Millis) {
        let (now, at) = self.now();
        if t > now {
            self.path.push((t, at));
        }
    }

    fn done(self, label: Label, camera: usize, look: usize) -> Visitor {
        Visitor {
            label,
            camera,
            look,
            path: self.path,
        }
    }
}

/// The edge of the yard that a visitor comes from.
fn yard_edge(side: Side) -> Point {
    match side {
        Side::Left => (-0.06, YARD_Y),
        Side::Right => (1.06, YARD_Y),
    }
}

fn any_side(rng: &mut fastrand::Rng) -> Side {
    if rng.bool() { Side::Left } else { Side::Right }
}

/// The line of the pen's zone in the gate.
const THRESHOLD: Point = (GATE_X, super::layout::PEN_TOP);

/// A person who steps into the pen at `start` and out of it at `end`, and before and after walks through
/// the yard: along the aisle, sometimes between the animals, with pauses.
pub(super) fn person_in_pen(
    camera: usize,
    start: Millis,
    end: Millis,
    pace: &Pace,
    rng: &mut fastrand::Rng,
) -> Visitor {
    let before_gate = (GATE_X, FENCE.0 - 0.03);
    let home = yard_edge(any_side(rng));
    let approach = walk_time(home, before_gate, pace.person_speed)
        + walk_time(before_gate, THRESHOLD, pace.person_speed);
    let mut way = Way::new(start - approach, home, pace.person_speed);
    way.walk(before_gate);
    way.walk(THRESHOLD);
    loop {
        let (now, at) = way.now();
        let target = if rng.u8(0..10) < 3 {
            let column = BETWEEN_COLUMNS[rng.usize(0..BETWEEN_COLUMNS.len())];
            (column, between(rng, 0.58, 0.72))
        } else {
            (
                between(rng, 0.08, 0.92),
                AISLE_Y + between(rng, -0.015, 0.015),
            )
        };
        let pause = rng.i64(pace.person_pause.clone());
        let out = walk_time(at, target, way.speed)
            + walk_time(target, (target.0, AISLE_Y), way.speed)
            + walk_time((target.0, AISLE_Y), THRESHOLD, way.speed);
        if now + out + pause <= end {
            // Between the columns one walks straight up and down, not through the animals.
            way.walk((target.0, AISLE_Y));
            way.walk(target);
            let (arrived, _) = way.now();
            way.stay_until(arrived + pause);
            way.walk((target.0, AISLE_Y));
        } else if end - now > 2 * pace.person_pause.end() + 1500 {
            continue;
        } else {
            break;
        }
        let (now, at) = way.now();
        if end - now < walk_time(at, THRESHOLD, way.speed) + 600 {
            break;
        }
    }
    let (_, at) = way.now();
    way.stay_until(end - walk_time(at, THRESHOLD, way.speed));
    way.walk(THRESHOLD);
    way.walk(before_gate);
    way.walk(yard_edge(any_side(rng)));
    way.done(Label::Person, camera, rng.usize(..64))
}

/// A person who crosses the yard from one side to the other, with a pause.
pub(super) fn person_in_yard(
    camera: usize,
    start: Millis,
    pace: &Pace,
    rng: &mut fastrand::Rng,
) -> Visitor {
    let side = any_side(rng);
    let mut way = Way::new(start, yard_edge(side), pace.person_speed);
    way.walk((between(rng, 0.2, 0.8), YARD_Y + between(rng, -0.02, 0.04)));
    let (now, _) = way.now();
    way.stay_until(now + rng.i64(pace.person_pause.clone()));
    way.walk(yard_edge(match side {
        Side::Left => Side::Right,
        Side::Right => Side::Left,
    }));
    way.done(Label::Person, camera, rng.usize(..64))
}

/// A dog that runs through the aisle of the pen.
pub(super) fn dog_in_pen(
    camera: usize,
    start: Millis,
    pace: &Pace,
    rng: &mut fastrand::Rng,
) -> Visitor {
    let (from, to) = if rng.bool() {
        (-0.05, 1.05)
    } else {
        (1.05, -0.05)
    };
    let mut way = Way::new(start, (from, AISLE_Y), pace.dog_speed);
    way.walk((between(rng, 0.3, 0.7), AISLE_Y + between(rng, -0.01, 0.02)));
    way.walk((to, AISLE_Y));
    way.done(Label::Dog, camera, rng.usize(..64))
}
