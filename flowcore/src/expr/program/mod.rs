//! A program: what a syntax tree compiles to. Nothing is looked up by name while it runs.

mod compile;
mod macros;

use super::ast::{Binary, Literal};
use super::function::Function;

pub(crate) use compile::compile;

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
