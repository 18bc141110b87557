//! The side of the engine.

use std::io::BufReader;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wire::{RemoteCall, RemoteError, Reply, VERSION, read_frame, write_frame};
use crate::engine::{ActionError, ActionResult, Call, Output};

/// Connections kept open between calls.
const IDLE_MAX: usize = 16;

/// A worker on another tier. Give it to [`crate::Engine::place`]:
/// `engine.place(Tier::Mid, move |call| gateway.perform(call))`.
///
/// Errors of the connection are action errors of the name `Unreachable`, a refusal is `Refused`,
/// a call from an engine that lost its lease is `Fenced`; `retry`, `catch` and `fallback` heed them.
#[derive(Debug)]
pub struct RemoteTier {
    address: SocketAddr,
    engine: String,
    timeout: Duration,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

impl RemoteTier {
    /// A worker at `address`, asked in the name of `engine` (the owner of its lease). Connecting,
    /// and each wait for the network or the action, take at most `timeout`.
    pub fn new(address: SocketAddr, engine: impl Into<String>, timeout: Duration) -> Self {
        Self {
            address,
            engine: engine.into(),
            timeout,
            idle: Mutex::default(),
        }
    }

    /// Has the worker run a call's action, and waits for the answer. A connection that broke is
    /// opened again once: the worker knows the key, so the action does not run twice.
    ///
    /// # Errors
    /// What the action says, `Unreachable`, `Refused` or `Fenced`.
    pub fn perform(&self, call: &Call) -> ActionResult {
        let message = RemoteCall {
            version: VERSION,
            engine: self.engine.clone(),
            epoch: call.epoch(),
            key: call.idempotency_key(),
            attempt: call.attempt(),
            workflow: call.workflow().to_owned(),
            step: format!("{}{}", call.path(), call.step()),
            action: call.action().to_owned(),
            tenant: call.tenant().map(str::to_owned),
            params: call.params().clone(),
            input: call.input().clone(),
        };
        let kept = self.idle().pop();
        let again = kept.is_some();
        let mut asked = kept
            .map_or_else(|| self.connect(), Ok)
            .and_then(|stream| self.ask(stream, &message));
        if again && matches!(asked, Err(RemoteError::Io(_))) {
            asked = self.connect().and_then(|stream| self.ask(stream, &message));
        }
        match asked {
            Ok(Reply::Done { value, writes }) => Ok(Output { value, writes }),
            Ok(Reply::Failed { name, message }) => Err(ActionError::new(name, message)),
            Ok(Reply::Refused { message }) => Err(ActionError::new("Refused", message)),
            Ok(Reply::Fenced { epoch }) => {
                let message = format!("epoch {} is older than {epoch}", call.epoch());
                Err(ActionError::new("Fenced", message))
            }
            Err(error) => Err(ActionError::new(
                "Unreachable",
                format!("{}: {error}", self.address),
            )),
        }
    }

    // The list is whole at any time.
    fn idle(&self) -> MutexGuard<'_, Vec<BufReader<TcpStream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>, RemoteError> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        Ok(BufReader::new(stream))
    }

    fn ask(
        &self,
        mut stream: BufReader<TcpStream>,
        message: &RemoteCall,
    ) -> Result<Reply, RemoteError> {
        write_frame(stream.get_mut(), message)?;
        let reply = read_frame(&mut stream)?;
        let reply = reply.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(stream);
        }
        Ok(reply)
    }
}
