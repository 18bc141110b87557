//! Everything that can go wrong, as one type.

use std::path::{Path, PathBuf};

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call was refused or failed. Nothing was changed unless a variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vector has another number of components than the index.
    #[error(
        "vector has {got} components, index holds {want}: embed it with the model that the index was built with"
    )]
    Dimension {
        /// Components of the vector that was passed.
        got: usize,
        /// Components of each vector of the index.
        want: usize,
    },
    /// A row of packed bits has another length than the index's.
    #[error(
        "the row has {got} bytes, the index holds {bits} bits, which take {want}: pass eight bits a byte"
    )]
    BitBytes {
        /// Bytes that were passed.
        got: usize,
        /// Bytes of each row of the index.
        want: usize,
        /// Bits of each row of the index.
        bits: usize,
    },
    /// A row of packed bits has bits set past the last one.
    #[error(
        "the last byte of the row has bits set past bit {bits}: the lowest bit of a byte comes first, and what is left over is 0"
    )]
    BitsBeyond {
        /// Bits of each row of the index.
        bits: usize,
    },
    /// A component is NaN or infinite.
    #[error("component {at} is {value}: only finite numbers can be compared")]
    NotFinite {
        /// Position of the component.
        at: usize,
        /// What stands there.
        value: f32,
    },
    /// A vector is so long that squared distances would overflow.
    #[error("the vector has length {length:e}, the limit is {limit:e}: scale the vectors down")]
    TooLong {
        /// Its Euclidean length.
        length: f64,
        /// The greatest length.
        limit: f64,
    },
    /// A component that sixteen-bit codes cannot hold.
    #[error(
        "component {at} is {value:e}, sixteen-bit codes hold up to 65504: scale the vectors down, or take eight-bit codes"
    )]
    BeyondHalf {
        /// Position of the component.
        at: usize,
        /// What stands there.
        value: f32,
    },
    /// A vector without direction under [`Metric::Cosine`](crate::Metric::Cosine).
    #[error(
        "the vector is zero (or too small to normalise), so it has no cosine: skip it or choose another metric"
    )]
    ZeroVector,
    /// `k` is zero.
    #[error("k is 0: ask for at least one neighbour")]
    ZeroK,
    /// An option of the builder is outside its range.
    #[error("{option} is {got}, allowed is {allowed}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What was passed.
        got: u64,
        /// What may be passed.
        allowed: &'static str,
    },
    /// Two options do not go together.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The arrays of a batch do not fit one another.
    #[error(
        "the batch has {ids} ids, {vectors} vectors and {payloads} payloads: pass as many of each (or no payloads)"
    )]
    BatchShape {
        /// Number of ids.
        ids: usize,
        /// Number of whole vectors.
        vectors: usize,
        /// Number of payloads.
        payloads: usize,
    },
    /// A payload is neither an object nor null.
    #[error("the payload is {0}: pass a JSON object, or null for none")]
    PayloadNotObject(&'static str),
    /// A payload is longer than the limit.
    #[error(
        "the payload has {got} bytes as JSON, the limit is {limit}: keep large texts elsewhere and store their key"
    )]
    PayloadTooLong {
        /// Bytes of the payload.
        got: usize,
        /// Most bytes that are allowed.
        limit: usize,
    },
    /// Payloads would have more distinct fields than the limit.
    #[error("payloads have more than {limit} distinct fields: put free-form keys under an array")]
    TooManyFields {
        /// Most fields.
        limit: usize,
    },
    /// A limit of the index is reached.
    #[error(
        "the index is full: {what} would be {needed}, the limit is {limit}: delete and compact, or raise it"
    )]
    Full {
        /// Which limit.
        what: &'static str,
        /// What the call would have needed.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// A filter does not parse.
    #[error("filter, column {column}: {message}")]
    Filter {
        /// Column of the text, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// The system refused an operation on a file.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no index.
    #[error("{path} is not a vector index (its first bytes are others)")]
    NotAnIndex {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version of this crate.
    #[error(
        "{path} has format version {found}, this library reads up to {known}: upgrade the library"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Highest version that is read.
        known: u32,
    },
    /// The file is torn or was changed by something else.
    #[error(
        "{path} is damaged in section {section}: {why}: restore it from a copy or rebuild the index"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which part of the file.
        section: &'static str,
        /// What does not fit.
        why: String,
    },
    /// The file holds another kind of index than was asked for.
    #[error(
        "{path} holds {what} {found}, asked for was {asked}: open it with its own options or choose another file"
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Which option.
        what: &'static str,
        /// What the file holds.
        found: String,
        /// What the builder asked for.
        asked: String,
    },
    /// Another process, or another index of this process, has the file open.
    #[error("{path} is open elsewhere: one writer at a time")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The caller's embedder failed.
    #[error("the embedder failed: {0}")]
    Embed(#[source] crate::embedder::BoxError),
    /// A text is longer than the limit.
    #[error("the text has {got} bytes, the limit is {limit}: shorten it or split it")]
    TextTooLong {
        /// Bytes of the text.
        got: usize,
        /// Most bytes that are allowed.
        limit: usize,
    },
    /// A computation asked for the very answer that it computes.
    #[error("the computation of an answer asks for the same answer: it would wait for itself")]
    Recursive,
    /// The index has no file.
    #[error("the index is in memory: use `save` with a path, or build it with a file")]
    NoFile,
    /// An earlier write failed half-way; the index answers searches but takes no more changes.
    #[error(
        "an earlier write to the file failed, so no more changes are taken: open the file again"
    )]
    Poisoned,
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}
