//! What a gateway does when its uplink cannot keep up: a ladder of four levels as a pure state machine.
//!
//! [`Ladder::observe`] is told how full the queue is, how long a round trip takes, how many sends fail and
//! whether there is a link; [`Ladder::plan`] says what to do. A level is left upwards after a trigger has held
//! for a dwell time, and downwards after everything was well below its trigger for longer. What is sampled
//! carries a weight ([`sample`]), so that counts and sums stay unbiased. What waited goes out oldest first at a
//! rate that [`ReplayRate`] raises by steps and halves at a failure (AIMD: D. Chiu and R. Jain, *Analysis of
//! the increase and decrease algorithms for congestion avoidance*, 1989).
//!
//! ```
//! use std::time::Duration;
//! use midstream::Timestamp;
//! use midstream::backpressure::{Ladder, LadderOptions, Level, Link, Signals};
//!
//! let mut ladder = Ladder::new(LadderOptions::default())?;
//! let busy = Signals { queue_fill: 0.9, round_trip: Duration::from_millis(40), error_rate: 0.0, link: Link::Up };
//! assert_eq!(ladder.observe(Timestamp::from_millis(0), &busy), None);
//! let change = ladder.observe(Timestamp::from_millis(5000), &busy);
//! assert_eq!(change.map(|change| change.to), Some(Level::Batch));
//! assert_eq!(ladder.plan().batch_events, 100);
//! # Ok::<(), midstream::Error>(())
//! ```

mod replay;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::output::MatchId;
use crate::time::Timestamp;

pub use replay::ReplayRate;

/// Whether the other side can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It can.
    Up,
    /// It cannot.
    Down,
}

/// How the uplink is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signals {
    /// How full the queue towards it is, from 0 to 1.
    pub queue_fill: f64,
    /// From sending to the answer.
    pub round_trip: Duration,
    /// The share of sends that failed, from 0 to 1.
    pub error_rate: f64,
    /// Whether there is a link at all.
    pub link: Link,
}

/// How hard the gateway holds back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not at all.
    #[default]
    Normal,
    /// Larger, rarer, compressed batches.
    Batch,
    /// Only a sample of what is not critical, with weights, and a larger buffer.
    Sample,
    /// Single events go to disk, only aggregates and what is critical go out, and operators are told.
    Spill,
    /// Nothing goes out; rules run on, and a ring holds the last day.
    Offline,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Normal,
        Self::Batch,
        Self::Sample,
        Self::Spill,
        Self::Offline,
    ];

    /// 0 for [`Level::Normal`] to 4 for [`Level::Offline`].
    pub fn number(self) -> usize {
        self as usize
    }
}

/// A signal's two bounds: above one it presses, below the other it is well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds<T> {
    /// Above it the signal presses.
    pub press: T,
    /// Below it the signal is well again.
    pub well: T,
}

/// When levels change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LadderOptions {
    /// Of the queue; default 0.8 and 0.5.
    pub queue_fill: Bounds<f64>,
    /// Of the round trip in milliseconds; default 500 and 300.
    pub round_trip_ms: Bounds<u64>,
    /// Of the failures; default 0.05 and 0.02.
    pub error_rate: Bounds<f64>,
    /// How long a signal presses before the next level, in milliseconds; default 5,000.
    pub rise_ms: u64,
    /// How long all signals are well before the level below, in milliseconds; default 15,000.
    pub fall_ms: u64,
    /// How long the link is down before [`Level::Offline`], in milliseconds; default 30,000.
    pub offline_ms: u64,
    /// At [`Level::Sample`], one event in so many is kept; default 10.
    pub sample_one_in: u32,
}

impl Default for LadderOptions {
    fn default() -> Self {
        Self {
            queue_fill: Bounds {
                press: 0.8,
                well: 0.5,
            },
            round_trip_ms: Bounds {
                press: 500,
                well: 300,
            },
            error_rate: Bounds {
                press: 0.05,
                well: 0.02,
            },
            rise_ms: 5_000,
            fall_ms: 15_000,
            offline_ms: 30_000,
            sample_one_in: 10,
        }
    }
}

/// What is to be done with single events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// They go out.
    Send,
    /// One in so many goes out with that weight; critical ones all do.
    Sample(u32),
    /// They go to disk; critical ones go out.
    Spill,
    /// They go into the ring on disk, as does all else.
    Hold,
}

