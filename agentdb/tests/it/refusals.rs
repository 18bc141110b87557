//! What is refused is refused whole, with a typed error.

use agentdb::{
    AgentDb, Document, EVENT_BYTES_MAX, Error, Field, ID_BYTES_MAX, Joined, Priority,
    RECORD_BYTES_MAX, ReplicaId, Schema,
};
use serde_json::json;

use crate::{at, options, robot, stamp, store};

const TEN_YEARS: i64 = 10 * 365 * 24 * 3600 * 1000;

fn copy(now: i64) -> Document {
    let mut copy = Document::new(&robot());
    copy.edit(&robot(), ReplicaId::new(2), stamp(now))
        .set("battery", json!(99))
        .unwrap();
    copy
}

#[test]
fn a_copy_with_a_clock_ten_years_ahead_changes_nothing() {
    let mut db = store(1);
    let now = 1_700_000_000_000;
    let mut tx = db.begin(at(now)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 5).unwrap();
    tx.commit().unwrap();
    let before = db.get("R1").unwrap();

    let mut tx = db.begin(at(now)).unwrap();
    let error = tx.merge("R1", &copy(now + TEN_YEARS)).unwrap_err();
    assert!(matches!(error, Error::ClockAhead { .. }), "{error}");
    assert!(matches!(
        tx.merge("new", &copy(now + TEN_YEARS)),
        Err(Error::ClockAhead { .. })
    ));
    tx.commit().unwrap();
    assert_eq!(db.get("R1").unwrap(), before);
    assert!(db.get("new").unwrap().is_none());
}

#[test]
fn a_copy_within_the_allowed_distance_is_taken() {
    let mut db =
        AgentDb::in_memory(options(1).clock_ahead_max(std::time::Duration::from_secs(5))).unwrap();
    let mut tx = db.begin(at(0)).unwrap();
    assert!(matches!(
        tx.merge("R1", &copy(5_001)),
        Err(Error::ClockAhead { .. })
    ));
    tx.merge("R1", &copy(5_000)).unwrap();
    tx.commit().unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["battery"], 99);
}

