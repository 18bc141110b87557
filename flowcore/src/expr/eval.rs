//! Runs a program. A tree walk over slots: field access borrows, a comparison allocates nothing.
//! Every node visited costs one unit of the budget and what a function copies costs more, so an
//! expression ends however it is written.

use std::rc::Rc;

use serde_json::Value;

use super::EvalError;
use super::ast::Binary;
use super::function;
use super::program::{Equality, Fold, FoldKind, Node, Slot};
use super::value::{List, Map, Val};

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
                let items = nodes
                    .iter()
                    .map(|node| self.run(node))
                    .collect::<Result<Vec<_>, _>>()?;
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
            let value = self.run(value)?;
            pairs.push((key, value));
        }
        Ok(Val::map(pairs))
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

    fn fold(&mut self, fold: &'a Fold) -> Evaluated<'a> {
        let range = self.run(&fold.range)?;
        let pairs = iteration(&range, fold.second.is_some())?;
        let mut collected = Vec::new();
        let mut entries: Vec<(Val<'a>, Val<'a>)> = Vec::new();
        let mut matches = 0_usize;
        let mut pending: Option<EvalError> = None;
        for (first, second) in pairs {
            let element = if fold.kind == FoldKind::Filter {
                Some(first.clone())
            } else {
                None
            };
            let key = first.clone();
            self.set_local(fold.first, first);
            if let Some(local) = fold.second {
                self.set_local(local, second);
            }
            let passed = match self.run(&fold.test) {
                Ok(Val::Bool(flag)) => flag,
                outcome => {
                    let error = match outcome {
                        Ok(other) => no_overload("macro predicate", &[&other]),
                        Err(error) => error,
                    };
                    // all() and exists() absorb an error when another element decides.
                    if matches!(fold.kind, FoldKind::All | FoldKind::Exists) && !error.is_budget() {
                        pending.get_or_insert(error);
                        continue;
                    }
                    return Err(error);
                }
            };
            match fold.kind {
                FoldKind::All if !passed => return Ok(Val::Bool(false)),
                FoldKind::Exists if passed => return Ok(Val::Bool(true)),
                FoldKind::All | FoldKind::Exists => {}
                FoldKind::ExistsOne => matches += usize::from(passed),
                FoldKind::Filter => collected.extend(element.filter(|_| passed)),
                FoldKind::Map | FoldKind::TransformMap | FoldKind::TransformMapEntry => {
                    if let (true, Some(result)) = (passed, &fold.result) {
                        let value = self.run(result)?;
                        match fold.kind {
                            FoldKind::Map => collected.push(value),
                            FoldKind::TransformMap => entries.push((key, value)),
                            _ => merge_entries(&mut entries, &value)?,
                        }
                    }
                }
            }
        }
        if let Some(error) = pending {
            return Err(error);
        }
        Ok(match fold.kind {
            FoldKind::All => Val::Bool(true),
            FoldKind::Exists => Val::Bool(false),
            FoldKind::ExistsOne => Val::Bool(matches == 1),
            FoldKind::Filter | FoldKind::Map => Val::list(collected),
            FoldKind::TransformMap | FoldKind::TransformMapEntry => Val::map(entries),
        })
    }
}

fn merge_entries<'a>(
    entries: &mut Vec<(Val<'a>, Val<'a>)>,
    value: &Val<'a>,
) -> Result<(), EvalError> {
    let Val::Map(map) = value else {
        return Err(no_overload("transformMapEntry", &[value]));
    };
    for (key, value) in map.entries() {
        if entries.iter().any(|(found, _)| found.equals(&key)) {
            return Err(EvalError::new(format!(
                "transformMapEntry gives the key {} twice",
                key.display()
            )));
        }
        entries.push((key, value));
    }
    Ok(())
}

/// What a macro walks: elements (or keys) alone, or index/key with value.
fn iteration<'a>(range: &Val<'a>, both: bool) -> Result<Vec<(Val<'a>, Val<'a>)>, EvalError> {
    match range {
        Val::List(list) if both => Ok(list
            .iter()
            .enumerate()
            .map(|(index, item)| (Val::Int(index as i64), item))
            .collect()),
        Val::List(list) => Ok(list.iter().map(|item| (item, Val::Null)).collect()),
        Val::Map(map) => Ok(map.entries()),
        other => Err(EvalError::new(format!(
            "a macro walks lists and maps, not a {}",
            other.type_name()
        ))),
    }
}

#[inline]
pub(crate) fn select<'a>(operand: &Val<'a>, field: &str) -> Evaluated<'a> {
    match operand {
        Val::Map(map) => map
            .field(field)
            .ok_or_else(|| EvalError::new(format!("no such key: {field}"))),
        other => Err(EvalError::new(format!(
            "no field `{field}` in a {}",
            other.type_name()
        ))),
    }
}

