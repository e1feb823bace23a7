//! A search, from its first networks to its findings.
//!
//! The search starts with many cheap networks. The most promising strategies then play in the scenario itself, and the
//! best of those play again with fresh seeds, which had no part in the choice. The best finding is then simplified, and
//! all peers play it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::archive::Archive;
use super::arena::{Arena, Played, Stage, Trial};
use super::evolve::{GENERATION, next};
use super::space::Strategy;
use crate::lab::error::LabError;
use crate::lab::figures::Figures;
use crate::lab::pool::{self, PoolOptions};
use crate::lab::shelf::{Kept, Key, Shelf};
use crate::lab::statistics::Interval;
use crate::scenario::Scenario;

/// Strategies that play in the scenario itself.
const SURVIVORS: usize = 16;
/// Seeds for each of them.
const SURVIVOR_SEEDS: usize = 2;
/// The best of them, which play again with fresh seeds.
const FINALISTS: usize = 4;
/// Seeds for each reported strategy.
pub const FINAL_SEEDS: usize = 5;
/// Most networks after the cheap ones.
const MOST_LATER: usize = 200;
/// A part is dropped if this share of the gain remains without it.
const ENOUGH: f64 = 0.9;
/// Distance between the seeds of the stages.
const APART: u64 = 1000;

/// The result of a search.
pub struct Found {
    /// Number of networks that it ran.
    pub networks: usize,
    /// The trials in cheap networks.
    pub cheap: Archive,
    /// What played in the scenario itself with fresh seeds, the best first. The first one is simplified.
    pub findings: Vec<Finding>,
    /// What each part adds to the gain of the first finding.
    pub parts: Vec<Part>,
    /// The loss when all peers play the best strategy, or why it is not known.
    pub everybody: Result<Everybody, String>,
}

/// A strategy and what it earned in the scenario itself.
#[derive(Clone)]
pub struct Finding {
    pub strategy: Strategy,
    /// One per seed.
    pub trials: Vec<Trial>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Held-out loss at the end, by seed.
    pub losses: Vec<Option<f64>>,
}

/// What a part of a strategy adds to its gain.
pub struct Part {
    /// The part, written as a setting.
    pub words: String,
    /// The gain with the part minus the gain without it, over the same seeds.
    pub worth: Option<Interval>,
}

/// Held-out losses at the end when all peers play a strategy, and when none does.
pub struct Everybody {
    /// The best strategy before parts of it were dropped.
    pub strategy: Strategy,
    /// Seeds, each with two networks.
    pub networks: usize,
    pub playing: Option<Interval>,
    pub honest: Option<Interval>,
    /// Playing minus honest, over the same seeds.
    pub difference: Option<Interval>,
}

/// The settings of a search.
pub struct Search<'a> {
    pub arena: &'a Arena,
    /// Most networks to run.
    pub budget: usize,
    pub seed: u64,
    pub shelf: &'a Shelf,
    pub pool: PoolOptions<'a>,
    /// Receives the progress: networks so far, and a description of the stage.
    pub stage: &'a (dyn Fn(usize, &str) + Sync),
}

/// A network to run.
struct Job<'a> {
    strategy: &'a Strategy,
    stage: Stage,
    played: Played,
    seed: u64,
}

