//! DeMo: decoupled momentum (Peng et al., arXiv 2411.19870).
//!
//! A peer keeps its own momentum. Each round it adds its gradient, cuts every tensor into chunks, takes the 2-D DCT-II
//! of each chunk, sends the few coefficients of largest magnitude, and subtracts what it sent from the momentum (error
//! feedback).

mod device;
mod encode;
mod local;
mod sent;
mod settings;

pub use sent::Demo;
pub use settings::DemoSettings;

use local::Momentum;

use super::footprint::Footprint;
use super::limits;
use super::seam::{LocalTraining, Scheme, SchemeSettings};
use crate::model::ParamLayout;
use crate::settings::Findings;
use crate::training::{Basis, ChunkError, PayloadLayout, PayloadShape};

/// The meaning of the coefficients that a peer sends.
pub const BASIS: Basis = Basis::Dct;

impl SchemeSettings for DemoSettings {
    fn check(&self, found: &mut Findings, _pages_per_round: usize) {
        limits::chunks(found, self.chunk, self.topk);
        found.fraction("decay", self.decay);
        limits::bits(found, self.bits);
    }

    fn basis(&self) -> Basis {
        BASIS
    }

    fn build(&self, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError> {
        Ok(Box::new(Demo::new(self, params)?))
    }
}

impl Scheme for Demo {
    fn local(&self) -> Box<dyn LocalTraining> {
        Box::new(Momentum::new(self.clone()))
    }

    fn kept_values(&self) -> usize {
        self.layout.total()
    }

    fn shape(&self) -> &PayloadShape {
        &self.shape
    }

    fn payloads(&self) -> PayloadLayout {
        PayloadLayout { chunks: self.layout.clone(), basis: BASIS }
    }

    /// A sign has no size of its own, so a whole step is the learning rate.
    fn rate(&self, lr: f64) -> f64 {
        lr
    }

    fn step_size(&self, lr: f64) -> f64 {
        lr
    }

    fn footprint(&self) -> Footprint {
        Footprint { kept: "momentum", kept_on_device: true, own_model: false }
    }
}
