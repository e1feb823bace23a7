//! What reads the inputs: a function for each kind of data that comes from elsewhere.

pub mod bundle;
pub mod call;
pub mod checkpoint;
pub mod envelope;
pub mod genesis;
pub mod metrics;
pub mod record;
pub mod report;
pub mod run_folder;
pub mod scenario;
pub mod shards;
pub mod tokens;
pub mod upload;
pub mod weights;

/// A target: its name, and what reads an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: [Target; 14] = [
    ("bundle", bundle::run),
    ("call", call::run),
    ("checkpoint", checkpoint::run),
    ("envelope", envelope::run),
    ("genesis", genesis::run),
    ("metrics", metrics::run),
    ("record", record::run),
    ("report", report::run),
    ("run_folder", run_folder::run),
    ("scenario", scenario::run),
    ("shards", shards::run),
    ("tokens", tokens::run),
    ("upload", upload::run),
    ("weights", weights::run),
];
