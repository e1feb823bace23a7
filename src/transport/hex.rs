//! Keys and signatures as text. Only lower-case hexadecimal is accepted, so that a key has one spelling and one place
//! in the bucket.

use std::fmt;

/// Writes two digits per byte.
pub(super) fn write(f: &mut dyn fmt::Write, bytes: &[u8]) -> fmt::Result {
    f.write_str(&::hex::encode(bytes))
}

/// Reads exactly `N` bytes. Returns `None` for another length, upper case or any other character.
pub(super) fn parse<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    ::hex::decode_to_slice(text, &mut bytes).ok()?;
    (!text.iter().any(u8::is_ascii_uppercase)).then_some(bytes)
}
