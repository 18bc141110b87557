//! Every kind of leaf, delivered in every way, against a model that knows all writes and who had seen what.

use agentdb::{Context, Document, Dot, Field, ReplicaId, Schema, Wins};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::stamp;

fn schema() -> Schema {
    Schema::new("all")
        .field("lww", Field::Lww)
        .field("mv", Field::Mv)
        .field("max", Field::Max)
        .field("min", Field::Min)
        .field("status", Field::status(&ORDER))
        .field("counter", Field::PnCounter)
        .field("stop", Field::Flag(Wins::Add))
        .field("permit", Field::Flag(Wins::Remove))
        .field("set", Field::OrSet(Wins::Add))
        .field("banned", Field::OrSet(Wins::Remove))
        .field("tasks", Field::or_map(Field::status(&ORDER)))
        .field("locks", Field::OrMap(Box::new(Field::Max), Wins::Remove))
        .field("nested", Field::or_map(Field::or_map(Field::or_set())))
        .field("note", Field::List)
}

const ORDER: [&str; 4] = ["queued", "assigned", "active", "done"];
const KEYS: [&str; 3] = ["a", "b~/c", ""];
const REPLICAS: usize = 3;

#[derive(Clone, Debug, PartialEq)]
enum Op {
    Lww(i64, i64),
    Mv(i64),
    Max(i64),
    Min(i64),
    Status(usize),
    Add(i64),
    Reset,
    Stop(bool),
    Permit(bool),
    Set(usize, bool),
    Banned(usize, bool),
    Task(usize, usize),
    TaskGone(usize),
    Lock(usize, i64),
    LockGone(usize),
    Nested(usize, usize, usize),
    NestedGone(usize, usize),
    Note(u8, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS.len();
    prop_oneof![
        (0..9i64, 0..99i64).prop_map(|(t, v)| Op::Lww(t, v)),
        (0..99i64).prop_map(Op::Mv),
        (-9..9i64).prop_map(Op::Max),
        (-9..9i64).prop_map(Op::Min),
        (0..4usize).prop_map(Op::Status),
        (-9..9i64).prop_map(Op::Add),
        Just(Op::Reset),
        any::<bool>().prop_map(Op::Stop),
        any::<bool>().prop_map(Op::Permit),
        (key.clone(), any::<bool>()).prop_map(|(k, on)| Op::Set(k, on)),
        (key.clone(), any::<bool>()).prop_map(|(k, on)| Op::Banned(k, on)),
        (key.clone(), 0..4usize).prop_map(|(k, s)| Op::Task(k, s)),
        key.clone().prop_map(Op::TaskGone),
        (key.clone(), 0..9i64).prop_map(|(k, v)| Op::Lock(k, v)),
        key.clone().prop_map(Op::LockGone),
        (key.clone(), key.clone(), key.clone()).prop_map(|(a, b, c)| Op::Nested(a, b, c)),
        (key.clone(), key).prop_map(|(a, b)| Op::NestedGone(a, b)),
        (any::<u8>(), any::<bool>()).prop_map(|(at, insert)| Op::Note(at, insert)),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Edit(usize, Op),
    /// All that the second knows.
    Copy(usize, usize),
    /// What the second knows beyond what the first has seen.
    Delta(usize, usize),
    /// What the second knows beyond what the third has seen: maybe too little, maybe too much.
    Foreign(usize, usize, usize),
    /// The delta of any one edit that was ever made.
    Single(usize, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let r = 0..REPLICAS;
    prop_oneof![
        6 => (r.clone(), op()).prop_map(|(r, op)| Step::Edit(r, op)),
        1 => (r.clone(), r.clone()).prop_map(|(to, from)| Step::Copy(to, from)),
        1 => (r.clone(), r.clone()).prop_map(|(to, from)| Step::Delta(to, from)),
        1 => (r.clone(), r.clone(), r.clone()).prop_map(|(to, from, of)| Step::Foreign(to, from, of)),
        2 => (r, any::<prop::sample::Index>()).prop_map(|(to, which)| Step::Single(to, which)),
    ]
}

/// A write and what its replica had seen before it.
struct Write {
    dot: Dot,
    seen: Context,
    op: Op,
}

fn replica(number: usize) -> ReplicaId {
    ReplicaId::new(number as u64 + 1).with_incarnation(number as u32)
}

fn path(map: &str, key: usize) -> String {
    let key = KEYS[key].replace('~', "~0").replace('/', "~1");
    format!("{map}/{key}")
}

/// Does what the operation says; returns the write and its delta, where it was one.
fn edit(document: &mut Document, number: usize, op: &Op) -> Option<(Write, Document)> {
    let schema = schema();
    let seen = document.context().clone();
    let letters = document.to_json(&schema)["note"]
        .as_str()
        .map_or(0, |note| note.chars().count());
    let time = if let Op::Lww(time, _) = op { *time } else { 5 };
    let id = replica(number);
    let mut edit = document.edit(&schema, id, stamp(time));
    match op {
        Op::Lww(_, value) => edit.set("lww", *value),
        Op::Mv(value) => edit.set("mv", *value),
        Op::Max(value) => edit.max("max", *value as f64),
        Op::Min(value) => edit.min("min", *value as f64),
        Op::Status(rank) => edit.status("status", ORDER[*rank]),
        Op::Add(by) => edit.add("counter", *by),
        Op::Reset => edit.reset("counter"),
        Op::Stop(true) => edit.enable("stop"),
        Op::Stop(false) => edit.disable("stop"),
        Op::Permit(true) => edit.enable("permit"),
        Op::Permit(false) => edit.disable("permit"),
        Op::Set(key, true) => edit.insert("set", KEYS[*key]),
        Op::Set(key, false) => edit.remove("set", KEYS[*key]),
        Op::Banned(key, true) => edit.insert("banned", KEYS[*key]),
        Op::Banned(key, false) => edit.remove("banned", KEYS[*key]),
        Op::Task(key, rank) => edit.status(&path("tasks", *key), ORDER[*rank]),
        Op::TaskGone(key) => edit.remove_key(&path("tasks", *key)),
        Op::Lock(key, value) => edit.max(&path("locks", *key), *value as f64),
        Op::LockGone(key) => edit.remove_key(&path("locks", *key)),
        Op::Nested(a, b, c) => edit.insert(&path(&path("nested", *a), *b), KEYS[*c]),
        Op::NestedGone(a, b) => edit.remove_key(&path(&path("nested", *a), *b)),
        Op::Note(at, insert) => {
            let at = *at as usize % (letters + 1);
            let delete = usize::from(!insert && at < letters);
            edit.splice("note", at, delete, if *insert { "xy" } else { "" })
        }
    }
    .unwrap();
    let delta = edit.delta();
    let count = document.context().last(id);
    (count > seen.last(id)).then(|| {
        let dot = Dot { replica: id, count };
        let op = op.clone();
        (Write { dot, seen, op }, delta)
    })
}

/// Over the wire.
fn sent(document: &Document) -> Document {
    let bytes = document.encode();
    let read = Document::decode(&bytes).unwrap();
    assert_eq!(&read, document);
    assert_eq!(read.encode(), bytes);
    read
}

/// The writes that no other write of `of` has seen.
fn last<'w>(writes: &'w [Write], of: impl Fn(&Op) -> bool) -> Vec<&'w Write> {
    let all: Vec<&Write> = writes.iter().filter(|write| of(&write.op)).collect();
    let unseen = |write: &&&Write| !all.iter().any(|other| other.seen.contains(write.dot));
    all.iter().filter(unseen).copied().collect()
}

/// The writes of `of` that no removal has seen.
fn kept<'w>(
    writes: &'w [Write],
    of: impl Fn(&Op) -> bool,
    gone: impl Fn(&Op) -> bool,
) -> Vec<&'w Op> {
    let gone: Vec<&Write> = writes.iter().filter(|write| gone(&write.op)).collect();
    let all = writes.iter().filter(|write| of(&write.op));
    let kept = all.filter(|write| !gone.iter().any(|remove| remove.seen.contains(write.dot)));
    kept.map(|write| &write.op).collect()
}

