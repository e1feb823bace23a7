//! Runs many networks on the cores of one machine, one thread each; skips those that are on the shelf.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::differences::differences;
use super::error::LabError;
use super::figures::Figures;
use super::shelf::{Kept, Key, Shelf};
use crate::report::{Options, run_with};
use crate::scenario::Scenario;

/// How networks are run; results do not depend on it.
pub struct PoolOptions<'a> {
    /// Networks that run at the same time.
    pub threads: usize,
    /// The part of the networks that runs here; `None` for all.
    pub shard: Option<Shard>,
    /// Set from outside to stop: networks in progress end after their round and are discarded. Also set when one fails.
    pub interrupt: Arc<AtomicBool>,
    /// Receives the events, from any thread.
    pub progress: &'a (dyn Fn(Event<'_>) + Sync),
}

/// An event of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `done` of this process's `of` networks are done. `found`: the last one was on the shelf.
    Done { done: usize, of: usize, found: bool },
    /// A damaged result lies on the shelf; its network is run again.
    Damaged { object: &'a str, reason: &'a str },
}

/// The `nth` of `of` parts of the networks, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    nth: usize,
    of: usize,
}

impl Shard {
    fn holds(self, network: usize) -> bool {
        network % self.of == self.nth - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(nth, of)| Some((nth.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((nth, of)) if (1..=of).contains(&nth) => Ok(Self { nth, of }),
            Some((_, of)) if of > 0 => Err(format!("expected 1/{of} to {of}/{of}")),
            _ => Err("expected I/N, such as 1/3 for the first of three parts".into()),
        }
    }
}

/// Runs networks, keeps their figures on a shelf, and returns all figures in the order of the jobs. A job gets `None`
/// if its network belongs to another shard and has no result yet. After an interrupt, only the figures of networks that
/// were done here by then are returned. Identical networks run once.
///
/// # Errors
/// A network fails, or the shelf does. Networks that finished before stay on the shelf.
///
/// # Panics
/// If a thread panics.
pub fn run(jobs: &[Scenario], shelf: &Shelf, options: &PoolOptions<'_>) -> Result<Vec<Option<Figures>>, LabError> {
    let keys: Vec<Key> = jobs.iter().map(Key::of).collect();
    let mut first: BTreeMap<Key, usize> = BTreeMap::new();
    for (job, key) in keys.iter().enumerate() {
        first.entry(*key).or_insert(job);
    }
    let distinct: Vec<usize> = (0..jobs.len()).filter(|job| first[&keys[*job]] == *job).collect();
    let is_own = |place: usize| options.shard.is_none_or(|shard| shard.holds(place));
    let own: Vec<usize> = (0..distinct.len()).filter(|place| is_own(*place)).map(|place| distinct[place]).collect();

    let pool = Pool {
        jobs,
        keys: &keys,
        shelf,
        options,
        own: &own,
        next: AtomicUsize::new(0),
        made: Mutex::new(Made { figures: vec![None; jobs.len()], done: 0, failure: None }),
    };
    thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, own.len().max(1)) {
            scope.spawn(|| pool.work());
        }
    });
    let Made { mut figures, failure, .. } = pool.made.into_inner().expect("no panic while held");
    if let Some(failure) = failure {
        return Err(failure);
    }
    // Also read what other shards have finished by now. The shard that ends last finds all results. After an interrupt
    // nobody uses them, and reading thousands from a bucket would take minutes.
    let is_stopped = options.interrupt.load(Ordering::Relaxed);
    for job in distinct.into_iter().filter(|_| !is_stopped) {
        if figures[job].is_none()
            && let Kept::Figures(kept) = shelf.get(keys[job])?
        {
            figures[job] = Some(kept);
        }
    }
    for job in 0..jobs.len() {
        let first = first[&keys[job]];
        if first != job {
            figures[job] = figures[first].clone();
        }
    }
    Ok(figures)
}

struct Pool<'a> {
    jobs: &'a [Scenario],
    keys: &'a [Key],
    shelf: &'a Shelf,
    options: &'a PoolOptions<'a>,
    /// The jobs that run here.
    own: &'a [usize],
    next: AtomicUsize,
    made: Mutex<Made>,
}

struct Made {
    /// One per job.
    figures: Vec<Option<Figures>>,
    done: usize,
    failure: Option<LabError>,
}

