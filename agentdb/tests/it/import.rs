//! Schemas and changes that come as JSON.

use agentdb::{AgentDb, Error, Field, Options, ReplicaId, Schema, Wins};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::at;

fn schema() -> Schema {
    Schema::new("all")
        .field("lww", Field::Lww)
        .field("mv", Field::Mv)
        .field("max", Field::Max)
        .field("min", Field::Min)
        .field("status", Field::status(&["queued", "active", "done"]))
        .field("counter", Field::PnCounter)
        .field("permit", Field::Flag(Wins::Remove))
        .field("set", Field::or_set())
        .field("tasks", Field::or_map(Field::status(&["queued", "done"])))
        .field(
            "deep",
            Field::OrMap(Box::new(Field::or_map(Field::Lww)), Wins::Remove),
        )
        .field("note", Field::List)
        .index("lww")
}

fn store() -> AgentDb {
    AgentDb::in_memory(Options::new(ReplicaId::new(1)).schema(schema())).unwrap()
}

fn patched(db: &mut AgentDb, patch: &Value) -> agentdb::Result<Value> {
    let mut tx = db.begin(at(1))?;
    tx.agent("all", "x")?.merge_patch(patch)?;
    tx.commit()?;
    Ok(db.get("x")?.map_or(json!({}), |agent| agent.state))
}

#[test]
fn a_schema_comes_back_from_its_json() {
    let text = schema().to_json().to_string();
    let again = Schema::from_json(&text).unwrap();
    assert_eq!(again.to_json(), schema().to_json());
    for (name, field) in schema().fields() {
        assert_eq!(again.get(name), Some(field));
    }
}

#[test]
fn a_schema_that_cannot_be_is_refused_with_the_reason() {
    for (text, reason) in [
        ("{", "EOF"),
        (r#"{"fields": {}}"#, "`name`"),
        (r#"{"name": "a"}"#, "`fields`"),
        (r#"{"name": "a", "fields": {"x": "lwv"}}"#, "`lwv`"),
        (r#"{"name": "a", "fields": {"x/y": "lww"}}"#, "`x/y`"),
        (
            r#"{"name": "a", "fields": {"x": {"type": "status", "order": []}}}"#,
            "at least one",
        ),
        (
            r#"{"name": "a", "fields": {"x": {"type": "or_map"}}}"#,
            "`value`",
        ),
        (
            r#"{"name": "a", "fields": {"x": {"type": "or_map", "value": "list"}}}"#,
            "no value of a map",
        ),
        (
            r#"{"name": "a", "fields": {"x": {"type": "lww", "wins": "add"}}}"#,
            "`wins`",
        ),
        (
            r#"{"name": "a", "fields": {"x": "or_set"}, "indexes": ["x"]}"#,
            "`x`",
        ),
        (r#"{"name": "a", "fields": {}, "index": []}"#, "`index`"),
    ] {
        let error = Schema::from_json(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let bad = Schema::new("a").field("", Field::Lww);
    let opened = AgentDb::in_memory(Options::new(ReplicaId::new(1)).schema(bad));
    assert!(matches!(opened.err(), Some(Error::Schema { .. })));
}

#[test]
fn a_merge_patch_makes_each_field_the_change_it_knows() {
    let mut db = store();
    let first = json!({
        "lww": {"a": 1, "b": 2}, "mv": "x", "max": 5, "min": 5, "status": "active", "counter": 7,
        "permit": true, "set": ["a", "b", 3], "tasks": {"t/1": "queued"}, "deep": {"k": {"v": [1]}}, "note": "hello",
    });
    let mut expected = first.clone();
    expected["mv"] = json!(["x"]);
    expected["set"] = json!(["a", "b", 3]);
    assert_eq!(patched(&mut db, &first).unwrap(), expected);
    let second = json!({
        "lww": {"b": null, "c": 3}, "max": 9, "counter": 3, "set": ["b", "c"], "tasks": {"t/1": null, "u": "done"},
        "note": "hallo!", "deep": null,
    });
    let state = patched(&mut db, &second).unwrap();
    assert_eq!(state["lww"], json!({"a": 1, "c": 3}));
    assert_eq!((&state["max"], &state["counter"]), (&json!(9), &json!(3)));
    assert_eq!(state["set"], json!(["b", "c"]));
    assert_eq!(state["tasks"], json!({"u": "done"}));
    assert_eq!(state["note"], "hallo!");
    assert!(
        state["deep"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    );
}

#[test]
fn a_patch_that_one_field_refuses_changes_none() {
    let mut db = store();
    let before = patched(&mut db, &json!({"max": 5, "status": "done", "lww": 1})).unwrap();
    for patch in [
        json!({"lww": 2, "max": 4}),
        json!({"lww": 2, "status": "queued"}),
        json!({"lww": 2, "counter": "x"}),
        json!({"lww": 2, "unknown": 1}),
        json!({"lww": 2, "set": [1.5]}),
        json!([]),
    ] {
        assert!(patched(&mut db, &patch).is_err(), "{patch}");
        let mut tx = db.begin(at(2)).unwrap();
        let _ = tx.agent("all", "x").unwrap().merge_patch(&patch);
        tx.commit().unwrap();
        let now = db.get("x").unwrap().unwrap();
        assert_eq!((&now.state, now.version), (&before, 1), "{patch}");
    }
}

#[cfg(feature = "patch")]
#[test]
fn a_json_patch_is_the_changes_it_makes() {
    let mut db = store();
    patched(
        &mut db,
        &json!({"lww": {"a": [1]}, "set": ["a"], "tasks": {"t": "queued"}, "counter": 2}),
    )
    .unwrap();
    let mut tx = db.begin(at(2)).unwrap();
    let patch = json!([
        {"op": "test", "path": "/counter", "value": 2},
        {"op": "replace", "path": "/counter", "value": 5},
        {"op": "add", "path": "/lww/a/-", "value": 2},
        {"op": "add", "path": "/set/-", "value": "b"},
        {"op": "move", "from": "/tasks/t", "path": "/tasks/u"},
    ]);
    tx.agent("all", "x").unwrap().patch(&patch).unwrap();
    let failing = json!([{"op": "replace", "path": "/counter", "value": 9}, {"op": "test", "path": "/counter", "value": 0}]);
    assert!(matches!(
        tx.agent("all", "x").unwrap().patch(&failing),
        Err(Error::Patch { .. })
    ));
    tx.commit().unwrap();
    let state = db.get("x").unwrap().unwrap().state;
    assert_eq!(
        state,
        json!({"lww": {"a": [1, 2]}, "set": ["a", "b"], "tasks": {"u": "queued"}, "counter": 5})
    );
}

proptest! {
    #[test]
    fn a_text_becomes_the_text_of_the_patch(before in "[ab\u{e9}]{0,12}", after in "[ab\u{e9}]{0,12}") {
        let mut db = store();
        patched(&mut db, &json!({"note": before, "lww": 0})).unwrap();
        let state = patched(&mut db, &json!({"note": after})).unwrap();
        prop_assert_eq!(state["note"].as_str().unwrap_or_default(), after);
    }

    #[test]
    fn any_json_is_a_patch_or_a_typed_refusal(text in "[a-z0-9{}\\[\\]\":, ]{0,60}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _ = patched(&mut store(), &value);
            let _ = Schema::from_json(&text);
        }
    }
}
