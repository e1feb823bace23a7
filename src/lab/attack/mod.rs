//! Searches for strategies that a mechanism pays for less than honest work.
//!
//! | file | what it holds |
//! |---|---|
//! | `space` | all strategies that can be tried |
//! | `arena` | the networks in which they are tried |
//! | `archive` | the trials of each strategy, and its expected gain |
//! | `evolve` | which networks to run next |
//! | `search` | all stages, from the first networks to the findings |
//! | `folder` | a search in its folder or bucket |
//! | `report` | the output: findings as scenarios, tables, the frontier |
//! | `picture` | the frontier: pay by work |

mod archive;
mod arena;
mod evolve;
mod folder;
mod picture;
mod report;
mod search;
mod space;
#[cfg(test)]
mod tests;

pub use archive::{Archive, OVERHEAD};
pub use arena::{Arena, Played, Stage, Trial};
pub use folder::Recorded;
pub use search::{Everybody, Finding, Found, Part, Search};
pub use space::{Space, Strategy};
