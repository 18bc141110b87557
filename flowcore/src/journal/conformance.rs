//! What every journal must do, as checks that any store's own tests can call.
//!
//! ```
//! flowcore::journal::conformance::check(flowcore::MemoryJournal::new).unwrap();
//! ```

use std::time::Duration;

use serde_json::json;

use super::{Batch, Journal, JournalError, LeaseRequest, Op, StateWrite};
use crate::run::RunId;
use crate::time::Timestamp;

/// The first promise that a journal broke.
#[derive(Debug, thiserror::Error)]
#[error("{promise}: {message}")]
pub struct Broken {
    /// The promise.
    pub promise: &'static str,
    /// What happened instead.
    pub message: String,
}

impl From<JournalError> for Broken {
    fn from(error: JournalError) -> Self {
        Broken {
            promise: "calls that must succeed do",
            message: error.to_string(),
        }
    }
}

type Checked = Result<(), Broken>;

fn ensure(holds: bool, promise: &'static str, message: impl FnOnce() -> String) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(Broken {
            promise,
            message: message(),
        })
    }
}

/// Runs every check, each on a fresh and empty journal from `open`.
///
/// # Errors
/// The first broken promise.
pub fn check<J: Journal>(mut open: impl FnMut() -> J) -> Checked {
    log_keeps_order_and_first_record(&mut open())?;
    truncation_forgets_the_beginning_only(&mut open())?;
    values_are_scanned_in_order(&mut open())?;
    runs_do_not_mix(&mut open())?;
    bytes_come_back_unchanged(&mut open())?;
    batches_apply_in_order(&mut open())?;
    leases_fence(&mut open())
}

/// As [`check`], and that content is still there when `reopen` opens the same store again.
///
/// # Errors
/// The first broken promise.
pub fn check_durable<J: Journal>(mut reopen: impl FnMut() -> J) -> Checked {
    let run = RunId::new(900);
    let ops = vec![
        append(run, 0, b"kept"),
        put("durable", "key", b"value"),
        put("durable", "gone", b"x"),
    ];
    reopen().commit(&Batch { epoch: 0, ops })?;
    let ops = vec![
        append(run, 1, b"too"),
        Op::Delete {
            space: "durable",
            key: "gone".to_owned(),
        },
    ];
    reopen().commit(&Batch { epoch: 0, ops })?;
    let journal = reopen();
    let log = journal.log(run)?;
    let expected = vec![(0, b"kept".to_vec()), (1, b"too".to_vec())];
    ensure(log == expected, "a log survives reopening", || {
        format!("{log:?}")
    })?;
    let value = journal.get("durable", "key")?;
    ensure(
        value.as_deref() == Some(b"value".as_slice()),
        "a value survives reopening",
        || format!("{value:?}"),
    )?;
    let gone = journal.get("durable", "gone")?;
    ensure(gone.is_none(), "a deletion survives reopening", || {
        format!("{gone:?}")
    })
}

fn append(run: RunId, seq: u64, record: &[u8]) -> Op {
    Op::Append {
        run,
        seq,
        record: record.to_vec(),
    }
}

fn put(space: &'static str, key: &str, value: &[u8]) -> Op {
    Op::Put {
        space,
        key: key.to_owned(),
        value: value.to_vec(),
    }
}

fn commit(journal: &mut dyn Journal, ops: Vec<Op>) -> Result<(), JournalError> {
    journal.commit(&Batch { epoch: 0, ops })
}

fn log_keeps_order_and_first_record(journal: &mut dyn Journal) -> Checked {
    let run = RunId::new(1);
    commit(journal, vec![append(run, 0, b"a"), append(run, 1, b"b")])?;
    commit(
        journal,
        vec![append(run, 1, b"other"), append(run, 2, b"c")],
    )?;
    let log = journal.log(run)?;
    let expected = vec![(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"c".to_vec())];
    ensure(
        log == expected,
        "a record stays the first one written under its number",
        || format!("{log:?}"),
    )?;
    commit(
        journal,
        (3..300).map(|seq| append(run, seq, b"x")).collect(),
    )?;
    let numbers: Vec<u64> = journal.log(run)?.iter().map(|(seq, _)| *seq).collect();
    ensure(
        numbers == (0..300).collect::<Vec<_>>(),
        "a log comes in ascending order",
        || format!("{numbers:?}"),
    )
}

fn truncation_forgets_the_beginning_only(journal: &mut dyn Journal) -> Checked {
    let run = RunId::new(1);
    commit(journal, (0..10).map(|seq| append(run, seq, b"x")).collect())?;
    commit(journal, vec![Op::Truncate { run, before: 7 }])?;
    let numbers: Vec<u64> = journal.log(run)?.iter().map(|(seq, _)| *seq).collect();
    ensure(
        numbers == [7, 8, 9],
        "truncation keeps what is at or above its number",
        || format!("{numbers:?}"),
    )?;
    commit(
        journal,
        vec![Op::Truncate {
            run,
            before: u64::from(u32::MAX),
        }],
    )?;
    let left = journal.log(run)?.len();
    ensure(left == 0, "truncation can empty a log", || {
        format!("{left} records left")
    })
}

