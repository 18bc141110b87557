//! A deployment at work, without its broker: what comes in is journalled and goes through the engine, what comes out waits in
//! lanes, on disk where the uplink cannot keep up.
//!
//! Nothing here reads a clock or a socket: the driver passes messages and the time. The order that makes it whole
//! after a crash: a message is appended to the journal, then processed; at [`Pipeline::commit`] the journal is
//! made durable, then the message may be acknowledged and what it caused may go out. After a crash the last
//! snapshot is loaded and the journal behind it processed again; the same events give the same entries in
//! the same order, so that those which have arrived are known by their number and passed over.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backpressure::{Change, Events, Ladder, Link, ReplayRate, Signals, sample};
use crate::decode::Decoder;
use crate::deploy::{Deployment, Entry, Limits, Router};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::log::{LogOptions, SegmentLog, WhenFull};
use crate::serve::lane::{Lane, Target};
use crate::serve::metrics::Counts;
use crate::serve::outgoing::{Sent, add};
use crate::serve::saved::{self, State};
use crate::serve::spilt::Spilt;
use crate::spill::{Class, Replay, Spill};
use crate::time::Timestamp;

/// What waited is sent at these rates, in records a second.
const REPLAY_LEAST: f64 = 50.0;
const REPLAY_MOST: f64 = 5_000.0;

/// A deployment at work.
pub struct Pipeline {
    pub(super) sources: Vec<(String, Decoder)>,
    pub(super) engine: Engine,
    pub(super) router: Router,
    pub(super) lanes: Vec<Lane>,
    pub(super) journal: SegmentLog,
    pub(super) spill: Spill,
    pub(super) ladder: Ladder,
    pub(super) rate: ReplayRate,
    pub(super) limits: Limits,
    pub(super) saved: PathBuf,
    pub(super) sent: VecDeque<Sent>,
    pub(super) next_message: u64,
    pub(super) replay: Option<Replay>,
    /// Records from disk that have arrived, up to a place of each class.
    pub(super) released: BTreeMap<Class, u64>,
    pub(super) link: Link,
    /// The newest round trip, and failures and sends that fade.
    pub(super) round_trip: Duration,
    pub(super) failures: f64,
    pub(super) sends: f64,
    pub(super) counts: Counts,
    pub(super) entries: Vec<Entry>,
    /// Entries that went to disk after the snapshot from which this life began: sink and number.
    pub(super) on_disk: HashSet<(usize, u64)>,
}

impl Pipeline {
    /// Opens the deployment's folder, goes on from its last snapshot, and processes again what the journal has
    /// behind it. Linear in the journal.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Locked`], [`Error::Corrupt`]; what is wrong with the deployment.
    pub fn open(deployment: &Deployment) -> Result<Self> {
        let folder = &deployment.state;
        let limits = deployment.limits;
        let journal = SegmentLog::open(
            &folder.join("journal"),
            LogOptions {
                bytes_max: limits.journal_bytes,
                when_full: WhenFull::Refuse,
                ..LogOptions::default()
            },
        )?;
        let lanes = deployment.sinks.iter();
        let mut lanes: Vec<Lane> = lanes
            .map(|(name, sink)| Lane::open(name, sink, folder))
            .collect::<Result<_>>()?;
        let saved = folder.join("snapshot");
        let (engine, from, spilled) = match saved::load(&saved)? {
            None => (deployment.engine()?.build()?, 0, [0; 3]),
            Some(found) => {
                for state in found.lanes {
                    if let Some(lane) = lanes.iter_mut().find(|lane| lane.name == state.name) {
                        lane.restore(state);
                    }
                }
                let engine = deployment.engine()?.restore(&found.engine)?;
                (engine, found.journal, found.spill)
            }
        };
        let topics = deployment
            .sources
            .values()
            .map(|source| source.topic.clone());
        let mut pipeline = Self {
            sources: topics.zip(deployment.decoders()).collect(),
            engine,
            router: deployment.router()?,
            lanes,
            journal,
            spill: Spill::open(&folder.join("spill"), &limits.spill())?,
            ladder: Ladder::new(deployment.backpressure)?,
            rate: ReplayRate::new(REPLAY_LEAST, REPLAY_MOST)?,
            limits,
            saved,
            sent: VecDeque::new(),
            next_message: 0,
            replay: None,
            released: BTreeMap::new(),
            link: Link::Down,
            round_trip: Duration::ZERO,
            failures: 0.0,
            sends: 0.0,
            counts: Counts::default(),
            entries: Vec::new(),
            on_disk: HashSet::new(),
        };
        for spilled in pipeline.spill.replay_from(spilled) {
            // What is damaged is counted by its log.
            let Ok(spilled) = spilled else { continue };
            if let Some(spilt) = Spilt::read(&spilled.record.bytes)
                && let Some(place) = pipeline.lanes.iter().position(|l| l.name == spilt.lane)
            {
                pipeline.on_disk.insert((place, spilt.number));
            }
        }
        let waiting = pipeline.lanes.iter().map(|lane| lane.waiting.len() as u64);
        pipeline.counts.restored = waiting.sum();
        for record in pipeline.journal.read_from(from) {
            let record = record?;
            pipeline.counts.replayed_in += 1;
            let Some((source, payload)) = pipeline.split(&record.bytes) else {
                let rejected = &mut pipeline.counts.rejected;
                *rejected.entry("source_gone").or_default() += 1;
                continue;
            };
            pipeline.process(source, payload, record.at);
        }
        pipeline.lanes.iter_mut().for_each(Lane::commit);
        pipeline.on_disk = HashSet::new();
        Ok(pipeline)
    }

