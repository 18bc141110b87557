//! Frames that must not be taken: each is refused with its own error, and nothing has changed.

use agentdb::sync::{FRAME_BYTES_MAX, Peers, Phase, Role, SyncError, SyncOptions, Toward};
use agentdb::{ReplicaId, Timestamp};
use proptest::prelude::*;

use super::{Site, assert_live, exchange};
use crate::at;

const TEN_YEARS: i64 = 10 * 365 * 24 * 3_600 * 1_000;

fn peers() -> (Site, Site) {
    (
        Site::new(1, Role::Device, Toward::Peer),
        Site::new(2, Role::Device, Toward::Peer),
    )
}

fn with_peers(replica: u64, peers: Peers) -> Site {
    let sync = SyncOptions::new(Role::Device).peers(peers);
    Site::with(replica, sync, Toward::Peer, at(0))
}

/// A live link, and the frame of a change that is on its way.
fn with_a_frame() -> (Site, Site, Vec<u8>) {
    let (mut a, mut b) = peers();
    a.set("R1", "battery", 17, at(1));
    exchange(&mut a, &mut b, at(10));
    assert_live(&a, &b);
    a.set("R1", "battery", 16, at(20));
    let frame = a.poll(at(20)).unwrap();
    (a, b, frame)
}

/// Carries what both say until the link fails; the first error of each.
fn refusals(a: &mut Site, b: &mut Site, now: Timestamp) -> (Option<SyncError>, Option<SyncError>) {
    let mut first = (None, None);
    for _ in 0..10 {
        while let Ok(Some(frame)) = a.session.poll(&mut a.endpoint, now) {
            first.1 = first.1.or(b.receive(&frame, now).err());
        }
        while let Ok(Some(frame)) = b.session.poll(&mut b.endpoint, now) {
            first.0 = first.0.or(a.receive(&frame, now).err());
        }
    }
    first
}

