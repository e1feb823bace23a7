//! What the folder of a `tokenizer.json` says of it: special tokens, and how a Llama's tokenizer treats spaces.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use crate::words::{not_json, unmarked};

/// A file that cannot be used, and why.
pub(super) type Problem = (PathBuf, String);

/// The keys of a `tokenizer_config.json` that name tokens.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What the system says, without its number for it.
pub(super) fn cause(error: &std::io::Error) -> String {
    error.to_string().split(" (os error ").next().unwrap_or_default().to_string()
}

/// What the folder of a tokenizer says of it: `tokenizer_config.json`, and where that has no list of added tokens also the
/// older `special_tokens_map.json`; `None` without either.
pub(super) fn read(folder: &Path) -> Result<Option<Map<String, Value>>, Problem> {
    let config = read_json(&folder.join("tokenizer_config.json"))?;
    if config.as_ref().is_some_and(|config| config.contains_key("added_tokens_decoder")) {
        return Ok(config);
    }
    let Some(named) = read_json(&folder.join("special_tokens_map.json"))? else { return Ok(config) };
    let mut config = config.unwrap_or_default();
    config.extend(named);
    Ok(Some(config))
}

fn read_json(path: &Path) -> Result<Option<Map<String, Value>>, Problem> {
    let wrong = |reason: String| (path.to_path_buf(), reason);
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(cause(&error))),
    };
    serde_json::from_slice(unmarked(&bytes)).map(Some).map_err(|error| wrong(not_json(&bytes, &error)))
}

/// A token's text, where a configuration names it plainly or with its properties.
pub(super) fn name_of(token: &Value) -> Option<&str> {
    token.as_str().or(token["content"].as_str())
}

pub(super) fn id_of(tokenizer: &tokenizers::Tokenizer, name: &str) -> Option<(String, u32)> {
    tokenizer.token_to_id(name).map(|id| (name.to_string(), id))
}

/// Adds the special tokens that a `tokenizer_config.json` names, as `transformers` does. Its `add_bos_token` and
/// `add_eos_token` have no effect beside a `tokenizer.json`, which says itself what comes before and behind a text.
pub(super) fn apply(tokenizer: &mut tokenizers::Tokenizer, config: &Map<String, Value>) -> tokenizers::Result<()> {
    if config.get("tokenizer_class").and_then(Value::as_str).is_some_and(|class| class.starts_with("LlamaTokenizer")) {
        as_llama(tokenizer, config)?;
    }
    let mut tokens: Vec<AddedToken> = Vec::new();
    let mut numbered: Vec<(u32, &Value)> = config
        .get("added_tokens_decoder")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(id, token)| Some((id.parse().ok()?, token)))
        .collect();
    numbered.sort_by_key(|(id, _)| *id);
    tokens.extend(numbered.into_iter().filter_map(|(_, token)| added(token, false)));
    tokens.extend(NAMED.iter().filter_map(|key| config.get(*key)).filter_map(|token| added(token, true)));
    let more = ["additional_special_tokens", "extra_special_tokens"].into_iter().filter_map(|key| config.get(key));
    for list in more {
        let listed = list.as_array().map(Vec::as_slice).unwrap_or_default();
        tokens.extend(listed.iter().filter_map(|token| added(token, true)));
    }
    for token in tokens {
        let known = tokenizer.get_added_tokens_decoder().into_values().any(|known| known.content == token.content);
        if !known {
            tokenizer.add_tokens([token])?;
        }
    }
    Ok(())
}

/// Treats spaces as the `LlamaTokenizer` of `transformers` 5 does, whatever the `tokenizer.json` says: it takes over
/// vocabulary and post-processor only, unless the tokens are of bytes.
fn as_llama(tokenizer: &mut tokenizers::Tokenizer, config: &Map<String, Value>) -> tokenizers::Result<()> {
    let is_bytes = |part: serde_json::Result<String>| part.is_ok_and(|json| json.contains("\"ByteLevel\""));
    let of_bytes = is_bytes(serde_json::to_string(&tokenizer.get_pre_tokenizer()))
        || is_bytes(serde_json::to_string(&tokenizer.get_decoder()));
    if of_bytes || !matches!(tokenizer.get_model(), ModelWrapper::BPE(_)) {
        return Ok(());
    }
    let flag = |key: &str| config.get(key).and_then(Value::as_bool);
    let prefix = flag("add_prefix_space").unwrap_or(true);
    let scheme = match (prefix, flag("legacy").unwrap_or(false)) {
        (false, _) => "never",
        (true, false) => "first",
        (true, true) => "always",
    };
    let spaces = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    tokenizer.with_normalizer(None::<NormalizerWrapper>)?;
    tokenizer.with_pre_tokenizer(Some(serde_json::from_value::<PreTokenizerWrapper>(spaces)?));
    let decoder = json!({"type": "Sequence", "decoders": decoders});
    tokenizer.with_decoder(Some(serde_json::from_value::<DecoderWrapper>(decoder)?));
    Ok(())
}

fn added(token: &Value, special: bool) -> Option<AddedToken> {
    let property = |key: &str| token[key].as_bool().unwrap_or(false);
    let special = special || property("special");
    let added = AddedToken::from(name_of(token)?, special)
        .lstrip(property("lstrip"))
        .rstrip(property("rstrip"))
        .single_word(property("single_word"));
    Some(added.normalized(token["normalized"].as_bool().unwrap_or(!special)))
}
