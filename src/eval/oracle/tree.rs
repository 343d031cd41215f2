//! Changes of replicas on the ways of a search, each with the one before: ways share what they have in common.

/// The first change of all: the replicas of the start.
pub(super) const ROOT: u32 = 0;

#[derive(Clone, Copy, Debug)]
struct Change {
    before: u32,
    step: u32,
    replicas: u32,
}

/// All changes that some way may still need.
#[derive(Debug)]
pub(super) struct Tree {
    changes: Vec<Change>,
    /// It is cleared when it has grown to so many.
    clear_at: usize,
}

impl Tree {
    /// Clearing is worth its while from so many changes on.
    const LEAST: usize = 1 << 16;

    pub(super) fn new(replicas: u32) -> Self {
        Self { changes: vec![Change { before: ROOT, step: 0, replicas }], clear_at: Self::LEAST }
    }

    /// After change `before` there are so many replicas from `step` on.
    pub(super) fn add(&mut self, before: u32, step: usize, replicas: u32) -> u32 {
        self.changes.push(Change { before, step: step as u32, replicas });
        self.changes.len() as u32 - 1
    }

    /// Whether there is enough to forget.
    pub(super) fn is_full(&self) -> bool {
        self.changes.len() >= self.clear_at
    }

    /// Forgets what none of `used` needs, which get new numbers.
    pub(super) fn clear(&mut self, used: &mut [&mut u32]) {
        let mut needed = vec![false; self.changes.len()];
        needed[ROOT as usize] = true;
        for number in used.iter() {
            needed[**number as usize] = true;
        }
        for number in (1..self.changes.len()).rev() {
            if needed[number] {
                needed[self.changes[number].before as usize] = true;
            }
        }
        let mut new_number = vec![0u32; self.changes.len()];
        let mut kept = 0;
        for number in 0..self.changes.len() {
            if needed[number] {
                let change = self.changes[number];
                self.changes[kept] = Change { before: new_number[change.before as usize], ..change };
                new_number[number] = kept as u32;
                kept += 1;
            }
        }
        self.changes.truncate(kept);
        for number in used.iter_mut() {
            **number = new_number[**number as usize];
        }
        self.clear_at = (2 * kept).max(Self::LEAST);
    }

    /// Replicas in each of `steps` steps on the way that ends with a change.
    pub(super) fn replicas(&self, last: u32, steps: usize) -> Vec<u32> {
        let mut replicas = vec![0; steps];
        let (mut until, mut number) = (steps, last);
        loop {
            let change = self.changes[number as usize];
            let from = (change.step as usize).min(until);
            replicas[from..until].fill(change.replicas);
            until = from;
            if number == ROOT {
                return replicas;
            }
            number = change.before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_found_again_after_what_nobody_needs_was_forgotten() {
        let mut tree = Tree::new(3);
        let shared = tree.add(ROOT, 2, 5);
        tree.add(shared, 3, 9);
        let mut last = tree.add(shared, 4, 1);
        assert_eq!(tree.replicas(last, 6), [3, 3, 5, 5, 1, 1]);
        let before = last;
        tree.clear(&mut [&mut last]);
        assert_ne!(last, before);
        assert_eq!(tree.changes.len(), 3);
        assert_eq!(tree.replicas(last, 6), [3, 3, 5, 5, 1, 1]);
    }
}
