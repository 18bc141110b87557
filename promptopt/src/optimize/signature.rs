//! What a task reads and answers.

use crate::error::{Error, Result};

/// Type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of the answers in the data; an output alone.
    Label,
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A number.
    Float,
    /// A JSON object.
    Object,
}

/// One input or the output of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    kind: Kind,
}

impl Field {
    /// The name: the input's place in templates.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name as a heading: `sensor_readings` becomes `Sensor readings`.
    pub fn title(&self) -> String {
        let spaced = self.name.replace('_', " ");
        let mut letters = spaced.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default()
    }
}

/// Inputs, one output and what to do, such as `readings: text -> anomaly: bool`.
///
/// ```
/// use promptopt::optimize::{Kind, Signature};
/// let task = Signature::parse("readings: text -> anomaly: bool", "Say whether the sensor is failing.")?;
/// assert_eq!(task.inputs()[0].name(), "readings");
/// assert_eq!(task.output().kind(), Kind::Bool);
/// # Ok::<(), promptopt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    inputs: Vec<Field>,
    output: Field,
    instruction: String,
}

impl Signature {
    /// Parses `name: type, ... -> name: type`. Types are `text`, `bool`, `float`, `object` and, for the
    /// output, `label`; an input without one is a text, an output without one a label. Labels and truth
    /// values are chosen by their probabilities, all else is written by the model. `instruction` may be empty.
    ///
    /// # Errors
    /// [`Error::Signature`] with the part that is not understood.
    pub fn parse(text: &str, instruction: &str) -> Result<Self> {
        let refused = |cause: String| Error::Signature { cause };
        let (inputs, outputs) = text
            .split_once("->")
            .ok_or_else(|| refused(format!("`{text}` has no `->` between inputs and output")))?;
        let field = |part: &str, usual: &'static str| {
            let (name, kind) = part.split_once(':').unwrap_or((part, usual));
            let (name, kind) = (name.trim(), kind.trim());
            let valid = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !valid {
                return Err(refused(format!(
                    "`{name}` is no name of letters, digits and `_`"
                )));
            }
            let kind = match kind {
                "text" | "str" => Kind::Text,
                "bool" => Kind::Bool,
                "float" => Kind::Float,
                "object" => Kind::Object,
                "label" if usual == "label" => Kind::Label,
                other => {
                    return Err(refused(format!(
                        "the type `{other}` of `{name}` is none of text, bool, float, object and, for the \
                         output, label"
                    )));
                }
            };
            Ok(Field {
                name: name.to_owned(),
                kind,
            })
        };
        let all = |parts: &str, usual| {
            let fields = parts.split(',').map(|part| field(part, usual));
            fields.collect::<Result<Vec<_>>>()
        };
        let inputs = all(inputs, "text")?;
        let outputs = all(outputs, "label")?;
        let [output] = <[Field; 1]>::try_from(outputs)
            .map_err(|all| refused(format!("{} outputs, one is optimised at a time", all.len())))?;
        let mut names: Vec<&str> = inputs.iter().chain([&output]).map(Field::name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(refused(format!("the name `{}` is there twice", twice[0])));
        }
        Ok(Self {
            inputs,
            output,
            instruction: instruction.trim().to_owned(),
        })
    }

    /// The inputs in order.
    pub fn inputs(&self) -> &[Field] {
        &self.inputs
    }

    /// The output.
    pub fn output(&self) -> &Field {
        &self.output
    }

    /// What to do, in the user's words; may be empty.
    pub fn instruction(&self) -> &str {
        &self.instruction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, part) in [
            ("a, b", "`->`"),
            ("a b -> c", "`a b`"),
            ("a: int -> c", "`int`"),
            ("a: label -> c", "`label`"),
            ("a -> b, c", "2 outputs"),
            ("a -> a", "`a` is there twice"),
            ("-> a", "``"),
        ] {
            let error = Signature::parse(text, "").unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let task = Signature::parse("sensor_text, b: float -> c", " x ").unwrap();
        assert_eq!(task.inputs()[0].title(), "Sensor text");
        assert_eq!(
            (task.inputs()[1].kind(), task.instruction()),
            (Kind::Float, "x")
        );
        assert_eq!(task.output().kind(), Kind::Label);
    }
}
