//! Record: a stretch that a real Prometheus has kept of a workload in a real cluster becomes an incident, which is replayed.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use ipa::adapters::ledger::SqliteLedger;
use ipa::domain::names::{GroupId, TargetKey, TickId};
use ipa::domain::record::{EntryBody, Evidence, Opened, TargetEvidence};
use ipa::domain::snapshot::{Event, EventReason, SourceHealth};
use ipa::domain::workload::{ReplicaCounts, Rollout};
use ipa::eval::incident::{Incident, Observe};
use ipa::ports::{Body, Ledger, NewEntry};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::shop::{CALM, LIMIT, NAME, Shop};
use super::{ipa, repository};
use crate::testbed::apply::apply_file;
use crate::testbed::exporter::load::Load;
use crate::testbed::prometheus::{Prometheus, ScrapeTarget};
use crate::testbed::wait::wait_until;
use crate::testbed::{READY_WITHIN, Testbed};

/// Seconds from sample to sample of what was scraped.
const SCRAPE_S: i64 = 15;
/// Minutes that were kept, of which so many are recorded. Prometheus takes no samples older than an hour.
const KEPT_MIN: i64 = 40;
const RECORDED_MIN: i64 = 15;
/// Replicas when the recording begins.
const BEGAN_WITH: u32 = 5;
/// Core-seconds and bytes of the recorded service.
const CORES_A_UNIT: f64 = 0.008;
const MEMORY: f64 = 200e6;

/// Requests a second of a minute of the Unix epoch.
fn rate(minute: i64) -> f64 {
    200.0 + 10.0 * minute.rem_euclid(12) as f64
}

#[tokio::test]
async fn what_prometheus_and_the_ledger_kept_becomes_an_incident_that_replays() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
    apply_file(&testbed.client()?, &repository("deploy/crds/ipa.dev.yaml"), None, "kubectl").await?;
    let shop = Shop::open(testbed, &Load::Constant(CALM)).await?;
    shop.enrol("Observe", "").await?;
    // Counters begin a minute before the first rate.
    let end = Timestamp::from_second(Timestamp::now().as_second().div_euclid(60) * 60)?;
    let begin = end - SignedDuration::from_mins(KEPT_MIN);
    let from = end - SignedDuration::from_mins(RECORDED_MIN);
    let exporter = serve(past(&shop.namespace, begin, end)).await?;
    let prometheus = testbed.prometheus(&[ScrapeTarget::plain(exporter)]).await?;
    wait_until_kept(&prometheus, &shop.namespace).await?;
    let place = tempfile::tempdir()?;
    let (data_dir, incident, config) = (place.path().join("data"), place.path().join("shop-evening"), place.path().join("config.yaml"));
    std::fs::write(&config, format!("prometheus: {{url: 'http://flag', scrapeInterval: {SCRAPE_S}s}}\n"))?;
    write_ledger(&data_dir, &shop.namespace, from).await?;

    let group = format!("{}/{NAME}", shop.namespace);
    let [from_text, until_text] = [from, end].map(|at| at.to_string());
    let [data_dir, directory, config] = [&data_dir, &incident, &config].map(|path| path.display().to_string());
    let command = ["eval", "record", "--from", &from_text, "--to", &until_text, "--group", &group];
    let connected = ["--config", &config, "--prometheus-url", prometheus.url(), "--data-dir", &data_dir, "--output", "json", &directory];
    let told: Value = shop.as_administrator(&[&command[..], &connected[..]].concat()).await?.json()?;

    ensure!(told["incident"] == "shop-evening" && told["workloads"] == serde_json::json!([NAME]), "{told:#}");
    ensure!(told["duration_s"] == RECORDED_MIN * 60 && told["faults"] == 1 && told["events"] == 1, "{told:#}");
    let assumed: Vec<&str> = told["assumed"].as_array().into_iter().flatten().filter_map(|one| one["field"].as_str()).collect();
    ensure!(assumed.contains(&"web.service.timeout") && !assumed.contains(&"web.replicas"), "{assumed:?}");
    check_incident(&Incident::read(&incident)?, begin, from)?;

    let replayed = ipa(["eval", "run", &directory, "--policy", "hold,hpa", "--price", "10", "--output", "json"]).await?;
    ensure!(replayed.code == Some(0), "{}{}", replayed.stdout, replayed.stderr);
    for policy in ["hold", "hpa"] {
        let row = format!("\"incident\":\"shop-evening\",\"policy\":\"{policy}\"");
        ensure!(replayed.stdout.contains(&row), "{row} is not among {}", replayed.stdout);
    }
    let nameless = place.path().join("nameless").display().to_string();
    let shown = shop.as_administrator(&[&command[..], &connected[..4], &["--anonymize", &nameless]].concat()).await?;
    let says = ["taken by default:\n", "  w1.service.timeout = 30s (", "  w1.replicas = 2 (", "name its directory with --data-dir"];
    ensure!(shown.code == Some(0) && says.iter().all(|said| shown.stdout.contains(said)), "{}{}", shown.stdout, shown.stderr);
    for file in std::fs::read_dir(&nameless)? {
        let text = std::fs::read_to_string(file?.path())?;
        ensure!(!text.contains(&shop.namespace) && !text.contains(NAME), "{text}");
    }
    let again = shop.as_administrator(&[&command[..], &connected[..]].concat()).await?;
    ensure!(again.code == Some(2) && again.stderr.contains("is not empty"), "{}{}", again.stdout, again.stderr);
    Ok(())
}

