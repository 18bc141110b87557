//! A TFLite graph as an ONNX model, operator set 13.
//!
//! TFLite keeps pictures as rows, columns, channels; ONNX convolves channels, rows, columns. The input is
//! transposed once, weights are laid out anew, and what is reshaped is transposed back before.

use std::collections::BTreeSet;

use prost::Message;

use super::tflite::{Activation, Constant, Convolution, Graph, Kind, Operator, TensorId};

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 13;
const TO_CHANNELS_FIRST: [i64; 4] = [0, 3, 1, 2];
const TO_CHANNELS_LAST: [i64; 4] = [0, 2, 3, 1];

// The parts of onnx.proto that are written here, with its field numbers.

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetProto {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<ShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<DimensionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct DimensionProto {
    #[prost(int64, tag = "1")]
    dim_value: i64,
}

/// The model's bytes.
pub(super) fn write(graph: &Graph) -> Result<Vec<u8>, String> {
    let mut writer = Writer {
        graph,
        onnx: GraphProto::default(),
        channels_first: BTreeSet::new(),
        widened: Vec::new(),
    };
    writer.write()?;
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "edgeweave".into(),
        graph: Some(writer.onnx),
        opset_import: vec![OperatorSetProto {
            version: OPERATOR_SET,
        }],
    };
    Ok(model.encode_to_vec())
}

struct Writer<'a> {
    graph: &'a Graph,
    onnx: GraphProto,
    /// Tensors that are channels, rows, columns by now.
    channels_first: BTreeSet<TensorId>,
    /// Constants in single precision: the tensor that is used, the tensor that holds the data.
    widened: Vec<(TensorId, TensorId)>,
}

fn name(id: TensorId) -> String {
    format!("t{id}")
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        kind: 7,
        ..Default::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i,
        kind: 2,
        ..Default::default()
    }
}

