//! The cattle: what each animal does when, planned once for the whole run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

use super::layout::{self, Place, Point, Side};
use super::tempo::{FEEDING_USUAL, Pace};
use super::visitor::walk_time;
use super::{Millis, between};

/// What an animal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pose {
    Stand,
    Graze,
    Feed,
    Walk,
    Lie(Rest),
}

/// How an animal lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// As cattle do.
    Usual,
    /// Without any movement.
    Still,
    /// Shifting its legs all the time.
    Restless,
}

/// One thing that an animal does, from a moment to another; walking goes straight from `from` to `to`.
#[derive(Clone, Debug)]
pub(super) struct Act {
    pub span: Range<Millis>,
    pub pose: Pose,
    pub from: Point,
    pub to: Point,
    pub side: Side,
}

impl Act {
    /// Where the animal is at `t` within the act.
    pub fn at(&self, t: Millis) -> Point {
        let length = (self.span.end - self.span.start).max(1);
        let share = ((t - self.span.start) as f32 / length as f32).clamp(0.0, 1.0);
        (
            self.from.0 + (self.to.0 - self.from.0) * share,
            self.from.1 + (self.to.1 - self.from.1) * share,
        )
    }
}

/// Something an animal must do, whatever it would like to.
#[derive(Clone, Debug)]
pub(super) struct Duty {
    pub span: Range<Millis>,
    pub pose: Pose,
}

/// One animal: its acts follow each other without gaps from the farm's start to its end.
#[derive(Clone, Debug)]
pub(super) struct Animal {
    pub id: String,
    pub camera: usize,
    pub acts: Vec<Act>,
}

impl Animal {
    /// What the animal does at `t`.
    pub fn act(&self, t: Millis) -> Option<&Act> {
        let next = self.acts.partition_point(|act| act.span.end <= t);
        self.acts.get(next).or(self.acts.last())
    }
}

/// Plans one pen. `duties` has the duties of each animal in order of time, `trough_shut` when only duties
/// lead to the trough.
pub(super) fn plan(
    camera: usize,
    duties: Vec<Vec<Duty>>,
    trough_shut: &[Range<Millis>],
    until: Millis,
    pace: &Pace,
    rng: &mut fastrand::Rng,
) -> Vec<Animal> {
    let mut pen = Pen {
        places: layout::places(),
        taken: Vec::new(),
        trough_shut,
        pace,
    };
    pen.taken = vec![false; pen.places.len()];
    let mut minds: Vec<Mind> = duties
        .into_iter()
        .enumerate()
        .map(|(i, duties)| Mind::outside(camera, i, duties, pace, rng))
        .collect();
    let mut due: BinaryHeap<_> = minds
        .iter()
        .enumerate()
        .map(|(i, mind)| Reverse((mind.now, i)))
        .collect();
    while let Some(Reverse((_, i))) = due.pop() {
        let mind = &mut minds[i];
        pen.decide(mind, rng);
        if mind.now < until {
            due.push(Reverse((mind.now, i)));
        }
    }
    minds.into_iter().map(|mind| mind.animal).collect()
}

/// What the animals of a pen share.
struct Pen<'a> {
    places: Vec<Place>,
    taken: Vec<bool>,
    trough_shut: &'a [Range<Millis>],
    pace: &'a Pace,
}

/// One animal while it is planned.
struct Mind {
    animal: Animal,
    duties: VecDeque<Duty>,
    now: Millis,
    at: Point,
    side: Side,
    place: Option<usize>,
    /// Where it will go for its next duty.
    reserved: Option<usize>,
    stood_up: Millis,
}

