//! A deployment loses nothing without counting it: under overload, with a dead broker, with late and broken events, on a full
//! disk, and over crashes at any point.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use midstream::Timestamp;
use midstream::backpressure::{Level, Link};
use midstream::deploy::Deployment;
use midstream::serve::{Dispatch, Outcome, Pipeline, ServeMetrics};
use midstream::spill::Class;
use proptest::prelude::*;
use serde_json::Value;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn deployment(folder: &Path, more: &str) -> Deployment {
    let text = format!(
        "
state: {}
engine: {{ disorder: 100ms, dedup: 10s }}
sources:
  s:
    topic: in
    fields: {{ key: text, value: float }}
rules: |
  RULE counts: FROM s GROUP BY key HAVING COUNT(*) > 0 WITHIN TUMBLING WINDOW 1 SECONDS EMIT EVERY;
  RULE up: PATTERN SEQUENCE(low (value < 1), high (value > 8)) FROM s BY key WITHIN 5 MINUTES
sinks:
  events: {{ topic: out/events }}
  windows: {{ topic: out/windows }}
  alerts: {{ topic: out/alerts }}
  dead: {{ topic: out/dead }}
routes:
  - {{ events: s, to: [events] }}
  - {{ rules: [counts], to: [windows] }}
  - {{ rules: [up], to: [alerts] }}
  - {{ dead_letters: true, to: [dead] }}
{more}
",
        folder.display()
    );
    Deployment::parse(&text).unwrap()
}

fn assert_adds_up(metrics: &ServeMetrics) {
    let m = metrics;
    assert_eq!(
        m.entries,
        m.delivered
            + m.already_delivered
            + m.sampled_out
            + m.refused
            + m.lost
            + m.spilled
            + m.waiting
            - restored(m),
        "{m:#?}"
    );
    for log in m.spill.values().chain([&m.journal]) {
        let dropped: u64 = log.dropped.values().sum();
        assert_eq!(log.records_in, log.released + dropped + log.held, "{log:?}");
    }
    let e = &m.engine;
    let dropped: u64 = e.dropped.values().sum();
    assert_eq!(e.events_in, e.events_out + dropped + e.held, "{e:?}");
}

/// Entries that a snapshot brought back were counted in the life before.
fn restored(metrics: &ServeMetrics) -> u64 {
    metrics.restored
}

fn payload(id: u64, at: i64, value: u64) -> Vec<u8> {
    format!(
        "{{\"id\":\"e{id}\",\"at\":{at},\"key\":\"k{}\",\"value\":{value}}}",
        id % 3
    )
    .into_bytes()
}

/// A broker that has what it is given.
#[derive(Default)]
struct Broker {
    /// Each line by its topic.
    got: BTreeMap<String, Vec<Value>>,
}

impl Broker {
    fn take(&mut self, message: &Dispatch) {
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let bytes = if message.payload.starts_with(&magic) {
            zstd::decode_all(&*message.payload).unwrap()
        } else {
            message.payload.clone()
        };
        let lines = match serde_json::from_slice(&bytes).unwrap() {
            Value::Array(lines) => lines,
            line => vec![line],
        };
        self.got
            .entry(message.topic.clone())
            .or_default()
            .extend(lines);
    }

    fn drain(&mut self, pipeline: &mut Pipeline, now: Timestamp) {
        while let Some(message) = pipeline.next_message(now) {
            self.take(&message);
            pipeline
                .answered(
                    message.number,
                    Outcome::Taken(Duration::from_millis(5)),
                    now,
                )
                .unwrap();
        }
    }

