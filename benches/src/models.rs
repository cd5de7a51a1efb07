//! Where `cargo xtask setup` puts ONNX Runtime and the models, and what is there.

use anyhow::{Context, Result};
use std::path::PathBuf;
use waybill_worker::{ModelSpec, runtime};

pub struct Models {
    folder: PathBuf,
    library: Option<PathBuf>,
    /// ONNX Runtime threads of every session.
    pub threads: usize,
}

impl Models {
    /// Looks into the cache folder of the set-up.
    pub fn in_cache(cache: &std::path::Path, threads: usize) -> Self {
        let is_library = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
        };
        let libraries = std::fs::read_dir(cache.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path());
        Self { folder: cache.join("models"), library: libraries.filter(is_library).max(), threads }
    }

    /// The specification of a model that is there with its runtime; `None`, said aloud, where it is not.
    pub fn find(&self, spec: fn(&std::path::Path) -> ModelSpec) -> Option<ModelSpec> {
        let spec = spec(&self.folder);
        if self.library.is_some() && spec.is_present() {
            return Some(spec);
        }
        println!("skipped: no ONNX Runtime or no model in {}; run `cargo xtask setup`\n", spec.folder.display());
        None
    }

    pub fn environment(&self) -> Result<ort::environment::Environment> {
        Ok(runtime::load(self.library.as_ref().context("no ONNX Runtime")?)?)
    }

    /// A session of the model with the worker's own settings, for a loop with nothing around it.
    pub fn bare_session(&self, spec: &ModelSpec) -> Result<ort::session::Session> {
        let bytes = std::fs::read(spec.folder.join("model.onnx"))?;
        Ok(runtime::open(&self.environment()?, &bytes, self.threads)?)
    }
}
