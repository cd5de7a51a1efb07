//! Opens the chain's state, brings it into memory and runs surfpool on it.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
};

use solana_pubkey::Pubkey;
use surfpool_core::{
    runloops::start_local_surfnet_runloop,
    solana_account::Account,
    storage::{StorageFifoMap, StorageHashMap},
    surfnet::{
        GeyserEvent,
        locker::SurfnetSvmLocker,
        svm::{SurfnetSvm, SurfnetSvmConfig},
    },
    types::SurfnetTransactionStatus,
};
use surfpool_types::{BlockProductionMode, RpcConfig, SimnetCommand, SimnetConfig, SimnetEvent, SurfpoolConfig};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{LocalnetConfig, LocalnetError, clock, journal, programs};

/// The name under which surfpool files the rows of this chain.
const SURFNET_ID: &str = "waybill";
/// How many transactions' profiles (a surfpool extension of the RPC) are remembered.
const PROFILES: usize = 64;

/// A chain that is about to run, on the thread that calls [`Chain::run`].
pub struct Chain {
    pub config: LocalnetConfig,
    pub rpc_port: u16,
    pub ws_port: u16,
    pub shutdown: CancellationToken,
    /// Told once, when the ports are open or when the state could not be opened.
    pub ready: oneshot::Sender<Result<(), LocalnetError>>,
}

/// The chain's state, open and in memory.
struct Opened {
    svm: SurfnetSvm,
    events: crossbeam_channel::Receiver<SimnetEvent>,
    geyser: crossbeam_channel::Receiver<GeyserEvent>,
    /// Holds the folder for this process until it is dropped.
    _lock: File,
}

impl Chain {
    /// Runs until the shutdown token is cancelled. Blocks its thread.
    pub fn run(self) -> Result<(), LocalnetError> {
        match self.open() {
            Ok(opened) => self.serve(opened),
            Err(error) => {
                let reason = error.to_string();
                let _ = self.ready.send(Err(error));
                Err(LocalnetError::Stopped(reason))
            }
        }
    }

    fn open(&self) -> Result<Opened, LocalnetError> {
        let folder = self.config.data_dir.clone();
        let io = |path: PathBuf| move |source| LocalnetError::Io { path, source };
        std::fs::create_dir_all(&folder).map_err(io(folder.clone()))?;
        let lock_path = folder.join("chain.lock");
        let lock = File::create(&lock_path).map_err(io(lock_path.clone()))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LocalnetError::InUse(folder.clone()),
            TryLockError::Error(source) => LocalnetError::Io { path: lock_path, source },
        })?;

        let database = folder.join("chain.sqlite");
        let recovered = journal::recover(&database).map_err(LocalnetError::State)?;
        if recovered.undone > 0 {
            tracing::info!(rows = recovered.undone, "changes without a completed transaction were undone");
        }
        let url =
            database.to_str().ok_or_else(|| LocalnetError::State("the path of its folder is not UTF-8".into()))?;
        let config = SurfnetSvmConfig {
            surfnet_id: SURFNET_ID.into(),
            slot_time: clock::slot_ms(),
            instruction_profiling_enabled: false,
            ..SurfnetSvmConfig::default()
        };
        let (mut svm, events, geyser) = SurfnetSvm::new_with_db(Some(url), config).map_err(state)?;
        resume(&mut svm)?;
        for (id, path) in &self.config.programs {
            let wrote = programs::install(&mut svm, id, path).map_err(|reason| LocalnetError::Program {
                id: *id,
                path: path.clone(),
                reason,
            })?;
            tracing::debug!(program = %id, wrote, "program installed");
        }
        // From here on a kill undoes what follows, and the next start does it again.
        journal::arm(&database).map_err(LocalnetError::State)?;
        if let Some(signature) = recovered.last_transaction {
            complete_airdrop(&mut svm, &signature)?;
        }
        journal::settle(&database).map_err(LocalnetError::State)?;
        Ok(Opened { svm, events, geyser, _lock: lock })
    }

    fn serve(self, opened: Opened) -> Result<(), LocalnetError> {
        let Opened { svm, events, geyser, _lock } = opened;
        let locker = SurfnetSvmLocker::new(svm);
        let (commands_tx, commands_rx) = crossbeam_channel::unbounded();
        let config = SurfpoolConfig {
            simnets: vec![SimnetConfig {
                offline_mode: true,
                remote_rpc_url: None,
                slot_time: clock::slot_ms(),
                block_production_mode: BlockProductionMode::Manual,
                instruction_profiling_enabled: false,
                surfnet_id: SURFNET_ID.into(),
                ..SimnetConfig::default()
            }],
            rpc: RpcConfig {
                bind_host: "127.0.0.1".into(),
                bind_port: self.rpc_port,
                ws_port: self.ws_port,
                ..RpcConfig::default()
            },
            ..SurfpoolConfig::default()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("localnet-worker")
            .enable_all()
            .build()
            .map_err(|source| LocalnetError::Io { path: "runtime".into(), source })?;

        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(body)
                .map_err(|source| LocalnetError::Io { path: "thread".into(), source })
        };
        let (clock_stop_tx, clock_stop_rx) = std::sync::mpsc::channel();
        let clock = {
            let (locker, commands) = (locker.clone(), commands_tx.clone());
            spawn("localnet-clock", Box::new(move || clock::run(&locker, &commands, &clock_stop_rx)))?
        };
        let ready = self.ready;
        spawn("localnet-events", Box::new(move || watch_events(&events, ready)))?;
        let (shutdown, terminate) = (self.shutdown, commands_tx.clone());
        let stopper = runtime.spawn({
            let shutdown = shutdown.clone();
            async move {
                shutdown.cancelled().await;
                drop(clock_stop_tx);
                let _ = terminate.send(SimnetCommand::Terminate(None));
            }
        });

        let outcome = runtime.block_on(start_local_surfnet_runloop(locker, config, commands_tx, commands_rx, geyser));
        let requested = shutdown.is_cancelled();
        stopper.abort(); // after a failure this drops the clock's stop channel
        runtime.shutdown_background();
        let _ = clock.join();
        match outcome {
            Err(error) => Err(LocalnetError::Stopped(error.to_string())),
            Ok(()) if requested => Ok(()),
            Ok(()) => Err(LocalnetError::Stopped("it ended by itself".into())),
        }
    }
}

