//! The order and shapes of a model's parameters.
//!
//! Outside of Burn a model is one flat vector of f32, `theta`. The layout tells which part of it is which tensor. Names
//! and shapes are those of a Hugging Face checkpoint (`[out, in]` for a projection), so that chunks, digests and files
//! mean the same everywhere.

use std::ops::Range;

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// One or two sizes.
    pub shape: Vec<usize>,
    /// Where its values are in the flat vector, row-major.
    pub range: Range<usize>,
}

/// All parameter tensors, in their fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamLayout {
    /// The tensors; their ranges follow one another without gaps.
    pub tensors: Vec<TensorSpec>,
}

impl TensorSpec {
    /// Rows and columns. A vector is a matrix with one row.
    pub fn matrix(&self) -> [usize; 2] {
        let columns = self.shape.last().copied().unwrap_or(1);
        [self.range.len() / columns.max(1), columns]
    }

    /// The number of its transformer block; none of the embedding, the last norm and the head.
    pub fn block(&self) -> Option<usize> {
        self.name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
    }

    /// Whether its values are the weights of a matrix product. The embedding is a look-up.
    pub fn is_product(&self) -> bool {
        self.shape.len() == 2 && !self.name.contains("embed")
    }

    /// Whether it is a matrix of a transformer block: neither the embedding, the head nor the gains of a norm.
    pub fn is_block_matrix(&self) -> bool {
        self.shape.len() == 2 && self.block().is_some()
    }
}

impl ParamLayout {
    /// Lays out tensors of these names and shapes one after another.
    pub fn new(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut start = 0;
        let tensors = tensors
            .into_iter()
            .map(|(name, shape)| {
                let end = start + shape.iter().product::<usize>();
                let range = start..end;
                start = end;
                TensorSpec { name, shape, range }
            })
            .collect();
        Self { tensors }
    }

    /// Number of parameters.
    pub fn total(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.range.end)
    }
}
