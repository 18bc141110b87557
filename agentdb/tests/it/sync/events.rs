//! Events travel to the parent: the urgent first, no faster than allowed, each once.

use std::time::Duration;

use agentdb::sync::{Pace, Role, SyncOptions, Toward};
use agentdb::{Priority, Sequence};

use super::{Site, assert_live, exchange};
use crate::at;

fn pair(pace: Pace) -> (Site, Site) {
    let up = SyncOptions::new(Role::Device).pace(pace);
    (
        Site::with(1, up, Toward::Parent, at(0)),
        Site::new(2, Role::Root, Toward::Child),
    )
}

fn numbers(site: &Site) -> Vec<u64> {
    let events = site.endpoint.db().events_after(Sequence::new(0), usize::MAX);
    let events = events.unwrap().into_iter();
    events.map(|event| event.payload.as_u64().unwrap()).collect()
}

#[test]
fn the_safety_critical_lane_goes_first_and_each_lane_oldest_first() {
    let (mut device, mut root) = pair(Pace::default());
    for number in 0..30 {
        let lane = [Priority::Telemetry, Priority::Normal, Priority::SafetyCritical];
        device.event(number, lane[(number % 3) as usize], at(number as i64));
    }
    exchange(&mut device, &mut root, at(1_000));
    assert_live(&device, &root);
    let lane = |first: u64| (0..10).map(move |place| first + 3 * place);
    let expected: Vec<u64> = lane(2).chain(lane(1)).chain(lane(0)).collect();
    assert_eq!(numbers(&root), expected);
    let taken = root.endpoint.db().events_after(Sequence::new(0), 1).unwrap();
    assert_eq!(taken[0].at, at(2));
    assert_eq!(device.endpoint.db().waiting().unwrap(), 0);
    assert_eq!(root.endpoint.db().waiting().unwrap(), 0);
}

#[test]
fn no_second_brings_more_events_than_the_rate_allows() {
    let (mut device, mut root) = pair(Pace::default());
    for number in 0..1_000 {
        device.event(number, Priority::Normal, at(1));
    }
    exchange(&mut device, &mut root, at(1_000));
    let sent = device.session.stats().events_sent;
    assert_eq!(sent, 100, "the burst");
    for second in 2..=5 {
        exchange(&mut device, &mut root, at(second * 1_000));
    }
    assert_eq!(device.session.stats().events_sent, 500);
    // The batch is not complete: nothing of it is there yet.
    assert!(numbers(&root).is_empty());
    for second in 6..=12 {
        exchange(&mut device, &mut root, at(second * 1_000));
    }
    assert_eq!(numbers(&root), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_batch_that_breaks_off_is_rolled_back_and_sent_again() {
    let (mut device, mut root) = pair(Pace::default());
    for number in 0..300 {
        device.event(number, Priority::Normal, at(1));
    }
    exchange(&mut device, &mut root, at(1_000));
    assert_eq!(device.session.stats().events_sent, 100);
    for site in [&mut device, &mut root] {
        site.session.reset(&mut site.endpoint, at(1_500));
    }
    assert_eq!(root.session.stats().batches_rolled_back, 1);
    assert!(numbers(&root).is_empty());
    assert_eq!(device.endpoint.db().waiting().unwrap(), 300);
    for second in 2..10 {
        exchange(&mut device, &mut root, at(second * 1_000));
    }
    assert_eq!(numbers(&root), (0..300).collect::<Vec<_>>());
    assert_eq!(device.endpoint.db().waiting().unwrap(), 0);
}

#[test]
fn an_urgent_event_does_not_wait_for_a_batch_that_is_not() {
    let (mut device, mut root) = pair(Pace::default());
    for number in 0..1_000 {
        device.event(number, Priority::Telemetry, at(1));
    }
    exchange(&mut device, &mut root, at(1_000));
    device.event(5_000, Priority::SafetyCritical, at(1_500));
    exchange(&mut device, &mut root, at(2_000));
    exchange(&mut device, &mut root, at(3_000));
    assert!(numbers(&root).contains(&5_000));
    assert!(numbers(&root).len() < 500);
}

#[test]
fn an_acknowledgement_that_is_lost_brings_no_event_twice() {
    let (mut device, mut root) = pair(Pace::default());
    exchange(&mut device, &mut root, at(500));
    device.event(1, Priority::Normal, at(600));
    while let Some(frame) = device.poll(at(700)) {
        root.receive(&frame, at(700)).unwrap();
    }
    while root.poll(at(700)).is_some() {
        // The answers are lost, and the connection with them.
    }
    assert_eq!(numbers(&root), [1]);
    for site in [&mut device, &mut root] {
        site.session.reset(&mut site.endpoint, at(800));
    }
    exchange(&mut device, &mut root, at(2_000));
    assert_eq!(numbers(&root), [1]);
    assert_eq!(root.session.stats().events_known, 1);
    assert_eq!(device.endpoint.db().waiting().unwrap(), 0);
}

#[test]
fn an_aggregator_gathers_a_window_and_sends_each_field_once() {
    let sync = SyncOptions::new(Role::Aggregator).pace(Pace {
        upward: Duration::from_secs(60),
        ..Pace::aggregator()
    });
    let mut gateway = Site::with(1, sync, Toward::Parent, at(0));
    let mut farm = Site::new(2, Role::Root, Toward::Child);
    gateway.set("R1", "battery", 100, at(1));
    exchange(&mut gateway, &mut farm, at(10));
    assert_live(&gateway, &farm);
    let before = gateway.session.stats();
    for second in 0..59 {
        gateway.set("R1", "battery", second, at(1_000 + second * 1_000));
        exchange(&mut gateway, &mut farm, at(1_001 + second * 1_000));
    }
    assert_eq!(farm.state("R1")["battery"], 100);
    exchange(&mut gateway, &mut farm, at(62_000));
    assert_eq!(farm.state("R1")["battery"], 58);
    assert_eq!(gateway.session.stats().documents_sent, before.documents_sent + 1);

    // What is urgent does not wait for the minute.
    gateway.event(7, Priority::SafetyCritical, at(63_000));
    gateway.event(8, Priority::Normal, at(63_000));
    exchange(&mut gateway, &mut farm, at(63_001));
    assert_eq!(numbers(&farm), [7]);
    exchange(&mut gateway, &mut farm, at(124_000));
    assert_eq!(numbers(&farm), [7, 8]);
}