#[tokio::test]
async fn a_stretch_that_cannot_be_is_one_line_that_names_it_and_the_mend() -> Result<()> {
    let cases: [(&str, &[&str]); 7] = [
        ("eval record --from yesterday x", &["--from yesterday", "RFC 3339", "-2h"]),
        ("eval record --from 2999-01-01T00:00:00Z x", &["--from", "yet to come"]),
        ("eval record --from -1h --to -2h x", &["--from", "--to", "earlier"]),
        ("eval record --from -2h Mine", &["`Mine`", "lower-case"]),
        ("eval record --from -2h --to -2w x", &["--to -2w", "-2h"]),
        ("eval record --from -2h --capacity web x --prometheus-url http://p", &["--capacity", "web=50"]),
        ("eval record --from -2h --data-dir nowhere --prometheus-url http://p x", &["nowhere", "--data-dir"]),
    ];
    for (typed, named) in cases {
        let ran = ipa(typed.split(' ')).await?;
        let one_line = ran.stderr.lines().count() == 1 && named.iter().all(|word| ran.stderr.contains(word));
        ensure!(
            ran.code == Some(2) && one_line,
            "`ipa {typed}` ended with {:?} and not with a line that names {named:?}: {}",
            ran.code,
            ran.stderr
        );
    }
    Ok(())
}

fn check_incident(incident: &Incident, begin: Timestamp, from: Timestamp) -> Result<()> {
    ensure!(incident.scored_from() == from, "it begins at {}", incident.scored_from());
    let past = i64::from(incident.history_s) / 60;
    ensure!((KEPT_MIN - RECORDED_MIN - 2..=KEPT_MIN - RECORDED_MIN).contains(&past), "{past} minutes of history were found");
    let web = &incident.workloads[0];
    ensure!((web.replicas, web.bounds.min, web.bounds.max) == (BEGAN_WITH, 2, LIMIT.unsigned_abs()), "{web:?}");
    ensure!((web.service.capacity - 50.0).abs() < 1e-9, "{web:?}");
    ensure!((web.service.cpu_per_unit / CORES_A_UNIT - 1.0).abs() < 0.02, "{web:?}");
    ensure!((0.03..0.05).contains(&web.service.base_latency_s), "{web:?}");
    ensure!((web.service.memory.base.0 as f64 / MEMORY - 1.0).abs() < 0.01, "{web:?}");
    ensure!(web.startup.p50_s >= 1.0, "pods were seen to start: {web:?}");
    let demand = web.demand.as_ref().context("it has no demand")?;
    ensure!(demand.observe == Observe::Offered, "the ingress counts what is offered");
    let first = begin.as_second().div_euclid(60) + 1;
    let mut compared = 0;
    for (second, units) in &demand.samples {
        let minute = (incident.start.as_second() + i64::from(*second)) / 60;
        // `rate` extrapolates to the window's edges, of the first and last minutes from what little there is.
        if minute > first {
            compared += 1;
            ensure!((units / rate(minute) - 1.0).abs() < 0.06, "{units} in a minute of {}", rate(minute));
        }
    }
    ensure!(compared >= KEPT_MIN - 4, "only {compared} minutes were recorded");
    Ok(())
}

