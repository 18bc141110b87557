//! How the shipped dictionary came to be: deltas of invented fleets, whose names and values are such as
//! edge devices have.
//!
//! `cargo test -p edgeweave-agentdb -- --ignored the_dictionary_is_trained` writes it anew; that makes it
//! another dictionary, with another number.

use fastrand::Rng;
use serde_json::{Value, json};

use super::message::{Changes, Told};
use crate::causal::{Context, Stamp};
use crate::db::Change;
use crate::document::Document;
use crate::time::Timestamp;
use crate::{Field, ReplicaId, Schema};

const DICTIONARY_BYTES: usize = 6 << 10;

const KINDS: [&str; 8] = [
    "robot", "sensor", "camera", "gateway", "machine", "vehicle", "animal", "zone",
];
const REGISTERS: [&str; 48] = [
    "battery", "status", "mode", "location", "position", "pose", "speed", "heading", "temperature",
    "humidity", "pressure", "voltage", "current", "power", "state", "firmware", "version", "health",
    "last_seen", "updated_at", "error", "errors", "warning", "alarm", "task", "job", "goal", "route",
    "map", "zone", "weight", "level", "flow", "vibration", "rpm", "torque", "load", "uptime", "signal",
    "rssi", "owner", "name", "config", "settings", "target", "progress", "note", "message",
];
const WORDS: [&str; 24] = [
    "idle", "active", "charging", "moving", "working", "done", "queued", "assigned", "failed", "ok",
    "error", "warning", "online", "offline", "auto", "manual", "docked", "paused", "north", "south",
    "east", "west", "unknown", "ready",
];

fn value(rng: &mut Rng) -> Value {
    match rng.u8(0..8) {
        0 | 1 => json!(WORDS[rng.usize(..WORDS.len())]),
        2 => json!(rng.u32(0..101)),
        3 => json!((rng.f64() * 1_000.0).round() / 10.0),
        4 => json!({"x": rng.u32(0..1_000), "y": rng.u32(0..1_000), "z": 0}),
        5 => json!({"lat": (rng.f64() * 1e7).round() / 1e5, "lon": (rng.f64() * 1e7).round() / 1e5}),
        6 => json!(rng.bool()),
        _ => json!(1_800_000_000_000_i64 + rng.i64(0..10_000_000_000)),
    }
}

/// The bodies of changes of one document after another.
pub(super) fn samples(seed: u64) -> Vec<Vec<u8>> {
    let mut rng = Rng::with_seed(seed);
    let mut samples = Vec::new();
    for fleet in 0..60 {
        let kind = KINDS[fleet % KINDS.len()];
        let mut names: Vec<&str> = REGISTERS.to_vec();
        rng.shuffle(&mut names);
        names.truncate(rng.usize(8..24));
        let mut schema = Schema::new(kind);
        for name in &names {
            schema = schema.field(name, Field::Lww);
        }
        schema = schema
            .field("counter", Field::Max)
            .field("odometer", Field::PnCounter)
            .field("tasks", Field::or_map(Field::Lww));
        let replica = ReplicaId::new(rng.u64(1..500));
        let mut now = 1_800_000_000_000 + rng.i64(0..1_000_000_000);
        let mut document = Document::new(&schema);
        let mut known = Context::default();
        for step in 0..60 {
            now += rng.i64(1..60_000);
            let stamp = Stamp::at(Timestamp::from_millis(now));
            let mut edit = document.edit(&schema, replica, stamp);
            let changes = if step == 0 { names.len() } else { rng.usize(1..6) };
            for change in 0..changes {
                let name = names[if step == 0 { change } else { rng.usize(..names.len()) }];
                let changed = match rng.u8(0..12) {
                    0 => edit.add("odometer", rng.i64(1..100)).map(|_| ()),
                    1 => edit.max("counter", f64::from(step)).map(|_| ()),
                    2 => {
                        let word = WORDS[rng.usize(..WORDS.len())];
                        edit.set(&format!("tasks/task_{}", rng.u8(..)), word).map(|_| ())
                    }
                    _ => edit.set(name, value(&mut rng)).map(|_| ()),
                };
                changed.expect("the schema has the field");
            }
            let delta = document.delta(&known).expect("something was changed");
            known = document.context().clone();
            let letter = char::from(rng.u8(b'A'..=b'Z'));
            let id = format!("{letter}{:03}", rng.u32(0..1_000));
            let changes = Changes {
                number: rng.u32(1..10_000),
                through: Some(Change::new(rng.i64(1..100_000))),
                documents: vec![Told { id, delta, digest: rng.u32(..) }],
            };
            samples.push(changes.encode());
        }
    }
    samples
}

#[test]
#[ignore = "writes the dictionary"]
fn the_dictionary_is_trained() {
    let bytes = zstd::dict::from_samples(&samples(1), DICTIONARY_BYTES).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sync/dictionary-1.zdict");
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_dictionary_makes_unseen_deltas_smaller() {
    use super::dictionary::{Codec, SHIPPED};
    let (mut none, mut shipped) = (Codec::new(None), Codec::new(Some(SHIPPED)));
    let (mut bare, mut plain, mut packed) = (0, 0, 0);
    for sample in samples(99) {
        bare += sample.len();
        plain += none.pack(&sample).unwrap().len().min(sample.len());
        let small = shipped.pack(&sample).unwrap();
        assert_eq!(shipped.unpack(&small, sample.len()).unwrap(), sample);
        packed += small.len().min(sample.len());
    }
    println!("{bare} bytes, {plain} packed, {packed} with the dictionary");
    assert!(packed * 10 < plain * 8, "{packed} of {plain}");
}
