//! How good forecasts are on a directory of recorded series: `cargo run --example forecast-quality -- DIR [LEAD_MINUTES...]`.
//!
//! Every `*.csv` below DIR with the header `t,value` is back-tested over its last week (or half of it) at each lead, 10 and 30 minutes unless
//! others are named. Printed for each series and for all: pinball loss at 50 and 90 % against the best naive forecast (the last value, the
//! value a day before, the value a week before), and the share of values at or below the 90 % quantile.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ipa::cli::forecast::read::Recorded;
use ipa::domain::outlook::ForecastQuality;
use ipa::forecast::forecast_series;
use rayon::prelude::*;

/// Every CSV below a folder, in the order of their names.
fn series_below(folder: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            series_below(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            into.push(path);
        }
    }
    into.sort();
    Ok(())
}

fn judged(path: &Path, lead: u16) -> Result<ForecastQuality, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let recorded = Recorded::parse(&text, None).map_err(|error| format!("{}:{error}", path.display()))?;
    let forecast = forecast_series(&recorded.series, lead, None, &jiff::tz::TimeZone::UTC);
    forecast.map(|forecast| forecast.backtest).ok_or_else(|| format!("{}: too few samples", path.display()))
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: forecast-quality DIR [LEAD_MINUTES...]")?);
    let leads =
        arguments.map(|text| text.parse::<u16>().map_err(|error| format!("lead {text}: {error}"))).collect::<Result<Vec<_>, _>>()?;
    let leads = if leads.is_empty() { vec![10, 30] } else { leads };
    let mut files = Vec::new();
    series_below(&folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    for lead in leads {
        let results: Vec<_> = files.par_iter().map(|path| (path, judged(path, lead))).collect();
        println!("{lead} minutes ahead\n{:>7} {:>9} {:>8}  series", "skill", "q90 cover", "origins");
        let (mut skills, mut covered, mut origins) = (Vec::new(), 0.0, 0.0);
        for (path, result) in results {
            let name = path.strip_prefix(&folder).unwrap_or(path).display();
            match result {
                Ok(ForecastQuality { skill_vs_naive: Some(skill), coverage90: Some(coverage), origins: count, .. }) => {
                    println!("{skill:7.3} {coverage:9.3} {count:8}  {name}");
                    skills.push(skill);
                    covered += coverage * f64::from(count);
                    origins += f64::from(count);
                }
                Ok(_) => println!("{:>7} {:>9} {:>8}  {name}", "-", "-", 0),
                Err(error) => eprintln!("{error}"),
            }
        }
        let mean = skills.iter().sum::<f64>() / skills.len() as f64;
        let worst = skills.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{mean:7.3} {:9.3} {origins:8}  all {} (worst skill {worst:.3})\n", covered / origins, skills.len());
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forecast-quality: {error}");
            ExitCode::from(2)
        }
    }
}
