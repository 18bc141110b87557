//! Cron in five fields with the rules of `crontab(5)`: lists, ranges, steps and names; when day of
//! the month and day of the week are both given, either of them is enough. Not taken from a library
//! because those at hand number the days of the week as Quartz does (1 is Sunday) or bring a second
//! library of time.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

use crate::time::Timestamp;

/// Days that are searched for the next time: enough for any February 29th.
const DAYS_MAX: u32 = 366 * 9;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When, as sets of numbers in bits.
#[derive(Debug)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    days_given: bool,
    weekdays_given: bool,
    zone: TimeZone,
}

impl Schedule {
    pub(super) fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let zone = TimeZone::get(zone).map_err(|_| format!("there is no time zone `{zone}`"))?;
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "{} fields, expected minute, hour, day of the month, month and day of the week",
                fields.len()
            ));
        };
        let mut weekdays = field(weekday, 0, 7, &DAYS, 0)?;
        // Both 0 and 7 are Sunday.
        weekdays |= weekdays >> 7 & 1;
        let schedule = Schedule {
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, &MONTHS, 1)?,
            weekdays,
            days_given: !day.starts_with('*'),
            weekdays_given: !weekday.starts_with('*'),
            zone,
        };
        match schedule.after(Timestamp::from_millis(0)) {
            Some(_) => Ok(schedule),
            None => Err("no day fits".to_owned()),
        }
    }

    fn day_fits(&self, date: Date) -> bool {
        let has = |set: u64, number: i8| set >> number.unsigned_abs() & 1 == 1;
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let either = match (self.days_given, self.weekdays_given) {
            (true, true) => day || weekday,
            _ => day && weekday,
        };
        either && has(self.months, date.month())
    }

    /// The first time after `now`. A time that the clocks skip comes as much later; one that they
    /// repeat comes once.
    pub(super) fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
        let mut date = instant.to_zoned(self.zone.clone()).date();
        for _ in 0..DAYS_MAX {
            if self.day_fits(date) {
                let hours = (0..24_i8).filter(|hour| self.hours >> hour & 1 == 1);
                let times = hours.flat_map(|hour| {
                    let minutes = (0..60_i8).filter(|minute| self.minutes >> minute & 1 == 1);
                    minutes.map(move |minute| (hour, minute))
                });
                for (hour, minute) in times {
                    let civil = date.at(hour, minute, 0, 0);
                    let zoned = self.zone.to_zoned(civil).ok()?;
                    if zoned.timestamp().duration_since(instant) > SignedDuration::ZERO {
                        return Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()));
                    }
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }
}

/// A list of numbers, names, ranges and steps as a set.
fn field(text: &str, from: u32, to: u32, names: &[&str], first: u32) -> Result<u64, String> {
    let number = |text: &str| -> Result<u32, String> {
        let named = names
            .iter()
            .position(|name| text.len() == 3 && name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(at) => u32::try_from(at).ok().map(|at| at + first),
            None => text.parse().ok(),
        };
        value
            .filter(|value| (from..=to).contains(value))
            .ok_or_else(|| format!("`{text}` is not between {from} and {to}"))
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse::<u32>().ok().filter(|step| *step > 0);
                (
                    range,
                    step.ok_or_else(|| format!("`{part}` has no step over 0"))?,
                )
            }
            None => (part, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (from, to),
            Some((low, high)) => (number(low)?, number(high)?),
            None if part.contains('/') => (number(range)?, to),
            None => (number(range)?, number(range)?),
        };
        if low > high {
            return Err(format!("`{range}` goes backwards"));
        }
        for value in (low..=high).step_by(step as usize) {
            set |= 1_u64 << value;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, zone: &str, now: &str) -> String {
        let now: jiff::Timestamp = now.parse().expect("a time");
        let schedule = Schedule::parse(cron, zone).expect(cron);
        let next = schedule.after(Timestamp::from_millis(now.as_millisecond()));
        let next = next.expect("a next time").as_millis();
        jiff::Timestamp::from_millisecond(next)
            .expect("a time")
            .to_string()
    }

    #[test]
    fn the_next_time_is_the_one_of_crontab() {
        let cases = [
            ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"),
            (
                "*/15 * * * *",
                "2026-01-01T00:45:00Z",
                "2026-01-01T01:00:00Z",
            ),
            ("0 6 * * *", "2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"),
            (
                "30 9 * * mon-fri",
                "2026-01-02T10:00:00Z",
                "2026-01-05T09:30:00Z",
            ),
            ("0 0 1 * *", "2026-01-15T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            (
                "0 0 13 * fri",
                "2026-01-01T00:00:00Z",
                "2026-01-02T00:00:00Z",
            ),
            (
                "5,10-12 0 * * *",
                "2026-01-01T00:05:00Z",
                "2026-01-01T00:10:00Z",
            ),
            ("0 12 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T12:00:00Z"),
            (
                "0 0 * jan,DEC *",
                "2026-02-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
        ];
        for (cron, now, expected) in cases {
            assert_eq!(next(cron, "UTC", now), expected, "{cron}");
        }
    }

    #[test]
    fn zones_move_and_skip_times() {
        // Berlin: one hour ahead in winter, two in summer; 02:30 does not exist on March 29th.
        assert_eq!(
            next("0 6 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z"),
            "2026-01-01T05:00:00Z"
        );
        assert_eq!(
            next("0 6 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z"),
            "2026-07-01T04:00:00Z"
        );
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"),
            "2026-03-29T01:30:00Z"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for cron in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "0 0 31 2 *",
            "x * * * *",
        ] {
            assert!(Schedule::parse(cron, "UTC").is_err(), "{cron}");
        }
        assert!(Schedule::parse("* * * * *", "Mars/Base").is_err());
    }
}
