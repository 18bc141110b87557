//! Which rows of a match a value is of: `FIRST`, `LAST`, `PREV`, `NEXT`, `CLASSIFIER` and aggregates.

use sqlparser::ast::{
    DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value as Literal,
};

use super::value::{Scope, arguments, term};
use super::{Read, own};
use crate::aggregate::Aggregate;
use crate::expression::Term;
use crate::recognize::{Navigation, Pick, Reach, Semantics, Variable};

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

/// A function's name without `FINAL` or `RUNNING`, and which of the two is meant.
fn function_name(name: &str, scope: &Scope<'_>) -> Read<(String, Semantics)> {
    let full = name.to_uppercase();
    Ok(
        match (full.strip_prefix("FINAL_"), full.strip_prefix("RUNNING_")) {
            (Some(_), _) if !scope.measures => {
                return own("FINAL has no meaning in DEFINE, where the match is not complete");
            }
            (Some(name), _) => (name.to_owned(), Semantics::Final),
            (_, Some(name)) => (name.to_owned(), Semantics::Running),
            _ => (full, scope.semantics),
        },
    )
}

pub(super) fn navigation(expression: &Expr, scope: &Scope<'_>) -> Read<Option<Navigation>> {
    if let Some(found) = pick(expression, scope, scope.semantics)? {
        return Ok(Some(Navigation::Pick(found)));
    }
    let Expr::Function(function) = expression else {
        return Ok(None);
    };
    let (name, semantics) = function_name(&function.name.to_string(), scope)?;
    let name = name.as_str();
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
    Ok(moved(name, inner, by))
}

/// The row to which a function goes from another.
fn moved(name: &str, from: Pick, by: Option<u32>) -> Pick {
    let by_or_one = i64::from(by.unwrap_or(1));
    match name {
        "FIRST" => Pick {
            reach: Reach::First(by.unwrap_or(0)),
            ..from
        },
        "LAST" => Pick {
            reach: Reach::Last(by.unwrap_or(0)),
            ..from
        },
        "PREV" => Pick {
            offset: -by_or_one,
            ..from
        },
        _ => Pick {
            offset: by_or_one,
            ..from
        },
    }
}

/// `FIRST(A.price + A.tax)` and the like: each column is that of the row. None for what is of a column or of another
/// such function.
pub(super) fn navigated_value(
    expression: &Expr,
    scope: &Scope<'_>,
) -> Read<Option<Term<Navigation>>> {
    let Expr::Function(function) = expression else {
        return Ok(None);
    };
    let (full, semantics) = function_name(&function.name.to_string(), scope)?;
    let name = full.as_str();
    if !["FIRST", "LAST", "PREV", "NEXT"].contains(&name) {
        return Ok(None);
    }
    let arguments = arguments(expression)?;
    let (of, by) = match arguments.as_slice() {
        [of] => (*of, None),
        [of, by] => (*of, Some(count(by)?)),
        _ => return Ok(None),
    };
    let plain = pick(of, scope, semantics)?.is_some();
    let of_function = match of {
        Expr::Function(function) => {
            let (inner, _) = function_name(&function.name.to_string(), scope)?;
            NAVIGATIONS.contains(&inner.as_str())
        }
        _ => false,
    };
    if plain || of_function {
        return Ok(None);
    }
    let mut variables: Option<Vec<Variable>> = None;
    let found = term(of, &mut |leaf: &Expr| {
        let Some(found) = pick(leaf, scope, semantics)? else {
            return Ok(None);
        };
        if *variables.get_or_insert_with(|| found.variables.clone()) != found.variables {
            return own(format!("`{expression}` is of rows of two variables"));
        }
        Ok(Some(Term::Leaf(Navigation::Pick(moved(name, found, by)))))
    });
    found.map(Some)
}

/// What goes to a row.
const NAVIGATIONS: [&str; 5] = ["FIRST", "LAST", "PREV", "NEXT", "CLASSIFIER"];

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
        FunctionArgExpr::Expr(inner) => Some(term(inner, &mut |leaf: &Expr| {
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
