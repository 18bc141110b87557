//! A process dies at any moment; the next one goes on where it was. Three promises: no run is lost,
//! no step whose record was committed runs again, an ended run never changes. Kept over workflows with
//! loops, fan-out, branches, retries and `catch`, by real kills (SIGKILL over the SQLite journal) and by
//! simulated ones (the journal fails before or just after any commit, and everything in memory is lost).
//!
//! `cargo test -p edgeweave-flowcore --all-features --test it -- --ignored kills --nocapture` runs
//! 10,000 of them and prints the figures.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use flowcore::journal::{Batch, LeaseRequest};
use flowcore::{
    ActionError, Call, Command, Engine, Journal, JournalError, MemoryJournal, Output, RunId,
    RunStatus, StateWrite, StateWrites, Timestamp, Work, Workflow,
};
use serde_json::json;

const RUNS: u64 = 6;
/// Steps of a run whose success is marked in the journal's state.
const MARKED: usize = 16;

fn workflow() -> Workflow {
    let text = json!({"workflow": {"name": "torture", "steps": [
        {"id": "first", "action": "work"},
        {"id": "loop", "for": {"to": 3}, "max_iterations": 3, "steps": [{"id": "turn", "action": "work"}]},
        {"id": "fan", "for_each": "4", "limit": 3, "steps": [
            {"id": "part", "action": "flaky", "retry": {"max_attempts": 3, "interval": "1s"}},
            {"id": "rest", "action": "work"},
        ]},
        {"id": "sides", "parallel": [
            {"id": "left", "steps": [{"id": "l", "action": "work"}, {"id": "pause", "wait": {"for": "5s"}}]},
            {"id": "right", "steps": [{"id": "r", "action": "work"}]},
        ]},
        {"id": "bad", "action": "broken", "retry": {"max_attempts": 1, "interval": "1s"},
         "catch": [{"steps": [{"id": "mended", "action": "work"}]}]},
        {"id": "end", "action": "work", "condition": "bad.step == 'mended'"},
    ]}});
    Workflow::from_json(&text.to_string()).unwrap()
}

fn place(call: &Call) -> String {
    format!("{}/{}{}", call.run(), call.path(), call.step())
}

/// The actions: each success is marked in the journal's state, in the commit of its step.
fn register<J: Journal>(
    engine: Engine<J>,
    seen: impl Fn(&Call) + Clone + Send + Sync + 'static,
) -> Engine<J> {
    let mark = |call: &Call| {
        let write = StateWrite::new("done", place(call), json!(1));
        Ok(Output::new(json!({"step": call.step()})).write(write))
    };
    let (work, flaky, broken) = (seen.clone(), seen.clone(), seen);
    engine
        .action("work", move |call| {
            work(call);
            mark(call)
        })
        .action("flaky", move |call| {
            flaky(call);
            match call.attempt() {
                1 | 2 => Err(ActionError::new("Again", "not yet")),
                _ => mark(call),
            }
        })
        .action("broken", move |call| -> Result<Output, ActionError> {
            broken(call);
            Err(ActionError::new("Broken", "never works"))
        })
}

/// A journal that dies at a commit: before it happened, or after it happened and before anybody heard.
#[derive(Clone)]
struct Mortal {
    inner: MemoryJournal,
    /// Commits until death; twice the number, odd when death comes after the commit.
    life: Arc<AtomicI64>,
}

impl Journal for Mortal {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let dead = || Err(JournalError::store("killed"));
        match self.life.fetch_sub(2, Ordering::Relaxed) {
            0 => dead(),
            1 => {
                self.inner.commit(batch)?;
                dead()
            }
            left if left < 0 => dead(),
            _ => self.inner.commit(batch),
        }
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        self.inner.log(run)
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.get(space, key)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.inner.scan(space, after, limit)
    }

    fn state_writes(&self) -> StateWrites {
        self.inner.state_writes()
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        self.inner.lease(request)
    }
}

/// What a series of kills showed.
#[derive(Debug, Default)]
struct Figures {
    kills: u64,
    runs: u64,
    executions: u64,
    lost_runs: u64,
    committed_steps_again: u64,
    changed_keys: u64,
    changed_ends: u64,
}

impl Figures {
    fn assert_clean(&self) {
        let faults = [
            self.lost_runs,
            self.committed_steps_again,
            self.changed_keys,
            self.changed_ends,
        ];
        assert_eq!(faults, [0; 4], "{self:?}");
    }
}

fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Drives an engine under a virtual clock until it is done or dead.
fn drive<J: Journal>(engine: &mut Engine<J>, clock: &mut i64) -> flowcore::Result<()> {
    loop {
        let now = Timestamp::from_millis(*clock);
        for command in engine.step(now)? {
            if let Command::Execute(call) = command
                && let Work::Ready(result) = call.perform()
            {
                engine.complete(call.token(), result, now);
            }
        }
        if engine.has_work() {
            continue;
        }
        match engine.next_wake() {
            Some(due) => *clock = due.as_millis().max(*clock),
            None => return Ok(()),
        }
    }
}

/// Runs and kills until all runs of one journal have ended.
fn scenario(seed: &mut u64, figures: &mut Figures) {
    let memory = MemoryJournal::new();
    let keys: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)]);
    let mut ends: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut clock = 0;
    for process in 0.. {
        assert!(process < 10_000, "the runs do not end");
        let life = Arc::new(AtomicI64::new((next_random(seed) % 24) as i64));
        let journal = Mortal {
            inner: memory.clone(),
            life,
        };
        let (state, known, counted) = (memory.clone(), Arc::clone(&keys), Arc::clone(&counts));
        let mut engine = register(Engine::new(journal), move |call| {
            counted[0].fetch_add(1, Ordering::Relaxed);
            let again = state.state("done", &place(call)).is_some();
            counted[1].fetch_add(u64::from(again), Ordering::Relaxed);
            let mut known = known.lock().unwrap();
            let first = known
                .entry(place(call))
                .or_insert_with(|| call.idempotency_key());
            let changed = *first != call.idempotency_key();
            counted[2].fetch_add(u64::from(changed), Ordering::Relaxed);
        })
        // Each of these processes dies on purpose.
        .recoveries_max(u32::MAX);
        let done = (|| {
            let now = Timestamp::from_millis(clock);
            engine.recover(now)?;
            engine.deploy(workflow())?;
            for n in 0..RUNS {
                engine.start("torture", Some(&format!("key-{n}")), json!({"n": n}), now)?;
            }
            drive(&mut engine, &mut clock)
        })();
        drop(engine);
        for (key, value) in memory.scan("ended", "", 1_000).unwrap() {
            let before = ends.entry(key).or_insert_with(|| value.clone());
            figures.changed_ends += u64::from(*before != value);
        }
        match done {
            Ok(()) => break,
            Err(_) => figures.kills += 1,
        }
    }
    let mut engine = register(Engine::new(memory.clone()), |_| {});
    engine.recover(Timestamp::from_millis(clock)).unwrap();
    let ended = engine.ended_runs(RunId::new(0), 1_000).unwrap();
    let well = ended
        .iter()
        .filter(|info| info.status == RunStatus::Succeeded);
    figures.runs += RUNS;
    figures.lost_runs += RUNS - well.count() as u64;
    let marked = keys.lock().unwrap();
    let marked = marked
        .keys()
        .filter(|place| memory.state("done", place).is_some());
    assert_eq!(
        marked.count(),
        RUNS as usize * MARKED,
        "steps that never succeeded"
    );
    figures.executions += counts[0].load(Ordering::Relaxed);
    figures.committed_steps_again += counts[1].load(Ordering::Relaxed);
    figures.changed_keys += counts[2].load(Ordering::Relaxed);
}

fn simulate(kills: u64, mut seed: u64) -> Figures {
    let mut figures = Figures::default();
    while figures.kills < kills {
        scenario(&mut seed, &mut figures);
    }
    figures
}

#[test]
fn simulated_kills_lose_no_run_and_repeat_no_committed_step() {
    simulate(300, 1).assert_clean();
}

#[test]
#[ignore = "a minute: 9,700 kills"]
fn many_simulated_kills_lose_nothing() {
    let figures = simulate(9_700, 2);
    println!("simulated: {figures:?}");
    figures.assert_clean();
}

#[cfg(all(feature = "sqlite", unix))]
mod real {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use flowcore::{Runner, SqliteJournal};

    use super::*;

    const FOLDER: &str = "FLOWCORE_KILL_TEST";

