//! One exported file: its header, then row after row.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;

use super::LINE_BYTES_MAX;
use crate::source::SourceError;
use crate::time::Timestamp;

/// Lines before `DATA`.
const HEADER_LINES_MAX: u64 = 200;

/// The way out of a file that is something else.
const EXPECTED: &str = "a logger export has the blocks MODUL, CHANNEL (TIME;ACC x;ACC y;ACC z), UNIT (;g;g;g) \
                        and DATA; move other files out of the folder";

/// One row of `DATA`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Row {
    Sample {
        at: Timestamp,
        acceleration: [f32; 3],
    },
    Bad {
        line: u64,
        cause: String,
    },
}

/// A recording, open at its next row.
#[derive(Debug)]
pub(super) struct LoggerFile {
    path: PathBuf,
    reader: BufReader<File>,
    line: u64,
    columns: Columns,
    failed: bool,
}

/// In which column what is.
#[derive(Clone, Copy, Debug)]
struct Columns {
    time: usize,
    axes: [usize; 3],
}

/// A line of the file.
enum Line {
    End,
    Text(String),
    TooLong,
}

impl LoggerFile {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let read = |cause| SourceError::Read {
            path: path.to_owned(),
            cause,
        };
        let mut file = Self {
            path: path.to_owned(),
            reader: BufReader::new(File::open(path).map_err(read)?),
            line: 0,
            columns: Columns {
                time: 0,
                axes: [0; 3],
            },
            failed: false,
        };
        let columns = file.read_header().map_err(read)?;
        file.columns = columns.map_err(|cause| SourceError::Item {
            path: path.to_owned(),
            cause: format!("no leg recording: {cause}; {EXPECTED}"),
        })?;
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next row; `None` at the end. A file that cannot be read further ends with a bad row.
    pub fn next_row(&mut self) -> Option<Row> {
        if self.failed {
            return None;
        }
        loop {
            let row = match self.read_line() {
                Ok(Line::End) => return None,
                Ok(Line::Text(text)) if text.is_empty() => continue,
                Ok(Line::Text(text)) => self.columns.row(&text),
                Ok(Line::TooLong) => Err(format!("longer than {LINE_BYTES_MAX} bytes")),
                Err(error) => {
                    self.failed = true;
                    Err(error.to_string())
                }
            };
            return Some(row.unwrap_or_else(|cause| Row::Bad {
                line: self.line,
                cause,
            }));
        }
    }

    fn read_line(&mut self) -> std::io::Result<Line> {
        let mut bytes = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        if bytes.last() != Some(&b'\n') && bytes.len() > LINE_BYTES_MAX {
            self.reader.skip_until(b'\n')?;
            return Ok(Line::TooLong);
        }
        // Old exports are Latin-1; nothing that is read here depends on it.
        let text = String::from_utf8_lossy(&bytes);
        Ok(Line::Text(text.trim().to_owned()))
    }

    /// Reads up to the line `DATA`; the inner error says what is missing.
    fn read_header(&mut self) -> std::io::Result<Result<Columns, String>> {
        let (mut channels, mut units) = (None, None);
        while self.line < HEADER_LINES_MAX {
            let text = match self.read_line()? {
                Line::Text(text) => text,
                Line::TooLong => continue,
                Line::End => break,
            };
            match text.trim_start_matches('*').to_ascii_uppercase().as_str() {
                "CHANNEL" | "CHANNELS" => channels = self.block()?,
                "UNIT" | "UNITS" => units = self.block()?,
                "DATA" => return Ok(Columns::find(channels.as_deref(), units.as_deref())),
                _ => {}
            }
        }
        Ok(Err("it has no DATA block".to_owned()))
    }

    /// The first line of a block.
    fn block(&mut self) -> std::io::Result<Option<String>> {
        Ok(match self.read_line()? {
            Line::Text(text) => Some(text),
            Line::TooLong | Line::End => None,
        })
    }
}

impl Columns {
    fn find(channels: Option<&str>, units: Option<&str>) -> Result<Self, String> {
        let channels = channels.ok_or("it has no CHANNEL block")?;
        let units: Vec<&str> = units
            .ok_or("it has no UNIT block")?
            .split(';')
            .map(str::trim)
            .collect();
        let column = |name: &str| {
            channels
                .split(';')
                .position(|channel| channel.trim().eq_ignore_ascii_case(name))
                .ok_or_else(|| format!("CHANNEL names no column {name:?}"))
        };
        let axes = [column("ACC x")?, column("ACC y")?, column("ACC z")?];
        for axis in axes {
            let unit = units.get(axis).copied().unwrap_or_default();
            if unit != "g" {
                return Err(format!("the acceleration is in {unit:?}, not in \"g\""));
            }
        }
        Ok(Self {
            time: column("TIME")?,
            axes,
        })
    }

    fn row(&self, text: &str) -> Result<Row, String> {
        let fields: Vec<&str> = text.split(';').map(str::trim).collect();
        let field = |column: usize| {
            fields
                .get(column)
                .copied()
                .ok_or_else(|| format!("{} columns, not {}", fields.len(), column + 1))
        };
        let time = field(self.time)?;
        let at = NaiveDateTime::parse_from_str(time, "%d.%m.%Y %H:%M:%S%.f")
            .map_err(|_| format!("{time:?} is no time like 19.10.2015 10:00:00.047"))?;
        let mut acceleration = [0.0; 3];
        for (value, axis) in acceleration.iter_mut().zip(self.axes) {
            let text = field(axis)?;
            *value = text
                .parse()
                .ok()
                .filter(|g: &f32| g.is_finite())
                .ok_or_else(|| format!("{text:?} is no acceleration"))?;
        }
        Ok(Row::Sample {
            at: Timestamp::from_millis(at.and_utc().timestamp_millis()),
            acceleration,
        })
    }
}
