//! Passages of the caller's documents for a question: cut, embedded, stored in an [`Index`], found by
//! meaning.
//!
//! Texts and metadata are payloads of the index, so that a retriever over an index with a file is
//! whole again after [`Index::open`], and filters see the metadata.

mod chunk;
mod mmr;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::embedder::Embedder;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::index::Index;
use crate::metric::Metric;
use crate::search::K_MAX;

pub use chunk::{CHUNK_CHARS_MAX, Chunking, OVERLAP_SENTENCES_MAX};

/// Bits of a vector's id that number the chunks of a document.
const CHUNK_BITS: u32 = 20;
/// Most chunks of a document.
pub const CHUNKS_MAX: usize = 1 << CHUNK_BITS;
/// Highest id of a document.
pub const DOCUMENT_ID_MAX: u64 = (1 << (64 - CHUNK_BITS)) - 1;
/// Most bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

// Fields of the payload beside the caller's metadata.
const TEXT: &str = "_text";
const START: &str = "_start";
const DOCUMENT: &str = "_document";

/// A piece of a document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The document's id.
    pub document: u64,
    /// Number of the chunk in the document, from 0.
    pub chunk: usize,
    /// Its place in the document, in bytes.
    pub range: Range<usize>,
    /// Its text.
    pub text: String,
    /// Cosine with the question.
    pub score: f32,
    /// The document's metadata.
    pub metadata: Map<String, Value>,
}

/// Finds passages of documents.
#[derive(Debug)]
pub struct Retriever {
    index: Index,
    embedder: Arc<Embedder>,
    chunking: Chunking,
    /// Held while a document changes, so that two changes of one document do not mix.
    changing: Mutex<()>,
}

/// A question that is being described; [`Retrieval::run`] answers it.
#[derive(Debug)]
#[must_use = "a retrieval does nothing until `run`"]
pub struct Retrieval<'a> {
    retriever: &'a Retriever,
    question: &'a str,
    k: usize,
    filter: Option<Filter>,
    relevance: f32,
    pool: Option<usize>,
    min_score: f32,
}

impl Retriever {
    /// A retriever that stores in `index`, which holds nothing else.
    ///
    /// # Errors
    /// [`Error::Dimension`] if embedder and index differ, [`Error::Unsupported`] if the index does not measure
    /// by cosine; the errors of [`Chunking::ranges`].
    pub fn new(index: Index, embedder: Arc<Embedder>, chunking: Chunking) -> Result<Self> {
        if index.dim() != embedder.dim() {
            return Err(Error::Dimension {
                got: embedder.dim(),
                want: index.dim(),
            });
        }
        if index.metric() != Metric::Cosine {
            return Err(Error::Unsupported(
                "a retriever compares by cosine: build its index with Metric::Cosine",
            ));
        }
        Ok(Self {
            index,
            embedder,
            chunking: chunking.checked()?,
            changing: Mutex::new(()),
        })
    }

    /// Stores a document in the place of what the id had, and returns the number of its chunks. The
    /// metadata is an object or null; names that begin with `_` are taken.
    ///
    /// # Errors
    /// [`Error::TextTooLong`], [`Error::Option`] for an id over [`DOCUMENT_ID_MAX`] or more than [`CHUNKS_MAX`]
    /// chunks, [`Error::PayloadNotObject`], [`Error::Unsupported`] for a taken name, [`Error::Embed`], the
    /// errors of [`Index::upsert_batch`]. Nothing was changed, except after [`Error::Io`].
    pub fn add(&self, document: u64, text: &str, metadata: Value) -> Result<usize> {
        let first = first_id(document)?;
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(Error::TextTooLong {
                got: text.len(),
                limit: DOCUMENT_BYTES_MAX,
            });
        }
        let metadata = fields(metadata)?;
        let ranges = self.chunking.ranges(text)?;
        if ranges.len() > CHUNKS_MAX {
            return Err(Error::Option {
                option: "number of chunks",
                got: ranges.len() as u64,
                allowed: "up to 1048576",
            });
        }
        let (mut vectors, mut payloads) = (Vec::new(), Vec::new());
        for range in &ranges {
            let chunk = text.get(range.clone()).unwrap_or_default();
            vectors.extend(self.embedder.embed(chunk)?);
            let mut payload = metadata.clone();
            payload.insert(TEXT.to_owned(), json!(chunk));
            payload.insert(START.to_owned(), json!(range.start));
            payload.insert(DOCUMENT.to_owned(), json!(document));
            payloads.push(Value::Object(payload));
        }
        let ids: Vec<u64> = (first..).take(ranges.len()).collect();
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.count(first)?;
        self.index.upsert_batch(&ids, &vectors, payloads)?;
        self.remove_chunks(first + ids.len() as u64..first + before)?;
        Ok(ids.len())
    }

    /// Removes a document; whether there was one.
    ///
    /// # Errors
    /// [`Error::Option`] for an id over [`DOCUMENT_ID_MAX`]; the errors of [`Index::delete`].
    pub fn remove(&self, document: u64) -> Result<bool> {
        let first = first_id(document)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count(first)?;
        self.remove_chunks(first..first + count)?;
        Ok(count > 0)
    }

    /// Number of chunks that a document has; they are numbered without gaps.
    fn count(&self, first: u64) -> Result<u64> {
        let mut count = 0;
        while count < CHUNKS_MAX as u64 && self.index.get(first + count)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// The last goes first, so that a crash leaves no gap.
    fn remove_chunks(&self, ids: Range<u64>) -> Result<()> {
        for id in ids.rev() {
            self.index.delete(id)?;
        }
        Ok(())
    }

    /// Describes the search for the `k` passages that answer a question.
    pub fn retrieve<'a>(&'a self, question: &'a str, k: usize) -> Retrieval<'a> {
        Retrieval {
            retriever: self,
            question,
            k,
            filter: None,
            relevance: 1.0,
            pool: None,
            min_score: f32::NEG_INFINITY,
        }
    }

    /// The index, to flush, compact or measure it.
    pub fn index(&self) -> &Index {
        &self.index
    }
}

