//! Passages of documents.

use ruvector::Filter;
use ruvector::retriever::{Chunking, Retriever};

use super::embedder::rv_embedder;
use super::index::rv_index;
use super::raise;
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer, set_optional};
use crate::fail::{EW_INVALID, Fail, ew_error, guard};
use crate::handle::{self, Handle};

/// Whole sentences up to a number of characters.
pub const RV_CHUNK_SENTENCES: i32 = 0;
/// So many characters, cut anywhere.
pub const RV_CHUNK_CHARACTERS: i32 = 1;

/// Finds passages of documents. Threads may share one.
pub struct rv_retriever {
    _opaque: [u8; 0],
}

impl Handle for rv_retriever {
    type Inside = Retriever;
    const KIND: u64 = handle::kind(b"rv_retri");
}

/// Makes a retriever that cuts documents into chunks of `chars` characters with an overlap (in sentences for
/// RV_CHUNK_SENTENCES, else in characters). It takes the index over: on success the handle `index` is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_retriever_new(
    index: *mut rv_index,
    embedder: *const rv_embedder,
    chunking: i32,
    chars: usize,
    overlap: usize,
    retriever: *mut *mut rv_retriever,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(retriever, "retriever")?;
        let chunking = match chunking {
            RV_CHUNK_SENTENCES => Chunking::Sentences { chars, overlap },
            RV_CHUNK_CHARACTERS => Chunking::Characters { chars, overlap },
            other => {
                let message = format!("chunking is {other}, see RV_CHUNK_…");
                return Err(Fail::new(EW_INVALID, message));
            }
        };
        // SAFETY: the header's contract.
        let embedder = unsafe { handle::shared(embedder) }?.clone();
        // What `new` would refuse is checked before the index is taken over.
        chunking.ranges("").map_err(raise)?;
        // SAFETY: the header's contract.
        let looked = unsafe { handle::shared::<rv_index>(index) }?;
        if looked.dim() != embedder.dim() {
            return Err(super::index::wrong_dim(embedder.dim(), looked.dim()));
        }
        if looked.metric() != ruvector::Metric::Cosine {
            let message = "a retriever compares by cosine: build its index with RV_METRIC_COSINE";
            return Err(Fail::new(EW_INVALID, message));
        }
        // SAFETY: the header's contract: nobody uses the index any more.
        let Some(index) = unsafe { handle::take(index) }? else {
            return Err(Fail::null("index"));
        };
        out.set(handle::give(
            Retriever::new(index, embedder, chunking).map_err(raise)?,
        ));
        Ok(())
    })
}

/// Frees a retriever and its index. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_retriever_free(retriever: *mut rv_retriever) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<rv_retriever>(retriever) };
}

/// Stores a document in the place of what the id had; `chunks` (may be NULL) is how many it was cut into. Metadata
/// is a JSON object or {NULL, 0}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_retriever_add(
    retriever: *const rv_retriever,
    document: u64,
    text: ew_str,
    metadata: ew_str,
    chunks: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (retriever, text, metadata) = unsafe {
            let metadata = metadata.json("metadata")?;
            (handle::shared(retriever)?, text.text("text")?, metadata)
        };
        set_optional(
            chunks,
            retriever.add(document, text, metadata).map_err(raise)?,
        );
        Ok(())
    })
}

/// Removes a document; `removed` (may be NULL) tells whether there was one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_retriever_remove(
    retriever: *const rv_retriever,
    document: u64,
    removed: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let retriever = unsafe { handle::shared(retriever) }?;
        set_optional(removed, retriever.remove(document).map_err(raise)?);
        Ok(())
    })
}

/// The `k` passages that answer a question, as a JSON array of {document, chunk, start, end, text, score, metadata}.
/// `relevance` in 0..1 weighs nearness against variety (1: nearness alone); `filter` is a condition on the metadata
/// or {NULL, 0}; `min_score` leaves out lower cosines (-1 for none); `pool` is among how many is chosen (0: default).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_retriever_retrieve(
    retriever: *const rv_retriever,
    question: ew_str,
    k: usize,
    filter: ew_str,
    relevance: f32,
    pool: usize,
    min_score: f32,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (retriever, question, filter) = unsafe {
            let filter = filter.optional("filter")?;
            (
                handle::shared(retriever)?,
                question.text("question")?,
                filter,
            )
        };
        let mut search = retriever.retrieve(question, k).relevance(relevance);
        if min_score > -1.0 {
            search = search.min_score(min_score);
        }
        if pool > 0 {
            search = search.pool(pool);
        }
        if let Some(filter) = filter {
            search = search.filter(Filter::parse(filter).map_err(raise)?);
        }
        let passages = search.run().map_err(raise)?;
        let told: Vec<_> = passages.iter().map(forms::ruvector::passage).collect();
        out.set(json_buffer(&told)?);
        Ok(())
    })
}

/// Makes what was added survive a power cut.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_retriever_flush(
    retriever: *const rv_retriever,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::shared(retriever) }?
            .index()
            .flush()
            .map_err(raise)
    })
}
