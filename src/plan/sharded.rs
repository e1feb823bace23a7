//! Memory of a peer whose model is spread over several devices.
//!
//! Parameters, gradient and the optimiser's state are divided evenly, and each device computes on micro-batches of its
//! own with the weights of one block at a time, as in FSDP (Zhao et al., arXiv 2304.11277). A process trains one peer.
//! What a peer uses once a round is on the host: the agreed model, earlier ones, and error feedback.
//!
//! This is a plan only: nodes of this program train a peer on one device.

use super::counts::Plan;
use super::memory::{MemoryPart, PeerMemory};
use super::round::NEWTON_SCHULZ;
use crate::model::{Device, Memory};
use crate::training::remembered;

impl Plan {
    /// Memory of a peer of several devices: on each device, and on their host.
    pub(super) fn sharded_memory(&self) -> PeerMemory {
        let (device, devices) = (Device::CpuBf16, self.peer_devices() as u64);
        let batch = self.scenario.training.micro_batch.min(self.scenario.training.pages_per_round);
        let gradient = Memory::on(&device, &self.config, batch);
        let footprint = self.scheme.footprint();
        let optimiser = self.scheme.local_steps().map(|steps| steps.optimiser());
        let kept = 4 * self.scheme.kept_values() as u64;
        let kept_on_devices = match optimiser {
            _ if footprint.kept_on_device => kept,
            Some(optimiser) => 4 * optimiser.kept_values() as u64,
            None => 0,
        };
        let model = gradient.parameters;
        let shard = |bytes: u64| bytes.div_ceil(devices);
        let mut parts = vec![
            MemoryPart { what: "weights", device: shard(model), host: model },
            MemoryPart {
                what: "further replicas",
                device: 0,
                host: remembered(&device, self.parameters()) as u64 * model,
            },
            MemoryPart { what: footprint.kept, device: shard(kept_on_devices), host: kept - kept_on_devices },
            MemoryPart { what: "gradient", device: shard(gradient.gradient), host: 0 },
            MemoryPart { what: "activations", device: gradient.block_inputs + gradient.block, host: 0 },
            MemoryPart { what: "logits", device: gradient.head, host: 0 },
            MemoryPart { what: "an aggregation", device: 0, host: self.aggregation_bytes() },
            MemoryPart { what: "state, while it is saved", device: 0, host: kept },
        ];
        // A device steps whole matrices, and no two at a time.
        let stepping = optimiser.map_or(0, |optimiser| 4 * optimiser.scratch_values(&device)[0] as u64);
        if stepping > 0 {
            parts.push(MemoryPart { what: NEWTON_SCHULZ, device: stepping, host: 0 });
        }
        let sum = |of: fn(&MemoryPart) -> u64| parts.iter().map(of).sum::<u64>();
        // The activations are gone when a step is made.
        let activations = gradient.block_inputs + gradient.block.max(gradient.head);
        let shared = gradient.block.min(gradient.head) + stepping.min(activations);
        let total = MemoryPart {
            what: "at most at a time",
            device: sum(|part| part.device) - shared,
            host: sum(|part| part.host),
        };
        // It has devices and a process of its own.
        let further_peer = MemoryPart { what: "each further peer", ..total };
        PeerMemory { total, further_peer, parts }
    }
}
