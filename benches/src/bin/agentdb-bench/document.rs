//! One document: the delta of three changed fields, and a field that is overwritten for 72 hours.

use std::time::Instant;

use agentdb::list::List;
use agentdb::{Context, Document, Field, ReplicaId, Schema, Stamp};
use serde_json::{Value, json};

use crate::{Failure, at};

/// A robot with about 10 KB of state: joints, sensors, tasks.
fn large() -> Result<(Schema, Document), Failure> {
    let mut schema = Schema::new("robot")
        .field("odometer", Field::PnCounter)
        .field(
            "tasks",
            Field::or_map(Field::status(&["queued", "assigned", "active", "done"])),
        );
    for n in 0..120 {
        schema = schema.field(&format!("sensor_{n:03}"), Field::Lww);
    }
    let mut document = Document::new(&schema);
    let mut edit = document.edit(&schema, ReplicaId::new(42), Stamp::at(at(0)));
    for n in 0..120 {
        let reading = json!({"value": n as f64 * 1.25, "unit": "celsius", "quality": "good", "at": 1_790_000_000_i64});
        edit.set(&format!("sensor_{n:03}"), reading)?;
    }
    for n in 0..60 {
        edit.status(&format!("tasks/weld_{n}"), "queued")?;
    }
    edit.add("odometer", 120_000)?;
    Ok((schema, document))
}

/// The bytes of what a copy lacks after three fields were changed.
pub fn delta(print: &dyn Fn(Value)) -> Result<(), Failure> {
    let (schema, mut document) = large()?;
    let state = document.to_json(&schema).to_string().len();
    let mut sizes = Vec::new();
    let mut far = Vec::new();
    let old: Context = document.context().clone();
    for round in 0..1_000_usize {
        let before = document.context().clone();
        let mut edit = document.edit(
            &schema,
            ReplicaId::new(42),
            Stamp::at(at(round as i64 * 100)),
        );
        let sensor = format!("sensor_{:03}", round * 7 % 120);
        edit.set(
            &sensor,
            json!({"value": round, "unit": "celsius", "quality": "good", "at": 1_790_000_000_i64}),
        )?;
        edit.add("odometer", 3)?;
        let status = ["assigned", "active", "done"][round / 60 % 3];
        edit.status(&format!("tasks/weld_{}", round % 60), status)?;
        if let Some(delta) = document.delta(&before) {
            sizes.push(delta.encode().len());
        }
        if let Some(delta) = document.delta(&old).filter(|_| round % 100 == 99) {
            far.push(delta.encode().len());
        }
    }
    sizes.sort_unstable();
    print(
        json!({"what": "delta of 3 fields", "state_bytes": state, "document_bytes": document.encode().len(),
        "bytes_p50": sizes[sizes.len() / 2], "bytes_max": sizes[sizes.len() - 1],
        "bytes_for_one_who_is_far_behind": far, "compressed": false}),
    );
    Ok(())
}

/// One field, overwritten again and again.
pub fn overwrites(count: u64, print: &dyn Fn(Value)) -> Result<(), Failure> {
    let schema = Schema::new("robot").field("battery", Field::Lww);
    let mut document = Document::new(&schema);
    let mut after_a_thousand = 0;
    let start = Instant::now();
    for n in 0..count {
        let stamp = Stamp::at(at(n as i64 * 100));
        let mut edit = document.edit(&schema, ReplicaId::new(1), stamp);
        edit.set("battery", n % 90 + 10)?;
        if n == 1_000 {
            after_a_thousand = document.encode().len();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    print(
        json!({"what": "overwrites", "engine": "edgeweave-agentdb", "count": count, "seconds": seconds,
        "bytes": document.encode().len(), "bytes_after_1000": after_a_thousand}),
    );
    Ok(())
}

/// A note of about 2,000 letters in which a random stretch is replaced again and again: what the names of its deleted
/// letters cost.
pub fn tombstones(print: &dyn Fn(Value)) -> Result<(), Failure> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut word = |letters: usize| -> String {
        std::iter::repeat_with(|| random.lowercase())
            .take(letters)
            .collect()
    };
    let mut list = List::new(ReplicaId::new(1));
    list.insert(0, &word(2_000))?;
    let mut random = fastrand::Rng::with_seed(2);
    let mut typed = 2_000;
    for edit in 1..=100_000_usize {
        let deleted = random.usize(1..=40).min(list.len());
        let position = random.usize(..=list.len() - deleted);
        list.delete(position, deleted)?;
        let inserted = random.usize(1..=40);
        list.insert(position, &word(inserted))?;
        typed += inserted;
        if [1_000, 10_000, 100_000].contains(&edit) {
            let mut fresh = List::new(ReplicaId::new(1));
            fresh.insert(0, &list.text())?;
            print(
                json!({"what": "a note with deleted letters", "edits": edit, "letters": list.len(), "deleted": typed - list.len(),
                "bytes": list.encode()?.len(), "bytes_of_its_text_alone": fresh.encode()?.len()}),
            );
        }
    }
    Ok(())
}
