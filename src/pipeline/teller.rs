//! Tells incidents: to the sinks as records, and keeps them for a summary. Comes in: incidents. Goes out: records, the
//! digest over all alert lines, and how bad it became.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use super::reducer::{Listener, Quality};
use crate::alert::{
    self, Alert, Digest, EventType, FlowWriter, Geo, Mutes, Page, Pseudonyms, Record, Surroundings, Target,
};
use crate::attribute::Attributor;
use crate::detect::Subject;
use crate::detect::baseline::Baselines;
use crate::detect::rule::{Level, RuleSet};
use crate::incident::{Incident, State};
use crate::service::Services;
use crate::sink::Sinks;
use crate::time::{TickId, Zone};

/// What is known around every incident of a run.
#[derive(Clone)]
pub struct Scene {
    /// The sensor's name.
    pub sensor: String,
    /// The zone of outputs.
    pub zone: Zone,
    /// The named services.
    pub services: Services,
    /// The rules that run.
    pub rules: RuleSet,
    /// Alerts that are withheld for a while.
    pub mutes: Mutes,
    /// Whose addresses are.
    pub attributor: Arc<Attributor>,
    /// The names of the operator's labels.
    pub labels: Vec<String>,
    /// The databases.
    pub geo: Geo,
    /// What is told of addresses.
    pub pseudonyms: Pseudonyms,
}

impl Scene {
    /// What is told of a service.
    pub fn target(&self, subject: Subject) -> Target {
        Target::of(subject, &self.services, &self.pseudonyms)
    }

    /// Who writes records of flows.
    pub fn writer(&self) -> FlowWriter {
        FlowWriter::new(&self.sensor, &self.zone, &self.pseudonyms)
    }

    /// Calls `tell` with the surroundings of an incident.
    pub fn around<R>(&self, capture: alert::Quality, tell: impl FnOnce(&Surroundings<'_>) -> R) -> R {
        let organization = |address| self.attributor.organization(address);
        tell(&Surroundings {
            sensor: &self.sensor,
            zone: &self.zone,
            services: &self.services,
            rules: &self.rules,
            organization: &organization,
            labels: &self.labels,
            geo: &self.geo,
            capture,
            pseudonyms: &self.pseudonyms,
        })
    }
}

/// A severe alert, as far as somebody is to be reminded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SevereAlert {
    /// The incident's identity.
    pub incident: String,
    /// Its severity.
    pub severity: Level,
    /// What the alert says.
    pub message: String,
}

/// What was told so far, for whoever looks while it goes on.
#[derive(Debug, Default)]
pub struct Telling {
    alerts: AtomicU64,
    open: AtomicU64,
    digest: Mutex<String>,
    /// Alerts that were withheld, by the name of who withheld them.
    muted: Mutex<BTreeMap<String, u64>>,
    /// Severe alerts that nobody has looked at yet.
    severe: Mutex<Vec<SevereAlert>>,
    by_rule: Mutex<BTreeMap<(String, Level), u64>>,
}

impl Telling {
    /// Alert lines so far.
    pub fn alerts(&self) -> u64 {
        self.alerts.load(Relaxed)
    }

    /// Incidents that are open.
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// SHA-256 over the alert lines so far.
    pub fn digest(&self) -> String {
        let digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if digest.is_empty() { Digest::default().hex() } else { digest }
    }

