//! Recursive descent over CEL's grammar. Nesting is bounded, so no text overflows the stack.

use super::ExprError;
use super::ast::{Binary, Expr, ExprKind, Literal};
use super::token::{Kind, Token, tokens};

/// Deepest nesting of parentheses, lists, calls and operators.
pub(crate) const DEPTH_MAX: usize = 160;
/// Longest text of one expression, in bytes.
pub(crate) const TEXT_LEN_MAX: usize = 64 * 1024;

pub(super) const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
    "true",
    "false",
    "null",
];

pub(crate) fn parse(text: &str) -> Result<Expr, ExprError> {
    if text.len() > TEXT_LEN_MAX {
        let message = format!(
            "the expression has {} bytes, the limit is {TEXT_LEN_MAX}",
            text.len()
        );
        return Err(ExprError::Syntax {
            at: TEXT_LEN_MAX,
            message,
        });
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        pos: 0,
        depth: 0,
    };
    let expr = parser.expression()?;
    if *parser.kind() != Kind::End {
        return Err(parser.unexpected("the end"));
    }
    Ok(expr)
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    pos: usize,
    depth: usize,
}

pub(super) type Parsed = Result<Expr, ExprError>;

impl Parser {
    pub(super) fn kind(&self) -> &Kind {
        &self.tokens[self.pos].kind
    }

    pub(super) fn at(&self) -> usize {
        self.tokens[self.pos].at
    }

    pub(super) fn take(&mut self) -> Kind {
        let kind = self.tokens[self.pos].kind.clone();
        if self.pos + 1 < self.tokens.len() {
            self.pos += 1;
        }
        kind
    }

    pub(super) fn is(&self, op: &str) -> bool {
        matches!(self.kind(), Kind::Op(found) if *found == op)
    }

    pub(super) fn accept(&mut self, op: &str) -> bool {
        let found = self.is(op);
        if found {
            self.take();
        }
        found
    }

    pub(super) fn expect(&mut self, op: &str) -> Result<(), ExprError> {
        if self.accept(op) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{op}`")))
        }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> ExprError {
        let found = match self.kind() {
            Kind::End => "the end".to_owned(),
            Kind::Op(op) => format!("`{op}`"),
            Kind::Ident(name) => format!("`{name}`"),
            Kind::Str(_) => "a string".to_owned(),
            _ => "a literal".to_owned(),
        };
        ExprError::Syntax {
            at: self.at(),
            message: format!("expected {wanted}, found {found}"),
        }
    }

    pub(super) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ExprError>,
    ) -> Result<T, ExprError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(ExprError::Syntax {
                at: self.at(),
                message,
            });
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub(super) fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let at = parser.at();
            let condition = parser.or()?;
            if !parser.accept("?") {
                return Ok(condition);
            }
            let then = parser.or()?;
            parser.expect(":")?;
            let otherwise = parser.expression()?;
            let kind =
                ExprKind::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise));
            Ok(Expr { kind, at })
        })
    }

    fn or(&mut self) -> Parsed {
        let mut terms = vec![self.and()?];
        while self.accept("||") {
            terms.push(self.and()?);
        }
        Ok(balanced(terms, ExprKind::Or))
    }

    fn and(&mut self) -> Parsed {
        let mut terms = vec![self.relation()?];
        while self.accept("&&") {
            terms.push(self.relation()?);
        }
        Ok(balanced(terms, ExprKind::And))
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.addition()?;
        loop {
            let op = match self.kind() {
                Kind::Op("<") => Binary::Lt,
                Kind::Op("<=") => Binary::Le,
                Kind::Op(">") => Binary::Gt,
                Kind::Op(">=") => Binary::Ge,
                Kind::Op("==") => Binary::Eq,
                Kind::Op("!=") => Binary::Ne,
                Kind::Ident(name) if name == "in" => Binary::In,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::addition)?;
        }
    }

    fn addition(&mut self) -> Parsed {
        let mut left = self.multiplication()?;
        loop {
            let op = match self.kind() {
                Kind::Op("+") => Binary::Add,
                Kind::Op("-") => Binary::Sub,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::multiplication)?;
        }
    }

    fn multiplication(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let op = match self.kind() {
                Kind::Op("*") => Binary::Mul,
                Kind::Op("/") => Binary::Div,
                Kind::Op("%") => Binary::Rem,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::unary)?;
        }
    }

    fn binary(&mut self, op: Binary, left: Expr, right: fn(&mut Self) -> Parsed) -> Parsed {
        let at = self.at();
        self.take();
        if tree_depth_left(&left) > DEPTH_MAX {
            let message =
                format!("more than {DEPTH_MAX} operators in a row; use parentheses or a list");
            return Err(ExprError::Syntax { at, message });
        }
        let right = right(self)?;
        Ok(Expr {
            kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
            at,
        })
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at();
        if self.is("!") {
            let mut count = 0_usize;
            while self.accept("!") {
                count += 1;
            }
            let operand = self.member()?;
            let once = Expr {
                kind: ExprKind::Not(Box::new(operand)),
                at,
            };
            // An even run of `!` must still check that the operand is a boolean.
            return Ok(if count % 2 == 1 {
                once
            } else {
                Expr {
                    kind: ExprKind::Not(Box::new(once)),
                    at,
                }
            });
        }
        if self.is("-") {
            self.take();
            let mut count = 1_usize;
            while self.accept("-") {
                count += 1;
            }
            if count == 1 && *self.kind() == Kind::IntMinMagnitude {
                self.take();
                return self.postfix(Expr {
                    kind: ExprKind::Literal(Literal::Int(i64::MIN)),
                    at,
                });
            }
            if count == 1 {
                // `-5.method()` binds the minus to the literal.
                match *self.kind() {
                    Kind::Int(value) => {
                        self.take();
                        return self.postfix(Expr {
                            kind: ExprKind::Literal(Literal::Int(-value)),
                            at,
                        });
                    }
                    Kind::Double(value) => {
                        self.take();
                        return self.postfix(Expr {
                            kind: ExprKind::Literal(Literal::Double(-value)),
                            at,
                        });
                    }
                    _ => {}
                }
            }
            let operand = self.member()?;
            let once = Expr {
                kind: ExprKind::Neg(Box::new(operand)),
                at,
            };
            return Ok(if count % 2 == 1 {
                once
            } else {
                Expr {
                    kind: ExprKind::Neg(Box::new(once)),
                    at,
                }
            });
        }
        self.member()
    }
}

/// `a || b || c || d` as a balanced tree: long chains must not be deep.
fn balanced(mut terms: Vec<Expr>, join: fn(Box<Expr>, Box<Expr>) -> ExprKind) -> Expr {
    while terms.len() > 1 {
        let mut next = Vec::with_capacity(terms.len().div_ceil(2));
        let mut pending = terms.into_iter();
        while let Some(left) = pending.next() {
            match pending.next() {
                Some(right) => {
                    let at = left.at;
                    next.push(Expr {
                        kind: join(Box::new(left), Box::new(right)),
                        at,
                    });
                }
                None => next.push(left),
            }
        }
        terms = next;
    }
    terms.pop().unwrap_or(Expr {
        kind: ExprKind::Literal(Literal::Null),
        at: 0,
    })
}

fn tree_depth_left(expr: &Expr) -> usize {
    let mut depth = 0;
    let mut node = expr;
    while let ExprKind::Binary(_, left, _) = &node.kind {
        depth += 1;
        node = left;
    }
    depth
}
