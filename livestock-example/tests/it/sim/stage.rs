//! What is staged is what happens, and nothing else does.

use std::collections::BTreeMap;
use std::time::Duration;

use livestock::detection::Label;
use livestock::sim::{Farm, FarmOptions, IncidentKind, StagedIncident, Visible};
use livestock::time::Timestamp;
use livestock::zone::{Zone, ZoneKind};

use super::small;

const SEEDS: u64 = 12;

fn lasts(incident: &StagedIncident) -> Duration {
    incident.end.since(incident.start)
}

/// Same place, at the same time.
fn overlap(a: &StagedIncident, b: &StagedIncident) -> bool {
    let same_place = a.kind == b.kind && a.zone == b.zone && a.animal == b.animal;
    same_place && a.start < b.end && b.start < a.end
}

fn check(farm: &Farm, expected: usize) {
    let truth = farm.truth();
    let limits = farm.limits();
    assert_eq!(truth.len(), expected);
    for kind in IncidentKind::ALL {
        let count = truth.iter().filter(|i| i.kind == kind).count();
        assert_eq!(count, expected / 3, "{kind:?}");
    }
    for (n, incident) in truth.iter().enumerate() {
        assert_eq!(incident.id, format!("incident-{}", n + 1));
        assert!(incident.start >= farm.start() && incident.end <= farm.end());
        assert!(
            truth[n + 1..]
                .iter()
                .all(|other| other.start >= incident.start)
        );
        assert!(!truth[n + 1..].iter().any(|other| overlap(incident, other)));
        let limit = match incident.kind {
            IncidentKind::PersonInPenAtNight => {
                assert!(incident.start > farm.night());
                limits.person_dwell
            }
            IncidentKind::AnimalDown => {
                let animal = incident.animal.as_deref().unwrap();
                assert!(farm.sensor_animals().contains(&animal));
                limits.lying_limit
            }
            IncidentKind::Crowding => limits.crowd_window,
            other => panic!("{other:?}"),
        };
        assert!(lasts(incident).as_secs_f32() >= 1.3 * limit.as_secs_f32());
    }
}

#[test]
fn a_minute_has_two_incidents_of_each_kind() {
    for seed in 0..SEEDS {
        check(&Farm::new(small(seed)).unwrap(), 6);
    }
}

#[test]
fn a_day_has_ten_incidents_of_each_kind() {
    for seed in 0..4 {
        let options = FarmOptions {
            width: 160,
            height: 120,
            ..FarmOptions::day(seed)
        };
        check(&Farm::new(options).unwrap(), 30);
    }
}

#[test]
fn ten_seconds_have_an_incident() {
    for seed in 0..SEEDS {
        assert_eq!(
            Farm::new(super::seconds(seed, 10)).unwrap().truth().len(),
            1
        );
    }
}

fn zone(farm: &Farm, kind: ZoneKind, camera: usize) -> Zone {
    let zones = farm.zones().iter();
    zones
        .filter(|zone| zone.kind == kind)
        .nth(camera)
        .unwrap()
        .clone()
}

/// What a camera sees, every 200 ms.
fn watch(farm: &Farm, camera: usize) -> Vec<(Timestamp, Vec<Visible>)> {
    let camera = &zone(farm, ZoneKind::Pen, camera).camera;
    let step = Duration::from_millis(200);
    let instants = std::iter::successors(Some(farm.start()), |at| Some(at.after(step)));
    instants
        .take_while(|at| *at <= farm.end())
        .map(|at| (at, farm.visible(camera, at)))
        .collect()
}

/// When at least `size` things of a kind stand in a zone, longer than `limit`.
fn times(
    watched: &[(Timestamp, Vec<Visible>)],
    label: Label,
    zone: &Zone,
    size: usize,
    limit: Duration,
) -> Vec<(Timestamp, Timestamp)> {
    let mut found = Vec::new();
    let mut since = None;
    for (at, seen) in watched {
        let here = seen
            .iter()
            .filter(|v| v.label == label && zone.contains(v.rect.foot()))
            .count();
        match since {
            None if here >= size => since = Some(*at),
            Some(start) if here < size => {
                if at.since(start) > limit {
                    found.push((start, *at));
                }
                since = None;
            }
            _ => {}
        }
    }
    found
}

fn agree(found: &[(Timestamp, Timestamp)], staged: &[&StagedIncident]) {
    assert_eq!(found.len(), staged.len(), "{found:?} {staged:?}");
    for ((start, end), incident) in found.iter().zip(staged) {
        let off = |a: Timestamp, b: Timestamp| (a.as_millis() - b.as_millis()).abs();
        assert!(off(*start, incident.start) <= 500, "{start} {incident:?}");
        assert!(off(*end, incident.end) <= 500, "{end} {incident:?}");
    }
}

fn staged<'a>(farm: &'a Farm, kind: IncidentKind, zone: &Zone) -> Vec<&'a StagedIncident> {
    let of_zone = |i: &&StagedIncident| i.kind == kind && i.zone == zone.name;
    farm.truth().iter().filter(of_zone).collect()
}

#[test]
fn people_are_in_a_pen_at_night_exactly_in_the_incidents() {
    for seed in 0..3 {
        let farm = Farm::new(small(seed)).unwrap();
        for camera in 0..2 {
            let watched = watch(&farm, camera);
            let pen = zone(&farm, ZoneKind::Pen, camera);
            let mut found = times(&watched, Label::Person, &pen, 1, Duration::ZERO);
            let by_day = found.len();
            found.retain(|(_, end)| *end > farm.night());
            agree(
                &found,
                &staged(&farm, IncidentKind::PersonInPenAtNight, &pen),
            );
            assert!(by_day <= found.len() + 4);
        }
    }
}

#[test]
fn troughs_are_crowded_exactly_in_the_incidents() {
    for seed in 0..3 {
        let farm = Farm::new(small(seed)).unwrap();
        let limits = farm.limits();
        for camera in 0..2 {
            let watched = watch(&farm, camera);
            let trough = zone(&farm, ZoneKind::Trough, camera);
            let found = times(
                &watched,
                Label::Cattle,
                &trough,
                limits.crowd_size,
                limits.crowd_window,
            );
            agree(&found, &staged(&farm, IncidentKind::Crowding, &trough));
        }
    }
}

#[test]
fn things_that_only_look_like_incidents_happen_too() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..3 {
        let farm = Farm::new(small(seed)).unwrap();
        for camera in 0..2 {
            let watched = watch(&farm, camera);
            let pen = zone(&farm, ZoneKind::Pen, camera);
            let yard = zone(&farm, ZoneKind::Yard, camera);
            let trough = zone(&farm, ZoneKind::Trough, camera);
            let night = farm.night();
            let mut count = |name, times: Vec<(Timestamp, Timestamp)>| {
                *seen.entry(name).or_default() += times.len();
            };
            let mut by_day = times(&watched, Label::Person, &pen, 1, Duration::ZERO);
            by_day.retain(|(_, end)| *end < night);
            count("person in the pen by day", by_day);
            let mut at_night = times(&watched, Label::Person, &yard, 1, Duration::from_secs(4));
            at_night.retain(|(start, _)| *start > night);
            count("person in the yard at night", at_night);
            let mut dogs = times(&watched, Label::Dog, &pen, 1, Duration::from_secs(1));
            dogs.retain(|(start, _)| *start > night);
            count("dog in the pen at night", dogs);
            let four = times(&watched, Label::Cattle, &trough, 4, Duration::from_secs(4));
            count("four at the trough", four);
        }
    }
    assert!(seen.values().all(|&count| count >= 3), "{seen:?}");
}
