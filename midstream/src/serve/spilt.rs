//! An entry of a sink as a record on disk.

/// An entry as it is on disk.
pub(super) struct Spilt<'a> {
    pub lane: &'a str,
    pub number: u64,
    pub line: &'a str,
}

impl<'a> Spilt<'a> {
    pub fn write(&self) -> Vec<u8> {
        let mut record = self.number.to_le_bytes().to_vec();
        record.push(self.lane.len().min(255) as u8);
        record.extend_from_slice(self.lane.as_bytes());
        record.extend_from_slice(self.line.as_bytes());
        record
    }

    pub fn read(record: &'a [u8]) -> Option<Self> {
        let (number, rest) = record.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (lane, line) = rest.split_at_checked(usize::from(*length))?;
        Some(Self {
            lane: std::str::from_utf8(lane).ok()?,
            number: u64::from_le_bytes(*number),
            line: std::str::from_utf8(line).ok()?,
        })
    }
}
