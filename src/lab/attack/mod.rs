//! The search for strategies that a mechanism pays for less than honest work.
//!
//! | file | what it holds |
//! |---|---|
//! | `space` | the strategies that can be tried |
//! | `arena` | the networks that they are tried in |
//! | `archive` | what is known of each strategy, and what to expect of it |
//! | `evolve` | which networks to run next |
//! | `search` | from the first networks to the findings |
//! | `folder` | a search in its folder or bucket |
//! | `report` | what is written: findings as scenarios, tables, the frontier |
//! | `picture` | the frontier of work against pay |

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
pub use search::{Everybody, Finding, Found, Part, Search};
pub use space::{Space, Strategy};
