//! What a kubelet would report and kwok does not: a container that ran out of memory, what a container was given, and what becomes of a resize.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, PostParams};

/// The exit code of a process killed by SIGKILL, which the kernel's OOM killer sends.
const KILLED: i32 = 137;

/// Writes the status that a kubelet writes after the kernel killed this container and it was started again.
pub async fn oom_kill(client: &Client, namespace: &str, pod: &str, container: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut killed = pods.get_status(pod).await?;
    let status = killed
        .status
        .as_mut()
        .and_then(|status| status.container_statuses.as_mut())
        .and_then(|containers| containers.iter_mut().find(|one| one.name == container))
        .with_context(|| format!("pod {namespace}/{pod} reports no container {container} yet"))?;
    status.restart_count += 1;
    status.last_state = Some(ContainerState {
        terminated: Some(ContainerStateTerminated { exit_code: KILLED, reason: Some("OOMKilled".to_owned()), ..Default::default() }),
        ..Default::default()
    });
    pods.replace_status(pod, &PostParams::default(), &killed)
        .await
        .with_context(|| format!("failed to write the status of pod {namespace}/{pod}"))?;
    Ok(())
}

/// Reports that every container has what the pod's spec asks for, as a kubelet does that resizes in place. Before the first such report the API server
/// takes the node for one that cannot.
pub async fn take_resources(client: &Client, namespace: &str, pod: &str) -> Result<()> {
    write_status(client, namespace, pod, |pod| {
        let spec = pod.spec.clone().unwrap_or_default();
        let status = pod.status.get_or_insert_default();
        for reported in status.container_statuses.iter_mut().flatten() {
            let asked =
                spec.containers.iter().find(|container| container.name == reported.name).and_then(|container| container.resources.clone());
            reported.allocated_resources = asked.as_ref().and_then(|asked| asked.requests.clone());
            reported.resources = asked;
        }
        status.conditions.get_or_insert_default().retain(|condition| condition.type_ != "PodResizePending");
    })
    .await
}

/// Reports that the pod's resize waits, or can never be: `Deferred` or `Infeasible`.
pub async fn refuse_resize(client: &Client, namespace: &str, pod: &str, reason: &str) -> Result<()> {
    write_status(client, namespace, pod, |pod| {
        let observed_generation = pod.metadata.generation;
        pod.status.get_or_insert_default().conditions.get_or_insert_default().push(PodCondition {
            type_: "PodResizePending".to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            last_transition_time: Some(Time(Timestamp::now())),
            observed_generation,
            ..PodCondition::default()
        });
    })
    .await
}

async fn write_status(client: &Client, namespace: &str, pod: &str, change: impl Fn(&mut Pod)) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut present = pods.get_status(pod).await?;
    change(&mut present);
    pods.replace_status(pod, &PostParams::default(), &present)
        .await
        .with_context(|| format!("failed to write the status of pod {namespace}/{pod}"))?;
    Ok(())
}