    /// Alerts that were withheld so far, by the name of who withheld them.
    pub fn muted(&self) -> BTreeMap<String, u64> {
        self.muted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Severe alerts since the last time.
    pub fn take_severe(&self) -> Vec<SevereAlert> {
        std::mem::take(&mut self.severe.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_muted(&self, name: &str) {
        let mut muted = self.muted.lock().unwrap_or_else(PoisonError::into_inner);
        *muted.entry(name.to_owned()).or_default() += 1;
    }

    fn note_severe(&self, severe: SevereAlert) {
        let mut waiting = self.severe.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_KEPT {
            waiting.push(severe);
        }
    }

    /// Alert lines by the rule that opened the incident and by severity.
    pub fn by_rule(&self) -> BTreeMap<(String, Level), u64> {
        self.by_rule.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, incident: &Incident, digest: &Digest) {
        self.alerts.fetch_add(1, Relaxed);
        let open = self.open.load(Relaxed);
        let open = match incident.state {
            State::Open => open + 1,
            // One that is closed in the tick that would have opened it is told once; one may have opened unsaid.
            State::Close if incident.seq > 0 => open.saturating_sub(1),
            State::Close | State::Update => open,
        };
        // The reducer alone writes it.
        self.open.store(open, Relaxed);
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = digest.hex();
        let key = (incident.opening.id.clone(), incident.severity);
        let mut by_rule = self.by_rule.lock().unwrap_or_else(PoisonError::into_inner);
        *by_rule.entry(key).or_default() += 1;
    }
}

/// Tells incidents.
pub struct Teller {
    scene: Arc<Scene>,
    sinks: Arc<Sinks>,
    events: Vec<EventType>,
    /// Prints each story as it is told, where nobody waits for a summary.
    aloud: Option<fn(&str)>,
    digest: Digest,
    telling: Arc<Telling>,
    worst: Option<Level>,
    kept: BTreeMap<(TickId, Subject), Incident>,
    left_out: u64,
    /// Where what was learned is saved.
    keeper: Option<SyncSender<Baselines>>,
}

/// Incidents kept for the summary, each as it was told last.
const MAX_KEPT: usize = 1_000;

/// What a teller has told.
pub struct Told {
    /// The incidents in the order they opened, each as it was told last.
    pub incidents: Vec<Incident>,
    /// Incidents that the summary has no room for.
    pub left_out: u64,
    /// Alert records.
    pub alerts: u64,
    /// SHA-256 over the alert lines.
    pub digest: String,
    /// The highest severity.
    pub worst: Option<Level>,
}

impl Teller {
    /// A teller of these kinds of events; `aloud` gets each story as it is told.
    pub fn new(
        scene: Arc<Scene>,
        sinks: Arc<Sinks>,
        events: Vec<EventType>,
        aloud: Option<fn(&str)>,
    ) -> Self {
        Self {
            scene,
            sinks,
            events,
            aloud,
            digest: Digest::default(),
            telling: Arc::default(),
            worst: None,
            kept: BTreeMap::new(),
            left_out: 0,
            keeper: None,
        }
    }

    /// Has what was learned saved there.
    pub fn saving(self, keeper: Option<SyncSender<Baselines>>) -> Self {
        Self { keeper, ..self }
    }

    /// Tells from now on what is known in `scene`.
    pub fn renew(&mut self, scene: Arc<Scene>) {
        self.scene = scene;
    }

    /// What it has told so far, also for other threads to see.
    pub fn telling(&self) -> Arc<Telling> {
        Arc::clone(&self.telling)
    }

    /// Sends a record, if its kind is wanted.
    pub fn send(&self, record: &Record) {
        if self.events.contains(&record.kind) {
            self.sinks.send(record);
        }
    }

    /// What was told in all.
    pub fn finish(self) -> Told {
        Told {
            incidents: self.kept.into_values().collect(),
            left_out: self.left_out,
            alerts: self.telling.alerts(),
            digest: self.digest.hex(),
            worst: self.worst,
        }
    }

    /// The place of an incident among all, from 1; the same each time it is told.
    fn number(&self, incident: &Incident) -> usize {
        let key = (incident.opened, incident.subject);
        self.kept.keys().take_while(|have| **have < key).count() + 1
    }

    /// Whether the operator does not want to hear of it for now; it is counted.
    fn withholds(&self, incident: &Incident) -> bool {
        let service = incident.subject.name(&self.scene.services);
        let (rule, severity) = (&incident.opening.id, incident.severity);
        let mute = self.scene.mutes.of(rule, &service, severity, incident.decided);
        if let Some(mute) = mute {
            self.telling.note_muted(&mute.name);
        }
        mute.is_some()
    }

    fn keep(&mut self, incident: Incident) {
        let key = (incident.opened, incident.subject);
        if self.kept.len() < MAX_KEPT || self.kept.contains_key(&key) {
            self.kept.insert(key, incident);
        } else {
            self.left_out += u64::from(incident.state == State::Open);
        }
    }
}

impl Listener for Teller {
    fn wants_learned(&self) -> bool {
        self.keeper.is_some()
    }

    fn learned(&mut self, baselines: Baselines) {
        if let Some(keeper) = &self.keeper {
            // One that is still to be written is ten minutes old: the disk is slow, and the next will do.
            let _ = keeper.try_send(baselines);
        }
    }

    fn recorded(&mut self, pages: Vec<Page>) {
        self.sinks.send_pages(pages);
    }

    fn writer(&self) -> FlowWriter {
        self.scene.writer()
    }

    fn told(&mut self, incident: Incident, quality: &Quality) {
        let capture = alert::Quality {
            loss: quality.loss,
            one_way: incident.sides.is_one_way(),
            duplicates: quality.duplicates,
            shed: quality.shed,
        };
        let (number, aloud) = (self.number(&incident), self.aloud);
        if self.withholds(&incident) {
            return self.keep(incident);
        }
        let (record, story, message) = self.scene.around(capture, |around| {
            let alert = Alert::new(&incident, around);
            (alert.record(), aloud.map(|_| alert.story(number, alert::Paint::Plain)), alert.message())
        });
        if let (Some(id), true) = (&record.incident, incident.severity >= Level::High) {
            let severe = SevereAlert { incident: id.to_string(), severity: incident.severity, message };
            self.telling.note_severe(severe);
        }
        self.digest.add(&record.line);
        self.telling.note(&incident, &self.digest);
        self.worst = self.worst.max(Some(incident.severity));
        self.send(&record);
        if let (Some(aloud), Some(story)) = (aloud, story) {
            aloud(&format!("{story}\n"));
        }
        self.keep(incident);
    }
}
