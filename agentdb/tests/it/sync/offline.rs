//! Without a link: what is buffered, what gives way, what is told.

use std::time::Duration;

use agentdb::offline::{DROPPED, Dropped, LinkChange, Policy, Tally, Why};
use agentdb::sync::{Endpoint, Role, SyncOptions, Toward};
use agentdb::{AgentDb, Priority, Sequence, SyncStatus, Timestamp, WatchFilter};
use proptest::prelude::*;
use serde_json::json;

use super::{Site, exchange};
use crate::{at, options};

const LANES: [Priority; 3] = [
    Priority::Telemetry,
    Priority::Normal,
    Priority::SafetyCritical,
];

fn site(policy: Policy) -> Site {
    let db = AgentDb::in_memory(options(1).offline(policy)).unwrap();
    let mut endpoint = Endpoint::new(db, SyncOptions::new(Role::Device));
    let session = agentdb::sync::Session::new(&mut endpoint, Toward::Parent, at(0));
    Site { endpoint, session }
}

fn few(events_max: u64) -> Policy {
    Policy {
        events_max,
        ..Policy::default()
    }
}

fn records(db: &AgentDb) -> Vec<Dropped> {
    let events = db.events_of_type_after(DROPPED, Sequence::new(0), usize::MAX).unwrap();
    events
        .into_iter()
        .map(|event| serde_json::from_value(event.payload).unwrap())
        .collect()
}

/// `appended = held + sent + dropped`, and held is what the store holds.
fn assert_conserved(db: &AgentDb) -> Tally {
    let tally = db.tally().unwrap();
    for lane in LANES {
        let of = tally.lane(lane);
        assert_eq!(of.appended, of.held + of.sent + of.dropped, "{lane:?}: {of:?}");
        let backlog = db.backlog(lane).unwrap();
        assert_eq!((of.held, of.held_bytes), (backlog.count, backlog.bytes), "{lane:?}");
        let told: u64 = records(db)
            .iter()
            .filter(|record| record.lane == lane)
            .map(|record| record.count)
            .sum();
        assert_eq!(of.dropped, told, "{lane:?}");
    }
    tally
}

#[test]
fn the_lowest_lane_is_thinned_and_the_loss_is_told_to_the_parent() {
    let mut device = site(few(300));
    for number in 0..600 {
        device.event(number, LANES[(number % 3) as usize], at(number as i64));
    }
    let tally = assert_conserved(device.endpoint.db());
    assert_eq!(tally.lane(Priority::SafetyCritical).dropped, 0);
    assert!(tally.lane(Priority::Telemetry).held < 10);
    assert!(tally.lane(Priority::Normal).held > 0);
    assert!(device.endpoint.db().waiting().unwrap() <= 300);

    let mut root = Site::new(2, Role::Root, Toward::Child);
    for second in 1..20 {
        exchange(&mut device, &mut root, at(1_000 * second));
    }
    assert_eq!(records(root.endpoint.db()), records(device.endpoint.db()));
    assert!(records(root.endpoint.db()).iter().all(|record| record.why == Why::Overflow));
    let tally = assert_conserved(device.endpoint.db());
    let held: u64 = LANES.iter().map(|lane| tally.lane(*lane).held).sum();
    assert_eq!(held, 0);
}

#[test]
fn what_is_left_of_a_thinned_lane_covers_the_whole_time() {
    let mut device = site(few(1_000));
    for number in 0..1_500 {
        device.event(number, Priority::Telemetry, at(number as i64));
    }
    let left = device.endpoint.db().waiting_after(Sequence::new(0), usize::MAX).unwrap();
    let left: Vec<i64> = left
        .iter()
        .filter(|event| event.event_type != DROPPED)
        .map(|event| event.at.as_millis())
        .collect();
    let widest = left.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(widest <= Some(8), "{widest:?}");
    assert!(left[0] < 8);
}

