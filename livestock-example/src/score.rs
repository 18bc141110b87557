//! Alerts against what really happened.
//!
//! An alert matches an incident of the same kind at the same place (the animal for
//! [`IncidentKind::AnimalDown`], else the zone) when it was raised for a moment between the incident's
//! start less [`Tolerance::before`] and its end plus [`Tolerance::after`]. The first match finds the
//! incident, every further one is a duplicate, and an alert without a match is false, so that
//! `alerts = found + duplicates + false_alerts`.
//!
//! ```
//! use std::time::Duration;
//! use livestock::score::{Raised, Tolerance, score};
//! use livestock::sim::{Farm, FarmOptions};
//!
//! let farm = Farm::new(FarmOptions::default())?;
//! let incident = &farm.truth()[0];
//! let alert = Raised {
//!     kind: incident.kind,
//!     zone: incident.zone.clone(),
//!     animal: incident.animal.clone(),
//!     at: incident.start.after(Duration::from_secs(1)),
//! };
//! let score = score(farm.truth(), &[alert], Tolerance::default());
//! assert_eq!((score.expected, score.found, score.false_alerts), (6, 1, 0));
//! # Ok::<(), livestock::sim::FarmError>(())
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::sim::{IncidentKind, StagedIncident, Tempo};
use crate::time::Timestamp;

/// An alert as far as it can be scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// What it says happened.
    pub kind: IncidentKind,
    /// The zone it names; not compared for [`IncidentKind::AnimalDown`].
    pub zone: String,
    /// The animal it names.
    pub animal: Option<String>,
    /// The moment of the input that raised it, not the moment of its delivery.
    pub at: Timestamp,
}

/// How far outside an incident an alert may lie and still be for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Before the incident's start.
    pub before: Duration,
    /// After the incident's end.
    pub after: Duration,
}

impl Default for Tolerance {
    /// That of [`Tempo::Demo`].
    fn default() -> Self {
        Self::of(Tempo::Demo)
    }
}

impl Tolerance {
    /// Windows close and sensors report a little late: 2 s in a demo, 5 minutes in a day. Nothing may be
    /// known before it happens, but a box reaches over a zone's edge a step earlier than the feet: 0.5 s
    /// and 30 s.
    pub fn of(tempo: Tempo) -> Self {
        let (before, after) = match tempo {
            Tempo::Demo => (500, 2_000),
            Tempo::Day => (30_000, 300_000),
        };
        Self {
            before: Duration::from_millis(before),
            after: Duration::from_millis(after),
        }
    }

    fn covers(&self, incident: &StagedIncident, at: Timestamp) -> bool {
        let (start, end) = (incident.start, incident.end);
        at.after(self.before) >= start && at <= end.after(self.after)
    }
}

/// Expected and found incidents of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindScore {
    /// Incidents that really happened.
    pub expected: usize,
    /// Those that an alert matched.
    pub found: usize,
    /// Alerts of this kind that match nothing.
    pub false_alerts: usize,
    /// Further alerts for an incident already found.
    pub duplicates: usize,
}

/// How well the alerts tell what happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Incidents that really happened.
    pub expected: usize,
    /// Those that an alert matched.
    pub found: usize,
    /// Alerts that match nothing.
    pub false_alerts: usize,
    /// Further alerts for an incident already found.
    pub duplicates: usize,
    /// From an incident's start to its first alert, in milliseconds, half of the found ones at most;
    /// negative when the alert came before. `None` without a found incident.
    pub delay_ms_p50: Option<i64>,
    /// The same for 99 in 100.
    pub delay_ms_p99: Option<i64>,
    /// The same counts by kind.
    pub by_kind: BTreeMap<&'static str, KindScore>,
    /// The names of the incidents without an alert, in order of time.
    pub missed: Vec<String>,
}

impl Score {
    /// The share of the incidents that were found; 1 when there were none.
    pub fn recall(&self) -> f64 {
        if self.expected == 0 {
            1.0
        } else {
            self.found as f64 / self.expected as f64
        }
    }
}

/// Scores `alerts`, in any order, against `truth`; incidents times alerts steps.
pub fn score(truth: &[StagedIncident], alerts: &[Raised], tolerance: Tolerance) -> Score {
    let mut result = Score {
        expected: truth.len(),
        ..Score::default()
    };
    let mut by_kind: BTreeMap<_, KindScore> = IncidentKind::ALL
        .iter()
        .map(|kind| (kind.as_str(), KindScore::default()))
        .collect();
    for incident in truth {
        by_kind.entry(incident.kind.as_str()).or_default().expected += 1;
    }
    let mut alerts: Vec<&Raised> = alerts.iter().collect();
    alerts.sort_by_key(|alert| alert.at);
    let mut found: Vec<Option<Timestamp>> = vec![None; truth.len()];
    for alert in alerts {
        let kind = by_kind.entry(alert.kind.as_str()).or_default();
        let matching = |i: &usize| {
            let incident = &truth[*i];
            same_place(incident, alert) && tolerance.covers(incident, alert.at)
        };
        let mut matches = (0..truth.len()).filter(matching).peekable();
        if matches.peek().is_none() {
            kind.false_alerts += 1;
        } else if let Some(i) = matches.find(|&i| found[i].is_none()) {
            found[i] = Some(alert.at);
            kind.found += 1;
        } else {
            kind.duplicates += 1;
        }
    }
    let mut delays: Vec<i64> = Vec::new();
    for (incident, at) in truth.iter().zip(&found) {
        match at {
            Some(at) => delays.push(at.as_millis() - incident.start.as_millis()),
            None => result.missed.push(incident.id.clone()),
        }
    }
    delays.sort_unstable();
    result.found = by_kind.values().map(|kind| kind.found).sum();
    result.false_alerts = by_kind.values().map(|kind| kind.false_alerts).sum();
    result.duplicates = by_kind.values().map(|kind| kind.duplicates).sum();
    result.delay_ms_p50 = percentile(&delays, 50);
    result.delay_ms_p99 = percentile(&delays, 99);
    result.by_kind = by_kind;
    result
}

