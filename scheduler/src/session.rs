//! One worker session: admission, then pings, reports and countersignatures until the link ends.

use crate::{
    fleet::FleetFull,
    link::{Link, LinkError},
    registry::NodeView,
    scheduler::Scheduler,
    select::{Load, rtt::RttWindow},
};
use futures_util::StreamExt;
use hyper::upgrade::{OnUpgrade, Upgraded};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use waybill_protocol::{
    ArtifactId, WorkerId,
    frame::{Ack, Challenge, Hello, ModelOffer, Welcome},
    signing,
};

const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const RESYNC_TIMEOUT: Duration = Duration::from_secs(10);
const ACKS_AT_ONCE: usize = 16;

#[derive(Debug)]
pub(crate) struct Session {
    pub worker: WorkerId,
    /// As registered on chain, which is what counts, not what the worker says.
    pub node: NodeView,
    pub region: Arc<str>,
    pub models: Vec<Model>,
    pub load: Arc<Load>,
    pub link: Link,
    acks: mpsc::Sender<Ack>,
    ended: CancellationToken,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub artifact: ArtifactId,
    pub kind: u32,
    pub prefill_tps: f32,
    pub decode_tps: f32,
}

/// Why a worker is not admitted, or its session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the upgrade failed: {0}")]
    Upgrade(#[from] hyper::Error),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("no admission within {0:?}")]
    Slow(Duration),
    #[error("malformed hello: {0}")]
    Malformed(&'static str),
    #[error("the signature is not by {0} over this session's challenge")]
    Signature(WorkerId),
    #[error("{0} is not registered on chain")]
    Unregistered(WorkerId),
    #[error("the registration of {0} was revoked or has expired")]
    Expired(WorkerId),
    #[error("the operator of {0} has less than the minimum stake")]
    Unstaked(WorkerId),
    #[error("{offered} models offered, {most} allowed")]
    TooManyModels { offered: usize, most: usize },
    #[error(transparent)]
    Full(#[from] FleetFull),
    #[error("line states are unavailable: {0}")]
    Lines(String),
    #[error("a newer session replaced this one, or the scheduler stops")]
    Ended,
    #[error("the report stream ended{0}")]
    Reports(String),
    #[error("the worker does not answer")]
    Silent,
}

impl Session {
    /// Cuts the link. Jobs under way fail with `Lost`.
    pub fn end(&self) {
        self.load.leave();
        self.ended.cancel();
    }

    /// False when the worker is too far behind with countersignatures; it learns on its next session.
    pub fn acknowledge(&self, ack: Ack) -> bool {
        self.acks.try_send(ack).is_ok()
    }
}

/// Runs a session from the connection's upgrade to its end.
pub(crate) async fn serve(scheduler: Arc<Scheduler>, upgrade: OnUpgrade, handshake: tokio::sync::OwnedSemaphorePermit) {
    let ended = scheduler.stopped.child_token();
    let admission = async {
        let patience = scheduler.config.timing.admission;
        timeout(patience, admit(&scheduler, upgrade.await?, &ended)).await.map_err(|_| SessionError::Slow(patience))?
    };
    let admitted = admission.await;
    drop(handshake);
    let reason = match admitted {
        Ok((session, acks)) => {
            tracing::info!(worker = %session.worker, region = %session.region, models = session.models.len(), "worker joined");
            let reason = live(&scheduler, &session, acks).await;
            scheduler.fleet.leave(&session);
            tracing::info!(worker = %session.worker, %reason, "worker left");
            return;
        }
        Err(reason) => reason,
    };
    ended.cancel();
    metrics::counter!("waybill_sessions_refused_total").increment(1);
    tracing::warn!(%reason, "worker turned away");
}

/// Tells a worker within its session where its lines stand now.
pub(crate) async fn resync(scheduler: &Scheduler, session: &Session) -> Result<(), SessionError> {
    let told = async {
        let lines = scheduler.lines.lines(session.worker).await.map_err(SessionError::Lines)?;
        Ok(session.link.welcome(&Welcome { lines, resync: true }).await?)
    };
    timeout(RESYNC_TIMEOUT, told).await.map_err(|_| SessionError::Silent)?
}

type Admitted = (Arc<Session>, mpsc::Receiver<Ack>);

async fn admit(scheduler: &Arc<Scheduler>, io: Upgraded, ended: &CancellationToken) -> Result<Admitted, SessionError> {
    let config = &scheduler.config;
    let limits = &config.limits;
    let (link, connection) = Link::handshake(io, limits.jobs_per_worker, ended.clone()).await?;
    // The connection drives itself; when it ends, so does the session.
    let over = ended.clone();
    tokio::spawn(async move {
        let _ = over.run_until_cancelled(connection).await;
        over.cancel();
    });

    let challenge = Challenge {
        nonce: rand::random::<[u8; 32]>().to_vec().into(),
        domain: config.domain.to_vec().into(),
        gateways: config.gateways.iter().map(|gateway| gateway.0.to_vec().into()).collect(),
    };
    let hello = link.hello(&challenge).await?;
    let worker =
        WorkerId::try_from(&*hello.worker).map_err(|_| SessionError::Malformed("the worker's key has not 32 bytes"))?;
    let message = signing::hello_message(&challenge.domain, &challenge.nonce);
    if !signing::verify(&worker.0, &message, &hello.signature) {
        return Err(SessionError::Signature(worker));
    }
    let node = registered(scheduler, worker)?;
    let models = models(&hello, limits.models_per_worker)?;
    let slots = match hello.slots.min(limits.jobs_per_worker) {
        0 => return Err(SessionError::Malformed("a worker without slots")),
        slots => slots,
    };

    let (acks, ack_queue) = mpsc::channel(limits.acks_per_worker);
    let session = Arc::new(Session {
        worker,
        region: node.region.as_str().into(),
        node,
        models,
        load: Arc::new(Load::new(slots, scheduler.clock.now())),
        link,
        acks,
        ended: ended.clone(),
    });
    // Entering first makes acknowledgements queue here, so that none falls between the lines read now and the welcome.
    scheduler.fleet.enter(&session, limits.sessions)?;
    let welcomed = async {
        let lines = scheduler.lines.lines(worker).await.map_err(SessionError::Lines)?;
        Ok(session.link.welcome(&Welcome { lines, resync: false }).await?)
    };
    if let Err(error) = welcomed.await {
        scheduler.fleet.leave(&session);
        return Err(error);
    }
    scheduler.fleet.open(&session);
    Ok((session, ack_queue))
}

fn registered(scheduler: &Scheduler, worker: WorkerId) -> Result<NodeView, SessionError> {
    let node = scheduler.registry.node(worker).ok_or(SessionError::Unregistered(worker))?;
    if node.revoked || node.expires <= scheduler.clock.unix() {
        return Err(SessionError::Expired(worker));
    }
    if node.staked { Ok(node) } else { Err(SessionError::Unstaked(worker)) }
}

fn models(hello: &Hello, most: usize) -> Result<Vec<Model>, SessionError> {
    if hello.models.len() > most {
        return Err(SessionError::TooManyModels { offered: hello.models.len(), most });
    }
    let mut seen = HashSet::new();
    let read = |offer: &ModelOffer| {
        let artifact = ArtifactId::try_from(&*offer.artifact)
            .map_err(|_| SessionError::Malformed("an artifact's hash has not 32 bytes"))?;
        if !seen.insert(artifact) {
            return Err(SessionError::Malformed("an artifact is offered twice"));
        }
        Ok(Model { artifact, kind: offer.kind, prefill_tps: offer.prefill_tps, decode_tps: offer.decode_tps })
    };
    hello.models.iter().map(read).collect()
}

/// Returns why the session is over.
async fn live(scheduler: &Arc<Scheduler>, session: &Arc<Session>, acks: mpsc::Receiver<Ack>) -> SessionError {
    tokio::select! {
        () = session.ended.cancelled() => SessionError::Ended,
        error = follow_reports(scheduler, session) => error,
        error = ping(scheduler, session) => error,
        error = deliver_acks(session, acks) => error,
    }
}

async fn follow_reports(scheduler: &Scheduler, session: &Session) -> SessionError {
    let mut reports = match session.link.reports().await {
        Ok(reports) => reports,
        Err(error) => return error.into(),
    };
    while let Some(report) = reports.next().await {
        match report {
            Ok(report) => {
                session.load.reported(&report, scheduler.clock.now());
                if report.free_slots > 0 {
                    scheduler.fleet.freed.notify_waiters();
                }
            }
            Err(error) => return SessionError::Reports(format!(": {error}")),
        }
    }
    SessionError::Reports(String::new())
}

async fn ping(scheduler: &Scheduler, session: &Session) -> SessionError {
    let timing = &scheduler.config.timing;
    let mut window = RttWindow::default();
    let mut checked = Instant::now();
    loop {
        let sent = Instant::now();
        match timeout(timing.ping_timeout, session.link.ping()).await {
            Ok(Ok(())) => {
                let (average, least) = window.record(sent.elapsed(), scheduler.clock.now());
                session.load.pinged(average, least);
            }
            Ok(Err(error)) => return error.into(),
            Err(_) => return SessionError::Silent,
        }
        if checked.elapsed() >= timing.recheck {
            checked = Instant::now();
            if let Err(error) = registered(scheduler, session.worker) {
                return error;
            }
        }
        tokio::time::sleep(timing.ping).await;
    }
}

async fn deliver_acks(session: &Session, mut acks: mpsc::Receiver<Ack>) -> SessionError {
    let queue = futures_util::stream::poll_fn(|cx| acks.poll_recv(cx));
    queue
        .for_each_concurrent(ACKS_AT_ONCE, |ack| async move {
            match timeout(ACK_TIMEOUT, session.link.acknowledge(&ack)).await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => {
                    tracing::debug!(worker = %session.worker, %reason, "a countersignature did not arrive")
                }
                Err(_) => tracing::debug!(worker = %session.worker, "a countersignature was not taken in time"),
            }
        })
        .await;
    SessionError::Ended
}
