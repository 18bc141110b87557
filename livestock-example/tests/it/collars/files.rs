use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use livestock::posture::Axis;
use livestock::source::collars::{Collars, LINE_BYTES_MAX, report};
use livestock::source::{Input, Source, SourceError};
use proptest::prelude::*;
use tempfile::TempDir;

const HEADER: &str =
    "MODUL\nMSR1\n\nCHANNEL\nTIME;ACC x;ACC y;ACC z;BAT\n\nUNIT\n;g;g;g;V\n\nDATA\n";

/// A recording of a cow that stands, lies and stands, ten minutes each, from 10:00.
fn cow() -> String {
    let mut text = HEADER.to_owned();
    for second in 0..1800_u32 {
        let lies = (600..1200).contains(&second);
        let wobble = if second % 3 == 0 { 0.06 } else { 0.0 };
        let [x, y, z] = if lies {
            [0.3, 0.05, -0.95]
        } else {
            [0.1 + wobble, -0.98 + wobble, 0.1]
        };
        let (minute, second) = (second / 60, second % 60);
        writeln!(
            text,
            "19.10.2015 10:{minute:02}:{second:02}.047;{x};{y};{z};3.9"
        )
        .unwrap();
    }
    text
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_cow_that_lies_ten_minutes_has_one_whole_bout() {
    let folder = folder(&[("cow_1.csv", &cow())]);
    let report = report(folder.path()).unwrap();
    let animal = &report.animals[0];
    assert_eq!((animal.animal.as_str(), animal.leg_axis), ("cow", Axis::Y));
    assert!(animal.leg_axis_found);
    assert_eq!((animal.samples, report.samples), (1800, 1800));
    let [bout] = animal.bouts.as_slice() else {
        panic!("{:?}", animal.bouts);
    };
    assert!(bout.complete);
    assert!((bout.minutes - 10.0).abs() < 0.1, "{bout:?}");
    assert!(report.share_explained > 0.99);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["animals"][0]["bouts"][0]["animal"], "cow");
}

