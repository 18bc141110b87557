//! Queries 0 to 8 of the Nexmark benchmark (P. Tucker et al., *NEXMark: a benchmark for queries over data streams*,
//! 2002, in the form that Apache Beam gave them) are exact: each beside a plain evaluation of the same stream.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midstream::{
    Engine, Event, FieldType, Found, Output, Record, Rule, Schema, Timestamp, Value, parse_rules,
};

/// Of fifty events one is a person, three are auctions, the others bids.
const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
const OF: u64 = 50;

#[derive(Clone, Debug)]
enum Row {
    Person {
        id: i64,
        name: String,
        state: &'static str,
    },
    Auction {
        id: i64,
        seller: i64,
        category: i64,
        expires: i64,
    },
    Bid {
        auction: i64,
        bidder: i64,
        price: i64,
    },
}

struct Stream {
    /// In order of time.
    rows: Vec<(i64, Row)>,
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn stream(count: u64) -> Stream {
    let mut state = 5;
    let mut rows = Vec::new();
    let (mut persons, mut auctions) = (0_i64, 0_i64);
    for n in 0..count {
        // Ten milliseconds between events, sometimes none.
        let at = (n - n % 3) as i64 * 10;
        let mut below = |limit: i64| (random(&mut state) % limit as u64) as i64;
        let row = match n % OF {
            place if place < PERSONS => {
                persons += 1;
                Row::Person {
                    id: persons - 1,
                    name: format!("person {}", persons - 1),
                    state: ["OR", "ID", "CA", "WA", "NY"][below(5) as usize],
                }
            }
            place if place < PERSONS + AUCTIONS => {
                auctions += 1;
                Row::Auction {
                    id: auctions - 1,
                    seller: below(persons.min(50)) + (persons - 50).max(0),
                    category: 10 + below(5),
                    expires: at + 2000 + below(6000),
                }
            }
            _ => Row::Bid {
                // Hot auctions are among the last ones.
                auction: (auctions - 1 - below(auctions.min(8))).max(0),
                bidder: below(persons),
                // No two prices are alike, so that the highest is one.
                price: below(10_000) * 1_000_000 + n as i64,
            },
        };
        rows.push((at, row));
    }
    Stream { rows }
}

fn schemas() -> [Schema; 3] {
    let int = FieldType::Int;
    [
        Schema::new("person")
            .field("id", int)
            .field("name", FieldType::Text)
            .field("state", FieldType::Text),
        Schema::new("auction")
            .field("id", int)
            .field("seller", int)
            .field("category", int)
            .field("expires", int),
        Schema::new("bid")
            .field("auction", int)
            .field("bidder", int)
            .field("price", int),
    ]
}

fn event(schemas: &[Schema; 3], n: usize, at: i64, row: &Row) -> Event {
    let (schema, fields): (_, Vec<(&str, Value)>) = match row {
        Row::Person { id, name, state } => (
            0,
            vec![
                ("id", (*id).into()),
                ("name", name.as_str().into()),
                ("state", (*state).into()),
            ],
        ),
        Row::Auction {
            id,
            seller,
            category,
            expires,
        } => (
            1,
            vec![
                ("id", (*id).into()),
                ("seller", (*seller).into()),
                ("category", (*category).into()),
                ("expires", (*expires).into()),
            ],
        ),
        Row::Bid {
            auction,
            bidder,
            price,
        } => (
            2,
            vec![
                ("auction", (*auction).into()),
                ("bidder", (*bidder).into()),
                ("price", (*price).into()),
            ],
        ),
    };
    schemas[schema]
        .event(&n.to_string(), Timestamp::from_millis(at), &fields)
        .unwrap()
}

/// The outputs of a rule over the stream.
fn run(rule: &str, stream: &Stream) -> Vec<Output> {
    let schemas = schemas();
    let mut builder = Engine::builder().dedup(Duration::ZERO);
    for schema in &schemas {
        builder = builder.source(schema.clone());
    }
    for rule in parse_rules(rule, "bid").unwrap_or_else(|error| panic!("{error}: {rule}")) {
        builder = builder.rule(rule);
    }
    let mut engine = builder.build().unwrap();
    let mut found = Vec::new();
    for (n, (at, row)) in stream.rows.iter().enumerate() {
        found.extend(engine.push(event(&schemas, n, *at, row)).unwrap());
    }
    found.extend(engine.advance_to(Timestamp::from_millis(i64::MAX / 2)));
    found
}

fn record(output: &Output) -> &Record {
    match &output.found {
        Found::Row(record) => record,
        other => panic!("{other:?}"),
    }
}

fn int(output: &Output, name: &str) -> i64 {
    match record(output).get(name) {
        Some(Value::Int(number)) => *number,
        Some(Value::Float(number)) => *number as i64,
        other => panic!("{name}: {other:?}"),
    }
}

fn bids(stream: &Stream) -> impl Iterator<Item = (i64, i64, i64, i64)> + '_ {
    stream.rows.iter().filter_map(|(at, row)| match row {
        Row::Bid {
            auction,
            bidder,
            price,
        } => Some((*at, *auction, *bidder, *price)),
        _ => None,
    })
}

