//! What a validator's behaviour is, to the validator that asks it.

use std::time::Duration;

use bytes::Bytes;

use crate::Uid;
use crate::chain::ChainView;
use crate::mechanism::Measurement;
use crate::node::network::Network;
use crate::node::ports::Ports;
use crate::settings::Findings;

/// What a validator's behaviour may look at in a round.
pub struct ValidatorSurroundings<'a> {
    /// What everybody knows of the run.
    pub network: &'a Network,
    /// The validator's clock, chain, bucket and hardware.
    pub ports: &'a Ports,
    /// The round that is validated.
    pub round: u64,
    /// The chain as it was when the put window had closed.
    pub chain: &'a dyn ChainView,
}

/// The answers of a validator, asked at each step of a round. Every default answer is the honest one. What must survive
/// a restart goes through `save` and `restore`.
pub trait ValidatorBehaviour: Send + Sync {
    /// When does it write the record of the round, if there is none by then? `turn` is its turn in the succession, since
    /// genesis; `None`: never. Where no validator ever writes one, the network waits for ever.
    fn decides_at(&self, turn: Duration, _around: &ValidatorSurroundings) -> Option<Duration> {
        Some(turn)
    }

    /// Whom does it aggregate where it decides? `judged` are those whom the mechanism would, `valid` all whose uploads
    /// are in time and well-formed: of others nobody has a payload, so they are left out, as are those beyond
    /// `protocol.top_peers`. May be asked more than once a round.
    fn included(&self, judged: Vec<Uid>, _valid: &[Uid], _around: &ValidatorSurroundings) -> Vec<Uid> {
        judged
    }

    /// What does it publish as the bundle of the round's payloads? Others make do with the peers' own uploads as long as
    /// they are kept, and catch up from the next checkpoint. May be asked more than once a round.
    fn bundle(&self, honest: Bytes, _around: &ValidatorSurroundings) -> Bytes {
        honest
    }

    /// Which losses does it measure? Those that it leaves out are missing to its mechanism.
    fn measured(&mut self, wanted: Vec<Measurement>, _around: &ValidatorSurroundings) -> Vec<Measurement> {
        wanted
    }

    /// Which weights does it set? `judged` is what the mechanism would pay.
    fn weights(&mut self, judged: Vec<(Uid, f64)>, _around: &ValidatorSurroundings) -> Vec<(Uid, f64)> {
        judged
    }

    /// State to go on from.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes up the state that `save` gave.
    ///
    /// # Errors
    /// Bytes that are not a state of this behaviour.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        if saved.is_empty() { Ok(()) } else { Err("this behaviour keeps no state".into()) }
    }
}

/// The settings of a validator's behaviour.
pub trait ValidatorBehaviourSettings: Send + Sync {
    /// Checks what a type cannot tell; paths are relative to the table of settings.
    fn check(&self, _found: &mut Findings) {}

    /// The behaviour of one validator.
    fn build(&self) -> Box<dyn ValidatorBehaviour>;
}
