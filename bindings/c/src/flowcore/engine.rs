//! An engine: made, taught actions, given workflows, triggers and events, run.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flowcore::{
    ActionError, Call, Clock, Command, DefinitionHash, Engine, MemoryJournal, Output, Runner,
    SqliteJournal, StateWrite, SystemClock, Timestamp, Workflow,
};
use forms::flowcore::Kept;
use serde_json::Value;

use super::{raise, run};
use crate::bytes::{
    Out, Reply, User, buffer, ew_buffer, ew_reply, ew_str, json_buffer, set_optional,
};
use crate::fail::{EW_STATE, EW_SYSTEM, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// The time that a call was given, or the system's.
#[derive(Clone)]
pub struct Watch(Arc<AtomicI64>);

const SYSTEM_TIME: i64 = i64::MIN;

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        match self.0.load(Ordering::Relaxed) {
            SYSTEM_TIME => SystemClock.now(),
            millis => Timestamp::from_millis(millis),
        }
    }
}

/// An engine of durable workflows. One thread at a time; an action that calls its own engine gets EW_BUSY.
pub struct fc_engine {
    _opaque: [u8; 0],
}

pub struct Engaged {
    /// None only while an action is added.
    runner: Option<Runner<Kept, Watch>>,
    watch: Watch,
    /// What `fc_next` has not handed out yet.
    pub commands: VecDeque<Command>,
}

impl Engaged {
    pub fn engine(&mut self) -> Result<&mut Engine<Kept>> {
        let runner = self.runner.as_mut().map(Runner::engine);
        runner.ok_or_else(|| Fail::new(EW_STATE, "the engine was lost by an earlier failure"))
    }
}

impl Handle for fc_engine {
    type Inside = Engaged;
    const KIND: u64 = handle::kind(b"fc_engin");
}

/// An engine over a journal in a SQLite file, or in memory for {NULL, 0}. Register actions, deploy, then go on:
/// runs of an earlier process continue. The caller frees it with fc_engine_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_engine_new(
    path: ew_str,
    engine: *mut *mut fc_engine,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(engine, "engine")?;
        // SAFETY: the header's contract.
        let kept = match unsafe { path.optional("path") }? {
            None => Kept::Memory(MemoryJournal::new()),
            Some(path) => {
                let opened = SqliteJournal::open(path);
                Kept::Sqlite(opened.map_err(|error| Fail::new(EW_SYSTEM, error))?)
            }
        };
        let watch = Watch(Arc::new(AtomicI64::new(SYSTEM_TIME)));
        out.set(handle::give(Engaged {
            runner: Some(Runner::with_clock(Engine::new(kept), watch.clone())),
            watch,
            commands: VecDeque::new(),
        }));
        Ok(())
    })
}

/// Closes the journal and frees the engine. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_engine_free(engine: *mut fc_engine) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<fc_engine>(engine) };
}

/// An action. `call` is a JSON object: action, params, input, run, workflow, step, path, attempt, deadline,
/// idempotency_key. It answers with ew_reply_set (JSON; nothing is null) and EW_OK, or fails with ew_reply_fail,
/// whose name `retry.on` and `catch` match. Called by the thread that runs the engine.
pub type fc_action_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, call: ew_str, reply: *mut ew_reply) -> i32>;

/// Writes to the application's state in the transaction of the step: a JSON body at a key of a collection. The
/// step's workflow must have `durability: step`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_reply_write(
    reply: *mut ew_reply,
    collection: ew_str,
    key: ew_str,
    body: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let (collection, key) = (collection.text("collection")?, key.text("key")?);
            let write = (collection.to_owned(), key.to_owned(), body.json("body")?);
            handle::exclusive(reply)?.writes.push(write);
        }
        Ok(())
    })
}

