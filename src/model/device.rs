//! Where tensors live.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A device, written `cpu`, `ndarray` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Burn's Flex backend, with our fused kernels.
    #[default]
    Cpu,
    /// Burn's NdArray backend: slower, a second opinion.
    NdArray,
    /// A CUDA device by its number (feature `cuda`).
    #[cfg(feature = "cuda")]
    Cuda(usize),
}

/// A device that does not exist, or not in this build.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// Not one of the names.
    #[error("device `{0}`: expected `cpu`, `ndarray` or `cuda:N` with N the number of a CUDA device")]
    Unknown(String),
    /// CUDA in a build without it.
    #[error("device `{0}`: this build has no CUDA; build with `--features cuda`, or use `cpu`")]
    NoCuda(String),
}

impl Device {
    /// Burn's name for it, without autodiff.
    pub fn burn(&self) -> burn::tensor::Device {
        match self {
            Self::Cpu => burn::tensor::Device::flex(),
            #[allow(deprecated)] // In favour of Flex, which is the default here; kept to check Flex against.
            Self::NdArray => burn::tensor::Device::ndarray(),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => burn::tensor::Device::cuda(*index),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "cpu" => return Ok(Self::Cpu),
            "ndarray" => return Ok(Self::NdArray),
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
        for name in ["cpu", "ndarray"] {
            assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
        }
        for name in ["", "gpu", "cuda", "cuda:", "cuda:x", "CPU"] {
            assert_eq!(name.parse::<Device>(), Err(DeviceError::Unknown(name.into())));
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn cuda_needs_its_feature() {
        let message = "cuda:0".parse::<Device>().unwrap_err().to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}
