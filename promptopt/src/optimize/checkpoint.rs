//! Scores on disk, so that a run that was stopped goes on where it was.
//!
//! A JSON-lines file: first a header that names the format, model and data, then one line an answer. The
//! search itself is deterministic, so a resumed run asks the same questions and finds the answers here.
//! A line cut short by a crash is dropped and scored again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::data::DATA_FILE_BYTES_MAX;
use crate::error::{Error, Result};
use crate::model::Row;
use crate::prompt::read_text;

const FORMAT: &str = "edgeweave-scores/1";
/// Lines between two flushes to the disk.
const FLUSH_EVERY: usize = 64;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: String,
    model: String,
    data: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    prompt: String,
    example: String,
    #[serde(flatten)]
    row: Row,
}

/// Earlier scores, and the file that new ones are added to; or neither.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    earlier: HashMap<(String, String), Row>,
    file: Option<(PathBuf, BufWriter<File>)>,
    unflushed: usize,
}

impl Checkpoint {
    /// Opens or makes the file. A file of another model or other data is refused, not overwritten.
    pub(crate) fn open(path: &Path, model: &str, data: &str) -> Result<Self> {
        let header = Header {
            format: FORMAT.to_owned(),
            model: model.to_owned(),
            data: data.to_owned(),
        };
        let mut earlier = HashMap::new();
        let mut kept = String::new();
        if path.exists() {
            let text = read_text(path, DATA_FILE_BYTES_MAX)?;
            let mut lines = text.lines();
            let found: Option<Header> = lines
                .next()
                .and_then(|line| serde_json::from_str(line).ok());
            if found.as_ref() != Some(&header) {
                return Err(Error::Data {
                    path: path.to_owned(),
                    cause: "it is of another model or data set: remove it or choose another folder"
                        .to_owned(),
                });
            }
            for line in lines {
                if let Ok(parsed) = serde_json::from_str::<Line>(line) {
                    earlier.insert((parsed.prompt, parsed.example), parsed.row);
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
        }
        let io = |source| Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let head = serde_json::to_string(&header).map_err(|source| Error::Json {
            what: "checkpoint".to_owned(),
            source,
        })?;
        // Written aside and renamed: a crash here leaves the earlier file whole.
        let aside = path.with_extension("jsonl.new");
        std::fs::write(&aside, format!("{head}\n{kept}")).map_err(io)?;
        std::fs::rename(&aside, path).map_err(io)?;
        let file = OpenOptions::new().append(true).open(path).map_err(io)?;
        Ok(Self {
            earlier,
            file: Some((path.to_owned(), BufWriter::new(file))),
            unflushed: 0,
        })
    }

    pub(crate) fn take(&mut self, key: &(String, String)) -> Option<Row> {
        self.earlier.remove(key)
    }

    pub(crate) fn keep(&mut self, key: &(String, String), row: &Row) -> Result<()> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        let line = Line {
            prompt: key.0.clone(),
            example: key.1.clone(),
            row: row.clone(),
        };
        let text = serde_json::to_string(&line).map_err(|source| Error::Json {
            what: "checkpoint".to_owned(),
            source,
        })?;
        let io = |source| Error::Io {
            action: "write",
            path: path.clone(),
            source,
        };
        writeln!(file, "{text}").map_err(io)?;
        self.unflushed += 1;
        if self.unflushed >= FLUSH_EVERY {
            self.unflushed = 0;
            file.flush().map_err(io)?;
        }
        Ok(())
    }
}
