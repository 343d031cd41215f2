//! Quota: what a namespace's quotas have left, after what is asked for there and has no pod yet, and after what was released before.

use super::projection::grown;
use super::rule::{Answer, Case};
use crate::domain::proposal::{Change, ReplicasChange, ResourcesChange};
use crate::domain::snapshot::Quota;
use crate::domain::workload::ResourceList;

/// One dimension of a quota for pods that are alike.
struct Dimension {
    name: &'static str,
    hard: u64,
    taken: u64,
    each: u64,
}

pub(super) fn ask(case: &Case<'_>) -> Answer {
    match case.change {
        Change::Replicas(change) if change.to > change.from => replicas(case, change),
        Change::Resources(change) => resources(case, change),
        Change::Replicas(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => Answer::pass(),
    }
}

fn replicas(case: &Case<'_>, change: &ReplicasChange) -> Answer {
    let Some(workload) = case.subject.workload else { return Answer::pass() };
    let asked = change.to - change.from;
    let each = ResourceList { pods: 1, ..workload.template.shape.requests.clone() };
    let Some((quota, tightest)) = tightest(case, &change.target.namespace, &each) else { return Answer::pass() };
    let allowed = u32::try_from(tightest.left() / tightest.each).unwrap_or(u32::MAX);
    if allowed >= asked {
        return Answer::pass();
    }
    let why =
        format!("quota {} has {} of {} {} taken, a pod takes {}", quota.name, tightest.taken, tightest.hard, tightest.name, tightest.each);
    Answer::at_most(change, allowed, &why).comparing("replicas added", f64::from(asked), f64::from(allowed))
}

fn resources(case: &Case<'_>, change: &ResourcesChange) -> Answer {
    let Some(workload) = case.subject.workload else { return Answer::pass() };
    let pods = u64::from(workload.replicas.desired);
    let more = ResourceList {
        cpu: crate::domain::units::Millicores(grown(change.from.cpu_request.map(|v| v.0), change.to.cpu_request.map(|v| v.0))),
        memory: crate::domain::units::Bytes(grown(change.from.memory_request.map(|v| v.0), change.to.memory_request.map(|v| v.0))),
        ..ResourceList::default()
    };
    let Some((quota, tightest)) = tightest(case, &change.target.namespace, &more) else { return Answer::pass() };
    let needed = tightest.each.saturating_mul(pods);
    if needed <= tightest.left() {
        return Answer::pass();
    }
    Answer::refuse(format!(
        "quota {} has {} of {} {} taken, {pods} pods would take {needed} more",
        quota.name, tightest.taken, tightest.hard, tightest.name
    ))
    .comparing(tightest.name, needed as f64, tightest.left() as f64)
}

/// The dimension that leaves the fewest pods, over all quotas of the namespace.
fn tightest<'a>(case: &Case<'a>, namespace: &str, each: &ResourceList) -> Option<(&'a Quota, Dimension)> {
    let claimed = case.projection.claimed(namespace);
    let quotas = case.world.snapshot.facts.quotas.get(namespace)?;
    let dimensions = quotas.iter().flat_map(|quota| {
        let (hard, used) = (&quota.hard, &quota.used);
        let amount = |used: Option<u64>, claimed: u64| used.unwrap_or(0).saturating_add(claimed);
        [
            hard.cpu.map(|h| ("millicores of cpu", h.0, amount(used.cpu.map(|u| u.0), claimed.cpu.0), each.cpu.0)),
            hard.memory.map(|h| ("bytes of memory", h.0, amount(used.memory.map(|u| u.0), claimed.memory.0), each.memory.0)),
            hard.pods.map(|h| ("pods", h, amount(used.pods, u64::from(claimed.pods)), u64::from(each.pods))),
        ]
        .into_iter()
        .flatten()
        .filter(|(_, _, _, each)| *each > 0)
        .map(move |(name, hard, taken, each)| (quota, Dimension { name, hard, taken, each }))
    });
    dimensions.min_by_key(|(_, dimension)| dimension.left() / dimension.each)
}

impl Dimension {
    fn left(&self) -> u64 {
        self.hard.saturating_sub(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::proposal::Origin;
    use crate::domain::snapshot::{Quota, QuotaAmounts};
    use crate::domain::units::Millicores;
    use crate::guardrails::judge;
    use crate::guardrails::testing::{Setup, calm, check, proposal, replicas, replicas_of, resources, said};

    fn with_cpu(hard: u64) -> Setup {
        let mut setup = calm();
        let cpu = |milli| QuotaAmounts { cpu: Some(Millicores(milli)), ..QuotaAmounts::default() };
        setup.snapshot.facts.quotas.insert("shop".into(), vec![Quota { name: "compute".into(), hard: cpu(hard), used: cpu(10_000) }]);
        setup
    }

    #[test]
    fn fault_g08_what_a_quota_leaves_is_taken_and_no_more() {
        check(&with_cpu(14_000), replicas(14), "Admit 10 -> 14");
        check(
            &with_cpu(14_000),
            replicas(16),
            "Clamp 10 -> 14\n\
            Quota Clamp: 4 of 6 replicas may be added: quota compute has 10000 of 14000 millicores of cpu taken, a pod takes 1000",
        );
        check(
            &with_cpu(10_500),
            replicas(16),
            "Refuse\n\
            Quota Refuse: none of 6 replicas may be added: quota compute has 10000 of 10500 millicores of cpu taken, a pod takes 1000",
        );
        check(
            &with_cpu(10_500),
            resources("1100m", "512Mi", "1Gi"),
            "Refuse\n\
            Quota Refuse: quota compute has 10000 of 10500 millicores of cpu taken, 10 pods would take 1000 more",
        );
        check(&with_cpu(10_500), replicas(8), "Admit 10 -> 8");
    }

    #[test]
    fn replicas_without_a_pod_yet_and_the_batch_before_claim_their_share() {
        let mut setup = with_cpu(16_000);
        setup.add("api");
        setup.workload().replicas.current = 8;
        setup.workload().replicas.ready = 8;
        let batch = [proposal(1, Origin::Planner, replicas_of("api", 10, 13)), proposal(2, Origin::Planner, replicas(14))];
        let reviews = judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch);
        assert_eq!(said(&reviews[0]), "Admit 10 -> 13");
        assert_eq!(
            said(&reviews[1]),
            "Clamp 10 -> 11\nQuota Clamp: 1 of 4 replicas may be added: \
             quota compute has 15000 of 16000 millicores of cpu taken, a pod takes 1000"
        );
    }
}