fn values_are_scanned_in_order(journal: &mut dyn Journal) -> Checked {
    let keys = ["b", "a", "ab", "c", "B", "é"];
    commit(
        journal,
        keys.iter()
            .map(|key| put("one", key, key.as_bytes()))
            .collect(),
    )?;
    commit(
        journal,
        vec![put("two", "z", b"z"), put("one", "b", b"new")],
    )?;
    let all: Vec<String> = journal
        .scan("one", "", 100)?
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    ensure(
        all == ["B", "a", "ab", "b", "c", "é"],
        "a scan is in byte order of the keys",
        || format!("{all:?}"),
    )?;
    let page = journal.scan("one", "a", 2)?;
    let expected = vec![
        ("ab".to_owned(), b"ab".to_vec()),
        ("b".to_owned(), b"new".to_vec()),
    ];
    ensure(
        page == expected,
        "a scan starts after its key and stops at its limit",
        || format!("{page:?}"),
    )?;
    commit(
        journal,
        vec![
            Op::Delete {
                space: "one",
                key: "ab".to_owned(),
            },
            Op::Delete {
                space: "one",
                key: "none".to_owned(),
            },
        ],
    )?;
    let gone = journal.get("one", "ab")?;
    ensure(gone.is_none(), "a deleted key is gone", || {
        format!("{gone:?}")
    })?;
    let other = journal.get("two", "z")?;
    ensure(
        other.as_deref() == Some(b"z".as_slice()),
        "spaces are apart",
        || format!("{other:?}"),
    )
}

fn runs_do_not_mix(journal: &mut dyn Journal) -> Checked {
    let (one, two) = (RunId::new(1), RunId::new(2));
    commit(
        journal,
        vec![append(one, 0, b"one"), append(two, 0, b"two")],
    )?;
    commit(
        journal,
        vec![Op::Truncate {
            run: one,
            before: 5,
        }],
    )?;
    let log = journal.log(two)?;
    ensure(
        log == [(0, b"two".to_vec())],
        "truncating one run leaves the others",
        || format!("{log:?}"),
    )?;
    let none = journal.log(RunId::new(3))?;
    ensure(none.is_empty(), "an unknown run has an empty log", || {
        format!("{none:?}")
    })
}

fn bytes_come_back_unchanged(journal: &mut dyn Journal) -> Checked {
    let every: Vec<u8> = (0..=255).collect();
    let large = vec![7_u8; 1 << 20];
    let run = RunId::new(i64::MAX as u64);
    commit(
        journal,
        vec![
            append(run, 0, &every),
            append(run, 1, &large),
            append(run, 2, b""),
            put("s", "k", &every),
        ],
    )?;
    let log = journal.log(run)?;
    let whole = log.len() == 3 && log[0].1 == every && log[1].1 == large && log[2].1.is_empty();
    ensure(whole, "records are opaque bytes of any length", || {
        format!("{} records", log.len())
    })?;
    let value = journal.get("s", "k")?;
    ensure(
        value.as_ref() == Some(&every),
        "values are opaque bytes",
        || format!("{value:?}"),
    )
}

fn batches_apply_in_order(journal: &mut dyn Journal) -> Checked {
    let run = RunId::new(1);
    let mut ops = vec![
        put("s", "k", b"first"),
        Op::Delete {
            space: "s",
            key: "k".to_owned(),
        },
        put("s", "k", b"last"),
        append(run, 0, b"old"),
        append(run, 1, b"snapshot"),
        Op::Truncate { run, before: 1 },
    ];
    if journal.state_writes() == super::StateWrites::Atomic {
        ops.push(Op::State(StateWrite::new(
            "conformance",
            "k",
            json!({"n": 1}),
        )));
    }
    commit(journal, ops)?;
    let value = journal.get("s", "k")?;
    ensure(
        value.as_deref() == Some(b"last".as_slice()),
        "a batch applies in order",
        || format!("{value:?}"),
    )?;
    let log = journal.log(run)?;
    ensure(
        log == [(1, b"snapshot".to_vec())],
        "a batch can append and truncate",
        || format!("{log:?}"),
    )
}

/// A journal that grants only epoch 0 has no leases, and nothing to fence.
fn leases_fence(journal: &mut dyn Journal) -> Checked {
    let ask = |owner: &str, now: i64| LeaseRequest {
        owner: owner.to_owned(),
        now: Timestamp::from_millis(now),
        ttl: Duration::from_millis(1000),
    };
    let first = journal.lease(&ask("one", 0))?;
    if first == 0 {
        return Ok(());
    }
    let renewed = journal.lease(&ask("one", 500))?;
    ensure(renewed == first, "renewing keeps the epoch", || {
        format!("{first} became {renewed}")
    })?;
    let early = journal.lease(&ask("two", 1499));
    ensure(
        matches!(early, Err(JournalError::Held { .. })),
        "a running lease is not given away",
        || format!("{early:?}"),
    )?;
    let second = journal.lease(&ask("two", 1501))?;
    ensure(second > first, "a new owner has a greater epoch", || {
        format!("{first} then {second}")
    })?;
    let stale = journal.commit(&Batch {
        epoch: first,
        ops: vec![put("s", "fenced", b"x")],
    });
    ensure(
        matches!(stale, Err(JournalError::Fenced { .. })),
        "an old epoch cannot commit",
        || format!("{stale:?}"),
    )?;
    let leaked = journal.get("s", "fenced")?;
    ensure(leaked.is_none(), "a fenced batch leaves nothing", || {
        format!("{leaked:?}")
    })?;
    Ok(journal.commit(&Batch {
        epoch: second,
        ops: vec![put("s", "k", b"v")],
    })?)
}
