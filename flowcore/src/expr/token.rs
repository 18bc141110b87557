//! Splits the text of an expression into tokens.

use super::ExprError;

/// One token with the byte offset where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Int(i64),
    /// 9223372036854775808, legal only right after a minus.
    IntMinMagnitude,
    Uint(u64),
    Double(f64),
    Str(String),
    Bytes(Vec<u8>),
    Ident(String),
    /// `` `field name` ``: a field that is no identifier.
    Quoted(String),
    Op(&'static str),
    End,
}

const OPERATORS: [&str; 26] = [
    "&&", "||", "<=", ">=", "==", "!=", "[?", ".?", "(", ")", "[", "]", "{", "}", ".", ",", ":",
    "?", "<", ">", "+", "-", "*", "/", "%", "!",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, ExprError> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        pos: 0,
    };
    let mut out = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.kind == Kind::End;
        out.push(token);
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    pos: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.pos + ahead).copied().unwrap_or(0)
    }

    fn error(&self, at: usize, message: &str) -> ExprError {
        ExprError::Syntax {
            at,
            message: message.to_owned(),
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0c => self.pos += 1,
                b'/' if self.peek(1) == b'/' => {
                    while self.pos < self.bytes.len() && self.peek(0) != b'\n' {
                        self.pos += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Result<Token, ExprError> {
        self.skip_blanks();
        let at = self.pos;
        if at >= self.bytes.len() {
            return Ok(Token {
                kind: Kind::End,
                at,
            });
        }
        let kind = match self.peek(0) {
            b'0'..=b'9' => self.number()?,
            b'.' if self.peek(1).is_ascii_digit() => self.number()?,
            b'"' | b'\'' => Kind::Str(self.string(false)?),
            b'`' => self.quoted()?,
            c if c.is_ascii_alphabetic() || c == b'_' => self.word()?,
            _ => self.operator()?,
        };
        Ok(Token { kind, at })
    }

    fn operator(&mut self) -> Result<Kind, ExprError> {
        let rest = &self.bytes[self.pos..];
        for op in OPERATORS {
            if rest.starts_with(op.as_bytes()) {
                // `[?` and `.?` only where optional syntax can stand; `a[?b:c]` is no CEL.
                self.pos += op.len();
                return Ok(Kind::Op(op));
            }
        }
        let shown = self.text[self.pos..].chars().next().unwrap_or('?');
        Err(self.error(self.pos, &format!("unexpected character `{shown}`")))
    }

    fn quoted(&mut self) -> Result<Kind, ExprError> {
        let start = self.pos + 1;
        let Some(len) = self.text[start..].find('`') else {
            return Err(self.error(self.pos, "a back-quoted field has no end"));
        };
        let name = &self.text[start..start + len];
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-/ ".contains(c);
        if name.is_empty() || !name.chars().all(legal) {
            return Err(self.error(
                self.pos,
                "a back-quoted field holds letters, digits and `_.-/ `",
            ));
        }
        self.pos = start + len + 1;
        Ok(Kind::Quoted(name.to_owned()))
    }

    /// An identifier, or a string literal with a prefix (`r`, `b`, `rb`, `br`).
    fn word(&mut self) -> Result<Kind, ExprError> {
        let mut prefix = 0;
        while matches!(self.peek(prefix), b'r' | b'R' | b'b' | b'B') && prefix < 2 {
            prefix += 1;
        }
        if prefix > 0 && matches!(self.peek(prefix), b'"' | b'\'') {
            let letters = &self.bytes[self.pos..self.pos + prefix];
            let raw = letters.iter().any(|c| c.eq_ignore_ascii_case(&b'r'));
            let bytes = letters.iter().any(|c| c.eq_ignore_ascii_case(&b'b'));
            if prefix == 1 || raw && bytes {
                self.pos += prefix;
                return if bytes {
                    Ok(Kind::Bytes(self.bytes_literal(raw)?))
                } else {
                    Ok(Kind::Str(self.string(raw)?))
                };
            }
        }
        let start = self.pos;
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            self.pos += 1;
        }
        Ok(Kind::Ident(self.text[start..self.pos].to_owned()))
    }

    fn number(&mut self) -> Result<Kind, ExprError> {
        let at = self.pos;
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X') {
            self.pos += 2;
            let start = self.pos;
            while self.peek(0).is_ascii_hexdigit() {
                self.pos += 1;
            }
            let digits = &self.text[start..self.pos];
            let value = u64::from_str_radix(digits, 16)
                .map_err(|_| self.error(at, "not a 64-bit hexadecimal number"))?;
            return self.integer(at, value);
        }
        let mut float = false;
        while self.peek(0).is_ascii_digit() {
            self.pos += 1;
        }
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            float = true;
            self.pos += 1;
            while self.peek(0).is_ascii_digit() {
                self.pos += 1;
            }
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                float = true;
                self.pos += 1 + sign;
                while self.peek(0).is_ascii_digit() {
                    self.pos += 1;
                }
            }
        }
        let digits = &self.text[at..self.pos];
        if float {
            let value = digits
                .parse::<f64>()
                .map_err(|_| self.error(at, "not a number"))?;
            return Ok(Kind::Double(value));
        }
        let value = digits
            .parse::<u64>()
            .map_err(|_| self.error(at, "an integer literal has at most 64 bits"))?;
        self.integer(at, value)
    }

    fn integer(&mut self, at: usize, value: u64) -> Result<Kind, ExprError> {
        if matches!(self.peek(0), b'u' | b'U') {
            self.pos += 1;
            return Ok(Kind::Uint(value));
        }
        match i64::try_from(value) {
            Ok(value) => Ok(Kind::Int(value)),
            Err(_) if value == 1 << 63 => Ok(Kind::IntMinMagnitude),
            Err(_) => Err(self.error(at, "an integer literal does not fit 64 bits with sign")),
        }
    }

    /// The body between quotes (single or triple), with escapes still in it.
    fn body(&mut self, raw: bool) -> Result<(usize, usize), ExprError> {
        let at = self.pos;
        let quote = self.peek(0);
        let triple = self.peek(1) == quote && self.peek(2) == quote;
        let width = if triple { 3 } else { 1 };
        self.pos += width;
        let start = self.pos;
        loop {
            let c = self.peek(0);
            if self.pos >= self.bytes.len() || (!triple && matches!(c, b'\n' | b'\r')) {
                return Err(self.error(at, "a string has no end"));
            }
            if c == b'\\' && !raw {
                self.pos += 2;
                continue;
            }
            let closes =
                c == quote && (!triple || (self.peek(1) == quote && self.peek(2) == quote));
            if closes {
                let end = self.pos;
                self.pos += width;
                return Ok((start, end));
            }
            self.pos += 1;
        }
    }

    fn string(&mut self, raw: bool) -> Result<String, ExprError> {
        let (start, end) = self.body(raw)?;
        let body = self
            .text
            .get(start..end)
            .ok_or_else(|| self.error(start, "a string has no end"))?;
        if raw || !body.contains('\\') {
            return Ok(body.to_owned());
        }
        let mut out = String::with_capacity(body.len());
        let mut rest = body;
        while let Some(slash) = rest.find('\\') {
            out.push_str(&rest[..slash]);
            rest = &rest[slash + 1..];
            let (code, used) =
                escape(rest).ok_or_else(|| self.error(start, "not an escape sequence"))?;
            let c = char::from_u32(code.value())
                .ok_or_else(|| self.error(start, "an escape names no character"))?;
            out.push(c);
            rest = &rest[used..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn bytes_literal(&mut self, raw: bool) -> Result<Vec<u8>, ExprError> {
        let (start, end) = self.body(raw)?;
        let body = self
            .text
            .get(start..end)
            .ok_or_else(|| self.error(start, "a string has no end"))?;
        if raw {
            return Ok(body.as_bytes().to_vec());
        }
        let mut out = Vec::with_capacity(body.len());
        let mut rest = body;
        while let Some(slash) = rest.find('\\') {
            out.extend_from_slice(&rest.as_bytes()[..slash]);
            rest = &rest[slash + 1..];
            let (code, used) =
                escape(rest).ok_or_else(|| self.error(start, "not an escape sequence"))?;
            match code {
                Escape::Octet(byte) => out.push(byte),
                Escape::Char(_) => return Err(self.error(start, "bytes take no \\u escape")),
            }
            rest = &rest[used..];
        }
        out.extend_from_slice(rest.as_bytes());
        Ok(out)
    }
}

enum Escape {
    /// From a letter, `\x` or octal digits: one byte in bytes, one code point in strings.
    Octet(u8),
    Char(u32),
}

impl Escape {
    fn value(&self) -> u32 {
        match self {
            Escape::Octet(byte) => u32::from(*byte),
            Escape::Char(code) => *code,
        }
    }
}

/// What follows a backslash, and how many bytes it takes.
fn escape(rest: &str) -> Option<(Escape, usize)> {
    let bytes = rest.as_bytes();
    let hex = |from: usize, len: usize| {
        let digits = rest.get(from..from + len)?;
        digits
            .bytes()
            .all(|c| c.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten()
    };
    let simple = |byte| Some((Escape::Octet(byte), 1));
    match *bytes.first()? {
        b'a' => simple(7),
        b'b' => simple(8),
        b'f' => simple(12),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'v' => simple(11),
        c @ (b'\\' | b'?' | b'"' | b'\'' | b'`') => simple(c),
        b'x' | b'X' => Some((Escape::Octet(u8::try_from(hex(1, 2)?).ok()?), 3)),
        b'u' => Some((Escape::Char(hex(1, 4)?), 5)),
        b'U' => Some((Escape::Char(hex(1, 8)?), 9)),
        b'0'..=b'3' => {
            let digits = rest.get(0..3)?;
            digits
                .bytes()
                .all(|c| (b'0'..=b'7').contains(&c))
                .then_some(())?;
            Some((Escape::Octet(u8::from_str_radix(digits, 8).ok()?), 3))
        }
        _ => None,
    }
}