/// What must be read once everybody knows everything; without the list, which has tests of its own.
fn expected(writes: &[Write]) -> Value {
    let mut state = json!({});
    let lww = last(writes, |op| matches!(op, Op::Lww(..)));
    let key = |write: &&Write| match write.op {
        Op::Lww(time, value) => (time, write.dot, value),
        _ => unreachable!(),
    };
    if let Some((_, _, value)) = lww.iter().map(key).max() {
        state["lww"] = json!(value);
    }
    let mut mv = last(writes, |op| matches!(op, Op::Mv(_)));
    mv.sort_by_key(|write| write.dot);
    if !mv.is_empty() {
        let values = mv.iter().map(|write| match write.op {
            Op::Mv(value) => value,
            _ => unreachable!(),
        });
        state["mv"] = values.collect();
    }
    let ops = || writes.iter().map(|write| &write.op);
    let max = ops()
        .filter_map(|op| if let Op::Max(v) = op { Some(*v) } else { None })
        .max();
    let min = ops()
        .filter_map(|op| if let Op::Min(v) = op { Some(*v) } else { None })
        .min();
    let rank = ops()
        .filter_map(|op| {
            if let Op::Status(v) = op {
                Some(*v)
            } else {
                None
            }
        })
        .max();
    for (name, value) in [("max", max), ("min", min)] {
        if let Some(value) = value {
            state[name] = json!(value);
        }
    }
    if let Some(rank) = rank {
        state["status"] = json!(ORDER[rank]);
    }
    // A replica's tally tells all that it has added, so who has seen an addition has seen those before it.
    let adds: Vec<&Write> = writes
        .iter()
        .filter(|write| matches!(write.op, Op::Add(_)))
        .collect();
    let resets: Vec<&Write> = writes
        .iter()
        .filter(|write| write.op == Op::Reset)
        .collect();
    let later = |add: &Write, seen: &Context| {
        let same = adds
            .iter()
            .filter(|other| other.dot.replica == add.dot.replica);
        same.filter(|other| other.dot.count >= add.dot.count)
            .any(|other| seen.contains(other.dot))
    };
    let kept_adds = adds
        .iter()
        .filter(|add| !resets.iter().any(|reset| later(add, &reset.seen)));
    let sum: i64 = kept_adds
        .map(|add| if let Op::Add(by) = add.op { by } else { 0 })
        .sum();
    if ops().any(|op| matches!(op, Op::Add(_) | Op::Reset)) {
        state["counter"] = json!(sum);
    }
    let stop = last(writes, |op| matches!(op, Op::Stop(_)));
    if !stop.is_empty() {
        state["stop"] = json!(stop.iter().any(|write| write.op == Op::Stop(true)));
    }
    let permit = last(writes, |op| matches!(op, Op::Permit(_)));
    if !permit.is_empty() {
        state["permit"] = json!(permit.iter().all(|write| write.op == Op::Permit(true)));
    }
    let (mut set, mut banned) = (Vec::new(), Vec::new());
    let (mut tasks, mut locks, mut nested) = (json!({}), json!({}), json!({}));
    for (k, key) in KEYS.iter().enumerate() {
        if !kept(
            writes,
            |op| *op == Op::Set(k, true),
            |op| *op == Op::Set(k, false),
        )
        .is_empty()
        {
            set.push(*key);
        }
        let dots = last(
            writes,
            |op| matches!(op, Op::Banned(which, _) if *which == k),
        );
        if !dots.is_empty() && dots.iter().all(|write| write.op == Op::Banned(k, true)) {
            banned.push(*key);
        }
        let alive = kept(
            writes,
            |op| matches!(op, Op::Task(which, _) if *which == k),
            |op| *op == Op::TaskGone(k),
        );
        let rank = alive
            .iter()
            .map(|op| if let Op::Task(_, rank) = op { *rank } else { 0 })
            .max();
        if let Some(rank) = rank {
            tasks[key] = json!(ORDER[rank]);
        }
        // Where removal wins: a removal that no later change has seen hides the key.
        let of = |op: &Op| matches!(op, Op::Lock(which, _) | Op::LockGone(which) if *which == k);
        let hidden = last(writes, of)
            .iter()
            .any(|write| matches!(write.op, Op::LockGone(_)));
        let alive = kept(
            writes,
            |op| matches!(op, Op::Lock(which, _) if *which == k),
            |op| *op == Op::LockGone(k),
        );
        let value = alive
            .iter()
            .map(|op| if let Op::Lock(_, v) = op { *v } else { 0 })
            .max();
        if let Some(value) = value.filter(|_| !hidden) {
            locks[key] = json!(value);
        }
        for (b, below) in KEYS.iter().enumerate() {
            let mut members: Vec<&str> = Vec::new();
            for (c, member) in KEYS.iter().enumerate() {
                let alive = kept(
                    writes,
                    |op| *op == Op::Nested(k, b, c),
                    |op| *op == Op::NestedGone(k, b),
                );
                if !alive.is_empty() {
                    members.push(member);
                }
            }
            if !members.is_empty() {
                members.sort_by_key(|member| json!(member).to_string());
                nested[key][below] = json!(members);
            }
        }
    }
    for (name, mut members) in [("set", set), ("banned", banned)] {
        members.sort_by_key(|member| json!(member).to_string());
        if !members.is_empty() {
            state[name] = json!(members);
        }
    }
    for (name, map) in [("tasks", tasks), ("locks", locks), ("nested", nested)] {
        if map.as_object().is_some_and(|map| !map.is_empty()) {
            state[name] = map;
        }
    }
    state
}

