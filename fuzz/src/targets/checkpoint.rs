//! A checkpoint: a model to start from.

use std::sync::LazyLock;

use super::super::change::{change, take};
use gauntlet::digest::Digest;
use gauntlet::transport::checkpoint::{Decoder, encode_part};

const PARAMETERS: usize = 40;

static RUN: LazyLock<Digest> = LazyLock::new(|| Digest::of(b"run"));

/// Reads an input.
pub fn run(input: &[u8]) {
    let mut input = input;
    let [mode] = take(&mut input);
    let bytes = if mode % 4 == 0 {
        input.to_vec()
    } else {
        let theta: Vec<f32> = (0..PARAMETERS).map(|nth| nth as f32).collect();
        let mut bytes = encode_part(&RUN, 100, &Digest::of_f32(&theta), &theta, 0).to_vec();
        change(&mut bytes, input);
        bytes
    };
    let Ok(read) = Decoder::begin(&bytes, &RUN, PARAMETERS).and_then(Decoder::finish) else { return };
    assert_eq!(read.model, Digest::of_f32(&read.theta));
    assert_eq!(encode_part(&read.run, read.round, &read.model, &read.theta, 0), bytes);
}
