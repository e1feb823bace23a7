//! The facts of a round that training depends on.

/// A communication round, for a peer that trains in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    pub number: u64,
    /// Learning rate of the round.
    pub lr: f64,
    /// Steps that the peer makes alone, where the scheme has such steps; `None` for as many as the scheme says.
    pub steps: Option<usize>,
}
