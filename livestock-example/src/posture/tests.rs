use std::time::Duration;

use proptest::prelude::*;

use super::{
    Axis, BOUTS_HELD_MAX, LegAxisFinder, LyingBout, Posture, PostureError, PostureMachine,
    PostureOptions,
};
use crate::time::Timestamp;

const UPRIGHT: [f32; 3] = [0.1, -0.98, 0.1];
const LEVEL: [f32; 3] = [0.4, 0.1, 0.9];

fn machine() -> PostureMachine {
    PostureMachine::build("cow", PostureOptions::default()).unwrap()
}

/// Pushes `seconds` samples at 1 Hz from `start` on.
fn push(machine: &mut PostureMachine, start: i64, seconds: i64, acceleration: [f32; 3]) {
    for second in start..start + seconds {
        machine
            .push(Timestamp::from_millis(second * 1000), acceleration)
            .unwrap();
    }
}

fn seconds(bout: &LyingBout) -> (i64, i64) {
    (bout.start.as_millis() / 1000, bout.end.as_millis() / 1000)
}

#[test]
fn a_bout_counts_from_its_first_sample() {
    let mut machine = machine();
    push(&mut machine, 0, 300, UPRIGHT);
    push(&mut machine, 300, 600, LEVEL);
    push(&mut machine, 900, 300, UPRIGHT);
    let bouts = machine.take_bouts();
    assert_eq!(bouts.len(), 1);
    // The median of five turns two samples late, at both ends.
    assert_eq!(seconds(&bouts[0]), (302, 902));
    assert!(bouts[0].complete);
}

#[test]
fn a_short_change_is_no_bout_and_is_not_explained() {
    let mut machine = machine();
    push(&mut machine, 0, 300, UPRIGHT);
    push(&mut machine, 300, 60, LEVEL);
    push(&mut machine, 360, 300, UPRIGHT);
    machine.close();
    assert_eq!(machine.take_bouts(), []);
    let counts = machine.counts();
    assert_eq!(
        (counts.samples, counts.explained, counts.unexplained),
        (660, 600, 60)
    );
}

#[test]
fn single_wild_samples_change_nothing() {
    let mut machine = machine();
    push(&mut machine, 0, 300, LEVEL);
    for second in 300..900 {
        let acceleration = if second % 5 == 0 {
            [0.0, 2.0, 0.0]
        } else {
            LEVEL
        };
        let at = Timestamp::from_millis(second * 1000);
        let reading = machine.push(at, acceleration).unwrap();
        assert_eq!(reading.posture, Posture::Lying);
    }
    machine.close();
    assert_eq!(machine.counts().explained, 900);
}

#[test]
fn mounting_upside_down_or_turned_makes_no_difference() {
    let turns: [fn([f32; 3]) -> [f32; 3]; 3] = [
        |[x, y, z]| [-x, -y, z],
        |[x, y, z]| [z, y, -x],
        |[x, y, z]| [-z, -y, -x],
    ];
    for turn in turns {
        let mut machine = machine();
        push(&mut machine, 0, 300, turn(UPRIGHT));
        push(&mut machine, 300, 300, turn(LEVEL));
        push(&mut machine, 600, 300, turn(UPRIGHT));
        assert_eq!(machine.take_bouts().len(), 1);
    }
}

#[test]
fn a_tilt_within_the_hysteresis_keeps_the_posture() {
    let tilted = |deg: f32| [deg.to_radians().sin(), deg.to_radians().cos(), 0.0];
    let mut machine = machine();
    push(&mut machine, 0, 300, tilted(20.0));
    push(&mut machine, 300, 300, tilted(65.0));
    let at = Timestamp::from_millis(600_000);
    assert_eq!(
        machine.push(at, tilted(65.0)).unwrap().posture,
        Posture::Standing
    );
    push(&mut machine, 601, 300, tilted(80.0));
    push(&mut machine, 901, 300, tilted(55.0));
    let at = Timestamp::from_millis(1_201_000);
    assert_eq!(
        machine.push(at, tilted(55.0)).unwrap().posture,
        Posture::Lying
    );
}

#[test]
fn silence_ends_a_bout_at_its_last_sample() {
    let mut machine = machine();
    push(&mut machine, 0, 300, LEVEL);
    push(&mut machine, 500, 300, LEVEL);
    machine.close();
    let bouts = machine.take_bouts();
    assert_eq!(
        bouts.iter().map(seconds).collect::<Vec<_>>(),
        [(0, 299), (500, 799)]
    );
    assert!(bouts.iter().all(|bout| !bout.complete));
}

