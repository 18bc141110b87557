//! Steps on another tier, over TCP: in another process, once each, refused when the lease is gone.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flowcore::remote::{FRAME_LEN_MAX, RemoteCall, RemoteTier, RemoteWorker, read_frame};
use flowcore::{
    Call, Engine, MemoryJournal, Output, RunStatus, Runner, StateWrite, Tier, Timestamp, Workflow,
};
use serde_json::{Value, json};

const WORKER: &str = "FLOWCORE_REMOTE_WORKER";
const NOW: Timestamp = Timestamp::from_millis(0);
const TIMEOUT: Duration = Duration::from_secs(10);

fn worker(ran: &Arc<AtomicU64>) -> RemoteWorker {
    let ran = Arc::clone(ran);
    let process = std::process::id();
    RemoteWorker::new()
        .action("square", move |call| {
            let count = ran.fetch_add(1, Ordering::SeqCst) + 1;
            let n = call.params["n"].as_i64().unwrap_or_default();
            let value = json!({"n": n * n, "process": process, "count": count});
            Ok(Output::new(value).write(StateWrite::new("squares", n.to_string(), json!(n * n))))
        })
        .action("fail", |_| -> Result<Value, _> {
            Err(flowcore::ActionError::new("Overheated", "too hot"))
        })
        .action("crash", |_| -> Result<Value, _> { panic!("on purpose") })
}

