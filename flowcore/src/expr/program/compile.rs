//! From the syntax tree to a program: names become slots, functions become numbers.

use super::{Equality, Names, Node, Unknown};
use crate::expr::ExprError;
use crate::expr::ast::{Binary, Expr, ExprKind, Literal, Optional};
use crate::expr::function::{self, Function};

pub(crate) fn compile(expr: &Expr, names: &dyn Names) -> Result<(Node, u16), ExprError> {
    let mut compiler = Compiler {
        names,
        locals: Vec::new(),
        locals_max: 0,
    };
    let node = compiler.node(expr)?;
    Ok((node, compiler.locals_max))
}

pub(super) struct Compiler<'n> {
    names: &'n dyn Names,
    locals: Vec<String>,
    locals_max: u16,
}

type Compiled = Result<Node, ExprError>;

pub(super) fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, ExprError> {
    Err(ExprError::Syntax {
        at,
        message: message.into(),
    })
}

impl Compiler<'_> {
    pub(super) fn boxed(&mut self, expr: &Expr) -> Result<Box<Node>, ExprError> {
        Ok(Box::new(self.node(expr)?))
    }

    pub(super) fn node(&mut self, expr: &Expr) -> Compiled {
        Ok(match &expr.kind {
            ExprKind::Literal(literal) => Node::Literal(literal.clone()),
            ExprKind::Ident { name, rooted } => return self.name(expr.at, name, *rooted),
            ExprKind::Select {
                operand,
                field,
                optional,
            } => {
                if *optional == Optional::Yes {
                    let operand = self.boxed(operand)?;
                    return Ok(Node::MaybeField(operand, field.as_str().into()));
                }
                if let Some(node) = self.qualified(expr) {
                    return Ok(node);
                }
                Node::Field(self.boxed(operand)?, field.as_str().into())
            }
            ExprKind::Index {
                operand,
                index,
                optional,
            } => {
                let (operand, index) = (self.boxed(operand)?, self.boxed(index)?);
                match optional {
                    Optional::Yes => Node::MaybeIndex(operand, index),
                    Optional::No => Node::Index(operand, index),
                }
            }
            ExprKind::Not(operand) => Node::Not(self.boxed(operand)?),
            ExprKind::Neg(operand) => Node::Neg(self.boxed(operand)?),
            ExprKind::And(left, right) => Node::And(self.boxed(left)?, self.boxed(right)?),
            ExprKind::Or(left, right) => Node::Or(self.boxed(left)?, self.boxed(right)?),
            ExprKind::Conditional(test, then, otherwise) => Node::Conditional(Box::new((
                self.node(test)?,
                self.node(then)?,
                self.node(otherwise)?,
            ))),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right)?,
            ExprKind::List(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    nodes.push(self.spread(item, *optional)?);
                }
                Node::List(nodes)
            }
            ExprKind::Map(entries) => {
                let mut nodes = Vec::with_capacity(entries.len());
                for (key, value, optional) in entries {
                    nodes.push((self.node(key)?, self.spread(value, *optional)?));
                }
                Node::Map(nodes)
            }
            ExprKind::Message(name) => {
                return fail(
                    expr.at,
                    format!("`{name}{{…}}` builds a protobuf message; use a map with quoted keys"),
                );
            }
            ExprKind::Call { target, name, args } => {
                return self.call(expr.at, target.as_deref(), name, args);
            }
        })
    }

    fn spread(&mut self, expr: &Expr, optional: Optional) -> Compiled {
        let node = self.node(expr)?;
        Ok(match optional {
            Optional::Yes => Node::Spread(Box::new(node)),
            Optional::No => node,
        })
    }

    fn binary(&mut self, op: Binary, left: &Expr, right: &Expr) -> Compiled {
        let (left, right) = (self.node(left)?, self.node(right)?);
        let wanted = match op {
            Binary::Eq => Some(Equality::Equal),
            Binary::Ne => Some(Equality::Different),
            _ => None,
        };
        if let Some(wanted) = wanted
            && let Node::Field(operand, field) = &left
            && let Node::Var(slot) = **operand
            && let Node::Literal(Literal::Str(text)) = &right
        {
            return Ok(Node::FieldIs {
                slot,
                field: field.clone(),
                text: text.clone(),
                wanted,
            });
        }
        Ok(Node::Binary(op, Box::new((left, right))))
    }

    pub(super) fn local(&self, name: &str) -> Option<u16> {
        let index = self.locals.iter().rposition(|local| local == name)?;
        u16::try_from(index).ok()
    }

    fn name(&self, at: usize, name: &str, rooted: bool) -> Compiled {
        if !rooted && let Some(local) = self.local(name) {
            return Ok(Node::Local(local));
        }
        if let Some(slot) = self.names.slot(name) {
            return Ok(Node::Var(slot));
        }
        match name {
            "bool" | "int" | "uint" | "double" | "string" | "bytes" | "list" | "map"
            | "null_type" | "type" | "optional_type" => Ok(Node::Type(type_constant(name))),
            _ => self.unknown(at, self.names.explain(name)),
        }
    }

    fn unknown(&self, at: usize, message: String) -> Compiled {
        match self.names.unknown() {
            Unknown::Refuse => fail(at, message),
            Unknown::FailWhenReached => Ok(Node::Fail(message.into())),
        }
    }

    /// `a.b.c` where the scope knows a variable by that whole dotted name.
    fn qualified(&self, expr: &Expr) -> Option<Node> {
        let (name, rooted) = dotted(expr)?;
        let root = name.split('.').next().unwrap_or_default();
        if !rooted && self.local(root).is_some() {
            return None;
        }
        if let Some(slot) = self.names.slot(&name) {
            return Some(Node::Var(slot));
        }
        match name.as_str() {
            "google.protobuf.Timestamp" => Some(Node::Type("google.protobuf.Timestamp")),
            "google.protobuf.Duration" => Some(Node::Type("google.protobuf.Duration")),
            "net.IP" => Some(Node::Type("net.IP")),
            "net.CIDR" => Some(Node::Type("net.CIDR")),
            _ => None,
        }
    }

    pub(super) fn with_locals<T>(
        &mut self,
        names: &[String],
        inner: impl FnOnce(&mut Self, u16) -> Result<T, ExprError>,
    ) -> Result<T, ExprError> {
        let base = u16::try_from(self.locals.len()).unwrap_or(u16::MAX);
        self.locals.extend(names.iter().cloned());
        self.locals_max = self
            .locals_max
            .max(u16::try_from(self.locals.len()).unwrap_or(u16::MAX));
        let result = inner(self, base);
        self.locals.truncate(usize::from(base));
        result
    }

    fn call(&mut self, at: usize, target: Option<&Expr>, name: &str, args: &[Expr]) -> Compiled {
        if let Some(node) = self.macro_call(at, target, name, args)? {
            return Ok(node);
        }
        // `strings.quote(x)`, `math.abs(x)`: a function in a namespace, unless the name is a variable.
        if let Some((space, _)) = target.and_then(dotted)
            && self.local(&space).is_none()
            && self.names.slot(&space).is_none()
            && let Some(function) = Function::global(&format!("{space}.{name}"), args.len())
        {
            let args = args
                .iter()
                .map(|arg| self.node(arg))
                .collect::<Result<_, _>>()?;
            return Ok(Node::Call(function, args));
        }
        let found = match target {
            Some(_) => Function::method(name, args.len()),
            None => Function::global(name, args.len()),
        };
        let Some(function) = found else {
            let kind = if target.is_some() {
                "method"
            } else {
                "function"
            };
            return self.unknown(
                at,
                format!("unknown {kind} `{name}` with {} arguments", args.len()),
            );
        };
        let mut nodes = Vec::with_capacity(args.len() + 1);
        if let Some(target) = target {
            nodes.push(self.node(target)?);
        }
        for arg in args {
            nodes.push(self.node(arg)?);
        }
        if function == Function::Matches
            && let [_, Node::Literal(Literal::Str(text))] = nodes.as_slice()
        {
            let pattern = function::pattern(text);
            let pattern = pattern.or_else(|message| fail(at, message))?;
            return Ok(Node::Matches(Box::new(nodes.swap_remove(0)), pattern));
        }
        Ok(Node::Call(function, nodes))
    }
}

/// The dotted name that an access chain spells, if it is nothing else.
pub(super) fn dotted(expr: &Expr) -> Option<(String, bool)> {
    match &expr.kind {
        ExprKind::Ident { name, rooted } => Some((name.clone(), *rooted)),
        ExprKind::Select {
            operand,
            field,
            optional: Optional::No,
        } => {
            let (prefix, rooted) = dotted(operand)?;
            Some((format!("{prefix}.{field}"), rooted))
        }
        _ => None,
    }
}

fn type_constant(name: &str) -> &'static str {
    const NAMES: [&str; 11] = [
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
        "optional_type",
    ];
    NAMES
        .iter()
        .find(|known| **known == name)
        .copied()
        .unwrap_or("dyn")
}
