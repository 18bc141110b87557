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

use crate::backpressure::{
    Change, Events, Ladder, Level, Link, Packing, ReplayRate, Signals, sample,
};
use crate::decode::Decoder;
use crate::deploy::{BatchOptions, Deployment, Entry, Limits, Router};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::log::{LogOptions, SegmentLog, WhenFull};
use crate::serve::lane::{Lane, Target, batch};
use crate::serve::metrics::Counts;
use crate::serve::saved::{self, State};
use crate::serve::spilt::Spilt;
use crate::spill::{Class, Replay, Spill};
use crate::time::Timestamp;

/// Messages that may be on their way at once.
pub const IN_FLIGHT_MAX: usize = 256;
/// The level of zstd for batches that go out.
const ZSTD_LEVEL: i32 = 3;
/// What waited is sent at these rates, in records a second.
const REPLAY_LEAST: f64 = 50.0;
const REPLAY_MOST: f64 = 5_000.0;
/// Sends within which the share of failures is counted.
const ERRORS_OVER: f64 = 100.0;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// For [`Pipeline::answered`].
    pub number: u64,
    /// Where to.
    pub topic: String,
    /// A line of JSON, or an array of them; with zstd's magic number in front where it is compressed.
    pub payload: Vec<u8>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it, after so long.
    Taken(Duration),
    /// The broker will not have it.
    Refused,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Sent {
    number: u64,
    of: Of,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// So many entries of a lane.
    Lane(usize, usize),
    /// A record from disk.
    Spill(Class, u64),
}

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

    /// The next message that is due, if there is room on the way.
    pub fn next_message(&mut self, now: Timestamp) -> Option<Dispatch> {
        if self.link == Link::Down || self.sent.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let level = self.ladder.plan();
        let plan = (self.ladder.level() > Level::Normal)
            .then(|| batch(level.batch_events, level.batch_interval));
        for place in 0..self.lanes.len() {
            if let Some(message) = self.message_of(place, plan, level.packing, now) {
                return Some(message);
            }
        }
        self.message_from_disk(now)
    }

    fn message_of(
        &mut self,
        place: usize,
        plan: Option<BatchOptions>,
        packing: Packing,
        now: Timestamp,
    ) -> Option<Dispatch> {
        let lane = &mut self.lanes[place];
        let Target::Topic(topic) = &lane.target else {
            return None;
        };
        let count = lane.due(now, plan);
        if count == 0 {
            return None;
        }
        let entries = lane.waiting.iter().skip(lane.sent).take(count);
        let payload = if lane.is_batched(plan) {
            let lines: Vec<&str> = entries.map(|entry| entry.line.as_str()).collect();
            format!("[{}]", lines.join(",")).into_bytes()
        } else {
            entries.flat_map(|entry| entry.line.bytes()).collect()
        };
        let topic = topic.clone();
        lane.sent += count;
        Some(self.dispatch(topic, pack(payload, packing), Of::Lane(place, count)))
    }

    /// What waited on disk, the oldest first, at the rate of the replay.
    fn message_from_disk(&mut self, now: Timestamp) -> Option<Dispatch> {
        if self.ladder.level() >= Level::Sample {
            return None;
        }
        if self.replay.is_none() {
            let on_its_way = self
                .sent
                .iter()
                .any(|sent| matches!(sent.of, Of::Spill(..)));
            let held = self.spill.stats().values().any(|log| log.held > 0);
            if on_its_way || !self.released.is_empty() || !held {
                return None;
            }
            self.replay = Some(self.spill.replay());
        }
        if self.rate.ready(now) == 0 {
            return None;
        }
        loop {
            let Some(Ok(spilled)) = self.replay.as_mut()?.next() else {
                self.replay = None;
                return None;
            };
            let place = spilled.record.sequence;
            let of = Of::Spill(spilled.class, place);
            let lane = Spilt::read(&spilled.record.bytes).and_then(|spilt| {
                let lane = self.lanes.iter().find(|lane| lane.name == spilt.lane)?;
                Some((lane, spilt.line.to_owned()))
            });
            if let Some((lane, mut line)) = lane
                && let Target::Topic(topic) = &lane.target
            {
                add(&mut line, "\"replay\":true");
                let topic = topic.clone();
                self.rate.sent(1);
                return Some(self.dispatch(topic, line.into_bytes(), of));
            }
            // Its sink is gone from the deployment.
            self.counts.refused += 1;
            self.released.insert(spilled.class, place + 1);
        }
    }

    fn dispatch(&mut self, topic: String, payload: Vec<u8>, of: Of) -> Dispatch {
        let number = self.next_message;
        self.next_message += 1;
        self.sent.push_back(Sent {
            number,
            of,
            outcome: None,
        });
        Dispatch {
            number,
            topic,
            payload,
        }
    }

    /// Says how a message ended.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written down; after a crash the message may go out again.
    pub fn answered(&mut self, number: u64, outcome: Outcome, now: Timestamp) -> Result<()> {
        self.failures *= 1.0 - 1.0 / ERRORS_OVER;
        self.sends = self.sends * (1.0 - 1.0 / ERRORS_OVER) + 1.0;
        match outcome {
            Outcome::Taken(round_trip) => {
                self.round_trip = round_trip;
                self.rate.succeeded(now);
            }
            Outcome::Refused => self.failed(now),
        }
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == number) {
            sent.outcome = Some(outcome);
        }
        // What arrived is written down in order: from the front of each lane and class.
        while let Some(front) = self.sent.front()
            && let Some(outcome) = front.outcome
        {
            let taken = matches!(outcome, Outcome::Taken(_));
            let of = front.of;
            self.sent.pop_front();
            let count = match of {
                Of::Lane(place, count) => {
                    self.lanes[place].settle(count)?;
                    count as u64
                }
                Of::Spill(class, place) => {
                    self.released.insert(class, place + 1);
                    self.counts.replayed_out += u64::from(taken);
                    continue;
                }
            };
            if taken {
                self.counts.delivered += count;
            } else {
                self.counts.refused += count;
            }
        }
        Ok(())
    }

    /// Says that a send failed and goes on.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures += 1.0;
        self.rate.failed(now);
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

/// Adds a member to a line that is a JSON object.
fn add(line: &mut String, member: &str) {
    if line.pop() == Some('}') {
        if !line.ends_with('{') {
            line.push(',');
        }
        line.push_str(member);
    }
    line.push('}');
}

fn pack(payload: Vec<u8>, packing: Packing) -> Vec<u8> {
    if packing == Packing::Plain {
        return payload;
    }
    match zstd::bulk::compress(&payload, ZSTD_LEVEL) {
        Ok(packed) if packed.len() < payload.len() => packed,
        _ => payload,
    }
}
