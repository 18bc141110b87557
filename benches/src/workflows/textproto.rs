//! Reads protobuf text format without a schema: a message is a list of named fields.

/// One field of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub value: Item,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Message(Message),
    /// A string, as the bytes that it stands for.
    Text(Vec<u8>),
    /// A number, an enum name, `true`, `inf`, …, as written.
    Word(String),
}

/// Fields in the order of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message(pub Vec<Field>);

impl Message {
    pub fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Item> {
        self.0
            .iter()
            .filter(move |field| field.name == name)
            .map(|field| &field.value)
    }

    pub fn get<'m>(&'m self, name: &'m str) -> Option<&'m Item> {
        self.all(name).next()
    }

    pub fn message<'m>(&'m self, name: &'m str) -> Option<&'m Message> {
        match self.get(name) {
            Some(Item::Message(message)) => Some(message),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Item::Text(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    pub fn word(&self, name: &str) -> Option<&str> {
        match self
            .0
            .iter()
            .find(|field| field.name == name)
            .map(|field| &field.value)
        {
            Some(Item::Word(word)) => Some(word),
            _ => None,
        }
    }
}

pub fn parse(text: &str) -> Result<Message, String> {
    let mut parser = Parser {
        bytes: text.as_bytes(),
        pos: 0,
    };
    let message = parser.fields(None)?;
    Ok(message)
}

struct Parser<'t> {
    bytes: &'t [u8],
    pos: usize,
}

impl Parser<'_> {
    fn error(&self, message: &str) -> String {
        let line = self.bytes[..self.pos.min(self.bytes.len())]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("line {line}: {message}")
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                while self.peek().is_some_and(|byte| byte != b'\n') {
                    self.pos += 1;
                }
            } else if byte.is_ascii_whitespace() || byte == b',' || byte == b';' {
                self.pos += 1;
            } else {
                return;
            }
        }
    }

    fn fields(&mut self, close: Option<u8>) -> Result<Message, String> {
        let mut fields = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None if close.is_none() => return Ok(Message(fields)),
                None => return Err(self.error("a message has no end")),
                found if found == close => {
                    self.pos += 1;
                    return Ok(Message(fields));
                }
                Some(_) => {}
            }
            let name = self.name()?;
            self.skip();
            if self.peek() == Some(b':') {
                self.pos += 1;
                self.skip();
            }
            if self.peek() == Some(b'[') {
                self.pos += 1;
                loop {
                    self.skip();
                    if self.peek() == Some(b']') {
                        self.pos += 1;
                        break;
                    }
                    let value = self.value()?;
                    fields.push(Field {
                        name: name.clone(),
                        value,
                    });
                }
            } else {
                let value = self.value()?;
                fields.push(Field { name, value });
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let start = self.pos;
        if self.peek() == Some(b'[') {
            while self.peek().is_some_and(|byte| byte != b']') {
                self.pos += 1;
            }
            self.pos += 1;
        } else {
            while self
                .peek()
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                self.pos += 1;
            }
        }
        if self.pos == start {
            return Err(self.error("expected the name of a field"));
        }
        Ok(
            String::from_utf8_lossy(&self.bytes[start..self.pos.min(self.bytes.len())])
                .into_owned(),
        )
    }

    fn value(&mut self) -> Result<Item, String> {
        match self.peek() {
            Some(b'{') => {
                self.pos += 1;
                Ok(Item::Message(self.fields(Some(b'}'))?))
            }
            Some(b'<') => {
                self.pos += 1;
                Ok(Item::Message(self.fields(Some(b'>'))?))
            }
            Some(b'"' | b'\'') => {
                let mut bytes = Vec::new();
                while let Some(quote @ (b'"' | b'\'')) = self.peek() {
                    self.string(quote, &mut bytes)?;
                    self.skip();
                }
                Ok(Item::Text(bytes))
            }
            // A sign may stand apart from its number.
            Some(b'-')
                if self
                    .bytes
                    .get(self.pos + 1)
                    .is_some_and(u8::is_ascii_whitespace) =>
            {
                self.pos += 1;
                self.skip();
                match self.value()? {
                    Item::Word(word) => Ok(Item::Word(format!("-{word}"))),
                    _ => Err(self.error("expected a number")),
                }
            }
            Some(_) => {
                let start = self.pos;
                let word = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
                while self.peek().is_some_and(word) {
                    self.pos += 1;
                }
                if self.pos == start {
                    return Err(self.error("expected a value"));
                }
                Ok(Item::Word(
                    String::from_utf8_lossy(&self.bytes[start..self.pos]).into_owned(),
                ))
            }
            None => Err(self.error("expected a value")),
        }
    }

    fn string(&mut self, quote: u8, out: &mut Vec<u8>) -> Result<(), String> {
        self.pos += 1;
        loop {
            let byte = self
                .peek()
                .ok_or_else(|| self.error("a string has no end"))?;
            self.pos += 1;
            if byte == quote {
                return Ok(());
            }
            if byte != b'\\' {
                out.push(byte);
                continue;
            }
            let escape = self
                .peek()
                .ok_or_else(|| self.error("a string has no end"))?;
            self.pos += 1;
            match escape {
                b'a' => out.push(7),
                b'b' => out.push(8),
                b'f' => out.push(12),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'v' => out.push(11),
                b'0'..=b'7' => {
                    self.pos -= 1;
                    out.push(self.digits(8, 3)? as u8);
                }
                b'x' | b'X' => out.push(self.digits(16, 2)? as u8),
                b'u' | b'U' => {
                    let code = self.digits(16, if escape == b'u' { 4 } else { 8 })?;
                    let c = char::from_u32(code)
                        .ok_or_else(|| self.error("an escape names no character"))?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                other => out.push(other),
            }
        }
    }

    fn digits(&mut self, radix: u32, most: usize) -> Result<u32, String> {
        let mut value = 0;
        let mut count = 0;
        while count < most
            && let Some(digit) = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(radix))
        {
            value = value * radix + digit;
            self.pos += 1;
            count += 1;
        }
        if count == 0 {
            Err(self.error("an escape has no digits"))
        } else {
            Ok(value)
        }
    }
}
