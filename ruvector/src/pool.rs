//! The nearest candidates so far, in one sorted list.
//!
//! For the sizes that searches use (tens to a few hundred) a sorted list in one or two pages beats
//! heaps: the worst is at the end.

/// A candidate with its distance (lower is nearer).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub distance: f32,
    slot: u32,
}

impl Near {
    pub fn new(distance: f32, slot: u32) -> Self {
        Self { distance, slot }
    }

    #[inline(always)]
    pub fn slot(self) -> u32 {
        self.slot
    }
}

/// The `room` nearest candidates, ascending by distance.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    items: Vec<Near>,
    room: usize,
    worst: f32,
}

impl Pool {
    pub fn reset(&mut self, room: usize) {
        self.items.clear();
        self.items.reserve(room + 1);
        self.room = room;
        self.worst = f32::INFINITY;
    }

    pub fn items(&self) -> &[Near] {
        &self.items
    }

    /// Keeps the candidate if it is near enough.
    #[inline(always)]
    pub fn insert(&mut self, distance: f32, slot: u32) {
        if distance >= self.worst {
            return;
        }
        let at = self.items.partition_point(|near| near.distance <= distance);
        if self.items.len() == self.room {
            self.items.pop();
        }
        self.items.insert(at, Near::new(distance, slot));
        if self.items.len() == self.room {
            self.worst = self
                .items
                .last()
                .map_or(f32::INFINITY, |near| near.distance);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_sorting_keeps(distances in proptest::collection::vec(0_u16..50, 0..200), room in 1_usize..30) {
            let mut pool = Pool::default();
            pool.reset(room);
            for (slot, distance) in distances.iter().enumerate() {
                pool.insert(f32::from(*distance), slot as u32);
            }
            let mut sorted: Vec<(u16, u32)> = distances.iter().copied().zip(0..).collect();
            sorted.sort_unstable();
            sorted.truncate(room);
            let found: Vec<(u16, u32)> = pool.items().iter().map(|n| (n.distance as u16, n.slot())).collect();
            prop_assert_eq!(found, sorted);
        }
    }
}
