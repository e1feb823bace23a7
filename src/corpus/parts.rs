//! Encodes a long text in parts that have the ids of the whole: cut where nothing joins the two sides, else overlapping.

use std::ops::Range;

use super::encoder::Encoder;
use super::error::CorpusError;

/// Bytes before a part that a tokenizer is given with it, so that it does not take it for the beginning of a text.
const LEAD: usize = 32;
/// Ids at the end of a part that the next part makes again: there the tokenizer does not see what follows.
const AGAIN: usize = 8;
/// Places that are tried for a joint.
const TRIES: usize = 32;
/// Bytes behind a joint by which it is tried.
const LOOK: usize = 256;

/// Where a part begins.
enum Begin {
    /// At the beginning of the text, or at a cut.
    Cut,
    /// Within a word, with this id, as seen by a tokenizer that is given the text from `lead` on.
    Joint { lead: usize, id: u32 },
}

impl Encoder {
    /// The ids of a long text, part by part; `None` should a part not go on where the one before it ends. It tells the
    /// bytes of each part that is done, and ends when `tell` says so.
    pub(super) fn in_parts(&self, text: &str, tell: &dyn Fn(usize) -> bool) -> Result<Option<Vec<u32>>, CorpusError> {
        if self.cuts.is_none() && self.joints.is_none() {
            return Ok(None);
        }
        let (mut ids, mut start, mut begin) = (Vec::new(), 0, Begin::Cut);
        while start < text.len() {
            let (end, overlaps) = self.end_of_part(text, start);
            let part = if overlaps || matches!(begin, Begin::Joint { .. }) {
                self.placed(text, start..end, &begin)?
            } else {
                let lead = lead(text, start);
                // Some tokenizers make something of nothing.
                let before = if start == 0 { Vec::new() } else { self.encode(&text[lead..start])? };
                let whole = self.encode(&text[lead..end])?;
                whole.strip_prefix(before.as_slice()).map(|new| new.iter().map(|id| (*id, 0..0)).collect())
            };
            let Some(mut part) = part else { return Ok(None) };
            let from = start;
            (start, begin) = (end, Begin::Cut);
            if overlaps {
                let Some(joint) = self.joint(text, &part)? else { return Ok(None) };
                (start, begin) = (part[joint.0].1.start, Begin::Joint { lead: joint.1, id: part[joint.0].0 });
                part.truncate(joint.0);
            }
            ids.extend(part.into_iter().map(|(id, _)| id));
            if !tell(start - from) {
                return Err(CorpusError::Encode { path: self.path.clone(), reason: "it was told to stop".into() });
            }
        }
        Ok(Some(ids))
    }

    /// Where a part ends, and whether it overlaps with the next.
    fn end_of_part(&self, text: &str, start: usize) -> (usize, bool) {
        let (least, wanted, most) = (start + self.part / 2, start + self.part, start + 2 * self.part);
        if wanted >= text.len() {
            return (text.len(), false);
        }
        let cuts = self.cuts.as_ref();
        let near = cuts.and_then(|cuts| cuts.last(text, least, wanted).or_else(|| cuts.first(text, wanted, most)));
        if let Some(cut) = near {
            return (cut, false);
        }
        if let Some(joint) = self.joints.as_ref().and_then(|joints| joints.last(text, least, wanted)) {
            return (joint, true);
        }
        (cuts.and_then(|cuts| cuts.first(text, wanted, text.len())).unwrap_or(text.len()), false)
    }

    /// The ids of a part and where they are in the text; `None` if they do not begin as they should.
    fn placed(&self, text: &str, part: Range<usize>, begin: &Begin) -> Result<Option<Vec<Placed>>, CorpusError> {
        let lead = match begin {
            Begin::Cut => lead(text, part.start),
            Begin::Joint { lead, .. } => *lead,
        };
        let mut whole = self.encode_placed(&text[lead..part.end])?;
        whole.iter_mut().for_each(|(_, place)| *place = place.start + lead..place.end + lead);
        let first = match begin {
            Begin::Joint { id, .. } => match boundary(&whole, part.start) {
                Some(first) if whole[first].0 == *id => first,
                _ => return Ok(None),
            },
            Begin::Cut if part.start == 0 => 0,
            Begin::Cut => {
                let before = self.encode(&text[lead..part.start])?;
                if !before.iter().eq(whole.iter().map(|(id, _)| id).take(before.len())) {
                    return Ok(None);
                }
                before.len()
            }
        };
        whole.drain(..first);
        Ok(Some(whole))
    }

