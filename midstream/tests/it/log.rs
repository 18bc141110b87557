//! A log keeps what was synced, whatever happens, and counts what it lets go.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use midstream::log::{Compression, LogDrop, LogOptions, LogStats, Record, SegmentLog, WhenFull};
use midstream::{Error, Timestamp};
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 600,
        bytes_max: 4_000,
        frame_bytes: 150,
        ..LogOptions::default()
    }
}

fn all(log: &SegmentLog) -> Vec<Record> {
    log.read_from(0).collect::<Result<_, _>>().unwrap()
}

fn assert_adds_up(stats: &LogStats) {
    let dropped: u64 = stats.dropped.values().sum();
    assert_eq!(
        stats.records_in,
        stats.released + dropped + stats.held,
        "{stats:?}"
    );
}

/// Bytes that do not shrink.
fn noise(place: u64, length: usize) -> Vec<u8> {
    let mut state = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Flush,
    Release(usize),
    Retain(i64),
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..200_usize).prop_map(Act::Append),
        2 => Just(Act::Flush),
        1 => (0..20_usize).prop_map(Act::Release),
        1 => (0..3000_i64).prop_map(Act::Retain),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_log_is_a_queue_that_loses_only_its_oldest_and_counts_them(acts in prop::collection::vec(act(), 0..120)) {
        let folder = tempfile::tempdir().unwrap();
        let options = LogOptions { age_max: Some(Duration::from_millis(1000)), ..small() };
        let mut log = SegmentLog::open(folder.path(), options).unwrap();
        // Every record that may still be there.
        let mut model: VecDeque<(u64, i64, Vec<u8>)> = VecDeque::new();
        let mut now = 0;
        for act in acts {
            match act {
                Act::Append(length) => {
                    now += 10;
                    let bytes = noise(now as u64, length);
                    let place = log.append(at(now), &bytes).unwrap();
                    model.push_back((place, now, bytes));
                }
                Act::Flush => log.flush().unwrap(),
                Act::Release(count) => {
                    let place = log.first_sequence() + count as u64;
                    log.release(place).unwrap();
                    let place = log.first_sequence();
                    model.retain(|(at, _, _)| *at >= place);
                }
                Act::Retain(later) => {
                    now += later;
                    log.retain(at(now)).unwrap();
                }
                Act::Reopen => {
                    drop(log);
                    log = SegmentLog::open(folder.path(), options).unwrap();
                }
            }
            assert_adds_up(&log.stats());
            prop_assert!(log.stats().bytes <= options.bytes_max + options.segment_bytes);
        }
        log.flush().unwrap();
        let found = all(&log);
        prop_assert_eq!(found.len() as u64, log.stats().held);
        // What is left is the end of what was put in, byte by byte.
        let left = model.len().checked_sub(found.len()).expect("nothing comes from nowhere");
        for (record, (place, time, bytes)) in found.iter().zip(model.iter().skip(left)) {
            prop_assert_eq!((record.sequence, record.at, &record.bytes), (*place, at(*time), bytes));
        }
    }
}

#[test]
fn a_tail_that_is_torn_anywhere_is_cut_off_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        frame_bytes: 1,
        ..LogOptions::default()
    };
    let mut log = SegmentLog::open(folder.path(), options).unwrap();
    let mut ends = Vec::new();
    let path = folder.path().join(format!("{:020}.seg", 0));
    for place in 0..5 {
        log.append(at(place), &noise(place as u64, 40)).unwrap();
        log.flush().unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(log);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join(path.file_name().unwrap()),
            &whole[..length],
        )
        .unwrap();
        let mut log = SegmentLog::open(folder.path(), options).unwrap();
        let wanted = ends.iter().filter(|end| **end <= length as u64).count();
        assert_eq!(all(&log).len(), wanted, "cut at {length}");
        // And it goes on where it ended.
        let place = log.append(at(9), b"next").unwrap();
        log.sync().unwrap();
        assert_eq!(place as usize, wanted);
        assert_eq!(all(&log).last().unwrap().bytes, b"next");
        assert_adds_up(&log.stats());
    }
}

#[test]
fn a_byte_that_turns_anywhere_never_gives_a_wrong_record() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        segment_bytes: 300,
        ..small()
    };
    let mut log = SegmentLog::open(folder.path(), options).unwrap();
    for place in 0..12 {
        log.append(at(place), &noise(place as u64, 60)).unwrap();
        log.flush().unwrap();
    }
    let good = all(&log);
    drop(log);
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    names.sort();
    assert!(names.len() > 2);
    let victim = &names[1];
    let bytes = fs::read(victim).unwrap();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x40;
        fs::write(victim, damaged).unwrap();
        let log = match SegmentLog::open(folder.path(), options) {
            Ok(log) => log,
            Err(Error::Corrupt { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        for record in log.read_from(0).flatten() {
            assert!(good.contains(&record), "turned byte {place}");
        }
        let stats = log.stats();
        assert_adds_up(&stats);
        assert_eq!(
            stats.held + stats.dropped.get(&LogDrop::Damaged).unwrap_or(&0),
            12
        );
        drop(log);
        // What is damaged may have been cut or removed: begin again.
        for path in &names {
            assert!(path.exists() || path == victim);
        }
    }
}

#[test]
fn a_second_process_is_told_that_the_log_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let _log = SegmentLog::open(folder.path(), small()).unwrap();
    assert!(matches!(
        SegmentLog::open(folder.path(), small()),
        Err(Error::Locked(_))
    ));
}

