//! Text generation.

use std::{sync::Arc, time::Instant};
use tokio::task::JoinSet;
use waybill_protocol::frame::{FaultCode, Finish};
use waybill_worker::{
    ModelSpec,
    chat::{ChatDone, ChatEngine, ChatEvent, ChatOptions, ChatRequest, Message, Sampling},
    runtime,
};

use crate::setup::{config, models_folder, smollm2, tiny};

fn request(prompt: Vec<u32>, max_tokens: u32) -> ChatRequest {
    ChatRequest { prompt, max_tokens, sampling: Sampling::greedy(), stop: vec![], deadline: None }
}

fn ask(engine: &ChatEngine, content: &str, max_tokens: u32) -> ChatRequest {
    request(engine.prompt(&[Message { role: "user".into(), content: content.into() }]).unwrap(), max_tokens)
}

/// Text, end and number of text events. The evidence in the end covers the logits of every position.
async fn generate(engine: &ChatEngine, request: ChatRequest) -> (String, ChatDone) {
    let mut generation = engine.generate(request, None).unwrap();
    let (mut text, mut reported) = (String::new(), 0);
    loop {
        match generation.next().await.unwrap() {
            ChatEvent::Text { text: piece, tokens } => {
                text += &piece;
                reported += tokens;
            }
            ChatEvent::Done(done) => {
                assert!(reported <= done.tokens);
                return (text, done);
            }
            ChatEvent::Failed(fault) => panic!("{fault}"),
        }
    }
}

#[tokio::test]
async fn smollm2_answers_a_question() {
    let Some(engine) = smollm2() else { return };
    let (text, done) =
        generate(&engine, ask(&engine, "What is the capital of France? Answer in one sentence.", 40)).await;
    assert!(text.contains("Paris"), "{text:?}");
    assert_eq!(done.finish, Finish::Stop, "it ends by itself: {text:?}");
}

#[tokio::test]
async fn a_seed_decides_the_answer_and_greedy_needs_none() {
    let Some(engine) = tiny() else { return };
    let sampled = |seed| {
        let sampling = Sampling { temperature: 1.0, top_p: 0.95, seed: [seed; 32], ..Sampling::greedy() };
        ChatRequest { sampling, ..ask(&engine, "hello", 60) }
    };
    let first = generate(&engine, sampled(1)).await;
    let (again, other) = (generate(&engine, sampled(1)).await, generate(&engine, sampled(2)).await);
    assert_eq!((&first.0, &first.1.evidence), (&again.0, &again.1.evidence));
    assert_ne!(first.1.evidence, other.1.evidence);
    let greedy = |seed| ChatRequest {
        sampling: Sampling { seed: [seed; 32], ..Sampling::greedy() },
        ..ask(&engine, "hello", 60)
    };
    let (first, other) = (generate(&engine, greedy(1)).await, generate(&engine, greedy(2)).await);
    assert_eq!((first.0, first.1.evidence), (other.0, other.1.evidence));
}

/// Sequences of different lengths that enter and leave one batch have the bits they have alone.
async fn batched_equals_alone(engine: Arc<ChatEngine>, lengths: &[(usize, u32)]) {
    let requests: Vec<ChatRequest> = lengths
        .iter()
        .enumerate()
        .map(|(seed, &(words, max_tokens))| ChatRequest {
            sampling: Sampling { temperature: 0.8, seed: [seed as u8; 32], ..Sampling::greedy() },
            ..ask(&engine, &"the sea and ".repeat(words), max_tokens)
        })
        .collect();
    let mut alone = Vec::new();
    for request in &requests {
        alone.push(generate(&engine, request.clone()).await);
    }
    let mut together = JoinSet::new();
    for (index, request) in requests.into_iter().enumerate() {
        let engine = engine.clone();
        together.spawn(async move { (index, generate(&engine, request).await) });
    }
    let mut together = together.join_all().await;
    together.sort_by_key(|(index, _)| *index);
    for ((index, together), alone) in together.into_iter().zip(alone) {
        let key = |(text, done): &(String, ChatDone)| (text.clone(), done.tokens, done.evidence.clone());
        assert_eq!(key(&together), key(&alone), "sequence {index}");
    }
}

