//! The nearest candidates so far, in one sorted list.
//!
//! For the sizes that searches use (tens to a few hundred) a sorted list in one or two pages beats
//! heaps: the worst is at the end, and the nearest that was not expanded is found by a cursor.

/// A candidate with its distance (lower is nearer).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub distance: f32,
    /// The slot; the top bit says that its neighbours were looked at.
    tagged: u32,
}

const EXPANDED: u32 = 1 << 31;

impl Near {
    pub fn new(distance: f32, slot: u32) -> Self {
        Self {
            distance,
            tagged: slot,
        }
    }

    #[inline(always)]
    pub fn slot(self) -> u32 {
        self.tagged & !EXPANDED
    }

    #[inline(always)]
    pub fn is_expanded(self) -> bool {
        self.tagged & EXPANDED != 0
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

    /// Keeps the candidate if it is near enough; returns its position, or the end.
    #[inline(always)]
    pub fn insert(&mut self, distance: f32, slot: u32) -> usize {
        if distance >= self.worst {
            return usize::MAX;
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
        at
    }

    /// Appends the nearest of another pool that pass the test; this pool is empty.
    pub fn extend(&mut self, other: &Self, test: impl Fn(u32) -> bool) {
        let near = other
            .items
            .iter()
            .map(|near| Near::new(near.distance, near.slot()));
        let room = self.room - self.items.len().min(self.room);
        self.items
            .extend(near.filter(|near| test(near.slot())).take(room));
    }

    /// The nearest candidate from `cursor` on that was not expanded, marked as expanded.
    #[inline(always)]
    pub fn next(&mut self, cursor: &mut usize) -> Option<u32> {
        while let Some(near) = self.items.get_mut(*cursor) {
            *cursor += 1;
            if !near.is_expanded() {
                near.tagged |= EXPANDED;
                return Some(near.slot());
            }
        }
        None
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
