//! JSONPath as Amazon States Language means it: the Jayway dialect. A definite path (names and
//! single indexes) gives one value or an error; any other gives a list.

mod parse;

use std::fmt::{self, Write as _};

use serde_json::Value;

/// A parsed path. The document that it walks is chosen by its first character(s).
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub root: Root,
    steps: Vec<Step>,
    definite: bool,
}

/// What a path starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Root {
    /// `$`: the data.
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable that `Assign` set.
    Variable(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Index(i64),
    Wildcard,
    Slice(Option<i64>, Option<i64>, i64),
    Union(Vec<Step>),
    Descendants,
    Filter(Filter),
    Length,
}

#[derive(Debug, Clone, PartialEq)]
enum Filter {
    Any(Box<Filter>, Box<Filter>),
    All(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare(Operand, String, Operand),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    /// `@…`
    Item(Path),
    /// `$…`
    Document(Path),
    Literal(Value),
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::whole(text)
    }

    /// Names and indexes only, so that a result can be put there.
    pub fn reference(&self) -> Option<Vec<Result<&str, i64>>> {
        let part = |step: &'_ Step| match step {
            Step::Index(index) => Some(Err(*index)),
            _ => None,
        };
        self.steps
            .iter()
            .map(|step| match step {
                Step::Name(name) => Some(Ok(name.as_str())),
                other => part(other),
            })
            .collect()
    }

    /// The first step that leads nowhere: what is before it, its number, and the way up to it.
    fn dead_end<'v>(&self, document: &'v Value) -> (Option<&'v Value>, usize, String) {
        let mut at = Some(document);
        let mut walked = String::from("$");
        for (index, step) in self.steps.iter().enumerate() {
            let _ = write!(walked, "{step}");
            let mut found = Vec::new();
            if let Some(value) = at {
                step.apply(value, document, &mut found);
            }
            if found.is_empty() {
                return (at, index, walked);
            }
            at = found.first().copied();
        }
        (at, self.steps.len(), walked)
    }

    /// Why a definite path leads nowhere, as Jayway says it.
    pub fn missing(&self, document: &Value) -> String {
        let (before, index, walked) = self.dead_end(document);
        if index + 1 < self.steps.len() && before.is_some_and(Value::is_object) {
            return format!("Missing property in path {walked}");
        }
        let whole = self.steps.iter().map(Step::to_string);
        format!("No results for path: ${}", whole.collect::<String>())
    }

    /// The name or index of the first step that leads nowhere.
    pub fn missing_step(&self, document: &Value) -> String {
        let (_, index, _) = self.dead_end(document);
        match self.steps.get(index) {
            Some(Step::Name(name)) => name.clone(),
            Some(step) => step.to_string().trim_matches(['[', ']']).to_owned(),
            None => String::new(),
        }
    }

    /// Whether the path ends in the index of an item that its list has not.
    pub fn is_past_the_end(&self, document: &Value) -> bool {
        let Some((Step::Index(_), steps)) = self.steps.split_last() else {
            return false;
        };
        let around = Path {
            root: self.root.clone(),
            steps: steps.to_vec(),
            definite: true,
        };
        self.definite && around.select(document).is_some_and(|list| list.is_array())
    }

    /// The value that the path selects; `None` when a definite part leads nowhere.
    pub fn select(&self, document: &Value) -> Option<Value> {
        let mut found = vec![document];
        let mut definite = true;
        for (index, step) in self.steps.iter().enumerate() {
            if *step == Step::Length {
                let mut lengths = found.iter().filter_map(|value| match value {
                    Value::Array(items) => Some(Value::from(items.len())),
                    Value::Object(map) => Some(Value::from(map.len())),
                    Value::String(text) => Some(Value::from(text.chars().count())),
                    _ => None,
                });
                return lengths.next_back();
            }
            let mut next = Vec::new();
            for value in &found {
                step.apply(value, document, &mut next);
            }
            let direct = matches!(step, Step::Name(_) | Step::Index(_));
            if definite && next.is_empty() && (direct || index == 0) && *step != Step::Descendants {
                return None;
            }
            definite = definite && direct;
            found = next;
        }
        if self.definite {
            found.first().map(|value| (*value).clone())
        } else {
            Some(found.into_iter().cloned().collect())
        }
    }
}

