//! Real photos and real leg recordings.

use super::{assert_adds_up, data, lines, run};

#[cfg(feature = "ssd")]
#[test]
fn cattle_come_first_in_nine_of_ten_photos() {
    let (Some(photos), Some(model)) = (
        data("livestock/photos"),
        data("livestock/models/ssd_mobilenetv2_oidv4.onnx"),
    ) else {
        return;
    };
    let model = format!("ssd={}", model.display());
    let (_, summary) = lines(&run(&[
        "run",
        "--photos",
        photos.to_str().unwrap(),
        "--model",
        &model,
        "--json",
    ]));
    assert_adds_up(&summary);
    assert_eq!(summary["frames"], 36);
    assert!(
        summary["cattle_top_share"].as_f64().unwrap() >= 0.9,
        "{summary}"
    );
    assert!(summary["infer_ms"]["p50"].as_f64().unwrap() > 0.0);
}

#[test]
fn leg_recordings_give_lying_bouts_that_explain_their_samples() {
    let Some(collars) = data("livestock/collars") else {
        return;
    };
    let (_, summary) = lines(&run(&[
        "run",
        "--collars",
        collars.to_str().unwrap(),
        "--json",
    ]));
    assert_adds_up(&summary);
    let report = &summary["collars"];
    assert!(
        report["share_explained"].as_f64().unwrap() > 0.95,
        "{report}"
    );
    let animals = report["animals"].as_array().unwrap();
    assert!(!animals.is_empty());
    for animal in animals {
        for bout in animal["bouts"].as_array().unwrap() {
            let length = bout["end"].as_f64().unwrap() - bout["start"].as_f64().unwrap();
            assert!(
                (length / 60_000.0 - bout["minutes"].as_f64().unwrap()).abs() < 0.1,
                "{bout}"
            );
        }
    }
}
