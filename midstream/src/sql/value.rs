//! Values and conditions of `DEFINE`, `MEASURES` and the columns that are told.

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
    Value as Literal,
};

use super::navigation::{navigated_value, navigation};
use super::{Names, Read, own};
use crate::event::Value;
use crate::expression::{Function, Operator, Term};
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
}

/// How deep expressions nest is bounded by the parser that made them.
pub(super) fn condition(expression: &Expr, scope: &Scope<'_>) -> Read<Node<Navigation>> {
    let both = |a: &Expr, b: &Expr| -> Read<_> {
        Ok((
            Box::new(condition(a, scope)?),
            Box::new(condition(b, scope)?),
        ))
    };
    Ok(match expression {
        Expr::Nested(inner) => condition(inner, scope)?,
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => {
                let (a, b) = both(left, right)?;
                Node::And(a, b)
            }
            BinaryOperator::Or => {
                let (a, b) = both(left, right)?;
                Node::Or(a, b)
            }
            _ => match comparison(op) {
                Some(comparison) => {
                    Node::Compare(value(left, scope)?, comparison, value(right, scope)?)
                }
                None => return own(format!("a condition is expected here, not `{expression}`")),
            },
        },
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Node::Not(Box::new(condition(expr, scope)?)),
        Expr::IsNull(inner) => Node::Missing(value(inner, scope)?),
        Expr::IsNotNull(inner) => Node::Not(Box::new(Node::Missing(value(inner, scope)?))),
        Expr::IsTrue(inner) => condition(inner, scope)?,
        Expr::IsFalse(inner) => Node::Not(Box::new(condition(inner, scope)?)),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let of = value(expr, scope)?;
            let above = Node::Compare(of.clone(), Comparison::GreaterOrEqual, value(low, scope)?);
            let below = Node::Compare(of, Comparison::LessOrEqual, value(high, scope)?);
            negate(Node::And(Box::new(above), Box::new(below)), *negated)
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let of = value(expr, scope)?;
            let mut any = None;
            for one in list {
                let same = Node::Compare(of.clone(), Comparison::Equal, value(one, scope)?);
                any = Some(match any {
                    None => same,
                    Some(other) => Node::Or(Box::new(other), Box::new(same)),
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
        } => match &**pattern {
            Expr::Value(literal) => match &literal.value {
                Literal::SingleQuotedString(pattern) => negate(
                    Node::Like(value(expr, scope)?, pattern.as_str().into()),
                    *negated,
                ),
                other => return own(format!("LIKE takes a text in quotes, not {other}")),
            },
            other => return own(format!("LIKE takes a text in quotes, not {other}")),
        },
        Expr::Value(literal) => match literal.value {
            Literal::Boolean(true) => Node::Always,
            Literal::Boolean(false) => Node::Not(Box::new(Node::Always)),
            _ => return own(format!("a condition is expected here, not `{expression}`")),
        },
        // A column of truth stands for itself.
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Node::Compare(
            value(expression, scope)?,
            Comparison::Equal,
            Term::Literal(Value::Bool(true)),
        ),
        other => return own(format!("`{other}` is refused in a condition")),
    })
}

fn negate<L>(node: Node<L>, negated: bool) -> Node<L> {
    if negated {
        Node::Not(Box::new(node))
    } else {
        node
    }
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
pub(super) fn term<L>(
    expression: &Expr,
    leaf: &mut impl FnMut(&Expr) -> Read<Option<Term<L>>>,
) -> Read<Term<L>> {
    if let Some(found) = leaf(expression)? {
        return Ok(found);
    }
    Ok(match expression {
        Expr::Nested(inner) => term(inner, leaf)?,
        Expr::Value(value) => Term::Literal(literal(&value.value)?),
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Minus => match term(expr, leaf)? {
                Term::Literal(Value::Int(number)) => Term::Literal(Value::Int(-number)),
                Term::Literal(Value::Float(number)) => Term::Literal(Value::Float(-number)),
                other => Term::Negative(Box::new(other)),
            },
            UnaryOperator::Plus => term(expr, leaf)?,
            other => return own(format!("the operator {other} is refused in a value")),
        },
        Expr::BinaryOp { left, op, right } => {
            let operator = match op {
                BinaryOperator::Plus => Operator::Plus,
                BinaryOperator::Minus => Operator::Minus,
                BinaryOperator::Multiply => Operator::Times,
                BinaryOperator::Divide => Operator::Over,
                BinaryOperator::Modulo => Operator::Modulo,
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
        // What there are no floats and decimals for, a cast changes nothing of.
        Expr::Cast { expr, .. } => term(expr, leaf)?,
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
    term(expression, &mut |expression| {
        if let Some(found) = navigated_value(expression, scope)? {
            return Ok(Some(found));
        }
        Ok(navigation(expression, scope)?.map(Term::Leaf))
    })
}

/// A column that is told, by name.
pub(super) fn column(expression: &Expr, alias: Option<&str>) -> Read<Term<String>> {
    term(expression, &mut |expression| match expression {
        Expr::Identifier(name) => Ok(Some(Term::Leaf(name.value.clone()))),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, name] if alias.is_none_or(|alias| alias.eq_ignore_ascii_case(&table.value)) => {
                Ok(Some(Term::Leaf(name.value.clone())))
            }
            _ => own(format!("no table is called as in `{expression}`")),
        },
        _ => Ok(None),
    })
}
