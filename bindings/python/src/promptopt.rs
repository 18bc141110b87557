//! `edgeweave.promptopt`: the run-time selector, experiments, bundles.

use std::path::PathBuf;
use std::time::Duration;

use promptopt::{
    Bundle, Context, Error, ExperimentEnd, ExperimentOptions, Feedback, HardLimits, Outcome,
    Policy, Prompt, Share, Tier, Timestamp, Version,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::error::{other, system, value};
use crate::json;

fn raise(error: Error) -> PyErr {
    match &error {
        Error::Io { .. } => system(error),
        _ => value(error),
    }
}

/// A prompt from a dict of the form of its file, or from that file's text.
fn prompt(given: &Bound<'_, PyAny>) -> PyResult<Prompt> {
    Prompt::from_json(&text_of(given)?, "the prompt").map_err(raise)
}

fn text_of(given: &Bound<'_, PyAny>) -> PyResult<String> {
    match given.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => Ok(json::from_python(given)?.to_string()),
    }
}

fn told<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    json::to_python(py, &serde_json::from_str(text).map_err(other)?)
}

fn tier(name: &str) -> PyResult<Tier> {
    let found = Tier::ALL.into_iter().find(|tier| tier.name() == name);
    found.ok_or_else(|| value(format!("tier {name:?}: wanted ultra, fast or quality")))
}

/// Packs one to three prompts with a checksum.
#[pyfunction]
pub fn pack_bundle<'py>(
    py: Python<'py>,
    prompts: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let prompts = prompts.iter().map(prompt).collect::<PyResult<_>>()?;
    let bytes = Bundle::new(prompts)
        .and_then(|bundle| bundle.pack())
        .map_err(raise)?;
    Ok(PyBytes::new(py, &bytes))
}

/// Checks a bundle; its prompts.
#[pyfunction]
pub fn open_bundle<'py>(py: Python<'py>, bundle: &[u8]) -> PyResult<Bound<'py, PyList>> {
    let bundle = Bundle::open(bundle).map_err(raise)?;
    let list = PyList::empty(py);
    for prompt in bundle.prompts() {
        list.append(told(py, &prompt.to_json().map_err(raise)?)?)?;
    }
    Ok(list)
}

#[pyclass(frozen, module = "edgeweave.promptopt")]
pub struct PromptSet {
    set: promptopt::PromptSet,
}

#[pymethods]
impl PromptSet {
    /// A set of three prompts, one of each tier, and a policy or the built-in one.
    #[new]
    #[pyo3(signature = (prompts, policy = None))]
    fn new(prompts: Vec<Bound<'_, PyAny>>, policy: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let prompts: Vec<Prompt> = prompts.iter().map(prompt).collect::<PyResult<_>>()?;
        let count = prompts.len();
        let prompts: [Prompt; 3] = prompts
            .try_into()
            .map_err(|_| value(format!("{count} prompts, wanted three")))?;
        let policy = match policy {
            Some(given) => Policy::from_json(&text_of(given)?).map_err(raise)?,
            None => Policy::default(),
        };
        let set = promptopt::PromptSet::new(prompts, policy).map_err(raise)?;
        Ok(Self { set })
    }

    /// The running prompt of a tier, in the form of its file.
    fn running<'py>(&self, py: Python<'py>, tier: &str) -> PyResult<Bound<'py, PyAny>> {
        told(
            py,
            &self
                .set
                .running(self::tier(tier)?)
                .to_json()
                .map_err(raise)?,
        )
    }

    /// The policy, in the form of its file.
    fn policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        told(py, &self.set.policy().to_json().map_err(raise)?)
    }

    /// Puts a newer prompt in the place of the running one; the version that it replaced.
    fn swap(&self, prompt: &Bound<'_, PyAny>) -> PyResult<u32> {
        let replaced = self.set.swap(self::prompt(prompt)?).map_err(raise)?;
        Ok(replaced.version().get())
    }

    /// Takes the version before the last swap back; its number.
    fn rollback(&self, tier: &str) -> PyResult<u32> {
        self.set
            .rollback(self::tier(tier)?)
            .map(Version::get)
            .map_err(raise)
    }

    /// Swaps in every prompt of a bundle, all at once or none; how many.
    fn import_bundle(&self, bundle: &[u8]) -> PyResult<usize> {
        let bundle = Bundle::open(bundle).map_err(raise)?;
        self.set.import(&bundle).map_err(raise)?;
        Ok(bundle.prompts().len())
    }

    /// Gives a newer prompt to a share of the keys.
    #[pyo3(signature = (candidate, *, share = 0.5, thompson_floor = None, alpha = 0.05, tolerated_share = 0.5,
        unreadable_max = 0.05, latency_p95_max = 10.0, outcomes_min = 50))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn start_experiment(
        &self,
        candidate: &Bound<'_, PyAny>,
        share: f64,
        thompson_floor: Option<f64>,
        alpha: f64,
        tolerated_share: f64,
        unreadable_max: f64,
        latency_p95_max: f64,
        outcomes_min: u64,
    ) -> PyResult<()> {
        let share = match thompson_floor {
            Some(floor) => Share::Thompson { floor },
            None => Share::Fixed(share),
        };
        let limits = HardLimits {
            unreadable_max,
            latency_p95_max: Duration::try_from_secs_f64(latency_p95_max).map_err(value)?,
            outcomes_min,
        };
        let options = ExperimentOptions {
            share,
            alpha,
            tolerated_share,
            limits,
        };
        self.set
            .start_experiment(prompt(candidate)?, options)
            .map_err(raise)
    }

    /// Where a tier's experiment stands; None without one.
    fn experiment<'py>(&self, py: Python<'py>, tier: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let status = self.set.experiment(self::tier(tier)?);
        status
            .map(|status| json::to_python(py, &forms::promptopt::experiment(&status)))
            .transpose()
    }

    /// Ends a tier's experiment with "promote" or "discard"; the version that runs now.
    fn end_experiment(&self, tier: &str, end: &str) -> PyResult<u32> {
        let end = match end {
            "promote" => ExperimentEnd::Promote,
            "discard" => ExperimentEnd::Discard,
            _ => return Err(value(format!("end {end:?}: wanted promote or discard"))),
        };
        Ok(self.set.end_experiment(self::tier(tier)?, end).get())
    }

    /// Takes the outcomes out of the log.
    fn drain_outcomes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for outcome in self.set.drain_outcomes() {
            list.append(json::to_python(py, &forms::promptopt::outcome(&outcome))?)?;
        }
        Ok(list)
    }

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

    /// The label that log-probabilities of the options decide for, and how sure that is.
    fn decide(&self, log_probs: Vec<f64>) -> PyResult<(String, f64)> {
        let decision = self.choice.prompt.decision();
        let decision = decision.ok_or_else(|| value("the prompt has no decision rule"))?;
        let answer = decision.choose(&log_probs).map_err(raise)?;
        Ok((answer.label.name.clone(), answer.confidence))
    }

    /// The options whose log-probabilities `decide` takes; None without a decision rule.
    #[getter]
    fn options(&self) -> Option<Vec<String>> {
        let decision = self.choice.prompt.decision()?;
        Some(decision.options().map(str::to_owned).collect())
    }

    /// The prompt, in the form of its file.
    #[getter]
    fn prompt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        told(py, &self.choice.prompt.to_json().map_err(raise)?)
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
