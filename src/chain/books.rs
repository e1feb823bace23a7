//! The interface of a chain kept in memory for all nodes of a simulated world.

use std::sync::Arc;

use super::call::{Extrinsic, Genesis, LedgerError};
use super::settings::ChainSettings;
use super::view::ChainView;

/// Keeps a chain in memory. Runs are repeated and resumed to the bit, so equal calls in equal blocks must lead to equal
/// views, regardless of the order in which nodes submit within a block and of when views are asked for.
pub trait Books: Send {
    /// The chain at the start of a block, after all calls of earlier blocks. The engine never goes back to an earlier
    /// block.
    fn view(&mut self, block: u64) -> Arc<dyn ChainView>;

    /// Takes a call into a block. It takes effect in the view of the next block, unless the rules refuse it. Calls may
    /// arrive out of block order, because nodes of a resumed run continue from different times.
    ///
    /// # Errors
    /// The block is over, or no state of this chain could accept the call.
    fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError>;

    /// All calls taken, with their blocks, sorted by block; the calls of one hotkey stay in the order it made them.
    /// Checkpoints keep this log, and a resumed run submits it to fresh books.
    fn log(&self) -> Vec<(u64, Extrinsic)>;
}

/// Opens the books of a chain at block 0. Pass your own to [`simulate_on`](crate::engine::simulate_on) to run on
/// another chain; the default is [`Ledger::open`](super::Ledger::open).
pub type OpenBooks = dyn Fn(&ChainSettings, Genesis) -> Result<Box<dyn Books>, LedgerError>;
