//! JSONPath as Amazon States Language means it: the Jayway dialect. A definite path (names and
//! single indexes) gives one value or an error; any other gives a list.

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
        let mut parser = Parser {
            chars: text.chars().collect(),
            at: 0,
        };
        let path = parser.path()?;
        if parser.at < parser.chars.len() {
            return Err(format!("`{text}` is no JSONPath"));
        }
        Ok(path)
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

    /// The value that the path selects; `None` when a definite part leads nowhere.
    pub fn select(&self, document: &Value) -> Option<Value> {
        let mut found = vec![document];
        let mut definite = true;
        for (index, step) in self.steps.iter().enumerate() {
            if *step == Step::Length {
                let lengths = found.iter().filter_map(|value| match value {
                    Value::Array(items) => Some(Value::from(items.len())),
                    Value::Object(map) => Some(Value::from(map.len())),
                    Value::String(text) => Some(Value::from(text.chars().count())),
                    _ => None,
                });
                return lengths.last();
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

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let fits = text
            .chars()
            .enumerate()
            .all(|(offset, c)| self.chars.get(self.at + offset) == Some(&c));
        if fits {
            self.at += text.chars().count();
        }
        fits
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn error(&self, wanted: &str) -> String {
        let text: String = self.chars.iter().collect();
        format!("`{text}`: expected {wanted} at character {}", self.at + 1)
    }

    fn path(&mut self) -> Result<Path, String> {
        let root = if self.eat("$$") {
            Root::Context
        } else if self.eat("$") {
            let name = self.word();
            if name.is_empty() {
                Root::Input
            } else {
                Root::Variable(name)
            }
        } else if self.eat("@") {
            Root::Input
        } else {
            return Err(self.error("`$`"));
        };
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Descendants);
                if self.eat("*") {
                    steps.push(Step::Wildcard);
                } else if self.peek() != Some('[') {
                    steps.push(Step::Name(self.name()?));
                }
            } else if self.eat(".") {
                if self.eat("*") {
                    steps.push(Step::Wildcard);
                } else if self.eat("length()") {
                    steps.push(Step::Length);
                } else {
                    steps.push(Step::Name(self.name()?));
                }
            } else if self.eat("[") {
                steps.push(self.bracket()?);
            } else {
                break;
            }
        }
        let definite = steps
            .iter()
            .all(|step| matches!(step, Step::Name(_) | Step::Index(_)));
        Ok(Path {
            root,
            steps,
            definite,
        })
    }

    fn word(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
            self.at += 1;
        }
        name
    }

    /// A name after a dot: Jayway takes everything but its own marks.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let ends = |c: char| ".[]()=<>!&|,'\"".contains(c) || c.is_whitespace();
        while let Some(c) = self.peek().filter(|c| !ends(*c)) {
            name.push(c);
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.error("a name"));
        }
        Ok(name)
    }

    fn bracket(&mut self) -> Result<Step, String> {
        self.space();
        if self.eat("?") {
            self.space();
            let filter = self.any()?;
            self.close()?;
            return Ok(Step::Filter(filter));
        }
        if self.eat("*") {
            self.close()?;
            return Ok(Step::Wildcard);
        }
        let mut parts = Vec::new();
        loop {
            self.space();
            parts.push(match self.peek() {
                Some('\'' | '"') => Step::Name(self.quoted()?),
                _ => self.range()?,
            });
            self.space();
            if !self.eat(",") {
                break;
            }
        }
        self.close()?;
        Ok(match parts.pop() {
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                Step::Union(parts)
            }
            None => return Err(self.error("an index")),
        })
    }

    fn close(&mut self) -> Result<(), String> {
        self.space();
        if self.eat("]") {
            Ok(())
        } else {
            Err(self.error("`]`"))
        }
    }

    fn range(&mut self) -> Result<Step, String> {
        let from = self.integer();
        self.space();
        if !self.eat(":") {
            return from
                .map(Step::Index)
                .ok_or_else(|| self.error("an index, a name or a range"));
        }
        let to = self.integer();
        let by = if self.eat(":") {
            self.integer().filter(|by| *by > 0).unwrap_or(1)
        } else {
            1
        };
        Ok(Step::Slice(from, to, by))
    }

    fn integer(&mut self) -> Option<i64> {
        self.space();
        let start = self.at;
        self.eat("-");
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        text.parse().ok()
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.peek();
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error("the end of a string")),
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                }
                found if found == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut left = self.all()?;
        loop {
            self.space();
            if !self.eat("||") {
                return Ok(left);
            }
            left = Filter::Any(Box::new(left), Box::new(self.all()?));
        }
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut left = self.not()?;
        loop {
            self.space();
            if !self.eat("&&") {
                return Ok(left);
            }
            left = Filter::All(Box::new(left), Box::new(self.not()?));
        }
    }

    fn not(&mut self) -> Result<Filter, String> {
        self.space();
        if self.eat("!") {
            return Ok(Filter::Not(Box::new(self.not()?)));
        }
        if self.eat("(") {
            let inner = self.any()?;
            self.space();
            return if self.eat(")") {
                Ok(inner)
            } else {
                Err(self.error("`)`"))
            };
        }
        let left = self.operand()?;
        self.space();
        for operator in ["==", "!=", "<=", ">=", "<", ">", "in ", "nin "] {
            if self.eat(operator) {
                self.space();
                return Ok(Filter::Compare(
                    left,
                    operator.trim().to_owned(),
                    self.operand()?,
                ));
            }
        }
        Ok(Filter::Exists(left))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.peek() {
            Some('@') => Ok(Operand::Item(self.path()?)),
            Some('$') => Ok(Operand::Document(self.path()?)),
            Some('\'' | '"') => Ok(Operand::Literal(Value::from(self.quoted()?))),
            Some('[') => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.space();
                    if self.eat("]") {
                        return Ok(Operand::Literal(Value::from(items)));
                    }
                    match self.operand()? {
                        Operand::Literal(value) => items.push(value),
                        _ => return Err(self.error("a literal")),
                    }
                    self.space();
                    self.eat(",");
                }
            }
            _ => {
                let start = self.at;
                while self
                    .peek()
                    .is_some_and(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                {
                    self.at += 1;
                }
                let text: String = self.chars[start..self.at].iter().collect();
                serde_json::from_str(&text)
                    .map(Operand::Literal)
                    .map_err(|_| self.error("a value"))
            }
        }
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
