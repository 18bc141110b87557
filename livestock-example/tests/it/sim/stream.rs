use std::collections::BTreeMap;

use livestock::sim::{Farm, FarmError, FarmOptions};
use livestock::source::{Input, Source};
use livestock::time::Timestamp;

use super::{frames, leg_samples, seconds, small};

#[test]
fn same_seed_gives_the_same_bytes_and_another_seed_others() {
    let run = |seed| {
        let mut farm = Farm::new(seconds(seed, 12)).unwrap();
        let truth = farm.truth().to_vec();
        let pictures: Vec<_> = frames(&mut farm)
            .iter()
            .map(|frame| frame.rgb().clone())
            .collect();
        let mut farm = Farm::new(seconds(seed, 12)).unwrap();
        (truth, pictures, leg_samples(&mut farm))
    };
    let (first, again, other) = (run(5), run(5), run(6));
    assert_eq!(first.0, again.0);
    assert!(first.1 == again.1, "pictures differ");
    assert_eq!(first.2, again.2);
    assert_ne!(first.0, other.0);
    assert!(first.1 != other.1, "pictures are the same");
    assert_ne!(first.2, other.2);
}

#[test]
fn inputs_come_in_order_of_time_without_gaps() {
    let options = FarmOptions {
        fps: 3.0,
        ..seconds(2, 10)
    };
    let (cameras, sensors) = (options.cameras as u64, options.leg_sensors);
    let mut farm = Farm::new(options).unwrap();
    let (expected, start, end) = (farm.frames(), farm.start(), farm.end());
    let mut last = start;
    let mut next_seq: BTreeMap<String, u64> = BTreeMap::new();
    let mut samples: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    while let Some(input) = farm.next_input() {
        let input = input.unwrap();
        assert!(input.at() >= last && input.at() < end);
        last = input.at();
        match input {
            Input::Frame(frame) => {
                let seq = next_seq.entry(frame.camera.to_string()).or_default();
                assert_eq!(frame.seq, *seq);
                *seq += 1;
            }
            Input::Leg(sample) => samples.entry(sample.animal).or_default().push(sample.at),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next_seq.values().sum::<u64>(), expected);
    assert_eq!(expected, 10 * 3 * cameras);
    assert_eq!(samples.len(), sensors);
    for times in samples.values() {
        assert_eq!(times.len(), 10);
        assert!(
            times
                .windows(2)
                .all(|w| w[1].since(w[0]).as_millis() == 1000)
        );
    }
}

#[test]
fn night_falls_half_way_and_has_no_colour() {
    let mut farm = Farm::new(seconds(3, 10)).unwrap();
    let night = farm.night();
    assert_eq!(night.since(farm.start()), farm.end().since(night));
    for frame in frames(&mut farm) {
        let grey = frame
            .rgb()
            .chunks_exact(3)
            .all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
        assert_eq!(grey, frame.at >= night, "{frame:?}");
    }
}

#[test]
fn options_out_of_range_are_named() {
    let refused = |options: FarmOptions| match Farm::new(options) {
        Err(FarmError::Option { option, .. }) => option,
        other => panic!("{:?}", other.map(|_| ())),
    };
    let usual = || small(1);
    let none = std::time::Duration::ZERO;
    assert_eq!(
        refused(FarmOptions {
            duration: none,
            ..usual()
        }),
        "duration"
    );
    assert_eq!(
        refused(FarmOptions {
            cameras: 0,
            ..usual()
        }),
        "cameras"
    );
    assert_eq!(
        refused(FarmOptions {
            cameras: 65,
            ..usual()
        }),
        "cameras"
    );
    assert_eq!(
        refused(FarmOptions {
            fps: f32::NAN,
            ..usual()
        }),
        "fps"
    );
    assert_eq!(
        refused(FarmOptions {
            fps: 1e9,
            ..usual()
        }),
        "fps"
    );
    assert_eq!(
        refused(FarmOptions {
            width: 1 << 20,
            ..usual()
        }),
        "width"
    );
    assert_eq!(
        refused(FarmOptions {
            height: 0,
            ..usual()
        }),
        "height"
    );
    assert_eq!(
        refused(FarmOptions {
            animals_per_camera: 11,
            ..usual()
        }),
        "animals_per_camera"
    );
    assert_eq!(
        refused(FarmOptions {
            leg_sensors: 17,
            ..usual()
        }),
        "leg_sensors"
    );
}

#[test]
fn more_incidents_than_fit_are_refused_with_the_number_that_does() {
    let asked = FarmOptions {
        incidents: Some(500),
        ..small(1)
    };
    let Err(FarmError::TooManyIncidents { asked: 500, fit }) = Farm::new(asked) else {
        panic!("500 incidents in a minute");
    };
    let fits = FarmOptions {
        incidents: Some(fit),
        ..small(1)
    };
    assert_eq!(Farm::new(fits).unwrap().truth().len(), fit);
}

#[test]
fn a_farm_without_animals_has_people_only() {
    let empty = FarmOptions {
        animals_per_camera: 0,
        leg_sensors: 0,
        ..seconds(1, 30)
    };
    let farm = Farm::new(empty).unwrap();
    assert!(!farm.truth().is_empty());
    assert!(
        farm.truth()
            .iter()
            .all(|incident| incident.animal.is_none())
    );
}
