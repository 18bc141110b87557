//! Values and conditions of `DEFINE`, `MEASURES` and the columns that are told.

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
    Value as Literal,
};

use super::navigation::{navigated_value, navigation};
use super::{Names, Read, own};
use crate::event::Value;
use crate::expression::{Function, Kind, Operator, Term};
use crate::predicate::{Comparison, Node};
use crate::recognize::{Navigation, Semantics};

/// Where an expression stands.
pub(super) struct Scope<'a> {
    pub(super) names: &'a Names,
    /// What is meant without `RUNNING` or `FINAL`.
    pub(super) semantics: Semantics,
    pub(super) measures: bool,
}

impl<'a> Scope<'a> {
    pub fn define(names: &'a Names) -> Self {
        Self {
            names,
            semantics: Semantics::Running,
            measures: false,
        }
    }

    pub fn measures(names: &'a Names, one_row: bool) -> Self {
        Self {
            names,
            semantics: if one_row {
                Semantics::Final
            } else {
                Semantics::Running
            },
            measures: true,
        }
    }

    /// A value of the rows of a match.
    fn leaf(&self, expression: &Expr) -> Read<Option<Term<Navigation>>> {
        if let Some(found) = navigated_value(expression, self)? {
            return Ok(Some(found));
        }
        Ok(navigation(expression, self)?.map(Term::Leaf))
    }
}

/// What reads a leaf; none for what is no leaf.
pub(super) trait Leaves<L>: FnMut(&Expr) -> Read<Option<Term<L>>> {}
impl<L, F: FnMut(&Expr) -> Read<Option<Term<L>>>> Leaves<L> for F {}

/// A condition whose leaves `leaf` reads. How deep expressions nest is bounded by the parser that made them.
pub(super) fn test<L: Clone>(expression: &Expr, leaf: &mut impl Leaves<L>) -> Read<Node<L>> {
    Ok(match expression {
        Expr::Nested(inner) => test(inner, leaf)?,
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => both(test(left, leaf)?, test(right, leaf)?),
            BinaryOperator::Or => either(test(left, leaf)?, test(right, leaf)?),
            _ => match comparison(op) {
                Some(comparison) => {
                    Node::Compare(term(left, leaf)?, comparison, term(right, leaf)?)
                }
                None => return own(format!("a condition is expected here, not `{expression}`")),
            },
        },
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => not(test(expr, leaf)?),
        Expr::IsNull(inner) => Node::Missing(term(inner, leaf)?),
        Expr::IsNotNull(inner) => not(Node::Missing(term(inner, leaf)?)),
        Expr::IsTrue(inner) => known(test(inner, leaf)?),
        Expr::IsNotTrue(inner) => not(known(test(inner, leaf)?)),
        Expr::IsFalse(inner) => known(not(test(inner, leaf)?)),
        Expr::IsNotFalse(inner) => not(known(not(test(inner, leaf)?))),
        Expr::IsUnknown(inner) => unknown(test(inner, leaf)?),
        Expr::IsNotUnknown(inner) => not(unknown(test(inner, leaf)?)),
        Expr::IsDistinctFrom(a, b) => not(same(term(a, leaf)?, term(b, leaf)?)),
        Expr::IsNotDistinctFrom(a, b) => same(term(a, leaf)?, term(b, leaf)?),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let of = term(expr, leaf)?;
            let above = Node::Compare(of.clone(), Comparison::GreaterOrEqual, term(low, leaf)?);
            let below = Node::Compare(of, Comparison::LessOrEqual, term(high, leaf)?);
            negate(both(above, below), *negated)
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let of = term(expr, leaf)?;
            let mut any = None;
            for one in list {
                let same = Node::Compare(of.clone(), Comparison::Equal, term(one, leaf)?);
                any = Some(match any {
                    None => same,
                    Some(other) => either(other, same),
                });
            }
            match any {
                Some(any) => negate(any, *negated),
                None => return own("IN needs at least one value"),
            }
        }
        Expr::Like {
            negated,
            expr,
            pattern,
            any: false,
            escape_char: None,
        } => negate(
            Node::Like(term(expr, leaf)?, pattern_of(pattern)?.as_str().into()),
            *negated,
        ),
        Expr::ILike {
            negated,
            expr,
            pattern,
            any: false,
            escape_char: None,
        } => {
            let lower = Term::Call(Function::Lower, vec![term(expr, leaf)?]);
            let pattern = pattern_of(pattern)?.to_lowercase();
            negate(Node::Like(lower, pattern.as_str().into()), *negated)
        }
        Expr::Value(literal) => match literal.value {
            Literal::Boolean(true) => Node::Always,
            Literal::Boolean(false) => not(Node::Always),
            _ => return own(format!("a condition is expected here, not `{expression}`")),
        },
        // A value of truth stands for itself.
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Case { .. }
        | Expr::Cast { .. }
        | Expr::Function(_) => Node::Compare(
            term(expression, leaf)?,
            Comparison::Equal,
            Term::Literal(Value::Bool(true)),
        ),
        other => return own(format!("`{other}` is refused in a condition")),
    })
}

