//! Permissionless distributed training of language models, as a deterministic simulator and a real runtime.
//!
//! Peers train and upload a compressed pseudo-gradient each round; validators filter, evaluate, rate and pay them
//! (Gauntlet, Lidin et al., arXiv 2505.21684); everybody applies the same aggregation of the best.
//!
//! A scenario in, a leaderboard out:
//!
//! ```
//! use gauntlet::report;
//! use gauntlet::scenario::Scenario;
//!
//! let toml = r#"
//!     name = "small"
//!     rounds = 10
//!     model = { preset = "nano", sequence_length = 16 }
//!     corpus = { held_out_pages = 8 }
//!     training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4 }
//!     scheme = { topk = 8 }
//!     protocol = { top_peers = 3, min_peers = 2 }
//!     chain = { weights_every = 1 }
//!     peers = [{ count = 3 }, { behaviour = "noise" }]
//! "#;
//! let run = report::run(Scenario::from_toml(toml, "small.toml", &[])?)?;
//! for peer in &run.leaderboard {
//!     println!("uid {}, {}: {:.1} % of all pay", peer.uid, peer.behaviour, 100.0 * peer.incentive_total);
//! }
//! assert_eq!(run.leaderboard.len(), 4);
//! assert_eq!(run.leaderboard[0].behaviour, "honest");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`report::record`] writes the same into a folder, with tables and pictures, as `sim run` does.
//!
//! From the outside in, each module knowing only those after it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`storm`] | a network under faults drawn from a seed, and what must hold after them |
//! | [`lab`] | experiments of many networks: sweeps, intervals over seeds |
//! | [`report`] | run folder, CSV, plots, tables |
//! | [`plan`] | what a scenario takes on real devices, from counts |
//! | [`runtime`] | the real network: nodes in processes, on real clocks, that meet in a bucket |
//! | [`engine`] | the paused-clock world: starts nodes, gives them hardware and links, records |
//! | [`scenario`] | what a TOML file may say |
//! | [`evaluation`] | zero-shot tasks by a model, as the field's harness defines them |
//! | [`node`] | the peer and the validator: a round told from top to bottom; behaviours |
//! | [`transport`] | keys and wire format; the simulated links and bucket |
//! | [`training`] | gradient of a round, schemes (DeMo, SparseLoCo, dense), exact aggregation, schedule, AdamW |
//! | [`corpus`] | tokens, and which pages are whose |
//! | [`model`] | Llama in Burn; presets; Hugging Face folders |
//! | [`chain`] | registry, rounds from blocks, stake, weights, Yuma consensus, emission |
//! | [`mechanism`] | how peers are judged and paid: facts in, measurements asked for, decisions out |
//! | [`protocol`] | put window, how many are aggregated, renewal of the list |
//! | [`settings`] | how sections of a scenario are checked, and kinds chosen by their names |
//! | [`bucket`] | opening the object store that a URL names |
//! | [`digest`] | BLAKE3 digests of models, payloads, aggregations and runs |
//! | [`words`] | counts and causes in messages |
//! | [`random`] | generators, each a function of seed, purpose, node and round |

pub mod bucket;
pub mod chain;
pub mod corpus;
pub mod digest;
pub mod engine;
pub mod evaluation;
pub mod lab;
pub mod mechanism;
pub mod model;
pub mod node;
pub mod plan;
#[cfg(test)]
mod planted;
pub mod protocol;
pub mod random;
pub mod report;
pub mod runtime;
pub mod scenario;
pub mod settings;
pub mod storm;
pub mod training;
pub mod transport;
pub mod words;

/// Slot of a registered peer.
pub type Uid = u16;

/// In weights: the part of the pay that nobody gets. It stands for no slot, of which there are fewer. Subnets of Bittensor burn pay
/// likewise, by weights for a slot of their own.
pub const NOBODY: Uid = Uid::MAX;