#[test]
fn bytes_are_bound_too() {
    let policy = Policy {
        bytes_max: 10_000,
        ..Policy::default()
    };
    let mut device = site(policy);
    for number in 0..100 {
        let mut tx = device.endpoint.db_mut().begin(at(number)).unwrap();
        let payload = json!("x".repeat(500));
        tx.append_event("R1", "picture", &payload, Priority::Normal).unwrap();
        tx.commit().unwrap();
    }
    let tally = assert_conserved(device.endpoint.db());
    let bytes: u64 = LANES.iter().map(|lane| tally.lane(*lane).held_bytes).sum();
    assert!(bytes <= 10_000, "{bytes}");
    assert!(tally.lane(Priority::Normal).held > 5);
}

#[test]
fn events_older_than_three_days_expire_but_the_safety_critical_stay() {
    let hours = |hours: i64| Timestamp::from_millis(hours * 3_600_000);
    let mut device = site(Policy::default());
    for (number, lane) in LANES.into_iter().enumerate() {
        device.event(number as u64, lane, hours(1));
    }
    device.event(9, Priority::Normal, hours(73));
    assert_eq!(records(device.endpoint.db()), []);
    device.event(10, Priority::Normal, hours(74));
    let told = records(device.endpoint.db());
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|record| record.why == Why::Expired && record.count == 1));
    let tally = assert_conserved(device.endpoint.db());
    assert_eq!(tally.lane(Priority::SafetyCritical).dropped, 0);
}

#[test]
fn a_store_that_is_alone_tells_so_and_alerts_after_an_hour() {
    let mut device = site(Policy::default());
    let watch = device.endpoint.db().watch(WatchFilter::all());
    let hour = Duration::from_secs(3_600);
    let minute = |minute: i64| at(minute * 60_000);
    assert_eq!(device.endpoint.note_links(1, hour, minute(0)).unwrap(), None);
    let since = minute(0);
    let change = device.endpoint.note_links(0, hour, minute(1)).unwrap();
    assert_eq!(change, Some(LinkChange::Degraded { since }));
    assert!(device.endpoint.is_degraded());
    assert_eq!(device.endpoint.note_links(0, hour, minute(59)).unwrap(), None);
    // A restart without a link is still the same time alone.
    let db = device.endpoint.db().clone();
    let mut endpoint = Endpoint::new(db, SyncOptions::new(Role::Device));
    let change = endpoint.note_links(0, hour, minute(61)).unwrap();
    assert_eq!(change, Some(LinkChange::Alert { since }));
    assert_eq!(endpoint.note_links(0, hour, minute(500)).unwrap(), None);
    let change = endpoint.note_links(1, hour, minute(501)).unwrap();
    assert!(matches!(change, Some(LinkChange::Restored { .. })));

    let mut told = Vec::new();
    while let Some(notice) = watch.try_next() {
        told.push(format!("{notice:?}"));
    }
    assert_eq!(told.len(), 3);
    for (told, name) in told.iter().zip(["sync_degraded", "sync_offline_alert", "sync_restored"]) {
        assert!(told.contains(name), "{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_lost_in_silence(
        events_max in 1..80_u64,
        steps in prop::collection::vec((0..3_usize, 1..40_usize, any::<bool>()), 1..20),
    ) {
        let mut device = site(few(events_max));
        let mut appended = [0_u64; 3];
        let mut now = 0;
        for (lane, count, sends) in steps {
            now += 1_000;
            for number in 0..count {
                device.event(number as u64, LANES[lane], at(now));
                appended[lane] += 1;
            }
            if sends {
                let waiting = device.endpoint.db().waiting_after(Sequence::new(0), 7).unwrap();
                let mut tx = device.endpoint.db_mut().begin(at(now)).unwrap();
                for event in &waiting {
                    tx.mark(event.sequence, SyncStatus::Delivered, None).unwrap();
                    // Told twice, counted once.
                    tx.mark(event.sequence, SyncStatus::Delivered, None).unwrap();
                }
                tx.commit().unwrap();
            }
            let tally = assert_conserved(device.endpoint.db());
            for place in [0, 1] {
                prop_assert_eq!(tally.lane(LANES[place]).appended, appended[place]);
            }
            let told = records(device.endpoint.db()).len() as u64;
            prop_assert_eq!(tally.lane(LANES[2]).appended, appended[2] + told);
            // Records of losses are never dropped, so that they may stand above the bound.
            prop_assert!(device.endpoint.db().waiting().unwrap() <= events_max + told);
        }
    }
}
