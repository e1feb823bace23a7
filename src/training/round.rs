//! Which round it is, as far as training depends on it.

/// A communication round, as a peer trains in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    pub number: u64,
    /// Learning rate of the round.
    pub lr: f64,
}