impl Writer<'_> {
    fn write(&mut self) -> Result<(), String> {
        self.onnx.name = "ssd".into();
        let [input] = self.graph.inputs.as_slice() else {
            return Err("not exactly one input".into());
        };
        self.onnx.input.push(self.value("input", *input)?);
        self.node(
            "Transpose",
            &["input".into()],
            name(*input),
            vec![ints("perm", &TO_CHANNELS_FIRST)],
        );
        self.channels_first.insert(*input);
        self.floats("zero", &[], vec![0.0]);
        self.floats("six", &[], vec![6.0]);
        for operator in &self.graph.operators {
            self.operator(operator)?;
        }
        for output in &self.graph.outputs {
            self.onnx.output.push(self.value(&name(*output), *output)?);
        }
        Ok(())
    }

    fn operator(&mut self, operator: &Operator) -> Result<(), String> {
        let Operator {
            kind,
            inputs,
            output,
        } = operator;
        match kind {
            Kind::Widen => self.widened.push((*output, inputs[0])),
            Kind::Conv(convolution) => self.convolve(convolution, inputs, *output)?,
            Kind::Add(activation) => {
                if inputs.iter().any(|id| !self.channels_first.contains(id)) {
                    return Err("a sum of what is no picture".into());
                }
                let names: Vec<String> = inputs.iter().map(|id| name(*id)).collect();
                self.activated("Add", &names, *output, vec![], *activation);
                self.channels_first.insert(*output);
            }
            Kind::Reshape => {
                let mut from = name(inputs[0]);
                if self.channels_first.contains(&inputs[0]) {
                    let last = format!("{}last", name(*output));
                    self.node(
                        "Transpose",
                        &[from],
                        last.clone(),
                        vec![ints("perm", &TO_CHANNELS_LAST)],
                    );
                    from = last;
                }
                let shape = format!("{}shape", name(*output));
                let sides = self.shape(*output)?.clone();
                let raw = sides.iter().flat_map(|side| side.to_le_bytes()).collect();
                self.tensor(&shape, &[sides.len() as i64], INT64, raw);
                self.node("Reshape", &[from, shape], name(*output), vec![]);
            }
            Kind::Concat { axis } => {
                if inputs.iter().any(|id| self.channels_first.contains(id)) {
                    return Err("pictures are put together".into());
                }
                let names: Vec<String> = inputs.iter().map(|id| name(*id)).collect();
                self.node("Concat", &names, name(*output), vec![int("axis", *axis)]);
            }
        }
        Ok(())
    }

    fn convolve(
        &mut self,
        convolution: &Convolution,
        inputs: &[TensorId],
        output: TensorId,
    ) -> Result<(), String> {
        let [picture, weights, bias] = inputs else {
            return Err("a convolution without bias".into());
        };
        if !self.channels_first.contains(picture) {
            return Err("a convolution of what is no picture".into());
        }
        let (data, shape) = self.constant(*weights)?;
        let [a, rows, columns, b] = shape[..] else {
            return Err("weights that are not four-dimensional".into());
        };
        // Ordinary: out, rows, columns, in. Depthwise: 1, rows, columns, channels.
        let (out, inside, groups) = if convolution.depthwise {
            (b, 1, b)
        } else {
            (a, b, 1)
        };
        let (row, column, channel) = (columns * b, b, 1);
        let mut laid = Vec::with_capacity(data.len());
        for o in 0..out {
            for i in 0..inside {
                for y in 0..rows {
                    for x in 0..columns {
                        let start = if convolution.depthwise {
                            o * channel
                        } else {
                            o * rows * row + i * channel
                        };
                        laid.push(data[(start + y * row + x * column) as usize]);
                    }
                }
            }
        }
        let (bias, bias_shape) = self.constant(*bias)?;
        let (w, b) = (format!("{}w", name(output)), format!("{}b", name(output)));
        self.floats(&w, &[out, inside, rows, columns], laid);
        self.floats(&b, &bias_shape, bias);
        let padding = if convolution.same {
            b"SAME_UPPER".to_vec()
        } else {
            b"VALID".to_vec()
        };
        let attributes = vec![
            AttributeProto {
                name: "auto_pad".into(),
                s: padding,
                kind: 3,
                ..Default::default()
            },
            int("group", groups),
            ints("kernel_shape", &[rows, columns]),
            ints("strides", &convolution.strides),
        ];
        self.activated(
            "Conv",
            &[name(*picture), w, b],
            output,
            attributes,
            convolution.activation,
        );
        self.channels_first.insert(output);
        Ok(())
    }

    /// A node, and behind it the clip to 0..=6 that was fused with it.
    fn activated(
        &mut self,
        kind: &str,
        inputs: &[String],
        output: TensorId,
        attributes: Vec<AttributeProto>,
        activation: Activation,
    ) {
        match activation {
            Activation::None => self.node(kind, inputs, name(output), attributes),
            Activation::Relu6 => {
                let raw = format!("{}raw", name(output));
                self.node(kind, inputs, raw.clone(), attributes);
                self.node(
                    "Clip",
                    &[raw, "zero".into(), "six".into()],
                    name(output),
                    vec![],
                );
            }
        }
    }

    fn node(
        &mut self,
        kind: &str,
        inputs: &[String],
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        let node = NodeProto {
            input: inputs.to_vec(),
            output: vec![output],
            op_type: kind.into(),
            attribute,
        };
        self.onnx.node.push(node);
    }

    fn floats(&mut self, name: &str, dims: &[i64], data: Vec<f32>) {
        let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, dims, FLOAT, raw);
    }

    fn tensor(&mut self, name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) {
        let tensor = TensorProto {
            dims: dims.to_vec(),
            data_type,
            name: name.into(),
            raw_data,
        };
        self.onnx.initializer.push(tensor);
    }

    /// A constant's data and shape, through its widening.
    fn constant(&self, id: TensorId) -> Result<(Vec<f32>, Vec<i64>), String> {
        let held = self
            .widened
            .iter()
            .find(|(used, _)| *used == id)
            .map_or(id, |(_, held)| *held);
        match self.graph.constants.get(&held) {
            Some(Constant::Floats(data)) => Ok((data.clone(), self.shape(held)?.clone())),
            _ => Err(format!("tensor {id} is no constant of numbers")),
        }
    }

    fn shape(&self, id: TensorId) -> Result<&Vec<i64>, String> {
        self.graph
            .shapes
            .get(id as usize)
            .ok_or_else(|| format!("there is no tensor {id}"))
    }

    fn value(&self, name: &str, id: TensorId) -> Result<ValueProto, String> {
        let dim = self
            .shape(id)?
            .iter()
            .map(|side| DimensionProto { dim_value: *side })
            .collect();
        let tensor = TensorTypeProto {
            elem_type: FLOAT,
            shape: Some(ShapeProto { dim }),
        };
        Ok(ValueProto {
            name: name.into(),
            kind: Some(TypeProto {
                tensor: Some(tensor),
            }),
        })
    }
}