impl Mind {
    /// An animal that waits outside, on the left, until its turn to come in.
    fn outside(
        camera: usize,
        number: usize,
        duties: Vec<Duty>,
        pace: &Pace,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let at = (-0.14, between(rng, 0.66, 0.96));
        let enters = rng.i64(pace.empty..=pace.entered);
        let mut mind = Self {
            animal: Animal {
                id: format!("cow-{}{:02}", camera + 1, number + 1),
                camera,
                acts: Vec::new(),
            },
            duties: duties.into(),
            now: 0,
            at,
            side: Side::Right,
            place: None,
            reserved: None,
            stood_up: 0,
        };
        mind.stay(Pose::Stand, enters);
        mind
    }

    fn stay(&mut self, pose: Pose, until: Millis) {
        if until <= self.now {
            return;
        }
        self.animal.acts.push(Act {
            span: self.now..until,
            pose,
            from: self.at,
            to: self.at,
            side: self.side,
        });
        self.now = until;
        if matches!(pose, Pose::Lie(_)) {
            self.stood_up = until;
        }
    }

    fn walk(&mut self, to: Point, speed: f32) {
        let time = walk_time(self.at, to, speed);
        if time == 0 {
            return;
        }
        let side = if to.0 < self.at.0 {
            Side::Left
        } else {
            Side::Right
        };
        self.animal.acts.push(Act {
            span: self.now..self.now + time,
            pose: Pose::Walk,
            from: self.at,
            to,
            side,
        });
        self.now += time;
        self.at = to;
        self.side = side;
    }
}

/// The way into the right half of the trough leads around its upper end.
const ROUND_TROUGH: Point = (0.80, 0.545);

/// The points between `from` and `to`, ending with `to`.
fn route(from: Point, to: Point) -> Vec<Point> {
    let right = |p: Point| p.0 > 0.83 && p.1 > layout::TROUGH_ZONE.1;
    if right(from) != right(to) {
        vec![ROUND_TROUGH, to]
    } else {
        vec![to]
    }
}

