//! ONNX Runtime, loaded once per process from a library file given by path, so that the executable links against nothing.

use ort::{
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Why ONNX Runtime, or a model in it, is not usable.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("no ONNX Runtime library at {}: run `cargo xtask setup`, or give the path of libonnxruntime.so", .0.display())]
    Missing(PathBuf),
    #[error("the ONNX Runtime library does not load: {0}")]
    Load(#[from] ort::LoadDynamicError),
    #[error("this process already runs the ONNX Runtime of {}", .0.display())]
    OtherLibrary(PathBuf),
    #[error("ONNX Runtime: {0}")]
    Ort(#[from] ort::Error),
}

/// The process's one environment and the library it came from.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Loads the library on the first call; later calls must name the same file.
pub fn load(library: &Path) -> Result<Environment, RuntimeError> {
    let path = library.canonicalize().map_err(|_| RuntimeError::Missing(library.to_path_buf()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some((from, environment)) if *from == path => Ok(environment.clone()),
        Some((from, _)) => Err(RuntimeError::OtherLibrary(from.clone())),
        None => {
            let environment = ort::init_from(&path)?.with_name("waybill").with_telemetry(false).build()?;
            *loaded = Some((path, environment.clone()));
            Ok(environment)
        }
    }
}

/// Cores this process may use: cgroup quota and affinity mask, not the host's count.
pub fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Opens a model from its bytes. `threads` run one step; they sleep between steps instead of spinning, because a worker
/// shares its cores with its own network threads and, on one machine, with every other service.
#[allow(
    clippy::result_large_err,
    reason = "the builder comes back inside its own error, as ONNX Runtime's crate has it"
)]
pub fn open(environment: &Environment, model: &[u8], threads: usize) -> Result<Session, RuntimeError> {
    let mut builder = Session::builder(environment)?
        .with_log_level(ort::logging::LogLevel::Error)
        .and_then(|b| b.with_optimization_level(GraphOptimizationLevel::Level3))
        .and_then(|b| b.with_intra_threads(threads))
        .and_then(|b| b.with_intra_op_spinning(false))
        .and_then(|b| b.with_inter_threads(1))
        .map_err(ort::Error::from)?;
    Ok(builder.commit_from_memory(model)?)
}
