//! Ways to have come so far that nothing beats: of two with as many replicas, the one with less backlog, less cost and an earlier end of its cold
//! hour beats the other.

/// One way to have come so far, with a given number of replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Way {
    /// Units that wait, less those that idle replicas could begin at once.
    pub(super) backlog: f64,
    /// Replica-seconds so far.
    pub(super) cost: f64,
    /// In which part of time launches cease to be cold restarts.
    pub(super) cold_until: u32,
    /// How many launches until then still are.
    pub(super) cold_left: u32,
    /// Replicas that have become ready in this step: they begin as many units at once, which may be late.
    pub(super) joined: u32,
    /// The last change of replicas on this way, in the tree of changes.
    pub(super) change: u32,
    /// It is only here to beat others: as good a way will be here in the next step.
    pub(super) ghost: bool,
}

/// What has been seen of ways with no more backlog than the next, by the part of time in which their cold hour ends: two of them for each part.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    seen: Vec<Seen>,
    now: u32,
    cold_restart: f64,
    bad_unit: f64,
}

/// The cheapest way, and the cheapest once it has paid for all cold restarts that it may still have to pay for.
#[derive(Clone, Copy, Debug)]
struct Seen {
    cheapest: (f64, f64),
    settled: (f64, f64),
}

impl Seen {
    const NOTHING: Self = Self { cheapest: (f64::INFINITY, f64::INFINITY), settled: (f64::INFINITY, f64::INFINITY) };

    /// Whether one of them beats a way of such costs.
    fn beats(&self, cost: f64, settled: f64) -> bool {
        [self.cheapest, self.settled].iter().any(|seen| seen.0 <= cost && seen.1 <= settled)
    }

    fn see(&mut self, cost: f64, settled: f64) {
        if (cost, settled) < self.cheapest {
            self.cheapest = (cost, settled);
        }
        if (settled, cost) < (self.settled.1, self.settled.0) {
            self.settled = (cost, settled);
        }
    }
}

impl Sieve {
    /// Begins anew. Launches in part `now` of time are warm from there on; a cold restart costs `cold_restart`,
    /// a bad unit `bad_unit`.
    pub(super) fn begin(&mut self, parts: usize, now: u32, cold_restart: f64, bad_unit: f64) {
        self.seen.clear();
        self.seen.resize(parts, Seen::NOTHING);
        self.now = now;
        self.cold_restart = cold_restart;
        self.bad_unit = bad_unit;
    }

    /// Takes a way unless it is beaten; ways come in order of their backlog.
    pub(super) fn take(&mut self, way: Way, into: &mut Vec<Way>) -> bool {
        let coldest = self.seen.len() - 1;
        let part = (way.cold_until.saturating_sub(self.now) as usize).min(coldest);
        let left = if part == 0 { 0 } else { way.cold_left };
        let settled = way.cost + self.cold_restart * f64::from(left);
        // Whoever would still be cheaper after paying for all his cold restarts is better, whenever his cold hour ends.
        if self.seen[part].beats(way.cost, settled) || self.seen[coldest].settled.1 <= way.cost {
            return false;
        }
        let at_once = if way.backlog + f64::from(way.joined) > 0.0 { self.bad_unit * f64::from(way.joined) } else { 0.0 };
        self.seen[part..].iter_mut().for_each(|seen| seen.see(way.cost + at_once, settled + at_once));
        let beaten = |last: &Way| {
            last.backlog >= way.backlog
                && last.cost >= way.cost
                && last.cold_until >= way.cold_until
                && last.cold_left >= way.cold_left
                && at_once == 0.0
        };
        while into.last().is_some_and(beaten) {
            into.pop();
        }
        into.push(way);
        true
    }
}

/// Merges two lists, each in order of backlog, through a sieve. `admitted` may alter a way of `more` that was taken.
pub(super) fn merge(own: &[Way], more: &[Way], sieve: &mut Sieve, into: &mut Vec<Way>, mut admitted: impl FnMut(&mut Way)) {
    into.clear();
    let (mut left, mut right) = (0, 0);
    while left < own.len() || right < more.len() {
        let from_own = right == more.len() || (left < own.len() && own[left].backlog <= more[right].backlog);
        if from_own {
            sieve.take(own[left], into);
            left += 1;
        } else {
            if sieve.take(more[right], into)
                && let Some(way) = into.last_mut()
            {
                admitted(way);
            }
            right += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With two cold restarts left, which cost 10 each.
    fn way(backlog: f64, cost: f64, cold_until: u32) -> Way {
        Way { backlog, cost, cold_until, cold_left: 2, joined: 0, change: 0, ghost: false }
    }

    fn sifted(own: &[Way], more: &[Way]) -> Vec<Way> {
        let (mut sieve, mut into) = (Sieve::default(), Vec::new());
        sieve.begin(4, 10, 10.0, 1.0);
        merge(own, more, &mut sieve, &mut into, |way| way.change = 7);
        into
    }

    #[test]
    fn a_way_that_is_worse_in_everything_is_dropped() {
        let own = [way(-3.0, 100.0, 12), way(5.0, 90.0, 12)];
        let more = [way(-3.0, 101.0, 13), way(0.0, 95.0, 11), way(9.0, 91.0, 12)];
        assert_eq!(sifted(&own, &more), [own[0], Way { change: 7, ..more[1] }, own[1]]);
    }

    #[test]
    fn parts_of_time_that_have_passed_are_alike() {
        assert_eq!(sifted(&[way(0.0, 5.0, 3)], &[way(0.0, 5.0, 0)]).len(), 1);
    }

    #[test]
    fn a_warm_way_is_dropped_when_a_cold_one_is_cheaper_after_all_its_restarts() {
        let cold = way(-1.0, 50.0, 13);
        assert_eq!(sifted(&[cold, way(0.0, 69.0, 0)], &[]).len(), 2);
        assert_eq!(sifted(&[cold, way(0.0, 70.0, 0)], &[]), [cold]);
        let nearly_warm = Way { cold_left: 1, ..way(0.0, 59.0, 13) };
        assert_eq!(sifted(&[cold, nearly_warm], &[]).len(), 2, "one restart makes up for nine");
        assert_eq!(sifted(&[cold, Way { cost: 60.0, ..nearly_warm }], &[]), [cold]);
    }

    #[test]
    fn a_way_with_units_to_begin_at_once_beats_another_when_it_is_better_even_if_these_are_late() {
        let joined = Way { joined: 2, ..way(1.0, 50.0, 12) };
        assert_eq!(sifted(&[joined, way(2.0, 51.0, 12)], &[]).len(), 2);
        assert_eq!(sifted(&[joined, way(2.0, 52.0, 12)], &[]), [joined]);
        let none_waits = Way { backlog: -3.0, ..joined };
        assert_eq!(sifted(&[none_waits, way(2.0, 51.0, 12)], &[]), [none_waits]);
    }

    #[test]
    fn among_equal_backlogs_the_better_way_stays() {
        let (dear, cheap) = (way(0.0, 9.0, 12), way(0.0, 8.0, 12));
        assert_eq!(sifted(&[dear, cheap], &[]), [cheap]);
    }
}