impl Retrieval<'_> {
    /// Only passages of documents whose metadata meets the condition.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// How much nearness to the question counts against difference from the passages that are chosen
    /// already, in 0..=1 (maximal marginal relevance). Default: 1, nearness alone.
    pub fn relevance(mut self, weight: f32) -> Self {
        self.relevance = weight;
        self
    }

    /// Passages among which [`Retrieval::relevance`] chooses. Default: `4 k`, at least 20.
    pub fn pool(mut self, passages: usize) -> Self {
        self.pool = Some(passages);
        self
    }

    /// Leaves out passages with a lower cosine.
    pub fn min_score(mut self, cosine: f32) -> Self {
        self.min_score = cosine;
        self
    }

    /// Finds the passages; the chosen order is that of their worth.
    ///
    /// # Errors
    /// As [`Search::run`](crate::Search::run); [`Error::Embed`]; [`Error::Unsupported`] for a relevance outside
    /// its range.
    pub fn run(self) -> Result<Vec<Passage>> {
        if !(0.0..=1.0).contains(&self.relevance) {
            return Err(Error::Unsupported("the relevance must be in 0..=1"));
        }
        let diverse = self.relevance < 1.0;
        let pool = match (diverse, self.pool) {
            (false, _) => self.k,
            (true, Some(pool)) => pool.max(self.k),
            (true, None) => self.k.saturating_mul(4).clamp(20, K_MAX).max(self.k),
        };
        let query = self.retriever.embedder.embed(self.question)?;
        let index = &self.retriever.index;
        let mut search = index.search(&query, if self.k == 0 { 0 } else { pool });
        search = search.min_score(self.min_score);
        if let Some(filter) = self.filter {
            search = search.filter(filter);
        }
        let mut found = search.run()?;
        if diverse {
            let vectors = found
                .iter()
                .map(|hit| {
                    Ok(index
                        .get(hit.id)?
                        .map(|entry| entry.vector)
                        .unwrap_or_default())
                })
                .collect::<Result<Vec<_>>>()?;
            let scores: Vec<f32> = found.iter().map(|hit| hit.score).collect();
            // The index stores cosine vectors normalised.
            let cosine =
                |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum();
            let order = mmr::choose(&scores, self.k, self.relevance, cosine);
            let mut hits: Vec<_> = found.into_iter().map(Some).collect();
            found = order.into_iter().filter_map(|at| hits[at].take()).collect();
        }
        Ok(found
            .into_iter()
            .filter_map(|hit| passage(hit.id, hit.score, hit.payload?))
            .collect())
    }
}

fn first_id(document: u64) -> Result<u64> {
    if document > DOCUMENT_ID_MAX {
        return Err(Error::Option {
            option: "document id",
            got: document,
            allowed: "0..=17592186044415",
        });
    }
    Ok(document << CHUNK_BITS)
}

fn fields(metadata: Value) -> Result<Map<String, Value>> {
    let fields = match metadata {
        Value::Null => Map::new(),
        Value::Object(fields) => fields,
        Value::Array(_) => return Err(Error::PayloadNotObject("an array")),
        _ => return Err(Error::PayloadNotObject("a single value")),
    };
    if fields.keys().any(|name| name.starts_with('_')) {
        return Err(Error::Unsupported(
            "names of metadata that begin with `_` are taken: choose others",
        ));
    }
    Ok(fields)
}

fn passage(id: u64, score: f32, payload: Value) -> Option<Passage> {
    let Value::Object(mut metadata) = payload else {
        return None;
    };
    let Some(Value::String(text)) = metadata.remove(TEXT) else {
        return None;
    };
    let start = usize::try_from(metadata.remove(START)?.as_u64()?).ok()?;
    metadata.remove(DOCUMENT);
    Some(Passage {
        document: id >> CHUNK_BITS,
        chunk: (id & (CHUNKS_MAX as u64 - 1)) as usize,
        range: start..start + text.len(),
        text,
        score,
        metadata,
    })
}
