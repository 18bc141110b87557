//! Definitions that make no sense are refused with the step, the line and the way out.

use flowcore::Workflow;

fn refused(yaml: &str) -> String {
    Workflow::from_yaml(yaml)
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn messages_name_the_step_and_its_line() {
    let head = "workflow:\n  name: w\n  steps:\n    - {id: a, action: x}\n";
    let cases = [
        (
            "    - {id: a, action: x}\n",
            "line 5: step `a`: two steps have this id",
        ),
        ("    - {id: b}\n", "line 5: step `b`: does nothing"),
        (
            "    - {id: b, action: x, wait: {for: 1s}}\n",
            "line 5: step `b`: has both `action` and `wait`",
        ),
        (
            "    - {id: b, action: x, condition: c.d == 1}\n",
            "unknown name `c`",
        ),
        (
            "    - {id: b, action: x, params: {p: '${1 +}'}}\n",
            "line 5: step `b`: params",
        ),
        (
            "    - {id: b, action: x, needs: [zz]}\n",
            "line 5: step `b`: needs `zz`",
        ),
        (
            "    - {id: b, action: x, needs: [c]}\n    - {id: c, action: x, needs: [b]}\n",
            "cycle through b, c",
        ),
        (
            "    - {id: b, action: x, timeout: soon}\n",
            "`soon` is no span",
        ),
        ("    - {id: b-c, action: x}\n", "letters, digits and `_`"),
        (
            "    - {id: b, wait: {timeout: 1s}}\n",
            "either `for` or `event`",
        ),
    ];
    for (steps, message) in cases {
        let found = refused(&format!("{head}{steps}"));
        assert!(found.contains(message), "{steps} gave {found}");
    }
    assert!(
        refused("workflow: {name: w, steps: [{id: a, action: x, colour: red}]}").contains("colour")
    );
    assert!(refused("workflow: {name: w, steps: []}").contains("at least one step"));
    assert!(refused("not: a workflow").contains("not"));
}

#[test]
fn the_hash_is_of_the_meaning_and_not_of_the_text() {
    let yaml =
        Workflow::from_yaml("workflow: {name: w, steps: [{id: a, action: x}]} # note").unwrap();
    let json =
        Workflow::from_json(r#"{"workflow":{"steps":[{"action":"x","id":"a"}],"name":"w"}}"#)
            .unwrap();
    let other = Workflow::from_yaml("workflow: {name: w, steps: [{id: a, action: y}]}").unwrap();
    assert_eq!(yaml.hash(), json.hash());
    assert_ne!(yaml.hash(), other.hash());
}
