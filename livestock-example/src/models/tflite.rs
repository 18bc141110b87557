//! The operators of a TFLite model, as far as SSD-MobileNetV2 uses them.
//!
//! Numbers of fields, operators and types are those of TensorFlow Lite's schema, version 3.

use std::collections::BTreeMap;

use half::f16;

use super::flatbuffer::{Result, Table};

/// The number of a tensor.
pub(super) type TensorId = i32;

const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
const INT32: u8 = 2;

/// The most elements that a tensor may have.
const ELEMENTS_MAX: usize = 64 << 20;

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Floats(Vec<f32>),
    Ints(Vec<i32>),
}

/// What follows a sum or a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Relu6,
}

/// How a convolution moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Convolution {
    pub same: bool,
    /// Down, across.
    pub strides: [i64; 2],
    pub activation: Activation,
    pub depthwise: bool,
}

/// What an operator does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Add(Activation),
    Concat {
        axis: i64,
    },
    Conv(Convolution),
    /// A constant in half precision is used in single precision.
    Widen,
    Reshape,
}

/// One operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operator {
    pub kind: Kind,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

/// A model with one graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Graph {
    pub shapes: Vec<Vec<i64>>,
    pub constants: BTreeMap<TensorId, Constant>,
    pub operators: Vec<Operator>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
}

impl Graph {
    /// Reads a file.
    ///
    /// # Errors
    /// What is damaged or not known.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err("it is no TFLite file (bytes 4 to 7 are not TFL3)".into());
        }
        let model = Table::root(bytes)?;
        let buffers = model.tables(4)?;
        let codes = model.tables(1)?;
        let graphs = model.tables(2)?;
        let [graph] = graphs.as_slice() else {
            return Err(format!("it holds {} graphs, not one", graphs.len()));
        };
        let mut shapes = Vec::new();
        let mut constants = BTreeMap::new();
        for (id, tensor) in graph.tables(0)?.iter().enumerate() {
            let shape: Vec<i64> = tensor.ints(0)?.into_iter().map(i64::from).collect();
            let buffer = tensor.int(2, 0)? as usize;
            let data = buffers
                .get(buffer)
                .ok_or("a tensor without a buffer")?
                .bytes(0)?;
            if !data.is_empty() {
                constants.insert(id as TensorId, constant(tensor.byte(1, 0)?, &shape, data)?);
            }
            shapes.push(shape);
        }
        let operators = graph
            .tables(3)?
            .iter()
            .map(|operator| read_operator(operator, &codes, shapes.len()))
            .collect::<Result<_>>()?;
        Ok(Self {
            shapes,
            constants,
            operators,
            inputs: graph.ints(1)?,
            outputs: graph.ints(2)?,
        })
    }
}

fn constant(kind: u8, shape: &[i64], data: &[u8]) -> Result<Constant> {
    let count = shape.iter().try_fold(1_usize, |n, side| {
        n.checked_mul(usize::try_from(*side).ok()?)
    });
    let count = count
        .filter(|n| *n <= ELEMENTS_MAX)
        .ok_or("a tensor of impossible size")?;
    let width = if kind == FLOAT16 { 2 } else { 4 };
    if data.len() != count * width {
        return Err(format!(
            "a tensor of {count} elements has {} bytes",
            data.len()
        ));
    }
    let words = data.chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]);
    match kind {
        FLOAT32 => Ok(Constant::Floats(words.map(f32::from_le_bytes).collect())),
        FLOAT16 => {
            let halves = data
                .chunks_exact(2)
                .map(|c| f16::from_le_bytes([c[0], c[1]]).to_f32());
            Ok(Constant::Floats(halves.collect()))
        }
        INT32 => Ok(Constant::Ints(words.map(i32::from_le_bytes).collect())),
        other => Err(format!("a tensor of type {other} is not known")),
    }
}

fn read_operator(operator: &Table<'_>, codes: &[Table<'_>], tensors: usize) -> Result<Operator> {
    let code = codes
        .get(operator.int(0, 0)? as usize)
        .ok_or("an operator without a code")?;
    let code = i32::from(code.byte(0, 0)?).max(code.int(3, 0)?);
    let options = operator.table(4)?;
    let inputs = operator.ints(1)?;
    let outputs = operator.ints(2)?;
    let [output] = outputs.as_slice() else {
        return Err("an operator without exactly one output".into());
    };
    if inputs
        .iter()
        .chain(&outputs)
        .any(|id| *id < 0 || *id as usize >= tensors)
    {
        return Err("an operator on a tensor that is not there".into());
    }
    let byte = |slot| options.map_or(Ok(0), |table| table.byte(slot, 0));
    let int = |slot, default| options.map_or(Ok(default), |table| table.int(slot, default));
    let convolution = |depthwise: bool| -> Result<Kind> {
        // Between the strides and the activation a depthwise convolution has its multiplier.
        let skip = usize::from(depthwise);
        if int(4 + skip, 1)? != 1 || int(5 + skip, 1)? != 1 {
            return Err("a convolution with dilation".into());
        }
        Ok(Kind::Conv(Convolution {
            same: byte(0)? == 0,
            strides: [i64::from(int(2, 1)?), i64::from(int(1, 1)?)],
            activation: activation(byte(3 + skip)?)?,
            depthwise,
        }))
    };
    let (kind, wanted) = match code {
        0 => (Kind::Add(activation(byte(0)?)?), 2),
        2 => (
            Kind::Concat {
                axis: i64::from(int(0, 0)?),
            },
            inputs.len(),
        ),
        3 => (convolution(false)?, 3),
        4 => (convolution(true)?, 3),
        6 => (Kind::Widen, 1),
        22 => (Kind::Reshape, inputs.len().max(1)),
        other => return Err(format!("operator {other} is not known")),
    };
    if inputs.len() != wanted {
        return Err(format!(
            "operator {code} has {} inputs, not {wanted}",
            inputs.len()
        ));
    }
    Ok(Operator {
        kind,
        inputs,
        output: *output,
    })
}

fn activation(code: u8) -> Result<Activation> {
    match code {
        0 => Ok(Activation::None),
        3 => Ok(Activation::Relu6),
        other => Err(format!("activation {other} is not known")),
    }
}
