//! Quality of service: in place a pod keeps its class, as Kubernetes demands; through the template none is given a lower one, since the kernel and the
//! kubelet end pods of lower classes first. A higher one through the template is what first requests are for.

use super::rule::{Answer, Case};
use crate::domain::proposal::Change;
use crate::domain::resize::Through;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Change::Resources(change), Some(workload)) = (case.change, case.subject.workload) else { return Answer::pass() };
    let (from, to) = (workload.qos_with(&change.container, &change.from), workload.qos_with(&change.container, &change.to));
    match change.through {
        Through::Pods if to != from => {
            Answer::refuse(format!("pods are {from} and would be {to}: in place their quality of service stays"))
        }
        Through::Template if to < from => {
            Answer::refuse(format!("pods are {from} and would be {to}, which is ended sooner when a node runs short"))
        }
        Through::Pods | Through::Template => Answer::pass(),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::proposal::Change;
    use crate::domain::units::Millicores;
    use crate::domain::workload::ContainerResources;
    use crate::guardrails::testing::{Setup, app_resources, calm, check, in_place, resources};

    /// One container with requests that are its limits, and a change of it.
    fn guaranteed(change: impl Fn(&mut ContainerResources)) -> (Setup, Change) {
        let equal =
            ContainerResources { cpu_limit: Some(Millicores(1000)), memory_limit: app_resources().memory_request, ..app_resources() };
        let mut setup = calm();
        setup.workload().template.containers.truncate(1);
        setup.workload().template.containers[0].resources = equal;
        let Change::Resources(mut asked) = resources("1", "512Mi", "512Mi") else { panic!() };
        asked.from = equal;
        asked.to = equal;
        change(&mut asked.to);
        (setup, Change::Resources(asked))
    }

    #[test]
    fn a_guaranteed_pod_stays_so_whichever_way() {
        let (setup, change) = guaranteed(|to| to.cpu_request = Some(Millicores(900)));
        check(
            &setup,
            in_place(change.clone()),
            "Refuse\nQosClass Refuse: pods are Guaranteed and would be Burstable: in place their quality of service stays",
        );
        check(
            &setup,
            change,
            "Refuse\nQosClass Refuse: pods are Guaranteed and would be Burstable, which is ended sooner when a node runs short",
        );
        let (setup, change) = guaranteed(|to| {
            to.cpu_request = Some(Millicores(1200));
            to.cpu_limit = to.cpu_request;
        });
        let text = in_place(change.clone()).summary();
        check(&setup, in_place(change), &format!("Admit {text}"));
    }

    #[test]
    fn a_pod_may_rise_through_the_template_alone() {
        let mut setup = calm();
        setup.workload().template.containers[0].resources = ContainerResources::default();
        let Change::Resources(mut first) = resources("1", "512Mi", "1Gi") else { panic!() };
        first.from = ContainerResources::default();
        let first = Change::Resources(first);
        check(
            &setup,
            in_place(first.clone()),
            "Refuse\nQosClass Refuse: pods are BestEffort and would be Burstable: in place their quality of service stays",
        );
        let text = first.summary();
        check(&setup, first, &format!("Admit {text}"));
    }
}
