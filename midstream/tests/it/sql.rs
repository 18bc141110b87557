//! `MATCH_RECOGNIZE`: the preferred match, what is told of it, and what is refused.

use midstream::{
    Engine, Error, FieldType, Found, Output, Record, Schema, Timestamp, Value, parse_sql,
};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Rows of a source `t`: key, time, value.
type Rows = Vec<(&'static str, i64, i64)>;

fn schema() -> Schema {
    Schema::new("t")
        .field("k", FieldType::Text)
        .field("ts", FieldType::Int)
        .field("v", FieldType::Int)
}

fn run(sql: &str, rows: &[(&str, i64, i64)]) -> Vec<Output> {
    let rule = parse_sql(sql, "r").unwrap_or_else(|error| panic!("{error}: {sql}"));
    let schema = schema();
    let mut engine = Engine::builder()
        .source(schema.clone())
        .rule(rule)
        .build()
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    let mut found = Vec::new();
    for (n, (key, at, value)) in rows.iter().enumerate() {
        let fields: [(&str, Value); 3] = [
            ("k", (*key).into()),
            ("ts", (*at).into()),
            ("v", (*value).into()),
        ];
        let event = schema
            .event(&n.to_string(), Timestamp::from_millis(*at), &fields)
            .unwrap();
        found.extend(engine.push(event).unwrap());
    }
    found.extend(engine.finish());
    found
}

fn record(output: &Output) -> &Record {
    match &output.found {
        Found::Row(record) => record,
        other => panic!("{other:?}"),
    }
}

fn column(found: &[Output], name: &str) -> Vec<Option<Value>> {
    found
        .iter()
        .map(|output| record(output).get(name).cloned())
        .collect()
}

fn ints(found: &[Output], name: &str) -> Vec<i64> {
    column(found, name)
        .into_iter()
        .map(|value| match value {
            Some(Value::Int(number)) => number,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn series(values: &[i64]) -> Rows {
    let rows = values.iter().enumerate();
    rows.map(|(at, value)| ("a", at as i64 + 1, *value))
        .collect()
}

/// The stock of the Oracle Database Data Warehousing Guide, by day.
const ACME: [i64; 20] = [
    12, 17, 19, 21, 25, 12, 15, 20, 24, 25, 19, 15, 25, 25, 14, 12, 14, 24, 23, 22,
];

const V_SHAPE: &str = "SELECT * FROM t MATCH_RECOGNIZE (
  PARTITION BY k ORDER BY ts
  MEASURES STRT.ts AS start_ts, LAST(DOWN.ts) AS bottom_ts, LAST(UP.ts) AS end_ts
  ONE ROW PER MATCH AFTER MATCH SKIP TO LAST UP
  PATTERN (STRT DOWN+ UP+)
  DEFINE DOWN AS DOWN.v < PREV(DOWN.v), UP AS UP.v > PREV(UP.v)) MR";

#[test]
fn v_shapes_of_a_stock_are_found() {
    let found = run(V_SHAPE, &series(&ACME));
    assert_eq!(ints(&found, "start_ts"), [5, 10, 14]);
    assert_eq!(ints(&found, "bottom_ts"), [6, 12, 16]);
    assert_eq!(ints(&found, "end_ts"), [10, 13, 18]);
}

#[test]
fn all_rows_tell_running_and_final_values() {
    let sql = "SELECT ts, class, n, so_far, total FROM t MATCH_RECOGNIZE (
      PARTITION BY k ORDER BY ts
      MEASURES CLASSIFIER() AS class, MATCH_NUMBER() AS n, RUNNING SUM(v) AS so_far, FINAL SUM(v) AS total
      ALL ROWS PER MATCH AFTER MATCH SKIP PAST LAST ROW
      PATTERN (A B+) DEFINE B AS v > PREV(v))";
    let found = run(sql, &series(&[5, 1, 2, 3, 3, 9]));
    assert_eq!(ints(&found, "ts"), [2, 3, 4, 5, 6]);
    assert_eq!(ints(&found, "n"), [1, 1, 1, 2, 2]);
    assert_eq!(ints(&found, "so_far"), [1, 3, 6, 3, 12]);
    assert_eq!(ints(&found, "total"), [6, 6, 6, 12, 12]);
    let class: Vec<String> = column(&found, "class")
        .into_iter()
        .map(|value| value.unwrap().to_string())
        .collect();
    assert_eq!(class, ["A", "B", "B", "A", "B"]);
}

#[test]
fn a_reluctant_quantifier_takes_as_little_as_it_can() {
    let sql = |quantifier: &str| {
        format!(
            "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES COUNT(A.v) AS a, COUNT(B.v) AS b
             PATTERN (A{quantifier} B) DEFINE A AS v < 5, B AS v < 3)"
        )
    };
    let rows = series(&[4, 2, 2, 4]);
    let greedy = run(&sql("+"), &rows);
    assert_eq!((ints(&greedy, "a"), ints(&greedy, "b")), (vec![2], vec![1]));
    let reluctant = run(&sql("+?"), &rows);
    assert_eq!(ints(&reluctant, "a"), [1]);
}

#[test]
fn a_subset_stands_for_several_variables() {
    let sql = "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts
      MEASURES AVG(U.v) AS mean, FIRST(U.v) AS first, LAST(U.v, 1) AS before_last
      PATTERN (A B C) SUBSET U = (A, C) DEFINE A AS v = 1, B AS v = 50, C AS v < 50)";
    let found = run(sql, &series(&[1, 50, 3]));
    assert_eq!(column(&found, "mean"), [Some(Value::Float(2.0))]);
    assert_eq!(ints(&found, "first"), [1]);
    assert_eq!(ints(&found, "before_last"), [1]);
}

