//! Every question once, for all targets together, a few at a time and under one deadline. (world)

use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;

use super::Prometheus;
use super::backfill::Patience;
use super::client::{Answered, QueryError};
use super::join::TargetIndex;
use super::promql::PromqlError;
use super::question::{Grouping, Question};

/// Queries in flight at once: a Prometheus runs twenty by default, and others ask too.
const IN_FLIGHT: usize = 6;

/// One question's answer at an instant.
pub struct Reply {
    /// The question.
    pub question: Arc<Question>,
    /// Its answer, or why there is none.
    pub answered: Result<Answered, Failure>,
    /// Whether it had to be asked in its smaller form.
    pub reduced_form: bool,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server did not answer it.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It cannot be sent.
    #[error(transparent)]
    Promql(#[from] PromqlError),
}

impl Failure {
    /// One word for conditions and records.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Query(error) => error.reason(),
            Self::Promql(_) => "QueryInvalid",
        }
    }
}

impl Prometheus {
    /// Asks all questions (world).
    pub(super) async fn ask(&self, questions: &[Arc<Question>], index: &TargetIndex, now: Timestamp) -> Vec<Reply> {
        let patience = Patience::new(self.config.timeout.0, 1.5);
        futures::stream::iter(questions.iter().cloned())
            .map(|question| async move {
                let (answered, reduced_form) = self.ask_one(&question, index, now, patience).await;
                Reply { question, answered, reduced_form }
            })
            .buffered(IN_FLIGHT)
            .collect()
            .await
    }

    async fn ask_one(
        &self,
        question: &Question,
        index: &TargetIndex,
        now: Timestamp,
        patience: Patience,
    ) -> (Result<Answered, Failure>, bool) {
        let namespaces = index.namespaces();
        let attempt = async |grouping| -> Result<Answered, Failure> {
            let query = question.compile(&self.injected, &namespaces, self.config.window_s(), grouping)?;
            Ok(self.client.instant(&query, now, patience.left()).await?)
        };
        match attempt(Grouping::AsWritten).await {
            Err(Failure::Query(QueryError::TooLarge)) if question.per_pod() => (attempt(Grouping::ByOwner).await, true),
            answered => (answered, false),
        }
    }
}
