//! Frames of any bytes, their checksum made to fit, on a link that is up: each is taken or refused, and two
//! stores whose frames then go on agree. The first byte of a frame is its kind, the second its flags; kinds 3
//! and 4 are reconciliation, 7 deltas, 9 events.
#![no_main]

use agentdb::sync::{Endpoint, Role, Session, SyncOptions, Toward, run_local};
use agentdb::{AgentDb, Field, Options, Priority, ReplicaId, Schema, Timestamp};
use libfuzzer_sys::fuzz_target;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn side(replica: u64, role: Role, toward: Toward) -> (Endpoint, Session) {
    let schema = Schema::new("robot")
        .field("battery", Field::Lww)
        .field("tools", Field::or_set())
        .field("odometer", Field::PnCounter);
    let options = Options::new(ReplicaId::new(replica)).schema(schema);
    let mut db = AgentDb::in_memory(options).expect("memory opens");
    let mut tx = db.begin(at(1)).expect("memory takes it");
    let mut robot = tx.agent("robot", &format!("R{replica}")).expect("the schema is there");
    robot.set("battery", replica).expect("the field is there");
    robot.insert("tools", "welder").expect("the field is there");
    let null = Default::default();
    tx.append_event("R1", "step", &null, Priority::Normal).expect("memory takes it");
    tx.commit().expect("memory takes it");
    let mut endpoint = Endpoint::new(db, SyncOptions::new(role));
    let session = Session::new(&mut endpoint, toward, at(2));
    (endpoint, session)
}

fuzz_target!(|bytes: &[u8]| {
    let (mut farm, mut down) = side(1, Role::Root, Toward::Child);
    let (mut robot, mut up) = side(2, Role::Device, Toward::Parent);
    run_local((&mut farm, &mut down), (&mut robot, &mut up), at(3)).expect("they agree");
    let mut tx = robot.db_mut().begin(at(4)).expect("memory takes it");
    let mut agent = tx.agent("robot", "R2").expect("it is there");
    agent.add("odometer", 5).expect("the field is there");
    tx.commit().expect("memory takes it");
    let own = up.poll(&mut robot, at(5)).expect("it speaks").expect("it has something to say");
    // Frames behind their lengths.
    let mut rest = bytes;
    while let Some((length, more)) = rest.split_first() {
        let (body, more) = more.split_at(usize::from(*length).min(more.len()));
        rest = more;
        let Some((head, body)) = body.split_at_checked(2) else {
            continue;
        };
        let mut frame = vec![own[0], head[0], head[1]];
        frame.extend_from_slice(&own[3..7]);
        frame.extend_from_slice(body);
        let checksum = crc32c::crc32c(&frame);
        frame.extend_from_slice(&checksum.to_le_bytes());
        let _ = down.receive(&mut farm, &frame, at(6));
    }
    let _ = down.receive(&mut farm, &own, at(7));
    let _ = run_local((&mut farm, &mut down), (&mut robot, &mut up), at(8));
    assert_eq!(farm.db().verify().expect("memory is read"), Vec::<String>::new());
});
