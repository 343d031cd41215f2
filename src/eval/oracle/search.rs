//! The search: forward through time, for each number of replicas the ways that nothing beats.
//!
//! A way holds ready replicas alone. One that becomes ready at some moment was launched a start-up before and has been paid since; so a way that
//! takes a replica away and has another ready less than a start-up later never pays, and the replicas asked for follow from the ready ones.
//!
//! What it finds is a lower bound, and exact where the schedule that it gives reaches it. Three things are to the better. The hour in which
//! launches are cold restarts ends a part of [`PART_S`] early at most. Of the launches of such an hour the first [`MOST_COLD`] count as cold, so
//! that a way that takes a replica away is worse by so many restarts at most than one that does not, and few ways need be kept. And where there
//! are more than [`MOST_WORK`] allows all the same, cold hours are forgotten first, and backlogs rounded down to a lattice last. The lattice goes
//! along with the backlogs, so that one is rounded when the lattice grows coarser, when replicas change or were idle, and not once a step.

use super::course::Course;
use super::front::{Sieve, Way, merge};
use super::tree::{ROOT, Tree};
use crate::domain::limits::Bounds;
use crate::service::Worth;
use crate::service::replay::COLD_WITHIN_S;

/// Into parts of so many seconds time is cut where the end of a cold hour is remembered.
const PART_S: u32 = 300;
/// Of the launches within an hour of a removal so many are charged for as cold restarts, where a stretch is longer than [`SHORT_S`].
const MOST_COLD: u32 = 16;
/// Where there are too many ways, so many of the launches to come are charged for, one number after the other.
const FEWER_COLD: [u32; 5] = [8, 4, 2, 1, 0];
/// In a stretch as short as this all are.
const SHORT_S: u64 = 3600;
/// Ways that are looked at, over all steps: more at one moment than its share of them are made fewer.
const MOST_WORK: usize = 200 * 86_400;
/// In a short stretch, more than so many ways at one moment are made fewer.
const MOST_WAYS: usize = 2000;
/// More than so many times as many must be made fewer at any price.
const FAR_TOO_MANY: usize = 8;
/// So few ways with as many replicas are left alone.
const FEW: usize = 4;
/// The first lattice: so many cells to one replica's work of a step.
const FINEST: f64 = 8.0;
/// The coarsest lattice: so many cells of the first to one.
const WIDEST: f64 = 4096.0;
/// What lies so little below a point of the lattice (in cells) lies on it.
const ON_POINT: f64 = 1e-6;

/// What replicas cost and may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) bounds: Bounds,
    pub(super) start_replicas: u32,
    pub(super) startup_s: u32,
    /// Seconds that a replica is paid for after its removal.
    pub(super) ending_s: u32,
    /// Seconds at the beginning in which nothing counts.
    pub(super) unscored_s: u32,
    pub(super) worth: Worth,
}

/// What a search found.
#[derive(Debug)]
pub(super) struct Found {
    /// Ready replicas in each step.
    pub(super) ready: Vec<u32>,
    /// The least objective, or a lower bound.
    pub(super) objective: f64,
    /// Whether the bound may be far away, since backlogs were rounded.
    pub(super) was_rounded: bool,
}

impl Terms {
    /// Whether replicas may be as many as one likes when counting begins, and all that came before be served: everything else costs as much and
    /// serves less.
    fn begins_free(&self) -> bool {
        self.unscored_s > 0 && self.startup_s <= self.unscored_s
    }

    /// When the first replica that is paid for while it starts may be ready.
    fn first_ready(&self) -> i64 {
        i64::from(self.startup_s) + if self.begins_free() { i64::from(self.unscored_s) } else { 0 }
    }

    /// Scored seconds in a stretch.
    fn scored(&self, from: i64, until: i64) -> f64 {
        (until - from.max(i64::from(self.unscored_s))).max(0) as f64
    }

    /// What one replica that becomes ready at `at` has cost before.
    fn start_up(&self, at: i64) -> f64 {
        self.scored(at - i64::from(self.startup_s), at)
    }