    /// The id of a part at which the next part begins, and from where on the tokenizer must be given the text to find it.
    fn joint(&self, text: &str, part: &[Placed]) -> Result<Option<(usize, usize)>, CorpusError> {
        let Some(joints) = &self.joints else { return Ok(None) };
        let last = part.len().saturating_sub(AGAIN);
        let fits = |at: &usize| part[at - 1].1.end == part[*at].1.start && joints.is_one(text, part[*at].1.start);
        for at in (1..last).rev().filter(fits).take(TRIES) {
            let (id, start) = (part[at].0, part[at].1.start);
            for lead in (start.saturating_sub(LEAD)..start).filter(|lead| text.is_char_boundary(*lead)) {
                let look = text.floor_char_boundary((start + LOOK).min(text.len()));
                let tried: Vec<Placed> = self.encode_placed(&text[lead..look])?;
                if boundary(&tried, start - lead).is_some_and(|first| tried[first].0 == id) {
                    return Ok(Some((at, lead)));
                }
            }
        }
        Ok(None)
    }
}

/// An id, and the bytes of the text that it was made from.
type Placed = (u32, Range<usize>);

fn lead(text: &str, start: usize) -> usize {
    text.floor_char_boundary(start.saturating_sub(LEAD))
}

/// The id that begins at this byte, where the one before it ends.
fn boundary(ids: &[Placed], at: usize) -> Option<usize> {
    (1..ids.len()).find(|first| ids[first - 1].1.end == at && ids[*first].1.start == at)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use serde_json::{Value, json};

    use super::super::encoder::tests::encoder;
    use crate::random::rng;

    fn text(seed: u64) -> String {
        const WORDS: [&str; 16] = [
            "ab", "abc", "b", "Käse", "日本", "1", "23", ", ", "!", "'s", "\n", "\n\n", "  ", "</s>", "aaaa", "\u{301}",
        ];
        let mut random = rng(seed, "text", 0, 0);
        let mut text = String::new();
        while text.len() < 6000 {
            text += WORDS[random.random_range(0..WORDS.len())];
            text += ["", " ", " ", "\n", ""][random.random_range(0..5)];
        }
        text
    }

    #[test]
    fn parts_of_a_long_text_have_the_ids_of_the_whole() {
        let marks = |definition: &mut Value| {
            definition["normalizer"] = json!({"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]});
        };
        let metaspace = |scheme: &str, split: bool| {
            let part = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
            move |definition: &mut Value| definition["pre_tokenizer"] = part.clone()
        };
        let bytes = |prefix: bool| {
            let part =
                json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
            move |definition: &mut Value| definition["pre_tokenizer"] = part.clone()
        };
        // Tokens over line breaks, where only a splitter at all white space allows a cut.
        let pieces =
            ["<unk>", "</s>", "▁", "a", "b", "c", "K", "▁a", "ab", "aa", "b\na", "b▁a", "c\n", "▁ab", "1", "日本"];
        let unigram = |splitter: Value| {
            move |definition: &mut Value| {
                let vocab: Vec<_> =
                    pieces.iter().enumerate().map(|(nth, piece)| json!([piece, -1.0 - nth as f64 / 9.0])).collect();
                definition["model"] = json!({"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false});
                definition["pre_tokenizer"] = splitter.clone();
            }
        };
        let spaced = ["▁ ▁", "▁ a", "▁a b", "a b", "a a", "aa aa", "b c", "▁▁ ▁"];
        let of_bytes = ["Ġ a", "Ġa b", "a b", "a a", "Ġ Ġ", "Ċ Ċ", "Ã ¤"];
        let encoders = [
            encoder(marks, &spaced),
            encoder(metaspace("first", false), &spaced),
            encoder(metaspace("always", true), &spaced),
            encoder(metaspace("never", true), &spaced),
            encoder(bytes(false), &of_bytes),
            encoder(bytes(true), &of_bytes),
            encoder(
                unigram(json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true})),
                &[],
            ),
            encoder(
                unigram(json!({"type": "Sequence", "pretokenizers": [
                    {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
                ]})),
                &[],
            ),
        ];
        for (number, mut encoder) in encoders.into_iter().enumerate() {
            assert!(encoder.cuts.is_some() && encoder.joints.take().is_some() != (number > 5), "tokenizer {number}");
            for seed in 0..20 {
                let text = text(seed);
                let whole = encoder.encode(&text).unwrap();
                for part in [40, 200, 1000] {
                    encoder.part = part;
                    let told = std::cell::Cell::new((0, 0));
                    let tell = |bytes: usize| {
                        told.set((told.get().0 + 1, told.get().1 + bytes));
                        true
                    };
                    let parts = encoder.in_parts(&text, &tell).unwrap();
                    assert!(parts.as_ref() == Some(&whole), "tokenizer {number}, seed {seed}, parts of {part} bytes");
                    assert!(told.get().0 > 2 && told.get().1 == text.len(), "{:?}", told.get());
                }
            }
        }
    }

    /// A text of few spaces, if any: words of these letters, some of one letter alone.
    fn words(seed: u64, letters: &str, spaces: bool) -> String {
        let letters: Vec<char> = letters.chars().collect();
        let mut random = rng(seed, "words", 0, 0);
        let mut text = String::new();
        while text.len() < 6000 {
            let letter = letters[random.random_range(0..letters.len())];
            let times = if random.random_range(0..40) == 0 { random.random_range(1..200) } else { 1 };
            (0..times).for_each(|_| text.push(letter));
            if spaces && random.random_range(0..400) == 0 {
                text += [" ", "\n", "'s ", " 12", "</s>"][random.random_range(0..5)];
            }
        }
        text
    }

    #[test]
    fn parts_of_a_long_word_have_the_ids_of_the_whole() {
        let merges = [
            "a a",
            "aa aa",
            "aaaa aaaa",
            "a b",
            "ab c",
            "b c",
            "c a",
            "bc a",
            "ab ab",
            "Ã ¤",
            "a Ã¤",
            "日 本",
            "本 日",
            "▁ a",
            "A b",
            "b A",
        ];
        let marks = |definition: &mut Value| {
            definition["normalizer"] = json!({"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]});
        };
        let plain = |_: &mut Value| ();
        let split = |pattern: usize, ignores: bool| {
            move |definition: &mut Value| {
                definition["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": super::super::cuts::WORDS[pattern]}, "behavior": "Isolated", "invert": false},
                    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
                ]});
                definition["post_processor"] =
                    json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
                definition["model"]["ignore_merges"] = ignores.into();
            }
        };
        let kinds = [
            encoder(plain, &merges),
            encoder(marks, &merges),
            encoder(split(0, false), &merges),
            encoder(split(1, true), &merges),
            encoder(split(4, false), &merges),
        ];
        let mut joined = [0; 5];
        for (number, mut encoder) in kinds.into_iter().enumerate() {
            for seed in 0..30 {
                let letters = ["abc", "aab", "aäb", "a日本b", "abcA", "xyzab"][seed as usize % 6];
                let text = words(seed, letters, seed % 2 == 1);
                let whole = encoder.encode(&text).unwrap();
                for part in [150, 400, 1000] {
                    encoder.part = part;
                    let told = std::cell::Cell::new(0);
                    let tell = |bytes: usize| {
                        told.set(told.get() + bytes);
                        true
                    };
                    let Some(parts) = encoder.in_parts(&text, &tell).unwrap() else { continue };
                    let differs = parts.iter().zip(&whole).position(|(id, other)| id != other);
                    assert!(parts == whole, "tokenizer {number}, seed {seed}, parts of {part} bytes, id {differs:?}");
                    assert_eq!(told.get(), text.len());
                    joined[number] += 1;
                }
            }
        }
        // Few letters in long words leave some texts without a joint.
        assert!(joined.iter().all(|count| *count > 50), "{joined:?} of 90");
    }
}
