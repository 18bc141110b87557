//! Group commit, a write that fails, and under which incarnation a store goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentdb::storage::{
    Backlog, Batch, DocumentRow, EventFilter, Last, MarkRow, Memory, Rows, Storage, Sync,
};
use agentdb::{
    AgentDb, Document, Durability, Error, Origin, Priority, ReplicaId, Result, Sequence,
    StoredEvent,
};

use crate::{at, options, robot, stamp};

/// A backend whose commits fail when told to.
#[derive(Default)]
struct Failing {
    inner: Memory,
    disk_fails: Arc<AtomicBool>,
    disk_full: Arc<AtomicBool>,
}

macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$result> { self.inner.$name($($argument),*) })*
    };
}

impl Rows for Failing {
    pass! {
        document(id: &str) -> Option<DocumentRow>;
        documents(schema: Option<&str>, after: Option<&str>, limit: usize) -> Vec<DocumentRow>;
        changes(after: i64, limit: usize) -> Vec<(String, i64)>;
        index(schema: &str, field: &str, from: &[u8], to: &[u8], after: Option<(&[u8], &str)>, limit: usize) -> Vec<(Vec<u8>, String)>;
        events(filter: &EventFilter<'_>, after: Sequence, limit: usize) -> Vec<StoredEvent>;
        received(origin: Origin) -> Option<Sequence>;
        mark(sequence: Sequence) -> Option<MarkRow>;
        backlog(priority: Priority) -> Backlog;
        record(namespace: &str, key: &str) -> Option<Vec<u8>>;
        records(namespace: &str, after: &str, limit: usize) -> Vec<(String, Vec<u8>)>;
        meta(key: &str) -> Option<i64>;
        last() -> Last;
    }
}

impl Storage for Failing {
    fn begin(&mut self) -> Result<()> {
        self.inner.begin()
    }
    fn apply(&mut self, batch: &Batch) -> Result<()> {
        self.inner.apply(batch)
    }
    fn commit(&mut self, sync: Sync) -> Result<()> {
        if self.disk_full.load(Ordering::Relaxed) {
            return Err(Error::DiskFull);
        }
        if self.disk_fails.load(Ordering::Relaxed) {
            return Err(Error::Store("fsync: input/output error".into()));
        }
        self.inner.commit(sync)
    }
    fn rollback(&mut self) {
        self.inner.rollback();
    }
}

fn add(db: &mut AgentDb, time: i64) -> Result<agentdb::Change> {
    let mut tx = db.begin(at(time))?;
    tx.agent("robot", "R1")?.add("odometer", 1)?;
    tx.commit()
}

#[test]
fn after_a_failed_fsync_nothing_more_is_written() {
    let storage = Failing::default();
    let fails = storage.disk_fails.clone();
    let mut db = AgentDb::with_storage(Box::new(storage), options(1)).unwrap();
    add(&mut db, 1).unwrap();
    fails.store(true, Ordering::Relaxed);
    assert!(matches!(add(&mut db, 2), Err(Error::Store(_))));
    fails.store(false, Ordering::Relaxed);
    // The disk works again, but nobody knows what is on it.
    assert!(matches!(add(&mut db, 3), Err(Error::Poisoned { .. })));
    assert!(matches!(db.flush(), Err(Error::Poisoned { .. })));
    assert_eq!(db.get("R1").unwrap().unwrap().state["odometer"], 1);
}

#[test]
fn a_full_disk_refuses_a_commit_and_takes_the_next_once_there_is_room() {
    let storage = Failing::default();
    let full = storage.disk_full.clone();
    let mut db = AgentDb::with_storage(Box::new(storage), options(1)).unwrap();
    add(&mut db, 1).unwrap();
    full.store(true, Ordering::Relaxed);
    assert!(matches!(add(&mut db, 2), Err(Error::DiskFull)));
    full.store(false, Ordering::Relaxed);
    add(&mut db, 3).unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["odometer"], 2);
}

#[test]
fn a_full_file_is_a_typed_error_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut db = AgentDb::open(&path, options(1)).unwrap();
    add(&mut db, 1).unwrap();
    let storage = agentdb::storage::Sqlite::open(&path, &[]).unwrap();
    drop(storage);
    let large = "x".repeat(1 << 20);
    db.limit_file(256).unwrap();
    let mut refused = 0;
    for n in 0..4 {
        let mut tx = db.begin(at(2)).unwrap();
        tx.put_record("large", &n.to_string(), large.as_bytes())
            .unwrap();
        match tx.commit() {
            Err(Error::DiskFull) => refused += 1,
            Err(Error::GroupLost { .. }) => refused += 1,
            other => drop(other.unwrap()),
        }
    }
    assert!(refused > 0);
    add(&mut db, 3).unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["odometer"], 2);
    assert_eq!(db.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn commits_of_many_handles_are_all_there_and_share_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    for durability in [
        Durability::Immediate,
        Durability::Group(Duration::from_millis(2)),
        Durability::Buffered,
    ] {
        let db = AgentDb::open(&path, options(1).durability(durability)).unwrap();
        let before = db
            .get("R1")
            .unwrap()
            .map_or(0, |agent| agent.state["odometer"].as_i64().unwrap());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut db = db.clone();
                scope.spawn(move || {
                    for n in 0..20 {
                        let change = add(&mut db, n).unwrap();
                        // What was committed can be read by everyone.
                        assert!(
                            db.get("R1").unwrap().unwrap().version > 0
                                && change > agentdb::Change::default()
                        );
                    }
                });
            }
        });
        let state = db.get("R1").unwrap().unwrap().state;
        assert_eq!(state["odometer"], before + 160, "{durability:?}");
        let durable = db.flush().unwrap();
        assert_eq!(
            db.changes_after(agentdb::Change::new(durable.get() - 1), 9)
                .unwrap(),
            [("R1".to_owned(), durable)]
        );
    }
}

