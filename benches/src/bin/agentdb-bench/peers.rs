//! The same overwrites through automerge, loro and yrs: each is a change, commit or transaction of its own.

use std::time::Instant;

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT};
use loro::{ExportMode, LoroDoc};
use serde_json::{Value, json};
use yrs::{Doc, Map, ReadTxn, StateVector, Transact};

use crate::Failure;

pub fn overwrites(count: u64, print: &dyn Fn(Value)) -> Result<(), Failure> {
    let tell = |engine: &str, start: Instant, bytes: usize| {
        let seconds = start.elapsed().as_secs_f64();
        print(
            json!({"what": "overwrites", "engine": engine, "count": count, "seconds": seconds, "bytes": bytes}),
        );
    };

    let start = Instant::now();
    let doc = Doc::new();
    let map = doc.get_or_insert_map("robot");
    for n in 0..count {
        let mut txn = doc.transact_mut();
        map.insert(&mut txn, "battery", (n % 90 + 10) as i64);
    }
    let bytes = doc
        .transact()
        .encode_state_as_update_v2(&StateVector::default());
    tell("yrs", start, bytes.len());

    let start = Instant::now();
    let doc = LoroDoc::new();
    let map = doc.get_map("robot");
    for n in 0..count {
        map.insert("battery", (n % 90 + 10) as i64)?;
        doc.commit();
    }
    let bytes = doc.export(ExportMode::Snapshot)?;
    tell("loro", start, bytes.len());

    let start = Instant::now();
    let mut doc = AutoCommit::new().with_actor(ActorId::from([1_u8].as_slice()));
    for n in 0..count {
        doc.put(ROOT, "battery", (n % 90 + 10) as i64)?;
        doc.commit();
    }
    tell("automerge", start, doc.save().len());
    Ok(())
}
