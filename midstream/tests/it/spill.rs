//! What must wait is kept as long as it is worth it, and comes back oldest first.

use midstream::Timestamp;
use midstream::log::LogDrop;
use midstream::spill::{Class, Spill, SpillOptions};

const MINUTE: i64 = 60_000;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * MINUTE)
}

/// Small segments, so that what is too old goes soon.
fn options() -> SpillOptions {
    let mut options = SpillOptions::default();
    for log in [
        &mut options.raw,
        &mut options.aggregate,
        &mut options.critical,
    ] {
        log.segment_bytes = 100;
        log.frame_bytes = 1;
    }
    options
}

#[test]
fn each_class_is_kept_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(folder.path(), &options()).unwrap();
    let mut left = Vec::new();
    for hour in 0..=24 * 8 {
        for class in Class::ALL {
            spill.put(class, at(hour * 60), b"x").unwrap();
        }
        spill.sync().unwrap();
        spill.retain(at(hour * 60)).unwrap();
        let stats = spill.stats();
        for log in stats.values() {
            let dropped: u64 = log.dropped.values().sum();
            assert_eq!(log.records_in, log.released + dropped + log.held);
        }
        left = Class::ALL.map(|class| stats[&class].held).into();
    }
    // The hour now, and each whole hour within the time; a segment holds up to two records.
    for (held, wanted) in left.iter().zip([2, 25, 24 * 7 + 1]) {
        assert!((wanted..=wanted + 1).contains(held), "{left:?}");
    }
    assert!(spill.stats()[&Class::Raw].dropped[&LogDrop::Age] > 150);
}

#[test]
fn what_waited_comes_back_oldest_first_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(folder.path(), &options()).unwrap();
    for (minute, class) in [
        (0, Class::Raw),
        (1, Class::Critical),
        (2, Class::Raw),
        (3, Class::Aggregate),
        (4, Class::Critical),
        (5, Class::Raw),
    ] {
        spill.put(class, at(minute), &[minute as u8]).unwrap();
    }
    spill.sync().unwrap();
    let order = |spill: &Spill| -> Vec<u8> {
        spill
            .replay()
            .map(|spilled| spilled.unwrap().record.bytes[0])
            .collect()
    };
    assert_eq!(order(&spill), [0, 1, 2, 3, 4, 5]);
    let first: Vec<_> = spill.replay().take(3).map(Result::unwrap).collect();
    for spilled in first {
        spill
            .release(spilled.class, spilled.record.sequence + 1)
            .unwrap();
    }
    drop(spill);
    let spill = Spill::open(folder.path(), &options()).unwrap();
    assert_eq!(order(&spill), [3, 4, 5]);
}
