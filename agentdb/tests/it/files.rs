//! Whose file it is, and what other programs see of it.

use agentdb::{AgentDb, Durability, Error, Priority, inspect};
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

/// A file as earlier releases made it.
fn format_1(path: &std::path::Path) {
    let sql = include_str!("../fixtures/format-1.sql");
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_file_of_format_1_opens_with_all_that_was_in_it_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    format_1(&path);
    let mut db = AgentDb::open(&path, options(1)).unwrap();
    let agent = db.get("R1").unwrap().unwrap();
    let state = json!({"battery": 17, "counter": 7, "odometer": 115, "task": "active"});
    assert_eq!(
        (&agent.state, agent.version, agent.at),
        (&state, 3, at(1000))
    );
    assert_eq!(agent.clock.seen(agentdb::ReplicaId::new(1)), 4);
    let waiting = db.waiting_after(agentdb::Sequence::new(0), 9).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].event_type, "stopped");
    assert_eq!(
        db.get_record("journal", "a").unwrap().as_deref(),
        Some(&[1_u8][..])
    );
    assert_eq!(db.verify().unwrap(), Vec::<String>::new());

    let mut tx = db.begin(at(5_000)).unwrap();
    let mut agent = tx.agent("robot", "R1").unwrap();
    agent
        .set("battery", 90)
        .unwrap()
        .max("counter", 9.0)
        .unwrap()
        .add("odometer", 5)
        .unwrap();
    assert_eq!(
        tx.append_event("R1", "later", &json!({}), Priority::Normal)
            .unwrap()
            .get(),
        3
    );
    tx.commit().unwrap();
    drop(db);
    let db = AgentDb::open(&path, options(1)).unwrap();
    let state = json!({"battery": 90, "counter": 9, "odometer": 120, "task": "active"});
    assert_eq!(db.get("R1").unwrap().unwrap().state, state);
}

#[test]
fn two_replicas_that_bring_the_same_old_document_over_agree() {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<_> = [1, 2]
        .map(|replica| {
            let path = folder.path().join(format!("{replica}.db"));
            format_1(&path);
            let mut db = AgentDb::open(&path, options(replica)).unwrap();
            let mut tx = db.begin(at(9)).unwrap();
            tx.agent("robot", "R1").unwrap().add("odometer", 1).unwrap();
            tx.commit().unwrap();
            db.document("R1").unwrap().unwrap()
        })
        .into();
    let (mut a, mut b) = (documents[0].clone(), documents[1].clone());
    a.merge(&documents[1]).unwrap();
    b.merge(&documents[0]).unwrap();
    assert_eq!(a, b);
    assert_eq!(a.to_json(&crate::robot())["odometer"], 117);
}

#[test]
fn what_the_command_shows_and_repairs_is_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (
        folder.path().join("state.db"),
        folder.path().join("copy.db"),
    );
    let mut db = AgentDb::open(&path, options(1)).unwrap();
    let mut tx = db.begin(at(42)).unwrap();
    for id in ["R1", "R2"] {
        tx.agent("robot", id).unwrap().set("battery", 17).unwrap();
        tx.append_event(id, "started", &json!({}), Priority::Normal)
            .unwrap();
    }
    tx.put_record("journal", "a", b"x").unwrap();
    tx.commit().unwrap();
    let replica = db.replica();
    drop(db);
    assert_eq!(inspect::verify(&path).unwrap(), Vec::<String>::new());
    Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE agent_state SET crdt = x'00' WHERE agent_id = 'R1'; UPDATE agent_state SET state_json = '{}' WHERE agent_id = 'R2'")
        .unwrap();
    let found = inspect::verify(&path).unwrap();
    assert!(
        found.len() == 2 && found[0].contains("R1") && found[1].contains("R2"),
        "{found:?}"
    );
    let mut dump = Vec::new();
    inspect::dump(&path, &mut dump).unwrap();
    let lines = String::from_utf8(dump).unwrap();
    // Documents, events, and records: of the host, the schema, the tally and the incarnation.
    assert_eq!(lines.lines().count(), 2 + 2 + 4, "{lines}");
    assert!(
        lines
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );

    let repaired = inspect::repair(&path, &copy).unwrap();
    assert_eq!(
        (repaired.documents, repaired.events, repaired.lost.len()),
        (1, 2, 1)
    );
    assert!(repaired.lost[0].contains("R1"));
    assert!(
        inspect::repair(&path, &copy).is_err(),
        "it never writes over a file"
    );
    assert_eq!(inspect::verify(&copy).unwrap(), Vec::<String>::new());
    let db = AgentDb::open(&copy, options(1)).unwrap();
    assert!(db.replica() > replica);
    assert_eq!(db.get("R2").unwrap().unwrap().state["battery"], 17);
    assert_eq!(db.waiting().unwrap(), 2);
    let read = AgentDb::read_only(&copy).unwrap();
    assert_eq!(read.query("robot", "battery == 17").unwrap().len(), 1);
}
