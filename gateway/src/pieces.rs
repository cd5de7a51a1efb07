//! Collects what a worker sends, bounded by what was asked for, and hashes it as the receipt must.

use crate::chat::Usage;
use crate::embeddings::floats;
use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use waybill_mechanism::message::Receipt;
use waybill_protocol::frame::EventKind;

/// More bytes than any token of a sane vocabulary has, on average.
const BYTES_PER_TOKEN: usize = 512;
const MAX_DIMS: u32 = 16_384;

/// The text of a chat.
pub struct Text {
    hasher: Sha256,
    /// The whole text, where it is wanted at the end.
    content: Option<String>,
    seen: usize,
    limit: usize,
}

impl Text {
    /// `keep` when the whole text is wanted at the end.
    pub fn new(max_tokens: u32, keep: bool) -> Self {
        let limit = (max_tokens as usize).saturating_add(1).saturating_mul(BYTES_PER_TOKEN);
        Self { hasher: Sha256::new(), content: keep.then(String::new), seen: 0, limit }
    }

    pub fn push(&mut self, piece: &str) -> Result<(), &'static str> {
        self.seen = self.seen.saturating_add(piece.len());
        if self.seen > self.limit {
            return Err("more text than the tokens asked for can have");
        }
        self.hasher.update(piece);
        if let Some(content) = &mut self.content {
            content.push_str(piece);
        }
        Ok(())
    }

    pub fn content(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }
}

/// The vectors of embeddings, row by row.
pub struct Rows {
    values: BytesMut,
    dims: u32,
    rows: usize,
}

impl Rows {
    /// For `rows` inputs.
    pub fn new(rows: usize) -> Self {
        Self { values: BytesMut::new(), dims: 0, rows }
    }

    pub fn push(&mut self, dims: u32, values: &Bytes) -> Result<(), &'static str> {
        if dims == 0 || dims > MAX_DIMS || (self.dims != 0 && self.dims != dims) {
            return Err("vectors of another dimension");
        }
        self.dims = dims;
        let row_bytes = dims as usize * 4;
        if !values.len().is_multiple_of(row_bytes) || self.values.len() + values.len() > row_bytes * self.rows {
            return Err("more or less vectors than inputs");
        }
        if !floats(values).all(f32::is_finite) {
            return Err("a vector with a value that is no number");
        }
        self.values.extend_from_slice(values);
        Ok(())
    }

    pub fn dims(&self) -> usize {
        self.dims as usize
    }

    /// All rows, f32 little-endian.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    fn is_complete(&self) -> bool {
        self.dims > 0 && self.values.len() == self.dims() * 4 * self.rows
    }
}

/// What a worker produces for one call.
pub trait Output: Send + Sync + 'static {
    /// Takes the next event that is not the last.
    fn take(&mut self, event: &EventKind) -> Result<(), &'static str>;

    /// The hash that the receipt must name, and whether there is any output, once all of it is here.
    fn seal(&self) -> Result<([u8; 32], bool), &'static str>;

    /// Vectors as they came; none for text, whose tokens the worker names.
    fn values(&self) -> Bytes {
        Bytes::new()
    }
}

impl Output for Text {
    fn take(&mut self, event: &EventKind) -> Result<(), &'static str> {
        match event {
            EventKind::Text(delta) => self.push(&delta.text),
            _ => Err("an event that is no text in a chat"),
        }
    }

    /// SHA-256 of the concatenated text.
    fn seal(&self) -> Result<([u8; 32], bool), &'static str> {
        Ok((self.hasher.clone().finalize().into(), self.seen > 0))
    }
}

impl Output for Rows {
    fn take(&mut self, event: &EventKind) -> Result<(), &'static str> {
        match event {
            EventKind::Vectors(vectors) => self.push(vectors.dims, &vectors.values),
            _ => Err("an event that is no vectors in embeddings"),
        }
    }

    /// SHA-256 of the concatenated values.
    fn seal(&self) -> Result<([u8; 32], bool), &'static str> {
        if self.is_complete() {
            Ok((Sha256::digest(&self.values).into(), true))
        } else {
            Err("fewer vectors than inputs")
        }
    }

    fn values(&self) -> Bytes {
        Bytes::copy_from_slice(&self.values)
    }
}

/// The usage that consumers see is the receipt's.
pub fn usage(receipt: &Receipt) -> Usage {
    Usage {
        prompt_tokens: receipt.units_in,
        completion_tokens: receipt.units_out,
        total_tokens: u64::from(receipt.units_in) + u64::from(receipt.units_out),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes(values: &[f32]) -> Bytes {
        values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    #[test]
    fn rows_arrive_in_any_grouping() {
        let mut rows = Rows::new(3);
        rows.push(2, &bytes(&[1.0, 2.0])).unwrap();
        rows.push(2, &bytes(&[3.0, 4.0, 5.0, 6.0])).unwrap();
        assert_eq!((rows.values(), rows.dims()), (&bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[..], 2));
        assert!(rows.seal().is_ok());
    }

    #[test]
    fn vectors_that_fit_no_input_are_refused() {
        assert!(Rows::new(1).push(0, &Bytes::new()).is_err());
        assert!(Rows::new(1).push(u32::MAX, &bytes(&[1.0])).is_err());
        assert!(Rows::new(1).push(2, &bytes(&[1.0])).is_err());
        assert!(Rows::new(1).push(1, &bytes(&[1.0, 2.0])).is_err());
        assert!(Rows::new(1).push(1, &bytes(&[f32::NAN])).is_err());
        let mut rows = Rows::new(2);
        rows.push(1, &bytes(&[1.0])).unwrap();
        assert!(rows.push(2, &bytes(&[1.0, 2.0])).is_err());
        assert!(rows.seal().is_err());
        assert!(Rows::new(1).seal().is_err());
    }

    #[test]
    fn text_is_bounded_by_the_tokens_asked_for() {
        let mut text = Text::new(1, true);
        assert!(text.push(&"x".repeat(2 * BYTES_PER_TOKEN)).is_ok());
        assert!(text.push("x").is_err());
    }
}
