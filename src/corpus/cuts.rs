//! Finds where a long text may be cut for a tokenizer so that its parts have the ids of the whole: before a space or a
//! line break between two letters, if nothing in the tokenizer's definition joins the two sides.

use serde_json::Value;

use super::added::Added;

/// Word patterns of common tokenizers. None has a piece in which a space or a line break follows a letter.
pub(super) const WORDS: [&str; 5] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// The places where texts may be cut.
#[derive(Debug, PartialEq, Eq)]
pub struct Cuts {
    space: bool,
    line_break: bool,
    /// No cut is near one of these.
    added: Added,
}

impl Cuts {
    /// The cuts of a tokenizer; `None` if its definition does not guarantee any.
    pub fn of(definition: &Value) -> Option<Self> {
        let model = &definition["model"];
        let (mut splits, mut space_is) = (Vec::new(), " ".to_string());
        normalizer(&definition["normalizer"], &mut space_is)?;
        pre_tokenizer(&definition["pre_tokenizer"], &mut splits, &mut space_is)?;
        let (space, line_break) = match model["type"].as_str()? {
            "BPE" => by_merges(model, &splits, &space_is)?,
            // These look at a whole piece at once, and at nothing beside it.
            "Unigram" | "WordPiece" | "WordLevel" => {
                let at_both = splits.iter().any(|split| matches!(split, Split::Words | Split::Spaces));
                (at_both || splits.contains(&Split::Marks), at_both)
            }
            _ => return None,
        };
        (space || line_break).then(|| Self { space, line_break, added: Added::of(definition) })
    }

    /// The last place in `from..=to` where the text may be cut, in bytes.
    pub fn last(&self, text: &str, from: usize, to: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut places = (from.max(1)..=to.min(bytes.len().saturating_sub(2))).rev();
        places.find(|at| self.is_one(text, *at))
    }

    /// The first place in `from..=to` where the text may be cut, in bytes.
    pub fn first(&self, text: &str, from: usize, to: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut places = from.max(1)..=to.min(bytes.len().saturating_sub(2));
        places.find(|at| self.is_one(text, *at))
    }

    fn is_one(&self, text: &str, at: usize) -> bool {
        let wanted = match text.as_bytes()[at] {
            b' ' => self.space,
            b'\n' => self.line_break,
            _ => false,
        };
        // Bytes below 128 are whole characters.
        wanted
            && text[..at].chars().next_back().is_some_and(is_letter)
            && text[at + 1..].chars().next().is_some_and(is_letter)
            && !self.added.is_near(text, at)
    }
}

/// What a tokenizer splits a text by before it looks at the pieces.
#[derive(PartialEq, Eq)]
pub(super) enum Split {
    /// Characters stand for bytes.
    Bytes,
    /// At the places of [`WORDS`].
    Words,
    /// The same, and where a capital letter follows a small one.
    Cases,
    /// Before each space.
    Marks,
    /// At all white space, which is left out.
    Spaces,
}

/// Whether a tokenizer that merges characters may be cut before spaces and before line breaks; `None` for neither.
fn by_merges(model: &Value, splits: &[Split], space_is: &str) -> Option<(bool, bool)> {
    if !is_plain(model) {
        return None;
    }
    let of_bytes = splits.contains(&Split::Bytes);
    // Without word splitting, a whole text that is a token would be taken as one.
    if model["ignore_merges"] == true && splits.iter().all(|split| *split == Split::Bytes) {
        return None;
    }
    let vocab = model["vocab"].as_object()?;
    // No merge may cross a cut.
    if vocab.keys().any(|token| joins(token, of_bytes)) {
        return None;
    }
    // An unknown character may be fused with an unknown one beside it.
    let known = of_bytes || splits.contains(&Split::Spaces);
    let space = known || vocab.contains_key(space_is);
    Some((space, known || (model["byte_fallback"] == true && vocab.contains_key("<0x0A>"))))
}

/// Whether a model that merges characters looks at nothing but these.
pub(super) fn is_plain(model: &Value) -> bool {
    let empty = |key: &str| model[key].is_null() || model[key].as_str() == Some("");
    let drops = model["dropout"].as_f64().is_some_and(|dropout| dropout > 0.0);
    empty("continuing_subword_prefix") && empty("end_of_word_suffix") && !drops
}

