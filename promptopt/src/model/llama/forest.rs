//! One pass of the model over many prompts at once, without padding.
//!
//! The tokens of all prompts lie one after another in one matrix, so the large products see one tall
//! matrix. Each token knows its parent: a prompt is a chain, options branch off its end. A token attends
//! to the shared prefix, to its ancestors and to itself; all else is masked. Attention is quadratic in
//! the pass's tokens, which `PACK_TOKENS_MAX` keeps to a small part of the work.

use candle_core::{D, Device, Tensor};

use super::failed;
use super::prefix::KeyValues;
use super::weights::{Layer, Weights};
use crate::error::Result;

/// Tokens with their parents, parents first.
#[derive(Debug)]
pub(super) struct Forest {
    prefix_tokens: usize,
    tokens: Vec<u32>,
    parents: Vec<Option<usize>>,
    depths: Vec<usize>,
}

impl Forest {
    /// An empty forest behind a prefix of so many tokens.
    pub(super) fn new(prefix_tokens: usize) -> Self {
        Self {
            prefix_tokens,
            tokens: Vec::new(),
            parents: Vec::new(),
            depths: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Adds tokens one behind the other, the first behind `parent` or the prefix; gives the last node.
    pub(super) fn push_chain(&mut self, parent: Option<usize>, tokens: &[u32]) -> usize {
        let mut parent = parent;
        for token in tokens {
            let depth = parent.map_or(0, |node| self.depths[node] + 1);
            self.tokens.push(*token);
            self.parents.push(parent);
            self.depths.push(depth);
            parent = Some(self.tokens.len() - 1);
        }
        parent.unwrap_or(0)
    }

    /// Output of the last layer for every token, and the keys and values of every layer.
    pub(super) fn run(
        &self,
        weights: &Weights,
        prefix: Option<&KeyValues>,
    ) -> Result<(Tensor, KeyValues)> {
        self.try_run(weights, prefix)
            .map_err(failed("run the model"))
    }

    fn try_run(
        &self,
        weights: &Weights,
        prefix: Option<&KeyValues>,
    ) -> candle_core::Result<(Tensor, KeyValues)> {
        let device = &Device::Cpu;
        let count = self.len();
        let positions: Vec<u32> = self
            .depths
            .iter()
            .map(|depth| (self.prefix_tokens + depth) as u32)
            .collect();
        let positions = Tensor::from_vec(positions, count, device)?;
        let cos = weights.cos.index_select(&positions, 0)?;
        let sin = weights.sin.index_select(&positions, 0)?;
        let mask = self.mask(weights.shape.heads / weights.shape.key_heads)?;
        let tokens = Tensor::from_slice(&self.tokens, count, device)?;
        let mut hidden = weights.embedding.index_select(&tokens, 0)?;
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (index, layer) in weights.layers.iter().enumerate() {
            let earlier = prefix.map(|prefix| &prefix.layers[index]);
            let (next, keys, values) =
                block(weights, layer, &hidden, (&cos, &sin), &mask, earlier)?;
            hidden = next;
            layers.push((keys, values));
        }
        Ok((hidden, KeyValues { layers }))
    }

    /// `[group x tokens, prefix + tokens]`: 0 where a token may look, minus infinity elsewhere.
    fn mask(&self, group: usize) -> candle_core::Result<Tensor> {
        let count = self.len();
        let columns = self.prefix_tokens + count;
        let mut rows = vec![f32::NEG_INFINITY; count * columns];
        for node in 0..count {
            let row = &mut rows[node * columns..(node + 1) * columns];
            row[..self.prefix_tokens].fill(0.0);
            let mut ancestor = Some(node);
            while let Some(at) = ancestor {
                row[self.prefix_tokens + at] = 0.0;
                ancestor = self.parents[at];
            }
        }
        Tensor::from_vec(
            rows.repeat(group),
            (1, group * count, columns),
            &Device::Cpu,
        )
    }
}

/// One layer over all tokens; gives the output and the keys and values of these tokens alone,
/// `[key heads, tokens, head width]`.
fn block(
    weights: &Weights,
    layer: &Layer,
    hidden: &Tensor,
    (cos, sin): (&Tensor, &Tensor),
    mask: &Tensor,
    earlier: Option<&(Tensor, Tensor)>,
) -> candle_core::Result<(Tensor, Tensor, Tensor)> {
    let shape = &weights.shape;
    let count = hidden.dim(0)?;
    let width = shape.head_width;
    let (query_width, key_width) = (shape.heads * width, shape.key_heads * width);

    let normed = weights.normed(hidden, &layer.attention_norm)?;
    let joined = layer.query_key_value.many(&normed)?;
    let heads = |from: usize, heads: usize| {
        joined
            .narrow(1, from, heads * width)?
            .reshape((1, count, heads, width))?
            .transpose(1, 2)?
            .contiguous()
    };
    let queries = candle_nn::rotary_emb::rope_i(&heads(0, shape.heads)?, cos, sin)?;
    let keys = candle_nn::rotary_emb::rope_i(&heads(query_width, shape.key_heads)?, cos, sin)?;
    let keys = keys.squeeze(0)?;
    let values = heads(query_width + key_width, shape.key_heads)?.squeeze(0)?;
    let (all_keys, all_values) = match earlier {
        Some((k, v)) => (Tensor::cat(&[k, &keys], 1)?, Tensor::cat(&[v, &values], 1)?),
        None => (keys.clone(), values.clone()),
    };
    // The query heads that share a key head lie one behind the other, so they become rows of one product.
    let group = shape.heads / shape.key_heads;
    let queries = queries.reshape((shape.key_heads, group * count, width))?;
    let scale = 1.0 / (width as f64).sqrt();
    let scores = (queries.matmul(&all_keys.t()?)? * scale)?.broadcast_add(mask)?;
    let shares = candle_nn::ops::softmax_last_dim(&scores)?;
    let attended = shares
        .matmul(&all_values)?
        .reshape((shape.heads, count, width))?
        .transpose(0, 1)?
        .contiguous()?
        .reshape((count, query_width))?;
    let hidden = (hidden + layer.attention_out.many(&attended)?)?;

    let normed = weights.normed(&hidden, &layer.inner_norm)?;
    let joined = layer.gate_up.many(&normed)?;
    let gate = joined
        .narrow(D::Minus1, 0, shape.inner_width)?
        .contiguous()?;
    let up = joined.narrow(D::Minus1, shape.inner_width, shape.inner_width)?;
    let inner = (candle_nn::ops::silu(&gate)? * up)?;
    let hidden = (hidden + layer.down.many(&inner)?)?;
    Ok((hidden, keys, values))
}

/// Logarithm of the sum of the exponentials, without overflow.
pub(super) fn log_sum_exp(values: &[f32]) -> f64 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = values
        .iter()
        .map(|value| f64::from((value - largest).exp()))
        .sum();
    f64::from(largest) + sum.ln()
}