    /// What it costs more when it was launched in a cold hour.
    fn cold_restart(&self, at: i64) -> f64 {
        if at - i64::from(self.startup_s) < i64::from(self.unscored_s) { 0.0 } else { self.worth.startup_s }
    }

    /// Parts of time that a cold hour may still last, with the start-up that passes until a launch in it is ready.
    fn parts(&self) -> usize {
        ((COLD_WITHIN_S + self.startup_s) / PART_S) as usize + 2
    }
}

/// What is done where there are too many ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinning {
    /// They are made better than they are and alike: what is found is a lower bound.
    Bound,
    /// Some are dropped: what is found can be reached.
    Drop,
}

/// The cheapest way through a course.
pub(super) fn search(course: &impl Course, terms: &Terms, thinning: Thinning) -> Found {
    let mut search = Search::new(course, terms, thinning);
    let first = if terms.begins_free() { terms.unscored_s.div_ceil(course.step_s()) as usize } else { 0 };
    for step in first..course.steps() {
        search.step(step);
    }
    search.finish()
}

struct Search<'a, C: Course> {
    course: &'a C,
    terms: &'a Terms,
    thinning: Thinning,
    /// Whether a backlog was ever made less than it is.
    was_rounded: bool,
    /// By number of replicas, from the least allowed on; each in order of backlog.
    fronts: Vec<Vec<Way>>,
    tree: Tree,
    /// More than so many at one moment are made fewer.
    most_ways: usize,
    /// Launches after a removal that are charged for as cold restarts.
    most_cold: u32,
    /// Width of the lattice; 0 while there is none.
    width: f64,
    sieve: Sieve,
    /// The fronts before a step's changes.
    before: Vec<Vec<Way>>,
    candidates: Vec<Way>,
    removed: Vec<Way>,
    merged: Vec<Way>,
}

impl<'a, C: Course> Search<'a, C> {
    fn new(course: &'a C, terms: &'a Terms, thinning: Thinning) -> Self {
        let start = terms.bounds.clamp(terms.start_replicas);
        let is_short = course.steps() as u64 * u64::from(course.step_s()) <= SHORT_S;
        let most_cold = if is_short { u32::MAX } else { MOST_COLD };
        let mut tree = Tree::new(start);
        let mut fronts = vec![Vec::new(); (terms.bounds.max - terms.bounds.min) as usize + 1];
        // As late as it costs nothing: what came before is served by then.
        let last = (terms.unscored_s.saturating_sub(terms.ending_s) / course.step_s()) as usize;
        let ready = terms.startup_s.div_ceil(course.step_s()) as usize;
        for (front, replicas) in fronts.iter_mut().zip(terms.bounds.min..) {
            if replicas == start || terms.begins_free() {
                let change = if replicas == start { ROOT } else { tree.add(ROOT, if replicas < start { last } else { ready }, replicas) };
                // Who begins with fewer has taken some away, at the earliest in the first second.
                let (cold_until, cold_left) = if replicas < start { ((COLD_WITHIN_S + 1) / PART_S, most_cold) } else { (0, 0) };
                front.push(Way {
                    backlog: course.scaled(0.0, 0, replicas),
                    cost: 0.0,
                    cold_until,
                    cold_left,
                    joined: 0,
                    change,
                    ghost: false,
                });
            }
        }
        Self {
            course,
            terms,
            thinning,
            was_rounded: false,
            fronts,
            tree,
            most_ways: (MOST_WORK / course.steps().max(1)).min(MOST_WAYS),
            most_cold,
            width: 0.0,
            sieve: Sieve::default(),
            before: Vec::new(),
            candidates: Vec::new(),
            removed: Vec::new(),
            merged: Vec::new(),
        }
    }

