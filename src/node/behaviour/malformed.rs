//! Uploads what no honest peer would, to break the nodes that decode it.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::training::{PayloadShape, PseudoGradient};

/// The settings of `malformed`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MalformedSettings {
    how: Malformation,
}

/// Ways to spoil an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Malformation {
    /// Too few coefficients in a tensor.
    Shape,
    /// An index beyond its chunk.
    Index,
    /// A value that is not a number.
    Nan,
    /// Many times the allowed size.
    Oversized,
    /// Cut off in the middle.
    Truncated,
    /// A different one of these each round.
    Any,
}

impl Default for MalformedSettings {
    fn default() -> Self {
        Self { how: Malformation::Any }
    }
}

impl BehaviourSettings for MalformedSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Malformed { how: self.how })
    }
}

struct Malformed {
    how: Malformation,
}

impl Malformed {
    fn how(&self, around: &Surroundings) -> Malformation {
        use Malformation::*;
        match self.how {
            Any => [Shape, Index, Nan, Oversized, Truncated][around.rng("malformation").random_range(0..5)],
            how => how,
        }
    }
}

#[async_trait]
impl Behaviour for Malformed {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        spoil_payload(own?, self.how(around), &around.network.shape)
    }

    fn bytes(&self, signed: Bytes, around: &Surroundings) -> Bytes {
        spoil_bytes(signed, self.how(around))
    }
}

fn spoil_payload(mut own: PseudoGradient, how: Malformation, shape: &PayloadShape) -> Option<PseudoGradient> {
    let tensor = own.tensors.first_mut()?;
    match how {
        // An index beyond the chunk. If the index bits cannot express one, the same index many times.
        Malformation::Index if !shape.tensors[0].is_whole() => tensor.indices.fill(u16::MAX),
        // A chunk that is sent whole has no indices.
        Malformation::Shape | Malformation::Index => {
            tensor.indices.truncate(tensor.indices.len() / 2);
            tensor.values.truncate(tensor.values.len() / 2);
        }
        Malformation::Nan => tensor.values[0] = f32::NAN,
        _ => {}
    }
    Some(own)
}

fn spoil_bytes(signed: Bytes, how: Malformation) -> Bytes {
    match how {
        Malformation::Oversized => {
            let mut padded = BytesMut::zeroed(signed.len() * 20);
            padded[..signed.len()].copy_from_slice(&signed);
            padded.freeze()
        }
        Malformation::Truncated => signed.slice(..signed.len() / 2),
        _ => signed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{SparseTensor, TensorShape};

    #[test]
    fn every_way_spoils_the_payload_or_the_bytes() {
        let shapes = [TensorShape::new("sparse", 1, 100, 4, 32), TensorShape::new("whole", 1, 4, 4, 32)];
        for tensor in shapes {
            let shape = PayloadShape { tensors: vec![tensor] };
            let sparse = SparseTensor { indices: vec![0, 1, 2, 3], values: vec![1.0; 4] };
            let good = PseudoGradient { tensors: vec![sparse] };
            assert_eq!(shape.check(&good), Ok(()));
            for how in [Malformation::Shape, Malformation::Index, Malformation::Nan] {
                let bad = spoil_payload(good.clone(), how, &shape).unwrap();
                assert!(shape.check(&bad).is_err(), "{how:?}");
            }
        }
        let signed = Bytes::from_static(b"signed");
        for how in [Malformation::Oversized, Malformation::Truncated] {
            assert_ne!(spoil_bytes(signed.clone(), how).len(), signed.len(), "{how:?}");
        }
    }
}
