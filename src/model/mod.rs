//! Llama in Burn.

mod layout;

pub use layout::{ParamLayout, TensorSpec};