    fn step(&mut self, step: usize) {
        let at = self.at(step);
        if step > 0 && at == i64::from(self.terms.unscored_s) && !self.terms.begins_free() {
            self.settle(step, -1.0);
        }
        self.before.clone_from(&self.fronts);
        if at >= self.terms.first_ready() {
            self.launch(step, at);
        }
        self.remove(step, at);
        self.serve(step, at);
        self.thin_out(step + 1);
        if self.tree.is_full() {
            let mut used: Vec<&mut u32> = self.fronts.iter_mut().flatten().map(|way| &mut way.change).collect();
            self.tree.clear(&mut used);
        }
    }

    /// From each number of replicas to the next larger, one after the other.
    fn launch(&mut self, step: usize, at: i64) {
        let (start_up, cold_restart) = (self.terms.start_up(at), self.terms.cold_restart(at));
        let now = self.now(at);
        let most = self.fronts.iter().rposition(|front| !front.is_empty()).unwrap_or(0);
        for index in 1..self.fronts.len() {
            let replicas = self.terms.bounds.min + index as u32;
            let (fewer, rest) = self.fronts.split_at_mut(index);
            let (fewer, own) = (&fewer[index - 1], &mut rest[0]);
            self.candidates.clear();
            self.candidates.extend(fewer.iter().map(|way| {
                let is_cold = way.cold_until > now && way.cold_left > 0;
                let dear = start_up + if is_cold { cold_restart } else { 0.0 };
                let ease_s = self.course.ease(step, replicas - 1, way.backlog) as f64 * f64::from(self.course.step_s());
                Way {
                    backlog: self.course.scaled(way.backlog, replicas - 1, replicas),
                    cost: way.cost + (dear - ease_s).max(0.0),
                    cold_left: if is_cold { way.cold_left - 1 } else { way.cold_left },
                    joined: way.joined + u32::from(C::BEGINS_AT_ONCE),
                    ghost: way.ghost || ease_s > 0.0,
                    ..*way
                }
            }));
            if self.candidates.is_empty() || (index > most && self.candidates.iter().all(|way| way.ghost)) {
                continue;
            }
            self.sieve.begin(self.terms.parts(), now, self.terms.worth.startup_s, self.terms.worth.bad_unit());
            merge(own, &self.candidates, &mut self.sieve, &mut self.merged, |way| {
                if !way.ghost {
                    way.change = self.tree.add(way.change, step, replicas);
                }
            });
            std::mem::swap(own, &mut self.merged);
        }
        self.fronts.iter_mut().for_each(|front| front.retain(|way| !way.ghost));
    }

    /// From each number of replicas to the next smaller, one after the other; who has just launched one does not take it away.
    fn remove(&mut self, step: usize, at: i64) {
        let ending = self.terms.scored(at, at + i64::from(self.terms.ending_s));
        // The first part of time in which a launch is warm again.
        let cold_until = (at as u32 + COLD_WITHIN_S + 1) / PART_S;
        let now = self.now(at);
        self.removed.clear();
        for index in (0..self.fronts.len() - 1).rev() {
            let replicas = self.terms.bounds.min + index as u32;
            let fewer = |way: &Way| Way {
                backlog: self.course.scaled(way.backlog, replicas + 1, replicas),
                cost: way.cost + ending,
                cold_until,
                cold_left: self.most_cold,
                ..*way
            };
            self.candidates.clear();
            self.candidates.extend(self.before[index + 1].iter().map(fewer));
            self.removed.iter_mut().for_each(|way| *way = fewer(way));
            if self.candidates.is_empty() && self.removed.is_empty() {
                continue;
            }
            self.sieve.begin(self.terms.parts(), now, self.terms.worth.startup_s, self.terms.worth.bad_unit());
            merge(&self.candidates, &self.removed, &mut self.sieve, &mut self.merged, |_| ());
            std::mem::swap(&mut self.candidates, &mut self.merged);
            // Only what is better than the ways that had so few before goes on to fewer still.
            self.removed.clear();
            self.sieve.begin(self.terms.parts(), now, self.terms.worth.startup_s, self.terms.worth.bad_unit());
            merge(&self.before[index], &self.candidates, &mut self.sieve, &mut self.merged, |way| self.removed.push(*way));
            let own = &mut self.fronts[index];
            self.sieve.begin(self.terms.parts(), now, self.terms.worth.startup_s, self.terms.worth.bad_unit());
            merge(own, &self.removed, &mut self.sieve, &mut self.merged, |way| way.change = self.tree.add(way.change, step, replicas));
            std::mem::swap(own, &mut self.merged);
        }
    }

