//! The decode loop: admit, feed one chunk of one prompt, one step for all sequences that generate, and again.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokenizers::Tokenizer;
use tokio::sync::mpsc;
use waybill_protocol::frame::{Fault, FaultCode, Finish};

use super::{
    ChatDone, ChatEvent, ChatOptions, Load, Submission,
    detokenize::Detokenizer,
    evidence::{Evidence, top},
    graph::{Cache, Graph, StepError},
    internal,
    replay::Judge,
    sampling::Sampler,
    stop::{Passed, StopFilter},
};

/// The least that can be shortened by one and is still no single token.
const SMALLEST_CHUNK: usize = 3;

pub(super) struct Decoder {
    pub graph: Graph,
    pub tokenizer: Arc<Tokenizer>,
    /// Tokens that end an answer.
    pub end: Vec<u32>,
    pub context: u32,
    pub options: ChatOptions,
    pub load: Arc<Load>,
}

/// One generation. While it is in a batch, its cache is a row there.
struct Sequence<'t> {
    work: Submission,
    prompt: Vec<i64>,
    /// Positions in the cache.
    length: usize,
    max_tokens: u32,
    generated: u32,
    /// Generated last, not yet in the cache.
    token: u32,
    unreported: u32,
    detokenizer: Detokenizer<'t>,
    stop: StopFilter,
    sampler: Sampler,
    evidence: Evidence,
    /// The claimed answer goes on instead of what is drawn here.
    judge: Option<Judge>,
    queue: Duration,
    first_token: Duration,
}

/// Sequences whose prompt is processed, and the cache they share.
#[derive(Default)]
struct Batch<'t> {
    rows: Vec<Sequence<'t>>,
    /// The cache row of each sequence; anything but 0, 1, 2 … means that the cache must be gathered before the next step.
    places: Vec<usize>,
    cache: Option<Cache>,
}

