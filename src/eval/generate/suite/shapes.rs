//! What people do by hour and by weekday: shares of the level, 1 at the busiest hour of a usual weekday.

/// Hours of a day; between two a half cosine.
pub(super) type Hours = &'static [(f64, f64)];

pub(super) const OFFICE: Hours =
    &[(0.0, 0.06), (5.0, 0.05), (7.2, 0.25), (9.0, 0.92), (10.6, 1.0), (12.6, 0.78), (14.4, 0.97), (17.2, 0.55), (19.5, 0.22)];
pub(super) const SHOP: Hours = &[(4.0, 0.09), (8.5, 0.5), (12.2, 0.82), (15.5, 0.72), (20.4, 1.0), (23.0, 0.42)];
pub(super) const EVENING: Hours = &[(5.0, 0.13), (9.0, 0.2), (13.0, 0.36), (17.0, 0.52), (20.6, 1.0), (22.4, 0.86)];
pub(super) const MEALS: Hours = &[(4.0, 0.03), (10.0, 0.16), (12.4, 1.0), (14.6, 0.28), (17.0, 0.4), (19.3, 0.94), (22.2, 0.18)];
pub(super) const NEWS: Hours = &[(3.5, 0.18), (7.4, 1.0), (10.0, 0.7), (12.6, 0.82), (16.5, 0.6), (20.1, 0.77), (23.2, 0.34)];
pub(super) const COMMUTE: Hours = &[(3.5, 0.04), (7.8, 1.0), (10.2, 0.4), (13.0, 0.46), (17.4, 0.95), (20.3, 0.3)];
pub(super) const WORLD: Hours = &[(1.0, 0.78), (6.0, 0.7), (14.0, 1.0), (19.5, 0.91)];
pub(super) const NIGHT_JOBS: Hours = &[(0.5, 0.12), (2.0, 1.0), (4.6, 0.9), (6.2, 0.1), (14.0, 0.16)];
pub(super) const FLAT: Hours = &[(0.0, 1.0)];

pub(super) const WORKING_WEEK: [f64; 7] = [1.0, 1.02, 1.01, 0.98, 0.88, 0.22, 0.18];
pub(super) const SHOPPING_WEEK: [f64; 7] = [0.93, 0.91, 0.94, 1.0, 1.06, 1.24, 1.3];
pub(super) const LEISURE_WEEK: [f64; 7] = [0.82, 0.8, 0.83, 0.9, 1.08, 1.3, 1.36];
pub(super) const EVEN_WEEK: [f64; 7] = [1.0, 1.01, 1.0, 0.99, 0.98, 0.93, 0.94];
