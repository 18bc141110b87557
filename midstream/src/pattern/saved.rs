//! A pattern rule's partial matches as a snapshot keeps them.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::key::KeyTable;
use crate::pattern::buffer::Buffer;
use crate::pattern::matcher::Matcher;
use crate::pattern::runs::KeyRuns;

/// What is kept: with references to write it, with values to read it.
#[derive(Debug, Serialize, Deserialize)]
struct MatcherState<K, B> {
    keys: K,
    buffer: B,
    beginning: Option<i64>,
    sequence: u64,
    turn: u64,
    count: usize,
    counters: [u64; 3],
}

type SavedMatcher = MatcherState<KeyTable<KeyRuns>, Buffer>;

impl Matcher {
    /// What is kept between events, as bytes.
    pub fn save(&self) -> Vec<u8> {
        let state = MatcherState {
            keys: &self.keys,
            buffer: &self.buffer,
            beginning: self.beginning,
            sequence: self.sequence,
            turn: self.turn,
            count: self.count,
            counters: [self.dropped, self.expired, self.events],
        };
        rmp_serde::to_vec(&state).unwrap_or_default()
    }

    /// Goes on from what the same rule has kept; whether the bytes are that.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Ok(state) = rmp_serde::from_slice::<SavedMatcher>(bytes) else {
            return false;
        };
        if !self.fits(&state) {
            return false;
        }
        let timers = state.keys.all();
        let timers = timers.filter_map(|(place, key)| Some(Reverse((key.timer?, place))));
        self.timers = timers.collect();
        self.keys = state.keys;
        self.buffer = state.buffer;
        self.beginning = state.beginning;
        self.sequence = state.sequence;
        self.turn = state.turn;
        self.count = state.count;
        [self.dropped, self.expired, self.events] = state.counters;
        true
    }

    fn fits(&self, state: &SavedMatcher) -> bool {
        let waits = self.automaton.waits.len();
        let mut count = 0;
        for (_, key) in state.keys.all() {
            let runs: usize = key.buckets.iter().map(|bucket| bucket.runs.len()).sum();
            let known = key
                .buckets
                .iter()
                .all(|bucket| (bucket.wait as usize) < waits);
            if runs != key.count || !known {
                return false;
            }
            count += runs;
        }
        let holders = state.keys.all().flat_map(|(_, key)| key.nodes());
        count == state.count
            && state
                .buffer
                .is_sound(self.automaton.conditions.len(), holders)
    }
}