impl Decoder {
    /// Runs until the submitting side is gone and the last sequence has ended.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Submission>) {
        let tokenizer = self.tokenizer.clone();
        let mut waiting: VecDeque<Sequence<'_>> = VecDeque::new();
        let mut prefilling: VecDeque<(Sequence<'_>, Cache)> = VecDeque::new();
        let mut ready: Vec<(Sequence<'_>, Cache)> = Vec::new();
        let mut batch = Batch::default();
        loop {
            if waiting.is_empty() && prefilling.is_empty() && ready.is_empty() && batch.rows.is_empty() {
                self.load.queued_tokens.store(0, Relaxed);
                match inbox.blocking_recv() {
                    Some(work) => waiting.push_back(self.sequence(work, &tokenizer)),
                    None => return,
                }
            }
            while let Ok(work) = inbox.try_recv() {
                waiting.push_back(self.sequence(work, &tokenizer));
            }
            waiting.retain_mut(Sequence::is_wanted);
            prefilling.retain_mut(|(sequence, _)| sequence.is_wanted());
            self.admit(&mut waiting, &mut prefilling, &ready, &batch);
            self.publish_load(&waiting, &prefilling, &batch);
            if let Some((sequence, cache)) = prefilling.pop_front() {
                match self.prefill(sequence, cache) {
                    Some((sequence, cache)) if sequence.generated == 0 => prefilling.push_back((sequence, cache)),
                    Some(done) => ready.push(done),
                    None => {}
                }
            }
            self.decode(&mut batch, &mut ready);
        }
    }

    fn sequence<'t>(&self, mut work: Submission, tokenizer: &'t Tokenizer) -> Sequence<'t> {
        let judge = work.replay.take().map(Judge::new);
        let request = &work.request;
        let prompt: Vec<i64> = request.prompt.iter().copied().map(i64::from).collect();
        let room = self.context - prompt.len() as u32;
        Sequence {
            length: 0,
            max_tokens: request.max_tokens.min(room),
            generated: 0,
            token: 0,
            unreported: 0,
            detokenizer: Detokenizer::new(tokenizer),
            stop: StopFilter::new(request.stop.clone()),
            sampler: Sampler::new(request.sampling),
            evidence: Evidence::default(),
            judge,
            queue: Duration::ZERO,
            first_token: Duration::ZERO,
            prompt,
            work,
        }
    }

    /// Moves waiting sequences, oldest first, to where their prompts are processed, within batch size and cache budget.
    fn admit<'t>(
        &self,
        waiting: &mut VecDeque<Sequence<'t>>,
        prefilling: &mut VecDeque<(Sequence<'t>, Cache)>,
        ready: &[(Sequence<'t>, Cache)],
        batch: &Batch<'t>,
    ) {
        let active = || prefilling.iter().chain(ready).map(|(sequence, _)| sequence).chain(&batch.rows);
        let mut count = active().count();
        let mut budget: usize = active().map(Sequence::reserved).sum();
        while let Some(next) = waiting.front() {
            let fits = count < self.options.max_batch && budget + next.reserved() <= self.options.cache_tokens;
            if !fits && count > 0 {
                return;
            }
            let Some(mut sequence) = waiting.pop_front() else { return };
            sequence.queue = sequence.work.submitted.elapsed();
            match self.graph.empty_cache() {
                Ok(cache) => {
                    count += 1;
                    budget += sequence.reserved();
                    prefilling.push_back((sequence, cache));
                }
                Err(error) => sequence.fail(&error),
            }
        }
    }

    fn publish_load(
        &self,
        waiting: &VecDeque<Sequence<'_>>,
        prefilling: &VecDeque<(Sequence<'_>, Cache)>,
        batch: &Batch<'_>,
    ) {
        let sequences = waiting.iter().chain(prefilling.iter().map(|(sequence, _)| sequence)).chain(&batch.rows);
        let tokens: usize = sequences.map(Sequence::outstanding).sum();
        self.load.queued_tokens.store(u32::try_from(tokens).unwrap_or(u32::MAX), Relaxed);
    }

    /// Feeds one chunk; after the last one the sequence has its first token. `None` when it ended.
    fn prefill<'t>(&mut self, mut sequence: Sequence<'t>, cache: Cache) -> Option<(Sequence<'t>, Cache)> {
        let mut end = (sequence.length + self.options.prefill_chunk.max(SMALLEST_CHUNK)).min(sequence.prompt.len());
        // A single token runs through other kernels than several and differs in its last bits: never leave one over, so
        // that a prompt in chunks gives exactly what it gives at once.
        if sequence.prompt.len() - end == 1 {
            end -= 1;
        }
        let chunk = sequence.prompt[sequence.length..end].to_vec();
        let size = chunk.len();
        let is_last = end == sequence.prompt.len();
        let started = Instant::now();
        let length = sequence.length;
        let token = |logits: &[f32]| is_last.then(|| sequence.choose(logits));
        let (cache, token) = match self.graph.step(cache, &[length], chunk, token) {
            Ok(done) => done,
            Err(error) => {
                sequence.fail(&error);
                return None;
            }
        };
        self.load.prefill.record(size, started.elapsed());
        sequence.length = end;
        let Some(token) = token else { return Some((sequence, cache)) };
        sequence.first_token = sequence.work.submitted.elapsed();
        sequence.accept(token, &self.end).then_some((sequence, cache))
    }

    /// One step for all generating sequences; those that end leave the batch.
    fn decode<'t>(&mut self, batch: &mut Batch<'t>, ready: &mut Vec<(Sequence<'t>, Cache)>) {
        batch.retain(Sequence::is_wanted);
        if let Err(error) = batch.regroup(&self.graph, ready) {
            batch.fail(&error);
        }
        let Some(cache) = batch.cache.take() else { return };
        let started = Instant::now();
        let ids = batch.rows.iter().map(|sequence| i64::from(sequence.token)).collect();
        let lengths: Vec<usize> = batch.rows.iter().map(|sequence| sequence.length).collect();
        let rows = &mut batch.rows;
        let choose = |logits: &[f32]| -> Vec<u32> {
            let vocabulary = (logits.len() / rows.len()).max(1);
            rows.iter_mut().zip(logits.chunks_exact(vocabulary)).map(|(row, logits)| row.choose(logits)).collect()
        };
        match self.graph.step(cache, &lengths, ids, choose) {
            Ok((cache, tokens)) => {
                batch.cache = Some(cache);
                let generated = tokens.len();
                let mut tokens = tokens.into_iter();
                batch.retain(|row| {
                    row.length += 1;
                    tokens.next().is_some_and(|token| row.accept(token, &self.end))
                });
                self.load.decode.record(generated, started.elapsed());
            }
            Err(error) => batch.fail(&error),
        }
    }
}

impl<'t> Batch<'t> {
    fn retain(&mut self, mut keep: impl FnMut(&mut Sequence<'t>) -> bool) {
        let mut places = std::mem::take(&mut self.places).into_iter();
        let mut kept = Vec::with_capacity(self.rows.len());
        self.rows.retain_mut(|row| {
            let place = places.next();
            let keeps = keep(row);
            kept.extend(place.filter(|_| keeps));
            keeps
        });
        self.places = kept;
        if self.rows.is_empty() {
            self.cache = None;
        }
    }

    /// Takes in the sequences that are ready and makes the cache's rows those of the sequences.
    fn regroup(&mut self, graph: &Graph, ready: &mut Vec<(Sequence<'t>, Cache)>) -> Result<(), StepError> {
        if self.rows.is_empty() && ready.len() == 1 {
            let only = ready.pop();
            self.rows.extend(only.map(|(sequence, cache)| {
                self.cache = Some(cache);
                sequence
            }));
        } else {
            let unchanged = self.cache.as_ref().is_none_or(|cache| cache.rows() == self.rows.len());
            if unchanged && ready.is_empty() {
                return Ok(());
            }
            let old = self.cache.take();
            let (new, caches): (Vec<_>, Vec<_>) = ready.drain(..).unzip();
            let stayed =
                self.rows.iter().zip(&self.places).flat_map(|(row, place)| Some((old.as_ref()?, *place, row.length)));
            let joined = new.iter().zip(&caches).map(|(row, cache): (&Sequence<'_>, &Cache)| (cache, 0, row.length));
            let cache = graph.gather(&stayed.chain(joined).collect::<Vec<_>>());
            self.rows.extend(new);
            self.cache = Some(cache?);
        }
        self.places = (0..self.rows.len()).collect();
        Ok(())
    }

    /// A failed step loses the cache, so every sequence in it ends.
    fn fail(&mut self, error: &StepError) {
        self.rows.drain(..).for_each(|row| row.fail(error));
        self.places.clear();
        self.cache = None;
    }
}

impl Sequence<'_> {
    /// False when nobody listens any more; a sequence past its deadline is told so and is no longer wanted.
    fn is_wanted(&mut self) -> bool {
        let is_late =
            self.generated == 0 && self.work.request.deadline.is_some_and(|deadline| Instant::now() > deadline);
        if is_late {
            let fault = Fault::new(FaultCode::PastDeadline, "the deadline passed before the first token");
            let _ = self.work.events.try_send(ChatEvent::Failed(fault));
        }
        !is_late && !self.work.events.is_closed()
    }

    /// Cache positions it may come to need.
    fn reserved(&self) -> usize {
        self.prompt.len() + self.max_tokens as usize
    }

    /// Tokens of work that are left.
    fn outstanding(&self) -> usize {
        self.prompt.len().saturating_sub(self.length) + self.max_tokens.saturating_sub(self.generated) as usize
    }

    fn choose(&mut self, logits: &[f32]) -> u32 {
        let top = top(logits);
        let token = match &mut self.judge {
            None => self.sampler.next(logits, top[0].1),
            Some(judge) => judge.judge(&mut self.sampler, logits, top[0].1),
        };
        self.evidence.add(token, &top);
        token
    }

    /// Takes the new token, sends what text it completes, and says whether the answer goes on.
    fn accept(&mut self, token: u32, end: &[u32]) -> bool {
        self.token = token;
        self.generated += 1;
        self.unreported += 1;
        if let Some(is_done) = self.judge.as_ref().map(Judge::is_done) {
            return !is_done || self.close(String::new(), Finish::Stop);
        }
        if end.contains(&token) {
            let held = self.stop.finish();
            return self.close(held, Finish::Stop);
        }
        let piece = match self.detokenizer.push(token) {
            Ok(piece) => piece,
            Err(error) => {
                let _ = self.work.events.try_send(ChatEvent::Failed(internal(error)));
                return false;
            }
        };
        match self.stop.push(&piece) {
            Passed::Stopped(text) => self.close(text, Finish::Stop),
            Passed::Text(mut text) if self.generated >= self.max_tokens => {
                text.push_str(&self.stop.finish());
                self.close(text, Finish::Length)
            }
            Passed::Text(text) => {
                self.send(text);
                true
            }
        }
    }

    fn send(&mut self, text: String) {
        if !text.is_empty() {
            let tokens = std::mem::take(&mut self.unreported);
            // The channel has room for every token; an error means that the receiver is gone, which `is_wanted` sees.
            let _ = self.work.events.try_send(ChatEvent::Text { text, tokens });
        }
    }

    /// Sends the end; always false, the answer does not go on.
    fn close(&mut self, text: String, finish: Finish) -> bool {
        self.send(text);
        let done = ChatDone {
            finish,
            tokens: self.generated,
            evidence: std::mem::take(&mut self.evidence),
            replayed: self.judge.take().map(Judge::finish),
            queue_ms: millis(self.queue),
            first_token_ms: millis(self.first_token),
        };
        let _ = self.work.events.try_send(ChatEvent::Done(done));
        false
    }

    fn fail(self, error: &StepError) {
        tracing::error!(%error, "a generation step failed");
        let _ = self.work.events.try_send(ChatEvent::Failed(internal(error)));
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
