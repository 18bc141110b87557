//! Prompts to and from DSPy's program state: the JSON of `Module.save("program.json")`, never pickle.
//!
//! One predictor of the state is one task: its signature's instruction, its fields' prefixes and its
//! demonstrations. Everything else in the state (`lm`, `metadata`, other predictors, fields of later
//! versions) is kept as it is and written back.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// One predictor of a DSPy program.
#[derive(Clone, Debug, PartialEq)]
pub struct DspyPredictor {
    /// Name in the state, such as `classify`; empty when the program is a single predictor.
    pub name: String,
    /// The signature's instruction.
    pub instructions: String,
    /// Prefix and description of each field, inputs first, as in the signature.
    pub fields: Vec<DspyField>,
    /// Demonstrations: field name and value, in order.
    pub demos: Vec<Vec<(String, String)>>,
}

/// One field of a signature, as DSPy shows it to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DspyField {
    /// Such as `Text:`.
    pub prefix: String,
    /// What the field holds.
    pub description: String,
}

/// A DSPy program state that prompts can be read from and put into.
#[derive(Clone, Debug, PartialEq)]
pub struct DspyProgram {
    state: Map<String, Value>,
}

impl DspyProgram {
    /// Reads the JSON of a saved program.
    ///
    /// # Errors
    /// [`Error::Json`] when it is no JSON object.
    pub fn from_json(text: &str) -> Result<Self> {
        let state = serde_json::from_str(text).map_err(|source| Error::Json {
            what: "DSPy program".to_owned(),
            source,
        })?;
        Ok(Self { state })
    }

    /// The program as JSON that `Module.load` reads.
    ///
    /// # Errors
    /// [`Error::Json`], which no program gives.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(&self.state).map_err(|source| Error::Json {
            what: "DSPy program".to_owned(),
            source,
        })
    }

    /// The predictors: the members that have a signature and demonstrations.
    pub fn predictors(&self) -> Vec<DspyPredictor> {
        let members = self
            .state
            .iter()
            .filter_map(|(name, value)| read_predictor(name, value.as_object()?));
        read_predictor("", &self.state)
            .into_iter()
            .chain(members)
            .collect()
    }

    /// Replaces instruction and demonstrations of the predictor with this name, and the prefixes and
    /// descriptions of its fields.
    ///
    /// # Errors
    /// [`Error::NoPredictor`] when the program has none of this name or one with another number of fields.
    pub fn set(&mut self, predictor: &DspyPredictor) -> Result<()> {
        let missing = || Error::NoPredictor {
            name: predictor.name.clone(),
        };
        let member = if predictor.name.is_empty() {
            &mut self.state
        } else {
            self.state
                .get_mut(&predictor.name)
                .and_then(Value::as_object_mut)
                .ok_or_else(missing)?
        };
        let signature = member.get_mut("signature").ok_or_else(missing)?;
        let fields = signature
            .get_mut("fields")
            .and_then(Value::as_array_mut)
            .ok_or_else(missing)?;
        if fields.len() != predictor.fields.len() {
            return Err(missing());
        }
        for (field, new) in fields.iter_mut().zip(&predictor.fields) {
            field["prefix"] = json!(new.prefix);
            field["description"] = json!(new.description);
        }
        signature["instructions"] = json!(predictor.instructions);
        let demo = |pairs: &Vec<(String, String)>| -> Value {
            let object: Map<String, Value> = pairs
                .iter()
                .map(|(field, value)| (field.clone(), Value::String(value.clone())))
                .collect();
            Value::Object(object)
        };
        let demos = predictor.demos.iter().map(demo).collect();
        member.insert("demos".to_owned(), Value::Array(demos));
        Ok(())
    }
}

fn read_predictor(name: &str, value: &Map<String, Value>) -> Option<DspyPredictor> {
    let signature = value.get("signature")?;
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .map(str::to_owned)
            .unwrap_or_default()
    };
    let fields = signature
        .get("fields")?
        .as_array()?
        .iter()
        .map(|field| DspyField {
            prefix: text(field.get("prefix")),
            description: text(field.get("description")),
        })
        .collect();
    let demos = value
        .get("demos")?
        .as_array()?
        .iter()
        .filter_map(Value::as_object)
        .map(|demo| {
            demo.iter()
                .map(|(field, value)| {
                    let shown = match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    (field.clone(), shown)
                })
                .collect()
        })
        .collect();
    Some(DspyPredictor {
        name: name.to_owned(),
        instructions: text(signature.get("instructions")),
        fields,
        demos,
    })
}