#[test]
fn what_is_too_slow_is_no_match_and_time_alone_completes_one() {
    let sql = "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.ts AS a, LAST(B.ts) AS b
      PATTERN (A B+) WITHIN INTERVAL '0.010' SECOND DEFINE A AS v = 1, B AS v = 2)";
    let rows = [
        ("a", 0, 1),
        ("a", 11, 2),
        ("a", 20, 1),
        ("a", 25, 2),
        ("a", 30, 2),
        ("a", 31, 2),
    ];
    let found = run(sql, &rows);
    assert_eq!((ints(&found, "a"), ints(&found, "b")), (vec![20], vec![30]));
    let rule = parse_sql(sql, "r").unwrap();
    let mut engine = Engine::builder()
        .source(schema())
        .rule(rule)
        .build()
        .unwrap();
    for (n, (_, at, value)) in rows[2..5].iter().enumerate() {
        let fields: [(&str, Value); 2] = [("ts", (*at).into()), ("v", (*value).into())];
        let event = schema()
            .event(&n.to_string(), Timestamp::from_millis(*at), &fields)
            .unwrap();
        assert!(engine.push(event).unwrap().is_empty());
    }
    assert!(engine.advance_to(Timestamp::from_millis(30)).is_empty());
    assert_eq!(engine.advance_to(Timestamp::from_millis(31)).len(), 1);
}

#[test]
fn empty_matches_and_unmatched_rows_are_told_where_asked() {
    let sql = |mode: &str| {
        format!(
            "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES MATCH_NUMBER() AS n
             ALL ROWS PER MATCH {mode} PATTERN (A*) DEFINE A AS v > 5)"
        )
    };
    let rows = series(&[1, 7, 8, 2]);
    assert_eq!(ints(&run(&sql(""), &rows), "n"), [1, 2, 2, 3]);
    assert_eq!(ints(&run(&sql("OMIT EMPTY MATCHES"), &rows), "ts"), [2, 3]);
    let sql = "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES MATCH_NUMBER() AS n
       ALL ROWS PER MATCH WITH UNMATCHED ROWS PATTERN (A+) DEFINE A AS v > 5)";
    let found = run(sql, &rows);
    assert_eq!(ints(&found, "ts"), [1, 2, 3, 4]);
    assert_eq!(column(&found, "n")[0], None);
}

#[test]
fn partitions_are_apart_and_permutations_prefer_the_order_written() {
    let sql = "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts
      MEASURES A.ts AS a, B.ts AS b PATTERN (PERMUTE(A, B)) DEFINE A AS v > 0, B AS v > 1)";
    let rows = [("x", 1, 2), ("y", 2, 1), ("x", 3, 2), ("y", 4, 2)];
    let found = run(sql, &rows);
    assert_eq!(ints(&found, "a"), [1, 2]);
    assert_eq!(ints(&found, "b"), [3, 4]);
}