pub fn perform(
    action: unsafe extern "C" fn(*mut c_void, ew_str, *mut ew_reply) -> i32,
    user: User,
    call: &Call,
) -> std::result::Result<Output, ActionError> {
    let text = forms::flowcore::call(call).to_string();
    // SAFETY: the header's contract: a function of this type that does not unwind.
    let reply = Reply::of(|place| unsafe { action(user.0, ew_str::of(&text), place) })
        .map_err(|(name, message)| ActionError::new(name, message))?;
    let value = match reply.bytes {
        None => Value::Null,
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            ActionError::new("NotJson", format!("the action's answer: {error}"))
        })?,
    };
    let writes = reply.writes.into_iter();
    Ok(
        writes.fold(Output::new(value), |output, (collection, key, body)| {
            output.write(StateWrite::new(collection, key, body))
        }),
    )
}

/// Registers an action under the name that steps use. `user` must live as long as the engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_action(
    engine: *mut fc_engine,
    name: ew_str,
    action: fc_action_fn,
    user: *mut c_void,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name) = unsafe { (handle::exclusive(engine)?, name.text("name")?) };
        let action = action.ok_or_else(|| Fail::null("action"))?;
        let user = User(user);
        with_engine(&mut engaged, |engine| {
            engine.action(name, move |call: &Call| {
                let user = user;
                perform(action, user, call)
            })
        })
    })
}

/// Registers an action whose work is done elsewhere: fc_next hands its calls out, fc_complete or fc_fail ends them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_action_external(
    engine: *mut fc_engine,
    name: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name) = unsafe { (handle::exclusive(engine)?, name.text("name")?) };
        with_engine(&mut engaged, |engine| engine.action_external(name))
    })
}

pub fn with_engine(
    engaged: &mut Engaged,
    add: impl FnOnce(Engine<Kept>) -> Engine<Kept>,
) -> Result<()> {
    let runner = engaged.runner.take();
    let runner =
        runner.ok_or_else(|| Fail::new(EW_STATE, "the engine was lost by an earlier failure"))?;
    let watch = engaged.watch.clone();
    engaged.runner = Some(Runner::with_clock(add(runner.into_engine()), watch));
    Ok(())
}

/// Deploys a workflow from YAML. `hash` (may be NULL) is its definition's, as text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_deploy_yaml(
    engine: *mut fc_engine,
    text: ew_str,
    hash: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        deploy(engine, text, hash, Workflow::from_yaml, Engine::deploy)
    })
}

/// Deploys a workflow from JSON of the same shape.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_deploy_json(
    engine: *mut fc_engine,
    text: ew_str,
    hash: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        deploy(engine, text, hash, Workflow::from_json, Engine::deploy)
    })
}

/// # Safety
/// As the header says.
pub unsafe fn deploy(
    engine: *mut fc_engine,
    text: ew_str,
    hash: *mut *mut ew_buffer,
    read: fn(&str) -> flowcore::Result<Workflow>,
    add: fn(&mut Engine<Kept>, Workflow) -> flowcore::Result<DefinitionHash>,
) -> Result<()> {
    // SAFETY: the caller's.
    let (mut engaged, text) = unsafe { (handle::exclusive(engine)?, text.text("text")?) };
    let workflow = read(text).map_err(raise)?;
    let deployed = add(engaged.engine()?, workflow).map_err(raise)?;
    if !hash.is_null() {
        Out::new(hash, "hash")?.set(buffer(deployed.to_string()));
    }
    Ok(())
}

/// Starts every workflow that an event triggers; `run` (may be NULL) is the last one's number. The same key gives the
/// same run; {NULL, 0} for none. Times are milliseconds
/// since the Unix epoch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_trigger(
    engine: *mut fc_engine,
    event: ew_str,
    key: ew_str,
    input: ew_str,
    now: i64,
    run: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, event, key, input) = unsafe {
            let (event, key) = (event.text("event")?, key.optional("key")?);
            (handle::exclusive(engine)?, event, key, input.json("input")?)
        };
        let now = Timestamp::from_millis(now);
        let engine = engaged.engine()?;
        let started = engine
            .trigger_with_key(event, key, input, now)
            .map_err(raise)?;
        set_optional(run, started.as_u64());
        Ok(())
    })
}

