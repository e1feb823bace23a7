//! Llama in Burn: sizes and presets, devices, theta_0, Hugging Face folders, and the module itself.
//!
//! Outside of Burn a model is one flat vector of f32, `theta`, in the order of its [`ParamLayout`]. Nodes agree on this
//! vector, and digests cover it. [`Llama::from_flat`] turns it into a Burn module; gradients come back flat in the same
//! order.
//!
//! On the CPU the blocks run on fused kernels (`fused`, `kernels`). Other devices run Burn's own operations
//! (`composed`), in bf16 where available. There a gradient is computed block by block (`by_blocks`) into
//! [`ParamTensors`] that stay on the device.

mod by_blocks;
mod cache;
mod composed;
mod config;
mod device;
mod fused;
pub mod generate;
pub mod huggingface;
mod init;
mod kernels;
mod layout;
mod llama;
mod memory;
pub mod newton_schulz;
mod param_tensors;
mod settings;
pub mod streamed;
pub mod tokenizer;
mod tokenizer_config;

pub use cache::{Cache, Read};
pub use config::{LlamaConfig, ModelError};
pub use device::{Device, DeviceError, Precision};
pub use init::init_theta;
pub use kernels::vector::arithmetic;
pub use layout::{ParamLayout, TensorSpec};
pub use llama::Llama;
pub use memory::Memory;
pub use param_tensors::ParamTensors;
pub use settings::ModelSettings;
