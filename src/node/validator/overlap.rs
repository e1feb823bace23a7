//! Copies among the uploads of a round: pairs that chose the same top-k coefficients.
//!
//! Two honest peers see different pages, so only part of their largest coefficients coincide. A copier that adds noise
//! to another's values, or rescales them, keeps the indices, and nothing else about its upload gives it away to a
//! comparison of values. The later of the two stamps is the copy: the store sets stamps, and nobody can copy what is
//! not yet there.
//!
//! All pairs of 250 uploads are compared each round, so the work is not done pair by pair: the selected coefficients of
//! all uploads are sorted together, and each coefficient is counted for the pairs that share it. Uploads of large
//! models are compared on a sample of their coefficients, another one each round, so that a copier cannot know which
//! ones to change.

use crate::Uid;
use crate::mechanism::Overlap;

/// About this many coefficients of an upload are compared. The deviation of a measured overlap is then under 1 %.
const SAMPLED_COEFFICIENTS: usize = 4096;

/// The indices that an upload selected in one tensor.
#[derive(Clone, Copy, Debug)]
pub struct TensorIndices<'a> {
    /// Positions inside their chunk, `per_chunk` for each chunk, chunk after chunk.
    pub indices: &'a [u16],
    /// Coefficients sent per chunk.
    pub per_chunk: usize,
    /// Coefficients in a chunk. A tensor that is sent whole says nothing about copying and is left out.
    pub chunk_len: usize,
}

/// One well-formed upload of the round.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    pub uid: Uid,
    /// The store's stamp in milliseconds.
    pub stamp_ms: u64,
    /// One entry per tensor, the same tensors in each upload.
    pub tensors: Vec<TensorIndices<'a>>,
}

/// The pairs of uploads that share at least `threshold` of their coefficients, in the order of the uploads.
///
/// `salt` picks the sample of coefficients; draw it anew each round, after the uploads are in.
pub fn overlaps(uploads: &[Upload], threshold: f64, salt: u64) -> Vec<Overlap> {
    if uploads.len() < 2 {
        return Vec::new();
    }
    let largest = uploads.iter().map(selected_coefficients).max().unwrap_or(0);
    let sampled = SAMPLED_COEFFICIENTS.min(largest);
    let kept_below = if sampled == largest { u64::MAX } else { u64::MAX / largest as u64 * sampled as u64 };

    let mut coefficients: Vec<(u64, u32)> = Vec::with_capacity(uploads.len() * (sampled + sampled / 4));
    let mut sizes = Vec::with_capacity(uploads.len());
    for (at, upload) in uploads.iter().enumerate() {
        let mut keys: Vec<u64> = keys(upload).filter(|&key| mixed(key ^ salt) <= kept_below).collect();
        // A copier may repeat an index to look different, or more alike. Each index counts once.
        keys.sort_unstable();
        keys.dedup();
        sizes.push(keys.len());
        coefficients.extend(keys.into_iter().map(|key| (key, at as u32)));
    }
    coefficients.sort_unstable();

    let mut shared = vec![0u32; uploads.len() * uploads.len()];
    for sharers in coefficients.chunk_by(|a, b| a.0 == b.0) {
        for (nth, &(_, second)) in sharers.iter().enumerate() {
            for &(_, first) in &sharers[..nth] {
                shared[first as usize * uploads.len() + second as usize] += 1;
            }
        }
    }

    let mut found = Vec::new();
    for second in 0..uploads.len() {
        for first in 0..second {
            let size = sizes[first].min(sizes[second]);
            let overlap = f64::from(shared[first * uploads.len() + second]) / size.max(1) as f64;
            if size > 0 && overlap >= threshold {
                let (a, b) = (&uploads[first], &uploads[second]);
                let first_is_later = (a.stamp_ms, a.uid) > (b.stamp_ms, b.uid);
                let (later, earlier) = if first_is_later { (a.uid, b.uid) } else { (b.uid, a.uid) };
                found.push(Overlap { earlier, later, shared: overlap });
            }
        }
    }
    found
}

