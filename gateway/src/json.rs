//! Reads JSON objects against a table of known fields. Fields stay unparsed slices of the body until they are asked for, so
//! a hostile body costs no more memory than it has bytes, and every complaint names its field.

use crate::error::{ApiError, Kind};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

/// What happens to a field that OpenAI's API knows.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// The handler reads it.
    Read,
    /// Accepted; changes nothing about the answer.
    Ignored,
    /// Only these JSON values (and null) are served.
    Only(&'static [&'static str]),
}

/// The known fields of one object.
pub type Schema = &'static [(&'static str, Rule)];

/// A JSON object whose fields all are in its schema.
pub struct Object<'a> {
    /// Where it stands in the request: empty, or such as `messages[0].`.
    path: String,
    values: BTreeMap<&'static str, &'a RawValue>,
}

impl<'a> Object<'a> {
    /// Reads a whole body.
    pub fn body(bytes: &'a [u8], schema: Schema) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let message = format!("The request body is not valid UTF-8 (at byte {}).", e.valid_up_to());
            ApiError::new(Kind::InvalidJson, message)
        })?;
        Self::read(text, schema, String::new())
    }

    /// Reads an object inside a body; `path` is its place, such as `messages[0]`.
    pub fn nested(raw: &'a RawValue, schema: Schema, path: &str) -> Result<Self, ApiError> {
        Self::read(raw.get(), schema, format!("{path}."))
    }

    fn read(text: &'a str, schema: Schema, path: String) -> Result<Self, ApiError> {
        let mut scan = Scan { schema, ..Scan::default() };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = scan.deserialize_into(&mut json).and_then(|()| json.end());
        if let Err(error) = read {
            return Err(match (error.classify(), scan.current, path.strip_suffix('.')) {
                (Category::Data, _, None) => {
                    ApiError::new(Kind::InvalidJson, "The request body must be a JSON object.")
                }
                (Category::Data, _, Some(place)) => {
                    ApiError::of(Kind::InvalidValue, place, format!("'{place}' must be an object."))
                }
                (_, field, _) => {
                    let message = match not_a_number(text, &error) {
                        Some(word) => format!("{word} is not a JSON number."),
                        None => format!("The request body is not valid JSON: {error}."),
                    };
                    ApiError { param: field, ..ApiError::new(Kind::InvalidJson, message) }
                }
            });
        }
        if let Some(name) = scan.unknown {
            let message = format!("Unrecognized request argument supplied: {path}{name}");
            return Err(ApiError::of(Kind::UnknownField, format!("{path}{name}"), message));
        }
        let object = Self { path, values: scan.values };
        for (name, rule) in schema {
            if let Rule::Only(served) = rule {
                object.require_one_of(name, served)?;
            }
        }
        Ok(object)
    }

    /// The field's place in the request.
    pub fn at(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// The field's text; null counts as absent.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.values.get(name).copied().filter(|raw| raw.get() != "null")
    }

    pub fn require(&self, name: &str) -> Result<&'a RawValue, ApiError> {
        self.get(name).ok_or_else(|| {
            let at = self.at(name);
            ApiError::of(Kind::InvalidValue, &at, format!("Missing required parameter: '{at}'."))
        })
    }

    pub fn string(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.typed(name, "a string")
    }

    pub fn boolean(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.typed(name, "a boolean")?.unwrap_or(false))
    }

    /// A finite number inside the range.
    pub fn float(&self, name: &str, range: RangeInclusive<f32>) -> Result<Option<f32>, ApiError> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        if !is_number(raw) {
            return Err(self.wrong(name, "a number", raw));
        }
        // A literal beyond f64 does not parse; it is out of any range.
        match raw.get().parse::<f64>() {
            Ok(value) if f64::from(*range.start()) <= value && value <= f64::from(*range.end()) => {
                Ok(Some(value as f32))
            }
            _ => Err(self.outside(name, raw, range.start(), range.end())),
        }
    }

    /// A whole number inside the range.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        if !is_number(raw) || raw.get().contains(['.', 'e', 'E']) {
            return Err(self.wrong(name, "an integer", raw));
        }
        match raw.get().parse::<i64>() {
            Ok(value) if range.contains(&value) => Ok(Some(value)),
            _ => Err(self.outside(name, raw, range.start(), range.end())),
        }
    }

    fn typed<T: Deserialize<'a>>(&self, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|raw| serde_json::from_str(raw.get()).map_err(|_| self.wrong(name, expected, raw)))
            .transpose()
    }

    fn wrong(&self, name: &str, expected: &str, raw: &RawValue) -> ApiError {
        let at = self.at(name);
        let message = format!("Invalid type for '{at}': expected {expected}, but got {} instead.", describe(raw));
        ApiError::of(Kind::InvalidValue, at, message)
    }

    fn outside(&self, name: &str, raw: &RawValue, low: impl fmt::Display, high: impl fmt::Display) -> ApiError {
        let at = self.at(name);
        let message = format!("Invalid '{at}': expected a value between {low} and {high}, but got {}.", short(raw));
        ApiError::of(Kind::InvalidValue, at, message)
    }

    fn require_one_of(&self, name: &str, served: &[&str]) -> Result<(), ApiError> {
        let Some(raw) = self.get(name) else { return Ok(()) };
        if served.iter().any(|value| same_json(raw.get(), value)) {
            return Ok(());
        }
        let at = self.at(name);
        let message = match served {
            [] => format!("Unsupported parameter: '{at}' is not supported by this model."),
            _ => {
                format!("Unsupported value: '{at}' does not support {}; supported: {}.", short(raw), served.join(", "))
            }
        };
        Err(ApiError::of(Kind::UnsupportedValue, at, message))
    }
}