#[test]
fn q0_passes_through_q1_converts_q2_selects() {
    let stream = stream(5000);
    let all: Vec<i64> = run("SELECT * FROM bid", &stream)
        .iter()
        .map(|output| int(output, "price"))
        .collect();
    assert_eq!(all, bids(&stream).map(|bid| bid.3).collect::<Vec<_>>());
    let euros: Vec<Value> = run("SELECT auction, price * 0.908 AS price FROM bid", &stream)
        .iter()
        .map(|output| record(output).get("price").unwrap().clone())
        .collect();
    assert_eq!(
        euros,
        bids(&stream)
            .map(|bid| Value::Float(bid.3 as f64 * 0.908))
            .collect::<Vec<_>>()
    );
    let some: Vec<(i64, i64)> = run(
        "SELECT auction, price FROM bid WHERE auction % 12 = 0",
        &stream,
    )
    .iter()
    .map(|output| (int(output, "auction"), int(output, "price")))
    .collect();
    let wanted = bids(&stream)
        .filter(|bid| bid.1 % 12 == 0)
        .map(|bid| (bid.1, bid.3));
    assert_eq!(some, wanted.collect::<Vec<_>>());
    assert!(!some.is_empty());
}

#[test]
fn q3_joins_auctions_with_their_sellers() {
    let stream = stream(10_000);
    let rule = "SELECT person.name AS name, person.state AS state, auction.id AS auction
        CORRELATE auction WITH person WITHIN 365 DAYS
        WHERE auction.seller = person.id AND auction.category = 10 AND person.state IN ('OR', 'ID', 'CA')";
    let found: BTreeSet<(String, i64)> = run(rule, &stream)
        .iter()
        .map(|output| {
            (
                record(output).get("name").unwrap().to_string(),
                int(output, "auction"),
            )
        })
        .collect();
    let mut wanted = BTreeSet::new();
    for (_, row) in &stream.rows {
        let Row::Auction {
            id,
            seller,
            category: 10,
            ..
        } = row
        else {
            continue;
        };
        for (_, row) in &stream.rows {
            if let Row::Person {
                id: person,
                name,
                state,
            } = row
                && person == seller
                && ["OR", "ID", "CA"].contains(state)
            {
                wanted.insert((name.clone(), *id));
            }
        }
    }
    assert!(found == wanted && !found.is_empty());
}

