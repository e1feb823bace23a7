//! The model card of an exported model: a description, and facts about the run that made it.

use std::fmt::Write;

use gauntlet::report::Manifest;
use gauntlet::scenario::Scenario;
use gauntlet::words::counted;

use super::model::{Loaded, Origin};

/// The text of the `README.md` in the exported folder.
pub fn card(loaded: &Loaded, name: &str) -> String {
    let config = &loaded.config;
    let mut text = format!(
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [gauntlet, llama]\n---\n\n# {name}\n\n"
    );
    let facts = match &loaded.origin {
        Origin::Run { scenario, rounds, manifest } => {
            text += "A Llama that peers trained together: each round they uploaded compressed pseudo-gradients, and \
                     validators chose by Gauntlet (arXiv 2505.21684) whose were aggregated.\n\n";
            run_facts(scenario, *rounds, manifest.as_deref(), config.sequence_length)
        }
        Origin::Folder(folder) => vec![("Weights from".into(), folder.display().to_string())],
    };
    let sizes = format!(
        "{} parameters: hidden size {}, {} layers, {} heads ({} for keys and values), MLP {}, vocabulary {}, sequences of {}",
        loaded.theta.len(),
        config.hidden_size,
        config.num_layers,
        config.num_heads,
        config.num_kv_heads,
        config.intermediate_size,
        config.vocab_size,
        config.sequence_length
    );
    text += "| | |\n|---|---|\n";
    for (what, value) in std::iter::once(("Model".to_string(), sizes)).chain(facts) {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    let _ = write!(
        text,
        "\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
         tokenizer = AutoTokenizer.from_pretrained(\"{name}\")\n\
         model = AutoModelForCausalLM.from_pretrained(\"{name}\")\n\
         inputs = tokenizer(\"Once upon a time\", return_tensors=\"pt\")\n\
         print(tokenizer.decode(model.generate(**inputs, max_new_tokens=50)[0]))\n```\n"
    );
    text
}

/// The name of the corpus: only the end of its path, because the rest is private.
fn corpus(scenario: &Scenario) -> String {
    let path = scenario.corpus.path.as_deref().unwrap_or("synthetic");
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).into()
}

fn run_facts(
    scenario: &Scenario,
    rounds: u64,
    manifest: Option<&Manifest>,
    sequence_length: usize,
) -> Vec<(String, String)> {
    let tokens = scenario.baseline_pages() * sequence_length;
    let mut facts = vec![
        ("Run".into(), format!("{}, seed {}", scenario.name, scenario.seed)),
        ("Rounds".into(), format!("{rounds} of {}", scenario.rounds)),
        ("Tokens aggregated".into(), format!("about {} ({tokens} a round)", tokens as u64 * rounds)),
        ("Scheme".into(), format!("{}, learning rate {}", scenario.scheme_kind(), scenario.training.lr)),
        (
            "Network".into(),
            format!("{}, {}", counted(scenario.peers_total(), "peer"), counted(scenario.validators.len(), "validator")),
        ),
        ("Corpus".into(), corpus(scenario)),
    ];
    let digest = manifest.and_then(|manifest| manifest.digest);
    facts.extend(digest.map(|digest| ("Digest of the run".into(), digest.to_string())));
    facts.push(("Made by".into(), format!("gauntlet {}", env!("CARGO_PKG_VERSION"))));
    facts
}