#[test]
fn conditions_cases_and_casts_are_values() {
    let sql = "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts
      MEASURES LAST(A.v) > 2 AS big, A.v IN (1, 2) AS few, A.v BETWEEN 2 AND 3 OR A.v = 9 AS mid,
        B.v IS NULL AS alone, (B.v > 1) IS UNKNOWN AS unsure,
        CASE WHEN A.v > 2 THEN 'high' WHEN A.v > 1 THEN 'mid' ELSE 'low' END AS searched,
        CASE A.v WHEN 1 THEN 'one' WHEN 2 THEN 'two' END AS simple,
        CAST(A.v AS VARCHAR) || '!' AS text, CAST('2.5' AS DOUBLE) * A.v AS half, CAST(2.5 AS INTEGER) AS whole,
        CAST(A.v - 1 AS BOOLEAN) AS truth, CAST(k AS BIGINT) AS none, CAST(1.005 * A.v AS DECIMAL(10, 1)) AS digits,
        SUM(CASE WHEN v > 1 THEN 10 ELSE 1 END) AS score, NULL AS nothing
      PATTERN (A B?) DEFINE A AS CASE WHEN v > 8 THEN false ELSE v > 0 END, B AS v > 100)";
    let found = run(sql, &series(&[1, 2, 3, 9]));
    let told: Vec<String> = found
        .iter()
        .map(|output| serde_json::to_string(record(output)).unwrap())
        .collect();
    let row = |id: &str, rest: &str| format!("{{\"events\":[\"{id}\"],\"columns\":{{{rest}}}}}");
    assert_eq!(
        told,
        [
            row(
                "0",
                r#""big":false,"few":true,"mid":false,"alone":true,"unsure":true,"searched":"low","simple":"one","text":"1!","half":2.5,"whole":3,"truth":false,"none":null,"digits":1.0,"score":1,"nothing":null"#
            ),
            row(
                "1",
                r#""big":false,"few":true,"mid":true,"alone":true,"unsure":true,"searched":"mid","simple":"two","text":"2!","half":5.0,"whole":3,"truth":true,"none":null,"digits":2.0,"score":10,"nothing":null"#
            ),
            row(
                "2",
                r#""big":true,"few":false,"mid":true,"alone":true,"unsure":true,"searched":"high","simple":null,"text":"3!","half":7.5,"whole":3,"truth":true,"none":null,"digits":3.0,"score":10,"nothing":null"#
            ),
        ]
    );
}

#[test]
fn truth_tests_know_three_values() {
    for (test, wanted) in [
        ("(PREV(v) > 1) IS TRUE", [false, false, true]),
        ("(PREV(v) > 1) IS NOT TRUE", [true, true, false]),
        ("NOT ((PREV(v) > 1) IS TRUE)", [true, true, false]),
        ("(PREV(v) > 1) IS FALSE", [false, true, false]),
        ("(PREV(v) > 1) IS NOT FALSE", [true, false, true]),
        ("(PREV(v) > 1) IS UNKNOWN", [true, false, false]),
        ("(PREV(v) > 1) IS NOT UNKNOWN", [false, true, true]),
        ("PREV(v) IS DISTINCT FROM 1", [true, false, true]),
        ("PREV(v) IS NOT DISTINCT FROM NULL", [true, false, false]),
        ("NOT (PREV(v) > 1)", [false, true, false]),
    ] {
        let sql = format!(
            "SELECT ts FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.ts AS ts PATTERN (A) DEFINE A AS {test})"
        );
        let found = ints(&run(&sql, &series(&[1, 2, 3])), "ts");
        let held = wanted.iter().zip(1..).filter(|(held, _)| **held);
        let wanted: Vec<i64> = held.map(|(_, ts)| ts).collect();
        assert_eq!(found, wanted, "{test}");
    }
}

#[test]
fn what_is_found_is_filtered_by_name() {
    let sql = "SELECT mr.top FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts
      MEASURES MAX(v) AS top, COUNT(*) AS n PATTERN (A+) DEFINE A AS v > 0) AS mr
      WHERE mr.n > 1 AND k LIKE 'a%' ORDER BY mr.top DESC";
    let rows = [
        ("a", 1, 5),
        ("b", 2, 6),
        ("b", 3, 7),
        ("a", 4, 0),
        ("a", 5, 2),
        ("a", 6, 3),
    ];
    assert_eq!(ints(&run(sql, &rows), "top"), [3]);
}