/// What is there, without the list, and without collections that are there and empty.
fn read(document: &Document) -> Value {
    let mut state = document.to_json(&schema());
    let fields = state.as_object_mut().unwrap();
    fields.remove("note");
    fields.retain(|_, value| {
        let empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        !empty
    });
    state
}

struct Run {
    documents: Vec<Document>,
    writes: Vec<Write>,
    deltas: Vec<Document>,
}

fn run(steps: &[Step]) -> Run {
    let mut run = Run {
        documents: vec![Document::new(&schema()); REPLICAS],
        writes: Vec::new(),
        deltas: Vec::new(),
    };
    for step in steps {
        match step {
            Step::Edit(at, op) => {
                if let Some((write, delta)) = edit(&mut run.documents[*at], *at, op) {
                    run.writes.push(write);
                    run.deltas.push(delta);
                }
            }
            Step::Copy(to, from) => {
                let copy = sent(&run.documents[*from]);
                run.documents[*to].merge(&copy).unwrap();
            }
            Step::Delta(to, from) => {
                let since = run.documents[*to].context().clone();
                if let Some(delta) = run.documents[*from].delta(&since) {
                    run.documents[*to].merge(&sent(&delta)).unwrap();
                    assert!(
                        run.documents[*to]
                            .context()
                            .covers(run.documents[*from].context())
                    );
                }
            }
            Step::Foreign(to, from, of) => {
                let since = run.documents[*of].context().clone();
                if let Some(delta) = run.documents[*from].delta(&since) {
                    run.documents[*to].merge(&sent(&delta)).unwrap();
                }
            }
            Step::Single(to, which) => {
                if !run.deltas.is_empty() {
                    let delta = which.get(&run.deltas);
                    run.documents[*to].merge(&sent(delta)).unwrap();
                }
            }
        }
    }
    run
}

