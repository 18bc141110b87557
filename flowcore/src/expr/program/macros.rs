//! Macros: they become loops over local slots.

use super::compile::{Compiler, dotted, fail};
use super::{Fold, FoldKind, Node, Otherwise};
use crate::expr::ExprError;
use crate::expr::ast::{Expr, ExprKind, Literal, Optional};

impl Compiler<'_> {
    /// The node of a call that is a macro; none when it is a function's.
    pub(super) fn macro_call(
        &mut self,
        at: usize,
        target: Option<&Expr>,
        name: &str,
        args: &[Expr],
    ) -> Result<Option<Node>, ExprError> {
        let Some(target) = target else {
            if name != "has" || args.len() != 1 {
                return Ok(None);
            }
            let ExprKind::Select {
                operand,
                field,
                optional: Optional::No,
            } = &args[0].kind
            else {
                return fail(at, "has() takes a field access such as `has(a.b)`");
            };
            return Ok(Some(Node::Has(self.boxed(operand)?, field.as_str().into())));
        };
        if matches!(dotted(target), Some((space, _)) if space == "cel")
            && let Some(node) = self.block_call(at, name, args)?
        {
            return Ok(Some(node));
        }
        match (name, args) {
            ("or" | "orValue", [other]) => {
                let parts = Box::new((self.node(target)?, self.node(other)?));
                return Ok(Some(Node::OrElse(parts, otherwise(name == "orValue"))));
            }
            ("optMap" | "optFlatMap", [variable, body]) => {
                let variable = simple_name(variable)?;
                let value = self.node(target)?;
                let how = otherwise(name == "optMap");
                return self.with_locals(&[variable], |this, base| {
                    let parts = Box::new((base, value, this.node(body)?));
                    Ok(Some(Node::OptMap(parts, how)))
                });
            }
            _ => {}
        }
        if name == "bind"
            && args.len() == 3
            && matches!(dotted(target), Some((space, _)) if space == "cel")
        {
            let variable = simple_name(&args[0])?;
            let value = self.node(&args[1])?;
            return self.with_locals(&[variable], |this, base| {
                Ok(Some(Node::Bind(Box::new((
                    base,
                    value,
                    this.node(&args[2])?,
                )))))
            });
        }
        let (kind, variables, test, result) = match (name, args) {
            ("all", [var, test]) => (FoldKind::All, vec![var], Some(test), None),
            ("exists", [var, test]) => (FoldKind::Exists, vec![var], Some(test), None),
            ("exists_one" | "existsOne", [var, test]) => {
                (FoldKind::ExistsOne, vec![var], Some(test), None)
            }
            ("filter", [var, test]) => (FoldKind::Filter, vec![var], Some(test), None),
            ("map", [var, result]) => (FoldKind::Map, vec![var], None, Some(result)),
            ("map", [var, test, result]) => (FoldKind::Map, vec![var], Some(test), Some(result)),
            ("all", [key, var, test]) => (FoldKind::All, vec![key, var], Some(test), None),
            ("exists", [key, var, test]) => (FoldKind::Exists, vec![key, var], Some(test), None),
            ("exists_one" | "existsOne", [key, var, test]) => {
                (FoldKind::ExistsOne, vec![key, var], Some(test), None)
            }
            ("transformList", [key, var, result]) => {
                (FoldKind::Map, vec![key, var], None, Some(result))
            }
            ("transformList", [key, var, test, result]) => {
                (FoldKind::Map, vec![key, var], Some(test), Some(result))
            }
            ("transformMap", [key, var, result]) => {
                (FoldKind::TransformMap, vec![key, var], None, Some(result))
            }
            ("transformMap", [key, var, test, result]) => (
                FoldKind::TransformMap,
                vec![key, var],
                Some(test),
                Some(result),
            ),
            ("transformMapEntry", [key, var, result]) => (
                FoldKind::TransformMapEntry,
                vec![key, var],
                None,
                Some(result),
            ),
            ("transformMapEntry", [key, var, test, result]) => (
                FoldKind::TransformMapEntry,
                vec![key, var],
                Some(test),
                Some(result),
            ),
            _ => return Ok(None),
        };
        let range = self.node(target)?;
        let names = variables
            .iter()
            .map(|var| simple_name(var))
            .collect::<Result<Vec<_>, _>>()?;
        if names.len() == 2 && names[0] == names[1] {
            return fail(
                at,
                format!("the two variables of `{name}` have the same name"),
            );
        }
        self.with_locals(&names, |this, base| {
            let test = match test {
                Some(test) => this.node(test)?,
                None => Node::Literal(Literal::Bool(true)),
            };
            let result = result.map(|result| this.node(result)).transpose()?;
            let second = (names.len() == 2).then_some(base + 1);
            Ok(Some(Node::Fold(Box::new(Fold {
                kind,
                range,
                first: base,
                second,
                test,
                result,
            }))))
        })
    }

    /// The forms that optimisers write: `cel.block([a, b], result)` evaluates shared parts once,
    /// `cel.index(n)` names one, `cel.iterVar(d, n)` names the variable of a macro.
    fn block_call(
        &mut self,
        at: usize,
        name: &str,
        args: &[Expr],
    ) -> Result<Option<Node>, ExprError> {
        match (name, args) {
            ("block", [parts, body]) => {
                let ExprKind::List(parts) = &parts.kind else {
                    return fail(at, "cel.block takes a list and a result");
                };
                self.block_parts(parts, body, 0).map(Some)
            }
            ("index", [index]) => {
                let local = number(index).and_then(|index| self.local(&block_name(index)));
                match local {
                    Some(local) => Ok(Some(Node::Local(local))),
                    None => fail(at, "cel.index names no part of a cel.block before it"),
                }
            }
            ("iterVar", args) => {
                let local = iteration_name(args).and_then(|name| self.local(&name));
                match local {
                    Some(local) => Ok(Some(Node::Local(local))),
                    None => fail(at, "cel.iterVar names no variable of a macro around it"),
                }
            }
            _ => Ok(None),
        }
    }

    fn block_parts(
        &mut self,
        parts: &[(Expr, Optional)],
        body: &Expr,
        index: i64,
    ) -> Result<Node, ExprError> {
        let Some(((part, _), rest)) = parts.split_first() else {
            return self.node(body);
        };
        let value = self.node(part)?;
        self.with_locals(&[block_name(index)], |this, base| {
            let body = this.block_parts(rest, body, index + 1)?;
            Ok(Node::Bind(Box::new((base, value, body))))
        })
    }
}

/// What an optional's second part gives: a bare value or an optional.
fn otherwise(bare: bool) -> Otherwise {
    if bare {
        Otherwise::Value
    } else {
        Otherwise::Optional
    }
}

/// The name of the local that holds part `index` of the innermost `cel.block`.
fn block_name(index: i64) -> String {
    format!("@index{index}")
}

fn simple_name(expr: &Expr) -> Result<String, ExprError> {
    match &expr.kind {
        ExprKind::Ident {
            name,
            rooted: false,
        } => Ok(name.clone()),
        // What an optimiser writes for the variable of a macro.
        ExprKind::Call {
            target: Some(target),
            name,
            args,
        } if name == "iterVar" && matches!(dotted(target), Some((space, _)) if space == "cel") => {
            iteration_name(args).map_or_else(|| fail(expr.at, "cel.iterVar takes two numbers"), Ok)
        }
        _ => fail(expr.at, "the variable of a macro is a plain name"),
    }
}

fn iteration_name(args: &[Expr]) -> Option<String> {
    match args {
        [depth, unique] => Some(format!("@it:{}:{}", number(depth)?, number(unique)?)),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Literal(Literal::Int(value)) => Some(*value),
        _ => None,
    }
}
