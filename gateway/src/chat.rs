//! `POST /v1/chat/completions`: the request's meaning, and its answer plain or as events.

use crate::error::{ApiError, Kind};
use crate::json::{self, ListError, Object, Rule, Schema};
use crate::market::Model;
use crate::promo::Label;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use waybill_protocol::RouteWish;
use waybill_protocol::frame::{Chat, Finish, Turn};

/// Longest conversation.
const MAX_MESSAGES: usize = 4096;
const MAX_PARTS: usize = 1024;
const MAX_STOPS: usize = 4;
/// Answer length when the request names none.
const DEFAULT_MAX_TOKENS: u32 = 256;
/// Context of a model whose container does not say.
const DEFAULT_CONTEXT: u32 = 2048;
/// Most tokens that a chat template adds around one message, and once per prompt (such as a default system message).
const TEMPLATE_TOKENS_PER_TURN: u64 = 16;
const TEMPLATE_TOKENS: u64 = 64;

const FIELDS: Schema = &[
    ("model", Rule::Read),
    ("messages", Rule::Read),
    ("max_tokens", Rule::Read),
    ("max_completion_tokens", Rule::Read),
    ("temperature", Rule::Read),
    ("top_p", Rule::Read),
    ("seed", Rule::Read),
    ("stop", Rule::Read),
    ("frequency_penalty", Rule::Read),
    ("presence_penalty", Rule::Read),
    ("stream", Rule::Read),
    ("stream_options", Rule::Read),
    ("route", Rule::Read),
    ("user", Rule::Ignored),
    ("metadata", Rule::Ignored),
    ("parallel_tool_calls", Rule::Ignored),
    ("prompt_cache_key", Rule::Ignored),
    ("prompt_cache_retention", Rule::Ignored),
    ("safety_identifier", Rule::Ignored),
    ("n", Rule::Only(&["1"])),
    ("store", Rule::Only(&["false"])),
    ("logprobs", Rule::Only(&["false"])),
    ("top_logprobs", Rule::Only(&["0"])),
    ("logit_bias", Rule::Only(&["{}"])),
    ("response_format", Rule::Only(&[r#"{"type":"text"}"#])),
    ("modalities", Rule::Only(&[r#"["text"]"#])),
    ("service_tier", Rule::Only(&[r#""auto""#, r#""default""#])),
    ("tool_choice", Rule::Only(&[r#""none""#, r#""auto""#])),
    ("function_call", Rule::Only(&[r#""none""#])),
    ("tools", Rule::Only(&[])),
    ("functions", Rule::Only(&[])),
    ("audio", Rule::Only(&[])),
    ("prediction", Rule::Only(&[])),
    ("reasoning_effort", Rule::Only(&[])),
    ("verbosity", Rule::Only(&[])),
    ("web_search_options", Rule::Only(&[])),
];

/// Clients send an assistant's earlier message back as they got it, empty fields included.
const MESSAGE_FIELDS: Schema = &[
    ("role", Rule::Read),
    ("content", Rule::Read),
    ("name", Rule::Ignored),
    ("refusal", Rule::Only(&[])),
    ("annotations", Rule::Only(&["[]"])),
    ("audio", Rule::Only(&[])),
    ("tool_calls", Rule::Only(&["[]"])),
    ("tool_call_id", Rule::Only(&[])),
    ("function_call", Rule::Only(&[])),
];

const PART_FIELDS: Schema = &[
    ("type", Rule::Read),
    ("text", Rule::Read),
    ("image_url", Rule::Ignored),
    ("input_audio", Rule::Ignored),
    ("file", Rule::Ignored),
    ("refusal", Rule::Ignored),
];

const STREAM_FIELDS: Schema = &[("include_usage", Rule::Read), ("include_obfuscation", Rule::Ignored)];

/// A well-formed request, before its model is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    pub wish: RouteWish,
    /// The request may go through a promotion slot.
    pub sponsored: bool,
    max_tokens: Option<u32>,
    /// Complete but for `max_tokens`.
    chat: Chat,
}

impl ChatRequest {
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = Object::body(body, FIELDS)?;
        let model = model_name(&object)?;
        let turns = messages(&object)?;
        let stream = object.boolean("stream")?;
        let include_usage = match object.get("stream_options") {
            None => false,
            Some(_) if !stream => {
                let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
                return Err(ApiError::of(Kind::InvalidValue, "stream_options", message));
            }
            Some(raw) => Object::nested(raw, STREAM_FIELDS, "stream_options")?.boolean("include_usage")?,
        };
        let tokens = 1..=i64::from(u32::MAX);
        let old_name = object.integer("max_tokens", tokens.clone())?;
        let max_tokens = object.integer("max_completion_tokens", tokens)?.or(old_name);
        let chat = Chat {
            turns,
            max_tokens: 0,
            temperature: object.float("temperature", 0.0..=2.0)?,
            top_p: object.float("top_p", 0.0..=1.0)?,
            // a negative seed is as good as any other 64 bits
            seed: object.integer("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned),
            stop: stops(&object)?,
            frequency_penalty: object.float("frequency_penalty", -2.0..=2.0)?.unwrap_or(0.0),
            presence_penalty: object.float("presence_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        };
        let max_tokens = max_tokens.and_then(|tokens| u32::try_from(tokens).ok());
        let (wish, sponsored) = route(&object)?;
        Ok(Self { model, stream, include_usage, wish, sponsored, max_tokens, chat })
    }

    /// The worker's input, and the most tokens the prompt can have: a tokenizer over bytes makes at most one per byte.
    pub fn bound(self, model: &Model) -> Result<(Chat, u64), ApiError> {
        let context = model.context.unwrap_or(DEFAULT_CONTEXT);
        let max_tokens = match self.max_tokens {
            None => DEFAULT_MAX_TOKENS.min(context),
            Some(tokens) if tokens <= context => tokens,
            Some(tokens) => {
                let message =
                    format!("max_tokens is too large: {tokens}. The context of '{}' has {context} tokens.", model.name);
                return Err(ApiError::of(Kind::InvalidValue, "max_tokens", message));
            }
        };
        let bytes: u64 = self.chat.turns.iter().map(|turn| turn.content.len() as u64 + TEMPLATE_TOKENS_PER_TURN).sum();
        Ok((Chat { max_tokens, ..self.chat }, (bytes + TEMPLATE_TOKENS).min(context.into())))
    }
}

/// The request's model name.
pub(crate) fn model_name(object: &Object<'_>) -> Result<String, ApiError> {
    object.require("model")?;
    match object.string("model")? {
        Some(name) if !name.is_empty() => Ok(name),
        _ => Err(ApiError::of(Kind::InvalidValue, "model", "'model' must not be empty.")),
    }
}

/// The request's routing wishes, and whether it may go through a promotion slot, which no scheduler needs to know.
pub(crate) fn route(object: &Object<'_>) -> Result<(RouteWish, bool), ApiError> {
    let Some(raw) = object.get("route") else { return Ok((RouteWish::default(), false)) };
    let invalid = |e: serde_json::Error| ApiError::of(Kind::InvalidValue, "route", format!("Invalid 'route': {e}."));
    let mut wishes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(raw.get()).map_err(invalid)?;
    let sponsored = wishes.remove("sponsored").map_or(Ok(false), serde_json::from_value).map_err(invalid)?;
    Ok((serde_json::from_value(wishes.into()).map_err(invalid)?, sponsored))
}

fn messages(object: &Object<'_>) -> Result<Vec<Turn>, ApiError> {
    let raw = object.require("messages")?;
    let messages: Vec<&RawValue> = json::list(raw, MAX_MESSAGES).map_err(|e| {
        let message = match e {
            ListError::TooLong => format!("'messages' has more than {MAX_MESSAGES} elements."),
            ListError::Element => format!(
                "Invalid type for 'messages': expected an array of objects, but got {} instead.",
                json::describe(raw)
            ),
        };
        ApiError::of(Kind::InvalidValue, "messages", message)
    })?;
    if messages.is_empty() {
        return Err(ApiError::of(Kind::InvalidValue, "messages", "'messages' must have at least one element."));
    }
    messages.iter().enumerate().map(|(i, raw)| turn(raw, &format!("messages[{i}]"))).collect()
}

fn turn(raw: &RawValue, path: &str) -> Result<Turn, ApiError> {
    let message = Object::nested(raw, MESSAGE_FIELDS, path)?;
    message.require("role")?;
    let role = message.string("role")?.unwrap_or_default();
    let role = match role.as_str() {
        "system" | "developer" => "system",
        "user" => "user",
        "assistant" => "assistant",
        "tool" | "function" => {
            let text = format!("Unsupported value: messages of role '{role}' are not supported by this model.");
            return Err(ApiError::of(Kind::UnsupportedValue, message.at("role"), text));
        }
        _ => {
            let text =
                format!("Invalid value for '{}': expected system, developer, user or assistant.", message.at("role"));
            return Err(ApiError::of(Kind::InvalidValue, message.at("role"), text));
        }
    };
    let content = match message.get("content") {
        None if role == "assistant" => String::new(),
        None => {
            message.require("content")?;
            String::new()
        }
        Some(raw) if raw.get().starts_with('[') => text_parts(raw, &message.at("content"))?,
        Some(_) => message.string("content")?.unwrap_or_default(),
    };
    Ok(Turn { role: role.into(), content })
}

/// The texts of an array of content parts, one line each.
fn text_parts(raw: &RawValue, path: &str) -> Result<String, ApiError> {
    let parts: Vec<&RawValue> = json::list(raw, MAX_PARTS).map_err(|_| {
        ApiError::of(
            Kind::InvalidValue,
            path,
            format!("'{path}' must be a string or at most {MAX_PARTS} content parts."),
        )
    })?;
    let texts: Result<Vec<String>, ApiError> = parts
        .iter()
        .enumerate()
        .map(|(i, raw)| {
            let part = Object::nested(raw, PART_FIELDS, &format!("{path}[{i}]"))?;
            part.require("type")?;
            match part.string("type")?.as_deref() {
                Some("text") => {
                    part.require("text")?;
                    Ok(part.string("text")?.unwrap_or_default())
                }
                kind => {
                    let kind = kind.unwrap_or_default().chars().take(40).collect::<String>();
                    let text =
                        format!("Unsupported value: content parts of type '{kind}' are not supported by this model.");
                    Err(ApiError::of(Kind::UnsupportedValue, part.at("type"), text))
                }
            }
        })
        .collect();
    Ok(texts?.join("\n"))
}

fn stops(object: &Object<'_>) -> Result<Vec<String>, ApiError> {
    let invalid = || {
        ApiError::of(
            Kind::InvalidValue,
            "stop",
            format!("'stop' must be a string or an array of at most {MAX_STOPS} strings, none empty."),
        )
    };
    let stops = match object.get("stop") {
        None => Vec::new(),
        Some(raw) if raw.get().starts_with('[') => json::list(raw, MAX_STOPS).map_err(|_| invalid())?,
        Some(_) => object.string("stop").map_err(|_| invalid())?.into_iter().collect(),
    };
    if stops.iter().any(String::is_empty) { Err(invalid()) } else { Ok(stops) }
}

/// Tokens of one answer, as the receipt counts them.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub total_tokens: u64,
}

/// What all objects of one answer have in common.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `chatcmpl-…`
    pub id: String,
    /// Unix seconds.
    pub created: u64,
    pub model: String,
    /// Digest of the weights, shortened: changes when the answer's distribution may.
    pub fingerprint: String,
    /// Present when a promotion slot brought the request here.
    pub sponsored: Option<Label>,
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsored: Option<&'a Label>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'a str,
    choices: &'a [ChunkChoice<'a>],
    /// Absent unless asked for; then null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsored: Option<&'a Label>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Deserialize, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

pub fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

impl Answer {
    /// The whole answer as one JSON object.
    pub fn completion(&self, content: &str, finish: Finish, usage: Usage) -> String {
        let choice = Choice {
            index: 0,
            message: Message { role: "assistant", content, refusal: None },
            logprobs: None,
            finish_reason: finish_reason(finish),
        };
        to_json(&Completion {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            system_fingerprint: &self.fingerprint,
            choices: [choice],
            usage,
            sponsored: self.sponsored.as_ref(),
        })
    }

    /// First event of a stream: who speaks.
    pub fn opening(&self, with_usage: bool) -> String {
        self.chunk(&[choice(Delta { role: Some("assistant"), content: Some("") }, None)], with_usage.then_some(None))
    }

    pub fn delta(&self, content: &str, with_usage: bool) -> String {
        self.chunk(&[choice(Delta { role: None, content: Some(content) }, None)], with_usage.then_some(None))
    }

    pub fn finish(&self, finish: Finish, with_usage: bool) -> String {
        self.chunk(&[choice(Delta::default(), Some(finish_reason(finish)))], with_usage.then_some(None))
    }

    pub fn usage(&self, usage: Usage) -> String {
        self.chunk(&[], Some(Some(usage)))
    }

    fn chunk(&self, choices: &[ChunkChoice<'_>], usage: Option<Option<Usage>>) -> String {
        to_json(&Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            system_fingerprint: &self.fingerprint,
            choices,
            usage,
            sponsored: self.sponsored.as_ref(),
        })
    }
}

fn choice<'a>(delta: Delta<'a>, finish_reason: Option<&'static str>) -> ChunkChoice<'a> {
    ChunkChoice { index: 0, delta, logprobs: None, finish_reason }
}

/// Strings and numbers always serialise.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn parse(extra: Value) -> Result<ChatRequest, ApiError> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        ChatRequest::parse(&serde_json::to_vec(&body).unwrap())
    }

    fn refused(extra: Value) -> (Kind, String) {
        let error = parse(extra.clone()).expect_err(&extra.to_string());
        (error.kind, error.param.unwrap_or_default())
    }

    #[test]
    fn text_parts_equal_a_string() {
        let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
        let request =
            parse(json!({"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": parts}]}))
                .unwrap();
        let turns: Vec<(&str, &str)> =
            request.chat.turns.iter().map(|t| (t.role.as_str(), t.content.as_str())).collect();
        assert_eq!(turns, [("system", "s"), ("user", "a\nb")]);
    }

    #[test]
    fn both_names_of_the_token_limit_mean_the_same() {
        assert_eq!(parse(json!({"max_tokens": 7})).unwrap().max_tokens, Some(7));
        assert_eq!(parse(json!({"max_completion_tokens": 7})).unwrap().max_tokens, Some(7));
    }

    #[test]
    fn refusals_name_the_field() {
        use Kind::{InvalidValue, UnknownField, UnsupportedValue};
        let cases = [
            (json!({"messages": []}), InvalidValue, "messages"),
            (json!({"messages": "hi"}), InvalidValue, "messages"),
            (json!({"messages": ["hi"]}), InvalidValue, "messages[0]"),
            (json!({"messages": [{"role": "user"}]}), InvalidValue, "messages[0].content"),
            (json!({"messages": [{"role": "king", "content": ""}]}), InvalidValue, "messages[0].role"),
            (json!({"messages": [{"role": "tool", "content": ""}]}), UnsupportedValue, "messages[0].role"),
            (json!({"messages": [{"role": "user", "content": 5}]}), InvalidValue, "messages[0].content"),
            (json!({"messages": [{"role": "user", "content": "", "mood": 1}]}), UnknownField, "messages[0].mood"),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
                UnsupportedValue,
                "messages[0].content[0].type",
            ),
            (json!({"max_tokens": 0}), InvalidValue, "max_tokens"),
            (json!({"max_tokens": -5}), InvalidValue, "max_tokens"),
            (json!({"temperature": 2.1}), InvalidValue, "temperature"),
            (json!({"stop": ["a", "b", "c", "d", "e"]}), InvalidValue, "stop"),
            (json!({"stop": ""}), InvalidValue, "stop"),
            (json!({"stream_options": {"include_usage": true}}), InvalidValue, "stream_options"),
            (json!({"n": 2}), UnsupportedValue, "n"),
            (json!({"tools": [{"type": "function"}]}), UnsupportedValue, "tools"),
            (json!({"logprobs": true}), UnsupportedValue, "logprobs"),
            (json!({"response_format": {"type": "json_object"}}), UnsupportedValue, "response_format"),
            (json!({"route": {"planet": "mars"}}), InvalidValue, "route"),
            (json!({"model": ""}), InvalidValue, "model"),
            (json!({"model": null}), InvalidValue, "model"),
            (json!({"best_of": 2}), UnknownField, "best_of"),
        ];
        for (extra, kind, param) in cases {
            assert_eq!(refused(extra.clone()), (kind, param.to_owned()), "{extra}");
        }
    }

    #[test]
    fn harmless_fields_pass() {
        let extra = json!({"user": "u", "store": false, "metadata": {"a": "b"}, "parallel_tool_calls": true, "n": 1,
                           "seed": -1, "stop": null, "route": {"regions": ["eu"]}});
        let request = parse(extra).unwrap();
        assert_eq!(request.chat.seed, Some(u64::MAX));
        assert_eq!(request.wish.regions, ["eu"]);
    }
}
