//! Two robots work without a link, meet, and agree; what they saw waits in the log for the farm.
//!
//! `cargo run -p edgeweave-agentdb --example two_robots`
#![allow(clippy::print_stdout, reason = "an example")]

use agentdb::{
    AgentDb, Durability, Field, Options, Priority, ReplicaId, Schema, Sequence, SyncStatus,
    Timestamp,
};
use serde_json::json;

fn schema() -> Schema {
    Schema::new("field")
        .field("note", Field::Lww)
        .field("tallest_cm", Field::Max)
        .field("rows_done", Field::PnCounter)
        .field("harvest", Field::status(&["queued", "active", "done"]))
}

fn open(folder: &std::path::Path, replica: u64) -> agentdb::Result<AgentDb> {
    let options = Options::new(ReplicaId::new(replica))
        .durability(Durability::Immediate)
        .schema(schema());
    AgentDb::open(folder.join(format!("robot-{replica}.db")), options)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut first = open(folder.path(), 1)?;
    let mut second = open(folder.path(), 2)?;

    // No link: each notes what it did, and an event beside it in the same transaction.
    let mut tx = first.begin(Timestamp::from_millis(1_000))?;
    tx.agent("field", "north")?
        .add("rows_done", 5)?
        .max("tallest_cm", 81.0)?
        .status("harvest", "active")?;
    tx.append_event("north", "started", &json!({"by": 1}), Priority::Normal)?;
    tx.commit()?;

    let mut tx = second.begin(Timestamp::from_millis(2_000))?;
    tx.agent("field", "north")?
        .add("rows_done", 7)?
        .max("tallest_cm", 78.0)?
        .set("note", "wet at the ditch")?;
    tx.commit()?;

    // They meet: each joins the other's copy.
    let copies = (first.document("north")?, second.document("north")?);
    let now = Timestamp::from_millis(3_000);
    for (db, copy) in [(&mut first, &copies.1), (&mut second, &copies.0)] {
        if let Some(copy) = copy {
            let mut tx = db.begin(now)?;
            tx.merge("north", copy)?;
            tx.commit()?;
        }
    }
    for db in [&first, &second] {
        for field in db.query("field", "rows_done >= 12 && harvest != 'done'")? {
            println!("{}: {}", field.id, field.state);
        }
    }

    // A link to the farm: events leave oldest first, and are marked when taken.
    let waiting = first.waiting_after(Sequence::new(0), 100)?;
    let mut tx = first.begin(now)?;
    for event in &waiting {
        println!("to the farm: {} {}", event.event_type, event.payload);
        tx.mark(event.sequence, SyncStatus::Delivered, None)?;
    }
    tx.commit()?;
    println!("still waiting: {}", first.waiting()?);
    Ok(())
}
