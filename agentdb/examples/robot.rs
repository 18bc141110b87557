//! Two robots' stores that meet: state, events, a query, a merge.
#![allow(clippy::print_stdout, reason = "an example prints")]

use agentdb::{AgentDb, Field, Options, Priority, ReplicaId, Schema, Sequence, Timestamp};
use serde_json::json;

fn main() -> agentdb::Result<()> {
    let schema = Schema::new("robot")
        .field("battery", Field::Lww)
        .field("odometer", Field::PnCounter)
        .field(
            "task",
            Field::status(&["queued", "assigned", "active", "done"]),
        );
    let open =
        |replica| AgentDb::in_memory(Options::new(ReplicaId::new(replica)).schema(schema.clone()));
    let (mut robot, mut gateway) = (open(1)?, open(2)?);

    let mut tx = robot.begin(Timestamp::from_millis(1_000))?;
    tx.agent("robot", "R042")?
        .set("battery", 17)?
        .add("odometer", 120)?
        .status("task", "active")?;
    tx.append_event(
        "R042",
        "task_started",
        &json!({ "task": "weld" }),
        Priority::SafetyCritical,
    )?;
    tx.commit()?;

    // Meanwhile the gateway, which has not heard of that, notes what it knows.
    let mut tx = gateway.begin(Timestamp::from_millis(900))?;
    tx.agent("robot", "R042")?
        .set("battery", 90)?
        .add("odometer", 5)?
        .status("task", "assigned")?;
    tx.commit()?;

    // They meet: copies go both ways, in any order, as often as one likes.
    if let Some(copy) = robot.document("R042")? {
        let mut tx = gateway.begin(Timestamp::from_millis(2_000))?;
        tx.merge("R042", &copy)?;
        tx.commit()?;
    }
    for agent in gateway.query("robot", "battery < 20 && task != 'done'")? {
        println!("{}: {}", agent.id, agent.state);
    }
    for event in robot.waiting_after(Sequence::default(), 10)? {
        println!("waits for a link: {} {}", event.event_type, event.payload);
    }
    Ok(())
}
