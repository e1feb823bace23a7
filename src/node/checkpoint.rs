//! Puts a model into the bucket and fetches it, part by part.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, Result};

use crate::bucket::untrusted::get_bounded;
use crate::digest::Digest;
use crate::transport::checkpoint::{self, Checkpoint, Decoder};
use crate::transport::keys;

/// Puts a model with this digest under `key`. The first part goes last, so that a node that finds it finds the others.
///
/// # Errors
/// The store refuses a part. Then no node finds the others.
pub async fn put_checkpoint(
    bucket: &dyn ObjectStore,
    key: &Path,
    run: &Digest,
    round: u64,
    (model, theta): (&Digest, &[f32]),
) -> Result<()> {
    for part in (0..checkpoint::parts(theta.len())).rev() {
        let bytes = checkpoint::encode_part(run, round, model, theta, part);
        bucket.put(&keys::part(key, part), bytes.into()).await?;
    }
    Ok(())
}

/// Fetches the model under `key`, if it is the one after `round` with digest `model`, by its header and by its content.
pub async fn get_checkpoint(
    bucket: &Arc<dyn ObjectStore>,
    key: &Path,
    run: &Digest,
    parameters: usize,
    (round, model): (u64, Digest),
) -> Option<Checkpoint> {
    let fetch = |part| async move {
        let most = checkpoint::part_len(parameters, part) as u64;
        get_bounded(bucket, &keys::part(key, part), most).await
    };
    let wrong = |error| tracing::warn!(%key, %error, "ignoring a checkpoint");
    let mut decoder = Decoder::begin(&fetch(0).await?, run, parameters).map_err(wrong).ok()?;
    if decoder.declared() != (round, model) {
        tracing::error!(%key, "ignoring a checkpoint that is not the model of the round's record");
        return None;
    }
    while let Some(part) = decoder.next_part() {
        decoder.add(&fetch(part).await?).map_err(wrong).ok()?;
    }
    decoder.finish().map_err(wrong).ok()
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::node::bundle::delete_parts;
    use crate::transport::checkpoint::PART;

    #[tokio::test]
    async fn a_large_model_is_put_and_fetched_in_parts() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let theta: Vec<f32> = (0..PART + 3).map(|i| i as f32).collect();
        let (run, model, key) =
            (Digest::of(b"run"), Digest::of_f32(&theta), Path::from("nodes/a/checkpoints/00000100"));
        put_checkpoint(&bucket, &key, &run, 100, (&model, &theta)).await.unwrap();
        let second = keys::part(&key, 1);
        assert_eq!(bucket.head(&second).await.unwrap().size, 12);

        let get = |expected| get_checkpoint(&bucket, &key, &run, PART + 3, expected);
        assert!(get((100, model)).await.unwrap().theta == theta);
        assert!(get((101, model)).await.is_none() && get((100, Digest::of(b"other"))).await.is_none());
        bucket.put(&second, vec![0; 12].into()).await.unwrap();
        assert!(get((100, model)).await.is_none(), "damaged");
        bucket.put(&second, vec![0; 13].into()).await.unwrap();
        assert!(get((100, model)).await.is_none(), "too long");
        delete_parts(&*bucket, &key, checkpoint::parts(PART + 3)).await;
        assert!(bucket.head(&key).await.is_err() && bucket.head(&second).await.is_err());
    }
}
