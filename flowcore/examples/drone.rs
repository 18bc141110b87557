//! A drone surveys a field: a monitor at 10 Hz and a planner once a minute run beside each other, and
//! a low battery ends both at once. Thirty minutes of flight pass under a virtual clock. The workflow
//! is `workflows/drone.yaml`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use flowcore::{Engine, MemoryJournal, RunStatus, Runner, Timestamp, Workflow};
use serde_json::json;

/// Looks of the monitor and plans made.
#[derive(Default)]
struct Counts {
    looks: AtomicU64,
    plans: AtomicU64,
}

/// Flies with a battery that lasts `battery_min` minutes; returns the counts, where the run ended
/// and how long it took.
fn fly(
    minutes: u64,
    battery_min: f64,
) -> Result<(Arc<Counts>, String, i64), Box<dyn std::error::Error>> {
    let counts = Arc::new(Counts::default());
    let (looking, planning) = (Arc::clone(&counts), Arc::clone(&counts));
    let home = Arc::new(AtomicU64::new(0));
    let going = Arc::clone(&home);
    let mut engine = Engine::new(MemoryJournal::new())
        .action("plan_route", move |call| {
            planning.plans.fetch_add(1, Ordering::Relaxed);
            Ok(json!({"route": call.params()["field"]}))
        })
        .action("take_off", |_| Ok(json!({})))
        .action("check_health", move |call| {
            looking.looks.fetch_add(1, Ordering::Relaxed);
            let tick = call.params()["tick"].as_f64().unwrap_or(0.0);
            Ok(json!({"battery": 100.0 * (1.0 - tick / 600.0 / battery_min)}))
        })
        .action("fly_home", move |call| {
            going.store(1, Ordering::Relaxed);
            Ok(json!({"because": call.params()["because"]}))
        })
        .action("land", |_| Ok(json!({"landed": true})));
    engine.deploy(Workflow::from_yaml(include_str!("workflows/drone.yaml"))?)?;

    let clock = Arc::new(AtomicI64::new(0));
    let reading = Arc::clone(&clock);
    let now = move || Timestamp::from_millis(reading.load(Ordering::Relaxed));
    let input = json!({"field": "north", "minutes": minutes});
    let run = engine.trigger("survey", input, now())?;
    let mut runner = Runner::with_clock(engine, now);
    loop {
        runner.run_until_idle()?;
        let info = runner.engine().status(run)?;
        match runner.engine().next_wake() {
            Some(due) if info.status == RunStatus::Running => {
                clock.store(due.as_millis(), Ordering::Relaxed);
            }
            _ => {
                let how = match home.load(Ordering::Relaxed) {
                    0 => "surveyed to the end",
                    _ => "flew home early",
                };
                assert_eq!(info.output, json!({"landed": true}));
                return Ok((counts, how.to_owned(), clock.load(Ordering::Relaxed)));
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (minutes, battery_min) in [(30, 60.0), (30, 20.0)] {
        let (counts, how, at_ms) = fly(minutes, battery_min)?;
        let looks = counts.looks.load(Ordering::Relaxed);
        let plans = counts.plans.load(Ordering::Relaxed);
        println!(
            "{how} after {} s: {looks} looks, {plans} plans",
            at_ms / 1_000
        );
        // Ten looks a second and a plan a minute, whatever else goes on.
        let seconds = u64::try_from(at_ms)? / 1_000;
        assert!(
            looks.abs_diff(seconds * 10) <= 10,
            "{looks} looks in {seconds} s"
        );
        assert_eq!(plans, 1 + seconds / 60);
        assert_eq!(how == "flew home early", battery_min < 30.0);
    }
    Ok(())
}
