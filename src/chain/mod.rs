//! The chain: who is registered, what time it is, what validators say, who is paid.
//!
//! The state is a pure function of genesis and a log of signed calls, sorted by block, hotkey and each hotkey's own
//! count of calls. Nodes that agree on the log agree on the state, whether the simulator keeps the log in memory or a
//! real network keeps it in its bucket.
//!
//! Nodes only see a [`ChainView`] and submit calls through a [`Chain`]. To add another chain, write a type that builds
//! such views: [`Books`] for a simulated world, a [`Chain`] elsewhere.
//!
//! | file | what it holds |
//! |---|---|
//! | `view` | what a node sees and does |
//! | `snapshot` | a view of plain lists, for chains of one's own |
//! | `call` | calls and genesis |
//! | `books` | what a simulated world needs of a back end |
//! | `ledger` | the log of calls: the back end of this project |
//! | `state` | the state that the log leads to |
//! | `registry` | slots and their owners |
//! | `commitment` | weights that are committed to before anybody can read them |
//! | `watch` | void rounds, and validators that lose their turn |
//! | `yuma` | pay from weights |
//! | `blocks` | blocks, rounds and time |

pub mod blocks;
mod books;
mod call;
mod commitment;
pub mod ledger;
pub mod registry;
mod settings;
mod snapshot;
mod state;
mod view;
mod watch;
pub mod yuma;

pub use blocks::{PutWindow, RoundClock};
pub use books::{Books, OpenBooks};
pub use call::{Call, Extrinsic, Genesis, LedgerError, Objection};
pub use commitment::commitment;
pub use ledger::Ledger;
pub use registry::{Hotkey, MAX_SLOTS, Registration, Registry};
pub use settings::ChainSettings;
pub use snapshot::Snapshot;
pub use state::{ChainState, Posted, Refusal, Validator};
pub use view::{Chain, ChainView};