/// A list of at most `limit` elements; longer ones are refused before they are held.
pub fn list<'a, T: Deserialize<'a>>(raw: &'a RawValue, limit: usize) -> Result<Vec<T>, ListError> {
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let mut too_long = false;
    let read = ListSeed { limit, too_long: &mut too_long, element: PhantomData }.deserialize(&mut json);
    read.map_err(|_| if too_long { ListError::TooLong } else { ListError::Element })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListError {
    TooLong,
    /// Not a list, or an element is of another type.
    Element,
}

/// The kind of JSON value by its first character.
pub fn describe(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if raw.get().contains(['.', 'e', 'E']) => "a decimal",
        _ => "an integer",
    }
}

fn is_number(raw: &RawValue) -> bool {
    raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// The value's text, cut for a message.
fn short(raw: &RawValue) -> String {
    match raw.get().char_indices().nth(40) {
        None => raw.get().to_owned(),
        Some((cut, _)) => format!("{}…", &raw.get()[..cut]),
    }
}

/// Whether two short JSON texts mean the same.
fn same_json(text: &str, served: &str) -> bool {
    let parse = serde_json::from_str::<serde_json::Value>;
    text.len() <= 64 && matches!((parse(text), parse(served)), (Ok(a), Ok(b)) if a == b)
}

/// Python's `json` writes NaN and infinities as bare words: worth a message of its own.
fn not_a_number(text: &str, error: &serde_json::Error) -> Option<&'static str> {
    let line = text.lines().nth(error.line().checked_sub(1)?)?.as_bytes();
    let near = &line[error.column().saturating_sub(2).min(line.len())..];
    let near = &near[..near.len().min(10)];
    ["NaN", "Infinity"].into_iter().find(|word| near.windows(word.len()).any(|window| window == word.as_bytes()))
}

/// Collects the slices of an object's fields.
#[derive(Default)]
struct Scan<'a> {
    schema: Schema,
    values: BTreeMap<&'static str, &'a RawValue>,
    /// The first field that is not in the schema.
    unknown: Option<String>,
    /// The field being read, for errors.
    current: Option<String>,
}

impl<'a> Scan<'a> {
    fn deserialize_into<D: de::Deserializer<'a>>(&mut self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for &mut Scan<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let known = self.schema.iter().find(|(known, _)| *known == name);
            self.current = Some(name);
            let value = map.next_value::<&RawValue>()?;
            let name = self.current.take();
            match known {
                Some((known, _)) => {
                    self.values.insert(known, value);
                }
                None if self.unknown.is_none() => self.unknown = name,
                None => {}
            }
        }
        Ok(())
    }
}