/// Tensors that are sent only in part.
fn telling<'u, 'a>(upload: &'u Upload<'a>) -> impl Iterator<Item = (usize, &'u TensorIndices<'a>)> {
    upload.tensors.iter().enumerate().filter(|(_, t)| t.per_chunk > 0 && t.per_chunk < t.chunk_len)
}

fn selected_coefficients(upload: &Upload) -> usize {
    telling(upload).map(|(_, tensor)| tensor.indices.len()).sum()
}

/// A number for each selected coefficient: tensor, chunk, position in the chunk.
fn keys(upload: &Upload) -> impl Iterator<Item = u64> {
    telling(upload).flat_map(|(nth, tensor)| {
        tensor.indices.chunks(tensor.per_chunk).enumerate().flat_map(move |(chunk, indices)| {
            indices.iter().map(move |&index| (nth as u64) << 48 | (chunk as u64) << 16 | u64::from(index))
        })
    })
}

/// The finaliser of SplitMix64: spreads neighbouring keys over all u64.
fn mixed(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    const CHUNK: usize = 4096;

    /// `chunks` times `k` random indices.
    fn indices(who: u64, chunks: usize, k: usize) -> Vec<u16> {
        let mut rng = crate::random::rng(7, "overlap test", who, 0);
        let mut all = Vec::new();
        for _ in 0..chunks {
            let mut chosen = std::collections::BTreeSet::new();
            while chosen.len() < k {
                chosen.insert((rng.next_u64() % CHUNK as u64) as u16);
            }
            all.extend(chosen);
        }
        all
    }

    fn upload<'a>(uid: Uid, stamp_ms: u64, indices: &'a [u16], k: usize) -> Upload<'a> {
        Upload { uid, stamp_ms, tensors: vec![TensorIndices { indices, per_chunk: k, chunk_len: CHUNK }] }
    }

    #[test]
    fn the_later_of_two_alike_is_told() {
        let (one, other) = (indices(1, 10, 32), indices(2, 10, 32));
        let uploads = [upload(4, 900, &one, 32), upload(1, 901, &one, 32), upload(2, 10, &other, 32)];
        assert_eq!(overlaps(&uploads, 0.4, 0), vec![Overlap { earlier: 4, later: 1, shared: 1.0 }]);
        let uploads = [upload(4, 900, &one, 32), upload(1, 900, &one, 32)];
        assert_eq!(overlaps(&uploads, 0.4, 0)[0].later, 4);
    }

    #[test]
    fn a_partial_copy_is_measured() {
        let original = indices(1, 20, 32);
        let mut half = original.clone();
        let fresh = indices(2, 20, 32);
        for (chunk, new) in half.chunks_mut(32).zip(fresh.chunks(32)) {
            chunk[..16].copy_from_slice(&new[..16]);
        }
        let found = overlaps(&[upload(0, 1, &original, 32), upload(1, 2, &half, 32)], 0.3, 0);
        assert!((found[0].shared - 0.5).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_tensor_sent_whole_and_repeated_indices_do_not_accuse() {
        let whole: Vec<u16> = (0..64).collect();
        let full = |uid| Upload {
            uid,
            stamp_ms: 0,
            tensors: vec![TensorIndices { indices: &whole, per_chunk: 64, chunk_len: 64 }],
        };
        assert!(overlaps(&[full(0), full(1)], 0.4, 0).is_empty());

        let (one, mut other) = (indices(1, 1, 32), indices(2, 1, 32));
        other[1..].fill(one[0]);
        let found = overlaps(&[upload(0, 0, &one, 32), upload(1, 1, &other, 32)], 0.6, 0);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_network_of_large_uploads_is_compared_on_a_sample() {
        let all: Vec<Vec<u16>> = (0..40).map(|who| indices(who.min(38), 800, 32)).collect();
        let uploads: Vec<Upload> =
            all.iter().enumerate().map(|(uid, list)| upload(uid as Uid, uid as u64, list, 32)).collect();
        let found = overlaps(&uploads, 0.4, 99);
        assert_eq!(found, vec![Overlap { earlier: 38, later: 39, shared: 1.0 }]);
    }
}
