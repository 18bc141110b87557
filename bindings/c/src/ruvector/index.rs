//! An index: built, opened, filled, kept on disk.

use ruvector::{IndexKind, Metric, Quantization, Storage};
use serde_json::Value;

use super::raise;
use crate::bytes::{
    Out, ew_buffer, ew_bytes, ew_str, json_buffer, options, set_optional, slice, slice_mut,
};
use crate::fail::{EW_INVALID, EW_NOT_FOUND, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// The cosine of the angle; scores in -1..1.
pub const RV_METRIC_COSINE: i32 = 0;
/// The inner product.
pub const RV_METRIC_DOT: i32 = 1;
/// Squared Euclidean distance; the score is minus the distance.
pub const RV_METRIC_L2: i32 = 2;
/// Bits that differ; a component above 0 is a set bit. The score is minus their number.
pub const RV_METRIC_HAMMING: i32 = 3;

/// A scan while that is faster, then a graph.
pub const RV_KIND_AUTO: i32 = 0;
/// A scan of all rows.
pub const RV_KIND_EXACT: i32 = 1;
/// A graph from the first vector on.
pub const RV_KIND_HNSW: i32 = 2;
/// Inverted lists.
pub const RV_KIND_IVF: i32 = 3;
/// Inverted lists of product-quantised rows.
pub const RV_KIND_IVFPQ: i32 = 4;

/// One byte a component.
pub const RV_QUANTIZATION_INT8: i32 = 0;
/// The numbers as they are.
pub const RV_QUANTIZATION_NONE: i32 = 1;
/// Two bytes a component.
pub const RV_QUANTIZATION_F16: i32 = 2;
/// Product quantisation in rv_options.subspaces.
pub const RV_QUANTIZATION_PQ: i32 = 3;
/// One bit a component.
pub const RV_QUANTIZATION_BINARY: i32 = 4;

/// Options of an index. Fill them with rv_options_init first; 0 is the default everywhere but for struct_size and dim.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rv_options {
    /// sizeof(rv_options), set by rv_options_init.
    pub struct_size: usize,
    /// Components of each vector.
    pub dim: usize,
    /// RV_METRIC_…
    pub metric: i32,
    /// RV_KIND_…
    pub kind: i32,
    /// RV_QUANTIZATION_…
    pub quantization: i32,
    /// Parts of a vector with RV_QUANTIZATION_PQ; 0 for one of each four components.
    pub subspaces: u32,
    /// Links of a node in the graph; 0 for 16.
    pub links: usize,
    /// Candidates while the graph is built; 0 for 128.
    pub build_effort: usize,
    /// Seed of the levels and centres; 0 for the built-in one.
    pub seed: u64,
    /// Threads that a build may use; 0 for 1.
    pub threads: usize,
    /// Most vectors; 0 for no limit of its own.
    pub max_vectors: usize,
    /// Most bytes of memory; 0 for no limit.
    pub max_bytes: usize,
    /// Bytes of the file's log from which it is folded in; 0 for the default.
    pub max_log_bytes: u64,
    /// The file; {NULL, 0} for an index in memory.
    pub path: ew_str,
}

const DEFAULTS: rv_options = rv_options {
    struct_size: size_of::<rv_options>(),
    dim: 0,
    metric: RV_METRIC_COSINE,
    kind: RV_KIND_AUTO,
    quantization: RV_QUANTIZATION_INT8,
    subspaces: 0,
    links: 0,
    build_effort: 0,
    seed: 0,
    threads: 0,
    max_vectors: 0,
    max_bytes: 0,
    max_log_bytes: 0,
    path: ew_str::NONE,
};

/// Sets the defaults for vectors of `dim` components. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_options_init(options: *mut rv_options, dim: usize) {
    set_optional(options, rv_options { dim, ..DEFAULTS });
}

/// A vector index. Threads may share one, also while it changes; it must not be freed meanwhile.
pub struct rv_index {
    _opaque: [u8; 0],
}

impl Handle for rv_index {
    type Inside = ruvector::Index;
    const KIND: u64 = handle::kind(b"rv_index");
}

