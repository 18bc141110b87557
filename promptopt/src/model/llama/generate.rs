//! Text, one token at a time.

use candle_core::{D, Device, Tensor};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::forest::Forest;
use super::tokenizer::TextTokenizer;
use super::weights::{Layer, Weights};
use super::{GenerateOptions, failed, values};
use crate::error::{Error, Result};

/// Keys and values of one layer with room for the tokens to come.
#[derive(Debug)]
struct Growing {
    keys: Tensor,
    values: Tensor,
}

pub(super) fn generate(
    weights: &Weights,
    tokenizer: &TextTokenizer,
    prompt: &[u32],
    options: &GenerateOptions,
) -> Result<String> {
    if !(options.temperature >= 0.0 && options.temperature.is_finite()) {
        return Err(Error::OutOfRange {
            what: "temperature",
            found: options.temperature,
            expected: "0 or more",
        });
    }
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut forest = Forest::new(0);
    let tail = forest.push_chain(None, prompt);
    let (hidden, prefix) = forest.run(weights, None)?;
    let room = prompt.len() + options.tokens_max;
    let mut cache = prefix
        .layers
        .into_iter()
        .map(|(keys, values)| {
            Ok(Growing {
                keys: grown(&keys, room)?,
                values: grown(&values, room)?,
            })
        })
        .collect::<candle_core::Result<Vec<_>>>()
        .map_err(failed("make room for the answer"))?;
    let mut logits = weights.logits(&hidden, &[tail])?;
    let mut tokens = Vec::new();
    let mut text = String::new();
    while tokens.len() < options.tokens_max {
        let token = pick(&logits, options.temperature, &mut random);
        if tokenizer.ends(token) {
            break;
        }
        tokens.push(token);
        text = tokenizer.decode(&tokens)?;
        if let Some(at) = options
            .stop
            .iter()
            .filter_map(|stop| text.find(stop.as_str()))
            .min()
        {
            text.truncate(at);
            break;
        }
        if tokens.len() < options.tokens_max {
            let position = prompt.len() + tokens.len() - 1;
            let row =
                step(weights, &mut cache, token, position).map_err(failed("run the model"))?;
            logits = values(&row, "run the model")?;
        }
    }
    Ok(text)
}

fn grown(tensor: &Tensor, room: usize) -> candle_core::Result<Tensor> {
    let (heads, tokens, width) = tensor.dims3()?;
    let buffer = Tensor::zeros(
        (heads, room.max(tokens), width),
        tensor.dtype(),
        &Device::Cpu,
    )?;
    buffer.slice_set(tensor, 1, 0)?;
    Ok(buffer)
}

fn pick(logits: &[f32], temperature: f64, random: &mut ChaCha8Rng) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    let (best, largest) = best.map_or((0, 0.0), |(at, value)| (at, *value));
    if temperature == 0.0 {
        return best as u32;
    }
    let weight = |value: &f32| (f64::from(value - largest) / temperature).exp();
    let total: f64 = logits.iter().map(weight).sum();
    let mut left = random.random::<f64>() * total;
    for (at, value) in logits.iter().enumerate() {
        left -= weight(value);
        if left <= 0.0 {
            return at as u32;
        }
    }
    best as u32
}

/// One token through all layers; gives its logits.
fn step(
    weights: &Weights,
    cache: &mut [Growing],
    token: u32,
    position: usize,
) -> candle_core::Result<Tensor> {
    let token = Tensor::from_slice(&[token], 1, &Device::Cpu)?;
    let mut hidden = weights.embedding.index_select(&token, 0)?;
    let cos = weights.cos.narrow(0, position, 1)?;
    let sin = weights.sin.narrow(0, position, 1)?;
    for (layer, cache) in weights.layers.iter().zip(cache) {
        hidden = block(weights, layer, cache, &hidden, (&cos, &sin), position)?;
    }
    let normed = weights.normed(&hidden, &weights.last_norm)?;
    weights.head.one(&normed)
}

fn block(
    weights: &Weights,
    layer: &Layer,
    cache: &Growing,
    hidden: &Tensor,
    (cos, sin): (&Tensor, &Tensor),
    position: usize,
) -> candle_core::Result<Tensor> {
    let shape = &weights.shape;
    let width = shape.head_width;
    let (query_width, key_width) = (shape.heads * width, shape.key_heads * width);
    let joined = layer
        .query_key_value
        .one(&weights.normed(hidden, &layer.attention_norm)?)?;
    let heads = |from: usize, heads: usize| {
        joined
            .narrow(1, from, heads * width)?
            .reshape((1, heads, 1, width))?
            .contiguous()
    };
    let queries = candle_nn::rotary_emb::rope_i(&heads(0, shape.heads)?, cos, sin)?;
    let keys = candle_nn::rotary_emb::rope_i(&heads(query_width, shape.key_heads)?, cos, sin)?;
    let values = heads(query_width + key_width, shape.key_heads)?;
    cache.keys.slice_set(&keys.squeeze(0)?, 1, position)?;
    cache.values.slice_set(&values.squeeze(0)?, 1, position)?;
    let keys = cache.keys.narrow(1, 0, position + 1)?;
    let values = cache.values.narrow(1, 0, position + 1)?;
    let group = shape.heads / shape.key_heads;
    let queries = queries.reshape((shape.key_heads, group, width))?;
    let scores = (queries.matmul(&keys.t()?)? * (1.0 / (width as f64).sqrt()))?;
    let shares = candle_nn::ops::softmax_last_dim(&scores)?;
    let attended = shares.matmul(&values)?.reshape((1, query_width))?;
    let hidden = (hidden + layer.attention_out.one(&attended)?)?;

    let joined = layer
        .gate_up
        .one(&weights.normed(&hidden, &layer.inner_norm)?)?;
    let gate = joined
        .narrow(D::Minus1, 0, shape.inner_width)?
        .contiguous()?;
    let up = joined.narrow(D::Minus1, shape.inner_width, shape.inner_width)?;
    let inner = (candle_nn::ops::silu(&gate)? * up)?;
    hidden + layer.down.one(&inner)?
}
