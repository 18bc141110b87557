//! One writer at a time, any number of readers beside it.
//!
//! Two locks. The writer's is held for a whole change, file writes included; the state's is held
//! exclusively only while rows change in memory. So a search never waits for the disk or for a graph
//! that is being planned, and what a writer planned still fits when it is applied: nobody else can
//! have changed the state. `tests/it/protocol.rs` runs this file on a scheduler that tries orders.

use super::locks::{LockResult, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// A state that is read by many, and what only its writer touches.
pub(crate) struct Shared<S, W> {
    state: RwLock<S>,
    writer: Mutex<W>,
}

/// The right to change the state.
pub(crate) struct Writing<'a, S, W> {
    state: &'a RwLock<S>,
    /// What only the writer touches.
    pub own: MutexGuard<'a, W>,
}

// A panic while a lock was held (there is none by design) must not turn into more of them.
fn whole<G>(guard: LockResult<G>) -> G {
    guard.unwrap_or_else(PoisonError::into_inner)
}

impl<S, W> Shared<S, W> {
    pub fn new(state: S, writer: W) -> Self {
        Self {
            state: RwLock::new(state),
            writer: Mutex::new(writer),
        }
    }

    /// The state as of the last change that was completed.
    pub fn read(&self) -> RwLockReadGuard<'_, S> {
        whole(self.state.read())
    }

    /// Waits for other writers to finish.
    pub fn writing(&self) -> Writing<'_, S, W> {
        Writing {
            own: whole(self.writer.lock()),
            state: &self.state,
        }
    }
}

impl<S, W> Writing<'_, S, W> {
    /// The state, beside other readers. It does not change while this writer lives, unless by it.
    pub fn read(&self) -> RwLockReadGuard<'_, S> {
        whole(self.state.read())
    }

    /// Works with what the writer owns and the state, beside readers.
    pub fn beside<R>(&mut self, work: impl FnOnce(&mut W, &S) -> R) -> R {
        let state = whole(self.state.read());
        work(&mut self.own, &state)
    }

    /// Changes the state; readers wait for so long.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut state = whole(self.state.write());
        change(&mut state)
    }

    /// Plans beside readers and applies what was planned, until there is nothing to plan.
    pub fn proceed<P>(
        &mut self,
        mut plan: impl FnMut(&S) -> Option<P>,
        mut apply: impl FnMut(&mut S, P),
    ) {
        loop {
            let planned = plan(&self.read());
            match planned {
                Some(planned) => self.change(|state| apply(state, planned)),
                None => return,
            }
        }
    }

    /// Puts another state in the place of the present one, which is freed when no reader waits.
    pub fn replace(&mut self, fresh: S) {
        drop(self.change(|state| std::mem::replace(state, fresh)));
    }
}
