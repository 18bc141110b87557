//! What is done about an incident: `incident.yaml` run by `flowcore`, with its actions.
//!
//! Actions decide and return state writes; the journal commits those together with the step's
//! checkpoint. A crash between two steps therefore neither repeats nor loses a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flowcore::{ActionError, Call, Engine, Journal, Output, Runner, StateWrite, Workflow};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::describe::{Describer, Device, Summary};
use crate::incident::{Incident, IncidentKind};
use crate::time::Timestamp;

/// State writes to this collection merge into the document of one incident.
pub const INCIDENTS: &str = "incident";
/// State writes to this collection append one event to the outbox.
pub const OUTBOX: &str = "outbox";

const DEFINITION: &str = include_str!("incident.yaml");
const NAME: &str = "incident";
const ACKNOWLEDGED: &str = "acknowledged";

/// What the workflow asks of the state.
pub trait Cases: Send + Sync {
    /// Whether an incident of this kind at this place, other than `id`, was stored at or after `since`.
    ///
    /// # Errors
    /// What the store says.
    fn told_since(
        &self,
        kind: IncidentKind,
        place: &str,
        id: &str,
        since: Timestamp,
    ) -> Result<bool, String>;
}

/// What a run of the workflow starts from.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Input {
    incident: Incident,
    quiet_ms: i64,
    acknowledge_s: f64,
    battery: f64,
    latency_budget_ms: u64,
    online: bool,
    raised: Timestamp,
}

/// An alert as it leaves the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The incident's id; who receives an alert twice tells by it.
    pub id: String,
    /// `alert`, or `escalation` when nobody acknowledged in time.
    pub message: Message,
    /// What was found.
    pub kind: IncidentKind,
    /// The zone, or the animal's name.
    pub place: String,
    /// The camera that saw it.
    pub camera: Option<String>,
    /// The animal, where one is known.
    pub animal: Option<String>,
    /// The first event of the pattern, milliseconds since the Unix epoch.
    pub first: Timestamp,
    /// The event that completed the pattern.
    pub last: Timestamp,
    /// When the alert was raised.
    pub raised: Timestamp,
    /// What a person reads.
    pub text: String,
    /// The prompt tier that wrote it.
    pub tier: String,
    /// The rule that chose the tier.
    pub reason: String,
}

/// Which message about an incident this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The first.
    Alert,
    /// Nobody acknowledged the first in time.
    Escalation,
}

impl Message {
    /// The name in events and topics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Escalation => "escalation",
        }
    }
}

/// Times that the workflow needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// One case goes on while its pattern comes again within this time.
    pub quiet_s: f64,
    /// How long an alert waits to be acknowledged.
    pub acknowledge_s: f64,
}

/// The workflow engine with the incident workflow deployed.
pub struct Incidents<J: Journal> {
    runner: Runner<J, FarmClock>,
    clock: FarmClock,
    times: Times,
}

/// The farm's time, set before each call: the engine reads no other clock.
#[derive(Clone, Default)]
struct FarmClock(Arc<AtomicI64>);

