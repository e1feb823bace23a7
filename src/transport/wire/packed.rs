//! A sparse tensor in as few bytes as its shape allows.
//!
//! | bytes | what |
//! |---|---|
//! | n * index bits / 8 | indices, each of as many bits as its chunk needs (12 for one of 4,096); none where chunks are
//! sent whole: then values come in the order of their indices |
//! | 4 n | values as f32, if the shape gives them 32 bits |
//! | 4 * 2^b + n * b / 8 | otherwise the distinct values as f32, ascending and padded with zeros, then the number of
//! its value for each coefficient, in b bits |
//!
//! Bits fill each byte from the lowest up; rows of bits are padded with zeros to whole bytes.

use crate::training::quantise::{distinct, quantise};
use crate::training::{SparseTensor, TensorShape};
use crate::transport::floats;

/// Length in bytes of a tensor of this shape.
pub fn len(shape: &TensorShape) -> usize {
    let count = shape.coefficients();
    bits_len(count, index_bits(shape)) + values_len(count, shape.value_bits)
}

fn values_len(count: usize, bits: u32) -> usize {
    if bits == 32 { 4 * count } else { (4 << bits) + bits_len(count, bits) }
}

fn bits_len(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Bits of an index.
fn index_bits(shape: &TensorShape) -> u32 {
    if shape.is_whole() { 0 } else { usize::BITS - (shape.chunk_len - 1).leading_zeros() }
}

/// Appends a tensor. If it has more distinct values than the shape has room for, they are quantised.
pub fn write(shape: &TensorShape, sparse: &SparseTensor, out: &mut Vec<u8>) {
    let in_order = if shape.is_whole() { in_order(shape, sparse) } else { Vec::new() };
    let values = if shape.is_whole() { &in_order } else { &sparse.values };
    write_bits(sparse.indices.iter().map(|&index| index.into()), index_bits(shape), out);
    if shape.value_bits == 32 {
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        return;
    }
    let mut rounded = Vec::new();
    let (values, mut table) = match distinct(values, 1 << shape.value_bits) {
        Some(table) => (values, table),
        None => {
            rounded.extend_from_slice(values);
            quantise(&mut rounded, shape.value_bits);
            let table = distinct(&rounded, 1 << shape.value_bits).expect("as many as there are bins");
            (&rounded, table)
        }
    };
    let codes = values.iter().map(|value| table.binary_search_by(|other| other.total_cmp(value)).unwrap_or(0) as u32);
    let codes: Vec<u32> = codes.collect();
    table.resize(1 << shape.value_bits, 0.0);
    out.extend(table.iter().flat_map(|value| value.to_le_bytes()));
    write_bits(codes.into_iter(), shape.value_bits, out);
}

/// Reads a tensor of this shape from exactly [`len`] bytes.
pub fn read(shape: &TensorShape, bytes: &[u8]) -> SparseTensor {
    let count = shape.coefficients();
    let bits = index_bits(shape);
    let (indices, values) = bytes.split_at(bits_len(count, bits));
    let indices = match bits {
        0 => (0..count).map(|at| (at % shape.chunk_len) as u16).collect(),
        bits => read_bits(indices, bits, count).map(|index| index as u16).collect(),
    };
    let values = if shape.value_bits == 32 {
        floats(values).collect()
    } else {
        let (table, codes) = values.split_at(4 << shape.value_bits);
        let table: Vec<f32> = floats(table).collect();
        read_bits(codes, shape.value_bits, count).map(|code| table[code as usize]).collect()
    };
    SparseTensor { indices, values }
}

/// The values of whole chunks, in order of index.
fn in_order(shape: &TensorShape, sparse: &SparseTensor) -> Vec<f32> {
    let mut values = vec![0.0; sparse.values.len()];
    for (at, (&index, &value)) in sparse.indices.iter().zip(&sparse.values).enumerate() {
        let chunk = at / shape.chunk_len * shape.chunk_len;
        if let Some(place) = values.get_mut(chunk + usize::from(index)) {
            *place = value;
        }
    }
    values
}

fn write_bits(values: impl Iterator<Item = u32>, bits: u32, out: &mut Vec<u8>) {
    let (mut pending, mut filled) = (0u64, 0);
    for value in values {
        pending |= u64::from(value & ((1 << bits) - 1)) << filled;
        filled += bits;
        while filled >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending as u8);
    }
}

