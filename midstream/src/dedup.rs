//! Event ids seen within a time: exact, bounded in number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;

use crate::time::Timestamp;

#[derive(Debug)]
pub(crate) struct Dedup {
    horizon: Duration,
    limit: usize,
    seen: HashSet<Arc<str>>,
    /// In order of arrival.
    order: VecDeque<(Timestamp, Arc<str>)>,
    /// Ids forgotten before their time because there were too many.
    pub forgotten: u64,
}

impl Dedup {
    pub fn new(horizon: Duration, limit: usize) -> Self {
        Self {
            horizon,
            limit,
            seen: HashSet::new(),
            order: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// Whether the id is new; it is then remembered.
    pub fn insert(&mut self, id: &Arc<str>, now: Timestamp) -> bool {
        if self.horizon.is_zero() {
            return true;
        }
        if !self.seen.insert(id.clone()) {
            return false;
        }
        self.order.push_back((now, id.clone()));
        while let Some((at, _)) = self.order.front() {
            let over = self.order.len() > self.limit;
            if !over && now.since(*at) <= self.horizon {
                break;
            }
            self.forgotten += u64::from(over && now.since(*at) <= self.horizon);
            if let Some((_, id)) = self.order.pop_front() {
                self.seen.remove(&id);
            }
        }
        true
    }
}
