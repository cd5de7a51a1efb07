//! The gateway: OpenAI's REST API in front of paid work. It verifies API keys, reserves credit, signs orders, hands jobs to
//! a [`Dispatch`](waybill_protocol::Dispatch), checks and countersigns the receipts that come back, and charges for exactly
//! those. An answer is never finished before its charge is stored; a request that ends any other way costs nothing.
//!
//! A consumer that leaves early is not charged: its work is cancelled and no receipt exists (one that is already here is
//! settled). Charging for the tokens delivered until then needs receipts for partial work, which the protocol does not
//! have yet.

mod account;
mod api;
mod attribution;
mod auth;
mod body;
mod catalogue;
mod chat;
pub mod check;
pub mod config;
pub mod credit;
mod embeddings;
pub mod error;
mod json;
mod keeper;
pub mod keys;
pub mod market;
mod middleware;
mod notary;
mod paid;
mod pieces;
mod promo;
mod resync;
pub mod routes;
mod server;
mod state;
mod stream;
pub mod telemetry;

pub use api::{Access, ROUTES};
pub use catalogue::ChainMarket;
pub use config::{GatewayConfig, Limits, Times};
pub use keys::{Pepper, SecretKey};
pub use market::Market;

use attribution::Attribution;
use auth::KeyCache;
use credit::Credit;
use keeper::{Keeper, Shelf};
use notary::Notary;
use resync::Resyncs;
use solana_signer::Signer;
use state::{App, PhaseCell};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waybill_protocol::{Dispatch, WalletId};
use waybill_store::{Hub, Ledger, Store};

/// How often idle credit goes back and the hub hears from this process.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// What a gateway stands on. The ledger must book the same gateway key as the configuration's.
pub struct GatewayDeps {
    pub store: Store,
    pub ledger: Ledger,
    pub hub: Arc<dyn Hub>,
    pub market: Arc<dyn Market>,
    pub dispatch: Arc<dyn Dispatch>,
}

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// A gateway that listens.
pub struct Gateway {
    address: SocketAddr,
    app: Arc<App>,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Listens, and serves until `shutdown` fires.
    pub async fn start(
        config: GatewayConfig,
        deps: GatewayDeps,
        shutdown: CancellationToken,
    ) -> Result<Self, GatewayError> {
        let listening = |source| GatewayError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        telemetry::prometheus();
        let GatewayDeps { store, ledger, hub, market, dispatch } = deps;
        let wallet = WalletId(config.key.pubkey().to_bytes());
        if config.sole
            && let Err(error) = ledger.take_over_nonces().await
        {
            tracing::warn!(%error, "what an earlier process held was not taken over; it expires");
        }
        let tasks = TaskTracker::new();
        let credit = Credit::new(wallet, market.clone(), store.clone(), ledger.clone(), hub, tasks.clone());
        let keys = KeyCache::new(config.times.key_cache, config.limits.cached_keys, config.limits.requests_per_key);
        let attribution = Attribution::new(wallet, store.clone());
        let notary = Notary::new(store.clone(), config.key.clone(), wallet);
        let (keeper, shelf) = Keeper::new(&config.pepper, store.clone());
        let resyncs = Resyncs::new(dispatch.clone(), tasks.clone());
        let phase = PhaseCell::default();
        let app = Arc::new(App {
            config,
            wallet,
            store,
            ledger,
            market,
            dispatch,
            credit,
            keys,
            attribution,
            notary,
            keeper,
            resyncs,
            tasks,
            phase,
        });
        let task = tokio::spawn(run_until(app.clone(), shelf, listener, shutdown));
        tracing::info!(%address, gateway = %wallet, "gateway listens");
        Ok(Self { address, app, task })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Σ open reservations in nano-credits; 0 when no request is open.
    pub fn reserved_nc(&self) -> u64 {
        self.app.credit.reserved_nc()
    }

    /// Resolves after the drain.
    pub async fn stopped(self) {
        if let Err(panic) = self.task.await {
            tracing::error!(%panic, "the gateway's task failed");
        }
    }
}

/// Starts a gateway and waits until it has drained; `ready` gets the bound address.
pub async fn run(
    config: GatewayConfig,
    deps: GatewayDeps,
    ready: impl FnOnce(SocketAddr) + Send,
    shutdown: CancellationToken,
) -> Result<(), GatewayError> {
    let gateway = Gateway::start(config, deps, shutdown).await?;
    ready(gateway.address());
    gateway.stopped().await;
    Ok(())
}

async fn run_until(app: Arc<App>, shelf: Shelf, listener: TcpListener, shutdown: CancellationToken) {
    let background = CancellationToken::new();
    let housekeeping = tokio::spawn(keep_house(app.clone(), background.clone()));
    let keeping = tokio::spawn(shelf.run(background.clone()));
    server::serve(app.clone(), listener, api::router(app.clone()), shutdown).await;
    background.cancel();
    let _ = housekeeping.await;
    let _ = keeping.await;
    app.credit.tidy(Duration::ZERO).await;
    // What this leaves, the next process signs.
    while matches!(app.notary.sign_page(app.market.network().domain).await, Ok(true)) {}
}

async fn keep_house(app: Arc<App>, stop: CancellationToken) {
    let domain = app.market.network().domain;
    let tidy = async {
        let mut ticks = tokio::time::interval(TIDY_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            app.credit.tidy(app.config.times.idle_channel).await;
            keeper::sweep(&app.store, app.market.now_ms()).await;
            telemetry::prometheus().run_upkeep();
        }
    };
    tokio::join!(app.notary.run(domain, stop.clone()), stop.run_until_cancelled(tidy));
}
