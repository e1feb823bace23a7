//! Values for all parameters of a model, on a device.

use burn::tensor::{Tensor, TensorData};

use super::ParamLayout;

/// A value for each parameter of a model, on one device: a gradient or a momentum.
#[derive(Clone, Debug)]
pub struct ParamTensors {
    /// An f32 matrix for each tensor of the layout, in its order. A vector is a matrix with one row.
    pub tensors: Vec<Tensor<2>>,
}

impl ParamTensors {
    /// Zeros.
    pub fn zeros(layout: &ParamLayout, device: &burn::tensor::Device) -> Self {
        Self { tensors: layout.tensors.iter().map(|tensor| Tensor::zeros(tensor.matrix(), device)).collect() }
    }

    /// Values given in the layout's order.
    ///
    /// # Panics
    /// If their number differs from the layout's.
    pub fn from_flat(layout: &ParamLayout, values: &[f32], device: &burn::tensor::Device) -> Self {
        assert_eq!(values.len(), layout.total(), "a value for each parameter");
        let upload = |values: &[f32], shape| Tensor::from_data(TensorData::new(values.to_vec(), shape), device);
        let tensors = layout.tensors.iter().map(|tensor| upload(&values[tensor.range.clone()], tensor.matrix()));
        Self { tensors: tensors.collect() }
    }

    /// The values in the layout's order.
    pub fn into_flat(self) -> Vec<f32> {
        let mut flat = Vec::with_capacity(self.tensors.iter().map(|tensor| tensor.shape().num_elements()).sum());
        for tensor in self.tensors {
            flat.extend(tensor.into_data().as_slice::<f32>().expect("f32 values"));
        }
        flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Device;

    #[test]
    fn values_come_back_in_their_order() {
        let layout = ParamLayout::new([("w".into(), vec![3, 4]), ("norm".into(), vec![4]), ("v".into(), vec![2, 1])]);
        let values: Vec<f32> = (0..18).map(|value| value as f32).collect();
        for device in [Device::Cpu].iter().chain(Device::UNFUSED) {
            let tensors = ParamTensors::from_flat(&layout, &values, &device.burn());
            assert_eq!(tensors.tensors.iter().map(Tensor::dims).collect::<Vec<_>>(), [[3, 4], [1, 4], [2, 1]]);
            assert_eq!(tensors.into_flat(), values);
            assert_eq!(ParamTensors::zeros(&layout, &device.burn()).into_flat(), [0.0; 18]);
        }
    }
}