impl Search<'_> {
    /// Runs the search; `None` after an interrupt. Finished networks stay on the shelf.
    ///
    /// # Errors
    /// A network cannot be run, or the shelf cannot be read or written.
    pub fn run(&self) -> Result<Option<Found>, LabError> {
        let mut spent = Spent { left: self.budget, taken: 0, words: "first networks".into() };
        let later = (self.budget / 3).min(MOST_LATER);
        let Some(cheap) = self.explore(&mut spent, self.budget - later)? else { return Ok(None) };
        let Some(findings) = self.play(&mut spent, &cheap)? else { return Ok(None) };
        let mut found = Found { networks: 0, cheap, findings, parts: Vec::new(), everybody: Err(BUDGET.into()) };
        if let Some(best) = found.findings.first().cloned() {
            let Some(everybody) = self.everybody(&mut spent, &best.strategy)? else { return Ok(None) };
            let Some((smallest, parts)) = self.smaller(&mut spent, best)? else { return Ok(None) };
            found.findings[0] = smallest;
            (found.parts, found.everybody) = (parts, everybody);
        }
        found.networks = spent.taken;
        Ok(Some(found))
    }

    /// Runs generations of cheap networks.
    fn explore(&self, spent: &mut Spent, networks: usize) -> Result<Option<Archive>, LabError> {
        let mut archive = Archive::default();
        for generation in 0.. {
            let count = GENERATION.min(networks - spent.taken);
            let chosen = next(&self.arena.space, &archive, self.seed, generation, count);
            if chosen.is_empty() {
                break;
            }
            if let Some(best) = archive.best().first() {
                spent.words = format!("best so far: {}", self.arena.space.words(best));
            }
            let jobs: Vec<Job> =
                chosen.iter().map(|(strategy, nth)| self.job_seed(strategy, Stage::Cheap, *nth)).collect();
            let Some(figures) = self.networks(spent, &jobs)? else { return Ok(None) };
            for ((strategy, _), figures) in chosen.into_iter().zip(&figures) {
                archive.add(strategy, self.arena.trial(figures));
            }
        }
        Ok(Some(archive))
    }

    /// Plays the most promising strategies in the scenario itself; returns the best first.
    fn play(&self, spent: &mut Spent, cheap: &Archive) -> Result<Option<Vec<Finding>>, LabError> {
        spent.words = "the most promising in the scenario itself".into();
        let survivors = cheap.distinct(SURVIVORS.min(1 + spent.left / 12));
        let mut played = Archive::default();
        let jobs = survivors.iter().flat_map(|strategy| (0..SURVIVOR_SEEDS).map(move |nth| (strategy, nth)));
        let jobs: Vec<_> = jobs.take(spent.left).collect();
        let networks: Vec<Job> =
            jobs.iter().map(|(strategy, nth)| self.job_seed(strategy, Stage::Whole, *nth)).collect();
        let Some(figures) = self.networks(spent, &networks)? else { return Ok(None) };
        for ((strategy, _), figures) in jobs.into_iter().zip(&figures) {
            played.add(strategy.clone(), self.arena.trial(figures));
        }

        let mut findings = Vec::new();
        for strategy in played.distinct(FINALISTS.min(1 + spent.left / 30)) {
            let Some(finding) = self.finding(spent, strategy)? else { return Ok(None) };
            findings.push(finding);
        }
        findings.retain(|finding| !finding.trials.is_empty());
        findings.sort_by(|a, b| b.gain().total_cmp(&a.gain()).then_with(|| a.strategy.cmp(&b.strategy)));
        Ok(Some(findings))
    }

    /// Plays a strategy with the fresh seeds.
    fn finding(&self, spent: &mut Spent, strategy: Strategy) -> Result<Option<Finding>, LabError> {
        let seeds: Vec<u64> = self.final_seeds().take(spent.left).collect();
        let job = |seed: &u64| Job { strategy: &strategy, stage: Stage::Whole, played: Played::BySome, seed: *seed };
        let Some(figures) = self.networks(spent, &seeds.iter().map(job).collect::<Vec<_>>())? else { return Ok(None) };
        let trials = figures.iter().map(|figures| self.arena.trial(figures)).collect();
        let losses = figures.iter().map(|figures| figures.loss).collect();
        Ok(Some(Finding { strategy, trials, seeds, losses }))
    }

    /// Drops the parts that a finding does not need, and measures what each of the others adds.
    fn smaller(&self, spent: &mut Spent, finding: Finding) -> Result<Option<(Finding, Vec<Part>)>, LabError> {
        let space = &self.arena.space;
        let mut finding = finding;
        loop {
            spent.words = format!("what it needs of: {}", space.words(&finding.strategy));
            let mut without = Vec::new();
            for part in space.parts(&finding.strategy) {
                if spent.left < FINAL_SEEDS {
                    break;
                }
                let Some(tried) = self.finding(spent, space.without(&finding.strategy, part))? else { return Ok(None) };
                without.push((part, tried));
            }
            let is_needless = |tried: &&(usize, Finding)| tried.1.gain() >= ENOUGH * finding.gain();
            let best = without.iter().filter(is_needless).max_by(|a, b| a.1.gain().total_cmp(&b.1.gain()));
            if let Some((_, smaller)) = best {
                finding = smaller.clone();
                continue;
            }
            let gains = |finding: &Finding| finding.trials.iter().map(Trial::gain).collect::<Vec<_>>();
            let with = gains(&finding);
            let worth = |tried: &Finding| {
                let pairs: Vec<_> = gains(tried).into_iter().zip(with.iter().copied()).collect();
                Interval::of_differences(&pairs)
            };
            let part = |(part, tried): &(usize, Finding)| Part {
                words: space.part(&finding.strategy, *part),
                worth: worth(tried),
            };
            let parts = without.iter().map(part).collect();
            return Ok(Some((finding, parts)));
        }
    }

    /// Measures the loss when all peers play a strategy, or says why it is not known.
    fn everybody(&self, spent: &mut Spent, strategy: &Strategy) -> Result<Option<Result<Everybody, String>>, LabError> {
        spent.words = "everybody plays it".into();
        if let Err(refused) = self.arena.network(Stage::Whole, strategy, Played::ByAll, self.seed & SEED_BITS) {
            return Ok(Some(Err(format!("the network cannot be run: {refused}"))));
        }
        let seeds: Vec<u64> = self.final_seeds().take(spent.left / 2).collect();
        if seeds.is_empty() {
            return Ok(Some(Err(BUDGET.into())));
        }
        let jobs = [Played::ByAll, Played::ByNone].into_iter().flat_map(|played| {
            let job = move |seed: &u64| Job { strategy, stage: Stage::Whole, played, seed: *seed };
            seeds.iter().map(job)
        });
        let Some(figures) = self.networks(spent, &jobs.collect::<Vec<_>>())? else { return Ok(None) };
        let (playing, honest) = figures.split_at(seeds.len());
        let pairs = honest.iter().zip(playing).filter_map(|(honest, playing)| Some((honest.loss?, playing.loss?)));
        let pairs: Vec<(f64, f64)> = pairs.collect();
        let losses = |figures: &[Figures]| figures.iter().filter_map(|figures| figures.loss).collect::<Vec<_>>();
        Ok(Some(Ok(Everybody {
            strategy: strategy.clone(),
            networks: seeds.len(),
            playing: Interval::of(&losses(playing)),
            honest: Interval::of(&losses(honest)),
            difference: Interval::of_differences(&pairs),
        })))
    }

    /// A network with some players and the `nth` seed of its stage.
    fn job_seed<'s>(&self, strategy: &'s Strategy, stage: Stage, nth: usize) -> Job<'s> {
        let first = self.seed.wrapping_mul(4 * APART).wrapping_add(if stage == Stage::Cheap { 0 } else { APART });
        Job { strategy, stage, played: Played::BySome, seed: first.wrapping_add(nth as u64) & SEED_BITS }
    }

    /// The fresh seeds, on which no choice depends.
    fn final_seeds(&self) -> impl Iterator<Item = u64> {
        let first = self.seed.wrapping_mul(4 * APART).wrapping_add(2 * APART);
        (0..FINAL_SEEDS as u64).map(move |nth| first.wrapping_add(nth) & SEED_BITS)
    }

    /// Runs networks within the budget, possibly together with other shards; `None` after an interrupt.
    fn networks(&self, spent: &mut Spent, jobs: &[Job]) -> Result<Option<Vec<Figures>>, LabError> {
        (self.stage)(spent.taken, &spent.words);
        spent.left -= jobs.len();
        spent.taken += jobs.len();
        let network = |job: &Job| {
            let network = self.arena.network(job.stage, job.strategy, job.played, job.seed);
            network.map_err(|source| LabError::Strategy { which: self.arena.space.words(job.strategy), source })
        };
        let scenarios = jobs.iter().map(network).collect::<Result<Vec<Scenario>, _>>()?;
        run_all(&scenarios, self.shelf, &self.pool)
    }
}

