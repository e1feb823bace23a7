//! The same network without its adversaries: shows what honest peers would have earned and learned.

use crate::lab::honest::keep_honest;
use crate::scenario::Scenario;

/// A network with the same honest peers and no others. At most as many are aggregated as there are.
///
/// # Errors
/// No peer is left, or the network cannot be run; the text is the reason.
pub fn control(scenario: &Scenario) -> Result<Scenario, String> {
    let mut control = scenario.clone();
    keep_honest(&mut control);
    let peers = control.peers_total();
    if peers == 0 {
        return Err("no honest peer is left".into());
    }
    control.protocol.top_peers = control.protocol.top_peers.min(peers);
    control.protocol.min_peers = control.protocol.min_peers.min(peers);
    let checked = Scenario::from_toml_with(scenario.registry.clone(), &control.to_toml(), "the control", &[]);
    checked.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_peers_stay_as_many_as_they_are() {
        let text = "name = 'x'\npeers = [{ behaviour = 'noise', count = 9 }, { count = 4 }, { behaviour = 'honest' }]\n\
                    operators = [{ uids = 5, behaviour = 'copycat' }]";
        let scenario = Scenario::from_toml(text, "x.toml", &[]).unwrap();
        let control = control(&scenario).unwrap();
        assert_eq!((control.peers_total(), control.operators.len()), (5, 0));
        assert_eq!((control.protocol.top_peers, control.protocol.min_peers), (5, 5));
        assert_eq!(
            Scenario {
                peers: scenario.peers.clone(),
                operators: scenario.operators.clone(),
                protocol: scenario.protocol.clone(),
                ..control
            },
            scenario
        );
    }
}
