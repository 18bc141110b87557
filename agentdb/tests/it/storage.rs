//! What every backend promises, held by each.

use agentdb::storage::{
    Batch, DocumentRow, EventFilter, IndexEntry, MarkRow, Memory, Sqlite, Storage, Sync,
};
use agentdb::{
    AgentDb, Direction, Origin, Priority, ReplicaId, Sequence, StoredEvent, SyncStatus, Timestamp,
};
use serde_json::json;

use crate::at;

/// A fresh store of each backend, and how it is opened again.
fn each(test: impl Fn(&str, &dyn Fn() -> Box<dyn Storage>, bool)) {
    let memory = || -> Box<dyn Storage> { Box::new(Memory::new()) };
    test("memory", &memory, false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    test(
        "sqlite",
        &|| Box::new(Sqlite::open(&path, &[]).unwrap()),
        true,
    );
    #[cfg(feature = "sled")]
    {
        let path = folder.path().join("sled");
        test(
            "sled",
            &|| Box::new(agentdb::storage::Sled::open(&path).unwrap()),
            true,
        );
    }
}

fn row(id: &str, schema: &str, changed: i64) -> DocumentRow {
    DocumentRow {
        id: id.to_owned(),
        schema: schema.to_owned(),
        state: json!({ "n": changed }).to_string(),
        crdt: vec![changed as u8, 0, 255],
        version: changed,
        at: at(changed),
        changed,
    }
}

fn event(sequence: i64, kind: &str, priority: Priority, time: i64) -> StoredEvent {
    StoredEvent {
        sequence: Sequence::new(sequence),
        agent: format!("R{}", sequence % 2),
        event_type: kind.to_owned(),
        payload: json!({ "of": sequence }),
        priority,
        at: Timestamp::from_millis(time),
        origin: (sequence % 3 == 0).then(|| Origin {
            replica: ReplicaId::new(u64::MAX).with_incarnation(2),
            sequence: Sequence::new(sequence * 10),
        }),
    }
}

fn entry(field: &str, key: &[u8], id: &str) -> IndexEntry {
    IndexEntry {
        schema: "robot".to_owned(),
        field: field.to_owned(),
        key: key.to_vec(),
        id: id.to_owned(),
    }
}

fn full() -> Batch {
    let mut batch = Batch {
        documents: vec![
            row("b", "robot", 1),
            row("a\u{e9}", "robot", 2),
            row("c", "dock", 3),
        ],
        indexed: vec![
            entry("battery", &[2, 1], "b"),
            entry("battery", &[2, 1, 0], "b"),
            entry("battery", &[2, 9], "a"),
            entry("batter", &[2, 5], "z"),
        ],
        events: (1..=6)
            .map(|n| {
                let priority = Priority::ALL[n as usize % 3];
                event(n, if n < 4 { "step" } else { "heat" }, priority, n * 100)
            })
            .collect(),
        marks: vec![MarkRow {
            sequence: Sequence::new(2),
            status: SyncStatus::Refused,
            note: Some(String::new()),
        }],
        ..Batch::default()
    };
    for key in ["k1", "k2", "k3"] {
        batch
            .records
            .insert(("ns".to_owned(), key.to_owned()), Some(key.into()));
    }
    batch
        .records
        .insert(("n".to_owned(), "sk0".to_owned()), Some(vec![]));
    batch.meta.insert("clock".to_owned(), -5);
    batch
}

fn check_full(what: &str, rows: &dyn Storage) {
    let sequences = |filter: EventFilter<'_>, after, limit| -> Vec<i64> {
        let events = rows.events(&filter, Sequence::new(after), limit).unwrap();
        events.iter().map(|event| event.sequence.get()).collect()
    };
    assert_eq!(
        rows.document("b").unwrap(),
        Some(row("b", "robot", 1)),
        "{what}"
    );
    assert_eq!(rows.document("").unwrap(), None, "{what}");
    let ids = |schema, after, limit| -> Vec<String> {
        let rows = rows.documents(schema, after, limit).unwrap();
        rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(None, None, 9), ["a\u{e9}", "b", "c"], "{what}");
    assert_eq!(ids(Some("robot"), Some("a\u{e9}"), 9), ["b"], "{what}");
    assert_eq!(ids(None, None, 1), ["a\u{e9}"], "{what}");
    let changes = rows.changes(1, 9).unwrap();
    assert_eq!(
        changes,
        [("a\u{e9}".to_owned(), 2), ("c".to_owned(), 3)],
        "{what}"
    );
    let index = |from: &[u8], to: &[u8], after: Option<(&[u8], &str)>, limit| -> Vec<String> {
        let found = rows
            .index("robot", "battery", from, to, after, limit)
            .unwrap();
        found
            .into_iter()
            .map(|(key, id)| format!("{key:?}{id}"))
            .collect()
    };
    assert_eq!(
        index(&[2], &[3], None, 9),
        ["[2, 1]b", "[2, 1, 0]b", "[2, 9]a"],
        "{what}"
    );
    assert_eq!(index(&[2, 1], &[2, 1], None, 9), ["[2, 1]b"], "{what}");
    assert_eq!(
        index(&[2], &[3], Some((&[2, 1], "b")), 1),
        ["[2, 1, 0]b"],
        "{what}"
    );
    let all = EventFilter::default();
    assert_eq!(sequences(all.clone(), 0, 9), [1, 2, 3, 4, 5, 6], "{what}");
    assert_eq!(sequences(all.clone(), 2, 2), [3, 4], "{what}");
    let of = EventFilter {
        agent: Some("R1"),
        event_type: Some("step"),
        ..all.clone()
    };
    assert_eq!(sequences(of, 0, 9), [1, 3], "{what}");
    let between = EventFilter {
        from: Some(at(200)),
        before: Some(at(400)),
        ..all.clone()
    };
    assert_eq!(sequences(between, 0, 9), [2, 3], "{what}");
    let waiting = EventFilter {
        status: Some(SyncStatus::Waiting),
        ..all.clone()
    };
    assert_eq!(sequences(waiting.clone(), 0, 9), [1, 3, 4, 5, 6], "{what}");
    let critical = EventFilter {
        priority: Some(Priority::SafetyCritical),
        ..waiting
    };
    assert_eq!(sequences(critical, 0, 9), [5], "{what}");
    let refused = EventFilter {
        status: Some(SyncStatus::Refused),
        ..all
    };
    assert_eq!(sequences(refused, 0, 9), [2], "{what}");
    let mark = rows.mark(Sequence::new(2)).unwrap().unwrap();
    assert_eq!(
        (mark.status, mark.note.as_deref()),
        (SyncStatus::Refused, Some("")),
        "{what}"
    );
    assert_eq!(
        rows.mark(Sequence::new(3)).unwrap().unwrap().note,
        None,
        "{what}"
    );
    let origin = event(3, "", Priority::Normal, 0).origin.unwrap();
    assert_eq!(
        rows.received(origin).unwrap(),
        Some(Sequence::new(3)),
        "{what}"
    );
    let backlog = rows.backlog(Priority::Normal).unwrap();
    assert_eq!(
        (backlog.count, backlog.bytes),
        (2, 2 * r#"{"of":1}"#.len() as u64),
        "{what}"
    );
    assert_eq!(
        rows.record("ns", "k2").unwrap().as_deref(),
        Some(&b"k2"[..]),
        "{what}"
    );
    let records = rows.records("ns", "k1", 9).unwrap();
    assert_eq!(
        records
            .iter()
            .map(|(key, _)| key.as_str())
            .collect::<Vec<_>>(),
        ["k2", "k3"],
        "{what}"
    );
    assert_eq!(rows.meta("clock").unwrap(), Some(-5), "{what}");
    let last = rows.last().unwrap();
    assert_eq!((last.changed, last.event), (3, 6), "{what}");
}

#[test]
fn a_batch_is_read_back_and_is_there_after_reopening() {
    each(|what, open, persists| {
        let mut storage = open();
        storage.begin().unwrap();
        storage.apply(&full()).unwrap();
        check_full(what, &*storage);
        storage.commit(Sync::Disk).unwrap();
        check_full(what, &*storage);
        if persists {
            drop(storage);
            check_full(what, &*open());
        }
    });
}

#[test]
fn what_is_rolled_back_leaves_no_trace() {
    each(|what, open, _| {
        let mut storage = open();
        storage.begin().unwrap();
        storage.apply(&full()).unwrap();
        storage.commit(Sync::System).unwrap();
        storage.begin().unwrap();
        for changed in [4, 5] {
            let mut batch = Batch {
                documents: vec![row("b", "robot", changed)],
                unindexed: vec![entry("battery", &[2, 1], "b")],
                indexed: vec![entry("battery", &[2, changed as u8], "b")],
                events: vec![event(changed + 3, "late", Priority::Normal, 0)],
                marks: vec![MarkRow {
                    sequence: Sequence::new(1),
                    status: SyncStatus::Delivered,
                    note: None,
                }],
                expired: vec![Sequence::new(3)],
                ..Batch::default()
            };
            batch
                .records
                .insert(("ns".to_owned(), "k1".to_owned()), None);
            batch.meta.insert("clock".to_owned(), changed);
            storage.apply(&batch).unwrap();
        }
        assert_eq!(storage.document("b").unwrap().unwrap().changed, 5, "{what}");
        assert_eq!(
            storage.changes(3, 9).unwrap(),
            [("b".to_owned(), 5)],
            "{what}"
        );
        storage.rollback();
        check_full(what, &*storage);
    });
}

#[test]
fn the_place_of_an_event_that_expired_is_not_given_anew() {
    each(|what, open, persists| {
        let mut storage = open();
        storage.begin().unwrap();
        storage.apply(&full()).unwrap();
        let expired = Batch {
            expired: (1..=6).map(Sequence::new).collect(),
            ..Batch::default()
        };
        storage.apply(&expired).unwrap();
        storage.commit(Sync::Disk).unwrap();
        let storage = if persists {
            drop(storage);
            open()
        } else {
            storage
        };
        assert_eq!(storage.last().unwrap().event, 6, "{what}");
        assert_eq!(
            storage.backlog(Priority::Normal).unwrap().count,
            0,
            "{what}"
        );
    });
}

#[test]
fn a_store_works_the_same_over_each_backend() {
    each(|what, open, persists| {
        let indexed = crate::robot().index("battery");
        let options = || agentdb::Options::new(ReplicaId::new(1)).schema(indexed.clone());
        let mut db = AgentDb::with_storage(open(), options()).unwrap();
        for n in 0..50_i64 {
            let mut tx = db.begin(at(n)).unwrap();
            let mut agent = tx.agent("robot", &format!("R{:02}", n % 25)).unwrap();
            agent
                .set("battery", n * 7 % 40)
                .unwrap()
                .add("odometer", 1)
                .unwrap();
            tx.append_event("R1", "step", &json!(n), Priority::Normal)
                .unwrap();
            tx.commit().unwrap();
        }
        let check = |db: &AgentDb| {
            let low = db
                .find("robot", "battery < 20 && odometer == 2")
                .unwrap()
                .order_by("battery")
                .limit(4);
            assert_eq!(
                low.explain(),
                "index battery (1 ranges), filter, order battery by index, first 4",
                "{what}"
            );
            let found: Vec<i64> = low
                .run()
                .unwrap()
                .iter()
                .map(|agent| agent.state["battery"].as_i64().unwrap())
                .collect();
            let mut expected: Vec<i64> = (25..50)
                .map(|n| n * 7 % 40)
                .filter(|battery| *battery < 20)
                .collect();
            expected.sort_unstable();
            assert_eq!(found, expected[..4], "{what}");
            let high = db
                .find("robot", "battery in [39, 3, 25] || !(battery < 38)")
                .unwrap();
            let high = high
                .ordered("battery", Direction::Descending)
                .run()
                .unwrap();
            assert!(
                high.is_sorted_by_key(|agent| -agent.state["battery"].as_i64().unwrap()),
                "{what}"
            );
            assert_eq!(db.last_event().unwrap(), Sequence::new(50), "{what}");
            assert_eq!(db.verify().unwrap(), Vec::<String>::new(), "{what}");
        };
        check(&db);
        if persists {
            let before = db.replica();
            drop(db);
            let db = AgentDb::with_storage(open(), options()).unwrap();
            assert_eq!(db.replica(), before, "{what}: it was closed");
            check(&db);
        }
    });
}
