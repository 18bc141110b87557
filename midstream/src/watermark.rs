//! Whose clock the watermark follows.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashMap;

use crate::error::Result;
use crate::event::{Event, Schema};
use crate::key::Key;
use crate::time::Timestamp;

/// The most sources or keys whose clocks are followed; of further ones none is waited for.
const CLOCKS_MAX: usize = 100_000;

/// Whose newest event the watermark follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Watermarks {
    /// The newest event of all.
    #[default]
    All,
    /// The newest event of the source that is furthest behind. A source that is further behind the newest than
    /// `idle`, or has not sent anything for that time since the first event, is not waited for.
    BySource {
        /// How far behind a source may be.
        idle: Duration,
    },
    /// The same by source and the value of this field, for sources that have it: devices with clocks of their
    /// own.
    ByKey {
        /// The field.
        field: String,
        /// How far behind a key may be.
        idle: Duration,
    },
}

/// The newest event of each source or key.
#[derive(Debug)]
pub(crate) struct Clocks {
    of: Watermarks,
    /// The place of the field in each source that has it.
    fields: HashMap<String, Option<usize>>,
    newest: HashMap<(String, Key), Timestamp>,
    /// How many are at each time.
    times: BTreeMap<Timestamp, usize>,
    begin: Option<Timestamp>,
}

impl Clocks {
    pub fn new(of: Watermarks, schemas: &[Schema]) -> Result<Self> {
        let mut fields = HashMap::new();
        if let Watermarks::ByKey { field, .. } = &of {
            let has = |schema: &Schema| schema.index(field);
            if let [only] = schemas {
                has(only)?;
            }
            for schema in schemas {
                fields.insert(schema.name().to_owned(), has(schema).ok());
            }
        }
        let mut clocks = Self {
            of,
            fields,
            newest: HashMap::new(),
            times: BTreeMap::new(),
            begin: None,
        };
        if matches!(clocks.of, Watermarks::BySource { .. }) {
            // Also a source that has not sent anything yet is waited for.
            for schema in schemas {
                clocks.set(
                    (schema.name().to_owned(), Key::None),
                    Timestamp::from_millis(i64::MIN),
                );
            }
        }
        Ok(clocks)
    }

    /// Whether only the newest event of all counts.
    pub fn follow_all(&self) -> bool {
        self.of == Watermarks::All
    }

    fn set(&mut self, whose: (String, Key), at: Timestamp) {
        let before = self.newest.insert(whose, at);
        if let Some(before) = before
            && let Some(count) = self.times.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                self.times.remove(&before);
            }
        }
        *self.times.entry(at).or_default() += 1;
    }

    /// Notes an event; gives the time that the watermark follows. The logarithm of the clocks.
    pub fn see(&mut self, event: &Event, newest: Timestamp) -> Timestamp {
        let (idle, key) = match &self.of {
            Watermarks::All => return newest,
            Watermarks::BySource { idle } => (*idle, Key::None),
            Watermarks::ByKey { idle, .. } => {
                let field = self.fields.get(&*event.source).copied().flatten();
                let value = field.and_then(|field| event.value(field));
                (
                    *idle,
                    value.map_or(Key::None, |value| Key::of(value.as_value_ref())),
                )
            }
        };
        let begin = *self.begin.get_or_insert(event.at);
        let whose = (event.source.to_string(), key);
        let known = self.newest.get(&whose).copied();
        if known.is_none_or(|known| known < event.at)
            && (known.is_some() || self.newest.len() < CLOCKS_MAX)
        {
            self.set(whose, event.at);
        }
        let oldest = newest.before(idle);
        // What has not sent anything counts as being at the beginning.
        let silent = self.times.contains_key(&Timestamp::from_millis(i64::MIN));
        if silent && begin >= oldest {
            return begin;
        }
        self.times
            .range(oldest..)
            .next()
            .map_or(newest, |(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldType;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_slowest_source_is_followed_until_it_is_idle() {
        let (a, b) = (Schema::new("a"), Schema::new("b"));
        let idle = Duration::from_millis(100);
        let mut clocks =
            Clocks::new(Watermarks::BySource { idle }, &[a.clone(), b.clone()]).unwrap();
        let mut see = |schema: &Schema, millis: i64, newest: i64| {
            let event = schema.event("x", at(millis), &[]).unwrap();
            clocks.see(&event, at(newest)).as_millis()
        };
        assert_eq!(see(&a, 10, 10), 10);
        assert_eq!(see(&a, 50, 50), 10, "b has not sent anything");
        assert_eq!(see(&b, 20, 50), 20);
        assert_eq!(see(&a, 110, 110), 20);
        assert_eq!(see(&a, 200, 200), 200, "b is idle");
        assert_eq!(see(&b, 190, 200), 190);
    }

    #[test]
    fn a_device_with_a_slow_clock_is_followed() {
        let schema = Schema::new("a").field("device", FieldType::Text);
        let of = Watermarks::ByKey {
            field: "device".into(),
            idle: Duration::from_millis(1000),
        };
        let mut clocks = Clocks::new(of, std::slice::from_ref(&schema)).unwrap();
        let mut see = |device: &str, millis: i64, newest: i64| {
            let fields = [("device", device.into())];
            let event = schema.event("x", at(millis), &fields).unwrap();
            clocks.see(&event, at(newest)).as_millis()
        };
        assert_eq!(see("fast", 500, 500), 500);
        assert_eq!(see("slow", 100, 500), 100);
        assert_eq!(see("fast", 900, 900), 100);
        assert_eq!(see("slow", 300, 900), 300);
    }
}
