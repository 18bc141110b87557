//! What a worker has answered lately, so that no call runs twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::wire::Reply;

/// Answers kept; the oldest make room.
const ANSWERS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Answers {
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<String, State>,
    /// Keys of answers, the oldest first.
    order: VecDeque<String>,
    /// The newest epoch of each engine.
    epochs: HashMap<String, u64>,
}

enum State {
    Running,
    Answered { attempt: u32, reply: Reply },
}

/// What is to be done about a call.
pub(super) enum Claim {
    /// Run it; then [`Answers::answer`].
    Run,
    /// This is the answer.
    Known(Reply),
}

impl Answers {
    // Every change leaves the maps whole.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the epoch of an engine; the newest one when this one is older.
    pub(super) fn fence(&self, engine: &str, epoch: u64) -> Result<(), u64> {
        let mut kept = self.kept();
        match kept.epochs.get_mut(engine) {
            Some(newest) if *newest > epoch => Err(*newest),
            Some(newest) => {
                *newest = epoch;
                Ok(())
            }
            None => {
                kept.epochs.insert(engine.to_owned(), epoch);
                Ok(())
            }
        }
    }

    /// Waits for a call with this key that is running, and says what to do about this one. A
    /// failure answers only the attempt that failed.
    pub(super) fn claim(&self, key: &str, attempt: u32) -> Claim {
        let mut kept = self.kept();
        loop {
            match kept.by_key.get(key) {
                Some(State::Running) => {
                    kept = self
                        .changed
                        .wait(kept)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(State::Answered { attempt: of, reply })
                    if matches!(reply, Reply::Done { .. }) || *of == attempt =>
                {
                    return Claim::Known(reply.clone());
                }
                _ => {
                    kept.by_key.insert(key.to_owned(), State::Running);
                    return Claim::Run;
                }
            }
        }
    }

    pub(super) fn answer(&self, key: &str, attempt: u32, reply: Reply) {
        let mut kept = self.kept();
        let state = State::Answered { attempt, reply };
        kept.by_key.insert(key.to_owned(), state);
        kept.order.push_back(key.to_owned());
        while kept.order.len() > ANSWERS_MAX {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            // A key that ran again stands in the order twice; the later one keeps it.
            if !kept.order.contains(&oldest)
                && matches!(kept.by_key.get(&oldest), Some(State::Answered { .. }))
            {
                kept.by_key.remove(&oldest);
            }
        }
        drop(kept);
        self.changed.notify_all();
    }
}
