//! Changes are told once they are kept, in their order.

use agentdb::{Notice, Priority, WATCH_NOTICES_MAX, WatchFilter};
use serde_json::json;

use crate::{at, store};

fn ids(watch: &agentdb::Watch) -> Vec<String> {
    std::iter::from_fn(|| watch.try_next())
        .map(|notice| match notice {
            Notice::Document { id, .. } => id,
            Notice::Event(event) => event.event_type,
            _ => unreachable!(),
        })
        .collect()
}

#[test]
fn a_watch_is_told_what_its_filter_takes() {
    let mut db = store(1);
    let all = db.watch(WatchFilter::all());
    let low = db.watch(
        WatchFilter::documents("robot")
            .matching("battery < 20")
            .unwrap(),
    );
    let events = db.watch(WatchFilter::events("alarm").of("R1"));
    let mut tx = db.begin(at(1)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 50).unwrap();
    tx.agent("robot", "R2").unwrap().set("battery", 5).unwrap();
    for (agent, kind) in [("R1", "alarm"), ("R2", "alarm"), ("R1", "step")] {
        tx.append_event(agent, kind, &json!({}), Priority::Normal)
            .unwrap();
    }
    assert!(all.try_next().is_none(), "nothing is committed yet");
    tx.commit().unwrap();
    assert_eq!(ids(&all), ["R1", "R2", "alarm", "alarm", "step"]);
    assert_eq!(ids(&low), ["R2"]);
    assert_eq!(ids(&events), ["alarm"]);
    let mut tx = db.begin(at(1)).unwrap();
    tx.agent("robot", "R3").unwrap().set("battery", 1).unwrap();
    drop(tx);
    assert!(ids(&all).is_empty());
}

#[test]
fn a_watch_that_is_not_read_counts_what_it_misses() {
    let mut db = store(1);
    let watch = db.watch(WatchFilter::all());
    let mut tx = db.begin(at(1)).unwrap();
    for n in 0..WATCH_NOTICES_MAX + 7 {
        tx.append_event("R1", "step", &json!(n), Priority::Telemetry)
            .unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(watch.missed(), 7);
    assert_eq!(ids(&watch).len(), WATCH_NOTICES_MAX);
}
