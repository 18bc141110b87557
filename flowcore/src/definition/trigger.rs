//! What starts a workflow, other than the one event under `trigger`.

use serde::{Deserialize, Serialize};

/// One source of runs. Exactly one of `event`, `every`, `cron`, `mqtt` and `http` says which.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TriggerDef {
    /// An event of this name; its data is the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// A timer, such as `60 seconds`: at the multiples of the span since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Minute, hour, day of the month, month and day of the week, such as `0 6 * * mon-fri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time zone of `cron`, such as `Europe/Berlin`; default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Messages of these MQTT topics, such as `barn/+/temperature`; the input is `topic` and `payload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<String>,
    /// POST requests for this path, such as `/hooks/order`; the input is `path` and `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Expression over `input` that names the occasion: a second arrival with the same key attaches
    /// to the first one's run. Timers and cron have their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
