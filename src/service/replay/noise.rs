//! What the noise of single seconds does to waits when the rate is known: arrivals of a second are Poisson, so that a backlog builds up at loads
//! below one.
//!
//! Above the point where all replicas are idle the backlog is a random walk, held at that point from below. At a steady load its tail is
//! exponential (Lundberg); the mean follows changes of load by the pointwise stationary fluid-flow approximation (Wang, Tipper and Banerjee,
//! "Approximating nonstationary queueing systems", 1996), which needs no steady state and bears loads above one.

/// Expected overshoot of a walk over a level, in standard deviations of its step (Siegmund, "Corrected diffusion approximations", 1979).
const OVERSHOOT: f64 = 0.583;
/// Tails below e to minus this are nothing.
const NOTHING: f64 = 25.0;

/// The mean backlog above the point where all replicas are idle, units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    mean: f64,
}

impl Noise {
    /// Lets `seconds` pass at `rate` units/s arriving and `capacity` units/s served: an implicit step of
    /// `d mean / dt = rate - capacity * 2 mean / (1 + 2 mean)`, whose fixed point is the mean of the steady state, `rate / 2(capacity - rate)`.
    #[must_use]
    pub fn after(self, rate: f64, capacity: f64, seconds: f64) -> Self {
        let come = self.mean + rate * seconds;
        let slope = 1.0 - 2.0 * come + 2.0 * capacity * seconds;
        Self { mean: ((slope * slope + 8.0 * come).sqrt() - slope) / 4.0 }
    }

    /// Share of units that wait longer than `wait_s`, where `replicas` replicas serve `capacity` units/s and `backlog` units wait without any
    /// noise, fewer than are served in `wait_s`.
    #[must_use]
    pub fn late_share(self, rate: f64, capacity: f64, replicas: f64, backlog: f64, wait_s: f64) -> f64 {
        let own = self.mean - backlog;
        if own <= 0.0 || rate <= 0.0 {
            return 0.0;
        }
        let room = wait_s * capacity + replicas - backlog;
        if room > NOTHING * own.max(1.0) {
            return 0.0;
        }
        // The decay that a Poisson walk of this mean has: `rate (e^d - 1) = capacity d`, to the third power of d.
        let decay = ((9.0 + 12.0 / own).sqrt() - 3.0) / 2.0;
        (-decay * (room + OVERSHOOT * rate.sqrt()).max(0.0)).exp()
    }
}
