//! The leg sensors tell the animals that are down from all others, by the limits alone.

use std::collections::BTreeMap;
use std::time::Duration;

use livestock::posture::{LegAxisFinder, Posture, PostureMachine, PostureOptions};
use livestock::score::{Raised, Score, Tolerance, score};
use livestock::sim::{Farm, FarmOptions, IncidentKind, Tempo};
use livestock::source::LegSample;

use super::{leg_samples, small};

/// One alert whenever an animal lies longer than the limit and hardly moves.
fn alerts(farm: &Farm, samples: &[LegSample], options: &PostureOptions) -> Vec<Raised> {
    let limits = farm.limits();
    let mut machines: BTreeMap<&str, (PostureMachine, bool)> = BTreeMap::new();
    let mut alerts = Vec::new();
    for sample in samples {
        let (machine, alerted) = machines.entry(&sample.animal).or_insert_with(|| {
            (
                PostureMachine::build(&sample.animal, options.clone()).unwrap(),
                false,
            )
        });
        let reading = machine.push(sample.at, sample.acceleration).unwrap();
        let lies = reading.posture == Posture::Lying;
        let down = lies
            && sample.at.since(reading.since) > limits.lying_limit
            && reading.activity < limits.activity_limit;
        if down && !*alerted {
            alerts.push(Raised {
                kind: IncidentKind::AnimalDown,
                zone: String::new(),
                animal: Some(sample.animal.clone()),
                at: sample.at,
            });
        }
        *alerted = lies && (*alerted || down);
    }
    alerts
}

fn downs(farm: &Farm, samples: &[LegSample], options: &PostureOptions, tempo: Tempo) -> Score {
    let truth: Vec<_> = farm
        .truth()
        .iter()
        .filter(|incident| incident.kind == IncidentKind::AnimalDown)
        .cloned()
        .collect();
    score(
        &truth,
        &alerts(farm, samples, options),
        Tolerance::of(tempo),
    )
}

#[test]
fn animals_that_are_down_are_told_from_their_samples_in_a_demo() {
    let mut expected = 0;
    for seed in 0..8 {
        let options = FarmOptions {
            fps: 0.1,
            ..small(seed)
        };
        let mut farm = Farm::new(options).unwrap();
        let samples = leg_samples(&mut farm);
        let usual = farm.limits().posture_options();
        // Nor does it hang on the length of the median.
        let longer = PostureOptions {
            median_samples: 5,
            ..usual.clone()
        };
        for options in [usual, longer] {
            let score = downs(&farm, &samples, &options, Tempo::Demo);
            assert_eq!(score.found, score.expected, "seed {seed}: {score:?}");
            assert_eq!(
                score.false_alerts + score.duplicates,
                0,
                "seed {seed}: {score:?}"
            );
            expected += score.expected;
        }
    }
    assert_eq!(expected, 32);
}

#[test]
fn animals_that_are_down_are_told_from_their_samples_in_a_day() {
    let options = FarmOptions {
        duration: Duration::from_secs(10 * 3600),
        cameras: 1,
        leg_sensors: 4,
        fps: 0.05,
        width: 160,
        height: 120,
        ..FarmOptions::day(4)
    };
    let mut farm = Farm::new(options).unwrap();
    let samples = leg_samples(&mut farm);
    let usual = farm.limits().posture_options();
    let score = downs(&farm, &samples, &usual, Tempo::Day);
    assert!(score.expected >= 3, "{score:?}");
    assert_eq!(
        (score.found, score.false_alerts, score.duplicates),
        (score.expected, 0, 0)
    );
    let mut finders: BTreeMap<&str, LegAxisFinder> = BTreeMap::new();
    for sample in &samples {
        finders
            .entry(&sample.animal)
            .or_default()
            .push(sample.acceleration);
    }
    for (animal, finder) in finders {
        assert_eq!(finder.axis(), Some(livestock::posture::Axis::Y), "{animal}");
    }
}

#[test]
fn animals_lie_long_and_restless_without_being_down() {
    // Without the look at activity, the animals that only shift about would be false alerts.
    let mut false_alerts = 0;
    for seed in 0..8 {
        let options = FarmOptions {
            fps: 0.1,
            ..small(seed)
        };
        let mut farm = Farm::new(options).unwrap();
        let limits = farm.limits();
        let samples = leg_samples(&mut farm);
        let mut long: BTreeMap<String, bool> = BTreeMap::new();
        let mut machines: BTreeMap<&str, PostureMachine> = BTreeMap::new();
        for sample in &samples {
            let machine = machines.entry(&sample.animal).or_insert_with(|| {
                PostureMachine::build(&sample.animal, limits.posture_options()).unwrap()
            });
            let reading = machine.push(sample.at, sample.acceleration).unwrap();
            let lies = reading.posture == Posture::Lying
                && sample.at.since(reading.since) > limits.lying_limit
                && reading.activity >= limits.activity_limit;
            *long.entry(sample.animal.clone()).or_default() |= lies;
        }
        let truth = farm.truth();
        let down = |animal: &str| truth.iter().any(|i| i.animal.as_deref() == Some(animal));
        false_alerts += long.iter().filter(|(a, lies)| **lies && !down(a)).count();
    }
    assert!(false_alerts >= 4, "{false_alerts}");
}
