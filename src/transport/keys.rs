//! Paths in the bucket. A path tells who wrote the object: a node writes below its own prefix, and only validators write
//! below `rounds/`.
//!
//! ```text
//! genesis                                     the definition of the run
//! theta                                       the initial model
//! start                                       when round 0 begins
//! rounds/00000012/record                      which uploads round 12 aggregated; written once, by the first validator
//! chain/slots/00007/00000002                  the third registration for slot 7, written once
//! nodes/<hotkey>/rounds/00000012/upload       a peer's pseudo-gradient of round 12
//! nodes/<hotkey>/rounds/00000012/key          what opens it, if uploads are sealed
//! nodes/<hotkey>/rounds/00000012/state        what a peer's work of round 12 started from, if a validator asked for it
//! nodes/<hotkey>/rounds/00000012/state.0001   the next part of a large one
//! nodes/<hotkey>/rounds/00000012/audits       the peers whose work of round 12 a validator will do again
//! nodes/<hotkey>/rounds/00000012/bundle       the uploads that a validator's record includes, or their first part
//! nodes/<hotkey>/rounds/00000012/bundle.0001  the next part of a large bundle
//! nodes/<hotkey>/checkpoints/00000100         a validator's model after round 100, or its first part
//! nodes/<hotkey>/checkpoints/00000100.0001    the next part of a large model
//! nodes/<hotkey>/weights/0000000084           the weights that a validator posted in block 84
//! nodes/<hotkey>/weights/0000000084.01        another call that it posted in block 84: the first one
//! nodes/<hotkey>/reports/00000012             a validator's report of round 12
//! nodes/<hotkey>/clock                        written to read the store's clock
//! ```
//!
//! Numbers have a fixed width, so that listings come in order. A simulated bucket holds neither a genesis nor a chain.

use object_store::path::Path;

use super::Hotkey;
use crate::Uid;

/// The genesis of the run: [`super::genesis`].
pub fn genesis() -> Path {
    path("genesis".into())
}

/// The run's initial model: [`super::checkpoint`].
pub fn theta() -> Path {
    path("theta".into())
}

/// The start of round 0: [`super::genesis::Start`].
pub fn start() -> Path {
    path("start".into())
}

/// The folder of all records.
pub fn records() -> Path {
    path("rounds".into())
}

/// The record of a round: [`super::record`].
pub fn record(round: u64) -> Path {
    path(format!("rounds/{round:08}/record"))
}

/// The round of the record at a path.
pub fn round_of_record(path: &str) -> Option<u64> {
    path.strip_prefix("rounds/")?.strip_suffix("/record")?.parse().ok()
}

/// The folder of all registrations.
pub fn slots() -> Path {
    path("chain/slots".into())
}

/// The registration for a slot after `generation` earlier ones: [`super::call`].
pub fn slot(uid: Uid, generation: u32) -> Path {
    path(format!("chain/slots/{uid:05}/{generation:08}"))
}

/// The prefix below which a node may write.
pub fn prefix(node: &Hotkey) -> Path {
    path(format!("nodes/{node}"))
}

/// The folder of a node's rounds.
pub fn rounds(node: &Hotkey) -> Path {
    path(format!("nodes/{node}/rounds"))
}

/// A peer's upload of a round: [`super::wire`], or [`super::envelope`] if uploads are sealed.
pub fn upload(peer: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{peer}/rounds/{round:08}/upload"))
}

/// The key of a peer's sealed upload of a round: [`super::envelope`].
pub fn upload_key(peer: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{peer}/rounds/{round:08}/key"))
}

/// The training state that a peer's work of a round started from, as its scheme saves it, in parts of [`super::bundle::PART`] bytes.
pub fn state(peer: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{peer}/rounds/{round:08}/state"))
}

/// A validator's request for the states of a round: [`super::audit`].
pub fn audits(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/rounds/{round:08}/audits"))
}

/// The bundle of uploads included in a round: [`super::bundle`].
pub fn bundle(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/rounds/{round:08}/bundle"))
}

/// The folder of a validator's checkpoints.
pub fn checkpoints(validator: &Hotkey) -> Path {
    path(format!("nodes/{validator}/checkpoints"))
}

/// A validator's model after a round: [`super::checkpoint`].
pub fn checkpoint(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/checkpoints/{round:08}"))
}

