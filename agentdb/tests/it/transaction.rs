//! State, events and records are kept together or not at all.

use agentdb::{
    AgentDb, Error, Field, Options, Priority, ReplicaId, Schema, Sequence, SyncStatus, Timestamp,
};
use serde_json::json;

fn options() -> Options {
    let robot = Schema::new("robot")
        .field("battery", Field::Lww)
        .field("peak", Field::Max)
        .field("task", Field::status(&["queued", "done"]))
        .field("odometer", Field::PnCounter);
    Options::new(ReplicaId::new(1)).schema(robot)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn what_is_not_committed_never_happened() {
    let mut db = AgentDb::in_memory(options()).unwrap();
    let mut tx = db.begin(at(1)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 50).unwrap();
    tx.append_event("R1", "started", &json!({}), Priority::Normal)
        .unwrap();
    tx.put_record("journal", "a", b"1").unwrap();
    drop(tx);
    assert_eq!(db.get("R1").unwrap(), None);
    assert_eq!(db.events_after(Sequence::default(), 10).unwrap(), []);
    assert_eq!(db.get_record("journal", "a").unwrap(), None);
}

#[test]
fn a_transaction_sees_its_own_changes_and_commits_them_once() {
    let mut db = AgentDb::in_memory(options()).unwrap();
    for round in 1..=3_i64 {
        let mut tx = db.begin(at(round)).unwrap();
        tx.agent("robot", "R1").unwrap().add("odometer", 1).unwrap();
        tx.agent("robot", "R1").unwrap().add("odometer", 1).unwrap();
        tx.commit().unwrap();
    }
    let agent = db.get("R1").unwrap().unwrap();
    assert_eq!(agent.state, json!({ "odometer": 6 }));
    assert_eq!((agent.version, agent.at), (3, at(3)));
    assert_eq!(agent.clock.seen(ReplicaId::new(1)), 6);
}

#[test]
fn events_come_back_in_order_and_wait_until_they_are_marked() {
    let mut db = AgentDb::in_memory(options()).unwrap();
    for n in 0..5 {
        let mut tx = db.begin(at(n)).unwrap();
        tx.append_event("R1", "step", &json!({ "n": n }), Priority::SafetyCritical)
            .unwrap();
        tx.commit().unwrap();
    }
    let all = db.events_after(Sequence::default(), 10).unwrap();
    assert_eq!(
        all.iter()
            .map(|e| e.payload["n"].as_i64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    let mut tx = db.begin(at(9)).unwrap();
    tx.mark(all[1].sequence, SyncStatus::Delivered, None)
        .unwrap();
    tx.mark(all[3].sequence, SyncStatus::Refused, Some("too large"))
        .unwrap();
    tx.commit().unwrap();
    assert_eq!(db.waiting().unwrap(), 3);
    let left = db.waiting_after(all[0].sequence, 10).unwrap();
    assert_eq!(
        left.iter().map(|e| e.sequence).collect::<Vec<_>>(),
        [all[2].sequence, all[4].sequence]
    );
    assert_eq!(db.events_after(Sequence::default(), 10).unwrap().len(), 5);
}

#[test]
fn records_are_scanned_by_key_and_deleted_by_range() {
    let mut db = AgentDb::in_memory(options()).unwrap();
    let mut tx = db.begin(at(0)).unwrap();
    for key in ["a", "b", "c", "d"] {
        tx.put_record("journal", key, key.as_bytes()).unwrap();
    }
    tx.put_record("other", "b", b"else").unwrap();
    assert_eq!(tx.delete_records("journal", "b", "d").unwrap(), 2);
    tx.delete_record("journal", "absent").unwrap();
    tx.commit().unwrap();
    let keys: Vec<String> = db
        .scan_records("journal", "", 10)
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["a", "d"]);
    assert_eq!(
        db.scan_records("journal", "a", 1).unwrap(),
        [("d".to_owned(), b"d".to_vec())]
    );
    assert_eq!(db.get_record("other", "b").unwrap(), Some(b"else".to_vec()));
}

#[test]
fn a_wrong_change_is_told_and_changes_nothing() {
    let mut db = AgentDb::in_memory(options()).unwrap();
    let mut tx = db.begin(at(0)).unwrap();
    assert!(matches!(tx.agent("boat", "R1"), Err(Error::UnknownSchema(name)) if name == "boat"));
    let mut robot = tx.agent("robot", "R1").unwrap();
    assert!(
        matches!(robot.set("colour", 1), Err(Error::UnknownField { field, .. }) if field == "colour")
    );
    assert!(matches!(robot.set("peak", 1), Err(Error::WrongType { .. })));
    assert!(matches!(
        robot.max("peak", f64::NAN),
        Err(Error::NotFinite { .. })
    ));
    let error = robot.status("task", "flying").err().unwrap().to_string();
    assert!(
        error.contains("flying") && error.contains("queued, done"),
        "{error}"
    );
    let long = "x".repeat(2 << 20);
    assert!(matches!(
        robot.set("battery", long.as_str()),
        Err(Error::Limit { .. })
    ));
    assert!(matches!(
        tx.agent("robot", &"i".repeat(600)),
        Err(Error::Limit { .. })
    ));
    tx.commit().unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state, json!({}));
}

#[test]
fn a_file_of_a_newer_release_or_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        AgentDb::open(&path, options()),
        Err(Error::Format { found: 99, .. })
    ));
    let path = folder.path().join("text.db");
    std::fs::write(&path, "this is no database, and it is longer than a header of one hundred bytes, so that SQLite looks at it").unwrap();
    let error = AgentDb::open(&path, options()).err().unwrap().to_string();
    assert!(error.contains("text.db"), "{error}");
}
