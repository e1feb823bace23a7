//! The sections of a scenario file and their defaults.

use serde::{Deserialize, Serialize};

/// The model: a preset, or a preset with some sizes replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// `nano`, `tiny`, `small`, ..., `templar-1b`.
    pub preset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_layers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_kv_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Tokens a sequence predicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_length: Option<usize>,
    /// Width of a head [default: hidden_size / num_heads].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_size: Option<usize>,
    /// Base of the rotary angles [default: 10,000].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// What RMSNorm adds to the mean square [default: 1e-5].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rms_norm_eps: Option<f64>,
    /// Hugging Face folder whose weights the run starts from, and whose sizes the model has; without it weights are
    /// drawn from the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            preset: "tiny".into(),
            vocab_size: None,
            hidden_size: None,
            num_layers: None,
            num_heads: None,
            num_kv_heads: None,
            intermediate_size: None,
            sequence_length: None,
            head_size: None,
            rope_theta: None,
            rms_norm_eps: None,
            init: None,
        }
    }
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusSettings {
    pub kind: CorpusKind,
    /// Files, by a path, a folder or a pattern, or the URL of any of these in a bucket (`tokens`: of a folder of shards);
    /// a text file or its URL (`text`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Hugging Face `tokenizer.json` (`text`, `parquet`, `jsonl`); without it a text is read as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Bytes of a token in files without a manifest, 2 or 4 (`kind = "tokens"`); default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_bytes: Option<usize>,
    /// Pages kept away from training, on which the loss of the plots is measured.
    pub held_out_pages: usize,
}

/// Kinds of corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorpusKind {
    /// Made from the seed, with a known entropy.
    #[default]
    Synthetic,
    /// A text file, as bytes or through a tokenizer.
    Text,
    /// Shards of token ids, made by `sim tokenize` or by datatrove.
    Tokens,
    /// Texts of the column `text` of Parquet files, tokenised into memory when a run starts.
    Parquet,
    /// Texts of the field `text` of JSONL files, likewise.
    Jsonl,
}

impl Default for CorpusSettings {
    fn default() -> Self {
        Self { kind: CorpusKind::Synthetic, path: None, tokenizer: None, token_bytes: None, held_out_pages: 64 }
    }
}

/// What an honest peer does with its data each round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// Peak learning rate: the size of DeMo's sign step, or the rate of a peer's own steps of AdamW.
    pub lr: f64,
    /// Rounds of linear warm-up.
    pub warmup_rounds: u64,
    /// The warm-up starts at this fraction of `lr`.
    pub warmup_from: f64,
    /// The cosine ends at this fraction of `lr`.
    pub final_fraction: f64,
    /// Rounds after which the cosine has ended; default: the scenario's rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_rounds: Option<u64>,
    /// Pages (sequences) assigned to a peer each round.
    pub pages_per_round: usize,
    /// Pages in one forward and backward pass.
    pub micro_batch: usize,
    /// The held-out loss is measured every so many rounds, and after the last.
    pub eval_every: u64,
    /// A checkpoint of the model every so many rounds; also how often a run saves itself.
    pub checkpoint_every: u64,
    /// Rounds whose records and payloads stay in the bucket, and checkpoints too; default, and at least: twice
    /// `checkpoint_every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_rounds: Option<u64>,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            lr: 4e-4,
            warmup_rounds: 250,
            warmup_from: 0.1,
            final_fraction: 0.1,
            schedule_rounds: None,
            pages_per_round: 192,
            micro_batch: 6,
            eval_every: 5,
            checkpoint_every: 100,
            keep_rounds: None,
        }
    }
}

