//! Operands: literals, names, lists, maps, calls and the accesses behind them.

use super::ExprError;
use super::ast::{Expr, ExprKind, Literal, Optional};
use super::parse::{DEPTH_MAX, Parsed, Parser, RESERVED};
use super::token::Kind;

impl Parser {
    pub(super) fn member(&mut self) -> Parsed {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    pub(super) fn postfix(&mut self, mut operand: Expr) -> Parsed {
        let mut chain = 0_usize;
        loop {
            let at = self.at();
            chain += 1;
            if chain > DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} accesses in a row");
                return Err(ExprError::Syntax { at, message });
            }
            if self.accept(".") || self.is(".?") {
                let optional = if self.accept(".?") {
                    Optional::Yes
                } else {
                    Optional::No
                };
                let quoted = matches!(self.kind(), Kind::Quoted(_));
                let field = self.field()?;
                if optional == Optional::No && !quoted && self.accept("(") {
                    let args = self.list(")")?;
                    operand = Expr {
                        kind: ExprKind::Call {
                            target: Some(Box::new(operand)),
                            name: field,
                            args,
                        },
                        at,
                    };
                } else {
                    operand = Expr {
                        kind: ExprKind::Select {
                            operand: Box::new(operand),
                            field,
                            optional,
                        },
                        at,
                    };
                }
            } else if self.is("[") || self.is("[?") {
                let optional = if self.is("[?") {
                    Optional::Yes
                } else {
                    Optional::No
                };
                self.take();
                let index = self.expression()?;
                self.expect("]")?;
                let kind = ExprKind::Index {
                    operand: Box::new(operand),
                    index: Box::new(index),
                    optional,
                };
                operand = Expr { kind, at };
            } else if self.is("{") && message_name(&operand).is_some() {
                let name = message_name(&operand).unwrap_or_default();
                self.skip_message()?;
                operand = Expr {
                    kind: ExprKind::Message(name),
                    at: operand.at,
                };
            } else {
                return Ok(operand);
            }
        }
    }

    /// Checks the fields of a message literal and forgets them.
    fn skip_message(&mut self) -> Result<(), ExprError> {
        self.expect("{")?;
        while !self.accept("}") {
            self.accept("?");
            self.field()?;
            self.expect(":")?;
            self.expression()?;
            if !self.accept(",") {
                self.expect("}")?;
                return Ok(());
            }
        }
        Ok(())
    }

    fn field(&mut self) -> Result<String, ExprError> {
        match self.kind() {
            Kind::Ident(_) | Kind::Quoted(_) => match self.take() {
                Kind::Ident(name) | Kind::Quoted(name) => Ok(name),
                _ => Ok(String::new()),
            },
            _ => Err(self.unexpected("a field name")),
        }
    }

    fn list(&mut self, close: &'static str) -> Result<Vec<Expr>, ExprError> {
        let mut items = Vec::new();
        while !self.accept(close) {
            items.push(self.expression()?);
            if !self.accept(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let literal = |value| {
            Ok(Expr {
                kind: ExprKind::Literal(value),
                at,
            })
        };
        if matches!(
            self.kind(),
            Kind::IntMinMagnitude | Kind::End | Kind::Quoted(_)
        ) {
            return Err(self.unexpected("a value"));
        }
        if let Kind::Op(op) = *self.kind() {
            return match op {
                "(" => {
                    self.take();
                    let inner = self.expression()?;
                    self.expect(")")?;
                    Ok(inner)
                }
                "[" | "[?" => self.list_literal(at),
                "{" => self.map_literal(at),
                "." => {
                    self.take();
                    self.name(at, true)
                }
                _ => Err(self.unexpected("a value")),
            };
        }
        match self.kind().clone() {
            Kind::Ident(name) if matches!(name.as_str(), "true" | "false" | "null") => {
                self.take();
                match name.as_str() {
                    "null" => literal(Literal::Null),
                    word => literal(Literal::Bool(word == "true")),
                }
            }
            Kind::Ident(_) => self.name(at, false),
            other => {
                self.take();
                match other {
                    Kind::Int(value) => literal(Literal::Int(value)),
                    Kind::Uint(value) => literal(Literal::Uint(value)),
                    Kind::Double(value) => literal(Literal::Double(value)),
                    Kind::Str(value) => literal(Literal::Str(value.into())),
                    Kind::Bytes(value) => literal(Literal::Bytes(value.into())),
                    _ => Err(self.unexpected("a value")),
                }
            }
        }
    }

    fn name(&mut self, at: usize, rooted: bool) -> Parsed {
        let Kind::Ident(name) = self.kind().clone() else {
            return Err(self.unexpected("a name"));
        };
        if RESERVED.contains(&name.as_str()) {
            return Err(ExprError::Syntax {
                at,
                message: format!("`{name}` is a reserved word"),
            });
        }
        self.take();
        if self.accept("(") {
            let args = self.list(")")?;
            return Ok(Expr {
                kind: ExprKind::Call {
                    target: None,
                    name,
                    args,
                },
                at,
            });
        }
        Ok(Expr {
            kind: ExprKind::Ident { name, rooted },
            at,
        })
    }

    fn list_literal(&mut self, at: usize) -> Parsed {
        let mut items = Vec::new();
        let mut optional = if self.is("[?") {
            Optional::Yes
        } else {
            Optional::No
        };
        self.take();
        while optional == Optional::Yes || !self.accept("]") {
            if self.accept("?") {
                optional = Optional::Yes;
            }
            items.push((self.expression()?, optional));
            optional = Optional::No;
            if !self.accept(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Expr {
            kind: ExprKind::List(items),
            at,
        })
    }

    fn map_literal(&mut self, at: usize) -> Parsed {
        let mut entries = Vec::new();
        self.take();
        while !self.accept("}") {
            let optional = if self.accept("?") {
                Optional::Yes
            } else {
                Optional::No
            };
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            entries.push((key, value, optional));
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr {
            kind: ExprKind::Map(entries),
            at,
        })
    }
}

/// `a.b.C` when the whole operand is a plain name: only such a thing can begin a message literal.
fn message_name(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Ident { name, .. } => Some(name.clone()),
        ExprKind::Select {
            operand,
            field,
            optional: Optional::No,
        } => Some(format!("{}.{field}", message_name(operand)?)),
        _ => None,
    }
}
