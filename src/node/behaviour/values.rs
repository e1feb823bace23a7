//! Changes single values of a payload.

use crate::training::PseudoGradient;

/// The same coefficients with other values.
pub fn map_values(mut gradient: PseudoGradient, mut change: impl FnMut(f32) -> f32) -> PseudoGradient {
    gradient.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| *value = change(*value));
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::SparseTensor;

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
}