/// Starts a workflow by name. The same key gives the same run; {NULL, 0} for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_start(
    engine: *mut fc_engine,
    workflow: ew_str,
    key: ew_str,
    input: ew_str,
    now: i64,
    run: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, workflow, key, input) = unsafe {
            let (workflow, key) = (workflow.text("workflow")?, key.optional("key")?);
            (
                handle::exclusive(engine)?,
                workflow,
                key,
                input.json("input")?,
            )
        };
        let now = Timestamp::from_millis(now);
        let started = engaged
            .engine()?
            .start(workflow, key, input, now)
            .map_err(raise)?;
        set_optional(run, started.as_u64());
        Ok(())
    })
}

/// Hands an event to one run that waits for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_signal(
    engine: *mut fc_engine,
    run: u64,
    name: ew_str,
    key: ew_str,
    data: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name, key, data) = unsafe {
            let (name, key) = (name.text("name")?, key.optional("key")?);
            (handle::exclusive(engine)?, name, key, data.json("data")?)
        };
        let now = Timestamp::from_millis(now);
        engaged
            .engine()?
            .signal(self::run(run), name, key, data, now)
            .map_err(raise)
    })
}

/// Hands an event to all runs that wait for it now; `reached` (may be NULL) is how many did.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_publish(
    engine: *mut fc_engine,
    name: ew_str,
    key: ew_str,
    data: ew_str,
    now: i64,
    reached: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name, key, data) = unsafe {
            let (name, key) = (name.text("name")?, key.optional("key")?);
            (handle::exclusive(engine)?, name, key, data.json("data")?)
        };
        let now = Timestamp::from_millis(now);
        let count = engaged
            .engine()?
            .publish(name, key, data, now)
            .map_err(raise)?;
        set_optional(reached, count);
        Ok(())
    })
}

/// Runs what can go on at `now`, calling actions; `executed` (may be NULL) is how many ran.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_run_until_idle(
    engine: *mut fc_engine,
    now: i64,
    executed: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        engaged.watch.0.store(now, Ordering::Relaxed);
        engaged.engine()?;
        let Some(runner) = engaged.runner.as_mut() else {
            return Ok(());
        };
        let count = runner.run_until_idle().map_err(raise);
        engaged.watch.0.store(SYSTEM_TIME, Ordering::Relaxed);
        set_optional(executed, count?);
        Ok(())
    })
}

/// Runs by the system's clock, sleeping through pauses, until the run ended or waits for an event; `json` (may be NULL)
/// describes it as fc_status does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_run_until_ended(
    engine: *mut fc_engine,
    run: u64,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        engaged.engine()?;
        let Some(runner) = engaged.runner.as_mut() else {
            return Ok(());
        };
        let info = runner.run_until_ended(self::run(run)).map_err(raise)?;
        if !json.is_null() {
            Out::new(json, "json")?.set(json_buffer(&info)?);
        }
        Ok(())
    })
}

/// What actions wrote last at a key of a collection, as JSON. EW_NOT_FOUND if nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_state(
    engine: *const fc_engine,
    collection: ew_str,
    key: ew_str,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (mut engaged, collection, key) = unsafe {
            let collection = collection.text("collection")?;
            (handle::exclusive(engine)?, collection, key.text("key")?)
        };
        let found = engaged.engine()?.journal().state(collection, key);
        let found = found.map_err(|error| Fail::new(EW_SYSTEM, error))?;
        let nothing = || Fail::new(crate::fail::EW_NOT_FOUND, "nothing was written there");
        out.set(json_buffer(&found.ok_or_else(nothing)?)?);
        Ok(())
    })
}
