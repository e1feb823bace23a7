//! Uploads what no honest peer would, to break whoever decodes it.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rand::RngExt;

use super::settings::Malformation;
use super::{Behaviour, Surroundings};
use crate::training::PseudoGradient;

pub struct Malformed {
    pub how: Malformation,
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
        let mut own = own?;
        let tensor = own.tensors.first_mut()?;
        match self.how(around) {
            // Beyond the chunk, or, where the bits of an index reach no farther, the same one many times.
            Malformation::Index if !around.network.shape.tensors[0].is_whole() => tensor.indices.fill(u16::MAX),
            // Of a chunk that is sent whole no indices are sent.
            Malformation::Shape | Malformation::Index => {
                tensor.indices.truncate(tensor.indices.len() / 2);
                tensor.values.truncate(tensor.values.len() / 2);
            }
            Malformation::Nan => tensor.values[0] = f32::NAN,
            _ => {}
        }
        Some(own)
    }

    fn bytes(&self, signed: Bytes, around: &Surroundings) -> Bytes {
        match self.how(around) {
            Malformation::Oversized => {
                let mut padded = BytesMut::zeroed(signed.len() * 20);
                padded[..signed.len()].copy_from_slice(&signed);
                padded.freeze()
            }
            Malformation::Truncated => signed.slice(..signed.len() / 2),
            _ => signed,
        }
    }
}