/// The pattern of a LIKE.
fn pattern_of(pattern: &Expr) -> Read<String> {
    match pattern {
        Expr::Value(literal) => match &literal.value {
            Literal::SingleQuotedString(pattern) => Ok(pattern.clone()),
            other => own(format!("LIKE takes a text in quotes, not {other}")),
        },
        other => own(format!("LIKE takes a text in quotes, not {other}")),
    }
}

fn both<L>(a: Node<L>, b: Node<L>) -> Node<L> {
    Node::And(Box::new(a), Box::new(b))
}

fn either<L>(a: Node<L>, b: Node<L>) -> Node<L> {
    Node::Or(Box::new(a), Box::new(b))
}

fn not<L>(node: Node<L>) -> Node<L> {
    Node::Not(Box::new(node))
}

/// Neither true nor false.
fn unknown<L>(node: Node<L>) -> Node<L> {
    Node::Missing(Term::Condition(Box::new(node)))
}

/// True, and false also where it is unknown.
fn known<L: Clone>(node: Node<L>) -> Node<L> {
    both(not(unknown(node.clone())), node)
}

/// Both missing, or both there and equal; never unknown.
fn same<L: Clone>(a: Term<L>, b: Term<L>) -> Node<L> {
    let (no_a, no_b) = (Node::Missing(a.clone()), Node::Missing(b.clone()));
    let equal = known(Node::Compare(a, Comparison::Equal, b));
    either(both(no_a, no_b), equal)
}

fn negate<L>(node: Node<L>, negated: bool) -> Node<L> {
    if negated { not(node) } else { node }
}

fn comparison(operator: &BinaryOperator) -> Option<Comparison> {
    Some(match operator {
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        _ => return None,
    })
}

fn literal(value: &Literal) -> Read<Value> {
    Ok(match value {
        Literal::Number(text, _) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => Value::Int(whole),
            (_, Ok(number)) => Value::Float(number),
            _ => return own(format!("`{text}` is not a number")),
        },
        Literal::SingleQuotedString(text) => text.as_str().into(),
        Literal::Boolean(value) => Value::Bool(*value),
        other => return own(format!("the value {other} is refused")),
    })
}

/// A value whose leaves `leaf` reads; arithmetic and functions are alike everywhere.
pub(super) fn term<L: Clone>(expression: &Expr, leaf: &mut impl Leaves<L>) -> Read<Term<L>> {
    if let Some(found) = leaf(expression)? {
        return Ok(found);
    }
    Ok(match expression {
        Expr::Nested(inner) => term(inner, leaf)?,
        Expr::Value(value) => match &value.value {
            Literal::Null => Term::Case(Vec::new(), None),
            other => Term::Literal(literal(other)?),
        },
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Minus => match term(expr, leaf)? {
                Term::Literal(Value::Int(number)) => Term::Literal(Value::Int(-number)),
                Term::Literal(Value::Float(number)) => Term::Literal(Value::Float(-number)),
                other => Term::Negative(Box::new(other)),
            },
            UnaryOperator::Plus => term(expr, leaf)?,
            UnaryOperator::Not => truth(expression, leaf)?,
            other => return own(format!("the operator {other} is refused in a value")),
        },
        Expr::BinaryOp { left, op, right } => {
            let operator = match op {
                BinaryOperator::Plus => Operator::Plus,
                BinaryOperator::Minus => Operator::Minus,
                BinaryOperator::Multiply => Operator::Times,
                BinaryOperator::Divide => Operator::Over,
                BinaryOperator::Modulo => Operator::Modulo,
                BinaryOperator::And | BinaryOperator::Or => return truth(expression, leaf),
                _ if comparison(op).is_some() => return truth(expression, leaf),
                BinaryOperator::StringConcat => {
                    let operands = vec![term(left, leaf)?, term(right, leaf)?];
                    return Ok(Term::Call(Function::Concat, operands));
                }
                other => return own(format!("the operator {other} is refused in a value")),
            };
            Term::Arithmetic(
                operator,
                Box::new(term(left, leaf)?),
                Box::new(term(right, leaf)?),
            )
        }
        Expr::Cast {
            expr, data_type, ..
        } => Term::Cast(Box::new(term(expr, leaf)?), kind(data_type)?),
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            let operand = operand.as_ref().map(|operand| term(operand, leaf));
            let operand = operand.transpose()?;
            let mut branches = Vec::with_capacity(conditions.len());
            for when in conditions {
                let condition = match &operand {
                    None => test(&when.condition, leaf)?,
                    Some(operand) => Node::Compare(
                        operand.clone(),
                        Comparison::Equal,
                        term(&when.condition, leaf)?,
                    ),
                };
                branches.push((condition, term(&when.result, leaf)?));
            }
            let otherwise = else_result.as_ref().map(|value| term(value, leaf));
            Term::Case(branches, otherwise.transpose()?.map(Box::new))
        }
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. } => truth(expression, leaf)?,
        Expr::Ceil { expr, .. } => Term::Call(Function::Ceil, vec![term(expr, leaf)?]),
        Expr::Floor { expr, .. } => Term::Call(Function::Floor, vec![term(expr, leaf)?]),
        Expr::Function(function) => {
            let name = function.name.to_string().to_uppercase();
            let operands = arguments(expression)?;
            let known = Function::ALL.iter().find(|(known, ..)| *known == name);
            let Some((_, known, least, most)) = known else {
                return own(format!("the function {name} is refused here"));
            };
            if !(*least..=*most).contains(&operands.len()) {
                return own(format!(
                    "{name} takes {least} to {most} values, not {}",
                    operands.len()
                ));
            }
            let operands = operands.iter().map(|operand| term(operand, leaf));
            Term::Call(*known, operands.collect::<Read<_>>()?)
        }
        other => return own(format!("`{other}` is refused in a value")),
    })
}

