//! When it is night on the farm.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const DAY_MINUTES: i64 = 24 * 60;

/// The hours of night by the farm's own clock; they may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Night {
    /// When night falls.
    pub from: TimeOfDay,
    /// When it ends.
    pub to: TimeOfDay,
    /// How far the farm's clock is ahead of UTC, in minutes; negative west of Greenwich.
    pub utc_offset_minutes: i32,
}

impl Default for Night {
    /// From eight in the evening to six in the morning, UTC.
    fn default() -> Self {
        Self {
            from: TimeOfDay(20 * 60),
            to: TimeOfDay(6 * 60),
            utc_offset_minutes: 0,
        }
    }
}

impl Night {
    /// Ten hours from the minute of an instant on, in UTC.
    pub fn starting_at(start: Timestamp) -> Self {
        let minute = start.as_millis().div_euclid(60_000).rem_euclid(DAY_MINUTES);
        let from = u16::try_from(minute).unwrap_or(0);
        Self {
            from: TimeOfDay(from),
            to: TimeOfDay((from + 600) % 1440),
            utc_offset_minutes: 0,
        }
    }

    /// Whether it is night at this instant.
    pub fn contains(&self, at: Timestamp) -> bool {
        let minutes = at.as_millis().div_euclid(60_000) + i64::from(self.utc_offset_minutes);
        let minute = minutes.rem_euclid(DAY_MINUTES);
        let (from, to) = (i64::from(self.from.0), i64::from(self.to.0));
        if from <= to {
            (from..to).contains(&minute)
        } else {
            minute >= from || minute < to
        }
    }
}

/// A time of the day, written `HH:MM`; in minutes after midnight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(hours, minutes)| {
            let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
            (hours < 24 && minutes < 60).then_some(Self(hours * 60 + minutes))
        });
        parsed.ok_or_else(|| format!("{text:?} is no time of day, write it as 20:30"))
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64, minutes: i64) -> Timestamp {
        Timestamp::from_millis(((20_000 * 24 + hours) * 60 + minutes) * 60_000)
    }

    #[test]
    fn night_passes_midnight() {
        let night = Night::default();
        assert!(!night.contains(at(19, 59)));
        assert!(night.contains(at(20, 0)));
        assert!(night.contains(at(2, 0)));
        assert!(!night.contains(at(6, 0)));
    }

    #[test]
    fn the_farms_clock_counts() {
        let night = Night {
            utc_offset_minutes: -300,
            ..Night::default()
        };
        assert!(!night.contains(at(22, 0)));
        assert!(night.contains(at(25, 0)));
    }

    #[test]
    fn a_time_of_day_is_read_and_written() {
        assert_eq!(
            String::from(TimeOfDay::try_from("05:45".to_owned()).unwrap()),
            "05:45"
        );
        assert!(
            TimeOfDay::try_from("24:00".to_owned())
                .unwrap_err()
                .contains("24:00")
        );
    }
}
