//! A queue as a fluid: how many were served, in time or not, and how many gave up, in a step of some seconds in which rates hold.
//!
//! First in, first out: who departs at a moment is told by what has arrived and departed so far, and he is late when as many had arrived already
//! so long before. Left out: the noise within a step, which is `noise`'s.

use crate::service::{ServiceKind, ServiceSpec};

/// What arrives, summed up, and how long it waits before it is late or lost.
#[derive(Clone, Debug)]
pub struct Fluid {
    /// Units that have arrived by each step's beginning.
    arrived: Vec<f64>,
    step_s: f64,
    wait_s: f64,
    timeout_s: Option<f64>,
}

/// What one step brought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// Units served.
    pub served: f64,
    /// Of these, units that had waited too long.
    pub late: f64,
    /// Units that gave up.
    pub lost: f64,
    /// Units that wait at the end.
    pub backlog: f64,
}

impl Fluid {
    /// `rates` units/s arrive, each for `step_s` seconds; an answer later than `slo_latency_s` is late.
    #[must_use]
    pub fn new(service: &ServiceSpec, slo_latency_s: f64, rates: impl Iterator<Item = f64>, step_s: u32) -> Self {
        let step_s = f64::from(step_s.max(1));
        let mut arrived = vec![0.0];
        let mut sum = 0.0;
        arrived.extend(rates.map(|rate| {
            sum += rate.max(0.0) * step_s;
            sum
        }));
        let timeout_s = (service.kind == ServiceKind::HTTP).then_some(service.timeout_s);
        Self { arrived, step_s, wait_s: service.wait_within(slo_latency_s), timeout_s }
    }

    /// Steps there are.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.arrived.len() - 1
    }

    /// Units/s that arrive in a step.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        (self.arrived[step + 1] - self.arrived[step]) / self.step_s
    }

    /// How many units may wait before one of them is late, in a step in which `backlog` do and `capacity` units/s are served: what is served in
    /// time, or what came in that time.
    #[must_use]
    pub fn bearable(&self, step: usize, backlog: f64, capacity: f64) -> f64 {
        let served = capacity * self.wait_s;
        if backlog > 0.0 { served.max(self.arrived_within(step, self.wait_s)) } else { served }
    }

    /// Units that arrived in the `seconds` before a step began, or since the start.
    #[must_use]
    pub fn arrived_within(&self, step: usize, seconds: f64) -> f64 {
        self.arrived[step] - self.arrived_before(step as f64 - seconds / self.step_s)
    }

    /// Units that arrived in all.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.arrived[self.steps()]
    }

    /// Of `backlog` units that wait when a step begins, those that have waited too long already.
    #[must_use]
    pub fn overdue(&self, step: usize, backlog: f64) -> f64 {
        if backlog <= 0.0 { 0.0 } else { (backlog - self.arrived_within(step, self.wait_s)).clamp(0.0, backlog) }
    }

    /// One step, in which `can_serve` units can be served.
    #[must_use]
    pub fn pass(&self, step: usize, backlog: f64, can_serve: f64) -> Flow {
        let (before, after) = (self.arrived[step], self.arrived[step + 1]);
        let come = after - before;
        if backlog <= 0.0 && come <= can_serve {
            let late = if self.wait_s < 0.0 { come } else { 0.0 };
            return Flow { served: come, late, lost: 0.0, backlog: 0.0 };
        }
        let gone = before - backlog;
        let mut gone_after = (gone + can_serve).min(after);
        let served = gone_after - gone;
        let mut lost = 0.0;
        if let Some(timeout_s) = self.timeout_s {
            lost = (self.arrived_before(step as f64 + 1.0 - timeout_s / self.step_s) - gone_after).max(0.0);
            gone_after += lost;
        }
        // Where the backlog is gone before the step is over, nobody is late from then on.
        let until = if gone_after >= after && come < can_serve { (backlog / (can_serve - come)).min(1.0) } else { 1.0 };
        let by_then = (can_serve * until).min(served);
        let overdue = |at: f64, gone: f64| self.arrived_before(at - self.wait_s / self.step_s) - gone;
        let (begun, ended) = (overdue(step as f64, gone), overdue(step as f64 + until, gone + by_then));
        let share = if begun.max(ended) <= 0.0 {
            0.0
        } else if begun.min(ended) >= 0.0 {
            1.0
        } else {
            begun.max(ended) / (begun - ended).abs()
        };
        Flow { served, late: by_then * share, lost, backlog: after - gone_after }
    }

    /// Units that had arrived at a moment, in steps.
    fn arrived_before(&self, at: f64) -> f64 {
        if at <= 0.0 {
            return 0.0;
        }
        let step = (at as usize).min(self.steps());
        let from = self.arrived[step];
        match self.arrived.get(step + 1) {
            Some(until) => from + (until - from) * (at - step as f64),
            None => from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::web;

    #[test]
    fn a_unit_is_late_when_the_backlog_before_it_takes_too_long() {
        // 150 units/s for ten seconds at a capacity of 100: the backlog passes 21 units, 0.21 s, before the first second is over.
        let fluid = Fluid::new(&web(), 0.25, [90.0, 150.0, 0.0].into_iter(), 10);
        assert_eq!(fluid.pass(0, 0.0, 1000.0), Flow { served: 900.0, ..Flow::default() });
        let first = fluid.pass(1, 0.0, 1000.0);
        assert_eq!((first.served, first.lost), (1000.0, 50.0), "after nine seconds the first have waited three and give up");
        assert!((900.0..1000.0).contains(&first.late), "{first:?}");
        assert_eq!(first.backlog, 450.0);
        let second = fluid.pass(2, first.backlog, 1000.0);
        assert_eq!((second.served, second.backlog), (450.0, 0.0));
        assert!((380.0..=450.0).contains(&second.late), "all but the last of those who waited: {second:?}");
    }

    #[test]
    fn queued_work_may_wait_and_none_is_lost() {
        let patient = ServiceSpec { kind: ServiceKind::Queue, ..web() };
        let fluid = Fluid::new(&patient, 60.0, [150.0; 20].into_iter(), 15);
        let mut backlog = 0.0;
        let mut late = Vec::new();
        for step in 0..20 {
            let flow = fluid.pass(step, backlog, 1500.0);
            assert_eq!(flow.lost, 0.0);
            backlog = flow.backlog;
            late.push(flow.late);
        }
        // The wait of who departs grows by a third of a second each second: a minute is passed after three.
        assert_eq!(late.iter().position(|units| *units > 0.0), Some(12));
        assert!(fluid.overdue(20, backlog) > 0.0);
        assert_eq!(fluid.overdue(5, 100.0), 0.0);
    }
}
