//! Scenarios as versions wrote them that had one section `[gauntlet]` instead of `[protocol]` and `[mechanism]`: published
//! runs are named by that text, and their manifests hold it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::moved::PROTOCOL;
use super::peers::{PeerGroup, ValidatorSettings};
use super::sections::Scenario;
use crate::chain::ChainSettings;
use crate::corpus::CorpusSettings;
use crate::mechanism::gauntlet::GauntletSettings;
use crate::model::ModelSettings;
use crate::protocol::ProtocolSettings;
use crate::training::scheme::SchemeSettings;
use crate::training::{BaselineSettings, TrainingSettings};

#[derive(Serialize)]
struct Old<'a> {
    name: &'a str,
    summary: &'a str,
    seed: u64,
    rounds: u64,
    model: &'a ModelSettings,
    corpus: &'a CorpusSettings,
    training: &'a TrainingSettings,
    scheme: &'a SchemeSettings,
    gauntlet: OldGauntlet<'a>,
    chain: &'a ChainSettings,
    baseline: &'a BaselineSettings,
    validators: &'a [ValidatorSettings],
    peers: &'a [PeerGroup],
}

#[derive(Serialize)]
struct OldGauntlet<'a> {
    #[serde(flatten)]
    protocol: &'a ProtocolSettings,
    #[serde(flatten)]
    mechanism: GauntletSettings,
}

/// The text that names a run: that of the old version where it could say the scenario.
pub fn text(scenario: &Scenario) -> String {
    if scenario.mechanism.kind.as_deref().unwrap_or("gauntlet") != "gauntlet" {
        return scenario.to_toml();
    }
    let Ok(mechanism) = scenario.mechanism.settings.clone().try_into::<GauntletSettings>() else {
        return scenario.to_toml();
    };
    let Scenario { name, summary, seed, rounds, model, corpus, training, scheme, .. } = scenario;
    let Scenario { protocol, chain, baseline, validators, peers, .. } = scenario;
    let (seed, rounds) = (*seed, *rounds);
    let gauntlet = OldGauntlet { protocol, mechanism };
    let old = Old {
        name,
        summary,
        seed,
        rounds,
        model,
        corpus,
        training,
        scheme,
        gauntlet,
        chain,
        baseline,
        validators,
        peers,
    };
    toml::to_string(&old).expect("every setting has a TOML form")
}

/// Reads a manifest's scenario, of this version or of an old one.
pub fn from_manifest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scenario, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    if let Some(Value::Object(old)) = value.get("gauntlet").cloned() {
        let is_protocol = |key: &str| PROTOCOL.contains(&key);
        let (protocol, mechanism): (Vec<_>, Vec<_>) = old.into_iter().partition(|(key, _)| is_protocol(key));
        value["protocol"] = Value::Object(protocol.into_iter().collect());
        value["mechanism"] = Value::Object(mechanism.into_iter().collect());
        value["mechanism"]["kind"] = "gauntlet".into();
        if let Some(scenario) = value.as_object_mut() {
            scenario.remove("gauntlet");
        }
    }
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}