fn join(a: &Document, b: &Document) -> Document {
    let mut joined = a.clone();
    joined.merge(b).unwrap();
    joined
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 384 } else { 4096 }))]

    #[test]
    fn however_writes_arrive_all_replicas_read_what_the_model_says(
        steps in vec(step(), 0..48),
        order in Just([0, 1, 2]).prop_shuffle(),
    ) {
        let mut run = run(&steps);
        let whole = run.documents.iter().skip(1).fold(run.documents[0].clone(), |whole, copy| join(&whole, copy));
        prop_assert_eq!(read(&whole), expected(&run.writes));
        // By deltas alone, in any order of replicas, everybody gets there too.
        for _ in 0..2 {
            for to in order {
                for from in order {
                    let since = run.documents[to].context().clone();
                    if let Some(delta) = run.documents[from].delta(&since) {
                        run.documents[to].merge(&sent(&delta)).unwrap();
                    }
                }
            }
        }
        for document in &run.documents {
            prop_assert_eq!(document, &whole);
            prop_assert_eq!(document.delta(whole.context()), None);
        }
        // And so does one who hears of all single edits in another order, twice.
        let mut late = Document::new(&schema());
        for delta in run.deltas.iter().rev().chain(&run.deltas) {
            late.merge(delta).unwrap();
        }
        prop_assert_eq!(&late, &whole);
    }

    #[test]
    fn joins_of_copies_and_deltas_are_commutative_associative_and_idempotent(steps in vec(step(), 0..40)) {
        let run = run(&steps);
        let mut parts = run.documents.clone();
        parts.extend(run.documents[0].delta(run.documents[1].context()));
        parts.extend(run.deltas.first().cloned());
        parts.extend(run.deltas.last().cloned());
        for a in &parts {
            prop_assert_eq!(&join(a, a), a);
            for b in &parts {
                let ab = join(a, b);
                prop_assert_eq!(&ab, &join(b, a));
                prop_assert_eq!(&join(&ab, b), &ab);
                for c in &parts {
                    prop_assert_eq!(join(&ab, c), join(a, &join(b, c)));
                }
            }
        }
    }

    #[test]
    fn bytes_that_were_changed_are_refused_or_another_document(
        steps in vec(step(), 0..24),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let run = run(&steps);
        let mut bytes = run.documents[0].encode();
        let _ = Document::decode(&bytes[..cut.index(bytes.len())]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(document) = Document::decode(&bytes) {
            prop_assert_eq!(document.encode().len(), document.encode().len());
            // It may claim anything; joining it neither panics nor stops.
            let _ = run.documents[1].clone().merge(&document);
        }
    }
}

