//! A search from its first networks to its findings.
//!
//! Many cheap networks come first. The strategies that promise most are played in the scenario itself, the best of those
//! with seeds that nothing was chosen by. The best finding is made smaller, and is played by everybody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::archive::Archive;
use super::arena::{Arena, Played, Stage, Trial};
use super::evolve::{GENERATION, next};
use super::space::Strategy;
use crate::lab::error::LabError;
use crate::lab::figures::Figures;
use crate::lab::pool::{self, PoolOptions};
use crate::lab::shelf::Shelf;
use crate::lab::statistics::Interval;
use crate::scenario::Scenario;

/// Strategies that are played in the scenario itself.
const SURVIVORS: usize = 16;
/// Seeds of each of them.
const SURVIVOR_SEEDS: usize = 2;
/// The best of them, which are played with seeds of their own.
const FINALISTS: usize = 4;
/// Seeds of what is reported.
pub const FINAL_SEEDS: usize = 5;
/// Networks after the cheap ones, at most.
const MOST_LATER: usize = 200;
/// A part is dropped if so much of the gain is left without it.
const ENOUGH: f64 = 0.9;
/// Seeds of the stages lie so far apart.
const APART: u64 = 1000;

/// What came of a search.
pub struct Found {
    /// Networks that it took.
    pub networks: usize,
    /// What was tried in cheap networks.
    pub cheap: Archive,
    /// What was played in the scenario itself with seeds of its own, the best first; the first is as small as it gets.
    pub findings: Vec<Finding>,
    /// What the first finding gains by each of its parts.
    pub parts: Vec<Part>,
    /// What happens to the loss when everybody plays the first finding; or why that is not known.
    pub everybody: Result<Everybody, String>,
}

/// A strategy and what it earned in the scenario itself.
#[derive(Clone)]
pub struct Finding {
    pub strategy: Strategy,
    /// One a seed.
    pub trials: Vec<Trial>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Held-out loss at the end, by seed.
    pub losses: Vec<Option<f64>>,
}

/// What a part of a strategy is worth.
pub struct Part {
    /// The part, as a setting.
    pub words: String,
    /// Gain with it less gain without it, over the same seeds.
    pub worth: Option<Interval>,
}

/// Held-out losses at the end, by seed, where everybody plays a strategy and where nobody does.
pub struct Everybody {
    pub playing: Option<Interval>,
    pub honest: Option<Interval>,
    /// The first less the second, over the same seeds.
    pub difference: Option<Interval>,
}

/// What to search.
pub struct Search<'a> {
    pub arena: &'a Arena,
    /// Networks to run, at most.
    pub budget: usize,
    pub seed: u64,
    pub shelf: &'a Shelf,
    pub pool: PoolOptions<'a>,
    /// Is told what the search is at: networks so far, and words.
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
    /// Searches; `None` when it is interrupted. What was run by then is on the shelf.
    ///
    /// # Errors
    /// A network cannot be run, or the shelf does not give or take it.
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

    /// Generation after generation of cheap networks.
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

    /// Plays the most promising in the scenario itself; the best first.
    fn play(&self, spent: &mut Spent, cheap: &Archive) -> Result<Option<Vec<Finding>>, LabError> {
        spent.words = "the most promising in the scenario itself".into();
        let survivors: Vec<Strategy> = cheap.best().into_iter().take(SURVIVORS.min(1 + spent.left / 12)).collect();
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
        for strategy in played.best().into_iter().take(FINALISTS.min(1 + spent.left / 30)) {
            let Some(finding) = self.finding(spent, strategy)? else { return Ok(None) };
            findings.push(finding);
        }
        findings.retain(|finding| !finding.trials.is_empty());
        findings.sort_by(|a, b| b.gain().total_cmp(&a.gain()).then_with(|| a.strategy.cmp(&b.strategy)));
        Ok(Some(findings))
    }

    /// Plays a strategy with the seeds that are reported.
    fn finding(&self, spent: &mut Spent, strategy: Strategy) -> Result<Option<Finding>, LabError> {
        let seeds: Vec<u64> = self.final_seeds().take(spent.left).collect();
        let job = |seed: &u64| Job { strategy: &strategy, stage: Stage::Whole, played: Played::BySome, seed: *seed };
        let Some(figures) = self.networks(spent, &seeds.iter().map(job).collect::<Vec<_>>())? else { return Ok(None) };
        let trials = figures.iter().map(|figures| self.arena.trial(figures)).collect();
        let losses = figures.iter().map(|figures| figures.loss).collect();
        Ok(Some(Finding { strategy, trials, seeds, losses }))
    }

    /// Drops what a finding does not need, and measures what the rest is worth.
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

    /// What happens when everybody plays a strategy, or why that is not known.
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
            playing: Interval::of(&losses(playing)),
            honest: Interval::of(&losses(honest)),
            difference: Interval::of_differences(&pairs),
        })))
    }

    /// A network that some play, with the `nth` seed of its stage.
    fn job_seed<'s>(&self, strategy: &'s Strategy, stage: Stage, nth: usize) -> Job<'s> {
        let first = self.seed.wrapping_mul(4 * APART).wrapping_add(if stage == Stage::Cheap { 0 } else { APART });
        Job { strategy, stage, played: Played::BySome, seed: first.wrapping_add(nth as u64) & SEED_BITS }
    }

    /// The seeds of what is reported: nothing is chosen by them.
    fn final_seeds(&self) -> impl Iterator<Item = u64> {
        let first = self.seed.wrapping_mul(4 * APART).wrapping_add(2 * APART);
        (0..FINAL_SEEDS as u64).map(move |nth| first.wrapping_add(nth) & SEED_BITS)
    }

    /// Runs networks of the budget, on several machines if there are several; `None` when it is interrupted.
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
/// TOML has whole numbers of 63 bits.
const SEED_BITS: u64 = i64::MAX as u64;

impl Finding {
    /// Mean gain.
    pub fn gain(&self) -> f64 {
        let gains: Vec<f64> = self.trials.iter().map(Trial::gain).collect();
        Interval::of(&gains).map_or(0.0, |gain| gain.mean)
    }
}

/// Networks of the budget.
struct Spent {
    left: usize,
    taken: usize,
    /// What they are spent on.
    words: String,
}

/// How long a shard waits for the networks of others before it looks again.
const WAIT: Duration = Duration::from_millis(500);
/// How often it looks without news before it runs them itself.
const PATIENCE: usize = 240;

/// Runs networks; a shard runs its own, and waits for those of the others. Where none comes for long, another shard has
/// stopped, and its networks are run here. Who runs a network makes no difference to what comes of it.
fn run_all(networks: &[Scenario], shelf: &Shelf, options: &PoolOptions<'_>) -> Result<Option<Vec<Figures>>, LabError> {
    let mut waited = 0;
    let mut there = 0;
    loop {
        let shard = if waited < PATIENCE { options.shard } else { None };
        let interrupt = options.interrupt.clone();
        let figures = pool::run(networks, shelf, &PoolOptions { shard, interrupt, ..*options })?;
        if is_set(&options.interrupt) {
            return Ok(None);
        }
        let known = figures.iter().flatten().count();
        if known == networks.len() {
            return Ok(Some(figures.into_iter().flatten().collect()));
        }
        waited = if known > there { 0 } else { waited + 1 };
        there = known;
        std::thread::sleep(WAIT);
    }
}

fn is_set(interrupt: &AtomicBool) -> bool {
    interrupt.load(Ordering::Relaxed)
}
