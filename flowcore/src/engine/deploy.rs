//! Actions and the versions of workflows.

use std::future::Future;
use std::sync::Arc;

use super::{ActionError, ActionResult, Call, Deployed, Engine, Handler, Output, space};
use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::{DefinitionHash, Kind, Plan, Step, Tier, Workflow, link};

impl<J: Journal> Engine<J> {
    /// Registers code under the name that steps use. It may run again after a crash or a timeout:
    /// see [`Call::idempotency_key`] and [`Output::write`].
    #[must_use]
    pub fn action<F, R>(mut self, name: impl Into<String>, action: F) -> Self
    where
        F: Fn(&Call) -> Result<R, ActionError> + Send + Sync + 'static,
        R: Into<Output>,
    {
        let handler = Handler::Sync(Arc::new(move |call| action(call).map(Into::into)));
        self.handlers.insert(name.into(), handler);
        self
    }

    /// Registers code that returns a future. No runtime is needed: the blocking runner waits for
    /// it, an asynchronous driver polls it.
    #[must_use]
    pub fn action_async<F, T, R>(mut self, name: impl Into<String>, action: F) -> Self
    where
        F: Fn(Call) -> T + Send + Sync + 'static,
        T: Future<Output = Result<R, ActionError>> + Send + 'static,
        R: Into<Output>,
    {
        let handler = Handler::Async(Arc::new(move |call| {
            let future = action(call);
            Box::pin(async move { future.await.map(Into::into) })
        }));
        self.handlers.insert(name.into(), handler);
        self
    }

    /// Declares an action that is done elsewhere: the driver sees the call, and whoever does the
    /// work answers through [`complete`](Self::complete).
    #[must_use]
    pub fn action_external(mut self, name: impl Into<String>) -> Self {
        self.handlers.insert(name.into(), Handler::External);
        self
    }

    /// Hands the calls of steps that belong on `tier` (by their `latency`) to `place` instead of the
    /// action of their name, such as the `remote` feature does over TCP. Steps
    /// of tiers without a place run here.
    #[must_use]
    pub fn place<F>(mut self, tier: Tier, place: F) -> Self
    where
        F: Fn(&Call) -> ActionResult + Send + Sync + 'static,
    {
        self.tiers.insert(tier, Handler::Sync(Arc::new(place)));
        self
    }

    /// Makes a workflow the active version of its name: later triggers start it. Live runs keep
    /// the definition that they began with.
    ///
    /// # Errors
    /// An action that is not registered, or a sub-workflow that was not deployed before.
    pub fn deploy(&mut self, workflow: Workflow) -> Result<DefinitionHash> {
        let name = workflow.name().to_owned();
        let hash = self.deploy_standby(workflow)?;
        self.make_active(&name, hash);
        Ok(hash)
    }

    /// Deploys a version without making it the active one: see [`activate`](Self::activate). The
    /// first version of a name is active in any case.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub fn deploy_standby(&mut self, workflow: Workflow) -> Result<DefinitionHash> {
        let workflow = self.link(workflow)?;
        let deployed = self.bind(Arc::clone(&workflow.plan))?;
        let hash = workflow.plan.hash;
        self.deployed.insert(hash, Arc::new(deployed));
        if !self.active.contains_key(workflow.name()) {
            self.make_active(workflow.name(), hash);
        }
        if workflow.plan.durability != Durability::None {
            let value = serde_json::to_vec(&workflow.plan.definition).unwrap_or_default();
            self.batch.ops.push(Op::Put {
                space: space::DEFINITION,
                key: hash.to_string(),
                value,
            });
        }
        Ok(hash)
    }

    /// Puts the active definitions behind `workflow` steps into the definition.
    pub(super) fn link(&self, workflow: Workflow) -> Result<Workflow> {
        let mut definition = workflow.plan.definition.clone();
        let find = |name: &str| {
            let versions = self.active.get(name)?;
            let found = self.deployed.get(&versions.active)?;
            Some(found.plan.definition.clone())
        };
        match link(&mut definition.steps, &find) {
            Ok(true) => Workflow::from_definition(definition),
            Ok(false) => Ok(workflow),
            Err(workflow) => Err(Error::UnknownWorkflow { workflow }),
        }
    }

    pub(super) fn bind(&self, plan: Arc<Plan>) -> Result<Deployed> {
        let mut handlers = Vec::with_capacity(plan.blocks.len());
        for block in &plan.blocks {
            let mut row = Vec::with_capacity(block.steps.len());
            for step in &block.steps {
                row.push(self.handler(&plan, step)?);
            }
            handlers.push(row);
        }
        Ok(Deployed { plan, handlers })
    }

    fn handler(&self, plan: &Plan, step: &Step) -> Result<Handler> {
        let Kind::Action { action, .. } = &step.kind else {
            return Ok(Handler::External);
        };
        if let Some(dispatch) = &step.dispatch {
            if !self.fits_budget(dispatch.need, dispatch.gpu, dispatch.priority) {
                return Err(Error::Invalid {
                    step: step.id.to_string(),
                    line: None,
                    message: "needs more resources than the engine's budget has in all".to_owned(),
                });
            }
            // Whoever does the work there knows the action.
            let placed = dispatch
                .tier
                .is_some_and(|tier| self.tiers.contains_key(&tier));
            if placed && !self.handlers.contains_key(&**action) {
                return Ok(Handler::External);
            }
        }
        let found = self.handlers.get(&**action).cloned();
        found.ok_or_else(|| Error::UnknownAction {
            workflow: plan.definition.name.clone(),
            step: step.id.to_string(),
            action: action.to_string(),
        })
    }
}