    fn open(folder: &Path) -> Engine<SqliteJournal> {
        let trace = folder.join("trace");
        let journal = SqliteJournal::open(folder.join("journal.db")).unwrap();
        let mut engine = register(Engine::new(journal), move |call| {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&trace)
                .unwrap();
            let line = format!("{} {}\n", place(call), call.idempotency_key());
            file.write_all(line.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        })
        .recoveries_max(u32::MAX);
        engine.deploy(workflow()).unwrap();
        engine
    }

    fn start_all(engine: &mut Engine<SqliteJournal>) {
        for n in 0..RUNS {
            let key = format!("key-{n}");
            engine
                .start(
                    "torture",
                    Some(&key),
                    json!({"n": n}),
                    Timestamp::from_millis(0),
                )
                .unwrap();
        }
    }

    /// Pauses cost nothing: the clock of the process jumps to the next of them.
    fn finish(engine: Engine<SqliteJournal>) -> Engine<SqliteJournal> {
        let clock = Arc::new(AtomicI64::new(0));
        let reading = Arc::clone(&clock);
        let now = move || Timestamp::from_millis(reading.load(Ordering::Relaxed));
        let mut runner = Runner::with_clock(engine, now);
        loop {
            runner.run_until_idle().unwrap();
            match runner.engine().next_wake() {
                Some(due) => clock.store(due.as_millis(), Ordering::Relaxed),
                None => return runner.into_engine(),
            }
        }
    }

    /// The body of the process that gets killed; does nothing in an ordinary test run.
    #[test]
    fn child_process() {
        let Some(folder) = std::env::var_os(FOLDER) else {
            return;
        };
        let mut engine = open(Path::new(&folder));
        start_all(&mut engine);
        finish(engine);
    }

    /// Kills processes over one journal until its runs have ended; each lives a little longer.
    fn campaign(figures: &mut Figures) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for round in 0.. {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "kill::real::child_process"])
                .env(FOLDER, path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(20 + round * 9));
            let ended = child.try_wait().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            match ended {
                Some(status) => {
                    assert!(status.success(), "the child failed by itself");
                    break;
                }
                None => figures.kills += 1,
            }
            note_committed(path);
        }
        let mut engine = finish(open(path));
        let ended = engine.ended_runs(RunId::new(0), 100).unwrap();
        let well = ended
            .iter()
            .filter(|info| info.status == RunStatus::Succeeded);
        figures.runs += RUNS;
        figures.lost_runs += RUNS.saturating_sub(well.count() as u64);
        drop(engine.step(Timestamp::from_millis(0)));
        read_trace(path, figures);
    }

    /// Writes down which of the steps seen so far are committed: none of them may be seen again.
    fn note_committed(path: &Path) {
        let trace = std::fs::read_to_string(path.join("trace")).unwrap_or_default();
        if !path.join("journal.db").exists() {
            return;
        }
        let journal = SqliteJournal::open(path.join("journal.db")).unwrap();
        let mut places: Vec<&str> = trace
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        places.sort_unstable();
        places.dedup();
        let mut marks = String::new();
        for place in places {
            if place != "#" && journal.state("done", place).unwrap().is_some() {
                marks.push_str(&format!("# {place}\n"));
            }
        }
        std::fs::write(path.join("trace"), format!("{trace}{marks}")).unwrap();
    }

    fn read_trace(path: &Path, figures: &mut Figures) {
        let trace = std::fs::read_to_string(path.join("trace")).unwrap();
        let mut keys: HashMap<&str, &str> = HashMap::new();
        let mut committed = std::collections::HashSet::new();
        for line in trace.lines() {
            match line.split_once(' ').unwrap() {
                ("#", place) => drop(committed.insert(place)),
                (place, key) => {
                    figures.executions += 1;
                    figures.committed_steps_again += u64::from(committed.contains(place));
                    figures.changed_keys += u64::from(*keys.entry(place).or_insert(key) != key);
                }
            }
        }
    }

    #[test]
    fn a_killed_process_loses_no_run_and_repeats_no_committed_step() {
        let mut figures = Figures::default();
        while figures.kills < 3 {
            campaign(&mut figures);
        }
        figures.assert_clean();
    }

    #[test]
    #[ignore = "a minute: 300 processes are killed"]
    fn many_real_kills_lose_nothing() {
        let mut figures = Figures::default();
        while figures.kills < 300 {
            campaign(&mut figures);
        }
        println!("real: {figures:?}");
        figures.assert_clean();
    }
}