/// Of each auction with a bid: the time it expires, category, seller and the highest price bid while it was open.
fn won(stream: &Stream) -> Vec<(i64, i64, i64, i64)> {
    let mut all = Vec::new();
    for (begin, row) in &stream.rows {
        let Row::Auction {
            id,
            seller,
            category,
            expires,
        } = row
        else {
            continue;
        };
        let open = bids(stream).filter(|bid| bid.1 == *id && bid.0 >= *begin && bid.0 <= *expires);
        if let Some(price) = open.map(|bid| bid.3).max() {
            all.push((*expires, *category, *seller, price));
        }
    }
    all.sort();
    all
}

/// The auctions that are over with their highest bid, as the rules find them: bids joined with their auction, the
/// highest of each kept until it expires.
fn closed(stream: &Stream) -> Vec<(i64, i64, i64, i64)> {
    let rule = "SELECT auction.id AS id, auction.expires AS expires, auction.category AS category, auction.seller AS seller, bid.price AS price
        CORRELATE auction WITH bid WITHIN 10 SECONDS WHERE bid.auction = auction.id";
    let joined = run(rule, stream);
    let schema = Schema::new("offer")
        .field("id", FieldType::Int)
        .field("expires", FieldType::Int)
        .field("category", FieldType::Int)
        .field("seller", FieldType::Int)
        .field("price", FieldType::Int);
    let highest = "SELECT id, LAST(expires) AS expires, LAST(category) AS category, LAST(seller) AS seller, MAX(price) AS price
        FROM offer WHERE bid_at <= expires GROUP BY id WITHIN SESSION WINDOW GAP 10 SECONDS";
    let schema = schema.field("bid_at", FieldType::Int);
    let rule: Rule = parse_rules(highest, "offer").unwrap().remove(0);
    let mut engine = Engine::builder()
        .source(schema.clone())
        .rule(rule)
        .dedup(Duration::ZERO)
        .build()
        .unwrap();
    let mut found = Vec::new();
    for (n, output) in joined.iter().enumerate() {
        let mut fields: Vec<(&str, Value)> = vec![("bid_at", output.last.as_millis().into())];
        for name in ["id", "expires", "category", "seller", "price"] {
            fields.push((name, int(output, name).into()));
        }
        let event = schema.event(&n.to_string(), output.last, &fields).unwrap();
        found.extend(engine.push(event).unwrap());
    }
    found.extend(engine.advance_to(Timestamp::from_millis(i64::MAX / 2)));
    let mut rows: Vec<_> = found
        .iter()
        .map(|output| {
            let one = |name| int(output, name);
            (one("expires"), one("category"), one("seller"), one("price"))
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn q4_averages_by_category_and_q6_by_seller_what_was_paid() {
    let stream = stream(10_000);
    let (found, wanted) = (closed(&stream), won(&stream));
    assert_eq!(found, wanted);
    // The averages, as rules over what was closed, in order of its time.
    let schema = Schema::new("closed")
        .field("category", FieldType::Int)
        .field("seller", FieldType::Int)
        .field("price", FieldType::Int);
    let rules = "RULE category: SELECT category, AVG(price) AS mean FROM closed GROUP BY category WITHIN SLIDING WINDOW 1000 DAYS;
        RULE seller: SELECT seller, AVG(price) AS mean FROM closed GROUP BY seller WITHIN COUNT WINDOW 10 SLIDE 1 PARTIAL";
    let mut builder = Engine::builder()
        .source(schema.clone())
        .dedup(Duration::ZERO);
    for rule in parse_rules(rules, "closed").unwrap() {
        builder = builder.rule(rule);
    }
    let mut engine = builder.build().unwrap();
    let (mut categories, mut sellers) = (BTreeMap::new(), BTreeMap::<i64, Vec<f64>>::new());
    for (n, (at, category, seller, price)) in found.iter().enumerate() {
        let fields: [(&str, Value); 3] = [
            ("category", (*category).into()),
            ("seller", (*seller).into()),
            ("price", (*price).into()),
        ];
        let event = schema
            .event(&n.to_string(), Timestamp::from_millis(*at), &fields)
            .unwrap();
        let told = engine.push(event).unwrap();
        let all: &mut (f64, f64) = categories.entry(*category).or_default();
        *all = (all.0 + *price as f64, all.1 + 1.0);
        let last = sellers.entry(*seller).or_default();
        last.push(*price as f64);
        let ten = &last[last.len().saturating_sub(10)..];
        let means = [all.0 / all.1, ten.iter().sum::<f64>() / ten.len() as f64];
        for (output, mean) in told.iter().zip(means) {
            let Some(Value::Float(found)) = record(output).get("mean") else {
                panic!()
            };
            assert!((found - mean).abs() <= mean * 1e-12, "{found} {mean}");
        }
        assert_eq!(told.len(), 2);
    }
}

#[test]
fn q5_finds_the_auctions_with_the_most_bids_of_each_window() {
    let stream = stream(10_000);
    let rule = "SELECT auction, COUNT(*) AS bids FROM bid GROUP BY auction WITHIN SLIDING WINDOW 10 SECONDS SLIDE 2 SECONDS";
    let mut windows: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for output in run(rule, &stream) {
        let end = output.last.as_millis();
        windows
            .entry(end)
            .or_default()
            .insert(int(&output, "auction"), int(&output, "bids"));
    }
    let mut wanted: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for (at, auction, ..) in bids(&stream) {
        let mut end = (at / 2000 + 1) * 2000;
        while end <= at + 10_000 {
            *wanted.entry(end).or_default().entry(auction).or_default() += 1;
            end += 2000;
        }
    }
    let hottest = |windows: &BTreeMap<i64, BTreeMap<i64, i64>>| -> Vec<(i64, Vec<i64>)> {
        let hot = windows.iter().map(|(end, counts)| {
            let most = counts.values().max().unwrap();
            (
                *end,
                counts
                    .iter()
                    .filter(|(_, count)| *count == most)
                    .map(|(auction, _)| *auction)
                    .collect(),
            )
        });
        hot.collect()
    };
    assert_eq!(hottest(&windows), hottest(&wanted));
    assert_eq!(windows, wanted);
}

#[test]
fn q7_finds_the_highest_bid_of_each_window() {
    let stream = stream(10_000);
    let found: Vec<(i64, i64)> = run(
        "SELECT MAX(price) AS price FROM bid WITHIN TUMBLING WINDOW 10 SECONDS",
        &stream,
    )
    .iter()
    .map(|output| (output.last.as_millis(), int(output, "price")))
    .collect();
    let mut wanted: BTreeMap<i64, i64> = BTreeMap::new();
    for (at, _, _, price) in bids(&stream) {
        let highest = wanted.entry((at / 10_000 + 1) * 10_000).or_default();
        *highest = price.max(*highest);
    }
    assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
}

#[test]
fn q8_finds_who_is_new_and_sells_in_the_same_window() {
    let stream = stream(20_000);
    let rule = "SELECT person.id AS id, person.name AS name CORRELATE person WITH auction WITHIN 10 SECONDS WHERE auction.seller = person.id";
    // Windows of ten seconds that both are in.
    let same =
        |output: &Output| output.first.as_millis() / 10_000 == output.last.as_millis() / 10_000;
    let found: BTreeSet<(i64, i64)> = run(rule, &stream)
        .iter()
        .filter(|output| same(output))
        .map(|output| (output.last.as_millis() / 10_000, int(output, "id")))
        .collect();
    let mut wanted = BTreeSet::new();
    for (at, row) in &stream.rows {
        let Row::Person { id, .. } = row else {
            continue;
        };
        let sells = stream.rows.iter().any(|(other, row)| {
            matches!(row, Row::Auction { seller, .. } if seller == id)
                && other / 10_000 == at / 10_000
        });
        if sells {
            wanted.insert((at / 10_000, *id));
        }
    }
    assert!(
        found == wanted && !found.is_empty(),
        "{} {}",
        found.len(),
        wanted.len()
    );
}
