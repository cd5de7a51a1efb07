//! Text from tokens as they come, never splitting a UTF-8 sequence: a character of several tokens leaves with its last.

use tokenizers::Tokenizer;

/// A character is at most four bytes, so at most four byte tokens: whatever is still incomplete after these is no character,
/// and leaves as the replacement character it decodes to.
const MAX_HELD: usize = 4;

pub(crate) struct Detokenizer<'t> {
    tokenizer: &'t Tokenizer,
    /// Tokens from `shown_from` on; earlier ones no longer influence the text.
    ids: Vec<u32>,
    /// How many of `ids` are already text that left.
    shown: usize,
    shown_text: String,
}

impl<'t> Detokenizer<'t> {
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, ids: Vec::new(), shown: 0, shown_text: String::new() }
    }

    /// The text this token completes, possibly none.
    pub fn push(&mut self, id: u32) -> Result<String, tokenizers::Error> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids, true)?;
        let incomplete = text.ends_with(char::REPLACEMENT_CHARACTER) && self.ids.len() - self.shown < MAX_HELD;
        if incomplete || text.len() <= self.shown_text.len() {
            return Ok(String::new());
        }
        let new = text.get(self.shown_text.len()..).unwrap_or_default().to_owned();
        // The tokens just shown stay as context for the next ones; those before them go.
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        self.shown_text = self.tokenizer.decode(&self.ids, true)?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Map, Value, json};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    /// One token per byte.
    fn bytes_only() -> Tokenizer {
        let alphabet = ByteLevel::alphabet().into_iter().map(String::from);
        let vocab: Map<String, Value> = alphabet.zip((0..).map(Value::from)).collect();
        let byte_level =
            json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
        let file = json!({
            "version": "1.0",
            "pre_tokenizer": byte_level,
            "decoder": byte_level,
            "model": { "type": "BPE", "vocab": vocab, "merges": [] },
        });
        Tokenizer::from_bytes(file.to_string()).unwrap()
    }

    #[test]
    fn characters_of_several_tokens_come_whole() {
        let tokenizer = bytes_only();
        let text = "héllo 🌍 日本語 ok";
        let ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
        assert_eq!(ids.len(), text.len());
        let mut stream = Detokenizer::new(&tokenizer);
        let pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
        assert!(pieces.iter().all(|p| !p.contains(char::REPLACEMENT_CHARACTER)));
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn bytes_that_are_no_character_do_not_block_the_stream() {
        let tokenizer = bytes_only();
        let continuation = tokenizer.encode("é", false).unwrap().get_ids()[1];
        let letter = tokenizer.encode("a", false).unwrap().get_ids()[0];
        let mut stream = Detokenizer::new(&tokenizer);
        let mut text = String::new();
        for _ in 0..20 {
            text += &stream.push(continuation).unwrap();
        }
        text += &stream.push(letter).unwrap();
        assert!(text.ends_with('a'));
        assert!(text.len() > 1);
    }
}
