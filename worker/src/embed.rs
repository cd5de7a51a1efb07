//! Embeddings: one model, one dedicated OS thread. There is no batching timer: whatever arrived while a batch ran is the
//! window for the next one, sorted by length so that little of it is padding.

use ort::{
    environment::Environment,
    session::Session,
    value::{DynValue, Tensor},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokenizers::Tokenizer;
use tokio::sync::{mpsc, oneshot};
use waybill_protocol::{
    ArtifactId,
    frame::{EmbedItem, Fault, FaultCode},
};

use crate::{
    chat::internal,
    model::{self, ModelError, ModelSpec},
    slot::Slot,
    speed::Speed,
};

/// Tokens of one item where the specification names no limit: what the sentence models were trained with.
const DEFAULT_MAX_TOKENS: u32 = 256;
/// Requests that wait for the engine's thread to look; the worker's slots bound them far below this.
const QUEUE: usize = 1_024;
/// The window that is sorted holds at most this many batches' worth of tokens.
const WINDOW_BATCHES: usize = 8;
/// Longest item that is tokenised at all, per token of the limit.
const MAX_BYTES_PER_TOKEN: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedOptions {
    /// ONNX Runtime threads for one batch.
    pub threads: usize,
    /// `rows × longest` of one batch, at most. Weight-only int8 gains nothing from larger batches on few cores (measured on
    /// two: 103 % of single rows at 256 tokens, 78 % at 2,048), and a short request behind a small one waits less.
    pub padded_tokens: usize,
}

impl EmbedOptions {
    pub fn new(threads: usize) -> Self {
        Self { threads, padded_tokens: 256 }
    }
}

/// Embeddings of one request, in input order.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    pub dims: u32,
    /// Row-major, each row of length 1.
    pub values: Vec<f32>,
    /// From submission until the first row entered a batch, and until all rows were there.
    pub queue_ms: u32,
    pub done_ms: u32,
}

struct Submission {
    rows: Vec<Vec<u32>>,
    deadline: Option<Instant>,
    reply: oneshot::Sender<Result<Embedded, Fault>>,
    submitted: Instant,
    _slot: Option<Slot>,
}