    /// The topic filters of the sources, in order.
    pub fn topics(&self) -> Vec<String> {
        self.sources
            .iter()
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// The source and the payload of a journal's record; none where the source is gone from the deployment.
    fn split<'a>(&self, record: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let (length, rest) = record.split_first()?;
        let (name, payload) = rest.split_at_checked(usize::from(*length))?;
        let named = |(_, decoder): &(String, Decoder)| decoder.schema().name().as_bytes() == name;
        Some((self.sources.iter().position(named)?, payload))
    }

    /// Takes a message of a source. It may be acknowledged after the next [`Pipeline::commit`].
    ///
    /// # Errors
    /// [`Error::Full`] when the journal has no room: the message was not taken, and is to be given again after
    /// [`Pipeline::save`]. [`Error::RecordTooLong`] never: what is too long is a dead letter.
    pub fn take(&mut self, source: usize, payload: &[u8], now: Timestamp) -> Result<()> {
        let Some((_, decoder)) = self.sources.get(source) else {
            return Ok(());
        };
        // A payload over the decoder's limit is cut behind it: it stays a dead letter.
        let payload = &payload[..payload.len().min(crate::decode::PAYLOAD_BYTES_MAX + 1)];
        let name = decoder.schema().name().as_bytes();
        let mut record = Vec::with_capacity(1 + name.len() + payload.len());
        let length = u8::try_from(name.len())
            .map_err(|_| Error::Deployment("a source's name has at most 255 bytes".to_owned()))?;
        record.push(length);
        record.extend_from_slice(name);
        record.extend_from_slice(payload);
        self.journal.append(now, &record)?;
        self.counts.messages_in += 1;
        self.process(source, payload, now);
        Ok(())
    }

    fn process(&mut self, source: usize, payload: &[u8], now: Timestamp) {
        let mut entries = std::mem::take(&mut self.entries);
        let (_, decoder) = &self.sources[source];
        for event in decoder.decode(payload) {
            match event {
                Err(rejection) => {
                    *self.counts.rejected.entry(rejection.reason()).or_default() += 1;
                    let name = decoder.schema().name();
                    self.router
                        .dead_letter(name, payload, &rejection, &mut entries);
                }
                Ok(event) => {
                    let routed = entries.len();
                    self.router.event(&event, &mut entries);
                    let dropped = self.engine.dropped();
                    match self.engine.push(event) {
                        Ok(outputs) => {
                            for output in &outputs {
                                self.router.output(output, &mut entries);
                            }
                        }
                        Err(_) => entries.truncate(routed),
                    }
                    if self.engine.dropped() > dropped {
                        // A duplicate or a late event is not stored a second time.
                        entries.truncate(routed);
                    }
                }
            }
        }
        for entry in entries.drain(..) {
            self.enqueue(entry, now);
        }
        self.entries = entries;
    }

