//! The added tokens of a tokenizer, which it finds in a text before it looks at anything else.

use serde_json::Value;

/// Texts of added tokens.
#[derive(Debug, PartialEq, Eq)]
pub struct Added {
    tokens: Vec<String>,
    /// Length of the longest in bytes.
    longest: usize,
}

impl Added {
    /// The added tokens of a tokenizer's definition.
    pub fn of(definition: &Value) -> Self {
        let tokens = definition["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tokens: Vec<String> =
            tokens.iter().filter_map(|token| token["content"].as_str()).map(str::to_string).collect();
        let longest = tokens.iter().map(String::len).max().unwrap_or(0);
        Self { tokens, longest }
    }

    /// Whether one is at this byte of a text, or so near that a part of the text could look like one.
    pub fn is_near(&self, text: &str, at: usize) -> bool {
        let from = text.floor_char_boundary(at.saturating_sub(self.longest));
        let to = text.ceil_char_boundary((at + 1 + self.longest).min(text.len()));
        let near = &text[from..to];
        self.tokens.iter().any(|token| near.contains(token.as_str()))
    }
}
