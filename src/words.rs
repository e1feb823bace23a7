//! Words in messages: counts of things, causes without programmers' details, texts that cannot be read; and the glossary.

/// The words that commands, reports and documentation use, each with its meaning, in the order in which a round meets them.
pub const GLOSSARY: [(&str, &str); 13] = [
    ("round", "one cycle of training, upload, judgement and update"),
    ("peer", "trains on its pages and uploads a pseudo-gradient"),
    ("pseudo-gradient", "what a peer uploads: the compressed result of its training"),
    ("slot, uid", "a peer's place on the chain, and the number of that place"),
    ("validator", "judges uploads, decides which count, sets the peers' pay"),
    ("put window", "the part of a round in which an upload must arrive to count"),
    ("record", "the signed list of the uploads that all nodes aggregate"),
    ("in sync", "computed on the validator's model, as an upload should be"),
    ("loss score", "how much a step along one peer's upload lowers the loss"),
    ("rating", "a peer's skill over many loss scores: mean mu, spread sigma"),
    ("proof", "of computation: the upload helps its own pages the most"),
    ("score", "ranks peers; as published, rating x proof x sync score"),
    ("pay, incentive", "a peer's share of what the chain pays in a round"),
];

/// A count of something with a regular plural: `1 peer`, `2 peers`.
pub fn counted(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A text without its UTF-8 byte order mark.
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// What to do with a text that is not UTF-8: told by its byte order mark, or by a 0 in every second byte.
pub fn other_encoding(start: &[u8]) -> Option<String> {
    let zeros = |from: usize| start.len() >= 4 && start[from..].iter().step_by(2).all(|byte| *byte == 0);
    let encoding = match start {
        [0xff, 0xfe, 0, 0, ..] => "UTF-32LE",
        [0, 0, 0xfe, 0xff, ..] => "UTF-32BE",
        [0xff, 0xfe, ..] => "UTF-16LE",
        [0xfe, 0xff, ..] => "UTF-16BE",
        _ if zeros(0) == zeros(1) => return None,
        _ if zeros(1) => "UTF-16LE",
        _ => "UTF-16BE",
    };
    Some(format!("it is {encoding}; expected UTF-8: iconv -f {encoding} -t UTF-8 makes it so"))
}

/// Why a file that should hold JSON does not.
pub fn not_json(bytes: &[u8], error: &serde_json::Error) -> String {
    let bytes = unmarked(bytes);
    if bytes.trim_ascii().is_empty() {
        return "empty".into();
    }
    other_encoding(bytes).unwrap_or_else(|| {
        let (line, column) = (error.line(), error.column());
        let place = if line > 0 { format!(", line {line}, column {column}") } else { String::new() };
        let what = if error.is_data() { "not what it should be" } else { "not JSON" };
        format!("{what}: {}{place}", json_reason(bytes, error))
    })
}

/// What a JSON parser says, in plain words, with what it found, and without the place.
pub fn json_reason(bytes: &[u8], error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    if let Some(what) = said.strip_prefix("EOF while parsing ") {
        return format!("it ends within {what}");
    }
    let reason = match said {
        "expected value" => "expected a value",
        "expected ident" => "expected null, true or false",
        "trailing characters" => "expected nothing behind the value",
        "key must be a string" => "expected a key between double quotes",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a control character in a text, expected \\n or \\t"
        }
        "invalid number" => "expected a number",
        _ => return plain(said),
    };
    match found(bytes, error) {
        Some(found) => format!("{reason}, found {found}"),
        None => reason.to_string(),
    }
}

/// The character at which a JSON parser stopped.
fn found(bytes: &[u8], error: &serde_json::Error) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\n').nth(error.line().checked_sub(1)?)?;
    // A parser counts a line break as the column after the last.
    let rest = line.get(error.column().saturating_sub(1)..)?;
    let rest = String::from_utf8_lossy(&rest[..rest.len().min(8)]);
    rest.chars().next().map(|character| match character {
        '\u{feff}' => "a byte order mark".into(),
        '\r' => "a carriage return".into(),
        '\0' => "a zero byte".into(),
        character if character.is_control() => format!("U+{:04X}", character as u32),
        character => format!("`{character}`"),
    })
}

/// JSON with `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON lacks, replaced by 0 outside of texts; `None`
/// if it has none.
pub fn without_nan(json: &[u8]) -> Option<Vec<u8>> {
    let (mut fixed, mut inside, mut at, mut changed) = (json.to_vec(), false, 0, false);
    while at < json.len() {
        match json[at] {
            b'\\' if inside => at += 1,
            b'"' => inside = !inside,
            _ if inside => {}
            _ => {
                let names: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
                if let Some(name) = names.into_iter().find(|name| json[at..].starts_with(name)) {
                    fixed[at..at + name.len()].fill(b' ');
                    fixed[at] = b'0';
                    at += name.len() - 1;
                    changed = true;
                }
            }
        }
        at += 1;
    }
    changed.then_some(fixed)
}

