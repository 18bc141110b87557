//! Any bytes behind a segment's header are a log that opens, counts what it lost, and goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstream::Timestamp;
use midstream::log::{LogOptions, SegmentLog};

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let mut segment = b"MSLOG\0\0\x01".to_vec();
    segment.extend_from_slice(&0_u64.to_le_bytes());
    segment.extend_from_slice(&crc32c::crc32c(&segment).to_le_bytes());
    let mut frame = bytes.to_vec();
    if frame.len() >= 48 {
        // A frame that lies under a right checksum.
        frame[..4].copy_from_slice(b"MSFR");
        let stored = u32::from_le_bytes([frame[8], frame[9], frame[10], frame[11]]) as usize;
        let end = (48 + stored % 65_536).min(frame.len());
        let length = (end - 48) as u32;
        frame[8..12].copy_from_slice(&length.to_le_bytes());
        let sum = crc32c::crc32c(&frame[8..end]);
        frame[4..8].copy_from_slice(&sum.to_le_bytes());
    }
    segment.extend_from_slice(&frame);
    if std::fs::write(folder.path().join(format!("{:020}.seg", 0)), segment).is_err() {
        return;
    }
    let Ok(mut log) = SegmentLog::open(folder.path(), LogOptions::default()) else { return };
    let before = log.read_from(0).filter(Result::is_ok).count() as u64;
    let place = log.append(Timestamp::from_millis(0), b"next").expect("there is room");
    log.sync().expect("there is room");
    let stats = log.stats();
    let dropped: u64 = stats.dropped.values().sum();
    assert_eq!(stats.records_in, stats.released + dropped + stats.held);
    assert!(place >= before);
});