fn builder(options: &rv_options, path: Option<&str>) -> Result<ruvector::IndexBuilder> {
    let unknown = |what: &str, found: i32| {
        Fail::new(
            EW_INVALID,
            format_args!("{what} is {found}, see its constants"),
        )
    };
    let metric = match options.metric {
        RV_METRIC_COSINE => Metric::Cosine,
        RV_METRIC_DOT => Metric::Dot,
        RV_METRIC_L2 => Metric::L2,
        RV_METRIC_HAMMING => Metric::Hamming,
        other => return Err(unknown("metric", other)),
    };
    let kind = match options.kind {
        RV_KIND_AUTO => IndexKind::Auto,
        RV_KIND_EXACT => IndexKind::Exact,
        RV_KIND_HNSW => IndexKind::Hnsw,
        RV_KIND_IVF => IndexKind::Ivf,
        RV_KIND_IVFPQ => IndexKind::IvfPq,
        other => return Err(unknown("kind", other)),
    };
    let quantization = match options.quantization {
        RV_QUANTIZATION_INT8 => Quantization::Int8,
        RV_QUANTIZATION_NONE => Quantization::None,
        RV_QUANTIZATION_F16 => Quantization::F16,
        RV_QUANTIZATION_BINARY => Quantization::Binary,
        RV_QUANTIZATION_PQ => {
            let subspaces = match options.subspaces {
                0 => options.dim.div_ceil(4).try_into().unwrap_or(u16::MAX),
                given => u16::try_from(given).unwrap_or(u16::MAX),
            };
            Quantization::Pq { subspaces }
        }
        other => return Err(unknown("quantization", other)),
    };
    let mut builder = ruvector::Index::builder(options.dim)
        .metric(metric)
        .kind(kind)
        .quantization(quantization);
    if options.links != 0 {
        builder = builder.links(options.links);
    }
    if options.build_effort != 0 {
        builder = builder.build_effort(options.build_effort);
    }
    if options.seed != 0 {
        builder = builder.seed(options.seed);
    }
    if options.threads != 0 {
        builder = builder.threads(options.threads);
    }
    if options.max_vectors != 0 {
        builder = builder.max_vectors(options.max_vectors);
    }
    if options.max_bytes != 0 {
        builder = builder.max_bytes(options.max_bytes);
    }
    if options.max_log_bytes != 0 {
        builder = builder.max_log_bytes(options.max_log_bytes);
    }
    if let Some(path) = path {
        builder = builder.storage(Storage::File(path.into()));
    }
    Ok(builder)
}

/// Builds an index, or opens its file if there is one. The caller frees it with rv_index_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_build(
    options: *const rv_options,
    index: *mut *mut rv_index,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(index, "index")?;
        if options.is_null() {
            return Err(Fail::null("options"));
        }
        // SAFETY: the header's contract.
        let options = unsafe { self::options(options, DEFAULTS, "options") }?;
        // SAFETY: the header's contract.
        let path = unsafe { options.path.optional("options.path") }?;
        out.set(handle::give(
            builder(&options, path)?.build().map_err(raise)?,
        ));
        Ok(())
    })
}

/// Opens a file with the options that it was built with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_open(
    path: ew_str,
    index: *mut *mut rv_index,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(index, "index")?;
        // SAFETY: the header's contract.
        let path = unsafe { path.text("path") }?;
        out.set(handle::give(ruvector::Index::open(path).map_err(raise)?));
        Ok(())
    })
}

/// Checks every byte of a file; EW_CORRUPT says what is damaged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_verify(path: ew_str, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        ruvector::Index::verify(unsafe { path.text("path") }?).map_err(raise)
    })
}

/// Closes an index and frees it. Changes since the last rv_index_flush may be lost in a power cut. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_free(index: *mut rv_index) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<rv_index>(index) };
}

/// Stores a vector in the place of what the id had. The payload is a JSON object or {NULL, 0}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_upsert(
    index: *const rv_index,
    id: u64,
    vector: *const f32,
    dim: usize,
    payload: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (index, vector, payload) = unsafe {
            let index = handle::shared(index)?;
            (
                index,
                slice(vector, dim, "vector")?,
                payload.json("payload")?,
            )
        };
        index.upsert(id, vector, payload).map_err(raise)
    })
}

/// Stores `count` vectors that lie one after the other, all or none. `payloads` is NULL or has `count` JSON
/// objects, each of which may be {NULL, 0}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_upsert_batch(
    index: *const rv_index,
    ids: *const u64,
    vectors: *const f32,
    count: usize,
    dim: usize,
    payloads: *const ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let numbers = rows(count, dim)?;
        // SAFETY: the header's contract.
        let (index, ids, vectors, payloads) = unsafe {
            (
                handle::shared(index)?,
                slice(ids, count, "ids")?,
                slice(vectors, numbers, "vectors")?,
                read_payloads(payloads, count)?,
            )
        };
        if count > 0 && dim != index.dim() {
            return Err(wrong_dim(dim, index.dim()));
        }
        index.upsert_batch(ids, vectors, payloads).map_err(raise)
    })
}

