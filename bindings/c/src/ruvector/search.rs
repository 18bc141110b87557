//! Searches: one query, many, a range; filters.

use ruvector::{Filter, Hit, Search};

use super::index::{rows, rv_index, wrong_dim};
use super::raise;
use crate::bytes::{Out, ew_bytes, ew_str, options, slice, slice_mut};
use crate::fail::{EW_TOO_SMALL, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// A neighbour.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rv_hit {
    /// The vector's id.
    pub id: u64,
    /// How near it is; higher is nearer.
    pub score: f32,
}

/// A condition on payloads, parsed once for many searches. Threads may share one.
pub struct rv_filter {
    _opaque: [u8; 0],
}

impl Handle for rv_filter {
    type Inside = Filter;
    const KIND: u64 = handle::kind(b"rv_filte");
}

/// Parses a condition, such as "zone == 'barn-2' && age < 5".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_filter_parse(
    text: ew_str,
    filter: *mut *mut rv_filter,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(filter, "filter")?;
        // SAFETY: the header's contract.
        let text = unsafe { text.text("filter") }?;
        out.set(handle::give(Filter::parse(text).map_err(raise)?));
        Ok(())
    })
}

/// Frees a condition. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_filter_free(filter: *mut rv_filter) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<rv_filter>(filter) };
}

/// How to search. Set struct_size to sizeof(rv_search_options) and the rest to 0 for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rv_search_options {
    /// sizeof(rv_search_options).
    pub struct_size: usize,
    /// Only vectors whose payload meets it; NULL for all.
    pub filter: *const rv_filter,
    /// Candidates that are looked at; 0 for the default.
    pub effort: usize,
    /// Candidates that are ranked again by the original numbers; 0 for the default.
    pub rerank: usize,
    /// Leaves out lower scores if has_min_score is not 0.
    pub min_score: f32,
    /// Whether min_score counts.
    pub has_min_score: i32,
}

const DEFAULTS: rv_search_options = rv_search_options {
    struct_size: size_of::<rv_search_options>(),
    filter: std::ptr::null(),
    effort: 0,
    rerank: 0,
    min_score: 0.0,
    has_min_score: 0,
};

/// The options as a search takes them.
struct Options<'a> {
    filter: Option<&'a Filter>,
    given: rv_search_options,
}

impl<'a> Options<'a> {
    /// # Safety
    /// As the header says.
    unsafe fn read(given: *const rv_search_options) -> Result<Self> {
        // SAFETY: the caller's.
        let given = unsafe { options(given, DEFAULTS, "options") }?;
        // SAFETY: the caller's.
        let filter = unsafe { optional_filter(given.filter) }?;
        Ok(Self { filter, given })
    }

    fn run(&self, mut search: Search<'_>) -> Result<Vec<Hit>> {
        if let Some(filter) = self.filter {
            search = search.filter(filter.clone());
        }
        if self.given.effort != 0 {
            search = search.effort(self.given.effort);
        }
        if self.given.rerank != 0 {
            search = search.rerank(self.given.rerank);
        }
        if self.given.has_min_score != 0 {
            search = search.min_score(self.given.min_score);
        }
        search.run().map_err(raise)
    }
}

fn copy(hits: &[Hit], to: &mut [rv_hit]) {
    for (hit, place) in hits.iter().zip(to) {
        *place = rv_hit {
            id: hit.id,
            score: hit.score,
        };
    }
}

/// Finds the `k` nearest of a query, the nearest first. `hits` has room for `k`; `found` is how many were written,
/// fewer than k only if fewer qualify. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_search(
    index: *const rv_index,
    query: *const f32,
    dim: usize,
    k: usize,
    options: *const rv_search_options,
    hits: *mut rv_hit,
    found: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let found = Out::new(found, "found")?;
        // SAFETY: the header's contract.
        let (index, query, options, places) = unsafe {
            (
                handle::shared(index)?,
                slice(query, dim, "query")?,
                Options::read(options)?,
                slice_mut(hits, k, "hits")?,
            )
        };
        let list = options.run(index.search(query, k))?;
        copy(&list, places);
        found.set(list.len());
        Ok(())
    })
}

