//! Boxes that stay the same animal or person from frame to frame.
//!
//! Each track predicts its box by a Kalman filter with constant velocity, one filter for each of centre,
//! width and height (after A. Bewley et al., *Simple online and realtime tracking*, ICIP 2016). Detections
//! go to tracks greedily, the best overlap first; what overlaps nothing may still be near enough. A
//! track's label is the one that most of its last detections had, so that one bad frame changes nothing.

use std::collections::VecDeque;

use crate::detection::{Detection, Label, Rect};
use crate::time::Timestamp;

/// The most tracks of one camera; detections past it are passed on without a track.
pub const TRACKS_MAX: usize = 256;
/// Detections whose labels are counted.
const VOTES: usize = 7;
/// The least overlap with the predicted box.
const IOU_MIN: f32 = 0.15;
/// Without overlap: at most this many box sizes from the predicted centre.
const REACH: f32 = 1.2;
/// A track that misses more frames than this ends.
const MISSED_MAX: u32 = 4;
/// How much speed may change within a second, in picture widths a second.
const ACCELERATION: f32 = 0.15;
/// How far a box is off, in picture widths.
const MEASUREMENT: f32 = 0.006;

/// A number that is unique among the tracks of one camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(u64);

impl TrackId {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A detection and the track that it belongs to, with the track's label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// The track; none past [`TRACKS_MAX`].
    pub track: Option<TrackId>,
    /// The detection; its label is the track's.
    pub detection: Detection,
}

/// The tracks of one camera.
#[derive(Debug, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    next: u64,
    last: Option<Timestamp>,
}

#[derive(Debug)]
struct Track {
    id: TrackId,
    /// Centre across and down, width, height.
    filters: [Filter; 4],
    votes: VecDeque<Label>,
    missed: u32,
}

impl Tracker {
    /// Takes the detections of the next frame, in any order, and gives them back in the same order with
    /// their tracks. Tracks times detections.
    pub fn update(&mut self, at: Timestamp, detections: &[Detection]) -> Vec<Tracked> {
        let elapsed = self.last.map_or(0.0, |last| at.since(last).as_secs_f32());
        self.last = Some(at);
        for track in &mut self.tracks {
            track
                .filters
                .iter_mut()
                .for_each(|filter| filter.predict(elapsed));
            track.missed += 1;
        }
        let owners = self.assign(detections);
        let tracked = detections
            .iter()
            .zip(owners)
            .map(|(detection, owner)| {
                let owner = owner.or_else(|| self.begin(detection));
                let Some(track) = owner.and_then(|index| self.tracks.get_mut(index)) else {
                    return Tracked {
                        track: None,
                        detection: detection.clone(),
                    };
                };
                let label = track.take(detection);
                Tracked {
                    track: Some(track.id),
                    detection: Detection {
                        label,
                        ..detection.clone()
                    },
                }
            })
            .collect();
        self.tracks.retain(|track| track.missed <= MISSED_MAX);
        tracked
    }

