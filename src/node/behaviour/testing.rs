//! Helpers for tests of behaviours: settings as a scenario writes them.

use super::{BehaviourSettings, shipped};
use crate::settings::{Findings, Kinded};

/// The settings of a behaviour as a scenario writes them: `{ kind = "lazy", fraction = 0.5 }`.
pub fn said(text: &str) -> Box<dyn BehaviourSettings> {
    #[derive(serde::Deserialize)]
    struct File {
        behaviour: Kinded,
    }
    let file: File = toml::from_str(&format!("behaviour = {text}")).unwrap();
    shipped().resolve(&file.behaviour).unwrap_or_else(|error| panic!("{text}: {error:?}")).settings
}

/// Keys of the settings that are out of range.
pub fn refused(text: &str) -> Vec<String> {
    let mut found = Findings::default();
    said(text).check(&mut found);
    found.into_vec().into_iter().map(|finding| finding.path).collect()
}
