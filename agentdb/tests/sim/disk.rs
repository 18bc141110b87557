//! A disk that fails, and a backend on it.
//!
//! The backend is a log: each commit is a record with a checksum, from a sector's beginning on. Written
//! sectors stay in the system's cache until a sync. The death of the process loses none of them; a power cut
//! keeps, drops or tears each by itself, in any order. Opening reads records up to the first that is not
//! whole: what SQLite's write-ahead log promises, no more and no less.

use std::sync::{Arc, Mutex, MutexGuard};

use agentdb::storage::{
    Backlog, Batch, DocumentRow, EventFilter, Last, MarkRow, Memory, Rows, Storage, Sync,
};
use agentdb::{Error, Origin, Priority, Result, Sequence, StoredEvent};
use fastrand::Rng;

const SECTOR: usize = 512;

/// What is on the platter, what waits in the cache, and what is about to fail.
#[derive(Clone)]
pub struct Disk {
    rng: Rng,
    /// Sectors as a power cut would leave them.
    platter: Vec<[u8; SECTOR]>,
    /// Sectors that were written and not synced.
    cache: Vec<(usize, [u8; SECTOR])>,
    /// What each record says, by its first sector and length in bytes.
    records: Vec<(usize, usize, Vec<Batch>)>,
    pub sync_fails: bool,
    pub full: bool,
    /// Counts the processes that had it: one that has died writes nothing more.
    process: u64,
}

pub type Shared = Arc<Mutex<Disk>>;

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ 0x6469_736b),
            platter: Vec::new(),
            cache: Vec::new(),
            records: Vec::new(),
            sync_fails: false,
            full: false,
            process: 0,
        }
    }

    /// The process that has it dies.
    pub fn kill(&mut self) {
        self.process += 1;
    }

    fn end(&self) -> usize {
        let last = self.records.last();
        last.map_or(0, |(first, length, _)| first + length.div_ceil(SECTOR))
    }

    fn write(&mut self, batches: Vec<Batch>) {
        let first = self.end();
        // The bytes need not be read back into batches: they need to be all there.
        let content = format!("{batches:?}").into_bytes();
        let mut bytes = crc32c::crc32c(&content).to_le_bytes().to_vec();
        bytes.extend_from_slice(&(first as u64).to_le_bytes());
        bytes.extend_from_slice(&content);
        for (place, chunk) in bytes.chunks(SECTOR).enumerate() {
            let mut sector = [0; SECTOR];
            sector[..chunk.len()].copy_from_slice(chunk);
            self.cache.push((first + place, sector));
        }
        self.records.push((first, bytes.len(), batches));
    }

    fn place(&mut self, at: usize, sector: [u8; SECTOR]) {
        if self.platter.len() <= at {
            self.platter.resize(at + 1, [0; SECTOR]);
        }
        self.platter[at] = sector;
    }

    fn sync(&mut self) {
        for (at, sector) in std::mem::take(&mut self.cache) {
            self.place(at, sector);
        }
    }

    /// Whether a power cut would lose nothing.
    pub fn is_clean(&self) -> bool {
        self.cache.is_empty()
    }

    /// Each sector of the cache is kept, dropped or torn.
    pub fn power_cut(&mut self) {
        let mut cache = std::mem::take(&mut self.cache);
        self.rng.shuffle(&mut cache);
        for (at, mut sector) in cache {
            match self.rng.u8(0..4) {
                0 => {}
                1 => {
                    let torn = self.rng.usize(0..SECTOR);
                    let before = self.platter.get(at).copied().unwrap_or([0; SECTOR]);
                    sector[torn..].copy_from_slice(&before[torn..]);
                    self.place(at, sector);
                }
                _ => self.place(at, sector),
            }
        }
    }

    /// The batches that can be read; forgets the others, as recovery does.
    fn recover(&mut self) -> Vec<Batch> {
        // A process that died has left everything with the system.
        let cache = std::mem::take(&mut self.cache);
        let synced = self.platter.clone();
        for (at, sector) in &cache {
            self.place(*at, *sector);
        }
        let mut whole = 0;
        for (first, length, _) in &self.records {
            let sectors = self.platter.get(*first..first + length.div_ceil(SECTOR));
            let Some(bytes) = sectors.map(<[_]>::concat) else {
                break;
            };
            let (checksum, rest) = bytes[..*length].split_at(4);
            let (place, content) = rest.split_at(8);
            let sound = checksum == crc32c::crc32c(content).to_le_bytes()
                && place == (*first as u64).to_le_bytes();
            if !sound {
                break;
            }
            whole += 1;
        }
        self.records.truncate(whole);
        let end = self.end();
        self.platter = synced;
        self.platter.truncate(end);
        self.cache = cache;
        self.cache.retain(|(at, _)| *at < end);
        let batches = self.records.iter().flat_map(|(_, _, batches)| batches);
        batches.cloned().collect()
    }
}

