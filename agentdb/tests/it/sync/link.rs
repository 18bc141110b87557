//! What a link brings over, and how little it takes.

use agentdb::sync::{Role, Toward};

use super::{Site, assert_live, exchange};
use crate::at;

fn peers() -> (Site, Site) {
    (
        Site::new(1, Role::Device, Toward::Peer),
        Site::new(2, Role::Device, Toward::Peer),
    )
}

#[test]
fn two_stores_agree_on_what_each_wrote_alone() {
    let (mut a, mut b) = peers();
    a.set("R1", "battery", 17, at(1));
    a.add("R1", 5, at(2));
    b.add("R1", 7, at(3));
    b.set("R2", "place", "barn", at(4));
    exchange(&mut a, &mut b, at(10));
    assert_live(&a, &b);
    for site in [&a, &b] {
        assert_eq!(site.state("R1")["battery"], 17);
        assert_eq!(site.state("R1")["odometer"], 12);
        assert_eq!(site.state("R2")["place"], "barn");
    }
}

#[test]
fn a_change_on_a_live_link_is_one_small_frame_and_has_no_echo() {
    let (mut a, mut b) = peers();
    a.set("R1", "battery", 17, at(1));
    exchange(&mut a, &mut b, at(10));
    let before = (a.session.stats(), b.session.stats());
    a.set("R1", "battery", 16, at(20));
    let (bytes, _) = exchange(&mut a, &mut b, at(21));
    assert_eq!(b.state("R1")["battery"], 16);
    // The delta and its acknowledgement.
    assert!(bytes < 100, "{bytes} bytes");
    assert_eq!(
        a.session.stats().documents_sent,
        before.0.documents_sent + 1
    );
    assert_eq!(b.session.stats().documents_sent, before.1.documents_sent);
    assert_eq!(b.session.stats().offers_sent, before.1.offers_sent);
}

#[test]
fn a_new_session_goes_on_where_the_last_one_was() {
    let (mut a, mut b) = peers();
    for number in 0..500 {
        a.set(&format!("R{number}"), "battery", number, at(1));
    }
    exchange(&mut a, &mut b, at(10));
    a.session.reset(&mut a.endpoint, at(20));
    b.session.reset(&mut b.endpoint, at(20));
    a.set("R7", "battery", 99, at(21));
    let before = a.session.stats().documents_sent;
    let (bytes, _) = exchange(&mut a, &mut b, at(2_000));
    assert_live(&a, &b);
    assert_eq!(b.state("R7")["battery"], 99);
    assert_eq!(a.session.stats().documents_sent, before + 1);
    assert!(bytes < 1_000, "{bytes} bytes");
}

#[test]
fn one_that_has_lost_its_file_gets_everything_again() {
    let (mut a, mut b) = peers();
    a.set("R1", "battery", 17, at(1));
    b.set("R2", "battery", 4, at(1));
    exchange(&mut a, &mut b, at(10));
    let mut b = Site::with(
        3,
        agentdb::sync::SyncOptions::new(Role::Device),
        Toward::Peer,
        at(20),
    );
    a.session.reset(&mut a.endpoint, at(20));
    exchange(&mut a, &mut b, at(2_000));
    assert_live(&a, &b);
    assert_eq!(b.state("R1")["battery"], 17);
    assert_eq!(b.state("R2")["battery"], 4);
}

/// Two stores that were filled by a third, so that neither knows anything of the other.
fn filled(count: usize) -> (Site, Site) {
    let (mut a, mut b) = peers();
    let mut third = Site::new(3, Role::Device, Toward::Peer);
    let mut tx = third.endpoint.db_mut().begin(at(1)).unwrap();
    for number in 0..count {
        let mut agent = tx.agent("robot", &format!("R{number}")).unwrap();
        agent.set("battery", number).unwrap();
    }
    tx.commit().unwrap();
    for site in [&mut a, &mut b] {
        let mut tx = site.endpoint.db_mut().begin(at(1)).unwrap();
        for number in 0..count {
            let id = format!("R{number}");
            let document = third.endpoint.db().document(&id).unwrap().unwrap();
            tx.merge(&id, &document).unwrap();
        }
        tx.commit().unwrap();
    }
    (a, b)
}

#[test]
fn few_of_many_documents_differ_and_little_is_exchanged() {
    let count = 3_000;
    for (differ, bytes_max, rounds_max) in [
        (0, 4_000, 4),
        (10, 20_000, 6),
        (300, 100_000, 8),
        (count, 600_000, 40),
    ] {
        let (mut a, mut b) = filled(count);
        // Half of them here, half there.
        for number in 0..differ {
            let site = if number % 2 == 0 { &mut a } else { &mut b };
            let id = format!("R{}", number * count / differ);
            site.set(&id, "battery", 100_000 + number, at(5));
        }
        let (bytes, rounds) = exchange(&mut a, &mut b, at(10));
        assert_live(&a, &b);
        for number in 0..differ {
            let id = format!("R{}", number * count / differ);
            for site in [&a, &b] {
                assert_eq!(site.state(&id)["battery"], 100_000 + number, "{id}");
            }
        }
        assert!(bytes < bytes_max, "{differ} differ: {bytes} bytes");
        assert!(
            rounds <= rounds_max,
            "{differ} differ: {rounds} round trips"
        );
        let sent = [&a, &b].map(|site| site.session.stats().documents_sent);
        assert_eq!(sent, [differ.div_ceil(2) as u64, (differ / 2) as u64]);
    }
}

#[test]
fn a_search_goes_on_when_any_one_of_its_frames_is_lost() {
    for lost in 0..24 {
        let (mut a, mut b) = filled(200);
        a.set("R7", "battery", -1, at(5));
        b.set("R8", "battery", -2, at(5));
        let mut number = 0;
        for tick in 0..40 {
            let now = at(10 + tick * 500);
            for turn in 0..8 {
                let (from, to) = match turn % 2 {
                    0 => (&mut a, &mut b),
                    _ => (&mut b, &mut a),
                };
                while let Some(frame) = from.poll(now) {
                    if number != lost {
                        to.receive(&frame, now).unwrap();
                    }
                    number += 1;
                }
            }
        }
        assert_live(&a, &b);
        for site in [&a, &b] {
            assert_eq!(site.state("R7")["battery"], -1, "frame {lost} lost");
            assert_eq!(site.state("R8")["battery"], -2, "frame {lost} lost");
        }
    }
}
