//! `evals/README.md`: what is there, how it was made, and how to add one of one's own.

use std::fmt::Write as _;

use super::super::incident::document::ExpectDocument;
use super::case::Generated;

/// Bytes of a mebibyte.
const MIB: f64 = 1_048_576.0;

/// The whole text.
pub(super) fn readme(incidents: &[Generated], seed: u64) -> String {
    let bytes: usize = incidents.iter().flat_map(|incident| incident.files.values()).map(String::len).sum();
    let mut text = HEAD
        .replace("{count}", &incidents.len().to_string())
        .replace("{mib}", &format!("{:.1}", bytes as f64 / MIB))
        .replace("{seed}", &seed.to_string());
    text.push_str("| incident | what happens | kind | starts in | past + scored | asked |\n|---|---|---|---|---|---|\n");
    for incident in incidents {
        let (metadata, spec) = (&incident.document.metadata, &incident.document.spec);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| [`{name}`]({name}/incident.yaml) | {} | {} | {} s | {} + {} | {} |",
            metadata.title,
            metadata.tags.join(", "),
            incident.slowest_start_s(),
            hours(spec.history.0.as_secs()),
            hours(spec.duration.0.as_secs()),
            spec.expect.as_ref().map_or_else(String::new, asked),
            name = incident.name,
        );
    }
    text.push_str(TAIL);
    text
}

fn hours(seconds: u64) -> String {
    let hours = seconds / 3600;
    if hours.is_multiple_of(24) { format!("{} d", hours / 24) } else { format!("{hours} h") }
}

fn asked(expect: &ExpectDocument) -> String {
    let ExpectDocument { max_bad_fraction, max_cost_over_oracle, never, decision } = expect;
    let mut parts: Vec<String> = Vec::new();
    if let Some(decision) = decision {
        let forbidden: Vec<String> = decision.forbidden.iter().map(|act| format!(", no {act:?}")).collect();
        parts.push(format!("understood as {:?}{}", decision.class, forbidden.concat()));
    }
    parts.extend(max_bad_fraction.map(|share| format!("at most {} % bad", share * 100.0)));
    parts.extend(max_cost_over_oracle.map(|ratio| format!("at most {ratio} times the oracle's cost")));
    if !never.is_empty() {
        parts.push(format!("never {}", never.iter().map(|never| format!("{never:?}")).collect::<Vec<_>>().join(", ")));
    }
    parts.join("; ")
}

const HEAD: &str = "# Incidents

{count} stretches of demand, faults and events that a policy is scored on ({mib} MiB). `ipa eval run evals/*/ --policy hpa-tuned,ipa,oracle-rate` replays them.

All of it is generated, this file too: `cargo run --example incidents -- evals` writes the same bytes anew from the seed {seed}, and a test holds the
files against it. No foreign data is in here. Demand has hours, weekdays, days that differ, autocorrelated wandering that grows with the rate, the grain of
counted events, and bursts whose sizes have a heavy tail; the stories follow what public accounts of outages say happened, never their numbers. An
incident's `source` says which.

`cargo run --example incidents -- DIR --seed 7` writes the same stories with other days, other noise and other bursts: nobody has tuned anything on those.

What is asked of `ipa` and `ipa-model` stands in the last column. Incidents with less than seven days of past (three hours for `llm`) are judged by it
alone; how much of the gap to the oracle is closed is not scored there.

";

const TAIL: &str = "
## One of your own

A directory with an `incident.yaml` and a CSV for each series is an incident; put it beside these, or anywhere.

```yaml
apiVersion: ipa.dev/v1alpha1
kind: Incident
metadata: {name: our-friday, title: The Friday on which checkout stood still, source: our Prometheus, license: internal, tags: [seasonal]}
spec:
  start: 2026-03-02T00:00:00Z        # wall clock at t = 0
  timeZone: Europe/Vienna            # default UTC
  history: 14d                       # the past that is known
  duration: 24h                      # what is scored, right after
  workloads:
  - name: web
    replicas: 4                      # when the scored part begins
    bounds: {min: 2, max: 60}
    requests: {cpu: 500m, memory: 512Mi}
    limits: {memory: 1Gi}            # default none
    startup: {p50: 40s, p95: 70s}    # or one time; startupCpu beside it, where starting costs more than idling
    service:                         # the truth, which no policy sees
      capacity: 50                   # units/s that one replica serves; all else has a default:
      kind: HTTP                     # or Queue: work waits instead of timing out
      baseLatency: 40ms
      timeout: 30s                   # who waited longer is lost
      retry: {share: 0, max: 0}      # of the lost, how many come back, how often
      contention: 0                  # share of capacity lost for each further replica
      cpuPerUnit: 8m                 # core-seconds of a unit
      memory: {base: 200Mi, perUnit: 1Mi, leakPerHour: 0Mi}
    demand: {series: web.csv, unit: 1/s, scale: 1, smooth: true, observe: Offered}
    slo: {latency: 250ms}
    criticality: High                # default Medium
    dependsOn: [{name: api, ratio: 2}]
  nodes:                             # default: there is always room
    pools: [{name: general, instanceTypes: [m6i.xlarge], zones: [a, b], capacityTypes: [on-demand], provisioning: 90s, max: 50}]
  faults:                            # `at` from the scored part's begin; `for` is until the end where it is left out
  - {at: 1h, for: 10m, kind: MetricsOutage}
  expect:
    maxBadFraction: 0.01
    maxCostOverOracle: 1.4
    never: [ScaleDownOnStaleMetrics, OutsideBounds]
    decision: {class: MetricFault, firstSafeActBefore: 10m, forbidden: [ScaleDown], evidence: [demand, latency]}
```

- A CSV has the header `t,value` and rows in order of time; `t` is in seconds from `spec.start`, or RFC 3339; a row without a value is a gap, in which demand goes on and
  metrics show nothing. A value is the rate from its time until the next row's.
- `events.jsonl` holds what the cluster noted, a line each: `{\"t\":60,\"kind\":\"Pod\",\"object\":\"web-1\",\"reason\":\"OOMKilling\",\"count\":1,\"note\":\"\"}`.
- `ipa.yaml` holds the custom resources under test, in the namespace `incident`. It is taken whole: without a `ScalingGuardrail` in it nothing above Observe is done. Without the file,
  everything is Auto within the workloads' bounds.
- Faults and their parameters: `MetricsOutage`; `MetricsLie` (`factor`, `signals`, demand where none is named); `MetricsDelay` (`by`); `ModelOutage`; `ModelHostile`; `SpotReclaim` (`share`, `notice`);
  `ProvisioningFailure`; `ZoneLoss` (`target`); `NodeSlow` (`share`, `factor`); `PodCrash` (`share`); `DependencyBrownout` (`factor`, `cpuFactor`); `ServiceTimeChange` (`factor`); `Rollout`
  (`factor`); `PriceChange` (`factor`); `ApiConflict` (`share`); `CompetingWriter` (`replicas`, `every`); `HumanScale` (`replicas`); `SurgeAnnounced` (`ahead`, `percent`). `target` names the workload, pool or
  zone that is struck; without it all are.
- Whatever is wrong with a file is said in one line, with the field and what to write.
";
