//! What cannot work is told in one line with the way out, and exit code 2.

use std::fs;

use super::{data, lines, run};

fn assert_refused(args: &[&str], words: &[&str]) {
    let output = run(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    let last: Vec<&str> = error.lines().collect();
    assert_eq!(last.len(), 1, "{args:?}: {error}");
    for word in words {
        assert!(error.contains(word), "{args:?}: no {word:?} in {error}");
    }
}

#[test]
fn a_file_or_folder_that_is_not_there_is_named() {
    assert_refused(
        &["run", "no/such/farm.toml"],
        &["no/such/farm.toml", "demo"],
    );
    assert_refused(&["check", "no/such/farm.toml"], &["no/such/farm.toml"]);
    assert_refused(&["run", "--photos", "no/such/folder"], &["no/such/folder"]);
    assert_refused(
        &["run", "--video", "no/such/file.mp4"],
        &["no/such/file.mp4"],
    );
    assert_refused(&["run", "--collars", "no/such/folder"], &["no/such/folder"]);
    assert_refused(&["run"], &["farm.toml", "demo"]);
}

#[test]
fn an_empty_folder_says_what_it_should_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_refused(&["run", "--photos", path], &[path, "jpg"]);
    assert_refused(&["run", "--collars", path], &[path, "csv"]);
}

#[test]
fn a_broken_configuration_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("farm.toml");
    fs::write(&path, "name = \"home\"\n[limits]\ncrowd_size = \"many\"\n").unwrap();
    assert_refused(&["run", path.to_str().unwrap()], &["farm.toml, line 3"]);
}

#[test]
fn a_model_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jpg"), b"").unwrap();
    let photos = folder.path().to_str().unwrap();
    assert_refused(
        &["run", "--photos", photos, "--model", "yolo"],
        &["yolo", "ssd=FILE.onnx"],
    );
    assert_refused(
        &["run", "--photos", photos, "--model", "ssd=no/such.onnx"],
        &["no/such.onnx", "models get ssd"],
    );
    let fake = folder.path().join("fake.onnx");
    fs::write(&fake, b"this is no model").unwrap();
    let wanted = if cfg!(feature = "ssd") {
        "no ONNX model"
    } else {
        "--features ssd"
    };
    let model = format!("ssd={}", fake.display());
    assert_refused(&["run", "--photos", photos, "--model", &model], &[wanted]);
}

#[test]
fn a_port_that_is_none_is_refused() {
    assert_refused(
        &["demo", "--seconds", "5", "--fast", "--mqtt", "host:port"],
        &["host:port"],
    );
}

#[test]
fn one_bad_photo_is_counted_and_stops_nothing() {
    let Some(photos) = data("livestock/photos") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (i, file) in fs::read_dir(photos).unwrap().take(3).enumerate() {
        fs::copy(file.unwrap().path(), folder.path().join(format!("{i}.jpg"))).unwrap();
    }
    let bytes = fs::read(folder.path().join("0.jpg")).unwrap();
    fs::write(folder.path().join("broken.jpg"), &bytes[..60]).unwrap();
    fs::write(folder.path().join("empty.jpg"), b"").unwrap();
    let (_, summary) = lines(&run(&[
        "run",
        "--photos",
        folder.path().to_str().unwrap(),
        "--json",
    ]));
    assert_eq!(summary["frames"], 3, "{summary}");
    assert_eq!(summary["inputs_failed"]["damaged item"], 2, "{summary}");
}