impl flowcore::Clock for FarmClock {
    fn now(&self) -> flowcore::Timestamp {
        flowcore::Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl FarmClock {
    fn set(&self, now: Timestamp) -> flowcore::Timestamp {
        self.0.store(now.as_millis(), Ordering::Relaxed);
        flowcore::Timestamp::from_millis(now.as_millis())
    }
}

impl<J: Journal> Incidents<J> {
    /// Deploys the workflow over a journal; what an earlier process left in it goes on.
    ///
    /// # Errors
    /// What `flowcore` says of the journal.
    pub fn open(
        journal: J,
        describer: Describer,
        cases: Arc<dyn Cases>,
        times: Times,
    ) -> flowcore::Result<Self> {
        let mut engine = Engine::new(journal)
            .action("confirm", move |call| confirm(call, &*cases))
            .action("describe", move |call| describe(call, &describer))
            .action("store", store)
            .action("alert", |call| send(call, Message::Alert))
            .action("escalate", |call| send(call, Message::Escalation))
            .action("close", close);
        engine.deploy(Workflow::from_yaml(DEFINITION)?)?;
        let clock = FarmClock::default();
        Ok(Self {
            runner: Runner::with_clock(engine, clock.clone()),
            clock,
            times,
        })
    }

    /// Starts the workflow of an incident; the same incident a second time starts nothing.
    ///
    /// # Errors
    /// What `flowcore` says of the journal.
    pub fn start(
        &mut self,
        incident: &Incident,
        device: Device,
        now: Timestamp,
    ) -> flowcore::Result<()> {
        let input = Input {
            incident: incident.clone(),
            quiet_ms: (self.times.quiet_s * 1000.0) as i64,
            acknowledge_s: self.times.acknowledge_s,
            battery: device.battery,
            latency_budget_ms: u64::try_from(device.latency_budget.as_millis()).unwrap_or(u64::MAX),
            online: device.online,
            raised: now,
        };
        let at = self.clock.set(now);
        self.runner
            .engine()
            .start(NAME, Some(&incident.id), json!(input), at)?;
        self.advance(now)
    }

    /// Says that a person has seen the alert; false when no alert waits under this id.
    ///
    /// # Errors
    /// What `flowcore` says of the journal.
    pub fn acknowledge(&mut self, id: &str, by: &str, now: Timestamp) -> flowcore::Result<bool> {
        let at = self.clock.set(now);
        let waiting =
            self.runner
                .engine()
                .publish(ACKNOWLEDGED, Some(id), json!({ "by": by }), at)?;
        self.advance(now)?;
        Ok(waiting > 0)
    }

    /// Lets time pass: what is due is done.
    ///
    /// # Errors
    /// What `flowcore` says of the journal; call again to go on.
    pub fn advance(&mut self, now: Timestamp) -> flowcore::Result<()> {
        self.clock.set(now);
        self.runner.run_until_idle().map(drop)
    }

    /// Incidents that wait to be acknowledged.
    pub fn open_cases(&mut self) -> usize {
        self.runner.engine().live_runs().len()
    }
}

fn failed(name: &str) -> impl Fn(&dyn std::fmt::Display) -> ActionError + '_ {
    move |cause| ActionError::new(name, cause.to_string())
}

fn input(call: &Call) -> Result<Input, ActionError> {
    Input::deserialize(call.input()).map_err(|cause| failed("Input")(&cause))
}

fn confirm(call: &Call, cases: &dyn Cases) -> Result<Output, ActionError> {
    let Input {
        incident, quiet_ms, ..
    } = input(call)?;
    let since = Timestamp::from_millis(incident.last.as_millis().saturating_sub(quiet_ms));
    let told = cases
        .told_since(incident.kind, &incident.place, &incident.id, since)
        .map_err(|cause| failed("State")(&cause))?;
    Ok(Output::new(
        json!({ "result": if told { "told" } else { "new" } }),
    ))
}

fn describe(call: &Call, describer: &Describer) -> Result<Output, ActionError> {
    let input = input(call)?;
    let device = Device {
        battery: input.battery,
        latency_budget: std::time::Duration::from_millis(input.latency_budget_ms),
        online: input.online,
    };
    let summary = describer
        .describe(&input.incident, device)
        .map_err(|cause| failed("Describe")(&cause))?;
    Ok(Output::new(json!(summary)))
}

fn store(call: &Call) -> Result<Output, ActionError> {
    let Input {
        incident, raised, ..
    } = input(call)?;
    let body = json!({
        "status": "open",
        "kind": incident.kind,
        "place": incident.place,
        "camera": incident.camera,
        "animal": incident.animal,
        "first": incident.first,
        "last": incident.last,
        "raised": raised,
    });
    Ok(Output::new(json!({})).write(StateWrite::new(INCIDENTS, incident.id, body)))
}

fn send(call: &Call, message: Message) -> Result<Output, ActionError> {
    let Input {
        incident, raised, ..
    } = input(call)?;
    let summary =
        Summary::deserialize(call.params()).map_err(|cause| failed("Describe")(&cause))?;
    let alert = Alert {
        id: incident.id.clone(),
        message,
        kind: incident.kind,
        place: incident.place,
        camera: incident.camera,
        animal: incident.animal,
        first: incident.first,
        last: incident.last,
        raised,
        text: summary.text,
        tier: summary.tier,
        reason: summary.reason,
    };
    let mut output =
        Output::new(json!({})).write(StateWrite::new(OUTBOX, incident.id.clone(), json!(alert)));
    if message == Message::Escalation {
        output = output.write(StateWrite::new(
            INCIDENTS,
            incident.id,
            json!({ "status": "escalated" }),
        ));
    }
    Ok(output)
}

fn close(call: &Call) -> Result<Output, ActionError> {
    let Input { incident, .. } = input(call)?;
    let body = json!({ "status": "acknowledged", "by": call.params()["by"] });
    Ok(Output::new(json!({})).write(StateWrite::new(INCIDENTS, incident.id, body)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use flowcore::MemoryJournal;

    use super::*;

    /// Remembers what it is told to remember.
    #[derive(Default)]
    struct Told(Mutex<Vec<(IncidentKind, String, Timestamp)>>);

    impl Cases for Told {
        fn told_since(
            &self,
            kind: IncidentKind,
            place: &str,
            _: &str,
            since: Timestamp,
        ) -> Result<bool, String> {
            let told = self.0.lock().unwrap();
            Ok(told
                .iter()
                .any(|(k, p, at)| *k == kind && p == place && *at >= since))
        }
    }

    fn open(told: Told) -> Incidents<MemoryJournal> {
        let times = Times {
            quiet_s: 10.0,
            acknowledge_s: 30.0,
        };
        Incidents::open(
            MemoryJournal::new(),
            Describer::open(None).unwrap(),
            Arc::new(told),
            times,
        )
        .unwrap()
    }

    fn incident() -> Incident {
        Incident {
            id: "7f".into(),
            kind: IncidentKind::PersonInPenAtNight,
            place: "pen-1".into(),
            camera: Some("cam-1".into()),
            animal: None,
            first: Timestamp::from_millis(100_000),
            last: Timestamp::from_millis(101_000),
            events: 3,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(101_000 + seconds * 1000)
    }

    fn stored(
        incidents: &mut Incidents<MemoryJournal>,
        collection: &str,
    ) -> Option<serde_json::Value> {
        incidents.runner.engine().journal().state(collection, "7f")
    }

    #[test]
    fn a_new_incident_is_stored_alerted_and_escalated_when_nobody_answers() {
        let mut incidents = open(Told::default());
        incidents
            .start(&incident(), Device::default(), at(0))
            .unwrap();
        assert_eq!(stored(&mut incidents, INCIDENTS).unwrap()["status"], "open");
        assert_eq!(stored(&mut incidents, OUTBOX).unwrap()["message"], "alert");
        incidents.advance(at(29)).unwrap();
        assert_eq!(stored(&mut incidents, OUTBOX).unwrap()["message"], "alert");
        incidents.advance(at(31)).unwrap();
        assert_eq!(
            stored(&mut incidents, OUTBOX).unwrap()["message"],
            "escalation"
        );
        assert_eq!(
            stored(&mut incidents, INCIDENTS).unwrap()["status"],
            "escalated"
        );
        assert_eq!(incidents.open_cases(), 0);
    }

    #[test]
    fn an_acknowledged_incident_is_closed_and_not_escalated() {
        let mut incidents = open(Told::default());
        incidents
            .start(&incident(), Device::default(), at(0))
            .unwrap();
        assert!(!incidents.acknowledge("other", "ann", at(1)).unwrap());
        assert!(incidents.acknowledge("7f", "ann", at(1)).unwrap());
        let document = stored(&mut incidents, INCIDENTS).unwrap();
        assert_eq!(
            (&document["status"], &document["by"]),
            (&json!("acknowledged"), &json!("ann"))
        );
        incidents.advance(at(60)).unwrap();
        assert_eq!(stored(&mut incidents, OUTBOX).unwrap()["message"], "alert");
    }

    #[test]
    fn what_was_told_within_the_quiet_time_is_not_told_again() {
        let told = Told(Mutex::new(vec![(
            IncidentKind::PersonInPenAtNight,
            "pen-1".into(),
            at(-5),
        )]));
        let mut incidents = open(told);
        incidents
            .start(&incident(), Device::default(), at(0))
            .unwrap();
        assert_eq!(stored(&mut incidents, OUTBOX), None);
        assert_eq!(incidents.open_cases(), 0);
    }

    #[test]
    fn the_same_incident_a_second_time_starts_nothing() {
        let mut incidents = open(Told::default());
        incidents
            .start(&incident(), Device::default(), at(0))
            .unwrap();
        incidents
            .start(&incident(), Device::default(), at(1))
            .unwrap();
        assert_eq!(incidents.open_cases(), 1);
    }
}
