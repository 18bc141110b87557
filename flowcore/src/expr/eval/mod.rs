//! Runs a program. A tree walk over slots: field access borrows, a comparison allocates nothing.
//! Every node visited costs one unit of the budget and what a function copies costs more, so an
//! expression ends however it is written.

mod access;
mod arithmetic;
mod fold;

use std::rc::Rc;

use serde_json::Value;

use super::EvalError;
use super::ast::Binary;
use super::function;
use super::program::{Equality, Node, Otherwise, Slot};
use super::value::{Map, Val};
use access::{element, maybe_element, maybe_field, select};
use arithmetic::{arithmetic, symbol};

/// The data of one evaluation.
pub(crate) trait Scope<'a> {
    fn value(&self, slot: Slot) -> Val<'a>;

    /// The value when it is an object of the data: saves the commonest condition a copy.
    fn object(&self, slot: Slot) -> Option<&'a serde_json::Map<String, Value>> {
        match self.value(slot) {
            Val::Map(Map::Json(map)) => Some(map),
            _ => None,
        }
    }
}

pub(crate) struct Evaluation<'a, 's> {
    pub(crate) scope: &'s dyn Scope<'a>,
    pub(crate) locals: Vec<Val<'a>>,
    pub(crate) budget: u64,
}

pub(crate) type Evaluated<'a> = Result<Val<'a>, EvalError>;

