//! Intrinsic functions of Amazon States Language: `States.Format('{} of {}', $.a, 3)`.

use serde_json::Value;

use super::data::{Fault, Scope};
use super::functions::{Arguments, apply};

/// Deepest nesting of calls.
const DEPTH_MAX: usize = 10;

/// Stand for escaped braces while a template is filled.
const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

pub fn is_call(text: &str) -> bool {
    text.starts_with("States.")
}

pub fn evaluate(text: &str, scope: &Scope<'_>) -> Result<Value, Fault> {
    let mut parser = Parser {
        text,
        rest: text,
        scope,
    };
    let value = parser.argument(0).map_err(|fault| {
        let cause = fault.cause;
        let cause = format!("The function '{text}' had the following error: {cause}");
        Fault::new(&fault.error, cause)
    })?;
    if parser.rest.trim().is_empty() {
        Ok(literal_braces(value))
    } else {
        Err(parser.malformed())
    }
}

pub fn literal_braces(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains([OPEN, CLOSE]) => {
            Value::String(text.replace(OPEN, "{").replace(CLOSE, "}"))
        }
        other => other,
    }
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    scope: &'t Scope<'t>,
}

impl Parser<'_> {
    fn malformed(&self) -> Fault {
        Fault::intrinsic(format!("The expression '{}' is malformed", self.text))
    }

    fn argument(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::intrinsic(format!(
                "'{}' nests more than {DEPTH_MAX} calls",
                self.text
            )));
        }
        self.rest = self.rest.trim_start();
        if self.rest.starts_with("States.") {
            return self.call(depth);
        }
        if let Some(rest) = self.rest.strip_prefix('\'') {
            return self.string(rest);
        }
        if self.rest.starts_with('$') {
            let end = path_end(self.rest);
            let (path, rest) = self.rest.split_at(end);
            self.rest = rest;
            return self.path(path.trim());
        }
        let end = self.rest.find([',', ')']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        serde_json::from_str(word.trim()).map_err(|_| self.malformed())
    }

    /// An argument that is a path. One into the context object is named without its first `$`, but
    /// with the input of the state, as measured.
    fn path(&self, path: &str) -> Result<Value, Fault> {
        self.scope.path(path, None).map_err(|_| {
            let input = self.scope.input;
            let path = path.strip_prefix('$').filter(|rest| rest.starts_with('$')).unwrap_or(path);
            Fault::runtime(format!(
                "The JsonPath argument for the field '{path}' could not be found in the input '{input}'"
            ))
        })
    }

    fn string(&mut self, body: &str) -> Result<Value, Fault> {
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    let skipped = self.rest.len() - body.len();
                    self.rest = &self.rest[skipped + at + 1..];
                    return Ok(Value::String(text));
                }
                '\\' => match chars.next() {
                    Some((_, '{')) => text.push(OPEN),
                    Some((_, '}')) => text.push(CLOSE),
                    Some((_, c @ ('\'' | '\\'))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.malformed())
    }

    fn call(&mut self, depth: usize) -> Result<Value, Fault> {
        let open = self.rest.find('(').ok_or_else(|| self.malformed())?;
        let (name, rest) = self.rest.split_at(open);
        self.rest = rest[1..].trim_start();
        let name = name.trim().trim_start_matches("States.").to_owned();
        let mut arguments = Vec::new();
        if let Some(rest) = self.rest.strip_prefix(')') {
            self.rest = rest;
        } else {
            loop {
                arguments.push(self.argument(depth + 1)?);
                self.rest = self.rest.trim_start();
                if let Some(rest) = self.rest.strip_prefix(')') {
                    self.rest = rest;
                    break;
                }
                self.rest = self
                    .rest
                    .strip_prefix(',')
                    .ok_or_else(|| self.malformed())?;
            }
        }
        if name != "Format" {
            arguments = arguments.into_iter().map(literal_braces).collect();
        }
        let arguments = Arguments {
            name: &name,
            values: &arguments,
        };
        apply(&arguments, self.scope)
    }
}

