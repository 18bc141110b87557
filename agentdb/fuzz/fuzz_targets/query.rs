//! Any text is a query or an error, and a query runs.
#![no_main]

use agentdb::{AgentDb, Error, Field, Options, ReplicaId, Schema, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let schema = Schema::new("robot").field("a", Field::Lww).field("b", Field::Lww).index("a");
    let options = Options::new(ReplicaId::new(1)).schema(schema);
    let mut db = AgentDb::in_memory(options).expect("a store in memory");
    let mut tx = db.begin(Timestamp::from_millis(1)).expect("a transaction");
    for n in 0..4_i64 {
        let mut agent = tx.agent("robot", &n.to_string()).expect("a document");
        agent.set("a", n).and_then(|agent| agent.set("b", "x")).expect("a write");
    }
    tx.commit().expect("a commit");
    match db.find("robot", text) {
        Ok(query) => assert!(query.order_by("a").run().expect("a result").len() <= 4),
        Err(error) => assert!(matches!(error, Error::Query { .. } | Error::Limit { .. }), "{error}"),
    }
});
