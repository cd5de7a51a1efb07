//! The loaded models of a worker, by artifact. Several workers of one process may share them.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};
use waybill_protocol::{
    ArtifactId,
    frame::{EmbedItem, ModelOffer},
};

use crate::{
    chat::{ChatEngine, ChatEvent, ChatOptions, ChatRequest, Message, Sampling},
    embed::{EmbedEngine, EmbedOptions},
    model::{ModelError, ModelKind, ModelSpec},
    runtime,
};

/// What to load and with how much of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Path of `libonnxruntime.so`.
    pub library: PathBuf,
    pub models: Vec<ModelSpec>,
    /// ONNX Runtime threads per model; 0 takes every core this process may use.
    pub threads: usize,
    /// Most sequences of one chat model in one step.
    pub max_batch: usize,
}

#[derive(Clone)]
pub enum Engine {
    Chat(Arc<ChatEngine>),
    Embed(Arc<EmbedEngine>),
}

/// Loaded and warmed-up models.
pub struct Engines(HashMap<ArtifactId, Engine>);

impl Engines {
    /// Verifies, loads and warms up every model. Takes seconds and blocks; use a blocking thread.
    pub fn load(config: &EngineConfig) -> Result<Self, ModelError> {
        let environment = runtime::load(&config.library)?;
        let threads = if config.threads == 0 { runtime::available_cores() } else { config.threads };
        let mut engines = HashMap::new();
        for spec in &config.models {
            let engine = match spec.kind {
                ModelKind::Chat => {
                    let options = ChatOptions::new(threads, config.max_batch.max(1));
                    Engine::Chat(Arc::new(ChatEngine::load(spec, &environment, options)?))
                }
                ModelKind::Embed => {
                    Engine::Embed(Arc::new(EmbedEngine::load(spec, &environment, EmbedOptions::new(threads))?))
                }
            };
            engine.try_out_blocking().map_err(|reason| ModelError::malformed(&spec.folder, reason))?;
            tracing::info!(model = spec.name, artifact = %engine.artifact(), threads, "model loaded");
            engines.insert(engine.artifact(), engine);
        }
        Ok(Self(engines))
    }

    pub fn get(&self, artifact: &ArtifactId) -> Option<&Engine> {
        self.0.get(artifact)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Engine> {
        self.0.values()
    }

    /// What a worker of a determinism class offers a scheduler with these models.
    pub fn offers(&self, det_class: u16) -> Vec<ModelOffer> {
        self.0.iter().map(|(artifact, engine)| engine.offer(artifact, det_class)).collect()
    }

    /// Tokens that wait for work in any model.
    pub fn queued_tokens(&self) -> u32 {
        self.iter().fold(0, |sum, engine| sum.saturating_add(engine.queued_tokens()))
    }
}

/// Engines under the artifacts that they answer for.
impl FromIterator<(ArtifactId, Engine)> for Engines {
    fn from_iter<T: IntoIterator<Item = (ArtifactId, Engine)>>(engines: T) -> Self {
        Self(engines.into_iter().collect())
    }
}

impl Engine {
    pub fn artifact(&self) -> ArtifactId {
        match self {
            Self::Chat(engine) => engine.artifact(),
            Self::Embed(engine) => engine.artifact(),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Chat(engine) => engine.name(),
            Self::Embed(engine) => engine.name(),
        }
    }

    pub fn queued_tokens(&self) -> u32 {
        match self {
            Self::Chat(engine) => engine.queued_tokens(),
            Self::Embed(engine) => engine.queued_tokens(),
        }
    }

    /// Measured tokens per second: input, output.
    pub fn speed(&self) -> (f32, f32) {
        match self {
            Self::Chat(engine) => engine.speed(),
            Self::Embed(engine) => (engine.speed(), 0.0),
        }
    }

    fn offer(&self, artifact: &ArtifactId, det_class: u16) -> ModelOffer {
        let (kind, context) = match self {
            Self::Chat(engine) => (ModelKind::Chat, engine.context()),
            Self::Embed(engine) => (ModelKind::Embed, engine.max_tokens()),
        };
        let (prefill_tps, decode_tps) = self.speed();
        ModelOffer {
            artifact: artifact.0.to_vec().into(),
            kind: kind as u32,
            det_class: det_class.into(),
            context,
            prefill_tps,
            decode_tps,
        }
    }

    /// Runs the model once, so that the first paid request meets warm memory and the speeds are known.
    pub(crate) fn try_out_blocking(&self) -> Result<Warmth, String> {
        let try_out = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())?;
            runtime.block_on(self.try_out()).map_err(|fault| fault.to_string())
        };
        // On a thread of its own, because the caller may itself be inside a runtime.
        let tried = std::thread::scope(|scope| scope.spawn(try_out).join());
        tried.map_err(|_| "the warm-up panicked".to_owned())?
    }

    /// One short piece of work, measured.
    async fn try_out(&self) -> Result<Warmth, waybill_protocol::frame::Fault> {
        match self {
            Self::Chat(engine) => {
                let messages = [Message { role: "user".into(), content: "Name three colours of the sea.".into() }];
                let prompt = engine.prompt(&messages)?;
                let input = prompt.len();
                let request =
                    ChatRequest { prompt, max_tokens: 16, sampling: Sampling::greedy(), stop: vec![], deadline: None };
                let started = std::time::Instant::now();
                let mut generation = engine.generate(request, None)?;
                let mut text = String::new();
                loop {
                    match generation.next().await {
                        Some(ChatEvent::Text { text: piece, .. }) => text += &piece,
                        Some(ChatEvent::Done(done)) => {
                            let first = Duration::from_millis(done.first_token_ms.into());
                            return Ok(Warmth {
                                input,
                                output: done.tokens as usize,
                                first,
                                total: started.elapsed(),
                                text,
                            });
                        }
                        Some(ChatEvent::Failed(fault)) => return Err(fault),
                        None => return Err(crate::chat::internal("the engine stopped")),
                    }
                }
            }
            Self::Embed(engine) => {
                let item = EmbedItem { text: "The sea is blue, green or grey.".into(), tokens: vec![] };
                let rows = engine.rows(&[item])?;
                let input = rows.iter().map(Vec::len).sum();
                let started = std::time::Instant::now();
                let done = engine.embed(rows, None, None)?.await.map_err(crate::chat::internal)??;
                let total = started.elapsed();
                Ok(Warmth { input, output: done.values.len(), first: total, total, text: String::new() })
            }
        }
    }
}

/// What one short piece of work took.
#[derive(Debug, Clone)]
pub(crate) struct Warmth {
    pub input: usize,
    /// Tokens generated, or dimensions of the vector.
    pub output: usize,
    pub first: Duration,
    pub total: Duration,
    pub text: String,
}