/// The body of the other process; does nothing in an ordinary test run.
#[test]
fn worker_process() {
    let Some(port_file) = std::env::var_os(WORKER) else {
        return;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::fs::write(&port_file, port).unwrap();
    let connections = NonZeroUsize::new(4).unwrap();
    worker(&Arc::default())
        .serve(&listener, connections)
        .unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn other_process() -> (Killed, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "remote::worker_process"])
        .env(WORKER, &port_file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = Killed(child);
    for _ in 0..500 {
        let port = std::fs::read_to_string(&port_file).unwrap_or_default();
        if let Ok(port) = port.parse() {
            return (child, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the worker did not come up");
}

fn deployed(address: SocketAddr, journal: &MemoryJournal, steps: &str) -> Engine<MemoryJournal> {
    let gateway = RemoteTier::new(address, "camera-7", TIMEOUT);
    let mut engine = Engine::new(journal.clone())
        .action("here", |_| Ok(json!({"process": std::process::id()})))
        .place(Tier::Mid, move |call| gateway.perform(call));
    let yaml = format!("workflow: {{name: w, output: 'result', steps: [{steps}]}}");
    engine.deploy(Workflow::from_yaml(&yaml).unwrap()).unwrap();
    engine
}

#[test]
fn a_step_of_the_mid_tier_runs_in_the_other_process_with_its_state_write() {
    let (_child, address) = other_process();
    let journal = MemoryJournal::new();
    let steps = "{id: near, action: here, latency: 5ms}, {id: result, action: square, params: {n: '${input}'}, latency: 20ms}";
    let engine = deployed(address, &journal, steps);
    let mut runner = Runner::with_clock(engine, || NOW);
    for n in 1..=50 {
        let run = runner.engine().start("w", None, json!(n), NOW).unwrap();
        let info = runner.run_until_ended(run).unwrap();
        assert_eq!(info.output["n"], json!(n * n), "{info:?}");
        assert_ne!(info.output["process"], json!(std::process::id()));
        assert_eq!(journal.state("squares", &n.to_string()), Some(json!(n * n)));
    }
}

fn in_this_process() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let ran = Arc::new(AtomicU64::new(0));
    let worker = worker(&ran);
    std::thread::spawn(move || worker.serve(&listener, NonZeroUsize::new(4).unwrap()));
    (address, ran)
}

/// The calls that the mid tier would get.
fn one_call(engine: &mut Engine<MemoryJournal>) -> Call {
    engine.start("w", None, json!(3), NOW).unwrap();
    let mut commands = engine.step(NOW).unwrap();
    let Some(flowcore::Command::Execute(call)) = commands.pop() else {
        panic!()
    };
    call
}

const SQUARE: &str = "{id: result, action: square, params: {n: 3}, latency: 20ms}";

#[test]
fn a_call_that_is_sent_again_is_answered_without_running_again() {
    let (address, ran) = in_this_process();
    let tier = RemoteTier::new(address, "camera-7", TIMEOUT);
    let mut engine = deployed(address, &MemoryJournal::new(), SQUARE);
    let call = one_call(&mut engine);
    let first = tier.perform(&call).unwrap();
    // The answer got lost, the process died, whatever: the same step asks again.
    let other = RemoteTier::new(address, "camera-7", TIMEOUT);
    let both: Vec<_> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| other.perform(&call).unwrap());
        let (a, b) = (ask(), ask());
        vec![a.join().unwrap(), b.join().unwrap()]
    });
    assert!(both.iter().all(|output| *output == first));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_of_an_older_epoch_is_refused() {
    let (address, ran) = in_this_process();
    let tier = RemoteTier::new(address, "camera-7", TIMEOUT);
    let journal = MemoryJournal::new();
    let ttl = Duration::from_secs(1);
    let (mut old, mut new) = (
        deployed(address, &journal, SQUARE),
        deployed(address, &journal, SQUARE),
    );
    old.lease("old", ttl, NOW).unwrap();
    let stale = one_call(&mut old);
    new.lease("new", ttl, Timestamp::from_millis(5_000))
        .unwrap();
    new.start("w", None, json!(4), Timestamp::from_millis(5_000))
        .unwrap();
    let commands = new.step(Timestamp::from_millis(5_000)).unwrap();
    for command in commands {
        if let flowcore::Command::Execute(call) = command {
            tier.perform(&call).unwrap();
        }
    }
    let before = ran.load(Ordering::SeqCst);
    let error = tier.perform(&stale).unwrap_err();
    assert_eq!(error.name, "Fenced");
    assert_eq!(ran.load(Ordering::SeqCst), before);
}

#[test]
fn what_goes_wrong_there_is_an_error_of_the_step_here() {
    let (address, _) = in_this_process();
    for (action, name) in [
        ("fail", "Overheated"),
        ("crash", "Panic"),
        ("unheard_of", "Refused"),
    ] {
        let steps = format!("{{id: result, action: {action}, latency: 20ms}}");
        let engine = deployed(address, &MemoryJournal::new(), &steps);
        let mut runner = Runner::with_clock(engine, || NOW);
        let run = runner.engine().start("w", None, json!(1), NOW).unwrap();
        let info = runner.run_until_ended(run).unwrap();
        assert_eq!(info.status, RunStatus::Failed);
        assert_eq!(info.failure.unwrap().name, name);
    }
    // Nobody listens there.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let steps = "{id: result, action: square, latency: 20ms, fallback: local}";
    let engine = deployed(closed, &MemoryJournal::new(), steps);
    let mut runner = Runner::with_clock(engine, || NOW);
    let run = runner.engine().start("w", None, json!(1), NOW).unwrap();
    assert_eq!(runner.run_until_ended(run).unwrap().output, json!("local"));
}

#[test]
fn frames_are_bounded_before_memory_is_taken() {
    let long = u32::try_from(FRAME_LEN_MAX + 1).unwrap().to_le_bytes();
    let error = read_frame::<RemoteCall>(&mut long.as_slice()).unwrap_err();
    assert!(error.to_string().contains("over the limit"), "{error}");
    // A promise of eight megabytes that breaks off takes only what came.
    let promised = [&8_000_000_u32.to_le_bytes()[..], b"{"].concat();
    assert!(read_frame::<RemoteCall>(&mut promised.as_slice()).is_err());
    assert!(read_frame::<RemoteCall>(&mut &b""[..]).unwrap().is_none());
    // And the worker closes the connection instead of waiting for more.
    let (address, _) = in_this_process();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&[255; 8]).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
}
