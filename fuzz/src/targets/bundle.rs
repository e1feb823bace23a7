//! A bundle: the uploads of a round in one object.

use super::super::change::{change, take};
use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::transport::bundle;

const MOST: usize = 4096;

/// Reads an input.
pub fn run(input: &[u8]) {
    let mut input = input;
    let [mode, count, len] = take(&mut input);
    let bytes = if mode % 4 == 0 {
        Bytes::copy_from_slice(input)
    } else {
        let uploads: Vec<_> = (0..count % 8).map(|nth| Bytes::from(vec![nth; usize::from(len % 64)])).collect();
        let mut bytes = bundle::encode(&uploads).to_vec();
        change(&mut bytes, input);
        bytes.into()
    };
    let Ok(uploads) = bundle::decode(&bytes, MOST) else { return };
    assert!(bytes.len() <= MOST);
    assert!(uploads.iter().all(|(digest, upload)| *digest == Digest::of(upload)));
    let uploads: Vec<_> = uploads.into_iter().map(|(_, upload)| upload).collect();
    assert_eq!(bundle::encode(&uploads), bytes, "a bundle has exactly one encoding");
}
