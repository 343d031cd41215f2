//! Stretches of time that a team knows ahead: when nothing may change, and when demand will surge.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::crd::text::DurationText;
use crate::domain::limits::WeekdayName;

/// A weekly stretch in which nothing may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreezeWindowSpec {
    /// Days on which it begins, Monday to Sunday, each once. Default: none listed, which means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub days: Vec<WeekdayName>,
    /// Wall-clock time at which it begins, as HH:MM from 00:00 to 23:59, in the resource's time zone. Required.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// How long it lasts, as a Go duration above 0 and at most 168h; it may pass midnight. Required.
    #[x_kube(validation = (
        "duration(self) > duration('0s') && duration(self) <= duration('168h')",
        "duration is not between 0s and 168h; write how long the window lasts, such as 4h"
    ))]
    pub duration: DurationText,
    /// Whether adding replicas is held too; without it only what takes capacity away or restarts pods is. Default: false.
    #[serde(default)]
    pub scale_ups_too: bool,
}

/// A surge that is known ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SurgeSpec {
    /// Name for people, unique in this resource, such as black-friday. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// When it begins, as an RFC 3339 time with its offset, such as 2026-11-27T00:00:00Z. Required.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub start: String,
    /// How long it lasts, as a Go duration above 0 and at most 168h. Required.
    #[x_kube(validation = (
        "duration(self) > duration('0s') && duration(self) <= duration('168h')",
        "duration is not between 0s and 168h; write how long the surge lasts, such as 2h"
    ))]
    pub duration: DurationText,
    /// Demand in percent of the usual for that time, 100 to 10000 (300 is three times). Required.
    #[schemars(range(min = 100, max = 10_000))]
    pub percent: i32,
}