#[test]
fn activity_is_the_mean_step() {
    let mut machine = machine();
    let mut last = 0.0;
    for second in 0..400 {
        let x = if second % 2 == 0 { 0.1 } else { 0.3 };
        let at = Timestamp::from_millis(second * 1000);
        last = machine.push(at, [x, -0.9, 0.0]).unwrap().activity;
    }
    assert!((last - 0.2).abs() < 1e-4, "{last}");
    push(&mut machine, 400, 300, UPRIGHT);
    let at = Timestamp::from_millis(700_000);
    assert!(machine.push(at, UPRIGHT).unwrap().activity < 1e-6);
}

#[test]
fn samples_that_cannot_be_are_refused_and_change_nothing() {
    let mut machine = machine();
    push(&mut machine, 0, 10, UPRIGHT);
    let before = machine.counts();
    let at = Timestamp::from_millis(10_000);
    for bad in [f32::NAN, f32::INFINITY, -101.0] {
        let refused = machine.push(at, [0.0, bad, 0.0]);
        assert!(matches!(refused, Err(PostureError::Acceleration { .. })));
    }
    let again = machine.push(Timestamp::from_millis(9_000), UPRIGHT);
    assert!(matches!(again, Err(PostureError::NotLater { .. })));
    assert_eq!(machine.counts(), before);
}

#[test]
fn options_out_of_range_are_named() {
    let usual = PostureOptions::default;
    let refused = |options| match PostureMachine::build("cow", options) {
        Err(PostureError::Option { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    for median_samples in [0, 4, 63] {
        let options = PostureOptions {
            median_samples,
            ..usual()
        };
        assert_eq!(refused(options), "median_samples");
    }
    let options = PostureOptions {
        hysteresis_deg: 40.0,
        ..usual()
    };
    assert_eq!(refused(options), "hysteresis_deg");
    let options = PostureOptions {
        activity_window: Duration::ZERO,
        ..usual()
    };
    assert_eq!(refused(options), "activity_window");
}

#[test]
fn bouts_that_nobody_takes_are_dropped_and_counted() {
    let options = PostureOptions {
        bout_min: Duration::from_secs(1),
        median_samples: 1,
        ..PostureOptions::default()
    };
    let mut machine = PostureMachine::build("cow", options).unwrap();
    let cycles = BOUTS_HELD_MAX as i64 + 3;
    for cycle in 0..cycles {
        push(&mut machine, cycle * 8, 4, LEVEL);
        push(&mut machine, cycle * 8 + 4, 4, UPRIGHT);
    }
    assert_eq!(machine.counts().bouts_dropped, 3);
    assert_eq!(machine.take_bouts().len(), BOUTS_HELD_MAX);
}

#[test]
fn the_axis_along_the_leg_is_found_wherever_it_is() {
    let mut lots = fastrand::Rng::with_seed(7);
    for (axis, turn) in [(Axis::X, 1), (Axis::Y, 0), (Axis::Z, 2)] {
        let mut finder = LegAxisFinder::new();
        for second in 0..2000 {
            let stands = second % 1000 < 600;
            let (mut a, noise) = if stands {
                (UPRIGHT, 0.1)
            } else {
                (LEVEL, 0.02)
            };
            for g in &mut a {
                *g += (lots.f32() - 0.5) * noise;
            }
            a.rotate_left(turn);
            finder.push(a);
        }
        assert_eq!(finder.axis(), Some(axis));
    }
    let mut finder = LegAxisFinder::new();
    for _ in 0..2000 {
        finder.push(UPRIGHT);
    }
    assert_eq!(finder.axis(), None);
}

proptest! {
    #[test]
    fn counters_add_up_and_bouts_are_apart(
        runs in prop::collection::vec((1_i64..400, 0_u8..4, 0_i64..200), 1..20),
    ) {
        let mut machine = machine();
        let (mut now, mut pushed) = (0, 0);
        for (length, kind, silence) in runs {
            let acceleration = match kind {
                0 => UPRIGHT,
                1 => LEVEL,
                2 => [0.0; 3],
                _ => [0.5, 0.5, 0.0],
            };
            push(&mut machine, now, length, acceleration);
            now += length + silence;
            pushed += length as u64;
            let counts = machine.counts();
            prop_assert_eq!(counts.samples, pushed);
            prop_assert_eq!(counts.explained + counts.unexplained + counts.pending, pushed);
        }
        machine.close();
        let counts = machine.counts();
        prop_assert_eq!(counts.pending, 0);
        prop_assert_eq!(counts.explained + counts.unexplained, pushed);
        let bouts = machine.take_bouts();
        for bout in &bouts {
            prop_assert!(bout.minutes * 60.0 >= 119.0);
            prop_assert!(bout.start < bout.end);
        }
        for pair in bouts.windows(2) {
            prop_assert!(pair[0].end < pair[1].start);
        }
    }
}
