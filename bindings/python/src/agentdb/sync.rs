//! Sync: sessions are given the frames that come and asked for frames to send; the caller carries them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentdb::sync::{Phase, Role, SyncError, SyncOptions, Toward};
use agentdb::{ReplicaId, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{AgentDb, raise as raise_store, seconds};
use crate::error::{CorruptError, other, value};
use crate::json;

fn raise(error: SyncError) -> PyErr {
    match error {
        SyncError::Store(error) => raise_store(error),
        SyncError::Malformed { .. } | SyncError::Checksum { .. } | SyncError::Version { .. } => {
            CorruptError::new_err(error.to_string())
        }
        SyncError::CheckpointTimeout { .. } => other(error),
        _ => value(error),
    }
}

/// A store as its peers see it.
#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct Endpoint {
    inner: Mutex<agentdb::sync::Endpoint>,
}

impl Endpoint {
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut agentdb::sync::Endpoint) -> R + Send,
    ) -> R {
        py.detach(|| work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[pymethods]
impl Endpoint {
    #[new]
    #[pyo3(signature = (db, role = "device", *, events_per_second = None, window = None, upward = None, retry = None,
        keep_alive = None, checkpoint = None, events_a_batch = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        db: &AgentDb,
        role: &str,
        events_per_second: Option<u32>,
        window: Option<f64>,
        upward: Option<f64>,
        retry: Option<f64>,
        keep_alive: Option<f64>,
        checkpoint: Option<f64>,
        events_a_batch: Option<usize>,
    ) -> PyResult<Self> {
        let mut options = SyncOptions::new(match role {
            "device" => Role::Device,
            "aggregator" => Role::Aggregator,
            "root" => Role::Root,
            _ => {
                return Err(value(format!(
                    "role {role:?}: wanted device, aggregator or root"
                )));
            }
        });
        let pace = &mut options.pace;
        let spans: [(Option<f64>, &mut Duration); 5] = [
            (window, &mut pace.window),
            (upward, &mut pace.upward),
            (retry, &mut pace.retry),
            (keep_alive, &mut pace.keep_alive),
            (checkpoint, &mut pace.checkpoint),
        ];
        for (given, span) in spans {
            *span = given.map_or(Ok(*span), seconds)?;
        }
        pace.events_per_second = events_per_second.unwrap_or(pace.events_per_second);
        pace.events_a_batch = events_a_batch.unwrap_or(pace.events_a_batch);
        let endpoint = agentdb::sync::Endpoint::new(db.handle(py)?, options);
        Ok(Self {
            inner: Mutex::new(endpoint),
        })
    }

    /// A session of this endpoint that has not said anything yet.
    fn session(slf: &Bound<'_, Self>, toward: &str, now: i64) -> PyResult<Session> {
        let toward = match toward {
            "parent" => Toward::Parent,
            "child" => Toward::Child,
            "peer" => Toward::Peer,
            _ => {
                return Err(value(format!(
                    "toward {toward:?}: wanted parent, child or peer"
                )));
            }
        };
        let now = Timestamp::from_millis(now);
        let session = slf.get().with(slf.py(), |endpoint| {
            agentdb::sync::Session::new(endpoint, toward, now)
        });
        Ok(Session {
            endpoint: slf.clone().unbind(),
            inner: Mutex::new(session),
        })
    }

    /// Whom it speaks with: the accepted ones (None: all), but never a revoked one.
    #[pyo3(signature = (accepted = None, revoked = None))]
    fn set_peers(&self, py: Python<'_>, accepted: Option<Vec<u64>>, revoked: Option<Vec<u64>>) {
        let peers = forms::agentdb::peers(accepted.as_deref(), &revoked.unwrap_or_default());
        self.with(py, |endpoint| endpoint.set_peers(peers));
    }

    /// Notes how many links are up; the change that the store was told of, or None.
    fn note_links(
        &self,
        py: Python<'_>,
        links: usize,
        alert: f64,
        now: i64,
    ) -> PyResult<Option<&'static str>> {
        let (alert, now) = (seconds(alert)?, Timestamp::from_millis(now));
        let change = self
            .with(py, |endpoint| endpoint.note_links(links, alert, now))
            .map_err(raise)?;
        Ok(change.map(|change| change.name()))
    }

    /// Whether the store works alone, as far as `note_links` was told.
    #[getter]
    fn is_degraded(&self, py: Python<'_>) -> bool {
        self.with(py, |endpoint| endpoint.is_degraded())
    }
}

/// One side of a link to one peer.
#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct Session {
    endpoint: Py<Endpoint>,
    inner: Mutex<agentdb::sync::Session>,
}

impl Session {
    /// The session's lock is taken before the endpoint's.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut agentdb::sync::Session, &mut agentdb::sync::Endpoint) -> R + Send,
    ) -> R {
        let endpoint = self.endpoint.get();
        py.detach(|| {
            let mut session = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let mut endpoint = endpoint
                .inner
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut session, &mut endpoint)
        })
    }
}

#[pymethods]
impl Session {
    /// The next frame to send; None when there is nothing to say now.
    fn poll<'py>(&self, py: Python<'py>, now: i64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let now = Timestamp::from_millis(now);
        let frame = self
            .with(py, |session, endpoint| session.poll(endpoint, now))
            .map_err(raise)?;
        Ok(frame.map(|frame| PyBytes::new(py, &frame)))
    }

    /// Takes a frame that came. After an error nothing of it was kept.
    fn receive(&self, py: Python<'_>, frame: &[u8], now: i64) -> PyResult<()> {
        let now = Timestamp::from_millis(now);
        self.with(py, |session, endpoint| {
            session.receive(endpoint, frame, now)
        })
        .map_err(|error| {
            let ends = error.ends_the_link();
            let raised = raise(error);
            match raised.value(py).setattr("ends_the_link", ends) {
                Ok(()) => raised,
                Err(error) => error,
            }
        })
    }

    /// Forgets the link, as when a connection broke.
    fn reset(&self, py: Python<'_>, now: i64) {
        let now = Timestamp::from_millis(now);
        self.with(py, |session, endpoint| session.reset(endpoint, now));
    }

    /// How far the link has come.
    #[getter]
    fn phase(&self, py: Python<'_>) -> &'static str {
        match self.with(py, |session, _| session.phase()) {
            Phase::Greeting => "greeting",
            Phase::Checkpoint => "checkpoint",
            Phase::State => "state",
            Phase::Events => "events",
            Phase::Compare => "compare",
            Phase::Live => "live",
        }
    }

    /// Whether the peer was heard and not lost since.
    #[getter]
    fn is_up(&self, py: Python<'_>) -> bool {
        self.with(py, |session, _| session.is_up())
    }

    /// The peer's replica, once it is known.
    #[getter]
    fn peer(&self, py: Python<'_>) -> Option<u64> {
        self.with(py, |session, _| session.peer().map(ReplicaId::get))
    }

    /// Whether the peer has acknowledged everything that is meant for it.
    fn is_idle(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |session, endpoint| session.is_idle(endpoint))
            .map_err(raise)
    }

    /// What the session has done.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.with(py, |session, _| session.stats());
        json::to_python(py, &forms::agentdb::session_stats(&stats))
    }
}
