//! A document that cannot go over is told and left out; everything else goes on.

use agentdb::sync::{Endpoint, Role, Session, SyncError, SyncOptions, Toward};
use agentdb::{AgentDb, Error, FIELD_BYTES_MAX, Field, Options, ReplicaId, Schema};

use super::{Site, assert_live};
use crate::at;

/// Seventeen fields of a mebibyte each are more than a frame holds.
const FIELDS: usize = 17;

fn wide() -> Schema {
    let fields = (0..FIELDS).map(|number| format!("part_{number}"));
    fields.fold(Schema::new("wide"), |schema, name| {
        schema.field(&name, Field::Lww)
    })
}

fn site(replica: u64, schemas: &[Schema]) -> Site {
    let mut options = Options::new(ReplicaId::new(replica)).schema(crate::robot());
    for schema in schemas {
        options = options.schema(schema.clone());
    }
    let db = AgentDb::in_memory(options).unwrap();
    let mut endpoint = Endpoint::new(db, SyncOptions::new(Role::Device));
    let session = Session::new(&mut endpoint, Toward::Peer, at(0));
    Site { endpoint, session }
}

fn fill(site: &mut Site, id: &str, fields: usize) {
    let text = "x".repeat(FIELD_BYTES_MAX - 64);
    let mut tx = site.endpoint.db_mut().begin(at(1)).unwrap();
    let mut agent = tx.agent("wide", id).unwrap();
    for number in 0..fields {
        agent.set(&format!("part_{number}"), text.as_str()).unwrap();
    }
    tx.commit().unwrap();
}

/// Carries frames for a minute, whatever is refused; what each side was told.
fn carry(a: &mut Site, b: &mut Site, from_second: i64) -> (Vec<SyncError>, Vec<SyncError>) {
    let (mut told_a, mut told_b) = (Vec::new(), Vec::new());
    for second in from_second..from_second + 60 {
        let now = at(second * 1_000);
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for turn in 0..2 {
                let (from, to, told_from, told_to) = match turn {
                    0 => (&mut *a, &mut *b, &mut told_a, &mut told_b),
                    _ => (&mut *b, &mut *a, &mut told_b, &mut told_a),
                };
                loop {
                    match from.session.poll(&mut from.endpoint, now) {
                        Ok(Some(frame)) => told_to.extend(to.receive(&frame, now).err()),
                        Ok(None) => break,
                        Err(error) => told_from.push(error),
                    }
                    quiet = false;
                }
            }
        }
    }
    (told_a, told_b)
}

#[test]
fn a_document_that_no_frame_holds_is_told_to_the_sender_and_the_rest_goes_on() {
    let (mut a, mut b) = (site(1, &[wide()]), site(2, &[wide()]));
    fill(&mut a, "large", FIELDS);
    // Two that fit one by one, and not together.
    fill(&mut a, "most", FIELDS / 2 + 1);
    fill(&mut a, "other", FIELDS / 2 + 1);
    a.set("R1", "battery", 17, at(2));
    let (told_a, told_b) = carry(&mut a, &mut b, 1);
    assert_live(&a, &b);
    assert!(told_b.is_empty(), "{told_b:?}");
    assert!(!told_a.is_empty() && told_a.len() <= 2, "{told_a:?}");
    for error in &told_a {
        assert!(
            matches!(error, SyncError::DocumentTooLarge { agent, .. } if agent == "large"),
            "{error}"
        );
    }
    assert_eq!(
        a.session.stats().documents_left_out,
        told_a.len() as u64,
        "each is counted"
    );
    assert!(b.state("large").is_null());
    assert_eq!(b.state("R1")["battery"], 17);
    for id in ["most", "other"] {
        assert_eq!(b.state(id), a.state(id));
    }
    // What is written later goes as it does on any link.
    a.set("R2", "battery", 4, at(70_000));
    let (told_a, _) = carry(&mut a, &mut b, 71);
    assert!(told_a.is_empty(), "{told_a:?}");
    assert_eq!(b.state("R2")["battery"], 4);
}

#[test]
fn a_document_that_the_peer_refuses_is_left_out_until_it_takes_it() {
    let extra = Schema::new("extra").field("note", Field::Lww);
    let (mut a, mut b) = (site(1, std::slice::from_ref(&extra)), site(2, &[]));
    for number in 0..5 {
        a.set(&format!("R{number}"), "battery", number, at(1));
    }
    let mut tx = a.endpoint.db_mut().begin(at(2)).unwrap();
    tx.agent("extra", "E1").unwrap().set("note", "new").unwrap();
    tx.commit().unwrap();
    a.set("R9", "battery", 9, at(3));
    let (told_a, told_b) = carry(&mut a, &mut b, 1);
    assert_live(&a, &b);
    let refused =
        |error: &SyncError| matches!(error, SyncError::DocumentRefused { agent } if agent == "E1");
    assert!(told_a.iter().any(refused), "{told_a:?}");
    assert!(told_a.len() <= 4, "{told_a:?}");
    let unknown = |error: &SyncError| matches!(error, SyncError::Store(Error::UnknownSchema(schema)) if schema == "extra");
    assert!(told_b.iter().all(unknown), "{told_b:?}");
    for number in [0, 1, 2, 3, 4, 9] {
        assert_eq!(b.state(&format!("R{number}"))["battery"], number);
    }

    // The peer learns the schema, and gets the document although it has not changed.
    let db = b.endpoint.into_db();
    let rows = db.changes_after(agentdb::Change::default(), 100).unwrap();
    let mut c = site(2, &[extra]);
    for (id, _) in rows {
        let document = db.document(&id).unwrap().unwrap();
        let mut tx = c.endpoint.db_mut().begin(at(100_000)).unwrap();
        tx.merge(&id, &document).unwrap();
        tx.commit().unwrap();
    }
    a.session.reset(&mut a.endpoint, at(100_000));
    carry(&mut a, &mut c, 101);
    assert_live(&a, &c);
    assert_eq!(c.state("E1")["note"], "new");
}

#[test]
fn a_document_that_could_not_be_read_back_is_not_committed() {
    let schema = Schema::new("log").field("lines", Field::or_map(Field::Lww));
    let mut a = site(1, &[schema]);
    let text = "x".repeat(FIELD_BYTES_MAX - 64);
    let mut tx = a.endpoint.db_mut().begin(at(1)).unwrap();
    let mut agent = tx.agent("log", "L1").unwrap();
    for number in 0..65 {
        agent
            .set(&format!("lines/{number}"), text.as_str())
            .unwrap();
    }
    let error = tx.commit().unwrap_err();
    assert!(
        matches!(&error, Error::DocumentTooLarge { agent, .. } if agent == "L1"),
        "{error}"
    );
    assert!(a.endpoint.db().get("L1").unwrap().is_none());
    a.set("R1", "battery", 1, at(2));
}
