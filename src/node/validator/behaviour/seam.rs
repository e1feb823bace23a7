//! The interface between a validator and its behaviour.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Uid;
use crate::chain::ChainView;
use crate::mechanism::Measurement;
use crate::node::network::Network;
use crate::node::ports::Ports;
use crate::settings::Findings;
use crate::transport::record::RoundRecord;

/// What a validator's behaviour may look at in a round.
pub struct ValidatorSurroundings<'a> {
    /// What everybody knows of the run.
    pub network: &'a Network,
    /// The validator's clock, chain, bucket and hardware.
    pub ports: &'a Ports,
    /// The round that is validated.
    pub round: u64,
    /// The chain when the put window closed.
    pub chain: &'a dyn ChainView,
}

/// The answers of a validator, asked at each step of a round. Every default answer is the honest one. What must survive
/// a restart goes through `save` and `restore`.
#[async_trait]
pub trait ValidatorBehaviour: Send + Sync {
    /// When does it write the record of the round, if there is none by then? `turn` is its turn in the succession,
    /// since genesis. A record that is earlier counts for nobody. `None` means never. If no validator ever writes a
    /// record, the network waits for ever.
    fn decides_at(&self, turn: Duration, _around: &ValidatorSurroundings) -> Option<Duration> {
        Some(turn)
    }

    /// Whom does it aggregate if it decides? `judged` are the mechanism's choice, `valid` all peers whose uploads are
    /// in time and well-formed. Other peers are left out, because nobody has their payloads, and so are those beyond
    /// `protocol.top_peers`. May be asked more than once a round.
    fn included(&self, judged: Vec<Uid>, _valid: &[Uid], _around: &ValidatorSurroundings) -> Vec<Uid> {
        judged
    }

    /// What does it publish as the bundle of the round's payloads? Without a good bundle, others use the peers' own
    /// uploads while these are kept, and then catch up from the next checkpoint. May be asked more than once a round.
    fn bundle(&self, honest: Bytes, _around: &ValidatorSurroundings) -> Bytes {
        honest
    }

    /// Which record does it sign and write? Others take `included` and the payloads from it, and check the rest. May be
    /// asked more than once a round.
    fn record(&self, honest: RoundRecord, _around: &ValidatorSurroundings) -> RoundRecord {
        honest
    }

    /// What does it measure? Its mechanism lacks what it leaves out.
    fn measured(&mut self, wanted: Vec<Measurement>, _around: &ValidatorSurroundings) -> Vec<Measurement> {
        wanted
    }

    /// When does it set its weights, since genesis? `None` means at once, with what it knew when the put window closed.
    fn weighs_at(&self, _around: &ValidatorSurroundings) -> Option<Duration> {
        None
    }

    /// Which weights does it set? `judged` is what the mechanism would pay.
    fn weights(&mut self, judged: Vec<(Uid, f64)>, _around: &ValidatorSurroundings) -> Vec<(Uid, f64)> {
        judged
    }

    /// What else does it do when the round is over for it? `own` is the record, if it has decided the round.
    async fn afterwards(&mut self, _own: Option<&RoundRecord>, _around: &ValidatorSurroundings<'_>) {}

    /// Saves the state to go on from.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Restores the state that `save` returned.
    ///
    /// # Errors
    /// The bytes are no state of this behaviour.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        if saved.is_empty() { Ok(()) } else { Err("this behaviour keeps no state".into()) }
    }
}

/// The settings of a validator's behaviour.
pub trait ValidatorBehaviourSettings: Send + Sync {
    /// Checks what the types cannot. Paths are relative to the table of settings.
    fn check(&self, _found: &mut Findings) {}

    /// The behaviour of one validator.
    fn build(&self) -> Box<dyn ValidatorBehaviour>;
}
