//! Merging: the golden history, and the laws for random ones.

use agentdb::{AgentDb, Context, Document, Field, ReplicaId, Schema};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{at, robot, stamp, store};

const A: ReplicaId = ReplicaId::new(1);
const B: ReplicaId = ReplicaId::new(2);

/// A copy whose replica has written `own` times after it saw `seen` writes of the other.
fn history(
    schema: &Schema,
    field: &str,
    own: (ReplicaId, u64),
    seen: (ReplicaId, u64),
) -> Document {
    let mut document = Document::new(schema);
    for replica in [seen, own] {
        for _ in 0..replica.1 {
            document
                .edit(schema, replica.0, stamp(1))
                .set(field, json!(0))
                .unwrap();
        }
    }
    document
}

#[test]
fn concurrent_copies_of_a_maximum_merge_to_the_larger_with_the_joined_clock_and_no_new_write() {
    let schema = Schema::new("s")
        .field("writes", Field::Lww)
        .field("counter", Field::Max);
    // A: counter 5 with {A:10, B:8}; B: counter 7 with {A:9, B:12}. One of the writes is the counter's.
    let mut a = history(&schema, "writes", (A, 9), (B, 8));
    a.edit(&schema, A, stamp(1)).max("counter", 5.0).unwrap();
    let mut b = history(&schema, "writes", (B, 11), (A, 9));
    b.edit(&schema, B, stamp(1)).max("counter", 7.0).unwrap();
    assert_eq!(a.context(), &Context::from_vector([(A, 10), (B, 8)]));
    assert_eq!(b.context(), &Context::from_vector([(A, 9), (B, 12)]));

    let (mut ab, mut ba) = (a.clone(), b.clone());
    ab.merge(&b).unwrap();
    ba.merge(&a).unwrap();
    assert_eq!(ab, ba);
    assert_eq!(ab.to_json(&schema)["counter"], 7);
    assert_eq!(ab.context(), &Context::from_vector([(A, 10), (B, 12)]));
    assert_eq!(ab.context().vector().count(), 2);
}

#[test]
fn the_same_history_as_a_counter_adds_up() {
    let schema = Schema::new("s").field("counter", Field::PnCounter);
    let mut a = Document::new(&schema);
    a.edit(&schema, A, stamp(1)).add("counter", 5).unwrap();
    let mut b = Document::new(&schema);
    b.edit(&schema, B, stamp(1)).add("counter", 7).unwrap();
    a.merge(&b).unwrap();
    b.merge(&a).unwrap();
    assert_eq!(a, b);
    assert_eq!(a.to_json(&schema)["counter"], 12);
}

#[test]
fn a_write_that_saw_another_replaces_it_whatever_the_clock_says() {
    let schema = robot();
    let mut a = Document::new(&schema);
    a.edit(&schema, A, stamp(9_000))
        .set("battery", json!(90))
        .unwrap();
    let mut b = a.clone();
    // B's clock is nine seconds behind, but B has read 90.
    b.edit(&schema, B, stamp(0))
        .set("battery", json!(40))
        .unwrap();
    a.merge(&b).unwrap();
    b.merge(&a).unwrap();
    assert_eq!(a, b);
    assert_eq!(a.to_json(&schema)["battery"], 40);
}

#[test]
fn the_later_of_two_concurrent_writes_wins() {
    let schema = robot();
    let (mut a, mut b) = (Document::new(&schema), Document::new(&schema));
    a.edit(&schema, A, stamp(2_000))
        .set("battery", json!("late"))
        .unwrap();
    b.edit(&schema, B, stamp(1_000))
        .set("battery", json!("early"))
        .unwrap();
    let mut both = a.clone();
    both.merge(&b).unwrap();
    b.merge(&a).unwrap();
    assert_eq!(both, b);
    assert_eq!(b.to_json(&schema)["battery"], "late");
}

#[test]
fn a_document_does_not_grow_when_a_field_is_overwritten() {
    let schema = robot();
    let mut document = Document::new(&schema);
    let size = |document: &Document| document.encode().len();
    document
        .edit(&schema, A, stamp(1_000_000_000_000))
        .set("battery", json!(50))
        .unwrap();
    let first = size(&document);
    for write in 0..20_000 {
        document
            .edit(&schema, A, stamp(1_000_000_000_000 + write * 100))
            .set("battery", json!(write % 90 + 10))
            .unwrap();
    }
    // The write count is a number of more digits, twice; nothing else may differ.
    assert!(
        size(&document) <= first + 8,
        "{first} -> {}",
        size(&document)
    );
}

#[test]
fn a_status_only_goes_forward() {
    let schema = robot();
    let (mut a, mut b) = (Document::new(&schema), Document::new(&schema));
    a.edit(&schema, A, stamp(5)).status("task", "done").unwrap();
    b.edit(&schema, B, stamp(9))
        .status("task", "active")
        .unwrap();
    b.merge(&a).unwrap();
    assert_eq!(b.to_json(&schema)["task"], "done");
    let before = b.clone();
    b.edit(&schema, B, stamp(10))
        .status("task", "queued")
        .unwrap();
    assert_eq!(b, before);
}

