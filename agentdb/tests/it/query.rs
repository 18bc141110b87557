//! Queries agree with a plain evaluation.

use agentdb::{AgentDb, Field, Options, ReplicaId, Schema, Timestamp};
use proptest::prelude::*;

fn db(batteries: &[(i64, &str)]) -> AgentDb {
    let schema = Schema::new("robot")
        .field("battery", Field::Lww)
        .field("status", Field::Lww)
        .field("on", Field::Lww);
    let mut db = AgentDb::in_memory(Options::new(ReplicaId::new(1)).schema(schema)).unwrap();
    let mut tx = db.begin(Timestamp::from_millis(0)).unwrap();
    for (n, (battery, status)) in batteries.iter().enumerate() {
        let mut robot = tx.agent("robot", &format!("R{n:03}")).unwrap();
        robot.set("battery", *battery).unwrap();
        if !status.is_empty() {
            robot.set("status", *status).unwrap();
        }
        robot.set("on", n % 2 == 0).unwrap();
    }
    tx.commit().unwrap();
    db
}

fn ids(db: &AgentDb, query: &str) -> Vec<String> {
    db.query("robot", query)
        .unwrap()
        .into_iter()
        .map(|agent| agent.id)
        .collect()
}

#[test]
fn the_query_of_the_documentation_finds_the_low_ones_that_do_not_charge() {
    let db = db(&[(10, "charging"), (10, "moving"), (50, "moving"), (5, "")]);
    // Whoever has no status does not charge.
    assert_eq!(
        ids(&db, "battery < 20 && status != 'charging'"),
        ["R001", "R003"]
    );
    assert_eq!(ids(&db, "status == \"moving\" && battery >= 50"), ["R002"]);
    assert_eq!(ids(&db, "on == false"), ["R001", "R003"]);
    assert_eq!(ids(&db, "absent == 1"), Vec::<String>::new());
    assert!(db.query("boat", "battery < 20").unwrap().is_empty());
}

proptest! {
    #[test]
    fn comparisons_agree_with_a_plain_evaluation(batteries in prop::collection::vec(-5..5_i64, 0..20), limit in -6..6_i64) {
        let rows: Vec<(i64, &str)> = batteries.iter().map(|b| (*b, "x")).collect();
        let db = db(&rows);
        let tests: [(&str, fn(i64, i64) -> bool); 6] = [
            ("<", |a, b| a < b),
            ("<=", |a, b| a <= b),
            (">", |a, b| a > b),
            (">=", |a, b| a >= b),
            ("==", |a, b| a == b),
            ("!=", |a, b| a != b),
        ];
        for (word, holds) in tests {
            let wanted: Vec<String> =
                batteries.iter().enumerate().filter(|(_, b)| holds(**b, limit)).map(|(n, _)| format!("R{n:03}")).collect();
            prop_assert_eq!(ids(&db, &format!("battery {word} {limit}")), wanted);
        }
    }
}