fn reseal(frame: &mut [u8]) {
    let end = frame.len() - 4;
    let checksum = crc32c::crc32c(&frame[..end]);
    frame[end..].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn truncated_bent_and_oversized_frames_are_refused_and_the_link_goes_on() {
    let (mut a, mut b, frame) = with_a_frame();
    for length in 0..frame.len() {
        b.receive(&frame[..length], at(21)).unwrap_err();
    }
    for bit in 0..frame.len() * 8 {
        let mut bent = frame.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        b.receive(&bent, at(21)).unwrap_err();
    }
    let huge = vec![0; FRAME_BYTES_MAX + 1];
    let error = b.receive(&huge, at(21)).unwrap_err();
    assert!(matches!(error, SyncError::Limit { .. }), "{error}");
    let mut newer = frame.clone();
    newer[0] = 9;
    reseal(&mut newer);
    let error = b.receive(&newer, at(21)).unwrap_err();
    assert!(
        matches!(error, SyncError::Version { found: 9, .. }),
        "{error}"
    );
    assert_eq!(b.state("R1")["battery"], 17);

    let refused = b.session.stats().frames_refused;
    assert_eq!(refused as usize, frame.len() * 9 + 2);
    b.receive(&frame, at(22)).unwrap();
    assert_eq!(b.state("R1")["battery"], 16);
    exchange(&mut a, &mut b, at(23));
    assert_live(&a, &b);
}

#[test]
fn a_frame_that_comes_twice_or_from_an_earlier_link_changes_nothing() {
    let (mut a, mut b, frame) = with_a_frame();
    b.receive(&frame, at(21)).unwrap();
    b.receive(&frame, at(22)).unwrap();
    exchange(&mut a, &mut b, at(23));
    let version = |site: &Site| site.endpoint.db().get("R1").unwrap().unwrap().version;
    let before = (version(&a), version(&b));
    for site in [&mut a, &mut b] {
        site.session.reset(&mut site.endpoint, at(30));
    }
    exchange(&mut a, &mut b, at(2_000));
    assert_live(&a, &b);
    let stale = b.session.stats().frames_stale;
    b.receive(&frame, at(2_001)).unwrap();
    assert_eq!(b.session.stats().frames_stale, stale + 1);
    assert_eq!((version(&a), version(&b)), before);
}

#[test]
fn the_counters_of_frames_add_up() {
    let (mut a, mut b, frame) = with_a_frame();
    b.receive(&frame, at(21)).unwrap();
    b.receive(&frame[1..], at(21)).unwrap_err();
    exchange(&mut a, &mut b, at(22));
    let (a, b) = (a.session.stats(), b.session.stats());
    // One by hand in place of one, and one more that was cut.
    assert_eq!(
        b.frames_taken + b.frames_stale + b.frames_refused,
        a.frames_sent + 1
    );
    assert_eq!(
        a.frames_taken + a.frames_stale + a.frames_refused,
        b.frames_sent
    );
    assert_eq!(b.frames_refused, 1);
}

#[test]
fn an_unknown_peer_is_refused_and_gets_nothing() {
    let mut a = with_peers(1, Peers::none().accept(ReplicaId::new(7)));
    let mut b = with_peers(2, Peers::any());
    a.set("R1", "battery", 17, at(1));
    b.set("R2", "battery", 4, at(1));
    let (at_a, at_b) = refusals(&mut a, &mut b, at(10));
    assert!(matches!(at_a, Some(SyncError::UnknownPeer { replica }) if replica.get() == 2));
    assert!(matches!(at_b, Some(SyncError::Refused(text)) if text.contains("not among the peers")));
    assert!(a.state("R2").is_null());
    assert!(b.state("R1").is_null());
    assert_eq!(a.session.phase(), Phase::Greeting);
}

#[test]
fn a_peer_that_is_revoked_on_a_live_link_is_refused_from_then_on() {
    let (mut a, mut b, _) = with_a_frame();
    exchange(&mut a, &mut b, at(30));
    b.endpoint.set_peers(Peers::any().revoke(ReplicaId::new(1)));
    a.set("R1", "battery", 1, at(40));
    let (_, at_b) = refusals(&mut a, &mut b, at(3_000));
    assert!(matches!(at_b, Some(SyncError::RevokedPeer { replica }) if replica.get() == 1));
    assert_eq!(b.state("R1")["battery"], 17);
}

#[test]
fn a_peer_whose_clock_is_ten_years_ahead_is_refused() {
    let (mut a, _) = peers();
    let sync = SyncOptions::new(Role::Device);
    let mut b = Site::with(2, sync, Toward::Peer, at(TEN_YEARS));
    b.set("R1", "battery", 99, at(TEN_YEARS));
    a.set("R1", "battery", 17, at(1));
    let mut refused = None;
    for round in 0..5 {
        while let Ok(Some(frame)) = b.session.poll(&mut b.endpoint, at(TEN_YEARS + round)) {
            refused = refused.or(a.receive(&frame, at(10 + round)).err());
        }
        while let Ok(Some(frame)) = a.session.poll(&mut a.endpoint, at(10 + round)) {
            let _ = b.receive(&frame, at(TEN_YEARS + round));
        }
    }
    assert!(
        matches!(refused, Some(SyncError::ClockAhead { .. })),
        "{refused:?}"
    );
    assert_eq!(a.state("R1")["battery"], 17);
    assert_eq!(a.session.phase(), Phase::Greeting);
}

#[test]
fn a_write_that_a_third_stamped_ten_years_ahead_is_refused_and_the_rest_of_its_batch_is_taken() {
    let (mut a, mut b) = peers();
    exchange(&mut a, &mut b, at(10));
    b.set("R1", "battery", 4, at(20));
    b.set("R2", "battery", 99, at(TEN_YEARS));
    let (at_a, _) = refusals(&mut a, &mut b, at(3_000));
    let error = at_a.expect("it was taken");
    assert!(
        matches!(&error, SyncError::Store(agentdb::Error::ClockAhead { agent, .. }) if agent == "R2"),
        "{error}"
    );
    assert!(a.state("R2").is_null());
    assert_eq!(a.state("R1")["battery"], 4);
}

#[test]
fn two_stores_of_one_id_and_two_parents_are_refused() {
    let mut a = Site::new(1, Role::Device, Toward::Peer);
    let mut b = Site::new(1, Role::Device, Toward::Peer);
    let (at_a, at_b) = refusals(&mut a, &mut b, at(10));
    assert!(matches!(at_b, Some(SyncError::OwnId { .. })), "{at_b:?}");
    assert!(at_a.is_some());

    let mut a = Site::new(1, Role::Device, Toward::Parent);
    let mut b = Site::new(2, Role::Device, Toward::Parent);
    let (at_a, at_b) = refusals(&mut a, &mut b, at(10));
    assert!(matches!(at_b, Some(SyncError::Roles { .. })), "{at_b:?}");
    assert!(at_a.is_some());
}

#[test]
fn a_peer_that_does_not_go_on_after_greeting_is_given_up_after_ten_seconds() {
    let (mut a, mut b) = peers();
    for now in [at(1), at(2), at(3)] {
        while let Some(frame) = a.poll(now) {
            b.receive(&frame, now).unwrap();
        }
        if a.session.phase() == Phase::Checkpoint {
            break;
        }
        while let Some(frame) = b.poll(now) {
            a.receive(&frame, now).unwrap();
        }
    }
    assert_eq!(a.session.phase(), Phase::Checkpoint);
    assert!(a.session.poll(&mut a.endpoint, at(9_000)).is_ok());
    let error = a.session.poll(&mut a.endpoint, at(10_100)).unwrap_err();
    assert!(
        matches!(error, SyncError::CheckpointTimeout { .. }),
        "{error}"
    );
    assert_eq!(a.session.phase(), Phase::Greeting);
}

#[cfg(feature = "signed")]
mod signed {
    use agentdb::sync::{Peers, Role, SigningKey, SyncError, SyncOptions, Toward};

    use super::super::{Site, assert_live, exchange};
    use super::{refusals, reseal};
    use crate::at;
    use agentdb::ReplicaId;

    fn site(replica: u64, key: u8, peer: u64, peer_key: u8) -> Site {
        let peer_key = SigningKey::from_bytes(&[peer_key; 32]).public();
        let sync = SyncOptions::new(Role::Device)
            .peers(Peers::none().accept_signed(ReplicaId::new(peer), peer_key))
            .sign(SigningKey::from_bytes(&[key; 32]));
        Site::with(replica, sync, Toward::Peer, at(0))
    }

    #[test]
    fn peers_that_sign_agree() {
        let (mut a, mut b) = (site(1, 10, 2, 20), site(2, 20, 1, 10));
        a.set("R1", "battery", 17, at(1));
        exchange(&mut a, &mut b, at(10));
        assert_live(&a, &b);
        assert_eq!(b.state("R1")["battery"], 17);
    }

    #[test]
    fn a_frame_without_the_right_signature_is_refused_and_the_link_goes_on() {
        let (mut a, mut b) = (site(1, 10, 2, 20), site(2, 20, 1, 10));
        a.set("R1", "battery", 17, at(1));
        exchange(&mut a, &mut b, at(10));
        a.set("R1", "battery", 16, at(20));
        let frame = a.poll(at(20)).unwrap();
        let mut forged = frame.clone();
        forged[12] ^= 1;
        reseal(&mut forged);
        let error = b.receive(&forged, at(21)).unwrap_err();
        assert!(matches!(error, SyncError::Signature { .. }), "{error}");
        let mut bare = frame.clone();
        bare[2] &= !4;
        reseal(&mut bare);
        let error = b.receive(&bare, at(21)).unwrap_err();
        assert!(matches!(error, SyncError::Signature { .. }), "{error}");
        assert_eq!(b.state("R1")["battery"], 17);
        b.receive(&frame, at(22)).unwrap();
        assert_eq!(b.state("R1")["battery"], 16);
    }

    #[test]
    fn one_that_uses_the_id_of_another_is_refused() {
        let mut a = site(1, 10, 2, 20);
        let mut thief = site(2, 66, 1, 10);
        thief.set("R1", "battery", 1, at(1));
        let (at_a, _) = refusals(&mut a, &mut thief, at(10));
        assert!(
            matches!(at_a, Some(SyncError::Signature { .. })),
            "{at_a:?}"
        );
        assert!(a.state("R1").is_null());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With a checksum that fits, so that the bytes get past it.
    #[test]
    fn any_bytes_are_taken_or_refused_and_never_break_the_link(
        kind in 0..20_u8,
        flags in 0..8_u8,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (mut a, mut b, frame) = with_a_frame();
        let mut forged = vec![1, kind, flags];
        forged.extend_from_slice(&frame[3..7]);
        forged.extend_from_slice(&body);
        forged.extend_from_slice(&[0; 4]);
        reseal(&mut forged);
        let _ = b.receive(&forged, at(21));
        let _ = b.receive(&frame, at(22));
        for second in 3..40 {
            let _ = refusals(&mut a, &mut b, at(second * 1_000));
        }
        prop_assert_eq!(b.state("R1")["battery"].as_i64(), Some(16));
    }
}
