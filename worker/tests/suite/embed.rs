//! Embeddings.

use waybill_protocol::frame::{EmbedItem, FaultCode};
use waybill_worker::embed::EmbedEngine;

use crate::setup::minilm;

fn text(text: &str) -> EmbedItem {
    EmbedItem { text: text.into(), tokens: vec![] }
}

async fn embed(engine: &EmbedEngine, items: &[EmbedItem]) -> Vec<Vec<f32>> {
    let rows = engine.rows(items).unwrap();
    let done = engine.embed(rows, None, None).unwrap().await.unwrap().unwrap();
    done.values.chunks(done.dims as usize).map(<[f32]>::to_vec).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn vectors_have_length_one_and_follow_meaning() {
    let Some(engine) = minilm() else { return };
    let texts = ["A cat sits on the mat.", "A kitten is lying on a rug.", "The central bank raised interest rates."];
    let vectors = embed(&engine, &texts.map(text)).await;
    for vector in &vectors {
        assert_eq!(vector.len(), 384);
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
    assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
}

#[tokio::test]
async fn a_batch_equals_single_rows_bit_by_bit() {
    let Some(engine) = minilm() else { return };
    let items: Vec<EmbedItem> =
        (1..40).map(|n| text(&format!("number {n}, {}", "with some more words ".repeat(n % 11)))).collect();
    let together = embed(&engine, &items).await;
    for (item, expected) in items.iter().zip(together) {
        assert_eq!(embed(&engine, std::slice::from_ref(item)).await, [expected]);
    }
}

#[tokio::test]
async fn tokens_and_text_give_the_same_vector() {
    let Some(engine) = minilm() else { return };
    let item = text("hello world");
    let row = engine.rows(std::slice::from_ref(&item)).unwrap().remove(0);
    let tokens = EmbedItem { text: String::new(), tokens: row[1..row.len() - 1].to_vec() };
    assert_eq!(embed(&engine, &[tokens]).await, embed(&engine, &[item]).await);
}

#[test]
fn unusable_items_are_refused() {
    let Some(engine) = minilm() else { return };
    let code = |items: &[EmbedItem]| engine.rows(items).unwrap_err().code();
    assert_eq!(code(&[]), FaultCode::BadInput);
    assert_eq!(code(&[text("fine"), text("")]), FaultCode::BadInput);
    assert_eq!(code(&[EmbedItem { text: String::new(), tokens: vec![u32::MAX] }]), FaultCode::BadInput);
    assert_eq!(code(&[text(&"word ".repeat(300))]), FaultCode::ContextExceeded);
    assert_eq!(code(&[text(&"x".repeat(10_000_000))]), FaultCode::ContextExceeded);
    assert_eq!(engine.rows(&[text(&"word ".repeat(254))]).unwrap()[0].len(), 256, "the limit itself is allowed");
}
