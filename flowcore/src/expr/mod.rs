//! Expressions: a subset of the Common Expression Language (CEL) over JSON.
//!
//! A text is parsed and compiled once, when a definition is loaded; names become slots then, so
//! an unknown step in a condition is an error before anything runs. Evaluation borrows the data,
//! costs at most its budget of units, and never blocks or panics.
//!
//! Deviations from CEL, all because the data is JSON: an integer and a double mix in arithmetic
//! (the result is a double; `5` and `5.0` are one number to JSON), and there are no protobuf
//! messages or enums.

mod ast;
mod base64;
mod civil;
mod eval;
mod function;
mod operand;
mod parse;
mod program;
mod token;
mod value;

pub use civil::{Instant, Span};
pub use program::Slot;
pub use value::{List, Map, Text, Val};

pub(crate) use eval::Scope;
pub(crate) use program::Names;

use eval::Evaluation;
use program::{Node, Unknown};

/// Units that one evaluation may use unless told otherwise: about a millisecond.
pub const BUDGET_DEFAULT: u64 = 100_000;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprError {
    /// The text breaks the grammar or names something unknown.
    #[error("at character {at}: {message}")]
    Syntax {
        /// Byte offset in the text.
        at: usize,
        /// What is wrong.
        message: String,
    },
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    message: Box<str>,
    budget: bool,
}

impl EvalError {
    #[cold]
    pub(crate) fn new(message: String) -> Self {
        Self {
            message: message.into(),
            budget: false,
        }
    }

    pub(crate) fn overflow() -> Self {
        Self::new("integer overflow".to_owned())
    }

    pub(crate) fn budget() -> Self {
        Self {
            message: "the expression used up its budget".into(),
            budget: true,
        }
    }

    /// Whether the budget ran out (as opposed to the data not fitting the expression).
    pub fn is_budget(&self) -> bool {
        self.budget
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    node: Node,
    locals: u16,
}

impl Program {
    pub(crate) fn compile(text: &str, names: &dyn Names) -> Result<Self, ExprError> {
        let tree = parse::parse(text)?;
        let (node, locals) = program::compile(&tree, names)?;
        Ok(Self { node, locals })
    }

    /// Compiles a text whose free names are `names`, in the order in which
    /// [`evaluate`](Self::evaluate) takes their values.
    ///
    /// # Errors
    /// A text that breaks the grammar, an unknown name or function.
    pub fn standalone(text: &str, names: &[&str]) -> Result<Self, ExprError> {
        Self::compile(
            text,
            &Listed {
                names,
                unknown: Unknown::Refuse,
            },
        )
    }

    /// As [`standalone`](Self::standalone), but an unknown name or function is an error only when
    /// evaluation reaches it: `x || true` is true.
    ///
    /// # Errors
    /// A text that breaks the grammar.
    pub fn unchecked(text: &str, names: &[&str]) -> Result<Self, ExprError> {
        Self::compile(
            text,
            &Listed {
                names,
                unknown: Unknown::FailWhenReached,
            },
        )
    }

    /// The value for `values`, one for each name given to [`standalone`](Self::standalone);
    /// a missing one reads as `null`.
    ///
    /// # Errors
    /// Types that do not fit, missing keys, overflow, or more than `budget` units of work.
    pub fn evaluate<'a>(
        &'a self,
        values: &'a [Val<'a>],
        budget: u64,
    ) -> Result<Val<'a>, EvalError> {
        self.run(&Values(values), budget)
    }

    pub(crate) fn run<'a>(
        &'a self,
        scope: &dyn Scope<'a>,
        budget: u64,
    ) -> Result<Val<'a>, EvalError> {
        let mut evaluation = Evaluation {
            scope,
            locals: Vec::new(),
            budget,
        };
        if self.locals > 0 {
            evaluation.locals.reserve(usize::from(self.locals));
        }
        evaluation.run(&self.node)
    }
}

struct Listed<'n> {
    names: &'n [&'n str],
    unknown: Unknown,
}

impl Names for Listed<'_> {
    fn slot(&self, name: &str) -> Option<Slot> {
        let index = self.names.iter().position(|known| *known == name)?;
        Some(Slot {
            depth: 0,
            index: u16::try_from(index).ok()?,
        })
    }

    fn unknown(&self) -> Unknown {
        self.unknown
    }
}

struct Values<'a>(&'a [Val<'a>]);

impl<'a> Scope<'a> for Values<'a> {
    fn value(&self, slot: Slot) -> Val<'a> {
        self.0
            .get(usize::from(slot.index))
            .cloned()
            .unwrap_or(Val::Null)
    }

    fn object(&self, slot: Slot) -> Option<&'a serde_json::Map<String, serde_json::Value>> {
        match self.0.get(usize::from(slot.index))? {
            Val::Map(Map::Json(map)) => Some(map),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(text: &str, data: &Value) -> Result<Value, String> {
        let program = Program::standalone(text, &["a"]).map_err(|error| error.to_string())?;
        let values = [Val::from_json(data)];
        program
            .evaluate(&values, BUDGET_DEFAULT)
            .map(|found| found.to_json())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn conditions_read_json_fields() {
        let data = json!({"b": "x", "n": 7, "f": 2.5, "l": [1, 2, 3]});
        assert_eq!(value("a.b == 'x'", &data), Ok(json!(true)));
        assert_eq!(value("a.b != 'x'", &data), Ok(json!(false)));
        assert_eq!(
            value("a.n * 2 + 1 > 14 && 2 in a.l", &data),
            Ok(json!(true))
        );
        assert_eq!(
            value("a.l.filter(i, i > 1).map(i, i * 10)", &data),
            Ok(json!([20, 30]))
        );
        assert_eq!(value("has(a.zz) ? a.zz : size(a.l)", &data), Ok(json!(3)));
    }

    #[test]
    fn logic_absorbs_errors_on_either_side() {
        let data = json!({});
        assert_eq!(value("a.missing == 1 || true", &data), Ok(json!(true)));
        assert_eq!(value("false && a.missing == 1", &data), Ok(json!(false)));
        assert!(
            value("a.missing == 1 || false", &data)
                .unwrap_err()
                .contains("no such key: missing")
        );
    }

    #[test]
    fn overflow_and_budget_are_errors() {
        assert_eq!(
            value("9223372036854775807 + 1", &json!(0)),
            Err("integer overflow".to_owned())
        );
        let nested = "[1,2,3,4,5,6,7,8,9,10].all(x, [1,2,3,4,5,6,7,8,9,10].all(y, x + y > 0))";
        let program = Program::standalone(nested, &[]).unwrap();
        assert!(program.evaluate(&[], 100).unwrap_err().is_budget());
        assert!(matches!(program.evaluate(&[], 10_000), Ok(Val::Bool(true))));
    }

    #[test]
    fn unknown_names_are_found_before_running() {
        assert!(
            value("b.c", &json!(0))
                .unwrap_err()
                .contains("unknown name `b`")
        );
        assert!(
            value("a.frob()", &json!(0))
                .unwrap_err()
                .contains("unknown method `frob`")
        );
    }

    #[test]
    fn deep_texts_are_refused_and_long_chains_are_not() {
        let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
        assert!(
            value(&deep, &json!(0))
                .unwrap_err()
                .contains("nested deeper")
        );
        let long = vec!["true"; 5000].join(" && ");
        assert_eq!(value(&long, &json!(0)), Ok(json!(true)));
    }
}
