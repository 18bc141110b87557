//! The gateway outlives its detector, whatever the detector does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use livestock::detection::Label;
use livestock::frame::{CameraId, Frame};
use livestock::runner::{Launch, Runner, RunnerCounters, RunnerError, RunnerLimits};
use livestock::time::Timestamp;

/// The program that cargo builds beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/misbehaving_detector")
}

fn start(kind: &str) -> Result<Runner, RunnerError> {
    let limits = RunnerLimits {
        start: Duration::from_secs(5),
        frame: Duration::from_secs(2),
    };
    Runner::start(
        Launch {
            program: program(),
            args: vec![kind.into()],
        },
        limits,
    )
}

fn frame(camera: &str) -> Frame {
    Frame::new(
        CameraId::new(camera),
        0,
        Timestamp::default(),
        8,
        8,
        Arc::from([7_u8; 192]),
    )
    .unwrap()
}

/// Asks until the detector is up again.
fn recovers(runner: &mut Runner) {
    for _ in 0..200 {
        match runner.infer(&frame("pen")) {
            Ok(inference) => {
                assert_eq!(inference.detections[0].label, Label::Cattle);
                assert_eq!(inference.detections[0].embedding, [0.6, 0.8]);
                return;
            }
            Err(RunnerError::Down(_)) => std::thread::sleep(Duration::from_millis(50)),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the detector is not started again");
}

/// One failure of this kind, then all is well; gives the failure's reason and the counters.
fn fails_and_recovers(camera: &str) -> (&'static str, RunnerCounters) {
    let mut runner = start("serve").unwrap();
    recovers(&mut runner);
    let reason = runner.infer(&frame(camera)).unwrap_err().reason();
    recovers(&mut runner);
    (
        reason,
        RunnerCounters {
            while_down: 0,
            ..runner.counters()
        },
    )
}

#[test]
fn a_detector_that_hangs_is_ended_and_started_again() {
    let (reason, counters) = fails_and_recovers("hang");
    assert_eq!(reason, "detector timeout");
    assert_eq!(
        counters,
        RunnerCounters {
            restarts: 1,
            timeouts: 1,
            ..RunnerCounters::default()
        }
    );
}

#[test]
fn a_detector_that_crashes_is_started_again() {
    let (reason, counters) = fails_and_recovers("crash");
    assert_eq!(reason, "detector crash");
    assert_eq!(
        counters,
        RunnerCounters {
            restarts: 1,
            crashes: 1,
            ..RunnerCounters::default()
        }
    );
}

#[test]
fn rubbish_and_answers_beyond_the_limits_are_refused_and_the_detector_is_started_again() {
    for camera in ["score", "many", "huge"] {
        let (reason, counters) = fails_and_recovers(camera);
        assert_eq!(reason, "detector rubbish", "{camera}");
        assert_eq!(
            counters,
            RunnerCounters {
                restarts: 1,
                rubbish: 1,
                ..RunnerCounters::default()
            },
            "{camera}"
        );
    }
}

#[test]
fn a_refused_frame_costs_no_restart() {
    let (reason, counters) = fails_and_recovers("refuse");
    assert_eq!(reason, "detector refused");
    assert_eq!(
        counters,
        RunnerCounters {
            refused: 1,
            ..RunnerCounters::default()
        }
    );
}

#[test]
fn a_detector_killed_while_it_serves_is_started_again_as_another_process() {
    let mut runner = start("serve").unwrap();
    recovers(&mut runner);
    let first = runner.description().name.clone();
    let id = first.strip_prefix("process ").unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-9", id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        runner.infer(&frame("pen")).unwrap_err().reason(),
        "detector crash"
    );
    recovers(&mut runner);
    assert_ne!(runner.description().name, first);
    assert_eq!(runner.counters().crashes, 1);
}

#[test]
fn another_protocol_is_told() {
    assert!(matches!(
        start("old").err(),
        Some(RunnerError::Protocol { found: 99 })
    ));
}

#[test]
fn a_detector_that_cannot_load_its_model_says_why() {
    let told = start("broken").err().unwrap();
    assert!(
        told.to_string()
            .ends_with("cannot read the model barn.onnx: it is cut short"),
        "{told}"
    );
}

#[test]
fn a_silent_detector_is_given_up() {
    let limits = RunnerLimits {
        start: Duration::from_millis(300),
        ..RunnerLimits::default()
    };
    let launch = Launch {
        program: program(),
        args: vec!["silent".into()],
    };
    assert!(matches!(
        Runner::start(launch, limits).err(),
        Some(RunnerError::Silent(_))
    ));
}
