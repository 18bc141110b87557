//! The tensors of a Llama model, each in the two forms that its two uses want.

use std::fs::File;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};

use super::{failed, values};
use crate::error::{Error, Result};

/// Largest value that any size in a file may have.
const SIZE_MAX: usize = 1 << 20;

/// Sizes of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    pub(super) head_width: usize,
    pub(super) inner_width: usize,
    pub(super) vocabulary: usize,
    pub(super) context_tokens: usize,
    pub(super) norm_epsilon: f64,
    pub(super) rotation_base: f32,
}

/// A matrix of `[out, in]`: single precision for many rows, Q8_0 for one row.
#[derive(Debug)]
pub(super) struct Matrix {
    exact: Tensor,
    small: QMatMul,
}

impl Matrix {
    fn new(exact: &Tensor) -> candle_core::Result<Self> {
        let small = QMatMul::from_qtensor(QTensor::quantize(exact, GgmlDType::Q8_0)?)?;
        Ok(Self {
            exact: exact.t()?,
            small,
        })
    }

    /// `rows` of `[n, in]` times the matrix in single precision.
    pub(super) fn many(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        rows.matmul(&self.exact)
    }

    /// One row `[1, in]` times the 8-bit matrix.
    pub(super) fn one(&self, row: &Tensor) -> candle_core::Result<Tensor> {
        self.small.forward(row)
    }
}

/// One block: queries, keys and values come from one product, gate and up from another.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Tensor,
    pub(super) query_key_value: Matrix,
    pub(super) attention_out: Matrix,
    pub(super) inner_norm: Tensor,
    pub(super) gate_up: Matrix,
    pub(super) down: Matrix,
}

#[derive(Debug)]
pub(super) struct Weights {
    pub(super) shape: Shape,
    pub(super) embedding: Tensor,
    pub(super) layers: Vec<Layer>,
    pub(super) last_norm: Tensor,
    pub(super) head: Matrix,
    pub(super) cos: Tensor,
    pub(super) sin: Tensor,
}

impl Weights {
    pub(super) fn load(content: &Content, file: &mut File) -> Result<Self> {
        let shape = Shape::read(content)?;
        let device = Device::Cpu;
        let mut read = |name: String, expected: &[usize]| -> Result<Tensor> {
            let tensor = content
                .tensor(file, &name, &device)
                .and_then(|tensor| tensor.dequantize(&device))
                .map_err(|cause| Error::Model {
                    action: "read a tensor",
                    cause: format!("`{name}`: {cause}"),
                })?;
            if tensor.dims() != expected {
                return Err(Error::Model {
                    action: "read a tensor",
                    cause: format!("`{name}` is {:?}, expected {expected:?}", tensor.dims()),
                });
            }
            Ok(tensor)
        };
        let Shape {
            width, inner_width, ..
        } = shape;
        let query_width = shape.heads * shape.head_width;
        let key_width = shape.key_heads * shape.head_width;
        let matrix = |parts: &[Tensor]| {
            Tensor::cat(parts, 0)
                .and_then(|whole| Matrix::new(&whole))
                .map_err(failed("requantise a tensor"))
        };
        let mut layers = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let mut part =
                |name: &str, dims: &[usize]| read(format!("blk.{layer}.{name}.weight"), dims);
            let query_key_value = [
                part("attn_q", &[query_width, width])?,
                part("attn_k", &[key_width, width])?,
                part("attn_v", &[key_width, width])?,
            ];
            let gate_up = [
                part("ffn_gate", &[inner_width, width])?,
                part("ffn_up", &[inner_width, width])?,
            ];
            layers.push(Layer {
                attention_norm: part("attn_norm", &[width])?,
                query_key_value: matrix(&query_key_value)?,
                attention_out: matrix(&[part("attn_output", &[width, query_width])?])?,
                inner_norm: part("ffn_norm", &[width])?,
                gate_up: matrix(&gate_up)?,
                down: matrix(&[part("ffn_down", &[width, inner_width])?])?,
            });
        }
        let embedding = read("token_embd.weight".to_owned(), &[shape.vocabulary, width])?;
        let last_norm = read("output_norm.weight".to_owned(), &[width])?;
        // Small models use the embedding as the last matrix too.
        let head = if content.tensor_infos.contains_key("output.weight") {
            read("output.weight".to_owned(), &[shape.vocabulary, width])?
        } else {
            embedding.clone()
        };
        let (cos, sin) = shape.rotations().map_err(failed("prepare the rotations"))?;
        Ok(Self {
            shape,
            head: Matrix::new(&head).map_err(failed("requantise a tensor"))?,
            embedding,
            layers,
            last_norm,
            cos,
            sin,
        })
    }

    /// Logits of the given rows of the last layer's output, one vocabulary after another.
    pub(super) fn logits(&self, hidden: &Tensor, rows: &[usize]) -> Result<Vec<f32>> {
        let action = "compute the logits";
        let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        let count = rows.len();
        let logits = Tensor::from_vec(rows, count, hidden.device())
            .and_then(|rows| hidden.index_select(&rows, 0))
            .and_then(|rows| self.normed(&rows, &self.last_norm))
            .and_then(|rows| self.head.many(&rows))
            .map_err(failed(action))?;
        values(&logits, action)
    }

    pub(super) fn normed(&self, rows: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
        candle_nn::ops::rms_norm(rows, weight, self.shape.norm_epsilon as f32)
    }
}

