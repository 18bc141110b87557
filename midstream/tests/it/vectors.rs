//! Cases of other engines' own tests, as data: a rule, rows in, rows out.
//!
//! `tests/vectors/README.md` describes the format.

use std::path::Path;
use std::time::Duration;

use midstream::{
    AfterMatch, Aggregate, Comparison, Contiguity, Earlier, Element, Emit, Engine, FieldType, Fill,
    Found, Having, MatchedStep, Output, Pattern, PatternRule, Predicate, Rule, Schema, Step,
    Timeouts, Timestamp, Value, all_of, always, any_of, eq, ge, group, gt, le, lt, ne,
};
use serde_json::Value as Json;

/// A rule that the harness cannot express, with the reason.
struct NotSupported(String);

type Read<T> = Result<T, NotSupported>;

fn unsupported<T>(what: impl std::fmt::Display) -> Read<T> {
    Err(NotSupported(what.to_string()))
}

fn text<'a>(json: &'a Json, field: &str) -> &'a str {
    json[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {json}"))
}

fn value(json: &Json) -> Value {
    match json {
        Json::String(text) => text.as_str().into(),
        Json::Bool(value) => (*value).into(),
        number => number.as_f64().unwrap().into(),
    }
}

fn millis(json: &Json) -> Duration {
    Duration::from_millis(json.as_u64().unwrap_or_else(|| panic!("no time: {json}")))
}

/// `["name", "=", "a"]`, `["name", "in", [..]]`, `{"and": [..]}`, `{"or": [..]}`, `{"not": ..}`, `true`.
fn predicate(json: &Json) -> Read<Predicate> {
    if json.is_null() || *json == Json::Bool(true) {
        return Ok(always());
    }
    for (name, join) in [
        ("and", Predicate::and as fn(_, _) -> _),
        ("or", Predicate::or),
    ] {
        if let Some(parts) = json[name].as_array() {
            let parts: Vec<_> = parts.iter().map(predicate).collect::<Read<_>>()?;
            return Ok(parts.into_iter().reduce(join).unwrap());
        }
    }
    if !json["not"].is_null() {
        return Ok(predicate(&json["not"])?.negate());
    }
    let (field, operator) = (json[0].as_str().unwrap(), json[1].as_str().unwrap());
    if operator == "in" {
        let values = json[2].as_array().unwrap().iter();
        return Ok(values
            .map(|one| eq(field, value(one)))
            .reduce(Predicate::or)
            .unwrap());
    }
    let compare = match operator {
        "=" => eq,
        "!=" => ne,
        "<" => lt,
        "<=" => le,
        ">" => gt,
        ">=" => ge,
        other => return unsupported(format!("operator {other}")),
    };
    Ok(compare(field, value(&json[2])))
}

fn comparison(text: &str) -> Comparison {
    match text {
        "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        other => panic!("operator {other}"),
    }
}

/// `{"pick": "last", "of": "step", "field": "price", "times": 1, "plus": 0, "or_none": true}`.
fn earlier(json: &Json) -> Earlier {
    let step = text(json, "of");
    let field = json["field"].as_str().unwrap_or("");
    let earlier = match text(json, "pick") {
        "first" => Earlier::first(step, field),
        "last" => Earlier::last(step, field),
        "sum" => Earlier::sum(step, field),
        "average" => Earlier::average(step, field),
        "least" => Earlier::least(step, field),
        "greatest" => Earlier::greatest(step, field),
        "count" => Earlier::count(step),
        other => panic!("pick {other}"),
    };
    let earlier = earlier
        .times(json["times"].as_f64().unwrap_or(1.0))
        .plus(json["plus"].as_f64().unwrap_or(0.0));
    if json["or_none"] == true {
        earlier.or_none()
    } else {
        earlier
    }
}

fn source(json: &Json) -> &str {
    json["source"].as_str().unwrap_or("s")
}

fn one_step(json: &Json) -> Read<Step> {
    let mut step = Step::new(text(json, "step"), source(json), predicate(&json["where"])?);
    for test in json["when"].as_array().into_iter().flatten() {
        let (field, operator) = (test[0].as_str().unwrap(), test[1].as_str().unwrap());
        step = step.when(field, comparison(operator), earlier(&test[2]));
    }
    Ok(step)
}

fn contiguity(name: &str) -> Read<Contiguity> {
    Ok(match name {
        "strict" => Contiguity::Strict,
        "relaxed" => Contiguity::Relaxed,
        "any" => Contiguity::Any,
        other => return unsupported(format!("contiguity {other}")),
    })
}

