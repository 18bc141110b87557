//! Links, budgets, priorities, tenants: who may go when not everybody can.

use flowcore::{
    Budget, Call, Command, Engine, Error, Held, Link, MemoryJournal, Priority, Quota, Resources,
    RunId, RunStatus, Start, Tier, Timestamp, Workflow,
};
use serde_json::json;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn engine(journal: &MemoryJournal) -> Engine<MemoryJournal> {
    Engine::new(journal.clone()).action_external("work")
}

fn deploy(engine: &mut Engine<MemoryJournal>, yaml: &str) {
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
}

fn calls(engine: &mut Engine<MemoryJournal>, now: i64) -> Vec<Call> {
    let commands = engine.step(at(now)).unwrap();
    commands
        .into_iter()
        .filter_map(|command| match command {
            Command::Execute(call) => Some(call),
            _ => None,
        })
        .collect()
}

fn answer(engine: &mut Engine<MemoryJournal>, call: &Call, now: i64) {
    engine.complete(call.token(), Ok(json!("done").into()), at(now));
}

#[test]
fn queued_work_goes_once_when_the_link_is_back_also_over_a_restart() {
    let journal = MemoryJournal::new();
    let yaml = "workflow: {name: w, steps: [{id: up, action: work, requires: cloud}]}";
    let mut live = engine(&journal);
    deploy(&mut live, yaml);
    live.set_link("cloud", Link::Down);
    let runs: Vec<RunId> = (0..3)
        .map(|n| live.start("w", None, json!(n), at(n)).unwrap())
        .collect();
    assert!(calls(&mut live, 5).is_empty());
    assert_eq!(
        live.held(),
        Held {
            offline: 3,
            ..Held::default()
        }
    );
    drop(live);
    let mut live = engine(&journal);
    deploy(&mut live, yaml);
    live.set_link("cloud", Link::Down);
    assert!(calls(&mut live, 6).is_empty());
    live.set_link("cloud", Link::Up);
    let replayed = calls(&mut live, 7);
    assert_eq!(replayed.iter().map(Call::run).collect::<Vec<_>>(), runs);
    live.set_link("cloud", Link::Down);
    live.set_link("cloud", Link::Up);
    assert!(calls(&mut live, 8).is_empty(), "each goes once");
    for call in &replayed {
        answer(&mut live, call, 9);
    }
    live.step(at(9)).unwrap();
    assert!(
        runs.iter()
            .all(|run| live.status(*run).unwrap().status == RunStatus::Succeeded)
    );
}

#[test]
fn without_a_link_a_step_is_skipped_or_gives_its_fallback() {
    let mut live = engine(&MemoryJournal::new());
    deploy(
        &mut live,
        "
workflow:
  name: w
  output: 'local'
  steps:
    - {id: upload, action: work, requires: cloud, offline: skip}
    - {id: local, action: work, requires: cloud, fallback: local model, retry: {max_attempts: 3}}
",
    );
    live.set_link("cloud", Link::Down);
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    assert!(calls(&mut live, 0).is_empty());
    let info = live.status(run).unwrap();
    assert_eq!(
        (info.status, info.output),
        (RunStatus::Succeeded, json!("local model"))
    );
}

const SHARED: &str = "
workflow:
  name: NAME
  priority: PRIORITY
  steps: [{id: s, action: work, resources: {cpu: 0.5, memory: 100MiB}}]
";

fn shared(live: &mut Engine<MemoryJournal>) {
    for (name, priority) in [
        ("brake", "safety"),
        ("alert", "high"),
        ("track", "normal"),
        ("report", "low"),
    ] {
        deploy(
            live,
            &SHARED.replace("NAME", name).replace("PRIORITY", priority),
        );
    }
}

fn budget(cpu_milli: u32, reserved: u32) -> Budget {
    let of = |cpu_milli| Resources {
        cpu_milli,
        memory_bytes: u64::from(cpu_milli) << 20,
        gpus: 0,
    };
    Budget {
        total: of(cpu_milli),
        reserved_for_safety: of(reserved),
    }
}

