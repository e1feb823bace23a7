//! The hand-written kernels as Burn operations.
//!
//! A trait of backend operations, implemented for Flex and, with a backward pass, for autodiff on Flex. [`composed`](super::composed) says
//! the same in Burn's own operations: it is what every other device runs, and what these are tested against.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::kernels::attention_block::{self, AttentionShape};
use super::kernels::{loss_head, mlp_block};

/// Operations on rows of the residual stream, `x` [rows, hidden].
#[backend_extension(Autodiff, Flex)]
pub trait FusedOps: Backend {
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

/// The values of a tensor that lies without gaps, as all do that come from here.
fn slice(tensor: &Values) -> &[f32] {
    tensor.as_slice().expect("a contiguous f32 tensor")
}

fn tensor(values: Vec<f32>, like: &Values) -> Values {
    Values::from_data(TensorData::new(values, like.shape()))
}

/// Inputs of an operation, as the kernels want them.
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

/// Adds gradients to those of the parents that want one.
fn register<const N: usize>(
    grads: &mut Gradients,
    parents: [Option<burn::backend::autodiff::NodeId>; N],
    values: [Values; N],
) {
    for (parent, value) in parents.into_iter().zip(values) {
        if let Some(id) = parent {
            grads.register::<Flex>(id, value);
        }
    }
}

#[derive(Debug)]
struct AttentionBlock;

impl Backward<Flex, 4> for AttentionBlock {
    type State = ([Values; 4], AttentionShape, attention_block::Saved);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, gain, qkv, out], shape, saved) = ops.state;
        let weights = attention_weights([&gain, &qkv, &out]);
        let result = attention_block::backward(&shape, weights, slice(&x), &saved, slice(&upstream));
        let values =
            [tensor(result.x, &x), tensor(result.gain, &gain), tensor(result.qkv, &qkv), tensor(result.out, &out)];
        register(grads, ops.parents.map(|parent| parent.map(|node| node.id)), values);
    }
}

#[derive(Debug)]
struct MlpBlock;

impl Backward<Flex, 4> for MlpBlock {
    type State = ([Values; 4], mlp_block::Saved);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, gain, gate_up, down], saved) = ops.state;
        let weights = mlp_weights([&gain, &gate_up, &down]);
        let result = mlp_block::backward(weights, slice(&x), saved, slice(&upstream));
        let values = [
            tensor(result.x, &x),
            tensor(result.gain, &gain),
            tensor(result.gate_up, &gate_up),
            tensor(result.down, &down),
        ];
        register(grads, ops.parents.map(|parent| parent.map(|node| node.id)), values);
    }
}

#[derive(Debug)]
struct LossHead;