fn element(json: &Json) -> Read<Element> {
    let list = |name: &str| json[name].as_array();
    let mut element = if let Some(parts) = list("group") {
        group(pattern(parts)?)
    } else if let Some(branches) = list("any_of") {
        let branches = branches
            .iter()
            .map(|parts| pattern(parts.as_array().unwrap()));
        any_of(branches.collect::<Read<Vec<_>>>()?)
    } else if let Some(steps) = list("all_of") {
        all_of(steps.iter().map(one_step).collect::<Read<Vec<_>>>()?)
    } else {
        one_step(json)?.into()
    };
    if let Some(times) = list("times") {
        let min = times[0].as_u64().unwrap() as u32;
        element = match times.get(1).and_then(Json::as_u64) {
            Some(max) => element.times(min..=max as u32),
            None => element.at_least(min),
        };
    }
    if json["optional"] == true {
        element = element.optional();
    }
    if json["greedy"] == true {
        element = element.greedy();
    }
    if let Some(inner) = json["inner"].as_str() {
        element = element.inner(contiguity(inner)?);
    }
    if !json["until"].is_null() {
        element = element.until(source(json), predicate(&json["until"])?);
    }
    Ok(element)
}

fn pattern(parts: &[Json]) -> Read<Pattern> {
    let mut pattern = Pattern::default();
    for part in parts {
        pattern = match text(part, "join") {
            "not_next" => pattern.not_next(one_step(part)?),
            "not" => pattern.not(one_step(part)?),
            "absent" => pattern.absent(one_step(part)?, millis(&part["for_ms"])),
            join => pattern.joined(contiguity(join)?, element(part)?),
        };
    }
    Ok(pattern)
}

fn pattern_rule(json: &Json) -> Read<PatternRule> {
    let mut rule = Rule::pattern("rule", pattern(json["pattern"].as_array().unwrap())?);
    if let Some(key) = json["key"].as_str() {
        rule = rule.key(key);
    }
    if !json["within_ms"].is_null() {
        rule = rule.within(millis(&json["within_ms"]));
    }
    if json["timeouts"] == true {
        rule = rule.timeouts(Timeouts::Tell);
    }
    let skip = &json["after_match"];
    rule = rule.after_match(match skip.as_str() {
        Some("no_skip") => AfterMatch::NoSkip,
        Some("skip_to_next") => AfterMatch::SkipToNext,
        Some("skip_past_last") => AfterMatch::SkipPastLast,
        Some(other) => return unsupported(format!("after_match {other}")),
        None => match (
            skip["skip_to_first"].as_str(),
            skip["skip_to_last"].as_str(),
        ) {
            (Some(step), _) => AfterMatch::SkipToFirst(step.to_owned()),
            (_, Some(step)) => AfterMatch::SkipToLast(step.to_owned()),
            _ => return unsupported(format!("after_match {skip}")),
        },
    });
    Ok(rule)
}

fn aggregate(name: &str) -> Read<Aggregate> {
    if let Some(percent) = name
        .strip_prefix('p')
        .and_then(|percent| percent.parse::<f64>().ok())
    {
        return Ok(Aggregate::Percentile((percent * 10.0) as u16));
    }
    serde_json::from_value(name.into())
        .map_err(|_| NotSupported(format!("the aggregate {name} is not there")))
}

