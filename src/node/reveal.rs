//! Keys of sealed uploads: putting them after the put window, and opening others' uploads with theirs.
//!
//! A key counts if it is stamped before the reveal window ends, which begins as the put window ends. An earlier key
//! counts too: it harms only the peer that puts it.

use std::time::Duration;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStoreExt};

use super::network::Network;
use super::ports::Ports;
use crate::bucket::untrusted::{body, get_bounded};
use crate::transport::envelope::{self, Envelope, KEY_LEN, KeyError};
use crate::transport::keys;
use crate::transport::wire::{self, Expected};

/// Why an object in the place of a sealed upload cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is no sealed upload of this peer and round.
    Malformed,
    Key(KeyFault),
}

/// What is wrong with a sealed upload's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// There is none, or it could not be fetched.
    Missing,
    /// It came after the reveal window.
    Late,
    /// It does not open the upload.
    Wrong,
    /// It is of another upload.
    OfAnother,
}

/// Length in bytes of the object that holds a valid upload.
pub fn upload_len(network: &Network) -> usize {
    let plain = wire::encoded_len(network.form());
    if network.rules.protocol.sealed { envelope::sealed_len(plain) } else { plain }
}

/// The plain upload in an object that a validator has found. If uploads are sealed, waits for the reveal window to end
/// and opens it with the key that has come by then.
pub async fn opened(network: &Network, ports: &Ports, expected: &Expected, bytes: Bytes) -> Result<Bytes, Unopened> {
    if !network.rules.protocol.sealed {
        return Ok(bytes);
    }
    let envelope = envelope_of(network, expected, &bytes).ok_or(Unopened::Malformed)?;
    let closes = ports.clock.reveal_window(expected.round).closes;
    // A moment later, keys that arrived as the window closed are visible.
    ports.clock.sleep_until(closes + Duration::from_millis(10)).await;
    let key = key_until(ports, expected, closes).await.map_err(Unopened::Key)?;
    open(ports, envelope, key).await.map_err(|error| match error {
        KeyError::Wrong => Unopened::Key(KeyFault::Wrong),
        KeyError::OfAnother => Unopened::Key(KeyFault::OfAnother),
    })
}

/// The plain upload of a peer that has put its key by now, whether in time or not; `None` if there is none, or no key.
pub async fn revealed(network: &Network, ports: &Ports, expected: &Expected) -> Option<Bytes> {
    let bucket = ports.uploads_of(&expected.hotkey).await?;
    // The key comes first: without it, the upload is large and useless.
    let key = get_bounded(&bucket, &keys::upload_key(&expected.hotkey, expected.round), KEY_LEN as u64).await?;
    let upload = keys::upload(&expected.hotkey, expected.round);
    let bytes = get_bounded(&bucket, &upload, upload_len(network) as u64).await?;
    open(ports, envelope_of(network, expected, &bytes)?, key).await.ok()
}

/// Puts the key of a sealed upload; a failure is a missed round, not an error.
pub async fn put_key(ports: &Ports, round: u64, key: Bytes) {
    if let Err(error) = ports.own_uploads.put(&keys::upload_key(&ports.identity.hotkey(), round), key.into()).await {
        tracing::warn!(round, %error, "the key of the upload could not be put");
    }
}

fn envelope_of(network: &Network, expected: &Expected, bytes: &Bytes) -> Option<Envelope> {
    Envelope::read(bytes, wire::encoded_len(network.form()), expected, &network.verified).ok()
}

/// Decrypts on the pool: an upload can be large.
async fn open(ports: &Ports, envelope: Envelope, key: Bytes) -> Result<Bytes, KeyError> {
    ports.run(Duration::ZERO, move || envelope.open(&key)).await
}

/// The object in the place of a key, if it is stamped `latest` or before. Transfers no more bytes than a key has.
async fn key_until(ports: &Ports, expected: &Expected, latest: Duration) -> Result<Bytes, KeyFault> {
    let bucket = ports.uploads_of(&expected.hotkey).await.ok_or(KeyFault::Missing)?;
    let options = GetOptions { range: Some(GetRange::Bounded(0..KEY_LEN as u64)), ..Default::default() };
    let found = bucket.get_opts(&keys::upload_key(&expected.hotkey, expected.round), options).await;
    // A range does not fit an empty object, which counts as missing, as on stores that report it alike.
    let found = found.map_err(|_| KeyFault::Missing)?;
    if ports.clock.since_genesis(found.meta.last_modified) > latest {
        return Err(KeyFault::Late);
    }
    if found.meta.size != KEY_LEN as u64 {
        return Err(KeyFault::Wrong);
    }
    body(found).await.map_err(|_| KeyFault::Missing)
}
