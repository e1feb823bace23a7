//! Watches other validators: objects to a record that no honest validator would have written.
//!
//! Whose uploads are late or malformed is not the same for all who look, and a peer can make two validators see two
//! things. So a single such upload proves nothing. What counts is what all see alike, and how much of the pay that the
//! validators' weights give a lead leaves out, round after round.

use std::collections::BTreeMap;

use super::Validator;
use super::decide::Decided;
use super::gather::Gathered;
use crate::Uid;
use crate::chain::{Call, ChainView};
use crate::node::agreed::objection;
use crate::transport::Hotkey;
use crate::transport::record::RoundRecord;

/// The least part of the pay of this validator's own choice that a fair record carries. Validators check peers by lot, so where pay is
/// flat, an honest list of six may lack two whom this validator would take.
const FAIR: f64 = 0.6;

impl Validator {
    /// Objects to another validator's record if it names a model that its payloads do not lead to, includes somebody
    /// without a slot, or has been unfair for longer than a list of peers is in force.
    pub async fn watch(&mut self, decided: &Decided, gathered: &Gathered, chain: &dyn ChainView) {
        let record = &decided.record;
        if decided.own {
            self.unfair = None;
            return;
        }
        let is_fair = self.is_fair(record, gathered, chain);
        let before = self.unfair.filter(|(author, _)| *author == record.validator).map_or(0, |(_, rounds)| rounds);
        self.unfair = (!is_fair).then_some((record.validator, before + 1));
        let protocol = &self.network.rules.protocol;
        let is_unfair = self.unfair.is_some_and(|(_, rounds)| rounds > protocol.list_every + protocol.list_delay);
        let includes_strangers = includes_strangers(record, &self.owners);
        if !decided.is_sound || includes_strangers || is_unfair {
            let is_sound = decided.is_sound;
            tracing::warn!(round = record.round, author = %record.validator, is_sound, includes_strangers, is_unfair,
                "objecting to a record");
            self.ports.chain.submit(Call::Object(objection(record, false))).await;
        }
    }

    /// Whether the uploads that a record includes and this validator accepts carry most of the pay that its own choice
    /// would have. Pay follows the weights of all validators. Before anybody is paid, every choice is fair.
    fn is_fair(&self, record: &RoundRecord, gathered: &Gathered, chain: &dyn ChainView) -> bool {
        let own: f64 = self.included(gathered, chain).into_iter().map(|uid| chain.incentive(uid)).sum();
        let accepted = record.included.iter().filter(|included| {
            gathered.valid.get(&included.uid).is_some_and(|received| received.payload == included.payload)
        });
        let theirs: f64 = accepted.map(|included| chain.incentive(included.uid)).sum();
        theirs >= FAIR * own
    }
}

/// Whether a record includes somebody who does not hold the slot.
fn includes_strangers(record: &RoundRecord, owners: &BTreeMap<Uid, Hotkey>) -> bool {
    record.included.iter().any(|included| owners.get(&included.uid) != Some(&included.hotkey))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::transport::record::Included;

    #[test]
    fn a_stranger_holds_no_slot_or_another() {
        let (first, second, stranger) = (Hotkey([1; 32]), Hotkey([2; 32]), Hotkey([3; 32]));
        let owners = BTreeMap::from([(0, first), (1, second)]);
        let includes = |included: &[(Uid, Hotkey)]| {
            let included =
                included.iter().map(|&(uid, hotkey)| Included { uid, hotkey, payload: Digest::of(b"payload") });
            let (run, model) = (Digest::of(b"run"), Digest::of(b"model"));
            let included = included.collect();
            let record =
                RoundRecord { run, round: 3, validator: first, included, model_before: model, model_after: model };
            includes_strangers(&record, &owners)
        };
        assert!(!includes(&[]) && !includes(&[(0, first), (1, second)]));
        assert!(includes(&[(0, first), (1, stranger)]) && includes(&[(1, first)]) && includes(&[(2, stranger)]));
    }
}