/// Searches for `count` queries that lie one after the other. `hits` has room for count times k; the hits of query i
/// begin at i times k, and `found[i]` is how many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_search_batch(
    index: *const rv_index,
    queries: *const f32,
    count: usize,
    dim: usize,
    k: usize,
    options: *const rv_search_options,
    hits: *mut rv_hit,
    found: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let (numbers, places) = (rows(count, dim)?, rows(count, k)?);
        // SAFETY: the header's contract.
        let (index, queries, options, hits, found) = unsafe {
            (
                handle::shared(index)?,
                slice(queries, numbers, "queries")?,
                Options::read(options)?,
                slice_mut(hits, places, "hits")?,
                slice_mut(found, count, "found")?,
            )
        };
        if count == 0 {
            return Ok(());
        }
        if dim != index.dim() {
            return Err(wrong_dim(dim, index.dim()));
        }
        if k == 0 {
            return Err(raise(ruvector::Error::ZeroK));
        }
        let parts = queries.chunks_exact(dim).zip(hits.chunks_exact_mut(k));
        for ((query, places), found) in parts.zip(found) {
            let list = options.run(index.search(query, k))?;
            copy(&list, places);
            *found = list.len();
        }
        Ok(())
    })
}

/// Finds the `k` nearest of bits, packed as for rv_index_upsert_bits; otherwise as rv_index_search.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_search_bits(
    index: *const rv_index,
    query: ew_bytes,
    k: usize,
    options: *const rv_search_options,
    hits: *mut rv_hit,
    found: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let found = Out::new(found, "found")?;
        // SAFETY: the header's contract.
        let (index, query, options, places) = unsafe {
            (
                handle::shared(index)?,
                query.get("query")?,
                Options::read(options)?,
                slice_mut(hits, k, "hits")?,
            )
        };
        let list = options.run(index.search_bits(query, k))?;
        copy(&list, places);
        found.set(list.len());
        Ok(())
    })
}

/// All vectors that score at least `min_score`, the nearest first, exactly. At most `room` are written to `hits`;
/// `found` is how many there are. EW_TOO_SMALL when there are more than `room`: then nothing but `found` is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_search_range(
    index: *const rv_index,
    query: *const f32,
    dim: usize,
    min_score: f32,
    filter: *const rv_filter,
    hits: *mut rv_hit,
    room: usize,
    found: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(found, "found")?;
        // SAFETY: the header's contract.
        let (index, query, filter, places) = unsafe {
            (
                handle::shared(index)?,
                slice(query, dim, "query")?,
                optional_filter(filter)?,
                slice_mut(hits, room, "hits")?,
            )
        };
        let list = index
            .search_range(query, min_score, filter)
            .map_err(raise)?;
        all(&list, places, out)
    })
}

/// rv_index_search_range for bits: all that differ from the query in at most `-min_score` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_search_range_bits(
    index: *const rv_index,
    query: ew_bytes,
    min_score: f32,
    filter: *const rv_filter,
    hits: *mut rv_hit,
    room: usize,
    found: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(found, "found")?;
        // SAFETY: the header's contract.
        let (index, query, filter, places) = unsafe {
            (
                handle::shared(index)?,
                query.get("query")?,
                optional_filter(filter)?,
                slice_mut(hits, room, "hits")?,
            )
        };
        let list = index
            .search_range_bits(query, min_score, filter)
            .map_err(raise)?;
        all(&list, places, out)
    })
}

/// Hands over all hits, or how many there are.
fn all(list: &[Hit], places: &mut [rv_hit], found: Out<usize>) -> Result<()> {
    found.set(list.len());
    if list.len() > places.len() {
        let (qualify, room) = (list.len(), places.len());
        let message = format!("{qualify} vectors qualify, there is room for {room}");
        return Err(Fail::new(EW_TOO_SMALL, message));
    }
    copy(list, places);
    Ok(())
}

/// # Safety
/// As the header says.
unsafe fn optional_filter<'a>(filter: *const rv_filter) -> Result<Option<&'a Filter>> {
    match filter.is_null() {
        true => Ok(None),
        // SAFETY: the caller's.
        false => unsafe { handle::shared(filter) }.map(Some),
    }
}
