//! Schemes by their settings in a scenario.

use toml::Table;

use super::{DemoSettings, DenseSettings, DenseUpdate, SparseLocoSettings, shipped};
use crate::digest::Digest;
use crate::model::{Device, LlamaConfig, ModelSettings, init_theta};
use crate::settings::{Findings, Kinded};
use crate::training::{Evaluator, Replica, Round};

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

/// Muon has defaults of its own, and without it no setting of a scheme changes: the names of runs cover them.
#[test]
fn muon_is_written_only_where_it_is_set() {
    for kind in ["sparseloco", "dense"] {
        let (_, table) = read(&format!("\"{kind}\"")).unwrap();
        assert!(["inner", "momentum", "matrix_lr"].iter().all(|key| !table.contains_key(*key)), "{kind}: {table}");
        let File { scheme } = toml::from_str(&format!("scheme = {{ kind = \"{kind}\", inner = \"muon\" }}")).unwrap();
        let resolved = shipped().resolve(&scheme).unwrap();
        let defaults = resolved.settings.dependent_defaults(4);
        let numbers = [("beta2", 0.999), ("weight_decay", 0.02), ("momentum", 0.95), ("matrix_lr", 2.0)];
        assert!(numbers.iter().all(|(key, value)| defaults[*key].as_float() == Some(*value)), "{kind}: {defaults}");
        let mut whole = Kinded { settings: resolved.table, ..scheme };
        whole.settings.extend(defaults);
        let mut found = Findings::default();
        shipped().resolve(&whole).unwrap().settings.check(&mut found, 4);
        assert_eq!(found.into_vec(), [], "{kind}");
    }
}

/// A peer that says how many steps it makes, makes what a scheme with so many would.
#[test]
fn a_peer_makes_as_many_steps_as_it_says() {
    let config = LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
    let evaluator = Evaluator::new(config.clone(), Device::Cpu, 2);
    let theta = init_theta(&config, 3);
    let replica = Replica { digest: Digest::of_f32(&theta), model: evaluator.model(&theta), theta };
    let pages: Vec<Vec<u32>> = (0..4).map(|page| (0..17).map(|at| (at * 5 + page * 7) % 97).collect()).collect();
    for kind in ["sparseloco", "dense"] {
        let made = |of_scheme: usize, steps: Option<usize>| {
            let settings = format!("inner_steps = {of_scheme}").parse().unwrap();
            let settings = shipped().resolve(&Kinded { settings, ..Kinded::of(kind) }).unwrap().settings;
            assert_eq!(settings.inner_steps(), Some(of_scheme));
            let scheme = settings.build(&config.layout()).unwrap();
            scheme.local().train(&evaluator, &replica, &pages, Round { number: 0, lr: 1e-3, steps })
        };
        assert_eq!(made(2, Some(4)), made(4, None), "{kind}");
        assert_ne!(made(2, Some(4)), made(2, None), "{kind}");
        assert_eq!(made(2, Some(9)), made(4, None), "{kind}: a step has a page at least");
    }
}

/// Validators take up what other peers show as their states.
#[test]
fn a_state_of_any_bits_is_refused_or_trained_from() {
    let config = LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
    let evaluator = Evaluator::new(config.clone(), Device::Cpu, 2);
    let theta = init_theta(&config, 3);
    let replica = Replica { digest: Digest::of_f32(&theta), model: evaluator.model(&theta), theta };
    let pages: Vec<Vec<u32>> = (0..2).map(|page| (0..17).map(|at| (at * 5 + page * 7) % 97).collect()).collect();
    let round = Round { number: 7, lr: 1e-3, steps: None };
    for (kind, settings) in [
        ("demo", ""),
        ("sparseloco", "inner_steps = 2\ntopk = 64"),
        ("sparseloco", "inner = \"muon\"\ninner_steps = 2\nbits = 32"),
        ("dense", "inner_steps = 2"),
    ] {
        let settings = settings.parse().unwrap();
        let settings = shipped().resolve(&Kinded { settings, ..Kinded::of(kind) }).unwrap().settings;
        let scheme = settings.build(&config.layout()).unwrap();
        let mut local = scheme.local();
        local.train(&evaluator, &replica, &pages, round);
        let saved = local.saved();
        let mut taken = 0;
        for bits in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE / 2.0].map(f32::to_le_bytes) {
            // The values begin at one of these places, whatever comes before them.
            for start in 0..8 {
                let mut hostile = saved.to_vec();
                let values = &mut hostile[start..];
                let values = &mut values[..(4 * config.layout().total()).min(saved.len() - start) / 4 * 4];
                values.chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&bits));
                let mut local = scheme.local();
                if local.restore(&hostile).is_ok() {
                    local.train(&evaluator, &replica, &pages, round);
                    taken += 1;
                }
            }
        }
        assert!(taken >= 4, "{kind}: {taken}");
        for cut in [0, 1, saved.len() / 2, saved.len() - 1] {
            assert!(scheme.local().restore(&saved[..cut]).is_err() || cut == 0, "{kind}: {cut}");
        }
    }
}
