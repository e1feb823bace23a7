//! The parties of a scenario that train: peers and operators, each with its slots.

use super::sections::Scenario;
use crate::node::Hardware;
use crate::node::behaviour::BehaviourSettings;
use crate::settings::Kinded;
use crate::transport::simulated::Link;
use crate::words::counted;

/// A party that trains: a peer of `[[peers]]` with one slot, or one of `[[operators]]`.
#[derive(Clone, Debug)]
pub struct Operator<'a> {
    scenario: &'a Scenario,
    /// Number of its first slot among those of the scenario, which are in the file's order, peers first.
    pub first: usize,
    /// Slots that it registers.
    pub uids: usize,
    /// Its name, if it is one of `[[operators]]`.
    pub name: Option<String>,
    pub behaviour: &'a Kinded,
    pub inner_steps: Option<usize>,
    pub hardware: &'a Hardware,
    pub link: &'a Link,
    pub joins: u64,
    pub leaves: Option<u64>,
}

impl Operator<'_> {
    /// Numbers of its slots.
    pub fn slots(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.uids
    }

    /// The settings of its behaviour.
    pub fn behaviour(&self) -> Box<dyn BehaviourSettings> {
        self.scenario.behaviour(self.behaviour)
    }

    /// How many keys it needs for each slot while it takes part.
    pub fn keys(&self) -> u64 {
        let ends = self.leaves.unwrap_or(u64::MAX).min(self.scenario.rounds);
        self.behaviour().keys(ends.saturating_sub(self.joins))
    }

    /// The label of its slots in tables: its behaviour and its own number of inner steps, after its name if it has one.
    pub fn label(&self) -> String {
        let mut does = self.scenario.label(self.behaviour);
        if let Some(steps) = self.inner_steps
            && self.scenario.scheme_settings().inner_steps() != Some(steps)
        {
            does = format!("{does} {}", counted(steps, "step"));
        }
        self.name.as_ref().map_or(does.clone(), |name| format!("{name}/{does}"))
    }
}

impl Scenario {
    /// Number of slots that peers and operators register, including those that join later.
    pub fn peers_total(&self) -> usize {
        let peers = self.peers.iter().map(|group| group.count);
        let operators = self.operators.iter().map(|group| group.count.saturating_mul(group.uids));
        peers.chain(operators).fold(0, usize::saturating_add)
    }

