//! What the C interface costs beside the crate itself: the same searches in one process, in turns. `benches/py/bindings.py`
//! runs it to have Rust beside Python too.
//!
//! `bindings libedgeweave.so --vectors FILE --dim 128 --queries 10000`, where the file has float32 in the machine's order,
//! the queries first.
#![allow(clippy::print_stdout, reason = "a command that prints figures")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ruvector::{Index, IndexKind, Metric, Quantization};

/// Measures searches by Rust and by C.
#[derive(Parser)]
struct Args {
    /// The shared library.
    library: PathBuf,
    /// Queries, then the vectors that are searched.
    #[arg(long)]
    vectors: PathBuf,
    #[arg(long)]
    dim: usize,
    #[arg(long)]
    queries: usize,
    #[arg(long, default_value_t = 96)]
    effort: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// As in `edgeweave.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Hit {
    id: u64,
    score: f32,
}

#[repr(C)]
struct SearchOptions {
    struct_size: usize,
    filter: *const c_void,
    effort: usize,
    rerank: usize,
    min_score: f32,
    has_min_score: i32,
}

#[repr(C)]
struct Text {
    ptr: *const c_char,
    len: usize,
}

/// `rv_options`.
#[repr(C)]
struct BuildOptions {
    struct_size: usize,
    dim: usize,
    metric: i32,
    kind: i32,
    quantization: i32,
    subspaces: u32,
    links: usize,
    build_effort: usize,
    seed: u64,
    threads: usize,
    max_vectors: usize,
    max_bytes: usize,
    max_log_bytes: u64,
    path: Text,
}

const RV_METRIC_L2: i32 = 2;
const RV_KIND_HNSW: i32 = 2;
const RV_QUANTIZATION_NONE: i32 = 1;

type Build = unsafe extern "C" fn(*const BuildOptions, *mut *mut c_void, *mut *mut c_void) -> i32;
type Upsert = unsafe extern "C" fn(
    *const c_void,
    *const u64,
    *const f32,
    usize,
    usize,
    *const Text,
    *mut *mut c_void,
) -> i32;
type Search = unsafe extern "C" fn(
    *const c_void,
    *const f32,
    usize,
    usize,
    *const SearchOptions,
    *mut Hit,
    *mut usize,
    *mut *mut c_void,
) -> i32;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// An index that the C library has built.
struct ByC {
    index: *mut c_void,
    search: Search,
}

