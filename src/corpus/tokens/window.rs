//! The position of a page in the shards.

/// A window of tokens: a shard, and a position in it.
#[derive(Clone, Copy)]
pub struct Window {
    pub shard: usize,
    pub at: u64,
}