/// In brackets, as Jayway writes a path.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Name(name) => write!(out, "['{name}']"),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Wildcard => out.write_str("[*]"),
            Step::Descendants => out.write_str(".."),
            Step::Length => out.write_str(".length()"),
            Step::Filter(_) => out.write_str("[?]"),
            Step::Slice(from, to, _) => {
                let bound = |at: &Option<i64>| at.map_or_else(String::new, |at| at.to_string());
                write!(out, "[{}:{}]", bound(from), bound(to))
            }
            Step::Union(parts) => {
                let parts = parts.iter().map(|part| {
                    let part = part.to_string();
                    part.trim_matches(['[', ']']).to_owned()
                });
                write!(out, "[{}]", parts.collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl Step {
    fn apply<'v>(&self, value: &'v Value, document: &Value, out: &mut Vec<&'v Value>) {
        match (self, value) {
            (Step::Name(name), Value::Object(map)) => out.extend(map.get(name)),
            (Step::Index(index), Value::Array(items)) => {
                out.extend(position(*index, items.len()).and_then(|at| items.get(at)));
            }
            (Step::Wildcard, Value::Array(items)) => out.extend(items),
            (Step::Wildcard, Value::Object(map)) => out.extend(map.values()),
            (Step::Slice(from, to, by), Value::Array(items)) => {
                let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let bound = |at: i64| (if at < 0 { at + len } else { at }).clamp(0, len);
                let (from, to) = (bound(from.unwrap_or(0)), bound(to.unwrap_or(len)));
                let wanted = items.iter().enumerate().filter(|(at, _)| {
                    let at = i64::try_from(*at).unwrap_or(i64::MAX);
                    at >= from && at < to && (at - from) % by == 0
                });
                out.extend(wanted.map(|(_, item)| item));
            }
            (Step::Union(parts), _) => {
                for part in parts {
                    part.apply(value, document, out);
                }
            }
            (Step::Descendants, _) => {
                out.push(value);
                let children: Vec<&Value> = match value {
                    Value::Array(items) => items.iter().collect(),
                    Value::Object(map) => map.values().collect(),
                    _ => Vec::new(),
                };
                for child in children {
                    self.apply(child, document, out);
                }
            }
            (Step::Filter(filter), Value::Array(items)) => {
                out.extend(items.iter().filter(|item| filter.holds(item, document)));
            }
            (Step::Filter(filter), Value::Object(_)) if filter.holds(value, document) => {
                out.push(value);
            }
            _ => {}
        }
    }
}

fn position(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    usize::try_from(if index < 0 { index + len } else { index }).ok()
}

impl Filter {
    fn holds(&self, item: &Value, document: &Value) -> bool {
        match self {
            Filter::Any(a, b) => a.holds(item, document) || b.holds(item, document),
            Filter::All(a, b) => a.holds(item, document) && b.holds(item, document),
            Filter::Not(inner) => !inner.holds(item, document),
            Filter::Exists(operand) => operand.value(item, document).is_some(),
            Filter::Compare(left, operator, right) => {
                let (left, right) = (left.value(item, document), right.value(item, document));
                compare(left.as_ref(), operator, right.as_ref())
            }
        }
    }
}

impl Operand {
    fn value(&self, item: &Value, document: &Value) -> Option<Value> {
        match self {
            Operand::Item(path) => path.select(item),
            Operand::Document(path) => path.select(document),
            Operand::Literal(value) => Some(value.clone()),
        }
    }
}

fn compare(left: Option<&Value>, operator: &str, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return operator == "!=" && left != right;
    };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .zip(b.as_f64())
            .and_then(|(a, b)| a.partial_cmp(&b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let equal = order.map_or(left == right, std::cmp::Ordering::is_eq);
    match operator {
        "==" => equal,
        "!=" => !equal,
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        ">=" => order.is_some_and(std::cmp::Ordering::is_ge),
        "in" => right.as_array().is_some_and(|items| items.contains(left)),
        "nin" => right.as_array().is_some_and(|items| !items.contains(left)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_select_as_jayway_does() {
        let store = json!({
            "book": [
                {"title": "A", "price": 8.95, "isbn": "1"},
                {"title": "B", "price": 12.5},
                {"title": "C", "price": 8.99, "isbn": "3"}
            ],
            "a-b": {"c d": [1, 2, 3]},
            "limit": 9
        });
        let cases = [
            ("$.book[0].title", Some(json!("A"))),
            ("$.book[-1].title", Some(json!("C"))),
            ("$['a-b']['c d'][1]", Some(json!(2))),
            ("$.a-b", Some(json!({"c d": [1, 2, 3]}))),
            ("$.book[*].title", Some(json!(["A", "B", "C"]))),
            ("$.book[0,2].title", Some(json!(["A", "C"]))),
            ("$.book[0:2].title", Some(json!(["A", "B"]))),
            ("$.book[1:].title", Some(json!(["B", "C"]))),
            ("$.book[-2:].title", Some(json!(["B", "C"]))),
            ("$..isbn", Some(json!(["1", "3"]))),
            ("$.book[?(@.price < 9)].title", Some(json!(["A", "C"]))),
            (
                "$.book[?(@.price < $.limit && @.isbn == '3')].title",
                Some(json!(["C"])),
            ),
            ("$.book[?(@.isbn)].title", Some(json!(["A", "C"]))),
            ("$.book[?(!@.isbn)].title", Some(json!(["B"]))),
            (
                "$.book[?(@.title in ['B','C'])].price",
                Some(json!([12.5, 8.99])),
            ),
            ("$.book[?(@.price > 100)]", Some(json!([]))),
            ("$.book.length()", Some(json!(3))),
            ("$.nothing", None),
            ("$.nothing[*]", None),
            ("$.book[9]", None),
            ("$..nothing", Some(json!([]))),
        ];
        for (text, expected) in cases {
            let path = Path::parse(text).expect(text);
            assert_eq!(path.select(&store), expected, "{text}");
        }
        for text in ["", "a.b", "$.", "$.a[", "$.a[?(@.b ==)]", "$.a]"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_knows_its_document() {
        assert_eq!(Path::parse("$.a").map(|path| path.root), Ok(Root::Input));
        assert_eq!(Path::parse("$$.a").map(|path| path.root), Ok(Root::Context));
        assert_eq!(
            Path::parse("$x.a").map(|path| path.root),
            Ok(Root::Variable("x".to_owned()))
        );
    }
}
