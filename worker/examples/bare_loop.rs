//! Tokens per second of the chat engine against a bare ONNX Runtime loop on the same model, prompt and threads.
//!
//! Usage: bare_loop LIBONNXRUNTIME MODELS_FOLDER [MODEL] [TOKENS] [THREADS]

use std::{error::Error, path::PathBuf, time::Instant};

use ort::{
    memory::Allocator,
    session::{Session, SessionInputValue},
    value::{DynValue, Tensor},
};
use waybill_worker::{
    chat::{ChatEngine, ChatEvent, ChatOptions, ChatRequest, Message, Sampling},
    model::ModelSpec,
    runtime,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let library = PathBuf::from(args.next().ok_or("first argument: path of libonnxruntime.so")?);
    let models = PathBuf::from(args.next().ok_or("second argument: models folder")?);
    let name = args.next().unwrap_or_else(|| "smollm2".into());
    let tokens: u32 = args.next().map_or(Ok(128), |n| n.parse())?;
    let threads: usize = args.next().map_or(Ok(1), |n| n.parse())?;
    let spec = if name == "tiny" { ModelSpec::tiny(&models) } else { ModelSpec::smollm2(&models) };
    let environment = runtime::load(&library)?;

    let engine = ChatEngine::load(&spec, &environment, ChatOptions::new(threads, 4))?;
    let question = Message { role: "user".into(), content: "Describe the sea in many long sentences.".into() };
    let prompt = engine.prompt(&[question]).map_err(|fault| fault.to_string())?;
    let bytes = std::fs::read(spec.folder.join("model.onnx"))?;
    let mut session = runtime::open(&environment, &bytes, threads)?;
    drop(bytes);
    let async_runtime = tokio::runtime::Builder::new_current_thread().build()?;

    let (mut engine_best, mut bare_best) = (0f64, 0f64);
    for round in 0..4 {
        let bare = bare_loop(&mut session, &prompt, tokens)?;
        let request = ChatRequest {
            prompt: prompt.clone(),
            max_tokens: tokens,
            sampling: Sampling::greedy(),
            stop: vec![],
            deadline: None,
        };
        let (text, engine) = async_runtime.block_on(generate(&engine, request))?;
        if round == 0 {
            println!("{text}\n");
            continue; // warm-up
        }
        println!("bare {bare:.1} tok/s, engine {engine:.1} tok/s, {:.1} %", 100.0 * engine / bare);
        (bare_best, engine_best) = (bare_best.max(bare), engine_best.max(engine));
    }
    println!(
        "best of 3: bare {bare_best:.1} tok/s, engine {engine_best:.1} tok/s, {:.1} %",
        100.0 * engine_best / bare_best
    );
    Ok(())
}

/// The text and the generation's tokens per second from its first token on.
async fn generate(engine: &ChatEngine, request: ChatRequest) -> Result<(String, f64), Box<dyn Error>> {
    let mut generation = engine.generate(request, None).map_err(|fault| fault.to_string())?;
    let mut text = String::new();
    let started = Instant::now();
    while let Some(event) = generation.next().await {
        match event {
            ChatEvent::Text { text: piece, .. } => text += &piece,
            ChatEvent::Failed(fault) => return Err(fault.to_string().into()),
            ChatEvent::Done(done) => {
                let decode = started.elapsed().as_secs_f64() - f64::from(done.first_token_ms) / 1e3;
                return Ok((text, f64::from(done.tokens - 1) / decode));
            }
        }
    }
    Err("the engine stopped".into())
}

/// Prefill in one run, then greedy steps with nothing but the session and an argmax; tokens per second of the steps.
fn bare_loop(session: &mut Session, prompt: &[u32], tokens: u32) -> Result<f64, Box<dyn Error>> {
    let names: Vec<String> = session.inputs().iter().skip(2).map(|input| input.name().to_owned()).collect();
    let shape = session.inputs()[2].dtype().tensor_shape().ok_or("the cache input is no tensor")?.clone();
    let mut past = names
        .iter()
        .map(
            |_| Ok(Tensor::<f32>::new(&Allocator::default(), [1, shape[1] as usize, 0, shape[3] as usize])?.into_dyn()),
        )
        .collect::<Result<Vec<DynValue>, ort::Error>>()?;
    let mut ids: Vec<i64> = prompt.iter().map(|id| i64::from(*id)).collect();
    let mut total = 0;
    let mut started = Instant::now();
    let mut steps = 0;
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
        let logits = outputs.remove("logits").ok_or("no logits")?;
        past = names
            .iter()
            .map(|name| outputs.remove(name.replacen("past_key_values", "present", 1)).ok_or("no present"))
            .collect::<Result<_, _>>()?;
        let (_, logits) = logits.try_extract_tensor::<f32>()?;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
        ids = vec![best as i64];
        steps = step;
        if best == 2 {
            break;
        }
    }
    Ok(f64::from(steps) / started.elapsed().as_secs_f64())
}
