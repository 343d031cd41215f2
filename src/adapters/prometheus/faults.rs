//! The adapter whole, against a server on loopback that can misbehave. Each fault comes in through the server's answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use super::config::{Auth, PrometheusConfig, TenantHeader};
use super::testing::{Asked, Fake, constant, dated, plain, success, world};
use super::{JoinKey, Metrics, Prometheus, SignalUse, Signals, SourceHealth, TargetKey, backfill, signals, store};
use crate::domain::limits::{Aggregate, CustomSignal};
use crate::domain::signal::{SampleFault, SignalName};
use crate::domain::units::GoDuration;

const NOW: i64 = 1_800_000_007;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(NOW + minutes * 60).unwrap()
}

fn source(fake: &Fake) -> Prometheus {
    Prometheus::new(PrometheusConfig { timeout: GoDuration::from_secs(2), ..PrometheusConfig::at(&fake.url) }).unwrap()
}

/// Demand from the ingress and CPU from cAdvisor for `shop/web`, nothing else.
fn healthy(asked: &Asked) -> Response {
    let query = asked.query();
    if query.contains("nginx_ingress_controller_requests") && !query.contains("status") {
        constant(asked, &[(&[("exported_namespace", "shop"), ("exported_service", "web")], 40.0)])
    } else if query.contains("container_cpu_usage_seconds_total") {
        let pods: &[(&[(&str, &str)], f64)] = if query.contains("owner") {
            &[(&[("namespace", "shop"), ("owner", "web"), ("container", "app")], 0.6)]
        } else {
            &[
                (&[("namespace", "shop"), ("pod", "web-0"), ("container", "app")], 0.25),
                (&[("namespace", "shop"), ("pod", "web-1"), ("container", "app")], 0.35),
            ]
        };
        constant(asked, pods)
    } else {
        success(asked.range, &[])
    }
}

async fn tick(prometheus: &Prometheus, minutes: i64) -> (Signals, SourceHealth) {
    let (groups, workloads) = world(&[("shop", "web", 2)]);
    prometheus.signals(&groups, &workloads, at(minutes)).await
}

fn web() -> TargetKey {
    TargetKey::deployment("shop", "web")
}

/// What a server answers instead.
type Fault = fn(&Asked) -> Response;

/// What a tick must still be after any fault: no fresh demand made up, history kept, and the next healthy tick is whole again.
async fn survives(prometheus: &Prometheus, fake: &Fake, minutes: i64, reason: &str) -> SourceHealth {
    let (signals, health) = tick(prometheus, minutes).await;
    match &health {
        SourceHealth::Down(got) | SourceHealth::Degraded(got) => assert_eq!(got, reason),
        SourceHealth::Ok => panic!("the fault went unnoticed"),
    }
    let demand = &signals[&web()][&SignalName::Demand];
    assert_eq!(demand.fresh(at(minutes), SignedDuration::from_secs(59)), None, "nothing new is made up");
    assert!(demand.latest().is_some(), "what was known stays, and ages");
    fake.script(healthy);
    let (signals, health) = tick(prometheus, minutes + 1).await;
    assert_eq!(health, SourceHealth::Ok);
    assert_eq!(signals[&web()][&SignalName::Demand].fresh(at(minutes + 1), SignedDuration::from_mins(1)), Some(40.0));
    health
}

#[tokio::test]
async fn demand_and_cpu_arrive_with_their_past_and_are_then_only_extended() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    let (first, health) = tick(&prometheus, 0).await;
    assert_eq!(health, SourceHealth::Ok);
    let cpu = &first[&web()][&SignalName::Cpu];
    assert!((cpu.latest().unwrap().1 - 0.6).abs() < 1e-6 && cpu.faults.is_empty());
    assert_eq!(&*first[&web()][&SignalName::Demand].source, "ingress-nginx");
    let history = &cpu.history;
    assert_eq!((history.fine.values.len(), history.middle.values.len()), (180, 576));
    assert_eq!(history.coarse.as_ref().unwrap().values.len(), 840);
    assert!(fake.take().iter().any(|a| a.range));

    let (second, _) = tick(&prometheus, 1).await;
    assert!(fake.take().iter().all(|a| !a.range), "what is there is not asked for again");
    assert_eq!(cpu.history.fine.end(), Some(store::minute(at(0))), "the first snapshot is frozen");
    assert_eq!(second[&web()][&SignalName::Cpu].history.fine.end(), Some(store::minute(at(1))));
}

