//! What the S3 protocol does to the bucket: put, get, head, delete and list, with the conditions that put-if-absent and
//! compare-and-swap need.

use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use s3s::dto::{
    CommonPrefix, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::BUCKET;
use super::bucket::{Bucket, Condition, Object, PAGE, Refused};
use super::faults::{Harm, View};

/// The protocol on a bucket.
pub struct Operations(pub Arc<Bucket>);

impl Operations {
    fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        if name == BUCKET { Ok(&self.0) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// The object that a reader asks for, on these conditions.
    fn object(
        &self,
        (bucket, key): (&str, &str),
        view: Option<&View>,
        only_if: Option<&ETagCondition>,
        unless: Option<&ETagCondition>,
    ) -> S3Result<Object> {
        let object = self.bucket(bucket)?.object(key).filter(|object| view.is_none_or(|view| view.sees(object.stamp)));
        let object = object.ok_or_else(|| s3_error!(NoSuchKey))?;
        if only_if.is_some_and(|condition| !matches(condition, &object)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if unless.is_some_and(|condition| matches(condition, &object)) {
            return Err(s3_error!(NotModified));
        }
        Ok(object)
    }
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag,
    }
}

/// The body of an answer, in two parts, so that it can end between them.
fn body(bytes: Bytes) -> StreamingBlob {
    let half = bytes.len() / 2;
    let parts = [bytes.slice(..half), bytes.slice(half..)];
    StreamingBlob::wrap(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
}

/// A body that breaks off where these bytes end.
fn body_cut_off(bytes: Bytes) -> StreamingBlob {
    let end = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    StreamingBlob::wrap(stream::iter([Ok(bytes), Err(end)]))
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let PutObjectInput { bucket, key, body, if_match, if_none_match, .. } = request.input;
        let bucket = self.bucket(&bucket)?;
        let condition = match (if_match, if_none_match) {
            (None, None) => Condition::Any,
            (None, Some(ETagCondition::Any)) => Condition::Absent,
            (Some(ETagCondition::ETag(etag)), None) => Condition::Same(etag.into_value()),
            _ => return Err(s3_error!(NotImplemented)),
        };
        let mut bytes = Vec::new();
        if let Some(mut body) = body {
            while let Some(part) = body.try_next().await.map_err(|_| s3_error!(IncompleteBody))? {
                bytes.extend_from_slice(&part);
            }
        }
        let object = bucket.put_if(&key, bytes.into(), &condition).map_err(|refused| match refused {
            Refused::Exists | Refused::Changed => s3_error!(PreconditionFailed),
            Refused::Absent => s3_error!(NoSuchKey),
        })?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(object.etag)), ..Default::default() }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let harm = request.extensions.get::<Harm>().copied();
        let GetObjectInput { bucket, key, range, if_match, if_none_match, .. } = request.input;
        let view = request.extensions.get();
        let object = self.object((&bucket, &key), view, if_match.as_ref(), if_none_match.as_ref())?;
        let size = object.bytes.len();
        let (part, content_range) = match range {
            None => (object.bytes, None),
            Some(range) => {
                let range = range.check(size as u64)?;
                let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                (object.bytes.slice(range.start as usize..range.end as usize), Some(told))
            }
        };
        let part = match harm {
            Some(harm @ Harm::Shorten(_)) => harm.apply(part),
            _ => part,
        };
        let content_length = Some(part.len() as i64);
        let body = match harm {
            None | Some(Harm::Shorten(_)) => body(part),
            Some(harm @ Harm::Flip(_)) => body(harm.apply(part)),
            Some(harm @ Harm::Truncate(_)) => body_cut_off(harm.apply(part)),
        };
        Ok(S3Response::new(GetObjectOutput {
            body: Some(body),
            content_length,
            content_range,
            last_modified: Some(object.stamp.into()),
            e_tag: Some(ETag::Strong(object.etag)),
            ..Default::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let HeadObjectInput { bucket, key, if_match, if_none_match, .. } = request.input;
        let view = request.extensions.get();
        let object = self.object((&bucket, &key), view, if_match.as_ref(), if_none_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(object.bytes.len() as i64),
            last_modified: Some(object.stamp.into()),
            e_tag: Some(ETag::Strong(object.etag)),
            ..Default::default()
        }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.bucket(&request.input.bucket)?.delete(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let delete = |key: String| {
            bucket.delete(&key);
            DeletedObject { key: Some(key), ..Default::default() }
        };
        let deleted = request.input.delete.objects.into_iter().map(|object| delete(object.key)).collect();
        Ok(S3Response::new(DeleteObjectsOutput { deleted: Some(deleted), ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let ListObjectsV2Input { bucket, prefix, delimiter, start_after, continuation_token, max_keys, .. } =
            request.input;
        let bucket = self.bucket(&bucket)?;
        let after = continuation_token.as_deref().or(start_after.as_deref()).unwrap_or_default();
        let most = max_keys.and_then(|most| usize::try_from(most).ok()).map_or(PAGE, |most| most.min(PAGE));
        let mut page = bucket.list(prefix.as_deref().unwrap_or_default(), delimiter.as_deref(), after, most);
        if let Some(view) = request.extensions.get::<View>() {
            page.objects.retain(|(_, object)| view.sees(object.stamp));
        }

        let contents = page.objects.into_iter().map(|(key, object)| s3s::dto::Object {
            key: Some(key),
            size: Some(object.bytes.len() as i64),
            last_modified: Some(object.stamp.into()),
            e_tag: Some(ETag::Strong(object.etag)),
            ..Default::default()
        });
        let contents: Vec<_> = contents.collect();
        let prefixes: Vec<_> = page.prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(BUCKET.into()),
            key_count: Some((contents.len() + prefixes.len()) as i32),
            max_keys: Some(most as i32),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            prefix,
            delimiter,
            ..Default::default()
        }))
    }
}
