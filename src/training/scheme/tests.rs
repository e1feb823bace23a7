//! Schemes by their settings in a scenario.

use toml::Table;

use super::{DemoSettings, DenseSettings, DenseUpdate, SparseLocoSettings, shipped};
use crate::settings::{Findings, Kinded};

#[derive(serde::Deserialize)]
struct File {
    scheme: Kinded,
}

fn read(value: &str) -> Result<(String, Table), String> {
    let File { scheme } = toml::from_str(&format!("scheme = {value}")).map_err(|error| error.message().to_string())?;
    let resolved = shipped().resolve(&scheme).map_err(|error| error.message)?;
    Ok((shipped().kind_of(&scheme).to_string(), resolved.table))
}

#[test]
fn a_bare_kind_has_the_settings_of_an_empty_table() {
    for kind in shipped().names() {
        let bare = read(&format!("\"{kind}\"")).unwrap();
        assert_eq!(bare.0, kind);
        assert_eq!(bare, read(&format!("{{ kind = \"{kind}\" }}")).unwrap());
    }
    assert_eq!(read("{}").unwrap(), read("\"demo\"").unwrap());
}

#[test]
fn settings_replace_defaults() {
    let demo = DemoSettings { topk: 256, feedback_from_round: 5, ..DemoSettings::default() };
    let said = read("{ topk = 256, feedback_from_round = 5 }").unwrap().1;
    assert_eq!(said.try_into::<DemoSettings>().unwrap(), demo);
    let sparseloco = SparseLocoSettings { inner_steps: 4, beta2: 0.99, bits: 8, ..SparseLocoSettings::default() };
    let said = read("{ kind = \"sparseloco\", inner_steps = 4, beta2 = 0.99, bits = 8 }").unwrap().1;
    assert_eq!(said.try_into::<SparseLocoSettings>().unwrap(), sparseloco);
    let dense = DenseSettings { update: DenseUpdate::Gradient, outer_lr: 2.0, ..DenseSettings::default() };
    let said = read("{ kind = \"dense\", update = \"gradient\", outer_lr = 2 }").unwrap().1;
    assert!(said["outer_lr"].is_float(), "a number keeps its type");
    assert_eq!(said.try_into::<DenseSettings>().unwrap(), dense);
}

#[test]
fn what_a_kind_does_not_have_is_refused() {
    assert!(read("\"dmeo\"").unwrap_err().contains("`demo`"));
    assert!(read("{ kind = \"demo\", topkk = 5 }").unwrap_err().contains("unknown field `topkk`"));
    assert!(read("{ kind = \"dense\", topk = 5 }").unwrap_err().contains("unknown field `topk`"));
    assert!(read("3").unwrap_err().contains("a name, or a table"));
}

#[test]
fn all_defaults_can_be_run_with_whatever_the_pages_of_a_round() {
    for kind in shipped().names() {
        for pages in [1, 4, 192] {
            let mut kinded = Kinded::of(kind);
            let defaults = shipped().resolve(&kinded).unwrap().settings.dependent_defaults(pages);
            kinded.settings.extend(defaults);
            let mut found = Findings::default();
            shipped().resolve(&kinded).unwrap().settings.check(&mut found, pages);
            assert_eq!(found.into_vec(), [], "{kind} of {pages} pages");
        }
    }
}
