//! What a list of letters promises.

use std::io::Read as _;
use std::path::PathBuf;

use agentdb::ReplicaId;
use agentdb::list::{LETTERS_MAX, List, ListError, Merged, Version, WAITING_DELTAS_MAX};
use proptest::prelude::*;

use super::list_model::Model;

const REPLICAS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, usize, String),
    Delete(usize, usize, usize),
    /// From one replica to another.
    Send(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICAS;
    // Few places, so that replicas meet.
    let place = || prop_oneof![3 => 0_usize..6, 1 => any::<usize>()];
    prop_oneof![
        5 => (replica(), place(), "[a-dé漢🦀]{1,6}").prop_map(|(r, p, t)| Step::Insert(r, p, t)),
        2 => (replica(), place(), 1_usize..5).prop_map(|(r, p, n)| Step::Delete(r, p, n)),
        3 => (replica(), replica()).prop_map(|(from, to)| Step::Send(from, to)),
    ]
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..most)
}

fn lists() -> Vec<List> {
    let ids = [7_u64, 3, u64::MAX, 1];
    ids.map(|id| List::new(ReplicaId::new(id))).to_vec()
}

/// Where an edit goes in a list of this length, and how much it deletes.
fn fit(len: usize, place: usize, count: usize) -> (usize, usize) {
    let place = place % (len + 1);
    (place, count.min(len - place))
}

fn edit(list: &mut List, step: &Step) {
    match step {
        Step::Insert(_, place, text) => {
            let (place, _) = fit(list.len(), *place, 0);
            list.insert(place, text).unwrap();
        }
        Step::Delete(_, place, count) => {
            let (place, count) = fit(list.len(), *place, *count);
            list.delete(place, count).unwrap();
        }
        Step::Send(..) => {}
    }
}

fn send(lists: &mut [List], from: usize, to: usize) {
    let delta = lists[from].delta_since(&lists[to].version());
    lists[to].merge(&delta).unwrap();
}