/// Names of types in a parser's messages, and in plain words.
const TYPES: [(&str, &str); 12] = [
    ("usize", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 or more"),
    ("u8", "a whole number, 0 to 255"),
    ("i64", "a whole number"),
    ("i32", "a whole number"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", "an object"),
];

/// What Rust says of a text that it cannot read, and plain words.
const SAID: [(&str, &str); 7] = [
    ("invalid digit found in string", "not a whole number"),
    ("number too large to fit in target type", "too large a number"),
    ("number too small to fit in target type", "too small a number"),
    ("cannot parse integer from empty string", "expected a whole number"),
    ("cannot parse float from empty string", "expected a number"),
    ("invalid float literal", "not a number"),
    ("EOF while parsing ", "it ends within "),
];

/// A message without the system's error numbers and without names of types.
pub fn plain(message: &str) -> String {
    let mut plain = without_numbers(message);
    for (said, words) in SAID {
        plain = plain.replace(said, words);
    }
    for (name, words) in TYPES {
        plain = replaced_word(&plain, &format!("expected {name}"), &format!("expected {words}"));
    }
    plain
}

/// Removes each ` (os error 2)`.
fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        plain += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    plain
}

/// Replaces occurrences that end at the end of a word.
fn replaced_word(text: &str, from: &str, to: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, behind) = (&rest[..at], &rest[at + from.len()..]);
        let is_whole = !behind.starts_with(|next: char| next.is_alphanumeric() || next == '_');
        replaced += before;
        replaced += if is_whole { to } else { from };
        rest = behind;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!(counted(1u64, "peer"), "1 peer");
        assert_eq!([counted(0usize, "round"), counted(2u32, "round")], ["0 rounds", "2 rounds"]);
    }

    #[test]
    fn a_file_that_is_no_json_is_described() {
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b" \n", "empty"),
            (b"{", "not JSON: it ends within an object, line 1, column 1"),
            (b"{\n\"a\": x}", "not JSON: expected a value, found `x`, line 2, column 6"),
            (b"{\"a\": 1},\n", "not JSON: expected nothing behind the value, found `,`, line 1, column 9"),
            (b"{'a': 1}", "not JSON: expected a key between double quotes, found `'`, line 1, column 2"),
            (b"{}\0", "not JSON: expected nothing behind the value, found a zero byte, line 1, column 3"),
            (b"{}\r{}", "not JSON: expected nothing behind the value, found `{`, line 1, column 4"),
            (b"\xff\xfe{\0}\0", "it is UTF-16LE; expected UTF-8: iconv -f UTF-16LE -t UTF-8 makes it so"),
            (b"\0{\0}", "it is UTF-16BE; expected UTF-8: iconv -f UTF-16BE -t UTF-8 makes it so"),
        ] {
            let error = serde_json::from_slice::<serde_json::Value>(bytes).unwrap_err();
            assert_eq!(not_json(bytes, &error), expected);
        }
        assert_eq!((unmarked(b"\xef\xbb\xbf{}"), unmarked(b"{}")), (&b"{}"[..], &b"{}"[..]));
    }

    #[test]
    fn numbers_that_json_lacks_are_replaced_outside_of_texts() {
        let fixed = |json: &str| without_nan(json.as_bytes()).map(|fixed| String::from_utf8(fixed).unwrap());
        let json = r#"{"NaN \" NaN": [NaN, -Infinity]}"#;
        assert_eq!(fixed(json), Some(json.replace("[NaN, -Infinity]", "[0  , 0        ]")));
        assert_eq!(fixed("{\"a\": 1}"), None);
    }

    #[test]
    fn causes_are_in_plain_words() {
        for (message, expected) in [
            ("a: No such file or directory (os error 2); b", "a: No such file or directory; b"),
            ("x (os error 2): y (os error 13)", "x: y"),
            (
                "invalid type: string \"a\", expected usize at line 1",
                "invalid type: string \"a\", expected a whole number, 0 or more at line 1",
            ),
            ("expected f64", "expected a number"),
            ("column lr: invalid float literal, in \"O.3\"", "column lr: not a number, in \"O.3\""),
            ("expected u64s and expected a mapping", "expected u64s and expected a mapping"),
        ] {
            assert_eq!(plain(message), expected);
        }
    }
}
