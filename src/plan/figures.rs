//! A plan for programs: its counts on a device, as JSON. Bytes, FLOP and seconds, without prefixes.

use serde_json::{Value, json};

use super::{MemoryPart, Plan, RoundTime, Speed};

impl Plan {
    /// The assumptions behind the figures, one per line.
    pub fn assumed(&self, speed: &Speed) -> Vec<String> {
        let mut lines = speed.assumed.clone();
        if self.peer_devices().max(self.validator_devices()) > 1 {
            lines.push(
                "devices of a node share its work evenly, and a host thread for each aggregates; what they tell one another \
                 takes no time"
                    .into(),
            );
        }
        if speed.is_accelerator && self.peer_devices() > 1 {
            lines.push(
                "parameters, gradient and optimiser are spread over the devices of a peer, as FSDP does; a micro-batch is that \
                 of one device; the agreed models and error feedback are on the host (nodes of this program train a peer on one \
                 device)"
                    .into(),
            );
        }
        lines
    }

    /// All counts of the plan on a device of this speed.
    pub fn figures(&self, speed: &Speed) -> Value {
        let (flops, traffic) = (self.flops(), self.traffic());
        let memory = self.peer_memory(speed.is_accelerator);
        let part = |part: &MemoryPart| json!({ "what": part.what, "device": part.device, "host": part.host });
        json!({
            "name": self.scenario.name,
            "device": speed.device,
            "devices_of_a_peer": self.peer_devices(),
            "parameters": self.parameters(),
            "rounds": self.scenario.rounds,
            "round_seconds": self.scenario.round_seconds(),
            "peers": self.registered(),
            "aggregated": self.scenario.protocol.top_peers,
            "tokens_per_peer": self.tokens_per_peer(),
            "seconds": self.seconds(),
            "flops": {
                "token": flops.token,
                "peer_round": flops.peer_round,
                "validator_round": flops.validator_round,
                "peer": flops.peer,
                "aggregated": flops.aggregated,
                "all": flops.all,
            },
            "memory": memory.parts.iter().map(part).collect::<Vec<_>>(),
            "memory_total": part(&memory.total),
            "memory_further_peer": part(&memory.further_peer),
            "device_memory": speed.memory,
            "traffic": {
                "upload": traffic.upload,
                "peer_down": traffic.peer_down,
                "validator_up": traffic.validator_up,
                "validator_down": traffic.validator_down,
                "checkpoint": traffic.checkpoint,
                "put_window_mbps": traffic.put_window_mbps,
                "state": traffic.state,
                "state_mbps": traffic.state_mbps,
            },
            "peer_round": round(&self.peer_round(speed)),
            "validator_round": round(&self.validator_round(speed)),
            "upload_seconds": self.upload_seconds(),
            "transfer_seconds": self.transfer_seconds(),
            "assumed": self.assumed(speed),
        })
    }
}

fn round(round: &RoundTime) -> Value {
    let parts = round.parts.iter().map(|part| json!({ "what": part.what, "seconds": part.seconds }));
    json!({
        "parts": parts.collect::<Vec<_>>(),
        "needed": round.needed,
        "length": round.length,
        "least_mbps": round.least_mbps,
        "fits": round.fits(),
    })
}
