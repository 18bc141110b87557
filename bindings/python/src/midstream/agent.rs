//! The far edge's agent: arrays of samples in, batches and alarms out.

use std::sync::{Mutex, PoisonError};

use midstream::Timestamp;
use midstream::agent::{self, AgentOptions, Edge, Emit, Sample, Threshold};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::raise;
use crate::error::value;

/// Times and values.
type Samples<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f32>>);
/// Whether an alarm was raised or ended, when, and the smoothed value.
type Alarm = (&'static str, i64, f32);

#[pyclass(frozen, module = "edgeweave.midstream")]
pub struct Agent {
    inner: Mutex<agent::Agent>,
}

#[pymethods]
impl Agent {
    #[new]
    #[pyo3(signature = (channel = 0, *, ring_bytes = 1_048_576, average_over = 4, one_in = 10, batch_ms = 100,
        alarm_above = None, alarm_below = None))]
    fn new(
        channel: u16,
        ring_bytes: usize,
        average_over: usize,
        one_in: u32,
        batch_ms: u32,
        alarm_above: Option<f32>,
        alarm_below: Option<f32>,
    ) -> PyResult<Self> {
        let threshold = match (alarm_above, alarm_below) {
            (Some(above), below) => Some(Threshold::new(above, below.unwrap_or(above))),
            (None, None) => None,
            (None, Some(_)) => return Err(value("alarm_below without alarm_above")),
        };
        let made = agent::Agent::new(AgentOptions {
            channel,
            ring_bytes,
            average_over,
            one_in,
            batch_ms,
            threshold,
        });
        Ok(Self {
            inner: Mutex::new(made.map_err(raise)?),
        })
    }

    /// Takes samples: the batches that were full, and the alarms that began or ended.
    fn push<'py>(
        &self,
        py: Python<'py>,
        at: PyReadonlyArray1<'_, i64>,
        values: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<(Vec<Bound<'py, PyBytes>>, Vec<Alarm>)> {
        let (at, values) = (at.as_slice()?, values.as_slice()?);
        if at.len() != values.len() {
            let (times, numbers) = (at.len(), values.len());
            return Err(value(format!("{times} times for {numbers} values")));
        }
        let (mut batches, mut alarms) = (Vec::new(), Vec::new());
        py.detach(|| {
            let mut agent = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            for (at, sample) in at.iter().zip(values) {
                agent.push(Timestamp::from_millis(*at), *sample, |emit| match emit {
                    Emit::Batch(bytes) => batches.push(bytes.to_vec()),
                    Emit::Alarm(edge, Sample { at, value }) => {
                        let name = match edge {
                            Edge::Raised => "raised",
                            Edge::Ended => "ended",
                        };
                        alarms.push((name, at.as_millis(), value));
                    }
                });
            }
        });
        let batches = batches.iter().map(|bytes| PyBytes::new(py, bytes));
        Ok((batches.collect(), alarms))
    }

    /// The batch in hand; None when there is none.
    fn flush<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut batch = None;
        let mut agent = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        agent.flush(|emit| {
            if let Emit::Batch(bytes) = emit {
                batch = Some(PyBytes::new(py, bytes));
            }
        });
        batch
    }

    /// The newest samples as they came, the oldest first.
    fn ring<'py>(&self, py: Python<'py>) -> Samples<'py> {
        let agent = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        samples(py, &agent.ring().iter().collect::<Vec<_>>())
    }

    /// Counters: samples_in = samples_out + averaged + invalid + held.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = {
            let agent = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            agent.stats()
        };
        let told = PyDict::new(py);
        for (name, count) in [
            ("samples_in", stats.samples_in),
            ("samples_out", stats.samples_out),
            ("averaged", stats.averaged),
            ("invalid", stats.invalid),
            ("held", stats.held),
            ("overwritten", stats.overwritten),
            ("batches", stats.batches),
            ("alarms", stats.alarms),
        ] {
            told.set_item(name, count)?;
        }
        Ok(told)
    }
}

fn samples<'py>(py: Python<'py>, samples: &[Sample]) -> Samples<'py> {
    (
        PyArray1::from_iter(py, samples.iter().map(|sample| sample.at.as_millis())),
        PyArray1::from_iter(py, samples.iter().map(|sample| sample.value)),
    )
}

/// Reads a batch of an agent: channel, number, times, values.
#[pyfunction]
pub fn decode_batch<'py>(py: Python<'py>, batch: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let decoded = agent::decode_batch(batch).map_err(raise)?;
    let (at, values) = samples(py, &decoded.samples);
    let told = PyDict::new(py);
    told.set_item("channel", decoded.channel)?;
    told.set_item("number", decoded.number)?;
    told.set_item("at", at)?;
    told.set_item("values", values)?;
    Ok(told)
}
