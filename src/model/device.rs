//! Devices that tensors live on.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{FloatDType, Tensor};
use thiserror::Error;

/// A device, written `cpu`, `cpu-f32`, `cpu-bf16`, `ndarray` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Burn's Flex backend, with our fused kernels.
    #[default]
    Cpu,
    /// Flex with the operations of a CUDA device, in f32. Slow; to check our kernels against.
    CpuF32,
    /// Flex with the operations and precision of a CUDA device. Slow; for trying these without one.
    CpuBf16,
    /// Burn's NdArray backend with the operations of a CUDA device, in f32 (feature `ndarray`). Slow; to check Flex
    /// against.
    #[cfg(feature = "ndarray")]
    NdArray,
    /// A CUDA device by its number (feature `cuda`).
    #[cfg(feature = "cuda")]
    Cuda(usize),
}

/// A device does not exist, or not in this build.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The name is unknown.
    #[error(
        "device `{0}`: expected `cpu`, `cpu-f32`, `cpu-bf16`, `ndarray` or `cuda:N` with N the number of a CUDA device"
    )]
    Unknown(String),
    /// The build has no NdArray.
    #[error("device `ndarray`: this build has no NdArray; build with `--features ndarray`, or use `cpu`")]
    NoNdArray,
    /// The build has no CUDA.
    #[error("device `{0}`: this build has no CUDA; build with `--features cuda`, or use `cpu`")]
    NoCuda(String),
}

impl Device {
    /// Devices whose operations are those of a CUDA device, in f32.
    #[cfg(test)]
    pub const UNFUSED: &[Self] = &[
        Self::CpuF32,
        #[cfg(feature = "ndarray")]
        Self::NdArray,
    ];

    /// The device as Burn names it, without autodiff.
    pub fn burn(&self) -> burn::tensor::Device {
        match self {
            Self::Cpu | Self::CpuF32 | Self::CpuBf16 => burn::tensor::Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)]
            // In favour of Flex, which is the default here; kept to check Flex against.
            Self::NdArray => burn::tensor::Device::ndarray(),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => burn::tensor::Device::cuda(*index),
        }
    }

    /// The precision of its matrix products.
    pub fn precision(&self) -> Precision {
        match self {
            Self::Cpu | Self::CpuF32 => Precision::F32,
            #[cfg(feature = "ndarray")]
            Self::NdArray => Precision::F32,
            Self::CpuBf16 => Precision::Bf16,
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => Precision::Bf16,
        }
    }
}

/// The precision of a model's large matrix products. All else is f32: parameters, the residual stream, norms, attention
/// scores, losses and gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// bfloat16 factors and products; tensor cores sum in f32.
    Bf16,
}

impl Precision {
    /// Converts a tensor to a factor of a product.
    pub(super) fn factor<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => tensor,
            Self::Bf16 => tensor.cast(FloatDType::BF16),
        }
    }

    /// Bytes per value of a factor.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "cpu" => return Ok(Self::Cpu),
            "cpu-bf16" => return Ok(Self::CpuBf16),
            "cpu-f32" => return Ok(Self::CpuF32),
            #[cfg(feature = "ndarray")]
            "ndarray" => return Ok(Self::NdArray),
            #[cfg(not(feature = "ndarray"))]
            "ndarray" => return Err(DeviceError::NoNdArray),
            _ => {}
        }
        let unknown = || DeviceError::Unknown(text.into());
        let index: usize = text.strip_prefix("cuda:").ok_or_else(unknown)?.parse().map_err(|_| unknown())?;
        #[cfg(feature = "cuda")]
        return Ok(Self::Cuda(index));
        #[cfg(not(feature = "cuda"))]
        Err(DeviceError::NoCuda(format!("cuda:{index}")))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::CpuBf16 => f.write_str("cpu-bf16"),
            Self::CpuF32 => f.write_str("cpu-f32"),
            #[cfg(feature = "ndarray")]
            Self::NdArray => f.write_str("ndarray"),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in [
            "cpu",
            "cpu-f32",
            "cpu-bf16",
            #[cfg(feature = "ndarray")]
            "ndarray",
        ] {
            assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
        }
        for name in ["", "gpu", "cuda", "cuda:", "cuda:x", "CPU"] {
            assert_eq!(name.parse::<Device>(), Err(DeviceError::Unknown(name.into())));
        }
    }

    #[test]
    #[cfg(not(feature = "ndarray"))]
    fn ndarray_needs_its_feature() {
        let message = "ndarray".parse::<Device>().unwrap_err().to_string();
        assert_eq!(
            message,
            "device `ndarray`: this build has no NdArray; build with `--features ndarray`, or use `cpu`"
        );
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn cuda_needs_its_feature() {
        let message = "cuda:0".parse::<Device>().unwrap_err().to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}