fn send_all(lists: &mut [List]) {
    for _ in 0..2 {
        for from in 0..lists.len() {
            for to in 0..lists.len() {
                send(lists, from, to);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_list_is_at_each_step_what_the_naive_one_is(steps in steps(60)) {
        let mut lists = lists();
        let mut models: Vec<Model> = lists.iter().map(|list| Model::new(list.replica().get())).collect();
        for step in &steps {
            match step {
                Step::Insert(at, place, text) => {
                    let (place, _) = fit(lists[*at].len(), *place, 0);
                    models[*at].insert(place, text);
                    edit(&mut lists[*at], step);
                }
                Step::Delete(at, place, count) => {
                    let (place, count) = fit(lists[*at].len(), *place, *count);
                    models[*at].delete(place, count);
                    edit(&mut lists[*at], step);
                }
                Step::Send(from, to) => {
                    send(&mut lists, *from, *to);
                    let other = models[*from].clone();
                    models[*to].merge(&other);
                }
            }
            for (list, model) in lists.iter().zip(&models) {
                prop_assert_eq!(list.text(), model.text());
                prop_assert_eq!(list.len(), model.text().chars().count());
            }
        }
    }

    #[test]
    fn deltas_in_any_order_and_twice_give_the_same_text(
        steps in steps(80),
        order in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let mut lists = lists();
        let mut readers = [List::new(ReplicaId::new(50)), List::new(ReplicaId::new(51))];
        let mut deltas = Vec::new();
        for step in &steps {
            match step {
                Step::Insert(at, ..) | Step::Delete(at, ..) => {
                    let before = lists[*at].version();
                    edit(&mut lists[*at], step);
                    deltas.push(lists[*at].delta_since(&before));
                }
                Step::Send(from, to) => send(&mut lists, *from, *to),
            }
        }
        send_all(&mut lists);
        for (reader, order) in readers.iter_mut().zip(order.chunks(200)) {
            let mut left = deltas.clone();
            left.extend(deltas.iter().take(deltas.len() / 3).cloned());
            for index in order {
                if left.is_empty() {
                    break;
                }
                let at = index.index(left.len());
                reader.merge(&left.swap_remove(at)).unwrap();
            }
            prop_assert!(left.is_empty());
            prop_assert_eq!(reader.waiting(), (0, 0));
            prop_assert_eq!(reader.text(), lists[0].text());
            prop_assert_eq!(reader.version(), lists[0].version());
        }
        for list in &lists {
            prop_assert_eq!(list.text(), lists[0].text());
        }
    }

    #[test]
    fn an_encoded_list_comes_back_and_goes_on(steps in steps(80), more in steps(20)) {
        let mut lists = lists();
        for step in &steps {
            match step {
                Step::Send(from, to) => send(&mut lists, *from, *to),
                Step::Insert(at, ..) | Step::Delete(at, ..) => edit(&mut lists[*at], step),
            }
        }
        for list in &mut lists {
            let back = List::decode(list.replica(), &list.encode().unwrap()).unwrap();
            prop_assert_eq!(back.text(), list.text());
            prop_assert_eq!(back.version(), list.version());
            *list = back;
        }
        for step in &more {
            match step {
                Step::Send(from, to) => send(&mut lists, *from, *to),
                Step::Insert(at, ..) | Step::Delete(at, ..) => edit(&mut lists[*at], step),
            }
        }
        send_all(&mut lists);
        for list in &lists {
            prop_assert_eq!(list.text(), lists[0].text());
        }
    }

    #[test]
    fn damaged_deltas_never_panic(
        steps in steps(40),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut lists = lists();
        for step in &steps {
            match step {
                Step::Send(from, to) => send(&mut lists, *from, *to),
                Step::Insert(at, ..) | Step::Delete(at, ..) => edit(&mut lists[*at], step),
            }
        }
        send_all(&mut lists);
        let whole = lists[0].delta_since(&Version::new());
        let mut bytes = whole.clone();
        for (at, value) in &damage {
            let at = at.index(bytes.len());
            bytes[at] ^= *value;
        }
        let mut reader = List::new(ReplicaId::new(99));
        if reader.merge(&bytes).is_ok() {
            // Whatever it took, it can be read, edited and written.
            let text = reader.text();
            prop_assert_eq!(text.chars().count(), reader.len());
            reader.insert(reader.len() / 2, "x").unwrap();
            reader.delete(0, reader.len()).unwrap();
            let _ = List::decode(ReplicaId::new(99), &reader.encode().unwrap());
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let _ = List::new(ReplicaId::new(99)).merge(&bytes);
        let cut = &whole[..cut.index(whole.len())];
        prop_assert!(List::new(ReplicaId::new(99)).merge(cut).is_err() || lists[0].text().is_empty());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut list = List::new(ReplicaId::new(1));
        let _ = list.merge(&bytes);
        let mut formed = vec![1];
        formed.extend(&bytes);
        let _ = list.merge(&formed);
        prop_assert!(List::decode(ReplicaId::new(1), &bytes).is_err());
    }
}

fn pair() -> (List, List) {
    (List::new(ReplicaId::new(1)), List::new(ReplicaId::new(2)))
}

fn exchange(one: &mut List, two: &mut List) {
    let (to_two, to_one) = (
        one.delta_since(&two.version()),
        two.delta_since(&one.version()),
    );
    two.merge(&to_two).unwrap();
    one.merge(&to_one).unwrap();
    assert_eq!(one.text(), two.text());
}

#[test]
fn runs_typed_forward_at_one_place_do_not_interleave() {
    let (mut one, mut two) = pair();
    for (offset, (a, b)) in "bread".chars().zip("water".chars()).enumerate() {
        one.insert(offset, &a.to_string()).unwrap();
        two.insert(offset, &b.to_string()).unwrap();
    }
    exchange(&mut one, &mut two);
    assert_eq!(one.text(), "breadwater");
}

#[test]
fn runs_typed_backward_at_one_place_do_not_interleave() {
    let (mut one, mut two) = pair();
    for list in [&mut one, &mut two] {
        list.insert(0, "[]").unwrap();
        list.delete(0, 2).unwrap();
    }
    exchange(&mut one, &mut two);
    for (a, b) in "bread".chars().rev().zip("water".chars().rev()) {
        one.insert(0, &a.to_string()).unwrap();
        two.insert(0, &b.to_string()).unwrap();
    }
    exchange(&mut one, &mut two);
    let text = one.text();
    assert!(text.contains("bread") && text.contains("water"), "{text}");
}

#[test]
fn a_letter_that_both_deleted_is_deleted_once() {
    let (mut one, mut two) = pair();
    one.insert(0, "abc").unwrap();
    exchange(&mut one, &mut two);
    one.delete(0, 2).unwrap();
    two.delete(1, 2).unwrap();
    exchange(&mut one, &mut two);
    assert_eq!((one.text().as_str(), one.len()), ("", 0));
}

#[test]
fn the_text_of_deleted_letters_does_not_travel() {
    let mut list = List::new(ReplicaId::new(1));
    list.insert(0, &"secret ".repeat(500)).unwrap();
    list.insert(100, "kept").unwrap();
    list.delete(104, 3_400).unwrap();
    list.delete(0, 100).unwrap();
    let delta = list.delta_since(&Version::new());
    assert!(delta.len() < 60, "{}", delta.len());
    let mut other = List::new(ReplicaId::new(2));
    assert_eq!(other.merge(&delta).unwrap(), Merged::New);
    assert_eq!(other.text(), "kept");
    assert_eq!(other.merge(&delta).unwrap(), Merged::Known);
}

#[test]
fn what_builds_upon_missing_deltas_waits_up_to_its_limit() {
    let mut writer = List::new(ReplicaId::new(1));
    let mut deltas = Vec::new();
    for at in 0..WAITING_DELTAS_MAX + 2 {
        let before = writer.version();
        writer.insert(at, "x").unwrap();
        deltas.push(writer.delta_since(&before));
    }
    let mut reader = List::new(ReplicaId::new(2));
    for delta in &deltas[1..=WAITING_DELTAS_MAX] {
        assert_eq!(reader.merge(delta).unwrap(), Merged::Waits);
    }
    assert_eq!(reader.merge(&deltas[5]).unwrap(), Merged::Waits);
    assert_eq!(reader.waiting().0, WAITING_DELTAS_MAX);
    let refused = reader.merge(&deltas[WAITING_DELTAS_MAX + 1]);
    assert!(
        matches!(refused, Err(ListError::Limit { .. })),
        "{refused:?}"
    );
    assert!(reader.is_empty());
    assert_eq!(reader.merge(&deltas[0]).unwrap(), Merged::New);
    assert_eq!(reader.waiting(), (0, 0));
    assert_eq!(reader.len(), WAITING_DELTAS_MAX + 1);
    assert!(writer.version().covers(&reader.version()));
    assert!(!reader.version().covers(&writer.version()));
}

#[test]
fn edits_behind_the_end_and_above_the_limit_are_refused() {
    let mut list = List::new(ReplicaId::new(1));
    list.insert(0, "ab").unwrap();
    assert_eq!(
        list.insert(3, "x"),
        Err(ListError::Position {
            position: 3,
            len: 2
        })
    );
    assert_eq!(
        list.delete(1, 2),
        Err(ListError::Position {
            position: 3,
            len: 2
        })
    );
    let whole = "x".repeat(LETTERS_MAX - 2);
    list.insert(1, &whole).unwrap();
    assert!(matches!(list.insert(0, "x"), Err(ListError::Limit { .. })));
    list.delete(0, LETTERS_MAX).unwrap();
    assert!(list.is_empty());
}

#[test]
fn a_small_delta_cannot_claim_much_memory() {
    // A run of 2^32 - 1 letters, all deleted by the same delta.
    let bytes = [
        1, 1, 5, 1, 0, 1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0xff, 0xff, 0xff, 0xff, 0x0f,
        0, 0,
    ];
    let refused = List::new(ReplicaId::new(1)).merge(&bytes);
    assert!(
        matches!(refused, Err(ListError::Malformed { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_flipped_bit_of_an_encoded_list_is_noticed() {
    let mut list = List::new(ReplicaId::new(1));
    list.insert(0, "the same bytes, or none").unwrap();
    let bytes = list.encode().unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(List::decode(ReplicaId::new(1), &damaged).is_err());
        }
        assert!(List::decode(ReplicaId::new(1), &bytes[..at]).is_err());
    }
}

#[test]
fn the_editing_trace_of_two_people_gives_its_end_content() {
    let data = std::env::var_os("EDGEWEAVE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = data.join("crdt/friendsforever.json.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!(
            "SKIPPED: {} is not there; set EDGEWEAVE_DATA",
            path.display()
        );
        return;
    };
    let mut json = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut json)
        .unwrap();
    let trace: serde_json::Value = serde_json::from_str(&json).unwrap();
    let agents = trace["numAgents"].as_u64().unwrap();
    let mut lists: Vec<List> = (0..agents)
        .map(|id| List::new(ReplicaId::new(id + 1)))
        .collect();
    let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;

    // Each agent's edits have their ancestors among its own ones before, so what it lacks of its parents'
    // is a run of the other's deltas.
    let txns = trace["txns"].as_array().unwrap();
    let agent_of = |index: usize| number(&txns[index]["agent"]);
    let mut deltas: Vec<Vec<u8>> = Vec::new();
    let mut taken = vec![0; lists.len()];
    for txn in txns {
        let agent = number(&txn["agent"]);
        for parent in txn["parents"].as_array().unwrap().iter().map(number) {
            while agent_of(parent) != agent && taken[agent] <= parent {
                if agent_of(taken[agent]) != agent {
                    lists[agent].merge(&deltas[taken[agent]]).unwrap();
                }
                taken[agent] += 1;
            }
        }
        let before = lists[agent].version();
        for patch in txn["patches"].as_array().unwrap() {
            let at = number(&patch[0]);
            lists[agent].delete(at, number(&patch[1])).unwrap();
            lists[agent].insert(at, patch[2].as_str().unwrap()).unwrap();
        }
        deltas.push(lists[agent].delta_since(&before));
    }
    for list in &mut lists {
        for delta in &deltas {
            list.merge(delta).unwrap();
        }
        assert_eq!(list.text(), trace["endContent"].as_str().unwrap());
        let back = List::decode(list.replica(), &list.encode().unwrap()).unwrap();
        assert_eq!(back.text(), list.text());
    }
}
