//! The sizes of a scenario that starts from a model: they are the model's.

use super::sections::Scenario;
use crate::model::{LlamaConfig, ModelSettings, huggingface};
use crate::node::OpenError;

impl Scenario {
    /// The scenario with the sizes of the model that it starts from (`model.init`), if it starts from one.
    ///
    /// # Errors
    /// The folder cannot be read, or the settings ask for another size.
    pub fn with_initial_sizes(mut self) -> Result<Self, OpenError> {
        if let Some(folder) = &self.model.init {
            let config = huggingface::read_config(folder.as_ref()).map_err(OpenError::Init)?;
            self.model = sizes_of(&self.model, &config.llama)?;
        }
        Ok(self)
    }
}

/// Settings for a loaded model: its sizes, but the requested length of sequences if there is one.
///
/// # Errors
/// The settings ask for another size.
fn sizes_of(settings: &ModelSettings, found: &LlamaConfig) -> Result<ModelSettings, OpenError> {
    let sizes = ModelSettings {
        preset: settings.preset.clone(),
        init: settings.init.clone(),
        sequence_length: settings.sequence_length.or(Some(found.sequence_length)),
        ..found.to_settings()
    };
    let keys = |settings: &ModelSettings| match serde_json::to_value(settings) {
        Ok(serde_json::Value::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    };
    let sizes_by_key = keys(&sizes);
    if let Some((key, asked)) = keys(settings).into_iter().find(|(key, asked)| sizes_by_key.get(key) != Some(asked)) {
        let found = sizes_by_key.get(&key).map(ToString::to_string).unwrap_or_default();
        let folder = settings.init.clone().unwrap_or_default();
        return Err(OpenError::OtherSize { key, asked: asked.to_string(), folder, found });
    }
    Ok(sizes)
}