impl Backward<Flex, 3> for LossHead {
    type State = ([Values; 3], Arc<[u32]>, loss_head::Saved);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, gain, head], targets, saved) = ops.state;
        let weights = head_weights([&gain, &head]);
        let result = loss_head::backward(weights, slice(&x), &targets, saved, slice(&upstream));
        let values = [tensor(result.x, &x), tensor(result.gain, &gain), tensor(result.head, &head)];
        register(grads, ops.parents.map(|parent| parent.map(|node| node.id)), values);
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn attention_block(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        qkv: FloatTensor<Self>,
        out: FloatTensor<Self>,
        shape: AttentionShape,
    ) -> FloatTensor<Self> {
        let inputs = [x, gain, qkv, out];
        let nodes = inputs.each_ref().map(|input| input.node());
        let inputs = contiguous(inputs.map(|input| input.into_primitive()));
        let [x, gain, qkv, out] = &inputs;
        let (y, saved) = attention_block::forward(&shape, attention_weights([gain, qkv, out]), slice(x));
        let y = tensor(y, x);
        match AttentionBlock.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inputs, shape, saved), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn mlp_block(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gate_up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let inputs = [x, gain, gate_up, down];
        let nodes = inputs.each_ref().map(|input| input.node());
        let inputs = contiguous(inputs.map(|input| input.into_primitive()));
        let [x, gain, gate_up, down] = &inputs;
        let (y, saved) = mlp_block::forward(epsilon, mlp_weights([gain, gate_up, down]), slice(x));
        let y = tensor(y, x);
        match MlpBlock.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inputs, saved), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn loss_head(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: Arc<[u32]>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let inputs = [x, gain, head];
        let nodes = inputs.each_ref().map(|input| input.node());
        let inputs = contiguous(inputs.map(|input| input.into_primitive()));
        let [x, gain, head] = &inputs;
        let (losses, saved) = loss_head::forward(epsilon, head_weights([gain, head]), slice(x), &targets);
        let losses = Values::from_data(TensorData::new(losses, [targets.len()]));
        match LossHead.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inputs, targets, saved), losses),
            OpsKind::UnTracked(prep) => prep.finish(losses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kernels::attention::Heads;
    use crate::model::kernels::rotary::Rotary;
    use crate::model::{Device, composed};
    use crate::random;
    use rand::Rng;

    /// A leaf with random values around `centre`, the same for the same name.
    fn leaf<const D: usize>(name: &str, shape: [usize; D], centre: f32) -> Tensor<D> {
        let mut rng = random::rng(5, name, 0, 0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| centre + 0.3 * random::normal(&mut rng)).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::Cpu.burn()).autodiff().require_grad()
    }

    /// Largest difference, over the largest of the values expected.
    fn difference(found: TensorData, expected: TensorData) -> f32 {
        let (found, expected) = (found.as_slice::<f32>().unwrap(), expected.as_slice::<f32>().unwrap());
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        found.iter().zip(expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs())) / largest
    }

    /// Output and gradients of the inputs, the output weighed by random numbers before it is summed.
    fn run<const D: usize>(
        operation: impl Fn(Tensor<2>, Tensor<1>, Tensor<2>, Tensor<2>) -> Tensor<D>,
        shapes: [[usize; 2]; 3],
    ) -> Vec<TensorData> {
        let (x, gain) = (leaf("x", shapes[0], 0.0), leaf("gain", [shapes[0][1]], 1.0));
        let (first, second) = (leaf("first", shapes[1], 0.0), leaf("second", shapes[2], 0.0));
        let y = operation(x.clone(), gain.clone(), first.clone(), second.clone());
        let weights = leaf("upstream", y.dims(), 0.0).without_autodiff().autodiff();
        let mut grads = (y.clone() * weights).sum().backward();
        let [x, first, second] = [x, first, second].map(|input| input.grad_remove(&mut grads));
        let gain = gain.grad_remove(&mut grads).map(Tensor::into_data);
        let grads = [x, first, second].map(|grad| grad.map(Tensor::into_data));
        [Some(y.into_data()), gain].into_iter().chain(grads).flatten().collect()
    }

    fn agree(fused: Vec<TensorData>, composed: Vec<TensorData>, case: &str) {
        assert_eq!(fused.len(), composed.len());
        for (index, (fused, composed)) in fused.into_iter().zip(composed).enumerate() {
            let difference = difference(fused, composed);
            assert!(difference < 2e-5, "{case}, value {index}: {difference}");
        }
    }

    #[test]
    fn attention_is_the_composed_attention() {
        // Heads, key/value heads, head size, length, sequences, hidden: blocks of queries full and not, odd sizes, shared keys.
        for case in [
            [4, 4, 16, 64, 2, 64],
            [4, 2, 16, 33, 3, 40],
            [6, 1, 6, 70, 1, 24],
            [2, 2, 8, 1, 5, 16],
            [3, 3, 10, 31, 2, 30],
        ] {
            let [count, kv_count, size, length, sequences, hidden] = case;
            let heads = Heads { count, kv_count, size, length };
            let rotary = Arc::new(Rotary::new(length, size, 10_000.0));
            let shape = AttentionShape { heads, rotary, epsilon: 1e-5 };
            let shapes = [[sequences * length, hidden], [heads.row(), hidden], [hidden, heads.mixed()]];
            let fused = run(|x, g, qkv, out| attention_block(x, g, qkv, out, shape.clone()), shapes);
            let composed = run(|x, g, qkv, out| composed::attention_block(x, g, qkv, out, shape.clone()), shapes);
            agree(fused, composed, &format!("{case:?}"));
        }
    }

    #[test]
    fn mlp_is_the_composed_mlp() {
        for [rows, hidden, width] in [[64, 64, 192], [33, 24, 50], [1, 7, 3]] {
            let shapes = [[rows, hidden], [2 * width, hidden], [hidden, width]];
            let fused = run(|x, g, gate_up, down| mlp_block(x, g, gate_up, down, 1e-5), shapes);
            let composed = run(|x, g, gate_up, down| composed::mlp_block(x, g, gate_up, down, 1e-5), shapes);
            agree(fused, composed, &format!("{rows} x {hidden} x {width}"));
        }
    }

    #[test]
    fn loss_is_the_composed_loss() {
        for [rows, hidden, vocabulary] in [[64, 64, 256], [7, 10, 37]] {
            let mut rng = random::rng(6, "targets", 0, 0);
            let targets: Arc<[u32]> = (0..rows).map(|_| rng.next_u32() % vocabulary as u32).collect();
            let shapes = [[rows, hidden], [vocabulary, hidden], [1, 1]];
            let fused = run(|x, g, head, _| loss_head(x, g, head, targets.clone(), 1e-5), shapes);
            let composed = run(|x, g, head, _| composed::loss_head(x, g, head, targets.clone(), 1e-5), shapes);
            agree(fused, composed, &format!("{rows} x {hidden} x {vocabulary}"));
        }
    }
}
