//! A farm and its robots over TCP: robots work without a link, and what they wrote and saw goes to the farm when there is one.
//!
//! Alone it plays both sides in one process. On two machines:
//! `cargo run -p edgeweave-agentdb --features tcp --example sync_over_tcp -- farm farm.db 0.0.0.0:7300`
//! `cargo run -p edgeweave-agentdb --features tcp --example sync_over_tcp -- robot robot.db FARM:7300 7`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example")]
#![allow(clippy::disallowed_methods, reason = "an example reads the clock")]

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentdb::sync::{Endpoint, Role, SyncOptions, Toward, tcp};
use agentdb::{AgentDb, Field, Options, Priority, ReplicaId, Schema, Sequence, Timestamp};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
type Shared = Arc<Mutex<Endpoint>>;

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn lock(shared: &Shared) -> MutexGuard<'_, Endpoint> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &str, replica: u64, role: Role) -> Result<Shared> {
    let schema = Schema::new("field")
        .field("note", Field::Lww)
        .field("rows_done", Field::PnCounter)
        .field("harvest", Field::status(&["queued", "active", "done"]));
    let db = AgentDb::open(path, Options::new(ReplicaId::new(replica)).schema(schema))?;
    let endpoint = Endpoint::new(db, SyncOptions::new(role));
    Ok(Arc::new(Mutex::new(endpoint)))
}

/// Serves every robot that comes, each on a thread of its own.
fn farm(shared: &Shared, listener: &TcpListener, stop: &Arc<AtomicBool>) {
    for stream in listener.incoming().flatten() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (shared, stop) = (shared.clone(), stop.clone());
        std::thread::spawn(move || {
            let told = |error: &agentdb::sync::SyncError| eprintln!("refused: {error}");
            match tcp::run(stream, &shared, Toward::Child, now, &stop, told) {
                Ok(done) => println!("a robot went; {} events came", done.events_received),
                Err(error) => eprintln!("a link ended: {error}"),
            }
        });
    }
}

/// Keeps a link to the farm, and tries again when there is none.
fn robot(shared: &Shared, address: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let linked = TcpStream::connect(address)
            .map_err(Into::into)
            .and_then(|stream| tcp::run(stream, shared, Toward::Parent, now, stop, |_| {}));
        if let Err(error) = linked {
            eprintln!("no link: {error}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn work(shared: &Shared, rows: i64) -> Result<()> {
    let mut endpoint = lock(shared);
    let mut tx = endpoint.db_mut().begin(now())?;
    tx.agent("field", "north")?
        .add("rows_done", rows)?
        .status("harvest", "active")?;
    tx.append_event("north", "rows", &json!({"rows": rows}), Priority::Normal)?;
    tx.commit()?;
    Ok(())
}

fn both() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let home = open(&path("farm.db"), 1, Role::Root)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let stop = Arc::new(AtomicBool::new(false));
    let robots =
        [2, 3].map(|number| open(&path(&format!("robot-{number}.db")), number, Role::Device));
    // No link yet.
    for (place, shared) in robots.iter().flatten().enumerate() {
        work(shared, 5 + 2 * place as i64)?;
    }
    let (shared, flag) = (home.clone(), stop.clone());
    std::thread::spawn(move || farm(&shared, &listener, &flag));
    for shared in robots.into_iter().flatten() {
        let (address, flag) = (address.clone(), stop.clone());
        std::thread::spawn(move || robot(&shared, &address, &flag));
    }
    for _ in 0..1_000 {
        std::thread::sleep(Duration::from_millis(10));
        let home = lock(&home);
        let field = home.db().get("north")?;
        let rows = field.and_then(|field| field.state["rows_done"].as_i64());
        let events = home.db().events_after(Sequence::new(0), 100)?;
        if rows == Some(12) && events.len() == 2 {
            stop.store(true, Ordering::Relaxed);
            println!("the farm knows of {} rows and {} events", 12, events.len());
            return Ok(());
        }
    }
    Err("the farm did not hear of all rows".into())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let stop = Arc::new(AtomicBool::new(false));
    match args.as_slice() {
        [] => both(),
        ["farm", path, address] => {
            farm(
                &open(path, 1, Role::Root)?,
                &TcpListener::bind(address)?,
                &stop,
            );
            Ok(())
        }
        ["robot", path, address, number] => {
            let shared = open(path, number.parse()?, Role::Device)?;
            work(&shared, 1)?;
            robot(&shared, address, &stop);
            Ok(())
        }
        _ => Err("arguments: none, `farm FILE ADDRESS` or `robot FILE ADDRESS NUMBER`".into()),
    }
}
