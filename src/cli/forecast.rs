//! `ipa forecast`: the outlook of one recorded series, and how good such outlooks have been on it.

mod plot;
pub mod read;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use jiff::Timestamp;

use self::plot::{Look, plot};
use self::read::{Clock, Recorded};
use super::output::{print_json, print_text, say, table};
use super::{Answer, Output};
use crate::domain::limits::TimeZoneName;
use crate::domain::outlook::{ForecastQuality, HORIZON_MINUTES, Outlook};
use crate::domain::series::Series;
use crate::domain::units::GoDuration;
use crate::forecast::{ModelKind, forecast_series};

/// Forecast one recorded series: what is to come, how sure that is, and how good such forecasts have been on it.
#[derive(Args, Debug)]
pub struct Forecast {
    /// CSV with the header `t,value`: seconds or RFC 3339, and demand; an empty value is a gap.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// How far ahead, up to 60m; also the lead that the back-test judges.
    #[arg(long, env = "IPA_FORECAST_HORIZON", default_value = "30m", value_name = "DURATION")]
    horizon: GoDuration,
    /// Also print the back-test: each of the last days forecast from what came before it.
    #[arg(long, env = "IPA_FORECAST_BACKTEST")]
    backtest: bool,
    /// Time between samples. Default: the most usual one of the file.
    #[arg(long, env = "IPA_FORECAST_STEP", value_name = "DURATION")]
    step: Option<GoDuration>,
    /// IANA name of the zone in which days begin.
    #[arg(long, env = "IPA_FORECAST_TIME_ZONE", default_value = "UTC", value_name = "NAME")]
    time_zone: String,
    /// Take one model (level, seasonal-naive, ets, mstl or ridge) instead of the blend.
    #[arg(long, env = "IPA_FORECAST_MODEL", value_name = "NAME")]
    model: Option<String>,
}

impl Forecast {
    pub(super) fn run(self, output: Output) -> anyhow::Result<Answer> {
        let named = self.model.as_deref().map(model).transpose()?;
        let zone = TimeZoneName::try_from(self.time_zone).context("--time-zone")?;
        let minutes = self.horizon.0.as_secs().div_ceil(60);
        ensure!((1..=HORIZON_MINUTES as u64).contains(&minutes), "--horizon {}: take 1m to {HORIZON_MINUTES}m", self.horizon);
        let minutes = u16::try_from(minutes)?;
        let file = self.file.display();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("failed to read {file}"))?;
        let step = self.step.map(|step| step.0.as_secs());
        let recorded = Recorded::parse(&text, step).map_err(|error| anyhow::anyhow!("{file}:{error}"))?;
        let Some(forecast) = forecast_series(&recorded.series, minutes, named, zone.zone()) else {
            bail!("{file}: value: too few samples to forecast from; two dozen are needed, {} are known", recorded.known());
        };
        let (outlook, quality) = (&forecast.outlook, forecast.backtest);
        match output {
            Output::Json => print_json(&serde_json::json!({
                "model": outlook.model,
                "step_s": recorded.series.step_s,
                "horizon": ahead(minutes).map(|minute| row(outlook, minute, recorded.clock)).collect::<Vec<_>>(),
                "backtest": {
                    "mape": quality.mape,
                    "pinball50": quality.pinball50,
                    "pinball90": quality.pinball90,
                    "coverage90": quality.coverage90,
                    "skill_vs_naive": quality.skill_vs_naive,
                    "origins": quality.origins,
                },
            }))?,
            Output::Table => {
                say!("{}", heading(&self.file.display().to_string(), &recorded.series, recorded.clock, recorded.known()));
                say!("model: {}\n", outlook.model);
                print_text(&plot(&recorded.series, outlook, usize::from(minutes), Look::of_terminal(std::io::stdout().is_terminal())));
                print_text(&numbers(outlook, minutes, recorded.clock));
                if self.backtest {
                    say!("\n{}", judged(&quality, minutes));
                }
            }
        }
        Ok(Answer::Yes)
    }
}

fn model(name: &str) -> anyhow::Result<ModelKind> {
    let known = ModelKind::ALL.map(ModelKind::name).join(", ");
    ModelKind::named(name).with_context(|| format!("--model {name} is none of {known}"))
}

/// The minutes that are printed: each of a short horizon, every fifth of a long one, and its end.
fn ahead(horizon: u16) -> impl Iterator<Item = u16> {
    let every = if horizon > 10 { 5 } else { 1 };
    (1..=horizon).filter(move |minute| minute % every == 0 || *minute == horizon)
}

fn row(outlook: &Outlook, minute: u16, clock: Clock) -> serde_json::Value {
    let [p50, p90, p95] = quantiles(outlook, minute);
    let at = outlook.made.as_second() + 60 * i64::from(minute);
    let t = match clock {
        Clock::Seconds => serde_json::json!(at),
        Clock::Stamps => serde_json::json!(Timestamp::from_second(at).unwrap_or(outlook.made)),
    };
    serde_json::json!({ "t": t, "p50": p50, "p90": p90, "p95": p95 })
}

fn quantiles(outlook: &Outlook, minute: u16) -> [f64; 3] {
    [0.5, 0.9, 0.95].map(|level| outlook.quantile(usize::from(minute), level))
}

/// What was read.
fn heading(file: &str, series: &Series, clock: Clock, known: usize) -> String {
    let step = GoDuration::from_secs(u64::from(series.step_s));
    let gaps = series.values.len() - known;
    let end = series.end().unwrap_or(series.start);
    let end = match clock {
        Clock::Seconds => format!("{} s", end.as_second()),
        Clock::Stamps => end.to_string(),
    };
    format!("{file}: {known} samples of {step}{}, until {end}", if gaps > 0 { format!(", {gaps} missing") } else { String::new() })
}

fn numbers(outlook: &Outlook, horizon: u16, clock: Clock) -> String {
    let mut rows = table(&["IN", "AT", "P50", "P90", "P95"]);
    for minute in ahead(horizon) {
        let [p50, p90, p95] = quantiles(outlook, minute).map(plot::short);
        let at = outlook.made.as_second() + 60 * i64::from(minute);
        let at = match clock {
            Clock::Seconds => at.to_string(),
            Clock::Stamps => Timestamp::from_second(at).map_or_else(|_| String::new(), |t| t.strftime("%H:%M").to_string()),
        };
        rows.add_row([format!("{minute}m"), at, p50, p90, p95]);
    }
    let lines = rows.to_string();
    lines.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn judged(quality: &ForecastQuality, minutes: u16) -> String {
    let percent = |value: Option<f64>| value.map_or("unknown".to_owned(), |v| format!("{:.1} %", 100.0 * v));
    let loss = |value: Option<f64>| value.map_or("unknown".to_owned(), plot::short);
    let against = match quality.skill_vs_naive {
        Some(skill) if skill >= 0.0 => format!("{:.1} % less pinball loss than the best naive forecast", 100.0 * skill),
        Some(skill) => format!("{:.1} % more pinball loss than the best naive forecast", -100.0 * skill),
        None => "nothing to compare with".to_owned(),
    };
    format!(
        "back-test {minutes}m ahead, {} forecasts: {against}\n  90 % quantile covered {}, mean absolute error {}, pinball loss {} at 50 % and {} at 90 %",
        quality.origins,
        percent(quality.coverage90),
        percent(quality.mape),
        loss(quality.pinball50),
        loss(quality.pinball90),
    )
}
