//! Does honest work and uploads it after the put window has closed.

use std::time::Duration;

use super::{Behaviour, Surroundings};

pub struct Late {
    pub seconds: f64,
}

impl Behaviour for Late {
    fn put_at(&self, around: &Surroundings) -> Duration {
        around.window.closes + Duration::from_secs_f64(self.seconds)
    }
}