/// A condition as a value.
fn truth<L: Clone>(expression: &Expr, leaf: &mut impl Leaves<L>) -> Read<Term<L>> {
    Ok(Term::Condition(Box::new(test(expression, leaf)?)))
}

/// What a cast makes of a value.
fn kind(data_type: &DataType) -> Read<Kind> {
    let name = data_type.to_string().to_uppercase();
    let (base, size) = match name.split_once('(') {
        Some((base, size)) => (base.trim(), size.trim_end_matches(')')),
        None => (name.as_str(), ""),
    };
    Ok(match base {
        "TINYINT" | "SMALLINT" | "INT" | "INTEGER" | "BIGINT" | "INT2" | "INT4" | "INT8" => {
            Kind::Whole
        }
        "REAL" | "FLOAT" | "DOUBLE" | "DOUBLE PRECISION" | "FLOAT4" | "FLOAT8" | "FLOAT64" => {
            Kind::Number
        }
        "DECIMAL" | "NUMERIC" | "DEC" | "NUMBER" => match size.split_once(',') {
            Some((_, digits)) => match digits.trim().parse() {
                Ok(digits) if digits <= 15 => Kind::Digits(digits),
                _ => return own(format!("{name}: at most 15 digits stand behind the point")),
            },
            None if size.is_empty() => Kind::Number,
            None => Kind::Whole,
        },
        "VARCHAR" | "VARCHAR2" | "CHARACTER VARYING" | "CHAR VARYING" | "STRING" | "TEXT"
        | "NVARCHAR" | "CLOB" => match size {
            "" | "MAX" => Kind::Text,
            _ => {
                return own(format!(
                    "{name}: a text of a longest length is refused; SUBSTRING cuts one"
                ));
            }
        },
        "BOOLEAN" | "BOOL" => Kind::Truth,
        _ => {
            return own(format!(
                "CAST to {name} is refused: values are whole numbers, numbers, texts and truths"
            ));
        }
    })
}

/// The plain arguments of a function.
pub(super) fn arguments(expression: &Expr) -> Read<Vec<&Expr>> {
    let Expr::Function(function) = expression else {
        return Ok(Vec::new());
    };
    if function.over.is_some() || function.filter.is_some() {
        return own(format!(
            "`{expression}` is refused: OVER and FILTER have no meaning here"
        ));
    }
    let FunctionArguments::List(list) = &function.args else {
        return Ok(Vec::new());
    };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
            other => own(format!("the argument {other} is refused")),
        })
        .collect()
}

pub(super) fn value(expression: &Expr, scope: &Scope<'_>) -> Read<Term<Navigation>> {
    term(expression, &mut |expression: &Expr| scope.leaf(expression))
}

pub(super) fn condition(expression: &Expr, scope: &Scope<'_>) -> Read<Node<Navigation>> {
    test(expression, &mut |expression: &Expr| scope.leaf(expression))
}

/// A column that is told, by name.
pub(super) fn column(expression: &Expr, alias: Option<&str>) -> Read<Term<String>> {
    term(expression, &mut |expression: &Expr| {
        named(expression, alias)
    })
}

/// A condition on columns that are told.
pub(super) fn filter(expression: &Expr, alias: Option<&str>) -> Read<Node<String>> {
    test(expression, &mut |expression: &Expr| {
        named(expression, alias)
    })
}

fn named(expression: &Expr, alias: Option<&str>) -> Read<Option<Term<String>>> {
    match expression {
        Expr::Identifier(name) => Ok(Some(Term::Leaf(name.value.clone()))),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, name] if alias.is_none_or(|alias| alias.eq_ignore_ascii_case(&table.value)) => {
                Ok(Some(Term::Leaf(name.value.clone())))
            }
            _ => own(format!("no table is called as in `{expression}`")),
        },
        _ => Ok(None),
    }
}
