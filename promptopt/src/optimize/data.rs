//! Labelled examples from CSV and JSON-lines files.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::prompt::{hex, read_text};

/// Largest data file, in bytes.
pub const DATA_FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most examples of a data set.
pub const EXAMPLES_MAX: usize = 1_000_000;

/// One example: a value for each input of the signature, in its order, and the right answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// Input values.
    pub inputs: Vec<String>,
    /// The right answer.
    pub answer: String,
}

/// Examples of one task, each set of inputs once.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    examples: Vec<Example>,
    skipped: Skipped,
}

/// Rows of the file that are no example: `rows = examples + empty + repeated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Rows with an empty input or answer.
    pub empty: usize,
    /// Rows whose inputs came before (a repeat in both training and test split would be a leak).
    pub repeated: usize,
}

impl Dataset {
    /// Reads a CSV file with a header row. `columns` names the column of each input of the signature, in
    /// its order, and last the column of the answer; case counts only where two columns differ in nothing
    /// else. Fields are parted by commas, or by the semicolons, tabs or bars that part the header where
    /// commas do not.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`], [`Error::Data`] for a file that is not UTF-8, with the row for
    /// a row that is not CSV, or for a column that is not there, [`Error::Limit`] over [`EXAMPLES_MAX`].
    pub fn from_csv(path: impl AsRef<Path>, columns: &[&str]) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path, DATA_FILE_BYTES_MAX)?;
        let refused = |cause: String| Error::Data {
            path: path.to_owned(),
            cause,
        };
        let delimiter = delimiter(&text, columns);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let header = reader
            .headers()
            .map_err(|cause| refused(cause.to_string()))?;
        let places = columns
            .iter()
            .map(|column| {
                place(header, column).ok_or_else(|| {
                    let names: Vec<&str> = header.iter().collect();
                    refused(format!(
                        "it has no column `{column}`, only: {}",
                        names.join(", ")
                    ))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|cause| refused(cause.to_string()))?;
            rows.push(
                places
                    .iter()
                    .map(|at| record[*at].trim().to_owned())
                    .collect(),
            );
        }
        Self::from_rows(rows)
    }

    /// Reads a file of one JSON object a line; `columns` names the field of each input and last of the
    /// answer. Numbers, truth values and objects are taken as they are written.
    ///
    /// # Errors
    /// As [`Dataset::from_csv`].
    pub fn from_jsonl(path: impl AsRef<Path>, columns: &[&str]) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path, DATA_FILE_BYTES_MAX)?;
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let refused = |cause: String| Error::Data {
                path: path.to_owned(),
                cause: format!("line {}: {cause}", index + 1),
            };
            let object: BTreeMap<String, serde_json::Value> =
                serde_json::from_str(line).map_err(|cause| refused(cause.to_string()))?;
            let row = columns.iter().map(|name| match object.get(*name) {
                Some(serde_json::Value::String(text)) => Ok(text.trim().to_owned()),
                Some(serde_json::Value::Null) => Ok(String::new()),
                Some(other) => Ok(other.to_string()),
                None => Err(refused(format!("the field `{name}` is missing"))),
            });
            rows.push(row.collect::<Result<Vec<_>>>()?);
        }
        Self::from_rows(rows)
    }

    /// Each row: the inputs, then the answer.
    fn from_rows(rows: Vec<Vec<String>>) -> Result<Self> {
        if rows.len() > EXAMPLES_MAX {
            return Err(Error::Limit {
                what: "number of examples",
                found: rows.len(),
                limit: EXAMPLES_MAX,
            });
        }
        let examples = rows.into_iter().filter_map(|mut row| {
            row.pop().map(|answer| Example {
                inputs: row,
                answer,
            })
        });
        Ok(Self::new(examples.collect()))
    }

    /// A data set of given examples; empty and repeated ones are left out and counted.
    pub fn new(examples: Vec<Example>) -> Self {
        let mut skipped = Skipped::default();
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(examples.len());
        for example in examples {
            if example.answer.is_empty() || example.inputs.iter().any(String::is_empty) {
                skipped.empty += 1;
            } else if seen.insert(example.inputs.clone()) {
                kept.push(example);
            } else {
                skipped.repeated += 1;
            }
        }
        Self {
            examples: kept,
            skipped,
        }
    }

    /// The examples.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// What was left out.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// The different answers, sorted, with how often each is there.
    pub fn answers(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        for example in &self.examples {
            *counts.entry(example.answer.clone()).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// The same data without the answers that have fewer than `least` examples, and those answers with
    /// their counts, for the caller to tell.
    pub fn without_rare(self, least: usize) -> (Self, Vec<(String, usize)>) {
        let rare: Vec<(String, usize)> = self
            .answers()
            .into_iter()
            .filter(|(_, count)| *count < least)
            .collect();
        let mut kept = self;
        kept.examples
            .retain(|example| !rare.iter().any(|(answer, _)| *answer == example.answer));
        (kept, rare)
    }

    /// SHA-256 over all examples in order: names the data in checkpoints.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for example in &self.examples {
            for text in example.inputs.iter().chain([&example.answer]) {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        hex(&hash.finalize())
    }
}

/// Where a column stands: by its exact name, else by its name without regard to case.
fn place(header: &csv::StringRecord, column: &str) -> Option<usize> {
    let column = column.trim();
    header
        .iter()
        .position(|name| name.trim() == column)
        .or_else(|| {
            let lower = column.to_lowercase();
            header
                .iter()
                .position(|name| name.trim().to_lowercase() == lower)
        })
}

/// The first delimiter that parts the header into all columns; a comma where none does.
fn delimiter(text: &str, columns: &[&str]) -> u8 {
    let parts = |delimiter: &u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(*delimiter)
            .from_reader(text.as_bytes());
        reader
            .headers()
            .is_ok_and(|header| columns.iter().all(|column| place(header, column).is_some()))
    };
    [b',', b';', b'\t', b'|']
        .into_iter()
        .find(|delimiter| parts(delimiter))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Dataset> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.csv");
        std::fs::write(&path, bytes).unwrap();
        Dataset::from_csv(&path, &["text", "label"])
    }

    #[test]
    fn files_of_other_programs_are_read() {
        let expected = [("ja, \"gut\"\nzwei", "Sehr gut"), ("nein", "b")];
        for file in [
            "text,label\n\"ja, \"\"gut\"\"\nzwei\",Sehr gut\nnein,b\n",
            "\u{feff}Text;LABEL\r\n\"ja, \"\"gut\"\"\nzwei\";Sehr gut\r\nnein;b\r\n",
            " label \ttext\nSehr gut\t\"ja, \"\"gut\"\"\nzwei\"\nb\tnein\n\t\nb\tnein",
        ] {
            let data = read(file.as_bytes()).unwrap();
            let found: Vec<(&str, &str)> = data
                .examples()
                .iter()
                .map(|e| (e.inputs[0].as_str(), e.answer.as_str()))
                .collect();
            assert_eq!(found, expected, "{file:?}");
        }
    }

    #[test]
    fn files_that_cannot_be_read_say_why() {
        for (file, part) in [
            (&b"a,b\n1,2\n"[..], "no column `text`, only: a, b"),
            (b"text,label\n1,2,3\n", "line: 2"),
            (b"text,label\ncaf\xe9,2\n", "not UTF-8"),
            (b"", "no column `text`"),
        ] {
            let error = read(file).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