#[test]
fn urgent_work_goes_first_and_the_reserve_is_for_safety_alone() {
    let mut live = engine(&MemoryJournal::new()).budget(budget(1500, 500));
    shared(&mut live);
    for name in ["report", "track", "track", "alert", "brake", "brake"] {
        live.start(name, None, json!(null), at(0)).unwrap();
    }
    let first = calls(&mut live, 0);
    let names: Vec<&str> = first.iter().map(Call::workflow).collect();
    assert_eq!(
        names,
        ["brake", "brake"],
        "ordinary work leaves the reserve alone"
    );
    assert_eq!(first[0].priority(), Priority::Safety);
    assert_eq!(live.held().budget, 4);
    answer(&mut live, &first[0], 1);
    let next = calls(&mut live, 1);
    assert_eq!(
        next.iter().map(Call::workflow).collect::<Vec<_>>(),
        ["alert"]
    );
    // However much ordinary work waits, safety-critical work that comes now goes now.
    for _ in 0..100 {
        live.start("track", None, json!(null), at(2)).unwrap();
    }
    live.start("brake", None, json!(null), at(2)).unwrap();
    let next = calls(&mut live, 2);
    assert_eq!(
        next.iter().map(Call::workflow).collect::<Vec<_>>(),
        ["brake"]
    );
}

#[test]
fn work_that_waits_long_moves_up_but_never_past_safety() {
    let mut live = engine(&MemoryJournal::new()).budget(budget(500, 0));
    shared(&mut live);
    live.start("report", None, json!(null), at(0)).unwrap();
    let mut running = calls(&mut live, 0);
    let patient = live.start("report", None, json!(null), at(0)).unwrap();
    for second in 1..=200 {
        let now = second * 1000;
        live.start("track", None, json!(null), at(now)).unwrap();
        if second == 100 {
            live.start("brake", None, json!(null), at(now)).unwrap();
        }
        answer(&mut live, &running[0], now);
        let next = calls(&mut live, now);
        assert_eq!(next.len(), 1, "one at a time");
        if second == 100 {
            assert_eq!(next[0].workflow(), "brake");
        }
        running = next;
        if running[0].run() == patient {
            assert!(second >= 30);
            return;
        }
    }
    panic!("the low one starved");
}

#[test]
fn large_work_is_not_starved_by_small_work() {
    let mut live = engine(&MemoryJournal::new()).budget(budget(1000, 0));
    deploy(
        &mut live,
        "workflow: {name: small, steps: [{id: s, action: work, resources: {cpu: 0.4}}]}",
    );
    deploy(
        &mut live,
        "workflow: {name: large, steps: [{id: s, action: work, resources: {cpu: 1}}]}",
    );
    live.start("small", None, json!(null), at(0)).unwrap();
    let small = calls(&mut live, 0);
    live.start("large", None, json!(null), at(1)).unwrap();
    live.start("small", None, json!(null), at(2)).unwrap();
    assert!(
        calls(&mut live, 3).is_empty(),
        "the later small one does not overtake"
    );
    answer(&mut live, &small[0], 4);
    let next = calls(&mut live, 4);
    assert_eq!(
        next.iter().map(Call::workflow).collect::<Vec<_>>(),
        ["large"]
    );
    let too_large = "workflow: {name: huge, steps: [{id: s, action: work, resources: {cpu: 2}}]}";
    let error = live
        .deploy(Workflow::from_yaml(too_large).unwrap())
        .unwrap_err();
    assert!(error.to_string().contains("more resources than"), "{error}");
}

#[test]
fn an_optional_gpu_is_used_when_free_and_done_without_when_not() {
    let total = Resources {
        cpu_milli: 0,
        memory_bytes: 0,
        gpus: 1,
    };
    let none = Resources::default();
    let budget = Budget {
        total,
        reserved_for_safety: none,
    };
    let mut live = engine(&MemoryJournal::new()).budget(budget);
    deploy(
        &mut live,
        "workflow: {name: maybe, steps: [{id: s, action: work, resources: {gpu: optional}}]}",
    );
    deploy(
        &mut live,
        "workflow: {name: must, steps: [{id: s, action: work, resources: {gpu: required}}]}",
    );
    for _ in 0..2 {
        live.start("maybe", None, json!(null), at(0)).unwrap();
    }
    let both = calls(&mut live, 0);
    assert_eq!(
        both.iter().map(Call::has_gpu).collect::<Vec<_>>(),
        [true, false]
    );
    live.start("must", None, json!(null), at(1)).unwrap();
    assert!(calls(&mut live, 1).is_empty());
    answer(&mut live, &both[0], 2);
    let last = calls(&mut live, 2);
    assert_eq!((last[0].workflow(), last[0].has_gpu()), ("must", true));
}

