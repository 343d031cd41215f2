//! The report: one HTML file that needs nothing else, neither network nor script. Markup stands in templates, which escape all they are given;
//! the code here only turns numbers into words and coordinates.

mod calibration;
mod geometry;
mod key;
mod panels;
mod pareto;
mod tables;

use handlebars::Handlebars;
use serde::Serialize;

use super::bootstrap::METHOD;
use super::score::{GOAL_PRICES, Scores, worst};
use super::suite::{Cells, Suite};

const TEMPLATES: [(&str, &str); 9] = [
    ("style", include_str!("report/style.css")),
    ("key", include_str!("report/key.hbs")),
    ("league", include_str!("report/league.hbs")),
    ("pareto", include_str!("report/pareto.hbs")),
    ("groups", include_str!("report/groups.hbs")),
    ("calibration", include_str!("report/calibration.hbs")),
    ("incident", include_str!("report/incident.hbs")),
    ("panel", include_str!("report/panel.hbs")),
    ("page", include_str!("report/page.hbs")),
];
/// Incidents whose charts are open at once: the worst of our policies.
const OPEN: usize = 2;

/// What was run, for the head of the page.
#[derive(Clone, Debug, Serialize)]
pub struct Header {
    /// Commit of the code.
    pub commit: String,
    /// Version of the program.
    pub version: String,
    /// Digest of what a model is told.
    pub prompt_hash: String,
    /// Which model, where one was asked.
    pub model: String,
}

/// A template that does not hold together: a build that should not have been shipped.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It does not parse.
    #[error("failed to parse the report's template {name}")]
    Template {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<handlebars::TemplateError>,
    },
    /// It asks for what it is not given.
    #[error("failed to render the report")]
    Render(#[from] Box<handlebars::RenderError>),
}

/// All that the page shows.
#[derive(Serialize)]
struct Page<'a> {
    header: &'a Header,
    method: &'static str,
    seeds: String,
    prices_text: String,
    incident_count: usize,
    shown: u32,
    policies: Vec<key::Key>,
    headlines: Vec<tables::Headline>,
    prices: Vec<tables::PriceView>,
    calibration: Option<calibration::Calibration>,
    misses: Vec<String>,
    unfit: &'a [String],
    incidents: Vec<panels::IncidentView>,
}

/// The page of a scored suite.
///
/// # Errors
/// [`ReportError`] naming the template; a test holds that this binary's have none.
pub fn render(suite: &Suite, cells: &Cells, scores: &Scores, header: &Header) -> Result<String, ReportError> {
    let mut templates = Handlebars::new();
    templates.set_strict_mode(true);
    for (name, text) in TEMPLATES {
        templates.register_template_string(name, text).map_err(|source| ReportError::Template { name, source: Box::new(source) })?;
    }
    let shown = GOAL_PRICES.into_iter().find(|price| suite.prices.contains(price)).or(suite.prices.first().copied()).unwrap_or_default();
    let ours = suite.policies.iter().find(|policy| policy.is_ours());
    let worst = ours.map(|policy| worst(suite, &scores.cases, *policy, shown, OPEN)).unwrap_or_default();
    let open: Vec<&str> = worst.iter().map(|worst| &*worst.incident).collect();
    let listed = |numbers: &mut dyn Iterator<Item = String>| numbers.collect::<Vec<_>>().join(", ");
    let page = Page {
        header,
        method: METHOD,
        seeds: listed(&mut suite.seeds.iter().map(ToString::to_string)),
        prices_text: listed(&mut suite.prices.iter().map(ToString::to_string)),
        incident_count: suite.incidents.len(),
        shown,
        policies: suite.policies.iter().copied().map(key::key).collect(),
        headlines: tables::headlines(suite, scores),
        prices: suite.prices.iter().map(|price| tables::price(suite, scores, *price, shown)).collect(),
        calibration: calibration::calibration(suite, cells, shown),
        misses: scores.misses.iter().map(ToString::to_string).collect(),
        unfit: &cells.unfit,
        incidents: panels::incidents(suite, cells, scores, shown, &open),
    };
    Ok(templates.render("page", &page).map_err(Box::new)?)
}

#[cfg(test)]
mod tests {
    use super::super::policy::Policy;
    use super::super::progress::Progress;
    use super::super::score::score;
    use super::super::testing::{MadeUp, incident, suite as incidents};
    use super::*;

    fn page(suite: &Suite) -> String {
        let cells = suite.run(&MadeUp::default(), None, 2, &Progress::new(suite.size())).unwrap();
        let header = Header { commit: "0f3c<b>".into(), version: "0.1.0".into(), prompt_hash: "ab12cd34ef56".into(), model: String::new() };
        render(suite, &cells, &score(suite, &cells), &header).unwrap()
    }

    fn all() -> Suite {
        let policies = Policy::ALL.into_iter().filter(|policy| *policy != Policy::IpaModel).collect();
        Suite { incidents: incidents(), policies, seeds: vec![1, 2], prices: vec![3, 10, 30], model: String::new() }
    }

    #[test]
    fn the_page_needs_nothing_else_and_shows_everything() {
        let suite = all();
        let page = page(&suite);
        for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        for incident in &suite.incidents {
            assert!(page.contains(&format!(">{}<", incident.name)), "{}", incident.name);
        }
        for policy in &suite.policies {
            assert!(page.contains(policy.name()), "{policy}");
        }
        // One panel for each incident and policy, and one plot for each price.
        assert_eq!(page.matches("class=\"panel\"").count(), 18 * 10);
        assert_eq!(page.matches("class=\"pareto\"").count(), 3);
    }

    #[test]
    fn nothing_that_an_incident_says_of_itself_becomes_markup() {
        let mut hostile = incident("<script>alert(1)</script>", "\"><img onerror=x>", 30);
        hostile.title = "{{title}} <b>bold</b> & more".into();
        hostile.source = "</section>".into();
        let page = page(&Suite { incidents: vec![hostile, incident("plain", "spiky", 30)], ..all() });
        for raw in ["<script", "<img", "<b>", "</section>&", "onerror=x>"] {
            assert!(!page.contains(raw), "{raw}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("0f3c&lt;b&gt;"));
        assert!(TEMPLATES.iter().all(|(_, text)| !text.contains("{{{") && !text.contains("{{&")), "a template writes without escaping");
    }

    #[test]
    fn a_page_without_reference_policies_forecasts_or_scored_incidents_is_still_a_page() {
        let mut bare = all();
        bare.policies = vec![Policy::Hold];
        assert!(page(&bare).contains("hold"));
        bare.policies = Vec::new();
        bare.incidents.clear();
        assert!(page(&bare).ends_with("</html>\n"));
    }

    #[test]
    fn the_same_suite_gives_the_same_page() {
        let suite = Suite { incidents: incidents().into_iter().take(2).collect(), ..all() };
        assert!(page(&suite) == page(&suite));
    }
}
