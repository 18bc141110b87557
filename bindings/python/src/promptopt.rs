//! `edgeweave.promptopt`: the run-time selector.

use std::path::PathBuf;
use std::time::Duration;

use promptopt::{Context, Error, Feedback, Outcome, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{system, value};
use crate::json;

fn raise(error: Error) -> PyErr {
    match &error {
        Error::Io { .. } => system(error),
        _ => value(error),
    }
}

#[pyclass(frozen, module = "edgeweave.promptopt")]
pub struct PromptSet {
    set: promptopt::PromptSet,
}

#[pymethods]
impl PromptSet {
    #[staticmethod]
    fn load_dir(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let set = py
            .detach(|| promptopt::PromptSet::load_dir(folder))
            .map_err(raise)?;
        Ok(Self { set })
    }

    /// Chooses a prompt for a state of the device; `key` decides which version of an experiment.
    #[pyo3(signature = (context, *, key = None))]
    fn select(&self, context: &Bound<'_, PyDict>, key: Option<&[u8]>) -> PyResult<Choice> {
        let text = json::from_python(context.as_any())?.to_string();
        let context = Context::from_json(&text).map_err(raise)?;
        let choice = match key {
            Some(key) => self.set.select_keyed(&context, key),
            None => self.set.select(&context),
        };
        Ok(Choice { choice })
    }

    /// Tells what became of a choice; `at` in milliseconds since the Unix epoch, `latency` in seconds.
    #[pyo3(signature = (choice, output, *, latency, at, feedback = None))]
    fn record(
        &self,
        choice: &Choice,
        output: String,
        latency: f64,
        at: i64,
        feedback: Option<&str>,
    ) -> PyResult<()> {
        let feedback = match feedback {
            None => Feedback::None,
            Some("right") => Feedback::Right,
            Some("wrong") => Feedback::Wrong,
            Some("unreadable") => Feedback::Unreadable,
            Some(said) => {
                return Err(value(format!(
                    "feedback {said:?}: wanted right, wrong or unreadable"
                )));
            }
        };
        self.set.record(Outcome {
            choice: choice.choice.clone(),
            output,
            latency: Duration::try_from_secs_f64(latency).map_err(value)?,
            feedback,
            at: Timestamp::from_millis(at),
        });
        Ok(())
    }

    /// Counters of the log of outcomes.
    fn outcome_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.set.outcome_stats();
        let dict = PyDict::new(py);
        dict.set_item("recorded", stats.recorded)?;
        dict.set_item("dropped", stats.dropped)?;
        dict.set_item("drained", stats.drained)?;
        dict.set_item("held", stats.held)?;
        Ok(dict)
    }
}

#[pyclass(frozen, module = "edgeweave.promptopt")]
pub struct Choice {
    choice: promptopt::Choice,
}

#[pymethods]
impl Choice {
    /// The prompt's text with the inputs in place.
    fn render(&self, inputs: &Bound<'_, PyDict>) -> PyResult<String> {
        let inputs: Vec<(String, String)> = inputs
            .iter()
            .map(|(name, text)| Ok((name.extract()?, text.extract()?)))
            .collect::<PyResult<_>>()?;
        let pairs: Vec<(&str, &str)> = inputs
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        self.choice.render(&pairs).map_err(raise)
    }

    #[getter]
    fn tier(&self) -> &'static str {
        self.choice.tier.name()
    }

    #[getter]
    fn reason(&self) -> String {
        self.choice.reason.to_string()
    }

    #[getter]
    fn version(&self) -> u64 {
        u64::from(self.choice.prompt.version().get())
    }

    #[getter]
    fn propensity(&self) -> f64 {
        self.choice.propensity
    }

    #[getter]
    fn offload(&self) -> bool {
        self.choice.offload == promptopt::Offload::Allowed
    }

    fn __repr__(&self) -> String {
        format!(
            "<edgeweave.promptopt.Choice {}: {}>",
            self.choice.tier.name(),
            self.choice.reason
        )
    }
}