#[test]
fn a_tenant_stays_within_its_quota_and_leaves_the_others_alone() {
    let journal = MemoryJournal::new();
    let mut live = engine(&journal);
    deploy(
        &mut live,
        "workflow: {name: w, steps: [{id: s, action: work}]}",
    );
    let quota = Quota {
        live_runs_max: 3,
        running_steps_max: 2,
        starts_per_minute_max: 4,
    };
    live.quota("north", quota);
    let start = |live: &mut Engine<MemoryJournal>, tenant, now| {
        live.start_run_of(Start::new("w", json!(null)).tenant(tenant), at(now))
    };
    for _ in 0..3 {
        start(&mut live, "north", 0).unwrap();
    }
    let refused = start(&mut live, "north", 0).unwrap_err();
    assert!(
        matches!(refused, Error::Quota { limit: 3, .. }),
        "{refused}"
    );
    for _ in 0..5 {
        start(&mut live, "south", 0).unwrap();
    }
    let first = calls(&mut live, 0);
    let of = |tenant: &str, calls: &[Call]| {
        calls
            .iter()
            .filter(|call| call.tenant() == Some(tenant))
            .count()
    };
    assert_eq!((of("north", &first), of("south", &first)), (2, 5));
    assert_eq!(live.held().quota, 1);
    answer(&mut live, &first[0], 1);
    let next = calls(&mut live, 1);
    assert_eq!(of("north", &next), 1);
    // The fourth start of the minute is allowed, the fifth is not, and a quarter of a minute later one more is.
    start(&mut live, "north", 2).unwrap();
    live.step(at(2)).unwrap();
    for call in first.iter().skip(1).chain(&next) {
        answer(&mut live, call, 3);
    }
    live.step(at(3)).unwrap();
    let refused = start(&mut live, "north", 4).unwrap_err();
    assert!(refused.to_string().contains("starts a minute"), "{refused}");
    start(&mut live, "north", 15_004).unwrap();
}

#[test]
fn keys_of_tenants_are_apart() {
    let mut live = engine(&MemoryJournal::new());
    deploy(
        &mut live,
        "workflow: {name: w, trigger: t, steps: [{id: s, action: work}]}",
    );
    let start = |live: &mut Engine<MemoryJournal>, tenant| {
        let start = Start::new("w", json!(null)).key("k").tenant(tenant);
        live.start_run_of(start, at(0)).unwrap()
    };
    let north = start(&mut live, "north");
    assert_eq!(start(&mut live, "north"), north);
    assert_ne!(start(&mut live, "south"), north);
    let first = live
        .trigger_with_key("t", Some("e-1"), json!(1), at(0))
        .unwrap();
    let again = live
        .trigger_with_key("t", Some("e-1"), json!(1), at(0))
        .unwrap();
    assert_eq!(first, again, "a duplicate trigger attaches to the same run");
}

#[test]
fn steps_go_to_the_tier_that_their_latency_allows() {
    let mut live = Engine::new(MemoryJournal::new())
        .action("work", |call| Ok(json!({"here": call.step()})))
        .place(Tier::Mid, |call| {
            Ok(json!({"gateway": call.action()}).into())
        });
    deploy(
        &mut live,
        "
workflow:
  name: w
  output: '[a, b, c]'
  steps:
    - {id: a, action: work, latency: 8ms}
    - {id: b, action: known_there, latency: 20ms}
    - {id: c, action: work, latency: 2s}
",
    );
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    let mut runner = flowcore::Runner::with_clock(live, || at(0));
    let output = runner.run_until_ended(run).unwrap().output;
    assert_eq!(
        output,
        json!([{"here": "a"}, {"gateway": "known_there"}, {"here": "c"}])
    );
}
