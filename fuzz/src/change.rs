//! Changes a valid object as a hostile node would.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A folder for one input, gone afterwards.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = place.join(format!("gauntlet-fuzz-{}-{made}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Self(folder)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).expect("a temporary file can be written");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
