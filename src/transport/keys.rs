//! Where things lie in the bucket. A node writes only below its own prefix, so a path says who wrote it:
//!
//! ```text
//! nodes/<hotkey>/rounds/00000012/upload       a peer's pseudo-gradient of round 12
//! nodes/<hotkey>/rounds/00000012/record       a validator's word on round 12
//! nodes/<hotkey>/rounds/00000012/bundle       the uploads that its record includes
//! nodes/<hotkey>/checkpoints/00000100         a validator's model after round 100
//! ```
//!
//! Rounds have eight digits, so that the bucket lists them in order.

use object_store::path::Path;

use super::Hotkey;

/// All that a node may write.
pub fn prefix(node: &Hotkey) -> Path {
    path(format!("nodes/{node}"))
}

/// A peer's upload of a round: [`super::wire`].
pub fn upload(peer: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{peer}/rounds/{round:08}/upload"))
}

/// A validator's record of a round: [`super::record`].
pub fn record(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/rounds/{round:08}/record"))
}

/// The uploads included in a round: [`super::bundle`].
pub fn bundle(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/rounds/{round:08}/bundle"))
}

/// A validator's model after a round: [`super::checkpoint`].
pub fn checkpoint(validator: &Hotkey, round: u64) -> Path {
    path(format!("nodes/{validator}/checkpoints/{round:08}"))
}

fn path(text: String) -> Path {
    Path::parse(text).expect("hexadecimal digits and plain words are a valid path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Identity;

    #[test]
    fn everything_of_a_node_lies_below_its_prefix_in_the_order_of_rounds() {
        let node = Identity::from_seed(1, "validator", 0).hotkey();
        for path in [upload(&node, 12), record(&node, 12), bundle(&node, 12), checkpoint(&node, 100)] {
            assert!(path.prefix_matches(&prefix(&node)), "{path}");
        }
        assert_eq!(upload(&node, 12).as_ref(), format!("nodes/{node}/rounds/00000012/upload"));
        assert!(record(&node, 9) < record(&node, 10));
        assert!(checkpoint(&node, 99_999) < checkpoint(&node, 100_000));
    }
}
