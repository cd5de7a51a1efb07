//! A local Solana chain with the real JSON-RPC and WebSocket interfaces, for development, demonstrations and tests.
//!
//! The chain is `surfpool-core` in offline mode: the same SVM, loaders and RPC methods as a validator, without consensus.
//! What this crate adds is what a service that settles money needs from the chain it runs on:
//!
//! * **durable state**: everything is in one SQLite file, and a transaction is in it wholly or not at all, also after
//!   SIGKILL (see [`journal`]);
//! * **a true clock**: `Clock::unix_timestamp` is the time of the machine at every slot, before and after a restart;
//! * **installed programs**: the given `.so` files are on chain before the RPC port opens.
//!
//! It holds no secret and checks no caller: it listens on the loopback interface only.

mod chain;
mod clock;
mod journal;
mod programs;

use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use solana_pubkey::Pubkey;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// The length of a slot.
pub const SLOT_TIME: Duration = Duration::from_millis(400);

/// How long [`start`] waits for the RPC port to answer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long [`Localnet::stop`] waits for the state to be flushed and the ports to close.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Where the chain keeps its state, where it listens and what is installed on it.
#[derive(Debug, Clone)]
pub struct LocalnetConfig {
    /// Folder of the chain's state; created if missing. One running chain per folder.
    pub data_dir: PathBuf,
    /// Port of the JSON-RPC on 127.0.0.1; 0 chooses a free one.
    pub rpc_port: u16,
    /// Port of the WebSocket interface on 127.0.0.1; 0 chooses a free one.
    pub ws_port: u16,
    /// Programs by address, each an SBF `.so` file. A program that is already on the chain is replaced if its file differs.
    pub programs: Vec<(Pubkey, PathBuf)>,
}

#[derive(Debug, thiserror::Error)]
pub enum LocalnetError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("another local chain is running on {}", .0.display())]
    InUse(PathBuf),
    #[error("the local chain cannot listen on 127.0.0.1:{port}: {source}")]
    Port { port: u16, source: std::io::Error },
    #[error("the local chain's state cannot be read or written: {0}")]
    State(String),
    #[error("program {id} from {} cannot be installed: {reason}", path.display())]
    Program { id: Pubkey, path: PathBuf, reason: String },
    #[error("the local chain stopped: {0}")]
    Stopped(String),
    #[error("the local chain did not become ready within {} s", START_LIMIT.as_secs())]
    NotReady,
}

/// A running local chain. It stops when the token given to [`start`] is cancelled, or on [`Localnet::stop`].
#[derive(Debug)]
pub struct Localnet {
    /// `http://127.0.0.1:PORT`
    pub rpc_url: String,
    /// `ws://127.0.0.1:PORT`
    pub ws_url: String,
    rpc_port: u16,
    ws_port: u16,
    shutdown: CancellationToken,
    ended: watch::Receiver<Option<Arc<Result<(), LocalnetError>>>>,
}

impl Localnet {
    /// Flushes the state, closes the ports and returns. Transactions that were answered are kept.
    pub async fn stop(self) -> Result<(), LocalnetError> {
        self.shutdown.cancel();
        let deadline = Instant::now() + STOP_LIMIT;
        let outcome = tokio::time::timeout(STOP_LIMIT, self.ended()).await;
        for port in [self.rpc_port, self.ws_port] {
            while bind(port).is_err() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        outcome.unwrap_or_else(|_| Err(LocalnetError::Stopped("it did not end in time".into())))
    }

    /// Resolves when the chain has ended: `Ok` after a requested stop, otherwise why it ended by itself.
    pub async fn ended(&self) -> Result<(), LocalnetError> {
        let mut ended = self.ended.clone();
        let outcome = match ended.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => return Err(LocalnetError::Stopped("its thread ended".into())),
        };
        match outcome.as_deref() {
            Some(Err(error)) => Err(LocalnetError::Stopped(error.to_string())),
            _ => Ok(()),
        }
    }
}

/// Starts the chain and returns once the RPC and WebSocket ports answer.
pub async fn start(config: LocalnetConfig, shutdown: CancellationToken) -> Result<Localnet, LocalnetError> {
    let rpc_port = free_port(config.rpc_port)?;
    let ws_port = loop {
        let port = free_port(config.ws_port)?;
        if port != rpc_port || config.ws_port != 0 {
            break port;
        }
    };
    let shutdown = shutdown.child_token();
    let (ready_tx, ready_rx) = oneshot::channel();
    let (ended_tx, ended) = watch::channel(None);
    let chain = chain::Chain { config, rpc_port, ws_port, shutdown: shutdown.clone(), ready: ready_tx };
    // surfpool's loop blocks the thread it runs on, so it gets its own.
    std::thread::Builder::new()
        .name("localnet".into())
        .spawn(move || {
            let outcome = chain.run();
            if let Err(error) = &outcome {
                tracing::error!(%error, "local chain ended");
            }
            ended_tx.send_replace(Some(Arc::new(outcome)));
        })
        .map_err(|source| LocalnetError::Io { path: "thread".into(), source })?;

    let localnet = Localnet {
        rpc_url: format!("http://127.0.0.1:{rpc_port}"),
        ws_url: format!("ws://127.0.0.1:{ws_port}"),
        rpc_port,
        ws_port,
        shutdown,
        ended,
    };
    match tokio::time::timeout(START_LIMIT, ready_rx).await {
        Ok(Ok(Ok(()))) => Ok(localnet),
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(_)) => match localnet.ended().await {
            Err(error) => Err(error),
            Ok(()) => Err(LocalnetError::Stopped("it was told to stop while starting".into())),
        },
        Err(_) => {
            localnet.shutdown.cancel();
            Err(LocalnetError::NotReady)
        }
    }
}

fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// The port itself if it can be bound, or a free one for 0. surfpool binds by number, so the port is free again between
/// this call and its own bind; a process that takes it in between makes [`start`] fail, never two chains share it.
fn free_port(port: u16) -> Result<u16, LocalnetError> {
    bind(port)
        .and_then(|listener| Ok(listener.local_addr()?.port()))
        .map_err(|source| LocalnetError::Port { port, source })
}