#[tokio::test]
async fn the_number_of_queries_does_not_grow_with_the_number_of_targets() {
    let count = async |targets: usize| {
        let fake = Fake::start(healthy).await;
        let prometheus = source(&fake);
        let names: Vec<String> = (0..targets).map(|n| if n == 0 { "web".to_owned() } else { format!("web-{n}") }).collect();
        let all: Vec<(&str, &str, u32)> = names.iter().map(|n| ("shop", n.as_str(), 2)).collect();
        let (groups, workloads) = world(&all);
        let mut counts = Vec::new();
        for minute in 0..3 {
            prometheus.signals(&groups, &workloads, at(minute)).await;
            counts.push(fake.take().len());
        }
        counts
    };
    let ten = count(10).await;
    assert_eq!(ten, count(1_000).await);
    assert_eq!(ten[1], signals::SHIPPED.len(), "one query a template");
    assert!(ten[0] <= signals::SHIPPED.len() + 3 * 3, "and three ranges for each source that was chosen: {ten:?}");
}

#[tokio::test]
async fn a_custom_query_costs_one_more_and_its_demand_stands_instead_of_the_shipped() {
    let fake = Fake::start(|asked| {
        if asked.query().contains("orders_waiting") {
            assert!(asked.query().contains(r#"namespace="shop""#));
            return constant(asked, &[(&[("workload", "web")], 7.0)]);
        }
        healthy(asked)
    })
    .await;
    let prometheus = source(&fake);
    let (mut groups, workloads) = world(&[("shop", "web", 2)]);
    let custom = |name: &str, query: &str| CustomSignal {
        name: name.into(),
        role: SignalUse::Demand,
        unit: "orders".into(),
        query: query.into(),
        join: JoinKey::Workload,
        aggregate: Aggregate::Sum,
    };
    for group in groups.values_mut() {
        group.signals = vec![custom("orders", "sum by (workload) (orders_waiting)"), custom("broken", "sum(")];
    }
    let (_, _) = prometheus.signals(&groups, &workloads, at(0)).await;
    fake.take();
    let (signals, health) = prometheus.signals(&groups, &workloads, at(1)).await;
    assert_eq!(fake.take().len(), signals::SHIPPED.len() + 1, "what cannot be parsed is not sent");
    assert_eq!(health, SourceHealth::Ok, "one team's mistake is not the source's illness");
    let own = &signals[&web()];
    assert_eq!(own[&SignalName::Custom("broken".into())].faults, [SampleFault::Malformed]);
    for group in groups.values_mut() {
        group.signals.truncate(1);
    }
    let (signals, _) = prometheus.signals(&groups, &workloads, at(2)).await;
    let demand = &signals[&web()][&SignalName::Demand];
    assert_eq!((&*demand.source, demand.latest().unwrap().1), ("custom:orders", 7.0));
}

#[tokio::test]
async fn fault_m01_errors_of_every_kind_leave_history_to_age() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    let error = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples"}"#;
    let faults: [(&str, Fault); 7] = [
        ("QueryRefused", |_| plain(StatusCode::UNPROCESSABLE_ENTITY, r#"{"status":"error","errorType":"execution","error":"x"}"#)),
        ("QueryRefused", |_| plain(StatusCode::BAD_REQUEST, "")),
        ("Unavailable", |_| plain(StatusCode::SERVICE_UNAVAILABLE, "<html>upstream is gone</html>")),
        ("Unauthorized", |_| plain(StatusCode::UNAUTHORIZED, "")),
        ("NotPrometheus", |_| plain(StatusCode::OK, "<html>please log in</html>")),
        ("NotPrometheus", |_| plain(StatusCode::NOT_FOUND, "404 page not found")),
        ("NotPrometheus", |_| plain(StatusCode::OK, r#"{"status":"success","data":{"resultType":"vector","result":[{"met"#)),
    ];
    let mut minute = 1;
    for (reason, fault) in faults {
        fake.script(fault);
        survives(&prometheus, &fake, minute, reason).await;
        minute += 2;
    }
    fake.script(move |asked| if asked.query().contains("nginx") { plain(StatusCode::UNPROCESSABLE_ENTITY, error) } else { healthy(asked) });
    let (signals, health) = tick(&prometheus, minute).await;
    assert_eq!(health, SourceHealth::Degraded("QueryRefused".into()));
    assert!(signals[&web()][&SignalName::Cpu].fresh(at(minute), SignedDuration::from_mins(1)).is_some(), "the others still answer");
}

#[tokio::test]
async fn fault_m01_a_server_that_is_gone_or_never_answers_does_not_hold_the_tick() {
    let fake = Fake::start(healthy).await;
    let prometheus = Prometheus::new(PrometheusConfig { timeout: GoDuration::from_secs(1), ..PrometheusConfig::at(&fake.url) }).unwrap();
    tick(&prometheus, 0).await;
    fake.script(|_| {
        let (status, body) = (StatusCode::OK, Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()));
        (status, body).into_response()
    });
    let begun = Instant::now();
    survives(&prometheus, &fake, 1, "Timeout").await;
    assert!(begun.elapsed().as_secs() < 10, "all queries share one deadline");

    let gone = Prometheus::new(PrometheusConfig::at("http://127.0.0.1:9")).unwrap();
    let (signals, health) = tick(&gone, 0).await;
    assert_eq!((signals.len(), health), (0, SourceHealth::Down("Unreachable".into())));
}

#[tokio::test]
async fn fault_m02_odd_samples_are_gaps_with_their_faults() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    for (minute, value, fault) in [
        (1, "NaN", SampleFault::NotANumber),
        (2, "-Inf", SampleFault::Infinite),
        (3, "-5", SampleFault::Negative),
        (4, "five", SampleFault::Malformed),
    ] {
        fake.script(move |asked| {
            if asked.range || !asked.query().contains("nginx_ingress_controller_requests") || asked.query().contains("status") {
                return healthy(asked);
            }
            let labels = serde_json::json!({"exported_namespace": "shop", "exported_service": "web"});
            success(false, &[serde_json::json!({"metric": labels, "value": [asked.number("time"), value]})])
        });
        let (signals, _) = tick(&prometheus, minute).await;
        let demand = &signals[&web()][&SignalName::Demand];
        assert_eq!(demand.faults, [fault]);
        assert_eq!(demand.latest().map(|(at, _)| at), Some(at(0)), "{value} is a gap");
    }
    fake.script(|asked| {
        if asked.query().contains("container_cpu_usage") && !asked.range {
            return constant(asked, &[(&[("namespace", "shop"), ("pod", "web-0"), ("container", "app")], 0.3)]);
        }
        healthy(asked)
    });
    let (signals, _) = tick(&prometheus, 5).await;
    let cpu = &signals[&web()][&SignalName::Cpu];
    assert_eq!(cpu.faults, [SampleFault::Partial], "one of two ready pods answered");
    assert!((cpu.latest().unwrap().1 - 0.6).abs() < 1e-6);
}

#[tokio::test]
async fn fault_m03_a_server_whose_clock_is_ten_minutes_off_is_not_believed() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    for (minute, offset, fault) in [(1, 600, SampleFault::Stale), (3, -600, SampleFault::Future)] {
        fake.script(move |asked| {
            let (mut parts, body) = healthy(asked).into_parts();
            let clock = at(minute).saturating_add(SignedDuration::from_secs(offset)).unwrap();
            let date = dated(clock, StatusCode::OK, "").headers()["date"].clone();
            parts.headers.insert("date", date);
            Response::from_parts(parts, body)
        });
        let (signals, _) = tick(&prometheus, minute).await;
        assert_eq!(signals[&web()][&SignalName::Demand].faults, [fault]);
        survives(&prometheus, &fake, minute, "ClockSkew").await;
    }
}

#[tokio::test]
async fn fault_m03_samples_that_are_old_or_from_the_future_are_rejected() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    for (minute, offset, fault) in [(1, -120, SampleFault::Stale), (2, 90, SampleFault::Future)] {
        fake.script(move |asked| {
            if asked.range || !asked.query().contains("nginx_ingress_controller_requests") || asked.query().contains("status") {
                return healthy(asked);
            }
            let labels = serde_json::json!({"exported_namespace": "shop", "exported_service": "web"});
            success(false, &[serde_json::json!({"metric": labels, "value": [asked.number("time") + offset, "50"]})])
        });
        let (signals, _) = tick(&prometheus, minute).await;
        let demand = &signals[&web()][&SignalName::Demand];
        assert_eq!(demand.faults, [fault]);
        assert_eq!(demand.latest().unwrap().1, 40.0);
    }
}

#[tokio::test]
async fn fault_m04_the_matcher_is_in_every_selector_of_every_query_that_is_sent() {
    let fake = Fake::start(healthy).await;
    let matcher = Some(r#"cluster="a\"b\\c",env!~"x|y\\.z""#.to_owned());
    let prometheus = Prometheus::new(PrometheusConfig { matcher, ..PrometheusConfig::at(&fake.url) }).unwrap();
    tick(&prometheus, 0).await;
    let asked = fake.take();
    assert!(asked.iter().any(|a| a.range) && asked.len() > signals::SHIPPED.len());
    for asked in asked {
        assert!(prometheus.injected.is_everywhere_in(asked.query()), "{}", asked.query());
    }
}

#[tokio::test]
async fn fault_m05_two_hundred_megabytes_are_cut_off_and_asked_for_by_owner() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let fake = Fake::start(move |asked| {
        if asked.query().contains("container_cpu_usage") && !asked.query().contains("owner") {
            let counter = counter.clone();
            let chunk = Bytes::from(vec![b' '; 1 << 16]);
            let chunks = futures::stream::iter(0..3_200).map(move |_| {
                counter.fetch_add(1 << 16, Ordering::Relaxed);
                Ok::<_, std::io::Error>(chunk.clone())
            });
            return (StatusCode::OK, Body::from_stream(chunks)).into_response();
        }
        healthy(asked)
    })
    .await;
    let prometheus = Prometheus::new(PrometheusConfig { max_response_bytes: 1 << 20, ..PrometheusConfig::at(&fake.url) }).unwrap();
    let (signals, health) = tick(&prometheus, 0).await;
    assert_eq!(health, SourceHealth::Degraded("ResponseTooLarge".into()));
    assert!((signals[&web()][&SignalName::Cpu].latest().unwrap().1 - 0.6).abs() < 1e-6);
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > 1 << 20 && sent < 64 << 20, "{sent} bytes left the server");
}

