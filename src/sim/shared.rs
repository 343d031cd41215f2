//! The world behind its one lock, shared by the port adapters. The lock is held for one call and never across an await.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::world::World;

/// A world that several adapters stand before.
#[derive(Debug)]
pub struct Shared {
    world: Mutex<World>,
}

impl Shared {
    /// Shares a world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world: Mutex::new(world) }
    }

    /// Lets the world come to `now`, then hands it out.
    pub fn at<R>(&self, now: Timestamp, use_it: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance_to(now);
        use_it(&mut world)
    }

    /// Hands the world out as it stands.
    pub fn look<R>(&self, use_it: impl FnOnce(&World) -> R) -> R {
        use_it(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
