//! Whatever stands in the row of a document, it is an agent, a document or damage that is told; where a document
//! is read, its agent has the same clock, and a write over it is kept.
#![no_main]

use agentdb::storage::{Batch, DocumentRow, Memory, Storage, Sync};
use agentdb::{AgentDb, Context, Field, Options, ReplicaId, Schema, Timestamp};
use libfuzzer_sys::fuzz_target;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fuzz_target!(|bytes: &[u8]| {
    let schema = Schema::new("robot")
        .field("battery", Field::Lww)
        .field("tools", Field::or_set())
        .field("odometer", Field::PnCounter);
    let row = DocumentRow {
        id: "R1".to_owned(),
        schema: "robot".to_owned(),
        state: "{}".to_owned(),
        crdt: bytes.to_vec(),
        version: 1,
        at: at(1),
        changed: 1,
    };
    let mut storage = Memory::new();
    let documents = vec![row];
    let batch = Batch { documents, ..Batch::default() };
    storage.begin().expect("nobody else writes");
    storage.apply(&batch).expect("memory takes it");
    storage.commit(Sync::System).expect("memory takes it");
    let options = Options::new(ReplicaId::new(1)).schema(schema);
    let mut db = AgentDb::with_storage(Box::new(storage), options).expect("memory opens");

    let agent = db.get("R1");
    let found = db.verify().expect("memory is read");
    let Ok(document) = db.document("R1") else {
        assert!(!found.is_empty());
        return;
    };
    let document = document.expect("the row is there");
    let agent = agent.expect("what has a document has its context").expect("the row is there");
    assert_eq!(agent.clock, *document.context());
    let _ = document.delta(&Context::default());
    let _ = db.conflicts("R1");

    let mut tx = db.begin(at(2)).expect("nobody else writes");
    let written = tx.agent("robot", "R1").and_then(|mut robot| {
        robot.set("battery", 7)?.insert("tools", "welder")?.add("odometer", 5).map(drop)
    });
    if written.is_ok() && tx.commit().is_ok() {
        let robot = db.get("R1").expect("what was written is read").expect("the row is there");
        assert_eq!(robot.state["battery"], 7);
    }
});