/// Where a path ends inside a list of arguments: at a comma or parenthesis outside brackets.
fn path_end(text: &str) -> usize {
    let mut depth = 0_i32;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ')') if depth == 0 => return at,
            (None, ']' | ')') => depth -= 1,
            (None, ',') if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn functions_give_what_their_documentation_says() {
        let input = json!({"name": "Arnav", "template": "Hi {}", "n": 1.1, "o": {"a": 1, "b": []},
            "list": [1, 2, 3, 4, 5], "text": "a,b;c", "json": "{\"x\": [1]}"});
        let scope = Scope::of_input(&input);
        let cases = [
            (
                "States.Format('Hello, {}.', $.name)",
                json!("Hello, Arnav."),
            ),
            ("States.Format($.template, $.n)", json!("Hi 1.1")),
            (
                "States.Format('{} {}', $.o, null)",
                json!("{a=1, b=[]} null"),
            ),
            (
                r"States.Format('\{{}\} it\'s {}', 1, true)",
                json!("{1} it's true"),
            ),
            ("States.StringToJson($.json)", json!({"x": [1]})),
            ("States.JsonToString($.o)", json!("{\"a\":1,\"b\":[]}")),
            ("States.Array($.n, 'x', null)", json!([1.1, "x", null])),
            ("States.Array()", json!([])),
            (
                "States.ArrayPartition($.list, 2)",
                json!([[1, 2], [3, 4], [5]]),
            ),
            ("States.ArrayContains($.list, 3)", json!(true)),
            ("States.ArrayContains($.list, 9)", json!(false)),
            ("States.ArrayRange(1, 9, 2)", json!([1, 3, 5, 7, 9])),
            ("States.ArrayRange(3, 1, -1)", json!([3, 2, 1])),
            ("States.ArrayGetItem($.list, 4)", json!(5)),
            ("States.ArrayLength($.list)", json!(5)),
            (
                "States.ArrayUnique(States.Array(1, 1, 'a', 'a', 2))",
                json!([1, "a", 2]),
            ),
            (
                "States.Base64Encode('Data to encode')",
                json!("RGF0YSB0byBlbmNvZGU="),
            ),
            (
                "States.Base64Decode('RGVjb2RlZCBkYXRh')",
                json!("Decoded data"),
            ),
            (
                "States.Hash('input data', 'SHA-1')",
                json!("aaff4a450a104cd177d28d18d74485e8cae074b7"),
            ),
            (
                "States.JsonMerge($.o, States.StringToJson($.json), false)",
                json!({"a": 1, "b": [], "x": [1]}),
            ),
            ("States.MathAdd(111, -1)", json!(110)),
            ("States.StringSplit($.text, ',;')", json!(["a", "b", "c"])),
            (
                "States.ArrayGetItem($.list, States.MathAdd(0, 1))",
                json!(2),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(evaluate(text, &scope).ok(), Some(expected), "{text}");
        }
        for text in [
            "States.Nothing()",
            "States.Format('{}')",
            "States.Format('x', 1)",
            "States.ArrayGetItem($.list, 5)",
            "States.ArrayRange(1, 2, 0)",
            "States.ArrayRange(1, 5000, 1)",
            "States.StringToJson('{')",
            "States.Hash('x', 'CRC')",
            "States.JsonMerge($.o, $.o, true)",
            "States.MathAdd('a', 1)",
            "States.Array(1",
        ] {
            let fault = evaluate(text, &scope).expect_err(text);
            assert_eq!(fault.error, "States.IntrinsicFailure", "{text}");
        }
    }

    #[test]
    fn random_things_have_their_shape() {
        let input = json!({});
        let scope = Scope::of_input(&input);
        let uuid = evaluate("States.UUID()", &scope).expect("uuid");
        let uuid = uuid.as_str().expect("text");
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        for _ in 0..100 {
            let number = evaluate("States.MathRandom(3, 6)", &scope).expect("number");
            assert!((3..6).contains(&number.as_i64().expect("integer")));
        }
        let twice = [0, 1].map(|_| evaluate("States.MathRandom(1, 999, 7)", &scope).ok());
        assert_eq!(twice[0], twice[1]);
    }
}