fn element<'a>(operand: &Val<'a>, index: &Val<'a>) -> Evaluated<'a> {
    match operand {
        Val::List(list) => element_of_list(list, index),
        Val::Map(map) => element_of_map(map, index),
        other => Err(no_overload("[]", &[other, index])),
    }
}

fn element_of_list<'a>(list: &List<'a>, index: &Val<'_>) -> Evaluated<'a> {
    let position = match index {
        Val::Int(int) => usize::try_from(*int).ok(),
        Val::Uint(uint) => usize::try_from(*uint).ok(),
        Val::Double(double) if double.fract() == 0.0 && (0.0..1e15).contains(double) => {
            Some(*double as usize)
        }
        other => {
            return Err(EvalError::new(format!(
                "a {} is no index of a list",
                other.type_name()
            )));
        }
    };
    let found = position.and_then(|position| list.get(position));
    found.ok_or_else(|| {
        EvalError::new(format!(
            "index {} is outside a list of {}",
            index.display(),
            list.len()
        ))
    })
}

fn element_of_map<'a>(map: &Map<'a>, key: &Val<'_>) -> Evaluated<'a> {
    if !matches!(
        key,
        Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Double(_) | Val::Str(_)
    ) {
        return Err(EvalError::new(format!(
            "a {} is no key of a map",
            key.type_name()
        )));
    }
    map.get(key)
        .ok_or_else(|| EvalError::new(format!("no such key: {}", key.display())))
}

pub(crate) fn no_overload(name: &str, args: &[&Val<'_>]) -> EvalError {
    let types: Vec<&str> = args.iter().map(|arg| arg.type_name()).collect();
    EvalError::new(format!("no such overload: {name}({})", types.join(", ")))
}

fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Rem => "%",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::In => "in",
    }
}

fn time_arithmetic<'a>(op: Binary, left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
    let result = match (op, left, right) {
        (Binary::Add, Val::Timestamp(at), Val::Duration(span)) => {
            at.plus(*span).map(Val::Timestamp)
        }
        (Binary::Add, Val::Duration(span), Val::Timestamp(at)) => {
            at.plus(*span).map(Val::Timestamp)
        }
        (Binary::Add, Val::Duration(a), Val::Duration(b)) => a.plus(*b).map(Val::Duration),
        (Binary::Sub, Val::Timestamp(a), Val::Timestamp(b)) => a.since(*b).map(Val::Duration),
        (Binary::Sub, Val::Timestamp(at), Val::Duration(span)) => {
            at.minus(*span).map(Val::Timestamp)
        }
        (Binary::Sub, Val::Duration(a), Val::Duration(b)) => a.minus(*b).map(Val::Duration),
        _ => return Err(no_overload(symbol(op), &[left, right])),
    };
    result.ok_or_else(|| EvalError::new("the result is outside the range of time".to_owned()))
}

/// Integers overflow to an error; doubles follow IEEE 754; types never mix.
fn arithmetic<'a>(op: Binary, left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
    let zero = || EvalError::new("division by zero".to_owned());
    match (left, right) {
        (Val::Int(a), Val::Int(b)) => {
            let result = match op {
                Binary::Add => a.checked_add(*b),
                Binary::Sub => a.checked_sub(*b),
                Binary::Mul => a.checked_mul(*b),
                _ if *b == 0 => return Err(zero()),
                Binary::Div => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map(Val::Int).ok_or_else(EvalError::overflow)
        }
        (Val::Uint(a), Val::Uint(b)) => {
            let result = match op {
                Binary::Add => a.checked_add(*b),
                Binary::Sub => a.checked_sub(*b),
                Binary::Mul => a.checked_mul(*b),
                _ if *b == 0 => return Err(zero()),
                Binary::Div => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map(Val::Uint).ok_or_else(EvalError::overflow)
        }
        (Val::Double(a), Val::Double(b)) => match op {
            Binary::Add => Ok(Val::Double(a + b)),
            Binary::Sub => Ok(Val::Double(a - b)),
            Binary::Mul => Ok(Val::Double(a * b)),
            Binary::Div => Ok(Val::Double(a / b)),
            _ => Err(no_overload("%", &[left, right])),
        },
        (Val::Timestamp(_) | Val::Duration(_), _) | (_, Val::Timestamp(_) | Val::Duration(_)) => {
            time_arithmetic(op, left, right)
        }
        // JSON writes one number as `5` or `5.0`: whichever it was, arithmetic must go on.
        (Val::Int(a), Val::Double(_)) => arithmetic(op, &Val::Double(*a as f64), right),
        (Val::Double(_), Val::Int(b)) => arithmetic(op, left, &Val::Double(*b as f64)),
        _ => Err(no_overload(symbol(op), &[left, right])),
    }
}
