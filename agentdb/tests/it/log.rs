//! The event log as an outbox.

use agentdb::{Priority, Sequence, SyncStatus};
use serde_json::json;

use crate::{at, store};

#[test]
fn events_come_oldest_first_from_any_place_and_by_type() {
    let mut db = store(1);
    let mut tx = db.begin(at(1)).unwrap();
    let mut places = Vec::new();
    for number in 0..10 {
        let kind = if number % 3 == 0 { "alert" } else { "reading" };
        places.push(
            tx.append_event("R1", kind, &json!(number), Priority::Normal)
                .unwrap(),
        );
    }
    tx.commit().unwrap();
    assert!(places.is_sorted());
    assert_eq!(db.last_event().unwrap(), places[9]);

    let numbers = |events: Vec<agentdb::StoredEvent>| -> Vec<i64> {
        events
            .iter()
            .map(|event| event.payload.as_i64().unwrap())
            .collect()
    };
    assert_eq!(
        numbers(db.events_after(places[3], 4).unwrap()),
        [4, 5, 6, 7]
    );
    let start = Sequence::new(0);
    assert_eq!(
        numbers(db.events_of_type_after("alert", start, 10).unwrap()),
        [0, 3, 6, 9]
    );
    assert_eq!(
        numbers(db.events_of_type_after("alert", places[3], 1).unwrap()),
        [6]
    );
    assert!(
        db.events_of_type_after("absent", start, 10)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_event_waits_until_it_is_marked_and_the_mark_survives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut db = agentdb::AgentDb::open(&path, crate::options(1)).unwrap();
    let mut tx = db.begin(at(1)).unwrap();
    let places: Vec<_> = (0..4)
        .map(|number| {
            tx.append_event("R1", "alert", &json!(number), Priority::Normal)
                .unwrap()
        })
        .collect();
    tx.mark(places[0], SyncStatus::Delivered, None).unwrap();
    tx.mark(places[2], SyncStatus::Refused, Some("no such farm"))
        .unwrap();
    tx.commit().unwrap();
    drop(db);

    let db = agentdb::AgentDb::open(&path, crate::options(1)).unwrap();
    assert_eq!(db.waiting().unwrap(), 2);
    let waiting = db.waiting_after(Sequence::new(0), 10).unwrap();
    assert_eq!(
        waiting
            .iter()
            .map(|event| event.sequence)
            .collect::<Vec<_>>(),
        [places[1], places[3]]
    );
    // The log itself keeps all.
    assert_eq!(db.events_after(Sequence::new(0), 10).unwrap().len(), 4);
}
