//! Tokens per second of the worker's chat engine against a bare ONNX Runtime loop on the same model, prompt and threads.

use crate::{
    figures::{median, table},
    machine,
    models::Models,
};
use anyhow::{Context, Result, anyhow};
use ort::{
    memory::Allocator,
    session::{Session, SessionInputValue},
    value::{DynValue, Tensor},
};
use std::time::Instant;
use waybill_worker::{
    ModelSpec,
    chat::{ChatEngine, ChatEvent, ChatOptions, ChatRequest, Message, Sampling},
};

/// The engine keeps this much of the bare loop's speed, or more.
const TARGET: f64 = 0.95;
const MAX_BATCH: usize = 4;

/// Prints the comparison for one model: `tokens` generated per run, `rounds` of bare/engine and one more bare.
pub fn run(models: &Models, spec: &ModelSpec, tokens: u32, rounds: usize) -> Result<()> {
    let engine = ChatEngine::load(spec, &models.environment()?, ChatOptions::new(models.threads, MAX_BATCH))?;
    let question = Message { role: "user".into(), content: "Describe the sea in many long sentences.".into() };
    let prompt = engine.prompt(&[question]).map_err(|fault| anyhow!("{fault}"))?;
    let mut session = models.bare_session(spec)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    // The warm-up also says how many tokens the model has to say; the bare loop knows no end.
    let (tokens, _) = runtime.block_on(generate(&engine, &prompt, tokens))?;
    bare_loop(&mut session, &prompt, tokens)?;
    let (mut bare, mut full, mut ratios) = (vec![bare_loop(&mut session, &prompt, tokens)?], Vec::new(), Vec::new());
    for round in 0..rounds {
        full.push(runtime.block_on(generate(&engine, &prompt, tokens))?.1);
        bare.push(bare_loop(&mut session, &prompt, tokens)?);
        ratios.push(full[round] / ((bare[round] + bare[round + 1]) / 2.0));
    }
    let ratio = median(&ratios);
    println!(
        "Tokens per second of {}: {} tokens after a prompt of {}, greedy, {} threads, medians of {rounds} rounds",
        spec.name,
        tokens,
        prompt.len(),
        models.threads,
    );
    println!("bare/engine/bare; load {}", machine::load());
    let mut table = table(["", "tokens/s", "slowest", "fastest"]);
    for (name, rates) in [("bare ONNX Runtime loop", &bare), ("chat engine", &full)] {
        let ends = [rates.iter().copied().fold(f64::INFINITY, f64::min), rates.iter().copied().fold(0.0, f64::max)];
        table.add_row([
            name.to_owned(),
            format!("{:.1}", median(rates)),
            format!("{:.1}", ends[0]),
            format!("{:.1}", ends[1]),
        ]);
    }
    println!("{table}");
    let verdict = if ratio >= TARGET { "reached" } else { "missed" };
    println!("engine / bare: {:.1} % (target {:.0} %: {verdict})\n", 100.0 * ratio, 100.0 * TARGET);
    Ok(())
}

/// Tokens of one greedy generation, and how many per second came after the first.
async fn generate(engine: &ChatEngine, prompt: &[u32], max_tokens: u32) -> Result<(u32, f64)> {
    let request = ChatRequest {
        prompt: prompt.to_vec(),
        max_tokens,
        sampling: Sampling::greedy(),
        stop: Vec::new(),
        deadline: None,
    };
    let mut generation = engine.generate(request, None).map_err(|fault| anyhow!("{fault}"))?;
    let (mut first, mut seen) = (None, 0);
    while let Some(event) = generation.next().await {
        match event {
            // What came in one piece before the clock started does not count.
            ChatEvent::Text { tokens, .. } => {
                first.get_or_insert_with(|| (Instant::now(), tokens));
                seen += tokens;
            }
            ChatEvent::Failed(fault) => return Err(anyhow!("{fault}")),
            ChatEvent::Done(done) => {
                let (from, before) = first.context("the model said nothing")?;
                debug_assert!(seen <= done.tokens);
                return Ok((done.tokens, f64::from(done.tokens - before) / from.elapsed().as_secs_f64().max(1e-9)));
            }
        }
    }
    Err(anyhow!("the engine stopped"))
}

/// Prefill in one run, then greedy steps with nothing but the session and an argmax; tokens per second after the first.
fn bare_loop(session: &mut Session, prompt: &[u32], tokens: u32) -> Result<f64> {
    let names: Vec<String> = session.inputs().iter().skip(2).map(|input| input.name().to_owned()).collect();
    let shape = session.inputs()[2].dtype().tensor_shape().context("the cache input is no tensor")?.clone();
    let mut past = names
        .iter()
        .map(
            |_| Ok(Tensor::<f32>::new(&Allocator::default(), [1, shape[1] as usize, 0, shape[3] as usize])?.into_dyn()),
        )
        .collect::<Result<Vec<DynValue>>>()?;
    let mut ids: Vec<i64> = prompt.iter().map(|id| i64::from(*id)).collect();
    let mut total = 0;
    let mut started = Instant::now();
    for step in 0..tokens {
        if step == 1 {
            started = Instant::now();
        }
        total += ids.len();
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
            ("input_ids", Tensor::from_array(([1, ids.len()], ids))?.into_dyn().into()),
            ("attention_mask", Tensor::from_array(([1, total], vec![1i64; total]))?.into_dyn().into()),
        ];
        inputs.extend(names.iter().map(String::as_str).zip(past.into_iter().map(SessionInputValue::Owned)));
        let mut outputs = session.run(inputs)?;
        let logits = outputs.remove("logits").context("no logits")?;
        past = names
            .iter()
            .map(|name| outputs.remove(name.replacen("past_key_values", "present", 1)).context("no present"))
            .collect::<Result<_>>()?;
        let (shape, logits) = logits.try_extract_tensor::<f32>()?;
        let vocabulary = shape.last().map_or(logits.len(), |size| *size as usize);
        let last = &logits[logits.len() - vocabulary..];
        let best = last
            .iter()
            .enumerate()
            .fold((0, f32::NEG_INFINITY), |best, (at, logit)| if *logit > best.1 { (at, *logit) } else { best });
        ids = vec![best.0 as i64];
    }
    Ok(f64::from(tokens - 1) / started.elapsed().as_secs_f64().max(1e-9))
}
