//! The state of a behaviour: behind a lock, because slots are asked concurrently, and kept over a restart.

use std::sync::{Mutex, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// State that the slots of an operator share.
#[derive(Default)]
pub struct Shared<T>(Mutex<T>);

impl<T: Serialize + DeserializeOwned> Shared<T> {
    /// The state, locked.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no panic while held")
    }

    /// As [`Behaviour::save`](super::Behaviour::save).
    pub fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&*self.lock()).expect("a plain structure")
    }

    /// As [`Behaviour::restore`](super::Behaviour::restore).
    ///
    /// # Errors
    /// The bytes are not a state of this type.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.0 = Mutex::new(postcard::from_bytes(saved).map_err(|error| error.to_string())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_damage_changes_nothing() {
        let mut state = Shared(Mutex::new(vec![1u64, 300]));
        let saved = state.save();
        assert!(state.restore(&[9]).is_err());
        assert_eq!(*state.lock(), [1, 300]);
        state.lock().clear();
        state.restore(&saved).unwrap();
        assert_eq!(*state.lock(), [1, 300]);
    }
}