#[test]
fn stores_converge_after_they_exchange_copies_in_both_directions() {
    let (mut left, mut right) = (store(1), store(2));
    for (db, battery, steps) in [(&mut left, 10, 5), (&mut right, 20, 7)] {
        let mut tx = db.begin(at(battery)).unwrap();
        tx.agent("robot", "R1")
            .unwrap()
            .set("battery", battery)
            .unwrap()
            .add("odometer", steps)
            .unwrap();
        tx.commit().unwrap();
    }
    let (from_left, from_right) = (
        left.document("R1").unwrap().unwrap(),
        right.document("R1").unwrap().unwrap(),
    );
    let hear = |db: &mut AgentDb, copy: &Document| {
        let mut tx = db.begin(at(30)).unwrap();
        tx.merge("R1", copy).unwrap();
        tx.commit().unwrap();
    };
    hear(&mut left, &from_right);
    hear(&mut right, &from_left);
    hear(&mut right, &from_left);
    let (left, right) = (
        left.get("R1").unwrap().unwrap(),
        right.get("R1").unwrap().unwrap(),
    );
    assert_eq!(left.state, json!({"battery": 20, "odometer": 12}));
    assert_eq!((left.state, left.clock), (right.state, right.clock));
}

/// What may happen among three replicas.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, i64, i32),
    Max(usize, i32),
    Status(usize, usize),
    Add(usize, i64),
    /// The first hears of the state that the second had `age` deliveries ago.
    Deliver(usize, usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize, 0..50i64, any::<i32>()).prop_map(|(r, t, v)| Step::Set(r, t, v)),
        (0..3usize, any::<i32>()).prop_map(|(r, v)| Step::Max(r, v)),
        (0..3usize, 0..4usize).prop_map(|(r, s)| Step::Status(r, s)),
        (0..3usize, -100..100i64).prop_map(|(r, by)| Step::Add(r, by)),
        (0..3usize, 0..3usize, 0..4usize).prop_map(|(to, from, age)| Step::Deliver(to, from, age)),
    ]
}

const ORDER: [&str; 4] = ["queued", "assigned", "active", "done"];

/// Runs the steps; returns each replica's last copy, and what plain arithmetic says of the merged whole.
fn run(steps: &[Step]) -> (Vec<Document>, Value) {
    let schema = robot();
    let mut past: Vec<Vec<Document>> = vec![vec![Document::new(&schema)]; 3];
    let (mut max, mut rank, mut sum) = (None::<i32>, None::<usize>, None::<i64>);
    for step in steps {
        let (Step::Set(r, ..)
        | Step::Max(r, _)
        | Step::Status(r, _)
        | Step::Add(r, _)
        | Step::Deliver(r, ..)) = step;
        let mut copy = past[*r].last().unwrap().clone();
        let replica = ReplicaId::new(*r as u64 + 1);
        match step {
            Step::Set(_, time, value) => copy
                .edit(&schema, replica, stamp(*time))
                .set("battery", json!(value))
                .map(drop)
                .unwrap(),
            Step::Max(_, value) => {
                max = max.max(Some(*value));
                copy.edit(&schema, replica, stamp(1))
                    .max("counter", f64::from(*value))
                    .unwrap();
            }
            Step::Status(_, place) => {
                rank = rank.max(Some(*place));
                copy.edit(&schema, replica, stamp(1))
                    .status("task", ORDER[*place])
                    .unwrap();
            }
            Step::Add(_, by) => {
                sum = Some(sum.unwrap_or(0) + by);
                copy.edit(&schema, replica, stamp(1))
                    .add("odometer", *by)
                    .unwrap();
            }
            Step::Deliver(_, from, age) => {
                let states = &past[*from];
                copy.merge(&states[states.len().saturating_sub(1 + age)])
                    .map(drop)
                    .unwrap()
            }
        }
        past[*r].push(copy);
    }
    let mut expected = json!({});
    if let Some(max) = max {
        expected["counter"] = json!(max);
    }
    if let Some(rank) = rank {
        expected["task"] = json!(ORDER[rank]);
    }
    if let Some(sum) = sum {
        expected["odometer"] = json!(sum);
    }
    (
        past.into_iter()
            .map(|states| states.last().unwrap().clone())
            .collect(),
        expected,
    )
}

fn merged<'a>(copies: impl IntoIterator<Item = &'a Document>) -> Document {
    let mut whole = Document::new(&robot());
    for copy in copies {
        whole.merge(copy).unwrap();
    }
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn merging_is_commutative_associative_and_idempotent(steps in vec(step(), 0..60)) {
        let (copies, _) = run(&steps);
        let [a, b, c] = &copies[..] else { unreachable!() };
        let join = |x: &Document, y: &Document| { let mut x = x.clone(); x.merge(y).unwrap(); x };
        prop_assert_eq!(join(a, b), join(b, a));
        prop_assert_eq!(join(&join(a, b), c), join(a, &join(b, c)));
        prop_assert_eq!(&join(a, a), a);
        prop_assert_eq!(join(&join(a, b), b), join(a, b));
    }

    #[test]
    fn every_order_with_repeats_ends_in_what_arithmetic_says(
        steps in vec(step(), 0..60),
        order in Just(vec![0usize, 1, 2, 0, 1, 2]).prop_shuffle(),
    ) {
        let (copies, expected) = run(&steps);
        let whole = merged(&copies);
        prop_assert_eq!(&merged(order.iter().map(|at| &copies[*at])), &whole);
        let mut state = whole.to_json(&robot());
        state.as_object_mut().unwrap().remove("battery");
        prop_assert_eq!(state, expected);
    }

    #[test]
    fn a_copy_survives_its_journey_as_bytes(steps in vec(step(), 0..40)) {
        let (copies, _) = run(&steps);
        for copy in copies {
            prop_assert_eq!(Document::decode(&copy.encode()).unwrap(), copy);
        }
    }
}
