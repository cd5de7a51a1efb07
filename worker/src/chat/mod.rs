//! Text generation: one model, one dedicated OS thread, many sequences at once.

mod decode;
mod detokenize;
mod evidence;
mod graph;
mod replay;
mod sampling;
mod stop;
mod template;

pub use evidence::Evidence;
pub use replay::{Replay, Replayed};
pub use sampling::Sampling;
pub use template::Message;

use detokenize::Detokenizer;
use ort::environment::Environment;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Instant,
};
use stop::{Passed, StopFilter};
use template::{ChatTemplate, TokenizerConfig};
use tokenizers::Tokenizer;
use tokio::sync::mpsc;
use waybill_protocol::{
    ArtifactId,
    frame::{Fault, FaultCode, Finish},
};

use crate::{
    model::{self, ModelError, ModelSpec},
    slot::Slot,
    speed::Speed,
};

/// How a chat engine shares its cores and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatOptions {
    /// ONNX Runtime threads for one step.
    pub threads: usize,
    /// Most sequences in one decode step.
    pub max_batch: usize,
    /// Prompt tokens fed between two decode steps, at most.
    pub prefill_chunk: usize,
    /// Cache positions of all sequences together; one sequence is always admitted.
    pub cache_tokens: usize,
}

impl ChatOptions {
    pub fn new(threads: usize, max_batch: usize) -> Self {
        Self { threads, max_batch, prefill_chunk: 256, cache_tokens: 8_192 }
    }
}

/// A prompt and how to continue it.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    pub prompt: Vec<u32>,
    /// At least 1; shortened to what the context leaves.
    pub max_tokens: u32,
    pub sampling: Sampling,
    /// None of them empty.
    pub stop: Vec<String>,
    /// No first token after this moment.
    pub deadline: Option<Instant>,
}

/// What a generation gives; `Done` or `Failed` is last.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// `tokens` were generated since the last event. Never splits a UTF-8 sequence; may be empty text.
    Text {
        text: String,
        tokens: u32,
    },
    Done(ChatDone),
    Failed(Fault),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChatDone {
    pub finish: Finish,
    /// Tokens generated, the end-of-text token included.
    pub tokens: u32,
    /// Token and top logits of every generated position.
    pub evidence: Evidence,
    /// Only for a replay.
    pub replayed: Option<Replayed>,
    /// From submission until the first prompt token was processed, and until the first token was there.
    pub queue_ms: u32,
    pub first_token_ms: u32,
}

/// The text of an answer, and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub text: String,
    /// How many of the tokens it took until the end-of-text token or a stop string; `None` when there was neither.
    pub ended_after: Option<usize>,
}

/// A generation in progress. Dropping it cancels the work at the next step.
#[derive(Debug)]
pub struct Generation {
    events: mpsc::Receiver<ChatEvent>,
    /// Came while texts were being merged, and is the next to leave.
    next: Option<ChatEvent>,
}

impl Generation {
    /// The next event. Texts that piled up because the consumer is slow come as one.
    pub async fn next(&mut self) -> Option<ChatEvent> {
        let mut event = match self.next.take() {
            Some(event) => event,
            None => self.events.recv().await?,
        };
        if let ChatEvent::Text { text, tokens } = &mut event {
            while self.next.is_none() {
                match self.events.try_recv() {
                    Ok(ChatEvent::Text { text: more, tokens: n }) => {
                        text.push_str(&more);
                        *tokens += n;
                    }
                    Ok(other) => self.next = Some(other),
                    Err(_) => break,
                }
            }
        }
        Some(event)
    }
}

/// A request on its way to the engine's thread.
struct Submission {
    request: ChatRequest,
    replay: Option<Replay>,
    events: mpsc::Sender<ChatEvent>,
    submitted: Instant,
    /// Held until the sequence has left the engine.
    _slot: Option<Slot>,
}

/// A loaded chat model.
pub struct ChatEngine {
    artifact: ArtifactId,
    name: String,
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    /// Tokens that end an answer.
    end: Vec<u32>,
    context: u32,
    submissions: Option<mpsc::Sender<Submission>>,
    load: Arc<Load>,
    thread: Option<JoinHandle<()>>,
}

/// What the engine's thread publishes about itself.
#[derive(Default)]
pub(crate) struct Load {
    /// Prompt tokens not yet processed and tokens that may still be generated.
    pub queued_tokens: AtomicU32,
    pub prefill: Speed,
    pub decode: Speed,
}

/// Submissions that wait for the engine's thread to look; the worker's slots bound them far below this.
const QUEUE: usize = 1_024;
/// Longest prompt text that is tokenised at all, per token of context: no vocabulary here has longer tokens on average.
const MAX_BYTES_PER_TOKEN: usize = 64;

impl ChatEngine {
    /// Verifies and loads the model and starts its thread.
    pub fn load(spec: &ModelSpec, environment: &Environment, options: ChatOptions) -> Result<Self, ModelError> {
        let path = spec.folder.join("tokenizer_config.json");
        let config: TokenizerConfig =
            serde_json::from_slice(&model::read(&path)?).map_err(|e| ModelError::malformed(&path, e))?;
        let opened = model::open(spec, environment, options.threads)?;
        let tokenizer = Arc::new(opened.tokenizer);
        let end: Vec<u32> =
            [config.eos_token.as_str(), "<|endoftext|>"].iter().filter_map(|t| tokenizer.token_to_id(t)).collect();
        let template = ChatTemplate::new(config.chat_template).map_err(|e| ModelError::malformed(&path, e))?;
        let graph = graph::Graph::new(opened.session)
            .map_err(|reason| ModelError::malformed(&spec.folder.join("model.onnx"), reason))?;
        let context = spec.max_tokens.map_or(config.model_max_length, |limit| limit.min(config.model_max_length));
        let (submissions, inbox) = mpsc::channel(QUEUE);
        let load = Arc::new(Load::default());
        let decoder = decode::Decoder {
            graph,
            tokenizer: tokenizer.clone(),
            end: end.clone(),
            context,
            options,
            load: load.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("chat-{}", spec.name))
            .spawn(move || decoder.run(inbox))
            .map_err(|source| ModelError::Read { path: spec.folder.clone(), source })?;
        Ok(Self {
            artifact: opened.artifact,
            name: spec.name.clone(),
            tokenizer,
            template,
            end,
            context,
            submissions: Some(submissions),
            load,
            thread: Some(thread),
        })
    }