/// Reads the normalisation; `None` if a step may look beyond a character, a space or a line break.
pub(super) fn normalizer(part: &Value, space_is: &mut String) -> Option<()> {
    match part["type"].as_str() {
        None if part.is_null() => Some(()),
        Some("Sequence") => part["normalizers"].as_array()?.iter().try_for_each(|part| normalizer(part, space_is)),
        // A table of SentencePiece maps single characters, and those with their accents.
        Some("Prepend" | "NFC" | "NFD" | "NFKC" | "NFKD" | "Precompiled") => Some(()),
        // A single space between letters is none of several.
        Some("Replace") if part["pattern"]["Regex"] == " {2,}" => Some(()),
        Some("Replace") if part["pattern"]["String"] == " " => {
            *space_is = part["content"].as_str()?.to_string();
            Some(())
        }
        _ => None,
    }
}

/// Reads how a text is split before characters are merged; `None` for a splitter that is not known to split at cuts.
pub(super) fn pre_tokenizer(part: &Value, splits: &mut Vec<Split>, space_is: &mut String) -> Option<()> {
    match part["type"].as_str() {
        None if part.is_null() => Some(()),
        Some("Sequence") => {
            let parts = part["pretokenizers"].as_array()?;
            parts.iter().try_for_each(|part| pre_tokenizer(part, splits, space_is))
        }
        Some("Metaspace") => {
            let mark = part["replacement"].as_str()?;
            // Spaces that have become something else are no places to split.
            if part["split"] != false && (*space_is == " " || *space_is == mark) {
                splits.push(Split::Marks);
            }
            *space_is = mark.to_string();
            Some(())
        }
        Some("WhitespaceSplit" | "Whitespace") if *space_is == " " && !splits.contains(&Split::Bytes) => {
            splits.push(Split::Spaces);
            Some(())
        }
        Some("ByteLevel") => {
            splits.push(Split::Bytes);
            if part["use_regex"] != false {
                splits.push(Split::Words);
            }
            Some(())
        }
        Some("Split")
            if part["behavior"] == "Isolated"
                && part["invert"] != true
                && part["pattern"]["Regex"].as_str().is_some_and(|pattern| WORDS.contains(&pattern)) =>
        {
            splits.push(Split::Words);
            if part["pattern"]["Regex"] == WORDS[4] {
                splits.push(Split::Cases);
            }
            Some(())
        }
        Some("Digits") => Some(()),
        _ => None,
    }
}

/// Whether a token has a space or a line break after a letter.
fn joins(token: &str, of_bytes: bool) -> bool {
    let mut before = None;
    for character in token.chars() {
        let is_mark = matches!(character, ' ' | '\n' | '\u{2581}' | '\u{120}' | '\u{10a}');
        if is_mark && before.is_some_and(|before: char| ends_letter(before, of_bytes)) {
            return true;
        }
        before = Some(character);
    }
    false
}

/// Whether a character of a token may be the end of a letter.
fn ends_letter(character: char, of_bytes: bool) -> bool {
    match of_bytes {
        // The names of bytes up to the space are U+0100 to U+0120.
        true => {
            character.is_ascii_alphabetic() || (character > '\u{7f}' && !('\u{100}'..='\u{120}').contains(&character))
        }
        false => character.is_alphabetic() && character != '\u{2581}',
    }
}

