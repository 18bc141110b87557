//! What a run did, as one JSON object and as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::latency::{Percentiles, Stage};
use crate::source::collars::CollarReport;

/// What a run did. The counters add up:
/// `events_in = events_out + sum(dropped) + held`, and
/// `matches = incidents_opened + sum(not_alerted) + held_matches`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Frames that were read.
    pub frames: u64,
    /// Frames or samples that could not be used, by reason.
    pub inputs_failed: BTreeMap<String, u64>,
    /// Leg samples that were read.
    pub leg_samples: u64,
    /// Events that entered the event engine.
    pub events_in: u64,
    /// Events that went through windows and patterns.
    pub events_out: u64,
    /// Events that did not, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Events that the engine still holds.
    pub held: u64,
    /// Times that a pattern matched.
    pub matches: u64,
    /// Matches that opened an incident.
    pub incidents_opened: u64,
    /// Matches that did not, by reason.
    pub not_alerted: BTreeMap<String, u64>,
    /// Alerts that a broker has taken.
    pub alerts_delivered: u64,
    /// Alerts that wait on disk for a broker.
    pub alerts_waiting: u64,
    /// Alerts that a broker refused.
    pub alerts_refused: u64,
    /// Alerts in a day, at this run's rate.
    pub alerts_per_day: f64,
    /// Bytes to the broker in a day, at this run's rate.
    pub bytes_per_day: f64,
    /// Times that the model runner was started again.
    pub runner_restarts: u64,
    /// The process's largest resident memory, in megabytes; the plugin is a process of its own.
    pub rss_mb: f64,
    /// Milliseconds by stage.
    pub latency_ms: BTreeMap<Stage, Percentiles>,
    /// Alerts against the staged incidents, where those are known.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub truth: Option<Truth>,
    /// Photos by their top label, where a detector that names cattle looked at photos.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cattle: Option<Cattle>,
    /// How each animal lay, where leg recordings were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collars: Option<CollarReport>,
}

/// Alerts against what really happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Incidents that were staged.
    pub incidents_expected: u64,
    /// Of those, how many an alert told.
    pub incidents_found: u64,
    /// Alerts that told of an incident told before.
    pub duplicate_alerts: u64,
    /// Alerts of nothing.
    pub false_alerts: u64,
    /// Found / expected; 1 when nothing was expected.
    pub recall: f64,
}

/// How many frames show cattle before all else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cattle {
    /// Frames whose best detection is cattle at the stated score.
    pub cattle_top: u64,
    /// As a share of all frames.
    pub cattle_top_share: f64,
    /// The score that counts.
    pub cattle_score_min: f32,
    /// Milliseconds inside the model.
    pub infer_ms: Percentiles,
}

impl Summary {
    /// The last line of a run: one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|cause| format!("{{\"error\":\"{cause}\"}}"))
    }

    /// Tables for a person.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        let mut counts = table(&["", "count"]);
        let mut row = |name: &str, value: String| {
            counts.add_row([name.to_owned(), value]);
        };
        row("frames", self.frames.to_string());
        row("leg samples", self.leg_samples.to_string());
        for (reason, count) in &self.inputs_failed {
            row(&format!("  not usable: {reason}"), count.to_string());
        }
        row("events in", self.events_in.to_string());
        row(
            "  through windows and patterns",
            self.events_out.to_string(),
        );
        for (reason, count) in &self.dropped {
            row(&format!("  dropped: {reason}"), count.to_string());
        }
        row("  held", self.held.to_string());
        row("pattern matches", self.matches.to_string());
        row("  incidents opened", self.incidents_opened.to_string());
        for (reason, count) in &self.not_alerted {
            row(&format!("  not alerted: {reason}"), count.to_string());
        }
        row(
            "alerts delivered / waiting / refused",
            format!(
                "{} / {} / {}",
                self.alerts_delivered, self.alerts_waiting, self.alerts_refused
            ),
        );
        row(
            "alerts a day at this rate",
            format!("{:.0}", self.alerts_per_day),
        );
        row(
            "bytes a day at this rate",
            format!("{:.0}", self.bytes_per_day),
        );
        row("model runner restarts", self.runner_restarts.to_string());
        row("largest memory, MB", format!("{:.1}", self.rss_mb));
        let _ = writeln!(text, "{counts}");

        if let Some(truth) = &self.truth {
            let mut table = table(&["incidents", ""]);
            table.add_row([
                "found / staged".to_owned(),
                format!("{} / {}", truth.incidents_found, truth.incidents_expected),
            ]);
            table.add_row(["false alerts".to_owned(), truth.false_alerts.to_string()]);
            table.add_row([
                "duplicate alerts".to_owned(),
                truth.duplicate_alerts.to_string(),
            ]);
            let _ = writeln!(text, "{table}");
        }
        if let Some(cattle) = &self.cattle {
            let mut table = table(&["photos", ""]);
            table.add_row([
                format!("cattle first at score >= {}", cattle.cattle_score_min),
                format!(
                    "{} of {} ({:.1} %)",
                    cattle.cattle_top,
                    self.frames,
                    cattle.cattle_top_share * 100.0
                ),
            ]);
            table.add_row([
                "in the model, ms p50 / p99".to_owned(),
                format!("{:.1} / {:.1}", cattle.infer_ms.p50, cattle.infer_ms.p99),
            ]);
            let _ = writeln!(text, "{table}");
        }
        if let Some(collars) = &self.collars {
            let _ = writeln!(text, "{}", lying(collars));
        }
        let mut latency = table(&["stage, ms", "count", "p50", "p99", "max"]);
        for (stage, p) in &self.latency_ms {
            let ms = |value: f64| format!("{value:.2}");
            latency.add_row([
                stage.as_str().to_owned(),
                p.count.to_string(),
                ms(p.p50),
                ms(p.p99),
                ms(p.max),
            ]);
        }
        let _ = write!(text, "{latency}");
        text
    }
}

/// The lying bouts of each animal, and how much of its recording they explain.
fn lying(collars: &CollarReport) -> Table {
    let mut table = table(&["lying bouts", "start", "end", "minutes"]);
    for animal in &collars.animals {
        for bout in &animal.bouts {
            let minutes = format!("{:.1}", bout.minutes);
            table.add_row([
                animal.animal.clone(),
                bout.start.clock(),
                bout.end.clock(),
                minutes,
            ]);
        }
        let explained = format!("{:.1} % explained", animal.share_explained * 100.0);
        let samples = format!("{} samples", animal.samples);
        table.add_row([
            animal.animal.clone(),
            samples,
            explained,
            format!("{:.1}", animal.minutes_lying),
        ]);
    }
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
