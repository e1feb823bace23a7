//! What a scenario file may say: a network to run, as TOML.
//!
//! Every setting has a default; those of training, Gauntlet and chain are the Templar-I run's (Lidin et al., arXiv
//! 2505.21684). Unknown keys are refused. [`load`] reads a file, applies `--set key=value`, and checks what a single
//! key cannot tell; every message names the place (file, line and column, or the `--set`), the key, what was found and
//! what was expected.
//!
//! | file | what it holds |
//! |---|---|
//! | `sections`, `peers` | the sections; their settings lie beside what they set |
//! | `operators`, `nodes`, `processor` | who trains, and what the nodes of a scenario are made of |
//! | `open` | the network that the nodes share |
//! | `registry` | the kinds that a scenario may name |
//! | `resolve` | from the names of kinds to their settings |
//! | `load` | from a file and overrides to a checked [`Scenario`] |
//! | `check` | what must hold between and inside the settings |
//! | `moved` | what earlier versions said otherwise |
//! | `place`, `message`, `error` | where a problem is, and how it is told |
//! | `shipped` | the scenarios that are part of the program |

mod check;
mod error;
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
pub use load::load;
pub use nodes::Machines;
pub use open::World;
pub use operators::Operator;
pub use overrides::Override;
pub use peers::{OperatorGroup, PeerGroup, ValidatorSettings};
pub use registry::Registry;
pub use sections::Scenario;
pub use shipped::{Shipped, shipped};
