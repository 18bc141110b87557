//! A list as simple as it can be: one item a letter, in a vector, found by searching.

/// A letter: its replica and its number there.
pub type Id = (u64, u32);

#[derive(Clone)]
struct Item {
    id: Id,
    left: Option<Id>,
    right: Option<Id>,
    letter: char,
    deleted: bool,
}

/// FugueMax over a vector.
#[derive(Clone, Default)]
pub struct Model {
    replica: u64,
    items: Vec<Item>,
    next: u32,
}

impl Model {
    pub fn new(replica: u64) -> Self {
        Self {
            replica,
            ..Self::default()
        }
    }

    pub fn text(&self) -> String {
        let visible = self.items.iter().filter(|item| !item.deleted);
        visible.map(|item| item.letter).collect()
    }

    pub fn insert(&mut self, position: usize, text: &str) {
        for (offset, letter) in text.chars().enumerate() {
            let at = match (position + offset).checked_sub(1) {
                None => 0,
                Some(before) => self.visible(before) + 1,
            };
            let item = Item {
                id: (self.replica, self.next),
                left: at.checked_sub(1).map(|at| self.items[at].id),
                right: self.items.get(at).map(|item| item.id),
                letter,
                deleted: false,
            };
            self.next += 1;
            self.items.insert(at, item);
        }
    }

    pub fn delete(&mut self, position: usize, count: usize) {
        for _ in 0..count {
            let at = self.visible(position);
            self.items[at].deleted = true;
        }
    }

    /// Learns everything that the other knows.
    pub fn merge(&mut self, other: &Self) {
        let mut missing: Vec<&Item> = Vec::new();
        for item in &other.items {
            match self.find(item.id) {
                Some(at) => self.items[at].deleted |= item.deleted,
                None => missing.push(item),
            }
        }
        missing.sort_by_key(|item| item.id.1);
        while !missing.is_empty() {
            let before = missing.len();
            missing.retain(|item| {
                let first = (0..item.id.1).all(|number| self.find((item.id.0, number)).is_some());
                let sides = [item.left, item.right];
                let able = first && sides.iter().flatten().all(|id| self.find(*id).is_some());
                if able {
                    self.integrate((*item).clone());
                }
                !able
            });
            assert!(missing.len() < before, "the other is not closed");
        }
    }

    fn integrate(&mut self, item: Item) {
        let place = |id: Option<Id>| id.and_then(|id| self.find(id));
        let left = place(item.left);
        let right = place(item.right).unwrap_or(self.items.len());
        let first = left.map_or(0, |left| left + 1);
        let mut found = first;
        let mut scanning = false;
        for at in first..=self.items.len() {
            if !scanning {
                found = at;
            }
            if at == self.items.len() || at == right {
                break;
            }
            let other = &self.items[at];
            let other_left = place(other.left);
            let other_right = place(other.right).unwrap_or(self.items.len());
            let before = other_right == right && item.id.0 < other.id.0;
            if other_left < left || (other_left == left && before) {
                break;
            }
            if other_left == left {
                scanning = other_right < right;
            }
        }
        self.items.insert(found, item);
    }

    fn find(&self, id: Id) -> Option<usize> {
        self.items.iter().position(|item| item.id == id)
    }

    fn visible(&self, position: usize) -> usize {
        let items = self.items.iter().enumerate();
        let mut visible = items.filter(|(_, item)| !item.deleted);
        visible.nth(position).unwrap().0
    }
}