/// Why something was not measured.
const BUDGET: &str = "the budget had ended";
/// Whole numbers in TOML have 63 bits.
const SEED_BITS: u64 = i64::MAX as u64;

impl Finding {
    /// Mean gain.
    pub fn gain(&self) -> f64 {
        let gains: Vec<f64> = self.trials.iter().map(Trial::gain).collect();
        Interval::of(&gains).map_or(0.0, |gain| gain.mean)
    }
}

/// The budget, in networks.
struct Spent {
    left: usize,
    taken: usize,
    /// What they are spent on, for the progress line.
    words: String,
}

/// Time between two looks for the results of other shards.
const WAIT: Duration = Duration::from_millis(500);
/// Time without a new result after which a shard runs the missing networks itself. It waits longer if its own part took
/// more than half as long, as the others' parts are as large.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs networks. A shard runs its own and waits for the others'. If no result arrives for long, another shard has
/// stopped, and this one runs the missing networks too. Results do not depend on which shard runs them.
fn run_all(networks: &[Scenario], shelf: &Shelf, options: &PoolOptions<'_>) -> Result<Option<Vec<Figures>>, LabError> {
    let began = Instant::now();
    let mut figures = pool::run(networks, shelf, options)?;
    let patience = PATIENCE.max(2 * began.elapsed());
    let mut last = Instant::now();
    while !is_set(&options.interrupt) {
        if figures.iter().all(Option::is_some) {
            return Ok(Some(figures.into_iter().flatten().collect()));
        }
        if last.elapsed() > patience {
            let interrupt = options.interrupt.clone();
            figures = pool::run(networks, shelf, &PoolOptions { shard: None, interrupt, ..*options })?;
            continue;
        }
        std::thread::sleep(WAIT);
        for (network, known) in networks.iter().zip(&mut figures).filter(|(_, known)| known.is_none()) {
            if let Kept::Figures(found) = shelf.get(Key::of(network))? {
                (*known, last) = (Some(found), Instant::now());
            }
        }
    }
    Ok(None)
}

fn is_set(interrupt: &AtomicBool) -> bool {
    interrupt.load(Ordering::Relaxed)
}
