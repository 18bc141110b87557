//! Instants and spans of expressions: RFC 3339 text, calendar fields, time zones.
//! Calendar arithmetic after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use std::fmt::Write as _;

const SECOND_NS: i128 = 1_000_000_000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const SECS_MIN: i64 = -62_135_596_800;
const SECS_MAX: i64 = 253_402_300_799;
/// What 64 bits of nanoseconds hold: about 292 years.
const SPAN_NS_MAX: i128 = i64::MAX as i128;

/// An instant between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    secs: i64,
    nanos: u32,
}

/// A signed span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    secs: i64,
    nanos: i32,
}

/// A calendar day with the time of day.
pub(crate) struct Fields {
    pub(crate) year: i64,
    /// 1..=12
    pub(crate) month: i64,
    /// 1..=31
    pub(crate) day: i64,
    /// 0 = Sunday
    pub(crate) weekday: i64,
    /// From 0.
    pub(crate) year_day: i64,
    pub(crate) second_of_day: i64,
}

impl Instant {
    /// The instant this many seconds and nanoseconds after the Unix epoch, if in range.
    pub fn new(secs: i64, nanos: u32) -> Option<Self> {
        let whole = (SECS_MIN..=SECS_MAX).contains(&secs) && nanos < 1_000_000_000;
        whole.then_some(Self { secs, nanos })
    }

    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> i64 {
        self.secs
    }

    pub(crate) fn milliseconds(self) -> i64 {
        i64::from(self.nanos / 1_000_000)
    }

    fn total_ns(self) -> i128 {
        i128::from(self.secs) * SECOND_NS + i128::from(self.nanos)
    }

    fn from_ns(total: i128) -> Option<Self> {
        let secs = i64::try_from(total.div_euclid(SECOND_NS)).ok()?;
        Self::new(secs, u32::try_from(total.rem_euclid(SECOND_NS)).ok()?)
    }

    pub(crate) fn plus(self, span: Span) -> Option<Self> {
        Self::from_ns(self.total_ns() + span.total_ns())
    }

    pub(crate) fn minus(self, span: Span) -> Option<Self> {
        Self::from_ns(self.total_ns() - span.total_ns())
    }

    pub(crate) fn since(self, earlier: Instant) -> Option<Span> {
        Span::from_ns(self.total_ns() - earlier.total_ns())
    }

    /// Reads `2009-02-13T23:31:30.5Z`, also with an offset such as `+02:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|c| c.is_ascii_digit())
                .then(|| digits.parse::<i64>().ok())
                .flatten()
        };
        let mark = |at: usize, expected: &[u8]| {
            bytes
                .get(at)
                .is_some_and(|c| expected.contains(c))
                .then_some(())
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        mark(4, b"-")
            .and(mark(7, b"-"))
            .and(mark(10, b"Tt"))
            .and(mark(13, b":"))
            .and(mark(16, b":"))?;
        let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        if !valid || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut at = 19;
        let mut nanos = 0;
        if bytes.get(at) == Some(&b'.') {
            let digits = text[at + 1..]
                .bytes()
                .take_while(u8::is_ascii_digit)
                .count();
            if digits == 0 || digits > 9 {
                return None;
            }
            let fraction = text.get(at + 1..at + 1 + digits)?;
            nanos = fraction.parse::<u32>().ok()? * 10_u32.pow(9 - u32::try_from(digits).ok()?);
            at += 1 + digits;
        }
        let offset = match &text[at..] {
            "Z" | "z" => 0,
            zone => offset_seconds(zone).filter(|_| zone.starts_with(['+', '-']))?,
        };
        let secs = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
            - offset;
        Self::new(secs, nanos)
    }

    /// RFC 3339 in UTC with as many decimals as needed.
    pub(crate) fn format(self) -> String {
        let fields = self.fields(0);
        let time = fields.second_of_day;
        let mut out = format!("{:04}-{:02}-{:02}T", fields.year, fields.month, fields.day);
        let _ = write!(
            out,
            "{:02}:{:02}:{:02}",
            time / 3_600,
            time / 60 % 60,
            time % 60
        );
        push_fraction(&mut out, self.nanos);
        out.push('Z');
        out
    }

    /// Calendar fields at this many seconds east of UTC.
    pub(crate) fn fields(self, offset: i64) -> Fields {
        let local = self.secs + offset;
        let days = local.div_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        Fields {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7),
            year_day: days - days_from_civil(year, 1, 1),
            second_of_day: local.rem_euclid(86_400),
        }
    }
}

impl Span {
    fn from_ns(total: i128) -> Option<Self> {
        let secs = i64::try_from(total / SECOND_NS).ok()?;
        let nanos = i32::try_from(total % SECOND_NS).ok()?;
        (total.abs() <= SPAN_NS_MAX).then_some(Self { secs, nanos })
    }