#[test]
fn bad_rows_are_counted_and_the_others_are_used() {
    let mut text = cow();
    text.push_str("19.10.2015 10:30:00.047;0.1;what;0.1;\n");
    text.push_str("yesterday;0.1;0.1;0.1;\n");
    text.push_str("19.10.2015 10:30:02.047;0.1\n");
    text.push_str("19.10.2015 10:30:03.047;0.1;NaN;0.1;\n");
    text.push_str("32.10.2015 10:30:04.047;0.1;-0.98;0.1;\n");
    text.push_str(&"x".repeat(3 * LINE_BYTES_MAX));
    text.push_str("\n\n19.10.2015 10:30:05.047;0.1;-0.98;0.1;\r\n");
    let folder = folder(&[("cow.csv", &text)]);
    let report = report(folder.path()).unwrap();
    assert_eq!((report.samples, report.rows_bad), (1801, 6));

    let mut source = Collars::open(folder.path()).unwrap();
    let (mut good, mut bad) = (0, Vec::new());
    while let Some(input) = source.next_input() {
        match input {
            Ok(Input::Leg(_)) => good += 1,
            Err(error @ SourceError::Item { .. }) => bad.push(error.to_string()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((good, bad.len()), (1801, 6));
    assert!(
        bad[0].contains("cow.csv: line 1811: \"what\" is no acceleration"),
        "{bad:?}"
    );
    assert_eq!(source.bad_rows(), 6);
}

#[test]
fn accelerations_that_no_leg_survives_are_bad_rows() {
    let text = format!("{HEADER}19.10.2015 10:00:00;1e30;0;0;\n19.10.2015 10:00:01;0;1;0;\n");
    let folder = folder(&[("cow.csv", &text)]);
    let report = report(folder.path()).unwrap();
    assert_eq!((report.samples, report.rows_bad), (1, 1));
}

#[test]
fn columns_are_found_by_name() {
    let text = "CHANNEL\nBAT;ACC z;ACC y;ACC x;TIME\n\nUNIT\nV;g;g;g;\n\nDATA\n\
                3.9;0.3;0.2;0.1;19.10.2015 10:00:00\n";
    let folder = folder(&[("cow.csv", text)]);
    let mut source = Collars::open(folder.path()).unwrap();
    let Some(Ok(Input::Leg(sample))) = source.next_input() else {
        panic!("no sample");
    };
    assert_eq!(sample.acceleration, [0.1, 0.2, 0.3]);
}

#[test]
fn two_animals_come_in_order_of_time() {
    let folder = folder(&[("a.csv", &cow()), ("b_1.csv", &cow()), ("notes.txt", "no")]);
    let mut source = Collars::open(folder.path()).unwrap();
    let mut last = 0;
    let mut animals = std::collections::BTreeSet::new();
    while let Some(input) = source.next_input() {
        let Input::Leg(sample) = input.unwrap() else {
            panic!("no leg sample")
        };
        assert!(sample.at.as_millis() >= last);
        last = sample.at.as_millis();
        animals.insert(sample.animal);
    }
    assert_eq!(animals.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn foreign_files_are_named_with_the_way_out() {
    let cause = |text: &str| {
        let folder = folder(&[("table.csv", text)]);
        match report(folder.path()) {
            Err(error @ SourceError::Item { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    for text in ["a,b\n1,2\n", "", "\u{0}\u{1}binary", "DATA\n1;2;3\n"] {
        let message = cause(text);
        assert!(message.contains("table.csv: no leg recording"), "{message}");
        assert!(message.contains("move other files out"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let unit = cause(&HEADER.replace(";g;g;g;V", ";m/s2;m/s2;m/s2;V"));
    assert!(unit.contains("\"m/s2\""), "{unit}");
    let column = cause(&HEADER.replace("ACC y", "TEMP"));
    assert!(column.contains("ACC y"), "{column}");
}

#[test]
fn a_foreign_file_beside_recordings_is_told_and_passed_over() {
    let folder = folder(&[("cow.csv", &cow()), ("table.csv", "a,b\n1,2\n")]);
    let report = report(folder.path()).unwrap();
    assert_eq!(report.samples, 1800);
    assert_eq!(report.files_bad.len(), 1);
    assert!(report.files_bad[0].path.ends_with("table.csv"));
    let mut source = Collars::open(folder.path()).unwrap();
    assert!(matches!(
        source.next_input(),
        Some(Err(SourceError::Item { .. }))
    ));
    assert!(matches!(source.next_input(), Some(Ok(Input::Leg(_)))));
}

#[test]
fn nothing_to_read_is_an_error_where_it_is_opened() {
    let empty = TempDir::new().unwrap();
    assert!(matches!(
        Collars::open(empty.path()),
        Err(SourceError::Empty { .. })
    ));
    let missing = Path::new("/no/such/folder");
    assert!(matches!(
        Collars::open(missing),
        Err(SourceError::Read { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every line after `DATA` that is not empty is a sample or a bad row, whatever is in it.
    #[test]
    fn rows_are_samples_or_bad(
        lines in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,60}",
                "[0-9]{2}\\.10\\.2015 [0-9]{2}:[0-9]{2}:[0-9]{2};-?[0-9.]{1,4};0.1;0.9;",
            ],
            0..40,
        ),
    ) {
        let folder = folder(&[("cow.csv", &format!("{HEADER}{}", lines.join("\n")))]);
        let rows = lines.iter().filter(|line| !line.trim().is_empty()).count() as u64;
        let mut source = Collars::open(folder.path()).unwrap();
        let (mut samples, mut bad) = (0, 0);
        while let Some(input) = source.next_input() {
            match input {
                Ok(_) => samples += 1,
                Err(_) => bad += 1,
            }
        }
        prop_assert_eq!(samples + bad, rows);
        prop_assert_eq!(source.bad_rows(), bad);
        let report = report(folder.path()).unwrap();
        let repeated: u64 = report.animals.iter().map(|a| a.samples_repeated).sum();
        prop_assert_eq!(report.samples + repeated + report.rows_bad, rows);
    }
}