#[test]
fn a_copy_that_does_not_fit_its_schema_changes_nothing() {
    let other = Schema::new("robot")
        .field("colour", Field::Lww)
        .field("counter", Field::Lww)
        .field("task", Field::status(&["lost"]))
        .field("battery", Field::PnCounter)
        .field("odometer", Field::or_set());
    type Change = fn(&mut agentdb::Edit<'_>);
    let changes: [(&str, Change); 5] = [
        ("an unknown field", |e| drop(e.set("colour", 1).map(drop))),
        ("a text for a number", |e| {
            drop(e.set("counter", "x").map(drop))
        }),
        ("a status of another order", |e| {
            drop(e.status("task", "lost").map(drop))
        }),
        ("a counter for a register", |e| {
            drop(e.add("battery", 1).map(drop))
        }),
        ("a set for a counter", |e| {
            drop(e.insert("odometer", 1).map(drop))
        }),
    ];
    let mut db = store(1);
    for (what, change) in changes {
        let mut copy = Document::new(&other);
        change(&mut copy.edit(&other, ReplicaId::new(2), stamp(1)));
        assert!(!copy.context().is_empty(), "{what}");
        let mut tx = db.begin(at(1)).unwrap();
        let error = tx.merge("R1", &copy).expect_err(what);
        assert!(matches!(error, Error::Refused { .. }), "{what}: {error}");
        tx.commit().unwrap();
        assert!(db.get("R1").unwrap().is_none(), "{what}");
    }
}

#[test]
fn a_document_keeps_its_schema() {
    let other = Schema::new("camera").field("battery", Field::PnCounter);
    let mut db = AgentDb::in_memory(options(1).schema(other)).unwrap();
    let mut tx = db.begin(at(1)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 5).unwrap();
    assert!(matches!(
        tx.agent("camera", "R1"),
        Err(Error::OtherSchema { .. })
    ));
    tx.commit().unwrap();
    let mut tx = db.begin(at(1)).unwrap();
    assert!(matches!(
        tx.agent("camera", "R1"),
        Err(Error::OtherSchema { .. })
    ));
    assert!(matches!(
        tx.agent("absent", "R1"),
        Err(Error::UnknownSchema(_))
    ));
}

#[test]
fn a_change_that_does_not_fit_its_field_is_refused() {
    let mut db = store(1);
    let mut tx = db.begin(at(1)).unwrap();
    let mut agent = tx.agent("robot", "R1").unwrap();
    assert!(matches!(
        agent.set("colour", 1),
        Err(Error::UnknownField { .. })
    ));
    assert!(matches!(
        agent.set("counter", 1),
        Err(Error::WrongType { .. })
    ));
    assert!(matches!(
        agent.add("battery", 1),
        Err(Error::WrongType { .. })
    ));
    assert!(matches!(
        agent.status("task", "lost"),
        Err(Error::UnknownStatus { .. })
    ));
    assert!(matches!(
        agent.max("counter", f64::NAN),
        Err(Error::NotFinite { .. })
    ));
    assert!(matches!(
        agent.set("place", "x".repeat(agentdb::FIELD_BYTES_MAX)),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn ids_payloads_and_queries_have_limits() {
    let mut db = store(1);
    let long = "x".repeat(ID_BYTES_MAX + 1);
    let mut tx = db.begin(at(1)).unwrap();
    assert!(matches!(tx.agent("robot", &long), Err(Error::Limit { .. })));
    assert!(matches!(
        tx.put_record("n", &long, b""),
        Err(Error::Limit { .. })
    ));
    assert!(matches!(
        tx.put_record("n", "k", &vec![0; RECORD_BYTES_MAX + 1]),
        Err(Error::Limit { .. })
    ));
    let payload = json!("x".repeat(EVENT_BYTES_MAX));
    assert!(matches!(
        tx.append_event("R1", "t", &payload, Priority::Normal),
        Err(Error::Limit { .. })
    ));
    assert!(matches!(
        tx.append_event("R1", &long, &json!(1), Priority::Normal),
        Err(Error::Limit { .. })
    ));
    drop(tx);
    let query = format!("battery == '{}'", "x".repeat(agentdb::QUERY_BYTES_MAX));
    assert!(matches!(
        db.query("robot", &query),
        Err(Error::Limit { .. })
    ));
}

/// A document of replica 1 of which one write is gone and one is told of.
fn written(gone: u8, told: u8, fields: &[u8]) -> Result<Document, Error> {
    let context = |count: u8| [1, 0, 1, count - 1, 0];
    let mut bytes = vec![1, 1, 0];
    bytes.extend_from_slice(&[1, 1, b'r']);
    bytes.extend_from_slice(&context(gone));
    bytes.extend_from_slice(&context(told));
    bytes.extend_from_slice(fields);
    Document::decode(&bytes)
}

fn assert_joins_with_itself(document: &Document) {
    let mut joined = document.clone();
    assert_eq!(joined.merge(document).unwrap(), Joined::Known);
    assert_eq!(joined, *document);
}

// A document that named a write both as gone and as told of was read, and joining it with itself changed it although
// `merge` said `Known`: a join takes what is told of out of what is gone, which every document of ours has done
// already, and the reader did not look. It is refused now. Found by the fuzz target `document`.
#[test]
fn a_document_whose_write_is_gone_and_told_of_is_refused() {
    let error = written(1, 1, &[0]).unwrap_err();
    assert!(error.to_string().contains("gone and told of"), "{error}");
    assert_joins_with_itself(&written(2, 1, &[0]).unwrap());
}

// A member of a set, or a removed key of a map, under which no write stood was read, and vanished when the document
// was joined with itself although `merge` said `Known`: a join keeps what has a write, and the reader looked at whole
// fields only. It is refused now. Found by the fuzz target `document`.
#[test]
fn a_member_and_a_removed_key_without_a_write_are_refused() {
    // How many fields; name and kind; how many members (of a map: keys, then removed ones); dots.
    let set = |dots: &[u8]| [&[1, 1, b's', 2, 1, 4][..], b"\"ab\"", dots].concat();
    let map = |dots: &[u8]| [&[1, 1, b'm', 3, 0, 1, 4][..], b"weld", dots].concat();
    for fields in [set(&[0]), map(&[0])] {
        let error = written(2, 1, &fields).unwrap_err();
        assert!(error.to_string().contains("no write"), "{error}");
    }
    assert_joins_with_itself(&written(2, 1, &set(&[1, 0, 0, 1])).unwrap());
    assert_joins_with_itself(&written(2, 1, &map(&[1, 0, 0])).unwrap());
}
