//! The rules and the events of each measurement.

use std::sync::Arc;
use std::time::Duration;

use midstream::{
    Aggregate, Batch, Column, Emit, Engine, Event, FieldType, Having, Result, Rule, Schema,
    Timestamp, gt,
};

/// A rule set and what is sent to it.
pub struct Load {
    pub name: &'static str,
    pub what: &'static str,
    pub bar: Option<f64>,
    /// Events of one second of event time.
    per_second: i64,
    rules: fn() -> Vec<Rule>,
}

pub const KEYS: u64 = 1000;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A machine's readings.
pub fn schema() -> Schema {
    Schema::new("machines")
        .field("machine", FieldType::Text)
        .field("temperature", FieldType::Float)
        .field("vibration", FieldType::Float)
        .field("pressure", FieldType::Float)
}

/// A sequence of steps that each one reading in ten fits.
pub fn sequence(name: &str, steps: usize) -> Rule {
    let fields = ["temperature", "vibration", "pressure"];
    let mut rule = Rule::sequence(name).key("machine").within(seconds(30));
    for step in 0..steps {
        rule = rule.step("machines", gt(fields[step % 3], 90.0));
    }
    rule.into()
}

fn window(name: &str) -> midstream::WindowRule {
    Rule::window(name, "machines")
        .key("machine")
        .field("temperature")
}

fn group_by_sum() -> Vec<Rule> {
    let having = Having::Above(Aggregate::Sum, 1e12);
    vec![
        window("sum")
            .tumbling(seconds(10))
            .having(having)
            .emit(Emit::Every)
            .into(),
    ]
}

fn statistics() -> Vec<Rule> {
    vec![
        window("statistics")
            .tumbling(seconds(1))
            .emit(Emit::Every)
            .into(),
    ]
}

fn slide_1s() -> Vec<Rule> {
    vec![
        window("slide")
            .sliding(seconds(60), seconds(1))
            .having(Having::Above(Aggregate::Avg, 99.0))
            .into(),
    ]
}

fn slide_100ms() -> Vec<Rule> {
    vec![
        window("slide")
            .sliding(seconds(60), Duration::from_millis(100))
            .having(Having::Above(Aggregate::Avg, 99.0))
            .into(),
    ]
}

/// Fifty sequences with thirty conditions between them, from `least` to just above it.
fn fifty(least: f64) -> Vec<Rule> {
    let fields = ["temperature", "vibration", "pressure"];
    let mut rules = Vec::with_capacity(50);
    for n in 0..50_usize {
        let mut rule = Rule::sequence(&format!("rule {n}"))
            .key("machine")
            .within(seconds(30));
        for step in 0..3 {
            let limit = least + (100.0 - least) / 20.0 * (n % 10) as f64;
            rule = rule.step("machines", gt(fields[(step + n) % 3], limit));
        }
        rules.push(rule.into());
    }
    rules
}

/// Every measurement of throughput.
pub fn all() -> Vec<Load> {
    let load = |name, what, bar, per_second, rules| Load {
        name,
        what,
        bar,
        per_second,
        rules,
    };
    vec![
        load(
            "group_by_sum",
            "group by 1,000 keys having sum above a limit, tumbling 10 s",
            Some(8e6),
            100_000,
            group_by_sum as fn() -> Vec<Rule>,
        ),
        load(
            "tumbling_statistics",
            "count, sum, average, extremes and deviation of 1,000 keys, tumbling 1 s",
            Some(5e6),
            100_000,
            statistics,
        ),
        load(
            "sequence_3",
            "three steps of 1,000 keys within 30 s, one reading in ten fits a step",
            Some(1.5e6),
            10_000,
            || vec![sequence("three", 3)],
        ),
        load(
            "sequence_10",
            "ten steps of 1,000 keys within 30 s, one reading in ten fits a step",
            Some(5e5),
            10_000,
            || vec![sequence("ten", 10)],
        ),
        load(
            "rules_50",
            "fifty sequences of three steps on one stream of 1,000 keys, 30 conditions between them, about one reading in 130 fits a step",
            Some(1e6),
            10_000,
            || fifty(99.0),
        ),
        load(
            "rules_50_dense",
            "the same, about one reading in 13 fits a step",
            None,
            10_000,
            || fifty(90.0),
        ),
        load(
            "slide_1s",
            "average of 1,000 keys over 60 s every second",
            None,
            10_000,
            slide_1s,
        ),
        load(
            "slide_100ms",
            "average of 1,000 keys over 60 s every 100 ms; within twice the time of every second",
            None,
            10_000,
            slide_100ms,
        ),
    ]
}

/// Pseudo-random numbers: Steele, Lea and Flood's SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A reading from 0 to 100.
    pub fn reading(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * 100.0
    }
}

/// The reading number `n` of a random machine.
pub fn event(schema: &Schema, random: &mut Random, n: usize, at: Timestamp) -> Result<Event> {
    let machine = format!("machine-{}", random.next() % KEYS);
    let fields = [
        ("machine", machine.as_str().into()),
        ("temperature", random.reading().into()),
        ("vibration", random.reading().into()),
        ("pressure", random.reading().into()),
    ];
    schema.event(&n.to_string(), at, &fields)
}

impl Load {
    /// This many events.
    pub fn events(&self, count: usize) -> Result<Vec<Event>> {
        let schema = schema();
        let mut random = Random(7);
        (0..count)
            .map(|n| event(&schema, &mut random, n, self.at(n)))
            .collect()
    }

    /// The same rows in batches.
    pub fn batches(&self, count: usize, rows: usize) -> Result<Vec<Batch>> {
        let schema = schema();
        let mut random = Random(7);
        let dictionary: Vec<Arc<str>> = (0..KEYS)
            .map(|key| format!("machine-{key}").into())
            .collect();
        let mut batches = Vec::with_capacity(count.div_ceil(rows));
        for first in (0..count).step_by(rows) {
            let (mut at, mut codes) = (Vec::new(), Vec::new());
            let mut readings = [Vec::new(), Vec::new(), Vec::new()];
            for n in first..(first + rows).min(count) {
                at.push(self.at(n));
                codes.push((random.next() % KEYS) as u32);
                for readings in &mut readings {
                    readings.push(random.reading());
                }
            }
            let dictionary = dictionary.clone();
            let mut columns = vec![Column::Text { dictionary, codes }];
            columns.extend(readings.map(Column::Float));
            batches.push(Batch::new(&schema, &format!("b{first}"), at, columns)?);
        }
        Ok(batches)
    }

    /// The time of a reading.
    pub fn at(&self, n: usize) -> Timestamp {
        Timestamp::from_millis(n as i64 * 1000 / self.per_second)
    }

    /// An engine with the rules; ids are not remembered.
    pub fn engine(&self) -> Result<Engine> {
        let builder = Engine::builder().source(schema()).dedup(Duration::ZERO);
        (self.rules)()
            .into_iter()
            .fold(builder, |builder, rule| builder.rule(rule))
            .build()
    }
}
