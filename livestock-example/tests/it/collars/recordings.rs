//! Three recordings of dairy cows at 1 Hz, two parts of one logger and one of another.
//!
//! In both loggers the first 24 minutes have the same two constant directions, and in MSR314606 the
//! sensor is turned about for another 25: it may well not have been on a leg yet. Gravity says "level"
//! all the same, and that is what is tested.

use std::collections::BTreeMap;
use std::path::PathBuf;

use livestock::posture::{Axis, LyingBout};
use livestock::source::collars::{CollarReport, Collars, report};
use livestock::source::{Input, Source};
use livestock::time::Timestamp;

#[expect(clippy::print_stdout, reason = "a test that skips says so")]
fn recordings() -> Option<PathBuf> {
    let root = std::env::var_os("EDGEWEAVE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("livestock/collars");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no recordings in {}", folder.display());
    None
}

fn bouts(report: &CollarReport, animal: &str) -> Vec<LyingBout> {
    let animals = report.animals.iter();
    animals
        .filter(|a| a.animal == animal)
        .flat_map(|a| a.bouts.clone())
        .collect()
}

/// 19 October 2015.
fn at(hour: i64, minute: i64, second: i64) -> i64 {
    1_445_212_800_000 + ((hour * 60 + minute) * 60 + second) * 1000
}

fn near(time: Timestamp, expected: i64, tolerance_s: i64) {
    let off = (time.as_millis() - expected).abs();
    assert!(
        off <= tolerance_s * 1000,
        "{time} is {off} ms from {expected}"
    );
}

#[test]
fn bouts_begin_and_end_where_gravity_turns() {
    let Some(folder) = recordings() else { return };
    let report = report(&folder).unwrap();
    assert_eq!(report.animals.len(), 2);
    assert!(
        report
            .animals
            .iter()
            .all(|a| a.leg_axis == Axis::Y && a.leg_axis_found)
    );
    // Level until 10:26, upright over the change of files at 11:30, level from 12:01 on.
    let first = bouts(&report, "MSR310220");
    assert_eq!(first.len(), 2);
    near(first[0].start, at(10, 0, 0), 1);
    near(first[0].end, at(10, 26, 47), 30);
    near(first[1].start, at(12, 1, 11), 30);
    near(first[1].end, at(13, 0, 0), 1);
    let other = bouts(&report, "MSR314606");
    assert_eq!(other.len(), 1);
    near(other[0].end, at(10, 50, 29), 30);
    // None of them was seen from its beginning to its end.
    assert!(first.iter().chain(&other).all(|bout| !bout.complete));
    let lying: f64 = first.iter().map(|bout| bout.minutes).sum();
    assert!((lying - report.animals[0].minutes_lying).abs() < 1e-9);
}

#[test]
fn postures_explain_nearly_every_sample() {
    let Some(folder) = recordings() else { return };
    let report = report(&folder).unwrap();
    // Three files of 5401 rows; the second part repeats the last row of the first.
    assert_eq!(report.samples, 3 * 5401 - 1);
    assert_eq!(report.rows_bad, 0);
    assert_eq!(report.files_bad, []);
    assert!(report.animals[0].share_explained > 0.995);
    // Twenty-five minutes in which the sensor is turned about.
    assert!(report.animals[1].share_explained > 0.9);
    assert!(report.share_explained > 0.97);
    let cow = &report.animals[0];
    assert!(cow.activity_standing.unwrap() > 1.5 * cow.activity_lying.unwrap());
}

/// The bouts agree with gravity itself: an independent look at the raw samples of each minute.
#[test]
fn minutes_inside_bouts_are_level_and_those_outside_upright() {
    let Some(folder) = recordings() else { return };
    let report = report(&folder).unwrap();
    let mut minutes: BTreeMap<(String, i64), (f32, u32)> = BTreeMap::new();
    let mut source = Collars::open(&folder).unwrap();
    let mut last = Timestamp::from_millis(0);
    while let Some(input) = source.next_input() {
        let Input::Leg(sample) = input.unwrap() else {
            panic!("a collar gives leg samples");
        };
        assert!(sample.at >= last);
        last = sample.at;
        let minute = sample.at.as_millis().div_euclid(60_000);
        let [x, y, z] = sample.acceleration;
        let sum = minutes.entry((sample.animal, minute)).or_default();
        sum.0 += y.abs() / (x * x + y * y + z * z).sqrt();
        sum.1 += 1;
    }
    let (mut agree, mut whole) = (0, 0);
    for ((animal, minute), (sum, count)) in minutes {
        let (from, to) = (minute * 60_000, minute * 60_000 + 60_000);
        let bouts = bouts(&report, &animal);
        let inside = |b: &LyingBout| b.start.as_millis() <= from && to <= b.end.as_millis();
        let apart = |b: &LyingBout| b.end.as_millis() <= from || to <= b.start.as_millis();
        let level = sum / (count as f32) < 0.5;
        if bouts.iter().any(inside) {
            agree += u32::from(level);
        } else if bouts.iter().all(apart) {
            agree += u32::from(!level);
        } else {
            continue;
        }
        whole += 1;
    }
    assert!(whole > 260, "{whole}");
    assert!(
        f64::from(agree) / f64::from(whole) > 0.95,
        "{agree} of {whole}"
    );
}
