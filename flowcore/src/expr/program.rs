//! From the syntax tree to a program: names become slots, macros become loops over local slots,
//! functions become numbers. Nothing is looked up by name while a program runs.

use super::ExprError;
use super::ast::{Binary, Expr, ExprKind, Literal, Optional};
use super::function::Function;

/// Where the value of a name is found: `depth` scopes out, then entry `index` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Scopes outward from the innermost.
    pub depth: u16,
    /// Entry in that scope.
    pub index: u16,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Literal(Literal),
    Var(Slot),
    Local(u16),
    Type(&'static str),
    /// A name or function that nobody knows.
    Fail(Box<str>),
    Field(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    /// `a.?b` and `a[?b]`: a value or none.
    MaybeField(Box<Node>, Box<str>),
    MaybeIndex(Box<Node>, Box<Node>),
    /// A value that `?` marks: only as an element of a list or the value of a map.
    Spread(Box<Node>),
    /// `x.or(y)` and `x.orValue(y)`: `y` is evaluated only when `x` is none.
    OrElse(Box<(Node, Node)>, Otherwise),
    /// `x.optMap(v, y)` and `x.optFlatMap(v, y)`.
    OptMap(Box<(u16, Node, Node)>, Otherwise),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Neg(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Conditional(Box<(Node, Node, Node)>),
    Binary(Binary, Box<(Node, Node)>),
    /// `a.b == 'x'`, the commonest condition, without intermediate values.
    FieldIs {
        slot: Slot,
        field: Box<str>,
        text: Box<str>,
        wanted: Equality,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Call(Function, Vec<Node>),
    /// `matches` with a constant pattern, compiled once.
    Matches(Box<Node>, regex_lite::Regex),
    Fold(Box<Fold>),
    Bind(Box<(u16, Node, Node)>),
}

/// Whether the second part of an optional gives a value or another optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Value,
    Optional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Equality {
    Equal,
    Different,
}

#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub(crate) kind: FoldKind,
    pub(crate) range: Node,
    /// Local of the element (or of the index/key in the two-variable forms).
    pub(crate) first: u16,
    /// Local of the value in the two-variable forms.
    pub(crate) second: Option<u16>,
    /// The predicate (or `true`).
    pub(crate) test: Node,
    /// What `map`-like macros collect.
    pub(crate) result: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformMap,
    TransformMapEntry,
}

/// Gives names their slots.
pub(crate) trait Names {
    fn slot(&self, name: &str) -> Option<Slot>;
    /// What becomes of unknown names and functions.
    fn unknown(&self) -> Unknown {
        Unknown::Refuse
    }
    /// Extra explanation for an unknown name.
    fn explain(&self, name: &str) -> String {
        format!("unknown name `{name}`")
    }
}

/// What the compiler does with a name or function that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The text is refused.
    Refuse,
    /// It is an error when evaluation reaches it.
    FailWhenReached,
}

pub(crate) fn compile(expr: &Expr, names: &dyn Names) -> Result<(Node, u16), ExprError> {
    let mut compiler = Compiler {
        names,
        locals: Vec::new(),
        locals_max: 0,
    };
    let node = compiler.node(expr)?;
    Ok((node, compiler.locals_max))
}

struct Compiler<'n> {
    names: &'n dyn Names,
    locals: Vec<String>,
    locals_max: u16,
}

type Compiled = Result<Node, ExprError>;

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, ExprError> {
    Err(ExprError::Syntax {
        at,
        message: message.into(),
    })
}

impl Compiler<'_> {
    fn boxed(&mut self, expr: &Expr) -> Result<Box<Node>, ExprError> {
        Ok(Box::new(self.node(expr)?))
    }

    fn node(&mut self, expr: &Expr) -> Compiled {
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

    fn local(&self, name: &str) -> Option<u16> {
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

    fn with_locals<T>(
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
            let pattern = super::function::pattern(text);
            let pattern = pattern.or_else(|message| fail(at, message))?;
            return Ok(Node::Matches(Box::new(nodes.swap_remove(0)), pattern));
        }
        Ok(Node::Call(function, nodes))
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

    fn macro_call(
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

/// The dotted name that an access chain spells, if it is nothing else.
fn dotted(expr: &Expr) -> Option<(String, bool)> {
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