impl Shape {
    fn read(content: &Content) -> Result<Self> {
        let refused = |cause: String| Error::Model {
            action: "read the GGUF header",
            cause,
        };
        let text = content
            .metadata
            .get("general.architecture")
            .and_then(|v| v.to_string().ok());
        match text.map(String::as_str) {
            Some("llama") => {}
            other => {
                let found = other.unwrap_or("none");
                return Err(refused(format!(
                    "the architecture is `{found}`, known is `llama`"
                )));
            }
        }
        let size = |key: &str| -> Result<usize> {
            let value = content
                .metadata
                .get(&format!("llama.{key}"))
                .and_then(|v| v.to_u32().ok());
            match value {
                Some(value) if value > 0 && value as usize <= SIZE_MAX => Ok(value as usize),
                Some(value) => Err(refused(format!(
                    "`llama.{key}` is {value}, the limit is {SIZE_MAX}"
                ))),
                None => Err(refused(format!("`llama.{key}` is missing"))),
            }
        };
        let real = |key: &str| {
            content
                .metadata
                .get(&format!("llama.{key}"))
                .and_then(|v| v.to_f32().ok())
        };
        let width = size("embedding_length")?;
        let heads = size("attention.head_count")?;
        let key_heads = size("attention.head_count_kv").unwrap_or(heads);
        if !width.is_multiple_of(heads) || !heads.is_multiple_of(key_heads) {
            return Err(refused(format!(
                "width {width}, {heads} heads and {key_heads} key heads do not divide one another"
            )));
        }
        let head_width = width / heads;
        let rotated = size("rope.dimension_count").unwrap_or(head_width);
        if rotated != head_width {
            return Err(refused(format!(
                "{rotated} of {head_width} values of a head are rotated, known is all"
            )));
        }
        let vocabulary = content
            .tensor_infos
            .get("token_embd.weight")
            .and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| refused("`token_embd.weight` is missing".to_owned()))?;
        Ok(Self {
            width,
            layers: size("block_count")?,
            heads,
            key_heads,
            head_width,
            inner_width: size("feed_forward_length")?,
            vocabulary,
            context_tokens: size("context_length")?.min(8192),
            norm_epsilon: f64::from(real("attention.layer_norm_rms_epsilon").unwrap_or(1e-5)),
            rotation_base: real("rope.freq_base").unwrap_or(10_000.0),
        })
    }

    fn rotations(&self) -> candle_core::Result<(Tensor, Tensor)> {
        let half = self.head_width / 2;
        let rates: Vec<f32> = (0..half)
            .map(|i| {
                self.rotation_base
                    .powf(-2.0 * i as f32 / self.head_width as f32)
            })
            .collect();
        let angles: Vec<f32> = (0..self.context_tokens)
            .flat_map(|position| rates.iter().map(move |rate| position as f32 * rate))
            .collect();
        let angles = Tensor::from_vec(angles, (self.context_tokens, half), &Device::Cpu)?;
        Ok((angles.cos()?, angles.sin()?))
    }
}