#[test]
fn a_log_that_must_not_lose_refuses_when_it_is_full_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        when_full: WhenFull::Refuse,
        ..small()
    };
    let mut log = SegmentLog::open(folder.path(), options).unwrap();
    let mut taken = 0;
    let refused = loop {
        match log.append(at(0), &noise(taken, 100)) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused}");
    assert_adds_up(&log.stats());
    assert_eq!(log.stats().held, taken);
    log.release(log.first_sequence() + 20).unwrap();
    log.append(at(0), &noise(taken, 100)).unwrap();
    log.sync().unwrap();
    let found = all(&log);
    assert_eq!(found.last().unwrap().sequence, taken);
    assert!(
        found
            .windows(2)
            .all(|pair| pair[1].sequence == pair[0].sequence + 1)
    );
}

/// A file system of 256 KiB; none where this user may not mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if done.is_ok_and(|status| status.success()) {
            Some(Self(folder))
        } else {
            eprintln!("skipped: no file system can be mounted here");
            None
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_takes_nothing_of_what_is_on_it() {
    let Some(disk) = Disk::mount() else { return };
    let options = LogOptions {
        segment_bytes: 32 << 10,
        frame_bytes: 4 << 10,
        compression: Compression::None,
        when_full: WhenFull::Refuse,
        ..LogOptions::default()
    };
    let mut log = SegmentLog::open(disk.0.path(), options).unwrap();
    let mut taken = 0;
    let refused = loop {
        match log.append(at(0), &noise(taken, 500)) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused}");
    assert_adds_up(&log.stats());
    let on_disk = all(&log).len() as u64;
    assert!(on_disk < taken && on_disk > 300);
    // What waited in memory is written as soon as there is room.
    log.release(log.first_sequence() + 200).unwrap();
    log.sync().unwrap();
    drop(log);
    let log = SegmentLog::open(disk.0.path(), options).unwrap();
    assert_eq!(log.next_sequence(), taken);
    assert_eq!(all(&log).len() as u64, taken - 200);
}

#[test]
fn on_a_full_disk_the_oldest_make_room_and_are_counted() {
    let Some(disk) = Disk::mount() else { return };
    let options = LogOptions {
        segment_bytes: 32 << 10,
        frame_bytes: 4 << 10,
        compression: Compression::None,
        ..LogOptions::default()
    };
    let mut log = SegmentLog::open(disk.0.path(), options).unwrap();
    for place in 0..2000 {
        log.append(at(0), &noise(place, 500)).unwrap();
        assert_adds_up(&log.stats());
    }
    log.sync().unwrap();
    let stats = log.stats();
    assert!(stats.dropped[&LogDrop::Full] > 1000, "{stats:?}");
    let found = all(&log);
    assert_eq!(found.last().unwrap().bytes, noise(1999, 500));
    assert_eq!(found.len() as u64, stats.held);
}

/// What the process that is killed does.
#[test]
#[ignore = "run by `what_was_synced_survives_kill_9`"]
fn write_until_killed() {
    let Some(folder) = std::env::var_os("MIDSTREAM_LOG_FOLDER") else {
        return;
    };
    let options = LogOptions {
        segment_bytes: 20_000,
        bytes_max: 1 << 30,
        ..LogOptions::default()
    };
    let mut log = SegmentLog::open(Path::new(&folder), options).unwrap();
    let mut out = std::io::stdout();
    for _ in 0..1_000_000 {
        for _ in 0..7 {
            let place = log.next_sequence();
            log.append(at(place as i64), &noise(place, 100)).unwrap();
        }
        log.sync().unwrap();
        writeln!(out, "synced {}", log.next_sequence()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_synced_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut synced = 0;
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "log::write_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("MIDSTREAM_LOG_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        for line in lines {
            let line = line.unwrap();
            // The harness writes before it on the same line.
            let Some((_, place)) = line.split_once("synced ") else {
                continue;
            };
            synced = place.parse::<u64>().unwrap();
            told += 1;
            if told == 20 + round * 13 {
                child.kill().unwrap();
                break;
            }
        }
        child.wait().unwrap();
        let log = SegmentLog::open(
            folder.path(),
            LogOptions {
                bytes_max: 1 << 30,
                ..LogOptions::default()
            },
        )
        .unwrap();
        let found = all(&log);
        assert!(found.len() as u64 >= synced, "{} of {synced}", found.len());
        for (place, record) in found.iter().enumerate() {
            assert_eq!(record.sequence, place as u64);
            assert_eq!(record.bytes, noise(place as u64, 100));
        }
    }
    assert!(synced > 500);
}
