//! A deployment file says all of it, and what is wrong in it is told where.

use midstream::decode::Rejection;
use midstream::deploy::Deployment;
use midstream::spill::Class;
use midstream::{Error, Timestamp};

const TEXT: &str = "
sources:
  machines:
    topic: farm/+/machine
    id: event_id
    fields: { machine: text, temp: float }
rules: |
  RULE overheat: PATTERN SEQUENCE(hot (temp > 85), hotter (temp > 95)) FROM machines BY machine WITHIN 30 SECONDS;
  RULE load: FROM machines GROUP BY machine HAVING COUNT(*) > 0 WITHIN TUMBLING WINDOW 1 SECONDS EMIT EVERY
sinks:
  alerts: { topic: farm/alerts }
  hourly: { topic: farm/load, batch: { entries: 100, every: 5m } }
  bad: { topic: farm/dead }
routes:
  - { rules: [overheat], to: [alerts, hourly] }
  - { rules: ['*'], to: [hourly], class: raw }
  - { events: machines, where: 'temp > 85 AND machine != ''m-2''', to: [alerts] }
  - { dead_letters: true, to: [bad] }
";

#[test]
fn each_thing_goes_to_its_sinks() {
    let deployment = Deployment::parse(TEXT).unwrap();
    let router = deployment.router().unwrap();
    assert_eq!(router.sinks(), ["alerts", "bad", "hourly"]);
    let mut engine = deployment.engine().unwrap().build().unwrap();
    let decoder = &deployment.decoders()[0];
    let mut entries = Vec::new();
    for (id, at, machine, temp) in [
        ("1", 0, "m-1", 90.0),
        ("2", 10, "m-2", 99.0),
        ("3", 20, "m-1", 96.0),
        ("4", 9000, "m-1", 1.0),
    ] {
        let text = format!(
            "{{\"event_id\":\"{id}\",\"at\":{at},\"machine\":\"{machine}\",\"temp\":{temp}}}"
        );
        let event = decoder.decode(text.as_bytes()).remove(0).unwrap();
        router.event(&event, &mut entries);
        for output in engine.push(event).unwrap() {
            router.output(&output, &mut entries);
        }
    }
    for output in engine.advance_to(Timestamp::from_millis(9000)) {
        router.output(&output, &mut entries);
    }
    let to = |name: &str, class: Class| {
        let sink = router.sinks().iter().position(|sink| sink == name);
        entries
            .iter()
            .filter(|entry| Some(entry.sink) == sink && entry.class == class)
            .count()
    };
    // Two hot events, one match; two windows and the match again as `*`.
    assert_eq!(to("alerts", Class::Raw), 2);
    assert_eq!(to("alerts", Class::Critical), 1);
    assert_eq!(to("hourly", Class::Critical), 1);
    assert_eq!(to("hourly", Class::Raw), 3);
    entries.clear();
    router.dead_letter(
        "machines",
        b"nonsense",
        &Rejection::Missing("at".to_owned()),
        &mut entries,
    );
    let line: serde_json::Value = serde_json::from_str(&entries[0].line).unwrap();
    assert_eq!(
        (line["dead_letter"].as_str(), line["payload"].as_str()),
        (Some("missing"), Some("nonsense"))
    );
}

#[test]
fn what_is_wrong_is_told_by_line_or_by_key() {
    for (from, to, wanted) in [
        ("temp: float", "temp: flaot", "line 6"),
        ("sinks:", "sink:", "line"),
        (
            "every: 5m",
            "every: 5 weeks",
            "write 100ms, 2s, 5m, 24h or 7d",
        ),
        (
            "to: [bad]",
            "to: [worse]",
            "routes[3]: no sink is called `worse`",
        ),
        (
            "rules: [overheat]",
            "rules: [overheet]",
            "routes[0]: no rule is called `overheet`; there are overheat, load",
        ),
        (
            "events: machines",
            "events: engines",
            "routes[2]: no source is called `engines`",
        ),
        (
            "'temp > 85",
            "'tmp > 85",
            "source `machines` has no field `tmp`",
        ),
        (
            "dead_letters: true",
            "dead_letters: false",
            "routes[3]: give one of",
        ),
        (
            "{ topic: farm/dead }",
            "{ }",
            "sinks.bad: give either `topic` or `file`",
        ),
        ("temp > 95", "temp >", "line 1"),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let error = Deployment::parse(&TEXT.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(wanted), "{to}: {error}");
    }
    assert!(matches!(
        Deployment::parse(&"x".repeat(2 << 20)),
        Err(Error::Deployment(_))
    ));
}
