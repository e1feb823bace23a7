//! Builds a node, for a simulated world or a real one.

use std::sync::Arc;

use super::hardware::Processor;
use super::network::Network;
use super::peer::{Peer, PeerPlan};
use super::ports::Ports;
use super::validator::Validator;
use super::validator::behaviour::ValidatorBehaviour;
use crate::digest::Digest;
use crate::training::Replica;

/// The kind of node to build.
pub enum Role {
    /// A node that trains, for one slot or several.
    Peer {
        plan: PeerPlan,
        /// The round in which it starts.
        joins: u64,
    },
    Validator {
        processor: Processor,
        behaviour: Box<dyn ValidatorBehaviour>,
        leaves: Option<u64>,
    },
}

/// A node that has not started yet.
pub enum Node {
    Peer(Box<Peer>),
    Validator { validator: Box<Validator>, leaves: Option<u64> },
}

impl Role {
    /// How many slots such a node registers; a validator, which needs none, counts as one.
    pub fn slots(&self) -> usize {
        match self {
            Self::Peer { plan, .. } => plan.slots,
            Self::Validator { .. } => 1,
        }
    }

    /// Builds a node of this role, from genesis or from its saved state. A peer has ports for each identity that it
    /// registers slots with ([`Peer::new`]), a validator for one. `replica` returns the parameters that the state names.
    ///
    /// # Errors
    /// The state is not of such a node.
    pub fn build(
        self,
        network: &Arc<Network>,
        ports: Vec<Ports>,
        saved: Option<&[u8]>,
        replica: impl Fn(&Digest) -> Option<Arc<Replica>>,
    ) -> Result<Node, String> {
        match self {
            Self::Peer { plan, .. } => {
                let mut peer = Peer::new(network.clone(), ports, plan);
                saved.map_or(Ok(()), |saved| peer.restore(saved, replica))?;
                Ok(Node::Peer(Box::new(peer)))
            }
            Self::Validator { processor, behaviour, leaves } => {
                let ports = ports.into_iter().next().ok_or("a validator has an identity")?;
                let mut validator = Validator::new(network.clone(), ports, processor, behaviour);
                saved.map_or(Ok(()), |saved| validator.restore(saved, replica))?;
                Ok(Node::Validator { validator: Box::new(validator), leaves })
            }
        }
    }
}

impl Node {
    /// The same node after a stop of unknown length: others may have gone on without it.
    pub fn after_a_stop(self) -> Self {
        match self {
            Self::Peer(peer) => Self::Peer(Box::new(peer.after_a_stop())),
            Self::Validator { validator, leaves } => {
                Self::Validator { validator: Box::new(validator.after_a_stop()), leaves }
            }
        }
    }

    /// Lives until the last round is over or the node leaves.
    pub async fn run(self) {
        match self {
            Self::Peer(peer) => peer.run().await,
            Self::Validator { validator, leaves } => validator.run(leaves).await,
        }
    }
}
