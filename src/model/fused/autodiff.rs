//! Backward passes of the fused operations, and what each keeps from its forward pass.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::{FusedOps, Values, attention_weights, contiguous, head_weights, mlp_weights, rows_of, slice, tensor};
use crate::model::kernels::attention_block::{self, AttentionShape};
use crate::model::kernels::{embedding, loss_head, mlp_block};

/// Adds gradients to those of the parents that track them.
fn register<const N: usize>(grads: &mut Gradients, parents: [Option<NodeId>; N], values: [Values; N]) {
    for (parent, value) in parents.into_iter().zip(values) {
        if let Some(id) = parent {
            grads.register::<Flex>(id, value);
        }
    }
}

#[derive(Debug)]
struct Embedding;

impl Backward<Flex, 1> for Embedding {
    type State = (Values, Arc<[u32]>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (table, ids) = ops.state;
        let shape = table.shape();
        let result = embedding::backward(shape.num_elements(), shape[1], &ids, slice(&upstream));
        register(grads, ops.parents.map(|parent| parent.map(|node| node.id)), [tensor(result, &table)]);
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
    fn embedding(table: FloatTensor<Self>, ids: Arc<[u32]>) -> FloatTensor<Self> {
        let node = table.node();
        let [table] = contiguous([table.into_primitive()]);
        let rows = rows_of(&table, &ids);
        match Embedding.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((table, ids), rows),
            OpsKind::UnTracked(prep) => prep.finish(rows),
        }
    }

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