fn window_rule(json: &Json) -> Read<Rule> {
    let window = &json["window"];
    let mut rule = Rule::window("rule", source(window)).filter(predicate(&window["where"])?);
    if let Some(key) = window["key"].as_str() {
        rule = rule.key(key);
    }
    if let Some(field) = window["field"].as_str() {
        rule = rule.field(field);
    }
    let (size, slide) = (&window["size_ms"], &window["slide_ms"]);
    let whole = |name: &str| {
        window[name]
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
    };
    rule = match window["type"].as_str() {
        None if slide.is_null() => rule.tumbling(millis(size)),
        Some("tumbling") => rule.tumbling(millis(size)),
        None | Some("hopping") => rule.sliding(millis(size), millis(slide)),
        Some("sliding") => rule.sliding_each_when(millis(size), predicate(&window["when"])?),
        Some("session") if window["max_ms"].is_null() => rule.session(millis(&window["gap_ms"])),
        Some("session") => {
            rule.session_at_most(millis(&window["gap_ms"]), millis(&window["max_ms"]))
        }
        Some("count") => {
            let Some(size) = whole("size") else {
                return unsupported("a window of events needs its size");
            };
            let fill = match window["partial"] == true {
                true => Fill::Partial,
                false => Fill::Full,
            };
            rule.count_sliding(size, whole("slide").unwrap_or(size), fill)
        }
        Some(other) => return unsupported(format!("windows of type {other}")),
    };
    if !window["lateness_ms"].is_null() {
        rule = rule.lateness(millis(&window["lateness_ms"]));
    }
    // More than one field's or other aggregates: columns as `[name, aggregate, field]`.
    for column in window["select"].as_array().into_iter().flatten() {
        let kind = aggregate(column[1].as_str().unwrap())?;
        rule = match column[2].as_str() {
            Some(name) => rule.select(
                column[0].as_str().unwrap(),
                midstream::aggregate(kind, midstream::field(name)),
            ),
            None => rule.select(column[0].as_str().unwrap(), midstream::count()),
        };
    }
    for having in window["having"].as_array().into_iter().flatten() {
        let kind = aggregate(having[0].as_str().unwrap())?;
        let limit = having[2].as_f64().unwrap();
        rule = rule.having(match having[1].as_str().unwrap() {
            ">=" => Having::AtLeast(kind, limit),
            "<=" => Having::AtMost(kind, limit),
            ">" => Having::Above(kind, limit),
            "<" => Having::Below(kind, limit),
            other => return unsupported(format!("having {other}")),
        });
    }
    let emit = match window["emit"].as_str() {
        Some("rising_edge") => Emit::RisingEdge,
        _ => Emit::Every,
    };
    Ok(rule.emit(emit).into())
}

#[cfg(feature = "sql")]
fn sql_rule(sql: &str) -> Read<Rule> {
    midstream::parse_sql(sql, "rule")
        .map(Rule::from)
        .map_err(|error| NotSupported(error.to_string()))
}

#[cfg(not(feature = "sql"))]
fn sql_rule(_sql: &str) -> Read<Rule> {
    unsupported("the feature `sql` is off")
}

/// Each source's fields are those of its rows.
fn schemas(case: &Json) -> Vec<Schema> {
    let mut schemas: Vec<Schema> = Vec::new();
    let sources = case["rule"]["sources"].as_object();
    for (name, fields) in sources.into_iter().flatten() {
        let mut schema = Schema::new(name);
        for (field, kind) in fields.as_object().unwrap() {
            let kind: FieldType = serde_json::from_value(kind.clone()).unwrap();
            schema = schema.field(field, kind);
        }
        schemas.push(schema);
    }
    schemas
}

/// An output as an expected row is written; the events of a match in their order.
fn row(output: &Output, wanted: &Json, order: &[String]) -> Json {
    let ids = |steps: &[MatchedStep]| -> Vec<Json> {
        let mut events: Vec<&str> = steps
            .iter()
            .flat_map(|step| step.events.iter().map(|id| &**id))
            .collect();
        events.sort_by_key(|id| order.iter().position(|other| other == id));
        events.into_iter().map(Json::from).collect()
    };
    let by_step = |steps: &[MatchedStep]| -> Json {
        let rows = steps.iter().map(|step| {
            let events: Vec<&str> = step.events.iter().map(|id| &**id).collect();
            (step.name.to_string(), events.into())
        });
        Json::Object(rows.collect())
    };
    let mut row = serde_json::Map::new();
    match &output.found {
        Found::Pattern(steps) => {
            if wanted["steps"].is_null() {
                row.insert("match".into(), ids(steps).into());
            } else {
                row.insert("steps".into(), by_step(steps));
            }
        }
        Found::Timeout(steps) => {
            row.insert("timeout".into(), ids(steps).into());
        }
        Found::Window(all) => {
            for name in wanted
                .as_object()
                .into_iter()
                .flat_map(|wanted| wanted.keys())
            {
                if let Ok(kind) = aggregate(name) {
                    row.insert(name.clone(), all.get(kind).into());
                }
            }
        }
        Found::Row(record) => {
            for name in wanted
                .as_object()
                .into_iter()
                .flat_map(|wanted| wanted.keys())
            {
                if let Some((_, value)) = record.columns.iter().find(|(known, _)| **known == **name)
                {
                    let value = match value {
                        // As numbers are written in the files.
                        Some(Value::Int(number)) if wanted[name].is_f64() => {
                            Json::from(*number as f64)
                        }
                        Some(Value::Float(number)) if wanted[name].is_i64() => {
                            Json::from(*number as i64)
                        }
                        other => serde_json::to_value(other).unwrap(),
                    };
                    row.insert(name.clone(), value);
                }
            }
            if !wanted["match"].is_null() {
                let ids = record.events.iter().map(|id| Json::from(&**id));
                row.insert("match".into(), ids.collect::<Vec<_>>().into());
            }
        }
        other => panic!("{other:?}"),
    }
    if !wanted["start"].is_null() {
        row.insert("start".into(), output.first.as_millis().into());
    }
    if !wanted["key"].is_null() {
        row.insert(
            "key".into(),
            output.key.as_ref().unwrap().to_string().into(),
        );
    }
    if !wanted["end"].is_null() {
        row.insert("end".into(), output.last.as_millis().into());
    }
    Json::Object(row)
}