/// What was scraped of the workload between two moments, each sample with its time.
fn past(namespace: &str, begin: Timestamp, end: Timestamp) -> String {
    let ingress = format!("namespace=\"{namespace}\",ingress=\"{NAME}\",service=\"{NAME}\"");
    let container = format!("namespace=\"{namespace}\",pod=\"{NAME}-6d4cf56db6-abcde\",container=\"{NAME}\",image=\"i\"");
    let latency = "nginx_ingress_controller_request_duration_seconds_bucket";
    // Every answer took more than 25 ms and at most 50 ms.
    let series = [
        (format!("nginx_ingress_controller_requests{{{ingress},status=\"200\"}}"), 1.0, 0.0),
        (format!("{latency}{{{ingress},status=\"200\",le=\"0.025\"}}"), 0.0, 0.0),
        (format!("{latency}{{{ingress},status=\"200\",le=\"0.05\"}}"), 1.0, 0.0),
        (format!("{latency}{{{ingress},status=\"200\",le=\"+Inf\"}}"), 1.0, 0.0),
        (format!("container_cpu_usage_seconds_total{{{container}}}"), CORES_A_UNIT, 0.0),
        (format!("container_memory_working_set_bytes{{{container}}}"), 0.0, MEMORY),
    ];
    let mut page = String::new();
    for (series, per_request, constant) in series {
        let mut requests = 0.0;
        for second in (begin.as_second()..=end.as_second()).step_by(SCRAPE_S as usize) {
            let _ = writeln!(page, "{series} {} {}", requests * per_request + constant, second * 1000);
            requests += SCRAPE_S as f64 * rate(second.div_euclid(60));
        }
    }
    page
}

/// Serves a page for as long as the test runs.
async fn serve(page: String) -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/metrics", get(|| async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], page) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn wait_until_kept(prometheus: &Prometheus, namespace: &str) -> Result<()> {
    let query = format!("count(count_over_time(container_memory_working_set_bytes{{namespace=\"{namespace}\"}}[{KEPT_MIN}m]))");
    wait_until("the past is kept", READY_WITHIN, async || {
        ensure!(prometheus.value(&query).await? >= 1.0, "it is not yet");
        Ok(())
    })
    .await
}

/// A ledger of three ticks: the first saw the replicas and an event, the second had no answer from metrics, the third did again.
async fn write_ledger(directory: &Path, namespace: &str, from: Timestamp) -> Result<()> {
    let ledger = SqliteLedger::open(directory).await?;
    let key = TargetKey::deployment(namespace, NAME);
    let counts = ReplicaCounts { desired: BEGAN_WITH, current: BEGAN_WITH, ready: BEGAN_WITH };
    let event = Event {
        id: "ev1".into(),
        at: from + SignedDuration::from_secs(90),
        target: key.clone(),
        kind: "Pod".into(),
        reason: EventReason::Killing,
        count: 1,
    };
    let target = TargetEvidence {
        key,
        uid: None,
        replicas: counts,
        rollout: Rollout::Complete,
        autoscalers: vec![],
        signals: std::collections::BTreeMap::new(),
    };
    let evidence = Body::Evidence(Evidence { targets: vec![target], events: vec![event], guardrail: None });
    let evidence = ledger.put_bodies(vec![evidence], from).await?.remove(0);
    for (minute, metrics) in [(1, SourceHealth::Ok), (2, SourceHealth::Down("Unreachable".into())), (4, SourceHealth::Ok)] {
        let opened = Opened { evidence: evidence.clone(), modes: std::collections::BTreeMap::new(), metrics };
        let entry = NewEntry {
            at: from + SignedDuration::from_mins(minute),
            cluster: "testbed".into(),
            group: GroupId::new(namespace, NAME),
            tick: TickId(minute.unsigned_abs()),
            body: EntryBody::Opened(opened),
        };
        ledger.append(vec![entry]).await?;
    }
    Ok(ledger.close().await?)
}
