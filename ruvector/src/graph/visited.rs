//! Which slots a search has seen, cleared by counting up instead of writing.

/// One byte a slot; a slot was seen if its byte is the current epoch.
#[derive(Debug, Default)]
pub(super) struct Visited {
    marks: Vec<u8>,
    epoch: u8,
}

impl Visited {
    /// Forgets everything and makes room for `slots`.
    pub fn reset(&mut self, slots: usize) {
        if self.marks.len() < slots {
            self.marks.resize(slots, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.marks.fill(0);
            self.epoch = 1;
        }
    }

    /// Marks a slot; whether it was new.
    #[inline(always)]
    pub fn insert(&mut self, slot: u32) -> bool {
        match self.marks.get_mut(slot as usize) {
            Some(mark) if *mark != self.epoch => {
                *mark = self.epoch;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_forgets_also_when_the_epoch_wraps() {
        let mut visited = Visited::default();
        for round in 0..600 {
            visited.reset(4);
            assert!(visited.insert(round % 4));
            assert!(!visited.insert(round % 4));
            assert!(visited.insert((round + 1) % 4));
        }
        assert!(!visited.insert(4), "outside is never new");
    }
}
