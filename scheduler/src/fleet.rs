//! The connected workers, and the snapshots that selection reads without a lock. Snapshots are rebuilt off the request
//! path when workers come or go, and now and then because speeds change.

use crate::{
    lock,
    select::{Candidate, Load, Snapshot, Track},
    session::Session,
    time::Clock,
};
use arc_swap::ArcSwap;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use waybill_protocol::{ArtifactId, WorkerId, WorkerView};

pub(crate) type Handle = Arc<Session>;
type Snapshots = HashMap<ArtifactId, Arc<Snapshot<Handle>>>;

/// Rebuild at least this often: capacities and medians follow the reports.
const REFRESH: Duration = Duration::from_secs(5);
/// Experience with workers that left is kept for up to this many (worker, artifact) pairs.
const KEPT_TRACKS: usize = 65_536;

#[derive(Default)]
pub(crate) struct Fleet {
    members: Mutex<HashMap<WorkerId, Member>>,
    tracks: Mutex<HashMap<(WorkerId, ArtifactId), Arc<Track>>>,
    snapshots: ArcSwap<Snapshots>,
    changed: Notify,
    /// Counts the changes of what `views` lists.
    version: watch::Sender<u64>,
    /// A slot may have become free, or a worker may have joined.
    pub freed: Notify,
}

struct Member {
    session: Handle,
    /// Empty until the worker was welcomed.
    candidates: Vec<(ArtifactId, Arc<Candidate<Handle>>)>,
    /// In the snapshots: jobs can reach it.
    listed: AtomicBool,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fleet is full")]
pub(crate) struct FleetFull;

impl Fleet {
    /// Makes this the worker's one session and ends the one before.
    pub fn enter(&self, session: &Handle, most: usize) -> Result<(), FleetFull> {
        let mut members = lock(&self.members);
        let full = members.len() >= most;
        let member = Member { session: Arc::clone(session), candidates: Vec::new(), listed: AtomicBool::new(false) };
        match members.entry(session.worker) {
            Entry::Occupied(mut entry) => {
                let previous = entry.insert(member);
                previous.session.end();
            }
            Entry::Vacant(_) if full => return Err(FleetFull),
            Entry::Vacant(entry) => {
                entry.insert(member);
            }
        }
        metrics::gauge!("waybill_sessions").set(members.len() as f64);
        Ok(())
    }

    /// The worker knows where its lines stand: jobs may go to it.
    pub fn open(&self, session: &Handle) {
        let candidates = session
            .models
            .iter()
            .map(|model| {
                let candidate = Candidate {
                    worker: session.worker,
                    operator: session.node.operator,
                    region: Arc::clone(&session.region),
                    class: session.node.class,
                    kind: model.kind,
                    offered: (model.prefill_tps, model.decode_tps),
                    ask: session.node.ask,
                    load: Arc::clone(&session.load),
                    track: self.track(session.worker, model.artifact),
                    handle: Arc::clone(session),
                };
                (model.artifact, Arc::new(candidate))
            })
            .collect();
        let mut members = lock(&self.members);
        if let Some(member) = members.get_mut(&session.worker).filter(|member| Arc::ptr_eq(&member.session, session)) {
            member.candidates = candidates;
            self.changed.notify_one();
        }
    }

    /// Forgets an ended session, unless a newer one has taken its place.
    pub fn leave(&self, session: &Handle) {
        session.end();
        let mut members = lock(&self.members);
        if members.get(&session.worker).is_some_and(|member| Arc::ptr_eq(&member.session, session)) {
            members.remove(&session.worker);
            metrics::gauge!("waybill_sessions").set(members.len() as f64);
        }
        drop(members);
        self.changed.notify_one();
        self.version.send_modify(|version| *version += 1);
    }

    /// Ticks after every change of what `views` lists.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub fn session(&self, worker: WorkerId) -> Option<Handle> {
        lock(&self.members).get(&worker).map(|member| Arc::clone(&member.session))
    }

    pub fn snapshot(&self, artifact: &ArtifactId) -> Option<Arc<Snapshot<Handle>>> {
        self.snapshots.load().get(artifact).map(Arc::clone)
    }

    pub fn views(&self) -> Vec<WorkerView> {
        let members = lock(&self.members);
        let view = |member: &Member| {
            let Session { worker, region, node, models, load, .. } = &*member.session;
            WorkerView {
                worker: *worker,
                region: region.to_string(),
                class: node.class,
                artifacts: models.iter().map(|model| model.artifact).collect(),
                rtt_ms: load.rtt_average() * 1_000.0,
                active: load.active(),
                free_slots: load.free_slots(),
                draining: load.is_draining(),
            }
        };
        members
            .values()
            .filter(|member| member.listed.load(Relaxed) && !member.session.load.is_gone())
            .map(view)
            .collect()
    }

    /// Rebuilds the snapshots until `stop`.
    pub async fn keep_snapshots(&self, clock: &dyn Clock, pause: Duration, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.rebuild(clock);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    fn rebuild(&self, clock: &dyn Clock) {
        let mut artifacts: HashMap<ArtifactId, Vec<Arc<Candidate<Handle>>>> = HashMap::new();
        let mut listed = Vec::new();
        for member in lock(&self.members).values().filter(|member| !member.candidates.is_empty()) {
            listed.push(Arc::clone(&member.session));
            for (artifact, candidate) in &member.candidates {
                artifacts.entry(*artifact).or_default().push(Arc::clone(candidate));
            }
        }
        let build = |(artifact, mut candidates): (ArtifactId, Vec<Arc<Candidate<Handle>>>)| {
            // A fixed order keeps choices reproducible under a fixed seed.
            candidates.sort_unstable_by_key(|candidate| candidate.worker);
            (artifact, Arc::new(Snapshot::new(candidates, clock.now())))
        };
        self.snapshots.store(Arc::new(artifacts.into_iter().map(build).collect()));
        let members = lock(&self.members);
        for session in listed {
            if let Some(member) = members.get(&session.worker).filter(|member| Arc::ptr_eq(&member.session, &session)) {
                member.listed.store(true, Relaxed);
            }
        }
        drop(members);
        self.version.send_modify(|version| *version += 1);
        self.freed.notify_waiters();
    }

    fn track(&self, worker: WorkerId, artifact: ArtifactId) -> Arc<Track> {
        let mut tracks = lock(&self.tracks);
        if tracks.len() >= KEPT_TRACKS {
            tracks.retain(|_, track| Arc::strong_count(track) > 1);
        }
        Arc::clone(tracks.entry((worker, artifact)).or_default())
    }
}

/// A job's hold on its worker: gives the slot back when dropped.
pub(crate) struct Slot {
    load: Arc<Load>,
    number: crate::select::load::JobNumber,
    fleet: Arc<Fleet>,
}

impl Slot {
    pub fn take(load: &Arc<Load>, tokens: u32, fleet: &Arc<Fleet>) -> Self {
        Self { number: load.sent(tokens), load: Arc::clone(load), fleet: Arc::clone(fleet) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.load.finished(self.number);
        self.fleet.freed.notify_one();
    }
}