impl Pen<'_> {
    fn is_trough(&self, place: usize) -> bool {
        self.places[place].trough_side.is_some()
    }

    /// A free place, at the trough or not.
    fn free(&self, trough: Wanted, rng: &mut fastrand::Rng) -> Option<usize> {
        let free: Vec<usize> = (0..self.places.len())
            .filter(|&p| !self.taken[p] && self.is_trough(p) == (trough == Wanted::Trough))
            .collect();
        if free.is_empty() {
            None
        } else {
            Some(free[rng.usize(..free.len())])
        }
    }

    /// When the trough is shut next, at or after `t`; `None` when it is shut at `t`.
    fn trough_open_until(&self, t: Millis) -> Option<Millis> {
        let before = self.pace.lead + 500;
        if self
            .trough_shut
            .iter()
            .any(|s| s.start - before <= t && t < s.end)
        {
            return None;
        }
        let next = self.trough_shut.iter().map(|s| s.start - before);
        Some(next.filter(|&s| s > t).min().unwrap_or(Millis::MAX))
    }

    /// How long the walk to `place` takes.
    fn way_time(&self, mind: &Mind, place: usize) -> Millis {
        let mut from = mind.at;
        let mut time = 0;
        for stop in route(mind.at, self.places[place].at) {
            time += walk_time(from, stop, self.pace.cow_speed);
            from = stop;
        }
        time
    }

    /// Walks `mind` to `place`.
    fn go(&mut self, mind: &mut Mind, place: usize) {
        if mind.place == Some(place) {
            return;
        }
        if let Some(old) = mind.place.replace(place) {
            self.taken[old] = false;
        }
        self.taken[place] = true;
        let target = self.places[place];
        for stop in route(mind.at, target.at) {
            mind.walk(stop, self.pace.cow_speed);
        }
        if let Some(side) = target.trough_side {
            mind.side = side;
        }
    }

    fn decide(&mut self, mind: &mut Mind, rng: &mut fastrand::Rng) {
        let duty_at = mind.duties.front().map(|duty| duty.span.start);
        let call = duty_at.map_or(Millis::MAX, |start| start - self.pace.lead);
        if mind.now >= call {
            if let Some(duty) = mind.duties.pop_front() {
                self.do_duty(mind, duty, rng);
            }
        } else {
            self.choose(mind, call, rng);
        }
    }

    fn do_duty(&mut self, mind: &mut Mind, duty: Duty, rng: &mut fastrand::Rng) {
        let wanted = match duty.pose {
            Pose::Feed => Wanted::Trough,
            _ => Wanted::Pen,
        };
        let stays = mind
            .place
            .filter(|&p| self.is_trough(p) == (wanted == Wanted::Trough));
        let chosen = mind.reserved.take().or(stays);
        if let Some(place) = chosen.or_else(|| self.free(wanted, rng)) {
            let leave = duty.span.start - self.way_time(mind, place);
            if mind.place != Some(place) && mind.now < leave {
                // Until it leaves, both places are its own.
                self.taken[place] = true;
                mind.reserved = Some(place);
                mind.stay(Pose::Stand, leave);
                mind.duties.push_front(duty);
                return;
            }
            self.go(mind, place);
        }
        mind.stay(Pose::Stand, duty.span.start);
        mind.stay(duty.pose, duty.span.end);
    }

    /// Whatever the animal likes, ending before `call`.
    fn choose(&mut self, mind: &mut Mind, call: Millis, rng: &mut fastrand::Rng) {
        let pace = self.pace;
        let end = call;
        let at_trough = mind.place.is_some_and(|p| self.is_trough(p));
        let wish = if mind.place.is_none() {
            5
        } else {
            rng.u8(0..10)
        };
        match wish {
            0..=2 if !at_trough => {
                let until = mind.now + rng.i64(pace.grazing.clone());
                mind.stay(Pose::Graze, until.min(end));
            }
            3 | 4 if !at_trough && self.can_lie(mind, end) => {
                let until = mind.now + rng.i64(pace.lying.clone());
                mind.stay(Pose::Lie(Rest::Usual), until.min(end - pace.standing));
                mind.stay(Pose::Stand, (mind.now + pace.standing / 2).min(end));
            }
            7.. if end - mind.now > pace.lead + *pace.feeding.start() => self.feed(mind, end, rng),
            _ => self.wander(mind, end, rng),
        }
    }

    fn can_lie(&self, mind: &Mind, end: Millis) -> bool {
        let rested = mind.now - mind.stood_up >= self.pace.standing;
        rested && end - mind.now >= self.pace.standing + self.pace.lying.start()
    }

    fn feed(&mut self, mind: &mut Mind, end: Millis, rng: &mut fastrand::Rng) {
        let feeding = (0..self.places.len())
            .filter(|&p| self.taken[p] && self.is_trough(p))
            .count();
        let open_until = self.trough_open_until(mind.now);
        let slot = match mind.place {
            Some(own) if self.is_trough(own) => None,
            _ if feeding >= FEEDING_USUAL => None,
            _ => self.free(Wanted::Trough, rng),
        };
        match (slot, open_until) {
            (Some(slot), Some(open)) if open - mind.now > self.pace.lead => {
                let until = mind.now + self.pace.lead + rng.i64(self.pace.feeding.clone());
                self.go(mind, slot);
                mind.stay(Pose::Feed, until.min(end).min(open));
            }
            _ => self.wander(mind, end, rng),
        }
    }

    /// To another place of the pen if there is one and the time for it, and there to graze.
    fn wander(&mut self, mind: &mut Mind, end: Millis, rng: &mut fastrand::Rng) {
        if end - mind.now > self.pace.lead
            && let Some(place) = self.free(Wanted::Pen, rng)
        {
            self.go(mind, place);
        }
        let pose = if rng.bool() { Pose::Graze } else { Pose::Stand };
        let until = (mind.now + rng.i64(self.pace.grazing.clone())).min(end);
        // An animal that found no place looks again soon.
        mind.stay(pose, until.max(mind.now + 1));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Pen,
    Trough,
}