/// Part number `part` of the model, bundle or state at `key`; part 0 is at `key` itself.
pub fn part(key: &Path, part: usize) -> Path {
    if part == 0 { key.clone() } else { path(format!("{key}.{part:04}")) }
}

/// The round of a checkpoint or of one of its parts.
pub fn round_of_part(name: &str) -> Option<u64> {
    name.split('.').next()?.parse().ok()
}

/// The folder of a validator's weights.
pub fn all_weights(validator: &Hotkey) -> Path {
    path(format!("nodes/{validator}/weights"))
}

/// The weights that a validator posted in a block: [`super::call`].
pub fn weights(validator: &Hotkey, block: u64) -> Path {
    path(format!("nodes/{validator}/weights/{block:010}"))
}

/// Another call of a validator in a block, the `nth` one from 1 on: [`super::call`]. Its path sorts after those of all
/// earlier ones.
pub fn call(validator: &Hotkey, block: u64, nth: u8) -> Path {
    path(format!("nodes/{validator}/weights/{block:010}.{nth:02}"))
}

/// Block and number of the call at a path, if it is one of a validator's other calls.
pub fn call_number(path: &Path) -> Option<(u64, u8)> {
    let (block, nth) = path.filename()?.split_once('.')?;
    Some((block.parse().ok()?, nth.parse().ok()?))
}

/// The block that a call of a validator is named after: its weights, or one of its other calls.
pub fn call_block(path: &Path) -> Option<u64> {
    let is_call = path.parts().rev().nth(1)?.as_ref() == "weights";
    number(path).or_else(|| call_number(path).map(|(block, _)| block)).filter(|_| is_call)
}

/// The folder of a validator's reports.
pub fn reports(validator: &Hotkey) -> Path {
    path(format!("nodes/{validator}/reports"))
}

/// A validator's report of a round.
pub fn report(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/reports/{round:08}"))
}

/// The object that a node writes to read the store's clock.
pub fn clock(node: &Hotkey) -> Path {
    path(format!("nodes/{node}/clock"))
}

/// The number at the end of a path: a round, a block or a generation.
pub fn number(path: &Path) -> Option<u64> {
    path.filename()?.parse().ok()
}

fn path(text: String) -> Path {
    Path::parse(text).expect("hexadecimal digits and plain words are a valid path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Identity;

    #[test]
    fn objects_of_a_node_are_below_its_prefix_in_order_of_rounds() {
        let node = Identity::from_seed(1, "validator", 0).hotkey();
        for path in [
            upload(&node, 12),
            upload_key(&node, 12),
            bundle(&node, 12),
            checkpoint(&node, 100),
            weights(&node, 7),
            report(&node, 3),
        ] {
            assert!(path.prefix_matches(&prefix(&node)), "{path}");
        }
        assert_eq!(upload(&node, 12).as_ref(), format!("nodes/{node}/rounds/00000012/upload"));
        assert!(record(9) < record(10));
        assert!(checkpoint(&node, 99_999) < checkpoint(&node, 100_000));
        assert_eq!(number(&checkpoint(&node, 100)), Some(100));
        assert_eq!(call_number(&call(&node, 7, 12)), Some((7, 12)));
        assert_eq!((call_number(&weights(&node, 7)), number(&call(&node, 7, 12))), (None, None));
        assert_eq!((call_block(&weights(&node, 7)), call_block(&call(&node, 7, 12))), (Some(7), Some(7)));
        assert_eq!((call_block(&upload(&node, 7)), call_block(&all_weights(&node))), (None, None));
        let in_order = [weights(&node, 7), call(&node, 7, 1), call(&node, 7, 2), call(&node, 7, 10), weights(&node, 8)];
        assert!(in_order.is_sorted());
        let second = part(&checkpoint(&node, 100), 1);
        assert_eq!((part(&theta(), 0), number(&second)), (theta(), None), "the number of a part is not a round");
        assert_eq!(round_of_part(second.filename().unwrap()), Some(100));
        assert_eq!(number(&slot(7, 2)), Some(2));
        assert_eq!(round_of_record(record(12).as_ref()), Some(12));
        assert_eq!(round_of_record(upload(&node, 12).as_ref()), None);
    }
}
