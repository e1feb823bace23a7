//! Permissionless distributed training of language models, as a deterministic simulator and a real runtime.
//!
//! Peers train and upload a compressed pseudo-gradient each round; validators filter, evaluate, rate and pay them
//! (Gauntlet, Lidin et al., arXiv 2505.21684); everybody applies the same aggregation of the best.
//!
//! From the outside in, each module knowing only those after it:
//!
//! | module | what it holds |
//! |---|---|
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
//! | [`random`] | generators, each a function of seed, purpose, node and round |

pub mod bucket;
pub mod chain;
pub mod corpus;
pub mod digest;
pub mod engine;
pub mod evaluation;
pub mod mechanism;
pub mod model;
pub mod node;
pub mod plan;
pub mod protocol;
pub mod random;
pub mod report;
pub mod runtime;
pub mod scenario;
pub mod settings;
pub mod training;
pub mod transport;

/// Slot of a registered peer.
pub type Uid = u16;