    /// The parties that train, in the file's order: peers first, then operators.
    pub fn each_operator(&self) -> impl Iterator<Item = Operator<'_>> {
        let peers = self.peers.iter().flat_map(move |group| {
            let peer = Operator {
                scenario: self,
                first: 0,
                uids: 1,
                name: None,
                behaviour: &group.behaviour,
                inner_steps: group.inner_steps,
                hardware: &group.hardware,
                link: &group.link,
                joins: group.joins,
                leaves: group.leaves,
            };
            std::iter::repeat_n(peer, group.count)
        });
        let groups = self.operators.iter().flat_map(|group| (0..group.count).map(move |nth| (group, nth)));
        let operators = groups.enumerate().map(move |(number, (group, nth))| Operator {
            scenario: self,
            first: 0,
            uids: group.uids,
            name: Some(match &group.name {
                Some(name) if group.count == 1 => name.clone(),
                Some(name) => format!("{name}-{nth}"),
                None => format!("operator-{number}"),
            }),
            behaviour: &group.behaviour,
            inner_steps: group.inner_steps,
            hardware: &group.hardware,
            link: &group.link,
            joins: group.joins,
            leaves: group.leaves,
        });
        let mut next = 0;
        peers.chain(operators).map(move |operator| {
            let first = next;
            next += operator.uids;
            Operator { first, ..operator }
        })
    }

    /// All slots that peers and operators register: the number of each, and its owner.
    pub fn each_uid(&self) -> impl Iterator<Item = (usize, Operator<'_>)> {
        self.each_operator().flat_map(|operator| operator.slots().map(move |slot| (slot, operator.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "name = 'x'\n[[peers]]\ncount = 20\n[[operators]]\nuids = 2\nbehaviour = 'copycat'\n";

    fn read(text: &str, overrides: &[&str]) -> Result<Scenario, String> {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::from_toml(text, "x.toml", &overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn slots_of_operators_come_after_the_peers() {
        let scenario =
            read(TWO, &["operators.0.count=2", "peers.0.count=3", "protocol.top_peers=4", "protocol.min_peers=4"])
                .unwrap();
        assert_eq!(scenario.peers_total(), 7);
        let slots: Vec<_> = scenario.each_operator().map(|operator| operator.slots()).collect();
        assert_eq!(slots, [0..1, 1..2, 2..3, 3..5, 5..7]);
        let labels: Vec<_> = scenario.each_uid().map(|(_, operator)| operator.label()).collect();
        let (first, second) = ("operator-0/copycat", "operator-1/copycat");
        assert_eq!(labels, ["honest", "honest", "honest", first, first, second, second]);
        let named = read(TWO, &["operators.0.count=2", "operators.0.name=ring"]).unwrap();
        let names: Vec<_> = named.each_operator().filter_map(|operator| operator.name).collect();
        assert_eq!(names, ["ring-0", "ring-1"]);
        let alone = read("name = 'x'\n[[operators]]\nname = 'all'\nuids = 20\n", &[]).unwrap();
        assert_eq!(alone.each_operator().map(|operator| operator.name.unwrap()).collect::<Vec<_>>(), ["all"]);
    }

    #[test]
    fn without_operators_nothing_is_written_of_them() {
        let without = "name = 'x'\n[[peers]]\ncount = 20\n";
        assert!(!read(without, &[]).unwrap().canonical().contains("operators"), "the names of runs cover the text");
        let scenario = read(TWO, &["operators.0.leaves=7"]).unwrap();
        assert_eq!(read(&scenario.to_toml(), &[]).unwrap(), scenario);
        assert_eq!(read(&scenario.canonical(), &[]).unwrap(), scenario);
    }

    #[test]
    fn what_is_wrong_with_an_operator_is_told() {
        for (set, expected) in [
            ("operators.0.uids=0", "operators.0.uids is 0; expected 1 or more"),
            ("operators.0.count=0", "operators.0.count is 0; expected 1 or more"),
            ("operators.0.uids=231", "operators.0.uids is 231; expected 250 peers at most from the start"),
            ("operators.0.uids=20000", "operators is 20020 peers in all; expected 10000 at most"),
            ("operators.0.uids=9223372036854775807", "peers in all; expected 10000 at most"),
            ("operators=[{uids=0, count=9223372036854775807}]", "operators.0.uids is 0"),
            ("operators.0.uid=3", "did you mean `uids`?"),
            ("operators.0.behaviour=lasy", "did you mean `lazy`?"),
            ("operators.0.behaviour={kind='lazy', fraction=2}", "operators.0.behaviour.fraction is 2"),
            ("operators.0.name=a/b", "operators.0.name is \"a/b\"; expected 1 to 32 letters"),
            ("operators.0.hardware.tokens_per_second=0", "operators.0.hardware.tokens_per_second is 0"),
            ("operators.0.link.loss=1", "operators.0.link.loss is 1"),
            ("operators=[{joins=3, leaves=3}]", "operators.0.leaves is 3; expected more than operators.0.joins, 3"),
            (
                "operators=[{}, {name='operator-0'}]",
                "operators.1.name is \"operator-0\"; expected another name than that of operators.0",
            ),
        ] {
            let message = read(TWO, &[set]).unwrap_err();
            assert!(message.contains(&format!("--set {set}")), "{message}");
            assert!(message.contains(expected), "{message}\nlacks\n{expected}");
        }
        let message = read(&TWO.replace("uids = 2", "uids = 0"), &[]).unwrap_err();
        assert!(message.contains("x.toml:5:1: operators.0.uids is 0"), "{message}");
    }
}