/// Whether batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// Compressed.
    Compressed,
}

/// What a level asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A batch goes out with so many entries.
    pub batch_events: usize,
    /// Or when its first entry has waited so long.
    pub batch_interval: Duration,
    /// Whether batches are compressed.
    pub packing: Packing,
    /// What is done with single events.
    pub events: Events,
    /// By how much the buffer towards the uplink grows.
    pub buffer_factor: usize,
}

/// A step from one level to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Before.
    pub from: Level,
    /// Now.
    pub to: Level,
    /// When.
    pub at: Timestamp,
    /// Whether operators should be told: at the step to [`Level::Spill`] or [`Level::Offline`], and at the
    /// step back from there.
    pub alert: bool,
}

/// The ladder and where on it the gateway stands.
#[derive(Clone, Debug)]
pub struct Ladder {
    options: LadderOptions,
    level: Level,
    /// Since when a signal has pressed, all have been well, the link has been down.
    pressed: Option<Timestamp>,
    well: Option<Timestamp>,
    down: Option<Timestamp>,
}

impl Ladder {
    /// A ladder at [`Level::Normal`].
    ///
    /// # Errors
    /// [`Error::Options`] where a signal would be well above the bound at which it presses, or one event in
    /// none is kept.
    pub fn new(options: LadderOptions) -> Result<Self> {
        let ordered = |bounds: Bounds<f64>| bounds.well <= bounds.press;
        let wrong = |cause| Error::Options {
            what: "the ladder",
            cause,
        };
        if !ordered(options.queue_fill)
            || !ordered(options.error_rate)
            || options.round_trip_ms.well > options.round_trip_ms.press
        {
            return Err(wrong("`well` must not be above `press`"));
        }
        if options.sample_one_in == 0 {
            return Err(wrong("`sample_one_in` is 1 or more"));
        }
        Ok(Self {
            options,
            level: Level::Normal,
            pressed: None,
            well: None,
            down: None,
        })
    }

    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Looks at the signals of a time; the change of level, if there is one. Times do not go back. One level
    /// at a time, except that a link that stays down goes straight to [`Level::Offline`] and one that comes back
    /// leaves it for [`Level::Spill`], from where what waited is sent.
    pub fn observe(&mut self, now: Timestamp, signals: &Signals) -> Option<Change> {
        let options = self.options;
        let round_trip_ms = u64::try_from(signals.round_trip.as_millis()).unwrap_or(u64::MAX);
        let up = signals.link == Link::Up;
        // A signal that is no number presses.
        let presses = !up
            || signals.queue_fill.is_nan()
            || signals.queue_fill > options.queue_fill.press
            || round_trip_ms > options.round_trip_ms.press
            || signals.error_rate.is_nan()
            || signals.error_rate > options.error_rate.press;
        let well = up
            && signals.queue_fill <= options.queue_fill.well
            && round_trip_ms <= options.round_trip_ms.well
            && signals.error_rate <= options.error_rate.well;
        let since = |before: Option<Timestamp>, holds: bool| match holds {
            true => before.or(Some(now)),
            false => None,
        };
        self.pressed = since(self.pressed, presses);
        self.well = since(self.well, well);
        self.down = since(self.down, !up);
        let over = |since: Option<Timestamp>, millis| {
            since.is_some_and(|since| now.since(since) >= Duration::from_millis(millis))
        };
        let to = if over(self.down, options.offline_ms) {
            Level::Offline
        } else if self.level == Level::Offline {
            // Sending is tried again as soon as there is a link.
            if up { Level::Spill } else { Level::Offline }
        } else if over(self.pressed, options.rise_ms) && self.level < Level::Spill {
            Level::ALL[self.level.number() + 1]
        } else if over(self.well, options.fall_ms) && self.level > Level::Normal {
            Level::ALL[self.level.number() - 1]
        } else {
            self.level
        };
        if to == self.level {
            return None;
        }
        let from = std::mem::replace(&mut self.level, to);
        // Each level has its own dwell.
        self.pressed = self.pressed.map(|_| now);
        self.well = self.well.map(|_| now);
        Some(Change {
            from,
            to,
            at: now,
            alert: from.max(to) >= Level::Spill,
        })
    }