/// A backend on a disk.
pub struct Log {
    disk: Shared,
    tables: Memory,
    open: Vec<Batch>,
    process: u64,
    /// A planted bug: numbers of the store whose names begin so are not kept once they are there.
    forgets: Option<&'static str>,
}

fn lock(disk: &Shared) -> MutexGuard<'_, Disk> {
    disk.lock().expect("no thread panics with it")
}

impl Log {
    pub fn open(disk: &Shared, forgets: Option<&'static str>) -> Self {
        let mut tables = Memory::new();
        for batch in lock(disk).recover() {
            tables.apply(&batch).expect("memory takes everything");
        }
        tables.commit(Sync::Disk).expect("memory takes everything");
        Self {
            disk: disk.clone(),
            tables,
            open: Vec::new(),
            process: lock(disk).process,
            forgets,
        }
    }
}

impl Rows for Log {
    fn document(&self, id: &str) -> Result<Option<DocumentRow>> {
        self.tables.document(id)
    }
    fn documents(
        &self,
        schema: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentRow>> {
        self.tables.documents(schema, after, limit)
    }
    fn changes(&self, after: i64, limit: usize) -> Result<Vec<(String, i64)>> {
        self.tables.changes(after, limit)
    }
    fn index(
        &self,
        schema: &str,
        field: &str,
        from: &[u8],
        to: &[u8],
        after: Option<(&[u8], &str)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, String)>> {
        self.tables.index(schema, field, from, to, after, limit)
    }
    fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        self.tables.events(filter, after, limit)
    }
    fn received(&self, origin: Origin) -> Result<Option<Sequence>> {
        self.tables.received(origin)
    }
    fn mark(&self, sequence: Sequence) -> Result<Option<MarkRow>> {
        self.tables.mark(sequence)
    }
    fn backlog(&self, priority: Priority) -> Result<Backlog> {
        self.tables.backlog(priority)
    }
    fn record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.tables.record(namespace, key)
    }
    fn records(&self, namespace: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>> {
        self.tables.records(namespace, after, limit)
    }
    fn meta(&self, key: &str) -> Result<Option<i64>> {
        self.tables.meta(key)
    }
    fn last(&self) -> Result<Last> {
        self.tables.last()
    }
}

impl Storage for Log {
    fn begin(&mut self) -> Result<()> {
        self.tables.begin()
    }

    fn apply(&mut self, batch: &Batch) -> Result<()> {
        if lock(&self.disk).full {
            return Err(Error::DiskFull);
        }
        let mut batch = batch.clone();
        let tables = &self.tables;
        let forgets = self.forgets;
        batch.meta.retain(|key, _| {
            let named = forgets.is_some_and(|forgets| key.starts_with(forgets));
            !named || !matches!(tables.meta(key), Ok(Some(_)))
        });
        self.tables.apply(&batch)?;
        self.open.push(batch);
        Ok(())
    }

    fn commit(&mut self, sync: Sync) -> Result<()> {
        let mut disk = lock(&self.disk);
        if disk.process != self.process {
            return Err(Error::Store("the process is dead".into()));
        }
        if !self.open.is_empty() {
            disk.write(std::mem::take(&mut self.open));
        }
        if sync == Sync::Disk {
            if std::mem::take(&mut disk.sync_fails) {
                // The system tells once, and forgets the sectors: as if the power had failed.
                disk.power_cut();
                return Err(Error::Store("the sync of a simulated disk failed".into()));
            }
            disk.sync();
        }
        self.tables.commit(sync)
    }

    fn rollback(&mut self) {
        self.open.clear();
        self.tables.rollback();
    }
}