#[test]
fn one_thread_may_have_many_commits_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = AgentDb::open(folder.path().join("state.db"), options(1)).unwrap();
    let mut submitted = Vec::new();
    for n in 0..10 {
        let mut tx = db.begin(at(1)).unwrap();
        tx.agent("robot", &format!("R{n}"))
            .unwrap()
            .set("battery", n)
            .unwrap();
        submitted.push(tx.submit().unwrap());
    }
    // Not kept yet: readers do not see it, and it must not be sent.
    assert!(db.get("R0").unwrap().is_none());
    assert!(db.durable() < submitted[0].change());
    db.wait(&submitted[9]).unwrap();
    for waiting in &submitted {
        db.wait(waiting).unwrap();
        assert!(db.durable() >= waiting.change());
    }
    assert_eq!(db.get("R9").unwrap().unwrap().state["battery"], 9);
    // Those that nobody waits for are kept once the window is over.
    let mut tx = db.begin(at(10)).unwrap();
    tx.agent("robot", "late")
        .unwrap()
        .set("battery", 1)
        .unwrap();
    tx.submit().unwrap();
    drop(db.begin(at(1_000)).unwrap());
    assert!(db.get("late").unwrap().is_some());
}

#[test]
fn a_store_that_was_not_closed_goes_on_under_a_new_incarnation() {
    let options = |replica| options(replica).incarnation_step(std::num::NonZeroU32::MIN);
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (
        folder.path().join("state.db"),
        folder.path().join("copy.db"),
    );
    let mut db = AgentDb::open(&path, options(7)).unwrap();
    add(&mut db, 1).unwrap();
    db.compact().unwrap();
    std::fs::copy(&path, &copy).unwrap();
    drop(db);
    let db = AgentDb::open(&path, options(7)).unwrap();
    assert_eq!(db.replica(), ReplicaId::new(7), "it was closed");
    drop(db);
    // The copy was made while the store was open.
    let mut db = AgentDb::open(&copy, options(7)).unwrap();
    assert_eq!(db.replica().incarnation(), 1);
    add(&mut db, 2).unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["odometer"], 2);
    db.compact().unwrap();
    drop(db);
    // An older copy of a closed store is another file.
    let moved = folder.path().join("moved.db");
    std::fs::copy(&copy, &moved).unwrap();
    assert_eq!(
        AgentDb::open(&moved, options(7))
            .unwrap()
            .replica()
            .incarnation(),
        2
    );
    assert_eq!(
        AgentDb::open(&copy, options(7).restored())
            .unwrap()
            .replica()
            .incarnation(),
        2
    );
}

#[test]
fn a_peer_that_knows_lost_writes_of_this_replica_makes_it_go_on_under_a_new_incarnation() {
    let mut db = AgentDb::in_memory(options(1)).unwrap();
    add(&mut db, 1).unwrap();
    let mut copy = Document::new(&robot());
    for _ in 0..3 {
        copy.edit(&robot(), ReplicaId::new(1), stamp(1))
            .add("odometer", 1)
            .unwrap();
    }
    let mut tx = db.begin(at(2)).unwrap();
    tx.merge("R1", &copy).unwrap();
    tx.commit().unwrap();
    assert_eq!(db.replica(), ReplicaId::new(1).with_incarnation(1));
    add(&mut db, 3).unwrap();
    let agent = db.get("R1").unwrap().unwrap();
    assert_eq!(agent.clock.seen(ReplicaId::new(1)), 3);
    assert_eq!(agent.clock.seen(db.replica()), 1);
}

#[test]
fn stamps_go_on_after_reopening_with_a_clock_that_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let write = |millis: i64, value: i64| {
        let mut db = AgentDb::open(&path, options(1)).unwrap();
        let mut tx = db.begin(at(millis)).unwrap();
        tx.agent("robot", "R1")
            .unwrap()
            .set("battery", value)
            .unwrap();
        tx.commit().unwrap();
        db.document("R1").unwrap().unwrap().stamp()
    };
    let (first, second) = (write(50_000, 1), write(40_000, 2));
    assert!(second > first, "{first:?} {second:?}");
}

#[test]
fn a_stamp_that_is_too_far_ahead_loses_against_concurrent_ones_and_is_kept() {
    let mut db = AgentDb::in_memory(options(1)).unwrap();
    let mut tx = db.begin(at(1_000)).unwrap();
    tx.agent("robot", "R1")
        .unwrap()
        .set("battery", "right")
        .unwrap();
    tx.commit().unwrap();
    let mut ahead = Document::new(&robot());
    ahead
        .edit(&robot(), ReplicaId::new(2), stamp(30 * 60_000))
        .set("battery", "ahead")
        .unwrap();
    let mut tx = db.begin(at(2_000)).unwrap();
    tx.merge("R1", &ahead).unwrap();
    tx.commit().unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["battery"], "right");
    let conflicts = db.conflicts("R1").unwrap();
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].others[0].suspect && conflicts[0].others[0].value == "ahead");
    // A write that has seen it counts from its own clock: nobody is locked out, and the conflict ends.
    let mut later = db.document("R1").unwrap().unwrap();
    later
        .edit(&robot(), ReplicaId::new(2), stamp(31 * 60_000))
        .set("battery", "later")
        .unwrap();
    let mut tx = db.begin(at(31 * 60_000)).unwrap();
    tx.merge("R1", &later).unwrap();
    tx.commit().unwrap();
    assert_eq!(db.get("R1").unwrap().unwrap().state["battery"], "later");
    assert!(db.conflicts("R1").unwrap().is_empty());
}
