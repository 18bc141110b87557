//! The caller's embedding model.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use ruvector::{BoxError, Embedder};

use super::raise;
use crate::bytes::{Out, User, ew_str};
use crate::fail::{EW_OK, Fail, ew_error, guard};
use crate::handle::{self, Handle};

/// Turns a text into a vector: writes `dim` numbers to `vector` and returns EW_OK, or returns anything else if it
/// failed. Called by the thread that calls the cache or the retriever; it must not use that cache or retriever.
pub type rv_embed_fn = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        text: *const c_char,
        len: usize,
        vector: *mut f32,
        dim: usize,
    ) -> i32,
>;

/// An embedding model of the caller, named. Threads may share one if the callback may run on several at once.
pub struct rv_embedder {
    _opaque: [u8; 0],
}

impl Handle for rv_embedder {
    type Inside = Arc<Embedder>;
    const KIND: u64 = handle::kind(b"rv_embed");
}

/// Names a model. The tag says model and version: vectors of different tags are never compared. `user` must live as
/// long as everything that was made with the embedder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_embedder_new(
    tag: ew_str,
    dim: usize,
    embed: rv_embed_fn,
    user: *mut c_void,
    embedder: *mut *mut rv_embedder,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(embedder, "embedder")?;
        // SAFETY: the header's contract.
        let tag = unsafe { tag.text("tag") }?;
        let embed = embed.ok_or_else(|| Fail::null("embed"))?;
        let user = User(user);
        let run = move |text: &str| -> Result<Vec<f32>, BoxError> {
            let user = user;
            let mut vector = vec![0.0; dim];
            // SAFETY: the header's contract: a function of this type that does not unwind.
            match unsafe {
                embed(
                    user.0,
                    text.as_ptr().cast(),
                    text.len(),
                    vector.as_mut_ptr(),
                    dim,
                )
            } {
                EW_OK => Ok(vector),
                status => Err(format!("the callback returned {status}").into()),
            }
        };
        out.set(handle::give(Arc::new(
            Embedder::new(tag, dim, run).map_err(raise)?,
        )));
        Ok(())
    })
}

/// Gives an embedder up; what was made with it keeps it alive. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rv_embedder_free(embedder: *mut rv_embedder) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<rv_embedder>(embedder) };
}
