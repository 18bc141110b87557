//! A CSV file as typed rows: a first pass finds each column's type, a second reads the rows.

use std::fs::File;
use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord};
use midstream::{FieldType, Timestamp, Value};

/// Why a file cannot be read.
pub type Failure = Box<dyn std::error::Error>;

/// Numbers below this are seconds since the Unix epoch, others milliseconds.
const MILLIS_FROM: f64 = 1e11;

/// A file and what its columns hold.
pub struct Table {
    reader: Reader<File>,
    /// The row that was read last.
    record: StringRecord,
    time: Option<usize>,
    /// Place, name and type of each column but the time's and those that were taken.
    pub columns: Vec<(usize, String, FieldType)>,
}

/// A row, or why it is none.
pub enum Row {
    /// A value for each of [`Table::columns`], where the row has one.
    Good(Timestamp, Vec<Option<Value>>),
    Bad(&'static str),
}

fn open(path: &Path, delimiter: u8) -> Result<Reader<File>, Failure> {
    let file = File::open(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok(ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(file))
}

impl Table {
    /// Looks at the whole file once. Without a column of times all rows are at 0.
    pub fn open(path: &Path, delimiter: u8, time: Option<&str>) -> Result<Self, Failure> {
        let mut reader = open(path, delimiter)?;
        let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let time = match time {
            None => None,
            Some(time) => match names.iter().position(|name| name == time) {
                Some(place) => Some(place),
                None => {
                    return Err(format!(
                        "{}: no column `{time}`; there are {}",
                        path.display(),
                        names.join(", ")
                    )
                    .into());
                }
            },
        };
        let mut numeric = vec![true; names.len()];
        let mut record = StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) if error.is_io_error() => return Err(error.into()),
                // Counted when the rows are read.
                Err(_) => continue,
            }
            for (numeric, text) in numeric.iter_mut().zip(record.iter()) {
                *numeric = *numeric && (text.is_empty() || text.trim().parse::<f64>().is_ok());
            }
        }
        let columns = names.into_iter().zip(numeric).enumerate();
        let columns = columns
            .filter(|(at, _)| Some(*at) != time)
            .map(|(at, (name, numeric))| match numeric {
                true => (at, name, FieldType::Float),
                false => (at, name, FieldType::Text),
            })
            .collect();
        Ok(Self {
            reader: open(path, delimiter)?,
            record: StringRecord::new(),
            time,
            columns,
        })
    }

    /// Takes a column out of those that are values; its place for [`Table::text`].
    pub fn take(&mut self, name: &str) -> Result<usize, Failure> {
        let found = self.columns.iter().position(|(_, known, _)| known == name);
        let Some(found) = found else {
            let known: Vec<&str> = self
                .columns
                .iter()
                .map(|(_, name, _)| name.as_str())
                .collect();
            return Err(format!("no column `{name}`; there are {}", known.join(", ")).into());
        };
        Ok(self.columns.remove(found).0)
    }

    /// What a column says in the row that was read last.
    pub fn text(&self, place: usize) -> &str {
        self.record.get(place).unwrap_or_default()
    }

    /// The next row, none at the end.
    pub fn next(&mut self) -> Result<Option<Row>, Failure> {
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) if error.is_io_error() => return Err(error.into()),
            Err(_) => return Ok(Some(Row::Bad("unreadable"))),
        }
        let record = &self.record;
        let at = match self.time {
            None => Some(Timestamp::from_millis(0)),
            Some(time) => record.get(time).and_then(parse_time),
        };
        let Some(at) = at else {
            return Ok(Some(Row::Bad("time")));
        };
        let mut values = Vec::with_capacity(self.columns.len());
        for (place, _, kind) in &self.columns {
            let Some(text) = record.get(*place).map(str::trim) else {
                return Ok(Some(Row::Bad("too few columns")));
            };
            values.push(match kind {
                FieldType::Float => text
                    .parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite())
                    .map(Value::Float),
                _ => (!text.is_empty()).then(|| text.into()),
            });
        }
        Ok(Some(Row::Good(at, values)))
    }
}

/// RFC 3339, `YYYY-MM-DD HH:MM:SS[.fff]` as UTC, or seconds or milliseconds since the Unix epoch.
fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let millis = if number.abs() < MILLIS_FROM {
            number * 1000.0
        } else {
            number
        };
        return millis
            .is_finite()
            .then(|| Timestamp::from_millis(millis as i64));
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_millis(instant.as_millisecond()));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_form_are_read() {
        let wanted = Some(Timestamp::from_millis(1_583_748_873_000));
        for text in [
            "2020-03-09 10:14:33",
            "2020-03-09T10:14:33Z",
            "2020-03-09T12:14:33+02:00",
            "1583748873",
            "1583748873000",
        ] {
            assert_eq!(parse_time(text), wanted, "{text}");
        }
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time("NaN"), None);
    }
}
