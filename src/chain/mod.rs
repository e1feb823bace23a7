//! The chain: who is registered, what time it is, what validators say, who is paid.
//!
//! Its state is a pure function of genesis and a log of signed calls, sorted by block, hotkey and each hotkey's own
//! counting. Nodes that agree on the log agree on the state, whoever keeps the log: the simulator in memory, or later a
//! bucket.

pub mod blocks;
pub mod ledger;
pub mod registry;
mod settings;
mod state;
pub mod yuma;

pub use blocks::{PutWindow, RoundClock};
pub use ledger::{Call, Extrinsic, Genesis, Ledger, LedgerError};
pub use registry::{Hotkey, MAX_SLOTS, Registration};
pub use settings::ChainSettings;
pub use state::{ChainState, Posted, Refusal, Validator};