fn state(error: surfpool_core::error::SurfpoolError) -> LocalnetError {
    LocalnetError::State(error.to_string())
}

/// Brings stored accounts into memory and repairs what surfpool does not restore.
fn resume(svm: &mut SurfnetSvm) -> Result<(), LocalnetError> {
    let stored: Vec<(String, Account)> = match &svm.inner.db {
        Some(accounts) => accounts
            .into_iter()
            .map_err(|error| LocalnetError::State(error.to_string()))?
            .map(|(key, account)| (key, account.into()))
            .collect(),
        None => Vec::new(),
    };
    // Code is verified when a program account is stored, so its data must be there before.
    let (programs, plain): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(_, account)| account.executable);
    let mut by_token_program: Vec<(String, Vec<String>)> = Vec::new();
    for (key, account) in plain.into_iter().chain(programs) {
        let owner = account.owner.to_string();
        if owner.starts_with("Token") {
            match by_token_program.iter_mut().find(|(program, _)| *program == owner) {
                Some((_, keys)) => keys.push(key.clone()),
                None => by_token_program.push((owner, vec![key.clone()])),
            }
        }
        let address: Pubkey = key.parse().map_err(|error| LocalnetError::State(format!("account {key}: {error}")))?;
        let executable = account.executable;
        match svm.inner.svm.set_account(address, account) {
            Ok(()) => {}
            // Code that the loader refuses, left by a failed installation: not on the chain until it is installed anew.
            Err(error) if executable => tracing::warn!(program = %address, %error, "a stored program cannot be loaded"),
            Err(error) => return Err(LocalnetError::State(format!("account {key}: {error}"))),
        }
    }

    // Opening the file resets the token program's entry of this index to the native mint alone.
    for (program, keys) in by_token_program {
        let index = &mut svm.accounts_by_owner;
        let storage = |error: surfpool_core::storage::StorageError| LocalnetError::State(error.to_string());
        let mut all = index.get(&program).map_err(storage)?.unwrap_or_default();
        all.extend(keys);
        all.sort_unstable();
        all.dedup();
        index.store(program, all).map_err(storage)?;
    }

    // Profiles are a debugging aid; in the file they would outgrow everything else.
    svm.executed_transaction_profiles = Box::new(StorageFifoMap::new(PROFILES));
    svm.profile_tag_map = Box::new(StorageFifoMap::new(PROFILES));
    svm.simulated_transaction_profiles = Box::new(StorageHashMap::new());

    // surfpool reckons time from the first slot of the chain as if that were now; make the current slot be now.
    let now = clock::now_ms();
    let age = svm.get_latest_absolute_slot().saturating_sub(svm.genesis_slot);
    svm.genesis_updated_at = now.saturating_sub(age.saturating_mul(clock::slot_ms()));
    svm.updated_at = now;
    svm.reconstruct_sysvars();
    Ok(())
}

/// Credits an airdrop again after [`journal::recover`] took the credit back.
///
/// surfpool records an airdrop before it stores the credited account, the other way round than any transaction. So the
/// journal takes a credit that no later record follows for an interrupted change. `signature` is the last recorded
/// transaction; nothing is done unless it is an airdrop.
fn complete_airdrop(svm: &mut SurfnetSvm, signature: &str) -> Result<(), LocalnetError> {
    let Some(SurfnetTransactionStatus::Processed(record)) =
        svm.transactions.get(&signature.to_owned()).map_err(|error| LocalnetError::State(error.to_string()))?
    else {
        return Ok(());
    };
    let (transaction, _) = *record;
    let message = &transaction.transaction.message;
    // Only an airdrop has no blockhash: surfpool makes it up itself, where a sent transaction must name a recent one.
    let (true, Some(recipient), [_, before, ..], [_, after, ..]) = (
        message.recent_blockhash().to_bytes() == [0; 32],
        message.static_account_keys().get(1).copied(),
        transaction.meta.pre_balances.as_slice(),
        transaction.meta.post_balances.as_slice(),
    ) else {
        return Ok(());
    };
    let mut account = svm.inner.get_account(&recipient).map_err(state)?.unwrap_or_default();
    // The difference, not the balance after: a transaction of the same account that was undone may be in both.
    account.lamports = account.lamports.saturating_add(after.saturating_sub(*before));
    svm.set_account(&recipient, account).map_err(state)
}

/// Drains surfpool's events: tells when the ports are open, and passes its messages to the log.
fn watch_events(events: &crossbeam_channel::Receiver<SimnetEvent>, ready: oneshot::Sender<Result<(), LocalnetError>>) {
    let mut ready = Some(ready);
    for event in events {
        match event {
            SimnetEvent::CoreStarted(transactions) => {
                tracing::debug!(transactions, "local chain started");
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Ok(()));
                }
            }
            SimnetEvent::Aborted(reason) => tracing::error!(%reason, "local chain aborted"),
            // A transaction that fails is its sender's business, not an error of the chain.
            SimnetEvent::ErrorLog(_, message) | SimnetEvent::WarnLog(_, message) => {
                tracing::debug!(%message, "local chain");
            }
            _ => {}
        }
    }
}
