//! Chooses the next networks: new strategies derived from the best so far, and more seeds for the leaders.

use std::collections::BTreeSet;

use rand::RngExt;

use super::archive::Archive;
use super::space::{Space, Strategy};
use crate::random::{ChaCha8Rng, rng};

/// Networks that are chosen at once. The number does not depend on the threads, so findings do not either.
pub const GENERATION: usize = 48;
/// Strategies from which new ones are derived.
const PARENTS: usize = 24;
/// The best strategies, which are tried with more seeds.
const LEADERS: usize = 12;
/// Most seeds per leader.
pub const SEEDS: usize = 4;
/// Largest part of a generation that goes to leaders.
const TO_LEADERS: f64 = 1.0 / 3.0;
/// The chance that a new strategy has two parents.
const CROSSED: f64 = 0.2;
/// The chance that a new strategy has no parent.
const DRAWN: f64 = 0.1;

/// The next `count` networks of a search: strategies, each with the number of its seed. The first generation is derived
/// from the honest strategy alone.
pub fn next(space: &Space, archive: &Archive, seed: u64, generation: u64, count: usize) -> Vec<(Strategy, usize)> {
    let mut rng = rng(seed, "attack", 0, generation);
    let best = archive.best();
    let again = best.iter().take(LEADERS).map(|leader| (leader.clone(), archive.trials(leader).len()));
    let again = again.filter(|(_, trials)| *trials < SEEDS);
    let mut chosen: Vec<(Strategy, usize)> = again.take((count as f64 * TO_LEADERS) as usize).collect();
    let mut taken: BTreeSet<Strategy> = chosen.iter().map(|(strategy, _)| strategy.clone()).collect();
    let parents = if best.is_empty() { vec![space.honest()] } else { best.into_iter().take(PARENTS).collect() };
    // If nearly everything has been tried, stop after a number of vain draws.
    let mut vain = 0;
    while chosen.len() < count && vain < 1000 {
        let child = child(space, &parents, &mut rng);
        if archive.trials(&child).is_empty() && taken.insert(child.clone()) {
            chosen.push((child, 0));
        } else {
            vain += 1;
        }
    }
    chosen
}

fn child(space: &Space, parents: &[Strategy], rng: &mut ChaCha8Rng) -> Strategy {
    if parents.len() > 1 && rng.random_bool(DRAWN) {
        return space.drawn(rng);
    }
    // The lower of two draws, so the best parents have twice as many children as average ones.
    let place = |rng: &mut ChaCha8Rng| rng.random_range(0..parents.len()).min(rng.random_range(0..parents.len()));
    let parent = &parents[place(rng)];
    let child =
        if rng.random_bool(CROSSED) { space.crossed(parent, &parents[place(rng)], rng) } else { parent.clone() };
    space.changed(&child, rng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::attack::arena::Trial;
    use crate::lab::attack::space::Conditions;

    #[test]
    fn a_search_begins_with_small_changes_of_honesty() {
        let space = Space::new(Conditions { bins: Some(2), audits: false, most_pages: 1.0 });
        let first = next(&space, &Archive::default(), 1, 0, GENERATION);
        assert_eq!(first.len(), GENERATION);
        assert!(first.iter().all(|(strategy, trials)| *trials == 0 && space.parts(strategy).len() <= 6));
        let few = first.iter().filter(|(strategy, _)| space.parts(strategy).len() <= 2).count();
        assert!(few > GENERATION / 2, "{few}");
        assert_eq!(first, next(&space, &Archive::default(), 1, 0, GENERATION), "the same seed, the same networks");
        assert_ne!(first, next(&space, &Archive::default(), 2, 0, GENERATION));
    }

    #[test]
    fn leaders_are_tried_again_and_nothing_new_twice() {
        let space = Space::new(Conditions { bins: Some(2), audits: false, most_pages: 1.0 });
        let mut archive = Archive::default();
        for (nth, (strategy, _)) in next(&space, &archive, 1, 0, GENERATION).into_iter().enumerate() {
            archive.add(strategy, Trial { pay: nth as f64, work: 1.0 });
        }
        let second = next(&space, &archive, 1, 1, GENERATION);
        let again: Vec<_> = second.iter().filter(|(_, trials)| *trials > 0).map(|(strategy, _)| strategy).collect();
        assert_eq!(again, archive.best().iter().take(LEADERS).collect::<Vec<_>>());
        let new: BTreeSet<_> = second.iter().filter(|(_, trials)| *trials == 0).collect();
        assert_eq!(new.len(), GENERATION - LEADERS);
        assert!(new.iter().all(|(strategy, _)| archive.trials(strategy).is_empty()));
        let best = archive.best()[0].clone();
        (0..SEEDS).for_each(|_| archive.add(best.clone(), Trial { pay: 100.0, work: 1.0 }));
        assert!(next(&space, &archive, 1, 2, GENERATION).iter().all(|(strategy, _)| *strategy != best));
    }
}
