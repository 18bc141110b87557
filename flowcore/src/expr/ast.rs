//! The syntax tree of an expression, names still unresolved.

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    In,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    /// Byte offset in the text, for messages.
    pub(crate) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExprKind {
    Literal(Literal),
    /// A name; `rooted` when written with a leading dot.
    Ident {
        name: String,
        rooted: bool,
    },
    Select {
        operand: Box<Expr>,
        field: String,
        optional: Optional,
    },
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: Optional,
    },
    Not(Box<Expr>),
    Neg(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    List(Vec<(Expr, Optional)>),
    Map(Vec<(Expr, Expr, Optional)>),
    /// `Name{field: value}`: a protobuf message, which JSON has none of.
    Message(String),
    /// A function `f(args)` or a method `target.f(args)`.
    Call {
        target: Option<Box<Expr>>,
        name: String,
        args: Vec<Expr>,
    },
}

/// Whether an access or element was written with `?` (optional syntax).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optional {
    No,
    Yes,
}
