//! What can go wrong.

use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or made.
    #[error("cannot open {}: {cause}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// The store failed: a full disk, a damaged file, a lock held for too long. Nothing of the transaction
    /// was kept.
    #[error("store: {0}; nothing of the transaction was kept")]
    Store(Box<dyn std::error::Error + Send + Sync>),
    /// The disk is full. Nothing of the transaction was kept.
    #[error("the disk is full; nothing of the transaction was kept: make room and try again")]
    DiskFull,
    /// Commits that were to be kept together were lost together.
    #[error("the commits of this moment were lost: {cause}; try again")]
    GroupLost {
        /// What went wrong.
        cause: String,
    },
    /// A write to the disk has failed, so that nobody knows what is on it. Nothing more is written.
    #[error(
        "the store has stopped after a write failed ({cause}): close it, look at the disk, and open it again"
    )]
    Poisoned {
        /// What failed.
        cause: String,
    },
    /// The file was written by a newer release.
    #[error("the file has format {found}, this release reads up to {known}: use a newer release")]
    Format {
        /// The file's format.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The file was written by an older release, and was opened for reading alone.
    #[error(
        "the file has format {found}: open it once for writing, with its schemas, to bring it to format {known}"
    )]
    OldFormat {
        /// The file's format.
        found: i64,
        /// The one that is read.
        known: i64,
    },
    /// A file that was to be made is there already.
    #[error("{} is there already: name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to another program.
    #[error("{} is a SQLite file of another program: give a path of its own", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A document is of another schema than the one it was asked for by.
    #[error("document `{agent}` is of schema `{is}`, not `{asked}`")]
    OtherSchema {
        /// Which document.
        agent: String,
        /// Its schema.
        is: String,
        /// The schema asked for.
        asked: String,
    },
    /// A copy does not fit its schema, or its clock is not one that a replica could have. Nothing of it was
    /// taken.
    #[error("copy of document `{agent}` refused: {cause}")]
    Refused {
        /// Which document.
        agent: String,
        /// What is wrong with the copy.
        cause: String,
    },
    /// A copy was stamped by a clock that is too far ahead. Nothing of it was taken.
    #[error(
        "copy of document `{agent}` refused: its clock is {ahead:?} ahead, at most {limit:?} are allowed; set the sender's clock or raise Options::clock_ahead_max"
    )]
    ClockAhead {
        /// Which document.
        agent: String,
        /// How far its latest stamp is ahead of the transaction's time.
        ahead: Duration,
        /// How far it may be.
        limit: Duration,
    },
    /// A schema that cannot be.
    #[error("schema: {cause}")]
    Schema {
        /// What is wrong.
        cause: String,
    },
    /// A change from elsewhere that a field cannot make.
    #[error("change of `{path}` refused: {cause}; nothing was changed")]
    Patch {
        /// Where.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// A document was asked for by a schema that the store does not have.
    #[error("no schema is called `{0}`; give it to Options::schema")]
    UnknownSchema(String),
    /// A field is not in the schema.
    #[error("schema `{schema}` has no field `{field}`")]
    UnknownField {
        /// The schema.
        schema: String,
        /// The field.
        field: String,
    },
    /// A field is of another type than the change.
    #[error("field `{field}` is {is}, it cannot {change}")]
    WrongType {
        /// The field.
        field: String,
        /// What it is.
        is: &'static str,
        /// What was asked of it.
        change: &'static str,
    },
    /// A status is not in the declared order.
    #[error("field `{field}` has no status `{status}`; it has {known}")]
    UnknownStatus {
        /// The field.
        field: String,
        /// The status asked for.
        status: String,
        /// The declared order.
        known: String,
    },
    /// A number that is none.
    #[error("field `{field}`: {value} is no finite number")]
    NotFinite {
        /// The field.
        field: String,
        /// The value.
        value: f64,
    },
    /// A member of a set that is no text, whole number or truth value.
    #[error("field `{field}`: a set holds texts, whole numbers, true and false")]
    Member {
        /// The field.
        field: String,
    },
    /// A replica has added more to a counter than 64 bits hold.
    #[error(
        "field `{field}`: this replica has added all that 64 bits hold; reset does not help, use another field"
    )]
    CounterFull {
        /// The field.
        field: String,
    },
    /// A list refused a change.
    #[error("field `{field}`: {cause}")]
    List {
        /// The field.
        field: String,
        /// What the list said.
        cause: crate::list::ListError,
    },
    /// Bytes are no document, or damaged ones.
    #[error(
        "bytes of a document refused at offset {offset}: {cause}; ask the sender for them again"
    )]
    Malformed {
        /// Where reading stopped.
        offset: usize,
        /// What is wrong there.
        cause: &'static str,
    },
    /// Something is larger than its limit.
    #[error("{what} is {found}, at most {limit} are allowed")]
    Limit {
        /// What.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A document has grown beyond what could be read back. Nothing of the transaction was kept.
    #[error(
        "document `{agent}` would take {found} bytes, at most {limit} are allowed; nothing of the transaction was kept: divide it among several documents"
    )]
    DocumentTooLarge {
        /// Which document.
        agent: String,
        /// How many bytes.
        found: usize,
        /// How many it may take.
        limit: usize,
    },
    /// A query cannot be read.
    #[error("query, column {column}: {cause}")]
    Query {
        /// Counted from 1.
        column: usize,
        /// What is wrong.
        cause: String,
    },
    /// What is stored cannot be read back.
    #[error("document `{agent}` is damaged: {cause}")]
    Damaged {
        /// Which document.
        agent: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Store(Box::new(cause)),
        }
    }
}

impl From<crate::bytes::Malformed> for Error {
    fn from(malformed: crate::bytes::Malformed) -> Self {
        Self::Malformed {
            offset: malformed.offset,
            cause: malformed.cause,
        }
    }
}

/// What the crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;