/// A loaded embedding model.
pub struct EmbedEngine {
    artifact: ArtifactId,
    name: String,
    tokenizer: Tokenizer,
    /// Tokens that open and close a sequence.
    frame: (Vec<u32>, Vec<u32>),
    max_tokens: u32,
    submissions: Option<mpsc::Sender<Submission>>,
    load: Arc<Load>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Load {
    queued_tokens: AtomicU32,
    speed: Speed,
}

impl EmbedEngine {
    /// Verifies and loads the model and starts its thread.
    pub fn load(spec: &ModelSpec, environment: &Environment, options: EmbedOptions) -> Result<Self, ModelError> {
        let opened = model::open(spec, environment, options.threads)?;
        let path = spec.folder.join("tokenizer.json");
        let frame = special_tokens(&opened.tokenizer).map_err(|e| ModelError::malformed(&path, e))?;
        let load = Arc::new(Load::default());
        let has_types = opened.session.inputs().iter().any(|input| input.name() == "token_type_ids");
        let encoder = Encoder { session: opened.session, has_types, options, load: load.clone() };
        let (submissions, inbox) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name(format!("embed-{}", spec.name))
            .spawn(move || encoder.run(inbox))
            .map_err(|source| ModelError::Read { path: spec.folder.clone(), source })?;
        Ok(Self {
            artifact: opened.artifact,
            name: spec.name.clone(),
            tokenizer: opened.tokenizer,
            frame,
            max_tokens: spec.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
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

    /// Most tokens of one item, the model's own first and last included.
    pub fn max_tokens(&self) -> u32 {
        self.max_tokens
    }

    /// Tokens per second.
    pub fn speed(&self) -> f32 {
        self.load.speed.per_second()
    }

    /// Tokens that wait for work.
    pub fn queued_tokens(&self) -> u32 {
        self.load.queued_tokens.load(Relaxed)
    }

    /// Token rows of the items; tokens given by the consumer get the model's first and last token like text does.
    pub fn rows(&self, items: &[EmbedItem]) -> Result<Vec<Vec<u32>>, Fault> {
        if items.is_empty() {
            return Err(Fault::new(FaultCode::BadInput, "the input is empty"));
        }
        items.iter().enumerate().map(|(index, item)| self.row(index, item)).collect()
    }

    fn row(&self, index: usize, item: &EmbedItem) -> Result<Vec<u32>, Fault> {
        let too_long = |size: String| {
            let detail = format!("input {index} has {size}, the model takes at most {} tokens", self.max_tokens);
            Err(Fault::new(FaultCode::ContextExceeded, detail))
        };
        let row = if item.tokens.is_empty() {
            if item.text.is_empty() {
                return Err(Fault::new(FaultCode::BadInput, format!("input {index} is empty")));
            }
            if item.text.len() > self.max_tokens as usize * MAX_BYTES_PER_TOKEN {
                return too_long(format!("{} bytes", item.text.len()));
            }
            self.tokenizer.encode_fast(item.text.as_str(), true).map_err(internal)?.get_ids().to_vec()
        } else {
            let vocabulary = self.tokenizer.get_vocab_size(true) as u32;
            if let Some(token) = item.tokens.iter().find(|token| **token >= vocabulary) {
                let detail = format!("input {index} has token {token}, the vocabulary has {vocabulary}");
                return Err(Fault::new(FaultCode::BadInput, detail));
            }
            [&self.frame.0, &item.tokens, &self.frame.1].into_iter().flatten().copied().collect()
        };
        if row.len() > self.max_tokens as usize {
            return too_long(format!("{} tokens", row.len()));
        }
        Ok(row)
    }

    /// Embeds token rows; `slot` is released when the engine is done with them. Dropping the receiver cancels.
    pub fn embed(
        &self,
        rows: Vec<Vec<u32>>,
        deadline: Option<Instant>,
        slot: Option<Slot>,
    ) -> Result<oneshot::Receiver<Result<Embedded, Fault>>, Fault> {
        if rows.is_empty() || rows.iter().any(Vec::is_empty) {
            return Err(Fault::new(FaultCode::BadInput, "an input is empty"));
        }
        let (reply, receiver) = oneshot::channel();
        let submission = Submission { rows, deadline, reply, submitted: Instant::now(), _slot: slot };
        let busy =
            || Fault { retry_after_ms: Some(1_000), ..Fault::new(FaultCode::Busy, "the engine's queue is full") };
        self.submissions.as_ref().ok_or_else(busy)?.try_send(submission).map_err(|_| busy())?;
        Ok(receiver)
    }
}

impl Drop for EmbedEngine {
    /// Ends the thread, so that no batch runs while the process leaves.
    fn drop(&mut self) {
        self.submissions = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the tokenizer puts before and after a text.
fn special_tokens(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), tokenizers::Error> {
    let with = tokenizer.encode("a", true)?.get_ids().to_vec();
    let plain = tokenizer.encode("a", false)?.get_ids().to_vec();
    let at = with.windows(plain.len().max(1)).position(|window| window == plain).unwrap_or(0);
    Ok((with[..at].to_vec(), with[at + plain.len()..].to_vec()))
}

struct Encoder {
    session: Session,
    has_types: bool,
    options: EmbedOptions,
    load: Arc<Load>,
}

/// A row in the window; `job` counts up, so the smallest is the oldest.
struct Row {
    job: u64,
    index: usize,
    tokens: Vec<u32>,
}

/// A request with rows in the window.
struct Job {
    work: Submission,
    left: usize,
    values: Vec<f32>,
    started: Option<Duration>,
}

impl Encoder {
    /// Runs until the submitting side is gone and the window is empty.
    fn run(mut self, mut inbox: mpsc::Receiver<Submission>) {
        let mut window: Vec<Row> = Vec::new();
        let mut jobs: HashMap<u64, Job> = HashMap::new();
        let mut next_job = 0;
        loop {
            let mut tokens: usize = window.iter().map(|row| row.tokens.len()).sum();
            while tokens < WINDOW_BATCHES * self.options.padded_tokens {
                let received = if window.is_empty() { inbox.blocking_recv() } else { inbox.try_recv().ok() };
                let Some(mut work) = received else { break };
                let rows = std::mem::take(&mut work.rows);
                tokens += rows.iter().map(Vec::len).sum::<usize>();
                jobs.insert(next_job, Job { work, left: rows.len(), values: Vec::new(), started: None });
                window.extend(rows.into_iter().enumerate().map(|(index, tokens)| Row { job: next_job, index, tokens }));
                next_job += 1;
            }
            if window.is_empty() {
                return;
            }
            self.load.queued_tokens.store(u32::try_from(tokens).unwrap_or(u32::MAX), Relaxed);
            drop_unwanted(&mut jobs, &mut window);
            let batch = next_batch(&mut window, self.options.padded_tokens);
            if batch.is_empty() {
                continue;
            }
            let started = Instant::now();
            match self.encode(&batch) {
                Ok((dims, values)) => {
                    self.load.speed.record(batch.iter().map(|row| row.tokens.len()).sum(), started.elapsed());
                    deliver(&mut jobs, &batch, dims, &values, started);
                }
                Err(error) => {
                    tracing::error!(%error, "an embedding batch failed");
                    for row in &batch {
                        if let Some(job) = jobs.remove(&row.job) {
                            let _ = job.work.reply.send(Err(internal(&error)));
                        }
                    }
                    window.retain(|row| jobs.contains_key(&row.job));
                }
            }
            if window.is_empty() {
                self.load.queued_tokens.store(0, Relaxed);
            }
        }
    }

    /// Unit vectors of the rows: masked mean of the last hidden state, then L2.
    fn encode(&mut self, rows: &[Row]) -> Result<(usize, Vec<f32>), ort::Error> {
        let longest = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let shape = [rows.len(), longest];
        let mut ids = vec![0i64; rows.len() * longest];
        let mut mask = ids.clone();
        let padded = ids.chunks_exact_mut(longest).zip(mask.chunks_exact_mut(longest));
        for ((ids, mask), row) in padded.zip(rows) {
            mask[..row.tokens.len()].fill(1);
            for (id, token) in ids.iter_mut().zip(&row.tokens) {
                *id = i64::from(*token);
            }
        }
        let mut inputs: Vec<(&str, DynValue)> = vec![
            ("input_ids", Tensor::from_array((shape, ids))?.into_dyn()),
            ("attention_mask", Tensor::from_array((shape, mask))?.into_dyn()),
        ];
        if self.has_types {
            inputs.push(("token_type_ids", Tensor::from_array((shape, vec![0i64; rows.len() * longest]))?.into_dyn()));
        }
        let outputs = self.session.run(inputs)?;
        let (shape, hidden) = outputs[0].try_extract_tensor::<f32>()?;
        let dims = shape.last().map_or(0, |d| *d as usize);
        let mut values = Vec::with_capacity(rows.len() * dims);
        for (states, row) in hidden.chunks_exact(longest * dims).zip(rows) {
            let mut sum = vec![0f32; dims];
            for state in states.chunks_exact(dims).take(row.tokens.len()) {
                sum.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
            }
            // The mean's divisor falls away in the normalisation.
            let norm = sum.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt().max(1e-12);
            values.extend(sum.iter().map(|v| (f64::from(*v) / norm) as f32));
        }
        Ok((dims, values))
    }
}

/// Forgets requests nobody waits for and refuses those that are past their deadline before their first batch.
fn drop_unwanted(jobs: &mut HashMap<u64, Job>, window: &mut Vec<Row>) {
    let now = Instant::now();
    let before = jobs.len();
    let is_late = |job: &Job| job.started.is_none() && job.work.deadline.is_some_and(|deadline| now > deadline);
    for (_, job) in jobs.extract_if(|_, job| job.work.reply.is_closed() || is_late(job)) {
        let _ =
            job.work.reply.send(Err(Fault::new(FaultCode::PastDeadline, "the deadline passed before the first batch")));
    }
    if jobs.len() < before {
        window.retain(|row| jobs.contains_key(&row.job));
    }
}

/// Takes the oldest row and, of those not longer than it, the longest ones that fit the budget with it.
fn next_batch(window: &mut Vec<Row>, padded_tokens: usize) -> Vec<Row> {
    window.sort_by_key(|row| row.tokens.len());
    let oldest = window.iter().enumerate().min_by_key(|(_, row)| (row.job, row.index));
    let Some((at, longest)) = oldest.map(|(at, row)| (at, row.tokens.len())) else { return Vec::new() };
    let rows = (padded_tokens / longest.max(1)).clamp(1, at + 1);
    window.drain(at + 1 - rows..=at).collect()
}

/// Puts the batch's vectors into their requests and answers those that are complete.
fn deliver(jobs: &mut HashMap<u64, Job>, batch: &[Row], dims: usize, values: &[f32], started: Instant) {
    for (row, vector) in batch.iter().zip(values.chunks_exact(dims.max(1))) {
        let Some(job) = jobs.get_mut(&row.job) else { continue };
        job.started.get_or_insert_with(|| started.saturating_duration_since(job.work.submitted));
        let needed = (row.index + 1) * dims;
        if job.values.len() < needed {
            job.values.resize(needed, 0.0);
        }
        job.values[row.index * dims..needed].copy_from_slice(vector);
        job.left -= 1;
        if job.left == 0
            && let Some(job) = jobs.remove(&row.job)
        {
            let queue = job.started.unwrap_or_default();
            let embedded = Embedded {
                dims: dims as u32,
                values: job.values,
                queue_ms: queue.as_millis() as u32,
                done_ms: job.work.submitted.elapsed().as_millis() as u32,
            };
            let _ = job.work.reply.send(Ok(embedded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(job: u64, length: usize) -> Row {
        Row { job, index: 0, tokens: vec![1; length] }
    }

    #[test]
    fn the_oldest_row_is_always_in_the_next_batch_with_rows_of_like_length() {
        let mut window = vec![row(0, 50), row(1, 10), row(2, 48), row(3, 200), row(4, 49)];
        let lengths = |batch: Vec<Row>| batch.iter().map(|row| row.tokens.len()).collect::<Vec<_>>();
        assert_eq!(lengths(next_batch(&mut window, 150)), [48, 49, 50]);
        assert_eq!(lengths(next_batch(&mut window, 150)), [10]);
        assert_eq!(lengths(next_batch(&mut window, 150)), [200], "a row over the budget runs alone");
        assert!(next_batch(&mut window, 150).is_empty());
    }
}
