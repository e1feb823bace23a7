//! Arithmetic on pseudo-gradients, for behaviours that change or mix them.

use crate::training::{PayloadShape, PseudoGradient, SparseTensor, TensorShape};

/// The same coefficients with other values.
pub fn map_values(mut gradient: PseudoGradient, mut change: impl FnMut(f32) -> f32) -> PseudoGradient {
    gradient.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| *value = change(*value));
    gradient
}

/// The mean of payloads of one shape, as a payload of that shape: of each chunk it has the coefficients that are largest
/// in the mean. The scale of a payload is its sender's choice, so each counts by its root mean square, tensor by tensor;
/// the mean has that of the first.
///
/// # Panics
/// If there is no payload, or one that is not of this shape ([`PayloadShape::check`]).
pub fn average(shape: &PayloadShape, payloads: &[PseudoGradient]) -> PseudoGradient {
    let tensor = |(at, shape): (usize, &TensorShape)| {
        let tensors: Vec<&SparseTensor> = payloads.iter().map(|payload| &payload.tensors[at]).collect();
        average_tensor(shape, &tensors)
    };
    PseudoGradient { tensors: shape.tensors.iter().enumerate().map(tensor).collect() }
}

fn average_tensor(shape: &TensorShape, tensors: &[&SparseTensor]) -> SparseTensor {
    let sizes: Vec<f64> = tensors.iter().map(|tensor| root_mean_square(&tensor.values)).collect();
    let mut mean = SparseTensor::default();
    for chunk in 0..shape.chunks {
        let part = chunk * shape.per_chunk..(chunk + 1) * shape.per_chunk;
        let mut sums = vec![0.0f64; shape.chunk_len];
        for (tensor, size) in tensors.iter().zip(&sizes).filter(|(_, size)| **size > 0.0) {
            for (&index, &value) in tensor.indices[part.clone()].iter().zip(&tensor.values[part.clone()]) {
                sums[usize::from(index)] += f64::from(value) / size;
            }
        }
        let mut largest: Vec<usize> = (0..shape.chunk_len).collect();
        largest.sort_by(|&a, &b| sums[b].abs().total_cmp(&sums[a].abs()));
        largest.truncate(shape.per_chunk);
        largest.sort_unstable();
        mean.indices.extend(largest.iter().map(|&index| index as u16));
        mean.values.extend(largest.iter().map(|&index| sums[index] as f32));
    }
    let size = root_mean_square(&mean.values);
    let scale = if size > 0.0 { sizes[0] / size } else { 0.0 };
    mean.values.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    mean
}

fn root_mean_square(values: &[f32]) -> f64 {
    (values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(tensors: &[(&[u16], &[f32])]) -> PseudoGradient {
        let tensor =
            |(indices, values): &(&[u16], &[f32])| SparseTensor { indices: indices.to_vec(), values: values.to_vec() };
        PseudoGradient { tensors: tensors.iter().map(tensor).collect() }
    }

    #[test]
    fn values_of_all_tensors_change_and_indices_stay() {
        let flipped = map_values(payload(&[(&[3, 1], &[1.0, 2.0]), (&[0], &[-3.0])]), |value| -value);
        assert_eq!(flipped, payload(&[(&[3, 1], &[-1.0, -2.0]), (&[0], &[3.0])]));
    }

    #[test]
    fn a_mean_has_the_largest_coefficients_of_all_and_the_scale_of_the_first() {
        let shape =
            PayloadShape { tensors: vec![TensorShape::new("w", 2, 8, 2, 32), TensorShape::new("n", 1, 2, 2, 32)] };
        let own = payload(&[(&[5, 1, 0, 7], &[2.0, 2.0, 2.0, -2.0]), (&[0, 1], &[1.0, 1.0])]);
        assert_eq!(
            average(&shape, std::slice::from_ref(&own)),
            payload(&[(&[1, 5, 0, 7], &[2.0, 2.0, 2.0, -2.0]), (&[0, 1], &[1.0, 1.0])])
        );
        // A thousand times as large, and it counts no more.
        let other = payload(&[(&[6, 1, 7, 0], &[2e3, 2e3, -2e3, -2e3]), (&[1, 0], &[1e3, 1e3])]);
        let mean = average(&shape, &[own.clone(), other]);
        assert_eq!(shape.check(&mean), Ok(()));
        // In the first chunk 1 is in both, and 5 comes before 6; in the second the values at 0 cancel out.
        assert_eq!(mean.tensors[0].indices, [1, 5, 0, 7]);
        let size = root_mean_square(&mean.tensors[0].values);
        assert!((size - 2.0).abs() < 1e-6, "{size}");
        assert_eq!(mean.tensors[0].values[0], 2.0 * mean.tensors[0].values[1]);
        assert_eq!(mean.tensors[0].values[2], 0.0);
        assert_eq!(mean.tensors[1], own.tensors[1]);
    }

    #[test]
    fn a_mean_of_nothing_is_nothing() {
        let shape = PayloadShape { tensors: vec![TensorShape::new("n", 1, 2, 2, 32)] };
        let zero = payload(&[(&[0, 1], &[0.0, 0.0])]);
        assert_eq!(average(&shape, &[zero.clone(), zero.clone()]), zero);
        let huge = payload(&[(&[0, 1], &[f32::MAX, f32::MAX])]);
        assert_eq!(shape.check(&average(&shape, &[huge.clone(), huge])), Ok(()));
    }
}