fn same_place(incident: &StagedIncident, alert: &Raised) -> bool {
    incident.kind == alert.kind
        && match incident.kind {
            IncidentKind::AnimalDown => incident.animal == alert.animal,
            IncidentKind::PersonInPenAtNight | IncidentKind::Crowding => {
                incident.zone == alert.zone
            }
        }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(id: &str, kind: IncidentKind, place: &str, start: i64, end: i64) -> StagedIncident {
        let down = kind == AnimalDown;
        StagedIncident {
            id: id.into(),
            kind,
            zone: if down { "pen-1" } else { place }.into(),
            camera: None,
            animal: down.then(|| place.into()),
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(end),
        }
    }

    fn alert(kind: IncidentKind, place: &str, at: i64) -> Raised {
        let down = kind == AnimalDown;
        Raised {
            kind,
            zone: if down { "" } else { place }.into(),
            animal: down.then(|| place.into()),
            at: Timestamp::from_millis(at),
        }
    }

    use IncidentKind::{AnimalDown, Crowding, PersonInPenAtNight};

    fn truth() -> Vec<StagedIncident> {
        vec![
            incident("a", PersonInPenAtNight, "pen-1", 10_000, 15_000),
            incident("b", AnimalDown, "cow-1", 20_000, 35_000),
            incident("c", Crowding, "trough-1", 40_000, 46_000),
        ]
    }

    #[test]
    fn first_alert_finds_and_the_next_is_a_duplicate() {
        let alerts = [
            alert(PersonInPenAtNight, "pen-1", 12_000),
            alert(PersonInPenAtNight, "pen-1", 11_000),
            alert(AnimalDown, "cow-1", 27_000),
        ];
        let score = score(&truth(), &alerts, Tolerance::default());
        assert_eq!(
            (score.found, score.duplicates, score.false_alerts),
            (2, 1, 0)
        );
        assert_eq!(score.missed, ["c"]);
        assert_eq!(score.delay_ms_p50, Some(1_000));
        assert_eq!(score.delay_ms_p99, Some(7_000));
        assert_eq!(score.by_kind["crowding"].expected, 1);
        assert!((score.recall() - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn another_kind_place_or_time_is_a_false_alert() {
        let alerts = [
            alert(Crowding, "pen-1", 12_000),
            alert(PersonInPenAtNight, "pen-2", 12_000),
            alert(AnimalDown, "cow-2", 27_000),
            alert(PersonInPenAtNight, "pen-1", 17_001),
            alert(PersonInPenAtNight, "pen-1", 9_499),
        ];
        let score = score(&truth(), &alerts, Tolerance::default());
        assert_eq!((score.found, score.false_alerts), (0, 5));
        assert_eq!(score.delay_ms_p50, None);
    }

    #[test]
    fn tolerance_reaches_exactly_its_ends() {
        for at in [9_500, 17_000] {
            let alerts = [alert(PersonInPenAtNight, "pen-1", at)];
            assert_eq!(score(&truth(), &alerts, Tolerance::default()).found, 1);
        }
    }

    #[test]
    fn two_incidents_close_together_take_one_alert_each() {
        let truth = [
            incident("a", Crowding, "trough-1", 10_000, 15_000),
            incident("b", Crowding, "trough-1", 16_000, 20_000),
        ];
        let alerts = [
            alert(Crowding, "trough-1", 14_000),
            alert(Crowding, "trough-1", 16_500),
        ];
        let score = score(&truth, &alerts, Tolerance::default());
        assert_eq!((score.found, score.duplicates), (2, 0));
    }

    #[test]
    fn every_alert_is_counted_once() {
        let mut lots = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let alerts: Vec<Raised> = (0..lots.usize(0..20))
                .map(|_| {
                    let kind = IncidentKind::ALL[lots.usize(0..3)];
                    let place = ["pen-1", "trough-1", "cow-1"][lots.usize(0..3)];
                    alert(kind, place, lots.i64(0..60_000))
                })
                .collect();
            let score = score(&truth(), &alerts, Tolerance::default());
            assert_eq!(
                score.found + score.duplicates + score.false_alerts,
                alerts.len()
            );
            assert_eq!(score.found + score.missed.len(), score.expected);
        }
    }

    #[test]
    fn no_incident_is_a_recall_of_one() {
        let score = score(&[], &[], Tolerance::default());
        assert!((score.recall() - 1.0).abs() < f64::EPSILON);
    }
}
