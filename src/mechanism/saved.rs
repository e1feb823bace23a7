//! The saved state of a mechanism.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes of a state.
pub fn save<T: Serialize>(state: &T) -> Vec<u8> {
    postcard::to_stdvec(state).expect("a plain structure")
}

/// The state that [`save`] made bytes of.
///
/// # Errors
/// The bytes are no such state, or more than that.
pub fn restore<T: DeserializeOwned>(saved: &[u8]) -> Result<T, String> {
    let (state, rest) = postcard::take_from_bytes(saved).map_err(|error| error.to_string())?;
    if rest.is_empty() { Ok(state) } else { Err(format!("{} bytes too many", rest.len())) }
}
