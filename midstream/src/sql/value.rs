//! Values and conditions of `DEFINE`, `MEASURES` and the columns that are told.

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value as Literal,
};

use super::{Names, Read, own};
use crate::aggregate::Aggregate;
use crate::event::Value;
use crate::expression::{Function, Operator, Term};
use crate::predicate::{Comparison, Node};
use crate::recognize::{Navigation, Pick, Reach, Semantics, Variable};

/// Where an expression stands.
pub(super) struct Scope<'a> {
    names: &'a Names,
    /// What is meant without `RUNNING` or `FINAL`.
    semantics: Semantics,
    measures: bool,
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
fn term<L>(
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
fn arguments(expression: &Expr) -> Read<Vec<&Expr>> {
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

/// `column` or `VARIABLE.column`.
fn pick(expression: &Expr, scope: &Scope<'_>, semantics: Semantics) -> Read<Option<Pick>> {
    let (variables, column) = match expression {
        Expr::Identifier(name) => (Vec::new(), name.value.clone()),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [variable, column] => (scope.names.need(&variable.value)?, column.value.clone()),
            _ => return own(format!("`{expression}` is not a variable and a column")),
        },
        Expr::Nested(inner) => return pick(inner, scope, semantics),
        _ => return Ok(None),
    };
    Ok(Some(Pick {
        variables,
        column,
        reach: Reach::Last(0),
        semantics,
        offset: 0,
    }))
}

fn count(expression: &Expr) -> Read<u32> {
    if let Expr::Value(value) = expression
        && let Literal::Number(text, _) = &value.value
        && let Ok(count) = text.parse::<u32>()
        && count <= 10_000
    {
        return Ok(count);
    }
    own(format!(
        "a whole number up to 10000 is expected here, not `{expression}`"
    ))
}

fn navigation(expression: &Expr, scope: &Scope<'_>) -> Read<Option<Navigation>> {
    if let Some(found) = pick(expression, scope, scope.semantics)? {
        return Ok(Some(Navigation::Pick(found)));
    }
    let Expr::Function(function) = expression else {
        return Ok(None);
    };
    let full = function.name.to_string().to_uppercase();
    let (name, semantics) = match (full.strip_prefix("FINAL_"), full.strip_prefix("RUNNING_")) {
        (Some(_), _) if !scope.measures => {
            return own("FINAL has no meaning in DEFINE, where the match is not complete");
        }
        (Some(name), _) => (name, Semantics::Final),
        (_, Some(name)) => (name, Semantics::Running),
        _ => (full.as_str(), scope.semantics),
    };
    match name {
        "MATCH_NUMBER" => Ok(Some(Navigation::MatchNumber)),
        "MATCH_ROWTIME" => Ok(Some(Navigation::RowTime)),
        "FIRST" | "LAST" | "PREV" | "NEXT" | "CLASSIFIER" => {
            let found = navigated(expression, name, scope, semantics)?;
            Ok(Some(if found.column.is_empty() {
                Navigation::Classifier(found)
            } else {
                Navigation::Pick(found)
            }))
        }
        _ => match aggregate(name) {
            Some(kind) => aggregated(expression, kind, scope, semantics).map(Some),
            None => Ok(None),
        },
    }
}

/// `FIRST`, `LAST`, `PREV` and `NEXT`, also one in the other; `CLASSIFIER` is a column without a name.
fn navigated(expression: &Expr, name: &str, scope: &Scope<'_>, semantics: Semantics) -> Read<Pick> {
    let arguments = arguments(expression)?;
    if name == "CLASSIFIER" {
        let variables = match arguments.as_slice() {
            [] => Vec::new(),
            [Expr::Identifier(variable)] => scope.names.need(&variable.value)?,
            _ => return own("CLASSIFIER takes a variable or nothing"),
        };
        return Ok(Pick {
            variables,
            column: String::new(),
            reach: Reach::Last(0),
            semantics,
            offset: 0,
        });
    }
    let (of, by) = match arguments.as_slice() {
        [of] => (*of, None),
        [of, by] => (*of, Some(count(by)?)),
        _ => return own(format!("{name} takes a column and perhaps a number")),
    };
    let inner = match (pick(of, scope, semantics)?, of) {
        (Some(found), _) => found,
        (None, Expr::Function(function)) => {
            let inner = function.name.to_string().to_uppercase();
            let logical = ["FIRST", "LAST", "CLASSIFIER"];
            let (inner, semantics) =
                match (inner.strip_prefix("FINAL_"), inner.strip_prefix("RUNNING_")) {
                    (Some(inner), _) => (inner.to_owned(), Semantics::Final),
                    (_, Some(inner)) => (inner.to_owned(), Semantics::Running),
                    _ => (inner.clone(), semantics),
                };
            if !logical.contains(&inner.as_str()) {
                return own(format!("`{of}` is refused inside {name}"));
            }
            navigated(of, &inner, scope, semantics)?
        }
        (None, other) => {
            return own(format!(
                "`{other}` is refused inside {name}: only a column is"
            ));
        }
    };
    let by_or_one = by.unwrap_or(1);
    Ok(match name {
        "FIRST" => Pick {
            reach: Reach::First(by.unwrap_or(0)),
            ..inner
        },
        "LAST" => Pick {
            reach: Reach::Last(by.unwrap_or(0)),
            ..inner
        },
        "PREV" => Pick {
            offset: -i64::from(by_or_one),
            ..inner
        },
        _ => Pick {
            offset: i64::from(by_or_one),
            ..inner
        },
    })
}

fn aggregate(name: &str) -> Option<Aggregate> {
    Some(match name {
        "COUNT" => Aggregate::Count,
        "SUM" => Aggregate::Sum,
        "AVG" => Aggregate::Avg,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        "STDDEV" | "STDDEV_SAMP" => Aggregate::Stddev,
        _ => return None,
    })
}

fn aggregated(
    expression: &Expr,
    kind: Aggregate,
    scope: &Scope<'_>,
    semantics: Semantics,
) -> Read<Navigation> {
    let Expr::Function(function) = expression else {
        return own("an aggregate is a function");
    };
    let FunctionArguments::List(list) = &function.args else {
        return own(format!("`{expression}` needs what it is of"));
    };
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let kind = match (kind, distinct) {
        (Aggregate::Count, true) => Aggregate::Distinct,
        (_, true) => return own(format!("DISTINCT is refused in `{expression}`")),
        (kind, false) => kind,
    };
    let [FunctionArg::Unnamed(argument)] = list.args.as_slice() else {
        return own(format!("`{expression}` takes one value"));
    };
    let mut variables: Option<Vec<Variable>> = None;
    let of = match argument {
        FunctionArgExpr::Wildcard => None,
        FunctionArgExpr::QualifiedWildcard(name) => {
            variables = Some(scope.names.need(&name.to_string())?);
            None
        }
        FunctionArgExpr::Expr(inner) => Some(term(inner, &mut |leaf| {
            let Some(found) = pick(leaf, scope, semantics)? else {
                return Ok(None);
            };
            let known = variables.get_or_insert_with(|| found.variables.clone());
            if *known != found.variables {
                return own(format!("`{expression}` is of rows of two variables"));
            }
            Ok(Some(Term::Leaf(found.column)))
        })?),
        other => return own(format!("the argument {other} is refused")),
    };
    if of.is_none() && !matches!(kind, Aggregate::Count) {
        return own(format!("`{expression}` needs a column"));
    }
    Ok(Navigation::Aggregate {
        kind,
        variables: variables.unwrap_or_default(),
        of,
        semantics,
    })
}
