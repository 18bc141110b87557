//! What expressions know beside CEL's core: optional values, parts that are shared, addresses.

use flowcore::expr::{BUDGET_DEFAULT, Program, Val};
use serde_json::{Value, json};

fn value(text: &str) -> Result<Value, String> {
    let data = json!({"b": {"c": 1}, "l": [1, 2, 3], "n": null});
    let program = Program::standalone(text, &["a"]).map_err(|error| error.to_string())?;
    let values = [Val::from_json(&data)];
    let found = program.evaluate(&values, BUDGET_DEFAULT);
    found
        .map(|found| found.to_json())
        .map_err(|error| error.to_string())
}

fn check(cases: &[(&str, Value)]) {
    for (text, expected) in cases {
        assert_eq!(value(text).as_ref(), Ok(expected), "{text}");
    }
}

#[test]
fn optional_values_stand_for_what_may_be_missing() {
    check(&[
        ("a.?b.c.orValue(0)", json!(1)),
        ("a.?x.c.orValue(0)", json!(0)),
        ("a.?b.?x.hasValue()", json!(false)),
        ("a.l[?1].value()", json!(2)),
        ("a.l[?9].orValue(-1)", json!(-1)),
        ("a.?x.or(a.?b).hasValue()", json!(true)),
        ("a.?b.optMap(b, b.c + 1).value()", json!(2)),
        ("a.?b.optFlatMap(b, b.?x).hasValue()", json!(false)),
        ("optional.ofNonZeroValue('').orValue('none')", json!("none")),
        ("[1, ?a.?x, ?optional.of(2)]", json!([1, 2])),
        (
            "{'k': 1, ?'x': a.?x, ?'c': a.b.?c}",
            json!({"k": 1, "c": 1}),
        ),
        ("[optional.of(1), optional.none()].unwrapOpt()", json!([1])),
        ("a.l.first().value() + a.l.last().value()", json!(4)),
        (
            "optional.of(1) == optional.of(1.0) && optional.none() != optional.of(1)",
            json!(true),
        ),
        ("type(optional.none()) == optional_type", json!(true)),
        // The other side is not evaluated when there is a value.
        ("optional.of(1).orValue(1 / 0)", json!(1)),
        ("has(a.?b.c) && !has(a.?b.x)", json!(true)),
    ]);
    let errors = [
        ("optional.none().value()", "has no value"),
        ("[?1]", "no such overload: ?(int)"),
        ("a.n.?b", "no field `b` in a null_type"),
        ("a.b.or(1)", "no such overload: or(map)"),
    ];
    for (text, expected) in errors {
        let error = value(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn parts_that_an_optimiser_shares_are_evaluated_once() {
    check(&[
        (
            "cel.block([a.b.c + 1, cel.index(0) * 10], cel.index(1) + cel.index(0))",
            json!(22),
        ),
        (
            "cel.block([a.l.map(cel.iterVar(0, 0), cel.iterVar(0, 0) * 2)], cel.index(0) + cel.index(0))",
            json!([2, 4, 6, 2, 4, 6]),
        ),
        ("cel.bind(x, a.l.size(), x * x)", json!(9)),
    ]);
    assert!(value("cel.index(0)").unwrap_err().contains("names no part"));
}

#[test]
fn addresses_lie_in_ranges() {
    check(&[
        ("cidr('10.0.0.0/8').containsIP('10.9.8.7')", json!(true)),
        (
            "cidr('10.0.0.0/8').containsIP(ip('2001:db8::1'))",
            json!(false),
        ),
        (
            "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
            json!(true),
        ),
        (
            "cidr('10.1.0.0/16').containsCIDR('10.0.0.0/8')",
            json!(false),
        ),
        (
            "string(cidr('192.168.1.7/24').masked())",
            json!("192.168.1.0/24"),
        ),
        ("ip('::ffff:c0a8:1') == ip('192.168.0.1')", json!(true)),
        (
            "ip('fe80::1').isLinkLocalUnicast() && ip('127.0.0.1').isLoopback()",
            json!(true),
        ),
        ("isIP('1.2.3') || isCIDR('1.2.3.4/33')", json!(false)),
        (
            "type(ip('1.2.3.4')) == net.IP && cidr('::/0').prefixLength() == 0",
            json!(true),
        ),
    ]);
    for text in [
        "ip('fe80::1%en0')",
        "cidr('1.2.3.4')",
        "ip('::ffff:1.2.3.4')",
    ] {
        assert!(value(text).is_err(), "{text}");
    }
}
