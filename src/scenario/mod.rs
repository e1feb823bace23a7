//! Scenario files: a network to run, as TOML.
//!
//! Every setting has a default; those of training, Gauntlet and chain are the Templar-I run's (Lidin et al., arXiv
//! 2505.21684). Unknown keys are refused. [`load`] reads a file, applies `--set key=value`, and checks what single keys
//! cannot show. Every message names the place (file, line and column, or the `--set`), the key, what was found and what
//! was expected.
//!
//! | file | what it holds |
//! |---|---|
//! | `sections`, `peers` | the sections; their settings are defined beside what they set |
//! | `operators`, `nodes`, `processor` | the parties that train, and the nodes of a scenario |
//! | `open` | the network that the nodes share |
//! | `init` | the sizes of a model that a scenario starts from |
//! | `registry` | the kinds that a scenario may name |
//! | `resolve` | names of kinds to their settings |
//! | `load` | a file and overrides to a checked [`Scenario`] |
//! | `check` | rules between and inside settings |
//! | `moved` | keys that earlier versions had elsewhere |
//! | `place`, `message`, `error` | where a problem is, and how it is reported |
//! | `shipped` | the scenarios that ship with the program |

mod check;
mod error;
mod init;
mod load;
mod message;
mod moved;
mod nodes;
mod open;
mod operators;
mod overrides;
mod peers;
mod place;
mod processor;
mod registry;
mod resolve;
mod sections;
mod shipped;
#[cfg(test)]
mod tests;
pub use crate::chain::MAX_SLOTS;
pub use error::{Place, Problem, ScenarioError};
pub use load::{load, load_with};
pub use message::known_keys as keys;
pub use nodes::Machines;
pub use open::World;
pub use operators::Operator;
pub use overrides::Override;
pub use peers::{OperatorGroup, PeerGroup, ValidatorSettings};
pub use registry::Registry;
pub use sections::Scenario;
pub use shipped::{Shipped, shipped};
