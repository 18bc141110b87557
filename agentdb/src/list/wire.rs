//! Numbers as bytes.

use super::error::ListError;

/// Appends an unsigned number, seven bits a byte, the lowest first (LEB128).
pub(super) fn put(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends how far `number` is from `near`, small distances either way being short (zigzag).
pub(super) fn put_near(out: &mut Vec<u8>, number: u32, near: u32) {
    let distance = i64::from(number) - i64::from(near);
    put(out, ((distance << 1) ^ (distance >> 63)) as u64);
}

/// Reads from bytes that no one vouches for.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The error that says where reading stands.
    pub(super) fn wrong(&self, cause: &'static str) -> ListError {
        ListError::Malformed {
            offset: self.at,
            cause,
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, ListError> {
        let byte = self.bytes.get(self.at).copied();
        let byte = byte.ok_or_else(|| self.wrong("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, ListError> {
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
    pub(super) fn small(&mut self) -> Result<u32, ListError> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| self.wrong("a number has more than 32 bits"))
    }

    /// A count of things of which each takes at least so many further bytes.
    pub(super) fn count(&mut self, each: usize) -> Result<usize, ListError> {
        let count = self.small()? as usize;
        if count.saturating_mul(each) > self.left() {
            return Err(self.wrong("it counts more than it has bytes for"));
        }
        Ok(count)
    }

    /// What [`put_near`] wrote.
    pub(super) fn near(&mut self, near: u32) -> Result<u32, ListError> {
        let number = self.number()?;
        let distance = (number >> 1) as i64 ^ -((number & 1) as i64);
        i64::from(near)
            .checked_add(distance)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| self.wrong("a number leaves the 32 bits"))
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// All that is left, as text.
    pub(super) fn text(self) -> Result<&'a str, ListError> {
        std::str::from_utf8(&self.bytes[self.at..]).map_err(|cause| ListError::Malformed {
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
