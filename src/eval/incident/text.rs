//! How an incident writes quantities and start-up times. Read into the domain's units, written back as people write them.

use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::units::{Bytes, GoDuration, Millicores, parse_decimal};

/// CPU as Kubernetes writes it (`500m`, `2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CPUQuantity(pub Millicores);

/// Memory as Kubernetes writes it (`512Mi`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryQuantity(pub Bytes);

/// Cores that one unit/s costs, as a quantity that may be finer than a millicore (`8m`, `400u`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CPUShare(pub f64);

/// A start-up as written: one time, or two quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartUpText {
    /// All take the same time.
    Always(GoDuration),
    /// Half start faster than the first; one in twenty slower than the second.
    Quantiles(StartUpQuantiles),
}

/// Two quantiles of a start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartUpQuantiles {
    /// The median.
    pub p50: GoDuration,
    /// The 95th percentile.
    pub p95: GoDuration,
}

/// Reads text, or a number as its text: YAML takes `cpu: 2` for a number.
struct Scalar<T>(&'static str, fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for CPUQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| Millicores::parse(text).map(Self).map_err(|e| e.to_string());
        deserializer.deserialize_any(Scalar("CPU as Kubernetes writes it, such as 500m", read))
    }
}

impl<'de> Deserialize<'de> for MemoryQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| Bytes::parse(text).map(Self).map_err(|e| e.to_string());
        deserializer.deserialize_any(Scalar("memory as Kubernetes writes it, such as 512Mi", read))
    }
}

impl<'de> Deserialize<'de> for CPUShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| parse_decimal(text).map(Self).map_err(|e| e.to_string());
        deserializer.deserialize_any(Scalar("CPU as Kubernetes writes it, such as 8m", read))
    }
}

impl Serialize for CPUQuantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for MemoryQuantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for CPUShare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micro = (self.0 * 1e6).round() as u64;
        if micro.is_multiple_of(1000) {
            serializer.collect_str(&Millicores(micro / 1000))
        } else {
            serializer.collect_str(&format_args!("{micro}u"))
        }
    }
}

impl<'de> Deserialize<'de> for StartUpText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = StartUpText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 45s, or {p50: 40s, p95: 70s}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StartUpText, E> {
                text.parse().map(StartUpText::Always).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StartUpText, A::Error> {
                StartUpQuantiles::deserialize(MapAccessDeserializer::new(map)).map(StartUpText::Quantiles)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for StartUpText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Always(duration) => duration.serialize(serializer),
            Self::Quantiles(quantiles) => quantiles.serialize(serializer),
        }
    }
}
