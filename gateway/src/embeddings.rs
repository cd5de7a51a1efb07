//! `POST /v1/embeddings`: the request's meaning and its answer.

use crate::chat::{model_name, route, to_json};
use crate::error::{ApiError, Kind};
use crate::json::{self, Object, Rule, Schema};
use crate::market::Model;
use crate::promo::Label;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use waybill_protocol::RouteWish;
use waybill_protocol::frame::{Embed, EmbedItem};

/// As in OpenAI's API.
const MAX_ITEMS: usize = 2048;
const MAX_TOKENS_PER_ITEM: usize = 8192;
const DEFAULT_CONTEXT: u32 = 2048;
/// Marks that a tokenizer puts around a text.
const MARKS: u64 = 2;

const FIELDS: Schema = &[
    ("model", Rule::Read),
    ("input", Rule::Read),
    ("encoding_format", Rule::Read),
    ("route", Rule::Read),
    ("user", Rule::Ignored),
    ("dimensions", Rule::Only(&[])),
];

/// How vectors travel in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Float,
    /// f32 little-endian; what the official SDKs ask for.
    Base64,
}

/// A well-formed request, before its model is known.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingsRequest {
    pub model: String,
    pub encoding: Encoding,
    pub wish: RouteWish,
    /// The request may go through a promotion slot.
    pub sponsored: bool,
    embed: Embed,
}

impl EmbeddingsRequest {
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = Object::body(body, FIELDS)?;
        let model = model_name(&object)?;
        let encoding = match object.string("encoding_format")?.as_deref() {
            None | Some("float") => Encoding::Float,
            Some("base64") => Encoding::Base64,
            Some(_) => {
                return Err(ApiError::of(
                    Kind::InvalidValue,
                    "encoding_format",
                    "'encoding_format' must be 'float' or 'base64'.",
                ));
            }
        };
        let items = items(object.require("input")?)?;
        let (wish, sponsored) = route(&object)?;
        Ok(Self { model, encoding, wish, sponsored, embed: Embed { items } })
    }

    /// The worker's input, and the most tokens it can have.
    pub fn bound(self, model: &Model) -> (Embed, u64) {
        let context = u64::from(model.context.unwrap_or(DEFAULT_CONTEXT));
        let tokens = |item: &EmbedItem| (item.text.len().max(item.tokens.len()) as u64 + MARKS).min(context);
        let bound = self.embed.items.iter().map(tokens).sum();
        (self.embed, bound)
    }
}

/// `input` is a text, a list of texts, a list of tokens, or a list of such lists.
fn items(raw: &RawValue) -> Result<Vec<EmbedItem>, ApiError> {
    let invalid = |why: &str| ApiError::of(Kind::InvalidValue, "input", format!("Invalid 'input': {why}."));
    let too_many = |_| {
        invalid(&format!(
            "expected at most {MAX_ITEMS} strings or token arrays, or one array of at most {MAX_TOKENS_PER_ITEM} tokens"
        ))
    };
    let text = |text: String| EmbedItem { text, tokens: Vec::new() };
    let tokens = |tokens: Vec<u32>| EmbedItem { text: String::new(), tokens };
    let first =
        raw.get().strip_prefix('[').map(|rest| rest.trim_start().as_bytes().first().copied().unwrap_or_default());
    let items: Vec<EmbedItem> = match first {
        None => vec![text(serde_json::from_str(raw.get()).map_err(|_| invalid("expected a string or an array"))?)],
        Some(b'"') => json::list(raw, MAX_ITEMS).map_err(too_many)?.into_iter().map(text).collect(),
        Some(b'[') => {
            let rows: Vec<&RawValue> = json::list(raw, MAX_ITEMS).map_err(too_many)?;
            rows.into_iter()
                .map(|row| json::list(row, MAX_TOKENS_PER_ITEM).map(tokens).map_err(too_many))
                .collect::<Result<_, _>>()?
        }
        Some(b']') => return Err(invalid("the array is empty")),
        Some(_) => vec![tokens(json::list(raw, MAX_TOKENS_PER_ITEM).map_err(too_many)?)],
    };
    match items.iter().position(|item| item.text.is_empty() && item.tokens.is_empty()) {
        Some(i) => Err(invalid(&format!("element {i} is empty"))),
        None => Ok(items),
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: EmbeddingUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsored: Option<&'a Label>,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Values,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Values {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct EmbeddingUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// The answer's JSON; `rows` holds `dims` f32 little-endian per row.
pub fn render(
    model: &str,
    rows: &[u8],
    dims: usize,
    encoding: Encoding,
    units_in: u32,
    sponsored: Option<&Label>,
) -> String {
    let values = |row: &[u8]| match encoding {
        Encoding::Base64 => Values::Base64(STANDARD.encode(row)),
        Encoding::Float => Values::Floats(floats(row).collect()),
    };
    let data = rows
        .chunks_exact(dims.max(1) * 4)
        .enumerate()
        .map(|(index, row)| Embedding { object: "embedding", index, embedding: values(row) })
        .collect();
    to_json(&List {
        object: "list",
        data,
        model,
        usage: EmbeddingUsage { prompt_tokens: units_in, total_tokens: units_in },
        sponsored,
    })
}

/// f32 values of little-endian bytes.
pub fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn parse(input: Value) -> Result<Vec<EmbedItem>, ApiError> {
        EmbeddingsRequest::parse(&serde_json::to_vec(&json!({"model": "m", "input": input})).unwrap())
            .map(|r| r.embed.items)
    }

    #[test]
    fn every_form_of_input_is_read() {
        let text = |t: &str| EmbedItem { text: t.into(), tokens: vec![] };
        let tokens = |t: &[u32]| EmbedItem { text: String::new(), tokens: t.to_vec() };
        assert_eq!(parse(json!("a")).unwrap(), [text("a")]);
        assert_eq!(parse(json!(["a", "b"])).unwrap(), [text("a"), text("b")]);
        assert_eq!(parse(json!([1, 2])).unwrap(), [tokens(&[1, 2])]);
        assert_eq!(parse(json!([[1, 2], [3]])).unwrap(), [tokens(&[1, 2]), tokens(&[3])]);
    }

    #[test]
    fn every_other_input_is_refused() {
        let many: Vec<&str> = vec!["x"; MAX_ITEMS + 1];
        for input in [
            json!(5),
            json!({}),
            json!([]),
            json!(""),
            json!(["a", ""]),
            json!([-1]),
            json!([1.5]),
            json!([[1], []]),
            json!(["a", 1]),
            json!(many),
        ] {
            assert_eq!(parse(input.clone()).expect_err("refused").param.as_deref(), Some("input"), "{input}");
        }
    }

    #[test]
    fn base64_holds_the_same_numbers() {
        let rows: Vec<u8> = [1.0f32, -0.5, 0.25, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let plain: Value = serde_json::from_str(&render("m", &rows, 2, Encoding::Float, 7, None)).unwrap();
        assert_eq!(plain["data"][1]["embedding"], json!([0.25, 3.0]));
        assert_eq!(plain["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
        let coded: Value = serde_json::from_str(&render("m", &rows, 2, Encoding::Base64, 7, None)).unwrap();
        assert_eq!(STANDARD.decode(coded["data"][1]["embedding"].as_str().unwrap()).unwrap(), rows[8..]);
    }
}
