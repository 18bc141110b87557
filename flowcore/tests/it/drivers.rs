//! The same work on one thread, on a pool and on tokio.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowcore::{
    ActionError, Engine, Journal, MemoryJournal, Order, Pool, RunId, RunStatus, Runner, Timestamp,
    Workflow,
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(0);

const FAN: &str = "
workflow:
  name: fan
  steps:
    - {id: seed, action: mix, params: {n: '${input}'}}
    - id: wide
      for_each: 12
      limit: 6
      steps:
        - {id: a, action: mix, params: {n: '${item + seed.n}'}}
        - {id: b, action: mix, params: {n: '${a.n}'}, retry: {max_attempts: 2, interval: 0s}}
    - id: both
      parallel:
        - {id: left, steps: [{id: l, action: mix, params: {n: 1}}]}
        - {id: right, steps: [{id: r, action: slow, params: {n: 2}}]}
    - {id: end, action: mix, params: {n: '${both.left.n + both.right.n}'}}
";

fn engine(journal: MemoryJournal) -> Engine<MemoryJournal> {
    let n = |call: &flowcore::Call| call.params()["n"].as_i64().unwrap_or_default();
    let mut engine = Engine::new(journal)
        .action("mix", move |call| {
            // Fails at times, as its data says and not as the clock does.
            if call.attempt() == 1 && n(call) % 7 == 3 && call.step() == "b" {
                return Err(ActionError::new("Odd", "try again"));
            }
            std::thread::sleep(Duration::from_micros(n(call).unsigned_abs() * 37 % 300));
            Ok(json!({"n": (n(call) * 31 + 7) % 1000}))
        })
        .action_async("slow", move |call| async move {
            let n = call.params()["n"].as_i64().unwrap_or_default();
            Ok(json!({ "n": n }))
        });
    engine.deploy(Workflow::from_yaml(FAN).unwrap()).unwrap();
    engine
}

/// Logs of all runs and their outputs.
fn pool(threads: usize, order: Order) -> (BTreeMap<RunId, Vec<String>>, Vec<Value>) {
    let journal = MemoryJournal::new();
    let threads = NonZeroUsize::new(threads).unwrap();
    let mut pool = Pool::with_clock(engine(journal.clone()), threads, order, || NOW);
    let runs: Vec<RunId> = (0..20)
        .map(|n| pool.engine().start("fan", None, json!(n), NOW).unwrap())
        .collect();
    pool.run_until_idle().unwrap();
    let outputs = runs.iter().map(|run| {
        let info = pool.engine().status(*run).unwrap();
        assert_eq!(info.status, RunStatus::Succeeded);
        info.output
    });
    let outputs = outputs.collect();
    let text = |(_, bytes): (u64, Vec<u8>)| String::from_utf8(bytes).unwrap();
    let logs = runs.iter().map(|run| {
        let log = journal.log(*run).unwrap();
        (*run, log.into_iter().map(text).collect())
    });
    (logs.collect(), outputs)
}

#[test]
fn the_log_is_the_same_on_one_two_and_eight_threads() {
    let (log, outputs) = pool(1, Order::HandedOut);
    for threads in [2, 8] {
        assert_eq!(
            pool(threads, Order::HandedOut),
            (log.clone(), outputs.clone())
        );
        // In order of arrival the results are the same, whoever was faster.
        assert_eq!(pool(threads, Order::Arrival).1, outputs);
    }
    let mut runner = Runner::with_clock(engine(MemoryJournal::new()), || NOW);
    let run = runner.engine().start("fan", None, json!(0), NOW).unwrap();
    assert_eq!(runner.run_until_ended(run).unwrap().output, outputs[0]);
}

