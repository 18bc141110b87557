//! The caller's embedding model, named.

use crate::builder::DIM_MAX;
use crate::error::{Error, Result};

/// An error of the caller's code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Run = dyn Fn(&str) -> std::result::Result<Vec<f32>, BoxError> + Send + Sync;

/// Turns texts into vectors, by the caller's function. The tag names the model and its version:
/// vectors of different tags are never compared.
pub struct Embedder {
    tag: String,
    dim: usize,
    run: Box<Run>,
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder")
            .field("tag", &self.tag)
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

impl Embedder {
    /// An embedder that returns vectors with `dim` components.
    ///
    /// # Errors
    /// [`Error::Option`] if `dim` is not in 1..=[`DIM_MAX`].
    pub fn new(
        tag: impl Into<String>,
        dim: usize,
        run: impl Fn(&str) -> std::result::Result<Vec<f32>, BoxError> + Send + Sync + 'static,
    ) -> Result<Self> {
        if !(1..=DIM_MAX).contains(&dim) {
            return Err(Error::Option {
                option: "dim",
                got: dim as u64,
                allowed: "1..=65536",
            });
        }
        Ok(Self {
            tag: tag.into(),
            dim,
            run: Box::new(run),
        })
    }

    /// Name of the model.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Components of each vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The vector of a text.
    ///
    /// # Errors
    /// [`Error::Embed`] with what the function returned, [`Error::Dimension`] if the vector has
    /// another length than was promised.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>> {
        let vector = (self.run)(text).map_err(Error::Embed)?;
        if vector.len() != self.dim {
            return Err(Error::Dimension {
                got: vector.len(),
                want: self.dim,
            });
        }
        Ok(vector)
    }
}
