//! Takes the adversaries out of a network.

use crate::scenario::Scenario;
use crate::settings::Kinded;

/// Keeps the groups of peers and the operators whose behaviour is `honest`, and removes all others.
pub fn keep_honest(scenario: &mut Scenario) {
    let behaviours = scenario.registry.behaviours.clone();
    let is_honest = |behaviour: &Kinded| behaviours.kind_of(behaviour) == "honest";
    scenario.peers.retain(|group| is_honest(&group.behaviour));
    scenario.operators.retain(|group| is_honest(&group.behaviour));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_peers_and_operators_stay() {
        let text = "name = 'x'\npeers = [{ behaviour = 'noise', count = 9 }, { count = 14 }, { behaviour = { data = 2.0 } }]\n\
                    operators = [{ uids = 5, behaviour = 'copycat' }, { uids = 2 }]";
        let mut scenario = Scenario::from_toml(text, "x.toml", &[]).unwrap();
        keep_honest(&mut scenario);
        assert_eq!(scenario.peers.iter().map(|group| group.count).collect::<Vec<_>>(), [14, 1]);
        assert_eq!(scenario.operators.iter().map(|group| group.uids).collect::<Vec<_>>(), [2]);
    }
}
