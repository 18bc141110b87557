//! The same edits and merges as automerge's maps and counters: equal values, siblings of concurrent writes included.
//!
//! Which sibling is read differs (automerge counts changes, agentdb reads clocks), so all of them are compared.

use std::collections::BTreeSet;

use agentdb::{Document, Field, ReplicaId, Schema, Stamp};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT, ReadDoc, ScalarValue};

use crate::at;

const REPLICAS: usize = 3;
const KEYS: [&str; 3] = ["a", "b", "c"];

/// One replica, ours and theirs.
struct Both {
    replica: ReplicaId,
    document: Document,
    peer: AutoCommit,
}

impl Both {
    fn write(&mut self, schema: &Schema, time: i64, random: &mut fastrand::Rng) {
        let key = KEYS[random.usize(..KEYS.len())];
        let path = format!("map/{key}");
        let mut edit = self
            .document
            .edit(schema, self.replica, Stamp::at(at(time)));
        match random.u8(..4) {
            0 | 1 => {
                let value = random.i64(..1_000);
                edit.set(&path, value).expect("a register");
                self.peer.put(ROOT, key, value).expect("a map");
            }
            2 if self.peer.get(ROOT, key).expect("a map").is_some() => {
                edit.remove_key(&path).expect("a key");
                self.peer.delete(ROOT, key).expect("a key");
            }
            _ => {
                let by = random.i64(-5..=5);
                edit.add("odometer", by).expect("a counter");
                self.peer
                    .increment(ROOT, "odometer", by)
                    .expect("a counter");
            }
        }
        self.peer.commit();
    }

    fn merge(&mut self, document: &Document, peer: &AutoCommit) {
        self.document.merge(document).expect("a copy");
        self.peer.merge(&mut peer.clone()).expect("a copy");
    }

    fn compare(&self, schema: &Schema, seed: u64) {
        let state = self.document.to_json(schema);
        for key in KEYS {
            let ours = state["map"][key].as_array().into_iter().flatten();
            let ours: BTreeSet<i64> = ours.filter_map(serde_json::Value::as_i64).collect();
            let theirs = self.peer.get_all(ROOT, key).expect("a map");
            let theirs: BTreeSet<i64> = theirs
                .iter()
                .filter_map(|(value, _)| value.as_i64())
                .collect();
            assert_eq!(ours, theirs, "seed {seed}, key {key}");
        }
        let odometer = self.peer.get(ROOT, "odometer").expect("a map");
        let theirs = odometer.and_then(|(value, _)| value.as_i64());
        let ours = state["odometer"].as_i64().unwrap_or(0);
        assert_eq!(Some(ours), theirs, "seed {seed}, the counter");
    }
}

#[test]
fn maps_and_counters_hold_what_those_of_automerge_hold() {
    let schema = Schema::new("s")
        .field("map", Field::or_map(Field::Mv))
        .field("odometer", Field::PnCounter);
    let mut base = AutoCommit::new().with_actor(ActorId::from([0_u8].as_slice()));
    base.put(ROOT, "odometer", ScalarValue::counter(0))
        .expect("a map");
    base.commit();
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut replicas: Vec<Both> = (1..=REPLICAS as u8)
            .map(|number| Both {
                replica: ReplicaId::new(number.into()),
                document: Document::new(&schema),
                peer: base.fork().with_actor(ActorId::from([number].as_slice())),
            })
            .collect();
        for time in 0..40 {
            let to = random.usize(..REPLICAS);
            let from = random.usize(..REPLICAS);
            if random.bool() && from != to {
                let (document, peer) =
                    (replicas[from].document.clone(), replicas[from].peer.clone());
                replicas[to].merge(&document, &peer);
            } else {
                replicas[to].write(&schema, time, &mut random);
            }
            replicas[to].compare(&schema, seed);
        }
    }
}
