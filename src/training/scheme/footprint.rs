//! What a peer of a scheme keeps in memory.

/// What a peer of a scheme keeps in memory besides the model and the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// What [`Scheme::kept_values`](super::Scheme::kept_values) counts, in a word.
    pub kept: &'static str,
    /// Whether these values are on the device beside the gradient, and not on the host.
    pub kept_on_device: bool,
    /// Whether the peer trains its own model besides the replica.
    pub own_model: bool,
}

impl Default for Footprint {
    /// All values are on the host, and the replica is the only model.
    fn default() -> Self {
        Self { kept: "state of the scheme", kept_on_device: false, own_model: false }
    }
}
