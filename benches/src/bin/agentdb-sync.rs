//! What sync takes on the wire: a delta of a 10 KB robot state, and finding ten of 100,000 documents that differ.
//!
//! `cargo run --release -p edgeweave-benches --no-default-features --features store --bin agentdb-sync -- --json`
#![allow(clippy::print_stdout, reason = "a command")]

use std::time::Duration;

use agentdb::sync::{Endpoint, Pace, Phase, Role, Session, SyncError, SyncOptions, Toward};
use agentdb::{AgentDb, Field, Options, ReplicaId, Schema, Timestamp};
use clap::Parser;
use fastrand::Rng;
use serde_json::{Value, json};

/// Measures sync.
#[derive(Parser)]
struct Args {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Documents of which ten differ.
    #[arg(long, default_value_t = 100_000)]
    documents: usize,
}

const START: i64 = 1_800_000_000_000;

struct Side {
    endpoint: Endpoint,
    session: Session,
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn side(replica: u64, schema: &Schema) -> Result<Side, SyncError> {
    let options = Options::new(ReplicaId::new(replica)).schema(schema.clone());
    let pace = Pace {
        window: Duration::ZERO,
        ..Pace::default()
    };
    let sync = SyncOptions::new(Role::Device).pace(pace);
    let mut endpoint = Endpoint::new(AgentDb::in_memory(options)?, sync);
    let session = Session::new(&mut endpoint, Toward::Peer, at(0));
    Ok(Side { endpoint, session })
}

/// Carries frames until both are silent: bytes, and how often a side waited for the other.
fn exchange(a: &mut Side, b: &mut Side, now: Timestamp) -> Result<(usize, usize), SyncError> {
    let (mut bytes, mut flights) = (0, 0);
    loop {
        let mut quiet = true;
        for turn in 0..2 {
            let (from, to) = if turn == 0 {
                (&mut *a, &mut *b)
            } else {
                (&mut *b, &mut *a)
            };
            let mut frames = Vec::new();
            while let Some(frame) = from.session.poll(&mut from.endpoint, now)? {
                frames.push(frame);
            }
            flights += usize::from(!frames.is_empty());
            for frame in frames {
                quiet = false;
                bytes += frame.len();
                to.session.receive(&mut to.endpoint, &frame, now)?;
            }
        }
        if quiet {
            return Ok((bytes, flights.div_ceil(2)));
        }
    }
}

fn value(rng: &mut Rng, place: usize) -> Value {
    match place % 4 {
        0 => json!(rng.u32(0..10_000)),
        1 => json!((rng.f64() * 1e4).round() / 100.0),
        2 => json!(["idle", "moving", "charging", "welding", "blocked"][rng.usize(..5)]),
        _ => {
            let part = |rng: &mut Rng| (rng.f64() * 1e5).round() / 100.0;
            json!({"x": part(rng), "y": part(rng), "heading": part(rng)})
        }
    }
}

/// The frame of each of many changes of three fields. `prefix` names the fields.
fn delta_frames(prefix: &str, seed: u64) -> Result<(usize, Vec<usize>), SyncError> {
    let mut rng = Rng::with_seed(seed);
    let names: Vec<String> = (0..400).map(|place| format!("{prefix}_{place}")).collect();
    let schema = names.iter().fold(Schema::new("unit"), |schema, name| {
        schema.field(name, Field::Lww)
    });
    let (mut a, mut b) = (side(1, &schema)?, side(2, &schema)?);
    let mut tx = a.endpoint.db_mut().begin(at(1))?;
    let mut unit = tx.agent("unit", "R042")?;
    for (place, name) in names.iter().enumerate() {
        unit.set(name, value(&mut rng, place))?;
    }
    tx.commit()?;
    exchange(&mut a, &mut b, at(10))?;
    let state = a.endpoint.db().get("R042")?;
    let size = state.map_or(0, |agent| agent.state.to_string().len());
    let mut frames = Vec::new();
    for step in 0..1_000 {
        let now = at(1_000 + step * 100);
        let mut tx = a.endpoint.db_mut().begin(now)?;
        let mut unit = tx.agent("unit", "R042")?;
        for _ in 0..3 {
            let place = rng.usize(..names.len());
            unit.set(&names[place], value(&mut rng, place))?;
        }
        tx.commit()?;
        while let Some(frame) = a.session.poll(&mut a.endpoint, now)? {
            frames.push(frame.len());
            b.session.receive(&mut b.endpoint, &frame, now)?;
        }
        exchange(&mut a, &mut b, now)?;
    }
    frames.sort_unstable();
    Ok((size, frames))
}

fn reconcile(count: usize) -> Result<(usize, usize, bool), SyncError> {
    let schema = Schema::new("unit").field("battery", Field::Lww);
    let (mut a, mut b) = (side(1, &schema)?, side(2, &schema)?);
    let mut third = side(3, &schema)?;
    let ids: Vec<String> = (0..count).map(|number| format!("unit-{number}")).collect();
    for chunk in ids.chunks(1_000) {
        let mut tx = third.endpoint.db_mut().begin(at(1))?;
        for id in chunk {
            tx.agent("unit", id)?.set("battery", 50)?;
        }
        tx.commit()?;
        for side in [&mut a, &mut b] {
            let mut tx = side.endpoint.db_mut().begin(at(2))?;
            for id in chunk {
                if let Some(document) = third.endpoint.db().document(id)? {
                    tx.merge(id, &document)?;
                }
            }
            tx.commit()?;
        }
    }
    for number in 0..10 {
        let side = if number % 2 == 0 { &mut a } else { &mut b };
        let mut tx = side.endpoint.db_mut().begin(at(3))?;
        tx.agent("unit", &ids[number * count / 10])?
            .set("battery", number)?;
        tx.commit()?;
    }
    let (bytes, round_trips) = exchange(&mut a, &mut b, at(10))?;
    let live = a.session.phase() == Phase::Live && b.session.phase() == Phase::Live;
    let mut same = live;
    for id in &ids {
        same &= a.endpoint.db().document(id)? == b.endpoint.db().document(id)?;
    }
    Ok((bytes, round_trips, same))
}

fn main() -> Result<(), SyncError> {
    let args = Args::parse();
    let mut deltas = Vec::new();
    // Names that the shipped dictionary may know, and such as it cannot.
    for prefix in ["position", "qzv"] {
        let (state, frames) = delta_frames(prefix, 7)?;
        let of = |part: usize| frames[(frames.len() - 1) * part / 100];
        deltas.push(json!({
            "fields": format!("{prefix}_N"), "state_bytes": state, "frames": frames.len(),
            "median": of(50), "p95": of(95), "largest": of(100),
        }));
    }
    let (bytes, round_trips, same) = reconcile(args.documents)?;
    let found = json!({
        "documents": args.documents, "differ": 10, "bytes": bytes,
        "round_trips": round_trips, "same_afterwards": same,
    });
    if args.json {
        println!(
            "{}",
            json!({"delta_frames": deltas, "reconciliation": found})
        );
        return Ok(());
    }
    for delta in deltas {
        println!(
            "delta of three of 400 fields `{}`, state of {} bytes: median {} bytes a frame, p95 {}, largest {}",
            delta["fields"], delta["state_bytes"], delta["median"], delta["p95"], delta["largest"]
        );
    }
    println!(
        "{} documents, ten differ: {bytes} bytes, {round_trips} round trips from the first greeting to the last word, same afterwards: {same}",
        args.documents
    );
    Ok(())
}