    /// What the level asks for.
    pub fn plan(&self) -> Plan {
        let (batch_events, seconds, packing) = match self.level {
            Level::Normal => (10, 1, Packing::Plain),
            _ => (100, 5, Packing::Compressed),
        };
        Plan {
            batch_events,
            batch_interval: Duration::from_secs(seconds),
            packing,
            events: match self.level {
                Level::Normal | Level::Batch => Events::Send,
                Level::Sample => Events::Sample(self.options.sample_one_in),
                Level::Spill => Events::Spill,
                Level::Offline => Events::Hold,
            },
            buffer_factor: if self.level >= Level::Sample { 4 } else { 1 },
        }
    }
}

/// Whether an event is among one in so many, by its id: the weight that it then stands for. The same id gives
/// the same answer, so that a replay keeps the same ones; over many ids the weighted count and sum are unbiased.
///
/// ```
/// use midstream::backpressure::sample;
/// let kept: u32 = (0..100_000).filter_map(|id| sample(&id.to_string(), 10)).sum();
/// assert!((95_000..105_000).contains(&kept));
/// ```
pub fn sample(id: &str, one_in: u32) -> Option<u32> {
    let one_in = one_in.max(1);
    let hash = MatchId::of(&[id]).fold();
    hash.is_multiple_of(u64::from(one_in)).then_some(one_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(queue_fill: f64, link: Link) -> Signals {
        Signals {
            queue_fill,
            round_trip: Duration::from_millis(50),
            error_rate: 0.0,
            link,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn pressure_climbs_a_level_each_dwell_and_stops_at_the_disk() {
        let mut ladder = Ladder::new(LadderOptions::default()).unwrap();
        let mut levels = Vec::new();
        for second in 0..60 {
            levels.extend(ladder.observe(at(second), &signals(0.81, Link::Up)));
        }
        let reached: Vec<_> = levels.iter().map(|change| (change.at, change.to)).collect();
        assert_eq!(
            reached,
            [
                (at(5), Level::Batch),
                (at(10), Level::Sample),
                (at(15), Level::Spill)
            ]
        );
        assert_eq!(levels.iter().filter(|change| change.alert).count(), 1);
    }

    #[test]
    fn each_signal_presses_alone() {
        for pressing in [
            signals(0.81, Link::Up),
            signals(f64::NAN, Link::Up),
            signals(0.0, Link::Down),
            Signals {
                round_trip: Duration::from_millis(501),
                ..signals(0.0, Link::Up)
            },
            Signals {
                error_rate: 0.051,
                ..signals(0.0, Link::Up)
            },
        ] {
            let mut ladder = Ladder::new(LadderOptions::default()).unwrap();
            ladder.observe(at(0), &pressing);
            ladder.observe(at(5), &pressing);
            assert_eq!(ladder.level(), Level::Batch, "{pressing:?}");
        }
    }

    #[test]
    fn between_the_bounds_nothing_changes() {
        let mut ladder = Ladder::new(LadderOptions::default()).unwrap();
        ladder.observe(at(0), &signals(0.9, Link::Up));
        ladder.observe(at(5), &signals(0.9, Link::Up));
        for second in 6..1000 {
            // Above `well`, not above `press`.
            assert_eq!(ladder.observe(at(second), &signals(0.7, Link::Up)), None);
        }
        for second in 1000..1016 {
            ladder.observe(at(second), &signals(0.4, Link::Up));
        }
        assert_eq!(ladder.level(), Level::Normal);
    }

    #[test]
    fn a_signal_that_flickers_faster_than_the_dwell_changes_nothing() {
        let mut ladder = Ladder::new(LadderOptions::default()).unwrap();
        for second in 0..1000 {
            let fill = if second % 4 == 3 { 0.1 } else { 0.95 };
            assert_eq!(ladder.observe(at(second), &signals(fill, Link::Up)), None);
        }
    }

    #[test]
    fn a_dead_link_ends_offline_and_a_new_one_begins_at_the_disk() {
        let mut ladder = Ladder::new(LadderOptions::default()).unwrap();
        for second in 0..=30 {
            ladder.observe(at(second), &signals(0.0, Link::Down));
        }
        assert_eq!(ladder.level(), Level::Offline);
        assert_eq!(ladder.plan().events, Events::Hold);
        let back = ladder.observe(at(31), &signals(0.0, Link::Up)).unwrap();
        assert_eq!((back.to, back.alert), (Level::Spill, true));
        for second in 32..100 {
            ladder.observe(at(second), &signals(0.0, Link::Up));
        }
        assert_eq!(ladder.level(), Level::Normal);
    }
}
