//! The semantic cache, of answers that are bytes.

use std::ffi::c_void;

use ruvector::cache::{Answer, Failure, Found, How, Report, SemanticCache, Timestamp};

use super::embedder::rv_embedder;
use super::raise;
use crate::bytes::{
    Out, Reply, User, buffer, ew_buffer, ew_bytes, ew_reply, ew_str, json_buffer, options,
    set_optional,
};
use crate::fail::{EW_CALLBACK, EW_INVALID, EW_NOT_FOUND, Fail, ew_error, guard};
use crate::handle::{self, Handle};

/// The same text was stored.
pub const RV_HOW_EXACT: i32 = 0;
/// A text that means the same was stored.
pub const RV_HOW_SEMANTIC: i32 = 1;
/// Another thread computed it meanwhile.
pub const RV_HOW_SHARED: i32 = 2;
/// This call computed it.
pub const RV_HOW_COMPUTED: i32 = 3;

/// A cache of answers that are found by meaning. Threads may share one.
pub struct rv_cache {
    _opaque: [u8; 0],
}

impl Handle for rv_cache {
    type Inside = SemanticCache<Vec<u8>>;
    const KIND: u64 = handle::kind(b"rv_cache");
}

/// Whether one answer is right for both texts: 1 for yes. Called where similarity and word rules cannot decide, by
/// the thread that asks the cache.
pub type rv_verify_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, asked: ew_str, stored: ew_str) -> i32>;

/// Options of a cache. Set struct_size to sizeof(rv_cache_options) and the rest to 0 for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rv_cache_options {
    /// sizeof(rv_cache_options).
    pub struct_size: usize,
    /// Most bytes of texts, vectors and answers; 0 for 64 MiB.
    pub max_bytes: usize,
    /// Most answers; 0 for 100,000.
    pub max_entries: usize,
    /// The rules of namespaces as a JSON object: {"name": {"threshold": 0.95, "grey_from": 0.9, "ttl": "dynamic",
    /// "adaptive": true, "epoch": 1, "exclusive": [["dairy", "beef"]]}}; "" names the rules of all others. "ttl" is
    /// "static", "dynamic", "user_specific", "realtime" or a number of milliseconds. {NULL, 0} for the defaults.
    pub policies: ew_str,
    /// Decides where similarity cannot; may be NULL.
    pub verify: rv_verify_fn,
    /// The first argument of verify.
    pub user: *mut c_void,
}

const DEFAULTS: rv_cache_options = rv_cache_options {
    struct_size: size_of::<rv_cache_options>(),
    max_bytes: 0,
    max_entries: 0,
    policies: ew_str::NONE,
    verify: None,
    user: std::ptr::null_mut(),
};

/// Builds a cache whose texts the embedder turns into vectors. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_new(
    embedder: *const rv_embedder,
    options: *const rv_cache_options,
    cache: *mut *mut rv_cache,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(cache, "cache")?;
        // SAFETY: the header's contract.
        let (embedder, options) = unsafe {
            let options = self::options(options, DEFAULTS, "options")?;
            (handle::shared(embedder)?.clone(), options)
        };
        let mut builder = SemanticCache::builder(embedder);
        if options.max_bytes != 0 {
            builder = builder.max_bytes(options.max_bytes);
        }
        if options.max_entries != 0 {
            builder = builder.max_entries(options.max_entries);
        }
        // SAFETY: the header's contract.
        let policies = unsafe { options.policies.json("options.policies") }?;
        builder = forms::ruvector::with_policies(builder, policies)?;
        if let Some(verify) = options.verify {
            let user = User(options.user);
            builder = builder.verify(move |asked, stored| {
                let user = user;
                // SAFETY: the header's contract: a function of this type that does not unwind.
                unsafe { verify(user.0, ew_str::of(asked), ew_str::of(stored)) == 1 }
            });
        }
        // Answers are bytes, so whether two are the same needs no callback.
        let built = builder.same_answer(|a, b| a == b).build().map_err(raise)?;
        out.set(handle::give(built));
        Ok(())
    })
}

/// Frees a cache. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_free(cache: *mut rv_cache) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<rv_cache>(cache) };
}

fn tell(found: &Found<Vec<u8>>, how: *mut i32, similarity: *mut f32) -> *mut ew_buffer {
    let (number, cosine) = match &found.how {
        How::Exact => (RV_HOW_EXACT, 1.0),
        How::Semantic { similarity, .. } => (RV_HOW_SEMANTIC, *similarity),
        How::Shared => (RV_HOW_SHARED, 1.0),
        _ => (RV_HOW_COMPUTED, 1.0),
    };
    set_optional(how, number);
    set_optional(similarity, cosine);
    buffer(found.value().clone())
}

/// Looks an answer up; EW_NOT_FOUND if there is none. `now` is milliseconds since any moment, the same for all calls.
/// The caller frees the answer. `how` (RV_HOW_…) and `similarity` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_get(
    cache: *const rv_cache,
    name_space: ew_str,
    text: ew_str,
    now: i64,
    answer: *mut *mut ew_buffer,
    how: *mut i32,
    similarity: *mut f32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(answer, "answer")?;
        // SAFETY: the header's contract.
        let (cache, name, text) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::shared(cache)?, name, text.text("text")?)
        };
        match cache.get(name, text, Timestamp(now)).map_err(raise)? {
            Some(found) => out.set(tell(&found, how, similarity)),
            None => return Err(Fail::new(EW_NOT_FOUND, "no answer is cached")),
        }
        Ok(())
    })
}

