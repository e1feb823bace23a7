//! Python's string methods, which the harness prepares texts with, where Rust's rules differ.

/// `str.isspace` of a character: Unicode's white space, and the information separators.
pub fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// `str.capitalize`: the first letter in title case, all others in lower case.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // Lower-cases the whole text, because a sigma at the end of a word depends on what comes before it.
    let small = text.to_lowercase();
    let of_first: usize = first.to_lowercase().map(char::len_utf8).sum();
    title(first) + &small[of_first..]
}

/// A letter in title case, by Unicode. It is the upper case except for letters that stand for two, and for Georgian,
/// which has no capitals at the beginning of a word.
fn title(letter: char) -> String {
    const DIGRAPHS: [[char; 3]; 4] = [['Ǆ', 'ǅ', 'ǆ'], ['Ǉ', 'ǈ', 'ǉ'], ['Ǌ', 'ǋ', 'ǌ'], ['Ǳ', 'ǲ', 'ǳ']];
    if let Some(digraph) = DIGRAPHS.iter().find(|digraph| digraph.contains(&letter)) {
        return digraph[1].to_string();
    }
    let upper: String = letter.to_uppercase().collect();
    match letter {
        'ა'..='ჺ' | 'ჽ'..='ჿ' => letter.to_string(),
        // Greek with an iota below or beside it.
        '\u{1f80}'..='\u{1faf}' => char::from_u32(letter as u32 | 8).unwrap_or(letter).to_string(),
        'ᾳ' | 'ᾼ' => "ᾼ".into(),
        'ῃ' | 'ῌ' => "ῌ".into(),
        'ῳ' | 'ῼ' => "ῼ".into(),
        'ᾲ' | 'ᾴ' | 'ᾷ' | 'ῂ' | 'ῄ' | 'ῇ' | 'ῲ' | 'ῴ' | 'ῷ' => upper.replace('Ι', "\u{345}"),
        // Ligatures: only their first letter is a capital.
        'ß' | 'և' | 'ﬀ'..='ﬆ' | 'ﬓ'..='ﬗ' => {
            let mut letters = upper.chars();
            letters.next().into_iter().chain(letters.flat_map(char::to_lowercase)).collect()
        }
        _ => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_are_those_of_python() {
        for (text, expected) in [
            ("", ""),
            ("the Cook", "The cook"),
            ("éTÉ", "Été"),
            ("ΟΔΟΣ ΣΑΣ", "Οδος σας"),
            ("ΣΑΣ", "Σας"),
            ("ѣЖ", "Ѣж"),
            ("ßA", "Ssa"),
            ("ŉB", "ʼNb"),
            ("ǆA", "ǅa"),
            ("ﬃX", "Ffix"),
            ("ﬗX", "Մխx"),
            ("ᾀΑ", "ᾈα"),
            ("ᾷΑ", "Α\u{342}\u{345}α"),
            ("საქართველო", "საქართველო"),
            ("ᲡᲐ", "Სა"),
            ("İI", "İi"),
            ("日本 ABC", "日本 abc"),
        ] {
            assert_eq!(capitalize(text), expected, "{text}");
        }
    }

    #[test]
    fn white_space_is_that_of_python() {
        assert!(['\u{1c}', '\u{85}', '\u{a0}', '\u{3000}', '\t'].into_iter().all(is_space));
        assert!(!['\u{200b}', '\u{feff}', '\u{180e}', 'a'].into_iter().any(is_space));
    }
}
