//! Workers in the test's own process, beside those of the network: the real worker on real models, of which some are not
//! the ones that they pass for.

use crate::network::{Network, cache};
use solana_keypair::Keypair;
use std::{path::Path, sync::Arc, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};
use waybill_chain::Catalogue;
use waybill_worker::{
    ArchiveConfig, EngineConfig, Engines, ModelSpec, Profile, Trust, WorkerConfig, WorkerDeps,
    onchain::{ChainFunding, ChainRules},
};

/// SmolLM2.
pub fn honest() -> Arc<Engines> {
    Arc::new(load(ModelSpec::smollm2(&cache().join("models"))))
}

/// The tiny test model in the name of SmolLM2: a fraction of the work for the same price.
pub fn pretending() -> Arc<Engines> {
    let artifact = ModelSpec::smollm2(&cache().join("models")).artifact.unwrap();
    let tiny = load(ModelSpec::tiny(&cache().join("models")));
    Arc::new(tiny.iter().map(|engine| (artifact, engine.clone())).collect())
}

fn load(spec: ModelSpec) -> Engines {
    let library = cache().join("lib/libonnxruntime.so.1.31.1");
    Engines::load(&EngineConfig { library, models: vec![spec], threads: 1, max_batch: 4 }).unwrap()
}

/// Dials the network's scheduler until the guard is dropped. The key is delegated already.
pub async fn run(network: &Network, key: &Keypair, engines: Arc<Engines>, evidence: &Path) -> DropGuard {
    let stop = CancellationToken::new();
    let catalogue = Catalogue::new(network.chain.clone(), None);
    catalogue.refresh().await.unwrap();
    let settle = catalogue.view().unwrap().settle.clone();
    let watched = (catalogue.clone(), stop.clone());
    tokio::spawn(async move { watched.0.watch(Duration::from_secs(1), watched.1).await });
    let profile = Profile { region: "eu-west".into(), class: 0, det_class: 1, slots: 2, allowed_gateways: None };
    let config = WorkerConfig {
        scheduler_url: network.process.text("scheduler"),
        key: key.insecure_clone(),
        profile,
        domain: settle.domain,
        epoch_s: settle.epoch_s,
        trust: Trust::default(),
        drain: Duration::ZERO,
        archive: Some(ArchiveConfig::new(evidence)),
    };
    let deps = WorkerDeps {
        engines,
        funding: Arc::new(ChainFunding::new(catalogue.clone())),
        gate: Arc::default(),
        rules: Some(Arc::new(ChainRules(catalogue))),
    };
    tokio::spawn(waybill_worker::run(config, deps, stop.clone()));
    stop.drop_guard()
}
