//! State, events and records are kept together or not at all.

use agentdb::{AgentDb, Priority, Sequence};
use serde_json::json;

use crate::{at, options, store};

#[test]
fn a_transaction_that_is_dropped_leaves_nothing() {
    let mut db = store(1);
    let mut tx = db.begin(at(1)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 5).unwrap();
    tx.append_event("R1", "started", &json!({}), Priority::Normal)
        .unwrap();
    tx.put_record("journal", "a", b"1").unwrap();
    drop(tx);
    assert!(db.get("R1").unwrap().is_none());
    assert!(db.events_after(Sequence::new(0), 10).unwrap().is_empty());
    assert!(db.get_record("journal", "a").unwrap().is_none());
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    {
        let mut db = AgentDb::open(&path, options(1)).unwrap();
        let mut tx = db.begin(at(7)).unwrap();
        tx.agent("robot", "R1")
            .unwrap()
            .set("battery", 5)
            .unwrap()
            .status("task", "active")
            .unwrap();
        tx.append_event(
            "R1",
            "started",
            &json!({"by": "x"}),
            Priority::SafetyCritical,
        )
        .unwrap();
        tx.put_record("journal", "a", b"1").unwrap();
        tx.commit().unwrap();
    }
    let db = AgentDb::open(&path, options(1)).unwrap();
    let robot = db.get("R1").unwrap().unwrap();
    assert_eq!(robot.state, json!({"battery": 5, "task": "active"}));
    assert_eq!((robot.version, robot.at), (1, at(7)));
    let events = db.events_after(Sequence::new(0), 10).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].payload.clone(), events[0].priority),
        (json!({"by": "x"}), Priority::SafetyCritical)
    );
    assert_eq!(
        db.get_record("journal", "a").unwrap().as_deref(),
        Some(&b"1"[..])
    );
}

#[test]
fn writes_after_reopening_go_on_from_the_last_count() {
    let folder = tempfile::tempdir().unwrap();
    for open in 1..=3u64 {
        let mut db = AgentDb::open(folder.path().join("state.db"), options(1)).unwrap();
        let mut tx = db.begin(at(1)).unwrap();
        tx.agent("robot", "R1")
            .unwrap()
            .set("battery", open)
            .unwrap();
        tx.commit().unwrap();
        let clock = db.get("R1").unwrap().unwrap().clock;
        assert_eq!(clock.seen(agentdb::ReplicaId::new(1)), open);
    }
}

#[test]
fn records_are_read_by_key_within_their_namespace_and_removed_by_range() {
    let mut db = store(1);
    let mut tx = db.begin(at(1)).unwrap();
    for key in ["a/1", "a/2", "a/3", "b/1"] {
        tx.put_record("log", key, key.as_bytes()).unwrap();
    }
    tx.put_record("other", "a/2", b"x").unwrap();
    assert_eq!(
        tx.get_record("log", "a/3").unwrap().as_deref(),
        Some(&b"a/3"[..])
    );
    assert_eq!(tx.delete_records("log", "a/1", "a/3").unwrap(), 2);
    tx.delete_record("log", "absent").unwrap();
    tx.commit().unwrap();
    let keys = |after: &str, limit| {
        let records = db.scan_records("log", after, limit).unwrap();
        records.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys("", 10), ["a/3", "b/1"]);
    assert_eq!(keys("a/3", 10), ["b/1"]);
    assert_eq!(keys("", 1), ["a/3"]);
    assert_eq!(db.scan_records("other", "", 10).unwrap().len(), 1);
}

#[test]
fn reads_do_not_wait_for_a_transaction_that_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = AgentDb::open(folder.path().join("state.db"), options(1)).unwrap();
    let set = |db: &mut AgentDb, time, battery: i64| {
        let mut tx = db.begin(at(time)).unwrap();
        let mut agent = tx.agent("robot", "R1").unwrap();
        agent.set("battery", battery).unwrap();
        tx.commit().unwrap();
    };
    set(&mut db, 1, 17);
    let durable = db.durable();
    let reader = db.clone();
    let mut tx = db.begin(at(2)).unwrap();
    let mut agent = tx.agent("robot", "R1").unwrap();
    agent.set("battery", 16).unwrap();

    // The transaction is this thread's: to wait for it would be to wait for ever.
    let battery = |agent: &agentdb::Agent| agent.state["battery"].as_i64();
    let read = reader.get("R1").unwrap().unwrap();
    assert_eq!(battery(&read), Some(17));
    let document = reader.document("R1").unwrap().unwrap();
    assert_eq!(*document.context(), read.clock);
    assert!(reader.conflicts("R1").unwrap().is_empty());
    assert_eq!(reader.durable(), durable);
    let found = reader.query("robot", "battery > 16").unwrap();
    assert_eq!(found.iter().map(battery).collect::<Vec<_>>(), [Some(17)]);
    assert!(reader.get_record("journal", "a").unwrap().is_none());
    drop((tx, reader));
    set(&mut db, 3, 15);
    assert_eq!(battery(&db.get("R1").unwrap().unwrap()), Some(15));
}
