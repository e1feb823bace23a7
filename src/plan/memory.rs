//! Memory of a peer, on its device and on its host.

use super::counts::Plan;
use super::round::NEWTON_SCHULZ;
use crate::model::{Device, Memory};
use crate::training::scheme::Footprint;
use crate::training::{Basis, remembered};
use crate::transport::wire::encoded_len;

/// A part of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    pub what: &'static str,
    /// Bytes on the device; 0 if the host computes.
    pub device: u64,
    /// Bytes on the host.
    pub host: u64,
}

/// Memory of a process with one peer, by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMemory {
    pub parts: Vec<MemoryPart>,
    /// The peak; on a device it is that of each. The results of a block, the logits and what a step of Muon takes never exist at the same time.
    pub total: MemoryPart,
    /// The part of `total` that each further peer in the same process adds.
    pub further_peer: MemoryPart,
}

impl Plan {
    /// Memory of a peer whose model is on an accelerator, or computed by the host's kernels.
    ///
    /// Nodes of a process share replicas: the one being trained, the initial one, and those of the last few
    /// aggregations, for nodes that lag behind. A peer of several devices is planned by
    /// [`sharded`](super::sharded).
    pub fn peer_memory(&self, is_accelerator: bool) -> PeerMemory {
        if is_accelerator && self.peer_devices() > 1 {
            return self.sharded_memory();
        }
        let model = 4 * self.parameters() as u64;
        let kept = 4 * self.scheme.kept_values() as u64;
        let batch = self.scenario.training.micro_batch.min(self.scenario.training.pages_per_round);
        // `CpuBf16` works like a CUDA device, which not every build has.
        let device = if is_accelerator { Device::CpuBf16 } else { Device::Cpu };
        let gradient = Memory::on(&device, &self.config, batch);
        let Footprint { kept: what_is_kept, kept_on_device, own_model } = self.scheme.footprint();
        // On the host a replica is its flat parameters, and the model too unless a device has it.
        let part = |what, bytes: u64| match is_accelerator {
            true => MemoryPart { what, device: bytes, host: 0 },
            false => MemoryPart { what, device: 0, host: bytes },
        };
        let replica = |what, count: u64| {
            let part = part(what, count * gradient.parameters);
            MemoryPart { host: part.host + count * model, ..part }
        };
        let state = match kept_on_device {
            true => part(what_is_kept, kept),
            false => MemoryPart { what: what_is_kept, device: 0, host: kept },
        };
        // Such a scheme copies the gradient to the host.
        let brought = if is_accelerator && !kept_on_device { model } else { 0 };
        let gradient_part = part("gradient", gradient.gradient);
        let mut parts = vec![
            replica("weights", 1),
            replica("further replicas", remembered(&device, self.parameters()) as u64),
            state,
            MemoryPart { host: gradient_part.host + brought, ..gradient_part },
            part("activations", gradient.block_inputs + gradient.block),
            part("logits", gradient.head),
            MemoryPart { what: "an aggregation", device: 0, host: self.aggregation_bytes() },
            MemoryPart { what: "state, while it is saved", device: 0, host: kept },
        ];
        let shown = if self.scenario.judge().audits() { 2 * kept } else { 0 };
        if shown > 0 {
            parts.push(MemoryPart { what: "states that validators may ask for", device: 0, host: shown });
        }
        if own_model {
            parts.push(replica("model of the local steps", 1));
        }
        // A step of Muon follows a gradient, whose activations are gone by then. On a device so are the gradient, which
        // is on the host, and the model of the local steps.
        let optimiser = self.scheme.local_steps().map(|steps| steps.optimiser());
        let stepping = optimiser.map_or([0, 0], |optimiser| optimiser.scratch_values(&device));
        let [on_device, on_host] = stepping.map(|values| 4 * values as u64);
        if on_device + on_host > 0 {
            parts.push(MemoryPart { what: NEWTON_SCHULZ, device: on_device, host: on_host });
        }
        let sum = |of: fn(&MemoryPart) -> u64| parts.iter().map(of).sum::<u64>();
        let activations = gradient.block_inputs + gradient.block.max(gradient.head);
        let before_step = match is_accelerator {
            true => on_device.min(activations + gradient.gradient + gradient.parameters),
            false => on_host.min(activations),
        };
        let shared = gradient.block.min(gradient.head) + before_step;
        let (device, host) = (sum(|part| part.device), sum(|part| part.host));
        let total = match is_accelerator {
            true => MemoryPart { what: "at most at a time", device: device - shared, host },
            false => MemoryPart { what: "at most at a time", device, host: host - shared },
        };
        // All peers of a process save their states in the same rounds.
        let further_peer = MemoryPart { what: "each further peer", host: state.host + kept + shown, ..state };
        PeerMemory { total, further_peer, parts }
    }

    /// Host memory of an aggregation besides the new replica: the uploads, their unpacked coefficients (an index of 16
    /// bits and a value of 32), and, for a step by signs, one sign per parameter.
    pub(super) fn aggregation_bytes(&self) -> u64 {
        let upload = encoded_len(self.form()) + 6 * self.coefficients();
        let signs = if self.scheme.payloads().basis == Basis::Dct { self.parameters() } else { 0 };
        (self.scenario.protocol.top_peers * upload + signs) as u64
    }
}