#[tokio::test]
async fn batching_does_not_change_answers() {
    let Some(engine) = tiny() else { return };
    batched_equals_alone(engine, &[(1, 50), (9, 20), (3, 90), (5, 7), (2, 40), (12, 30)]).await;
}

#[tokio::test]
async fn batching_does_not_change_smollm2s_answers() {
    let Some(engine) = smollm2() else { return };
    batched_equals_alone(engine, &[(1, 12), (70, 6), (20, 20)]).await;
}

#[tokio::test]
async fn prefill_in_chunks_equals_prefill_at_once() {
    if tiny().is_none() {
        return;
    }
    let spec = ModelSpec::tiny(&models_folder());
    let environment = runtime::load(&config(spec.clone()).library).unwrap();
    // Four lengths in a row: with every chunk size, some of them leave a remainder of one token.
    let prompts: Vec<Vec<u32>> = (181..185).map(|length| (0..length).map(|i| 40 + i * 7 % 60).collect()).collect();
    let mut expected = None;
    for prefill_chunk in [256, 3, 4, 7, 60, 64, 91] {
        let options = ChatOptions { prefill_chunk, ..ChatOptions::new(1, 4) };
        let engine = ChatEngine::load(&spec, &environment, options).unwrap();
        let mut answers = Vec::new();
        for prompt in &prompts {
            let (text, done) = generate(&engine, request(prompt.clone(), 30)).await;
            answers.push((text, done.evidence));
        }
        assert_eq!(*expected.get_or_insert_with(|| answers.clone()), answers, "chunks of {prefill_chunk}");
    }
}

#[tokio::test]
async fn a_stop_string_ends_the_answer_before_it() {
    let Some(engine) = tiny() else { return };
    let (whole, _) = generate(&engine, ask(&engine, "hello", 80)).await;
    let characters: Vec<char> = whole.chars().collect();
    let stop: String = characters[characters.len() / 2..characters.len() / 2 + 3].iter().collect();
    let request = ChatRequest { stop: vec![stop.clone()], ..ask(&engine, "hello", 80) };
    let (text, done) = generate(&engine, request).await;
    assert_eq!(text, whole[..whole.find(&stop).unwrap()]);
    assert_eq!(done.finish, Finish::Stop);
}

#[tokio::test]
async fn the_context_bounds_prompt_and_answer() {
    let Some(engine) = tiny() else { return };
    let context = engine.context();
    let (_, done) = generate(&engine, request(vec![70; context as usize - 5], 1_000)).await;
    assert!(done.tokens <= 5);
    let too_long = engine.generate(request(vec![70; context as usize], 1), None).unwrap_err();
    assert_eq!(too_long.code(), FaultCode::ContextExceeded);
    let turn = Message { role: "user".into(), content: "word ".repeat(context as usize) };
    assert_eq!(engine.prompt(&[turn]).unwrap_err().code(), FaultCode::ContextExceeded);
}

#[tokio::test]
async fn a_late_request_is_refused_not_served() {
    let Some(engine) = tiny() else { return };
    let late = ChatRequest { deadline: Some(Instant::now()), ..ask(&engine, "hello", 10) };
    let event = engine.generate(late, None).unwrap().next().await.unwrap();
    assert!(matches!(event, ChatEvent::Failed(fault) if fault.code() == FaultCode::PastDeadline));
}

#[tokio::test]
async fn a_wrong_model_file_is_refused_before_it_is_loaded() {
    if tiny().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let spec = ModelSpec { folder: folder.path().into(), ..ModelSpec::tiny(&models_folder()) };
    let source = ModelSpec::tiny(&models_folder()).folder;
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(source.join(name), folder.path().join(name)).unwrap();
    }
    let mut model = std::fs::read(source.join("model.onnx")).unwrap();
    let middle = model.len() / 2;
    model[middle] ^= 1;
    std::fs::write(folder.path().join("model.onnx"), model).unwrap();
    let error = waybill_worker::Engines::load(&config(spec)).err().unwrap();
    assert!(matches!(error, waybill_worker::ModelError::WrongArtifact { .. }), "{error}");
}

#[test]
fn a_missing_runtime_library_is_a_clear_error() {
    let error = runtime::load("/nowhere/libonnxruntime.so".as_ref()).unwrap_err();
    assert!(matches!(error, runtime::RuntimeError::Missing(_)), "{error}");
}