    fn total_ns(self) -> i128 {
        i128::from(self.secs) * SECOND_NS + i128::from(self.nanos)
    }

    /// A span of seconds and nanoseconds (of the same sign), if in range.
    pub fn new(secs: i64, nanos: i32) -> Option<Self> {
        Self::from_ns(i128::from(secs) * SECOND_NS + i128::from(nanos))
    }

    /// Whole seconds.
    pub fn seconds(self) -> i64 {
        self.secs
    }

    pub(crate) fn milliseconds(self) -> i64 {
        i64::from(self.nanos / 1_000_000)
    }

    pub(crate) fn plus(self, other: Span) -> Option<Self> {
        Self::from_ns(self.total_ns() + other.total_ns())
    }

    pub(crate) fn minus(self, other: Span) -> Option<Self> {
        Self::from_ns(self.total_ns() - other.total_ns())
    }

    pub(crate) fn negated(self) -> Self {
        Self {
            secs: -self.secs,
            nanos: -self.nanos,
        }
    }

    /// Reads `1h30m`, `-1.5s`, `10ms`: units h, m, s, ms, us, ns.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self { secs: 0, nanos: 0 });
        }
        if rest.is_empty() {
            return None;
        }
        let mut total = 0_i128;
        while !rest.is_empty() {
            let digits = rest
                .bytes()
                .take_while(|c| c.is_ascii_digit() || *c == b'.')
                .count();
            let (whole, fraction) = rest[..digits]
                .split_once('.')
                .unwrap_or((&rest[..digits], ""));
            if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
                return None;
            }
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "h" => 3_600 * SECOND_NS,
                "m" => 60 * SECOND_NS,
                "s" => SECOND_NS,
                "ms" => 1_000_000,
                "us" | "µs" => 1_000,
                "ns" => 1,
                _ => return None,
            };
            rest = &rest[letters..];
            let count = |digits: &str| {
                if digits.is_empty() {
                    Some(0)
                } else {
                    digits.parse::<i128>().ok()
                }
            };
            total += count(whole)? * unit;
            total += count(fraction)? * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        }
        Self::from_ns(sign * total)
    }

    /// Seconds with as many decimals as needed, and the letter `s`.
    pub(crate) fn format(self) -> String {
        let sign = if self.secs < 0 || self.nanos < 0 {
            "-"
        } else {
            ""
        };
        let mut out = format!("{sign}{}", self.secs.abs());
        push_fraction(&mut out, self.nanos.unsigned_abs());
        out.push('s');
        out
    }
}

fn push_fraction(out: &mut String, nanos: u32) {
    if nanos > 0 {
        let digits = format!("{nanos:09}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// Seconds east of UTC of a zone at an instant: `UTC`, `+05:30`, and with feature `zones` the
/// names of the IANA database.
pub(crate) fn zone_offset(zone: &str, at: Instant) -> Option<i64> {
    if matches!(zone, "UTC" | "Z" | "GMT") {
        return Some(0);
    }
    offset_seconds(zone).or_else(|| named_offset(zone, at))
}

#[cfg(feature = "zones")]
fn named_offset(zone: &str, at: Instant) -> Option<i64> {
    let zone = jiff::tz::TimeZone::get(zone).ok()?;
    let stamp = jiff::Timestamp::from_second(at.secs).ok()?;
    Some(i64::from(zone.to_offset(stamp).seconds()))
}

#[cfg(not(feature = "zones"))]
fn named_offset(_zone: &str, _at: Instant) -> Option<i64> {
    None
}

/// `+02:00`, `-08:30`, `02:00`.
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let part = |digits: &str, limit: i64| {
        let whole = digits.len() == 2 && digits.bytes().all(|c| c.is_ascii_digit());
        whole
            .then(|| digits.parse::<i64>().ok())
            .flatten()
            .filter(|value| *value <= limit)
    };
    Some(sign * (part(hours, 23)? * 3_600 + part(minutes, 59)? * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_both_ways_over_all_years() {
        for days in (-719_162..2_932_896).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
    }

    #[test]
    fn instants_are_read_and_written() {
        for text in [
            "2009-02-13T23:31:30Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
        ] {
            assert_eq!(Instant::parse(text).unwrap().format(), text);
        }
        assert_eq!(
            Instant::parse("2009-02-13T23:31:30+01:30")
                .unwrap()
                .format(),
            "2009-02-13T22:01:30Z"
        );
        for text in [
            "",
            "2009-02-30T00:00:00Z",
            "2009-02-13",
            "2009-02-13T25:00:00Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }

    #[test]
    fn spans_are_read_and_written() {
        for (text, shown) in [
            ("1h30m", "5400s"),
            ("-1.5s", "-1.5s"),
            ("10ms", "0.01s"),
            ("0", "0s"),
        ] {
            assert_eq!(Span::parse(text).unwrap().format(), shown);
        }
        for text in ["", "1", "1x", "320000000000s", "--1s"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
