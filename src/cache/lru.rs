//! What was used last stays: values with sizes, within a limit on their sum.

use std::collections::{BTreeMap, HashMap};

pub(super) struct Lru<V> {
    items: HashMap<u64, Item<V>>,
    /// Keys by when they were used.
    order: BTreeMap<u64, u64>,
    bytes: u64,
    limit: u64,
    uses: u64,
}

struct Item<V> {
    value: V,
    size: u64,
    used: u64,
    put_in: u64,
}

impl<V> Lru<V> {
    pub(super) fn new(limit: u64) -> Lru<V> {
        Lru { items: HashMap::new(), order: BTreeMap::new(), bytes: 0, limit, uses: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The largest value that it takes: one must not push out all others.
    pub(super) fn largest(&self) -> u64 {
        self.limit / 4
    }

    pub(super) fn contains(&self, key: u64) -> bool {
        self.items.contains_key(&key)
    }

    /// A value, which does not count as used.
    pub(super) fn peek(&self, key: u64) -> Option<&V> {
        self.items.get(&key).map(|item| &item.value)
    }

    pub(super) fn peek_mut(&mut self, key: u64) -> Option<&mut V> {
        self.items.get_mut(&key).map(|item| &mut item.value)
    }

    /// When a value was put in, by the same count as below.
    pub(super) fn put_in(&self, key: u64) -> Option<u64> {
        self.items.get(&key).map(|item| item.put_in)
    }

    /// When a value was used last, as a count of uses.
    pub(super) fn last_use(&self, key: u64) -> Option<u64> {
        self.items.get(&key).map(|item| item.used)
    }

    /// Uses a value.
    pub(super) fn get(&mut self, key: u64) -> Option<&mut V> {
        self.uses += 1;
        let item = self.items.get_mut(&key)?;
        self.order.remove(&item.used);
        item.used = self.uses;
        self.order.insert(item.used, key);
        Some(&mut item.value)
    }

    /// Puts a value in, or in the place of another; gives the keys that had to go.
    pub(super) fn insert(&mut self, key: u64, size: u64, value: V) -> Vec<u64> {
        self.remove(key);
        self.uses += 1;
        self.items.insert(key, Item { value, size, used: self.uses, put_in: self.uses });
        self.order.insert(self.uses, key);
        self.bytes += size;
        let mut gone = Vec::new();
        while self.bytes > self.limit {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            gone.push(*oldest);
            self.remove(*oldest);
        }
        gone
    }

    pub(super) fn remove(&mut self, key: u64) -> bool {
        let Some(item) = self.items.remove(&key) else { return false };
        self.order.remove(&item.used);
        self.bytes -= item.size;
        true
    }

    /// Takes everything out; gives the keys.
    pub(super) fn clear(&mut self) -> Vec<u64> {
        self.order.clear();
        self.bytes = 0;
        self.items.drain().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut lru = Lru::new(100);
        assert!(lru.insert(1, 40, 'a').is_empty() && lru.insert(2, 40, 'b').is_empty());
        assert_eq!(lru.get(1), Some(&mut 'a'));
        assert_eq!(lru.insert(3, 30, 'c'), [2]);
        assert_eq!((lru.bytes(), lru.contains(2), lru.get(2)), (70, false, None));
        assert!(lru.insert(1, 10, 'd').is_empty(), "in place of the other");
        assert_eq!((lru.bytes(), lru.get(1)), (40, Some(&mut 'd')));
        assert!(lru.remove(3) && !lru.remove(3));
        assert_eq!((lru.clear(), lru.bytes()), (vec![1], 0));
        assert_eq!(lru.insert(9, 101, 'x'), [9], "too large by itself");
    }
}
