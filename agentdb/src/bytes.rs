//! Numbers, texts and their like as bytes, and a reader that trusts none of them.

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where reading stopped.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) cause: &'static str,
}

/// Appends an unsigned number, seven bits a byte, the lowest first (LEB128).
pub(crate) fn put(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a signed number, small ones either way being short (zigzag).
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends how far `number` is from `near`.
pub(crate) fn put_near(out: &mut Vec<u8>, number: u32, near: u32) {
    put_signed(out, i64::from(number) - i64::from(near));
}

/// Appends a length and so many bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from bytes that no one vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The error that says where reading stands.
    pub(crate) fn wrong<E: From<Malformed>>(&self, cause: &'static str) -> E {
        E::from(Malformed {
            offset: self.at,
            cause,
        })
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.bytes.get(self.at).copied();
        let byte = byte.ok_or_else(|| self.wrong::<Malformed>("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.wrong("a number has more than 64 bits"))
    }

    /// A number that fits 32 bits.
    pub(crate) fn small(&mut self) -> Result<u32, Malformed> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| self.wrong::<Malformed>("a number has more than 32 bits"))
    }

    /// A count of things of which each takes at least so many further bytes.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = self.small()? as usize;
        if count.saturating_mul(each) > self.left() {
            return Err(self.wrong("it counts more than it has bytes for"));
        }
        Ok(count)
    }

    /// What [`put_signed`] wrote.
    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// What [`put_bytes`] wrote, at most so many.
    pub(crate) fn bytes(&mut self, limit: usize) -> Result<&'a [u8], Malformed> {
        let len = self.number()?;
        if len > limit as u64 {
            return Err(self.wrong("a length is above its limit"));
        }
        let end = self.at + len as usize;
        let Some(bytes) = self.bytes.get(self.at..end) else {
            return Err(self.wrong("it ends too early"));
        };
        self.at = end;
        Ok(bytes)
    }

    /// So many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let rest = &self.bytes[self.at..];
        let Some(bytes) = rest.first_chunk::<N>() else {
            return Err(self.wrong("it ends too early"));
        };
        self.at += N;
        Ok(*bytes)
    }

    /// A text of at most so many bytes.
    pub(crate) fn string(&mut self, limit: usize) -> Result<&'a str, Malformed> {
        let at = self.at;
        let bytes = self.bytes(limit)?;
        std::str::from_utf8(bytes).map_err(|_| Malformed {
            offset: at,
            cause: "a text is no UTF-8",
        })
    }

    /// What [`put_near`] wrote.
    pub(crate) fn near(&mut self, near: u32) -> Result<u32, Malformed> {
        let distance = self.signed()?;
        i64::from(near)
            .checked_add(distance)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| self.wrong::<Malformed>("a number leaves the 32 bits"))
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// All that is left, as text.
    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(&self.bytes[self.at..]).map_err(|cause| Malformed {
            offset: self.at + cause.valid_up_to(),
            cause: "the text is no UTF-8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, put, put_near};

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(Reader::new(&bytes).number().unwrap(), number);
        }
        for (number, near) in [(0, u32::MAX), (u32::MAX, 0), (5, 7), (7, 5), (9, 9)] {
            let mut bytes = Vec::new();
            put_near(&mut bytes, number, near);
            assert_eq!(Reader::new(&bytes).near(near).unwrap(), number);
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(Reader::new(&[0xff; 10]).number().is_err());
        assert!(Reader::new(&[0xff; 3]).number().is_err());
        assert!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x7f])
                .small()
                .is_err()
        );
        assert!(Reader::new(&[3, 1, 2]).count(1).is_err());
        assert!(Reader::new(&[1]).near(0).is_err());
    }
}
