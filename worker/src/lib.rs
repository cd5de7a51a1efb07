//! The worker: models in ONNX Runtime, receipts for the work, and the session towards a scheduler.
//!
//! A worker serves only orders that a funded channel backs, signs a receipt for every finished piece of work, and stops
//! serving a gateway that does not countersign.

pub mod archive;
pub mod audit;
pub mod chat;
pub mod embed;
pub mod engines;
pub mod funding;
mod link;
pub mod model;
pub mod offers;
pub mod onchain;
mod order;
pub mod receipt;
pub mod runtime;
pub mod self_test;
pub mod service;
mod slot;
mod speed;

pub use archive::{Archive, ArchiveConfig};
pub use audit::Rules;
pub use engines::{EngineConfig, Engines};
pub use funding::{ChannelFunds, Funding, FundingError};
pub use link::{LinkError, PROTOCOL, SESSION_PATH, UrlError};
pub use model::{ModelError, ModelKind, ModelSpec};
pub use offers::Gate;
pub use receipt::{ReceiptBook, Trust};
pub use self_test::{SelfTest, self_test};
pub use service::{Profile, Worker};
pub use slot::Slot;

use solana_keypair::Keypair;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// One worker key and its session.
pub struct WorkerConfig {
    /// `http://` or `https://`, host and port.
    pub scheduler_url: String,
    /// The network key, delegated on chain by the operator's wallet.
    pub key: Keypair,
    pub profile: Profile,
    /// First bytes of every message of this network.
    pub domain: [u8; 8],
    /// Length of a settlement epoch in seconds.
    pub epoch_s: u32,
    /// How much uncountersigned work a gateway is trusted with.
    pub trust: Trust,
    /// Time for work in progress to end after shutdown.
    pub drain: Duration,
    /// Where the evidence behind receipts is kept for audits; absent keeps none, and a drawn receipt cannot be defended.
    pub archive: Option<ArchiveConfig>,
}

/// What a worker is given: loaded models (shared by several workers of one process, if so wished) and who pays.
#[derive(Clone)]
pub struct WorkerDeps {
    pub engines: Arc<Engines>,
    pub funding: Arc<dyn Funding>,
    /// Shut while the market pays less than the worker wants.
    pub gate: Arc<Gate>,
    /// How the chain compares re-executions; absent, the worker signs for no chair on chain.
    pub rules: Option<Arc<dyn Rules>>,
}

/// Why a worker does not start. Once it runs, it ends only on shutdown.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("a worker needs at least one slot and an epoch of at least one second")]
    Empty,
    #[error("the folder for evidence is not usable: {0}")]
    Archive(#[from] std::io::Error),
}

/// Keeps a session with the scheduler until `shutdown`, then drains and returns.
pub async fn run(config: WorkerConfig, deps: WorkerDeps, shutdown: CancellationToken) -> Result<(), WorkerError> {
    let target = link::Target::parse(&config.scheduler_url)?;
    if config.profile.slots == 0 || config.epoch_s == 0 {
        return Err(WorkerError::Empty);
    }
    let book = ReceiptBook::new(config.key, config.domain, config.epoch_s, config.trust);
    let archive = config.archive.map(Archive::open).transpose()?.map(Arc::new);
    let worker = Worker::assemble(config.profile, book, deps, archive);
    link::keep(worker, target, config.drain, shutdown).await;
    Ok(())
}