#[tokio::test]
async fn fault_m05_a_past_that_is_too_large_is_asked_for_in_parts_of_time() {
    let fake = Fake::start(|asked| {
        let points = if asked.range { (asked.number("end") - asked.number("start")) / asked.number("step") + 1 } else { 0 };
        if points > 300 { plain(StatusCode::OK, " ".repeat(1 << 17)) } else { healthy(asked) }
    })
    .await;
    let prometheus = Prometheus::new(PrometheusConfig { max_response_bytes: 1 << 16, ..PrometheusConfig::at(&fake.url) }).unwrap();
    let (signals, health) = tick(&prometheus, 0).await;
    assert_eq!(health, SourceHealth::Ok);
    let coarse = signals[&web()][&SignalName::Demand].history.coarse.clone().unwrap();
    assert_eq!(coarse.values.len(), 840);
    assert!(coarse.values.iter().all(|v| *v == 40.0), "no seam is left out");
}

#[tokio::test]
async fn a_target_that_appears_later_gets_its_past_in_one_go_and_not_each_tick() {
    let fake = Fake::start(|asked| {
        if asked.query().contains("nginx_ingress_controller_requests") && !asked.query().contains("status") {
            let of = |name| -> Vec<(&str, &str)> { vec![("exported_namespace", "shop"), ("exported_service", name)] };
            return constant(asked, &[(&of("web"), 40.0), (&of("late"), 5.0)]);
        }
        healthy(asked)
    })
    .await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    fake.take();
    let (groups, workloads) = world(&[("shop", "web", 2), ("shop", "late", 1)]);
    let late = TargetKey::deployment("shop", "late");
    let mut ranges = Vec::new();
    for minute in 1..=6 {
        let (signals, _) = prometheus.signals(&groups, &workloads, at(minute)).await;
        ranges.push(fake.take().iter().filter(|a| a.range).count());
        assert!(signals[&late][&SignalName::Demand].latest().is_some());
    }
    assert_eq!(ranges, [0, 0, 0, 0, 3, 0], "within five minutes, three tiers of one signal");
    let (signals, _) = prometheus.signals(&groups, &workloads, at(7)).await;
    assert_eq!(signals[&late][&SignalName::Demand].history.fine.values.len(), 180);
    let (signals, _) = tick(&prometheus, 8).await;
    assert!(!signals.contains_key(&late), "what is gone is forgotten");
}

