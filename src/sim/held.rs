//! Ports that wait for the world outside, so wrapped that virtual time knows of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::clock::VirtualClock;
use crate::agent::messages::{ModelFailure, ModelReply, ModelRequest};
use crate::domain::names::Digest;
use crate::domain::record::{Entry, PastDecision};
use crate::ports::{Availability, Body, EntryFilter, Ledger, Model, ModelIdentity, NewEntry, PortError};

/// A port whose calls hold the virtual clock.
pub struct Held<T: ?Sized> {
    inner: Arc<T>,
    clock: Arc<VirtualClock>,
}

impl<T: ?Sized> Held<T> {
    /// Wraps a port.
    #[must_use]
    pub fn new(inner: Arc<T>, clock: Arc<VirtualClock>) -> Self {
        Self { inner, clock }
    }
}

#[async_trait]
impl Model for Held<dyn Model> {
    fn identity(&self) -> ModelIdentity {
        self.inner.identity()
    }

    fn availability(&self, now: Timestamp) -> Availability {
        self.inner.availability(now)
    }

    fn tokens_remaining(&self, now: Timestamp) -> Option<u64> {
        self.inner.tokens_remaining(now)
    }

    async fn complete(&self, request: &ModelRequest, deadline: Duration) -> Result<ModelReply, ModelFailure> {
        let _hold = self.clock.hold();
        self.inner.complete(request, deadline).await
    }
}

#[async_trait]
impl Ledger for Held<dyn Ledger> {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<u64>, PortError> {
        let _hold = self.clock.hold();
        self.inner.append(entries).await
    }

    async fn put_bodies(&self, bodies: Vec<Body>, now: Timestamp) -> Result<Vec<Digest>, PortError> {
        let _hold = self.clock.hold();
        self.inner.put_bodies(bodies, now).await
    }

    async fn body(&self, digest: &Digest) -> Result<Option<Body>, PortError> {
        let _hold = self.clock.hold();
        self.inner.body(digest).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, PortError> {
        let _hold = self.clock.hold();
        self.inner.prune(before).await
    }

    async fn entries(&self, filter: &EntryFilter) -> Result<Vec<Entry>, PortError> {
        let _hold = self.clock.hold();
        self.inner.entries(filter).await
    }

    async fn past(&self, limit: usize) -> Result<Vec<PastDecision>, PortError> {
        let _hold = self.clock.hold();
        self.inner.past(limit).await
    }
}