    fn enqueue(&mut self, mut entry: Entry, now: Timestamp) {
        self.counts.entries += 1;
        let lane = &mut self.lanes[entry.sink];
        let number = lane.number();
        let on_disk = |number: &u64| self.on_disk.contains(&(entry.sink, *number));
        let Some(number) = number.filter(|number| !on_disk(number)) else {
            self.counts.already_delivered += 1;
            return;
        };
        let plan = self.ladder.plan();
        let remote = matches!(lane.target, Target::Topic(_));
        let room = lane.waiting.len() < self.limits.queue_entries * plan.buffer_factor;
        let spills = match plan.events {
            _ if !remote => false,
            Events::Send => false,
            Events::Sample(one_in) if entry.class == Class::Raw => {
                let Some(weight) = sample(&entry.id, one_in) else {
                    self.counts.sampled_out += 1;
                    return;
                };
                add(&mut entry.line, &format!("\"weight\":{weight}"));
                false
            }
            Events::Sample(_) => false,
            Events::Spill => entry.class == Class::Raw,
            Events::Hold => true,
        };
        if room && !spills {
            lane.push(number, now, entry);
            return;
        }
        let record = Spilt {
            lane: &lane.name,
            number,
            line: &entry.line,
        }
        .write();
        match self.spill.put(entry.class, now, &record) {
            Ok(_) => self.counts.spilled += 1,
            Err(_) => self.counts.lost += 1,
        }
    }

    /// Makes what was taken durable: it may then be acknowledged, and what it caused goes out. Files are
    /// written here.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]: nothing may be acknowledged; call it again.
    pub fn commit(&mut self, now: Timestamp) -> Result<()> {
        self.journal.sync()?;
        self.spill.sync()?;
        for lane in &mut self.lanes {
            lane.commit();
            self.counts.delivered += lane.write_file()? as u64;
            lane.write_mark()?;
        }
        for (class, place) in std::mem::take(&mut self.released) {
            self.spill.release(class, place)?;
        }
        self.spill.retain(now)?;
        Ok(())
    }

    /// Saves the state of everything, after which the journal begins anew.
    ///
    /// # Errors
    /// As [`Pipeline::commit`]; what is saved is either whole or that of before.
    pub fn save(&mut self, now: Timestamp) -> Result<()> {
        self.commit(now)?;
        let journal = self.journal.next_sequence();
        let lanes = self.lanes.iter().map(Lane::state).collect();
        let state = State {
            journal,
            spill: self.spill.next_sequences(),
            lanes,
        };
        saved::save(&self.saved, &state, &self.engine)?;
        self.journal.release(journal)
    }

    /// Ends as a process does that is killed: what was appended and not committed is gone.
    pub fn crash(mut self) {
        self.journal.forget();
        self.spill.forget();
    }

    /// Says whether there is a way to the broker.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Looks at queues, round trips and failures; the change of level, if there is one.
    pub fn observe(&mut self, now: Timestamp) -> Option<Change> {
        let remote = self
            .lanes
            .iter()
            .filter(|lane| matches!(lane.target, Target::Topic(_)));
        let longest = remote.map(|lane| lane.waiting.len()).max().unwrap_or(0);
        let room = self.limits.queue_entries * self.ladder.plan().buffer_factor;
        let change = self.ladder.observe(
            now,
            &Signals {
                queue_fill: longest as f64 / room as f64,
                round_trip: self.round_trip,
                error_rate: self.failures / self.sends.max(1.0),
                link: self.link,
            },
        );
        if self.sent.is_empty() {
            // A round trip of long ago says nothing.
            self.round_trip = Duration::ZERO;
            self.failures *= 0.5;
        }
        if change.is_some_and(|change| change.to > change.from) {
            self.rate.failed(now);
        }
        change
    }

    /// The engine, to change its rules at work: see [`Engine::replace_rule`].
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The folder that it works in.
    pub fn folder(&self) -> &Path {
        self.saved.parent().unwrap_or(&self.saved)
    }
}
