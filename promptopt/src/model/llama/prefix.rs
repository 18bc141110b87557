//! Keys and values of prompt starts, kept so that the fixed part of a prompt is computed once.

use candle_core::Tensor;

use super::forest::Forest;
use super::weights::Weights;
use super::{PREFIX_TOKENS_MAX, common, failed};
use crate::error::Result;

/// Keys and values of every layer, each `[key heads, tokens, head width]`.
#[derive(Clone, Debug)]
pub(super) struct KeyValues {
    pub(super) layers: Vec<(Tensor, Tensor)>,
}

impl KeyValues {
    fn map(
        &self,
        change: impl Fn(usize, &Tensor, &Tensor) -> candle_core::Result<(Tensor, Tensor)>,
    ) -> Result<Self> {
        let layers = self
            .layers
            .iter()
            .enumerate()
            .map(|(index, (keys, values))| change(index, keys, values))
            .collect::<candle_core::Result<_>>()
            .map_err(failed("cut the prefix"))?;
        Ok(Self { layers })
    }

    fn first(&self, tokens: usize) -> Result<Self> {
        self.map(|_, keys, values| {
            Ok((
                keys.narrow(1, 0, tokens)?.contiguous()?,
                values.narrow(1, 0, tokens)?.contiguous()?,
            ))
        })
    }

    fn extended(&self, by: &Self) -> Result<Self> {
        self.map(|index, keys, values| {
            let (more_keys, more_values) = &by.layers[index];
            Ok((
                Tensor::cat(&[keys, more_keys], 1)?,
                Tensor::cat(&[values, more_values], 1)?,
            ))
        })
    }
}

/// Prompt starts in the order of their last use, the most recent last.
#[derive(Debug, Default)]
pub(super) struct PrefixCache {
    entries: Vec<(Vec<u32>, KeyValues)>,
}

impl PrefixCache {
    /// Keys and values of exactly these tokens, from the longest known start; `None` for no token.
    pub(super) fn get(&mut self, weights: &Weights, tokens: &[u32]) -> Result<Option<KeyValues>> {
        if tokens.is_empty() {
            return Ok(None);
        }
        let best = (0..self.entries.len()).max_by_key(|at| common(&self.entries[*at].0, tokens));
        let known = best.map_or(0, |at| common(&self.entries[at].0, tokens));
        let base = match best {
            Some(at) if known > 0 => {
                let entry = self.entries.remove(at);
                let base = if entry.0.len() == known {
                    entry.1.clone()
                } else {
                    entry.1.first(known)?
                };
                self.entries.push(entry);
                Some(base)
            }
            _ => None,
        };
        if known == tokens.len() {
            return Ok(base);
        }
        let mut forest = Forest::new(known);
        forest.push_chain(None, &tokens[known..]);
        let (_, more) = forest.run(weights, base.as_ref())?;
        let whole = match base {
            Some(base) => base.extended(&more)?,
            None => more,
        };
        if tokens.len() <= PREFIX_TOKENS_MAX {
            // An entry that the new one starts with tells nothing more.
            self.entries.retain(|(held, _)| !tokens.starts_with(held));
            self.entries.push((tokens.to_vec(), whole.clone()));
            let mut held: usize = self.entries.iter().map(|(tokens, _)| tokens.len()).sum();
            while held > PREFIX_TOKENS_MAX {
                held -= self.entries.remove(0).0.len();
            }
        }
        Ok(Some(whole))
    }
}