/// Computes an answer: calls ew_reply_set with its bytes and returns EW_OK, or fails. Called by the thread that asks;
/// it must not ask for the same text.
pub type rv_compute_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, reply: *mut ew_reply) -> i32>;

/// Says what the computation cost, in any unit that is the same for all answers; 1 if it is not said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_reply_cost(
    reply: *mut ew_reply,
    cost: f64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(reply) }?.cost = cost;
        Ok(())
    })
}

/// The answer to a text; computed and stored if there is none. One thread computes, others that want the same text
/// wait for it. A failed computation is EW_CALLBACK and nothing is stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_get_or_compute(
    cache: *const rv_cache,
    name_space: ew_str,
    text: ew_str,
    now: i64,
    compute: rv_compute_fn,
    user: *mut c_void,
    answer: *mut *mut ew_buffer,
    how: *mut i32,
    similarity: *mut f32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(answer, "answer")?;
        let compute = compute.ok_or_else(|| Fail::null("compute"))?;
        // SAFETY: the header's contract.
        let (cache, name, text) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::shared(cache)?, name, text.text("text")?)
        };
        let found = cache.get_or_compute(name, text, Timestamp(now), || {
            // SAFETY: the header's contract: a function of this type that does not unwind.
            let reply = Reply::of(|place| unsafe { compute(user, place) })?;
            let bytes = reply.bytes.ok_or_else(|| {
                (
                    "Callback".to_owned(),
                    "the callback gave no answer".to_owned(),
                )
            })?;
            let heap = bytes.len();
            Ok(Answer::new(bytes, heap).cost(reply.cost))
        });
        match found {
            Ok(found) => out.set(tell(&found, how, similarity)),
            Err(Failure::Cache(error)) => return Err(raise(error)),
            Err(Failure::Compute((name, message))) => {
                return Err(Fail::new(EW_CALLBACK, format_args!("{name}: {message}")));
            }
            Err(other) => return Err(Fail::new(EW_CALLBACK, format_args!("{}", failure(&other)))),
        }
        Ok(())
    })
}

fn failure(other: &Failure<(String, String)>) -> &'static str {
    match other {
        Failure::Compute(_) => "the computation failed",
        _ => "the cache failed",
    }
}

/// Stores an answer in the place of what the text had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_put(
    cache: *const rv_cache,
    name_space: ew_str,
    text: ew_str,
    answer: ew_bytes,
    cost: f64,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (cache, name, text, answer) = unsafe {
            let (name, text) = (name_space.text("name_space")?, text.text("text")?);
            (handle::shared(cache)?, name, text, answer.get("answer")?)
        };
        let answer = Answer::new(answer.to_vec(), answer.len()).cost(cost);
        cache.put(name, text, answer, Timestamp(now)).map_err(raise)
    })
}

/// Tells that the answer to a stored text is right still (1) or stale (0); `known` (may be NULL) is whether there is
/// such an answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_report(
    cache: *const rv_cache,
    name_space: ew_str,
    text: ew_str,
    still_right: i32,
    now: i64,
    known: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (cache, name, text) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::shared(cache)?, name, text.text("text")?)
        };
        let report = match still_right {
            0 => Report::Stale,
            1 => Report::StillRight,
            other => {
                let message = format!("still_right is {other}, wanted is 0 or 1");
                return Err(Fail::new(EW_INVALID, message));
            }
        };
        let found = cache
            .report(name, text, report, Timestamp(now))
            .map_err(raise)?;
        set_optional(known, found);
        Ok(())
    })
}

/// Begins a new epoch of a namespace: none of its answers is found again. `removed` (may be NULL) is how many there
/// were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_advance_epoch(
    cache: *const rv_cache,
    name_space: ew_str,
    removed: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (cache, name) = unsafe { (handle::shared(cache)?, name_space.text("name_space")?) };
        set_optional(removed, cache.advance_epoch(name).map_err(raise)?);
        Ok(())
    })
}

/// Changes the embedding model. Answers of the old one are not found while another tag is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_set_embedder(
    cache: *const rv_cache,
    embedder: *const rv_embedder,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (cache, embedder) = unsafe { (handle::shared(cache)?, handle::shared(embedder)?) };
        cache.set_embedder(embedder.clone());
        Ok(())
    })
}

/// Merges questions with at least this cosine whose answers are the same. `json` (may be NULL) tells what was done:
/// examined, merges, kept_apart, answers_differ, freed_bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_dedupe(
    cache: *const rv_cache,
    similarity: f32,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let report = unsafe { handle::shared(cache) }?
            .dedupe(similarity)
            .map_err(raise)?;
        if json.is_null() {
            return Ok(());
        }
        Out::new(json, "json")?.set(json_buffer(&forms::ruvector::dedupe(&report))?);
        Ok(())
    })
}

/// The lifetime in milliseconds that the answer to this text has, expired or not; EW_NOT_FOUND without one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_ttl(
    cache: *const rv_cache,
    name_space: ew_str,
    text: ew_str,
    millis: *mut i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(millis, "millis")?;
        // SAFETY: the header's contract.
        let (cache, name, text) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::shared(cache)?, name, text.text("text")?)
        };
        let ttl = cache.ttl_millis(name, text);
        out.set(ttl.ok_or_else(|| Fail::new(EW_NOT_FOUND, "no answer is cached"))?);
        Ok(())
    })
}

/// What was counted, as JSON: entries, bytes, and the counters of look-ups, computations, and what was stored and removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_cache_stats(
    cache: *const rv_cache,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let cache = unsafe { handle::shared(cache) }?;
        out.set(json_buffer(&forms::ruvector::cache(cache))?);
        Ok(())
    })
}
