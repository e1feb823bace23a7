//! The hand-written kernels as Burn operations.
//!
//! This is a trait of backend operations, implemented for Flex and, with a backward pass, for autodiff on Flex.
//! [`composed`](super::composed) does the same in Burn's own operations. Every other device runs those, and these are
//! tested against them.

mod autodiff;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::kernels::attention_block::{self, AttentionShape};
use super::kernels::{embedding, loss_head, mlp_block};

/// Operations on rows of the residual stream, `x` [rows, hidden].
#[backend_extension(Autodiff, Flex)]
pub trait FusedOps: Backend {
    /// Row `i` of the result is row `ids[i]` of `table` [vocabulary, hidden]: [ids.len(), hidden].
    fn embedding(table: FloatTensor<Self>, ids: Arc<[u32]>) -> FloatTensor<Self>;

    /// `x + attention(norm(x))`, of the same shape as `x`.
    fn attention_block(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        qkv: FloatTensor<Self>,
        out: FloatTensor<Self>,
        shape: AttentionShape,
    ) -> FloatTensor<Self>;

    /// `x + down(swiglu(norm(x)))`, of the same shape as `x`.
    fn mlp_block(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gate_up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Cross-entropy of `head(norm(x))` against each row's token: [rows].
    fn loss_head(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: Arc<[u32]>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

/// [`FusedOps::embedding`] on tensors.
pub fn embedding(table: Tensor<2>, ids: Arc<[u32]>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::embedding(table.into_dispatch(), ids))
}

/// [`FusedOps::attention_block`] on tensors.
pub fn attention_block(
    x: Tensor<2>,
    gain: Tensor<1>,
    qkv: Tensor<2>,
    out: Tensor<2>,
    shape: AttentionShape,
) -> Tensor<2> {
    let [qkv, out] = [qkv, out].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::attention_block(x.into_dispatch(), gain.into_dispatch(), qkv, out, shape))
}

/// [`FusedOps::mlp_block`] on tensors.
pub fn mlp_block(x: Tensor<2>, gain: Tensor<1>, gate_up: Tensor<2>, down: Tensor<2>, epsilon: f32) -> Tensor<2> {
    let [gate_up, down] = [gate_up, down].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::mlp_block(x.into_dispatch(), gain.into_dispatch(), gate_up, down, epsilon))
}

/// [`FusedOps::loss_head`] on tensors.
pub fn loss_head(x: Tensor<2>, gain: Tensor<1>, head: Tensor<2>, targets: Arc<[u32]>, epsilon: f32) -> Tensor<1> {
    let [x, gain, head] = [x.into_dispatch(), gain.into_dispatch(), head.into_dispatch()];
    Tensor::from_dispatch(Dispatch::loss_head(x, gain, head, targets, epsilon))
}

/// Flex's tensor: values with a layout.
type Values = FloatTensor<Flex>;

/// The values of a contiguous tensor; all tensors made here are.
fn slice(tensor: &Values) -> &[f32] {
    tensor.as_slice().expect("a contiguous f32 tensor")
}

fn tensor(values: Vec<f32>, like: &Values) -> Values {
    Values::from_data(TensorData::new(values, like.shape()))
}

/// Makes the inputs of an operation contiguous, as the kernels need them.
fn contiguous<const N: usize>(tensors: [Values; N]) -> [Values; N] {
    tensors.map(|tensor| tensor.to_contiguous())
}

fn attention_weights([gain, qkv, out]: [&Values; 3]) -> attention_block::Weights<'_> {
    attention_block::Weights { gain: slice(gain), qkv: slice(qkv), out: slice(out) }
}

fn mlp_weights([gain, gate_up, down]: [&Values; 3]) -> mlp_block::Weights<'_> {
    mlp_block::Weights { gain: slice(gain), gate_up: slice(gate_up), down: slice(down) }
}

fn head_weights([gain, head]: [&Values; 2]) -> loss_head::Weights<'_> {
    loss_head::Weights { gain: slice(gain), head: slice(head) }
}

impl FusedOps for Flex {
    fn embedding(table: Values, ids: Arc<[u32]>) -> Values {
        let [table] = contiguous([table]);
        rows_of(&table, &ids)
    }

    fn attention_block(x: Values, gain: Values, qkv: Values, out: Values, shape: AttentionShape) -> Values {
        let [x, gain, qkv, out] = contiguous([x, gain, qkv, out]);
        let (y, _) = attention_block::forward(&shape, attention_weights([&gain, &qkv, &out]), slice(&x));
        tensor(y, &x)
    }

    fn mlp_block(x: Values, gain: Values, gate_up: Values, down: Values, epsilon: f32) -> Values {
        let [x, gain, gate_up, down] = contiguous([x, gain, gate_up, down]);
        let (y, _) = mlp_block::forward(epsilon, mlp_weights([&gain, &gate_up, &down]), slice(&x));
        tensor(y, &x)
    }

    fn loss_head(x: Values, gain: Values, head: Values, targets: Arc<[u32]>, epsilon: f32) -> Values {
        let [x, gain, head] = contiguous([x, gain, head]);
        let (losses, _) = loss_head::forward(epsilon, head_weights([&gain, &head]), slice(&x), &targets);
        Values::from_data(TensorData::new(losses, [targets.len()]))
    }
}

fn rows_of(table: &Values, ids: &[u32]) -> Values {
    let width = table.shape()[1];
    Values::from_data(TensorData::new(embedding::forward(slice(table), width, ids), [ids.len(), width]))
}
