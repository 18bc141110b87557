//! Events as a series over time, and what stays of them.

use std::time::Duration;

use agentdb::{Error, Priority, Retained, Retention, Sequence, Series, SyncStatus};
use serde_json::json;

use crate::{at, store};

const MINUTE: Duration = Duration::from_secs(60);

/// One reading a second for ten minutes of two documents.
fn filled() -> agentdb::AgentDb {
    let mut db = store(1);
    let mut sequence = 0;
    for second in 0..600_i64 {
        let mut tx = db.begin(at(second * 1_000)).unwrap();
        for (agent, value) in [("R1", second), ("R2", -second)] {
            let payload = json!({"reading": {"celsius": value}});
            sequence = tx
                .append_event(agent, "heat", &payload, Priority::Telemetry)
                .unwrap()
                .get();
        }
        tx.append_event("R1", "heat", &json!("broken"), Priority::Telemetry)
            .unwrap();
        tx.commit().unwrap();
    }
    assert!(sequence > 0);
    db
}

#[test]
fn buckets_hold_what_a_plain_sum_says() {
    let db = filled();
    let series = Series::new("R1", "heat", "reading.celsius").between(at(30_000), at(150_000));
    let buckets = db.series(&series, MINUTE).unwrap();
    let starts: Vec<i64> = buckets
        .iter()
        .map(|bucket| bucket.start.as_millis())
        .collect();
    assert_eq!(starts, [0, 60_000, 120_000]);
    let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.count).collect();
    assert_eq!(counts, [30, 60, 30]);
    let full = buckets[1];
    assert_eq!(
        (full.min, full.max, full.first, full.last),
        (60.0, 119.0, 60.0, 119.0)
    );
    assert_eq!(full.mean(), 89.5);
    assert!(matches!(
        db.series(&series, Duration::ZERO),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn rolled_up_events_read_as_the_numbers_they_stand_for() {
    let mut db = filled();
    let series = Series::new("R2", "heat", "reading.celsius");
    let before = db.series(&series, MINUTE).unwrap();
    let retention = Retention::new("heat", 2 * MINUTE).roll_up("reading.celsius", MINUTE);
    let now = at(600_000);

    let mut tx = db.begin(now).unwrap();
    assert_eq!(
        tx.retain(&retention, usize::MAX).unwrap(),
        Retained::default(),
        "all of them wait"
    );
    for event in 1..=1_800 {
        tx.mark(Sequence::new(event), SyncStatus::Delivered, None)
            .unwrap();
    }
    tx.commit().unwrap();
    let mut tx = db.begin(now).unwrap();
    let retained = tx.retain(&retention, usize::MAX).unwrap();
    assert_eq!(
        retained,
        Retained {
            expired: 480 * 3,
            rolled_up: 16
        }
    );
    tx.commit().unwrap();

    assert_eq!(db.series(&series, MINUTE).unwrap(), before);
    assert_eq!(
        db.events_after(Sequence::new(0), usize::MAX).unwrap().len(),
        360 + 16
    );
    assert_eq!(db.waiting().unwrap(), 0);
    let mut tx = db.begin(now).unwrap();
    assert_eq!(
        tx.retain(&retention, usize::MAX).unwrap(),
        Retained::default()
    );
}
