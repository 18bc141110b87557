//! One writer, many readers: the locks of `src/shared.rs` under a scheduler that decides who runs next.
//!
//! The module is the crate's own file, compiled with the locks of shuttle. Its state is a model of the
//! index: rows that are staged, linked and published, and a log of what was promised.

use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::sync::Arc;
use shuttle::thread;

mod locks {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
    pub(crate) use std::sync::{LockResult, PoisonError};
}
#[path = "../../src/shared.rs"]
mod shared;

use shared::Shared;

/// Rows in the order in which they came; each has two halves that belong together.
#[derive(Clone, Default)]
struct State {
    rows: Vec<(usize, usize)>,
    linked: usize,
    published: usize,
    compactions: usize,
}

/// What only the writer touches: what was appended to the file.
#[derive(Default)]
struct Log {
    appended: usize,
}

struct Model {
    shared: Shared<State, Log>,
    /// As `Log::appended`, for readers. Written before a row can be seen.
    promised: AtomicUsize,
}

impl Model {
    fn upsert(&self, row: usize, rows: usize) {
        let mut writing = self.shared.writing();
        writing.own.appended += rows;
        self.promised.store(writing.own.appended, Ordering::SeqCst);
        for _ in 0..rows {
            writing.change(|state| state.rows.push((row, row)));
        }
        // A batch at a time; the plan must still fit when it is applied.
        writing.proceed(
            |state| (state.linked < state.rows.len()).then_some(state.linked),
            |state, planned| {
                assert_eq!(planned, state.linked, "somebody else linked a row");
                state.linked += 1;
            },
        );
        writing.change(|state| state.published = state.rows.len());
    }

    /// Rebuilds from a copy, as compaction does, while others read.
    fn compact(&self) {
        let mut writing = self.shared.writing();
        let mut fresh = writing.read().clone();
        fresh.compactions += 1;
        let appended = writing.beside(|log, state| {
            assert_eq!(state.rows.len(), fresh.rows.len(), "a row got lost");
            log.appended
        });
        assert_eq!(appended, fresh.rows.len());
        writing.replace(fresh);
    }

    /// What a reader saw last, to be passed to its next look.
    fn look(&self, before: (usize, usize)) -> (usize, usize) {
        let state = self.shared.read();
        assert!(state.published <= state.linked && state.linked <= state.rows.len());
        assert!(state.published <= self.promised.load(Ordering::SeqCst));
        assert!(state.rows.iter().all(|(left, right)| left == right));
        let now = (state.published, state.compactions);
        assert!(
            now.0 >= before.0 && now.1 >= before.1,
            "a change went back: {before:?}, then {now:?}"
        );
        now
    }
}

fn scenario() {
    let model = Arc::new(Model {
        shared: Shared::new(State::default(), Log::default()),
        promised: AtomicUsize::new(0),
    });
    let mut threads = Vec::new();
    for writer in 0..2 {
        let model = Arc::clone(&model);
        threads.push(thread::spawn(move || {
            model.upsert(writer, 2);
            if writer == 0 {
                model.compact();
            }
        }));
    }
    for _ in 0..2 {
        let model = Arc::clone(&model);
        threads.push(thread::spawn(move || {
            let seen = model.look((0, 0));
            let seen = model.look(seen);
            model.look(seen);
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let state = model.shared.read();
    assert_eq!((state.rows.len(), state.published), (4, 4));
    assert_eq!(state.compactions, 1);
}

#[test]
fn readers_see_only_what_was_published_in_any_order_of_steps() {
    // Orders at random, and orders with few switches at unlucky places.
    shuttle::check_random(scenario, 300);
    shuttle::check_pct(scenario, 300, 3);
}

#[test]
#[ignore = "a minute"]
fn readers_see_only_what_was_published_in_a_hundred_thousand_orders() {
    shuttle::check_random(scenario, 50_000);
    shuttle::check_pct(scenario, 50_000, 4);
}