    /// The step passes.
    fn serve(&mut self, step: usize, at: i64) {
        let bad_unit = if at < i64::from(self.terms.unscored_s) { 0.0 } else { self.terms.worth.bad_unit() };
        let seconds = self.terms.scored(at, at + i64::from(self.course.step_s()));
        let now = self.now(at);
        for (index, front) in self.fronts.iter_mut().enumerate().filter(|(_, front)| !front.is_empty()) {
            let replicas = self.terms.bounds.min + index as u32;
            let drift = self.course.drift(step + 1, replicas);
            self.sieve.begin(self.terms.parts(), now, self.terms.worth.startup_s, self.terms.worth.bad_unit());
            self.merged.clear();
            for way in front.iter() {
                let (backlog, bad) = self.course.serve(step, replicas, way.backlog, way.joined);
                let backlog = rounded_down(backlog, drift, self.width);
                let cost = way.cost + f64::from(replicas) * seconds + bad_unit * bad;
                self.sieve.take(Way { backlog, cost, joined: 0, ..*way }, &mut self.merged);
            }
            std::mem::swap(front, &mut self.merged);
        }
    }

    /// Where there are too many ways, backlogs are rounded down until there are not.
    fn thin_out(&mut self, step: usize) {
        let ways = |fronts: &[Vec<Way>]| fronts.iter().map(Vec::len).sum::<usize>();
        if self.width > 0.0 && ways(&self.fronts) < self.most_ways / 4 {
            self.width = 0.0;
        }
        for cold_left in FEWER_COLD {
            if ways(&self.fronts) > self.most_ways {
                self.fronts.iter_mut().flatten().for_each(|way| way.cold_left = way.cold_left.min(cold_left));
                self.sift(step);
            }
        }
        let narrowest = self.terms.worth.capacity * f64::from(self.course.step_s()) / FINEST;
        let too_many = FAR_TOO_MANY * self.most_ways;
        match self.thinning {
            Thinning::Bound => {
                while ways(&self.fronts) > too_many && self.width < WIDEST * narrowest {
                    self.width = (2.0 * self.width).max(narrowest);
                    self.was_rounded = true;
                    self.sift(step);
                }
            }
            Thinning::Drop => {
                while ways(&self.fronts) > too_many && self.fronts.iter().any(|front| front.len() > FEW) {
                    self.fronts.iter_mut().filter(|front| front.len() > FEW).for_each(drop_every_second);
                }
            }
        }
    }

    /// Rounds backlogs down to the lattice and drops what is beaten then.
    fn sift(&mut self, step: usize) {
        let now = self.now(self.at(step));
        for (front, replicas) in self.fronts.iter_mut().zip(self.terms.bounds.min..).filter(|(front, _)| !front.is_empty()) {
            let drift = self.course.drift(step, replicas);
            self.sieve.begin(self.terms.parts(), now, self.terms.worth.startup_s, self.terms.worth.bad_unit());
            self.merged.clear();
            for way in front.iter() {
                self.sieve.take(Way { backlog: rounded_down(way.backlog, drift, self.width), ..*way }, &mut self.merged);
            }
            std::mem::swap(front, &mut self.merged);
        }
    }

    /// Units that wait too long already are bad: they count where a stretch ends, and not where it begins.
    fn settle(&mut self, step: usize, sign: f64) {
        for way in self.fronts.iter_mut().flatten() {
            way.cost += sign * self.terms.worth.bad_unit() * self.course.overdue(step, way.backlog);
        }
    }

