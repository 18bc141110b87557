//! A batch gives what its rows give one by one.

use std::sync::Arc;
use std::time::Duration;

use midstream::{
    Aggregate, Batch, Column, Contiguity, Emit, Engine, Error, FieldType, Having, Pattern, Rule,
    Schema, Step, Timestamp, Value, always, eq, gt, lt, step,
};
use proptest::prelude::*;

fn schema() -> Schema {
    Schema::new("s")
        .field("key", FieldType::Text)
        .field("value", FieldType::Float)
        .field("level", FieldType::Int)
}

/// An engine of window and pattern rules; with `more`, also of those that look at each row by itself.
fn engine(disorder: u64, more: bool) -> Engine {
    let ms = Duration::from_millis;
    let window = |name: &str| Rule::window(name, "s").key("key").emit(Emit::Every);
    let high = || gt("value", 5.0);
    let low = || lt("value", 4.0).or(eq("level", 2));
    let mut builder = Engine::builder();
    if more {
        let each = window("each").field("value").sliding_each(ms(25));
        let several = window("several").select("n", midstream::count());
        let mean = several.select("mean", midstream::avg("value"));
        builder = builder
            .rule(window("session").field("value").session(ms(12)))
            .rule(window("three").count(3))
            .rule(each.having(Having::Above(Aggregate::Sum, 9.0)))
            .rule(Rule::select("rows", "s").filter(low()))
            .rule(
                Rule::select("latest", "s")
                    .filter(low())
                    .key("key")
                    .within(ms(20)),
            )
            .rule(mean.sliding(ms(40), ms(15)));
    }
    builder
        .source(schema())
        .dedup(Duration::ZERO)
        .disorder(ms(disorder))
        .rule(window("sums").field("value").sliding(ms(40), ms(10)))
        .rule(
            window("levels")
                .field("level")
                .filter(high())
                .tumbling(ms(30)),
        )
        .rule(
            window("often")
                .tumbling(ms(70))
                .having(Having::Above(Aggregate::Count, 2.0)),
        )
        .rule(
            Rule::sequence("up and down")
                .key("key")
                .step("s", high())
                .step("s", low())
                .within(ms(50)),
        )
        .rule(
            Rule::pattern(
                "quiet",
                Pattern::begin(step("high", "s", high()))
                    .absent(Step::new("low", "s", low()), ms(15)),
            )
            .key("key")
            .within(ms(60)),
        )
        .rule(
            Rule::pattern(
                "twice",
                Pattern::begin(step("high", "s", high()))
                    .joined(Contiguity::Strict, step("any", "s", always())),
            )
            .key("level"),
        )
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_batch_gives_what_its_rows_give_one_by_one(
        rows in prop::collection::vec((0..12_i64, 0..4_u32, 0..10_u8, 0..3_i64), 1..120),
        cuts in prop::collection::vec(1..40_usize, 1..6),
        disorder in prop::sample::select(vec![0_u64, 0, 20]),
        more: bool,
    ) {
        let mut now = 0;
        let rows: Vec<_> = rows.into_iter().map(|(gap, key, value, level)| {
            now += gap - 1;
            (now.max(0), key, f64::from(value), level)
        }).collect();
        let dictionary: Vec<Arc<str>> = (0..4).map(|key| format!("k{key}").into()).collect();
        let mut by_rows = engine(disorder, more);
        let mut by_batches = engine(disorder, more);
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        let mut rest = &rows[..];
        for (number, cut) in cuts.iter().cycle().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (part, more) = rest.split_at((*cut).min(rest.len()));
            rest = more;
            for (row, (at, key, value, level)) in part.iter().enumerate() {
                let fields = [
                    ("key", Value::Text(dictionary[*key as usize].clone())),
                    ("value", (*value).into()),
                    ("level", (*level).into()),
                ];
                let event = schema().event(&format!("{number}/{row}"), Timestamp::from_millis(*at), &fields);
                wanted.extend(by_rows.push(event.unwrap()).unwrap());
            }
            let batch = Batch::new(
                &schema(),
                &number.to_string(),
                part.iter().map(|row| Timestamp::from_millis(row.0)).collect(),
                vec![
                    Column::Text { dictionary: dictionary.clone(), codes: part.iter().map(|row| row.1).collect() },
                    Column::Float(part.iter().map(|row| row.2).collect()),
                    Column::Int(part.iter().map(|row| row.3).collect()),
                ],
            ).unwrap();
            found.extend(by_batches.push_batch(&batch).unwrap());
        }
        wanted.extend(by_rows.advance_to(Timestamp::from_millis(100_000)));
        found.extend(by_batches.advance_to(Timestamp::from_millis(100_000)));
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(by_batches.metrics(), by_rows.metrics());
    }
}

#[test]
fn a_batch_that_does_not_fit_its_source_is_refused() {
    let at = vec![Timestamp::from_millis(0)];
    let text = |codes| Column::Text {
        dictionary: vec!["a".into()],
        codes,
    };
    let build = |columns| Batch::new(&schema(), "b", at.clone(), columns);
    let fits = vec![
        text(vec![0]),
        Column::Float(vec![1.0]),
        Column::Int(vec![1]),
    ];
    assert_eq!(build(fits).unwrap().len(), 1);
    for columns in [
        vec![text(vec![0])],
        vec![
            text(vec![1]),
            Column::Float(vec![1.0]),
            Column::Int(vec![1]),
        ],
        vec![text(vec![0]), Column::Float(vec![]), Column::Int(vec![1])],
    ] {
        assert!(matches!(build(columns), Err(Error::Columns { .. })));
    }
    let other = vec![
        text(vec![0]),
        Column::Bool(vec![true]),
        Column::Int(vec![1]),
    ];
    assert!(matches!(build(other), Err(Error::Type { .. })));
}