#[test]
fn an_element_that_comes_before_the_one_it_was_added_after_stays() {
    let schema = schema();
    let mut a = Document::new(&schema);
    let mut deltas = Vec::new();
    for member in ["a", "b", "c", "d"] {
        let mut edit = a.edit(&schema, replica(0), stamp(1));
        edit.insert("set", member).unwrap();
        deltas.push(edit.delta());
    }
    // {c} before {b}: sets of operations that keep one clock take b for known and lose it.
    let mut b = Document::new(&schema);
    for at in [0, 2, 1, 3] {
        b.merge(&deltas[at]).unwrap();
    }
    assert_eq!(b.to_json(&schema)["set"], json!(["a", "b", "c", "d"]));
    assert_eq!(a, b);
}

#[test]
fn a_removal_that_comes_before_what_it_removes_keeps_it_out() {
    let schema = schema();
    let mut a = Document::new(&schema);
    let mut edit = a.edit(&schema, replica(0), stamp(1));
    edit.insert("set", "x").unwrap();
    let added = edit.delta();
    let mut edit = a.edit(&schema, replica(0), stamp(1));
    edit.remove("set", "x").unwrap();
    let removed = edit.delta();
    let mut b = Document::new(&schema);
    b.merge(&removed).unwrap();
    b.merge(&added).unwrap();
    assert_eq!(b.to_json(&schema), json!({}));
    assert_eq!(a, b);
}
