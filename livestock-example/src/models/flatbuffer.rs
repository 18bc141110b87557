//! Reading a FlatBuffer without generated code: every offset is checked, nothing is copied.

/// Why a read failed.
pub(super) type Result<T> = std::result::Result<T, String>;

/// A table: its position, and through its vtable those of its fields.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Table<'a> {
    /// The table that a file begins with.
    pub fn root(bytes: &'a [u8]) -> Result<Self> {
        let at = u32_at(bytes, 0)? as usize;
        Ok(Self { bytes, at })
    }

    /// Where field number `slot` is; none when it has its default.
    fn field(&self, slot: usize) -> Result<Option<usize>> {
        let back = i32_at(self.bytes, self.at)?;
        let vtable = (self.at as i64 - i64::from(back))
            .try_into()
            .map_err(|_| damaged(self.at))?;
        let size = u16_at(self.bytes, vtable)? as usize;
        let entry = 4 + 2 * slot;
        if entry + 2 > size {
            return Ok(None);
        }
        let offset = u16_at(self.bytes, vtable + entry)? as usize;
        Ok((offset != 0).then_some(self.at + offset))
    }

    /// A byte, or `default`.
    pub fn byte(&self, slot: usize, default: u8) -> Result<u8> {
        let Some(at) = self.field(slot)? else {
            return Ok(default);
        };
        self.bytes.get(at).copied().ok_or_else(|| damaged(at))
    }

    /// A number, or `default`.
    pub fn int(&self, slot: usize, default: i32) -> Result<i32> {
        self.field(slot)?
            .map_or(Ok(default), |at| i32_at(self.bytes, at))
    }

    /// A table inside.
    pub fn table(&self, slot: usize) -> Result<Option<Self>> {
        let Some(at) = self.field(slot)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            bytes: self.bytes,
            at: follow(self.bytes, at)?,
        }))
    }

    /// The position and length of a vector; empty when absent.
    fn vector(&self, slot: usize, width: usize) -> Result<(usize, usize)> {
        let Some(at) = self.field(slot)? else {
            return Ok((0, 0));
        };
        let start = follow(self.bytes, at)?;
        let length = u32_at(self.bytes, start)? as usize;
        let end = length
            .checked_mul(width)
            .and_then(|bytes| bytes.checked_add(start + 4));
        match end {
            Some(end) if end <= self.bytes.len() => Ok((start + 4, length)),
            _ => Err(damaged(start)),
        }
    }

    /// A vector of bytes.
    pub fn bytes(&self, slot: usize) -> Result<&'a [u8]> {
        let (start, length) = self.vector(slot, 1)?;
        Ok(&self.bytes[start..start + length])
    }

    /// A vector of numbers.
    pub fn ints(&self, slot: usize) -> Result<Vec<i32>> {
        let (start, length) = self.vector(slot, 4)?;
        (0..length)
            .map(|i| i32_at(self.bytes, start + 4 * i))
            .collect()
    }

    /// A vector of tables.
    pub fn tables(&self, slot: usize) -> Result<Vec<Self>> {
        let (start, length) = self.vector(slot, 4)?;
        (0..length)
            .map(|i| {
                Ok(Self {
                    bytes: self.bytes,
                    at: follow(self.bytes, start + 4 * i)?,
                })
            })
            .collect()
    }
}

fn damaged(at: usize) -> String {
    format!("an offset at byte {at} leads out of the file")
}

fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    at.checked_add(u32_at(bytes, at)? as usize)
        .ok_or_else(|| damaged(at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let part = at.checked_add(N).and_then(|end| bytes.get(at..end));
    part.and_then(|part| part.try_into().ok())
        .ok_or_else(|| damaged(at))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32> {
    array(bytes, at).map(i32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_out_of_the_file_are_errors() {
        assert!(Table::root(&[1, 0]).is_err());
        let table = Table::root(&[200, 0, 0, 0]).unwrap();
        assert!(table.int(0, 0).is_err());
        // A table whose vtable would begin before the file.
        let table = Table::root(&[4, 0, 0, 0, 9, 0, 0, 0]).unwrap();
        assert!(table.int(0, 0).is_err());
    }
}
