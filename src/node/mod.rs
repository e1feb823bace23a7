//! The peer and the validator: a round told from top to bottom.
//!
//! Nodes are plain `async` code against the ports of [`ports`]. They cannot tell whether a simulated world or a real
//! one is behind these.

mod agreed;
mod audit;
pub mod behaviour;
mod bundle;
mod catch_up;
mod checkpoint;
mod compute;
mod follow;
mod hardware;
mod network;
mod peer;
pub mod ports;
mod report;
mod reveal;
mod role;
mod upload;
pub mod validator;

pub(crate) use agreed::Agreed;
pub use bundle::bundle_len;
pub use catch_up::newest_checkpoint_round;
pub use checkpoint::{get_checkpoint, put_checkpoint};
pub use compute::Compute;
pub use follow::fetch_record;
pub(crate) use follow::{apply, fetch_payloads, follow_record};
pub use hardware::{Hardware, Processor};
pub use network::{Network, OpenError, Rules};
pub use peer::{Peer, PeerPlan};
pub use report::{PeerReport, RoundReport};
pub use role::{Node, Role};
pub use upload::KEPT_UPLOADS;
pub use validator::Validator;
