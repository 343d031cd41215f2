//! What the noise of single seconds does to waits when the rate is known: arrivals of a second are Poisson, so that a backlog builds up at loads
//! below one.
//!
//! Above the point where all replicas are idle the backlog is a random walk, held at that point from below. At a steady load its tail is
//! exponential (Lundberg); the mean follows changes of load by the pointwise stationary fluid-flow approximation (Wang, Tipper and Banerjee,
//! "Approximating nonstationary queueing systems", 1996), which needs no steady state and bears loads above one.

/// Expected overshoot of a walk over a level, in standard deviations of its step (Siegmund, "Corrected diffusion approximations", 1979).
const OVERSHOOT: f64 = 0.583;
/// Within a second waits lie between those at its two ends, so that fewer are long than at its ends; in the same unit, measured against the exact
/// queue at loads of 0.6 to 0.99 and 1 to 30 replicas.
const WITHIN: f64 = 0.19;
/// Tails below e to minus this are nothing.
const NOTHING: f64 = 25.0;

/// The mean backlog above the point where all replicas are idle, units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    mean: f64,
}

impl Noise {
    /// What a load that has held for long comes to; `rate` is below `capacity`.
    #[must_use]
    pub fn steady(rate: f64, capacity: f64) -> Self {
        Self { mean: rate / (2.0 * (capacity - rate)).max(f64::MIN_POSITIVE) }
    }

    /// Lets `seconds` pass at `rate` units/s arriving and `capacity` units/s served: an implicit step of
    /// `d mean / dt = rate - capacity * 2 mean / (1 + 2 mean)`, whose fixed point is the mean of the steady state, `rate / 2(capacity - rate)`.
    #[must_use]
    pub fn after(self, rate: f64, capacity: f64, seconds: f64) -> Self {
        let come = self.mean + rate * seconds;
        let slope = 1.0 - 2.0 * come + 2.0 * capacity * seconds;
        Self { mean: ((slope * slope + 8.0 * come).sqrt() - slope) / 4.0 }
    }

    /// Some gave up.
    #[must_use]
    pub fn without(self, lost: f64) -> Self {
        Self { mean: (self.mean - lost).max(0.0) }
    }

    /// Share of units that come too late at `rate` units/s because noise makes so many wait that `bearable` are passed, when `backlog` wait without
    /// any noise and `replicas` replicas serve.
    #[must_use]
    pub fn late_share(self, rate: f64, replicas: f64, backlog: f64, bearable: f64) -> f64 {
        let own = self.mean - backlog;
        if own <= 0.0 || rate <= 0.0 {
            return 0.0;
        }
        let room = bearable + replicas - backlog;
        if room > NOTHING * own.max(1.0) {
            return 0.0;
        }
        // The decay that a Poisson walk of this mean has: `rate (e^d - 1) = capacity d`, to the third power of d.
        let decay = ((9.0 + 12.0 / own).sqrt() - 3.0) / 2.0;
        (-decay * (room + (OVERSHOOT + WITHIN) * rate.sqrt()).max(0.0)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_comes_to_that_of_the_steady_state() {
        for load in [0.5, 0.9, 0.99] {
            let (rate, capacity) = (600.0 * load, 600.0);
            let noise = (0..100_000).fold(Noise::default(), |noise, _| noise.after(rate, capacity, 15.0));
            let steady = load / (2.0 * (1.0 - load));
            assert!((noise.mean / steady - 1.0).abs() < 1e-6, "{} for {steady}", noise.mean);
        }
    }

    #[test]
    fn above_capacity_it_grows_with_what_is_too_much() {
        let noise = Noise::default().after(700.0, 600.0, 60.0);
        assert!((6000.0..6100.0).contains(&noise.mean), "{noise:?}");
        assert_eq!(Noise::default().after(700.0, 0.0, 60.0).mean, 42_000.0);
    }

    #[test]
    fn more_load_and_less_room_make_more_units_late() {
        let share = |rate: f64, bearable: f64| Noise::default().after(rate, 600.0, 900.0).late_share(rate, 12.0, 0.0, bearable);
        assert!(share(590.0, 126.0) > share(580.0, 126.0) && share(580.0, 126.0) > 0.0);
        assert!(share(590.0, 63.0) > share(590.0, 126.0));
        assert_eq!(share(300.0, 126.0), 0.0);
    }
}
