//! Configurations that `transformers` loads as a plain Llama, and those that are none.

use std::path::Path;

use serde_json::{Value, json};

use super::tests::changed;
use super::*;
use crate::model::LlamaConfig;

/// A change of a configuration: keys with their values, `null` for a key that is removed.
fn with(changes: &Value) -> Result<(LlamaConfig, Vec<f32>), HfError> {
    let change = |config: &mut Value| {
        let config = config.as_object_mut().unwrap();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(config.remove(key)),
                value => drop(config.insert(key.clone(), value.clone())),
            }
        }
    };
    changed(change, |_| ())
}

/// The vector's folder as it is.
fn plain() -> (LlamaConfig, Vec<f32>) {
    changed(|_| (), |_| ()).unwrap()
}

#[test]
fn neutral_values_and_old_keys_mean_the_same() {
    let expected = plain();
    for changes in [
        json!({"rope_parameters": null, "rope_theta": 10000.0}),
        json!({"rope_parameters": null, "rope_theta": 10000}),
        json!({"rope_parameters": null, "rope_theta": null}),
        json!({"rope_parameters": null, "rope_scaling": {"rope_type": "default", "rope_theta": 10000.0}}),
        json!({"rope_parameters": {"type": "default"}, "rope_theta": null}),
        // What lies inside comes first, as does the older key unless it is empty.
        json!({"rope_theta": 500.0, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}}),
        json!({"rope_scaling": {"rope_theta": 10000.0}, "rope_parameters": {"rope_theta": 500.0}}),
        json!({"rope_scaling": {}}),
        json!({"rope_scaling": {"type": "linear", "factor": 1.0}, "rope_theta": null}),
        json!({"rope_scaling": {"type": "dynamic", "factor": 1}, "rope_theta": null}),
        json!({"rope_scaling": {"rope_type": "yarn", "factor": 1.0}, "rope_theta": null}),
        json!({"rope_scaling": {"rope_type": "llama3", "factor": 1.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 32}, "rope_theta": null}),
        json!({"partial_rotary_factor": 1.0}),
        json!({"hidden_act": "swish"}),
        json!({"hidden_act": null, "attention_bias": null, "mlp_bias": null, "tie_word_embeddings": null}),
        json!({"model_type": null, "architectures": ["LLaMAForCausalLM"]}),
        json!({"architectures": null}),
        json!({"head_dim": null}),
        json!({"pretraining_tp": 2, "use_cache": false, "attention_dropout": 0.1, "pad_token_id": -1}),
        json!({"sliding_window": 1_000_000, "layer_types": ["full_attention", "full_attention"]}),
        json!({"torch_dtype": "float16", "dtype": null, "per_layer_config": {}, "is_causal": true}),
        json!({"auto_map": {"AutoModel": "modeling.Model"}, "_name_or_path": "x", "max_sequence_length": 2048}),
    ] {
        let (config, theta) = with(&changes).unwrap_or_else(|error| panic!("{changes}: {error}"));
        assert_eq!(config, expected.0, "{changes}");
        assert!(theta == expected.1, "{changes}");
    }
}

#[test]
fn null_is_absent() {
    let nulls = ["rope_scaling", "head_dim", "sliding_window", "layer_types", "quantization_config", "pretraining_tp"];
    let change = |config: &mut Value| nulls.iter().for_each(|key| config[*key] = Value::Null);
    assert_eq!(changed(change, |_| ()).unwrap().0, plain().0);
}

#[test]
fn what_is_missing_has_the_default_of_transformers() {
    let (config, _) = with(&json!({"rms_norm_eps": null, "max_position_embeddings": null})).unwrap();
    assert_eq!((config.rms_norm_eps, config.sequence_length), (1e-6, 2048));
    // Without key and value heads there are as many as query heads, so that the tensors have other shapes.
    let error = with(&json!({"num_key_value_heads": null})).unwrap_err().to_string();
    assert!(error.contains("`model.layers.0.self_attn.k_proj.weight`: shape [32, 64], expected [64, 64]"), "{error}");
    // Positions beyond what is supported are not needed.
    let (config, _) = with(&json!({"max_position_embeddings": 4_194_304})).unwrap();
    assert_eq!(config.sequence_length, 1 << 20);
}