fn run(case: &Json) -> Read<Result<(), String>> {
    if let Some(reason) = case["not_supported"].as_str() {
        return unsupported(reason);
    }
    let schemas = schemas(case);
    let mut builder = Engine::builder();
    for schema in &schemas {
        builder = builder.source(schema.clone());
    }
    let rule = &case["rule"];
    if let Some(text) = rule["text"].as_str() {
        for rule in
            midstream::parse_rules(text, "s").map_err(|error| NotSupported(error.to_string()))?
        {
            builder = builder.rule(rule);
        }
    } else if let Some(sql) = rule["sql"].as_str() {
        builder = builder.rule(sql_rule(sql)?);
    } else if rule["pattern"].is_null() {
        builder = builder.rule(window_rule(rule)?);
    } else {
        builder = builder.rule(pattern_rule(rule)?);
    }
    if !rule["disorder_ms"].is_null() {
        builder = builder.disorder(millis(&rule["disorder_ms"]));
    }
    let mut engine = match builder.build() {
        Ok(engine) => engine,
        Err(error) if case["refused"] == true => {
            return Ok(if error.to_string().is_empty() {
                Err("no words".into())
            } else {
                Ok(())
            });
        }
        Err(error) => return unsupported(error),
    };
    let mut outputs = Vec::new();
    let mut order = Vec::new();
    for (n, input) in case["input"].as_array().unwrap().iter().enumerate() {
        if let Some(watermark) = input["watermark"].as_i64() {
            outputs.extend(engine.advance_to(Timestamp::from_millis(watermark)));
            continue;
        }
        let name = source(input);
        let schema = schemas.iter().find(|schema| schema.name() == name).unwrap();
        let id = input["id"]
            .as_str()
            .map_or(format!("row {n}"), str::to_owned);
        let fields: Vec<(&str, Value)> = schema
            .fields()
            .filter_map(|(field, _)| Some((field, input.get(field)?)))
            .map(|(field, json)| match (json, json.as_i64()) {
                (Json::Number(_), Some(number)) => (field, number.into()),
                _ => (field, value(json)),
            })
            .collect();
        order.push(id.clone());
        let at = Timestamp::from_millis(input["at"].as_i64().unwrap());
        outputs.extend(
            engine
                .push(schema.event(&id, at, &fields).unwrap())
                .unwrap(),
        );
    }
    if rule["finish"] == true {
        outputs.extend(engine.finish());
    }
    let expected = case["expected"].as_array().unwrap();
    let mut found: Vec<String> = outputs
        .iter()
        .map(|output| {
            let timeout = matches!(output.found, Found::Timeout(_));
            let like = expected
                .iter()
                .find(|row| row.get("timeout").is_some() == timeout);
            row(output, like.unwrap_or(&Json::Null), &order).to_string()
        })
        .collect();
    let mut wanted: Vec<String> = expected.iter().map(Json::to_string).collect();
    if case["ordered"] != true {
        found.sort();
        wanted.sort();
    }
    Ok(if found == wanted {
        Ok(())
    } else {
        Err(format!("found {found:#?}, expected {wanted:#?}"))
    })
}

#[test]
fn cases_of_other_engines_give_their_rows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    for path in files {
        let cases: Vec<Json> = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases {
            let name = format!("{}: {}", text(&case, "origin"), text(&case, "name"));
            match run(&case) {
                Ok(Ok(())) => passed += 1,
                Ok(Err(difference)) => failed.push(format!("{name}: {difference}")),
                Err(NotSupported(reason)) => skipped.push(format!("{name}: {reason}")),
            }
        }
    }
    println!(
        "{passed} passed, {} failed, {} not supported",
        failed.len(),
        skipped.len()
    );
    for case in &skipped {
        println!("not supported: {case}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed >= 80, "only {passed} cases passed");
}