#[test]
fn what_is_refused_is_told_with_its_place() {
    let sql = |pattern: &str, define: &str| {
        format!(
            "SELECT * FROM t\n  MATCH_RECOGNIZE (ORDER BY ts PATTERN ({pattern}) DEFINE {define})"
        )
    };
    for (text, wanted) in [
        (sql("A {- B C", "A AS v > 1"), "Expected"),
        (sql("A - B", "A AS v > 1"), "Expected"),
        (
            sql("A {- B -} C", "A AS v > 1")
                .replace("PATTERN", "ALL ROWS PER MATCH WITH UNMATCHED ROWS PATTERN"),
            "exclusion",
        ),
        (sql("A", "A AS v >"), "Expected"),
        (sql("A", "Q AS v > 1"), "no variable `Q`"),
        (sql("A{3,1}", "A AS v > 1"), "maximum"),
        (sql("A", "A AS FINAL LAST(v) > 1"), "FINAL"),
        (sql("A", "A AS v IN (SELECT 1)"), "refused"),
        (sql("A", "A AS CAST(v AS DATE) > 1"), "CAST to DATE"),
        (sql("A", "A AS CAST(v AS VARCHAR(3)) = '1'"), "SUBSTRING"),
        (sql("A", "A AS 1 + v"), "condition"),
        (sql("A", "A AS v > 1") + " GROUP BY v", "GROUP"),
    ] {
        match parse_sql(&text, "r") {
            Err(Error::Syntax { line, cause, .. }) => {
                assert!(
                    cause.contains(wanted) && (1..=2).contains(&line),
                    "{line}: {cause}"
                );
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = format!(
        "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS {}v > 1{})",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    assert!(parse_sql(&deep, "r").is_err());
}

/// A pattern of the oracle.
#[derive(Clone, Debug)]
enum Node {
    Variable(usize),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>, bool),
}

const VARIABLES: [&str; 4] = ["A", "B", "C", "D"];

struct Draw(TestRng);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        (self.0.next_u64() % limit as u64) as usize
    }

    fn node(&mut self, depth: usize) -> Node {
        match self.below(if depth == 0 { 1 } else { 5 }) {
            0 => Node::Variable(self.below(4)),
            1 | 2 => {
                let count = 2 + self.below(2);
                Node::Sequence((0..count).map(|_| self.node(depth - 1)).collect())
            }
            3 => Node::Either((0..2).map(|_| self.node(depth - 1)).collect()),
            _ => {
                let min = self.below(3);
                let max = match self.below(2) {
                    0 => None,
                    _ => Some((min + self.below(3)).max(1)),
                };
                let mut of = self.node(depth - 1);
                if of.takes_nothing() {
                    // Which way a loop over nothing prefers differs from engine to engine.
                    of = Node::Sequence(vec![of, Node::Variable(0)]);
                }
                Node::Repeat(Box::new(of), min, max, self.below(2) == 0)
            }
        }
    }
}

impl Node {
    fn takes_nothing(&self) -> bool {
        match self {
            Self::Variable(_) => false,
            Self::Sequence(parts) => parts.iter().all(Self::takes_nothing),
            Self::Either(parts) => parts.iter().any(Self::takes_nothing),
            Self::Repeat(of, min, ..) => *min == 0 || of.takes_nothing(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Variable(variable) => VARIABLES[*variable].to_owned(),
            Self::Sequence(parts) => {
                let parts: Vec<String> = parts.iter().map(Self::text).collect();
                format!("({})", parts.join(" "))
            }
            Self::Either(parts) => {
                let parts: Vec<String> = parts.iter().map(Self::text).collect();
                format!("({})", parts.join(" | "))
            }
            Self::Repeat(of, min, max, greedy) => {
                let max = max.map(|max| max.to_string()).unwrap_or_default();
                let reluctant = if *greedy { "" } else { "?" };
                format!("({}){{{min},{max}}}{reluctant}", of.text())
            }
        }
    }

    /// Calls `then` with each way to match from a row on, the preferred one first, until it is content.
    fn ways(
        &self,
        fits: &dyn Fn(&[usize], usize) -> bool,
        taken: &mut Vec<usize>,
        then: &mut dyn FnMut(&mut Vec<usize>) -> bool,
    ) -> bool {
        match self {
            Self::Variable(variable) => {
                if !fits(taken, *variable) {
                    return false;
                }
                taken.push(*variable);
                let done = then(taken);
                taken.pop();
                done
            }
            Self::Sequence(parts) => match parts.split_first() {
                None => then(taken),
                Some((first, rest)) => {
                    let rest = Self::Sequence(rest.to_vec());
                    first.ways(fits, taken, &mut |taken| rest.ways(fits, taken, then))
                }
            },
            Self::Either(parts) => parts.iter().any(|part| part.ways(fits, taken, then)),
            Self::Repeat(of, min, max, greedy) => {
                let begin = taken.len();
                let again = max.is_none_or(|max| max > 0);
                let rest = Self::Repeat(
                    of.clone(),
                    min.saturating_sub(1),
                    max.map(|max| max.saturating_sub(1)),
                    *greedy,
                );
                let once =
                    |taken: &mut Vec<usize>, then: &mut dyn FnMut(&mut Vec<usize>) -> bool| {
                        again
                            && of.ways(fits, taken, &mut |taken| {
                                // A loop does not go on with nothing.
                                if taken.len() == begin && *min == 0 && max.is_none() {
                                    return false;
                                }
                                rest.ways(fits, taken, then)
                            })
                    };
                if *min > 0 {
                    return once(taken, then);
                }
                match greedy {
                    true => once(taken, then) || then(taken),
                    false => then(taken) || once(taken, then),
                }
            }
        }
    }
}

fn agrees_with_backtracking(pairs: usize, seed: u8) {
    // The last condition looks back at what was taken, so that ways are not one.
    let defines = [
        "A AS v > 0, B AS v < 3, C AS v = 2, D AS v >= PREV(v)",
        "A AS v > 0, B AS v < 3, C AS v = 2, D AS D.v > FIRST(A.v)",
        "A AS v > 0, B AS COUNT(A.v) > 0 AND v < 3, C AS v > AVG(A.v), D AS LAST(B.v) IS NULL",
    ];
    let mut draw = Draw(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    for _ in 0..pairs {
        // All variables are in the pattern, so that conditions may ask for them.
        let all = Node::Sequence((0..4).map(Node::Variable).collect());
        let pattern = Node::Either(vec![draw.node(3), all]);
        let which = draw.below(defines.len());
        let values: Vec<i64> = (0..draw.below(14)).map(|_| draw.below(4) as i64).collect();
        let to_next = draw.below(2) == 0;
        let skip = if to_next {
            "TO NEXT ROW"
        } else {
            "PAST LAST ROW"
        };
        let sql = format!(
            "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES CLASSIFIER() AS c ALL ROWS PER MATCH
             AFTER MATCH SKIP {skip} PATTERN ({}) DEFINE {})",
            pattern.text(),
            defines[which]
        );
        let mut wanted: Vec<(i64, Option<usize>)> = Vec::new();
        let mut start = 0;
        while start < values.len() {
            let fits = |taken: &[usize], variable: usize| {
                let at = start + taken.len();
                let Some(value) = values.get(at).copied() else {
                    return false;
                };
                let of = |wanted: usize| -> Vec<i64> {
                    let rows = taken.iter().chain([&variable]).enumerate();
                    rows.filter(|(_, other)| **other == wanted)
                        .map(|(place, _)| values[start + place])
                        .collect()
                };
                match (variable, which) {
                    (0, _) => value > 0,
                    (1, 2) => !of(0).is_empty() && value < 3,
                    (1, _) => value < 3,
                    (2, 2) => {
                        let a = of(0);
                        !a.is_empty()
                            && value as f64 > a.iter().sum::<i64>() as f64 / a.len() as f64
                    }
                    (2, _) => value == 2,
                    (_, 0) => at > 0 && value >= values[at - 1],
                    (_, 1) => of(0).first().is_some_and(|first| value > *first),
                    (_, _) => of(1).is_empty(),
                }
            };
            let mut best = None;
            pattern.ways(&fits, &mut Vec::new(), &mut |taken| {
                best = Some(taken.clone());
                true
            });
            match best {
                None => start += 1,
                Some(taken) if taken.is_empty() => {
                    wanted.push((start as i64 + 1, None));
                    start += 1;
                }
                Some(taken) => {
                    for (place, variable) in taken.iter().enumerate() {
                        wanted.push(((start + place) as i64 + 1, Some(*variable)));
                    }
                    start += if to_next { 1 } else { taken.len() };
                }
            }
        }
        let found: Vec<(i64, Option<usize>)> = run(&sql, &series(&values))
            .iter()
            .map(|output| {
                let class = record(output).get("c").map(Value::to_string);
                let class =
                    class.map(|name| VARIABLES.iter().position(|known| *known == name).unwrap());
                let Some(Value::Int(ts)) = record(output).get("ts") else {
                    panic!()
                };
                (*ts, class)
            })
            .collect();
        assert_eq!(found, wanted, "{sql}\n{values:?}");
    }
}

#[test]
fn the_match_is_the_one_that_backtracking_prefers() {
    agrees_with_backtracking(2_000, 1);
}

#[test]
#[ignore = "half a minute; the always-on test has fewer pairs"]
fn the_match_is_the_one_that_backtracking_prefers_on_many_pairs() {
    agrees_with_backtracking(20_000, 2);
}
