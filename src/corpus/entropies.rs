//! What a corpus that is made from a seed is known to cost, in nats a token, as means over the predicted tokens of a page.

/// Losses of models that know everything but look at little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entropies {
    /// Of the best model there is.
    pub floor: f64,
    /// Of the best one that sees only the previous token.
    pub bigram: f64,
    /// Of the best one that knows only token frequencies.
    pub unigram: f64,
}
