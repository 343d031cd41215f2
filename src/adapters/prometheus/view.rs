//! What a tick is shown: the kept signals with this tick's faults, and how the source answered. (pure)

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::ask::{Failure, Reply};
use super::choose::{Answer, Pick};
use super::client::Answered;
use super::join::TargetIndex;
use super::question::Question;
use super::reduce::Feed;
use super::store::Store;
use crate::domain::limits::SignalUse;
use crate::domain::series::History;
use crate::domain::signal::{SampleFault, Signal, SignalName, Signals};
use crate::domain::snapshot::SourceHealth;

/// Two clocks further apart than this do not mean the same by "now".
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What is wrong with every sample of a server whose clock is another: it is asked about its past, or about its future.
#[must_use]
pub fn skew_fault(answered: &Answered, now: Timestamp) -> Option<SampleFault> {
    let ahead = answered.server_time?.duration_since(now);
    if ahead > MOST_SKEW {
        Some(SampleFault::Stale)
    } else if ahead < -MOST_SKEW {
        Some(SampleFault::Future)
    } else {
        None
    }
}

/// How the source answered: by the shipped questions alone, so that one team's query cannot hold everybody.
#[must_use]
pub fn health(replies: &[Reply], filling: Option<&'static str>, now: Timestamp) -> SourceHealth {
    let shipped: Vec<&Reply> = replies.iter().filter(|r| r.question.namespace.is_none()).collect();
    let failed = shipped.iter().find_map(|r| r.answered.as_ref().err().map(Failure::reason));
    if let Some(reason) = failed
        && shipped.iter().all(|r| r.answered.is_err())
    {
        return SourceHealth::Down(reason.to_owned());
    }
    let answered = || shipped.iter().filter_map(|r| r.answered.as_ref().ok());
    let reason = failed
        .or_else(|| answered().any(|a| skew_fault(a, now).is_some()).then_some("ClockSkew"))
        .or_else(|| shipped.iter().any(|r| r.reduced_form).then_some("ResponseTooLarge"))
        .or_else(|| answered().any(|a| a.rows.warned).then_some("PartialResponse"))
        .or(filling);
    reason.map_or(SourceHealth::Ok, |reason| SourceHealth::Degraded(reason.to_owned()))
}

/// The snapshot's view of what is kept, with this tick's faults.
#[must_use]
pub fn view(store: &Store, index: &TargetIndex, answers: &[Answer], picks: &[Pick], unusable: &[Arc<Question>]) -> Signals {
    let mut faults: BTreeMap<(usize, &SignalName), Vec<SampleFault>> =
        picks.iter().map(|p| ((p.position, &p.signal), p.reduced.faults.iter().copied().collect())).collect();
    let custom_demand: Vec<&Feed> = answers
        .iter()
        .filter(|a| a.question.namespace.is_some())
        .flat_map(|a| &a.question.feeds)
        .filter(|f| f.role == SignalUse::Demand)
        .collect();
    let mut signals = Signals::new();
    for (position, target) in index.targets.iter().enumerate() {
        let mut own: BTreeMap<SignalName, Signal> = BTreeMap::new();
        for (name, kept) in store.kept.get(&target.key).into_iter().flatten() {
            let faults = faults.remove(&(position, name)).unwrap_or_default();
            own.insert(name.clone(), Signal { history: kept.history.clone(), newest: kept.newest, source: kept.source.clone(), faults });
        }
        // A team whose query is no PromQL sees its signal with that fault rather than not at all.
        for feed in unusable.iter().flat_map(|q| &q.feeds).filter(|f| f.is_for(&target.key)) {
            let empty = || Arc::new(History::new(Timestamp::UNIX_EPOCH, feed.keeps_coarse()));
            let signal = own.entry(feed.signal.clone()).or_insert_with(|| Signal {
                history: empty(),
                newest: None,
                source: feed.source.clone(),
                faults: Vec::new(),
            });
            signal.faults.push(SampleFault::Malformed);
        }
        // The load a team names itself stands instead of the shipped one.
        for feed in custom_demand.iter().filter(|f| f.is_for(&target.key)) {
            match own.get(&feed.signal).cloned() {
                Some(signal) => own.insert(SignalName::Demand, signal),
                None => own.remove(&SignalName::Demand),
            };
        }
        if !own.is_empty() {
            signals.insert(target.key.clone(), own);
        }
    }
    signals
}