/// A function of a library.
///
/// # Safety
/// `F` is the type that the header declares.
unsafe fn function<F: Copy>(library: *mut c_void, name: &CStr) -> Result<F, String> {
    // SAFETY: a loaded library and a NUL-terminated name.
    let found = unsafe { dlsym(library, name.as_ptr()) };
    if found.is_null() || size_of::<F>() != size_of::<*mut c_void>() {
        return Err(format!("the library has no {}", name.to_string_lossy()));
    }
    // SAFETY: the caller's, and a pointer's size.
    Ok(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
}

impl ByC {
    fn build(library: &Path, dim: usize, ids: &[u64], base: &[f32]) -> Result<Self, String> {
        let path = CString::new(library.as_os_str().as_encoded_bytes());
        let path = path.map_err(|error| error.to_string())?;
        // SAFETY: a NUL-terminated text; 2 is RTLD_NOW on Linux and macOS.
        let loaded = unsafe { dlopen(path.as_ptr(), 2) };
        if loaded.is_null() {
            return Err(format!("{} cannot be loaded", library.display()));
        }
        // SAFETY: the header declares them with these types.
        let (build, upsert, search) = unsafe {
            (
                function::<Build>(loaded, c"rv_index_build")?,
                function::<Upsert>(loaded, c"rv_index_upsert_batch")?,
                function::<Search>(loaded, c"rv_index_search")?,
            )
        };
        let options = BuildOptions {
            struct_size: size_of::<BuildOptions>(),
            dim,
            metric: RV_METRIC_L2,
            kind: RV_KIND_HNSW,
            quantization: RV_QUANTIZATION_NONE,
            subspaces: 0,
            links: 16,
            build_effort: 128,
            seed: 0,
            threads: 1,
            max_vectors: 0,
            max_bytes: 0,
            max_log_bytes: 0,
            path: Text {
                ptr: std::ptr::null(),
                len: 0,
            },
        };
        let mut index = std::ptr::null_mut();
        let none = std::ptr::null_mut();
        // SAFETY: as the header says: options with their size, arrays with their lengths, no errors wanted.
        let statuses = unsafe {
            let built = build(&raw const options, &raw mut index, none);
            let (count, payloads) = (ids.len(), std::ptr::null());
            let filled = upsert(
                index,
                ids.as_ptr(),
                base.as_ptr(),
                count,
                dim,
                payloads,
                none,
            );
            (built, filled)
        };
        match statuses {
            (0, 0) => Ok(Self { index, search }),
            (built, filled) => Err(format!(
                "rv_index_build returned {built}, rv_index_upsert_batch {filled}"
            )),
        }
    }

    fn search(&self, query: &[f32], k: usize, effort: usize, hits: &mut [Hit]) -> usize {
        let options = SearchOptions {
            struct_size: size_of::<SearchOptions>(),
            filter: std::ptr::null(),
            effort,
            rerank: 0,
            min_score: 0.0,
            has_min_score: 0,
        };
        let mut found = 0;
        // SAFETY: an index of the library, arrays with their lengths, room for k hits.
        let status = unsafe {
            (self.search)(
                self.index,
                query.as_ptr(),
                query.len(),
                k,
                &raw const options,
                hits.as_mut_ptr(),
                &raw mut found,
                std::ptr::null_mut(),
            )
        };
        if status == 0 { found } else { 0 }
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    #[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64()
}

/// Both indexes over the same vectors.
fn both(args: &Args, base: &[f32]) -> Result<(Index, ByC), String> {
    let told = |error: ruvector::Error| error.to_string();
    let index = Index::builder(args.dim)
        .metric(Metric::L2)
        .kind(IndexKind::Hnsw)
        .quantization(Quantization::None)
        .links(16)
        .build_effort(128)
        .build()
        .map_err(told)?;
    let ids: Vec<u64> = (0..(base.len() / args.dim) as u64).collect();
    index.upsert_batch(&ids, base, Vec::new()).map_err(told)?;
    let by_c = ByC::build(&args.library, args.dim, &ids, base)?;
    Ok((index, by_c))
}

fn run(args: &Args) -> Result<(), String> {
    let bytes = std::fs::read(&args.vectors).map_err(|error| error.to_string())?;
    let (fours, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = fours.iter().map(|four| f32::from_ne_bytes(*four)).collect();
    let split = args.dim * args.queries;
    let (queries, base) = numbers
        .split_at_checked(split)
        .ok_or("the file has fewer numbers than the queries need")?;
    let mut hits = [Hit::default(); 10];

    // All is overhead where one vector is searched.
    let (one, one_by_c) = both(args, &base[..args.dim])?;
    let (all, all_by_c) = both(args, base)?;
    let calls = 200_000;
    let [mut rust_call, mut c_call, mut rust, mut c] = [f64::INFINITY; 4];
    for _ in 0..args.rounds {
        let query = &queries[..args.dim];
        rust_call = rust_call.min(seconds(|| {
            for _ in 0..calls {
                std::hint::black_box(one.search(query, 1).effort(10).run().is_ok());
            }
        }));
        c_call = c_call.min(seconds(|| {
            for _ in 0..calls {
                std::hint::black_box(one_by_c.search(query, 1, 10, &mut hits));
            }
        }));
        rust = rust.min(seconds(|| {
            for query in queries.chunks_exact(args.dim) {
                std::hint::black_box(all.search(query, 10).effort(args.effort).run().is_ok());
            }
        }));
        c = c.min(seconds(|| {
            for query in queries.chunks_exact(args.dim) {
                std::hint::black_box(all_by_c.search(query, 10, args.effort, &mut hits));
            }
        }));
    }
    let per = |seconds: f64, count: usize, unit: f64| {
        (seconds / count as f64 * unit * 100.0).round() / 100.0
    };
    for (library, call, search) in [
        ("edgeweave by Rust", rust_call, rust),
        ("edgeweave by C", c_call, c),
    ] {
        let line = serde_json::json!({
            "library": library,
            "nanoseconds_one_call": per(call, calls, 1e9),
            "microseconds_batch": per(search, args.queries, 1e6),
        });
        println!("{line}");
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            println!("{cause}");
            ExitCode::FAILURE
        }
    }
}
