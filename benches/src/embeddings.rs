//! Embeddings per second of texts of mixed lengths through the worker's engine, against one run per text.

use crate::{
    figures::{median, print, table},
    machine,
    models::Models,
};
use anyhow::{Context, Result, anyhow, ensure};
use futures_util::future::try_join_all;
use ort::{
    session::Session,
    value::{DynValue, Tensor},
};
use std::time::Instant;
use waybill_protocol::frame::EmbedItem;
use waybill_worker::{
    ModelSpec,
    embed::{EmbedEngine, EmbedOptions},
};

/// Tokens of a text, first and last included.
const SHORTEST: usize = 8;
const LONGEST: usize = 256;
/// Texts of one request.
const PER_REQUEST: usize = 8;
/// Ordinary words of the vocabulary lie in this range of BERT's.
const WORDS: std::ops::Range<u64> = 2_000..20_000;
/// The two ways differ by rounding only; a padding that leaked into a vector would show.
const LEAST_COSINE: f64 = 0.95;

/// Padded tokens of one batch that are tried beside the engine's own choice.
const BUDGETS: [usize; 3] = [256, 512, 1_024];

/// Prints the comparison: `texts` per run, `rounds` of single/engines and one more single.
pub fn run(models: &Models, spec: &ModelSpec, texts: usize, rounds: usize) -> Result<()> {
    let environment = models.environment()?;
    let own = EmbedOptions::new(models.threads);
    let load = |options| EmbedEngine::load(spec, &environment, options);
    let engine = load(own)?;
    let rows = engine.rows(&items(texts)).map_err(|fault| anyhow!("{fault}"))?;
    let tokens: usize = rows.iter().map(Vec::len).sum();
    let mut session = models.bare_session(spec)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    let (_, alone) = singly(&mut session, &rows)?;
    let (_, together) = runtime.block_on(through(&engine, &rows))?;
    let cosine = alone.iter().zip(&together).map(|(a, b)| dot(a, b)).fold(f64::INFINITY, f64::min);
    ensure!(cosine >= LEAST_COSINE, "engine and single runs disagree: a cosine of {cosine:.3}");

    let mut engines = vec![(own.padded_tokens, engine)];
    for padded_tokens in BUDGETS {
        engines.push((padded_tokens, load(EmbedOptions { padded_tokens, ..own })?));
    }
    let mut bare = vec![singly(&mut session, &rows)?.0];
    let mut full: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    for _ in 0..rounds {
        for ((_, engine), rates) in engines.iter().zip(&mut full) {
            rates.push(runtime.block_on(through(engine, &rows))?.0);
        }
        bare.push(singly(&mut session, &rows)?.0);
    }
    println!(
        "Embeddings per second of {}: {texts} texts of {SHORTEST} to {LONGEST} tokens (mean {}), {} threads, medians of {rounds} rounds",
        spec.name,
        tokens / texts.max(1),
        models.threads,
    );
    println!("single/engine/single, {PER_REQUEST} texts a request, all requests at once; load {}", machine::load());
    let mut table = table(["", "texts/s", "tokens/s", "against single"]);
    let mut add = |name: String, rates: &[f64], ratio: f64| {
        let rate = median(rates);
        let tokens_rate = rate * tokens as f64 / texts.max(1) as f64;
        table.add_row([name, format!("{rate:.1}"), format!("{tokens_rate:.0}"), format!("{:.0} %", 100.0 * ratio)]);
    };
    add("one run per text".into(), &bare, 1.0);
    for ((padded_tokens, _), rates) in engines.iter().zip(&full) {
        let around = bare.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
        let ratios: Vec<f64> = rates.iter().zip(around).map(|(rate, single)| rate / single).collect();
        let whose = if *padded_tokens == own.padded_tokens { " (its own choice)" } else { "" };
        add(format!("engine, batches of {padded_tokens} padded tokens{whose}"), rates, median(&ratios));
    }
    print(&table);
    println!("least cosine between a text's vectors of both ways: {cosine:.4}\n");
    Ok(())
}

/// Texts of evenly mixed lengths, the same ones every time.
fn items(texts: usize) -> Vec<EmbedItem> {
    let mut state = 1u64;
    let mut draw = |below: u64| {
        // Knuth's MMIX constants; the high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..texts)
        .map(|_| {
            let own = SHORTEST as u64 - 2 + draw((LONGEST - SHORTEST + 1) as u64);
            let tokens = (0..own).map(|_| (WORDS.start + draw(WORDS.end - WORDS.start)) as u32).collect();
            EmbedItem { text: String::new(), tokens }
        })
        .collect()
}

/// Texts per second and unit vectors, one run of the session per text.
fn singly(session: &mut Session, rows: &[Vec<u32>]) -> Result<(f64, Vec<Vec<f32>>)> {
    let has_types = session.inputs().iter().any(|input| input.name() == "token_type_ids");
    let started = Instant::now();
    let mut vectors = Vec::with_capacity(rows.len());
    for row in rows {
        let shape = [1, row.len()];
        let ids: Vec<i64> = row.iter().map(|id| i64::from(*id)).collect();
        let mut inputs: Vec<(&str, DynValue)> = vec![
            ("input_ids", Tensor::from_array((shape, ids))?.into_dyn()),
            ("attention_mask", Tensor::from_array((shape, vec![1i64; row.len()]))?.into_dyn()),
        ];
        if has_types {
            inputs.push(("token_type_ids", Tensor::from_array((shape, vec![0i64; row.len()]))?.into_dyn()));
        }
        let outputs = session.run(inputs)?;
        let (shape, hidden) = outputs[0].try_extract_tensor::<f32>()?;
        let dims = shape.last().map_or(1, |size| *size as usize).max(1);
        let mut sum = vec![0f32; dims];
        for state in hidden.chunks_exact(dims) {
            sum.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
        }
        let norm = dot(&sum, &sum).sqrt().max(1e-12) as f32;
        sum.iter_mut().for_each(|value| *value /= norm);
        vectors.push(sum);
    }
    Ok((rows.len() as f64 / started.elapsed().as_secs_f64().max(1e-9), vectors))
}

/// The same through the engine, as requests that arrive together.
async fn through(engine: &EmbedEngine, rows: &[Vec<u32>]) -> Result<(f64, Vec<Vec<f32>>)> {
    let requests: Vec<Vec<Vec<u32>>> = rows.chunks(PER_REQUEST).map(<[Vec<u32>]>::to_vec).collect();
    let started = Instant::now();
    let answers = requests
        .into_iter()
        .map(|request| engine.embed(request, None, None).map_err(|fault| anyhow!("{fault}")))
        .collect::<Result<Vec<_>>>()?;
    let answers = try_join_all(answers).await.context("the engine stopped")?;
    let rate = rows.len() as f64 / started.elapsed().as_secs_f64().max(1e-9);
    let mut vectors = Vec::with_capacity(rows.len());
    for answer in answers {
        let answer = answer.map_err(|fault| anyhow!("{fault}"))?;
        vectors.extend(answer.values.chunks_exact(answer.dims.max(1) as usize).map(<[f32]>::to_vec));
    }
    Ok((rate, vectors))
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
