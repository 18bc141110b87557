//! Leg-accelerometer recordings: a folder of CSV files as MSR loggers export them.
//!
//! ```text
//! MODUL
//! MSR310220
//!
//! CHANNEL
//! TIME;ACC x;ACC y;ACC z;BAT
//!
//! UNIT
//! ;g;g;g;V
//!
//! DATA
//! 19.10.2015 10:00:00.047;0.469;0.262;0.902;3.89
//! 19.10.2015 10:00:01.047;0.469;0.262;0.902;
//! ```
//!
//! A block is a line with its name, its lines, and an empty line; `DATA` comes last. Columns are found by
//! their names in `CHANNEL`, in any order; others than the four are passed over. The unit must be `g`. Times have
//! no zone and are taken as UTC.
//!
//! The animal is named by the file: `MSR310220_2.csv` is the second part of animal `MSR310220`. The
//! module in the header does not name it, for exports of several loggers were seen to carry the same one.
//!
//! A logger usually runs before it is strapped on and after it is taken off: the report cannot tell a
//! sensor on a table from a lying cow, and marks the bouts at either end of a recording as not complete.
//!
//! [`Collars`] merges all files by time; [`report()`] tells how each animal lay.

mod logger;
mod report;

use std::path::{Path, PathBuf};

use super::{Input, LegSample, Source, SourceError};
use logger::{LoggerFile, Row};
pub use report::{AnimalReport, BadFile, CollarReport, report};

/// The most files of one folder, all open at once.
pub const FILES_MAX: usize = 256;

/// The most bytes of a line; a longer one is a bad row.
pub const LINE_BYTES_MAX: usize = 4096;

/// A folder of recordings as one stream of leg samples in order of time; a file whose own rows are out of
/// order is passed on as it is.
///
/// A bad row, and a file that is no recording beside others that are, are
/// [`SourceError::Item`]s in the stream.
#[derive(Debug)]
pub struct Collars {
    files: Vec<Open>,
    /// Errors of single files, to be told first.
    bad_files: Vec<SourceError>,
    bad_rows: u64,
}

#[derive(Debug)]
struct Open {
    file: LoggerFile,
    animal: String,
    /// The next row, read ahead.
    next: Option<Row>,
}

impl Collars {
    /// Opens every `.csv` file of a folder, or one file.
    ///
    /// # Errors
    /// [`SourceError::Read`] when the folder cannot be read, [`SourceError::Empty`] when it holds no
    /// `.csv`, [`SourceError::Item`] when none of them is a recording.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let mut files = Vec::new();
        let mut bad_files = Vec::new();
        for path in csv_files(path)? {
            match LoggerFile::open(&path) {
                Ok(mut file) => {
                    let next = file.next_row();
                    let animal = animal_of(&path);
                    files.push(Open { file, animal, next });
                }
                Err(error) => bad_files.push(error),
            }
        }
        if files.is_empty() && !bad_files.is_empty() {
            return Err(bad_files.swap_remove(0));
        }
        bad_files.reverse();
        Ok(Self {
            files,
            bad_files,
            bad_rows: 0,
        })
    }

    /// Rows that were no sample, so far.
    pub fn bad_rows(&self) -> u64 {
        self.bad_rows
    }
}

impl Source for Collars {
    fn next_input(&mut self) -> Option<Result<Input, SourceError>> {
        if let Some(error) = self.bad_files.pop() {
            return Some(Err(error));
        }
        // A bad row has no time and is told at once.
        let first = self
            .files
            .iter_mut()
            .filter(|open| open.next.is_some())
            .min_by_key(|open| match &open.next {
                Some(Row::Sample { at, .. }) => at.as_millis(),
                _ => i64::MIN,
            })?;
        let row = first.next.take()?;
        first.next = first.file.next_row();
        Some(match row {
            Row::Sample { at, acceleration } => Ok(Input::Leg(LegSample {
                animal: first.animal.clone(),
                at,
                acceleration,
            })),
            Row::Bad { line, cause } => {
                self.bad_rows += 1;
                Err(SourceError::Item {
                    path: first.file.path().to_owned(),
                    cause: format!("line {line}: {cause}"),
                })
            }
        })
    }
}

/// The `.csv` files of a folder by name, or the one file that `path` is.
fn csv_files(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let read = |cause| SourceError::Read {
        path: path.to_owned(),
        cause,
    };
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        let is_csv = file
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        if is_csv && file.is_file() {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            return Err(SourceError::Item {
                path: path.to_owned(),
                cause: format!(
                    "more than {FILES_MAX} .csv files: split the folder and run each part"
                ),
            });
        }
    }
    if files.is_empty() {
        return Err(SourceError::Empty {
            path: path.to_owned(),
            wanted: "leg recordings (.csv as exported by a logger)",
        });
    }
    files.sort();
    Ok(files)
}

/// The file's name without its ending and without the number of the part.
fn animal_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match stem.rsplit_once('_') {
        Some((animal, part))
            if !animal.is_empty()
                && !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit()) =>
        {
            animal.to_owned()
        }
        _ => stem.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_recording_are_one_animal() {
        let name = |file: &str| animal_of(Path::new(file));
        assert_eq!(name("a/MSR310220_2.csv"), "MSR310220");
        assert_eq!(name("a/MSR310220_12.CSV"), "MSR310220");
        assert_eq!(name("a/cow_left.csv"), "cow_left");
        assert_eq!(name("a/_1.csv"), "_1");
        assert_eq!(name("a/cow.csv"), "cow");
    }
}