impl Pool<'_> {
    /// Takes one job after another until none is left.
    fn work(&self) {
        while !self.options.interrupt.load(Ordering::Relaxed) {
            let Some(&job) = self.own.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return };
            let figures = self.one(job);
            let mut made = self.made.lock().expect("no panic while held");
            match figures {
                Ok(None) => return,
                Ok(Some((figures, found))) => {
                    made.figures[job] = Some(figures);
                    made.done += 1;
                    (self.options.progress)(Event::Done { done: made.done, of: self.own.len(), found });
                }
                Err(failure) => {
                    made.failure.get_or_insert(failure);
                    self.options.interrupt.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// The figures of a network, and whether they were on the shelf; `None` after an interrupt.
    fn one(&self, job: usize) -> Result<Option<(Figures, bool)>, LabError> {
        let key = self.keys[job];
        match self.shelf.get(key)? {
            Kept::Figures(figures) => return Ok(Some((figures, true))),
            Kept::Damaged(reason) => {
                (self.options.progress)(Event::Damaged { object: &self.shelf.name_of(key), reason: &reason });
            }
            Kept::Nothing => {}
        }
        let options = Options { threads: 1, interrupt: self.options.interrupt.clone() };
        let run = run_with(self.jobs[job].clone(), &options);
        let run = run.map_err(|source| LabError::Network { which: self.which(job), source: source.into() })?;
        let Some(figures) = run.as_ref().map(Figures::of) else { return Ok(None) };
        self.shelf.put(key, &figures)?;
        Ok(Some((figures, false)))
    }

    /// The settings in which a network differs from any other. Networks are compared in pairs, because all settings of
    /// 100,000 networks would not fit into memory.
    fn which(&self, job: usize) -> String {
        let this = &self.jobs[job];
        let differing = self.jobs.iter().flat_map(|other| differences(&[this, other]));
        let which: BTreeMap<String, String> =
            differing.filter_map(|(path, values)| Some((path, values.into_iter().next()??))).collect();
        if which.is_empty() {
            return format!("seed = {}", this.seed);
        }
        which.into_iter().map(|(path, value)| format!("{path} = {value}")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = r#"
        name = "small"
        rounds = 3
        model = { preset = "nano", sequence_length = 16 }
        corpus = { held_out_pages = 8 }
        training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4 }
        scheme = { topk = 8 }
        protocol = { top_peers = 2, min_peers = 2 }
        chain = { weights_every = 1 }
        peers = [{ count = 2 }, { behaviour = "noise" }]
    "#;

    fn network(overrides: &[&str]) -> Scenario {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::from_toml(NETWORK, "small.toml", &overrides).unwrap()
    }

    fn options<'a>(threads: usize, shard: Option<&str>, progress: &'a (dyn Fn(Event<'_>) + Sync)) -> PoolOptions<'a> {
        let shard = shard.map(|text| text.parse().unwrap());
        PoolOptions { threads, shard, interrupt: Arc::default(), progress }
    }

    fn quiet(_: Event<'_>) {}

    #[test]
    fn shards_are_counted_from_one() {
        let shard: Shard = "2/3".parse().unwrap();
        assert_eq!((0..6).filter(|network| shard.holds(*network)).collect::<Vec<_>>(), [1, 4]);
        let wrong = |text: &str| text.parse::<Shard>().unwrap_err();
        assert_eq!([wrong("4/3"), wrong("0/3")], ["expected 1/3 to 3/3", "expected 1/3 to 3/3"]);
        for text in ["", "1", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert_eq!(wrong(text), "expected I/N, such as 1/3 for the first of three parts", "{text}");
        }
    }

    #[test]
    fn results_depend_neither_on_threads_nor_on_shards_and_are_made_once() {
        let jobs: Vec<Scenario> = ["seed=1", "seed=2", "seed=1", "seed=3"].map(|seed| network(&[seed])).into();
        let told = Mutex::new(Vec::new());
        let keep = |event: Event<'_>| {
            if let Event::Done { done, of, found } = event {
                told.lock().unwrap().push((done, of, found));
            }
        };
        let whole = Shelf::in_memory();
        let results = run(&jobs, &whole, &options(2, None, &keep)).unwrap();
        assert_eq!(std::mem::take(&mut *told.lock().unwrap()), [(1, 3, false), (2, 3, false), (3, 3, false)]);
        assert!(results.iter().all(Option::is_some) && results[0] == results[2] && results[0] != results[1]);
        let alone = crate::report::run(jobs[3].clone()).unwrap();
        assert_eq!(results[3], Some(Figures::of(&alone)), "a network by itself on all cores");

        let parts = Shelf::in_memory();
        let first = run(&jobs, &parts, &options(1, Some("1/2"), &keep)).unwrap();
        assert_eq!(first.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
        let second = run(&jobs, &parts, &options(1, Some("2/2"), &keep)).unwrap();
        assert_eq!(second, results);
        told.lock().unwrap().clear();
        assert_eq!(run(&jobs, &parts, &options(1, None, &keep)).unwrap(), results);
        assert_eq!(*told.lock().unwrap(), [(1, 3, true), (2, 3, true), (3, 3, true)]);
    }

    #[test]
    fn an_interrupt_keeps_finished_networks() {
        let jobs: Vec<Scenario> = ["seed=1", "seed=2"].map(|seed| network(&[seed])).into();
        let shelf = Shelf::in_memory();
        let interrupt = Arc::new(AtomicBool::new(false));
        let stop = |_: Event<'_>| interrupt.store(true, Ordering::Relaxed);
        let until = || PoolOptions { interrupt: interrupt.clone(), ..options(1, None, &stop) };
        let results = run(&jobs, &shelf, &until()).unwrap();
        assert_eq!(results.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        // The interrupt is set just before the network begins, and stops it after its first round.
        interrupt.store(false, Ordering::Relaxed);
        shelf.write(&Key::of(&jobs[1]).path(), b"{".to_vec()).unwrap();
        assert_eq!(run(&jobs[1..], &shelf, &until()).unwrap(), [None]);
        assert!(matches!(shelf.get(Key::of(&jobs[0])).unwrap(), Kept::Figures(_)));
        assert_eq!(shelf.count(&[Key::of(&jobs[0]), Key::of(&jobs[0]), Key::of(&network(&["seed=9"]))]).unwrap(), 2);
        let whole = run(&jobs, &shelf, &options(1, None, &quiet)).unwrap();
        assert!(whole[0] == results[0] && whole[1].is_some(), "what is damaged is made anew");
    }

    #[test]
    fn a_network_that_fails_is_named_by_its_settings() {
        let missing = network(&["corpus={kind='text', path='no/such/file', held_out_pages=8}", "seed=4"]);
        let error = run(&[network(&[]), missing], &Shelf::in_memory(), &options(1, None, &quiet)).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("the network with corpus.kind = text, corpus.path = no/such/file"), "{message}");
        assert!(message.contains("seed = 4: ") && message.contains("no/such/file"), "{message}");
    }
}