/// Gauntlet: filters, evaluation, ratings, pay (arXiv 2505.21684).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GauntletSettings {
    /// Peers aggregated.
    pub top_peers: usize,
    /// Peers aggregated at least, drawn from the active ones when too few have a score.
    pub min_peers: usize,
    /// Width of the put window in seconds, centred on the round's end.
    pub put_window_seconds: f64,
    /// The lead validator renews the list of peers to aggregate every so many rounds ...
    pub list_every: u64,
    /// ... effective so many rounds later.
    pub list_delay: u64,
    /// More steps behind than this fails the fast evaluation.
    pub max_steps_behind: f64,
    /// Exponent of the sync score.
    pub sync_exponent: f64,
    /// What a failed fast evaluation multiplies score and proof of computation with.
    pub failure_penalty: f64,
    /// What a round of inactivity multiplies the score with.
    pub inactivity_penalty: f64,
    /// Rounds of inactivity after which a peer is a newcomer again.
    pub inactivity_reset_rounds: u64,
    /// Peers in a primary evaluation.
    pub evaluated_per_round: usize,
    /// Bins of peers by score that take turns.
    pub bins: usize,
    /// Fraction of a peer's pages on which the loss is measured.
    pub evaluated_fraction: f64,
    /// Step of the loss score, as a fraction of the step that the payload would make alone.
    pub beta_fraction: f64,
    /// Decay of the proof-of-computation average.
    pub proof_decay: f64,
    /// Peer scores are raised to this power before they are paid.
    pub incentive_power: f64,
    /// Fraction of shared top-k indices at which the later of two uploads has its score halved; at `copy_overlap_zero`
    /// it earns nothing. Not part of the published system; `1.1` turns it off.
    pub copy_overlap_half: f64,
    pub copy_overlap_zero: f64,
    pub openskill: OpenSkillSettings,
}

impl Default for GauntletSettings {
    fn default() -> Self {
        Self {
            top_peers: 15,
            min_peers: 5,
            put_window_seconds: 10.0,
            list_every: 5,
            list_delay: 2,
            max_steps_behind: 3.0,
            sync_exponent: 2.5,
            failure_penalty: 0.75,
            inactivity_penalty: 0.75,
            inactivity_reset_rounds: 25,
            evaluated_per_round: 5,
            bins: 5,
            evaluated_fraction: 0.1,
            beta_fraction: 0.2,
            proof_decay: 0.95,
            incentive_power: 2.0,
            copy_overlap_half: 1.1,
            copy_overlap_zero: 1.1,
            openskill: OpenSkillSettings::default(),
        }
    }
}

/// OpenSkill's Plackett-Luce model (Joshy, arXiv 2401.05451).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenSkillSettings {
    pub mu: f64,
    pub sigma: f64,
    pub beta: f64,
    pub tau: f64,
    pub kappa: f64,
}

impl Default for OpenSkillSettings {
    fn default() -> Self {
        Self { mu: 25.0, sigma: 25.0 / 3.0, beta: 7.0, tau: 0.1, kappa: 1e-4 }
    }
}

/// Slots, blocks, rounds, weights, Yuma consensus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSettings {
    /// Peers registered at a time, 250 at most.
    pub slots: usize,
    pub block_seconds: f64,
    pub blocks_per_round: u64,
    /// Beginnings of URLs at which peers may keep their uploads in buckets of their own, named when they register. Whose
    /// store it is must be trusted to stamp rightly.
    pub peer_buckets: Vec<String>,
    /// Rounds in which a newly registered peer cannot be pushed out.
    pub immunity_rounds: u64,
    /// Validators post weights every so many rounds.
    pub weights_every: u64,
    /// Stake share that must back a weight (Yuma's kappa).
    pub kappa: f64,
    /// Moving average of bonds.
    pub bond_alpha: f64,
    /// How much bonds follow clipped weights instead of posted ones.
    pub bond_penalty: f64,
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self {
            slots: 250,
            block_seconds: 12.0,
            blocks_per_round: 7,
            peer_buckets: Vec::new(),
            immunity_rounds: 50,
            weights_every: 50,
            kappa: 0.5,
            bond_alpha: 0.1,
            bond_penalty: 1.0,
        }
    }
}

/// Central AdamW on as many tokens as the aggregated peers use together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineSettings {
    pub lr: f64,
    pub warmup_rounds: u64,
    pub final_fraction: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub clip_norm: f64,
    /// Pages a step; default: those of the aggregated peers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages_per_round: Option<usize>,
}

impl Default for BaselineSettings {
    fn default() -> Self {
        Self {
            lr: 3e-3,
            warmup_rounds: 20,
            final_fraction: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.1,
            clip_norm: 1.0,
            pages_per_round: None,
        }
    }
}
