//! Resident memory of a worker with both real models, alone in its process.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use waybill_worker::{EngineConfig, Engines, ModelSpec, self_test};

const LIMIT_MIB: u64 = 700;

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

#[test]
fn smollm2_and_minilm_fit_their_budget() {
    let cache = std::env::var_os("WAYBILL_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/waybill"),
        PathBuf::from,
    );
    let models = vec![ModelSpec::smollm2(&cache.join("models")), ModelSpec::minilm(&cache.join("models"))];
    if !models.iter().all(ModelSpec::is_present) {
        eprintln!("\n*** SKIPPED: no models in {}; run `cargo xtask setup` ***\n", cache.display());
        return;
    }
    let config = EngineConfig { library: cache.join("lib/libonnxruntime.so.1.31.1"), models, threads: 1, max_batch: 4 };
    println!("{}", self_test(&config).unwrap());
    let engines = Engines::load(&config).unwrap();
    let loaded = resident_mib();
    println!("resident with {} models loaded: {loaded} MiB", engines.iter().count());
    assert!(loaded <= LIMIT_MIB, "{loaded} MiB");
}