impl<'a> Evaluation<'a, '_> {
    pub(crate) fn charge(&mut self, units: usize) -> Result<(), EvalError> {
        match self.budget.checked_sub(units as u64) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(EvalError::budget()),
        }
    }

    pub(crate) fn run(&mut self, node: &'a Node) -> Evaluated<'a> {
        self.charge(1)?;
        match node {
            Node::Literal(literal) => Ok(Val::from_literal(literal)),
            Node::Var(slot) => Ok(self.scope.value(*slot)),
            Node::Local(index) => Ok(self
                .locals
                .get(usize::from(*index))
                .cloned()
                .unwrap_or(Val::Null)),
            Node::Type(name) => Ok(Val::Type(name)),
            Node::Fail(message) => Err(EvalError::new(message.to_string())),
            Node::FieldIs {
                slot,
                field,
                text,
                wanted,
            } => {
                let equal = match self.scope.object(*slot).map(|map| map.get(&**field)) {
                    Some(Some(Value::String(found))) => **found == **text,
                    Some(Some(_)) => false,
                    // No such field, or no object of the data: the general way says which.
                    Some(None) | None => match select(&self.scope.value(*slot), field)? {
                        Val::Str(found) => found.as_str() == &**text,
                        _ => false,
                    },
                };
                Ok(Val::Bool(equal == (*wanted == Equality::Equal)))
            }
            Node::Field(operand, field) => {
                let operand = self.run(operand)?;
                select(&operand, field)
            }
            Node::Has(operand, field) => match self.run(operand)? {
                Val::Map(map) => Ok(Val::Bool(map.field(field).is_some())),
                Val::Optional(None) => Ok(Val::Bool(false)),
                Val::Optional(Some(value)) => match &*value {
                    Val::Map(map) => Ok(Val::Bool(map.field(field).is_some())),
                    _ => Ok(Val::Bool(false)),
                },
                other => Err(EvalError::new(format!(
                    "has(): a {} has no fields",
                    other.type_name()
                ))),
            },
            Node::Index(operand, index) => {
                let operand = self.run(operand)?;
                let index = self.run(index)?;
                element(&operand, &index)
            }
            Node::MaybeField(operand, field) => {
                let operand = self.run(operand)?;
                maybe_field(&operand, field)
            }
            Node::MaybeIndex(operand, index) => {
                let operand = self.run(operand)?;
                let index = self.run(index)?;
                maybe_element(&operand, &index)
            }
            Node::Spread(operand) => self.run(operand),
            Node::OrElse(parts, how) => match (self.run(&parts.0)?, how) {
                (Val::Optional(Some(value)), Otherwise::Value) => Ok(Val::clone(&value)),
                (some @ Val::Optional(Some(_)), Otherwise::Optional) => Ok(some),
                (Val::Optional(None), Otherwise::Value) => self.run(&parts.1),
                (Val::Optional(None), Otherwise::Optional) => match self.run(&parts.1)? {
                    other @ Val::Optional(_) => Ok(other),
                    other => Err(no_overload("or", &[&other])),
                },
                (other, _) => Err(no_overload("or", &[&other])),
            },
            Node::OptMap(parts, how) => {
                let (local, value, body) = &**parts;
                match self.run(value)? {
                    Val::Optional(Some(value)) => {
                        self.set_local(*local, Val::clone(&value));
                        match (self.run(body)?, how) {
                            (found, Otherwise::Value) => Ok(Val::some(found)),
                            (found @ Val::Optional(_), Otherwise::Optional) => Ok(found),
                            (other, _) => Err(no_overload("optFlatMap", &[&other])),
                        }
                    }
                    none @ Val::Optional(None) => Ok(none),
                    other => Err(no_overload("optMap", &[&other])),
                }
            }
            Node::Not(operand) => match self.run(operand)? {
                Val::Bool(flag) => Ok(Val::Bool(!flag)),
                other => Err(no_overload("!", &[&other])),
            },
            Node::Neg(operand) => match self.run(operand)? {
                Val::Int(int) => int
                    .checked_neg()
                    .map(Val::Int)
                    .ok_or_else(EvalError::overflow),
                Val::Double(double) => Ok(Val::Double(-double)),
                Val::Duration(span) => Ok(Val::Duration(span.negated())),
                other => Err(no_overload("-", &[&other])),
            },
            Node::And(left, right) => self.logic(left, right, false),
            Node::Or(left, right) => self.logic(left, right, true),
            Node::Conditional(parts) => {
                let (test, then, otherwise) = &**parts;
                match self.run(test)? {
                    Val::Bool(true) => self.run(then),
                    Val::Bool(false) => self.run(otherwise),
                    other => Err(no_overload("?:", &[&other])),
                }
            }
            Node::Binary(op, operands) => {
                let left = self.run(&operands.0)?;
                let right = self.run(&operands.1)?;
                self.binary(*op, left, right)
            }
            Node::List(nodes) => {
                let mut items = Vec::with_capacity(nodes.len());
                for node in nodes {
                    items.extend(self.spread(node)?);
                }
                Ok(Val::list(items))
            }
            Node::Map(nodes) => self.map_literal(nodes),
            Node::Matches(operand, pattern) => match self.run(operand)? {
                Val::Str(text) => {
                    self.charge(text.as_str().len() / 4)?;
                    Ok(Val::Bool(pattern.is_match(text.as_str())))
                }
                other => Err(no_overload("matches", &[&other])),
            },
            Node::Call(function, args) => {
                let args = args
                    .iter()
                    .map(|arg| self.run(arg))
                    .collect::<Result<Vec<_>, _>>()?;
                function::call(self, *function, &args)
            }
            Node::Fold(fold) => self.fold(fold),
            Node::Bind(parts) => {
                let (local, value, body) = &**parts;
                let value = self.run(value)?;
                self.set_local(*local, value);
                self.run(body)
            }
        }
    }

    /// `&&` and `||`: the deciding value wins over an error on the other side, in either order.
    fn logic(&mut self, left: &'a Node, right: &'a Node, decides: bool) -> Evaluated<'a> {
        let first = match self.run(left) {
            Ok(Val::Bool(flag)) if flag == decides => return Ok(Val::Bool(decides)),
            Ok(Val::Bool(_)) => None,
            Ok(other) => Some(no_overload(if decides { "||" } else { "&&" }, &[&other])),
            Err(error) if error.is_budget() => return Err(error),
            Err(error) => Some(error),
        };
        match (self.run(right)?, first) {
            (Val::Bool(flag), _) if flag == decides => Ok(Val::Bool(decides)),
            (_, Some(error)) => Err(error),
            (Val::Bool(flag), None) => Ok(Val::Bool(flag)),
            (other, None) => Err(no_overload(if decides { "||" } else { "&&" }, &[&other])),
        }
    }

    fn set_local(&mut self, index: u16, value: Val<'a>) {
        let index = usize::from(index);
        if self.locals.len() <= index {
            self.locals.resize(index + 1, Val::Null);
        }
        self.locals[index] = value;
    }

    fn map_literal(&mut self, nodes: &'a [(Node, Node)]) -> Evaluated<'a> {
        let mut pairs: Vec<(Val<'a>, Val<'a>)> = Vec::with_capacity(nodes.len());
        for (key, value) in nodes {
            let key = self.run(key)?;
            if !matches!(key, Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Str(_)) {
                return Err(EvalError::new(format!(
                    "a {} cannot be the key of a map",
                    key.type_name()
                )));
            }
            if pairs.iter().any(|(found, _)| found.equals(&key)) {
                return Err(EvalError::new(format!(
                    "the key {} stands twice in a map",
                    key.display()
                )));
            }
            if let Some(value) = self.spread(value)? {
                pairs.push((key, value));
            }
        }
        Ok(Val::map(pairs))
    }

    /// The value of an element or entry; none when it is marked with `?` and has none.
    fn spread(&mut self, node: &'a Node) -> Result<Option<Val<'a>>, EvalError> {
        let value = self.run(node)?;
        match (node, value) {
            (Node::Spread(_), Val::Optional(value)) => Ok(value.map(|value| Val::clone(&value))),
            (Node::Spread(_), other) => Err(no_overload("?", &[&other])),
            (_, value) => Ok(Some(value)),
        }
    }

    fn binary(&mut self, op: Binary, left: Val<'a>, right: Val<'a>) -> Evaluated<'a> {
        match op {
            Binary::Eq => Ok(Val::Bool(left.equals(&right))),
            Binary::Ne => Ok(Val::Bool(!left.equals(&right))),
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
                let order = left
                    .compare(&right)
                    .map_err(|()| no_overload(symbol(op), &[&left, &right]))?;
                Ok(Val::Bool(match op {
                    Binary::Lt => order.is_some_and(|order| order.is_lt()),
                    Binary::Le => order.is_some_and(|order| order.is_le()),
                    Binary::Gt => order.is_some_and(|order| order.is_gt()),
                    _ => order.is_some_and(|order| order.is_ge()),
                }))
            }
            Binary::In => match &right {
                Val::List(list) => {
                    self.charge(list.len())?;
                    Ok(Val::Bool(list.iter().any(|item| item.equals(&left))))
                }
                Val::Map(map) => Ok(Val::Bool(map.get(&left).is_some())),
                _ => Err(no_overload("in", &[&left, &right])),
            },
            Binary::Add => self.add(left, right),
            Binary::Sub | Binary::Mul | Binary::Div | Binary::Rem => arithmetic(op, &left, &right),
        }
    }

    fn add(&mut self, left: Val<'a>, right: Val<'a>) -> Evaluated<'a> {
        match (&left, &right) {
            (Val::Str(a), Val::Str(b)) => {
                self.charge(a.as_str().len() + b.as_str().len())?;
                Ok(Val::text([a.as_str(), b.as_str()].concat()))
            }
            (Val::Bytes(a), Val::Bytes(b)) => {
                self.charge(a.len() + b.len())?;
                Ok(Val::Bytes(Rc::from([a.as_ref(), b.as_ref()].concat())))
            }
            (Val::List(a), Val::List(b)) => {
                self.charge(a.len() + b.len())?;
                Ok(Val::list(a.iter().chain(b.iter()).collect()))
            }
            _ => arithmetic(Binary::Add, &left, &right),
        }
    }
}

pub(crate) fn no_overload(name: &str, args: &[&Val<'_>]) -> EvalError {
    let types: Vec<&str> = args.iter().map(|arg| arg.type_name()).collect();
    EvalError::new(format!("no such overload: {name}({})", types.join(", ")))
}
