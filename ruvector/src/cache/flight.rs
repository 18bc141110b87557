//! One computation a key: the first thread computes, the others wait for its result.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use crate::error::{Error, Result};

/// The computations that are under way.
pub(super) struct Flights<K, T> {
    open: Mutex<HashMap<K, Arc<Flight<T>>>>,
}

struct Flight<T> {
    leader: ThreadId,
    landing: Mutex<Landing<T>>,
    landed: Condvar,
}

enum Landing<T> {
    Awaited,
    /// The leader's result; none if it failed or panicked, so that a follower tries itself.
    Over(Option<T>),
}

/// What a thread that wants a key has to do.
pub(super) enum Turn<'f, K: Hash + Eq, T> {
    /// Compute and [`Leader::land`]. Dropping it lets the others try.
    Lead(Leader<'f, K, T>),
    /// Another thread computed it.
    Shared(T),
    /// Another thread tried and failed.
    Failed,
}

/// The right to compute a key.
pub(super) struct Leader<'f, K: Hash + Eq, T> {
    flights: &'f Flights<K, T>,
    key: K,
    flight: Arc<Flight<T>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    /// Waits while another thread computes the key.
    ///
    /// # Errors
    /// [`Error::Recursive`] if this very thread computes the key: it would wait for itself.
    pub fn join(&self, key: &K) -> Result<Turn<'_, K, T>> {
        let flight = {
            let mut open = lock(&self.open);
            match open.get(key) {
                Some(flight) => Arc::clone(flight),
                None => {
                    let flight = Arc::new(Flight {
                        leader: std::thread::current().id(),
                        landing: Mutex::new(Landing::Awaited),
                        landed: Condvar::new(),
                    });
                    open.insert(key.clone(), Arc::clone(&flight));
                    return Ok(Turn::Lead(Leader {
                        flights: self,
                        key: key.clone(),
                        flight,
                    }));
                }
            }
        };
        if flight.leader == std::thread::current().id() {
            return Err(Error::Recursive);
        }
        let mut landing = lock(&flight.landing);
        loop {
            match &*landing {
                Landing::Over(Some(value)) => return Ok(Turn::Shared(value.clone())),
                Landing::Over(None) => return Ok(Turn::Failed),
                Landing::Awaited => {
                    landing = flight
                        .landed
                        .wait(landing)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl<K: Hash + Eq, T> Leader<'_, K, T> {
    /// Gives the result to all who wait.
    pub fn land(self, value: T) {
        self.end(Some(value));
    }

    fn end(&self, value: Option<T>) {
        let mut landing = lock(&self.flight.landing);
        if matches!(*landing, Landing::Awaited) {
            *landing = Landing::Over(value);
            lock(&self.flights.open).remove(&self.key);
            self.flight.landed.notify_all();
        }
    }
}

impl<K: Hash + Eq, T> Drop for Leader<'_, K, T> {
    fn drop(&mut self) {
        self.end(None);
    }
}