fn read_bits(bytes: &[u8], bits: u32, count: usize) -> impl Iterator<Item = u32> {
    let (mut bytes, mut pending, mut filled) = (bytes.iter(), 0u64, 0);
    (0..count).map(move |_| {
        while filled < bits {
            pending |= u64::from(bytes.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        let value = pending as u32 & ((1 << bits) - 1);
        pending >>= bits;
        filled -= bits;
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(chunks: usize, chunk_len: usize, per_chunk: usize, value_bits: u32) -> TensorShape {
        TensorShape { name: "t".into(), chunks, chunk_len, per_chunk, value_bits }
    }

    #[test]
    fn lengths_follow_the_format() {
        assert_eq!(len(&shape(4, 4096, 64, 32)), 256 * 12 / 8 + 4 * 256);
        assert_eq!(len(&shape(4, 4096, 64, 2)), 256 * 12 / 8 + 16 + 256 / 4);
        assert_eq!(len(&shape(2, 2400, 33, 8)), (66 * 12usize).div_ceil(8) + 1024 + 66);
        assert_eq!(len(&shape(3, 64, 64, 4)), 64 + 3 * 32);
        assert_eq!(len(&shape(1, 1, 1, 32)), 4);
    }

    #[test]
    fn bits_fill_bytes_from_the_lowest_on() {
        let mut out = Vec::new();
        write_bits([0xabc, 0x123].into_iter(), 12, &mut out);
        assert_eq!(out, [0xbc, 0x3a, 0x12]);
        write_bits([1, 2, 3].into_iter(), 2, &mut out);
        assert_eq!(out[3..], [0b11_10_01]);
    }

    #[test]
    fn too_many_distinct_values_are_quantised() {
        let shape = shape(1, 4096, 64, 2);
        let sparse = SparseTensor {
            indices: (0..64).map(|i| i * 64).collect(),
            values: (0..64).map(|i| i as f32 - 31.5).collect(),
        };
        let mut out = Vec::new();
        write(&shape, &sparse, &mut out);
        assert_eq!(out.len(), len(&shape));
        let back = read(&shape, &out);
        assert_eq!(back.indices, sparse.indices);
        let mut expected = sparse.values.clone();
        quantise(&mut expected, 2);
        assert_eq!(back.values, expected);
    }

    proptest! {
        /// Values that fit the shape come back bit for bit; those of whole chunks in order of index.
        #[test]
        fn tensors_read_back(
            chunks in 1usize..4, chunk_len in 1usize..300, per_chunk in 1usize..40, bits in prop::sample::select(vec![2u32, 4, 8, 32]), seed: u64,
        ) {
            use rand::{RngExt, seq::SliceRandom};
            let shape = shape(chunks, chunk_len, per_chunk.min(chunk_len), bits);
            let mut rng = crate::random::rng(seed, "packed test", 0, 0);
            let mut sparse = SparseTensor::default();
            let table: Vec<u32> = (0..1u64 << bits.min(8)).map(|_| rng.random()).collect();
            for _ in 0..chunks {
                let mut indices: Vec<u16> = (0..chunk_len as u16).collect();
                indices.shuffle(&mut rng);
                sparse.indices.extend(&indices[..shape.per_chunk]);
                sparse.values.extend((0..shape.per_chunk).map(|_| f32::from_bits(table[rng.random_range(0..table.len())])));
            }
            let mut out = Vec::new();
            write(&shape, &sparse, &mut out);
            prop_assert_eq!(out.len(), len(&shape));
            let back = read(&shape, &out);
            let key = |sparse: &SparseTensor| -> Vec<(usize, u16, u32)> {
                let all = sparse.indices.iter().zip(&sparse.values).enumerate();
                all.map(|(at, (&index, value))| (at / shape.per_chunk, index, value.to_bits())).collect()
            };
            let (mut expected, found) = (key(&sparse), key(&back));
            if shape.is_whole() {
                expected.sort_by_key(|&(chunk, index, _)| (chunk, index));
            }
            prop_assert_eq!(found, expected);
        }
    }
}