#[test]
fn what_changes_the_result_is_refused_by_its_key() {
    for (changes, expected) in [
        (json!({"model_type": "mistral"}), "`model_type` is mistral, expected llama; no other kind of model is"),
        (json!({"model_type": null, "architectures": ["GPT2LMHeadModel"]}), "`model_type` is missing, expected llama"),
        (json!({"hidden_act": "gelu"}), "`hidden_act` is gelu, expected silu; no other activation is supported"),
        (json!({"mlp_bias": true}), "`mlp_bias` is true, expected false; biases are not supported"),
        (json!({"is_causal": false}), "`is_causal` is false, expected true"),
        (
            json!({"quantization_config": {"quant_method": "gptq"}}),
            "`quantization_config` is {\"quant_method\":\"gptq\"}",
        ),
        (json!({"sliding_window": 8}), "`sliding_window` is 8, expected null"),
        (json!({"layer_types": ["full_attention", "sliding_attention"]}), "expected full_attention for each layer"),
        (json!({"per_layer_config": {"0": {"num_attention_heads": 2}}}), "`per_layer_config` is {\"0\""),
        (
            json!({"rope_scaling": {"type": "linear", "factor": 2.0}}),
            "`rope_scaling.type` is linear, expected default: positions scaled by a factor of 2 are not supported",
        ),
        (json!({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}), "`rope_scaling.rope_type` is dynamic"),
        (json!({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}), "`rope_parameters.rope_type` is llama3"),
        (json!({"rope_scaling": {"rope_type": "yarn", "factor": 1.0, "attention_factor": 0.5}}), "rope_type` is yarn"),
        (json!({"rope_scaling": {"rope_type": "longrope"}}), "is longrope, expected default: no other rotary"),
        (
            json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}),
            "`rope_parameters.full_attention` is {\"rope_type\":\"default\"}, expected one set of rotary settings",
        ),
        (json!({"rope_scaling": 2}), "`rope_scaling` is 2, expected an object"),
        (json!({"rope_theta": 0, "rope_parameters": null}), "`rope_theta` is 0, expected a number above 0"),
        (json!({"rope_theta": "1e4", "rope_parameters": null}), "`rope_theta` is 1e4, expected a number"),
        (json!({"hidden_size": 64.0}), "`hidden_size` is 64.0, expected a whole number, 0 or more"),
        (json!({"tie_word_embeddings": "no"}), "`tie_word_embeddings` is no, expected true or false"),
        (json!({"rms_norm_eps": -1.0}), "`rms_norm_eps` is -1.0, expected a number, 0 or more"),
        (
            json!({"head_dim": null, "num_attention_heads": 3}),
            "`num_attention_heads` is 3, expected a divisor of hidden_size = 64, or head_dim with the size of a head",
        ),
        (json!({"eos_token_id": "</s>"}), "`eos_token_id` is </s>, expected the number of a token, or a list"),
    ] {
        let error = with(&changes).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("config.json: `"), "{changes}: {error}");
        assert!(!error.contains("usize") && !error.contains("f64"), "{error}");
    }
}

#[test]
fn a_configuration_that_is_none_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let error = || read_config(folder.path()).unwrap_err().to_string();
    assert_eq!(error(), format!("{}: No such file or directory", path.display()));
    for (text, expected) in [
        ("{", "not JSON: it ends within an object, line 1, column 1; expected the configuration of a Llama"),
        ("[]", "expected a JSON object, the configuration of a Llama"),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(error(), format!("{}: {expected}", path.display()));
    }
    // A byte order mark is none of the text's business.
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa/config.json");
    let text = std::fs::read_to_string(from).unwrap();
    std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
    assert_eq!(read_config(folder.path()).unwrap().llama, plain().0);
}

#[test]
fn generation_is_as_the_folder_says() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    let read = || GenerationSettings::read(folder.path()).unwrap();
    write("config.json", &json!({"eos_token_id": 2, "rope_theta": 1.0}));
    assert_eq!(
        (read().rules(true).unwrap().end, read().say_end(), read().temperature().unwrap()),
        (vec![2], true, None)
    );
    write("config.json", &json!({}));
    assert!(!read().say_end());
    // The other file says everything, where it is there.
    write("config.json", &json!({"eos_token_id": 2}));
    write("generation_config.json", &json!({}));
    assert_eq!((read().rules(true).unwrap().end, read().say_end()), (vec![], true));
    write(
        "generation_config.json",
        &json!({"eos_token_id": [5, 6], "do_sample": true, "num_beams": 1, "min_p": null, "token_healing": false}),
    );
    let rules = read().rules(true).unwrap();
    assert_eq!((rules.end, rules.top_k, read().temperature().unwrap()), (vec![5, 6], 50, Some(1.0)));
    write("generation_config.json", &json!({"do_sample": true, "temperature": 0.6, "top_k": 0, "top_p": 0.9}));
    let rules = read().rules(true).unwrap();
    assert_eq!((rules.top_k, rules.top_p, read().temperature().unwrap()), (0, 0.9, Some(0.6)));
    write("generation_config.json", &json!({"do_sample": false, "repetition_penalty": 1.2, "min_p": 0.1}));
    assert_eq!((read().rules(false).unwrap().repetition_penalty, read().temperature().unwrap()), (1.2, Some(0.0)));
    for (settings, drawn, expected) in [
        (json!({"num_beams": 4}), false, "`num_beams` is 4, expected 1: this way to generate is not supported"),
        (json!({"max_time": 3.0}), false, "`max_time` is 3.0, expected null: this way"),
        (json!({"token_healing": true}), false, "`token_healing` is true, expected null: this way"),
        (json!({"constraints": [1]}), true, "`constraints` is [1], expected null: this way"),
        (json!({"stop_strings": ["x"]}), false, "`stop_strings` is [\"x\"], expected null: this way"),
        (json!({"min_p": 0.1}), true, "`min_p` is 0.1, expected 0: this way"),
        (json!({"top_p": 2}), true, "`top_p` is 2, expected a number from 0 to 1"),
        (json!({"repetition_penalty": 0}), false, "`repetition_penalty` is 0, expected a number above 0"),
    ] {
        write("generation_config.json", &settings);
        let error = read().rules(drawn).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("generation_config.json: `"), "{error}");
    }
}
