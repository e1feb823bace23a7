//! Keys and signatures as text: lower-case hexadecimal, so that one value has one spelling (and one place in the
//! bucket).

use std::fmt;

/// Writes two digits a byte.
pub(super) fn write(f: &mut dyn fmt::Write, bytes: &[u8]) -> fmt::Result {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let text: String = digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect();
    f.write_str(&text)
}

/// Reads exactly `N` bytes; `None` for any other length, upper case or another character.
pub(super) fn parse<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}