#[tokio::test]
async fn minutes_that_were_missed_are_read_afterwards() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    fake.take();
    let (signals, _) = tick(&prometheus, 8).await;
    let asked = fake.take();
    let ranges: Vec<_> = asked.iter().filter(|a| a.range).map(|a| (a.number("end") - a.number("start")) / 60 + 1).collect();
    assert_eq!(ranges, [7, 7, 7], "demand, cpu and ready");
    let fine = &signals[&web()][&SignalName::Demand].history.fine;
    assert_eq!(fine.end(), Some(store::minute(at(8))));
    assert!(fine.values.iter().all(|v| v.is_finite()));

    let (signals, _) = tick(&prometheus, 8 + 6 * 60).await;
    let history = &signals[&web()][&SignalName::Demand].history;
    assert!(history.fine.values.iter().chain(&history.middle.values).all(|v| v.is_finite()), "six hours leave no gap in any tier");
    assert_eq!(history.middle.values.len(), 576);
}

#[tokio::test]
async fn eight_days_of_demand_come_in_two_parts_for_this_target_alone() {
    let fake = Fake::start(healthy).await;
    let prometheus = source(&fake);
    assert!(prometheus.demand_history(&web(), at(0)).await.is_err(), "nothing has been observed");
    tick(&prometheus, 0).await;
    fake.take();
    let series = prometheus.demand_history(&web(), at(0)).await.unwrap();
    assert_eq!((series.step_s, series.values.len()), (60, 11_520));
    let asked = fake.take();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|a| (a.number("end") - a.number("start")) / 60 < backfill::MOST_POINTS));
    assert!(asked[0].query().contains(r#"exported_service=~"web""#), "{}", asked[0].query());
}

#[tokio::test]
async fn an_incomplete_answer_behind_a_query_front_end_is_degraded() {
    let fake = Fake::start(|_| {
        plain(StatusCode::OK, r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["No StoreAPIs matched"]}"#)
    })
    .await;
    let (_, health) = tick(&source(&fake), 0).await;
    assert_eq!(health, SourceHealth::Degraded("PartialResponse".into()));
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let fake = Fake::start(|_| (StatusCode::TEMPORARY_REDIRECT, [("location", "http://169.254.169.254/latest")]).into_response()).await;
    let (_, health) = tick(&source(&fake), 0).await;
    assert_eq!(health, SourceHealth::Down("Redirected".into()));
}

#[tokio::test]
async fn a_rotated_token_is_taken_at_the_next_query_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let fake = Fake::start(healthy).await;
    let config = PrometheusConfig {
        auth: Auth::BearerTokenFile(file.clone()),
        tenant: Some(TenantHeader { name: "X-Scope-OrgID".into(), value: "shop".into() }),
        ..PrometheusConfig::at(&fake.url)
    };
    let prometheus = Prometheus::new(config).unwrap();
    assert_eq!(tick(&prometheus, 0).await.1, SourceHealth::Down("SecretUnreadable".into()), "no file, no query");
    assert_eq!(fake.take().len(), 0);
    for token in ["t0ken-one", "t0ken-two"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        tick(&prometheus, 1).await;
        for asked in fake.take() {
            assert_eq!(asked.headers["authorization"], format!("Bearer {token}"));
            assert_eq!(asked.headers["x-scope-orgid"], "shop");
        }
    }
    assert!(!format!("{prometheus:?}").contains("t0ken"));
    let basic = Auth::Basic { user: "ipa".into(), password_file: file };
    let prometheus = Prometheus::new(PrometheusConfig { auth: basic, ..PrometheusConfig::at(&fake.url) }).unwrap();
    tick(&prometheus, 2).await;
    assert!(fake.take()[0].headers["authorization"].to_str().unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn a_gap_is_healed_even_when_a_new_target_is_asked_for_in_the_same_tick() {
    let fake = Fake::start(|asked| {
        if asked.query().contains("nginx_ingress_controller_requests") && !asked.query().contains("status") {
            let of = |name| -> Vec<(&str, &str)> { vec![("exported_namespace", "shop"), ("exported_service", name)] };
            return constant(asked, &[(&of("web"), 40.0), (&of("late"), 5.0)]);
        }
        healthy(asked)
    })
    .await;
    let prometheus = source(&fake);
    tick(&prometheus, 0).await;
    let (groups, workloads) = world(&[("shop", "web", 2), ("shop", "late", 1)]);
    let (signals, _) = prometheus.signals(&groups, &workloads, at(20)).await;
    for target in [web(), TargetKey::deployment("shop", "late")] {
        let fine = &signals[&target][&SignalName::Demand].history.fine;
        assert_eq!((fine.values.len(), fine.values.iter().filter(|v| v.is_finite()).count()), (180, 180), "{target}");
    }
}

#[tokio::test]
async fn one_name_in_two_namespaces_is_two_signals() {
    let fake = Fake::start(|asked| {
        if asked.query().contains(r#"namespace="shop""#) && asked.query().contains("waiting") {
            return constant(asked, &[(&[("workload", "web")], 7.0)]);
        }
        plain(StatusCode::UNPROCESSABLE_ENTITY, "")
    })
    .await;
    let prometheus = source(&fake);
    let (mut groups, workloads) = world(&[("aaa", "web", 1), ("shop", "web", 1)]);
    for group in groups.values_mut() {
        group.signals = vec![CustomSignal {
            name: "waiting".into(),
            role: SignalUse::Leading,
            unit: "items".into(),
            query: "sum by (workload) (waiting)".into(),
            join: JoinKey::Workload,
            aggregate: Aggregate::Sum,
        }];
    }
    let (signals, _) = prometheus.signals(&groups, &workloads, at(0)).await;
    assert_eq!(signals[&web()][&SignalName::Custom("waiting".into())].latest().map(|(_, v)| v), Some(7.0));
    assert!(!signals.contains_key(&TargetKey::deployment("aaa", "web")), "the other's question failed, and only that");
}

#[tokio::test]
async fn without_targets_one_question_tells_whether_the_source_answers() {
    let fake = Fake::start(healthy).await;
    let (signals, health) = source(&fake).signals(&BTreeMap::new(), &BTreeMap::new(), at(0)).await;
    assert_eq!((signals.len(), health, fake.take().len()), (0, SourceHealth::Ok, 1));
}
