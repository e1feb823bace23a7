//! Shared by the fuzz targets: changes a valid object as a hostile node would.
//!
//! Bytes from a fuzzer never carry a valid signature or digest, so they would only test the first lines of a decoder. A
//! target therefore reads its input as a list of changes to a valid object, and signs the result again.

use gauntlet::digest::Digest;
use gauntlet::transport::Identity;
use gauntlet::transport::sealed::TRAILER_LEN;

/// Takes bytes off the front of a fuzzer's input, padded with zeros at its end.
pub fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    let len = N.min(input.len());
    let (head, rest) = input.split_at(len);
    taken[..len].copy_from_slice(head);
    *input = rest;
    taken
}

/// Changes `bytes` as the input says: overwrites one, two or four bytes, truncates, cuts out, inserts, or copies
/// within.
pub fn change(bytes: &mut Vec<u8>, mut input: &[u8]) {
    while !input.is_empty() {
        let [what] = take(&mut input);
        let [low, high, value] = take(&mut input);
        let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
        let rest = bytes.len() - at;
        match what % 7 {
            0 if rest > 0 => bytes[at] = value,
            1 if rest > 1 => bytes[at..at + 2].copy_from_slice(&take::<2>(&mut input)),
            2 if rest > 3 => bytes[at..at + 4].copy_from_slice(&take::<4>(&mut input)),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + rest.min(value.into()))),
            5 => bytes.insert(at, value),
            6 => {
                let len = rest.min(value.into());
                let to = usize::from(u16::from_le_bytes(take(&mut input))) % (bytes.len() - len + 1);
                bytes.copy_within(at..at + len, to);
            }
            _ => {}
        }
    }
}

/// Changes a valid object of signed JSON ([`gauntlet::transport::sealed`]) as the input says, and signs it again.
pub fn reseal(kind: &str, valid: &[u8], input: &[u8], identity: &Identity) -> Vec<u8> {
    let mut text = valid[..valid.len() - TRAILER_LEN].to_vec();
    change(&mut text, input);
    let signature = identity.sign(&Digest::of_parts([b"gauntlet message", kind.as_bytes(), &text]).0);
    text.push(b'\n');
    text.extend(identity.hotkey().to_string().bytes());
    text.push(b' ');
    text.extend(signature.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet::transport::sealed;

    #[test]
    fn an_unchanged_message_seals_to_the_same_bytes() {
        let identity = Identity::from_seed(1, "validator", 0);
        let valid = sealed::seal("numbers", &[1, 2, 3], &identity);
        assert_eq!(reseal("numbers", &valid, &[], &identity), valid);
    }
}
