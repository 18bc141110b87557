//! Whose file it is, and what other programs see of it.

use agentdb::{AgentDb, Durability, Error, Priority};
use rusqlite::Connection;
use serde_json::json;

use crate::{at, options};

#[test]
fn the_three_tables_are_there_for_any_sqlite_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut db = AgentDb::open(&path, options(1)).unwrap();
    let mut tx = db.begin(at(42)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 17).unwrap();
    tx.append_event("R1", "started", &json!({"task": "weld"}), Priority::Normal)
        .unwrap();
    tx.commit().unwrap();

    let other = Connection::open(&path).unwrap();
    let row: (String, i64, i64, i64) = other
        .query_row(
            "SELECT agent_id, json_extract(state_json, '$.battery'), version, timestamp FROM agent_state",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(row, ("R1".to_owned(), 17, 1, 42));
    let row: (String, String, String) = other
        .query_row(
            "SELECT event_type, payload, sync_status FROM agent_events JOIN sync_log ON event_id = local_seq",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(
        row,
        (
            "started".to_owned(),
            r#"{"task":"weld"}"#.to_owned(),
            "waiting".to_owned()
        )
    );
    let mode: String = other
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_file_of_another_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = AgentDb::open(&path, options(1)).err().unwrap();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    std::fs::write(&path, [0xffu8; 4096]).unwrap();
    let error = AgentDb::open(&path, options(1)).err().unwrap();
    assert!(
        matches!(error, Error::Open { .. }) && error.to_string().contains("photo.jpg"),
        "{error}"
    );
}

#[test]
fn a_file_of_a_newer_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(AgentDb::open(&path, options(1)).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        AgentDb::open(&path, options(1)),
        Err(Error::Format { found: 99, .. })
    ));
}

#[test]
fn a_damaged_document_is_named_and_the_others_are_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut db = AgentDb::open(&path, options(1).durability(Durability::Buffered)).unwrap();
    let mut tx = db.begin(at(1)).unwrap();
    for id in ["R1", "R2"] {
        tx.agent("robot", id).unwrap().set("battery", 1).unwrap();
    }
    tx.commit().unwrap();
    db.flush().unwrap();
    Connection::open(&path)
        .unwrap()
        .execute(
            "UPDATE agent_state SET crdt = x'00' WHERE agent_id = 'R1'",
            [],
        )
        .unwrap();
    let error = db.get("R1").unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { agent, .. } if agent == "R1"),
        "{error}"
    );
    assert!(db.get("R2").unwrap().is_some());
}

#[test]
fn many_may_make_the_same_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::thread::scope(|scope| {
        for replica in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut db = AgentDb::open(path, options(replica)).unwrap();
                for _ in 0..10 {
                    let mut tx = db.begin(at(1)).unwrap();
                    tx.agent("robot", "R1").unwrap().add("odometer", 1).unwrap();
                    tx.commit().unwrap();
                }
            });
        }
    });
    let db = AgentDb::open(&path, options(9)).unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["odometer"], 40);
}
