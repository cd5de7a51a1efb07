//! What an operator sees before a worker goes into service: every model loads, answers, and how fast.

use std::{fmt, time::Duration};
use waybill_protocol::ArtifactId;

use crate::{
    engines::{EngineConfig, Engines},
    model::{ModelError, ModelKind},
    runtime,
};

/// Timings of one model.
#[derive(Debug, Clone)]
pub struct ModelTiming {
    pub name: String,
    pub kind: ModelKind,
    pub artifact: ArtifactId,
    /// Verification, loading and a warm-up.
    pub load: Duration,
    pub input_tokens: usize,
    /// Tokens generated, or dimensions of the vector.
    pub output: usize,
    pub first: Duration,
    pub total: Duration,
    /// The generated text; empty for embeddings.
    pub text: String,
}

/// A passed self-test. `Display` prints it for people.
#[derive(Debug, Clone)]
pub struct SelfTest {
    pub cores: usize,
    pub models: Vec<ModelTiming>,
}

/// Loads every model by itself, lets it do one short piece of work, and frees it again. Blocks; call it outside of an
/// async runtime or on a blocking thread.
pub fn self_test(config: &EngineConfig) -> Result<SelfTest, ModelError> {
    let mut models = Vec::new();
    for spec in &config.models {
        let started = std::time::Instant::now();
        let engines = Engines::load(&EngineConfig { models: vec![spec.clone()], ..config.clone() })?;
        let load = started.elapsed();
        for engine in engines.iter() {
            let done = engine.try_out_blocking().map_err(|reason| ModelError::malformed(&spec.folder, reason))?;
            models.push(ModelTiming {
                name: spec.name.clone(),
                kind: spec.kind,
                artifact: engine.artifact(),
                load,
                input_tokens: done.input,
                output: done.output,
                first: done.first,
                total: done.total,
                text: done.text,
            });
        }
    }
    Ok(SelfTest { cores: runtime::available_cores(), models })
}

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cores available", self.cores)?;
        for model in &self.models {
            let [load, first, total] = [model.load, model.first, model.total].map(|time| time.as_secs_f64() * 1e3);
            write!(f, "{:<10} loaded in {load:.0} ms; {} tokens in, ", model.name, model.input_tokens)?;
            match model.kind {
                ModelKind::Chat => {
                    let rate = (model.output.saturating_sub(1)) as f64 / ((total - first) / 1e3).max(1e-6);
                    writeln!(f, "first token after {first:.0} ms, {rate:.0} tokens/s: {:?}", model.text)?;
                }
                ModelKind::Embed => writeln!(f, "{} dimensions after {total:.1} ms", model.output)?,
            }
        }
        Ok(())
    }
}
