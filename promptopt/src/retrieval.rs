//! Passages put into a prompt: the hook that a vector index, or anything that finds texts, implements.

use crate::error::{Error, Result};
use crate::set::Choice;

/// Most passages of one prompt.
pub const PASSAGES_MAX: usize = 64;

/// Finds texts that help with a query, the best first.
pub trait Retriever {
    /// At most `count` passages for the query.
    ///
    /// # Errors
    /// Whatever the index says; it reaches the caller as [`Error::Retrieval`].
    fn retrieve(
        &self,
        query: &str,
        count: usize,
    ) -> std::result::Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Which input is looked up, and which input of the template the passages become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retrieval<'a> {
    /// Name of the input whose value is the query.
    pub query: &'a str,
    /// Name of the template's input that takes the passages, one a line.
    pub into: &'a str,
    /// Passages to ask for, at most [`PASSAGES_MAX`].
    pub count: usize,
}

impl Choice {
    /// As [`Choice::render`], with passages found for one of the inputs.
    ///
    /// # Errors
    /// [`Error::MissingInput`] when the query is not among the inputs, [`Error::Limit`] for too many
    /// passages, [`Error::Retrieval`], and those of [`Choice::render`].
    pub fn render_retrieved(
        &self,
        inputs: &[(&str, &str)],
        retrieval: Retrieval<'_>,
        retriever: &dyn Retriever,
    ) -> Result<String> {
        if retrieval.count > PASSAGES_MAX {
            return Err(Error::Limit {
                what: "number of passages",
                found: retrieval.count,
                limit: PASSAGES_MAX,
            });
        }
        let (_, query) = inputs
            .iter()
            .find(|(name, _)| *name == retrieval.query)
            .ok_or_else(|| Error::MissingInput {
                name: retrieval.query.to_owned(),
            })?;
        let mut passages = retriever
            .retrieve(query, retrieval.count)
            .map_err(|cause| Error::Retrieval {
                cause: cause.to_string(),
            })?;
        passages.truncate(retrieval.count);
        let joined = passages.join("\n");
        let mut all = inputs.to_vec();
        all.push((retrieval.into, &joined));
        self.render(&all)
    }
}
