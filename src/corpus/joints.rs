//! Finds where a long word may be given to a tokenizer in parts that overlap, for tokenizers that merge pairs of characters.
//!
//! Such a tokenizer merges the pair that comes first in its list, again and again. What it does on one side of a place over
//! which no merge reaches depends on that side alone. So if two tokens are neighbours in the ids of some text, they can be
//! neighbours in any text, and ids of parts may be joined wherever the last id of the one and the first of the other are
//! neighbours in a text that covers both. Two overlapping parts show that.

use serde_json::Value;

use super::added::Added;
use super::cuts::{Split, is_letter, is_plain, normalizer, pre_tokenizer};

/// The places where overlapping parts may be joined.
#[derive(Debug)]
pub struct Joints {
    /// Only between small letters, else between letters: a word pattern splits elsewhere.
    small: bool,
    /// Between all printable characters of ASCII too: no pattern splits there.
    any: bool,
    /// Letters that must follow: a piece that is a token is not merged from its characters.
    follow: usize,
    /// No joint is near one of these.
    added: Added,
}

/// The longest contraction of the word patterns, as in `we'll`. They take it as a piece of its own.
const CONTRACTION: usize = 3;

impl Joints {
    /// The joints of a tokenizer; `None` if its definition does not guarantee any.
    pub fn of(definition: &Value) -> Option<Self> {
        let model = &definition["model"];
        if model["type"] != "BPE" || !is_plain(model) {
            return None;
        }
        let (mut splits, mut space_is) = (Vec::new(), " ".to_string());
        normalizer(&definition["normalizer"], &mut space_is)?;
        pre_tokenizer(&definition["pre_tokenizer"], &mut splits, &mut space_is)?;
        let longest = || model["vocab"].as_object().map(|vocab| vocab.keys().map(String::len).max().unwrap_or(0));
        Some(Self {
            small: splits.contains(&Split::Cases),
            any: !splits.contains(&Split::Words),
            follow: if model["ignore_merges"] == true { longest()? } else { 0 },
            added: Added::of(definition),
        })
    }

    /// The last place in `from..=to` where parts may be joined, in bytes.
    pub fn last(&self, text: &str, from: usize, to: usize) -> Option<usize> {
        (from.max(1)..=to.min(text.len().saturating_sub(1))).rev().find(|at| self.is_one(text, *at))
    }

    /// Whether parts may be joined before this byte.
    pub fn is_one(&self, text: &str, at: usize) -> bool {
        if !text.is_char_boundary(at) {
            return false;
        }
        let (before, behind) = (&text[..at], &text[at..]);
        let fits = |character: char| match () {
            () if self.small => character.is_ascii_lowercase() || (is_letter(character) && character.is_lowercase()),
            () => is_letter(character) || (self.any && character.is_ascii_graphic()),
        };
        before.chars().next_back().is_some_and(fits)
            && behind.chars().next().is_some_and(fits)
            && (self.any || !before.chars().rev().take(CONTRACTION).any(|character| character == '\''))
            && behind.chars().take_while(|character| is_letter(*character)).take(self.follow).count() == self.follow
            && !self.added.is_near(text, at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(pre_tokenizer: Value, ignores: bool) -> Value {
        json!({
            "added_tokens": [{"content": "xy"}], "normalizer": null, "pre_tokenizer": pre_tokenizer,
            "model": {"type": "BPE", "ignore_merges": ignores, "vocab": {"a": 0, "abc": 1}, "merges": []},
        })
    }

    fn places(definition: &Value, text: &str) -> Vec<usize> {
        let joints = Joints::of(definition).unwrap();
        (0..text.len()).filter(|at| joints.last(text, *at, *at).is_some()).collect()
    }

    #[test]
    fn joints_are_where_no_pattern_splits() {
        let bytes = json!({"type": "ByteLevel", "use_regex": true});
        assert_eq!(places(&definition(bytes.clone(), false), "ab12 cdé-e we'lla"), [1, 6, 7, 13]);
        assert_eq!(places(&definition(bytes, true), "abcde fg"), [1, 2]);
        assert_eq!(places(&definition(Value::Null, false), "a1-b c"), [1, 2, 3]);
        assert_eq!(places(&definition(Value::Null, false), "abcxydef"), [1, 6, 7]);
        let cases =
            json!({"type": "Split", "behavior": "Isolated", "pattern": {"Regex": super::super::cuts::WORDS[4]}});
        assert_eq!(places(&definition(cases, false), "abCDe日本fg"), [1, 12]);
    }

    #[test]
    fn other_models_have_none() {
        for (key, value) in [("type", json!("Unigram")), ("dropout", json!(0.1)), ("end_of_word_suffix", json!("</w>"))]
        {
            let mut other = definition(Value::Null, false);
            other["model"][key] = value;
            assert!(Joints::of(&other).is_none(), "{key}");
        }
        assert!(Joints::of(&definition(json!({"type": "BertPreTokenizer"}), false)).is_none());
    }
}