/// Letters of a few scripts, none of them a mark that belongs to another character.
pub(super) fn is_letter(character: char) -> bool {
    matches!(character,
        'a'..='z' | 'A'..='Z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{24f}'
        | '\u{3b1}'..='\u{3c9}' | '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3a9}'
        | '\u{410}'..='\u{44f}' | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{63f}' | '\u{641}'..='\u{64a}'
        | '\u{905}'..='\u{939}' | '\u{e01}'..='\u{e30}'
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn llama(vocab: &[&str]) -> Value {
        let vocab: serde_json::Map<_, _> =
            vocab.iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
        json!({
            "added_tokens": [{"content": "</s>"}], "pre_tokenizer": null,
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]},
            "model": {"type": "BPE", "dropout": null, "byte_fallback": true, "fuse_unk": true, "vocab": vocab},
        })
    }

    #[test]
    fn a_definition_shows_where_texts_may_be_cut() {
        let known = ["<0x0A>", "▁", "a", "▁▁", "▁a"];
        let cuts = Cuts::of(&llama(&known)).unwrap();
        assert!(cuts.space && cuts.line_break);
        assert_eq!(Cuts::of(&llama(&["▁", "a▁"])), None, "a merge over a cut");
        assert!(!Cuts::of(&llama(&["▁", "a"])).unwrap().line_break);
        assert!(!Cuts::of(&llama(&["<0x0A>", "a"])).unwrap().space, "a space is not known");
        for (key, value) in [
            ("pre_tokenizer", json!({"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated"})),
            ("normalizer", json!({"type": "Replace", "pattern": {"Regex": " +"}, "content": " "})),
            ("normalizer", json!({"type": "Lowercase"})),
            ("model", json!({"type": "Unigram", "vocab": []})),
            ("model", json!({"type": "Other", "vocab": {}})),
        ] {
            let mut definition = llama(&known);
            definition[key] = value;
            assert_eq!(Cuts::of(&definition), None, "{key}");
        }
        for (key, value) in
            [("dropout", json!(0.1)), ("end_of_word_suffix", json!("</w>")), ("ignore_merges", json!(true))]
        {
            let mut definition = llama(&known);
            definition["model"][key] = value;
            assert_eq!(Cuts::of(&definition), None, "{key}");
        }
        let marks = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"});
        let both = json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, marks.clone()]});
        for (splitter, line_break) in [(marks, false), (both, true)] {
            let mut unigram = llama(&[]);
            unigram["normalizer"] = json!({"type": "Sequence", "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": ""},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
            ]});
            unigram["model"] = json!({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]]});
            unigram["pre_tokenizer"] = splitter;
            let cuts = Cuts::of(&unigram).unwrap();
            assert_eq!((cuts.space, cuts.line_break), (true, line_break));
        }
        let mut replaced = llama(&known);
        replaced["pre_tokenizer"] = json!({"type": "WhitespaceSplit"});
        assert_eq!(Cuts::of(&replaced), None, "no spaces are left to split at");
        let mut bytes = llama(&["Ġa", "a", "ĊĠ", "!Ċ"]);
        (bytes["normalizer"], bytes["pre_tokenizer"]) = (Value::Null, json!({"type": "ByteLevel", "use_regex": true}));
        let cuts = Cuts::of(&bytes).unwrap();
        assert!(cuts.space && cuts.line_break);
        bytes["model"]["vocab"]["¤Ċ"] = 9.into();
        assert_eq!(Cuts::of(&bytes), None, "the end of a letter of several bytes");
    }

    #[test]
    fn cuts_are_between_letters_and_not_near_added_tokens() {
        let cuts = Cuts::of(&llama(&["<0x0A>", "▁"])).unwrap();
        let places =
            |text: &str| -> Vec<usize> { (0..text.len()).filter(|at| cuts.first(text, *at, *at).is_some()).collect() };
        assert_eq!(places("ab cd\nef  gh, ij 1 \n k"), [2, 5]);
        assert_eq!(places("日本 語\nab"), [6, 10]);
        assert_eq!(places("ab cd</s>ab cd"), [2, 11]);
        let added = Added::of(&json!({"added_tokens": [{"content": "ef"}, {"content": "b c"}]}));
        let named = Cuts { added, ..Cuts::of(&llama(&["▁"])).unwrap() };
        assert_eq!((0..12).filter_map(|at| named.first("ab cd ef gh ij", at, at)).collect::<Vec<_>>(), [11]);
        let text = "ab cd ef gh";
        assert_eq!((cuts.last(text, 0, 7), cuts.first(text, 3, 99), cuts.last(text, 6, 7)), (Some(5), Some(5), None));
        assert_eq!(cuts.last("", 0, 9), None);
    }
}