    pub fn artifact(&self) -> ArtifactId {
        self.artifact
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Most tokens of prompt and answer together.
    pub fn context(&self) -> u32 {
        self.context
    }

    /// Tokens per second: prompt, generation (of all sequences together).
    pub fn speed(&self) -> (f32, f32) {
        (self.load.prefill.per_second(), self.load.decode.per_second())
    }

    /// Tokens that wait for work.
    pub fn queued_tokens(&self) -> u32 {
        self.load.queued_tokens.load(Relaxed)
    }

    /// The prompt of a conversation, bounded by the context.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, Fault> {
        let bytes: usize = messages.iter().map(|m| m.content.len()).sum();
        if bytes > self.context as usize * MAX_BYTES_PER_TOKEN {
            return Err(self.too_long(format!("{bytes} bytes")));
        }
        let text = self.template.render(messages).map_err(|e| Fault::new(FaultCode::BadInput, e.to_string()))?;
        let encoding = self.tokenizer.encode_fast(text, false).map_err(internal)?;
        let prompt = encoding.get_ids().to_vec();
        if prompt.len() >= self.context as usize {
            return Err(self.too_long(format!("{} tokens", prompt.len())));
        }
        Ok(prompt)
    }

    fn too_long(&self, size: String) -> Fault {
        let detail = format!(
            "the model's context is {} tokens, but the messages have {size} and leave no room for an answer",
            self.context
        );
        Fault::new(FaultCode::ContextExceeded, detail)
    }

    /// Starts a generation; `slot` is released when the engine has dropped the sequence.
    pub fn generate(&self, request: ChatRequest, slot: Option<Slot>) -> Result<Generation, Fault> {
        self.submit(request, None, slot)
    }

    /// Judges a claimed answer by teacher forcing. The only event is the last one; its evidence holds the claimed tokens and
    /// the logits here. `max_tokens` and `stop` of the request do not matter.
    pub fn replay(&self, request: ChatRequest, replay: Replay, slot: Option<Slot>) -> Result<Generation, Fault> {
        let known = self.tokenizer.get_vocab_size(true);
        let (count, room) = (replay.tokens.len(), (self.context as usize).saturating_sub(request.prompt.len()));
        if count == 0 || count > room || replay.tokens.iter().any(|token| *token as usize >= known) {
            let detail = format!("an answer has 1 to {room} tokens below {known}, the claimed one has {count}");
            return Err(Fault::new(FaultCode::BadInput, detail));
        }
        let max_tokens = u32::try_from(count).map_err(internal)?;
        self.submit(ChatRequest { max_tokens, ..request }, Some(replay), slot)
    }

    /// What a consumer sees of these tokens: their text up to the end-of-text token or the first stop string.
    pub fn tell(&self, tokens: &[u32], stop: &[String]) -> Result<Told, Fault> {
        let mut detokenizer = Detokenizer::new(&self.tokenizer);
        let mut filter = StopFilter::new(stop.to_vec());
        let mut text = String::new();
        for (count, token) in (1..).zip(tokens) {
            if self.end.contains(token) {
                text.push_str(&filter.finish());
                return Ok(Told { text, ended_after: Some(count) });
            }
            match filter.push(&detokenizer.push(*token).map_err(internal)?) {
                Passed::Stopped(piece) => {
                    text.push_str(&piece);
                    return Ok(Told { text, ended_after: Some(count) });
                }
                Passed::Text(piece) => text.push_str(&piece),
            }
        }
        text.push_str(&filter.finish());
        Ok(Told { text, ended_after: None })
    }

    fn submit(&self, request: ChatRequest, replay: Option<Replay>, slot: Option<Slot>) -> Result<Generation, Fault> {
        if request.prompt.is_empty() || request.max_tokens == 0 || request.stop.iter().any(String::is_empty) {
            return Err(Fault::new(
                FaultCode::BadInput,
                "a prompt, max_tokens and non-empty stop strings are required",
            ));
        }
        if request.prompt.len() >= self.context as usize {
            return Err(self.too_long(format!("{} tokens", request.prompt.len())));
        }
        // Room for every event there can be, so that the decode loop never waits for a slow consumer.
        let (events, receiver) = mpsc::channel(self.context as usize + 2);
        let submission = Submission { request, replay, events, submitted: Instant::now(), _slot: slot };
        let busy =
            || Fault { retry_after_ms: Some(1_000), ..Fault::new(FaultCode::Busy, "the engine's queue is full") };
        self.submissions.as_ref().ok_or_else(busy)?.try_send(submission).map_err(|_| busy())?;
        Ok(Generation { events: receiver, next: None })
    }
}

impl Drop for ChatEngine {
    /// Ends the thread, so that no step runs while the process leaves.
    fn drop(&mut self) {
        self.submissions = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::Internal, error.to_string())
}
