//! How a folder says that a text is generated: `generation_config.json`, or else what `config.json` says of it.
//!
//! As `transformers` has it: the first of the two that is there says everything, and what it does not say is off.

use std::path::Path;

use super::tensor_file::is_there;
use super::{HfError, keys::Keys};
use crate::model::generate::Rules;

/// Settings that change the text and are not supported, with their neutral values where these are numbers.
const UNSUPPORTED: [(&str, Option<f64>); 18] = [
    ("num_beams", Some(1.0)),
    ("num_beam_groups", Some(1.0)),
    ("penalty_alpha", Some(0.0)),
    ("encoder_repetition_penalty", Some(1.0)),
    ("encoder_no_repeat_ngram_size", Some(0.0)),
    ("guidance_scale", Some(1.0)),
    ("bad_words_ids", None),
    ("sequence_bias", None),
    ("forced_bos_token_id", None),
    ("forced_eos_token_id", None),
    ("exponential_decay_length_penalty", None),
    ("stop_strings", None),
    ("watermarking_config", None),
    ("dola_layers", None),
    ("constraints", None),
    ("force_words_ids", None),
    ("token_healing", None),
    ("max_time", None),
];

/// The same, where tokens are drawn.
const UNSUPPORTED_DRAWING: [(&str, Option<f64>); 5] = [
    ("typical_p", Some(1.0)),
    ("min_p", Some(0.0)),
    ("top_h", None),
    ("epsilon_cutoff", Some(0.0)),
    ("eta_cutoff", Some(0.0)),
];

/// The most likely tokens that are drawn from where a file says that tokens are drawn, and not from how many.
const TOP_K: usize = 50;

/// The generation settings of a folder.
pub struct GenerationSettings {
    keys: Keys,
    /// They come from a `generation_config.json`.
    own: bool,
}

impl GenerationSettings {
    /// Reads them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(folder: &Path) -> Result<Self, HfError> {
        let path = folder.join("generation_config.json");
        let own = is_there(&path);
        let path = if own { path } else { folder.join("config.json") };
        Ok(Self { keys: Keys::read(&path, "how text is generated")?, own })
    }

    /// Whether they say where a text ends, be it nowhere.
    pub fn say_end(&self) -> bool {
        self.own || self.keys.has("eos_token_id")
    }

    /// What tokens are divided by before one is drawn, 0 for the most likely; `None` where nothing is said of it.
    ///
    /// # Errors
    /// A value of another type.
    pub fn temperature(&self) -> Result<Option<f64>, HfError> {
        let temperature = self.keys.number("temperature")?;
        if temperature.is_some_and(|temperature| temperature < 0.0) {
            return Err(self.keys.wrong("temperature", "0 or more"));
        }
        Ok(match self.keys.flag("do_sample")? {
            Some(false) => Some(0.0),
            Some(true) => temperature.or(Some(1.0)),
            None => temperature,
        })
    }

    /// The rules that tokens are chosen by; `drawn`: at random, not the most likely ones.
    ///
    /// # Errors
    /// A value of another type, or a setting that is not supported.
    pub fn rules(&self, drawn: bool) -> Result<Rules, HfError> {
        let keys = &self.keys;
        let drawing = UNSUPPORTED_DRAWING.iter().filter(|_| drawn);
        for (key, neutral) in UNSUPPORTED.iter().chain(drawing) {
            let Some(value) = keys.get(key).filter(|value| **value != false) else { continue };
            let expected = match neutral {
                Some(neutral) if value.as_f64() == Some(*neutral) => continue,
                Some(neutral) => format!("{neutral}: this way to generate is not supported; remove it from the file"),
                None => "null: this way to generate is not supported; remove it from the file".into(),
            };
            return Err(keys.wrong(key, expected));
        }
        let whole = |key: &str| keys.whole(key).map(Option::unwrap_or_default);
        let tokens = |key: &str| keys.tokens(key).map(Option::unwrap_or_default);
        let repetition_penalty = keys.number("repetition_penalty")?.unwrap_or(1.0);
        if !(repetition_penalty > 0.0 && repetition_penalty.is_finite()) {
            return Err(keys.wrong("repetition_penalty", "a number above 0"));
        }
        let top_p = keys.number("top_p")?.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&top_p) {
            return Err(keys.wrong("top_p", "a number from 0 to 1"));
        }
        let draws = keys.flag("do_sample")? == Some(true);
        Ok(Rules {
            end: tokens("eos_token_id")?,
            repetition_penalty,
            no_repeat_ngram: whole("no_repeat_ngram_size")?,
            least_length: whole("min_length")?,
            least_new: whole("min_new_tokens")?,
            suppressed: tokens("suppress_tokens")?,
            suppressed_first: tokens("begin_suppress_tokens")?,
            top_k: keys.whole("top_k")?.unwrap_or(if draws { TOP_K } else { 0 }),
            top_p,
        })
    }
}
