//! A model behind a circuit breaker and the day's token budget, shared by all groups: what a tick asks before it asks the model.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::breaker::{Breaker, Verdict};
use super::budget::DailyBudget;
use crate::agent::messages::{ModelFailure, ModelReply, ModelRequest, estimated_prompt_tokens};
use crate::ports::{Availability, Clock, Model, ModelIdentity};

/// A model that is left alone when it fails or when the day's tokens are spent.
pub struct GuardedModel {
    inner: Arc<dyn Model>,
    clock: Arc<dyn Clock>,
    state: Mutex<Guards>,
}

struct Guards {
    breaker: Breaker,
    budget: DailyBudget,
}

impl GuardedModel {
    /// Guards `inner`; `tokens_per_day` counts prompts and completions together.
    #[must_use]
    pub fn new(inner: Arc<dyn Model>, clock: Arc<dyn Clock>, tokens_per_day: u64) -> Self {
        Self { inner, clock, state: Mutex::new(Guards { breaker: Breaker::default(), budget: DailyBudget::new(tokens_per_day) }) }
    }

    /// A panic elsewhere does not make counting unsafe: the state is whole after every line.
    fn guards(&self) -> MutexGuard<'_, Guards> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call on its way. Dropped before it ended (the driver's deadline cancels it), it counts as a failure and gives back what it held.
struct Underway<'a> {
    model: &'a GuardedModel,
    reserved: u64,
    ended: bool,
}

impl Underway<'_> {
    fn end(mut self, verdict: Verdict, used: u64) {
        self.ended = true;
        self.record(verdict, used);
    }

    fn record(&self, verdict: Verdict, used: u64) {
        let now = self.model.clock.now();
        let mut guards = self.model.guards();
        guards.budget.settle(self.reserved, used, now);
        guards.breaker.record(verdict, now, rand::random());
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // What a cancelled call has cost is not known: what was set aside for it counts as spent.
            self.record(Verdict::Failing, self.reserved);
        }
    }
}

#[async_trait]
impl Model for GuardedModel {
    fn identity(&self) -> ModelIdentity {
        self.inner.identity()
    }

    fn availability(&self, now: Timestamp) -> Availability {
        let guards = self.guards();
        if let Some(until) = guards.breaker.open_until(now) {
            return Availability::BreakerOpen { until };
        }
        if guards.budget.left(now) == 0 {
            return Availability::BudgetSpent { until: guards.budget.next_day(now) };
        }
        Availability::Available
    }

    fn tokens_remaining(&self, now: Timestamp) -> Option<u64> {
        Some(self.guards().budget.left(now))
    }

    async fn complete(&self, request: &ModelRequest, deadline: Duration) -> Result<ModelReply, ModelFailure> {
        let now = self.clock.now();
        let reserved = most_tokens(request);
        {
            let mut guards = self.guards();
            if !guards.budget.reserve(reserved, now) {
                return Err(ModelFailure::BudgetSpent);
            }
            if !guards.breaker.acquire(now) {
                guards.budget.settle(reserved, 0, now);
                return Err(ModelFailure::BreakerOpen);
            }
        }
        let underway = Underway { model: self, reserved, ended: false };
        let answer = self.inner.complete(request, deadline).await;
        match &answer {
            Ok(reply) => underway.end(Verdict::Healthy, tokens_used(reply, reserved)),
            Err(failure) => underway.end(Verdict::of(failure), 0),
        }
        answer
    }
}

/// Most tokens a call may cost, its prompt estimated.
fn most_tokens(request: &ModelRequest) -> u64 {
    estimated_prompt_tokens(&request.messages, &request.tools) + u64::from(request.max_completion_tokens)
}

/// What a call used; a count that is missing or absurd is what was set aside for it.
fn tokens_used(reply: &ModelReply, reserved: u64) -> u64 {
    let counted = reply.prompt_tokens.zip(reply.completion_tokens).map(|(prompt, completion)| prompt.saturating_add(completion));
    counted.filter(|used| *used > 0 && *used <= reserved.saturating_mul(16)).unwrap_or(reserved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::messages::{FinishReason, Message};

    struct Scripted(Mutex<Vec<Result<u64, ModelFailure>>>);

    #[async_trait]
    impl Model for Scripted {
        fn identity(&self) -> ModelIdentity {
            ModelIdentity { model: "scripted".into(), played_by: None }
        }
        async fn complete(&self, _: &ModelRequest, _: Duration) -> Result<ModelReply, ModelFailure> {
            let next = self.0.lock().unwrap().pop();
            match next {
                Some(Ok(tokens)) => Ok(ModelReply {
                    text: "yes".into(),
                    calls: Vec::new(),
                    finish: FinishReason::Stop,
                    prompt_tokens: Some(tokens),
                    completion_tokens: Some(0),
                    served_model: None,
                    opaque: None,
                }),
                Some(Err(failure)) => Err(failure),
                None => std::future::pending().await,
            }
        }
    }

    struct Still;

    #[async_trait]
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            "2026-03-06T12:00:00Z".parse().unwrap()
        }
        async fn sleep_until(&self, _: Timestamp) {}
    }

    fn guarded(script: Vec<Result<u64, ModelFailure>>, tokens_per_day: u64) -> GuardedModel {
        GuardedModel::new(Arc::new(Scripted(Mutex::new(script))), Arc::new(Still), tokens_per_day)
    }

    fn request() -> ModelRequest {
        ModelRequest { messages: vec![Message::User { text: "x".repeat(400) }], tools: Vec::new(), max_completion_tokens: 100 }
    }

    async fn ask(model: &GuardedModel) -> Result<ModelReply, ModelFailure> {
        model.complete(&request(), Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn the_tick_is_told_when_the_breaker_is_open() {
        let model = guarded(vec![Err(ModelFailure::Transient("503".into())); 5], 1_000_000);
        for _ in 0..5 {
            assert_eq!(model.availability(Still.now()), Availability::Available);
            assert!(ask(&model).await.is_err());
        }
        assert!(matches!(model.availability(Still.now()), Availability::BreakerOpen { .. }));
        assert_eq!(ask(&model).await, Err(ModelFailure::BreakerOpen));
        assert_eq!(model.tokens_remaining(Still.now()), Some(1_000_000), "what was not answered was not charged");
    }

    #[tokio::test]
    async fn the_tick_is_told_when_the_day_is_spent() {
        let model = guarded(vec![Ok(150), Ok(150)], 300);
        assert!(ask(&model).await.is_ok());
        assert_eq!(model.tokens_remaining(Still.now()), Some(150));
        assert_eq!(ask(&model).await, Err(ModelFailure::BudgetSpent), "a call may cost 200");
        let model = guarded(vec![Ok(200)], 200);
        assert!(ask(&model).await.is_ok());
        let midnight = "2026-03-07T00:00:00Z".parse().unwrap();
        assert_eq!(model.availability(Still.now()), Availability::BudgetSpent { until: midnight });
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_counts_as_a_failure_and_holds_nothing() {
        let model = guarded(Vec::new(), 1_000_000);
        for _ in 0..5 {
            let cancelled = tokio::time::timeout(Duration::from_millis(1), ask(&model)).await;
            assert!(cancelled.is_err());
        }
        assert!(matches!(model.availability(Still.now()), Availability::BreakerOpen { .. }));
        assert_eq!(model.tokens_remaining(Still.now()), Some(1_000_000 - 5 * 200));
    }
}