#[test]
fn actions_of_a_pool_run_beside_each_other_and_commit_together() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (Arc::clone(&now), Arc::clone(&most));
    let barrier = Arc::new(std::sync::Barrier::new(4));
    let mut engine = Engine::new(MemoryJournal::new()).action("meet", move |_| {
        seen.1
            .fetch_max(seen.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Nobody gets past unless four are here at once.
        barrier.wait();
        seen.0.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    let yaml = "workflow: {name: w, steps: [{id: all, for_each: 8, limit: 8, steps: [{id: s, action: meet}]}]}";
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let mut pool = Pool::new(engine, NonZeroUsize::new(4).unwrap());
    pool.engine().start("w", None, json!(1), NOW).unwrap();
    assert_eq!(pool.run_until_idle().unwrap(), 8);
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[test]
fn an_action_that_panics_fails_its_step_and_costs_no_thread() {
    let mut engine = Engine::new(MemoryJournal::new()).action("bad", |call| {
        assert!(call.input() != &json!(1), "one is not liked");
        Ok(())
    });
    let yaml = "workflow: {name: w, steps: [{id: s, action: bad}]}";
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let mut pool = Pool::new(engine, NonZeroUsize::MIN);
    let bad = pool.engine().start("w", None, json!(1), NOW).unwrap();
    let good = pool.engine().start("w", None, json!(2), NOW).unwrap();
    pool.run_until_idle().unwrap();
    let failure = pool.engine().status(bad).unwrap().failure.unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.message.as_str()),
        ("Panic", "one is not liked")
    );
    assert_eq!(
        pool.engine().status(good).unwrap().status,
        RunStatus::Succeeded
    );
}

#[test]
fn a_pool_serves_urgent_calls_first() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let mut engine = Engine::new(MemoryJournal::new()).action("note", move |call| {
        seen.lock().unwrap().push(call.workflow().to_owned());
        Ok(())
    });
    for name in ["low", "normal", "safety"] {
        let yaml = format!(
            "workflow: {{name: {name}, priority: {name}, steps: [{{id: s, action: note}}]}}"
        );
        engine.deploy(Workflow::from_yaml(&yaml).unwrap()).unwrap();
    }
    let mut pool = Pool::with_clock(engine, NonZeroUsize::MIN, Order::Arrival, || NOW);
    for name in ["low", "normal", "low", "safety"] {
        pool.engine().start(name, None, json!(1), NOW).unwrap();
    }
    pool.run_until_idle().unwrap();
    let order = order.lock().unwrap();
    // The only thread may have taken the first call before the others were there.
    let place = |name| order.iter().rposition(|found| found == name).unwrap();
    assert!(place("safety") <= 1 && place("low") == 3, "{order:?}");
}

#[test]
fn a_call_that_times_out_in_the_pool_does_not_hold_up_its_run() {
    let mut engine = Engine::new(MemoryJournal::new()).action("slow", |call| {
        if call.attempt() == 1 {
            std::thread::sleep(Duration::from_millis(1_500));
        }
        Ok(json!(call.attempt()))
    });
    // Long enough for the second attempt on a machine that is busy with other tests.
    let yaml = "workflow: {name: w, steps: [{id: s, action: slow, timeout: 500ms, retry: {max_attempts: 1, interval: 0s}}]}";
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let mut pool = Pool::new(engine, NonZeroUsize::new(2).unwrap());
    let now = flowcore::Clock::now(&flowcore::SystemClock);
    let run = pool.engine().start("w", None, json!(1), now).unwrap();
    let info = pool.run_until_ended(run).unwrap();
    assert_eq!(info.output, json!(2));
    assert_eq!(pool.engine().stale_results(), 1);
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use flowcore::AsyncRunner;

    use super::*;

    fn runtime(threads: usize) -> tokio::runtime::Runtime {
        let mut builder = match threads {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.enable_time().build().unwrap()
    }

    #[test]
    fn a_workflow_gives_the_same_on_tokio() {
        let expected = pool(1, Order::HandedOut).1;
        for threads in [1, 2] {
            let outputs = runtime(threads).block_on(async {
                let mut runner = AsyncRunner::with_clock(engine(MemoryJournal::new()), || NOW);
                let start = |n| runner.engine().start("fan", None, json!(n), NOW).unwrap();
                let runs: Vec<RunId> = (0..20).map(start).collect();
                runner.run_until_idle().await.unwrap();
                let output = |run: &RunId| runner.engine().status(*run).unwrap().output;
                runs.iter().map(output).collect::<Vec<_>>()
            });
            assert_eq!(outputs, expected);
        }
    }

    #[test]
    fn asynchronous_actions_wait_beside_each_other_and_stop_at_their_timeout() {
        let mut engine = Engine::new(MemoryJournal::new()).action_async("nap", |call| async move {
            let ms = call.params()["ms"].as_u64().unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(json!(ms))
        });
        let yaml = "workflow: {name: w, output: '[a, b]', steps: [{id: a, action: nap, params: {ms: 30}, needs: []}, {id: b, action: nap, params: {ms: 3600000}, needs: [], timeout: 40ms, fallback: late}]}";
        engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
        let info = runtime(2).block_on(async {
            let mut runner = AsyncRunner::new(engine);
            let now = flowcore::Clock::now(&flowcore::SystemClock);
            let run = runner.engine().start("w", None, json!(1), now).unwrap();
            runner.run_until_ended(run).await.unwrap()
        });
        assert_eq!(info.output, json!([30, "late"]));
    }
}
