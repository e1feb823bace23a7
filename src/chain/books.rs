//! A chain that is kept in memory for all nodes of a simulated world.

use std::sync::Arc;

use super::call::{Extrinsic, Genesis, LedgerError};
use super::settings::ChainSettings;
use super::view::ChainView;

/// Keeps a chain in memory. Equal calls in equal blocks must lead to equal views, whatever the order in which nodes
/// submit inside of a block and whenever views are asked for: runs are repeated and resumed to the bit.
pub trait Books: Send {
    /// The chain at the start of a block, all calls of earlier blocks applied. The engine asks for no earlier block than
    /// it has asked for before.
    fn view(&mut self, block: u64) -> Arc<dyn ChainView>;

    /// Takes a call into a block; it has its effect in the view of the next one, or none if the rules say so. Calls of a
    /// later block may come before those of an earlier one: nodes of a resumed run go on from different times.
    ///
    /// # Errors
    /// The call is not kept: its block is over, or no state of this chain could take it.
    fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError>;

    /// Every call that was taken, with its block, by block; those of one hotkey in the order in which it made them.
    /// Checkpoints keep this log: a resumed run submits it to fresh books.
    fn log(&self) -> Vec<(u64, Extrinsic)>;
}

/// Opens the books of a chain at block 0: what whoever brings a chain of their own hands to
/// [`simulate_on`](crate::engine::simulate_on). The default is [`Ledger::open`](super::Ledger::open).
pub type OpenBooks = dyn Fn(&ChainSettings, Genesis) -> Result<Box<dyn Books>, LedgerError>;