    /// Tracks that are alive.
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Whether nothing is tracked.
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    fn assign(&self, detections: &[Detection]) -> Vec<Option<usize>> {
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            let predicted = track.rect();
            for (d, detection) in detections.iter().enumerate() {
                let fit = fit(&predicted, &detection.rect);
                if fit > 0.0 {
                    pairs.push((fit, t, d));
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut owners = vec![None; detections.len()];
        let mut taken = vec![false; self.tracks.len()];
        for (_, t, d) in pairs {
            if owners[d].is_none() && !taken[t] {
                owners[d] = Some(t);
                taken[t] = true;
            }
        }
        owners
    }

    fn begin(&mut self, detection: &Detection) -> Option<usize> {
        if self.tracks.len() >= TRACKS_MAX {
            return None;
        }
        self.next += 1;
        self.tracks.push(Track {
            id: TrackId(self.next),
            filters: numbers(&detection.rect).map(Filter::at),
            votes: VecDeque::with_capacity(VOTES),
            missed: 0,
        });
        Some(self.tracks.len() - 1)
    }
}

/// How well a box fits a prediction: 1 to 2 by overlap, 0 to 1 by distance, 0 not at all.
fn fit(predicted: &Rect, seen: &Rect) -> f32 {
    let iou = predicted.iou(seen);
    if iou >= IOU_MIN {
        return 1.0 + iou;
    }
    let [px, py, pw, ph] = numbers(predicted);
    let [sx, sy, sw, sh] = numbers(seen);
    let size = (pw + ph + sw + sh) / 4.0;
    let alike = (pw * ph).min(sw * sh) / (pw * ph).max(sw * sh).max(f32::EPSILON);
    let distance = (px - sx).hypot(py - sy) / size.max(f32::EPSILON);
    if alike > 0.4 {
        (1.0 - distance / REACH).max(0.0)
    } else {
        0.0
    }
}

fn numbers(rect: &Rect) -> [f32; 4] {
    [
        (rect.x0 + rect.x1) / 2.0,
        (rect.y0 + rect.y1) / 2.0,
        rect.width(),
        rect.height(),
    ]
}

impl Track {
    fn rect(&self) -> Rect {
        let [x, y, w, h] = self.filters.each_ref().map(|filter| filter.value);
        Rect {
            x0: x - w / 2.0,
            y0: y - h / 2.0,
            x1: x + w / 2.0,
            y1: y + h / 2.0,
        }
    }

    /// Takes a detection and returns the label that most of the last ones had, the newest in a tie.
    fn take(&mut self, detection: &Detection) -> Label {
        for (filter, value) in self.filters.iter_mut().zip(numbers(&detection.rect)) {
            filter.correct(value);
        }
        self.missed = 0;
        if self.votes.len() == VOTES {
            self.votes.pop_front();
        }
        self.votes.push_back(detection.label);
        let count = |label: &Label| self.votes.iter().filter(|vote| *vote == label).count();
        // `max_by_key` keeps the last of equals.
        self.votes
            .iter()
            .max_by_key(|label| count(label))
            .copied()
            .unwrap_or(detection.label)
    }
}

/// A value and its speed, with their uncertainty: the Kalman filter of one number.
#[derive(Clone, Copy, Debug)]
struct Filter {
    value: f32,
    speed: f32,
    value_var: f32,
    both_var: f32,
    speed_var: f32,
}

impl Filter {
    fn at(value: f32) -> Self {
        Self {
            value,
            speed: 0.0,
            value_var: MEASUREMENT * MEASUREMENT,
            both_var: 0.0,
            speed_var: 0.04,
        }
    }

    fn predict(&mut self, seconds: f32) {
        let noise = ACCELERATION * ACCELERATION;
        let (t, t2) = (seconds, seconds * seconds);
        self.value += self.speed * t;
        self.value_var += 2.0 * t * self.both_var + t2 * self.speed_var + noise * t2 * t2 / 4.0;
        self.both_var += t * self.speed_var + noise * t2 * t / 2.0;
        self.speed_var += noise * t2;
    }

    fn correct(&mut self, seen: f32) {
        let total = self.value_var + MEASUREMENT * MEASUREMENT;
        let (gain, speed_gain) = (self.value_var / total, self.both_var / total);
        let off = seen - self.value;
        self.value += gain * off;
        self.speed += speed_gain * off;
        self.speed_var -= speed_gain * self.both_var;
        self.both_var -= gain * self.both_var;
        self.value_var -= gain * self.value_var;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(label: Label, x: f32, y: f32) -> Detection {
        let rect = Rect {
            x0: x - 0.02,
            y0: y - 0.06,
            x1: x + 0.02,
            y1: y + 0.06,
        };
        Detection {
            label,
            score: 0.9,
            rect,
            embedding: vec![],
        }
    }

    fn at(frame: i64) -> Timestamp {
        Timestamp::from_millis(frame * 200)
    }

    #[test]
    fn two_that_cross_keep_their_tracks() {
        let mut tracker = Tracker::default();
        let mut first = Vec::new();
        let mut last = Vec::new();
        for frame in 0..30 {
            let step = frame as f32 * 0.02;
            let pair = [
                seen(Label::Person, 0.2 + step, 0.50),
                seen(Label::Person, 0.8 - step, 0.56),
            ];
            let tracked = tracker.update(at(frame), &pair);
            last = tracked.iter().map(|t| t.track).collect();
            if frame == 0 {
                first.clone_from(&last);
            }
        }
        assert_eq!(first, last);
        assert_eq!(tracker.len(), 2);
    }

    #[test]
    fn one_that_is_hidden_for_a_moment_comes_back_as_itself_and_one_that_leaves_is_forgotten() {
        let mut tracker = Tracker::default();
        let walk = |frame: i64| seen(Label::Cattle, 0.1 + frame as f32 * 0.02, 0.5);
        let mut before = None;
        for frame in 0..10 {
            before = tracker.update(at(frame), &[walk(frame)])[0].track;
        }
        for frame in 10..13 {
            tracker.update(at(frame), &[]);
        }
        assert_eq!(tracker.update(at(13), &[walk(13)])[0].track, before);
        for frame in 14..20 {
            tracker.update(at(frame), &[]);
        }
        assert!(tracker.is_empty());
        assert_ne!(tracker.update(at(20), &[walk(13)])[0].track, before);
    }

    #[test]
    fn one_bad_frame_does_not_change_what_a_track_is() {
        let mut tracker = Tracker::default();
        for frame in 0..20 {
            let label = if frame % 5 == 4 {
                Label::Other
            } else {
                Label::Person
            };
            let tracked = tracker.update(at(frame), &[seen(label, 0.5, 0.5)]);
            assert_eq!(tracked[0].detection.label, Label::Person, "frame {frame}");
        }
    }

    #[test]
    fn more_than_the_limit_are_passed_on_without_a_track() {
        let mut tracker = Tracker::default();
        let crowd: Vec<_> = (0..TRACKS_MAX + 10)
            .map(|i| seen(Label::Cattle, i as f32, 0.5))
            .collect();
        let tracked = tracker.update(at(0), &crowd);
        assert_eq!(tracked.len(), crowd.len());
        assert_eq!(tracked.iter().filter(|t| t.track.is_none()).count(), 10);
    }
}
