//! Actions and the versions of workflows.

use std::future::Future;
use std::sync::Arc;

use super::{ActionError, Call, Deployed, Engine, Handler, Output, space};
use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::{DefinitionHash, Kind, Plan, Workflow, link};

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

    /// Makes a workflow the active version of its name: later triggers start it. Live runs keep
    /// the definition that they began with.
    ///
    /// # Errors
    /// An action that is not registered, or a sub-workflow that was not deployed before.
    pub fn deploy(&mut self, workflow: Workflow) -> Result<DefinitionHash> {
        let workflow = self.link(workflow)?;
        let deployed = self.bind(Arc::clone(&workflow.plan))?;
        let hash = workflow.plan.hash;
        self.deployed.insert(hash, deployed);
        self.active.insert(workflow.name().to_owned(), hash);
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
    fn link(&self, workflow: Workflow) -> Result<Workflow> {
        let mut definition = workflow.plan.definition.clone();
        let find = |name: &str| {
            let hash = self.active.get(name)?;
            Some(self.deployed.get(hash)?.plan.definition.clone())
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
                row.push(match &step.kind {
                    Kind::Action { action, .. } => match self.handlers.get(&**action) {
                        Some(handler) => handler.clone(),
                        None => {
                            return Err(Error::UnknownAction {
                                workflow: plan.definition.name.clone(),
                                step: step.id.to_string(),
                                action: action.to_string(),
                            });
                        }
                    },
                    _ => Handler::External,
                });
            }
            handlers.push(row);
        }
        Ok(Deployed {
            plan,
            handlers: Arc::new(handlers),
        })
    }
}
