//! A camera's frames through detection and motion side by side, with the time that each took.
//! The workflow is `workflows/camera.yaml`; `flowcore test` runs the tests in it.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example that measures"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use flowcore::{ActionError, Engine, MemoryJournal, RunStatus, Runner, Timestamp, Workflow};
use serde_json::{Value, json};

const FRAMES: u64 = 200;
const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// A scene in grey: a bright square that walks in from frame 50 to 149.
fn scene(frame: u64) -> Vec<u8> {
    let mut pixels = vec![20; WIDTH * HEIGHT];
    if (50..150).contains(&frame) {
        let left = usize::try_from(frame - 50).unwrap_or(0);
        for y in 40..70 {
            pixels[y * WIDTH + left..y * WIDTH + left + 30].fill(220);
        }
    }
    pixels
}

/// The bright share of the picture.
fn brightness(frame: u64) -> f64 {
    let bright = scene(frame).iter().filter(|pixel| **pixel > 128).count();
    bright as f64 / (WIDTH * HEIGHT) as f64
}

/// How much changed between two pictures, in pixels of a walking edge.
fn motion(frame: u64, before: u64) -> f64 {
    let changed = scene(frame)
        .iter()
        .zip(scene(before))
        .filter(|(now, then)| now.abs_diff(*then) > 64)
        .count();
    changed as f64 / 60.0
}

fn number(value: &Value, name: &str) -> Result<u64, ActionError> {
    value[name]
        .as_u64()
        .ok_or_else(|| ActionError::new("Input", format!("`{name}` is no number: {value}")))
}

/// Runs all frames through the workflow; the time that each took, in ascending order.
pub fn frames() -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut engine = Engine::new(MemoryJournal::new())
        .action("decode_frame", |call| {
            Ok(json!({"image": number(call.params(), "frame")?}))
        })
        .action("detect_objects", |call| {
            let share = brightness(number(call.params(), "image")?);
            let found: Vec<Value> = (share > 0.02)
                .then(|| json!({"kind": "person", "score": 0.6 + share}))
                .into_iter()
                .collect();
            Ok(json!({"found": found}))
        })
        .action("estimate_motion", |call| {
            let params = call.params();
            Ok(json!({"speed": motion(number(params, "image")?, number(params, "before")?)}))
        })
        .action("save_clip", |call| {
            Ok(json!({"path": format!("/clips/{}.mp4", call.params()["frame"])}))
        })
        .action("raise_alarm", |call| {
            Ok(json!({"alarm": true, "clip": call.params()["clip"]}))
        })
        .action("local_siren", |_| Ok(json!({"siren": true})));
    engine.deploy(Workflow::from_yaml(include_str!("workflows/camera.yaml"))?)?;

    // The workflow's clock stands still, so that a busy machine does not run into its timeouts.
    let mut runner = Runner::with_clock(engine, || Timestamp::from_millis(0));
    let (mut alarms, mut spent) = (0, Vec::new());
    for frame in 1..FRAMES {
        let begun = Instant::now();
        let input = json!({"frame": frame, "before": frame - 1});
        let run = runner
            .engine()
            .trigger("frame", input, Timestamp::from_millis(0))?;
        runner.run_until_idle()?;
        spent.push(begun.elapsed());
        let info = runner.engine().status(run)?;
        assert_eq!(info.status, RunStatus::Succeeded);
        alarms += u64::from(info.output["alarm"] == true);
    }
    // The square is there for a hundred frames, and its leaving moves the picture once more.
    assert_eq!(alarms, 101);
    spent.sort_unstable();
    Ok(spent)
}

fn main() -> Result<(), Box<dyn Error>> {
    let spent = frames()?;
    println!(
        "{} frames; p50 {:?}, p99 {:?} a frame",
        spent.len(),
        spent[spent.len() / 2],
        spent[spent.len() * 99 / 100]
    );
    Ok(())
}
