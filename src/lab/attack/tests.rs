//! Whole searches on networks of a few rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::report::report;
use super::*;
use crate::lab::{Event, LabError, PoolOptions, Shard, Shelf};
use crate::mechanism::{self, EqualSettings};
use crate::scenario::{Registry, Scenario};

fn scenario(overrides: &[&str]) -> Scenario {
    let text = r#"
        name = "small"
        rounds = 4
        model = { preset = "nano", sequence_length = 16 }
        corpus = { held_out_pages = 8 }
        training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4 }
        scheme = { topk = 8 }
        protocol = { top_peers = 4, min_peers = 2 }
        chain = { weights_every = 1 }
        peers = [{ count = 4 }, { behaviour = "noise" }]
    "#;
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    Scenario::from_toml(text, "small.toml", &overrides).unwrap()
}

fn quiet(_: Event<'_>) {}

fn pool(threads: usize, shard: Option<Shard>) -> PoolOptions<'static> {
    PoolOptions { threads, shard, interrupt: Arc::default(), progress: &quiet }
}

fn search<'a>(arena: &'a Arena, shelf: &'a Shelf, budget: usize, pool: PoolOptions<'a>) -> Search<'a> {
    Search { arena, budget, seed: 1, shelf, pool, stage: &|_, _| {} }
}

/// The report of an uninterrupted search on a shelf of its own.
fn told(budget: usize, threads: usize) -> String {
    let (scenario, shelf) = (scenario(&[]), Shelf::in_memory());
    let arena = Arena::new(&scenario).unwrap();
    let search = search(&arena, &shelf, budget, pool(threads, None));
    let Recorded { found, report: text, files } = search.record(&scenario).unwrap().unwrap();
    assert!(files.iter().all(|file| shelf.read(&file.as_str().into()).unwrap().is_some()), "{files:?}");
    assert!(found.networks <= budget, "{}", found.networks);
    assert_eq!(text, report(&search, &scenario, &found));
    text
}

#[test]
fn findings_do_not_depend_on_threads_shards_or_interruptions() {
    let alone = told(90, 1);
    assert!(alone.contains("## Findings") && alone.contains("| part"), "{alone}");
    assert_eq!(told(90, 3), alone);

    // Two processes share a place; one of them has been stopped before.
    let (scenario, shelf) = (scenario(&[]), Shelf::in_memory());
    let arena = Arena::new(&scenario).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let seen = AtomicUsize::new(0);
    let stops = |event: Event<'_>| {
        if matches!(event, Event::Done { .. }) && seen.fetch_add(1, Ordering::Relaxed) == 4 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let stopped = PoolOptions { threads: 1, shard: None, interrupt: stop.clone(), progress: &stops };
    assert!(search(&arena, &shelf, 90, stopped).record(&scenario).unwrap().is_none());
    let part = |shard: &str| {
        let search = search(&arena, &shelf, 90, pool(1, Some(shard.parse().unwrap())));
        search.record(&scenario).unwrap().unwrap().report
    };
    let reports = std::thread::scope(|scope| {
        let other = scope.spawn(|| part("2/2"));
        [part("1/2"), other.join().unwrap()]
    });
    assert_eq!(reports, [alone.clone(), alone]);
}

#[test]
fn a_finding_reproduces_its_first_network() {
    let (scenario, shelf) = (scenario(&[]), Shelf::in_memory());
    let arena = Arena::new(&scenario).unwrap();
    let Recorded { found, .. } = search(&arena, &shelf, 36, pool(2, None)).record(&scenario).unwrap().unwrap();
    let file = shelf.read(&"finding-1.toml".into()).unwrap().unwrap().unwrap();
    let text = std::str::from_utf8(&file).unwrap();
    assert!(text.starts_with("# A strategy that a search found: "), "{text}");
    let read = Scenario::from_toml(text, "finding-1.toml", &[]).unwrap();
    let run = crate::report::run(read).unwrap();
    assert_eq!(arena.trial(&crate::lab::Figures::of(&run)), found.findings[0].trials[0]);
}

#[test]
fn small_budgets_are_kept_and_reported() {
    for budget in [1, 2, 5] {
        let text = told(budget, 2);
        assert!(text.contains(&format!("{budget} networks, search seed 1")), "{text}");
    }
    assert!(told(2, 1).contains("A larger `--budget` goes on from here"));
}

#[test]
fn a_place_that_holds_another_search_is_refused() {
    let shelf = Shelf::in_memory();
    let first = scenario(&[]);
    let arena = Arena::new(&first).unwrap();
    search(&arena, &shelf, 1, pool(1, None)).record(&first).unwrap().unwrap();
    let refused = |scenario: &Scenario, seed: u64| {
        let arena = Arena::new(scenario).unwrap();
        let error = Search { seed, ..search(&arena, &shelf, 1, pool(1, None)) }.record(scenario).map(drop).unwrap_err();
        assert!(matches!(error, LabError::Other { .. }));
        error.to_string()
    };
    let rest = "; take another place with --out, or give the same command as before";
    assert_eq!(refused(&first, 2), format!("memory holds another search: search seed 1 there, 2 here{rest}"));
    let other = scenario(&["training.lr=1e-3"]);
    let differs = "training.lr = 0.003 there, training.lr = 0.001 here";
    assert_eq!(refused(&other, 1), format!("memory holds another search: {differs}{rest}"));
    assert_eq!(
        shelf.read(&"attack.json".into()).unwrap().unwrap().unwrap(),
        {
            search(&arena, &shelf, 2, pool(1, None)).record(&first).unwrap().unwrap();
            shelf.read(&"attack.json".into()).unwrap().unwrap().unwrap()
        },
        "a larger budget goes on"
    );
}

#[test]
fn without_honest_peers_there_is_nothing_to_measure_by() {
    assert!(Arena::new(&scenario(&["peers=[{behaviour='noise', count=9}]"])).is_none());
}

#[test]
fn a_custom_mechanism_can_be_searched() {
    let mechanisms = mechanism::shipped().with::<EqualSettings>("mine", |settings| Box::new(settings));
    let registry = Registry { mechanisms, ..Registry::default() };
    let text = scenario(&["mechanism=equal"]).to_toml().replace("kind = \"equal\"", "kind = \"mine\"");
    let mine = Scenario::from_toml_with(registry, &text, "mine.toml", &[]).unwrap();
    let (arena, shelf) = (Arena::new(&mine).unwrap(), Shelf::in_memory());
    let Recorded { found, report: text, .. } =
        search(&arena, &shelf, 12, pool(2, None)).record(&mine).unwrap().unwrap();
    assert!(text.starts_with("# What pays under `mine`"), "{text}");
    assert_eq!(found.networks, 12);
}
