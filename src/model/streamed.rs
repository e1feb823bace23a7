//! Decodes a growing list of tokens and emits only text that no later token can change.

use super::tokenizer::Tokenizer;

/// The token of a byte that never occurs in UTF-8, in tokenizers with a token for each byte.
const STRAY: &str = "<0xFF>";

/// A text that grows token by token.
///
/// A token may be a part of a character. A decoder with byte fallback shows a whole run of bytes as U+FFFD if any of
/// them is not UTF-8, even those that were valid before it. So bytes at the end wait for the next token.
pub struct Streamed<'a> {
    tokenizer: &'a Tokenizer,
    tokens: Vec<u32>,
    /// The text that was already emitted.
    told: String,
}

impl<'a> Streamed<'a> {
    /// A text without tokens.
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, tokens: Vec::new(), told: String::new() }
    }

    /// Adds tokens, and returns the text that has become certain.
    ///
    /// # Errors
    /// The tokenizer's error.
    pub fn push(&mut self, tokens: &[u32]) -> Result<String, String> {
        self.tokens.extend_from_slice(tokens);
        let text = self.tokenizer.decode(&self.tokens)?;
        let mut certain = text.trim_end_matches('\u{fffd}').len();
        if let Some(stray) = self.tokenizer.id(STRAY) {
            self.tokens.push(stray);
            let spoilt = self.tokenizer.decode(&self.tokens);
            self.tokens.pop();
            certain = certain.min(common(&text, &spoilt?));
        }
        Ok(self.tell(&text[..certain]))
    }

    /// Returns the rest of the text when no more tokens come.
    ///
    /// # Errors
    /// The tokenizer's error.
    pub fn finish(mut self) -> Result<String, String> {
        let text = self.tokenizer.decode(&self.tokens)?;
        Ok(self.tell(&text))
    }

    fn tell(&mut self, text: &str) -> String {
        let from = common(text, &self.told);
        // Another kind of decoder may change text that was already emitted and cannot be taken back.
        let new = if from == self.told.len() { &text[from..] } else { "" };
        self.told.push_str(new);
        new.to_string()
    }
}

/// Length in bytes of the common beginning of two texts.
fn common(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(character, _)| character.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A tokenizer with letters, a space and a token for each byte as fallback, like that of Llama 2.
    fn with_bytes() -> Tokenizer {
        let mut vocab = serde_json::Map::new();
        for (id, name) in ["<unk>", "</s>", "▁", "a"].into_iter().enumerate() {
            vocab.insert(name.into(), id.into());
        }
        for byte in 0..256 {
            vocab.insert(format!("<0x{byte:02X}>"), (4 + byte).into());
        }
        let definition = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
            "post_processor": null,
            "added_tokens": [{"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true}],
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            ]},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "merges": [], "vocab": vocab,
            },
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, definition.to_string()).unwrap();
        Tokenizer::open(&path, 260).unwrap()
    }

    /// The text emitted for each token, and at the end.
    fn told(tokenizer: &Tokenizer, tokens: &[u32]) -> Vec<String> {
        let mut streamed = Streamed::new(tokenizer);
        let mut told: Vec<String> = tokens.iter().map(|token| streamed.push(&[*token]).unwrap()).collect();
        told.push(streamed.finish().unwrap());
        assert_eq!(told.concat(), tokenizer.decode(tokens).unwrap());
        told
    }

    #[test]
    fn bytes_wait_for_the_next_token() {
        let tokenizer = with_bytes();
        let byte = |byte: u8| 4 + u32::from(byte);
        assert_eq!(told(&tokenizer, &[3, 2, 3]), ["a", " ", "a", ""]);
        assert_eq!(told(&tokenizer, &[byte(0xc3), byte(0xa4), 3]), ["", "", "äa", ""]);
        assert_eq!(told(&tokenizer, &[3, byte(b'g'), 2]), ["a", "", "g ", ""]);
        assert_eq!(told(&tokenizer, &[3, byte(b'g'), byte(0x80), 3]), ["a", "", "", "\u{fffd}\u{fffd}a", ""]);
        // A token that is not shown does not end the run of bytes.
        assert_eq!(told(&tokenizer, &[byte(b'g'), 1, byte(0x80), 3]), ["", "", "", "\u{fffd}\u{fffd}a", ""]);
        assert_eq!(told(&tokenizer, &[3, byte(b'g'), byte(0x14)]), ["a", "", "", "g\u{14}"]);
    }

    #[test]
    fn a_part_of_a_character_waits_for_the_rest() {
        let told = told(&Tokenizer::Bytes, &[97, 0xe2, 0x82, 0xac, 0xe2, 97, 0xe2]);
        assert_eq!(told, ["a", "", "", "€", "", "\u{fffd}a", "", "\u{fffd}"]);
    }
}
