//! What a kubelet would report and kwok does not: a container that ran out of memory.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
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
