//! The scheduler as a whole: its shared state, its start and its graceful end.

use crate::{
    budget::RetryBudget,
    config::SchedulerConfig,
    fleet::Fleet,
    registry::{LineStates, Registry},
    serve, service,
    time::{Clock, SystemClock},
};
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{JoinError, JoinHandle},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use waybill_protocol::WorkerView;

/// Renders the process's metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

#[derive(Clone)]
pub struct SchedulerDeps {
    pub registry: Arc<dyn Registry>,
    pub lines: Arc<dyn LineStates>,
    pub clock: Arc<dyn Clock>,
    /// Of the random choices; a fixed one repeats them.
    pub seed: u64,
    /// For `/metrics` on the gateways' listener.
    pub metrics: Option<RenderMetrics>,
}

impl SchedulerDeps {
    /// With the system's clock and a random seed.
    pub fn new(registry: Arc<dyn Registry>, lines: Arc<dyn LineStates>) -> Self {
        Self { registry, lines, clock: Arc::new(SystemClock::default()), seed: rand::random(), metrics: None }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the scheduler's task failed: {0}")]
    Task(#[from] JoinError),
}

/// Dispatches jobs to the connected workers (`waybill_protocol::Dispatch`).
pub struct Scheduler {
    pub(crate) config: SchedulerConfig,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) lines: Arc<dyn LineStates>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Option<RenderMetrics>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) budget: RetryBudget,
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) waiting: Semaphore,
    pub(crate) jobs: TaskTracker,
    pub(crate) sessions: TaskTracker,
    /// Ends every session.
    pub(crate) stopped: CancellationToken,
    draining: AtomicBool,
    seed: u64,
    draws: AtomicU64,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Scheduler {
    fn new(config: SchedulerConfig, deps: SchedulerDeps) -> Self {
        let SchedulerDeps { registry, lines, clock, seed, metrics } = deps;
        Self {
            registry,
            lines,
            clock,
            metrics,
            fleet: Arc::default(),
            budget: RetryBudget::default(),
            handshakes: Arc::new(Semaphore::new(config.limits.handshakes)),
            waiting: Semaphore::new(config.limits.waiting),
            jobs: TaskTracker::new(),
            sessions: TaskTracker::new(),
            stopped: CancellationToken::new(),
            draining: AtomicBool::new(false),
            seed,
            draws: AtomicU64::new(0),
            config,
        }
    }

    /// Whether the scheduler finishes what it has and takes nothing new.
    pub fn is_draining(&self) -> bool {
        self.draining.load(SeqCst)
    }

    /// Waits until the connected workers are as `wanted`; checked on every change of who is connected.
    pub async fn until_workers(&self, wanted: impl Fn(&[WorkerView]) -> bool + Send) {
        let mut changes = self.fleet.changes();
        while !wanted(&self.fleet.views()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// A generator per choice: no lock, and the same sequence under the same seed.
    pub(crate) fn rng(&self) -> SmallRng {
        SmallRng::seed_from_u64(self.seed.wrapping_add(self.draws.fetch_add(1, Relaxed)))
    }
}

/// A scheduler that listens. Dropping this leaves it running until its token is cancelled.
#[derive(Debug)]
pub struct Running {
    /// For a gateway in this process.
    pub scheduler: Arc<Scheduler>,
    /// Where workers dial in.
    pub sessions: SocketAddr,
    /// Where gateways of other processes call.
    pub gateways: Option<SocketAddr>,
    task: JoinHandle<()>,
}

impl Running {
    /// Resolves after the graceful end.
    pub async fn finished(self) -> Result<(), SchedulerError> {
        Ok(self.task.await?)
    }
}

/// Binds the listeners and starts serving. Cancelling `shutdown` drains: nothing new is taken, jobs under way finish
/// within `Timing::drain`, then sessions and connections close.
pub async fn start(
    config: SchedulerConfig,
    deps: SchedulerDeps,
    shutdown: CancellationToken,
) -> Result<Running, SchedulerError> {
    let (listener, sessions) = bind(config.listen).await?;
    let private = match config.gateway_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let gateways = private.as_ref().map(|(_, address)| *address);
    let scheduler = Arc::new(Scheduler::new(config, deps));
    let task =
        tokio::spawn(serve_until(Arc::clone(&scheduler), listener, private.map(|(listener, _)| listener), shutdown));
    Ok(Running { scheduler, sessions, gateways, task })
}

/// `start`, then waits for the graceful end.
pub async fn run(
    config: SchedulerConfig,
    deps: SchedulerDeps,
    shutdown: CancellationToken,
) -> Result<(), SchedulerError> {
    start(config, deps, shutdown).await?.finished().await
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SchedulerError> {
    let failed = |source| SchedulerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn serve_until(
    scheduler: Arc<Scheduler>,
    listener: TcpListener,
    private: Option<TcpListener>,
    shutdown: CancellationToken,
) {
    let connections = scheduler.config.limits.connections;
    let closing = CancellationToken::new();
    let serving = TaskTracker::new();
    serving.spawn(serve::serve(listener, service::sessions(Arc::clone(&scheduler)), connections, closing.clone()));
    if let Some(private) = private {
        serving.spawn(serve::serve(private, service::gateways(Arc::clone(&scheduler)), connections, closing.clone()));
    }
    let keeper = Arc::clone(&scheduler);
    serving.spawn(async move {
        let Scheduler { fleet, clock, config, stopped, .. } = &*keeper;
        fleet.keep_snapshots(&**clock, config.timing.rebuild, stopped).await;
    });

    shutdown.cancelled().await;
    tracing::info!("draining");
    scheduler.draining.store(true, SeqCst);
    scheduler.jobs.close();
    if tokio::time::timeout(scheduler.config.timing.drain, scheduler.jobs.wait()).await.is_err() {
        tracing::warn!(jobs = scheduler.jobs.len(), "jobs were cut off at the end of the grace");
    }
    scheduler.stopped.cancel();
    closing.cancel();
    scheduler.sessions.close();
    scheduler.sessions.wait().await;
    serving.close();
    serving.wait().await;
}