    fn ids(&self, topic: &str) -> Vec<String> {
        let lines = self.got.get(topic).into_iter().flatten();
        lines
            .map(|line| line["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn distinct(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}

#[test]
fn a_broker_that_is_dead_for_a_day_gets_what_is_worth_keeping_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    // Small segments, so that retention lets go of records soon after their time.
    let limits =
        "limits: { queue_entries: 50, keep_raw: 1h, keep_aggregate: 24h, keep_critical: 7d }";
    let mut pipeline = Pipeline::open(&deployment(folder.path(), limits)).unwrap();
    pipeline.set_link(Link::Down);
    let mut broker = Broker::default();
    let mut events = 0;
    let mut levels = Vec::new();
    let day = 24 * 3600;
    // An event each minute, a low and high ones each ten minutes.
    for second in (0..day).step_by(30) {
        let now = at(second * 1000);
        if second % 60 == 0 {
            let value = match second % 600 {
                0 => 0,
                60 | 120 | 180 => 9,
                _ => 5,
            };
            pipeline
                .take(0, &payload(events, second * 1000, value), now)
                .unwrap();
            events += 1;
        }
        pipeline.commit(now).unwrap();
        levels.extend(pipeline.observe(now).map(|change| change.to));
        if second % 600 == 0 {
            pipeline.save(now).unwrap();
            assert_adds_up(&pipeline.metrics());
        }
    }
    assert_eq!(levels.last(), Some(&Level::Offline));
    let before = pipeline.metrics();
    assert_eq!(before.delivered, 0);
    assert_eq!(before.lost, 0);
    // A crash in between changes nothing.
    drop(pipeline);
    let mut pipeline = Pipeline::open(&deployment(folder.path(), limits)).unwrap();
    pipeline.set_link(Link::Up);
    for tick in 0..4_000 {
        let now = at(day * 1000 + tick * 250);
        pipeline.commit(now).unwrap();
        pipeline.observe(now);
        broker.drain(&mut pipeline, now);
    }
    let after = pipeline.metrics();
    assert_adds_up(&after);
    assert_eq!(
        after.spill.values().map(|log| log.held).sum::<u64>() + after.waiting,
        0,
        "{after:#?}"
    );
    // All windows and alerts of the day have arrived once, and the events of the last hour.
    let windows = broker.ids("out/windows");
    assert_eq!(distinct(&windows).len(), windows.len());
    let told = events - 1;
    assert_eq!(windows.len() as u64, told);
    let raw = broker.ids("out/events");
    assert_eq!(distinct(&raw).len(), raw.len());
    let dropped: u64 = before.spill[&Class::Raw].dropped.values().sum();
    assert_eq!(raw.len() as u64 + dropped, events);
    assert!(raw.len() >= 60, "{}", raw.len());
    // What came from disk says so, and is in order.
    let from_disk = broker.got["out/windows"]
        .iter()
        .filter(|line| line["replay"] == true);
    let times: Vec<i64> = from_disk
        .map(|line| line["first"].as_i64().unwrap())
        .collect();
    assert!(times.len() > 1000 && times.is_sorted());
}

#[test]
fn a_sample_under_pressure_keeps_what_is_critical_and_its_weights_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let more = "limits: { queue_entries: 2000 }\nbackpressure: { rise_ms: 1000, fall_ms: 600000, sample_one_in: 10 }";
    let mut pipeline = Pipeline::open(&deployment(folder.path(), more)).unwrap();
    pipeline.set_link(Link::Up);
    let mut broker = Broker::default();
    // A queue that nobody empties presses until events are sampled.
    let mut now = at(0);
    let mut events = 0;
    while pipeline.metrics().level < Level::Sample {
        for _ in 0..700 {
            pipeline
                .take(0, &payload(events, now.as_millis(), 5), now)
                .unwrap();
            events += 1;
        }
        pipeline.commit(now).unwrap();
        pipeline.observe(now);
        now = at(now.as_millis() + 500);
        assert_adds_up(&pipeline.metrics());
    }
    let from = pipeline.metrics();
    let (mut weighed, mut sampled) = (0, 0);
    for _ in 0..20_000 {
        let value = [0, 9][events as usize / 3 % 2];
        pipeline
            .take(0, &payload(events, now.as_millis(), value), now)
            .unwrap();
        events += 1;
        sampled += 1;
        if events % 100 == 0 {
            pipeline.commit(now).unwrap();
            broker.drain(&mut pipeline, now);
            now = at(now.as_millis() + 20);
        }
    }
    for _ in 0..200 {
        now = at(now.as_millis() + 1000);
        pipeline.commit(now).unwrap();
        broker.drain(&mut pipeline, now);
    }
    let metrics = pipeline.metrics();
    assert_adds_up(&metrics);
    assert!(
        metrics.sampled_out > from.sampled_out + 15_000,
        "{metrics:#?}"
    );
    for line in &broker.got["out/events"] {
        weighed += line["weight"].as_i64().unwrap_or(0);
    }
    assert!(
        (weighed - sampled).abs() < sampled / 20,
        "{weighed} of {sampled}"
    );
    assert_eq!(metrics.engine.events_in, events, "rules see all of them");
    let alerts = broker.ids("out/alerts");
    assert!(alerts.len() > 1000, "{}", alerts.len());
    assert!(
        broker.got["out/alerts"]
            .iter()
            .all(|line| line.get("weight").is_none())
    );
}

#[derive(Clone, Debug)]
enum Act {
    /// An event: how much later, how far back, whether its id was there before.
    Event(i64, i64, bool),
    Broken,
    Commit,
    Save,
    /// The process dies without a word.
    Crash,
    /// So many messages go out and are answered, or not.
    Send(usize, bool),
    Link(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => (0..300_i64, 0..200_i64, prop::bool::weighted(0.1)).prop_map(|(a, b, c)| Act::Event(a, b, c)),
        1 => Just(Act::Broken),
        4 => Just(Act::Commit),
        1 => Just(Act::Save),
        1 => Just(Act::Crash),
        4 => (1..30_usize, any::<bool>()).prop_map(|(a, b)| Act::Send(a, b)),
        1 => any::<bool>().prop_map(Act::Link),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_each_event_counts_once_and_everything_arrives(acts in prop::collection::vec(act(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let plan = deployment(folder.path(), "limits: { queue_entries: 20 }");
        let mut pipeline = Pipeline::open(&plan).unwrap();
        pipeline.set_link(Link::Up);
        let mut broker = Broker::default();
        // What the broker that sends has no acknowledgement for.
        let mut unacknowledged: Vec<Vec<u8>> = Vec::new();
        let mut all: Vec<Vec<u8>> = Vec::new();
        let (mut now, mut next) = (0, 0);
        for act in acts {
            match act {
                Act::Event(later, back, again) => {
                    now += later;
                    let id = if again && next > 0 { next - 1 } else { next };
                    next = next.max(id + 1);
                    let bytes = match all.get(id as usize) {
                        Some(bytes) => bytes.clone(),
                        None => payload(id, now - back, [0, 9, 5][id as usize % 3]),
                    };
                    if all.len() == id as usize {
                        all.push(bytes.clone());
                    }
                    pipeline.take(0, &bytes, at(now)).unwrap();
                    unacknowledged.push(bytes);
                }
                Act::Broken => {
                    pipeline.take(0, b"nonsense", at(now)).unwrap();
                    unacknowledged.push(b"nonsense".to_vec());
                }
                Act::Commit => {
                    pipeline.commit(at(now)).unwrap();
                    unacknowledged.clear();
                }
                Act::Save => {
                    pipeline.save(at(now)).unwrap();
                    unacknowledged.clear();
                }
                Act::Crash => {
                    pipeline.crash();
                    pipeline = Pipeline::open(&plan).unwrap();
                    pipeline.set_link(Link::Up);
                    for bytes in &unacknowledged {
                        pipeline.take(0, bytes, at(now)).unwrap();
                    }
                }
                Act::Send(count, answered) => {
                    for _ in 0..count {
                        let Some(message) = pipeline.next_message(at(now)) else { break };
                        broker.take(&message);
                        if answered {
                            pipeline.answered(message.number, Outcome::Taken(Duration::ZERO), at(now)).unwrap();
                        }
                    }
                }
                Act::Link(up) => pipeline.set_link(if up { Link::Up } else { Link::Down }),
            }
            assert_adds_up(&pipeline.metrics());
        }
        // The same stream without any of it.
        let quiet = tempfile::tempdir().unwrap();
        let mut wanted = Broker::default();
        let mut calm = Pipeline::open(&deployment(quiet.path(), "")).unwrap();
        calm.set_link(Link::Up);
        for bytes in &all {
            calm.take(0, bytes, at(now)).unwrap();
            calm.commit(at(now)).unwrap();
            wanted.drain(&mut calm, at(now));
        }
        // What was on its way without an answer goes again after one more crash.
        pipeline.commit(at(now)).unwrap();
        pipeline.crash();
        let mut pipeline = Pipeline::open(&plan).unwrap();
        pipeline.set_link(Link::Up);
        for tick in 0..50 {
            let time = at(now + 60_000 + tick * 1000);
            pipeline.commit(time).unwrap();
            broker.drain(&mut pipeline, time);
        }
        assert_adds_up(&pipeline.metrics());
        for topic in ["out/events", "out/windows", "out/alerts"] {
            let (found, wanted) = (broker.ids(topic), wanted.ids(topic));
            prop_assert_eq!(distinct(&found), distinct(&wanted), "{}", topic);
        }
        // What comes twice is the same, but for the mark of a replay.
        let mut seen: BTreeMap<String, Value> = BTreeMap::new();
        for line in broker.got.get("out/windows").into_iter().flatten() {
            let mut line = line.clone();
            line.as_object_mut().unwrap().remove("replay");
            let before = seen.insert(line["id"].as_str().unwrap().to_owned(), line.clone());
            prop_assert!(before.is_none_or(|before| before == line));
        }
    }
}