struct ListSeed<'s, T> {
    limit: usize,
    too_long: &'s mut bool,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for ListSeed<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Vec<T>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListSeed<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Vec<T>, S::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == self.limit {
                *self.too_long = true;
                return Err(de::Error::custom("too long"));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SCHEMA: Schema = &[
        ("t", Rule::Read),
        ("n", Rule::Only(&["1"])),
        ("user", Rule::Ignored),
        ("tools", Rule::Only(&[])),
        ("f", Rule::Only(&[r#"{"type":"text"}"#])),
    ];

    fn fails(body: &str) -> ApiError {
        match Object::body(body.as_bytes(), SCHEMA) {
            Err(error) => error,
            Ok(object) => match (object.float("t", 0.0..=2.0), object.integer("t", 1..=10)) {
                (Err(error), _) | (_, Err(error)) => error,
                _ => panic!("{body} passed"),
            },
        }
    }

    #[test]
    fn complaints_name_kind_and_field() {
        let cases = [
            ("{\"t\": 1", Kind::InvalidJson, None),
            ("[1]", Kind::InvalidJson, None),
            ("{} x", Kind::InvalidJson, None),
            (r#"{"t": NaN}"#, Kind::InvalidJson, Some("t")),
            (r#"{"t": -Infinity}"#, Kind::InvalidJson, Some("t")),
            (r#"{"t": 1e999}"#, Kind::InvalidValue, Some("t")),
            (r#"{"t": -1}"#, Kind::InvalidValue, Some("t")),
            (r#"{"t": 99999999999999999999999999}"#, Kind::InvalidValue, Some("t")),
            (r#"{"t": "1"}"#, Kind::InvalidValue, Some("t")),
            (r#"{"t": 1.5}"#, Kind::InvalidValue, Some("t")),
            (r#"{"x": 1}"#, Kind::UnknownField, Some("x")),
            (r#"{"n": 2}"#, Kind::UnsupportedValue, Some("n")),
            (r#"{"tools": []}"#, Kind::UnsupportedValue, Some("tools")),
            (r#"{"f": {"type": "json_object"}}"#, Kind::UnsupportedValue, Some("f")),
        ];
        for (body, kind, param) in cases {
            let error = fails(body);
            assert_eq!((error.kind, error.param.as_deref()), (kind, param), "{body}: {error}");
        }
        assert!(fails(r#"{"t": NaN}"#).message.contains("NaN"));
        assert_eq!(fails(r#"{"x": 1}"#).message, "Unrecognized request argument supplied: x");
    }

    #[test]
    fn harmless_values_pass() {
        for body in [r#"{}"#, r#"{"n":1,"user":"u","tools":null}"#, r#" {"f": { "type" : "text" }, "t": 2} "#] {
            assert!(Object::body(body.as_bytes(), SCHEMA).is_ok(), "{body}");
        }
    }

    #[test]
    fn invalid_utf8_is_refused_with_its_place() {
        let Err(error) = Object::body(b"{\"t\": \"\xff\"}", SCHEMA) else { panic!("passed") };
        assert!(error.message.contains("at byte 7"), "{error}");
    }

    #[test]
    fn a_long_list_is_refused_at_its_limit() {
        let raw: &RawValue = serde_json::from_str("[1,2,3]").unwrap();
        assert_eq!(list::<u32>(raw, 3), Ok(vec![1, 2, 3]));
        assert_eq!(list::<u32>(raw, 2), Err(ListError::TooLong));
        let raw: &RawValue = serde_json::from_str("[1,-2]").unwrap();
        assert_eq!(list::<u32>(raw, 3), Err(ListError::Element));
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Object::body(&bytes, SCHEMA).map(|object| object.float("t", 0.0..=1.0));
        }

        #[test]
        fn no_text_panics(text in "[{}\\[\\]\":,tnNaIfiy0-9.eé \n-]{0,60}") {
            let _ = Object::body(text.as_bytes(), SCHEMA).map(|object| object.integer("t", 0..=1));
        }
    }
}
