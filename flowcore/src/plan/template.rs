//! Parameters with `${…}` inside: compiled once, filled in for each step.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use crate::expr::{EvalError, ExprError, Names, Program, Scope, Val};

/// Longest text that a template may produce, in bytes.
const TEXT_LEN_MAX: usize = 1 << 20;
/// Bytes of interpolated text that cost as much as one step of an expression.
const BYTES_PER_UNIT: u64 = 64;

#[derive(Debug, Clone)]
pub(crate) enum Template {
    Constant(Arc<Value>),
    /// A string that is one `${…}`: keeps the type of the value.
    Expression(Program),
    Text(Vec<Part>),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

/// Parameters of a call. Those in which nothing is computed stay in the plan and are shared: a step
/// of a loop then costs no copy of them.
#[derive(Debug, Clone)]
pub(crate) enum Params {
    Shared(Arc<Value>),
    Own(Value),
}

impl Deref for Params {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Params::Shared(value) => value,
            Params::Own(value) => value,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Literal(String),
    Expression(Program),
}

impl Template {
    pub(crate) fn compile(value: &Value, names: &dyn Names) -> Result<Self, ExprError> {
        let template = match value {
            Value::String(text) => Self::text(text, names)?,
            Value::Array(items) => Template::Array(
                items
                    .iter()
                    .map(|item| Self::compile(item, names))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => {
                let field = |(name, value): (&String, &Value)| {
                    Ok((name.clone(), Self::compile(value, names)?))
                };
                Template::Object(map.iter().map(field).collect::<Result<_, ExprError>>()?)
            }
            other => Template::constant(other.clone()),
        };
        let constant = match &template {
            Template::Array(items) => items
                .iter()
                .all(|item| matches!(item, Template::Constant(_))),
            Template::Object(fields) => fields
                .iter()
                .all(|(_, item)| matches!(item, Template::Constant(_))),
            _ => false,
        };
        Ok(if constant {
            Template::constant(value.clone())
        } else {
            template
        })
    }

    /// `$${` stands for a literal `${`.
    pub(crate) fn text(text: &str, names: &dyn Names) -> Result<Self, ExprError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(found) = rest.find("${") {
            let before = &rest[..found];
            let body = &rest[found + 2..];
            if let Some(escaped) = before.strip_suffix('$') {
                literal.push_str(escaped);
                literal.push_str("${");
                rest = body;
                continue;
            }
            literal.push_str(before);
            let offset = text.len() - body.len();
            let end = closing_brace(body).ok_or_else(|| ExprError::Syntax {
                at: offset,
                message: "`${` has no closing brace".to_owned(),
            })?;
            let program = Program::compile(&body[..end], names)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Expression(program));
            rest = &body[end + 1..];
        }
        literal.push_str(rest);
        if parts.is_empty() {
            return Ok(Template::constant(Value::String(literal)));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if let [Part::Expression(_)] = parts.as_slice()
            && let Some(Part::Expression(program)) = parts.pop()
        {
            return Ok(Template::Expression(program));
        }
        Ok(Template::Text(parts))
    }

    pub(crate) fn constant(value: Value) -> Self {
        Template::Constant(Arc::new(value))
    }

    /// As [`fill`](Self::fill), for the parameters of a call.
    pub(crate) fn params<'a>(
        &'a self,
        scope: &dyn Scope<'a>,
        budget: u64,
    ) -> Result<Params, EvalError> {
        match self {
            // What needs no memory of its own is cheaper to copy than to count.
            Template::Constant(value) if value.is_object() || value.is_array() => {
                Ok(Params::Shared(Arc::clone(value)))
            }
            _ => self.fill(scope, budget).map(Params::Own),
        }
    }

    /// The value with its expressions evaluated; all of them share the budget.
    pub(crate) fn fill<'a>(
        &'a self,
        scope: &dyn Scope<'a>,
        mut budget: u64,
    ) -> Result<Value, EvalError> {
        self.fill_within(scope, &mut budget)
    }

    fn fill_within<'a>(
        &'a self,
        scope: &dyn Scope<'a>,
        budget: &mut u64,
    ) -> Result<Value, EvalError> {
        Ok(match self {
            Template::Constant(value) => Value::clone(value),
            Template::Expression(program) => program.run_within(scope, budget)?.to_json(),
            Template::Text(parts) => Value::String(text(parts, scope, budget)?),
            Template::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.fill_within(scope, budget))
                    .collect::<Result<_, _>>()?,
            ),
            Template::Object(fields) => {
                let mut map = serde_json::Map::new();
                for (name, item) in fields {
                    map.insert(name.clone(), item.fill_within(scope, budget)?);
                }
                Value::Object(map)
            }
        })
    }
}

fn text<'a>(
    parts: &'a [Part],
    scope: &dyn Scope<'a>,
    budget: &mut u64,
) -> Result<String, EvalError> {
    let mut text = String::new();
    for part in parts {
        let before = text.len();
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Expression(program) => {
                let value: Val<'_> = program.run_within(scope, budget)?;
                text.push_str(&value.display());
            }
        }
        if text.len() > TEXT_LEN_MAX {
            return Err(EvalError::new(format!(
                "an interpolated text is over {TEXT_LEN_MAX} bytes"
            )));
        }
        // What is copied costs, so that many long texts end too.
        let copied = (text.len() - before) as u64 / BYTES_PER_UNIT;
        *budget = budget.checked_sub(copied).ok_or_else(EvalError::budget)?;
    }
    Ok(text)
}

/// The brace that ends an expression: braces of map literals nest, those inside strings do not count.
fn closing_brace(body: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expr::Slot;

    struct Nothing;

    impl Names for Nothing {
        fn slot(&self, _: &str) -> Option<Slot> {
            None
        }
    }

    impl<'a> Scope<'a> for Nothing {
        fn value(&self, _: Slot) -> Val<'a> {
            Val::Null
        }
    }

    #[test]
    fn the_expressions_of_one_value_share_a_budget() {
        let part = "${[1, 2, 3].map(x, x * x)[2]} and ";
        let many = json!({"a": [part, part], "b": part.repeat(3)});
        let template = Template::compile(&many, &Nothing).unwrap();
        let filled = template.fill(&Nothing, 1_000).unwrap();
        assert_eq!(filled["b"], json!("9 and 9 and 9 and "));
        let one = Template::compile(&json!(part), &Nothing).unwrap();
        let enough = (1..).find(|budget| one.fill(&Nothing, *budget).is_ok());
        let short = template.fill(&Nothing, enough.unwrap() * 4);
        assert!(short.unwrap_err().is_budget());
        assert!(template.fill(&Nothing, enough.unwrap() * 5).is_ok());
    }
}