/// Stores a vector of bits under RV_METRIC_HAMMING, eight a byte, the lowest bit of a byte first; what the last byte has
/// left over is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_upsert_bits(
    index: *const rv_index,
    id: u64,
    bits: ew_bytes,
    payload: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (index, bits, payload) = unsafe {
            let index = handle::shared(index)?;
            (index, bits.get("bits")?, payload.json("payload")?)
        };
        index.upsert_bits(id, bits, payload).map_err(raise)
    })
}

/// Stores `count` vectors of bits, each in whole bytes, all or none. `payloads` as for rv_index_upsert_batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_upsert_bits_batch(
    index: *const rv_index,
    ids: *const u64,
    bits: ew_bytes,
    count: usize,
    payloads: *const ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (index, ids, bits, payloads) = unsafe {
            (
                handle::shared(index)?,
                slice(ids, count, "ids")?,
                bits.get("bits")?,
                read_payloads(payloads, count)?,
            )
        };
        index.upsert_bits_batch(ids, bits, payloads).map_err(raise)
    })
}

/// # Safety
/// As the header says.
unsafe fn read_payloads(payloads: *const ew_str, count: usize) -> Result<Vec<Value>> {
    if payloads.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's.
    let texts = unsafe { slice(payloads, count, "payloads") }?.iter();
    // SAFETY: the caller's.
    texts.map(|text| unsafe { text.json("payload") }).collect()
}

pub(super) fn rows(count: usize, dim: usize) -> Result<usize> {
    let message = "count times dim is more than memory holds";
    count
        .checked_mul(dim)
        .ok_or_else(|| Fail::new(crate::fail::EW_LIMIT, message))
}

pub(super) fn wrong_dim(got: usize, want: usize) -> Fail {
    raise(ruvector::Error::Dimension { got, want })
}

/// Reads a vector and its payload (JSON, "null" for none; freed by the caller). Either place may be NULL.
/// EW_NOT_FOUND without the id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_get(
    index: *const rv_index,
    id: u64,
    vector: *mut f32,
    dim: usize,
    payload: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let index = unsafe { handle::shared(index) }?;
        let Some(entry) = index.get(id).map_err(raise)? else {
            return Err(Fail::new(
                EW_NOT_FOUND,
                format_args!("no vector has id {id}"),
            ));
        };
        if !vector.is_null() {
            if dim != entry.vector.len() {
                return Err(wrong_dim(dim, entry.vector.len()));
            }
            // SAFETY: the header's contract.
            unsafe { slice_mut(vector, dim, "vector") }?.copy_from_slice(&entry.vector);
        }
        if !payload.is_null() {
            let out = Out::new(payload, "payload")?;
            out.set(json_buffer(&entry.payload.unwrap_or(Value::Null))?);
        }
        Ok(())
    })
}

/// Removes a vector; `removed` (may be NULL) tells whether there was one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_delete(
    index: *const rv_index,
    id: u64,
    removed: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let gone = unsafe { handle::shared(index) }?
            .delete(id)
            .map_err(raise)?;
        set_optional(removed, gone);
        Ok(())
    })
}

/// Makes every change survive a power cut.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_flush(index: *const rv_index, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::shared(index) }?.flush().map_err(raise)
    })
}

/// Replaces the file by one without a log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_snapshot(index: *const rv_index, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::shared(index) }?.snapshot().map_err(raise)
    })
}

/// Gives the memory of deleted vectors back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_compact(index: *const rv_index, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::shared(index) }?.compact().map_err(raise)
    })
}

/// Writes a copy to another file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_save(
    index: *const rv_index,
    path: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (index, path) = unsafe { (handle::shared(index)?, path.text("path")?) };
        index.save(path).map_err(raise)
    })
}

/// How many vectors a search can find; 0 for what is no index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_len(index: *const rv_index) -> usize {
    // SAFETY: the header's contract.
    unsafe { handle::shared::<rv_index>(index) }.map_or(0, ruvector::Index::len)
}

/// Components of each vector; 0 for what is no index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_dim(index: *const rv_index) -> usize {
    // SAFETY: the header's contract.
    unsafe { handle::shared::<rv_index>(index) }.map_or(0, ruvector::Index::dim)
}

/// Sizes and choices as JSON: vectors, deleted, dim, metric, quantization, search, kernels, heap_bytes, mapped_bytes,
/// mapped_original_bytes, file_bytes, log_bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_index_stats(
    index: *const rv_index,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let stats = unsafe { handle::shared(index) }?.stats();
        out.set(json_buffer(&forms::ruvector::stats(&stats))?);
        Ok(())
    })
}