    fn finish(mut self) -> Found {
        let steps = self.course.steps();
        self.settle(steps, 1.0);
        let best = self.fronts.iter().flatten().min_by(|a, b| a.cost.total_cmp(&b.cost));
        Found {
            ready: best.map_or_else(Vec::new, |way| self.tree.replicas(way.change, steps)),
            objective: best.map_or(0.0, |way| way.cost),
            was_rounded: self.was_rounded,
        }
    }

    /// The second in which a step begins.
    fn at(&self, step: usize) -> i64 {
        (step as u64 * u64::from(self.course.step_s())).cast_signed()
    }

    /// The part of time in which what becomes ready at `at` was launched.
    fn now(&self, at: i64) -> u32 {
        (at - i64::from(self.terms.startup_s)).max(0) as u32 / PART_S
    }
}

/// The first stays: it has the least backlog.
fn drop_every_second(front: &mut Vec<Way>) {
    let mut index = 0;
    front.retain(|_| {
        index += 1;
        index % 2 == 1
    });
}

/// Rounded down to a lattice that goes along with the backlogs of so many replicas.
fn rounded_down(backlog: f64, drift: f64, width: f64) -> f64 {
    if width > 0.0 { ((backlog - drift) / width + ON_POINT).floor() * width + drift } else { backlog }
}

#[cfg(test)]
mod tests {
    use super::super::OracleSpec;
    use super::super::course::Seconds;
    use super::super::schedule::{asked_for, come_to};
    use super::*;
    use crate::service::tests::web;
    use crate::service::{Arrivals, ServiceKind, ServiceSpec};

    /// Five minutes of a queue that may wait for ten seconds, in which bursts come.
    fn arrivals(seed: u64) -> Vec<u32> {
        (0..300u32).map(|second| Arrivals::new(seed).at(i64::from(second), if second % 70 < 15 { 14.0 } else { 3.0 }) as u32).collect()
    }

    #[test]
    fn with_too_many_ways_the_bound_stays_below_and_what_is_reached_above_the_least() {
        let service = ServiceSpec { kind: ServiceKind::Queue, capacity: 4.0, ..web() };
        let spec = OracleSpec {
            service: &service,
            slo_latency_s: 10.0,
            startup_s: 5,
            ending_s: 0,
            bounds: Bounds { min: 1, max: 6 },
            start_replicas: 1,
            unscored_s: 0,
            worth: Worth { price: 10.0, capacity: 4.0, startup_s: 5.0 },
        };
        for seed in 0..6 {
            let arrivals = arrivals(seed);
            let course = || Seconds::new(&service, spec.slo_latency_s, &arrivals, spec.bounds.max);
            let terms = spec.terms();
            let reached = |ready: &[u32]| spec.worth.objective(&come_to(&spec, &arrivals, &asked_for(ready, 1, spec.startup_s)));
            let least = search(&course(), &terms, Thinning::Bound);
            assert!(!least.was_rounded && (reached(&least.ready) - least.objective).abs() < 1e-9, "seed {seed} is exact");
            let few = |thinning| {
                let course = course();
                let mut search = Search::new(&course, &terms, thinning);
                search.most_ways = 3;
                (0..arrivals.len()).for_each(|step| search.step(step));
                search.finish()
            };
            let bound = few(Thinning::Bound);
            assert!(bound.was_rounded && bound.objective <= least.objective + 1e-9, "{} and {}", bound.objective, least.objective);
            assert!(bound.objective > 0.5 * least.objective, "{} is no bound for {}", bound.objective, least.objective);
            let dropped = few(Thinning::Drop);
            let above = reached(&dropped.ready) / least.objective;
            assert!(!dropped.was_rounded && (1.0 - 1e-9..1.4).contains(&above), "seed {seed}: {above}");
        }
    }

    #[test]
    fn a_backlog_stays_on_its_lattice_while_replicas_are_busy() {
        let rounded = rounded_down(17.0, 5.0, 8.0);
        assert_eq!(rounded, 13.0);
        assert_eq!(rounded_down(rounded + 31.0, 5.0 + 31.0, 8.0), rounded + 31.0);
        assert_eq!(rounded_down(17.3, 5.0, 0.0), 17.3);
    }
}
