//! The administrators' configuration file: where Prometheus and the model are, and what the installation allows. Never a custom resource: teams
//! name no URL and no secret.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::{ConfigArgs, ModelArgs};
use crate::adapters::llm::ModelConfig;
use crate::adapters::prices::BuiltinPricesConfig;
use crate::adapters::prometheus::config::PrometheusConfig;
use crate::domain::limits::{GateLimits, Mode};

/// The administrators' configuration. Every part is optional; flags and environment go before it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The cluster's name, part of every record. Default: the kubeconfig's context, or `in-cluster`.
    pub cluster: Option<String>,
    /// Highest mode of the installation: Observe, Recommend or Auto. Default Observe.
    pub mode: Mode,
    /// The metrics source. Without one nothing is known of demand, and nothing is scaled.
    pub prometheus: Option<PrometheusConfig>,
    /// The model. Without one the planner decides alone.
    pub model: Option<ModelConfig>,
    /// Limits of the gate: cool-downs, change budget, staleness. The mode stands at the top.
    #[serde(deserialize_with = "without_mode")]
    pub gate: GateLimits,
    /// Which built-in price lists count, and in which zones. Default: all of them.
    pub prices: BuiltinPricesConfig,
    /// Where the HTTP server listens. Default 127.0.0.1:8080.
    pub listen: Option<std::net::SocketAddr>,
    /// File that holds the token that the HTTP server asks for; needed when it listens beyond loopback.
    pub token_file: Option<PathBuf>,
    /// Directory of ledger and memory. Default ./ipa-data.
    pub data_dir: Option<PathBuf>,
    /// Namespace of IPA's own Lease and of proposals about nodes. Default ipa-system.
    pub namespace: Option<String>,
}

/// The mode is set in one place, `mode`; a second one inside `gate` would be passed over in silence.
fn without_mode<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<GateLimits, D::Error> {
    use serde::de::Error;
    let value = serde_json::Value::deserialize(deserializer)?;
    if value.get("highestMode").is_some() {
        return Err(D::Error::custom("`gate.highestMode` is not set here: write it as `mode` at the top of the file"));
    }
    serde_json::from_value(value).map_err(|error| D::Error::custom(format!("`gate`: {error}")))
}

impl Config {
    /// Reads the file, where one is named, and lays the flags over it.
    ///
    /// # Errors
    /// One line that names the file and field, or the flag, and the mend.
    pub fn load(config: &ConfigArgs, model: &ModelArgs) -> anyhow::Result<Self> {
        let mut loaded = match &config.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        if let Some(url) = &config.prometheus_url {
            match &mut loaded.prometheus {
                Some(prometheus) => prometheus.url.clone_from(url),
                None => loaded.prometheus = Some(PrometheusConfig::at(url)),
            }
        }
        if let Some(mode) = config.mode {
            loaded.mode = mode;
        }
        loaded.lay_over(model)?;
        loaded.gate.highest_mode = loaded.mode;
        Ok(loaded)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("failed to read --config {}", path.display()))?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(&text)
            .map_err(|error| anyhow!("--config {} is not a valid configuration: {}", path.display(), super::first_line(&error)))
    }

    fn lay_over(&mut self, flags: &ModelArgs) -> anyhow::Result<()> {
        match (&flags.model_url, &mut self.model) {
            (Some(url), Some(model)) => model.url.clone_from(url),
            (Some(url), None) => {
                let Some(name) = &flags.model else {
                    bail!("--model-url needs --model: name the model that the server should answer with");
                };
                self.model = Some(ModelConfig::new(url, name));
            }
            (None, None) if flags.model.is_some() => bail!("--model needs --model-url: name the server that offers it"),
            (None, None) if flags.model_key_file.is_some() => bail!("--model-key-file needs --model-url: name the server it is for"),
            (None, _) => {}
        }
        if let Some(model) = &mut self.model {
            if let Some(name) = &flags.model {
                model.model.clone_from(name);
            }
            if flags.model_key_file.is_some() {
                model.key_file.clone_from(&flags.model_key_file);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ipa.yaml");
        std::fs::write(&path, text).unwrap();
        let config = ConfigArgs { config: Some(path), ..ConfigArgs::default() };
        Config::load(&config, &ModelArgs::default()).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn an_empty_file_is_the_default_which_observes() {
        let config = read("").unwrap();
        assert_eq!(config.gate.highest_mode, Mode::Observe);
        assert!(config.prometheus.is_none() && config.model.is_none());
    }

    #[test]
    fn a_wrong_field_is_named_with_its_file() {
        let error = read("mode: Auto\nprometeus: {url: http://p}\n").unwrap_err();
        assert!(error.contains("ipa.yaml") && error.contains("prometeus"), "{error}");
        let error = read("mode: Turbo\n").unwrap_err();
        assert!(
            error.ends_with(
                "ipa.yaml is not a valid configuration: line 1 column 7: unknown variant `Turbo`, expected one of Observe, Recommend, Auto"
            ),
            "{error}"
        );
    }

    #[test]
    fn the_gate_is_set_in_go_durations() {
        let config = read("mode: Auto\ngate: {coolDownAfterUp: 10m, changePercent: 30}\n").unwrap();
        assert_eq!(config.gate.cool_down_after_up.to_string(), "10m");
        assert_eq!((config.gate.change_percent, config.gate.highest_mode), (30, Mode::Auto));
    }

    #[test]
    fn the_mode_has_one_place() {
        assert!(read("gate: {highestMode: Auto}\n").unwrap_err().contains("write it as `mode`"));
    }

    #[test]
    fn a_model_url_without_a_model_says_what_is_missing() {
        let flags = ModelArgs { model_url: Some("http://m/v1".into()), ..ModelArgs::default() };
        let error = Config::load(&ConfigArgs::default(), &flags).unwrap_err();
        assert!(error.to_string().contains("--model-url needs --model"));
    }
}
