//! What a peer uploads each round.

/// The coefficients of one tensor: the same number for each of its chunks, chunk after chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseTensor {
    /// Positions inside the chunk, `chunks * k` of them.
    pub indices: Vec<u16>,
    /// Their values, as many.
    pub values: Vec<f32>,
}

/// A compressed pseudo-gradient: one sparse tensor for each parameter tensor of the model, in the layout's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PseudoGradient {
    /// One entry a parameter tensor.
    pub tensors: Vec<SparseTensor>,
}
