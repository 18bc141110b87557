//! The side that does the work.

use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::answers::{Answers, Claim};
use super::wire::{RemoteCall, RemoteError, Reply, VERSION, read_frame, write_frame};
use crate::engine::{ActionError, ActionResult, Output};

type Action = Box<dyn Fn(&RemoteCall) -> ActionResult + Send + Sync>;

/// Runs actions for engines on other tiers.
#[derive(Default)]
pub struct RemoteWorker {
    actions: HashMap<String, Action>,
    answers: Answers,
}

impl RemoteWorker {
    /// A worker without actions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers code under the name that steps use.
    #[must_use]
    pub fn action<F, R>(mut self, name: impl Into<String>, action: F) -> Self
    where
        F: Fn(&RemoteCall) -> Result<R, ActionError> + Send + Sync + 'static,
        R: Into<Output>,
    {
        let action: Action = Box::new(move |call| action(call).map(Into::into));
        self.actions.insert(name.into(), action);
        self
    }

    /// Serves up to `connections` connections at once, each on a thread of its own, until the
    /// listener fails. More connections wait.
    ///
    /// # Errors
    /// A listener that failed.
    pub fn serve(
        &self,
        listener: &TcpListener,
        connections: NonZeroUsize,
    ) -> Result<(), RemoteError> {
        thread::scope(|scope| {
            let accept = || -> Result<(), RemoteError> {
                loop {
                    let (stream, _) = listener.accept()?;
                    // What is wrong with one connection ends only that one.
                    drop(self.serve_connection(stream));
                }
            };
            let threads: Vec<_> = (0..connections.get())
                .map(|_| scope.spawn(accept))
                .collect();
            for thread in threads {
                if let Ok(Err(error)) = thread.join() {
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    /// Serves one connection until the other side closes it.
    ///
    /// # Errors
    /// A connection that broke, or a frame that is no call.
    pub fn serve_connection(&self, stream: TcpStream) -> Result<(), RemoteError> {
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        self.serve_stream(&mut BufReader::new(stream), &mut out)
    }

    /// Serves calls from any pair of streams.
    ///
    /// # Errors
    /// As [`serve_connection`](Self::serve_connection).
    pub fn serve_stream(
        &self,
        input: &mut impl Read,
        out: &mut impl Write,
    ) -> Result<(), RemoteError> {
        while let Some(call) = read_frame::<RemoteCall>(input)? {
            let reply = self.reply(&call);
            match write_frame(out, &reply) {
                Err(RemoteError::TooLong { found }) => {
                    let message = format!("an output of {found} bytes is too large to send");
                    let name = "OutputTooLarge".to_owned();
                    write_frame(out, &Reply::Failed { name, message })?;
                }
                written => written?,
            }
        }
        Ok(())
    }

    fn reply(&self, call: &RemoteCall) -> Reply {
        if call.version != VERSION {
            let message = format!(
                "this worker speaks version {VERSION}, the call is of version {}",
                call.version
            );
            return Reply::Refused { message };
        }
        let Some(action) = self.actions.get(&call.action) else {
            let message = format!("no action `{}` on this worker", call.action);
            return Reply::Refused { message };
        };
        if let Err(epoch) = self.answers.fence(&call.engine, call.epoch) {
            return Reply::Fenced { epoch };
        }
        match self.answers.claim(&call.key, call.attempt) {
            Claim::Known(reply) => reply,
            Claim::Run => {
                // Whoever waits for this key must hear of it whatever the action does.
                let result = catch_unwind(AssertUnwindSafe(|| action(call)));
                let panicked = |_| Err(ActionError::new("Panic", "the action panicked"));
                let reply = match result.unwrap_or_else(panicked) {
                    Ok(output) => Reply::Done {
                        value: output.value,
                        writes: output.writes,
                    },
                    Err(ActionError { name, message }) => Reply::Failed { name, message },
                };
                self.answers.answer(&call.key, call.attempt, reply.clone());
                reply
            }
        }
    }
}
